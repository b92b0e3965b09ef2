//! Flyte 2's server: its pods, the ports that they listen on, and the Services that lead there.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use crate::{
    admin_config::server::Server,
    host::Listed,
    installation::{admin, objects::Objects},
    text::Text,
    verdict::Unjudged,
    view::view,
    workload::{Labels, Placed, Workload},
};

view! {
    /// A Service.
    pub(super) struct Service<'a> {
        "spec" => pub(super) spec: ServiceSpec<'a>,
    }

    /// What it says.
    pub(super) struct ServiceSpec<'a> {
        "type" => pub(super) kind: Text<'a>,
        "externalIPs" => pub(super) external: Vec<Text<'a>>,
        "selector" => selector: Labels<'a>,
        "ports" => ports: Vec<ServicePort<'a>>,
    }

    struct ServicePort<'a> {
        "port" => port: &'a RawValue,
        "targetPort" => target: &'a RawValue,
    }

    struct ContainerPort<'a> {
        "name" => name: Text<'a>,
        "containerPort" => number: &'a RawValue,
        "hostPort" => host: &'a RawValue,
    }
}

/// The ports that Flyte 2 listens on, whether or not its container says so: its services, its webhook, and what its webhook
/// remembers of Secrets.
const PORTS: [&str; 3] = ["8090", "9443", "9444"];

/// The ports of a container that runs Flyte 2's server.
pub(super) struct Ports<'a>(Vec<ContainerPort<'a>>);

impl<'a> Ports<'a> {
    /// # Errors
    ///
    /// They have another type than Kubernetes gives them.
    pub(super) fn of(placed: &Placed<'_, 'a>) -> Result<Self, Unjudged> {
        placed.list("ports", placed.container.ports).map(Self)
    }

    /// The ports of the node that lead to it, each as its place in the list and its number.
    pub(super) fn of_node(&self) -> impl Iterator<Item = (usize, &str)> {
        let ports = self.0.iter().enumerate();
        ports
            .filter_map(|(index, port)| Some((index, port.host?.get())))
            .filter(|(_, port)| *port != "0" && *port != "null")
    }

    /// Whether a port of a Service leads to it, rather than to a proxy beside it.
    fn leads(&self, port: &ServicePort) -> bool {
        let target = port.target.filter(|target| target.get() != "null").or(port.port).map_or("", RawValue::get);
        match target.strip_prefix('"') {
            Some(name) => self.0.iter().any(|own| own.name.as_deref() == Some(name.trim_end_matches('"'))),
            None => {
                PORTS.contains(&target) || self.0.iter().any(|own| own.number.is_some_and(|own| own.get() == target))
            }
        }
    }
}

impl ServiceSpec<'_> {
    /// Whether it leads to a container of pods with these labels.
    pub(super) fn leads_to(&self, labels: Option<&Labels>, ports: &Ports) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.selects(labels))
            && self.ports.iter().flatten().any(|port| ports.leads(port))
    }
}

/// Gives each container of a namespace's Deployments that runs Flyte 2's server to `each`, with the name of its Deployment.
///
/// # Errors
///
/// Why they are not known, or what `each` says.
pub(super) fn each(
    objects: &Objects,
    namespace: &str,
    mut each: impl FnMut(&str, &Workload, &Ports) -> Result<(), String>,
) -> Result<(), String> {
    admin::each_server(objects, namespace, |found, workload, placed, server| match server {
        Server::FlyteTwo => {
            let ports = Ports::of(placed).map_err(|error| found.unreadable(Listed::Deployment, &error))?;
            each(&found.name, workload, &ports)
        }
        Server::Admin(_) => Ok(()),
    })
}

/// The Services of a namespace that lead to a container of pods with these labels.
///
/// # Errors
///
/// Why they are not known.
pub(super) fn services(
    objects: &Objects,
    namespace: &str,
    labels: Option<&Labels>,
    ports: &Ports,
) -> Result<BTreeSet<String>, String> {
    let mut services = BTreeSet::new();
    objects.each(Listed::Service, Some(namespace), |found| {
        let spec = found.read::<Service>(Listed::Service)?.spec.unwrap_or_default();
        if spec.leads_to(labels, ports) {
            services.insert(found.name.clone());
        }
        Ok(())
    })?;
    Ok(services)
}

//! Flyte 2's server: its pods, the ports that they listen on, and the Services that lead there.

use serde_json::value::RawValue;

use super::in_front::Annotations;
use crate::{
    admin_config::server::Server,
    host::Listed,
    installation::{admin, objects::Objects},
    text::Text,
    verdict::{Place, Unjudged},
    view::view,
    workload::{Labels, Placed, Workload},
};

view! {
    /// A Service.
    pub(super) struct Service<'a> {
        "metadata" => metadata: Annotations<'a>,
        "spec" => pub(super) spec: ServiceSpec<'a>,
    }

    /// Its spec.
    pub(super) struct ServiceSpec<'a> {
        "type" => pub(super) kind: Text<'a>,
        "externalIPs" => pub(super) external: Vec<Text<'a>>,
        "externalName" => alias_of: Text<'a>,
        "selector" => selector: Labels<'a>,
        "ports" => ports: Vec<ServicePort<'a>>,
    }

    struct ServicePort<'a> {
        "name" => name: Text<'a>,
        "port" => port: &'a RawValue,
        "targetPort" => target: &'a RawValue,
    }

    struct ContainerPort<'a> {
        "name" => name: Text<'a>,
        "containerPort" => number: &'a RawValue,
        "hostPort" => host: &'a RawValue,
    }
}

/// The port of Flyte 2's API, whether or not its container declares it.
const API: &str = "8090";

/// The ports for the cluster only: the port of its webhook, and the port of the webhook's cache of Secrets.
pub(super) const OF_CLUSTER: [&str; 2] = ["9443", "9444"];

/// The part of Flyte 2 that a port leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeadsTo {
    /// Everything that Flyte 2 can do.
    Api,
    /// The webhook, which the API server and Flyte itself call.
    Webhook,
}

impl LeadsTo {
    /// Returns what a port of Flyte 2 leads to, whether or not a container declares it.
    fn by_number(number: &str) -> Option<Self> {
        match number {
            API => Some(Self::Api),
            _ => OF_CLUSTER.contains(&number).then_some(Self::Webhook),
        }
    }

    /// Describes it, and what anyone who gets there can do.
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Api => {
                "Flyte 2, which does not authenticate callers. Anyone can start runs, read their data, and change secrets"
            }
            Self::Webhook => "Flyte 2's webhook, which only the cluster should reach",
        }
    }
}

/// A port that a container of the pod declares.
struct PodPort<'a> {
    place: Place,
    port: ContainerPort<'a>,
    leads_to: Option<LeadsTo>,
}

/// The ports of a pod that runs Flyte 2's server. Its containers share an address, so each may declare another's port.
pub(super) struct Ports<'a>(Vec<PodPort<'a>>);

impl<'a> Ports<'a> {
    /// # Errors
    ///
    /// One of the lists has the wrong type.
    pub(super) fn from_container(workload: &Workload<'a>, server: &Placed<'_, 'a>) -> Result<Self, Unjudged> {
        let own: Vec<ContainerPort> = server.list("ports", server.container.ports)?;
        let leads_to = |number: &str| {
            let is_own = || own.iter().any(|port| port.number.is_some_and(|own| own.get() == number));
            LeadsTo::by_number(number).or_else(|| is_own().then_some(LeadsTo::Api))
        };
        let mut ports = Vec::new();
        for placed in workload.containers() {
            for (index, port) in placed.list::<ContainerPort>("ports", placed.container.ports)?.into_iter().enumerate()
            {
                let place = Place { path: format!("{}.ports[{index}]", placed.path()), ..placed.place() };
                let leads_to = port.number.and_then(|number| leads_to(number.get()));
                ports.push(PodPort { place, port, leads_to });
            }
        }
        Ok(Self(ports))
    }

    /// The ports of the node that lead to Flyte 2, each with its place in the pod.
    pub(super) fn of_node(&self) -> impl Iterator<Item = (&Place, &str, LeadsTo)> {
        let of_node = self.0.iter().filter_map(|own| Some((&own.place, own.port.host?.get(), own.leads_to?)));
        of_node.filter(|(_, port, _)| *port != "0" && *port != "null")
    }

    /// Returns what a Service's port leads to. `None` if that is not Flyte 2, but for example a proxy next to it.
    fn led_to(&self, port: &ServicePort) -> Option<LeadsTo> {
        // `SetDefaults_Service` of `pkg/apis/core/v1/defaults.go` in kubernetes/kubernetes.
        let target = port.target.filter(|target| !matches!(target.get(), "null" | "0" | "\"\""));
        let target = target.or(port.port).map_or("", RawValue::get);
        match target.strip_prefix('"') {
            // The first one with that name counts.
            Some(name) => {
                let name = Some(name.trim_end_matches('"'));
                self.0.iter().find(|own| own.port.name.as_deref() == name)?.leads_to
            }
            None => LeadsTo::by_number(target)
                .or_else(|| self.0.iter().find(|own| own.port.number.is_some_and(|own| own.get() == target))?.leads_to),
        }
    }
}

impl ServiceSpec<'_> {
    /// Returns what it leads to in pods with these labels, if anything.
    pub(super) fn leads_to(&self, labels: Option<&Labels>, ports: &Ports) -> Option<LeadsTo> {
        let mut led = self.ports_to(labels, ports).map(|(_, leads_to)| leads_to);
        let first = led.next()?;
        Some(if led.any(|other| other == LeadsTo::Api) { LeadsTo::Api } else { first })
    }

    fn ports_to<'s>(
        &'s self,
        labels: Option<&Labels>,
        ports: &'s Ports,
    ) -> impl Iterator<Item = (&'s ServicePort<'s>, LeadsTo)> {
        let selects = self.selector.as_ref().is_some_and(|selector| selector.selects(labels));
        let own = self.ports.iter().flatten().filter(move |_| selects);
        own.filter_map(|port| Some((port, ports.led_to(port)?)))
    }
}

/// A Service that leads to Flyte 2's API.
pub(super) struct Backend {
    pub(super) name: String,
    /// Its ports that lead there, by number and by name; empty if all may.
    ports: Vec<String>,
    /// Its annotation for logins by AWS.
    pub(super) auth_type: Option<String>,
}

/// The Services of a namespace that lead to Flyte 2's API.
pub(super) struct Backends {
    pub(super) namespace: String,
    list: Vec<Backend>,
}

impl Backends {
    /// The Services that lead to pods with these labels, and the aliases of these Services.
    ///
    /// # Errors
    ///
    /// Why the Services are not known.
    pub(super) fn select(
        objects: &Objects,
        namespace: &str,
        labels: Option<&Labels>,
        ports: &Ports,
    ) -> Result<Self, String> {
        let (mut list, mut aliases): (Vec<Backend>, Vec<(String, String)>) = (Vec::new(), Vec::new());
        objects.each(Listed::Service, Some(namespace), |found| {
            // One that cannot be read is rejected on its own, and leads nowhere.
            let Ok(Service { metadata, spec, .. }) = found.read_fields::<Service>(Listed::Service) else {
                return Ok(());
            };
            let spec = spec.unwrap_or_default();
            if let Some(name) = spec.alias_of.as_deref().filter(|_| spec.kind.as_deref() == Some("ExternalName")) {
                aliases.push((found.name.clone(), name.to_owned()));
                return Ok(());
            }
            let api = spec.ports_to(labels, ports).filter(|(_, leads_to)| *leads_to == LeadsTo::Api);
            let ports: Vec<String> = api
                .flat_map(|(port, _)| [port.port.map(RawValue::get), port.name.as_deref()])
                .flatten()
                .map(str::to_owned)
                .collect();
            if !ports.is_empty() {
                let annotations = metadata.and_then(|metadata| metadata.annotations).unwrap_or_default();
                let auth_type = annotations.get("alb.ingress.kubernetes.io/auth-type").map(str::to_owned);
                list.push(Backend { name: found.name.clone(), ports, auth_type });
            }
            Ok(())
        })?;
        for (name, alias_of) in aliases {
            let is_of = |own: &&Backend| {
                let rest = alias_of.strip_prefix(&*own.name).and_then(|rest| rest.strip_prefix('.'));
                let rest = rest.and_then(|rest| rest.strip_prefix(namespace));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            if list.iter().any(|own| is_of(&own)) {
                list.push(Backend { name, ports: Vec::new(), auth_type: None });
            }
        }
        Ok(Self { namespace: namespace.to_owned(), list })
    }

    /// Returns the Service of that name, if it leads there by a port. The port is a number or a name; without one, any
    /// port counts.
    pub(super) fn find(&self, name: &str, port: Option<&str>) -> Option<&Backend> {
        let leads = |own: &&Backend| {
            own.name == name && port.is_none_or(|port| own.ports.is_empty() || own.ports.iter().any(|own| own == port))
        };
        self.list.iter().find(leads)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|own| &*own.name)
    }
}

/// Calls `each` for every container of a namespace's Deployments that runs Flyte 2's server, with the Deployment's name, the
/// workload, and the ports of its pod.
///
/// # Errors
///
/// Why the Deployments are not known, or the error of `each`.
pub(super) fn each(
    objects: &Objects,
    namespace: &str,
    mut each: impl FnMut(&str, &Workload, &Placed, &Ports) -> Result<(), String>,
) -> Result<(), String> {
    admin::each_server(objects, namespace, |found, workload, placed, server| match server {
        Server::FlyteTwo => {
            let ports = Ports::from_container(workload, placed)
                .map_err(|error| found.unreadable(Listed::Deployment, &error))?;
            each(&found.name, workload, placed, &ports)
        }
        Server::Admin(_) => Ok(()),
    })
}

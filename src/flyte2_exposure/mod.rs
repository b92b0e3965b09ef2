//! `flyte2-exposure`: Flyte 2 is reachable only through something that authenticates callers.
//!
//! Flyte 2 does not authenticate its callers, takes identities from headers without verifying them, and allows the
//! pages of every website. So everything that leads to it must authenticate callers. Routes do so by their controller,
//! or by a policy of the gateway or the mesh. Services and ports of the node bypass that.
//!
//! Checked: Ingress, HTTPRoute, GRPCRoute and OpenShift's Route, and for other kinds of routes only whether they lead there;
//! Service; workloads that run Flyte 2's server or its console; its ConfigMaps; its ClusterRole. Command lines and images show
//! which pods are Flyte 2's. Objects that are created before the Deployment they lead to are checked with it. Not checked: Flyte 1;
//! an UPDATE of an object that is being deleted; Services and routes that the settings name.
//!
//! Source: `manager/cmd/main.go`, `runs/config/config.go` and `charts/flyte-binary` of
//! [flyteorg/flyte](https://github.com/flyteorg/flyte) v2.0.43.

mod config;
mod identity;
mod in_front;
mod network;
mod route;
mod rules;
mod server;
mod settings;
mod unread;
mod workload;

use in_front::Mesh;
use route::{Fault, Route};
use serde_json::value::RawValue;
use server::{Backends, LeadsTo, Service, ServiceSpec};
use settings::Settings;

use crate::{
    admin_config::config_map,
    admission::{self, AdmissionRequest, Kind},
    host::{Host, Listed},
    installation::{gateway, objects::Objects},
    policy::{Declared, Policy},
    rule::RuleName,
    settings::InvalidSettings,
    text::Text,
    verdict::{Note, Notice, Place, Unjudged, Verdict, Violation},
    view::view,
    workload::{Labels, Metadata, is_workload},
};

/// The policy `flyte2-exposure`.
#[derive(Debug)]
pub struct Flyte2Exposure;

/// The policy's declaration.
pub const DECLARED: Declared = Declared {
    policy: &Flyte2Exposure,
    variant_of: None,
    rules: rules::RULES,
    severities: rules::SEVERITIES,
    settings: settings::SETTINGS,
    asks_for: &[
        Listed::Deployment,
        Listed::SecurityPolicy,
        Listed::GrpcRoute,
        Listed::HttpRoute,
        Listed::Ingress,
        Listed::NetworkPolicy,
        Listed::Route,
        Listed::AuthorizationPolicy,
        Listed::Middleware,
        Listed::ConfigMap,
        Listed::Service,
    ],
    asks_for_images: false,
    most_bytes: 585_000,
};

/// The kind, if it is that of a route or a Service.
fn listed(kind: &Kind) -> Option<Listed> {
    route::KINDS.into_iter().chain([Listed::Service]).find(|listed| listed.is(kind))
}

fn is_cluster_role(kind: &Kind) -> bool {
    (kind.group(), kind.name()) == ("rbac.authorization.k8s.io", "ClusterRole")
}

/// Whether a path leads only to endpoints that clients must reach before they log in. A path with `..` or a regular
/// expression may lead elsewhere.
fn is_for_everybody(path: &str) -> bool {
    const PATHS: [&str; 3] = ["/.well-known", "/flyteidl2.auth.AuthMetadataService", "/healthz"];
    let path = path.trim_end_matches(['*', '/']);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    let leads_to = |known: &str| path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path.chars().all(is_plain) && !path.contains("..") && PATHS.into_iter().any(leads_to)
}

impl Policy for Flyte2Exposure {
    fn name(&self) -> &'static str {
        "flyte2-exposure"
    }

    fn concerns(&self, kind: &Kind) -> bool {
        listed(kind).is_some()
            || unread::is_kind(kind)
            || is_cluster_role(kind)
            || config_map::is_kind(kind)
            || is_workload(kind)
    }

    fn judge(
        &self,
        request: &AdmissionRequest,
        settings: Option<&RawValue>,
        host: &dyn Host,
    ) -> Result<Verdict, Unjudged> {
        let mut verdict = Verdict::default();
        if !request.sub_resource().is_empty() {
            return Ok(verdict);
        }
        let settings = &Settings::parse(settings)?;
        if let Some(kind) = listed(request.kind()) {
            judge_way(kind, request, settings, host, &mut verdict)?;
        } else if config_map::is_kind(request.kind()) {
            config::judge(request, host, &mut verdict)?;
        } else if unread::is_kind(request.kind()) {
            judge_unread(request, settings, host, &mut verdict)?;
        } else if is_cluster_role(request.kind()) {
            judge_cluster_role(request, &mut verdict)?;
        } else {
            workload::judge(request, settings, host, &mut verdict)?;
        }
        Ok(verdict)
    }

    fn check_settings(&self, settings: Option<&RawValue>) -> Result<(), InvalidSettings> {
        Settings::parse(settings)?.check()
    }
}

view! {
    struct Object<'a> {
        "metadata" => metadata: Metadata<'a>,
    }

    struct ClusterRole<'a> {
        "rules" => rules: Vec<Rule<'a>>,
    }

    struct Rule<'a> {
        "apiGroups" => groups: Vec<Text<'a>>,
        "resources" => resources: Vec<Text<'a>>,
    }
}

/// A finding without a place.
enum Found {
    Wrong(RuleName, String, String),
    Worth(RuleName, Note),
}

impl Verdict {
    /// Adds a finding at a place.
    fn add(&mut self, found: Found, place: &Place) {
        match found {
            Found::Wrong(rule, problem, mend) => {
                self.violations.push(Violation::new(rule, place.clone(), problem, mend));
            }
            Found::Worth(rule, note) => self.notices.push(Notice::new(rule, place.clone(), note)),
        }
    }
}

/// Checks a Service or a route that leads to Flyte 2.
fn judge_way(
    kind: Listed,
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let object = request.object()?;
    let metadata = admission::read_fields::<Object>(object)?.metadata.unwrap_or_default();
    if request.is_update() && metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let (namespace, name) = (request.namespace(), metadata.name.as_deref().unwrap_or_default());
    let mut objects = Objects::beside(host);
    let (mut spec, mut namespaces) = (ServiceSpec::default(), vec![namespace]);
    let of_gateway;
    match kind {
        Listed::Service => {
            spec = admission::read_fields::<Service>(object)?.spec.unwrap_or_default();
            if !is_reached_from_outside(&spec) {
                return Ok(());
            }
        }
        Listed::HttpRoute | Listed::GrpcRoute => {
            of_gateway = admission::read_fields::<gateway::Route>(object)?;
            namespaces = of_gateway.namespaces(namespace);
        }
        _ => {}
    }
    if namespaces.len() > 1 {
        objects = objects.everywhere();
    }
    let mut found = Vec::new();
    let (mut leads, mut fault) = (false, None);
    let known = namespaces.into_iter().try_for_each(|of_flyte| {
        server::each(&objects, of_flyte, |_, workload, placed, ports| {
            // The next server has the same findings: report them once.
            if leads || fault.is_some() {
                return Ok(());
            }
            let labels = workload.pod_labels();
            let mesh = || in_front::of_mesh(&objects, of_flyte, labels);
            if kind == Listed::Service {
                if let Some(leads_to) = spec.leads_to(labels, ports) {
                    leads = true;
                    found.extend(of_service(name, &spec, leads_to, settings, &mesh()?));
                }
                return Ok(());
            }
            let backends = Backends::select(&objects, of_flyte, labels, ports)?;
            match Route::from_object((kind, namespace, name), object, &backends, &objects) {
                Ok(Some(route)) => {
                    leads = true;
                    let believes = || identity::believes(workload, placed, &objects, of_flyte);
                    found.extend(route.found(name, settings, &mesh()?, &believes));
                }
                Ok(None) => {}
                Err(Fault::Unreadable(unjudged)) => fault = Some(unjudged),
                Err(Fault::NotKnown(reason)) => return Err(reason),
            }
            Ok(())
        })
    });
    if let Some(unjudged) = fault {
        return Err(unjudged);
    }
    if leads {
        verdict.seen.judged();
    }
    let place = Place::at("spec");
    found.into_iter().for_each(|found| verdict.add(found, &place));
    if let Err(reason) = known {
        let text =
            format!("could not check whether this leads to Flyte 2, and whether callers are authenticated: {reason}");
        verdict.notices.push(Notice::new(rules::NOT_KNOWN, place, text));
    }
    Ok(())
}

/// Adds a finding for a route of a kind that is not read, if it leads to Flyte 2.
fn judge_unread(
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let object = request.object()?;
    let metadata = admission::read_fields::<Object>(object)?.metadata.unwrap_or_default();
    let named = (request.namespace(), metadata.name.as_deref().unwrap_or_default());
    // If the Deployments are not known, the other kinds of routes report it.
    if let Ok(Some(found)) = unread::found(named, object, settings, &Objects::beside(host)) {
        verdict.seen.judged();
        verdict.add(found, &Place::at("spec"));
    }
    Ok(())
}

fn is_reached_from_outside(spec: &ServiceSpec) -> bool {
    matches!(spec.kind.as_deref(), Some("LoadBalancer" | "NodePort"))
        || spec.external.as_ref().is_some_and(|addresses| !addresses.is_empty())
}

/// The finding for a Service that leads to Flyte 2.
fn of_service(name: &str, spec: &ServiceSpec, leads_to: LeadsTo, settings: &Settings, mesh: &Mesh) -> Option<Found> {
    if !is_reached_from_outside(spec) || mesh.asks || settings.is_authenticated(name) {
        return None;
    }
    let how = match spec.kind.as_deref() {
        Some(kind @ ("LoadBalancer" | "NodePort")) => format!("type {kind}"),
        _ => "externalIPs".to_owned(),
    };
    let problem = format!("is reachable from outside the cluster ({how}) and leads to {}", leads_to.in_words());
    let mend = match leads_to {
        LeadsTo::Api => {
            "set type: ClusterIP, and use a route that authenticates callers. If something else authenticates them, add this \
             Service to the `authenticated` setting"
        }
        LeadsTo::Webhook => {
            "set type: ClusterIP. If something authenticates callers, add this Service to the `authenticated` setting"
        }
    };
    Some(Found::Wrong(rules::OPEN_SERVICE, problem, mend.to_owned()))
}

/// Returns the findings for the Services and routes that lead to pods with these labels, with their titles. Objects
/// that cannot be read are rejected on their own.
fn of_ways(
    objects: &Objects,
    namespace: &str,
    labels: Option<&Labels>,
    ports: &server::Ports,
    settings: &Settings,
    mesh: &Mesh,
    believes: &dyn Fn() -> bool,
) -> Result<Vec<(String, Found)>, String> {
    let mut ways = Vec::new();
    let backends = Backends::select(objects, namespace, labels, ports)?;
    objects.each(Listed::Service, Some(namespace), |service| {
        let spec =
            service.read_fields::<Service>(Listed::Service).ok().and_then(|service| service.spec).unwrap_or_default();
        if let Some(leads_to) = spec.leads_to(labels, ports) {
            let found = of_service(&service.name, &spec, leads_to, settings, mesh);
            ways.extend(found.map(|found| (service.title(Listed::Service), found)));
        }
        Ok(())
    })?;
    for kind in route::KINDS {
        // Routes of Gateway API lead to other namespaces too.
        let of = Some(namespace).filter(|_| !matches!(kind, Listed::HttpRoute | Listed::GrpcRoute));
        objects.each(kind, of, |found| {
            let route =
                match Route::from_object((kind, &found.namespace, &found.name), &found.object, &backends, objects) {
                    Ok(route) => route,
                    Err(Fault::Unreadable(_)) => None,
                    Err(Fault::NotKnown(reason)) => return Err(reason),
                };
            let of_it = route.map(|route| route.found(&found.name, settings, mesh, believes));
            ways.extend(of_it.into_iter().flatten().map(|of_it| (found.title(kind), of_it)));
            Ok(())
        })?;
    }
    Ok(ways)
}

fn judge_cluster_role(request: &AdmissionRequest, verdict: &mut Verdict) -> Result<(), Unjudged> {
    let Some(object) = request.object else { return Ok(()) };
    let rules = admission::read_fields::<ClusterRole>(object)?.rules.unwrap_or_default();
    let names = |list: &Option<Vec<Text>>, wanted: &str| list.iter().flatten().any(|item| &**item == wanted);
    let has = |list: &Option<Vec<Text>>, wanted: &str| names(list, wanted) || names(list, "*");
    // Flyte 2 keeps its actions in this resource, and no other software uses it.
    if !rules.iter().any(|rule| names(&rule.groups, "flyte.org") && has(&rule.resources, "taskactions")) {
        return Ok(());
    }
    verdict.seen.judged();
    let secrets = rules.iter().position(|rule| has(&rule.groups, "") && has(&rule.resources, "secrets"));
    verdict.notices.extend(secrets.map(|index| {
        let note = Note::new(
            "Flyte 2 can read and change the Secrets of every namespace",
            "if you know the namespaces of its projects, bind a Role in each of them instead",
        );
        Notice::new(rules::READS_SECRETS, Place::at(format!("rules[{index}]")), note)
    }));
    Ok(())
}

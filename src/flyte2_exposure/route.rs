//! Routes: Ingresses, those of Gateway API, and those of OpenShift. Whether what leads to Flyte 2 asks who calls, and what browsers
//! get of its CORS.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::{
    Found,
    in_front::{self, Gate, Mesh},
    is_for_everybody, rules,
    settings::Settings,
};
use crate::{
    admission,
    host::Listed,
    installation::{gateway, ingress::Ingress, objects::Objects, openshift},
    verdict::{Unjudged, few},
    view::view,
    workload::Labels,
};

view! {
    struct Annotated<'a> {
        "metadata" => metadata: Annotations<'a>,
    }

    struct Annotations<'a> {
        "annotations" => annotations: Labels<'a>,
    }
}

/// The kinds of routes.
pub(super) const KINDS: [Listed; 4] = [Listed::Ingress, Listed::HttpRoute, Listed::GrpcRoute, Listed::Route];

/// A route that leads to Flyte 2.
pub(super) struct Route {
    /// Where it leads from, as its `path`s say it; "" for everywhere.
    paths: Vec<String>,
    gate: Gate,
    /// What makes its controller ask.
    how_to_ask: &'static str,
    /// What makes its controller remove the headers of CORS; `None` where it does.
    how_to_remove: Option<&'static str>,
}

/// The header by which browsers know that a website is let in.
const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";

impl Route {
    /// A route as far as it leads to some Services of its namespace; `None` where it leads to none.
    ///
    /// # Errors
    ///
    /// It cannot be read, or what may stand in front is not known.
    pub(super) fn of(
        (kind, namespace, name): (Listed, &str, &str),
        object: &RawValue,
        services: &BTreeSet<String>,
        objects: &Objects,
    ) -> Result<Option<Self>, String> {
        let route = match kind {
            Listed::Ingress => {
                let ingress: Ingress = admission::read(object).map_err(Unjudged::in_words)?;
                let metadata =
                    admission::read::<Annotated>(object).map_err(Unjudged::in_words)?.metadata.unwrap_or_default();
                let annotations = metadata.annotations.unwrap_or_default();
                let class = ingress.class().or(annotations.get("kubernetes.io/ingress.class"));
                let is_of = |controller: &str| class.is_some_and(|class| class.contains(controller));
                let (how_to_ask, how_to_remove) = match () {
                    () if is_of("alb") => (
                        "add the annotations alb.ingress.kubernetes.io/auth-type: oidc and auth-idp-oidc, or jwt-validation",
                        "set the ALB's listener attribute routing.http.response.access_control_allow_origin.header_value to the \
                         page's own origin",
                    ),
                    () if is_of("traefik") => (
                        "name a Middleware with forwardAuth in the annotation traefik.ingress.kubernetes.io/router.middlewares",
                        "name a Middleware with headers.customResponseHeaders: {Access-Control-Allow-Origin: \"\", \
                         Access-Control-Allow-Credentials: \"\"} too",
                    ),
                    () if is_of("nginx") => (
                        "add the annotation nginx.ingress.kubernetes.io/auth-url, with the address of an oauth2-proxy",
                        "add the annotation nginx.ingress.kubernetes.io/configuration-snippet: more_clear_headers \"Access-Control-Allow-*\";",
                    ),
                    () => (
                        "point it at a proxy that authenticates, such as oauth2-proxy",
                        "see the documentation of its controller",
                    ),
                };
                let snippet = annotations.get("nginx.ingress.kubernetes.io/configuration-snippet").unwrap_or_default();
                let is_removed = ["more_clear_headers", "proxy_hide_header"].iter().any(|with| snippet.contains(with))
                    && snippet.contains("Access-Control-Allow");
                Self {
                    paths: ingress.paths_to(services).into_iter().map(str::to_owned).collect(),
                    gate: in_front::of_ingress(&annotations, class, objects)?,
                    how_to_ask,
                    how_to_remove: (!is_removed).then_some(how_to_remove),
                }
            }
            Listed::Route => {
                let route: openshift::Route = admission::read(object).map_err(Unjudged::in_words)?;
                Self {
                    paths: route.leads_to(services).then(String::new).into_iter().collect(),
                    gate: Gate::Open(None),
                    how_to_ask: "point it at an oauth-proxy in front of Flyte",
                    how_to_remove: Some(
                        "delete Access-Control-Allow-Origin and Access-Control-Allow-Credentials in spec.httpHeaders.actions.response",
                    ),
                }
            }
            _ => {
                let route: gateway::Route = admission::read(object).map_err(Unjudged::in_words)?;
                if !route.is_of_gateway() {
                    return Ok(None);
                }
                let gate = match in_front::of_route((kind, namespace, name), &route, objects)? {
                    Gate::Open(_) if route.has_extension(namespace, services) => {
                        Gate::NotKnown("a filter that it refers to, which is not read".to_owned())
                    }
                    gate => gate,
                };
                let is_removed = route.removes(ALLOW_ORIGIN, namespace, services);
                Self {
                    paths: route.paths_to(namespace, services),
                    gate,
                    how_to_ask: "attach a policy that authenticates, such as Envoy Gateway's SecurityPolicy with oidc or jwt",
                    how_to_remove: (kind == Listed::HttpRoute && !is_removed).then_some(
                        "add the filter {type: ResponseHeaderModifier, responseHeaderModifier: {remove: \
                         [Access-Control-Allow-Origin, Access-Control-Allow-Credentials]}}",
                    ),
                }
            }
        };
        Ok((!route.paths.is_empty()).then_some(route))
    }

    /// What is found of the route: whether something asks who calls, and what browsers get.
    pub(super) fn found(&self, name: &str, settings: &Settings, mesh: Mesh) -> Vec<Found> {
        let mut found = Vec::new();
        let open: Vec<&str> = self.paths.iter().map(|path| &**path).filter(|path| !is_for_everybody(path)).collect();
        if open.is_empty() {
            return found;
        }
        if !mesh.asks && !settings.is_authenticated(name) {
            found.extend(self.unasked(&open));
        }
        if let Some(how) = self.how_to_remove {
            let text = format!(
                "the pages of every website may call Flyte 2 with the credentials that browsers send along, and Flyte has no option against \
                 it; remove its Access-Control-Allow headers: {how}"
            );
            found.push(Found::Worth(rules::ANY_ORIGIN, text));
        }
        found
    }

    /// That nothing at the route asks who calls from some paths, or that it is not known whether something does.
    fn unasked(&self, open: &[&str]) -> Option<Found> {
        let (problem, mend) = match &self.gate {
            Gate::Asks => return None,
            Gate::NotKnown(what) => {
                let text = format!(
                    "leads to Flyte 2, and it is not known whether anything asks who calls: that is up to {what}"
                );
                return Some(Found::Worth(rules::NOT_KNOWN, text));
            }
            Gate::Open(Some((why, mend))) => {
                (format!("leads to Flyte 2, and {why}: anyone may {}", what_is_open(open)), (*mend).to_owned())
            }
            Gate::Open(None) => (
                format!("leads to Flyte 2, and nothing in front asks who calls: anyone may {}", what_is_open(open)),
                format!("{}; or list it in the setting authenticated", self.how_to_ask),
            ),
        };
        Some(Found::Wrong(rules::OPEN_ROUTE, problem, mend))
    }
}

/// What is open by some paths, in words.
fn what_is_open(paths: &[&str]) -> String {
    let mut services: Vec<&str> = Vec::new();
    for path in paths {
        let Some((_, service)) = path.split_once("/flyteidl2.").and_then(|(_, rest)| rest.split_once('.')) else {
            return "start runs, read their data, and change secrets".to_owned();
        };
        let end = service.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(service.len());
        if !services.contains(&&service[..end]) {
            services.push(&service[..end]);
        }
    }
    // Those that matter most come first.
    services.sort_by_key(|service| !matches!(*service, "RunService" | "SecretService" | "DataProxyService"));
    format!("call {}", few(services.iter().map(|service| (*service).to_owned())))
}

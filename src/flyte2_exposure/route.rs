//! Checks routes to Flyte 2: Ingresses, and routes of Gateway API and OpenShift. Reports whether they authenticate
//! callers, and which of Flyte 2's CORS headers browsers get.

use serde_json::value::RawValue;

use super::{
    Found, identity,
    in_front::{self, Annotated, Front, Gate, Mesh, Middlewares, Why},
    is_for_everybody, rules,
    server::{Backend, Backends},
    settings::Settings,
};
use crate::{
    admission,
    host::Listed,
    installation::{
        gateway,
        ingress::{Ingress, names_controller},
        objects::Objects,
        openshift,
    },
    verdict::{Note, Unjudged, few},
    workload::Labels,
};

/// The kinds of routes.
pub(super) const KINDS: [Listed; 4] = [Listed::Ingress, Listed::HttpRoute, Listed::GrpcRoute, Listed::Route];

/// A route that leads to Flyte 2.
pub(super) struct Route {
    /// The paths from which it leads there; "" for all paths.
    paths: Vec<String>,
    gate: Gate,
    /// How to make its controller authenticate.
    how_to_ask: &'static str,
    /// How to make its controller remove the CORS headers; `None` if it does.
    how_to_remove: Option<&'static str>,
    /// Whether headers that identify callers pass through.
    passes_identity: bool,
}

/// The header that tells browsers which website is allowed.
pub(super) const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";

/// Why a route cannot be checked.
pub(super) enum Fault {
    /// It cannot be read. No cluster accepts it, and it is rejected on its own.
    Unreadable(Unjudged),
    /// The reason why it is not known what is in front.
    NotKnown(String),
}

impl From<Unjudged> for Fault {
    fn from(unjudged: Unjudged) -> Self {
        Self::Unreadable(unjudged)
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::NotKnown(reason)
    }
}

impl Route {
    /// Reads a route. `None` if it leads to none of the given Services.
    ///
    /// # Errors
    ///
    /// It cannot be read, or it is not known what is in front.
    pub(super) fn from_object(
        (kind, namespace, name): (Listed, &str, &str),
        object: &RawValue,
        backends: &Backends,
        objects: &Objects,
    ) -> Result<Option<Self>, Fault> {
        let route = match kind {
            Listed::Ingress => return Self::of_ingress(namespace, object, backends, objects),
            Listed::Route => {
                let route: openshift::Route = admission::read_fields(object)?;
                let leads = |(service, port): (&str, Option<&str>)| backends.find(service, port).is_some();
                let is_removed = route.headers().contains(ALLOW_ORIGIN);
                Self {
                    paths: route.backends().any(leads).then(|| route.path()).into_iter().collect(),
                    gate: Gate::OPEN,
                    // It does not authenticate callers, and its changes to request headers are not read.
                    passes_identity: true,
                    how_to_ask: "point this route at an oauth-proxy in front of Flyte",
                    how_to_remove: (!is_removed).then_some(
                        "remove Flyte's CORS headers from responses: in spec.httpHeaders.actions.response, add \
                         actions of type Delete for Access-Control-Allow-Origin and Access-Control-Allow-Credentials",
                    ),
                }
            }
            _ => {
                let route: gateway::Route = admission::read_fields(object)?;
                let leads = |namespace: &str, service: &str, port: Option<&str>| {
                    namespace == backends.namespace && backends.find(service, port).is_some()
                };
                let led = route.led(namespace, &leads, ALLOW_ORIGIN, &identity::are_removed);
                if led.paths.is_empty() || route.gateways(namespace).is_empty() {
                    return Ok(None);
                }
                let gate = match in_front::of_route((kind, namespace, name), &route, objects)? {
                    Gate::Open(_) if led.has_extension => Gate::NotKnown(
                        "a filter in another object (extensionRef), which this policy cannot read".to_owned(),
                    ),
                    gate => gate,
                };
                Self {
                    paths: led.paths,
                    gate,
                    passes_identity: led.passes_identity,
                    how_to_ask: "attach a policy that authenticates, such as Envoy Gateway's SecurityPolicy with oidc or jwt",
                    how_to_remove: (kind == Listed::HttpRoute && !led.is_removed).then_some(
                        "remove Flyte's CORS headers from responses: add the filter {type: ResponseHeaderModifier, responseHeaderModifier: {remove: \
                         [Access-Control-Allow-Origin, Access-Control-Allow-Credentials]}}",
                    ),
                }
            }
        };
        Ok((!route.paths.is_empty()).then_some(route))
    }

    fn of_ingress(
        namespace: &str,
        object: &RawValue,
        backends: &Backends,
        objects: &Objects,
    ) -> Result<Option<Self>, Fault> {
        let ingress: Ingress = admission::read_fields(object)?;
        let annotations = admission::read_fields::<Annotated>(object)?.metadata.unwrap_or_default();
        let annotations = annotations.annotations.unwrap_or_default();
        let (mut paths, mut services): (Vec<String>, Vec<&Backend>) = (Vec::new(), Vec::new());
        for (path, service, port) in ingress.paths() {
            let backend = backends.find(service, port.as_deref());
            services.extend(backend);
            if backend.is_some()
                || port.as_deref() == Some("use-annotation") && has_action(&annotations, service, backends)
            {
                paths.push(path.to_owned());
            }
        }
        if paths.is_empty() {
            return Ok(None);
        }
        // If the controller changes the path, a path for everybody proves nothing.
        let named = annotations.get(in_front::MIDDLEWARES);
        let middlewares = named.map(|names| in_front::of_middlewares(names, objects)).transpose()?;
        let middlewares = middlewares.as_ref();
        if may_rewrite(&annotations, middlewares) {
            paths = vec![String::new()];
        }
        let class = ingress.class().or(annotations.get("kubernetes.io/ingress.class"));
        let is_of = |controller: &str| class.is_some_and(|class| names_controller(class, controller));
        let (how_to_ask, how_to_remove) = match () {
            () if is_of("alb") => (
                "add the annotations alb.ingress.kubernetes.io/auth-type: oidc and alb.ingress.kubernetes.io/auth-idp-oidc, or the \
                 annotation alb.ingress.kubernetes.io/jwt-validation",
                "replace Flyte's CORS header: set the ALB's listener attribute \
                 routing.http.response.access_control_allow_origin.header_value to the origin of Flyte's console",
            ),
            () if is_of("traefik") => (
                "add a Middleware with forwardAuth to the annotation traefik.ingress.kubernetes.io/router.middlewares",
                "remove Flyte's CORS headers from responses: add a Middleware with headers.customResponseHeaders: {Access-Control-Allow-Origin: \"\", \
                 Access-Control-Allow-Credentials: \"\"}",
            ),
            () if is_of("nginx") => (
                "add the annotation nginx.ingress.kubernetes.io/auth-url, with the address of an oauth2-proxy",
                "remove Flyte's CORS headers from responses: add the annotation \
                 nginx.ingress.kubernetes.io/configuration-snippet: more_clear_headers \"Access-Control-Allow-*\"; \
                 (the controller's ConfigMap must have allow-snippet-annotations: \"true\" and annotations-risk-level: Critical)",
            ),
            () => (
                "point this route at a proxy that authenticates, such as oauth2-proxy",
                "remove Flyte's CORS headers (Access-Control-Allow-*) from responses, as the controller's documentation explains",
            ),
        };
        let gate =
            Front { annotations: &annotations, class, services: &services, middlewares, namespace, objects }.gate()?;
        let is_removed = removes_cors(&annotations, middlewares);
        let how_to_remove = (!is_removed).then_some(how_to_remove);
        // If AWS logs users in, it replaces these headers from callers; if it verifies tokens, that is not documented.
        let asks = in_front::OF_AWS.iter().any(|annotation| annotations.get(annotation).is_some());
        let asks = asks || services.iter().any(|own| own.auth_type.is_some());
        let by_aws = class.is_none_or(|class| names_controller(class, "alb")) && asks;
        let passes_identity = !by_aws && !removes_identity(&annotations, middlewares);
        Ok(Some(Self { paths, gate, how_to_ask, how_to_remove, passes_identity }))
    }

    /// The findings for the route: whether something authenticates callers, and what browsers get.
    /// `believes` returns whether Flyte 2 trusts the headers that identify callers.
    pub(super) fn found(
        &self,
        name: &str,
        settings: &Settings,
        mesh: &Mesh,
        believes: &dyn Fn() -> bool,
    ) -> Vec<Found> {
        let mut found = Vec::new();
        let open: Vec<&str> = self.paths.iter().map(|path| &**path).filter(|path| !is_for_everybody(path)).collect();
        if open.is_empty() {
            return found;
        }
        if !mesh.asks && !settings.is_authenticated(name) {
            found.extend(self.unasked(&open, mesh));
        }
        if self.passes_identity && (mesh.asks || matches!(self.gate, Gate::Asks)) && believes() {
            let note = Note::new(
                "lets any logged-in user make runs appear as another user's: headers such as X-Amzn-Oidc-Data pass through, \
                 and Flyte 2 trusts them",
                "set runs.trustForwardedIdentityHeaders: false under configuration.inline in the chart's values, or remove \
                 X-Amzn-Oidc-* and Authorization here",
            );
            found.push(Found::Worth(rules::FORGEABLE_IDENTITY, note));
        }
        if let Some(how) = self.how_to_remove {
            let text = "lets any website call Flyte 2 with the user's credentials, because Flyte's CORS headers allow every origin";
            found.push(Found::Worth(rules::ANY_ORIGIN, Note::new(text, how)));
        }
        found
    }

    /// The finding that callers of some paths are not authenticated, or that this is not known.
    fn unasked(&self, open: &[&str], mesh: &Mesh) -> Option<Found> {
        let Why { reason, mend } = match &self.gate {
            Gate::Asks => return None,
            Gate::NotKnown(what) => {
                let text = format!(
                    "leads to Flyte 2. Could not check whether callers are authenticated, because that depends on {what}"
                );
                let mend = "if something authenticates them, add this route to the `authenticated` setting";
                return Some(Found::Worth(rules::NOT_KNOWN, Note::new(text, mend)));
            }
            Gate::Open(why) => why,
        };
        let missed = || mesh.missed.as_deref().map(in_front::not_everybody);
        let reason =
            reason.clone().or_else(missed).unwrap_or_else(|| "nothing in front authenticates callers".to_owned());
        let problem = format!("leads to Flyte 2. Anyone can {}, because {reason}", what_is_open(open));
        let ask = || {
            format!(
                "{}. If something else authenticates callers, add this route to the `authenticated` setting",
                self.how_to_ask
            )
        };
        Some(Found::Wrong(rules::OPEN_ROUTE, problem, mend.clone().unwrap_or_else(ask)))
    }
}

/// Whether annotations make AWS send a path's requests to one of the given Services.
/// Source: the guide of the [AWS Load Balancer Controller](https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#actions).
fn has_action(annotations: &Labels, name: &str, backends: &Backends) -> bool {
    let action = annotations.get(&format!("alb.ingress.kubernetes.io/actions.{name}")).unwrap_or_default();
    backends.names().any(|service| action.contains(&format!("\"{service}\"")))
}

/// Whether a controller may change the path of requests.
fn may_rewrite(annotations: &Labels, middlewares: Option<&Middlewares>) -> bool {
    middlewares.is_some_and(|middlewares| middlewares.may_rewrite)
        || annotations.iter().any(|(name, value)| match name {
            in_front::MIDDLEWARES => false,
            _ if name.contains("snippet") => {
                ["rewrite", "proxy_pass"].iter().any(|directive| value.contains(directive))
            }
            _ => name.contains("rewrite") || name.contains("/transforms."),
        })
}

/// The annotation with directives for ingress-nginx.
const SNIPPET: &str = "nginx.ingress.kubernetes.io/configuration-snippet";

/// Whether annotations make a controller remove the header that tells browsers which website is allowed.
fn removes_cors(annotations: &Labels, middlewares: Option<&Middlewares>) -> bool {
    middlewares.is_some_and(|middlewares| middlewares.removes_cors)
        || annotations.iter().any(|(name, value)| match name {
            SNIPPET => {
                ["more_clear_headers", "proxy_hide_header"].iter().any(|with| value.contains(with))
                    && [ALLOW_ORIGIN, "Access-Control-Allow-*"].iter().any(|header| value.contains(header))
            }
            _ => name.contains("/listener-attributes.") && value.contains("access_control_allow_origin.header_value"),
        })
}

/// Whether annotations make a controller remove the headers that identify callers.
fn removes_identity(annotations: &Labels, middlewares: Option<&Middlewares>) -> bool {
    middlewares.is_some_and(|middlewares| middlewares.removes_identity)
        || annotations.get(SNIPPET).is_some_and(identity::removes_in_nginx)
}

/// Describes what anyone can do through open paths.
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
    // The most important ones come first.
    services.sort_by_key(|service| !matches!(*service, "RunService" | "SecretService" | "DataProxyService"));
    format!("call {}", few(services.iter().map(|service| (*service).to_owned())))
}

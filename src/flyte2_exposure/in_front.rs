//! What stands in front of Flyte 2 and asks who calls: a controller by annotations, a gateway or a mesh by its policies.
//!
//! Sources: the annotations of [ingress-nginx](https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/),
//! of the [AWS Load Balancer Controller](https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/),
//! of [Traefik](https://doc.traefik.io/traefik/middlewares/http/overview/) and of haproxy's two controllers;
//! `api/v1alpha1/securitypolicy_types.go` of [envoyproxy/gateway](https://github.com/envoyproxy/gateway);
//! `security/v1beta1/authorization_policy.proto` of [istio/api](https://github.com/istio/api).

use serde::de::IgnoredAny;

use super::is_for_everybody;
use crate::{
    host::Listed,
    installation::{gateway, objects::Objects},
    members::Members,
    text::Text,
    verdict::Shortened,
    view::view,
    workload::Labels,
};

/// Whether something asks who calls.
#[derive(Debug)]
pub(super) enum Gate {
    /// Something does.
    Asks,
    /// Nothing does; where it looks as if something did, why not, and what mends that.
    Open(Option<(&'static str, &'static str)>),
    /// What may ask, and is not seen.
    NotKnown(String),
}

/// Whose annotations an Ingress has; where it names no class, those of any.
fn is_of(class: Option<&str>, controller: &str) -> bool {
    class.is_none_or(|class| class.contains(controller))
}

/// The controllers whose annotations are known, as the names of their classes mostly have them.
const CONTROLLERS: [&str; 6] = ["alb", "nginx", "haproxy", "traefik", "kong", "gce"];

/// What the annotations of an Ingress say. A class may have any name: where it is no known controller's, annotations of one leave it
/// open whether they are read.
///
/// # Errors
///
/// Why it is not known which middlewares there are.
pub(super) fn of_ingress(annotations: &Labels, class: Option<&str>, objects: &Objects) -> Result<Gate, String> {
    let is_known = class.is_none_or(|class| CONTROLLERS.iter().any(|controller| class.contains(controller)));
    match of_class(annotations, class.filter(|_| is_known), objects)? {
        Gate::Asks if !is_known => Ok(Gate::NotKnown(format!(
            "the controller of class {}, which may not read these annotations",
            Shortened(class.unwrap_or_default())
        ))),
        gate => Ok(gate),
    }
}

/// What the annotations say to the controller of a class; to any where there is none.
fn of_class(annotations: &Labels, class: Option<&str>, objects: &Objects) -> Result<Gate, String> {
    let get = |name: &str| annotations.get(name).filter(|value| !value.is_empty());
    if is_of(class, "alb") {
        let alb = |name: &str| get(&format!("alb.ingress.kubernetes.io/{name}"));
        let has_login = matches!(alb("auth-type"), Some("oidc" | "cognito"));
        if has_login || alb("jwt-validation").is_some() {
            if has_login && alb("auth-on-unauthenticated-request") == Some("allow") {
                return Ok(Gate::Open(Some((
                    "auth-on-unauthenticated-request: allow lets in whoever has not logged in",
                    "set alb.ingress.kubernetes.io/auth-on-unauthenticated-request: authenticate",
                ))));
            }
            // `buildActions` of `pkg/ingress/model_build_actions.go` adds it to listeners for HTTPS alone.
            let listens_to_http = match alb("listen-ports") {
                Some(ports) => ports.contains("\"HTTP\""),
                None => alb("certificate-arn").is_none(),
            };
            return Ok(match alb("ssl-redirect") {
                None if listens_to_http && alb("group.name").is_some() => Gate::NotKnown(
                    "ssl-redirect of its group, without which its listener for HTTP asks nobody".to_owned(),
                ),
                None if listens_to_http => Gate::Open(Some((
                    "its listener for HTTP authenticates nobody",
                    "set alb.ingress.kubernetes.io/ssl-redirect: \"443\"",
                ))),
                _ => Gate::Asks,
            });
        }
    }
    if is_of(class, "nginx") {
        let nginx = |name: &str| get(&format!("nginx.ingress.kubernetes.io/{name}"));
        let has_password = matches!(nginx("auth-type"), Some("basic" | "digest")) && nginx("auth-secret").is_some();
        let verifies = !matches!(nginx("auth-tls-verify-client"), Some("off" | "optional" | "optional_no_ca"));
        if nginx("auth-url").is_some() || has_password || nginx("auth-tls-secret").is_some() && verifies {
            return Ok(match nginx("satisfy") {
                Some("any") if nginx("whitelist-source-range").is_some() => Gate::Open(Some((
                    "satisfy: any lets in the addresses of whitelist-source-range without asking",
                    "remove nginx.ingress.kubernetes.io/satisfy",
                ))),
                _ => Gate::Asks,
            });
        }
        for snippet in ["auth-snippet", "configuration-snippet", "server-snippet"] {
            if nginx(snippet).is_some_and(|snippet| snippet.contains("auth")) {
                return Ok(Gate::NotKnown(format!("its {snippet}, which is not read")));
            }
        }
    }
    if is_of(class, "haproxy")
        && (get("haproxy-ingress.github.io/auth-url").is_some() || get("haproxy.org/auth-type").is_some())
    {
        return Ok(Gate::Asks);
    }
    if is_of(class, "traefik")
        && let Some(names) = get("traefik.ingress.kubernetes.io/router.middlewares")
    {
        return of_middlewares(names, objects);
    }
    if get("konghq.com/plugins").is_some() {
        return Ok(Gate::NotKnown("its plugins of Kong, which are not read".to_owned()));
    }
    if class.is_some_and(|class| class.contains("gce")) {
        return Ok(Gate::NotKnown("Identity-Aware Proxy, which a BackendConfig turns on".to_owned()));
    }
    Ok(Gate::Open(None))
}

view! {
    struct Middleware<'a> {
        "spec" => spec: Members<'a, IgnoredAny>,
    }

    struct SecurityPolicy<'a> {
        "spec" => spec: SecuritySpec<'a>,
    }

    struct SecuritySpec<'a> {
        "targetRef" => target: Target<'a>,
        "targetRefs" => targets: Vec<Target<'a>>,
        "jwt" => jwt: Jwt<'a>,
        "oidc" => oidc: IgnoredAny,
        "basicAuth" => basic: IgnoredAny,
        "extAuth" => external: IgnoredAny,
        "apiKeyAuth" => key: IgnoredAny,
    }

    struct Jwt<'a> {
        "optional" => optional: bool,
    }

    struct Target<'a> {
        "kind" => kind: Text<'a>,
        "name" => name: Text<'a>,
    }

    struct AuthorizationPolicy<'a> {
        "spec" => spec: AuthorizationSpec<'a>,
    }

    struct AuthorizationSpec<'a> {
        "selector" => selector: Selector<'a>,
        "action" => action: Text<'a>,
        "rules" => rules: Vec<AuthorizationRule<'a>>,
    }

    struct Selector<'a> {
        "matchLabels" => labels: Labels<'a>,
    }

    struct AuthorizationRule<'a> {
        "from" => from: Vec<From<'a>>,
        "to" => to: Vec<To<'a>>,
    }

    struct From<'a> {
        "source" => source: Source<'a>,
    }

    struct Source<'a> {
        "requestPrincipals" => request: Vec<Text<'a>>,
        "notRequestPrincipals" => not_request: Vec<Text<'a>>,
        "principals" => principals: Vec<Text<'a>>,
        "namespaces" => namespaces: Vec<Text<'a>>,
    }

    struct To<'a> {
        "operation" => operation: Operation<'a>,
    }

    struct Operation<'a> {
        "paths" => paths: Vec<Text<'a>>,
    }
}

/// What the middlewares come to that an Ingress names for Traefik: `<namespace>-<name>@kubernetescrd`, with commas between.
fn of_middlewares(names: &str, objects: &Objects) -> Result<Gate, String> {
    let mut unseen = None;
    for name in names.split(',').map(str::trim) {
        let own = name.strip_suffix("@kubernetescrd").unwrap_or(name);
        let asks = objects.find(Listed::Middleware, None, |found| {
            if format!("{}-{}", found.namespace, found.name) != own {
                return Ok(None);
            }
            let spec = found.read::<Middleware>(Listed::Middleware)?.spec.unwrap_or_default();
            let asks = ["forwardAuth", "basicAuth", "digestAuth"].iter().any(|kind| spec.contains_key(*kind));
            // A chain names others.
            Ok(if spec.contains_key("chain") { Some(None) } else { Some(Some(asks)) })
        })?;
        match asks.flatten() {
            Some(true) => return Ok(Gate::Asks),
            Some(false) => {}
            None => unseen = Some(format!("Traefik's middleware {}, which is not seen", Shortened(name))),
        }
    }
    Ok(unseen.map_or(Gate::Open(None), Gate::NotKnown))
}

/// What the policies of Envoy Gateway say of a route: its own, or else those of the Gateways that it is attached to.
///
/// # Errors
///
/// Why they are not known.
pub(super) fn of_route(
    (kind, namespace, name): (Listed, &str, &str),
    route: &gateway::Route,
    objects: &Objects,
) -> Result<Gate, String> {
    let (mut own, mut of_gateway) = (None, None);
    let kind = kind.kind().1;
    objects.each(Listed::SecurityPolicy, None, |found| {
        let spec = found.read::<SecurityPolicy>(Listed::SecurityPolicy)?.spec.unwrap_or_default();
        let asks = spec.asks();
        for target in spec.target.iter().chain(spec.targets.iter().flatten()) {
            let target = (target.kind.as_deref().unwrap_or_default(), target.name.as_deref().unwrap_or_default());
            if target == (kind, name) && found.namespace == namespace {
                own = Some(own.unwrap_or(false) || asks);
            } else if target.0 == "Gateway" && route.parents().any(|parent| parent == target) {
                of_gateway = Some(of_gateway.unwrap_or(false) || asks);
            }
        }
        Ok(())
    })?;
    Ok(if own.or(of_gateway).unwrap_or(false) { Gate::Asks } else { Gate::Open(None) })
}

impl SecuritySpec<'_> {
    fn asks(&self) -> bool {
        let verifies = self.jwt.as_ref().is_some_and(|jwt| jwt.optional != Some(true));
        let others = [&self.oidc, &self.basic, &self.external, &self.key];
        verifies || others.iter().any(|other| other.is_some())
    }
}

/// What Istio's policies for some pods come to.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Mesh {
    /// Whether they ask who calls: a person, rather than the proxy of the mesh.
    pub(super) asks: bool,
    /// Whether they let in none but some pods.
    pub(super) closes: bool,
}

/// What Istio's policies of a namespace say of pods with these labels.
///
/// # Errors
///
/// Why they are not known.
pub(super) fn of_mesh(objects: &Objects, namespace: &str, labels: Option<&Labels>) -> Result<Mesh, String> {
    // Of those that allow, a request needs but one; without any, all are let in.
    let (mut allows, mut allow_all_ask, mut allow_all_close) = (false, true, true);
    let mut mesh = Mesh::default();
    objects.each(Listed::AuthorizationPolicy, Some(namespace), |found| {
        let spec = found.read::<AuthorizationPolicy>(Listed::AuthorizationPolicy)?.spec.unwrap_or_default();
        let selector = spec.selector.as_ref().and_then(|selector| selector.labels.as_ref());
        if selector.is_some_and(|selector| !selector.selects(labels)) {
            return Ok(());
        }
        let is_named = |names: &Option<Vec<Text>>| names.as_ref().is_some_and(|names| !names.is_empty());
        let rules = || spec.rules.iter().flatten();
        let every = |is: &dyn Fn(&Source) -> bool| {
            rules().all(|rule| {
                let sources = || rule.from.iter().flatten();
                let paths = || {
                    let operations = rule.to.iter().flatten().filter_map(|to| to.operation.as_ref());
                    operations.flat_map(|operation| operation.paths.iter().flatten())
                };
                sources().next().is_some() && sources().all(|from| from.source.as_ref().is_some_and(is))
                    || paths().next().is_some() && paths().all(|path| is_for_everybody(path))
            })
        };
        match spec.action.as_deref().unwrap_or("ALLOW") {
            "ALLOW" => {
                allows = true;
                allow_all_ask &= every(&|source| is_named(&source.request));
                allow_all_close &= every(&|source| {
                    is_named(&source.request) || is_named(&source.principals) || is_named(&source.namespaces)
                });
            }
            "CUSTOM" => mesh.asks |= rules().next().is_some(),
            "DENY" => {
                let denies_others = |rule: &AuthorizationRule| {
                    let sources = || rule.from.iter().flatten().filter_map(|from| from.source.as_ref());
                    rule.to.is_none() && sources().any(|source| is_named(&source.not_request))
                };
                mesh.asks |= rules().any(denies_others);
            }
            _ => {}
        }
        Ok(())
    })?;
    mesh.asks |= allows && allow_all_ask;
    mesh.closes = mesh.asks || allows && allow_all_close;
    Ok(mesh)
}

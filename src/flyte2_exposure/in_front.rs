//! What stands in front of Flyte 2 and asks who calls: a controller by annotations, a gateway or a mesh by its policies.
//!
//! Sources: the annotations of [ingress-nginx](https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/),
//! of the [AWS Load Balancer Controller](https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/),
//! of [Traefik](https://doc.traefik.io/traefik/middlewares/http/overview/) and of haproxy's two controllers;
//! `api/v1alpha1/securitypolicy_types.go` of [envoyproxy/gateway](https://github.com/envoyproxy/gateway);
//! `security/v1beta1/authorization_policy.proto` of [istio/api](https://github.com/istio/api).

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{
    is_for_everybody,
    route::ALLOW_ORIGIN,
    server::{Backend, OF_CLUSTER},
};
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
    /// Nothing does.
    Open(Why),
    /// What may ask, and is not seen.
    NotKnown(String),
}

/// Where it looks as if something asked: why it does not, and what mends that.
#[derive(Debug, Default)]
pub(super) struct Why {
    pub(super) reason: Option<String>,
    pub(super) mend: Option<String>,
}

impl Gate {
    /// Nothing asks.
    pub(super) const OPEN: Self = Self::Open(Why { reason: None, mend: None });

    fn open(reason: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Open(Why { reason: Some(reason.into()), mend: Some(mend.into()) })
    }

    /// Nothing asks, though something looks as if it did.
    fn missed(missed: Option<String>) -> Self {
        Self::Open(Why {
            reason: missed.map(|missed| format!("nothing in front asks everybody who calls ({missed})")),
            mend: None,
        })
    }
}

/// Whose annotations an Ingress has; where it names no class, those of any.
fn is_of(class: Option<&str>, controller: &str) -> bool {
    class.is_none_or(|class| class.contains(controller))
}

/// The controllers whose annotations are known, as the names of their classes mostly have them.
const CONTROLLERS: [&str; 6] = ["alb", "nginx", "haproxy", "traefik", "kong", "gce"];

/// What the annotations of an Ingress say. A class may have any name: where it is no known controller's, annotations of one leave it
/// open whether they are read. `services` are those that it leads to.
///
/// # Errors
///
/// Why it is not known which other Ingresses or middlewares there are.
pub(super) fn of_ingress(
    annotations: &Labels,
    class: Option<&str>,
    services: &[&Backend],
    namespace: &str,
    objects: &Objects,
) -> Result<Gate, String> {
    let is_known = class.is_none_or(|class| CONTROLLERS.iter().any(|controller| class.contains(controller)));
    match of_class(annotations, class.filter(|_| is_known), services, namespace, objects)? {
        Gate::Asks if !is_known => Ok(Gate::NotKnown(format!(
            "the controller of class {}, which may not read these annotations",
            Shortened(class.unwrap_or_default())
        ))),
        gate => Ok(gate),
    }
}

/// What the annotations say to the controller of a class; to any where there is none.
fn of_class(
    annotations: &Labels,
    class: Option<&str>,
    services: &[&Backend],
    namespace: &str,
    objects: &Objects,
) -> Result<Gate, String> {
    let get = |name: &str| annotations.get(name).filter(|value| !value.is_empty());
    if is_of(class, "alb")
        && let Some(gate) = of_alb(annotations, services, namespace, objects)?
    {
        return Ok(gate);
    }
    if is_of(class, "nginx") {
        let nginx = |name: &str| get(&format!("nginx.ingress.kubernetes.io/{name}"));
        let has_password = matches!(nginx("auth-type"), Some("basic" | "digest")) && nginx("auth-secret").is_some();
        let verifies = !matches!(nginx("auth-tls-verify-client"), Some("off" | "optional" | "optional_no_ca"));
        if nginx("auth-url").is_some() || has_password || nginx("auth-tls-secret").is_some() && verifies {
            let ranges = ["whitelist-source-range", "allowlist-source-range"];
            let range = ranges.into_iter().find(|range| nginx(range).is_some());
            return Ok(match range.filter(|_| nginx("satisfy") == Some("any")) {
                Some(range) => Gate::open(
                    format!("satisfy: any lets in the addresses of {range} without asking"),
                    "remove nginx.ingress.kubernetes.io/satisfy",
                ),
                None => Gate::Asks,
            });
        }
        for snippet in ["auth-snippet", "configuration-snippet", "server-snippet"] {
            if nginx(snippet).is_some_and(may_ask) {
                return Ok(Gate::NotKnown(format!("its {snippet}, which is not read")));
            }
        }
        // Another controller for nginx, by F5.
        for of_f5 in ["nginx.org/basic-auth-secret", "nginx.com/jwt-key", "nginx.org/policies"] {
            if get(of_f5).is_some() {
                return Ok(Gate::NotKnown(format!("the controller that reads {of_f5}")));
            }
        }
    }
    let haproxy = ["haproxy-ingress.github.io/auth-url", "haproxy-ingress.github.io/auth-secret"];
    if is_of(class, "haproxy")
        && (haproxy.into_iter().any(|name| get(name).is_some()) || get("haproxy.org/auth-type") == Some("basic-auth"))
    {
        return Ok(Gate::Asks);
    }
    if is_of(class, "traefik")
        && let Some(names) = get(MIDDLEWARES)
    {
        return Ok(of_middlewares(names, objects)?.gate);
    }
    if get("konghq.com/plugins").is_some() {
        return Ok(Gate::NotKnown("its plugins of Kong, which are not read".to_owned()));
    }
    if class.is_some_and(|class| class.contains("gce")) {
        return Ok(Gate::NotKnown("Identity-Aware Proxy, which a BackendConfig turns on".to_owned()));
    }
    Ok(Gate::OPEN)
}

/// The annotation that names middlewares for Traefik.
pub(super) const MIDDLEWARES: &str = "traefik.ingress.kubernetes.io/router.middlewares";

/// Whether a snippet for nginx has a directive that asks who calls. What comes after `#` is a comment.
fn may_ask(snippet: &str) -> bool {
    let mut lines = snippet.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.any(|line| line.contains("auth") || line.contains("access_by_lua"))
}

/// What AWS does by the annotations of an Ingress; `None` where they say nothing of logins.
fn of_alb(
    annotations: &Labels,
    services: &[&Backend],
    namespace: &str,
    objects: &Objects,
) -> Result<Option<Gate>, String> {
    let get = |name: &str| annotations.get(name).filter(|value| !value.is_empty());
    let alb = |name: &str| get(&format!("alb.ingress.kubernetes.io/{name}"));
    // `buildAuthConfig` of `pkg/ingress/model_build_listener_rules.go`: what the Service says comes before what the Ingress does.
    let logs_in = |auth_type: Option<&str>| matches!(auth_type, Some("oidc" | "cognito"));
    let of_service = |service: &&Backend| logs_in(service.auth_type.as_deref().or(alb("auth-type")));
    let has_login = if services.is_empty() { logs_in(alb("auth-type")) } else { services.iter().all(of_service) };
    if !has_login && alb("jwt-validation").is_none() {
        return Ok(services.iter().find(|service| logs_in(alb("auth-type")) && !of_service(service)).map(|service| {
            Gate::open(
                format!("the annotation auth-type of Service {} turns the login off", Shortened(&service.name)),
                "remove it there",
            )
        }));
    }
    if has_login && alb("auth-on-unauthenticated-request") == Some("allow") {
        return Ok(Some(Gate::open(
            "auth-on-unauthenticated-request: allow lets in whoever has not logged in",
            "set alb.ingress.kubernetes.io/auth-on-unauthenticated-request: authenticate",
        )));
    }
    // `buildActions` of `pkg/ingress/model_build_actions.go` adds it to listeners for HTTPS alone.
    let listens_to_http = match alb("listen-ports") {
        Some(ports) => ports.contains("\"HTTP\""),
        None => alb("certificate-arn").is_none(),
    };
    if !listens_to_http || alb("ssl-redirect").is_some() {
        return Ok(Some(Gate::Asks));
    }
    let Some(group) = alb("group.name") else {
        let mend = match alb("listen-ports") {
            Some(_) => "set alb.ingress.kubernetes.io/ssl-redirect: \"443\"",
            None => {
                "set alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\": 80}, {\"HTTPS\": 443}]' and ssl-redirect: \"443\""
            }
        };
        return Ok(Some(Gate::open("its listener for HTTP authenticates nobody", mend)));
    };
    // One of a group redirects for all of it.
    let redirects = objects.find(Listed::Ingress, Some(namespace), |found| {
        let metadata = found.read::<Annotated>(Listed::Ingress).ok().and_then(|ingress| ingress.metadata);
        let annotations = metadata.and_then(|metadata| metadata.annotations).unwrap_or_default();
        let redirects = annotations.get("alb.ingress.kubernetes.io/group.name") == Some(group)
            && annotations.get("alb.ingress.kubernetes.io/ssl-redirect").is_some();
        Ok(redirects.then_some(()))
    })?;
    Ok(Some(match redirects {
        Some(()) => Gate::Asks,
        None => Gate::NotKnown("ssl-redirect of its group, without which its listener for HTTP asks nobody".to_owned()),
    }))
}

view! {
    /// What has annotations.
    pub(super) struct Annotated<'a> {
        "metadata" => pub(super) metadata: Annotations<'a>,
    }

    /// Its metadata.
    pub(super) struct Annotations<'a> {
        "annotations" => pub(super) annotations: Labels<'a>,
    }

    struct Middleware<'a> {
        "spec" => spec: Members<'a, &'a RawValue>,
    }

    struct SecurityPolicy<'a> {
        "spec" => spec: SecuritySpec<'a>,
    }

    struct SecuritySpec<'a> {
        "targetRef" => target: Target<'a>,
        "targetRefs" => targets: Vec<Target<'a>>,
        "targetSelectors" => selectors: Vec<Target<'a>>,
        "jwt" => jwt: Jwt<'a>,
        "oidc" => oidc: IgnoredAny,
        "basicAuth" => basic: IgnoredAny,
        "extAuth" => external: External<'a>,
        "apiKeyAuth" => key: IgnoredAny,
    }

    struct Jwt<'a> {
        "optional" => optional: bool,
    }

    struct External<'a> {
        "failOpen" => fails_open: bool,
    }

    struct Target<'a> {
        "kind" => kind: Text<'a>,
        "name" => name: Text<'a>,
        "sectionName" => section: Text<'a>,
    }

    struct AuthorizationPolicy<'a> {
        "metadata" => metadata: Annotations<'a>,
        "spec" => spec: AuthorizationSpec<'a>,
    }

    struct AuthorizationSpec<'a> {
        "selector" => selector: Selector<'a>,
        "targetRefs" => targets: Vec<Target<'a>>,
        "action" => action: Text<'a>,
        "rules" => rules: Vec<AuthorizationRule<'a>>,
    }

    struct Selector<'a> {
        "matchLabels" => labels: Labels<'a>,
    }

    struct AuthorizationRule<'a> {
        "from" => from: Vec<From<'a>>,
        "to" => to: Vec<To<'a>>,
        "when" => when: Vec<Condition<'a>>,
    }

    struct From<'a> {
        "source" => source: Lists<'a>,
    }

    struct To<'a> {
        "operation" => operation: Lists<'a>,
    }

    struct Condition<'a> {
        "key" => key: Text<'a>,
        "values" => values: Vec<Text<'a>>,
    }
}

/// What a source or an operation must be, by the names of its fields.
type Lists<'a> = Members<'a, Option<Vec<Text<'a>>>>;

/// What the middlewares come to that an Ingress names for Traefik.
pub(super) struct Middlewares {
    pub(super) gate: Gate,
    /// Whether they remove the headers of CORS.
    pub(super) removes_cors: bool,
    /// Whether they may lead requests to another path.
    pub(super) may_rewrite: bool,
}

/// What the middlewares come to that an Ingress names for Traefik: `<namespace>-<name>@kubernetescrd`, with commas between.
pub(super) fn of_middlewares(names: &str, objects: &Objects) -> Result<Middlewares, String> {
    let (mut asks, mut removes_cors, mut may_rewrite) = (false, false, false);
    let (mut unseen, mut missed) = (None, None);
    for name in names.split(',').map(str::trim) {
        let own = name.strip_suffix("@kubernetescrd").unwrap_or(name);
        let is_seen = objects.find(Listed::Middleware, None, |found| {
            if format!("{}-{}", found.namespace, found.name) != own {
                return Ok(None);
            }
            let spec = match found.read::<Middleware>(Listed::Middleware) {
                Ok(middleware) => middleware.spec.unwrap_or_default(),
                Err(reason) => {
                    missed = Some(reason);
                    return Ok(Some(true));
                }
            };
            asks |= ["forwardAuth", "basicAuth", "digestAuth"].iter().any(|kind| spec.contains_key(*kind));
            let headers = spec.get("headers").map_or("", |headers| headers.get());
            removes_cors |= headers.contains("customResponseHeaders") && headers.contains(ALLOW_ORIGIN);
            let paths = ["addPrefix", "replacePath", "replacePathRegex", "stripPrefix", "stripPrefixRegex"];
            may_rewrite |= paths.iter().any(|kind| spec.contains_key(*kind));
            // A chain names others, and a plugin may do anything.
            Ok(Some(!["chain", "plugin"].iter().any(|kind| spec.contains_key(*kind))))
        })?;
        if is_seen != Some(true) {
            may_rewrite = true;
            unseen = Some(format!("Traefik's middleware {}, which is not seen", Shortened(name)));
        }
    }
    let gate = match unseen {
        _ if asks => Gate::Asks,
        Some(unseen) => Gate::NotKnown(unseen),
        None => Gate::missed(missed),
    };
    Ok(Middlewares { gate, removes_cors, may_rewrite })
}

/// What the policies of Envoy Gateway say of a route: its own, or else those of the Gateways that it is attached to, all of which
/// must ask. One that cannot be read is none: no cluster takes it.
///
/// # Errors
///
/// Why they are not known.
pub(super) fn of_route(
    (kind, namespace, name): (Listed, &str, &str),
    route: &gateway::Route,
    objects: &Objects,
) -> Result<Gate, String> {
    let kind = kind.kind().1;
    let gateways = route.gateways(namespace);
    // Of the route; and of each Gateway, by its listener and as a whole.
    let mut own = None;
    let mut of_gateways: Vec<[Option<bool>; 2]> = gateways.iter().map(|_| [None; 2]).collect();
    let (mut selects, mut missed) = (None, None);
    objects.each(Listed::SecurityPolicy, None, |found| {
        let is_of_route = found.namespace == namespace;
        if !is_of_route && gateways.iter().all(|gateway| gateway.namespace != found.namespace) {
            return Ok(());
        }
        let title = || found.title(Listed::SecurityPolicy);
        let spec = match found.read::<SecurityPolicy>(Listed::SecurityPolicy) {
            Ok(policy) => policy.spec.unwrap_or_default(),
            Err(reason) => {
                missed = Some(reason);
                return Ok(());
            }
        };
        let asks = spec.asks();
        if spec.external.as_ref().is_some_and(|external| external.fails_open == Some(true)) {
            missed = Some(format!("{}: failOpen lets all in while its service is away", title()));
        }
        if asks && spec.selectors.as_ref().is_some_and(|selectors| !selectors.is_empty()) {
            selects = Some(format!("{}, whose targetSelectors are not read", title()));
        }
        for target in spec.target.iter().chain(spec.targets.iter().flatten()) {
            let section = target.section.as_deref();
            let target = (target.kind.as_deref().unwrap_or_default(), target.name.as_deref().unwrap_or_default());
            if target == (kind, name) && is_of_route {
                match section {
                    None => own = Some(own.unwrap_or(false) || asks),
                    Some(_) => missed = Some(format!("{} is for one of its rules", title())),
                }
            }
            for (gateway, of_it) in gateways.iter().zip(&mut of_gateways) {
                let is_it = target == ("Gateway", gateway.name) && gateway.namespace == found.namespace;
                if is_it && (section.is_none() || section == gateway.section) {
                    let of_it = &mut of_it[usize::from(section.is_none())];
                    *of_it = Some(of_it.unwrap_or(false) || asks);
                } else if is_it {
                    missed = Some(format!("{} is for one listener of Gateway {}", title(), Shortened(gateway.name)));
                }
            }
        }
        Ok(())
    })?;
    let asks_at = |[of_listener, of_all]: &[Option<bool>; 2]| of_listener.or(*of_all).unwrap_or(false);
    let by_gateways = || of_gateways.iter().all(asks_at);
    let asks = own.unwrap_or_else(|| !gateways.is_empty() && by_gateways());
    if !asks && missed.is_none() && own.is_none() && of_gateways.iter().any(asks_at) {
        missed = Some("a policy of one of its Gateways does, another's does not".to_owned());
    }
    Ok(match selects {
        _ if asks => Gate::Asks,
        Some(selects) => Gate::NotKnown(selects),
        None => Gate::missed(missed),
    })
}

impl SecuritySpec<'_> {
    fn asks(&self) -> bool {
        let verifies = self.jwt.as_ref().is_some_and(|jwt| jwt.optional != Some(true));
        let external = self.external.as_ref().is_some_and(|external| external.fails_open != Some(true));
        verifies || external || [&self.oidc, &self.basic, &self.key].iter().any(|other| other.is_some())
    }
}

/// What Istio's policies for some pods come to.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    /// Whether they ask who calls: a person, rather than the proxy of the mesh.
    pub(super) asks: bool,
    /// Whether they let in none but some pods.
    pub(super) closes: bool,
    /// A policy that looks as if it asked, and why it does not ask everybody.
    pub(super) missed: Option<String>,
}

/// What Istio's policies of a namespace say of pods with these labels. One that cannot be read is none: no cluster takes it.
///
/// # Errors
///
/// Why they are not known.
pub(super) fn of_mesh(objects: &Objects, namespace: &str, labels: Option<&Labels>) -> Result<Mesh, String> {
    // Without the mesh's proxy nobody reads them.
    if labels.and_then(|labels| labels.get("sidecar.istio.io/inject")) == Some("false") {
        return Ok(Mesh::default());
    }
    // Of those that allow, a request needs but one; without any, all are let in.
    let (mut allows, mut allow_all_ask, mut allow_all_close) = (false, true, true);
    let mut mesh = Mesh::default();
    objects.each(Listed::AuthorizationPolicy, Some(namespace), |found| {
        let policy = match found.read::<AuthorizationPolicy>(Listed::AuthorizationPolicy) {
            Ok(policy) => policy,
            Err(reason) => {
                mesh.missed = Some(reason);
                return Ok(());
            }
        };
        let title = || found.title(Listed::AuthorizationPolicy);
        let annotations = policy.metadata.and_then(|metadata| metadata.annotations).unwrap_or_default();
        let spec = policy.spec.unwrap_or_default();
        let selector = spec.selector.as_ref().and_then(|selector| selector.labels.as_ref());
        if selector.is_some_and(|selector| !selector.selects(labels)) {
            return Ok(());
        }
        if annotations.get("istio.io/dry-run") == Some("true") {
            mesh.missed = Some(format!("{} is a dry run", title()));
            return Ok(());
        }
        if spec.targets.as_ref().is_some_and(|targets| !targets.is_empty()) {
            mesh.missed = Some(format!("{} has targetRefs, which are not read", title()));
            return Ok(());
        }
        let rules = spec.rules.unwrap_or_default();
        let some = |missed: &mut Option<String>, asks: bool| {
            if !asks && !rules.is_empty() {
                *missed = Some(format!("{} asks some alone", title()));
            }
            asks
        };
        match spec.action.as_deref().unwrap_or("ALLOW") {
            "ALLOW" => {
                allows = true;
                allow_all_ask &= some(&mut mesh.missed, rules.iter().all(|rule| rule.lets_in(&["requestPrincipals"])));
                let pods = ["requestPrincipals", "principals", "namespaces", "serviceAccounts"];
                allow_all_close &= rules.iter().all(|rule| rule.lets_in(&pods));
            }
            "CUSTOM" => mesh.asks |= some(&mut mesh.missed, rules.iter().any(|rule| rule.is_for_all(&[]))),
            "DENY" => {
                let denies = rules.iter().any(|rule| rule.is_for_all(&["notRequestPrincipals"]));
                mesh.asks |= some(&mut mesh.missed, denies);
            }
            _ => {}
        }
        Ok(())
    })?;
    mesh.asks |= allows && allow_all_ask;
    mesh.closes = mesh.asks || allows && allow_all_close;
    Ok(mesh)
}

/// The fields of a source or an operation that say something, with what they list.
fn said<'l>(lists: &'l Lists) -> impl Iterator<Item = (&'l str, &'l [Text<'l>])> {
    let lists = lists.iter().map(|(name, list)| (&**name, list.as_deref().unwrap_or_default()));
    lists.filter(|(_, list)| !list.is_empty())
}

impl AuthorizationRule<'_> {
    /// Whether a rule that lets in does so for none but those of which one of some fields says who they are, or where everybody may go.
    fn lets_in(&self, fields: &[&str]) -> bool {
        let says_who = |from: &From| {
            from.source.as_ref().is_some_and(|source| said(source).any(|(name, _)| fields.contains(&name)))
        };
        let is_of_token = |condition: &Condition| {
            condition.key.as_deref().is_some_and(|key| key.starts_with("request.auth."))
                && condition.values.as_ref().is_some_and(|values| !values.is_empty())
        };
        let is_harmless = |to: &To| {
            to.operation.as_ref().is_some_and(|operation| {
                said(operation).any(|(name, list)| match name {
                    "paths" => list.iter().all(|path| is_for_everybody(path)),
                    "ports" => list.iter().all(|port| OF_CLUSTER.contains(&&**port)),
                    _ => false,
                })
            })
        };
        let has = |mut is: Box<dyn Iterator<Item = bool> + '_>| is.next().is_some_and(|first| first && is.all(|is| is));
        has(Box::new(self.from.iter().flatten().map(says_who)))
            || self.when.iter().flatten().any(is_of_token)
            || has(Box::new(self.to.iter().flatten().map(is_harmless)))
    }

    /// Whether a rule is for all requests but those to where everybody may go, and of sources says no more than these fields.
    fn is_for_all(&self, fields: &[&str]) -> bool {
        let is_no_more = |from: &From| {
            from.source.as_ref().is_some_and(|source| said(source).all(|(name, _)| fields.contains(&name)))
        };
        let is_everywhere = |to: &To| {
            to.operation.as_ref().is_some_and(|operation| {
                said(operation).all(|(name, list)| match name {
                    "paths" => list.iter().any(|path| matches!(&**path, "*" | "/*")),
                    "notPaths" => list.iter().all(|path| is_for_everybody(path)),
                    _ => false,
                })
            })
        };
        let is_empty = |length: Option<usize>| length.is_none_or(|length| length == 0);
        let of_all = match fields {
            [] => is_empty(self.from.as_ref().map(Vec::len)),
            _ => self.from.iter().flatten().any(is_no_more),
        };
        of_all
            && is_empty(self.when.as_ref().map(Vec::len))
            && (is_empty(self.to.as_ref().map(Vec::len)) || self.to.iter().flatten().any(is_everywhere))
    }
}

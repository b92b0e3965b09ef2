//! Ingresses: authentication by annotations for their controllers.
//!
//! Sources: the annotations of [ingress-nginx](https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/),
//! of the [AWS Load Balancer Controller](https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/),
//! and of haproxy's two controllers.

use super::{super::server::Backend, Annotated, Gate, MIDDLEWARES, Middlewares};
use crate::{
    host::Listed,
    installation::{
        ingress::{names_any_controller, names_controller},
        objects::Objects,
    },
    verdict::Shortened,
    workload::Labels,
};

/// Whether a controller's annotations count for an Ingress. If the Ingress has no class, those of every controller
/// count.
fn is_of(class: Option<&str>, controller: &str) -> bool {
    class.is_none_or(|class| names_controller(class, controller))
}

/// The annotations that make AWS authenticate callers.
pub(in crate::flyte2_exposure) const OF_AWS: [&str; 2] =
    ["alb.ingress.kubernetes.io/auth-type", "alb.ingress.kubernetes.io/jwt-validation"];

/// An Ingress that leads to Flyte 2, with what its annotations refer to.
pub(in crate::flyte2_exposure) struct Front<'i> {
    pub(in crate::flyte2_exposure) annotations: &'i Labels<'i>,
    /// The class of its controller, which may have any name. If no known controller's name is in it, it is not known which
    /// annotations count.
    pub(in crate::flyte2_exposure) class: Option<&'i str>,
    /// The Services of Flyte 2 that it leads to.
    pub(in crate::flyte2_exposure) services: &'i [&'i Backend],
    /// The combined effect of the middlewares that it names for Traefik.
    pub(in crate::flyte2_exposure) middlewares: Option<&'i Middlewares>,
    pub(in crate::flyte2_exposure) namespace: &'i str,
    pub(in crate::flyte2_exposure) objects: &'i Objects<'i>,
}

impl<'i> Front<'i> {
    /// Whether it authenticates callers.
    ///
    /// # Errors
    ///
    /// Why the other Ingresses or the middlewares are not known.
    pub(in crate::flyte2_exposure) fn gate(&self) -> Result<Gate, String> {
        let class = self.class;
        let is_known = class.is_none_or(names_any_controller);
        match self.of_class(class.filter(|_| is_known))? {
            Gate::Asks if !is_known => Ok(Gate::NotKnown(format!(
                "whether the controller of the Ingress class `{}` reads the annotations for authentication",
                Shortened(class.unwrap_or_default())
            ))),
            gate => Ok(gate),
        }
    }

    /// The value of an annotation, if it is not empty.
    fn get(&self, name: &str) -> Option<&'i str> {
        self.annotations.get(name).filter(|value| !value.is_empty())
    }

    /// The effect of the annotations on the controller of a class; on any controller without a class.
    fn of_class(&self, class: Option<&str>) -> Result<Gate, String> {
        if is_of(class, "alb")
            && let Some(gate) = self.of_alb()?
        {
            return Ok(gate);
        }
        if is_of(class, "nginx") {
            let nginx = |name: &str| self.get(&format!("nginx.ingress.kubernetes.io/{name}"));
            let has_password = matches!(nginx("auth-type"), Some("basic" | "digest")) && nginx("auth-secret").is_some();
            let verifies = !matches!(nginx("auth-tls-verify-client"), Some("off" | "optional" | "optional_no_ca"));
            if nginx("auth-url").is_some() || has_password || nginx("auth-tls-secret").is_some() && verifies {
                let ranges = ["whitelist-source-range", "allowlist-source-range"];
                let range = ranges.into_iter().find(|range| nginx(range).is_some());
                return Ok(match range.filter(|_| nginx("satisfy") == Some("any")) {
                    Some(range) => Gate::open(
                        format!(
                            "the annotation `satisfy: any` accepts the addresses of `{range}` without authentication"
                        ),
                        "remove nginx.ingress.kubernetes.io/satisfy",
                    ),
                    None => Gate::Asks,
                });
            }
            for snippet in ["auth-snippet", "configuration-snippet", "server-snippet"] {
                if nginx(snippet).is_some_and(may_ask) {
                    return Ok(Gate::NotKnown(format!("this route's {snippet}, which this policy cannot read")));
                }
            }
            // Another controller for nginx, from F5.
            for of_f5 in ["nginx.org/basic-auth-secret", "nginx.com/jwt-key", "nginx.org/policies"] {
                if self.get(of_f5).is_some() {
                    return Ok(Gate::NotKnown(format!("whether the controller reads {of_f5}")));
                }
            }
        }
        let haproxy = ["haproxy-ingress.github.io/auth-url", "haproxy-ingress.github.io/auth-secret"];
        if is_of(class, "haproxy")
            && (haproxy.into_iter().any(|name| self.get(name).is_some())
                || self.get("haproxy.org/auth-type") == Some("basic-auth"))
        {
            return Ok(Gate::Asks);
        }
        if is_of(class, "traefik")
            && self.get(MIDDLEWARES).is_some()
            && let Some(middlewares) = self.middlewares
        {
            return Ok(middlewares.gate.clone());
        }
        if self.get("konghq.com/plugins").is_some() {
            return Ok(Gate::NotKnown("this route's Kong plugins, which this policy cannot read".to_owned()));
        }
        if class.is_some_and(|class| names_controller(class, "gce")) {
            return Ok(Gate::NotKnown("whether a BackendConfig turns on Identity-Aware Proxy".to_owned()));
        }
        Ok(Gate::OPEN)
    }

    /// The effect of the annotations on AWS; `None` if they do not mention logins.
    fn of_alb(&self) -> Result<Option<Gate>, String> {
        let alb = |name: &str| self.get(&format!("alb.ingress.kubernetes.io/{name}"));
        // `buildAuthConfig` of `pkg/ingress/model_build_listener_rules.go`: the Service's annotation overrides the Ingress's.
        let logs_in = |auth_type: Option<&str>| matches!(auth_type, Some("oidc" | "cognito"));
        let of_service = |service: &&Backend| logs_in(service.auth_type.as_deref().or(alb("auth-type")));
        let has_login =
            if self.services.is_empty() { logs_in(alb("auth-type")) } else { self.services.iter().all(of_service) };
        if !has_login && alb("jwt-validation").is_none() {
            return Ok(self.services.iter().find(|service| logs_in(alb("auth-type")) && !of_service(service)).map(
                |service| {
                    Gate::open(
                        format!("the annotation auth-type of Service {} turns the login off", Shortened(&service.name)),
                        "remove it there",
                    )
                },
            ));
        }
        if has_login && alb("auth-on-unauthenticated-request") == Some("allow") {
            return Ok(Some(Gate::open(
                "the annotation `auth-on-unauthenticated-request: allow` accepts callers who are not logged in",
                "set alb.ingress.kubernetes.io/auth-on-unauthenticated-request: authenticate",
            )));
        }
        // `buildActions` of `pkg/ingress/model_build_actions.go` adds authentication only to HTTPS listeners.
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
                    "set alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\": 80}, {\"HTTPS\": 443}]' and alb.ingress.kubernetes.io/ssl-redirect: \"443\""
                }
            };
            return Ok(Some(Gate::open("the load balancer's HTTP listener does not authenticate", mend)));
        };
        // One Ingress of a group redirects for the whole group.
        let redirects = self.objects.find(Listed::Ingress, Some(self.namespace), |found| {
            let metadata = found.read_fields::<Annotated>(Listed::Ingress).ok().and_then(|ingress| ingress.metadata);
            let annotations = metadata.and_then(|metadata| metadata.annotations).unwrap_or_default();
            let redirects = annotations.get("alb.ingress.kubernetes.io/group.name") == Some(group)
                && annotations.get("alb.ingress.kubernetes.io/ssl-redirect").is_some();
            Ok(redirects.then_some(()))
        })?;
        Ok(Some(match redirects {
            Some(()) => Gate::Asks,
            None => Gate::NotKnown(
                "whether another Ingress of this Ingress's group sets ssl-redirect. Without it, the HTTP listener accepts callers without authentication"
                    .to_owned(),
            ),
        }))
    }
}

/// Whether an nginx snippet has a directive that authenticates callers. Text after `#` is a comment.
fn may_ask(snippet: &str) -> bool {
    const ASKING: [&str; 4] = ["auth_request", "auth_basic", "auth_jwt", "access_by_lua"];
    let mut lines = snippet.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.any(|line| ASKING.iter().any(|directive| line.contains(directive)))
}

//! The routes of one controller each: Contour's HTTPProxy and Traefik's IngressRoute, and the middlewares by which Traefik answers CORS.
//!
//! Not read: what an HTTPProxy includes of another, but that it may; routes whose `match` is an expression over hosts; other
//! middlewares than those of `headers`, and chains, which may hold one.
//!
//! Sources: `apis/projectcontour/v1/httpproxy.go` of [projectcontour/contour](https://github.com/projectcontour/contour), and `pkg/provider/kubernetes/crd/traefikio/v1alpha1` and `pkg/config/dynamic/middlewares.go` of
//! [traefik/traefik](https://github.com/traefik/traefik).

use std::collections::BTreeSet;

use serde::de::IgnoredAny;

use super::{
    ingress,
    objects::{Found, Objects},
    routes::{Cors, Hosts, RouteHost},
};
use crate::{host::Listed, text::Text, view::view};

view! {
    struct HttpProxy<'a> {
        "spec" => spec: HttpProxySpec<'a>,
    }

    struct HttpProxySpec<'a> {
        "virtualhost" => host: VirtualHost<'a>,
        "routes" => routes: Vec<Backends<'a>>,
        "tcpproxy" => tcp: Backends<'a>,
    }

    struct VirtualHost<'a> {
        "fqdn" => name: Text<'a>,
        "tls" => tls: Tls<'a>,
        "corsPolicy" => cors: CorsPolicy<'a>,
    }

    struct CorsPolicy<'a> {
        "allowOrigin" => origins: Vec<Text<'a>>,
        "allowCredentials" => credentials: bool,
    }

    struct Tls<'a> {
        "secretName" => secret: Text<'a>,
        "passthrough" => passes: bool,
    }

    struct IngressRoute<'a> {
        "spec" => spec: IngressRouteSpec<'a>,
    }

    struct IngressRouteSpec<'a> {
        "routes" => routes: Vec<Backends<'a>>,
        "tls" => tls: Tls<'a>,
    }

    /// A route, with the Services that it leads to. Only Traefik's have a `match` and middlewares.
    struct Backends<'a> {
        "match" => matches: Text<'a>,
        "middlewares" => middlewares: Vec<Reference<'a>>,
        "services" => services: Vec<Reference<'a>>,
    }

    struct Reference<'a> {
        "name" => name: Text<'a>,
        "namespace" => namespace: Text<'a>,
    }

    struct Middleware<'a> {
        "spec" => spec: MiddlewareSpec<'a>,
    }

    struct MiddlewareSpec<'a> {
        "headers" => headers: Headers<'a>,
        "chain" => chain: IgnoredAny,
        "plugin" => plugin: IgnoredAny,
    }

    struct Headers<'a> {
        "accessControlAllowOriginList" => origins: Vec<Text<'a>>,
        "accessControlAllowOriginListRegex" => patterns: Vec<Text<'a>>,
        "accessControlAllowCredentials" => credentials: bool,
    }
}

/// A route of one of the two kinds, as far as it leads to some Services of its namespace.
pub(super) struct Proxy {
    /// The hosts that it is for; "" where that is not known.
    pub(super) hosts: Vec<String>,
    has_tls: bool,
    /// Whether clients see a certificate of its own, or its controller's.
    #[cfg(feature = "flyte-oauth-tls")]
    pub(super) ends_tls: bool,
    /// The Secret whose certificate clients see.
    #[cfg(feature = "flyte-oauth-tls")]
    pub(super) secret: Option<String>,
    cors: Option<Cors>,
    /// The middlewares that it names, which may answer CORS.
    middlewares: Vec<String>,
    /// Whether it is gRPC's alone, which no browser calls.
    is_grpc: bool,
}

/// The kinds.
pub(super) const KINDS: [Listed; 2] = [Listed::HttpProxy, Listed::IngressRoute];

/// The names of the Services that a route leads to.
fn services<'r>(routes: impl IntoIterator<Item = &'r Backends<'r>>) -> impl Iterator<Item = &'r str> {
    let services = routes.into_iter().flat_map(|route| route.services.iter().flatten());
    services.filter_map(|service| service.name.as_deref())
}

impl Proxy {
    /// What a route comes to where it leads to some Services.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(super) fn each(kind: Listed, found: &Found, leads: &dyn Fn(&str) -> bool) -> Result<Vec<Self>, String> {
        if kind == Listed::HttpProxy {
            let spec = found.read::<HttpProxy>(kind)?.spec.unwrap_or_default();
            let leads = services(spec.routes.iter().flatten().chain(&spec.tcp)).any(leads);
            let host = spec.host.unwrap_or_default();
            let name = host.name.as_deref().unwrap_or_default().to_owned();
            let cors = host.cors.as_ref().map(CorsPolicy::cors);
            let proxy = || Self { cors, ..Self::new(vec![name], host.tls.as_ref()) };
            return Ok(leads.then(proxy).into_iter().collect());
        }
        let spec = found.read::<IngressRoute>(kind)?.spec.unwrap_or_default();
        let mut proxies = Vec::new();
        for route in spec.routes.iter().flatten().filter(|route| services([*route]).any(leads)) {
            let named = route.middlewares.iter().flatten().map(|named| {
                let namespace = named.namespace.as_deref().unwrap_or(&found.namespace);
                format!("{namespace}-{}", named.name.as_deref().unwrap_or_default())
            });
            let rule = route.matches.as_deref().unwrap_or_default();
            proxies.push(Self {
                middlewares: named.collect(),
                is_grpc: rule.split(['`', '"']).any(ingress::is_grpc),
                ..Self::new(hosts(rule), spec.tls.as_ref())
            });
        }
        Ok(proxies)
    }

    fn new(hosts: Vec<String>, tls: Option<&Tls>) -> Self {
        Self {
            hosts,
            has_tls: tls.is_some(),
            #[cfg(feature = "flyte-oauth-tls")]
            ends_tls: tls.is_some_and(|tls| tls.passes != Some(true)),
            #[cfg(feature = "flyte-oauth-tls")]
            secret: tls.and_then(|tls| Some(tls.secret.as_deref()?.to_owned())),
            cors: None,
            middlewares: Vec::new(),
            is_grpc: false,
        }
    }
}

/// The hosts of a rule of Traefik's, ``Host(`a`) || Host(`b`) && PathPrefix(`/c`)``; "" where it names none.
fn hosts(rule: &str) -> Vec<String> {
    let quoted = |list: &str| -> Vec<String> {
        let list = list.split(')').next().unwrap_or_default();
        list.split(',').map(|host| host.trim().trim_matches(['`', '"']).to_owned()).collect()
    };
    let named: Vec<String> = rule.split("Host(").skip(1).flat_map(quoted).collect();
    if named.is_empty() { vec![String::new()] } else { named }
}

impl CorsPolicy<'_> {
    fn cors(&self) -> Cors {
        let origins = self.origins.iter().flatten().map(|origin| origin.to_string()).collect();
        Cors::by_contour(origins, self.credentials == Some(true))
    }
}

/// What the middlewares of a route answer of CORS, by their names `<namespace>-<name>`. Those of one that is not seen are not known.
///
/// # Errors
///
/// Why it is not known which there are.
pub(super) fn by_middlewares(
    names: impl IntoIterator<Item = String>,
    objects: &Objects,
) -> Result<Option<Cors>, String> {
    let mut cors = None;
    for name in names {
        let name = name.trim().trim_end_matches("@kubernetescrd");
        let answered = objects.find(Listed::Middleware, None, |found| {
            if format!("{}-{}", found.namespace, found.name) != name {
                return Ok(None);
            }
            Ok(Some(found.read::<Middleware>(Listed::Middleware)?.spec.unwrap_or_default().cors()))
        })?;
        match answered {
            Some(None) => {}
            Some(answered) => cors = answered,
            None => cors = Some(Cors::by_traefik(None, false)),
        }
    }
    Ok(cors)
}

impl MiddlewareSpec<'_> {
    /// What it answers of CORS, if it does; a chain or a plugin may.
    fn cors(&self) -> Option<Cors> {
        if self.chain.is_some() || self.plugin.is_some() {
            return Some(Cors::by_traefik(None, false));
        }
        let headers = self.headers.as_ref()?;
        let has_patterns = headers.patterns.as_ref().is_some_and(|patterns| !patterns.is_empty());
        let origins: Vec<String> = headers.origins.iter().flatten().map(|origin| origin.to_string()).collect();
        let answers = has_patterns || !origins.is_empty();
        answers.then(|| Cors::by_traefik((!has_patterns).then_some(origins), headers.credentials == Some(true)))
    }
}

/// Adds the hosts from which a route leads to some Services of its namespace.
pub(super) fn add_hosts(
    kind: Listed,
    found: &Found,
    services: &BTreeSet<String>,
    objects: &Objects,
    hosts: &mut Hosts,
) -> Result<(), String> {
    for proxy in Proxy::each(kind, found, &|service| services.contains(service))? {
        if proxy.is_grpc {
            continue;
        }
        let route = found.title(kind);
        let cors = match proxy.cors {
            None => by_middlewares(proxy.middlewares, objects)?,
            cors => cors,
        };
        for name in proxy.hosts {
            if name.is_empty() {
                hosts.doubt = Some(format!("{route} leads there, from hosts that are not read"));
                continue;
            }
            hosts.add(RouteHost { name, has_tls: proxy.has_tls, route: route.clone(), cors: cors.clone() })?;
        }
    }
    Ok(())
}

/// Whether a route is for a host.
#[cfg(feature = "flyte-console-url")]
pub(super) fn is_for(kind: Listed, found: &Found, host: &str) -> Result<bool, String> {
    let proxies = Proxy::each(kind, found, &|_| true)?;
    Ok(proxies.iter().any(|proxy| proxy.hosts.iter().any(|own| own == host)))
}

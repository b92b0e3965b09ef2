//! The routes of one controller each: Contour's HTTPProxy, Traefik's IngressRoute and Istio's VirtualService, and who answers CORS there.
//!
//! Not read: what an HTTPProxy includes of another, but that it may; patterns of hosts; other middlewares than those of `headers`, and
//! chains, which may hold one; Istio's Gateways, and so whether a VirtualService has TLS.
//!
//! Sources: `apis/projectcontour/v1/httpproxy.go` of [projectcontour/contour](https://github.com/projectcontour/contour);
//! `pkg/provider/kubernetes/crd/traefikio/v1alpha1` and `pkg/config/dynamic/middlewares.go` of
//! [traefik/traefik](https://github.com/traefik/traefik); `networking/v1alpha3/virtual_service.proto` of
//! [istio/api](https://github.com/istio/api).

use std::collections::BTreeSet;

use super::{
    fields::{is_true, items, text, texts},
    ingress,
    objects::{Found, Objects},
    routes::{Cors, Hosts, RouteHost, every, says_origin},
};
use crate::{edit, host::Listed};

/// A route of these kinds, as far as it leads to some Services of its namespace.
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
pub(super) const KINDS: [Listed; 3] = [Listed::HttpProxy, Listed::IngressRoute, Listed::VirtualService];

/// Those of them that say which certificate clients see.
#[cfg(feature = "flyte-oauth-tls")]
pub(super) const WITH_CERTIFICATES: [Listed; 2] = [Listed::HttpProxy, Listed::IngressRoute];

impl Proxy {
    /// What a route comes to where it leads to some Services.
    pub(super) fn each(kind: Listed, found: &Found, leads: &dyn Fn(&str) -> bool) -> Vec<Self> {
        let object = found.object.get();
        let leads = |services: Vec<String>| services.iter().any(|service| leads(service));
        let mut proxies = Vec::new();
        match kind {
            Listed::HttpProxy => {
                let services = services_of_proxy(object);
                let name = text(object, &["spec", "virtualhost", "fqdn"]).map(|name| name.to_string());
                let tls = edit::at(object, &["spec", "virtualhost", "tls"]);
                let proxy = Self::new(vec![name.unwrap_or_default()], tls);
                proxies.extend(leads(services).then(|| Self { cors: of_proxy(object), ..proxy }));
            }
            Listed::VirtualService => {
                // Those without a dot, and those of the cluster, are for pods.
                let mut hosts = texts(object, &["spec", "hosts"]);
                hosts.retain(|host| host == "*" || host.contains('.') && !host.ends_with(".cluster.local"));
                for route in items(object, &["spec", "http"]) {
                    if leads(services_of_mesh(route.get(), &found.namespace)) {
                        proxies.push(Self { cors: of_mesh(route.get()), ..Self::new(hosts.clone(), None) });
                    }
                }
            }
            _ => {
                let tls = edit::at(object, &["spec", "tls"]);
                for route in items(object, &["spec", "routes"]) {
                    let route = route.get();
                    if leads(services(route)) {
                        let rule = text(route, &["match"]).map(|rule| rule.to_string()).unwrap_or_default();
                        proxies.push(Self {
                            middlewares: middlewares(route, &found.namespace),
                            is_grpc: rule.split(['`', '"']).any(ingress::is_grpc),
                            ..Self::new(hosts(&rule), tls)
                        });
                    }
                }
            }
        }
        proxies
    }

    fn new(hosts: Vec<String>, tls: Option<&str>) -> Self {
        let tls = tls.filter(|tls| *tls != "null");
        Self {
            hosts,
            has_tls: tls.is_some(),
            #[cfg(feature = "flyte-oauth-tls")]
            ends_tls: tls.is_some_and(|tls| !is_true(tls, &["passthrough"])),
            #[cfg(feature = "flyte-oauth-tls")]
            secret: tls.and_then(|tls| Some(text(tls, &["secretName"])?.to_string())),
            cors: None,
            middlewares: Vec::new(),
            is_grpc: false,
        }
    }
}

/// The Services that a route of Traefik's leads to, or one of Contour's.
pub(crate) fn services(route: &str) -> Vec<String> {
    let services = items(route, &["services"]).into_iter();
    services.filter_map(|service| text(service.get(), &["name"])).map(|name| name.to_string()).collect()
}

/// The Services that an HTTPProxy leads to.
pub(crate) fn services_of_proxy(proxy: &str) -> Vec<String> {
    let routes = items(proxy, &["spec", "routes"]).into_iter().map(|route| route.get());
    routes.chain(edit::at(proxy, &["spec", "tcpproxy"])).flat_map(services).collect()
}

/// The Services of a namespace that a route of a VirtualService leads to.
pub(crate) fn services_of_mesh(route: &str, namespace: &str) -> Vec<String> {
    let to = items(route, &["route"]).into_iter().filter_map(|to| text(to.get(), &["destination", "host"]));
    to.map(|host| in_mesh(&host, namespace).to_owned()).collect()
}

/// The Service of a namespace that a host of the cluster stands for.
fn in_mesh<'h>(host: &'h str, namespace: &str) -> &'h str {
    let (own, of) = host.split_once('.').unwrap_or((host, namespace));
    let rest = of.strip_prefix(namespace);
    if rest.is_some_and(|rest| ["", ".svc", ".svc.cluster.local"].contains(&rest)) { own } else { host }
}

/// The middlewares that a route of Traefik's names: `<namespace>-<name>` each.
pub(crate) fn middlewares(route: &str, own: &str) -> Vec<String> {
    let named = items(route, &["middlewares"]).into_iter().map(|named| {
        let of = text(named.get(), &["namespace"]);
        let name = text(named.get(), &["name"]);
        format!("{}-{}", of.as_deref().unwrap_or(own), name.as_deref().unwrap_or_default())
    });
    named.collect()
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

/// What Contour answers of CORS for an HTTPProxy.
pub(crate) fn of_proxy(proxy: &str) -> Option<Cors> {
    let cors = edit::at(proxy, &["spec", "virtualhost", "corsPolicy"])?;
    let is_pattern = |origin: &str| origin != "*" && origin.contains(['*', '(', '[', '|', '\\', '^', '$', '?', '+']);
    let exact = |origin: String| if is_pattern(&origin) { every(&origin) } else { Some(origin) };
    let origins = texts(cors, &["allowOrigin"]).into_iter().map(exact).collect();
    Some(Cors::by_envoy(origins, is_true(cors, &["allowCredentials"])))
}

/// What Istio answers of CORS for a route of a VirtualService.
pub(crate) fn of_mesh(route: &str) -> Option<Cors> {
    let cors = edit::at(route, &["corsPolicy"])?;
    let origins = items(cors, &["allowOrigins"]).into_iter().map(|origin| match text(origin.get(), &["exact"]) {
        Some(exact) => Some(exact.to_string()),
        None => every(&text(origin.get(), &["regex"])?),
    });
    Some(Cors::by_envoy(origins.collect(), is_true(cors, &["allowCredentials"])))
}

/// What Traefik answers of CORS by a Middleware, if it does; a chain or a plugin may.
pub(crate) fn of_middleware(middleware: &str) -> Option<Cors> {
    let spec = edit::at(middleware, &["spec"])?;
    if ["chain", "plugin"].iter().any(|kind| edit::at(spec, &[kind]).is_some()) {
        return Some(Cors::by_traefik(None, false));
    }
    let headers = edit::at(spec, &["headers"])?;
    let origins = texts(headers, &["accessControlAllowOriginList"]);
    let is_unread = !items(headers, &["accessControlAllowOriginListRegex"]).is_empty()
        || edit::at(headers, &["customResponseHeaders"]).is_some_and(says_origin);
    let with_credentials = is_true(headers, &["accessControlAllowCredentials"]);
    (is_unread || !origins.is_empty()).then(|| Cors::by_traefik((!is_unread).then_some(origins), with_credentials))
}

/// What the middlewares of a route answer of CORS, by their names. Those of one that is not seen are not known.
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
            let is_it = format!("{}-{}", found.namespace, found.name) == name;
            Ok(is_it.then(|| of_middleware(found.object.get())))
        })?;
        match answered {
            Some(None) => {}
            Some(answered) => cors = answered,
            None => cors = Some(Cors::by_traefik(None, false)),
        }
    }
    Ok(cors)
}

/// Adds the hosts from which a route leads to some Services of its namespace.
pub(super) fn add_hosts(
    kind: Listed,
    found: &Found,
    services: &BTreeSet<String>,
    objects: &Objects,
    hosts: &mut Hosts,
) -> Result<(), String> {
    for proxy in Proxy::each(kind, found, &|service| services.contains(service)) {
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
pub(super) fn is_for(kind: Listed, found: &Found, host: &str) -> bool {
    Proxy::each(kind, found, &|_| true).iter().any(|proxy| proxy.hosts.iter().any(|own| own == host))
}

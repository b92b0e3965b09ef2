//! Reads routes that only one controller has, and the CORS that is answered there: Contour's HTTPProxy, Traefik's
//! IngressRoute and Istio's VirtualService.
//!
//! Not read: what an HTTPProxy includes from another, only that it does; patterns of hosts; middlewares other than those with
//! `headers`, and chains, which may hold one; Istio's Gateways, and so whether a VirtualService has TLS.
//!
//! Sources: `apis/projectcontour/v1/httpproxy.go` of [projectcontour/contour](https://github.com/projectcontour/contour);
//! `pkg/provider/kubernetes/crd/traefikio/v1alpha1` and `pkg/config/dynamic/middlewares.go` of
//! [traefik/traefik](https://github.com/traefik/traefik); `networking/v1alpha3/virtual_service.proto` of
//! [istio/api](https://github.com/istio/api).

use std::collections::BTreeSet;

use super::{
    fields::{at, is_true, items, text, texts},
    ingress,
    objects::{Found, Objects},
    routes::{Cors, Hosts, RouteHost, every, says_origin},
};
use crate::host::Listed;

/// A route of these kinds.
pub(super) struct Proxy {
    /// Its hosts; "" if they are not known.
    pub(super) hosts: Vec<String>,
    /// The Services that it leads to.
    pub(super) to: Vec<ServiceName>,
    has_tls: bool,
    /// Whether it ends TLS: clients see a certificate of its own, or its controller's.
    #[cfg(feature = "flyte-oauth-tls")]
    pub(super) ends_tls: bool,
    /// Whether it passes TLS through: they see the certificate of what is behind it.
    #[cfg(feature = "flyte-oauth-tls")]
    pub(super) passes: bool,
    /// The namespace and the name of the Secret whose certificate clients see.
    #[cfg(feature = "flyte-oauth-tls")]
    pub(super) secret: Option<(String, String)>,
    cors: Option<Cors>,
    /// Its middlewares, which may answer CORS.
    middlewares: Vec<String>,
    /// Whether it is only for gRPC, which no browser calls.
    is_grpc: bool,
}

/// The namespace and the name of a Service.
pub(crate) type ServiceName = (String, String);

/// The kinds that show which certificate clients see.
#[cfg(feature = "flyte-oauth-tls")]
pub(super) const WITH_CERTIFICATES: [Listed; 2] = [Listed::HttpProxy, Listed::IngressRoute];

impl Proxy {
    /// Reads the routes of an object of these kinds; an HTTPProxy is one route.
    pub(super) fn each(kind: Listed, found: &Found) -> Vec<Self> {
        let (object, own) = (found.object.get(), &*found.namespace);
        let mut proxies = Vec::new();
        match kind {
            Listed::HttpProxy => {
                let name = text(object, &["spec", "virtualhost", "fqdn"]).map(|name| name.to_string());
                let tls = at(object, &["spec", "virtualhost", "tls"]);
                let proxy = Self::new(own, vec![name.unwrap_or_default()], tls);
                proxies.push(Self { to: services_of_proxy(object, own), cors: of_proxy(object), ..proxy });
            }
            Listed::VirtualService => {
                let gateways = texts(object, &["spec", "gateways"]);
                let mut hosts = texts(object, &["spec", "hosts"]);
                // Hosts without a dot, and hosts of the cluster, are for pods; so are all hosts if no gateway is named.
                hosts.retain(|host| host == "*" || host.contains('.') && !host.contains(".svc"));
                if gateways.iter().all(|gateway| gateway == "mesh") {
                    hosts.clear();
                }
                for route in items(object, &["spec", "http"]) {
                    let route = route.get();
                    let proxy = Self::new(own, hosts.clone(), None);
                    proxies.push(Self { to: services_of_mesh(route, own), cors: of_mesh(route), ..proxy });
                }
            }
            _ => {
                let tls = at(object, &["spec", "tls"]);
                for route in items(object, &["spec", "routes"]) {
                    let route = route.get();
                    let rule = text(route, &["match"]).map(|rule| rule.to_string()).unwrap_or_default();
                    proxies.push(Self {
                        to: services(route, own),
                        middlewares: middlewares(route, own),
                        is_grpc: is_grpc(&rule),
                        ..Self::new(own, hosts(&rule), tls)
                    });
                }
            }
        }
        proxies
    }

    fn new(
        #[allow(unused, reason = "certificates are one policy's")] own: &str,
        hosts: Vec<String>,
        tls: Option<&str>,
    ) -> Self {
        Self {
            hosts,
            to: Vec::new(),
            has_tls: tls.is_some(),
            #[cfg(feature = "flyte-oauth-tls")]
            ends_tls: tls.is_some_and(|tls| !is_true(tls, &["passthrough"])),
            #[cfg(feature = "flyte-oauth-tls")]
            passes: tls.is_some_and(|tls| is_true(tls, &["passthrough"])),
            #[cfg(feature = "flyte-oauth-tls")]
            secret: tls.and_then(|tls| {
                let secret = text(tls, &["secretName"])?;
                // Contour accepts a Secret of another namespace, if that allows it.
                let (namespace, name) = secret.split_once('/').unwrap_or((own, &secret));
                Some((namespace.to_owned(), name.to_owned()))
            }),
            cors: None,
            middlewares: Vec::new(),
            is_grpc: false,
        }
    }

    /// Whether it leads to one of the given Services of a namespace.
    pub(super) fn leads_to(&self, namespace: &str, services: &BTreeSet<String>) -> bool {
        self.to.iter().any(|(of, name)| of == namespace && services.contains(name))
    }
}

/// Whether a target gets a share of the requests. A mirror only gets copies, and its answers reach no client.
fn gets_requests(to: &str) -> bool {
    !is_true(to, &["mirror"]) && at(to, &["weight"]) != Some("0")
}

/// The Services that a Traefik or Contour route leads to.
pub(crate) fn services(route: &str, own: &str) -> Vec<ServiceName> {
    let services = items(route, &["services"]).into_iter().map(|service| service.get());
    let named = services.filter(|service| gets_requests(service)).filter_map(|service| {
        let is_service = text(service, &["kind"]).is_none_or(|kind| &*kind == "Service");
        let of = text(service, &["namespace"]);
        let name = text(service, &["name"]).filter(|_| is_service)?;
        Some((of.as_deref().unwrap_or(own).to_owned(), name.to_string()))
    });
    named.collect()
}

/// The Services that an HTTPProxy leads to.
pub(crate) fn services_of_proxy(proxy: &str, own: &str) -> Vec<ServiceName> {
    let routes = items(proxy, &["spec", "routes"]).into_iter().map(|route| route.get());
    routes.chain(at(proxy, &["spec", "tcpproxy"])).flat_map(|route| services(route, own)).collect()
}

/// The Services that a route of a VirtualService leads to, by their names in the cluster's DNS.
pub(crate) fn services_of_mesh(route: &str, own: &str) -> Vec<ServiceName> {
    let to = items(route, &["route"]).into_iter().map(|to| to.get()).filter(|to| gets_requests(to));
    let named = to.filter_map(|to| text(to, &["destination", "host"])).map(|host| {
        let mut parts = host.split('.');
        let name = parts.next().unwrap_or_default().to_owned();
        (parts.next().unwrap_or(own).to_owned(), name)
    });
    named.collect()
}

/// The middlewares that a Traefik route names, each as `<namespace>-<name>`.
pub(crate) fn middlewares(route: &str, own: &str) -> Vec<String> {
    let named = items(route, &["middlewares"]).into_iter().map(|named| {
        let of = text(named.get(), &["namespace"]);
        let name = text(named.get(), &["name"]);
        match name.as_deref().unwrap_or_default() {
            // This is the whole name, with its provider.
            name if name.contains('@') => name.trim_end_matches("@kubernetescrd").to_owned(),
            name => format!("{}-{name}", of.as_deref().unwrap_or(own)),
        }
    });
    named.collect()
}

/// The hosts of a Traefik rule, ``Host(`a`) || Host(`b`) && PathPrefix(`/c`)``; "" if it names none, or patterns.
fn hosts(rule: &str) -> Vec<String> {
    let quoted = |list: &str| -> Vec<String> {
        let list = list.split(')').next().unwrap_or_default();
        list.split(',').map(|host| host.trim().trim_matches(['`', '"']).to_ascii_lowercase()).collect()
    };
    let parts: Vec<&str> = rule.split("Host(").collect();
    // The text before a part shows whether the rule excludes it.
    let positive = parts.windows(2).filter(|pair| !pair[0].trim_end().ends_with('!')).map(|pair| pair[1]);
    let mut named: Vec<String> = positive.flat_map(quoted).collect();
    if named.is_empty() || rule.contains("HostRegexp") {
        named.push(String::new());
    }
    named
}

/// Whether all paths of a Traefik rule are gRPC paths.
fn is_grpc(rule: &str) -> bool {
    let mut paths = rule.split(['`', '"']).filter(|quoted| quoted.starts_with('/')).peekable();
    !rule.contains('!') && paths.peek().is_some() && paths.all(ingress::is_grpc)
}

/// The CORS that Contour answers for an HTTPProxy; none if it passes connections through.
pub(crate) fn of_proxy(proxy: &str) -> Option<Cors> {
    let passes =
        at(proxy, &["spec", "tcpproxy"]).is_some() || is_true(proxy, &["spec", "virtualhost", "tls", "passthrough"]);
    let cors = at(proxy, &["spec", "virtualhost", "corsPolicy"]).filter(|_| !passes)?;
    let is_pattern = |origin: &str| origin != "*" && origin.contains(['*', '(', '[', '|', '\\', '^', '$', '?', '+']);
    let exact = |origin: String| if is_pattern(&origin) { every(&origin) } else { Some(origin) };
    let origins = texts(cors, &["allowOrigin"]).into_iter().map(exact);
    Some(Cors::by_envoy(origins.collect(), is_true(cors, &["allowCredentials"])))
}

/// The CORS that Istio answers for a route of a VirtualService.
pub(crate) fn of_mesh(route: &str) -> Option<Cors> {
    let cors = at(route, &["corsPolicy"])?;
    let matches = items(cors, &["allowOrigins"]).into_iter().map(|origin| match text(origin.get(), &["exact"]) {
        Some(exact) => Some(exact.to_string()),
        None => every(&text(origin.get(), &["regex"])?),
    });
    // An older field, of exact origins.
    let exact = texts(cors, &["allowOrigin"]).into_iter().map(Some);
    Some(Cors::by_envoy(matches.chain(exact).collect(), is_true(cors, &["allowCredentials"])))
}

/// Returns the CORS that Traefik answers with a Middleware, if it answers any. A chain or a plugin may answer CORS that
/// is not read.
pub(crate) fn of_middleware(middleware: &str) -> Option<Cors> {
    let spec = at(middleware, &["spec"])?;
    if ["chain", "plugin"].iter().any(|kind| at(spec, &[kind]).is_some()) {
        return Some(Cors::by_traefik(None, false));
    }
    let headers = at(spec, &["headers"])?;
    let origins = texts(headers, &["accessControlAllowOriginList"]);
    let is_unread = !items(headers, &["accessControlAllowOriginListRegex"]).is_empty()
        || at(headers, &["customResponseHeaders"]).is_some_and(says_origin);
    let with_credentials = is_true(headers, &["accessControlAllowCredentials"]);
    (is_unread || !origins.is_empty()).then(|| Cors::by_traefik((!is_unread).then_some(origins), with_credentials))
}

/// Returns the CORS that the middlewares of a route answer, by their names. If a middleware is not found, it is not
/// known.
///
/// # Errors
///
/// Why the middlewares are not known.
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

/// Adds the hosts from which a route leads to one of the given Services of a namespace.
pub(super) fn add_hosts(
    kind: Listed,
    found: &Found,
    (namespace, services): (&str, &BTreeSet<String>),
    objects: &Objects,
    hosts: &mut Hosts,
) -> Result<(), String> {
    for proxy in Proxy::each(kind, found) {
        if proxy.is_grpc || !proxy.leads_to(namespace, services) {
            continue;
        }
        let route = found.title(kind);
        let cors = match proxy.cors {
            None => by_middlewares(proxy.middlewares, objects)?,
            cors => cors,
        };
        for name in proxy.hosts {
            if name.is_empty() {
                hosts.doubt = Some(format!("could not read which hosts {route} accepts"));
                continue;
            }
            hosts.add(RouteHost { name, has_tls: proxy.has_tls, route: route.clone(), cors: cors.clone() })?;
        }
    }
    Ok(())
}

/// The namespaces that routes lead to from a host.
#[cfg(feature = "flyte-console-url")]
pub(super) fn namespaces(kind: Listed, found: &Found, host: &str) -> Vec<String> {
    let proxies = Proxy::each(kind, found).into_iter().filter(|proxy| proxy.hosts.iter().any(|own| own == host));
    proxies.flat_map(|proxy| proxy.to).map(|(namespace, _)| namespace).collect()
}

//! The hosts from which pods are reached: by Ingresses, and by the routes of Gateway API, OpenShift, Contour, Traefik
//! and Istio.

use std::collections::BTreeSet;

use super::{gateway, ingress, objects::Objects, openshift, proxies};
use crate::{admin_config::decode, host::Listed, verdict::Shortened, view::view, workload::Labels};

view! {
    struct Service<'a> {
        "spec" => spec: ServiceSpec<'a>,
    }

    struct ServiceSpec<'a> {
        "selector" => selector: Labels<'a>,
    }
}

/// A host from which a route leads to pods.
pub(crate) struct RouteHost {
    pub(crate) name: String,
    pub(crate) has_tls: bool,
    /// The title of the route: `Ingress flyte/flyte-core`.
    pub(crate) route: String,
    /// The CORS that is answered in place of the pods, if any.
    pub(crate) cors: Option<Cors>,
}

/// CORS that is answered in front of pods.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Cors {
    /// The part of the route that sets it.
    pub(crate) by: &'static str,
    /// The origins, `*` for any; inside an origin it stands for one label. `None` if it is not known whether anything is answered.
    pub(crate) origins: Option<Vec<String>>,
    /// Whether calls may carry credentials.
    pub(crate) with_credentials: bool,
    /// Whether `*` is answered with the origin of the caller, which browsers accept, and not with `*` itself.
    pub(crate) is_echoed: bool,
    /// Whether `*` inside an origin is a wildcard, rather than itself.
    pub(crate) has_wildcards: bool,
}

const ANY: &str = "*";

impl Cors {
    /// The CORS of ingress-nginx, by its annotations `cors-allow-origin` and `cors-allow-credentials`.
    pub(crate) fn by_nginx(origins: Option<&str>, credentials: Option<&str>) -> Self {
        let listed = origins.unwrap_or(ANY).split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let mut origins: Vec<String> = listed.map(str::to_owned).collect();
        // `Parse` of its `annotations/cors` reads a list that contains `*` as `*`.
        if origins.iter().any(|origin| origin == ANY) {
            origins = vec![ANY.to_owned()];
        }
        Self {
            by: "annotations for ingress-nginx",
            origins: Some(origins),
            with_credentials: credentials.is_none_or(|said| decode::parse_bool(said) != Ok(false)),
            is_echoed: false,
            has_wildcards: true,
        }
    }

    /// The CORS of a Gateway API filter.
    pub(crate) fn by_filter(origins: Vec<String>, with_credentials: bool) -> Self {
        let origins = Some(origins);
        Self { by: "CORS filter", origins, with_credentials, is_echoed: true, has_wildcards: true }
    }

    /// The CORS that Contour or Istio let Envoy answer: the origin of the caller, if the list has it or `*`. In
    /// `listed`, a pattern is `None`.
    pub(crate) fn by_envoy(listed: Vec<Option<String>>, with_credentials: bool) -> Self {
        let has_any = listed.iter().flatten().any(|origin| origin == ANY);
        // With `*` no pattern matters, and the other origins keep their places.
        let place = |origin: Option<String>| origin.or(has_any.then(String::new));
        let origins = listed.into_iter().map(place).collect();
        Self { by: "corsPolicy", origins, with_credentials, is_echoed: true, has_wildcards: false }
    }

    /// CORS that may be answered, but is not read.
    pub(crate) fn unread(by: &'static str) -> Self {
        Self { by, ..Self::default() }
    }

    /// The CORS of Traefik's middlewares: `*` if the list has that.
    pub(crate) fn by_traefik(origins: Option<Vec<String>>, with_credentials: bool) -> Self {
        Self { by: "Traefik's Middleware", origins, with_credentials, is_echoed: false, has_wildcards: false }
    }

    /// Whether browsers let a page of that origin call with credentials.
    #[cfg(feature = "flyte-console-url")]
    pub(crate) fn allows(&self, origin: &str) -> bool {
        let is_it = |listed: &String| {
            let label = || {
                listed.split_once("*.").and_then(|(before, behind)| origin.strip_prefix(before)?.strip_suffix(behind))
            };
            listed == origin
                || self.has_wildcards
                    && label().is_some_and(|label| label.len() > 1 && !label[..label.len() - 1].contains(['.', '/']))
        };
        self.with_credentials && self.origins.iter().flatten().any(is_it)
    }

    /// Whether every origin is allowed with credentials: `*` is answered with the origin of the caller.
    #[cfg(feature = "flyte-console-url")]
    pub(crate) fn lets_in_all(&self) -> bool {
        let is_any = |listed: &String| listed == ANY || self.has_wildcards && listed == "https://*";
        self.is_echoed && self.with_credentials && self.origins.iter().flatten().any(is_any)
    }
}

/// `*` for a pattern that matches every origin; other patterns are not read.
pub(crate) fn every(pattern: &str) -> Option<String> {
    [".*", ".+", "^.*$", "^.+$"].contains(&pattern).then(|| ANY.to_owned())
}

/// Whether a text, of a snippet or of headers, names the header that allows an origin.
pub(crate) fn says_origin(text: &str) -> bool {
    text.to_ascii_lowercase().contains("access-control-allow-origin")
}

/// The hosts from which routes lead to pods.
#[derive(Default)]
pub(crate) struct Hosts {
    /// Each host once.
    pub(crate) named: Vec<RouteHost>,
    /// Why there may be more.
    pub(crate) doubt: Option<String>,
}

impl Hosts {
    /// Nothing is reached from more hosts than this.
    const MOST: usize = 50;

    /// Adds a host. A host without a name, or with a `*`, is recorded as a doubt.
    ///
    /// # Errors
    ///
    /// There are too many.
    pub(super) fn add(&mut self, host: RouteHost) -> Result<(), String> {
        let RouteHost { name, has_tls, route, cors } = &host;
        let is_known = |known: &RouteHost| known.name == *name && known.has_tls == *has_tls && known.cors == *cors;
        if name.is_empty() || name.contains('*') {
            let name = if name.is_empty() { "any host".to_owned() } else { format!("`{}`", Shortened(name)) };
            self.doubt = Some(format!("{route} accepts requests for {name}"));
        } else if self.named.len() == Self::MOST {
            return Err(format!("found more than {} hosts, too many to check", Self::MOST));
        } else if !self.named.iter().any(is_known) {
            self.named.push(host);
        }
        Ok(())
    }
}

/// The Services of a namespace that select pods with these labels.
///
/// # Errors
///
/// Why they are not known.
pub(crate) fn services(
    objects: &Objects,
    namespace: &str,
    labels: Option<&Labels>,
) -> Result<BTreeSet<String>, String> {
    let mut services = BTreeSet::new();
    objects.each(Listed::Service, Some(namespace), |found| {
        let selector = found.read_fields::<Service>(Listed::Service)?.spec.and_then(|spec| spec.selector);
        if selector.is_some_and(|selector| selector.selects(labels)) {
            services.insert(found.name.clone());
        }
        Ok(())
    })?;
    Ok(services)
}

/// The kinds of routes that lead to Services of other namespaces too.
const WITH_NAMESPACES: [Listed; 4] =
    [Listed::HttpRoute, Listed::HttpProxy, Listed::IngressRoute, Listed::VirtualService];

/// Returns the namespaces that routes lead to from a host: all of them, or at most `within`.
///
/// # Errors
///
/// Why they are not known.
#[cfg(feature = "flyte-console-url")]
pub(crate) fn namespaces(objects: &Objects, within: Option<&str>, host: &str) -> Result<BTreeSet<String>, String> {
    type IsFor = fn(&super::objects::Found, &str) -> Result<bool, String>;
    const KINDS: [(Listed, IsFor); 2] = [(Listed::Ingress, ingress::is_for), (Listed::Route, openshift::is_for)];
    let mut namespaces = BTreeSet::new();
    for (kind, is_for) in KINDS {
        objects.each(kind, within, |found| {
            if is_for(found, host)? {
                namespaces.insert(found.namespace.clone());
            }
            Ok(())
        })?;
    }
    // These lead to other namespaces too.
    for kind in WITH_NAMESPACES {
        objects.each(kind, None, |found| {
            let led = match kind {
                Listed::HttpRoute => gateway::namespaces(found, host)?,
                _ => proxies::namespaces(kind, found, host),
            };
            namespaces.extend(led.into_iter().filter(|led| within.is_none_or(|within| within == led)));
            Ok(())
        })?;
    }
    Ok(namespaces)
}

/// Returns the hosts from which routes lead to the given Services of a namespace.
///
/// # Errors
///
/// Why they are not known.
pub(crate) fn hosts(objects: &Objects, namespace: &str, services: &BTreeSet<String>) -> Result<Hosts, String> {
    let mut hosts = Hosts::default();
    objects.each(Listed::Ingress, Some(namespace), |found| ingress::add_hosts(found, services, objects, &mut hosts))?;
    objects.each(Listed::Route, Some(namespace), |found| openshift::add_hosts(found, services, &mut hosts))?;
    for kind in WITH_NAMESPACES {
        let to = (namespace, services);
        objects.each(kind, None, |found| match kind {
            Listed::HttpRoute => gateway::add_hosts(found, to, objects, &mut hosts),
            _ => proxies::add_hosts(kind, found, to, objects, &mut hosts),
        })?;
    }
    Ok(hosts)
}

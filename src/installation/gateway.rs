//! Gateway API: routes that lead to Services, and the Gateways whose listeners they are attached to.
//!
//! Source: `apis/v1/{httproute,grpcroute,gateway,shared}_types.go` of
//! [kubernetes-sigs/gateway-api](https://github.com/kubernetes-sigs/gateway-api) v1.4.

use std::collections::BTreeSet;
#[cfg(feature = "flyte-oauth-tls")]
use std::rc::Rc;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{
    objects::{Found, Objects},
    routes::{Cors, Hosts, RouteHost},
};
#[cfg(feature = "flyte2-exposure")]
use crate::admission;
use crate::{host::Listed, text::Text, view::view};

view! {
    /// A HTTPRoute or a GRPCRoute.
    pub(crate) struct Route<'a> {
        "spec" => spec: RouteSpec<'a>,
    }

    struct RouteSpec<'a> {
        "parentRefs" => parents: Vec<Reference<'a>>,
        "hostnames" => hostnames: Vec<Text<'a>>,
        "rules" => rules: Vec<Rule<'a>>,
    }

    struct Rule<'a> {
        /// The requests that it is for, a list, yet to be read.
        "matches" if "flyte2-exposure" => matches: &'a RawValue,
        "backendRefs" => backends: Vec<Reference<'a>>,
        "filters" => filters: Vec<Filter<'a>>,
    }

    struct Match<'a> {
        "path" => path: MatchedPath<'a>,
    }

    struct MatchedPath<'a> {
        "value" => value: Text<'a>,
    }

    struct Filter<'a> {
        "cors" => cors: CorsFilter<'a>,
        "extensionRef" => extension: IgnoredAny,
        /// What it does to the headers of answers, yet to be read.
        "responseHeaderModifier" if "flyte2-exposure" => modifier: &'a RawValue,
    }

    struct HeaderModifier<'a> {
        "remove" => remove: Vec<Text<'a>>,
    }

    struct CorsFilter<'a> {
        "allowOrigins" => origins: Vec<Text<'a>>,
        "allowCredentials" => credentials: bool,
    }

    struct Gateway<'a> {
        "spec" => spec: GatewaySpec<'a>,
    }

    struct GatewaySpec<'a> {
        "listeners" => listeners: Vec<Listener<'a>>,
    }

    struct Listener<'a> {
        "name" => name: Text<'a>,
        "hostname" => hostname: Text<'a>,
        "protocol" => protocol: Text<'a>,
        "port" => port: &'a RawValue,
        "tls" => tls: Tls<'a>,
        "allowedRoutes" => allowed: Allowed<'a>,
    }

    struct Allowed<'a> {
        "namespaces" => namespaces: Namespaces<'a>,
        "kinds" => kinds: Vec<Reference<'a>>,
    }

    struct Namespaces<'a> {
        "from" => from: Text<'a>,
    }

    struct Tls<'a> {
        "certificateRefs" => certificates: Vec<Reference<'a>>,
    }

    /// A reference to a Gateway, a Service or a Secret; in the own namespace where it names none.
    struct Reference<'a> {
        "kind" => kind: Text<'a>,
        "namespace" => namespace: Text<'a>,
        "name" => name: Text<'a>,
        "sectionName" => section: Text<'a>,
        "port" => port: &'a RawValue,
        "weight" => weight: &'a RawValue,
    }
}

impl Reference<'_> {
    /// Whether it is to that object; a reference of another kind is to none.
    fn is_to(&self, kind: &str, from: &str, (namespace, name): (&str, &str)) -> bool {
        self.kind.as_deref().is_none_or(|own| own == kind)
            && self.namespace.as_deref().unwrap_or(from) == namespace
            && self.name.as_deref() == Some(name)
    }
}

impl<'a> Route<'a> {
    fn hostnames(&self) -> impl Iterator<Item = &str> {
        self.spec.iter().flat_map(|spec| spec.hostnames.iter().flatten()).map(|name| &**name)
    }

    /// The rules that lead to one of some Services of its namespace.
    fn rules_to<'s>(
        &'s self,
        namespace: &'s str,
        services: &'s BTreeSet<String>,
    ) -> impl Iterator<Item = &'s Rule<'a>> {
        let leads = move |backend: &Reference| {
            let name = backend.name.as_deref().filter(|name| services.contains(*name));
            // What has no weight gets no request.
            backend.weight.is_none_or(|weight| weight.get() != "0")
                && name.is_some_and(|name| backend.is_to("Service", namespace, (namespace, name)))
        };
        let rules = self.spec.iter().flat_map(|spec| spec.rules.iter().flatten());
        rules.filter(move |rule| rule.backends.iter().flatten().any(leads))
    }

    /// What answers CORS in place of a Service, where every rule that leads there says so.
    fn cors(&self, namespace: &str, services: &BTreeSet<String>) -> Option<Cors> {
        let cors = |rule: &Rule| {
            let filters = || rule.filters.iter().flatten();
            let extension = filters().any(|filter| filter.extension.is_some());
            let unknown = || Cors { by: "a filter that it refers to", ..Cors::default() };
            filters().find_map(|filter| filter.cors.as_ref()).map(CorsFilter::cors).or(extension.then(unknown))
        };
        let mut each = self.rules_to(namespace, services).map(cors);
        let first = each.next()??;
        each.all(|cors| cors.is_some()).then_some(first)
    }
}

/// What a route says of who is let in.
#[cfg(feature = "flyte2-exposure")]
impl Route<'_> {
    /// The paths from which it leads to one of some Services of its namespace; "" for all of a rule's.
    pub(crate) fn paths_to(&self, namespace: &str, services: &BTreeSet<String>) -> Vec<String> {
        let mut paths = Vec::new();
        for rule in self.rules_to(namespace, services) {
            let matches =
                rule.matches.and_then(|matches| admission::read::<Option<Vec<Match>>>(matches).ok().flatten());
            let before = paths.len();
            paths.extend(matches.iter().flatten().map(|one| {
                let path = one.path.as_ref().and_then(|path| path.value.as_deref());
                path.unwrap_or_default().to_owned()
            }));
            if paths.len() == before {
                paths.push(String::new());
            }
        }
        paths
    }

    /// Whether a filter that somebody else defines is in front of some Services.
    pub(crate) fn has_extension(&self, namespace: &str, services: &BTreeSet<String>) -> bool {
        let mut filters = self.rules_to(namespace, services).flat_map(|rule| rule.filters.iter().flatten());
        filters.any(|filter| filter.extension.is_some())
    }

    /// Whether it removes a header from all that some Services answer.
    pub(crate) fn removes(&self, header: &str, namespace: &str, services: &BTreeSet<String>) -> bool {
        let removes = |filter: &Filter| {
            let modifier = filter.modifier.and_then(|modifier| admission::read::<HeaderModifier>(modifier).ok());
            modifier
                .is_some_and(|modifier| modifier.remove.iter().flatten().any(|name| name.eq_ignore_ascii_case(header)))
        };
        self.rules_to(namespace, services).all(|rule| rule.filters.iter().flatten().any(removes))
    }

    /// The kinds and names of what it is attached to.
    pub(crate) fn parents(&self) -> impl Iterator<Item = (&str, &str)> {
        let parents = self.spec.iter().flat_map(|spec| spec.parents.iter().flatten());
        parents.map(|parent| (parent.kind.as_deref().unwrap_or("Gateway"), parent.name.as_deref().unwrap_or_default()))
    }

    /// Whether it leads in from outside, rather than within a mesh.
    pub(crate) fn is_of_gateway(&self) -> bool {
        self.parents().any(|(kind, _)| kind == "Gateway")
    }
}

impl CorsFilter<'_> {
    fn cors(&self) -> Cors {
        Cors {
            by: "its CORS filter",
            origins: Some(self.origins.iter().flatten().map(|origin| origin.to_string()).collect()),
            with_credentials: self.credentials == Some(true),
            is_echoed: true,
        }
    }
}

impl Listener<'_> {
    /// Whether requests to a host are its: `*.example.com` stands for one label and more.
    fn takes(&self, host: &str) -> bool {
        match self.hostname.as_deref().unwrap_or_default() {
            "" => true,
            own => own == host || own.strip_prefix('*').is_some_and(|domain| host.ends_with(domain)),
        }
    }

    fn has_tls(&self) -> bool {
        matches!(self.protocol.as_deref(), Some("HTTPS" | "TLS"))
    }

    /// Whether it lets in a route of that kind and namespace; which namespaces a selector selects is not known.
    fn lets_in(&self, kind: Listed, is_own_namespace: bool) -> bool {
        let allowed = self.allowed.as_ref();
        let namespaces = allowed.and_then(|allowed| allowed.namespaces.as_ref());
        let from = namespaces.and_then(|namespaces| namespaces.from.as_deref()).unwrap_or("Same");
        let kinds = allowed.and_then(|allowed| allowed.kinds.as_ref()).filter(|kinds| !kinds.is_empty());
        let is_kind = |allowed: &Reference| allowed.kind.as_deref() == Some(kind.kind().1);
        (from != "Same" || is_own_namespace) && kinds.is_none_or(|kinds| kinds.iter().any(is_kind))
    }

    /// Whether it presents its certificate to clients of a host, rather than another listener that names more of it.
    fn presents_to(&self, host: &str, others: &[Listener]) -> bool {
        let length = |listener: &Listener| listener.hostname.as_deref().unwrap_or_default().len();
        let is_closer = |other: &Listener| other.has_tls() && other.takes(host) && length(other) > length(self);
        self.takes(host) && !others.iter().any(is_closer)
    }
}

/// What is done with a Gateway, one of its listeners, and all of them.
type Attached<'f> = dyn FnMut(&Found, &Listener, &[Listener]) -> Result<(), String> + 'f;

/// The names of the Services that lead somewhere in a namespace.
#[cfg(feature = "flyte-oauth-tls")]
type Services<'f> = dyn FnMut(&str) -> Result<Rc<BTreeSet<String>>, String> + 'f;

/// Gives each listener that a route is attached to, with its Gateway and all listeners of that, to `each`. Whether the route may
/// lead somewhere: it is attached to one, or to a Gateway that is not seen.
fn each_listener(
    objects: &Objects,
    kind: Listed,
    (found, route): (&Found, &Route),
    each: &mut Attached,
) -> Result<bool, String> {
    let parents = || {
        let parents = route.spec.iter().flat_map(|spec| spec.parents.iter().flatten());
        // The others are a mesh's, which leads from no browser.
        parents.filter(|parent| parent.kind.as_deref().is_none_or(|kind| kind == "Gateway"))
    };
    let (mut seen, mut is_attached) = (0, false);
    objects.each(Listed::Gateway, None, |gateway| {
        let is_to_it =
            |parent: &&Reference| parent.is_to("Gateway", &found.namespace, (&gateway.namespace, &gateway.name));
        let parents: Vec<&Reference> = parents().filter(is_to_it).collect();
        if parents.is_empty() {
            return Ok(());
        }
        seen += parents.len();
        let listeners =
            gateway.read::<Gateway>(Listed::Gateway)?.spec.unwrap_or_default().listeners.unwrap_or_default();
        for listener in &listeners {
            let is_meant = |parent: &&Reference| {
                (parent.section.is_none() || parent.section == listener.name)
                    && (parent.port.is_none() || parent.port.map(RawValue::get) == listener.port.map(RawValue::get))
            };
            if parents.iter().any(is_meant) && listener.lets_in(kind, gateway.namespace == found.namespace) {
                is_attached = true;
                each(gateway, listener, &listeners)?;
            }
        }
        Ok(())
    })?;
    Ok(is_attached || parents().count() > seen)
}

/// Adds the hosts from which a HTTPRoute leads to some Services of its namespace.
pub(super) fn add_hosts(
    found: &Found,
    services: &BTreeSet<String>,
    objects: &Objects,
    hosts: &mut Hosts,
) -> Result<(), String> {
    let route: Route = found.read(Listed::HttpRoute)?;
    if route.rules_to(&found.namespace, services).next().is_none() {
        return Ok(());
    }
    let cors = route.cors(&found.namespace, services);
    // A route has the names of its listeners where it has none of its own.
    let mut names: Vec<(String, bool)> = route.hostnames().map(|name| (name.to_owned(), false)).collect();
    let has_none = names.is_empty();
    let leads = each_listener(objects, Listed::HttpRoute, (found, &route), &mut |_, listener, _| {
        if has_none {
            names.push((listener.hostname.as_deref().unwrap_or_default().to_owned(), listener.has_tls()));
        }
        for (name, has_tls) in &mut names {
            *has_tls |= listener.has_tls() && listener.takes(name);
        }
        Ok(())
    })?;
    if !leads {
        return Ok(());
    }
    if names.is_empty() {
        names.push((String::new(), false));
    }
    names.into_iter().try_for_each(|(name, has_tls)| {
        hosts.add(RouteHost { name, has_tls, route: found.title(Listed::HttpRoute), cors: cors.clone() })
    })
}

/// Whether a HTTPRoute is for a host.
#[cfg(feature = "flyte-console-url")]
pub(super) fn is_for(found: &Found, host: &str) -> Result<bool, String> {
    Ok(found.read::<Route>(Listed::HttpRoute)?.hostnames().any(|name| name == host))
}

/// A certificate that a Gateway presents for a route.
#[cfg(feature = "flyte-oauth-tls")]
pub(super) struct AtGateway<'g> {
    /// The namespace and the name of the Secret.
    pub(super) secret: (&'g str, &'g str),
    /// The route, as people name it.
    pub(super) route: &'g str,
    /// The namespace of the route, and of the Service.
    pub(super) namespace: &'g str,
    /// The Gateway, as people name it.
    pub(super) gateway: &'g str,
    /// The hosts for which the route has it; none where that is every host.
    pub(super) hosts: &'g [&'g str],
}

/// Gives each certificate that Gateways present for routes to Services to `each`. The Services are those that `services` says of
/// a namespace.
#[cfg(feature = "flyte-oauth-tls")]
pub(super) fn each_certificate(
    objects: &Objects,
    services: &mut Services,
    each: &mut dyn FnMut(&AtGateway) -> Result<(), String>,
) -> Result<(), String> {
    for kind in [Listed::HttpRoute, Listed::GrpcRoute] {
        objects.each(kind, None, |found| {
            let route: Route = found.read(kind)?;
            let services = services(&found.namespace)?;
            if route.rules_to(&found.namespace, &services).next().is_none() {
                return Ok(());
            }
            let title = found.title(kind);
            each_listener(objects, kind, (found, &route), &mut |gateway, listener, listeners| {
                let mut hosts: Vec<&str> =
                    route.hostnames().filter(|host| listener.presents_to(host, listeners)).collect();
                if route.hostnames().next().is_none() {
                    hosts.extend(listener.hostname.as_deref());
                } else if hosts.is_empty() {
                    return Ok(());
                }
                let certificates = listener.tls.iter().flat_map(|tls| tls.certificates.iter().flatten());
                for certificate in certificates {
                    let namespace = certificate.namespace.as_deref().unwrap_or(&gateway.namespace);
                    let secret = (namespace, certificate.name.as_deref().unwrap_or_default());
                    let gateway = &gateway.title(Listed::Gateway);
                    each(&AtGateway { secret, route: &title, namespace: &found.namespace, gateway, hosts: &hosts })?;
                }
                Ok(())
            })
            .map(|_| ())
        })?;
    }
    Ok(())
}

/// Whether a HTTPRoute or a GRPCRoute of a namespace leads to one of some Services.
#[cfg(feature = "flyte-oauth-tls")]
pub(super) fn leads_to(objects: &Objects, namespace: &str, services: &BTreeSet<String>) -> Result<bool, String> {
    for kind in [Listed::HttpRoute, Listed::GrpcRoute] {
        let leads =
            |found: &Found| Ok(found.read::<Route>(kind)?.rules_to(namespace, services).next().is_some().then_some(()));
        if objects.find(kind, Some(namespace), leads)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a listener of a Gateway presents a Secret, for whatever route.
#[cfg(feature = "flyte-oauth-tls")]
pub(super) fn names(objects: &Objects, secret: (&str, &str)) -> Result<bool, String> {
    let named = objects.find(Listed::Gateway, None, |gateway| {
        let spec = gateway.read::<Gateway>(Listed::Gateway)?.spec.unwrap_or_default();
        let tls = spec.listeners.iter().flatten().filter_map(|listener| listener.tls.as_ref());
        let mut certificates = tls.flat_map(|tls| tls.certificates.iter().flatten());
        Ok(certificates.any(|certificate| certificate.is_to("Secret", &gateway.namespace, secret)).then_some(()))
    })?;
    Ok(named.is_some())
}

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
    routes::{Cors, Hosts, RouteHost, says_origin},
};
#[cfg(feature = "flyte2-exposure")]
use crate::admission;
use crate::{edit, host::Listed, text::Text, view::view};

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
        /// Of a GRPCRoute the service and its method, of a HTTPRoute the verb.
        "method" => method: &'a RawValue,
    }

    struct MatchedPath<'a> {
        "value" => value: Text<'a>,
    }

    struct MatchedMethod<'a> {
        "service" => service: Text<'a>,
        "method" => method: Text<'a>,
    }

    struct Filter<'a> {
        "cors" => cors: CorsFilter<'a>,
        "extensionRef" => extension: IgnoredAny,
        /// What it does to the headers of answers, yet to be read.
        "responseHeaderModifier" => modifier: &'a RawValue,
        /// What it does to the headers of requests, yet to be read.
        "requestHeaderModifier" if "flyte2-exposure" => of_requests: &'a RawValue,
        /// Another path than the one that was asked for, yet to be read.
        "urlRewrite" if "flyte2-exposure" => rewrite: &'a RawValue,
        /// Who gets a copy of each request, yet to be read.
        "requestMirror" if "flyte2-exposure" => mirror: &'a RawValue,
    }

    struct Mirror<'a> {
        "backendRef" => backend: Reference<'a>,
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

    /// Whether requests are led there: what has no weight gets none.
    fn gets_requests(&self) -> bool {
        self.weight.is_none_or(|weight| weight.get() != "0")
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
        self.rules().filter(move |rule| rule.leads_to(namespace, services))
    }

    fn rules(&self) -> impl Iterator<Item = &Rule<'a>> {
        self.spec.iter().flat_map(|spec| spec.rules.iter().flatten())
    }

    /// What answers CORS in place of a Service, where every rule that leads there says so.
    fn cors(&self, namespace: &str, services: &BTreeSet<String>) -> Option<Cors> {
        let cors = |rule: &Rule| {
            let filters = || rule.filters.iter().flatten();
            let extension = filters().any(|filter| filter.extension.is_some());
            let modifies = |filter: &Filter| filter.modifier.is_some_and(|modifier| sets_origin(modifier.get()));
            let known = filters().find_map(|filter| filter.cors.as_ref()).map(CorsFilter::cors);
            known
                .or(extension.then(|| Cors::unread("a filter that it refers to")))
                .or(filters().any(modifies).then(|| Cors::unread("its responseHeaderModifier")))
        };
        let mut each = self.rules_to(namespace, services).map(cors);
        let first = each.next()??;
        each.all(|cors| cors.is_some()).then_some(first)
    }
}

impl Rule<'_> {
    /// Whether it leads to one of some Services of its namespace.
    fn leads_to(&self, namespace: &str, services: &BTreeSet<String>) -> bool {
        self.backends.iter().flatten().any(|backend| {
            let name = backend.name.as_deref().filter(|name| services.contains(*name));
            backend.gets_requests() && name.is_some_and(|name| backend.is_to("Service", namespace, (namespace, name)))
        })
    }
}

/// Whether a Service leads somewhere by a port: its namespace, its name, and the port's number.
#[cfg(feature = "flyte2-exposure")]
pub(crate) type Leads<'f> = dyn Fn(&str, &str, Option<&str>) -> bool + 'f;

/// What a route does with the requests that it leads somewhere.
#[cfg(feature = "flyte2-exposure")]
pub(crate) struct Led {
    /// Their paths; "" for all.
    pub(crate) paths: Vec<String>,
    /// Whether a filter that somebody else defines is in front.
    pub(crate) has_extension: bool,
    /// Whether a header is removed from all answers.
    pub(crate) is_removed: bool,
    /// Whether headers go through by which callers say who they are.
    pub(crate) passes_identity: bool,
}

/// A Gateway that a route is attached to.
#[cfg(feature = "flyte2-exposure")]
pub(crate) struct Parent<'r> {
    pub(crate) namespace: &'r str,
    pub(crate) name: &'r str,
    /// The listener, if it is attached to one.
    pub(crate) section: Option<&'r str>,
}

/// What a route says of who is let in.
#[cfg(feature = "flyte2-exposure")]
impl Route<'_> {
    /// What a route of a namespace does with the requests that it leads somewhere; `header` is one of the answers, and
    /// `has_identity` says whether headers that are removed from requests are those by which callers say who they are.
    pub(crate) fn led(&self, from: &str, leads: &Leads, header: &str, has_identity: &dyn Fn(&[Text]) -> bool) -> Led {
        let mut led = Led { paths: Vec::new(), has_extension: false, is_removed: true, passes_identity: false };
        for rule in self.rules().filter(|rule| rule.leads(from, leads)) {
            let filters = || rule.filters.iter().flatten();
            let before = led.paths.len();
            // Where the path is another behind the route, that it is for everybody says nothing.
            if !filters().any(|filter| filter.rewrite.is_some()) {
                let matches =
                    rule.matches.and_then(|matches| admission::read::<Option<Vec<Match>>>(matches).ok().flatten());
                led.paths.extend(matches.iter().flatten().map(Match::path));
            }
            if led.paths.len() == before {
                led.paths.push(String::new());
            }
            led.has_extension |= filters().any(|filter| filter.extension.is_some());
            led.is_removed &= filters().any(|filter| filter.removes(header));
            let of_requests = |filter: &Filter| {
                let modifier = filter.of_requests.and_then(|headers| admission::read::<HeaderModifier>(headers).ok());
                modifier.and_then(|modifier| modifier.remove).is_some_and(|removed| has_identity(&removed))
            };
            led.passes_identity |= !filters().any(of_requests);
        }
        led
    }

    /// The namespaces of what a route of a namespace leads to, each once.
    pub(crate) fn namespaces<'r>(&'r self, from: &'r str) -> Vec<&'r str> {
        let mut namespaces = vec![from];
        for backend in self.rules().flat_map(|rule| rule.backends.iter().flatten()) {
            let namespace = backend.namespace.as_deref().unwrap_or(from);
            if !namespaces.contains(&namespace) {
                namespaces.push(namespace);
            }
        }
        namespaces
    }

    /// The Gateways that a route of a namespace is attached to, or what stands for one, such as a ListenerSet; only a mesh's Service
    /// leads nobody in.
    pub(crate) fn gateways<'r>(&'r self, from: &'r str) -> Vec<Parent<'r>> {
        let parents = self.spec.iter().flat_map(|spec| spec.parents.iter().flatten());
        let gateways = parents.filter(|parent| parent.kind.as_deref() != Some("Service"));
        let parent = |parent: &'r Reference| Parent {
            namespace: parent.namespace.as_deref().unwrap_or(from),
            name: parent.name.as_deref().unwrap_or_default(),
            section: parent.section.as_deref(),
        };
        gateways.map(parent).collect()
    }
}

#[cfg(feature = "flyte2-exposure")]
impl Rule<'_> {
    fn leads(&self, from: &str, leads: &Leads) -> bool {
        let to = |backend: &Reference| {
            let namespace = backend.namespace.as_deref().unwrap_or(from);
            backend.gets_requests()
                && backend.kind.as_deref().is_none_or(|kind| kind == "Service")
                && backend.name.as_deref().is_some_and(|name| leads(namespace, name, backend.port.map(RawValue::get)))
        };
        let mirrors = |filter: &Filter| {
            let mirror = filter.mirror.and_then(|mirror| admission::read::<Mirror>(mirror).ok()?.backend);
            mirror.is_some_and(|backend| to(&backend))
        };
        self.backends.iter().flatten().any(to) || self.filters.iter().flatten().any(mirrors)
    }
}

#[cfg(feature = "flyte2-exposure")]
impl Match<'_> {
    /// The path of the requests that it is for; "" for all.
    fn path(&self) -> String {
        if let Some(path) = self.path.as_ref().and_then(|path| path.value.as_deref()) {
            return path.to_owned();
        }
        let method = self.method.filter(|method| method.get().starts_with('{'));
        let method = method.and_then(|method| admission::read::<MatchedMethod>(method).ok()).unwrap_or_default();
        let service = method.service.as_deref().filter(|service| !service.is_empty());
        match (service, method.method.as_deref()) {
            (Some(service), Some(method)) => format!("/{service}/{method}"),
            (Some(service), None) => format!("/{service}"),
            (None, _) => String::new(),
        }
    }
}

#[cfg(feature = "flyte2-exposure")]
impl Filter<'_> {
    /// Whether it removes a header from answers.
    fn removes(&self, header: &str) -> bool {
        let modifier = self.modifier.and_then(|modifier| admission::read::<HeaderModifier>(modifier).ok());
        modifier.is_some_and(|modifier| modifier.remove.iter().flatten().any(|name| name.eq_ignore_ascii_case(header)))
    }
}

/// Whether headers of answers are set, the one among them that says which origin is allowed.
fn sets_origin(modifier: &str) -> bool {
    says_origin(modifier) && ["\"set\"", "\"add\""].iter().any(|how| modifier.contains(how))
}

impl CorsFilter<'_> {
    fn cors(&self) -> Cors {
        let origins = self.origins.iter().flatten().map(|origin| origin.to_string()).collect();
        Cors::by_filter(origins, self.credentials == Some(true))
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
        // A Service is a mesh's, which leads from no browser.
        parents.filter(|parent| parent.kind.as_deref() != Some("Service"))
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

/// That one of Envoy Gateway's policies may answer CORS for a route: one with `cors`, in its namespace or in that of one of its Gateways.
fn by_security_policy(found: &Found, route: &Route, objects: &Objects) -> Result<Option<Cors>, String> {
    let parents = || route.spec.iter().flat_map(|spec| spec.parents.iter().flatten());
    let answers = objects.find(Listed::SecurityPolicy, None, |policy| {
        let is_near = policy.namespace == found.namespace
            || parents().any(|parent| parent.namespace.as_deref() == Some(&*policy.namespace));
        Ok((is_near && edit::at(policy.object.get(), &["spec", "cors"]).is_some()).then_some(()))
    })?;
    Ok(answers.map(|()| Cors::unread("Envoy Gateway's SecurityPolicy")))
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
    let cors = match route.cors(&found.namespace, services) {
        None => by_security_policy(found, &route, objects)?,
        cors => cors,
    };
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

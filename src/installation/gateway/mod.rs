//! Gateway API: routes that lead to Services, and the Gateways whose listeners they are attached to.
//!
//! Source: `apis/v1/{httproute,grpcroute,gateway,shared}_types.go` of
//! [kubernetes-sigs/gateway-api](https://github.com/kubernetes-sigs/gateway-api) v1.4.

#[cfg(feature = "flyte-oauth-tls")]
pub(super) mod certificates;
#[cfg(feature = "flyte2-exposure")]
pub(crate) mod exposure;

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{
    objects::{Found, Objects},
    routes::{Cors, Hosts, RouteHost, says_origin},
};
use crate::{edit, host::Listed, text::Text, view::view};

view! {
    /// An HTTPRoute or a GRPCRoute.
    pub(crate) struct Route<'a> {
        "spec" => spec: RouteSpec<'a>,
    }

    struct RouteSpec<'a> {
        "parentRefs" => parents: Vec<Reference<'a>>,
        "hostnames" => hostnames: Vec<Text<'a>>,
        "rules" => rules: Vec<Rule<'a>>,
    }

    struct Rule<'a> {
        /// The requests that it matches, as an unparsed list.
        "matches" if "flyte2-exposure" => matches: &'a RawValue,
        "backendRefs" => backends: Vec<Reference<'a>>,
        "filters" => filters: Vec<Filter<'a>>,
    }

    struct Match<'a> {
        "path" => path: MatchedPath<'a>,
        /// For a GRPCRoute the service and its method, for an HTTPRoute the verb.
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
        /// Its changes to the headers of answers, unparsed.
        "responseHeaderModifier" => modifier: &'a RawValue,
        /// Its changes to the headers of requests, unparsed.
        "requestHeaderModifier" if "flyte2-exposure" => of_requests: &'a RawValue,
        /// Its change of the path, unparsed.
        "urlRewrite" if "flyte2-exposure" => rewrite: &'a RawValue,
        /// The target that gets a copy of each request, unparsed.
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

    /// A reference to a Gateway, a Service or a Secret. Without a namespace, it refers to its own.
    struct Reference<'a> {
        "kind" => kind: Text<'a>,
        "namespace" => namespace: Text<'a>,
        "name" => name: Text<'a>,
        "sectionName" => section: Text<'a>,
        "port" => port: &'a RawValue,
        "weight" => weight: &'a RawValue,
        /// The filters of a Service that a route leads to.
        "filters" => filters: Vec<Filter<'a>>,
    }
}

/// A namespace, and Services of it.
type To<'s> = (&'s str, &'s BTreeSet<String>);

impl Reference<'_> {
    /// Whether it refers to that object; a reference to another kind does not.
    fn is_to(&self, kind: &str, from: &str, (namespace, name): (&str, &str)) -> bool {
        self.kind.as_deref().is_none_or(|own| own == kind)
            && self.namespace.as_deref().unwrap_or(from) == namespace
            && self.name.as_deref() == Some(name)
    }

    /// Whether it leads requests from a namespace to one of the given Services.
    fn leads_to(&self, from: &str, (namespace, services): To) -> bool {
        let name = self.name.as_deref().filter(|name| services.contains(*name));
        self.gets_requests() && name.is_some_and(|name| self.is_to("Service", from, (namespace, name)))
    }

    /// Whether it gets requests: with weight 0 it gets none.
    fn gets_requests(&self) -> bool {
        self.weight.is_none_or(|weight| weight.get() != "0")
    }
}

impl<'a> Route<'a> {
    fn hostnames(&self) -> impl Iterator<Item = &str> {
        self.spec.iter().flat_map(|spec| spec.hostnames.iter().flatten()).map(|name| &**name)
    }

    /// Returns the rules of a route of a namespace that lead to one of the given Services.
    fn rules_to<'s>(&'s self, from: &'s str, to: To<'s>) -> impl Iterator<Item = &'s Rule<'a>> {
        self.rules().filter(move |rule| rule.leads_to(from, to))
    }

    fn rules(&self) -> impl Iterator<Item = &Rule<'a>> {
        self.spec.iter().flat_map(|spec| spec.rules.iter().flatten())
    }

    /// The namespaces that a route of a namespace leads to, each once.
    pub(crate) fn namespaces<'r>(&'r self, from: &'r str) -> Vec<&'r str> {
        let mut namespaces = Vec::new();
        for backend in self.rules().flat_map(|rule| rule.backends.iter().flatten()) {
            let namespace = backend.namespace.as_deref().unwrap_or(from);
            if !namespaces.contains(&namespace) {
                namespaces.push(namespace);
            }
        }
        namespaces
    }

    /// Returns the CORS that filters answer in place of the Services, if every rule that leads to them has such a
    /// filter.
    fn cors(&self, from: &str, to: To) -> Option<Cors> {
        let cors = |rule: &Rule| {
            let of_backends = rule.backends.iter().flatten().filter(|backend| backend.leads_to(from, to));
            let of_backends = of_backends.flat_map(|backend| backend.filters.iter().flatten());
            let filters = || rule.filters.iter().flatten().chain(of_backends.clone());
            let extension = filters().any(|filter| filter.extension.is_some());
            let modifies = |filter: &Filter| filter.modifier.is_some_and(|modifier| sets_origin(modifier.get()));
            let known = filters().find_map(|filter| filter.cors.as_ref()).map(CorsFilter::cors);
            known
                .or(extension.then(|| Cors::unread("a filter by reference")))
                .or(filters().any(modifies).then(|| Cors::unread("responseHeaderModifier")))
        };
        let mut each = self.rules_to(from, to).map(cors);
        let first = each.next()??;
        each.all(|cors| cors.is_some()).then_some(first)
    }
}

impl Rule<'_> {
    /// Whether the rule of a route of a namespace leads to one of the given Services.
    fn leads_to(&self, from: &str, to: To) -> bool {
        self.backends.iter().flatten().any(|backend| backend.leads_to(from, to))
    }
}

/// Whether a filter sets the header of answers that allows an origin.
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
    /// Whether requests to a host belong to it: `*.example.com` matches one or more labels.
    fn takes(&self, host: &str) -> bool {
        match self.hostname.as_deref().unwrap_or_default() {
            "" => true,
            own => own == host || own.strip_prefix('*').is_some_and(|domain| host.ends_with(domain)),
        }
    }

    fn has_tls(&self) -> bool {
        matches!(self.protocol.as_deref(), Some("HTTPS" | "TLS"))
    }

    /// Whether it accepts a route of that kind and namespace; a selector may select any namespace.
    fn lets_in(&self, kind: Listed, is_own_namespace: bool) -> bool {
        let allowed = self.allowed.as_ref();
        let namespaces = allowed.and_then(|allowed| allowed.namespaces.as_ref());
        let from = namespaces.and_then(|namespaces| namespaces.from.as_deref()).unwrap_or("Same");
        let kinds = allowed.and_then(|allowed| allowed.kinds.as_ref()).filter(|kinds| !kinds.is_empty());
        let is_kind = |allowed: &Reference| allowed.kind.as_deref() == Some(kind.kind().1);
        (from != "Same" || is_own_namespace) && kinds.is_none_or(|kinds| kinds.iter().any(is_kind))
    }
}

/// Takes a Gateway, one of its listeners, and all of its listeners.
type Attached<'f> = dyn FnMut(&Found, &Listener, &[Listener]) -> Result<(), String> + 'f;

/// Calls `each` for every listener that a route is attached to, with its Gateway and all listeners of that Gateway.
/// Returns whether the route may lead anywhere: whether it is attached to a listener, or to a Gateway that was not
/// found.
fn each_listener(
    objects: &Objects,
    kind: Listed,
    (found, route): (&Found, &Route),
    each: &mut Attached,
) -> Result<bool, String> {
    let parents = || {
        let parents = route.spec.iter().flat_map(|spec| spec.parents.iter().flatten());
        // A Service as a parent belongs to a mesh, which gets no requests from browsers.
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
            gateway.read_fields::<Gateway>(Listed::Gateway)?.spec.unwrap_or_default().listeners.unwrap_or_default();
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

/// The CORS of an Envoy Gateway policy that may apply to a route: one with `cors`, in the route's namespace or in a Gateway's.
fn by_security_policy(found: &Found, route: &Route, objects: &Objects) -> Result<Option<Cors>, String> {
    let parents = || route.spec.iter().flat_map(|spec| spec.parents.iter().flatten());
    let answers = objects.find(Listed::SecurityPolicy, None, |policy| {
        let is_near = policy.namespace == found.namespace
            || parents().any(|parent| parent.namespace.as_deref() == Some(&*policy.namespace));
        Ok((is_near && edit::at(policy.object.get(), &["spec", "cors"]).is_some()).then_some(()))
    })?;
    Ok(answers.map(|()| Cors::unread("Envoy Gateway's SecurityPolicy")))
}

/// Adds the hosts from which an HTTPRoute leads to one of the given Services of a namespace.
pub(super) fn add_hosts(found: &Found, to: To, objects: &Objects, hosts: &mut Hosts) -> Result<(), String> {
    let route: Route = found.read_fields(Listed::HttpRoute)?;
    if route.rules_to(&found.namespace, to).next().is_none() {
        return Ok(());
    }
    let cors = match route.cors(&found.namespace, to) {
        None => by_security_policy(found, &route, objects)?,
        cors => cors,
    };
    // A route without names has those of its listeners.
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

/// The namespaces that an HTTPRoute leads to from a host.
#[cfg(feature = "flyte-console-url")]
pub(super) fn namespaces(found: &Found, host: &str) -> Result<Vec<String>, String> {
    let route = found.read_fields::<Route>(Listed::HttpRoute)?;
    let is_for = route.hostnames().any(|name| name == host);
    Ok(route.namespaces(&found.namespace).into_iter().filter(|_| is_for).map(str::to_owned).collect())
}

//! Reads what routes of Gateway API do with requests to the Services that a policy asks about.

use serde_json::value::RawValue;

use super::{Filter, HeaderModifier, Match, MatchedMethod, Mirror, Reference, Route, Rule};
use crate::{admission, text::Text};

/// Whether a Service is one that the policy asks about. Takes its namespace, its name, and the port's number.
pub(crate) type Leads<'f> = dyn Fn(&str, &str, Option<&str>) -> bool + 'f;

/// The effect of a route on requests to the Services that a policy asks about.
pub(crate) struct Led {
    /// The paths of these requests; "" for all paths.
    pub(crate) paths: Vec<String>,
    /// Whether a filter that an `extensionRef` names is in front.
    pub(crate) has_extension: bool,
    /// Whether a header is removed from all answers.
    pub(crate) is_removed: bool,
    /// Whether headers that identify callers pass through.
    pub(crate) passes_identity: bool,
}

/// A Gateway that a route is attached to.
pub(crate) struct Parent<'r> {
    pub(crate) namespace: &'r str,
    pub(crate) name: &'r str,
    /// The listener, if it is attached to one.
    pub(crate) section: Option<&'r str>,
}

/// The parts of a route that decide who is let in.
impl Route<'_> {
    /// Returns the effect of a route of a namespace on requests to the Services for which `leads` is true. `header` is
    /// a header of the answers. `has_identity` returns whether headers that are removed from requests include those
    /// that identify callers.
    pub(crate) fn led(&self, from: &str, leads: &Leads, header: &str, has_identity: &dyn Fn(&[Text]) -> bool) -> Led {
        let mut led = Led { paths: Vec::new(), has_extension: false, is_removed: true, passes_identity: false };
        for rule in self.rules().filter(|rule| rule.leads(from, leads)) {
            let filters = || rule.filters.iter().flatten();
            let before = led.paths.len();
            // If the route changes the path, a path for everybody proves nothing.
            if !filters().any(|filter| filter.rewrite.is_some()) {
                let matches = rule
                    .matches
                    .and_then(|matches| admission::read_fields::<Option<Vec<Match>>>(matches).ok().flatten());
                led.paths.extend(matches.iter().flatten().map(Match::path));
            }
            if led.paths.len() == before {
                led.paths.push(String::new());
            }
            led.has_extension |= filters().any(|filter| filter.extension.is_some());
            led.is_removed &= filters().any(|filter| filter.removes(header));
            let of_requests = |filter: &Filter| {
                let modifier =
                    filter.of_requests.and_then(|headers| admission::read_fields::<HeaderModifier>(headers).ok());
                modifier.and_then(|modifier| modifier.remove).is_some_and(|removed| has_identity(&removed))
            };
            led.passes_identity |= !filters().any(of_requests);
        }
        led
    }

    /// Returns the Gateways that a route of a namespace is attached to, or their equivalents, such as a ListenerSet. A
    /// Service does not count: it belongs to a mesh, and lets in no callers from outside.
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

impl Rule<'_> {
    fn leads(&self, from: &str, leads: &Leads) -> bool {
        let to = |backend: &Reference| {
            let namespace = backend.namespace.as_deref().unwrap_or(from);
            backend.gets_requests()
                && backend.kind.as_deref().is_none_or(|kind| kind == "Service")
                && backend.name.as_deref().is_some_and(|name| leads(namespace, name, backend.port.map(RawValue::get)))
        };
        let mirrors = |filter: &Filter| {
            let mirror = filter.mirror.and_then(|mirror| admission::read_fields::<Mirror>(mirror).ok()?.backend);
            mirror.is_some_and(|backend| to(&backend))
        };
        self.backends.iter().flatten().any(to) || self.filters.iter().flatten().any(mirrors)
    }
}

impl Match<'_> {
    /// The path of the requests that it matches; "" for all paths.
    fn path(&self) -> String {
        if let Some(path) = self.path.as_ref().and_then(|path| path.value.as_deref()) {
            return path.to_owned();
        }
        let method = self.method.filter(|method| method.get().starts_with('{'));
        let method = method.and_then(|method| admission::read_fields::<MatchedMethod>(method).ok()).unwrap_or_default();
        let service = method.service.as_deref().filter(|service| !service.is_empty());
        match (service, method.method.as_deref()) {
            (Some(service), Some(method)) => format!("/{service}/{method}"),
            (Some(service), None) => format!("/{service}"),
            (None, _) => String::new(),
        }
    }
}

impl Filter<'_> {
    /// Whether it removes a header from answers.
    fn removes(&self, header: &str) -> bool {
        let modifier = self.modifier.and_then(|modifier| admission::read_fields::<HeaderModifier>(modifier).ok());
        modifier.is_some_and(|modifier| modifier.remove.iter().flatten().any(|name| name.eq_ignore_ascii_case(header)))
    }
}

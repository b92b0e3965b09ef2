//! OpenShift's Routes: each has a host, and one or more Services that share the load.
//!
//! Source: `route/v1/types.go` of [openshift/api](https://github.com/openshift/api).

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::{
    objects::Found,
    routes::{Hosts, RouteHost},
};
#[cfg(feature = "flyte2-exposure")]
use crate::admission;
use crate::{host::Listed, text::Text, view::view};

view! {
    /// A Route.
    pub(crate) struct Route<'a> {
        "spec" => spec: Spec<'a>,
    }

    struct Spec<'a> {
        "host" => host: Text<'a>,
        "path" if "flyte2-exposure" => path: &'a RawValue,
        "port" if "flyte2-exposure" => port: &'a RawValue,
        "httpHeaders" if "flyte2-exposure" => headers: &'a RawValue,
        "to" => to: Target<'a>,
        "alternateBackends" => others: Vec<Target<'a>>,
        "tls" => tls: Tls<'a>,
    }

    struct Port<'a> {
        "targetPort" => target: &'a RawValue,
    }

    struct Tls<'a> {
        "termination" => termination: Text<'a>,
    }

    struct Target<'a> {
        "name" => name: Text<'a>,
        "weight" => weight: &'a RawValue,
    }
}

impl Route<'_> {
    pub(crate) fn leads_to(&self, services: &BTreeSet<String>) -> bool {
        self.targets().filter_map(|target| target.name.as_deref()).any(|name| services.contains(name))
    }

    /// The Services that it leads to, each with the name of the port, if it has one.
    #[cfg(feature = "flyte2-exposure")]
    pub(crate) fn backends(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let port = self.spec.as_ref().and_then(|spec| spec.port);
        let port = port.and_then(|port| admission::read_fields::<Port>(port).ok()?.target);
        // A number is a port of the pod.
        let port = port.and_then(|port| port.get().strip_prefix('"')?.strip_suffix('"'));
        self.targets().filter_map(move |target| Some((target.name.as_deref()?, port)))
    }

    /// The path of the requests that it gets; "" for all paths.
    #[cfg(feature = "flyte2-exposure")]
    pub(crate) fn path(&self) -> String {
        let path = self.spec.as_ref().and_then(|spec| spec.path);
        let path = path.and_then(|path| admission::read_fields::<Option<Text>>(path).ok()?);
        path.as_deref().unwrap_or_default().to_owned()
    }

    /// Its changes to headers, unparsed.
    #[cfg(feature = "flyte2-exposure")]
    pub(crate) fn headers(&self) -> &str {
        self.spec.as_ref().and_then(|spec| spec.headers).map_or("", RawValue::get)
    }

    /// The Services that get requests.
    fn targets(&self) -> impl Iterator<Item = &Target<'_>> {
        let targets = self.spec.iter().flat_map(|spec| spec.to.iter().chain(spec.others.iter().flatten()));
        targets.filter(|target| target.weight.is_none_or(|weight| weight.get() != "0"))
    }

    fn tls(&self) -> Option<&Tls<'_>> {
        self.spec.as_ref()?.tls.as_ref()
    }

    /// Whether it leads to one of the given Services and ends TLS: clients see a certificate of its own, or the
    /// router's.
    #[cfg(feature = "flyte-oauth-tls")]
    pub(super) fn ends_tls(&self, services: &BTreeSet<String>) -> bool {
        self.tls().is_some_and(|tls| tls.termination.as_deref() != Some("passthrough")) && self.leads_to(services)
    }

    fn host(&self) -> &str {
        self.spec.as_ref().and_then(|spec| spec.host.as_deref()).unwrap_or_default()
    }
}

/// Adds the host from which a Route leads to one of the given Services of its namespace.
pub(super) fn add_hosts(found: &Found, services: &BTreeSet<String>, hosts: &mut Hosts) -> Result<(), String> {
    let route: Route = found.read_fields(Listed::Route)?;
    if !route.leads_to(services) {
        return Ok(());
    }
    let (name, has_tls) = (route.host().to_owned(), route.tls().is_some());
    hosts.add(RouteHost { name, has_tls, route: found.title(Listed::Route), cors: None })
}

/// Whether a Route is for a host.
#[cfg(feature = "flyte-console-url")]
pub(super) fn is_for(found: &Found, host: &str) -> Result<bool, String> {
    Ok(found.read_fields::<Route>(Listed::Route)?.host() == host)
}

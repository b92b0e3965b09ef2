//! The certificates that Gateways present for routes.

use std::{collections::BTreeSet, rc::Rc};

use super::{Gateway, Listener, Route, each_listener};
use crate::{
    host::Listed,
    installation::objects::{Found, Objects},
};

/// Returns the names of the Services of a namespace for which certificates are searched.
type Services<'f> = dyn FnMut(&str) -> Result<Rc<BTreeSet<String>>, String> + 'f;

/// A certificate that a Gateway presents for a route.
pub(crate) struct AtGateway<'g> {
    /// The namespace and the name of the Secret; `None` if a route leads there, but no listener that was found presents
    /// a certificate.
    pub(crate) secret: Option<(&'g str, &'g str)>,
    /// The title of the route.
    pub(crate) route: &'g str,
    /// The namespace of the Service.
    pub(crate) namespace: &'g str,
    /// The title of the Gateway.
    pub(crate) gateway: &'g str,
    /// The hosts for which the route has it; empty for every host.
    pub(crate) hosts: &'g [&'g str],
}

/// Calls `each` for every certificate that Gateways present for routes to Services. `services` returns these for a
/// namespace.
pub(crate) fn each_certificate(
    objects: &Objects,
    services: &mut Services,
    each: &mut dyn FnMut(&AtGateway) -> Result<(), String>,
) -> Result<(), String> {
    for kind in [Listed::HttpRoute, Listed::GrpcRoute] {
        objects.each(kind, None, |found| {
            let route: Route = found.read_fields(kind)?;
            let mut led = Vec::new();
            for namespace in route.namespaces(&found.namespace) {
                if route.rules_to(&found.namespace, (namespace, &*services(namespace)?)).next().is_some() {
                    led.push(namespace);
                }
            }
            if led.is_empty() {
                return Ok(());
            }
            let title = &found.title(kind);
            let mut is_presented = false;
            let leads = each_listener(objects, kind, (found, &route), &mut |gateway, listener, listeners| {
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
                    let secret = Some((namespace, certificate.name.as_deref().unwrap_or_default()));
                    let gateway = &gateway.title(Listed::Gateway);
                    is_presented = true;
                    for namespace in &led {
                        each(&AtGateway { secret, route: title, namespace, gateway, hosts: &hosts })?;
                    }
                }
                Ok(())
            })?;
            if leads && !is_presented {
                for namespace in &led {
                    each(&AtGateway { secret: None, route: title, namespace, gateway: "", hosts: &[] })?;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Whether an HTTPRoute or a GRPCRoute leads to one of the given Services of a namespace.
pub(crate) fn leads_to(objects: &Objects, namespace: &str, services: &BTreeSet<String>) -> Result<bool, String> {
    for kind in [Listed::HttpRoute, Listed::GrpcRoute] {
        let leads = |found: &Found| {
            let route = found.read_fields::<Route>(kind)?;
            Ok(route.rules_to(&found.namespace, (namespace, services)).next().is_some().then_some(()))
        };
        if objects.find(kind, None, leads)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a listener of a Gateway presents a Secret, for any route.
pub(crate) fn names(objects: &Objects, secret: (&str, &str)) -> Result<bool, String> {
    let named = objects.find(Listed::Gateway, None, |gateway| {
        let spec = gateway.read_fields::<Gateway>(Listed::Gateway)?.spec.unwrap_or_default();
        let tls = spec.listeners.iter().flatten().filter_map(|listener| listener.tls.as_ref());
        let mut certificates = tls.flat_map(|tls| tls.certificates.iter().flatten());
        Ok(certificates.any(|certificate| certificate.is_to("Secret", &gateway.namespace, secret)).then_some(()))
    })?;
    Ok(named.is_some())
}

impl Listener<'_> {
    /// Whether it presents its certificate to clients of a host, and no other listener fits the host more closely.
    fn presents_to(&self, host: &str, others: &[Listener]) -> bool {
        let length = |listener: &Listener| listener.hostname.as_deref().unwrap_or_default().len();
        let is_closer = |other: &Listener| other.has_tls() && other.takes(host) && length(other) > length(self);
        self.takes(host) && !others.iter().any(is_closer)
    }
}

//! Routes of kinds that are not read: those of a single controller, and those for connections rather than requests. If
//! one leads to Flyte 2, a notice says so, because silence would look like approval.

use serde_json::value::RawValue;

use super::{
    Found, in_front, rules,
    server::{self, Backends},
    settings::Settings,
};
use crate::{
    admission::Kind,
    installation::objects::Objects,
    verdict::{Note, Shortened},
};

/// The groups and names of the kinds.
const KINDS: [(&str, &str); 6] = [
    ("gateway.networking.k8s.io", "TCPRoute"),
    ("gateway.networking.k8s.io", "TLSRoute"),
    ("networking.istio.io", "VirtualService"),
    ("projectcontour.io", "HTTPProxy"),
    ("traefik.io", "IngressRoute"),
    ("traefik.io", "IngressRouteTCP"),
];

/// Whether this is a kind of routes that are not read.
pub(super) fn is_kind(kind: &Kind) -> bool {
    KINDS.contains(&(kind.group(), kind.name()))
}

/// The finding for an object that names a Service of its namespace which leads to Flyte 2.
///
/// # Errors
///
/// Why it is not known whether it does.
pub(super) fn found(
    (namespace, name): (&str, &str),
    object: &RawValue,
    settings: &Settings,
    objects: &Objects,
) -> Result<Option<Found>, String> {
    let mut found = None;
    server::each(objects, namespace, |_, workload, _, ports| {
        let labels = workload.pod_labels();
        let backends = Backends::select(objects, namespace, labels, ports)?;
        // By its name, or by its name in the cluster's DNS.
        let is_named = |service: &&str| {
            [format!("\"{service}\""), format!("\"{service}.{namespace}")]
                .iter()
                .any(|name| object.get().contains(name))
        };
        if let Some(service) = backends.names().find(is_named)
            && !settings.is_authenticated(name)
            && !in_front::of_mesh(objects, namespace, labels)?.asks
        {
            let text = format!(
                "leads through Service {} to Flyte 2, which does not authenticate callers. This kind of route is not checked",
                Shortened(service)
            );
            let mend = "make sure that something in front of Flyte 2 authenticates callers, and add this route to the `authenticated` setting";
            found = Some(Found::Worth(rules::NOT_KNOWN, Note::new(text, mend)));
        }
        Ok(())
    })?;
    Ok(found)
}

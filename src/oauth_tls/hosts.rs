//! The hosts that a certificate is presented for: each must be among its names.

use std::net::IpAddr;

use rustls_pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::{Fault, certificate::Certificate, settings::Settings};
use crate::{
    cluster::{Cluster, ingress, others::Others},
    verdict::{Shortened, few},
};

/// A host, and what says that the certificate is for it.
pub(super) type Host = (String, String);

/// The hosts of the settings, or those of the Ingresses that present the Secret.
///
/// # Errors
///
/// Why they are not known.
pub(super) fn of(
    settings: &Settings,
    cluster: &dyn Cluster,
    namespace: &str,
    secret: &str,
) -> Result<Vec<Host>, String> {
    const NAME_THEM: &str = "name them in the setting hosts";
    if let Some(hosts) = &settings.hosts {
        return Ok(hosts.iter().map(|host| (host.to_string(), "the settings".to_owned())).collect());
    }
    let hosts = ingress::tls_hosts(&Others::beside(cluster), namespace, secret);
    match hosts.map_err(|reason| format!("{reason}; {NAME_THEM}"))? {
        hosts if hosts.is_empty() => {
            let namespace = Shortened(namespace);
            Err(format!("no Ingress in namespace {namespace} has the Secret under spec.tls; {NAME_THEM}"))
        }
        hosts => Ok(hosts),
    }
}

/// Whether a certificate is for a host. `*.example.com` is any one label before `example.com`.
pub(super) fn covers(leaf: &CertificateDer, host: &str) -> Option<bool> {
    let example = host.strip_prefix("*.").map_or_else(|| host.to_owned(), |domain| format!("any-label.{domain}"));
    let name = ServerName::try_from(example).ok()?;
    let leaf = EndEntityCert::try_from(leaf).ok()?;
    Some(leaf.verify_is_valid_for_subject_name(&name).is_ok())
}

/// The hosts that a certificate is not for.
pub(super) fn fault(leaf: &Certificate, hosts: &[Host]) -> Option<Fault> {
    let missing: Vec<&Host> = hosts.iter().filter(|(host, _)| covers(&leaf.der, host) != Some(true)).collect();
    let (_, from) = missing.first()?;
    let named = || missing.iter().map(|(host, _)| Shortened(host).to_string());
    let fact = format!("{} is for {}, and not for {} ({from})", leaf.title(), leaf.names(), few(named()));
    let names =
        few(named().map(|host| format!("{}:{host}", if host.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" })));
    let mend = format!("issue it anew with subjectAltName {names}");
    Some(Fault { rule: "host-not-covered", fact, outcome: "clients that call it there refuse the certificate", mend })
}

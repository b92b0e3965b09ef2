//! The hosts that a certificate is presented for: it must cover each of them.

use std::net::IpAddr;

use rustls_pki_types::ServerName;
use webpki::{EndEntityCert, Error};

use super::{certificate::Certificate, fault::Fault, rules, settings::Settings};
use crate::{
    host::Host,
    installation::{
        others::Others,
        presented::{self, TlsHosts},
    },
    verdict::{Note, Shortened, few},
};

/// A host, and what presents the certificate for it.
pub(super) type Presented = (String, String);

/// The hosts that a certificate is presented for.
pub(super) struct Hosts {
    pub(super) named: Vec<Presented>,
    /// Why there may be more.
    pub(super) doubt: Option<Note>,
}

/// The hosts in the settings, or those that the Secret is presented for.
///
/// # Errors
///
/// Why the hosts are not known.
pub(super) fn find_hosts(settings: &Settings, host: &dyn Host, namespace: &str, secret: &str) -> Result<Hosts, Note> {
    const NAME_THEM: &str = "list the hosts in the `hosts` setting";
    if let Some(hosts) = &settings.hosts {
        let named = hosts.iter().map(|host| (host.to_string(), "the `hosts` setting".to_owned())).collect();
        return Ok(Hosts { named, doubt: None });
    }
    let known = presented::tls_hosts(&Others::beside(host), namespace, secret);
    let TlsHosts { named, everywhere } = known.map_err(|reason| Note::new(reason, NAME_THEM))?;
    if named.is_empty() && everywhere.is_none() {
        let namespace = Shortened(namespace);
        let text = format!("no Ingress (spec.tls) and no Gateway uses the Secret in namespace {namespace}");
        return Err(Note::new(text, NAME_THEM));
    }
    let doubt = everywhere.map(|ingress| {
        Note::new(
            format!("{ingress} presents this certificate for every host, so it is unknown which hosts it must cover"),
            NAME_THEM,
        )
    });
    Ok(Hosts { named, doubt })
}

/// Whether a certificate covers a host; for `*.example.com`, whether it has that exact name.
fn covers(leaf: &Certificate, server: &EndEntityCert, host: &str) -> bool {
    if host.starts_with("*.") {
        return leaf.has_name(host);
    }
    ServerName::try_from(host).is_ok_and(|name| server.verify_is_valid_for_subject_name(&name).is_ok())
}

/// Returns why clients cannot read a certificate that is well-formed.
pub(super) fn unreadable(leaf: &Certificate) -> Option<Fault> {
    let error = EndEntityCert::try_from(&leaf.der).err()?;
    let reason = match error {
        Error::UnsupportedCertVersion => "it has X.509 version 1, which has no names",
        Error::UnsupportedCriticalExtension => "it has an unknown critical extension",
        _ => "it does not follow RFC 5280",
    };
    let fact = format!("{} cannot be used for a server: {reason}", leaf.title());
    Some(Fault::new(rules::BROKEN_CHAIN, fact, "clients such as rustls reject it", "issue a new one"))
}

/// Returns the fault for the hosts that a certificate does not cover; `None` if the certificate is [`unreadable`].
pub(super) fn fault(leaf: &Certificate, hosts: &[Presented]) -> Option<Fault> {
    let server = EndEntityCert::try_from(&leaf.der).ok()?;
    let missing: Vec<&Presented> = hosts.iter().filter(|(host, _)| !covers(leaf, &server, host)).collect();
    let (_, from) = missing.first()?;
    let named = || missing.iter().map(|(host, _)| Shortened(host).to_string());
    let name = if missing.iter().all(|(_, other)| other == from) { "names" } else { "and others name" };
    let fact = format!("{} covers {}, but not {}, which {from} {name}", leaf.title(), leaf.names(), few(named()));
    let kind = |host: &String| if host.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
    let names = few(named().map(|host| format!("{}:{host}", kind(&host))));
    let mend = format!("issue a new one with {names} added to subjectAltName");
    Some(Fault {
        rule: rules::HOST_NOT_COVERED,
        fact,
        outcome: "clients that connect there reject the certificate",
        mend,
    })
}

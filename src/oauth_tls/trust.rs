//! Whether a chain ends at a root that clients trust: rustls-webpki finds the path, as it does for TLS clients.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::{
    BROKEN_CHAIN, Fault, UNKNOWN_ISSUER, UNTRUSTED_ROOT,
    certificate::{Certificate, shown},
    chain,
    settings::Settings,
    signatures,
};

/// A path to a trusted root.
pub(super) struct Trusted {
    /// How many links of the chain, from the leaf on, are part of it.
    pub(super) links: usize,
    /// Whether the root is one of Mozilla's.
    pub(super) is_public: bool,
}

/// Looks for a path from the leaf to a trusted root, at a time. Roots of the settings must be valid then: Go checks that.
pub(super) fn path(
    chain: &[Certificate],
    leaf: &Certificate,
    time: Duration,
    settings: &Settings,
) -> Result<Trusted, Error> {
    let own: Vec<Vec<u8>> = settings.roots();
    let own: Vec<CertificateDer> = own.iter().map(|der| CertificateDer::from(&der[..])).collect();
    let is_valid = |der: &&CertificateDer| Certificate::read(der, 1).is_ok_and(|root| root.is_valid_at(time));
    let own = own.iter().filter(is_valid).filter_map(|der| webpki::anchor_from_trusted_cert(der).ok());
    let public = if settings.trusts_mozilla() { webpki_roots::TLS_SERVER_ROOTS } else { &[] };
    let anchors: Vec<TrustAnchor> = own.chain(public.iter().cloned()).collect();

    let others = chain.iter().filter(|certificate| certificate.number() != leaf.number());
    let others: Vec<CertificateDer> = others.map(|certificate| certificate.der.clone()).collect();
    let server = EndEntityCert::try_from(&leaf.der)?;
    let path = server.verify_for_usage(
        signatures::ALL,
        &anchors,
        &others,
        UnixTime::since_unix_epoch(time),
        KeyUsage::server_auth(),
        None,
        None,
    )?;
    let in_path = path.intermediate_certificates().map(|certificate| certificate.der());
    let behind_leaf = chain.iter().skip(leaf.number()).map(|certificate| certificate.der.clone());
    let links =
        if leaf.number() == 1 { in_path.zip(behind_leaf).take_while(|(one, other)| one == other).count() } else { 0 };
    Ok(Trusted { links, is_public: public.contains(path.anchor()) })
}

/// Why there is no path; nothing where `is_refused` says that it is said already.
///
/// # Errors
///
/// A signature is of a kind that is not judged.
pub(super) fn why_none(
    error: &Error,
    chain: &[Certificate],
    leaf: &Certificate,
    settings: &Settings,
    is_refused: bool,
) -> Result<Option<Fault>, String> {
    let outcome = "flytectl stops with \"certificate signed by unknown authority\"";
    let end = end(chain, leaf);
    let roots = settings.roots_in_words();
    Ok(match error {
        Error::UnknownIssuer if end.is_self_issued() => {
            let fact = format!("the chain ends at {}, which is not among {roots}", end.title());
            let mend =
                "use a certificate of a CA that clients trust; if yours do trust this one, put it into trustRoots";
            Some(Fault::new(UNTRUSTED_ROOT, fact, outcome, mend))
        }
        Error::UnknownIssuer => {
            let issuer = shown(end.issuer());
            let fact =
                format!("{} is signed by {issuer}, which is neither in the chain nor among {roots}", end.title());
            let mend = "put the intermediate that the CA gave out behind it; if its issuer is a root that your clients trust, \
                        put that into trustRoots";
            Some(Fault::new(UNKNOWN_ISSUER, fact, outcome, mend))
        }
        _ if is_refused => None,
        Error::UnsupportedSignatureAlgorithmContext(_) | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            let unknown = |certificate: &Certificate| {
                certificate.unknown_signature().map(|kind| chain::unknown_signature(certificate, &kind))
            };
            let other = || chain::unknown_signature(end, "by a key of another kind");
            return Err(chain.iter().find_map(unknown).unwrap_or_else(other));
        }
        error => {
            let fact = match error {
                Error::EndEntityUsedAsCa => "one that is no CA's has signed another".to_owned(),
                Error::NameConstraintViolation => "a CA in it may not sign for these names".to_owned(),
                Error::PathLenConstraintViolated => "a CA in it may have no other CA below it".to_owned(),
                error => error.to_string(),
            };
            let fact = format!("the chain does not lead to a trusted root: {fact}");
            Some(Fault::new(BROKEN_CHAIN, fact, "clients refuse it", "use the chain that the CA gave out with it"))
        }
    })
}

/// Where the chain ends, by the names of issuers.
fn end<'c, 'd>(chain: &'c [Certificate<'d>], leaf: &'c Certificate<'d>) -> &'c Certificate<'d> {
    let mut end = leaf;
    for _ in chain {
        let issuer = chain.iter().find(|other| other.number() != end.number() && other.subject() == end.issuer());
        match issuer {
            Some(issuer) if !end.is_self_issued() => end = issuer,
            _ => break,
        }
    }
    end
}

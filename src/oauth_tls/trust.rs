//! Checks whether a chain ends at a root that clients trust. rustls-webpki finds the path, as it does for TLS clients.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::{
    certificate::{Certificate, Signed, shown},
    chain,
    fault::Fault,
    rules,
    settings::Settings,
    signer,
};
use crate::host::Pki;

/// A path to a trusted root.
pub(super) struct Trusted {
    /// The number of links of the chain, from the leaf on, that are part of it.
    pub(super) links: usize,
    /// Whether the root is one of Mozilla's.
    pub(super) is_public: bool,
}

/// Looks for a path from the leaf to a trusted root, at a time.
pub(super) fn path(
    chain: &[Certificate],
    leaf: &Certificate,
    time: Duration,
    settings: &Settings,
    pki: &Pki,
) -> Result<Trusted, Error> {
    let ders = settings.roots();
    let below = chain.iter().filter(|certificate| certificate.is_ca && !certificate.is_self_issued()).count();
    // Go also checks that the root is valid and may sign, which webpki takes for granted.
    let own = roots(&ders).filter(|root| root.is_valid_at(time) && root.may_be_root(below));
    let own: Vec<CertificateDer> = own.map(|root| root.der.clone()).collect();
    let own = own.iter().filter_map(|der| webpki::anchor_from_trusted_cert(der).ok());
    let public = if settings.trusts_mozilla() { pki.roots } else { &[] };
    let anchors: Vec<TrustAnchor> = own.chain(public.iter().cloned()).collect();
    verify(chain, leaf, &anchors, time, pki)
}

/// Returns the fault of a chain that names another key than that of the root in `trustRoots` that signed it. The
/// identifiers of Mozilla's roots are not known.
pub(super) fn other_key(chain: &[Certificate], leaf: &Certificate, settings: &Settings) -> Option<Fault> {
    let end = end(chain, leaf);
    let ders = settings.roots();
    let mut roots = roots(&ders).filter(|root| root.subject() == end.issuer() && !end.is_self_issued()).peekable();
    roots.peek()?;
    (!roots.any(|root| end.names_key_of(&root))).then(|| chain::other_key(end, "its root"))
}

/// Returns why the certificates of the chain may not sign one another, up to the last one. It does not matter who
/// signed the last one.
pub(super) fn why_not_in_itself(chain: &[Certificate], leaf: &Certificate, time: Duration, pki: &Pki) -> Option<Fault> {
    let end = end(chain, leaf);
    if end.number() == leaf.number() {
        return None;
    }
    let is_below = |other: &&Certificate| other.is_ca && !other.is_self_issued() && other.number() != end.number();
    if !end.may_be_root(chain.iter().filter(is_below).count()) {
        return Some(not_allowed(format!("{} is not allowed to issue the certificates before it", end.title())));
    }
    let anchor = webpki::anchor_from_trusted_cert(&end.der);
    anchor.and_then(|anchor| verify(chain, leaf, &[anchor], time, pki)).err().map(|error| not_allowed(in_words(&error)))
}

fn verify(
    chain: &[Certificate],
    leaf: &Certificate,
    anchors: &[TrustAnchor],
    time: Duration,
    pki: &Pki,
) -> Result<Trusted, Error> {
    // Clients have their own copy of a root, which may be newer.
    let is_old_root = |other: &Certificate| signer::is_root(other, chain) && !other.is_valid_at(time);
    let others = chain.iter().filter(|other| other.number() != leaf.number() && !is_old_root(other));
    let others: Vec<CertificateDer> = others.map(|certificate| certificate.der.clone()).collect();
    let server = EndEntityCert::try_from(&leaf.der)?;
    let time = UnixTime::since_unix_epoch(time);
    let usage = KeyUsage::server_auth();
    let path = server.verify_for_usage(pki.signatures, anchors, &others, time, usage, None, None)?;
    let in_path = path.intermediate_certificates().map(|certificate| certificate.der());
    let behind_leaf = chain.iter().skip(1).map(|certificate| certificate.der.clone());
    let mut links = in_path.zip(behind_leaf).take_while(|(one, other)| one == other).count();
    let is_anchor = |certificate: &Certificate| {
        let own = webpki::anchor_from_trusted_cert(&certificate.der);
        own.is_ok_and(|own| {
            let anchor = path.anchor();
            own.subject == anchor.subject && own.subject_public_key_info == anchor.subject_public_key_info
        })
    };
    if links == path.intermediate_certificates().count() && chain.get(links + 1).is_some_and(is_anchor) {
        links += 1;
    }
    Ok(Trusted { links, is_public: pki.roots.contains(path.anchor()) })
}

fn roots(ders: &[Vec<u8>]) -> impl Iterator<Item = Certificate<'_>> {
    ders.iter().filter_map(|der| Certificate::from_der(der, 1).ok())
}

/// Returns why there is no path; `None` if `is_refused` and another finding covers it.
///
/// # Errors
///
/// A signature algorithm is not supported.
pub(super) fn why_none(
    error: &Error,
    chain: &[Certificate],
    leaf: &Certificate,
    settings: &Settings,
    pki: &Pki,
    is_refused: bool,
) -> Result<Option<Fault>, String> {
    const STOPS: &str = "flytectl stops with \"certificate signed by unknown authority\"";
    let end = end(chain, leaf);
    let (ders, roots_in_words) = (settings.roots(), settings.roots_in_words());
    Ok(match error {
        Error::UnknownIssuer if end.is_self_issued() && matches!(end.is_signed_by(end, pki), Signed::Yes) => {
            let fact = format!("the chain ends at {}, which is not among {roots_in_words}", end.title());
            let mend = "use a certificate of a CA that clients trust. If your clients already trust this root, add it to trustRoots";
            Some(Fault::new(rules::UNTRUSTED_ROOT, fact, STOPS, mend))
        }
        Error::UnknownIssuer if roots(&ders).any(|root| root.subject() == end.issuer()) => {
            let issuer = shown(end.issuer());
            let fact = format!(
                "{} is signed by the root {issuer}. That root is in trustRoots, but it is not valid now, or not allowed to sign this chain",
                end.title()
            );
            Some(Fault::new(
                rules::UNTRUSTED_ROOT,
                fact,
                STOPS,
                "in trustRoots, replace that root with a valid root certificate of the same CA",
            ))
        }
        Error::UnknownIssuer => {
            let issuer = shown(end.issuer());
            let fact = format!(
                "{} is signed by {issuer}, which is neither in the chain nor among {roots_in_words}",
                end.title()
            );
            let mend = format!(
                "if {issuer} is an intermediate, add its certificate at the end of the chain. If it is a root that your clients \
                 trust, add it to trustRoots"
            );
            Some(Fault { rule: rules::UNKNOWN_ISSUER, fact, outcome: STOPS, mend })
        }
        // The links are valid: the root's key did not sign the last certificate.
        Error::InvalidSignatureForPublicKey => {
            let issuer = shown(end.issuer());
            let fact = format!(
                "{} names {issuer} as its issuer, but the trusted root of that name did not sign it",
                end.title()
            );
            let mend = "if the root has a new key, and your clients trust its new certificate, add that certificate to trustRoots";
            Some(Fault::new(rules::UNTRUSTED_ROOT, fact, STOPS, mend))
        }
        _ if is_refused => None,
        Error::UnsupportedSignatureAlgorithmContext(_) | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            return Err(chain::unknown_signature(end, "it does not suit the type of the issuer's key"));
        }
        error => Some(not_allowed(in_words(error))),
    })
}

fn not_allowed(fact: String) -> Fault {
    Fault::new(
        rules::BROKEN_CHAIN,
        fact,
        "clients reject the chain",
        "use a CA that may issue this certificate, or fix the CA",
    )
}

/// Describes what is wrong with the chain.
fn in_words(error: &Error) -> String {
    let known = match error {
        Error::EndEntityUsedAsCa => "a certificate in the chain signed another, but is not a CA",
        Error::NameConstraintViolation => "a CA in the chain is not allowed to sign for these names (nameConstraints)",
        Error::PathLenConstraintViolated => {
            "a CA in the chain is not allowed to have another CA below it (pathLenConstraint)"
        }
        Error::RequiredEkuNotFoundContext(_) => {
            "a CA in the chain is not allowed to sign for servers (extendedKeyUsage)"
        }
        Error::UnsupportedCriticalExtension => "a CA in the chain has an unknown critical extension",
        Error::MaximumPathDepthExceeded => "the chain has more than six intermediates",
        error => return format!("the chain is not valid: rustls-webpki reports {error}"),
    };
    known.to_owned()
}

/// Returns the last certificate of the chain, by the names of issuers.
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

//! The certificates of `tls.crt`: the leaf first, each signed by the next.

use super::{
    certificate::{Certificate, Signed, shown},
    fault::Fault,
    rules,
};
use crate::host::Pki;

/// The effect of a broken link on clients.
const LOST: &str = "clients may not be able to follow the chain";

/// Reads the certificates.
///
/// # Errors
///
/// One of them is not a certificate.
pub(super) fn parse_certificates(ders: &[Vec<u8>]) -> Result<Vec<Certificate<'_>>, Fault> {
    (1..)
        .zip(ders)
        .map(|(number, der)| {
            Certificate::from_der(der, number).map_err(|error| {
                let fact = format!("certificate {number} cannot be read ({error})");
                Fault::new(rules::BROKEN_CHAIN, fact, "clients end the handshake", "paste it again, with all its lines")
            })
        })
        .collect()
}

/// Returns the leaf: the first certificate or, if that is a CA's, the first that is not. In the second case, the wrong
/// order is a fault.
pub(super) fn leaf<'c, 'd>(chain: &'c [Certificate<'d>]) -> Option<(&'c Certificate<'d>, Option<Fault>)> {
    let first = chain.first()?;
    let Some(leaf) = chain.iter().find(|certificate| first.is_ca && !certificate.is_ca) else {
        return Some((first, None));
    };
    let fact = format!("{} is the leaf, but is not first", leaf.title());
    let outcome = "servers match the key to certificate 1, and reject the pair";
    let mend = "put the leaf first, then the certificate that signed it, and so on";
    Some((leaf, Some(Fault::new(rules::BROKEN_CHAIN, fact, outcome, mend))))
}

/// Returns what is wrong with the links from certificate to certificate. The first `proven` signatures are known to be
/// good.
///
/// # Errors
///
/// A signature algorithm is not supported.
pub(super) fn broken_links(chain: &[Certificate], proven: usize, pki: &Pki) -> Result<Vec<Fault>, String> {
    let mut faults = Vec::new();
    for (one, next) in chain.iter().zip(chain.iter().skip(1)) {
        let number = next.number();
        let (fact, outcome, mend) = if let Some(same) =
            chain[..number - 1].iter().find(|earlier| earlier.der == next.der)
        {
            let fact = format!("{} repeats certificate {}", next.title(), same.number());
            (fact, LOST, "remove it".to_owned())
        } else if one.issuer() == next.subject() {
            let fact = match if one.number() <= proven { Signed::Yes } else { one.is_signed_by(next, pki) } {
                Signed::Yes if !one.names_key_of(next) => {
                    faults.push(other_key(one, &format!("certificate {number}")));
                    continue;
                }
                Signed::Yes if next.may_sign() => continue,
                Signed::Yes => format!("{} signed another certificate, but is not a CA that may sign", next.title()),
                Signed::Unknown(_) if one.weak_hash().is_some() => continue,
                Signed::Unknown(kind) => return Err(unknown_signature(one, &kind)),
                Signed::No => {
                    format!(
                        "{} names certificate {number} as its issuer, but that certificate's key did not sign it",
                        one.title()
                    )
                }
            };
            (fact, "clients reject it", "use the chain that your CA supplied with the server's certificate".to_owned())
        } else if one.is_self_issued() {
            let root = one.number();
            let fact = format!("{} comes after certificate {root}, which is a root", next.title());
            let mend =
                format!("move certificate {root} to the end, and remove certificates that are not part of the chain");
            (fact, LOST, mend)
        } else if let Some(issuer) = chain.iter().find(|other| other.subject() == one.issuer()) {
            let issuer = issuer.number();
            let fact =
                format!("{} is signed by certificate {issuer}, but is followed by certificate {number}", one.title());
            (fact, LOST, format!("put certificate {issuer} directly after certificate {}", one.number()))
        } else {
            let issuer = shown(one.issuer());
            let fact = format!(
                "{} is signed by {issuer}, but is followed by certificate {number}, which has another name",
                one.title()
            );
            (fact, LOST, format!("replace certificate {number} with the certificate of {issuer}"))
        };
        faults.push(Fault { rule: rules::BROKEN_CHAIN, fact, outcome, mend });
    }
    Ok(faults)
}

/// Returns the fault of a certificate that its issuer's key signed, but that names another key.
pub(super) fn other_key(certificate: &Certificate, issuer: &str) -> Fault {
    let fact = format!("the authorityKeyIdentifier of {} does not match the key of {issuer}", certificate.title());
    let outcome = "programs that use OpenSSL, such as curl and Python, cannot find its issuer";
    Fault::new(
        rules::BROKEN_CHAIN,
        fact,
        outcome,
        "have the CA issue it again, with the identifier of the CA's own key",
    )
}

pub(super) fn unknown_signature(certificate: &Certificate, kind: &str) -> String {
    format!("{} has a signature algorithm that cannot be checked here ({kind})", certificate.title())
}

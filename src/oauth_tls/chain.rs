//! The certificates of `tls.crt`: the leaf first, each signed by the next.

use super::{
    BROKEN_CHAIN, Fault,
    certificate::{Certificate, Signed, shown},
};
use crate::verdict::Shortened;

/// What becomes of clients where a link is broken.
const LOST: &str = "clients need not find their way through the chain";

/// No chain is longer; Java refuses those that are.
const MOST_CERTIFICATES: usize = 10;

/// The blocks of a PEM text that are certificates, and what else is in it.
pub(super) fn blocks(text: &[u8]) -> (Vec<Vec<u8>>, Vec<Fault>) {
    let broken = |fact: String, outcome, mend| Fault::new(BROKEN_CHAIN, fact, outcome, mend);
    let Ok(blocks) = pem::parse_many(text) else {
        let fact = "one of its blocks is no PEM".to_owned();
        let mend = "paste the certificate again, every line of it";
        return (Vec::new(), vec![broken(fact, "servers get no certificate from it", mend)]);
    };
    let mut faults = Vec::new();
    let mut certificates = Vec::new();
    for (number, block) in (1..).zip(blocks) {
        let tag = block.tag();
        if tag.ends_with("PRIVATE KEY") {
            let fact = format!("block {number} is a private key where a certificate belongs");
            let mend = "make a new key and certificate, and put the key into tls.key alone";
            faults.push(broken(fact, "whoever may read certificates has read it", mend));
        } else if tag != "CERTIFICATE" {
            let fact = format!("block {number} is a `{}` where a certificate belongs", Shortened(tag));
            let mend = "keep the blocks that start with -----BEGIN CERTIFICATE-----";
            faults.push(broken(fact, "servers leave it out", mend));
        } else {
            certificates.push(block.into_contents());
        }
    }
    if certificates.len() > MOST_CERTIFICATES {
        let fact = format!("it holds {} certificates, more than {MOST_CERTIFICATES}", certificates.len());
        let mend = "keep the leaf and its intermediates";
        return (Vec::new(), vec![broken(fact, "clients such as Java's refuse so long a chain", mend)]);
    }
    if certificates.is_empty() && faults.is_empty() {
        let mend = "put the certificate there in PEM, its intermediates behind it";
        faults.push(broken("there is no certificate in it".to_owned(), "the server has none to present", mend));
    } else if has_more_behind(text) {
        let mend = "remove it; if it is a certificate that was cut off, paste that again";
        faults.push(broken("there is more text behind the last block".to_owned(), "servers leave it out", mend));
    }
    (certificates, faults)
}

/// Whether there is text behind the last block. Before a block it is an explanation (RFC 7468).
fn has_more_behind(text: &[u8]) -> bool {
    const END: &[u8] = b"-----END ";
    let last = text.windows(END.len()).rposition(|window| window == END).map_or(0, |at| at + END.len());
    let behind = text[last..].windows(5).position(|window| window == b"-----").map_or(text.len(), |at| last + at + 5);
    text[behind..].iter().any(|byte| !byte.is_ascii_whitespace())
}

/// Reads the certificates.
///
/// # Errors
///
/// One of them is none.
pub(super) fn read(blocks: &[Vec<u8>]) -> Result<Vec<Certificate<'_>>, Fault> {
    (1..)
        .zip(blocks)
        .map(|(number, block)| {
            Certificate::read(block, number).map_err(|error| {
                let fact = format!("certificate {number} cannot be read ({error})");
                Fault::new(BROKEN_CHAIN, fact, "clients end the handshake", "paste it again, every line of it")
            })
        })
        .collect()
}

/// The leaf: the first certificate, unless that is a CA's and another is none; then that is wrong.
pub(super) fn leaf<'c, 'd>(chain: &'c [Certificate<'d>]) -> Option<(&'c Certificate<'d>, Option<Fault>)> {
    let first = chain.first()?;
    let Some(leaf) = chain.iter().find(|certificate| first.is_ca && !certificate.is_ca) else {
        return Some((first, None));
    };
    let fact = format!("{} is the leaf and not the first", leaf.title());
    let outcome = "servers hold the key against certificate 1, and refuse both";
    let mend = "put the leaf first, then what signed it, and so on";
    Some((leaf, Some(Fault::new(BROKEN_CHAIN, fact, outcome, mend))))
}

/// What is wrong with the links from certificate to certificate. The first `proven` are known to be good.
///
/// # Errors
///
/// A signature is of a kind that is not judged.
pub(super) fn broken_links(chain: &[Certificate], proven: usize) -> Result<Vec<Fault>, String> {
    let mut faults = Vec::new();
    for (one, next) in chain.iter().zip(chain.iter().skip(1)).skip(proven) {
        let number = next.number();
        let (fact, outcome, mend) = if let Some(same) =
            chain[..number - 1].iter().find(|earlier| earlier.der == next.der)
        {
            let fact = format!("{} is certificate {} once more", next.title(), same.number());
            (fact, LOST, "remove it".to_owned())
        } else if one.issuer() == next.subject() {
            match one.is_signed_by(next) {
                Signed::Yes => continue,
                Signed::Unknown(_) if one.weak_hash().is_some() => continue,
                Signed::Unknown(kind) => return Err(unknown_signature(one, &kind)),
                Signed::No => (
                    format!("{} names certificate {number} as its issuer, whose key has not signed it", one.title()),
                    "clients refuse it",
                    "use the chain that the CA gave out with it".to_owned(),
                ),
            }
        } else if one.is_self_issued() {
            let fact =
                format!("{} has signed nothing before it, and certificate {} is a root", next.title(), one.number());
            (fact, LOST, "remove what is behind the root, or put the root last".to_owned())
        } else if let Some(issuer) = chain.iter().find(|other| other.subject() == one.issuer()) {
            let issuer = issuer.number();
            let fact =
                format!("{} is signed by certificate {issuer}, and certificate {number} comes first", one.title());
            (fact, LOST, format!("put certificate {issuer} right behind certificate {}", one.number()))
        } else {
            let issuer = shown(one.issuer());
            let fact = format!("{} is signed by {issuer}, and certificate {number} is another's", one.title());
            (fact, LOST, format!("put the certificate of its issuer in the place of certificate {number}"))
        };
        faults.push(Fault { rule: BROKEN_CHAIN, fact, outcome, mend });
    }
    Ok(faults)
}

pub(super) fn unknown_signature(certificate: &Certificate, kind: &str) -> String {
    format!("{} has a signature of a kind that is not judged here ({kind})", certificate.title())
}

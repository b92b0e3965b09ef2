//! Reads the PEM text of `tls.crt` line by line, as servers do that present it.

use super::{fault::Fault, rules};

const KEY: &[u8] = b"PRIVATE KEY";
/// Blocks that are sometimes found in place of certificates.
const OTHERS: [&str; 4] = ["CERTIFICATE REQUEST", "X509 CRL", "PUBLIC KEY", "TRUSTED CERTIFICATE"];
const READ: &str = "anyone who can read the certificates can read it";
const NEW_KEY: &str = "create a new key and certificate, and put the key only into tls.key";

/// The most certificates in a chain: a leaf, the six intermediates that rustls accepts, and a root.
const MOST_CERTIFICATES: usize = 8;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// The certificates of a PEM text, and anything in it that does not belong there.
pub(super) fn certificates(text: &[u8]) -> (Vec<Vec<u8>>, Vec<Fault>) {
    let broken = |fact: String, outcome, mend| Fault::new(rules::BROKEN_CHAIN, fact, outcome, mend);
    let shows_key = || {
        let fact = "there is a private key, or a part of one, among the certificates".to_owned();
        Fault::new(rules::PRIVATE_KEY, fact, READ, NEW_KEY)
    };
    let has_key = text.windows(KEY.len()).any(|window| window == KEY);
    let refused = |fact: String| {
        if has_key {
            return (Vec::new(), vec![shows_key()]);
        }
        let mend = "paste the certificates again, with their line breaks";
        (Vec::new(), vec![broken(fact, "servers ignore text that is not a valid block", mend)])
    };
    let (blocks, has_more_behind) = match parse_pem(text) {
        Ok(read) => read,
        Err(fact) => return refused(fact),
    };
    let mut faults = Vec::new();
    let mut certificates = Vec::new();
    for (number, block) in (1..).zip(blocks) {
        let tag = block.tag();
        if tag.ends_with("PRIVATE KEY") {
            let fact = format!("block {number} is a private key where a certificate belongs");
            faults.push(Fault::new(rules::PRIVATE_KEY, fact, READ, NEW_KEY));
        } else if tag != "CERTIFICATE" {
            // Show only known labels: a Secret's value may be anything.
            let kind = OTHERS.iter().find(|other| **other == tag);
            let what =
                kind.map_or("not a certificate".to_owned(), |kind| format!("a `{kind}` where a certificate belongs"));
            let fact = format!("block {number} is {what}");
            let mend = "remove this block, and keep those that start with -----BEGIN CERTIFICATE-----";
            faults.push(broken(fact, "servers ignore it", mend));
        } else {
            certificates.push(block.into_contents());
        }
    }
    if certificates.len() > MOST_CERTIFICATES {
        let fact = format!("it holds {} certificates, more than {MOST_CERTIFICATES}", certificates.len());
        let mend = "keep the leaf and its intermediates";
        return (Vec::new(), vec![broken(fact, "clients such as rustls reject a chain this long", mend)]);
    }
    if certificates.is_empty() && faults.is_empty() {
        let mend = "add the certificate in PEM, followed by its intermediates";
        faults.push(broken("it contains no certificate".to_owned(), "the server has no certificate to present", mend));
    } else if has_key && faults.is_empty() {
        faults.push(shows_key());
    } else if has_more_behind {
        let mend = "remove this text. If it is an incomplete certificate, paste the whole certificate";
        faults.push(broken("there is text after the last PEM block".to_owned(), "servers ignore it", mend));
    }
    (certificates, faults)
}

/// The blocks of a text, and whether text follows the last one; if it is not PEM, what is wrong with it.
fn parse_pem(text: &[u8]) -> Result<(Vec<pem::Pem>, bool), String> {
    let Blocks { count, has_more_behind } = blocks_by_lines(&String::from_utf8_lossy(text))
        .map_err(|line| format!("line {line} is not the BEGIN or END line that is expected there"))?;
    let has_headers = |block: &pem::Pem| block.headers().iter().next().is_some();
    match pem::parse_many(text) {
        Ok(blocks) if blocks.len() == count && !blocks.iter().any(has_headers) => Ok((blocks, has_more_behind)),
        _ => Err("one of its blocks is not valid PEM".to_owned()),
    }
}

/// Blocks that begin and end on lines of their own.
struct Blocks {
    count: usize,
    /// Whether text follows the last block. Text before a block is an explanation (RFC 7468).
    has_more_behind: bool,
}

/// Finds the blocks as Go's and OpenSSL's servers do; the `pem` crate also finds them within a line.
///
/// # Errors
///
/// The first line, from 1, that has the dashes of a block's beginning or end but is neither.
fn blocks_by_lines(text: &str) -> Result<Blocks, usize> {
    let mut blocks = Blocks { count: 0, has_more_behind: false };
    let mut open: Option<&str> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end();
        let is_inside = open.is_some();
        if !line.contains("----") {
            blocks.has_more_behind |= !is_inside && !line.is_empty();
            continue;
        }
        let label = |start| line.strip_prefix(start).and_then(|label| label.strip_suffix("-----"));
        open = match (open, label(BEGIN), label(END)) {
            (None, Some(label), _) => Some(label),
            (Some(opened), _, Some(label)) if opened == label => {
                blocks = Blocks { count: blocks.count + 1, has_more_behind: false };
                None
            }
            _ => return Err(number),
        };
    }
    match open {
        None => Ok(blocks),
        Some(_) => Err(text.lines().count()),
    }
}

//! Splits DER into elements without decoding them: the `der` crate's code for a type costs a module
//! a kilobyte.

/// An element: its tag, and its content.
pub(super) type Element<'d> = (u8, &'d [u8]);

pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const SEQUENCE: u8 = 0x30;

/// Splits off the first element; `None` if it is missing or cut off.
pub(super) fn split(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let [tag, length, rest @ ..] = der else {
        return None;
    };
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(((*tag, content), rest))
}

/// The content of the only element, if it has that tag.
pub(super) fn only(der: &[u8], tag: u8) -> Option<&[u8]> {
    match split(der)? {
        ((found, content), []) if found == tag => Some(content),
        _ => None,
    }
}

/// The elements in a row, up to the first that is cut off.
pub(super) fn each(der: &[u8]) -> impl Iterator<Item = Element<'_>> {
    let mut rest = der;
    std::iter::from_fn(move || {
        let (element, behind) = split(rest)?;
        rest = behind;
        Some(element)
    })
}

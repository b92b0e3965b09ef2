//! Finds parts of a certificate that Go cannot read, and that other clients overlook.
//!
//! Source: `crypto/x509/parser.go` of [Go](https://go.dev/src/crypto/x509/parser.go) 1.27. `docs/certificates.md` lists what is
//! not checked here.

use rustls_pki_types::alg_id;
use x509_cert::{
    der::{
        Tag, Tagged,
        oid::{ObjectIdentifier, db::rfc5280},
    },
    ext::{Extension, pkix::name::GeneralName},
    name::Name,
    spki::SubjectPublicKeyInfoOwned,
};

use super::{
    certificate::{Certificate, address_of, algorithm},
    elements::{self, OCTET_STRING, SEQUENCE},
};

/// Returns why Go cannot read a certificate, worded to follow "it".
pub(super) fn oddity(certificate: &Certificate) -> Option<&'static str> {
    let content = certificate.content.tbs_certificate();
    let extensions = content.extensions().map(Vec::as_slice).unwrap_or_default();
    if has_twice(extensions) {
        Some("has an extension twice")
    } else if certificate.serial_number().first().is_some_and(|byte| *byte >= 0x80) {
        Some("has a negative serial number")
    } else if !certificate.names.iter().all(is_readable_general_name) {
        Some("has an invalid IP address or URI in subjectAltName")
    } else if !is_readable_key(content.subject_public_key_info()) {
        Some("has a key that is not an uncompressed point of its curve")
    } else if ![content.subject(), content.issuer()].into_iter().all(is_readable_name) {
        Some("has a name with characters that its type does not allow")
    } else if !extensions.iter().all(has_its_type) {
        Some("has an extension of the wrong type")
    } else if !extensions.iter().all(limits_known_names) {
        Some("has nameConstraints that are empty or of an unknown kind")
    } else {
        None
    }
}

fn has_twice(mut extensions: &[Extension]) -> bool {
    while let [first, rest @ ..] = extensions {
        if rest.iter().any(|other| other.extn_id == first.extn_id) {
            return true;
        }
        extensions = rest;
    }
    false
}

fn is_readable_general_name(name: &GeneralName) -> bool {
    match name {
        // An IPv4 address has four bytes, not sixteen.
        GeneralName::IpAddress(address) => {
            address_of(address.as_bytes()).is_some_and(|address| address.to_canonical() == address)
        }
        GeneralName::UniformResourceIdentifier(uri) => is_readable_uri(uri.as_str()),
        _ => true,
    }
}

/// Whether Go accepts the host of a URI.
fn is_readable_uri(uri: &str) -> bool {
    let Some((_, rest)) = uri.split_once("://") else {
        return true;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let is_plain = host.chars().all(|letter| letter.is_ascii_graphic());
    let is_closed = host.contains('[') == host.contains(']');
    let name = host.split(':').next().unwrap_or_default();
    is_plain && is_closed && (name.is_empty() || name.split('.').all(|label| !label.is_empty()))
}

/// Whether Go reads a key: on elliptic curves, only uncompressed points.
fn is_readable_key(key: &SubjectPublicKeyInfoOwned) -> bool {
    let kind = algorithm(&key.algorithm);
    let sizes = [(alg_id::ECDSA_P256, 65), (alg_id::ECDSA_P384, 97), (alg_id::ECDSA_P521, 133)];
    let Some((_, length)) = sizes.iter().find(|(known, _)| known.as_ref() == kind) else {
        return true;
    };
    let point = key.subject_public_key.raw_bytes();
    point.len() == *length && point.first() == Some(&4)
}

/// Whether the texts of a name are valid for their types.
fn is_readable_name(name: &Name) -> bool {
    name.iter().all(|part| {
        let text = part.value.value();
        let is_printable = |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(byte);
        match part.value.tag() {
            Tag::PrintableString => text.iter().all(is_printable),
            Tag::Ia5String => text.is_ascii(),
            Tag::Utf8String => str::from_utf8(text).is_ok(),
            Tag::BmpString => text.len().is_multiple_of(2),
            _ => true,
        }
    })
}

/// Extensions that Go reads, and their types. The contents of the lists are not checked.
const TYPES: [(ObjectIdentifier, u8); 5] = [
    (rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, SEQUENCE),
    (rfc5280::ID_CE_CERTIFICATE_POLICIES, SEQUENCE),
    (rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, SEQUENCE),
    (rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, SEQUENCE),
    (rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, OCTET_STRING),
];

fn has_its_type(extension: &Extension) -> bool {
    let der = extension.extn_value.as_bytes();
    TYPES.iter().all(|(kind, tag)| extension.extn_id != *kind || elements::only(der, *tag).is_some())
}

/// Whether nameConstraints limit some names and, if critical, only kinds of names that Go knows.
fn limits_known_names(extension: &Extension) -> bool {
    // By tag: mail, DNS, URI, IP.
    const KNOWN: [u8; 4] = [0x81, 0x82, 0x86, 0x87];
    if extension.extn_id != rfc5280::ID_CE_NAME_CONSTRAINTS {
        return true;
    }
    let Some(content) = elements::only(extension.extn_value.as_bytes(), SEQUENCE) else {
        return false;
    };
    let subtrees = elements::each(content).flat_map(|(_, subtrees)| elements::each(subtrees));
    let mut tags = subtrees.filter_map(|(_, subtree)| subtree.first()).peekable();
    tags.peek().is_some() && (!extension.critical || tags.all(|tag| KNOWN.contains(tag)))
}

#[cfg(test)]
mod tests {
    use x509_cert::{der::Decode, name::Name};

    use super::{is_readable_name, is_readable_uri};

    #[test]
    fn a_uri_is_read_if_its_host_is_valid() {
        for (uri, is_readable) in [
            ("spiffe://cluster.local/ns/flyte", true),
            ("https://user@a_b.example:8443/a b", true),
            ("https://[2001:db8::7]:8443/", true),
            ("file:///etc", true),
            ("urn:uuid:0", true),
            ("http://a..b/", false),
            ("http://example./", false),
            ("http://[bad", false),
            ("http://a b/", false),
        ] {
            assert_eq!(is_readable, is_readable_uri(uri), "{uri}");
        }
    }

    #[test]
    fn a_name_is_read_if_its_type_allows_its_characters() {
        // A PrintableString is 19, a UTF8String 12, an IA5String 22, a TeletexString 20.
        for (kind, text, is_readable) in [
            (19, &b"R11 (a), *&"[..], true),
            (19, b"a@b", false),
            (19, b"a_b", false),
            (12, "B\u{fc}cher".as_bytes(), true),
            (22, b"a@b", true),
            (22, b"\xfc", false),
            (20, b"\xfc", true),
        ] {
            let length = text.len() as u8;
            let value = [&[kind, length], text].concat();
            let name =
                [&[0x30, length + 11, 0x31, length + 9, 0x30, length + 7, 6, 3, 0x55, 4, 3], &value[..]].concat();
            assert_eq!(is_readable, is_readable_name(&Name::from_der(&name).unwrap()), "{kind} {text:?}");
        }
    }
}

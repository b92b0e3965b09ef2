//! Reads one certificate.

use std::{net::IpAddr, time::Duration};

use rsa::pkcs1::RsaPublicKeyRef;
use rustls_pki_types::{CertificateDer, alg_id};
use x509_cert::{
    der::{
        self, AnyRef, Decode, Encode, Reader, SliceReader,
        oid::{
            ObjectIdentifier,
            db::{
                rfc4519, rfc5280,
                rfc5912::{DSA_WITH_SHA_1, ID_KP_SERVER_AUTH, MD_5_WITH_RSA_ENCRYPTION, SHA_1_WITH_RSA_ENCRYPTION},
            },
        },
    },
    ext::pkix::{
        BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName,
        name::{DirectoryString, GeneralName},
    },
    name::Name,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::Time,
};

use super::elements::{self, OCTET_STRING, SEQUENCE};
use crate::{
    host::Pki,
    verdict::{Shortened, few},
};

/// A certificate of a chain.
pub(super) struct Certificate<'d> {
    pub(super) der: CertificateDer<'d>,
    /// The part that is signed.
    signed: &'d [u8],
    pub(super) content: x509_cert::Certificate,
    pub(super) names: Vec<GeneralName>,
    usages: Option<Vec<ObjectIdentifier>>,
    pub(super) is_ca: bool,
    /// The uses that its key is limited to, if any.
    key_usage: Option<KeyUsage>,
    /// The most CAs that may come below it.
    most_below: Option<u8>,
    pub(super) rsa: Option<RsaKey>,
    /// Its place in the chain, from 1.
    number: usize,
}

/// The name of ECDSA with SHA-1, which `rfc5912` lacks.
const ECDSA_WITH_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");

/// The tags of an authorityKeyIdentifier's fields, and the tag of the kind of name that certificates have.
const KEY_ID: u8 = 0x80;
const ISSUER: u8 = 0xa1;
const SERIAL_NUMBER: u8 = 0x82;
const DIRECTORY_NAME: u8 = 0xa4;

/// The extensions that Go and OpenSSL accept if they are critical.
const KNOWN_EXTENSIONS: [ObjectIdentifier; 10] = [
    rfc5280::ID_CE_KEY_USAGE,
    rfc5280::ID_CE_SUBJECT_ALT_NAME,
    rfc5280::ID_CE_BASIC_CONSTRAINTS,
    rfc5280::ID_CE_NAME_CONSTRAINTS,
    rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
    rfc5280::ID_CE_CERTIFICATE_POLICIES,
    rfc5280::ID_CE_POLICY_MAPPINGS,
    rfc5280::ID_CE_POLICY_CONSTRAINTS,
    rfc5280::ID_CE_EXT_KEY_USAGE,
    rfc5280::ID_CE_INHIBIT_ANY_POLICY,
];

const NETSCAPE_CERT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113730.1.1");

/// The properties of an RSA key.
pub(super) struct RsaKey {
    pub(super) bits: usize,
    /// Whether its exponent is odd, and Go accepts it: `checkPub` of its `crypto/rsa/rsa.go`.
    pub(super) has_usual_exponent: bool,
}

/// Whether a key has signed a certificate.
pub(super) enum Signed {
    Yes,
    No,
    /// The key or the algorithm is not supported: its object identifier.
    Unknown(String),
}

impl<'d> Certificate<'d> {
    /// Reads a certificate; `number` is its place in the chain, from 1.
    ///
    /// # Errors
    ///
    /// It is not a certificate.
    pub(super) fn from_der(der: &'d [u8], number: usize) -> Result<Self, String> {
        let certificate = Self::parse(der, number).map_err(|error| error.to_string())?;
        let content = &certificate.content;
        if content.tbs_certificate().signature() != content.signature_algorithm() {
            return Err("it names two different signature algorithms".to_owned());
        }
        Ok(certificate)
    }

    fn parse(der: &'d [u8], number: usize) -> der::Result<Self> {
        let content = x509_cert::Certificate::from_der(der)?;
        let signed = SliceReader::new(AnyRef::from_der(der)?.value())?.tlv_bytes()?;
        let says = content.tbs_certificate();
        let names = says.get_extension::<SubjectAltName>()?.map(|(_, names)| names.0).unwrap_or_default();
        let usages = says.get_extension::<ExtendedKeyUsage>()?.map(|(_, usages)| usages.0);
        let constraints = says.get_extension::<BasicConstraints>()?.map(|(_, constraints)| constraints);
        let is_ca = constraints.as_ref().is_some_and(|constraints| constraints.ca);
        let most_below = constraints.and_then(|constraints| constraints.path_len_constraint);
        let key_usage = says.get_extension::<KeyUsage>()?.map(|(_, usage)| usage);
        let rsa = rsa_key(says.subject_public_key_info())?;
        Ok(Self { der: der.into(), signed, content, names, usages, is_ca, key_usage, most_below, rsa, number })
    }

    pub(super) fn subject(&self) -> &Name {
        self.content.tbs_certificate().subject()
    }

    pub(super) fn issuer(&self) -> &Name {
        self.content.tbs_certificate().issuer()
    }

    /// The certificate's name in messages: `certificate 2 (CN=R11, O=Let's Encrypt, C=US)`.
    pub(super) fn title(&self) -> String {
        format!("certificate {} ({})", self.number, shown(self.subject()))
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Returns when it becomes valid, since 1970.
    pub(super) fn not_before(&self) -> Duration {
        self.content.tbs_certificate().validity().not_before.to_unix_duration()
    }

    /// Returns the last second in which it is valid, since 1970.
    pub(super) fn not_after(&self) -> Duration {
        self.content.tbs_certificate().validity().not_after.to_unix_duration()
    }

    pub(super) fn first_day(&self) -> String {
        day(self.content.tbs_certificate().validity().not_before)
    }

    pub(super) fn last_day(&self) -> String {
        day(self.content.tbs_certificate().validity().not_after)
    }

    /// Returns how long it is valid.
    pub(super) fn lifetime(&self) -> Duration {
        self.not_after().saturating_sub(self.not_before())
    }

    pub(super) fn is_valid_at(&self, time: Duration) -> bool {
        (self.not_before()..=self.not_after()).contains(&time)
    }

    /// Whether its key may sign other certificates.
    pub(super) fn may_sign(&self) -> bool {
        self.is_ca && self.key_usage.is_none_or(|usage| usage.key_cert_sign())
    }

    /// Whether keyUsage, if set, lets a server's key sign handshakes.
    pub(super) fn may_sign_handshakes(&self) -> bool {
        self.key_usage.is_none_or(|usage| usage.digital_signature())
    }

    /// Whether keyUsage, if set, allows a server's key any use in TLS: OpenSSL's `KU_TLS`.
    pub(super) fn may_be_used_for_tls(&self) -> bool {
        self.key_usage
            .is_none_or(|usage| usage.digital_signature() || usage.key_encipherment() || usage.key_agreement())
    }

    /// Whether its authorityKeyIdentifier matches another certificate: OpenSSL's `X509_check_akid`.
    pub(super) fn names_key_of(&self, issuer: &Certificate) -> bool {
        let named =
            self.extension(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER).and_then(|der| elements::only(der, SEQUENCE));
        let own = issuer.extension(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER);
        elements::each(named.unwrap_or_default()).all(|(tag, named)| match tag {
            KEY_ID => own.and_then(|der| elements::only(der, OCTET_STRING)).is_none_or(|own| own == named),
            ISSUER => {
                let name = elements::each(named).find(|(tag, _)| *tag == DIRECTORY_NAME);
                name.is_none_or(|(_, name)| elements::only(name, SEQUENCE) == issuer.field(2))
            }
            SERIAL_NUMBER => Some(named) == issuer.field(0),
            _ => true,
        })
    }

    /// The serial number, as encoded.
    pub(super) fn serial_number(&self) -> &[u8] {
        self.field(0).unwrap_or_default()
    }

    /// A field of the signed part, by its place after the version: the serial number, the algorithm, the issuer.
    fn field(&self, index: usize) -> Option<&[u8]> {
        const VERSION: u8 = 0xa0;
        let fields = elements::each(elements::only(self.signed, SEQUENCE)?);
        fields.filter(|(tag, _)| *tag != VERSION).nth(index).map(|(_, content)| content)
    }

    /// The content of an extension.
    fn extension(&self, kind: ObjectIdentifier) -> Option<&[u8]> {
        let mut extensions = self.content.tbs_certificate().extensions().into_iter().flatten();
        extensions.find(|extension| extension.extn_id == kind).map(|extension| extension.extn_value.as_bytes())
    }

    /// Whether it has Netscape's certificate type, and that does not include servers. OpenSSL still reads this type.
    pub(super) fn is_netscapes_and_not_for_servers(&self) -> bool {
        // A bit string: its tag, its length, how many bits are unused, and the bits.
        self.extension(NETSCAPE_CERT_TYPE).is_some_and(|der| der.get(3).is_none_or(|bits| bits & 0x40 == 0))
    }

    /// Whether it may be the root of a chain for servers with this many CAs below it.
    pub(super) fn may_be_root(&self, below: usize) -> bool {
        let has_room = self.most_below.is_none_or(|most| usize::from(most) >= below);
        self.may_sign() && self.is_for_servers() != Some(false) && has_room && !self.has_unknown_critical_extension()
    }

    /// Whether it has an unknown critical extension. For certificates in a chain, webpki checks this.
    fn has_unknown_critical_extension(&self) -> bool {
        let mut extensions = self.content.tbs_certificate().extensions().into_iter().flatten();
        extensions.any(|extension| extension.critical && !KNOWN_EXTENSIONS.contains(&extension.extn_id))
    }

    /// Whether it names itself as its issuer, which alone proves nothing.
    pub(super) fn is_self_issued(&self) -> bool {
        self.subject() == self.issuer()
    }

    /// Whether it has a name that clients check; they ignore the common name.
    pub(super) fn has_names(&self) -> bool {
        self.names.iter().any(|name| matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_)))
    }

    /// Whether this exact name is among its names.
    pub(super) fn has_name(&self, host: &str) -> bool {
        let is_it =
            |name: &GeneralName| matches!(name, GeneralName::DnsName(name) if name.as_str().eq_ignore_ascii_case(host));
        self.names.iter().any(is_it)
    }

    /// A few of the names that clients check.
    pub(super) fn names(&self) -> String {
        let shown = |name: &GeneralName| match name {
            GeneralName::DnsName(name) if name.as_str().parse::<IpAddr>().is_ok() => {
                Some(format!("DNS:{}", name.as_str()))
            }
            GeneralName::DnsName(name) => Some(Shortened(name.as_ref()).to_string()),
            GeneralName::IpAddress(address) => address_of(address.as_bytes()).map(|address| address.to_string()),
            _ => None,
        };
        few(self.names.iter().filter_map(shown).collect::<Vec<_>>().into_iter())
    }

    /// Whether it is for servers; `None` if it names no use.
    pub(super) fn is_for_servers(&self) -> Option<bool> {
        self.usages.as_ref().map(|usages| usages.contains(&ID_KP_SERVER_AUTH))
    }

    /// Returns the hash of its signature, if no client accepts this hash any more.
    pub(super) fn weak_hash(&self) -> Option<&'static str> {
        match self.content.signature_algorithm().oid {
            SHA_1_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_1 | DSA_WITH_SHA_1 => Some("SHA-1"),
            MD_5_WITH_RSA_ENCRYPTION => Some("MD5"),
            _ => None,
        }
    }

    /// Returns the object identifier of its key's type, if clients do not accept this type.
    pub(super) fn unknown_key(&self, pki: &Pki) -> Option<String> {
        let key = &self.content.tbs_certificate().subject_public_key_info().algorithm;
        let kind = algorithm(key);
        let is_known = pki.signatures.iter().any(|known| known.public_key_alg_id().as_ref() == kind)
            || alg_id::ECDSA_P521.as_ref() == kind;
        (!is_known).then(|| key.oid.to_string())
    }

    /// The object identifier of its signature algorithm, if that is not supported.
    pub(super) fn unknown_signature(&self, pki: &Pki) -> Option<String> {
        let kind = algorithm(self.content.signature_algorithm());
        let is_known = pki.signatures.iter().any(|known| known.signature_alg_id().as_ref() == kind);
        (!is_known).then(|| self.content.signature_algorithm().oid.to_string())
    }

    /// Whether the key of `issuer` signed it.
    pub(super) fn is_signed_by(&self, issuer: &Certificate, pki: &Pki) -> Signed {
        let key = issuer.content.tbs_certificate().subject_public_key_info();
        let (key_kind, kind) = (algorithm(&key.algorithm), algorithm(self.content.signature_algorithm()));
        let known = pki
            .signatures
            .iter()
            .find(|known| known.public_key_alg_id().as_ref() == key_kind && known.signature_alg_id().as_ref() == kind);
        let Some(known) = known else {
            return Signed::Unknown(self.content.signature_algorithm().oid.to_string());
        };
        let signature = self.content.signature().raw_bytes();
        match known.verify_signature(key.subject_public_key.raw_bytes(), self.signed, signature) {
            Ok(()) => Signed::Yes,
            Err(_) => Signed::No,
        }
    }
}

/// The parts of a name by which people know a certificate.
const KNOWN: [(ObjectIdentifier, &str); 4] =
    [(rfc4519::CN, "CN"), (rfc4519::O, "O"), (rfc4519::OU, "OU"), (rfc4519::C, "C")];

pub(super) fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// A name for messages: `CN=R11, O=Let's Encrypt, C=US`.
///
/// The `Display` of [`Name`] knows every attribute, which takes a table of 80 KB.
pub(super) fn shown(name: &Name) -> String {
    // Certificates write the country first; people know them by the common name.
    let of_key = |(known, key): &(ObjectIdentifier, &str)| {
        let part = name.iter().find(|part| part.oid == *known)?;
        let value = part.value.decode_as::<DirectoryString>().ok()?;
        Some(format!("{key}={}", value.value()))
    };
    let parts: Vec<String> = KNOWN.iter().filter_map(of_key).collect();
    if parts.is_empty() { "without a name".to_owned() } else { Shortened(&parts.join(", ")).to_string() }
}

fn rsa_key(key: &SubjectPublicKeyInfoOwned) -> der::Result<Option<RsaKey>> {
    if algorithm(&key.algorithm) != alg_id::RSA_ENCRYPTION.as_ref() {
        return Ok(None);
    }
    let RsaPublicKeyRef { modulus, public_exponent } = RsaPublicKeyRef::from_der(key.subject_public_key.raw_bytes())?;
    let unused = modulus.as_bytes().first().map_or(0, |first| first.leading_zeros());
    let bits = modulus.as_bytes().len() * 8 - unused as usize;
    let exponent = public_exponent
        .as_bytes()
        .iter()
        .try_fold(0_i32, |sum, byte| sum.checked_mul(256).and_then(|sum| sum.checked_add((*byte).into())));
    Ok(Some(RsaKey { bits, has_usual_exponent: exponent.is_some_and(|exponent| exponent > 2 && exponent % 2 == 1) }))
}

/// An algorithm as webpki names it: the content of its `AlgorithmIdentifier`.
pub(super) fn algorithm(identifier: &AlgorithmIdentifierOwned) -> Vec<u8> {
    let der = identifier.to_der().unwrap_or_default();
    AnyRef::from_der(&der).map(|identifier| identifier.value().to_owned()).unwrap_or_default()
}

/// The day of a time, as `2026-11-22`.
fn day(time: Time) -> String {
    time.to_date_time().to_string().chars().take_while(|letter| *letter != 'T').collect()
}

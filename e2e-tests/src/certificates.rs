//! The certificates for the case tables and the benchmark. They are made when they are needed, because certificates expire.
//!
//! In a text of a case, `${leaf}` is the certificate with that name as PEM, and `${day:-3}` is the day three days ago. A text that
//! starts with `base64:` is encoded after that.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
    sync::{LazyLock, Mutex},
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::Signer;
use pem::Pem;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey,
};
use serde_json::Value;
use time::OffsetDateTime;

/// The recipe for a certificate.
struct Recipe {
    name: &'static str,
    /// Its common name, if that differs from `name`.
    subject: Option<&'static str>,
    key: Kind,
    /// Its key usage.
    key_usage: KeyUsagePurpose,
    /// Its issuer; the same name as its own for a self-signed certificate.
    issuer: &'static str,
    /// The certificate whose key signs it, if that is not the issuer.
    forger: Option<&'static str>,
    is_ca: bool,
    /// When it starts and ends, in days from now.
    days: (i64, i64),
    hosts: &'static [&'static str],
    usages: &'static [ExtendedKeyUsagePurpose],
    /// More extensions: the identifier and the DER of each.
    extensions: &'static [(&'static [u64], &'static [u8])],
}

/// The kind of a key. The key itself derives from the certificate's name.
#[derive(Clone, Copy)]
enum Kind {
    P256,
    P384,
    Ed25519,
    /// A public key with this many bits, which has no known private key.
    Rsa(usize),
}

const SERVER: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ServerAuth];

/// A valid certificate of a server, signed by `intermediate`.
const LEAF: Recipe = Recipe {
    name: "leaf",
    subject: None,
    key: Kind::P256,
    key_usage: KeyUsagePurpose::DigitalSignature,
    issuer: "intermediate",
    forger: None,
    is_ca: false,
    days: (-10, 80),
    hosts: &["flyte.example.com"],
    usages: SERVER,
    extensions: &[],
};

/// Netscape's certificate type.
const NETSCAPE_CERT_TYPE: &[u64] = &[2, 16, 840, 1, 113_730, 1, 1];
/// An unknown extension without content.
const UNKNOWN: (&[u64], &[u8]) = (&[1, 2, 3, 4], &[5, 0]);

/// A CA's certificate.
const CA: Recipe = Recipe {
    is_ca: true,
    key_usage: KeyUsagePurpose::KeyCertSign,
    days: (-100, 1_000),
    hosts: &[],
    usages: &[],
    ..LEAF
};

const RECIPES: &[Recipe] = &[
    Recipe { name: "root", issuer: "root", ..CA },
    Recipe { name: "intermediate", issuer: "root", ..CA },
    LEAF,
    Recipe { name: "wildcard", hosts: &["*.example.com"], ..LEAF },
    Recipe { name: "address", hosts: &["10.0.0.7"], ..LEAF },
    Recipe { name: "leaf-of-root", issuer: "root", ..LEAF },
    // Other keys.
    Recipe { name: "p384-root", key: Kind::P384, issuer: "p384-root", ..CA },
    Recipe { name: "p384-intermediate", key: Kind::P384, issuer: "p384-root", ..CA },
    Recipe { name: "p384-leaf", key: Kind::P384, issuer: "p384-intermediate", ..LEAF },
    Recipe { name: "ed25519-root", key: Kind::Ed25519, issuer: "ed25519-root", ..CA },
    Recipe { name: "ed25519-leaf", key: Kind::Ed25519, issuer: "ed25519-root", ..LEAF },
    // Certificates that are not a server's certificate from a CA.
    Recipe { name: "self-signed", issuer: "self-signed", ..LEAF },
    Recipe {
        name: "self-signed-ca",
        issuer: "self-signed-ca",
        key_usage: KeyUsagePurpose::KeyCertSign,
        is_ca: true,
        ..LEAF
    },
    Recipe { name: "forged", forger: Some("root"), ..LEAF },
    Recipe { name: "signs", is_ca: true, ..LEAF },
    Recipe { name: "nameless", hosts: &[], ..LEAF },
    Recipe { name: "without-usage", usages: &[], ..LEAF },
    Recipe { name: "client", usages: &[ExtendedKeyUsagePurpose::ClientAuth], ..LEAF },
    Recipe { name: "signs-certificates", key_usage: KeyUsagePurpose::KeyCertSign, ..LEAF },
    Recipe { name: "signs-lists", key_usage: KeyUsagePurpose::CrlSign, ..LEAF },
    Recipe { name: "encrypts", key_usage: KeyUsagePurpose::KeyEncipherment, ..LEAF },
    Recipe { name: "netscape-client", extensions: &[(NETSCAPE_CERT_TYPE, &[3, 2, 7, 0x80])], ..LEAF },
    Recipe { name: "netscape-server", extensions: &[(NETSCAPE_CERT_TYPE, &[3, 2, 6, 0x40])], ..LEAF },
    Recipe { name: "extension", extensions: &[UNKNOWN], ..LEAF },
    Recipe { name: "extension-twice", extensions: &[UNKNOWN, UNKNOWN], ..LEAF },
    Recipe { name: "rsa-1024", key: Kind::Rsa(1024), ..LEAF },
    Recipe { name: "rsa-2048", key: Kind::Rsa(2048), ..LEAF },
    Recipe { name: "rsa-16384", key: Kind::Rsa(16384), ..LEAF },
    // Time.
    Recipe { name: "expired", days: (-90, -3), ..LEAF },
    Recipe { name: "not-yet", days: (2, 92), ..LEAF },
    Recipe { name: "ends-soon", days: (-80, 5), ..LEAF },
    Recipe { name: "825-days", days: (-1, 824), ..LEAF },
    Recipe { name: "826-days", days: (-1, 825), ..LEAF },
    Recipe { name: "ten-years-of-2018", days: (-3_240, 410), usages: &[], ..LEAF },
    Recipe { name: "expired-intermediate", issuer: "root", days: (-900, -2), ..CA },
    Recipe { name: "leaf-of-expired", issuer: "expired-intermediate", ..LEAF },
    Recipe { name: "expired-root", issuer: "expired-root", days: (-900, -2), ..CA },
    Recipe { name: "leaf-of-expired-root", issuer: "expired-root", ..LEAF },
    // CAs that must not sign.
    Recipe { name: "mute", issuer: "root", key_usage: KeyUsagePurpose::CrlSign, ..CA },
    Recipe { name: "leaf-of-mute", issuer: "mute", ..LEAF },
    Recipe { name: "client-ca", issuer: "root", usages: &[ExtendedKeyUsagePurpose::ClientAuth], ..CA },
    Recipe { name: "leaf-of-client-ca", issuer: "client-ca", ..LEAF },
    Recipe { name: "mute-root", issuer: "mute-root", key_usage: KeyUsagePurpose::CrlSign, ..CA },
    Recipe { name: "leaf-of-mute-root", issuer: "mute-root", ..LEAF },
    // Another root with the name of the first.
    Recipe { name: "other-root", subject: Some("root"), issuer: "other-root", ..CA },
    Recipe { name: "leaf-of-other-root", issuer: "other-root", ..LEAF },
    // A leaf that signs.
    Recipe { name: "leaf-of-leaf", issuer: "leaf", ..LEAF },
];

/// Certificates made with openssl, which can make certificates that no CA should issue: the name, the issuer, and the
/// options of each.
const OPENSSL: &[(&str, &str, &str)] = &[
    ("openssl-root", "openssl-root", "-newkey rsa:2048 -sha256 -extensions ca"),
    ("openssl-intermediate", "openssl-root", "-newkey rsa:2048 -sha256 -extensions ca"),
    ("openssl-leaf", "openssl-intermediate", "-newkey rsa:2048 -sha256 -extensions leaf"),
    ("openssl-rsa-4096", "openssl-root", "-newkey rsa:4096 -sha512 -extensions leaf"),
    (
        "openssl-pss",
        "openssl-root",
        "-newkey rsa:2048 -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -extensions leaf",
    ),
    ("openssl-rsa-1024", "openssl-root", "-newkey rsa:1024 -sha256 -extensions leaf"),
    ("openssl-sha1", "openssl-root", "-newkey rsa:2048 -sha1 -extensions leaf"),
    ("openssl-md5", "openssl-root", "-newkey rsa:2048 -md5 -extensions leaf"),
    ("openssl-k256", "openssl-root", "-newkey ec -pkeyopt ec_paramgen_curve:secp256k1 -sha256 -extensions leaf"),
    ("openssl-p521", "openssl-root", "-newkey ec -pkeyopt ec_paramgen_curve:P-521 -sha256 -extensions leaf"),
    ("openssl-negative", "openssl-root", "-newkey rsa:2048 -sha256 -extensions leaf -set_serial -5"),
    ("openssl-mapped", "openssl-root", "-newkey rsa:2048 -sha256 -extensions mapped"),
    ("openssl-address", "openssl-root", "-newkey rsa:2048 -sha256 -extensions address"),
    ("openssl-other-key", "openssl-root", "-newkey rsa:2048 -sha256 -extensions other-key"),
    ("openssl-other-serial", "openssl-root", "-newkey rsa:2048 -sha256 -extensions other-serial"),
    ("openssl-uri", "openssl-root", "-newkey rsa:2048 -sha256 -extensions uri"),
    ("openssl-broken-uri", "openssl-root", "-newkey rsa:2048 -sha256 -extensions broken-uri"),
    ("openssl-limited", "openssl-root", "-newkey rsa:2048 -sha256 -extensions limited"),
    ("openssl-of-limited", "openssl-limited", "-newkey rsa:2048 -sha256 -extensions leaf"),
    ("openssl-limits-ids", "openssl-root", "-newkey rsa:2048 -sha256 -extensions limits-ids"),
    ("openssl-of-limits-ids", "openssl-limits-ids", "-newkey rsa:2048 -sha256 -extensions leaf"),
    ("openssl-critical-root", "openssl-critical-root", "-newkey rsa:2048 -sha256 -extensions critical"),
    ("openssl-of-critical-root", "openssl-critical-root", "-newkey rsa:2048 -sha256 -extensions leaf"),
    ("openssl-p521-root", "openssl-p521-root", "-newkey ec -pkeyopt ec_paramgen_curve:P-521 -sha512 -extensions ca"),
    ("openssl-of-p521", "openssl-p521-root", "-newkey rsa:2048 -sha512 -extensions leaf"),
];

/// The time from which all days count.
static NOW: LazyLock<SystemTime> = LazyLock::new(|| {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs())
});

/// The time this many days from now.
pub fn day(days: i64) -> SystemTime {
    let distance = Duration::from_secs(days.unsigned_abs() * 24 * 60 * 60);
    if days < 0 { *NOW - distance } else { *NOW + distance }
}

/// The certificate with a name, in PEM; `None` if it requires openssl, which is not on PATH.
///
/// # Panics
///
/// No certificate has that name.
pub fn pem(name: &str) -> Option<String> {
    static MADE: LazyLock<Mutex<BTreeMap<String, String>>> = LazyLock::new(Mutex::default);
    if let Some((made, ..)) = OPENSSL.iter().find(|(made, ..)| *made == name) {
        return of_openssl().map(|all| all[made].clone());
    }
    let mut made = MADE.lock().expect("no test failed in it");
    let pem = made.entry(name.to_owned()).or_insert_with(|| {
        let recipe = recipe(name);
        let params = params(recipe);
        let (issuer, signer) = (recipe_params(recipe.issuer), Key::named(recipe.forger.unwrap_or(recipe.issuer)));
        let made = params.signed_by(&Key::named(name), &Issuer::from_params(&issuer, signer)).expect("it is signed");
        pem::encode(&Pem::new("CERTIFICATE", made.der().to_vec()))
    });
    Some(pem.clone())
}

/// Puts certificates and days into the texts of a case; `None` if that requires openssl, which is not on PATH.
pub fn fill(value: &mut Value) -> Option<()> {
    match value {
        Value::String(text) if text.contains("${") || text.starts_with("base64:") => {
            let filled = filled(text)?;
            *text = match filled.strip_prefix("base64:") {
                Some(plain) => STANDARD.encode(plain.trim_start()),
                None => filled,
            };
        }
        Value::Array(items) => items.iter_mut().try_for_each(fill)?,
        Value::Object(fields) => fields.values_mut().try_for_each(fill)?,
        _ => {}
    }
    Some(())
}

/// Puts certificates and days into one text, as [`fill`] does for a case.
pub fn filled(text: &str) -> Option<String> {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or_else(|| panic!("no end of the name: {text}"));
        match name.split_once(':') {
            Some(("day", days)) => {
                let day = OffsetDateTime::from(day(days.parse().expect("a number of days")));
                filled.push_str(&day.date().to_string());
            }
            // A variable of the shell.
            _ if name.bytes().any(|byte| byte.is_ascii_uppercase()) => filled.push_str(&format!("${{{name}}}")),
            _ => filled.push_str(&pem(name)?),
        }
        filled.push_str(rest);
    }
    Some(filled)
}

fn recipe(name: &str) -> &'static Recipe {
    RECIPES.iter().find(|recipe| recipe.name == name).unwrap_or_else(|| panic!("there is no certificate {name}"))
}

fn recipe_params(name: &str) -> CertificateParams {
    params(recipe(name))
}

fn params(recipe: &Recipe) -> CertificateParams {
    let mut params = CertificateParams::new(recipe.hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>())
        .expect("the hosts are some");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, recipe.subject.unwrap_or(recipe.name));
    params.serial_number = Some(u64::from(seed(recipe.name)[0]).into());
    params.key_identifier_method = KeyIdMethod::PreSpecified(seed(recipe.name)[..20].to_vec());
    params.not_before = day(recipe.days.0).into();
    params.not_after = day(recipe.days.1).into();
    params.extended_key_usages = recipe.usages.to_vec();
    params.is_ca = if recipe.is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
    params.key_usages = vec![recipe.key_usage];
    params.use_authority_key_identifier_extension = true;
    params.custom_extensions = recipe
        .extensions
        .iter()
        .map(|(kind, content)| CustomExtension::from_oid_content(kind, content.to_vec()))
        .collect();
    params
}

/// Derives bytes from a name.
fn seed(name: &str) -> [u8; 32] {
    let mut seed = [1u8; 32];
    name.bytes().cycle().take(32 * name.len()).enumerate().for_each(|(index, byte)| {
        let place = index % 32;
        seed[place] = seed[place].wrapping_mul(31).wrapping_add(byte);
    });
    // Below the order of every curve.
    seed[0] &= 0x7f;
    seed
}

/// A key, and its public half in the form that certificates use.
struct Key {
    secret: Secret,
    public: Vec<u8>,
}

enum Secret {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
    Nobodys,
}

impl Key {
    fn named(name: &str) -> Self {
        let seed = seed(name);
        match recipe(name).key {
            Kind::P256 => {
                let key = p256::ecdsa::SigningKey::from_slice(&seed).expect("it is small enough");
                let public = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
                Self { secret: Secret::P256(key), public }
            }
            Kind::P384 => {
                let key =
                    p384::ecdsa::SigningKey::from_slice(&[seed, seed].concat()[..48]).expect("it is small enough");
                let public = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
                Self { secret: Secret::P384(key), public }
            }
            Kind::Ed25519 => {
                let key = ed25519_dalek::SigningKey::from_bytes(&seed);
                let public = key.verifying_key().to_bytes().to_vec();
                Self { secret: Secret::Ed25519(key), public }
            }
            Kind::Rsa(bits) => {
                let mut modulus = seed.repeat(bits / 256);
                modulus[0] |= 0x80;
                *modulus.last_mut().expect("it has bits") |= 1;
                Self { secret: Secret::Nobodys, public: rsa_public_key(&modulus) }
            }
        }
    }
}

/// `RSAPublicKey` of RFC 8017, with the exponent 65537.
fn rsa_public_key(modulus: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| match u8::try_from(bytes) {
        Ok(bytes) => vec![0x81, bytes],
        Err(_) => [&[0x82][..], &(bytes as u16).to_be_bytes()].concat(),
    };
    let exponent = [2, 3, 1, 0, 1];
    let modulus = [&[2][..], &length(modulus.len() + 1), &[0], modulus].concat();
    [&[0x30][..], &length(modulus.len() + exponent.len()), &modulus, &exponent].concat()
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.secret {
            Secret::P256(_) => &PKCS_ECDSA_P256_SHA256,
            Secret::P384(_) => &PKCS_ECDSA_P384_SHA384,
            Secret::Ed25519(_) => &PKCS_ED25519,
            Secret::Nobodys => &PKCS_RSA_SHA256,
        }
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match &self.secret {
            Secret::P256(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign(message);
                Ok(signature.as_bytes().to_vec())
            }
            Secret::P384(key) => {
                let signature: p384::ecdsa::DerSignature = key.sign(message);
                Ok(signature.as_bytes().to_vec())
            }
            Secret::Ed25519(key) => Ok(Signer::sign(key, message).to_bytes().to_vec()),
            Secret::Nobodys => Err(rcgen::Error::RemoteKeyError),
        }
    }
}

/// Whether openssl is on PATH.
pub fn has_openssl() -> bool {
    let version = Command::new("openssl").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn of_openssl() -> Option<&'static BTreeMap<&'static str, String>> {
    static MADE: LazyLock<Option<BTreeMap<&str, String>>> = LazyLock::new(|| {
        if !has_openssl() {
            return None;
        }
        let folder = tempfile::tempdir().expect("there is room");
        let path = |name: &str, kind: &str| folder.path().join(format!("{name}.{kind}"));
        let configuration = path("openssl", "cnf");
        fs::write(&configuration, CONFIGURATION).expect("there is room");
        let made = OPENSSL.iter().map(|(name, issuer, options)| {
            let mut openssl = Command::new("openssl");
            openssl.args(["req", "-x509", "-nodes", "-batch", "-days", "90", "-subj", &format!("/CN={name}")]);
            // Making a key takes longer than anything else here, so certificates that sign nothing share one.
            let shared = path("openssl-leaf", "key");
            let is_issuer = OPENSSL.iter().any(|(_, issuer, _)| issuer == name);
            match options.strip_prefix("-newkey rsa:2048 ").filter(|_| !is_issuer && shared.exists()) {
                Some(rest) => openssl.arg("-key").arg(shared).args(rest.split(' ')),
                None => openssl.args(options.split(' ')).arg("-keyout").arg(path(name, "key")),
            };
            openssl.arg("-config").arg(&configuration).arg("-out").arg(path(name, "crt"));
            if name != issuer {
                openssl.arg("-CA").arg(path(issuer, "crt")).arg("-CAkey").arg(path(issuer, "key"));
            }
            let output = openssl.output().expect("openssl runs");
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            (*name, fs::read_to_string(path(name, "crt")).expect("openssl wrote it"))
        });
        Some(made.collect())
    });
    MADE.as_ref()
}

const CONFIGURATION: &str = "\
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical,CA:false
subjectAltName = DNS:flyte.example.com
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
[limited]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
nameConstraints = critical,permitted;DNS:example.com
[limits-ids]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
nameConstraints = critical,permitted;RID:1.2.3
[critical]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
1.2.3.4 = critical,DER:05:00
[uri]
basicConstraints = critical,CA:false
subjectAltName = DNS:flyte.example.com,URI:spiffe://cluster.local/ns/flyte
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
[broken-uri]
basicConstraints = critical,CA:false
subjectAltName = DNS:flyte.example.com,URI:http://a..b/
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
[address]
basicConstraints = critical,CA:false
subjectAltName = DNS:flyte.example.com,IP:2001:db8::7
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
[mapped]
basicConstraints = critical,CA:false
subjectAltName = DNS:flyte.example.com,IP:::ffff:10.0.0.7
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
[other-key]
basicConstraints = critical,CA:false
subjectAltName = DNS:flyte.example.com
extendedKeyUsage = serverAuth
authorityKeyIdentifier = DER:30:06:80:04:01:02:03:04
[other-serial]
basicConstraints = critical,CA:false
subjectAltName = DNS:flyte.example.com
extendedKeyUsage = serverAuth
authorityKeyIdentifier = DER:30:03:82:01:05
";

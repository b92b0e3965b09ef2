//! The Secret that holds a certificate.

use std::{fmt, marker::PhantomData};

use k8s_openapi::{Resource, api::core::v1};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess},
};

use crate::{
    admission::{self, AdmissionRequest, Kind},
    base64,
    installation::presented::TLS_CRT,
    location,
    text::Text,
    verdict::Unjudged,
    view::view,
    workload::Metadata,
};

/// The parts of a Secret that are checked.
pub(super) struct Secret<'a> {
    pub(super) name: Text<'a>,
    /// The path of its certificates, mostly `data["tls.crt"]`.
    pub(super) path: String,
    /// The certificates.
    pub(super) certificates: Vec<u8>,
}

view! {
    struct Object<'a> {
        "metadata" => metadata: Metadata<'a>,
        "type" => kind: Text<'a>,
    }

    struct Entries<'a> {
        "data" => data: Certificates<'a>,
        "stringData" => string_data: Certificates<'a>,
    }
}

/// The entries that may be certificates, by their keys: `tls.crt`, and those that begin like one. `tls.key` is skipped.
#[derive(Debug, Default)]
struct Certificates<'a>(Vec<(Text<'a>, Text<'a>)>);

/// The start of a certificate in PEM, as text and in base64.
const BEGIN: [&str; 2] = ["-----BEGIN CERTIFICATE", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FUR"];

impl<'de: 'a, 'a> Deserialize<'de> for Certificates<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<'a>(PhantomData<&'a str>);

        impl<'de: 'a, 'a> de::Visitor<'de> for Visitor<'a> {
            type Value = Certificates<'a>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut certificates = Certificates::default();
                while let Some(key) = map.next_key::<Text>()? {
                    if &*key == "tls.key" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let Some(value) = map.next_value::<Option<Text>>()? else { continue };
                    if &*key == TLS_CRT || BEGIN.iter().any(|begin| value.starts_with(begin)) {
                        certificates.0.push((key, value));
                    }
                }
                Ok(certificates)
            }
        }

        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

/// The type of Secrets that hold a certificate and its key.
const TLS: &str = "kubernetes.io/tls";

/// The type of Secrets that hold anything: people often forget to set the other one, and servers do not require it.
const OPAQUE: &str = "Opaque";

/// Whether objects of this kind are Secrets.
pub(super) fn is_kind(kind: &Kind) -> bool {
    kind.group() == v1::Secret::GROUP && kind.name() == v1::Secret::KIND
}

/// Reads the Secret of a request. `None` if its type is neither [`TLS`] nor [`OPAQUE`], if it has no certificate and is
/// not of type [`TLS`], or if it is not concerned. `is_concerned` gets its name and whether it has a `tls.crt`, and
/// returns the key of the certificate. A Secret that is being deleted counts too: while a finalizer keeps it, it can be
/// used and changed.
///
/// # Errors
///
/// There is no object, or something in it has the wrong type.
pub(super) fn read_secret<'a>(
    request: &AdmissionRequest<'a>,
    is_concerned: impl FnOnce(&str, bool) -> Option<String>,
) -> Result<Option<Secret<'a>>, Unjudged> {
    let object = request.object()?;
    let Object { metadata, kind, .. } = quietly(admission::read_fields(object))?;
    let name = metadata.unwrap_or_default().name.unwrap_or(Text::constant(""));
    // Read no more of other types: Helm's releases are a megabyte.
    if kind.as_deref().is_some_and(|kind| kind != TLS && kind != OPAQUE) {
        return Ok(None);
    }
    let Entries { data, string_data, .. } = quietly(admission::read_fields(object))?;
    let (data, string_data) = (data.unwrap_or_default().0, string_data.unwrap_or_default().0);
    let has_some = string_data.iter().chain(&data).any(|(_, text)| !text.is_empty());
    if kind.as_deref() != Some(TLS) && !has_some {
        return Ok(None);
    }
    let has_tls_crt = string_data.iter().chain(&data).any(|(key, _)| &**key == TLS_CRT);
    let Some(key) = is_concerned(&name, has_tls_crt) else { return Ok(None) };
    // As in the API server, `stringData` overrides `data`; of two equal keys the last counts.
    let of_key = |entries: Vec<(Text<'a>, Text<'a>)>| {
        entries.into_iter().rev().find(|(own, _)| **own == *key).map(|(_, text)| text.into_bytes())
    };
    // As SOPS writes it.
    let is_encrypted = |text: &[u8]| text.starts_with(b"ENC[");
    let encrypted =
        |path: String| Unjudged { path, reason: "is encrypted (ENC[...]); decrypt it before the check".to_owned() };
    let (path, certificates) = match (of_key(string_data), of_key(data)) {
        (Some(text), _) if is_encrypted(&text) => return Err(encrypted(location::key("stringData", &key))),
        (Some(text), _) => (location::key("stringData", &key), text.into_owned()),
        (None, Some(text)) if is_encrypted(&text) => return Err(encrypted(location::key("data", &key))),
        (None, encoded) => {
            let path = location::key("data", &key);
            let decoded = base64::decode(&encoded.unwrap_or_default());
            (path.clone(), decoded.map_err(|reason| Unjudged { path, reason })?)
        }
    };
    Ok(Some(Secret { name, path, certificates }))
}

/// Replaces a type error of a Secret, which may show a key, by one without the value.
fn quietly<T>(read: Result<T, Unjudged>) -> Result<T, Unjudged> {
    read.map_err(|Unjudged { path, .. }| Unjudged { path, reason: "has the wrong type".to_owned() })
}

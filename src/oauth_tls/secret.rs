//! The Secret that holds a certificate.

use k8s_openapi::{Resource, api::core::v1};

use crate::{
    admission::{self, AdmissionRequest, Kind},
    base64,
    text::Text,
    verdict::Unjudged,
    view::view,
    workload::Metadata,
};

/// What is judged of a Secret.
pub(super) struct Secret<'a> {
    pub(super) name: Text<'a>,
    /// Where `tls.crt` is.
    pub(super) path: &'static str,
    /// What it holds.
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

    /// What is read of the entries; never `tls.key`.
    struct Certificates<'a> {
        "tls.crt" => certificates: Text<'a>,
    }
}

const DATA: &str = r#"data["tls.crt"]"#;
const STRING_DATA: &str = r#"stringData["tls.crt"]"#;

/// The type of Secrets that hold a certificate and its key.
const TLS: &str = "kubernetes.io/tls";

/// The type of Secrets that hold anything: who makes one by hand often forgets the other, and servers do not ask for it.
const OPAQUE: &str = "Opaque";

/// Whether objects of this kind are Secrets.
pub(super) fn is_kind(kind: &Kind) -> bool {
    kind.group() == v1::Secret::GROUP && kind.name() == v1::Secret::KIND
}

/// The Secret in a request; `None` where it is of another type and holds no certificate, or is not concerned. `is_concerned` is
/// asked for its name, and whether it holds one. One that is being deleted is in use, and can be changed, as long as a finalizer
/// keeps it.
///
/// # Errors
///
/// There is none, or something in it has another type than Kubernetes gives it.
pub(super) fn of<'a>(
    request: &AdmissionRequest<'a>,
    is_concerned: impl FnOnce(&str) -> bool,
) -> Result<Option<Secret<'a>>, Unjudged> {
    let object = request.object()?;
    let Object { metadata, kind, .. } = quietly(admission::read(object))?;
    let name = metadata.unwrap_or_default().name.unwrap_or(Text::constant(""));
    // Helm's releases are a megabyte.
    if kind.as_deref().is_some_and(|kind| kind != TLS && kind != OPAQUE) {
        return Ok(None);
    }
    let Entries { data, string_data, .. } = quietly(admission::read(object))?;
    // As the API server does, `stringData` is written over `data`.
    let text =
        |entries: Option<Certificates<'a>>| entries.and_then(|entries| entries.certificates).map(Text::into_bytes);
    let (string, encoded) = (text(string_data), text(data));
    let has_some = string.iter().chain(&encoded).any(|text| !text.is_empty());
    if (kind.as_deref() != Some(TLS) && !has_some) || !is_concerned(&name) {
        return Ok(None);
    }
    let (path, certificates) = match (string, encoded) {
        (Some(text), _) => (STRING_DATA, text.into_owned()),
        (None, Some(text)) => {
            let decoded = base64::decode(&text);
            (DATA, decoded.map_err(|reason| Unjudged { path: DATA.to_owned(), reason })?)
        }
        (None, None) => (DATA, Vec::new()),
    };
    Ok(Some(Secret { name, path, certificates }))
}

/// What is wrong with the type of something in a Secret, without its value: that may be a key.
fn quietly<T>(read: Result<T, Unjudged>) -> Result<T, Unjudged> {
    read.map_err(|Unjudged { path, .. }| Unjudged {
        path,
        reason: "it has another type than Kubernetes gives it".to_owned(),
    })
}

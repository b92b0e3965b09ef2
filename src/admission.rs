//! The parts of a Kubernetes admission request that policies read, borrowed from the request's bytes.
//!
//! An object can be a megabyte while a policy reads five of its fields. So the request is never parsed into a tree:
//! `AdmissionRequest::object` stays text until a policy reads the fields it needs, with [`read_fields`].

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{location::Located, text::Text, verdict::Unjudged, view::view};

view! {
    /// The engine's message for one decision: the request, and the settings of the policy.
    pub(crate) struct Payload<'a> {
        "request" => pub(crate) request: AdmissionRequest<'a>,
        "settings" => pub(crate) settings: &'a RawValue,
    }

    /// An [admission request](https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request).
    #[derive(Clone)]
    pub struct AdmissionRequest<'a> {
        "kind" => kind: Kind<'a>,
        "operation" => operation: Text<'a>,
        "subResource" => sub_resource: Text<'a>,
        "namespace" => namespace: Text<'a>,
        /// The object that the request would store; absent for DELETE.
        "object" => pub object: &'a RawValue,
        /// The stored object, before an UPDATE.
        "oldObject" => pub old_object: &'a RawValue,
    }

    /// The kind of an object: `apps`, `Deployment`. No version: the fields that policies read are the same in all versions.
    #[derive(Clone)]
    pub struct Kind<'a> {
        "group" => group: Text<'a>,
        "kind" => kind: Text<'a>,
    }
}

#[cfg(feature = "opa")]
view! {
    struct Object<'a> {
        "apiVersion" => api_version: Text<'a>,
        "kind" => kind: Text<'a>,
        "metadata" => metadata: Metadata<'a>,
    }

    struct Metadata<'a> {
        "namespace" => namespace: Text<'a>,
    }
}

/// The namespace of objects that set none.
#[cfg(feature = "opa")]
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

#[cfg(feature = "opa")]
impl<'a> AdmissionRequest<'a> {
    const CREATE: Text<'static> = Text::constant("CREATE");

    /// The request that would create an object.
    ///
    /// # Errors
    ///
    /// It is not an object, or one of `apiVersion`, `kind` and `metadata` has the wrong type.
    pub(crate) fn create(object: &'a RawValue) -> Result<Self, Unjudged> {
        let Object { api_version, kind, metadata, .. } = read_fields(object)?;
        let api_version = api_version.as_deref().unwrap_or_default();
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        let namespace = metadata.and_then(|metadata| metadata.namespace);
        Ok(Self {
            kind: Some(Kind { group: Some(Text::owned(group)), kind, ..Kind::default() }),
            operation: Some(Self::CREATE),
            namespace: Some(namespace.unwrap_or(Text::constant(DEFAULT_NAMESPACE))),
            object: Some(object),
            ..Self::default()
        })
    }

    /// Sets a missing operation to CREATE.
    pub(crate) fn or_create(self) -> Self {
        Self { operation: self.operation.or(Some(Self::CREATE)), ..self }
    }
}

impl<'a> AdmissionRequest<'a> {
    /// The kind of the object.
    pub fn kind(&self) -> &Kind<'a> {
        self.kind.as_ref().unwrap_or(Kind::EMPTY)
    }

    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub fn operation(&self) -> &str {
        self.operation.as_deref().unwrap_or_default()
    }

    /// The subresource the request is for, e.g. `ephemeralcontainers`; empty for the object itself.
    pub fn sub_resource(&self) -> &str {
        self.sub_resource.as_deref().unwrap_or_default()
    }

    /// The namespace of the object; empty if it has none.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    /// Whether the request changes an existing object.
    pub fn is_update(&self) -> bool {
        self.operation() == "UPDATE"
    }

    /// The object that the request would store.
    ///
    /// # Errors
    ///
    /// The request has no object.
    pub(crate) fn object(&self) -> Result<&'a RawValue, Unjudged> {
        self.object.ok_or_else(|| Unjudged { path: String::new(), reason: "the request has no object".to_owned() })
    }

    /// For an UPDATE, the request that would leave the object unchanged.
    pub(crate) fn unchanged(&self) -> Option<Self> {
        let old = self.old_object.filter(|_| self.is_update());
        old.map(|old| Self { object: Some(old), ..self.clone() })
    }
}

impl Kind<'_> {
    /// The API group; empty for the core group.
    pub fn group(&self) -> &str {
        self.group.as_deref().unwrap_or_default()
    }

    /// The kind's name, e.g. `Deployment`.
    pub fn name(&self) -> &str {
        self.kind.as_deref().unwrap_or_default()
    }
}

/// Reads the fields of `T` from an object.
///
/// # Errors
///
/// A field has the wrong type: the error has its path and the expected type.
pub fn read_fields<'a, T: Deserialize<'a>>(object: &'a RawValue) -> Result<T, Unjudged> {
    read_str(object.get())
}

/// Reads the fields of `T` from a text, as [`read_fields`] does. The text may not be JSON.
pub(crate) fn read_str<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unjudged> {
    serde_json::from_str(text).map_err(|error| {
        let Located { path, problem } = Located::from_error(&error, text);
        Unjudged { path, reason: problem }
    })
}

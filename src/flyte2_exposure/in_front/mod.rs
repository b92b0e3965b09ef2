//! Authentication in front of Flyte 2: by annotations for a controller, or by policies of a gateway or a mesh.

mod envoy;
mod ingress;
mod mesh;
mod traefik;

pub(super) use envoy::of_route;
pub(super) use ingress::{Front, OF_AWS};
pub(super) use mesh::{Mesh, of_mesh};
pub(super) use traefik::{Middlewares, of_middlewares};

pub(super) use crate::installation::ingress::MIDDLEWARES;

use crate::{text::Text, view::view, workload::Labels};

/// Whether something authenticates callers.
#[derive(Debug, Clone)]
pub(super) enum Gate {
    /// Something authenticates them.
    Asks,
    /// Nothing authenticates them.
    Open(Why),
    /// Something that is not read may authenticate them.
    NotKnown(String),
}

/// The reason why something that looks like authentication does not authenticate, and the fix.
#[derive(Debug, Clone, Default)]
pub(super) struct Why {
    pub(super) reason: Option<String>,
    pub(super) mend: Option<String>,
}

impl Gate {
    /// Nothing authenticates.
    pub(super) const OPEN: Self = Self::Open(Why { reason: None, mend: None });

    fn open(reason: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Open(Why { reason: Some(reason.into()), mend: Some(mend.into()) })
    }

    /// Nothing authenticates, though something looks as if it did.
    fn missed(missed: Option<String>) -> Self {
        Self::Open(Why { reason: missed.map(|missed| not_everybody(&missed)), mend: None })
    }
}

/// The text for something that does not authenticate everybody, and why.
pub(super) fn not_everybody(missed: &str) -> String {
    format!("nothing in front is known to authenticate every caller ({missed})")
}

view! {
    /// An object with annotations.
    pub(super) struct Annotated<'a> {
        "metadata" => pub(super) metadata: Annotations<'a>,
    }

    /// Its metadata.
    pub(super) struct Annotations<'a> {
        "annotations" => pub(super) annotations: Labels<'a>,
    }

    /// The target of a policy.
    struct Target<'a> {
        "kind" => kind: Text<'a>,
        "name" => name: Text<'a>,
        "sectionName" => section: Text<'a>,
    }
}

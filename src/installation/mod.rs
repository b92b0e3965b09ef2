//! What the objects beside the one in the request come to: who is reached from where, and how flyteadmin is configured.

pub(crate) mod admin;
pub(crate) mod ingress;
pub(crate) mod objects;
pub(crate) mod others;
#[cfg(feature = "flyte-oauth-tls")]
mod presented;

#[cfg(feature = "flyte-oauth-tls")]
pub use presented::{Presented, presented};

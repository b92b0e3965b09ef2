//! Reads what other objects show about the installation: which hosts lead where, and how flyteadmin is configured.

pub(crate) mod admin;
pub(crate) mod admin_routes;
pub(crate) mod fields;
pub(crate) mod gateway;
pub(crate) mod ingress;
pub(crate) mod objects;
pub(crate) mod openshift;
pub(crate) mod others;
#[cfg(feature = "flyte-oauth-tls")]
pub(crate) mod presented;
pub(crate) mod proxies;
pub(crate) mod routes;

#[cfg(feature = "flyte-oauth-tls")]
pub use presented::{Held, Presented, Running, Survey};

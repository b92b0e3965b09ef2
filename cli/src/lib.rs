//! The `flytewarden` command: Flyte's security guidance, checked on rendered manifests without a cluster.
//!
//! The policies are the compiled modules themselves, run by [`engine`] on the crates Kubewarden runs them with. What
//! turns text into requests and answers into a report is in `flytewarden-offline`.

pub mod cache;
pub mod check;
pub mod engine;
pub mod files;
pub mod fix;
pub mod formats;
pub mod registry;

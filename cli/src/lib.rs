//! The `flytewarden` command: Flyte's security guidance, checked on rendered manifests without a cluster.
//!
//! The policies are linked in. With the feature `modules`, `engine` runs compiled policies for `--module`, on the same
//! crates as Kubewarden, and `registry` and `cache` pull and push them. The crate `flytewarden-offline` turns texts
//! into requests, and answers into a report.

pub mod arguments;
#[cfg(feature = "modules")]
pub mod cache;
pub mod check;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod config;
pub mod diff;
#[cfg(feature = "modules")]
pub mod engine;
pub mod explain;
pub mod files;
pub mod fix;
pub mod inputs;
#[cfg(feature = "modules")]
pub mod registry;
pub mod schema;

use std::time::Duration;

/// The default time limit of a module for an object. A large request takes a second.
pub const DEFAULT_TIME: Duration = Duration::from_secs(60);

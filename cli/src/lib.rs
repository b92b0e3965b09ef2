//! The `flytewarden` command: Flyte's security guidance, checked on rendered manifests without a cluster.
//!
//! The policies are linked in. With the feature `modules` there is what `--module` and `push` need too: `engine` runs compiled
//! policies on the crates Kubewarden runs them with, and `registry` and `cache` bring them. What turns text into requests and
//! answers into a report is in `flytewarden-offline`.

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

/// How long a module may take for an object where nobody says so. A large request takes a second.
pub const DEFAULT_TIME: Duration = Duration::from_secs(60);

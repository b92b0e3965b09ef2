//! Code that the tests across engines share: paths, and the case tables.

#[cfg(feature = "engines")]
pub mod api_server;
pub mod cases;
pub mod certificates;
pub mod corpus;
#[cfg(feature = "engines")]
pub mod cost;
#[cfg(feature = "engines")]
pub mod kwctl;
#[cfg(feature = "engines")]
pub mod modules;
pub mod native;
#[cfg(feature = "engines")]
pub mod opa;
#[cfg(feature = "engines")]
pub mod policy_server;
pub mod reports;
pub mod seeds;
#[cfg(feature = "engines")]
pub mod webhooks;

use std::path::{Path, PathBuf};

/// The top of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("..")).to_owned()
}

/// The folder of real charts, which is next to the repository if it exists.
pub fn charts() -> PathBuf {
    root().join("../shared/manifests")
}

//! What the tests across engines share: where things are, and the case tables.

pub mod api_server;
pub mod cases;
pub mod certificates;
pub mod corpus;
pub mod kwctl;
pub mod native;
pub mod policy_server;
pub mod reports;
pub mod seeds;
pub mod webhooks;

use std::path::{Path, PathBuf};

/// The top of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("..")).to_owned()
}

/// A compiled module of `dist/`.
///
/// # Panics
///
/// It is not there.
pub fn module(name: &str) -> Vec<u8> {
    let path = root().join("dist").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; `make modules` builds it", path.display()))
}

/// Where real charts are, if they are beside the repository.
pub fn charts() -> PathBuf {
    root().join("../shared/manifests")
}

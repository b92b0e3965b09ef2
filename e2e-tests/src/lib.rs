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

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use flytewarden_cli::{
    DEFAULT_TIME,
    engine::{Engine, Module},
};

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

/// A compiled module of `dist/` on the engine: once for all tests that run it.
///
/// # Panics
///
/// It is not there, or no module.
pub fn loaded(name: &str) -> Arc<Module> {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(DEFAULT_TIME).expect("an engine"));
    static MODULES: Mutex<BTreeMap<String, Arc<Module>>> = Mutex::new(BTreeMap::new());
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    let load = || Arc::new(Module::load(&ENGINE, &module(name)).expect("the module loads"));
    Arc::clone(modules.entry(name.to_owned()).or_insert_with(load))
}

/// Where real charts are, if they are beside the repository.
pub fn charts() -> PathBuf {
    root().join("../shared/manifests")
}

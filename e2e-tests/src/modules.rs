//! The compiled modules.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use flytewarden_cli::{
    DEFAULT_TIME,
    engine::{Engine, Module},
};

use crate::root;

/// A compiled module of `dist/`.
///
/// # Panics
///
/// The file does not exist.
pub fn bytes(name: &str) -> Vec<u8> {
    let path = root().join("dist").join(format!("{name}.wasm"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; `make modules` builds it", path.display()))
}

/// A compiled module of `dist/` on the engine. All tests share it.
///
/// # Panics
///
/// The file does not exist, or is not a module.
pub fn loaded(name: &str) -> Arc<Module> {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(DEFAULT_TIME).expect("an engine"));
    static MODULES: Mutex<BTreeMap<String, Arc<Module>>> = Mutex::new(BTreeMap::new());
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    let load = || Arc::new(Module::load(&ENGINE, &bytes(name)).expect("the module loads"));
    Arc::clone(modules.entry(name.to_owned()).or_insert_with(load))
}

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
use wasmtime::{Cache, CacheConfig, Config};

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

/// An engine for the modules, as the command has it.
///
/// # Panics
///
/// The engine cannot be created on this machine.
pub fn engine() -> Engine {
    Engine::with_config(config(), DEFAULT_TIME).expect("an engine")
}

/// Returns a configuration with a cache: several programs compile the same modules, and only the first does the work.
/// The command itself keeps no compiled code, because anyone who can write to the cache could make it run anything.
///
/// # Panics
///
/// The folder for them cannot be made.
pub fn config() -> Config {
    let mut cache = CacheConfig::new();
    cache.with_directory(root().join("target/compiled-modules"));
    let mut config = Config::new();
    config.cache(Some(Cache::new(cache).expect("a folder for compiled modules")));
    config
}

/// A compiled module of `dist/` on the engine. All tests share it.
///
/// # Panics
///
/// The file does not exist, or is not a module.
pub fn loaded(name: &str) -> Arc<Module> {
    static ENGINE: LazyLock<Engine> = LazyLock::new(engine);
    static MODULES: Mutex<BTreeMap<String, Arc<Module>>> = Mutex::new(BTreeMap::new());
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    let load = || Arc::new(Module::load(&ENGINE, &bytes(name)).expect("the module loads"));
    Arc::clone(modules.entry(name.to_owned()).or_insert_with(load))
}

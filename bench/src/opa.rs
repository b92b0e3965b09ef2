//! Compares a policy's module for OPA, in OPA's SDK for Rust, with its module for Kubewarden. The two alternate.
//!
//! OPA keeps one instance for all its decisions, Kubewarden makes one for each.

use std::{collections::BTreeMap, error::Error, fs, path::Path, sync::Arc, time::Instant};

use flytewarden_cli::engine::Guest;
use flytewarden_offline::cluster::NoCluster;
use opa_wasm::{
    DefaultContext, Policy, Runtime,
    wasmtime::{Engine, Module, Store},
};
use serde_json::{Value, json};
use tokio::runtime;

use crate::{Asked, rounds};

/// A module for OPA, with its only instance.
pub struct Opa {
    executor: runtime::Runtime,
    store: Store<()>,
    policy: Policy<DefaultContext>,
}

impl Opa {
    /// Compiles the module of a policy.
    pub fn load(root: &Path, policy: &str) -> Result<Self, Box<dyn Error>> {
        let executor = runtime::Builder::new_current_thread().build()?;
        let engine = Engine::default();
        let mut store = Store::new(&engine, ());
        let module = Module::new(&engine, fs::read(root.join("dist/opa").join(format!("{policy}.wasm")))?)?;
        let policy = executor.block_on(async {
            let runtime = Runtime::new(&mut store, &module).await?;
            runtime.with_data(&mut store, &json!({})).await
        })?;
        Ok(Self { executor, store, policy })
    }

    /// Prints the median time of a decision, next to that of Kubewarden's module.
    pub fn print(&mut self, asked: &Asked, kubewarden: &Guest) -> Result<(), Box<dyn Error>> {
        let Asked { policy, title, request, settings } = asked;
        let payload = format!(r#"{{"request":{request},"settings":{settings}}}"#);
        let input = json!({"request": serde_json::from_str::<Value>(request)?, "parameters": settings});
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds(payload.as_bytes()) {
            let start = Instant::now();
            let decision = self.policy.evaluate(&mut self.store, "flytewarden/violation", &input);
            let _: Vec<BTreeMap<String, Value>> = self.executor.block_on(decision)?;
            times[0].push(start.elapsed());
            let start = Instant::now();
            kubewarden.call("validate", payload.as_bytes(), Arc::new(NoCluster))?;
            times[1].push(start.elapsed());
        }
        let [own, of_kubewarden] = times.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64() * 1e6
        });
        let title = format!("{title}, {policy} for OPA");
        println!("{title:<60} {own:>6.1} us, for Kubewarden {of_kubewarden:>6.1} us: ratio {:.2}", own / of_kubewarden);
        Ok(())
    }
}

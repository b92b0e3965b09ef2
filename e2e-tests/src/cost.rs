//! Counts a guest's instructions, and its memory.
//!
//! The waPC host does not count, so this calls the guest directly, with the few imports that a decision needs and a clock; the
//! other imports return 0.

use std::{error::Error, time::SystemTime};

use crate::modules;

use wasmtime::{Caller, Engine, Extern, Linker, Memory, Module, Store};

/// The cost of one call of `validate`.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Approximately the number of WebAssembly instructions.
    pub fuel: u64,
    /// The instance's memory at the end, in bytes; it never shrinks.
    pub memory: usize,
}

/// A guest whose costs are counted.
pub struct Counted {
    engine: Engine,
    module: Module,
}

impl Counted {
    /// Compiles a guest.
    ///
    /// # Errors
    ///
    /// It is not WebAssembly.
    pub fn compile(module: &[u8]) -> Result<Self, Box<dyn Error>> {
        let engine = Engine::new(modules::config().consume_fuel(true))?;
        let module = Module::new(&engine, module)?;
        Ok(Self { engine, module })
    }

    /// The cost of a payload in a fresh instance.
    ///
    /// # Errors
    ///
    /// The module is not a waPC guest, or it trapped.
    pub fn cost(&self, payload: &[u8]) -> Result<Cost, Box<dyn Error>> {
        let Self { engine, module } = self;
        let mut store = Store::new(engine, payload.to_vec());
        store.set_fuel(u64::MAX)?;

        let mut linker = Linker::new(engine);
        linker.func_wrap("wapc", "__guest_request", |mut caller: Caller<'_, Vec<u8>>, name: u32, message: u32| {
            let memory = memory(&mut caller)?;
            let (bytes, payload) = memory.data_and_store_mut(&mut caller);
            bytes[name as usize..][..OPERATION.len()].copy_from_slice(OPERATION);
            bytes[message as usize..][..payload.len()].copy_from_slice(payload);
            Ok(())
        })?;
        linker.func_wrap(
            "wasi_snapshot_preview1",
            "clock_time_get",
            |mut caller: Caller<'_, Vec<u8>>, _: u32, _: u64, time: u32| {
                let memory = memory(&mut caller)?;
                let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64;
                memory.write(&mut caller, time as usize, &now.to_le_bytes())?;
                Ok(0u32)
            },
        )?;
        linker.define_unknown_imports_as_default_values(&mut store, module)?;
        let instance = linker.instantiate(&mut store, module)?;
        for start in ["_initialize", "wapc_init"] {
            if let Ok(start) = instance.get_typed_func::<(), ()>(&mut store, start) {
                start.call(&mut store, ())?;
            }
        }
        let before = store.get_fuel()?;
        let call = instance.get_typed_func::<(u32, u32), u32>(&mut store, "__guest_call")?;
        let lengths = (u32::try_from(OPERATION.len())?, u32::try_from(payload.len())?);
        match call.call(&mut store, lengths)? {
            1 => {
                let memory = instance.get_memory(&mut store, "memory").map_or(0, |memory| memory.data_size(&store));
                Ok(Cost { fuel: before - store.get_fuel()?, memory })
            }
            _ => Err("the guest answered with an error".into()),
        }
    }
}

const OPERATION: &[u8] = b"validate";

fn memory(caller: &mut Caller<'_, Vec<u8>>) -> wasmtime::Result<Memory> {
    caller.get_export("memory").and_then(Extern::into_memory).ok_or_else(|| wasmtime::Error::msg("no memory"))
}

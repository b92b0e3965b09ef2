//! The engine: waPC modules on wasmtime, with the crates that Kubewarden's policy-server has.
//!
//! A module is compiled once; every request gets a fresh instance of it, with bounded memory. Time is not bounded: a
//! module that never answers can be interrupted as any command.

use std::{error::Error, fmt};

use flytewarden_offline::{
    metadata::{self, Metadata},
    report::Answer,
};
use serde::Deserialize;
use wapc::{HostCallback, WapcHost};
use wasmparser::{Parser, Payload};
use wasmtime_provider::{ResourceLimits, WasmtimeEngineProviderBuilder, WasmtimeEngineProviderPre};

/// The modules that are part of the command: name and bytes of each.
pub const EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// A compiled waPC guest.
pub struct Guest(WasmtimeEngineProviderPre);

/// A policy: a guest that says what it is.
pub struct Module {
    /// What it says of itself.
    pub metadata: Metadata,
    /// The policy's name.
    pub name: String,
    guest: Guest,
}

/// Why a module cannot be used.
#[derive(Debug)]
pub struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Error for Unusable {}

/// The most memory a module gets for one request, in bytes.
const MOST_MEMORY: usize = 256 << 20;

impl Guest {
    /// Compiles a guest.
    ///
    /// # Errors
    ///
    /// It is no WebAssembly, or no waPC guest.
    pub fn compile(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<Self, Unusable> {
        WasmtimeEngineProviderBuilder::new()
            .engine(engine.clone())
            .module_bytes(bytes)
            .enable_resource_limits(ResourceLimits { max_memory_size: Some(MOST_MEMORY), ..ResourceLimits::default() })
            .build_pre()
            .map(Self)
            .map_err(|error| Unusable(format!("it cannot be compiled: {error}")))
    }

    /// Calls a function in a fresh instance.
    ///
    /// # Errors
    ///
    /// The guest trapped, or answered with an error.
    pub fn call(&self, function: &str, payload: &[u8]) -> Result<Vec<u8>, String> {
        let instance = self.0.rehydrate(None).map_err(|error| error.to_string())?;
        let host: Box<HostCallback> = Box::new(|_, binding, namespace, operation, _| match (binding, namespace) {
            // Where policies log.
            ("kubewarden", "tracing") => Ok(Vec::new()),
            _ => Err(format!("there is no cluster to ask for {namespace}/{operation}").into()),
        });
        WapcHost::new(Box::new(instance), Some(host))
            .and_then(|guest| guest.call(function, payload))
            .map_err(|error| format!("the module failed: {error}"))
    }
}

impl Module {
    /// Compiles a policy.
    ///
    /// # Errors
    ///
    /// It is no waPC guest, or has no metadata, without which nobody knows what to ask it about.
    pub fn load(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<Self, Unusable> {
        let metadata = metadata(bytes)?;
        if metadata.asks_for_nothing() {
            return Err(Unusable("its metadata has no rules, so it would judge nothing".to_owned()));
        }
        let name = metadata.name().ok_or_else(|| Unusable("its metadata has no title".to_owned()))?.to_owned();
        Ok(Self { metadata, name, guest: Guest::compile(engine, bytes)? })
    }

    /// The guest, to be called with any bytes.
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// The policy's answer to a request with settings, both as JSON.
    ///
    /// # Errors
    ///
    /// The module trapped, or its answer is none.
    pub fn validate(&self, request: &str, settings: &str) -> Result<Answer, String> {
        let payload = format!(r#"{{"request":{request},"settings":{settings}}}"#);
        let answer = self.guest.call("validate", payload.as_bytes())?;
        serde_json::from_slice(&answer).map_err(|error| format!("the module's answer cannot be read: {error}"))
    }

    /// Whether the policy takes these settings, as JSON.
    ///
    /// # Errors
    ///
    /// It does not, or the module trapped.
    pub fn validate_settings(&self, settings: &str) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Validity {
            valid: bool,
            message: Option<String>,
        }
        let answer = self.guest.call("validate_settings", settings.as_bytes())?;
        match serde_json::from_slice(&answer) {
            Ok(Validity { valid: true, .. }) => Ok(()),
            Ok(Validity { message, .. }) => Err(message.unwrap_or_else(|| "the policy refuses them".to_owned())),
            Err(error) => Err(format!("the module's answer cannot be read: {error}")),
        }
    }
}

fn metadata(bytes: &[u8]) -> Result<Metadata, Unusable> {
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| Unusable(format!("it is no WebAssembly module: {error}")))?;
        if let Payload::CustomSection(section) = payload
            && section.name() == metadata::SECTION
        {
            return serde_json::from_slice(section.data())
                .map_err(|error| Unusable(format!("its metadata cannot be read: {error}")));
        }
    }
    Err(Unusable("it has no metadata: `kwctl annotate` adds it".to_owned()))
}

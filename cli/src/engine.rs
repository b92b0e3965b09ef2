//! The engine: waPC modules on wasmtime, with the crates that Kubewarden's policy-server has.
//!
//! A module is compiled once; every request gets a fresh instance of it, with bounded memory. Time is not bounded: a
//! module that never answers can be interrupted as any command.

use std::{error::Error, fmt, sync::Arc};

use flytewarden_offline::{
    cluster::{HostCalls, NoCluster},
    metadata::{self, ContextAwareResource, Metadata},
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

    /// Calls a function in a fresh instance. What it asks about the cluster, `cluster` answers.
    ///
    /// # Errors
    ///
    /// The guest trapped, or answered with an error.
    pub fn call(&self, function: &str, payload: &[u8], cluster: Arc<dyn HostCalls>) -> Result<Vec<u8>, String> {
        let instance = self.0.rehydrate(None).map_err(|error| error.to_string())?;
        let host: Box<HostCallback> =
            Box::new(move |_, binding, namespace, operation, request| match (binding, namespace) {
                // Where policies log.
                ("kubewarden", "tracing") => Ok(Vec::new()),
                ("kubewarden", "kubernetes") => cluster.answer(operation, request).map_err(Into::into),
                _ => Err(format!("there is no {namespace}/{operation} here").into()),
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

    /// The policy's answer to a request with settings, both as JSON. `cluster` answers for the kinds of objects that the
    /// policy's metadata asks for, and for no others.
    ///
    /// # Errors
    ///
    /// The module trapped, or its answer is none.
    pub fn validate(&self, request: &str, settings: &str, cluster: &Arc<dyn HostCalls>) -> Result<Answer, String> {
        let payload = format!(r#"{{"request":{request},"settings":{settings}}}"#);
        let granted = self.metadata.context_aware_resources().to_vec();
        let cluster = Arc::new(Granted { granted, cluster: Arc::clone(cluster) });
        let answer = self.guest.call("validate", payload.as_bytes(), cluster)?;
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
        let answer = self.guest.call("validate_settings", settings.as_bytes(), Arc::new(NoCluster))?;
        match serde_json::from_slice(&answer) {
            Ok(Validity { valid: true, .. }) => Ok(()),
            Ok(Validity { message, .. }) => Err(message.unwrap_or_else(|| "the policy refuses them".to_owned())),
            Err(error) => Err(format!("the module's answer cannot be read: {error}")),
        }
    }
}

/// A cluster as far as a policy has been granted access to it.
struct Granted {
    granted: Vec<ContextAwareResource>,
    cluster: Arc<dyn HostCalls>,
}

impl HostCalls for Granted {
    fn answer(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        #[derive(Deserialize)]
        struct Asked {
            api_version: String,
            kind: String,
        }
        if let Ok(Asked { api_version, kind }) = serde_json::from_slice(request)
            && !self.granted.iter().any(|granted| granted.api_version == api_version && granted.kind == kind)
        {
            return Err(format!("Policy has not been granted access to Kubernetes {api_version}/{kind} resources."));
        }
        self.cluster.answer(operation, request)
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

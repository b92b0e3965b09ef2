//! The engine: waPC modules on wasmtime, with the crates that Kubewarden's policy-server has.
//!
//! A module is compiled once, when it is first asked; every request gets a fresh instance of it, with bounded memory. Time
//! is not bounded: a module that never answers can be interrupted as any command.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::{Arc, OnceLock},
};

use flytewarden_offline::{
    check::Policy,
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
    engine: wasmtime::Engine,
    bytes: Cow<'static, [u8]>,
    guest: OnceLock<Result<Guest, Unusable>>,
}

/// Why a module cannot be used.
#[derive(Debug, Clone)]
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
                ("kubewarden", "oci") if operation == "v1/oci_manifest_config" => {
                    cluster.image(&serde_json::from_slice::<String>(request)?).map_err(Into::into)
                }
                _ => Err(format!("there is no {namespace}/{operation} here").into()),
            });
        WapcHost::new(Box::new(instance), Some(host))
            .and_then(|guest| guest.call(function, payload))
            .map_err(|error| format!("the module failed: {error}"))
    }
}

impl Module {
    /// Reads what a policy says of itself. It is compiled when it is first asked.
    ///
    /// # Errors
    ///
    /// It has no metadata, without which nobody knows what to ask it about.
    pub fn read(engine: &wasmtime::Engine, bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, Unusable> {
        let bytes = bytes.into();
        let metadata = metadata(&bytes)?;
        if metadata.asks_for_nothing() {
            return Err(Unusable("its metadata has no rules, so it would judge nothing".to_owned()));
        }
        if let Some(mode) = metadata.other_execution_mode() {
            return Err(Unusable(format!("its execution mode is {mode}, and kubewarden-wapc is what runs here")));
        }
        let name = metadata.name().ok_or_else(|| Unusable("its metadata has no title".to_owned()))?.to_owned();
        Ok(Self { metadata, name, engine: engine.clone(), bytes, guest: OnceLock::new() })
    }

    /// Reads a module that is part of the command, under the name that it has there.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn built_in(engine: &wasmtime::Engine, name: &str, bytes: &'static [u8]) -> Result<Self, Unusable> {
        Ok(Self { name: name.to_owned(), ..Self::read(engine, bytes)? })
    }

    /// Reads and compiles a policy.
    ///
    /// # Errors
    ///
    /// It has no metadata, or is no waPC guest.
    pub fn load(engine: &wasmtime::Engine, bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, Unusable> {
        let module = Self::read(engine, bytes)?;
        module.guest()?;
        Ok(module)
    }

    /// The annotations of a module's metadata.
    ///
    /// # Errors
    ///
    /// It has no metadata.
    pub fn annotations(bytes: &[u8]) -> Result<BTreeMap<String, String>, Unusable> {
        Ok(metadata(bytes)?.annotations)
    }

    /// Whether it has been asked anything, and so compiled.
    pub fn is_compiled(&self) -> bool {
        self.guest.get().is_some()
    }

    /// The guest, to be called with any bytes.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn guest(&self) -> Result<&Guest, Unusable> {
        self.guest.get_or_init(|| Guest::compile(&self.engine, &self.bytes)).as_ref().map_err(Clone::clone)
    }

    fn call(&self, function: &str, payload: &[u8], cluster: Arc<dyn HostCalls>) -> Result<Vec<u8>, String> {
        self.guest().map_err(|error| error.to_string())?.call(function, payload, cluster)
    }
}

impl Policy for Module {
    fn name(&self) -> &str {
        &self.name
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// `cluster` answers for the kinds of objects that the policy's metadata asks for, and for no others.
    fn validate(&self, request: &str, settings: &str, cluster: &Arc<dyn HostCalls>) -> Result<Answer, String> {
        let payload = format!(r#"{{"request":{request},"settings":{settings}}}"#);
        let granted = self.metadata.context_aware_resources().to_vec();
        let images = self.metadata.asks_its_host(IMAGES);
        let cluster = Arc::new(Granted { granted, images, cluster: Arc::clone(cluster) });
        let answer = self.call("validate", payload.as_bytes(), cluster)?;
        serde_json::from_slice(&answer).map_err(|error| format!("the module's answer cannot be read: {error}"))
    }

    fn validate_settings(&self, settings: &str) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Validity {
            valid: bool,
            message: Option<String>,
        }
        let answer = self.call("validate_settings", settings.as_bytes(), Arc::new(NoCluster))?;
        match serde_json::from_slice(&answer) {
            Ok(Validity { valid: true, .. }) => Ok(()),
            Ok(Validity { message, .. }) => Err(message.unwrap_or_else(|| "the policy refuses them".to_owned())),
            Err(error) => Err(format!("the module's answer cannot be read: {error}")),
        }
    }
}

/// What a policy asks its host for to be told an image's user.
const IMAGES: &str = "oci/v1/oci_manifest_config";

/// A cluster as far as a policy has been granted access to it.
struct Granted {
    granted: Vec<ContextAwareResource>,
    images: bool,
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
            return Err(format!(
                "Policy has not been granted access to Kubernetes {api_version}/{kind} resources. The violation has been reported."
            ));
        }
        self.cluster.answer(operation, request)
    }

    fn image(&self, reference: &str) -> Result<Vec<u8>, String> {
        match self.images {
            true => self.cluster.image(reference),
            false => Err(format!("the policy's metadata does not ask for {IMAGES}")),
        }
    }
}

fn metadata(bytes: &[u8]) -> Result<Metadata, Unusable> {
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| {
            let reason = error.message().lines().next().unwrap_or_default();
            Unusable(format!("it is no WebAssembly module: {reason}"))
        })?;
        if let Payload::CustomSection(section) = payload
            && section.name() == metadata::SECTION
        {
            return serde_json::from_slice(section.data())
                .map_err(|error| Unusable(format!("its metadata cannot be read: {error}")));
        }
    }
    Err(Unusable("it has no metadata: `kwctl annotate` adds it".to_owned()))
}

//! Runs waPC modules on wasmtime, with the same crates as Kubewarden's policy-server.
//!
//! A module is compiled once. Every request runs in a fresh instance with limited memory and time. Every call runs in
//! its own thread for two reasons: a panic of the engine must not end the command, and wasmtime cannot interrupt a
//! module that sleeps in a call to its host.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt, panic,
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use flytewarden::settings::InvalidSettings;
use flytewarden_offline::{
    check::Policy,
    cluster::{HostCalls, NoCluster},
    metadata::{self, ContextAwareResource, Metadata},
    report::Answer,
};
use serde::Deserialize;
use wapc::{HostCallback, WapcHost};
use wasmparser::{Parser, Payload};
use wasmtime_provider::{EpochDeadlines, ResourceLimits, WasmtimeEngineProviderBuilder, WasmtimeEngineProviderPre};

/// The engine that compiles and runs modules, with the time limit of a call.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    most_time: Duration,
}

/// A compiled waPC guest.
pub struct Guest {
    instances: WasmtimeEngineProviderPre,
    most_time: Duration,
    /// Whether a call exceeded the time limit. Then later calls fail at once, because each would take as long.
    is_late: AtomicBool,
}

/// A policy: a guest with metadata.
pub struct Module {
    /// The module's metadata.
    pub metadata: Metadata,
    /// The policy's name.
    pub name: String,
    /// The guest. It can be called with any bytes.
    pub guest: Guest,
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

/// The largest size of a module, in bytes. Kubewarden's largest policies contain a language runtime and have 20 MB.
pub const MOST_BYTES: u64 = 128 << 20;

/// The memory limit of a request, in bytes.
const MOST_MEMORY: usize = 256 << 20;

/// The largest number of elements in a table. They take space outside the module's memory.
const MOST_ELEMENTS: usize = 100_000;

/// The largest number of tables in a module. Compilers create one.
const MOST_TABLES: u32 = 16;

/// The largest size of an answer, in bytes. It may contain the changed object.
const MOST_ANSWER: usize = 32 << 20;

/// The interval at which the time limit is checked.
const TICK: Duration = Duration::from_millis(50);

/// The extra time that an interrupted call gets to end.
const GRACE: Duration = Duration::from_secs(1);

/// The name of the threads of calls. Their panics are reported as failures of the module.
const CALL: &str = "call of a module";

impl Engine {
    /// Creates an engine with a time limit for each call.
    ///
    /// # Errors
    ///
    /// wasmtime does not support this machine.
    pub fn new(most_time: Duration) -> Result<Self, Unusable> {
        Self::with_config(wasmtime::Config::new(), most_time)
    }

    /// The same with more configuration for wasmtime.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn with_config(mut config: wasmtime::Config, most_time: Duration) -> Result<Self, Unusable> {
        config.epoch_interruption(true);
        let wasmtime = wasmtime::Engine::new(&config).map_err(|error| Unusable(error.to_string()))?;
        let clock = wasmtime.weak();
        thread::spawn(move || {
            while let Some(engine) = clock.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(TICK);
            }
        });
        silence_calls();
        Ok(Self { wasmtime, most_time })
    }
}

/// Hides panics in calls of modules from standard error.
fn silence_calls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some(CALL) {
                others(info);
            }
        }));
    });
}

impl Guest {
    /// Compiles a guest.
    ///
    /// # Errors
    ///
    /// The bytes are not WebAssembly or not a waPC guest, or need more memories or tables than policies have.
    pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<Self, Unusable> {
        let unusable = |error: &dyn fmt::Display| Unusable(format!("it cannot be compiled: {error}"));
        let module = wasmtime::Module::new(&engine.wasmtime, bytes).map_err(|error| unusable(&error))?;
        let needed = module.resources_required();
        // Each memory and table may grow to its limit, so limit their number too.
        if needed.num_memories > 1 || needed.num_tables > MOST_TABLES {
            let (memories, tables) = (needed.num_memories, needed.num_tables);
            return Err(Unusable(format!("it has {memories} memories and {tables} tables, more than a policy needs")));
        }
        let limits = ResourceLimits { max_memory_size: Some(MOST_MEMORY), max_table_elements: Some(MOST_ELEMENTS) };
        let instances = WasmtimeEngineProviderBuilder::new()
            .engine(engine.wasmtime.clone())
            .module(module)
            .enable_resource_limits(limits)
            .build_pre()
            .map_err(|error| unusable(&error))?;
        Ok(Self { instances, most_time: engine.most_time, is_late: AtomicBool::new(false) })
    }

    /// Calls a function in a fresh instance. `cluster` answers the guest's questions about the cluster and about
    /// images.
    ///
    /// # Errors
    ///
    /// The guest trapped or returned an error, its answer is too large, or this call or an earlier one exceeded the
    /// time limit.
    pub fn call(&self, function: &str, payload: &[u8], cluster: Arc<dyn HostCalls>) -> Result<Vec<u8>, String> {
        if self.is_late.load(Ordering::Relaxed) {
            return Err(format!("{}, and will not run again", self.late()));
        }
        let ticks = self.most_time.as_millis().div_ceil(TICK.as_millis()) as u64 + 1;
        let deadlines = EpochDeadlines { wapc_init: ticks, wapc_func: ticks };
        let instance = self.instances.rehydrate(Some(deadlines)).map_err(|error| error.to_string())?;
        let host: Box<HostCallback> =
            Box::new(move |_, binding, namespace, operation, request| match (binding, namespace) {
                // The log messages of policies.
                ("kubewarden", "tracing") => Ok(Vec::new()),
                ("kubewarden", "kubernetes") => cluster.answer(operation, request).map_err(Into::into),
                ("kubewarden", "oci") if operation == "v1/oci_manifest_config" => {
                    cluster.image(&serde_json::from_slice::<String>(request)?).map_err(Into::into)
                }
                _ => Err(format!("{namespace}/{operation} is not supported").into()),
            });
        let (function, payload) = (function.to_owned(), payload.to_vec());
        let (answered, answer) = mpsc::channel();
        let call = move || {
            let guest = WapcHost::new(Box::new(instance), Some(host));
            // After a timeout, nobody receives the answer.
            let _ = answered.send(guest.and_then(|guest| guest.call(&function, &payload)));
        };
        thread::Builder::new().name(CALL.to_owned()).spawn(call).map_err(|error| error.to_string())?;
        match answer.recv_timeout(self.most_time + GRACE) {
            Ok(Ok(answer)) if answer.len() > MOST_ANSWER => {
                let most = MOST_ANSWER >> 20;
                Err(format!("the module's answer has {} bytes, more than the limit of {most} MiB", answer.len()))
            }
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.to_string().contains(INTERRUPTED) => Err(self.too_late()),
            Ok(Err(error)) => Err(format!("the module failed: {error}")),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(self.too_late()),
            // The thread has ended: the module's request made the engine panic.
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err("the module failed: it gave its host an address outside its memory".to_owned())
            }
        }
    }

    fn too_late(&self) -> String {
        self.is_late.store(true, Ordering::Relaxed);
        format!("{}; to allow more time, set --timeout", self.late())
    }

    fn late(&self) -> String {
        format!("the module took longer than {} s", self.most_time.as_secs())
    }
}

/// The provider's message after wasmtime has interrupted a module.
const INTERRUPTED: &str = "execution deadline exceeded";

impl Module {
    /// Reads a policy's metadata, and compiles the policy.
    ///
    /// # Errors
    ///
    /// The module has no usable metadata, so its requests are unknown, or it is not a waPC guest.
    pub fn load(engine: &Engine, bytes: &[u8]) -> Result<Self, Unusable> {
        let metadata = metadata(bytes)?;
        if metadata.asks_for_nothing() {
            return Err(Unusable("its metadata has no rules, so it would check nothing".to_owned()));
        }
        if let Some(mode) = metadata.other_execution_mode() {
            return Err(Unusable(format!("its execution mode is {mode}, but only kubewarden-wapc is supported")));
        }
        let name = metadata.name().ok_or_else(|| Unusable("its metadata has no title".to_owned()))?.to_owned();
        Ok(Self { metadata, name, guest: Guest::compile(engine, bytes)? })
    }

    /// Returns the annotations in a module's metadata.
    ///
    /// # Errors
    ///
    /// The module has no metadata.
    pub fn annotations(bytes: &[u8]) -> Result<BTreeMap<String, String>, Unusable> {
        Ok(metadata(bytes)?.annotations)
    }
}

impl Policy for Module {
    fn name(&self) -> &str {
        &self.name
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// `cluster` only answers for the kinds of objects that the policy's metadata asks for.
    fn validate(&self, request: &str, settings: &str, cluster: &Arc<dyn HostCalls>) -> Result<Answer, String> {
        let payload = format!(r#"{{"request":{request},"settings":{settings}}}"#);
        let granted = self.metadata.context_aware_resources().to_vec();
        let images = self.metadata.asks_its_host(IMAGES);
        let cluster = Arc::new(Granted { granted, images, cluster: Arc::clone(cluster) });
        let answer = self.guest.call("validate", payload.as_bytes(), cluster)?;
        serde_json::from_slice(&answer).map_err(|error| format!("the module's answer cannot be read: {error}"))
    }

    fn validate_settings(&self, settings: &str) -> Result<(), InvalidSettings> {
        #[derive(Deserialize)]
        struct Validity {
            valid: bool,
            message: Option<String>,
        }
        // A module only describes the place in words.
        let invalid = |problem: String| InvalidSettings { path: String::new(), problem };
        let answer = self.guest.call("validate_settings", settings.as_bytes(), Arc::new(NoCluster)).map_err(invalid)?;
        match serde_json::from_slice(&answer) {
            Ok(Validity { valid: true, .. }) => Ok(()),
            Ok(Validity { message, .. }) => {
                Err(invalid(message.unwrap_or_else(|| "the policy rejects these settings".to_owned())))
            }
            Err(error) => Err(invalid(format!("the module's answer cannot be read: {error}"))),
        }
    }
}

/// The host call with which a policy asks for an image's user.
const IMAGES: &str = "oci/v1/oci_manifest_config";

/// A cluster, limited to the kinds that a policy may read.
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
            Unusable(format!("it is not a WebAssembly module: {reason}"))
        })?;
        if let Payload::CustomSection(section) = payload
            && section.name() == metadata::SECTION
        {
            return serde_json::from_slice(section.data())
                .map_err(|error| Unusable(format!("its metadata cannot be read: {error}")));
        }
    }
    Err(Unusable("it has no metadata; add it with `kwctl annotate`".to_owned()))
}

//! Every case of every policy on every engine: natively, as the policy's own module, in the module that carries all
//! policies, and under `kwctl` where that is on PATH.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use flytewarden::{
    abi::{Module as Native, POLICIES},
    cluster::{Cluster, Listed},
    policy::Policy,
};
use flytewarden_cli::engine::Module;
use flytewarden_e2e::{
    cases::{self, Case},
    kwctl::{self, Exchange},
    module, root,
};
use flytewarden_offline::{cluster::HostCalls, report::Answer};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

/// Something that runs policies.
trait Engine: Send + Sync {
    fn validate(&self, case: &Case) -> Result<Answer, String>;
    fn validate_settings(&self, case: &Case) -> Result<(), String>;
}

struct Natively(&'static dyn Policy);

impl Engine for Natively {
    fn validate(&self, case: &Case) -> Result<Answer, String> {
        let payload = json!({"request": case.admission_request(), "settings": case.settings});
        let answer = Native::One(self.0).validate(payload.to_string().as_bytes(), &Asking::new(case.host()));
        serde_json::from_value(json!(answer)).map_err(|error| error.to_string())
    }

    fn validate_settings(&self, case: &Case) -> Result<(), String> {
        let validity = Native::One(self.0).validate_settings(case.settings.to_string().as_bytes());
        if validity.valid { Ok(()) } else { Err(validity.message.unwrap_or_default()) }
    }
}

/// A host, asked as the compiled module asks it.
struct Asking {
    host: Arc<dyn HostCalls>,
    exchanges: RefCell<Vec<Exchange>>,
}

impl Asking {
    fn new(host: Arc<dyn HostCalls>) -> Self {
        Self { host, exchanges: RefCell::default() }
    }
}

impl Cluster for Asking {
    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<Box<RawValue>>,
        }
        let (api_version, name) = kind.kind();
        let mut request = json!({
            "api_version": api_version, "kind": name, "label_selector": null, "field_selector": null,
            "field_masks": kind.fields().iter().collect::<BTreeSet<_>>(),
        });
        let operation = match namespace {
            Some(namespace) => {
                request["namespace"] = json!(namespace);
                "list_resources_by_namespace"
            }
            None => "list_resources_all",
        };
        let request = request.to_string().into_bytes();
        let answer = self.host.answer(operation, &request);
        let exchange = Exchange { operation: operation.to_owned(), request, answer: answer.clone() };
        self.exchanges.borrow_mut().push(exchange);
        let list: List = serde_json::from_slice(&answer?).map_err(|error| error.to_string())?;
        Ok(list.items)
    }

    fn now(&self) -> Result<Duration, String> {
        SystemTime::UNIX_EPOCH.elapsed().map_err(|error| error.to_string())
    }
}

struct OwnModule(Module);

impl Engine for OwnModule {
    fn validate(&self, case: &Case) -> Result<Answer, String> {
        self.0.validate(&case.admission_request().to_string(), &case.settings.to_string(), &case.host())
    }

    fn validate_settings(&self, case: &Case) -> Result<(), String> {
        self.0.validate_settings(&case.settings.to_string())
    }
}

/// The module that carries all policies takes their settings by name, and names the policy in front of what is wrong
/// with them.
struct WholeModule(Arc<Module>);

impl WholeModule {
    fn settings(case: &Case) -> Value {
        // Three policies have something to say of flyteadmin's ConfigMaps; the others are to be silent.
        let mut settings = json!({
            "flyte-admin-cors": {"configMaps": ["none"]},
            "flyte-console-url": {"crossCheck": false},
            "flyte-oauth-tls": {"oauth": "self"},
        });
        settings[case.policy.as_str()] = case.settings.clone();
        settings
    }
}

impl Engine for WholeModule {
    fn validate(&self, case: &Case) -> Result<Answer, String> {
        self.0.validate(&case.admission_request().to_string(), &Self::settings(case).to_string(), &case.host())
    }

    fn validate_settings(&self, case: &Case) -> Result<(), String> {
        self.0.validate_settings(&Self::settings(case).to_string()).map_err(|problem| {
            let own = problem.strip_prefix(&format!("{}: ", case.policy));
            own.map_or_else(|| format!("without the policy's name: {problem}"), str::to_owned)
        })
    }
}

struct Kwctl(&'static dyn Policy, std::path::PathBuf);

impl Engine for Kwctl {
    fn validate(&self, case: &Case) -> Result<Answer, String> {
        // What the host is asked, the policy's native build finds out.
        let asking = Asking::new(case.host());
        let payload = json!({"request": case.admission_request(), "settings": case.settings});
        Native::One(self.0).validate(payload.to_string().as_bytes(), &asking);
        kwctl::run(&self.1, &case.admission_request(), &case.settings, &asking.exchanges.borrow())
    }

    fn validate_settings(&self, case: &Case) -> Result<(), String> {
        // kwctl has no command for settings alone; it checks them before it runs the policy.
        let anything = Case { object: Some(json!({"apiVersion": "v1", "kind": "Service"})), ..case.clone() };
        match kwctl::run(&self.1, &anything.admission_request(), &case.settings, &[]) {
            Ok(_) => Ok(()),
            // Its log says why, among other things.
            Err(log) if case.message.iter().all(|line| log.contains(line)) => Err(case.message.join("\n")),
            Err(log) => Err(log),
        }
    }
}

/// Whether kwctl itself refuses the case: a request without an operation is none, and settings are a map.
fn never_reaches_policy(case: &Case) -> bool {
    case.request.get("operation") == Some(&Value::Null) || case.settings.is_array()
}

fn run(case: &Case, engine: &dyn Engine) -> Result<(), Failed> {
    match case.object {
        None => case.compare_settings(engine.validate_settings(case))?,
        Some(_) => {
            engine.validate_settings(case).map_err(|problem| format!("the case's settings: {problem}"))?;
            case.compare(&engine.validate(case)?)?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let wasm = wasmtime::Engine::default();
    let whole = Arc::new(Module::load(&wasm, module("flytewarden")).expect("the module loads"));
    let has_kwctl = kwctl::is_there();
    if !has_kwctl {
        println!("SKIPPED: kwctl is not on PATH, so no case was run under it");
    }

    let mut trials = Vec::new();
    for policy in POLICIES {
        let own = Module::load(&wasm, module(policy.name())).expect("the module loads");
        let mut engines: Vec<(&str, Arc<dyn Engine>)> = vec![
            ("native", Arc::new(Natively(*policy))),
            ("module", Arc::new(OwnModule(own))),
            ("all-policies module", Arc::new(WholeModule(Arc::clone(&whole)))),
        ];
        if has_kwctl {
            let path = root().join("dist").join(format!("{}.wasm", policy.name()));
            engines.push(("kwctl", Arc::new(Kwctl(*policy, path))));
        }
        let cases: Vec<Case> = cases::all().into_iter().filter(|case| case.policy == policy.name()).collect();
        assert!(!cases.is_empty(), "{} has no cases", policy.name());
        for case in cases {
            if case.lacks_openssl {
                println!("SKIPPED, since openssl is not on PATH: {}", case.it);
                continue;
            }
            for (name, engine) in &engines {
                if *name == "kwctl" && never_reaches_policy(&case) {
                    println!("SKIPPED under kwctl, which refuses it before the policy can: {}", case.it);
                    continue;
                }
                let (case, engine) = (case.clone(), Arc::clone(engine));
                let title = format!("{} {}: {} ({name})", case.policy, case.table, case.it);
                trials.push(Trial::test(title, move || run(&case, &*engine)));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

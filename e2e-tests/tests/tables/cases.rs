//! Every case of every policy on the embedded engine: natively, as the policy's own module, and in the module that carries
//! all policies. Kubewarden's engines are given the same cases by `make e2e`.

use std::sync::Arc;

use flytewarden::{
    decision::{POLICIES, Policies, VARIANTS},
    policy::Policy,
};
use flytewarden_cli::engine::Module;
use flytewarden_e2e::{
    cases::{self, Case},
    loaded, native,
};
use flytewarden_offline::{check::Policy as _, report::Answer};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

/// Something that runs policies.
trait Engine: Send + Sync {
    fn validate(&self, case: &Case) -> Result<Answer, String>;
    fn validate_settings(&self, case: &Case) -> Result<(), String>;
}

struct Natively(&'static dyn Policy);

impl Engine for Natively {
    fn validate(&self, case: &Case) -> Result<Answer, String> {
        native::validate(case)
    }

    fn validate_settings(&self, case: &Case) -> Result<(), String> {
        let own = Policies::One(self.0).validate_settings(case.settings.to_string().as_bytes());
        own.map_err(|invalid| invalid.to_string())
    }
}

struct OwnModule(Arc<Module>);

impl Engine for OwnModule {
    fn validate(&self, case: &Case) -> Result<Answer, String> {
        self.0.validate(&case.admission_request().to_string(), &case.settings.to_string(), &case.host())
    }

    fn validate_settings(&self, case: &Case) -> Result<(), String> {
        self.0.validate_settings(&case.settings.to_string()).map_err(|invalid| invalid.to_string())
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
        self.0.validate_settings(&Self::settings(case).to_string()).map_err(|invalid| {
            let problem = invalid.to_string();
            let own = problem.strip_prefix(&format!("{}: ", case.policy));
            own.map_or_else(|| format!("without the policy's name: {problem}"), str::to_owned)
        })
    }
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

pub fn trials() -> Vec<Trial> {
    let whole = loaded("flytewarden");

    let mut trials = Vec::new();
    for policy in [POLICIES, VARIANTS].concat() {
        let own = loaded(policy.name());
        let mut engines: Vec<(&str, Arc<dyn Engine>)> =
            vec![("native", Arc::new(Natively(policy))), ("module", Arc::new(OwnModule(own)))];
        if POLICIES.iter().any(|other| other.name() == policy.name()) {
            engines.push(("all-policies module", Arc::new(WholeModule(Arc::clone(&whole)))));
        }
        let cases: Vec<Case> = cases::all().into_iter().filter(|case| case.policy == policy.name()).collect();
        assert!(!cases.is_empty(), "{} has no cases", policy.name());
        for case in cases {
            if case.lacks_openssl {
                println!("SKIPPED, since openssl is not on PATH: {}", case.it);
                continue;
            }
            for (name, engine) in &engines {
                let (case, engine) = (case.clone(), Arc::clone(engine));
                let title = format!("{} {}: {} ({name})", case.policy, case.table, case.it);
                trials.push(Trial::test(title, move || run(&case, &*engine)));
            }
        }
    }
    trials
}

//! Runs every case of every policy: natively, and with `engines` also in the policy's own module and in the module with all
//! policies, on the embedded engine. `make e2e` runs the same cases on Kubewarden's engines.

use std::sync::Arc;

use flytewarden::{
    decision::{POLICIES, Policies, VARIANTS},
    policy::Policy,
};
use flytewarden_e2e::{
    cases::{self, Case},
    native,
};
use flytewarden_offline::report::Answer;
use libtest_mimic::{Failed, Trial};

/// An engine that runs policies.
pub trait Engine: Send + Sync {
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
    let mut trials = Vec::new();
    #[cfg(feature = "engines")]
    let opa: Arc<dyn Engine> = Arc::new(crate::in_opa::Opa::load());
    for policy in [POLICIES, VARIANTS].concat() {
        let natively: (&str, Arc<dyn Engine>) = ("native", Arc::new(Natively(policy)));
        let engines = [natively].into_iter();
        #[cfg(feature = "engines")]
        let engines = engines.chain(crate::in_modules::engines(policy.name()));
        #[cfg(feature = "engines")]
        let engines = engines.chain([("OPA", Arc::clone(&opa))]);
        let engines: Vec<_> = engines.collect();
        let cases: Vec<Case> = cases::all().into_iter().filter(|case| case.policy == policy.name()).collect();
        assert!(!cases.is_empty(), "{} has no cases", policy.name());
        for case in cases {
            if case.lacks_openssl {
                println!("SKIPPED, since openssl is not on PATH: {}", case.it);
                continue;
            }
            for (name, engine) in &engines {
                #[cfg(feature = "engines")]
                if *name == "OPA" && flytewarden_e2e::opa::Question::from_case(&case).is_none() {
                    continue;
                }
                let (case, engine) = (case.clone(), Arc::clone(engine));
                let title = format!("{} {}: {} ({name})", case.policy, case.table, case.it);
                trials.push(Trial::test(title, move || run(&case, &*engine)));
            }
        }
    }
    trials
}

//! The cases in compiled modules.

use std::sync::Arc;

use flytewarden::decision::POLICIES;
use flytewarden_cli::engine::Module;
use flytewarden_e2e::{cases::Case, modules::loaded};
use flytewarden_offline::{check::Policy as _, report::Answer};

use crate::cases::Engine;

/// The engines for a policy's cases: its own module, and the module with all policies if that contains it.
pub fn engines(policy: &str) -> Vec<(&'static str, Arc<dyn Engine>)> {
    let mut engines: Vec<(&str, Arc<dyn Engine>)> = vec![("module", Arc::new(OwnModule(loaded(policy))))];
    if POLICIES.iter().any(|other| other.name() == policy) {
        engines.push(("all-policies module", Arc::new(WholeModule(loaded("flytewarden")))));
    }
    engines
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

/// The module with all policies. It takes their settings by name, and puts the policy's name in front of an error in
/// them.
struct WholeModule(Arc<Module>);

impl Engine for WholeModule {
    fn validate(&self, case: &Case) -> Result<Answer, String> {
        self.0.validate(&case.admission_request().to_string(), &case.settings_among_all().to_string(), &case.host())
    }

    fn validate_settings(&self, case: &Case) -> Result<(), String> {
        self.0.validate_settings(&case.settings_among_all().to_string()).map_err(|invalid| {
            let problem = invalid.to_string();
            let own = problem.strip_prefix(&format!("{}: ", case.policy));
            own.map_or_else(|| format!("without the policy's name: {problem}"), str::to_owned)
        })
    }
}

//! The settings file: YAML, a map from policy names to their settings.
//!
//! ```yaml
//! flyte-non-root:
//!   level: restricted
//! ```

use std::collections::BTreeMap;

use flytewarden::settings::nearest;
use flytewarden_offline::yaml::{self, Value};
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use crate::engine::{EMBEDDED, Module};

/// The policy that fills in what manifests lack.
const NON_ROOT: &str = "flyte-non-root";

/// Each policy's settings, as JSON.
#[derive(Debug, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Reads the text of a settings file, and has each policy check its own part, which may be nothing.
    ///
    /// # Errors
    ///
    /// The line and what is wrong there.
    pub fn read(text: &str, modules: &[Module]) -> Result<Self, String> {
        let mut settings = Self::default();
        let content =
            yaml::settings(text).map_err(|malformed| format!("line {}: {}", malformed.line, malformed.reason))?;
        let by_policy = match content.map(|content| (content.line, content.value)) {
            None | Some((_, Value::Null)) => IndexMap::new(),
            Some((_, Value::Map(by_policy))) => by_policy,
            Some((line, _)) => return Err(format!("line {line}: expected a map from policy names to their settings")),
        };
        for (name, own) in &by_policy {
            let Some(module) = modules.iter().find(|module| module.name == *name) else {
                let hint = nearest(name, modules.iter().map(|module| &*module.name))
                    .map(|known| format!("; did you mean {known}?"))
                    .unwrap_or_default();
                return Err(format!("line {}: there is no policy {name}{hint}", own.line));
            };
            let json = serde_json::to_string(own).map_err(|error| error.to_string())?;
            module.validate_settings(&json).map_err(|problem| {
                // A problem starts with the path to it, unless it is with the settings as a whole.
                let path = problem.split(": ").next().unwrap_or_default();
                format!("line {}: {name}: {problem}", own.at(path).line)
            })?;
            settings.0.insert(name.clone(), json);
        }
        // The built-in policies need none, and are not compiled just to say so.
        let is_built_in = |module: &Module| EMBEDDED.iter().any(|(name, _)| *name == module.name);
        for module in modules.iter().filter(|module| !is_built_in(module) && !by_policy.contains_key(&module.name)) {
            module.validate_settings("{}").map_err(|problem| format!("{} needs some: {problem}", module.name))?;
        }
        Ok(settings)
    }

    /// These settings, and where they do not say what to fill in, what Flyte's charts set.
    pub fn or_filling_in(mut self) -> Self {
        let own: Result<Map<String, Json>, _> = serde_json::from_str(self.of(NON_ROOT));
        if let Ok(mut own) = own {
            own.entry("fill").or_insert_with(|| "flyte".into());
            self.0.insert(NON_ROOT.to_owned(), Json::from(own).to_string());
        }
        self
    }

    /// A policy's settings, as JSON.
    pub fn of(&self, policy: &str) -> &str {
        self.0.get(policy).map_or("{}", |settings| settings)
    }
}

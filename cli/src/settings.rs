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
use serde_json::Value as Json;

use crate::engine::{EMBEDDED, Module};

/// The modules with flyte-non-root: its own, the one that may ask for images, and the one that carries every policy.
const NON_ROOT: [&str; 3] = ["flyte-non-root", "flyte-non-root-image-user", WHOLE];
/// The module whose settings are a map by policy name.
const WHOLE: &str = "flytewarden";

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

    /// These settings, and where they do not say another, one of flyte-non-root's.
    ///
    /// # Errors
    ///
    /// No module has it.
    pub fn or(mut self, setting: &str, value: &str, modules: &[Module]) -> Result<Self, String> {
        let mut names = modules.iter().map(|module| &*module.name).filter(|name| NON_ROOT.contains(name)).peekable();
        names
            .peek()
            .ok_or_else(|| format!("flyte-non-root has the setting {setting}, and is not among these modules"))?;
        for name in names {
            let mut all: Json = serde_json::from_str(self.of(name)).map_err(|error| error.to_string())?;
            let own = if name == WHOLE { &mut all[NON_ROOT[0]] } else { &mut all };
            if own[setting].is_null() {
                own[setting] = value.into();
            }
            self.0.insert(name.to_owned(), all.to_string());
        }
        Ok(self)
    }

    /// A policy's settings, as JSON.
    pub fn of(&self, policy: &str) -> &str {
        self.0.get(policy).map_or("{}", |settings| settings)
    }
}

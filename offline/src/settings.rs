//! The settings file: YAML, a map from policy names to their settings.
//!
//! ```yaml
//! flyte-non-root:
//!   level: restricted
//! ```

use std::{collections::BTreeMap, fmt};

use flytewarden::{
    settings::nearest,
    shown::{around_user, visible},
};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use crate::{
    check::Policy,
    yaml::{self, Malformed, Node, Value},
};

/// The modules with flyte-non-root: its own, the one that may ask for images, and the one that carries every policy.
const NON_ROOT: [&str; 3] = ["flyte-non-root", "flyte-non-root-image-user", WHOLE];
/// The module whose settings are a map by policy name.
const WHOLE: &str = "flytewarden";

/// Why settings are not taken.
#[derive(Debug)]
pub struct WrongSettings {
    /// The line of the file, from 1.
    pub line: usize,
    /// Where in them, e.g. `flyte-non-root.level`; empty for the settings as a whole.
    pub path: String,
    /// What is wrong, behind the policy's name and the place in its settings.
    pub problem: String,
}

impl fmt::Display for WrongSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.problem)
    }
}

impl From<Malformed> for WrongSettings {
    fn from(Malformed { line, reason }: Malformed) -> Self {
        Self { line, path: String::new(), problem: reason }
    }
}

/// A name as messages show it.
fn shown(name: &str) -> String {
    visible(&around_user(name).map_or(name.to_owned(), |[before, after]| format!("{before}...{after}")))
}

/// Each policy's settings, as JSON.
#[derive(Debug, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Reads the text of a settings file, and has each policy check its own part, which may be nothing.
    ///
    /// # Errors
    ///
    /// The line and what is wrong there.
    pub fn read(text: &str, policies: &[impl Policy]) -> Result<Self, WrongSettings> {
        Self::checked(yaml::settings(text)?, policies)
    }

    /// Reads settings that are JSON, as programs give them.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub fn read_json(text: &str, policies: &[impl Policy]) -> Result<Self, WrongSettings> {
        Self::checked(yaml::json(text).and_then(|mut values| values.pop()), policies)
    }

    fn checked(content: Option<Node>, policies: &[impl Policy]) -> Result<Self, WrongSettings> {
        let mut settings = Self::default();
        let wrong = |line: usize, path: &str, problem: String| WrongSettings { line, path: path.to_owned(), problem };
        let by_policy = match content.map(|content| (content.line, content.value)) {
            None | Some((_, Value::Null)) => IndexMap::new(),
            Some((_, Value::Map(by_policy))) => by_policy,
            Some((line, _)) => {
                return Err(wrong(line, "", "must be a map from policy names to their settings".to_owned()));
            }
        };
        for (name, own) in &by_policy {
            let Some(policy) = policies.iter().find(|policy| policy.name() == *name) else {
                let hint = nearest(name, policies.iter().map(Policy::name))
                    .map(|known| format!("; did you mean {known}?"))
                    .unwrap_or_default();
                return Err(wrong(own.line, name, format!("unknown policy {}{hint}", shown(name))));
            };
            let json = json!(own).to_string();
            policy.validate_settings(&json).map_err(|invalid| {
                let (line, problem) = (own.at(&invalid.path).line, format!("{name}: {invalid}"));
                let path = if invalid.path.is_empty() { name.clone() } else { format!("{name}.{}", invalid.path) };
                WrongSettings { line, path, problem }
            })?;
            settings.0.insert(name.clone(), json);
        }
        Ok(settings)
    }

    /// Whether there are any for a policy.
    pub fn has(&self, policy: &str) -> bool {
        self.0.contains_key(policy)
    }

    /// These settings, and where they do not say another, one of flyte-non-root's.
    ///
    /// # Errors
    ///
    /// No module has it.
    pub fn or(mut self, setting: &str, value: &str, policies: &[impl Policy]) -> Result<Self, String> {
        let mut names = policies.iter().map(Policy::name).filter(|name| NON_ROOT.contains(name)).peekable();
        names
            .peek()
            .ok_or_else(|| format!("the setting {setting} needs flyte-non-root, which is not among these policies"))?;
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

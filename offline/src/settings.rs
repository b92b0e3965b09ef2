//! Reads the settings file. It is YAML: a map from policy names to their settings, or a `policy.yaml` for Kubewarden.
//!
//! ```yaml
//! flyte-non-root:
//!   level: restricted
//! ```

use std::{collections::BTreeMap, fmt};

use flytewarden::{
    decision,
    settings::nearest,
    shown::{around_user, visible},
};
use indexmap::IndexMap;
use serde::de::IgnoredAny;
use serde_json::{Value as Json, json};

use crate::{
    check::Policy,
    yaml::{self, Malformed, Node, Value},
};

/// The modules with flyte-non-root: its own, its variant that asks for images, and the module with every policy.
const NON_ROOT: [&str; 3] = ["flyte-non-root", "flyte-non-root-image-user", WHOLE];
/// The module with every policy. Its settings are a map by policy name.
const WHOLE: &str = "flytewarden";

/// Why settings are rejected.
#[derive(Debug)]
pub struct WrongSettings {
    /// The line of the file, from 1.
    pub line: usize,
    /// The path in the settings, e.g. `flyte-non-root.level`. Empty for the settings as a whole.
    pub path: String,
    /// The problem, with the policy's name and the place in its settings.
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

/// Returns a name in the form that messages show.
fn shown(name: &str) -> String {
    visible(&around_user(name).map_or(name.to_owned(), |[before, after]| format!("{before}...{after}")))
}

/// Returns the settings of a ClusterAdmissionPolicy or an AdmissionPolicy, by the name of its module's policy. Returns
/// other content unchanged.
fn of_admission_policy(mut content: Node, policies: &[impl Policy]) -> Result<Node, WrongSettings> {
    let kind = content.get("kind").and_then(Node::as_str);
    if !kind.is_some_and(|kind| ["ClusterAdmissionPolicy", "AdmissionPolicy"].contains(&kind)) {
        return Ok(content);
    }
    let module = content.at("spec.module");
    let (line, reference) = (module.line, module.as_str().unwrap_or_default().to_owned());
    let settings = content.take("spec").and_then(|mut spec| spec.take("settings"));
    let settings = settings.unwrap_or(Node { line, key_line: line, value: Value::Null });
    // Example: registry://ghcr.io/flytewarden/policies/flyte-non-root:v0.1.0
    let name = reference.rsplit('/').next().and_then(|name| name.split([':', '@']).next()).unwrap_or_default();
    let name = name.trim_end_matches(".wasm");
    let variant_of = decision::WITH_VARIANTS.iter().find(|(own, _)| own.name() == name).and_then(|(_, whole)| *whole);
    let runs = |name: &&str| policies.iter().any(|policy| policy.name() == *name);
    match [Some(name), variant_of].into_iter().flatten().find(runs) {
        Some(name) => {
            let by_policy = IndexMap::from([(name.to_owned(), settings)]);
            Ok(Node { line, key_line: line, value: Value::Map(by_policy) })
        }
        // The settings of the module with every policy are already by policy name.
        None if name == WHOLE => Ok(settings),
        None => Err(WrongSettings {
            line,
            path: "spec.module".to_owned(),
            problem: format!("the module {} is not one of the policies that run here", shown(&reference)),
        }),
    }
}

/// Each policy's settings, as JSON.
#[derive(Debug, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Parses a settings file. Each policy checks its own settings, which may be absent.
    ///
    /// # Errors
    ///
    /// The line and the problem.
    pub fn parse(text: &str, policies: &[impl Policy]) -> Result<Self, WrongSettings> {
        Self::checked(yaml::settings(text)?, policies)
    }

    /// Parses settings in JSON, as programs pass them.
    ///
    /// # Errors
    ///
    /// The problem and its place.
    pub fn read_json(text: &str, policies: &[impl Policy]) -> Result<Self, WrongSettings> {
        Self::checked(yaml::json(text).and_then(|mut values| values.pop()), policies)
    }

    /// Checks settings that are part of a larger file.
    ///
    /// # Errors
    ///
    /// The line and the problem.
    pub fn checked(content: Option<Node>, policies: &[impl Policy]) -> Result<Self, WrongSettings> {
        let mut settings = Self::default();
        let wrong = |line: usize, path: &str, problem: String| WrongSettings { line, path: path.to_owned(), problem };
        let content = content.map(|content| of_admission_policy(content, policies)).transpose()?;
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
                return Err(wrong(own.key_line, name, format!("unknown policy {}{hint}", shown(name))));
            };
            let json = json!(own).to_string();
            policy.validate_settings(&json).map_err(|invalid| {
                let at = own.at(&invalid.path);
                let unknown = invalid.problem.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
                let line = unknown.and_then(|key| at.get(key)).unwrap_or(at).key_line;
                let path = if invalid.path.is_empty() { name.clone() } else { format!("{name}.{}", invalid.path) };
                WrongSettings { line, path, problem: format!("{name}: {invalid}") }
            })?;
            settings.0.insert(name.clone(), json);
        }
        Ok(settings)
    }

    /// Returns the names of the settings that are set, e.g. `flyte-non-root.level`.
    pub fn names(&self) -> Vec<String> {
        let of_policy = |(policy, settings): (&String, &String)| {
            let settings: IndexMap<String, IgnoredAny> = serde_json::from_str(settings).unwrap_or_default();
            settings.into_keys().map(|name| format!("{policy}.{name}")).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_policy).collect()
    }

    /// Returns the settings of each policy that has any, as JSON.
    pub fn by_policy(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(policy, settings)| (&**policy, &**settings))
    }

    /// Whether a policy has settings.
    pub fn has(&self, policy: &str) -> bool {
        self.0.contains_key(policy)
    }

    /// Sets a setting of flyte-non-root, unless it is set already.
    ///
    /// # Errors
    ///
    /// None of the policies contains flyte-non-root.
    pub fn or(mut self, setting: &str, value: &str, policies: &[impl Policy]) -> Result<Self, String> {
        let mut names = policies.iter().map(Policy::name).filter(|name| NON_ROOT.contains(name)).peekable();
        names
            .peek()
            .ok_or_else(|| format!("the setting {setting} needs flyte-non-root, which is not among these policies"))?;
        for name in names {
            let mut all: Json = serde_json::from_str(self.for_policy(name)).map_err(|error| error.to_string())?;
            let own = if name == WHOLE { &mut all[NON_ROOT[0]] } else { &mut all };
            if own[setting].is_null() {
                own[setting] = value.into();
            }
            self.0.insert(name.to_owned(), all.to_string());
        }
        Ok(self)
    }

    /// Returns these settings without one of flyte-non-root's.
    pub fn without(&self, setting: &str) -> Self {
        let removed = |(name, settings): (&String, &String)| {
            let mut all: Json = serde_json::from_str(settings).unwrap_or_default();
            let own = if name == WHOLE { all.get_mut(NON_ROOT[0]) } else { Some(&mut all) };
            if let Some(Json::Object(own)) = own.filter(|_| name == WHOLE || NON_ROOT.contains(&&**name)) {
                own.remove(setting);
            }
            (name.clone(), all.to_string())
        };
        Self(self.0.iter().map(removed).collect())
    }

    /// Returns a policy's settings, as JSON.
    pub fn for_policy(&self, policy: &str) -> &str {
        self.0.get(policy).map_or("{}", |settings| settings)
    }
}

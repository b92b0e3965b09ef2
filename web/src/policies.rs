//! The linked policies: those of the command, with the same names.

use std::time::Duration;

use flytewarden_offline::linked::{self, Linked};
use js_sys::Date;
use serde_json::Value;
use tsify::Tsify;

use crate::pki;

/// The description of a policy.
#[derive(Tsify)]
#[cfg_attr(test, derive(serde::Deserialize), serde(deny_unknown_fields))]
#[allow(dead_code, reason = "it is JavaScript that reads it")]
pub struct PolicyInfo {
    /// Its name, and its key in settings.
    pub name: String,
    /// Its purpose, in a line.
    pub description: String,
    /// Its version.
    pub version: String,
    /// The severity of its violations: `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// The settings it takes.
    pub questions: Vec<Question>,
}

/// A setting, as a question of a form. The field names are those of Rancher's `questions-ui.yml`.
#[derive(Tsify)]
#[cfg_attr(test, derive(serde::Deserialize), serde(deny_unknown_fields))]
#[allow(dead_code, reason = "it is JavaScript that reads it")]
pub struct Question {
    /// Its key.
    pub variable: String,
    /// Its name for people.
    pub label: String,
    /// Its meaning.
    pub description: String,
    /// The heading of its group.
    pub group: String,
    /// `string`, `int`, `boolean`, `enum`, `multiline`, `array[` of texts, or `sequence[` of maps.
    #[serde(rename = "type")]
    #[tsify(type = r#""string" | "int" | "boolean" | "enum" | "multiline" | "array[" | "sequence[""#)]
    pub kind: String,
    /// Its default.
    #[tsify(optional, type = "unknown")]
    pub default: Option<Value>,
    /// The values of an `enum`.
    #[tsify(optional)]
    pub options: Option<Vec<String>>,
    /// Whether it must be set.
    pub required: bool,
    /// The other setting it depends on: `crossCheck=true`.
    #[tsify(optional)]
    pub show_if: Option<String>,
    /// The settings in each map of a `sequence[`.
    #[tsify(optional)]
    pub sequence_questions: Option<Vec<Question>>,
}

/// The policies, in the order of their names.
pub(crate) fn linked() -> Vec<Linked> {
    linked::policies(clock, pki::loaded)
}

fn clock() -> Result<Duration, String> {
    Ok(Duration::from_millis(Date::now() as u64))
}

#[cfg(test)]
mod tests {
    use flytewarden_offline::linked::info;

    use super::{PolicyInfo, linked};

    #[test]
    fn every_policy_says_what_its_type_says() {
        let info: Vec<PolicyInfo> = serde_json::from_str(&info()).unwrap();
        let names: Vec<_> = info.iter().map(|policy| &policy.name).collect();
        assert_eq!(linked().iter().map(|policy| &policy.name).collect::<Vec<_>>(), names);
        assert!(info.iter().all(|policy| !policy.description.is_empty() && !policy.questions.is_empty()));
    }
}

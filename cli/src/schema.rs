//! The JSON Schema of the configuration file, for editors. It is made from the options of `check` and from the settings
//! that policies declare.
//!
//! Source: [JSON Schema 2020-12](https://json-schema.org/draft/2020-12).

use clap::{Arg, ArgAction, Command, ValueHint};
use flytewarden::{
    decision::declared,
    settings::{Setting, Shape, Unset},
};
use serde_json::{Map, Value, json};

use crate::config::{SETTINGS, keys};

/// Returns the schema. `check` is the subcommand whose options are the keys of the file.
pub fn schema(check: &Command) -> Value {
    let options = keys(check).map(|(name, argument)| (name.to_owned(), option(name, argument)));
    let mut properties: Map<String, Value> = options.collect();
    let policies: Map<String, Value> =
        declared().map(|declared| (declared.policy.name().to_owned(), settings(declared.settings))).collect();
    properties.insert(
        SETTINGS.to_owned(),
        json!({
            "description": "The settings of each policy, or the file that has them.",
            "anyOf": [{"type": "string"}, {"type": "object", "properties": policies}],
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": concat!(env!("CARGO_PKG_REPOSITORY"), "/raw/v", env!("CARGO_PKG_VERSION"), "/docs/flytewarden.schema.json"),
        "title": "flytewarden.yaml",
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": false,
    })
}

fn option(name: &str, argument: &Arg) -> Value {
    let words: Vec<String> = argument.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
    let mut schema = match argument.get_action() {
        ArgAction::SetTrue => json!({"type": "boolean"}),
        ArgAction::Append if argument.get_value_hint() == ValueHint::Other => {
            json!({"type": "object", "additionalProperties": {"type": "string"}})
        }
        ArgAction::Append => {
            json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
        }
        _ if !words.is_empty() => json!({"enum": words}),
        _ if name == "timeout" => json!({"type": "integer", "minimum": 1, "maximum": 86_400}),
        _ => json!({"type": "string"}),
    };
    schema["description"] = argument.get_help().map(ToString::to_string).into();
    schema
}

fn settings(settings: &[Setting]) -> Value {
    let properties: Map<String, Value> =
        settings.iter().map(|setting| (setting.name.to_owned(), of_setting(setting))).collect();
    let required: Vec<&str> = settings
        .iter()
        .filter(|setting| matches!(setting.default, Unset::Required))
        .map(|setting| setting.name)
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn of_setting(setting: &Setting) -> Value {
    let mut schema = match setting.shape {
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Number => json!({"type": "integer"}),
        Shape::Text | Shape::Lines => json!({"type": "string"}),
        Shape::List => json!({"type": "array", "items": {"type": "string"}}),
        // A setting may accept a map that forms do not offer.
        Shape::OneOf(words) => json!({"anyOf": [{"enum": words}, {"type": "object"}]}),
        Shape::Maps(fields) => json!({"type": "array", "items": settings(fields)}),
    };
    schema["description"] = setting.meaning.into();
    if let Unset::Is(default) = setting.default {
        schema["default"] = serde_json::from_str(default).unwrap_or_default();
    }
    schema
}

//! The settings as questions of Rancher's UI and of the page: `questions-ui.yml`.

use std::{fmt::Write, path::Path};

use flytewarden::settings::{Setting, Shape, Unset};
use serde_json::Value;

use super::{MADE, Made, Package, annotation, of_whole};
use crate::Result;

/// A file for each policy, and one for the module with all of them, whose settings are a map by policy name.
pub fn made(root: &Path, packages: &[Package]) -> Result<Vec<Made>> {
    let mut made = Vec::new();
    let mut all = format!("{MADE}questions:\n");
    for Package { folder, declared, .. } in packages {
        let mut own = format!("{MADE}questions:\n");
        for setting in declared.settings {
            own.push_str(&question(setting, &Asked { before: "", group: "Settings", indent: 2 })?);
        }
        made.push((folder.join("questions-ui.yml"), own));
    }
    for package in of_whole(packages) {
        let before = format!("{}.", package.name);
        let group = annotation(&package.metadata, "io.artifacthub.displayName")?;
        for setting in package.declared.settings {
            all.push_str(&question(setting, &Asked { before: &before, group, indent: 2 })?);
        }
    }
    made.push((root.join("questions-ui.yml"), all));
    Ok(made)
}

/// The place of a question.
struct Asked<'a> {
    /// The prefix of the names of settings.
    before: &'a str,
    /// The heading.
    group: &'a str,
    /// Its indentation, in spaces.
    indent: usize,
}

fn question(setting: &Setting, asked: &Asked) -> Result<String> {
    let Asked { before, group, indent } = *asked;
    let Setting { name, label, shape, default, asked_where, meaning } = setting;
    let kind = match shape {
        Shape::Boolean => "boolean",
        Shape::Number => "int",
        Shape::Text => "string",
        Shape::Lines => "multiline",
        Shape::List => "array[",
        Shape::OneOf(_) => "enum",
        Shape::Maps(_) => "sequence[",
    };
    let mut fields = vec![
        format!("variable: {before}{name}"),
        format!("label: {label}"),
        format!("description: {meaning}"),
        format!("group: {group}"),
        format!("type: {kind}"),
    ];
    if let Shape::OneOf(words) = shape {
        fields.push(format!("options: {}", serde_json::to_string(words)?));
    }
    if let Unset::Is(json) = default {
        // JSON is YAML, and no reader takes a quoted text for a boolean.
        fields.push(format!("default: {}", serde_json::from_str::<Value>(json)?));
    }
    fields.push(format!("required: {}", matches!(default, Unset::Required)));
    if let Some((other, value)) = asked_where {
        fields.push(format!("show_if: {before}{other}={value}"));
    }
    let mut question = String::new();
    for (index, field) in fields.iter().enumerate() {
        let mark = if index == 0 { "- " } else { "  " };
        writeln!(question, "{:indent$}{mark}{field}", "")?;
    }
    if let Shape::Maps(below) = shape {
        writeln!(question, "{:indent$}  sequence_questions:", "")?;
        for setting in *below {
            question.push_str(&self::question(setting, &Asked { before: "", group, indent: indent + 4 })?);
        }
    }
    Ok(question)
}

//! `cargo xtask docs`: what says of the settings what the policies' `questions-ui.yml` say: tables in the READMEs, and the
//! `questions-ui.yml` of the module that carries every policy. A policy's module that may also ask for images has its questions.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Artifact, Result, artifacts, read_yaml};

/// The questions of a policy, which Rancher's UI asks for its settings.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Questions {
    questions: Vec<Question>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Question {
    variable: String,
    label: String,
    description: String,
    group: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    options: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Value>,
    required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    show_if: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sequence_questions: Vec<Question>,
}

/// Rewrites what is made from other files.
pub fn write(root: &Path) -> Result<()> {
    for (path, content) in made(root)? {
        fs::write(path, content)?;
    }
    Ok(())
}

/// The files that are made from others, or in part, as they should be.
fn made(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut made = Vec::new();
    let mut policies = vec![["policy", "what it enforces"].map(str::to_owned).to_vec()];
    let mut settings = vec![["policy", "setting", "type", "default", "meaning"].map(str::to_owned).to_vec()];
    let mut all = Vec::new();
    for Artifact { name, folder, .. } in artifacts(root)?.into_iter().filter(|artifact| artifact.feature != "all") {
        let annotations = &read_yaml(&folder.join("metadata.yml"))?["annotations"];
        let annotation = |key: &str| annotations[key].as_str().map(str::to_owned).ok_or(format!("{name} has no {key}"));
        let asks_for = name.strip_suffix("-image-user");
        let questions_of = root.join("policies").join(asks_for.unwrap_or(&name)).join("questions-ui.yml");
        let Questions { questions } = serde_json::from_value(read_yaml(&questions_of)?)?;

        let link = format!("[{name}](policies/{name}/README.md)");
        policies.push(vec![link.clone(), annotation("io.kubewarden.policy.description")?]);
        let mut own = vec![["setting", "type", "default", "meaning"].map(str::to_owned).to_vec()];
        for question in &questions {
            own.extend(question.rows(""));
        }
        made.push(filled(&folder.join("README.md"), &[("settings", table(&own))])?);
        if let Some(policy) = asks_for {
            let questions = fs::read_to_string(&questions_of)?;
            let content = format!("# Made by `cargo xtask docs` from that of {policy}.\n{questions}");
            made.push((folder.join("questions-ui.yml"), content));
            continue;
        }
        settings.extend(questions.iter().map(|question| [vec![link.clone()], question.row("")].concat()));
        let display_name = annotation("io.artifacthub.displayName")?;
        all.extend(questions.into_iter().map(|question| question.of(&name, &display_name)));
    }
    made.push(filled(&root.join("README.md"), &[("policies", table(&policies)), ("settings", table(&settings))])?);
    // Where readers of YAML 1.1 would see a boolean.
    let questions = yaml_serde::to_string(&Questions { questions: all })?.replace(" off\n", " \"off\"\n");
    made.push((
        root.join("questions-ui.yml"),
        format!("# Made by `cargo xtask docs` from those of the policies.\n{questions}"),
    ));
    Ok(made)
}

impl Question {
    /// The question in the module that carries every policy, whose settings are a map by policy name.
    fn of(mut self, policy: &str, display_name: &str) -> Self {
        self.variable = format!("{policy}.{}", self.variable);
        self.group = display_name.to_owned();
        self.show_if = self.show_if.map(|condition| format!("{policy}.{condition}"));
        self
    }

    /// Its row of a table, and those of the fields of its items.
    fn rows(&self, prefix: &str) -> Vec<Vec<String>> {
        let fields = format!("{prefix}{}[].", self.variable);
        let below = self.sequence_questions.iter().flat_map(|question| question.rows(&fields));
        [self.row(prefix)].into_iter().chain(below).collect()
    }

    fn row(&self, prefix: &str) -> Vec<String> {
        let kind = match self.kind.as_str() {
            "array[" | "sequence[" => "list".to_owned(),
            "enum" => self.options.iter().map(|option| format!("`{option}`")).collect::<Vec<_>>().join(" or "),
            "int" => "number".to_owned(),
            "string" | "multiline" => "text".to_owned(),
            other => other.to_owned(),
        };
        let default = match &self.default {
            None if self.required => "required".to_owned(),
            None => "not set".to_owned(),
            Some(Value::Array(items)) if items.is_empty() => "none".to_owned(),
            Some(Value::Array(items)) => items.iter().map(|item| self.code(item)).collect::<Vec<_>>().join(", "),
            Some(value) => self.code(value),
        };
        vec![format!("`{prefix}{}`", self.variable), kind, default, self.description.clone()]
    }

    /// A value as code; of an item with fields the first, which names it.
    fn code(&self, value: &Value) -> String {
        let name = self.sequence_questions.first().and_then(|first| value.get(&first.variable)).unwrap_or(value);
        format!("`{}`", name.as_str().map_or_else(|| name.to_string(), str::to_owned))
    }
}

fn table(rows: &[Vec<String>]) -> String {
    let mut lines: Vec<String> = rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    let rule = "| --- ".repeat(rows.first().map_or(0, Vec::len));
    lines.insert(1, format!("{rule}|\n"));
    lines.concat()
}

/// A page with each of the parts between its marks, `<!-- name -->` and `<!-- /name -->`.
fn filled(path: &Path, parts: &[(&str, String)]) -> Result<(PathBuf, String)> {
    let mut page = fs::read_to_string(path)?;
    for (name, part) in parts {
        let [start, end] = [format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n")];
        let missing = || format!("{} has no part {name}", path.display());
        let from = page.find(&start).ok_or_else(missing)? + start.len();
        let to = from + page.get(from..).and_then(|rest| rest.find(&end)).ok_or_else(missing)?;
        page.replace_range(from..to, part);
    }
    Ok((path.to_owned(), page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_from_other_files_is_up_to_date() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for (path, content) in made(root).unwrap() {
            assert_eq!(content, fs::read_to_string(&path).unwrap(), "{}: `cargo xtask docs` mends it", path.display());
        }
    }
}

//! The tables of the READMEs, of `docs/settings.md` and of SECURITY.md, between marks such as `<!-- rules -->` and `<!-- /rules -->`.

use std::{fs, path::Path};

use flytewarden::{
    host::plural,
    rule::Rule,
    settings::{Setting, Shape, Unset},
};
use serde_json::Value;

use super::{Made, Package, annotation};
use crate::Result;

pub fn made(root: &Path, packages: &[Package]) -> Result<Vec<Made>> {
    let mut made = Vec::new();
    let mut policies = vec![row(["policy", "what it enforces", "maximum module size"])];
    let mut settings = vec![row(["policy", "setting", "type", "default", "meaning"])];
    let mut asked = vec![row(["module", "may ask its host for", "may change objects"])];
    for package in packages {
        let Package { name, folder, declared, metadata } = package;
        let link = format!("[{name}](policies/{name}/README.md)");
        let description = annotation(metadata, "io.kubewarden.policy.description")?;
        policies.push(row([&link, description, &format!("{} KB", declared.most_bytes / 1000)]));

        let mut own = vec![row(["setting", "type", "default", "meaning"])];
        for setting in declared.settings {
            own.extend(with_fields(setting, ""));
            if package.is_of_whole() {
                let link = format!("[{name}](../policies/{name}/README.md)");
                settings.push([row([&link]), of_setting(setting, "")].concat());
            }
        }
        let mut parts = vec![("settings", table(&own))];
        // A variant has the rules and settings of its base policy.
        if package.is_of_whole() {
            let rules = declared.rules.iter().map(of_rule);
            parts.push((
                "rules",
                table(&[vec![row(["rule", "finds", "what happens, and what to do"])], rules.collect()].concat()),
            ));
        }
        made.push(filled(&folder.join("README.md"), &parts)?);
        asked.push(may(name, package));
    }
    made.push(filled(&root.join("README.md"), &[("policies", table(&policies))])?);
    made.push(filled(&root.join("docs/settings.md"), &[("settings", table(&settings))])?);
    made.push(filled(&root.join("SECURITY.md"), &[("modules", table(&asked))])?);
    Ok(made)
}

fn row<const CELLS: usize>(cells: [&str; CELLS]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// A rule's row. The `help` in SARIF links to it.
fn of_rule(Rule { name, severity, summary, help }: &Rule) -> Vec<String> {
    row([&format!("<a id=\"{0}\"></a>`{0}` ({1})", name.rule, severity.name()), summary, help])
}

/// A row that shows what a module can do besides answering.
fn may(name: &str, package: &Package) -> Vec<String> {
    let kinds = package.declared.asks_for.iter().map(|listed| plural(listed.kind().1));
    let asked: Vec<String> =
        kinds.chain(package.declared.asks_for_images.then(|| "the configuration of images".to_owned())).collect();
    let asked = if asked.is_empty() { "nothing".to_owned() } else { asked.join(", ") };
    let changes = package.metadata["mutating"] == Value::Bool(true);
    row([name, &asked, if changes { "where the setting `fill` says so" } else { "no" }])
}

/// A setting's row, and the rows of the fields of its items.
fn with_fields(setting: &Setting, prefix: &str) -> Vec<Vec<String>> {
    let fields = format!("{prefix}{}[].", setting.name);
    let below: &[Setting] = if let Shape::Maps(below) = setting.shape { below } else { &[] };
    let below = below.iter().flat_map(|field| with_fields(field, &fields));
    [of_setting(setting, prefix)].into_iter().chain(below).collect()
}

fn of_setting(setting: &Setting, prefix: &str) -> Vec<String> {
    let kind = match setting.shape {
        Shape::Boolean => "boolean".to_owned(),
        Shape::Number => "number".to_owned(),
        Shape::Text | Shape::Lines => "string".to_owned(),
        Shape::List | Shape::Maps(_) => "list".to_owned(),
        Shape::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
    };
    let default = match setting.default {
        Unset::Required => "required".to_owned(),
        Unset::Said => "not set".to_owned(),
        Unset::Is(json) => in_words(&serde_json::from_str(json).unwrap_or_default()),
    };
    row([&format!("`{prefix}{}`", setting.name), &kind, &default, setting.meaning])
}

/// A default as code. For maps, the first text, which is their name.
fn in_words(default: &Value) -> String {
    match default {
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields.values().find(|value| value.is_string()).map_or_else(String::new, in_words),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

fn table(rows: &[Vec<String>]) -> String {
    let mut lines: Vec<String> = rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    let rule = "| --- ".repeat(rows.first().map_or(0, Vec::len));
    lines.insert(1, format!("{rule}|\n"));
    lines.concat()
}

/// A page with each of its parts between its marks.
fn filled(path: &Path, parts: &[(&str, String)]) -> Result<Made> {
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

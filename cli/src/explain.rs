//! `flytewarden explain`: explains rules, their consequences and their fixes.

use flytewarden::{decision::rule, rule::Rule, settings::nearest, update::NOT_JUDGED};
use flytewarden_offline::rules::{Explained, all};

/// The rules that a name means: `flyte-non-root/runs-as-root`; `runs-as-root`, which several policies may have; or `flyte-non-root`, for all
/// rules of the policy. Without a name, all rules.
///
/// # Errors
///
/// There is no rule of that name.
pub fn rules(name: Option<&str>) -> Result<Vec<Explained>, String> {
    let found: Vec<Rule> = match name {
        None => all().collect(),
        Some(name) if name == NOT_JUDGED.name.rule => vec![NOT_JUDGED],
        Some(name) => match name.split_once('/') {
            Some((policy, own)) => rule(policy, own).into_iter().collect(),
            None => all().filter(|rule| [rule.name.rule, rule.name.policy].contains(&name)).collect(),
        },
    };
    if let (true, Some(name)) = (found.is_empty(), name) {
        let names = |rule: Rule| [rule.name.rule.to_owned(), rule.name.policy.to_owned(), rule.name.to_string()];
        let all: Vec<String> = all().flat_map(names).collect();
        let hint = nearest(name, all.iter().map(String::as_str)).map(|known| format!("; did you mean `{known}`?"));
        let hint = hint.unwrap_or_else(|| "; `flytewarden explain` lists them".to_owned());
        return Err(format!("unknown rule `{name}`{hint}"));
    }
    Ok(found.into_iter().map(Explained::from_rule).collect())
}

/// Returns one line for each rule.
pub fn list(rules: &[Explained]) -> String {
    let width = rules.iter().map(|rule| title(rule).len()).max().unwrap_or(0);
    let line = |rule: &Explained| format!("{:width$}  {:9}  {}\n", title(rule), rule.severity.name(), rule.summary);
    rules.iter().map(line).collect()
}

/// Returns one paragraph for each rule.
pub fn text(rules: &[Explained]) -> String {
    let paragraph = |rule: &Explained| {
        let Explained { severity, summary, help, page, .. } = rule;
        format!("{} ({})\n  finds: {summary}\n  {help}\n  {page}\n", title(rule), severity.name())
    };
    rules.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

fn title(rule: &Explained) -> String {
    match rule.name.policy {
        "" => rule.name.rule.to_owned(),
        _ => rule.name.to_string(),
    }
}

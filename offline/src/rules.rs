//! What the policies' rules find, for people and programs that have a report before them.

use flytewarden::{
    decision::declared,
    rule::{Rule, RuleName, Severity},
    update::NOT_JUDGED,
};
use serde::Serialize;

/// Every rule, by policy, but for the one that each policy has.
pub fn all() -> impl Iterator<Item = Rule> {
    declared().flat_map(|declared| declared.rules.iter().copied())
}

/// A rule as programs read it; texts in Markdown.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// Its policy's name, and its own.
    #[serde(flatten)]
    pub name: RuleName,
    /// How bad its findings are: `high`, `medium` or `low` for violations, or `notice`.
    pub severity: Severity,
    /// What it finds, in a line.
    pub summary: &'static str,
    /// What happens then, and what to do.
    pub help: &'static str,
    /// The page that has more.
    pub page: String,
}

impl Explained {
    /// What is declared of a rule.
    pub fn of(Rule { name, severity, summary, help }: Rule) -> Self {
        Self { name, severity, summary, help, page: page(name) }
    }
}

/// Its row in the README of its policy, as that is in this version.
fn page(name: RuleName) -> String {
    let pages = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/v", env!("CARGO_PKG_VERSION"));
    if name.rule == NOT_JUDGED.name.rule {
        return format!("{pages}/docs/updates.md");
    }
    format!("{pages}/policies/{}/README.md#{}", name.policy, name.rule)
}

//! Explains the policies' rules, for readers of a report and for programs.

use flytewarden::{
    decision::declared,
    rule::{Rule, RuleName, Severity},
    update::NOT_JUDGED,
};
use serde::Serialize;

/// Returns every rule by policy, except `not-judged`, which every policy has.
pub fn all() -> impl Iterator<Item = Rule> {
    declared().flat_map(|declared| declared.rules.iter().copied())
}

/// A rule as programs read it. The texts are Markdown.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// The policy's name and the rule's name.
    #[serde(flatten)]
    pub name: RuleName,
    /// The severity of its findings: `high`, `medium` or `low` for violations, or `notice`.
    pub severity: Severity,
    /// A one-line summary of the problem.
    pub summary: &'static str,
    /// The consequence, and how to fix it.
    pub help: &'static str,
    /// The page with more details.
    pub page: String,
}

impl Explained {
    /// Explains a declared rule.
    pub fn from_rule(Rule { name, severity, summary, help }: Rule) -> Self {
        Self { name, severity, summary, help, page: page(name) }
    }
}

/// Returns the link to the rule's row in its policy's README, in the version of this program.
fn page(name: RuleName) -> String {
    let pages = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/v", env!("CARGO_PKG_VERSION"));
    if name.rule == NOT_JUDGED.name.rule {
        return format!("{pages}/docs/updates.md");
    }
    format!("{pages}/policies/{}/README.md#{}", name.policy, name.rule)
}

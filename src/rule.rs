//! What policies can find, declared once.
//!
//! Findings are made from the rules' names, so a rule that is not declared does not compile. The READMEs' tables, `flytewarden
//! explain`, SARIF's descriptions and the page's help are made from what is said of them. No module carries that: it needs the
//! names alone.

use std::fmt;

use serde::Serialize;

/// The name of a rule. Stable: people filter by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct RuleName {
    /// The policy's name.
    pub policy: &'static str,
    /// The rule's name within the policy, e.g. `runs-as-root`.
    pub rule: &'static str,
}

impl fmt::Display for RuleName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.policy, self.rule)
    }
}

/// What is said of a rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name.
    pub name: RuleName,
    /// What its findings are.
    pub severity: Severity,
    /// What it finds, in a line, in Markdown.
    pub summary: &'static str,
    /// What happens then and what to do, in Markdown.
    pub help: &'static str,
}

/// What a rule's findings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Violations, which refuse the object; notices where a policy's README says so, and of what an UPDATE leaves as it was.
    Violation,
    /// Notices, which refuse nothing.
    Notice,
}

/// Declares a policy's rules: a constant for the name of each, and `RULES` with what is said of them.
///
/// ```text
/// rules! {
///     "flyte-non-root":
///     Violation RUNS_AS_ROOT = "runs-as-root", "what it finds", "what happens, and what to do";
/// }
/// ```
macro_rules! rules {
    ($policy:literal: $($(#[$meta:meta])* $severity:ident $constant:ident = $name:literal, $summary:literal, $help:literal;)*) => {
        $(
            $(#[$meta])*
            #[doc = $summary]
            pub(super) const $constant: crate::rule::RuleName = crate::rule::RuleName { policy: $policy, rule: $name };
        )*

        /// The policy's rules.
        pub(super) const RULES: &[crate::rule::Rule] = &[$(
            $(#[$meta])*
            crate::rule::Rule {
                name: $constant,
                severity: crate::rule::Severity::$severity,
                summary: $summary,
                help: $help,
            }
        ),*];
    };
}

pub(crate) use rules;

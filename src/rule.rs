//! The rules of the policies, declared once.
//!
//! Findings refer to the declared names, so a rule that is not declared does not compile. The READMEs' tables, `flytewarden
//! explain`, SARIF's descriptions and the page's help come from the declared texts. Modules do not contain these texts: they
//! need only the names.

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// A rule with its documentation.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name.
    pub name: RuleName,
    /// The severity of its findings.
    pub severity: Severity,
    /// A description of its findings, in one line of Markdown.
    pub summary: &'static str,
    /// The consequences and the fix, in Markdown.
    pub help: &'static str,
}

/// The severity of a rule's findings. All except notices are violations, which reject the object. A violation becomes a
/// notice where a policy's README says so, and where an UPDATE leaves the problem unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A notice, which rejects nothing.
    Notice,
    /// Something does not work, or will not for long.
    Low,
    /// A protection is weak, or clients are led to turn it off.
    Medium,
    /// Somebody gets access that they should not have: root, a key, calls in another person's name.
    High,
}

impl Severity {
    /// The severities of violations, from the worst.
    pub const VIOLATIONS: [Self; 3] = [Self::High, Self::Medium, Self::Low];

    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// The severities of a policy's rules, by their names.
pub type Severities = &'static [(&'static str, Severity)];

/// Declares a policy's rules: a constant for the name of each, `RULES` with their documentation, and `SEVERITIES` for code that needs
/// no texts.
///
/// ```text
/// rules! {
///     "flyte-non-root":
///     High RUNS_AS_ROOT = "runs-as-root", "what it finds", "what happens, and what to do";
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

        /// The severity of each rule's findings.
        pub(super) const SEVERITIES: crate::rule::Severities =
            &[$($(#[$meta])* ($name, crate::rule::Severity::$severity)),*];
    };
}

pub(crate) use rules;

//! The words of a command line, and what they start.

use std::fmt;

use super::environment::Value;
use crate::flyte;

/// Which item of a container's list something stands in, e.g. `args[0]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct At {
    pub(super) list: &'static str,
    pub(super) index: usize,
}

impl fmt::Display for At {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[{}]", self.list, self.index)
    }
}

/// A word of a command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    pub(crate) at: At,
    /// Where not known, it may also be several words.
    pub(crate) value: Value<'a>,
}

/// One start of flyteadmin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run<'a> {
    pub(super) at: At,
    /// What stands behind its name.
    pub(crate) arguments: Vec<Word<'a>>,
    /// What wrappers and the shell set, the last of a name counts.
    pub(super) variables: Vec<(String, Word<'a>)>,
    /// Whether they took the container's own variables away.
    pub(super) is_cleared: bool,
    /// Whether its name is not among the words, so that it may be another program.
    pub(super) is_guessed: bool,
    /// Whether it may not be started, or may end, so that what comes behind it in a script counts too.
    pub(super) may_end: bool,
    /// How many of the variables were set before a shell took over, if one did.
    pub(super) through_shell: Option<usize>,
}

impl Run<'_> {
    /// Whether flyteadmin's server is started, rather than another of its commands.
    pub(crate) fn serves(&self) -> bool {
        self.arguments.iter().any(|word| word.value.is_known && flyte::ADMIN_COMMANDS.contains(&&*word.value.text))
    }

    pub(super) fn clear(&mut self) {
        self.variables.clear();
        self.is_cleared = true;
    }
}

/// The last part of a program's path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

pub(super) fn is_flyteadmin(path: &str) -> bool {
    flyte::ADMIN_PROGRAMS.contains(&base_name(path))
}

//! The words of a command line, and the program that they start.

use std::fmt;

use super::environment::Value;
use crate::flyte;

/// An item of a container's list, e.g. `args[0]`.
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
    /// If it is not known, it may also be several words.
    pub(crate) value: Value<'a>,
}

/// One start of flyteadmin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run<'a> {
    pub(super) at: At,
    /// The words after its name.
    pub(crate) arguments: Vec<Word<'a>>,
    /// The variables that wrappers and the shell set; the last of a name counts.
    pub(super) variables: Vec<(String, Word<'a>)>,
    /// Whether they removed the container's own variables.
    pub(super) is_cleared: bool,
    /// Its name; empty if it is not among the words.
    pub(super) program: &'static str,
    /// Whether its name is not among the words, so that it may be another program.
    pub(super) is_guessed: bool,
    /// Whether it may not start, or may end, so that later commands of a script count too.
    pub(super) may_end: bool,
    /// How many of the variables were set before a shell took over, if one did.
    pub(super) through_shell: Option<usize>,
}

impl Run<'_> {
    /// Whether this starts flyteadmin's server, and not another of its commands.
    pub(crate) fn serves(&self) -> bool {
        self.arguments.iter().any(|word| word.value.is_known && flyte::ADMIN_COMMANDS.contains(&&*word.value.text))
    }

    /// Whether the words show that this is flyteadmin: `flyteadmin serve`, `flyte start`, or one of these commands with a
    /// configuration in the folder of Flyte's charts.
    pub(crate) fn is_flyteadmins(&self) -> bool {
        let has = |is: &dyn Fn(&str) -> bool| self.arguments.iter().any(|word| is(&word.value.text));
        match self.program {
            "" => !self.is_guessed && self.serves() && has(&|word| word.contains("/etc/flyte/")),
            flyte::FLYTEADMIN => has(&|word| word == flyte::ADMIN_COMMANDS[0]),
            _ => has(&|word| word == flyte::ADMIN_COMMANDS[1]),
        }
    }

    /// Whether this is the binary that holds all of Flyte, including flyteconsole.
    #[cfg(feature = "flyte-console-url")]
    pub(crate) fn holds_console(&self) -> bool {
        self.arguments.iter().any(|word| word.value.text == flyte::ADMIN_COMMANDS[1])
    }

    /// Whether the words are flags, including `--config`, and no command, as for a program without commands.
    pub(crate) fn has_config_and_no_command(&self) -> bool {
        let words = || self.arguments.iter().map(|word| &*word.value.text);
        let is_command = |word: &str| flyte::ADMIN_COMMANDS.contains(&word) || flyte::OTHER_COMMANDS.contains(&word);
        words().next().is_some_and(|word| word.starts_with('-'))
            && words().any(|word| word.starts_with("--config"))
            && !words().any(is_command)
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

/// Returns which of flyteadmin's programs a path leads to, if any.
pub(super) fn program(path: &str) -> Option<&'static str> {
    flyte::ADMIN_PROGRAMS.into_iter().find(|program| *program == base_name(path))
}

pub(super) fn is_flyteadmin(path: &str) -> bool {
    program(path).is_some()
}

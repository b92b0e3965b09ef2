//! The command line that flyteadmin really gets from the programs that start it.
//!
//! The kubelet runs `command` and `args` with `$(VAR)` expanded ([`environment`]). Programs that start others ([`wrappers`]),
//! and a shell with a script ([`script`]), may come before flyteadmin. Their words are read as these programs read them. A
//! notice names each part that is not read, since it may set flags and variables.
//!
//! Source: `ExpandContainerCommandAndArgs` of `pkg/kubelet/container/helpers.go` in
//! [kubernetes/kubernetes](https://github.com/kubernetes/kubernetes) v1.35. Not read: an image's entrypoint, which Flyte's images
//! do not have (`Dockerfile.flyteadmin`), and what other programs in a script do next to a flyteadmin that serves.

mod environment;
mod script;
#[cfg(test)]
mod table;
mod word;
mod wrappers;

use std::borrow::Cow;

pub(crate) use environment::{Environment, Value};
use script::Script;
pub(crate) use word::{At, Run, Word};
use word::{base_name, is_flyteadmin, program};

use crate::{
    flyte,
    text::Text,
    verdict::{Shortened, Unjudged},
    workload::Placed,
};

/// A variable that flyteadmin gets.
pub(crate) struct Variable<'l> {
    pub(crate) at: At,
    pub(crate) name: &'l str,
    pub(crate) value: &'l Value<'l>,
    /// Whether its value comes from `valueFrom`.
    pub(crate) is_from_elsewhere: bool,
    /// Whether it passes through a shell that may drop names with dots: dash and busybox do, bash does not.
    pub(crate) may_be_dropped: bool,
}

/// The command line of a container that runs flyteadmin.
#[derive(Debug)]
pub(crate) struct CommandLine<'a> {
    environment: Environment<'a>,
    /// The start of flyteadmin that counts: the first one that serves, because a server does not end.
    pub(crate) run: Run<'a>,
    /// The places that are not read but may set flags and variables, and why.
    pub(crate) unread: Vec<(At, String)>,
}

/// The most wrappers and shells inside each other.
const MOST_LEVELS: usize = 16;

/// The shells whose scripts are read. Other shells have another syntax.
const SHELLS: [&str; 4] = ["sh", "bash", "dash", "ash"];

impl<'a> CommandLine<'a> {
    /// Reads a container's command, arguments and environment.
    ///
    /// # Errors
    ///
    /// One of them has the wrong type.
    pub(crate) fn from_container(placed: &Placed<'_, 'a>) -> Result<Self, Unjudged> {
        let environment = Environment::from_container(placed)?;
        let command: Vec<Text> = placed.list("command", placed.container.command)?;
        let arguments: Vec<Text> = placed.list("args", placed.container.args)?;
        let has_command = !command.is_empty();
        let words = [("command", command), ("args", arguments)].into_iter().flat_map(|(list, texts)| {
            let texts = texts.into_iter().enumerate();
            texts.map(move |(index, text)| (At { list, index }, text))
        });
        let words: Vec<Word> =
            words.map(|(at, text)| Word { at, value: environment.expand(Cow::from(text)) }).collect();
        let mut reader =
            Reader { environment: &environment, runs: Vec::new(), unread: Vec::new(), others: None, before: None };
        // Flyte's images have a CMD, which arguments replace, and no entrypoint; mirrors of them may have one.
        if has_command || words.first().is_some_and(may_be_program) {
            reader.read_command(words, Run::default(), 0, false);
        } else {
            reader.runs.push(Run { arguments: words, ..Run::default() });
        }
        let Reader { mut runs, mut unread, others, .. } = reader;
        let named = |run: &Run| run.serves() && !run.is_guessed;
        let serving = runs.iter().position(named).or_else(|| runs.iter().position(Run::serves));
        // A script that starts no server itself may start one through another program.
        if serving.is_none() && unread.is_empty() {
            unread.extend(others);
        }
        let serving = serving.unwrap_or(0);
        if let Some(again) = runs.iter().skip(serving + 1).find(|run| named(run)) {
            unread.push((again.at, "this starts flyteadmin a second time".to_owned()));
        }
        let run = if serving < runs.len() { runs.swap_remove(serving) } else { Run::default() };
        Ok(Self { environment, run, unread })
    }

    /// The variables that flyteadmin gets; of those with the same name the first counts.
    pub(crate) fn variables(&self) -> impl Iterator<Item = Variable<'_>> {
        let Run { variables, through_shell, is_cleared, .. } = &self.run;
        let set = variables.iter().enumerate().rev().map(|(index, (name, word))| Variable {
            at: word.at,
            name,
            value: &word.value,
            is_from_elsewhere: false,
            may_be_dropped: through_shell.is_some_and(|before| index < before),
        });
        let own = if *is_cleared { &[][..] } else { &self.environment.variables };
        let own = own.iter().enumerate().rev().map(|(index, variable)| Variable {
            at: At { list: "env", index },
            name: &variable.name,
            value: &variable.value,
            is_from_elsewhere: variable.is_from_elsewhere,
            may_be_dropped: through_shell.is_some(),
        });
        set.chain(own)
    }
}

/// Whether the first word is neither a flag nor a command of flyteadmin.
fn may_be_program(word: &Word) -> bool {
    let Value { text, is_known } = &word.value;
    *is_known
        && !text.starts_with('-')
        && !flyte::ADMIN_COMMANDS.contains(&&**text)
        && !flyte::OTHER_COMMANDS.contains(&&**text)
}

/// Reads the programs of a command line.
struct Reader<'e, 'a> {
    environment: &'e Environment<'a>,
    runs: Vec<Run<'a>>,
    unread: Vec<(At, String)>,
    /// The last unknown program of a script.
    others: Option<(At, String)>,
    /// The same, if it is the previous command.
    before: Option<(At, String)>,
}

impl<'a> Reader<'_, 'a> {
    /// Reads a command: wrappers and shells, then flyteadmin or another program. Other programs count only outside
    /// scripts: a script may start anything next to flyteadmin.
    fn read_command(&mut self, mut words: Vec<Word<'a>>, mut run: Run<'a>, level: usize, is_in_script: bool) {
        for level in level..MOST_LEVELS {
            if words.is_empty() {
                return;
            }
            let Word { at, value } = words.remove(0);
            run.at = at;
            if !value.is_known {
                return self.guess("could not tell which program starts here".to_owned(), words, run);
            }
            let name = base_name(&value.text);
            if let Some(program) = program(name) {
                self.runs.push(Run { arguments: words, program, ..run });
                return;
            }
            if SHELLS.contains(&name) {
                return self.read_shell(name, words, run, level);
            }
            match wrappers::take_off(name, &mut words, &mut run) {
                Some(Ok(())) => {}
                Some(Err(why)) => return self.guess(why, words, run),
                None => {
                    let why = format!("`{}` is an unknown program", Shortened(&value.text));
                    let is_in_place = self.runs.iter().any(|run| run.may_end && run.serves());
                    if is_in_script && (is_harmless(name) || name == "trap" && words.first().is_none_or(ends_alone)) {
                        return;
                    }
                    if is_in_script && matches!(name, "trap" | "enable") {
                        return self.unread.push((at, why));
                    }
                    if is_in_script && !starts_others(name, &words) && !is_in_place {
                        self.others = Some((at, why.clone()));
                        self.before = Some((at, why));
                        return;
                    }
                    return self.guess(why, words, run);
                }
            }
        }
        self.guess(format!("more than {MOST_LEVELS} programs start each other"), words, run);
    }

    /// Guesses flyteadmin's arguments: the words after its name or, if its name is not among them, all words.
    fn guess(&mut self, why: String, mut words: Vec<Word<'a>>, run: Run<'a>) {
        self.unread.push((run.at, why));
        let name = words.iter().position(|word| is_flyteadmin(&word.value.text));
        let program = name.and_then(|index| program(&words[index].value.text)).unwrap_or_default();
        words.drain(..name.map_or(0, |index| index + 1));
        self.runs.push(Run { arguments: words, program, is_guessed: name.is_none(), ..run });
    }

    /// Reads the words after a shell's name.
    fn read_shell(&mut self, name: &str, words: Vec<Word<'a>>, mut run: Run<'a>, level: usize) {
        if name != "bash" {
            run.through_shell = Some(run.variables.len());
        }
        let Some((script, parameters)) = wrappers::find_script(&words).filter(|(script, _)| script.value.is_known)
        else {
            return self.unread.push((run.at, format!("{name} runs a script that could not be read")));
        };
        let had = (self.runs.len(), self.unread.len());
        let mut commands = Script::new(script, parameters, self.environment, &run);
        let mut is_fallback = false;
        loop {
            match commands.next_command() {
                Ok(Some(command)) => {
                    let mut run = run.clone();
                    run.variables.extend(command.variables);
                    run.may_end |= command.is_conditional || command.has_fallback;
                    let (before, known) = (self.before.take(), self.runs.len());
                    self.read_command(command.words, run, level + 1, true);
                    // Then flyteadmin runs only if the previous command fails, which may be another way to start it.
                    if is_fallback && self.runs[known..].iter().any(Run::serves) {
                        self.unread.extend(before);
                    }
                    is_fallback = command.has_fallback;
                }
                Ok(None) => break,
                Err(what) => {
                    return self
                        .unread
                        .push((script.at, format!("this policy cannot read the shell script, which uses {what}")));
                }
            }
        }
        if had == (self.runs.len(), self.unread.len()) {
            self.unread.push((script.at, "the shell script starts a program other than flyteadmin".to_owned()));
        }
    }
}

/// Whether a shell's command starts no program, and only does what its words show.
fn is_harmless(name: &str) -> bool {
    const HARMLESS: &str = ": [ cd declare echo exit export false getopts hash jobs kill let local mapfile printf pwd read readarray \
                            readonly return set shift shopt test times true type typeset ulimit umask unset wait \
                            basename cat chmod chown cp curl cut date dirname getent grep head hostname id ln ls mkdir mktemp mv nc ps \
                            rm rmdir sleep sort stat sync tail tee touch tr uname uniq wc wget whoami";
    HARMLESS.split_whitespace().any(|harmless| harmless == name)
}

/// Whether the action of a trap only ends the shell, or programs that the shell started.
fn ends_alone(word: &Word) -> bool {
    let Value { text, is_known } = &word.value;
    let mut commands = text.split([';', '&', '|', '\n']).filter_map(|command| command.split_whitespace().next());
    *is_known && commands.all(|name| matches!(name, "-") || is_harmless(name) && name != "set")
}

/// Whether the words of an unknown program suggest that it starts flyteadmin.
fn starts_others(name: &str, words: &[Word]) -> bool {
    let is_named = |word: &Word| {
        let text = &*word.value.text;
        text.contains("server.security.") || text.split_whitespace().any(is_flyteadmin)
    };
    let serves = |word: &Word| flyte::ADMIN_COMMANDS.contains(&&*word.value.text);
    matches!(name, "eval" | "." | "source" | "alias") || words.iter().any(|word| is_named(word) || serves(word))
}

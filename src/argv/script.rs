//! Reads the script of a shell, if it is a list of plain commands.
//!
//! It reads quotes, comments, assignments, redirections, parameters and separators of commands, and rejects anything else by
//! name. Tildes stay as they are, and so do globs that cannot expand to flags. Crates that split words as a shell does, such as
//! shlex, remove the quotes and do not know `;`, so their output does not show what the shell would expand.
//!
//! Source: "Shell Command Language" of POSIX.1-2017, and for extensions of it, bash 5.2 and busybox 1.35.

mod builtins;

use std::borrow::Cow;

use super::{
    environment::{Environment, Value},
    word::{At, Run, Word, is_flyteadmin},
};

/// A command of a script: the variables that it assigns or exports, and its words.
pub(super) struct Command<'a> {
    pub(super) variables: Vec<(String, Word<'a>)>,
    pub(super) words: Vec<Word<'a>>,
    /// Whether it runs only if a command before it succeeds, or fails.
    pub(super) is_conditional: bool,
    /// Whether another command runs if it fails.
    pub(super) has_fallback: bool,
}

/// Reads a script command by command.
pub(super) struct Script<'s, 'a> {
    rest: &'s str,
    /// Where the next word is: in the script, or in a parameter of it.
    at: At,
    environment: &'s Environment<'a>,
    /// `$0`, `$1` and so on; `None` if they are not known.
    parameters: Option<&'s [Word<'a>]>,
    /// The assigned values; the last of a name counts.
    variables: Vec<(String, Value<'a>)>,
    exported: Vec<(String, Word<'a>)>,
    /// Whether variables are no longer known.
    forgets: bool,
    /// Whether the command runs only if one before it succeeds, or in a shell of its own.
    is_conditional: bool,
    /// The assignments of the current command.
    assignments: Vec<(String, Word<'a>)>,
    words: Vec<Word<'a>>,
    word: Option<Growing>,
    /// The previous letter, or the first of several that belong together.
    before: char,
    /// Whether the next word is the file of a redirection.
    is_file_next: bool,
}

/// A word that is being read.
#[derive(Default)]
struct Growing {
    at: At,
    text: String,
    is_unknown: bool,
    /// Whether the unknown part may be several words.
    may_split: bool,
    /// The length of its first part that the script has literally, without quotes; `None` if that is the whole word.
    plain: Option<usize>,
}

impl Growing {
    /// Returns the assigned name, where the value begins, and whether it replaces the old value; `None` if the word is
    /// not an assignment.
    fn assignment(&self) -> Option<(&str, usize, bool)> {
        let plain = self.text.get(..self.plain.unwrap_or(self.text.len()))?;
        let (target, _) = plain.split_once('=')?;
        let (name, is_whole) = match target.split_once(['+', '[']) {
            Some((name, _)) => (name, false),
            None => (target, true),
        };
        is_name(name).then_some((name, target.len() + 1, is_whole))
    }
}

impl Growing {
    /// Whether it is a pattern that may match file names, and these may be flags.
    fn may_be_flags(&self) -> bool {
        let plain = self.text.get(..self.plain.unwrap_or(self.text.len())).unwrap_or_default();
        let name = plain.split('=').next().unwrap_or_default();
        let pattern = ['*', '?', '['];
        // `[` alone is a program.
        name.starts_with(pattern) && name != "[" || name.starts_with('-') && name.contains(pattern)
    }
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|first: char| first.is_ascii_digit()) && !text.is_empty() && text.chars().all(is_of_name)
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The variables that the shell sets itself.
const OF_SHELL: &str = "_ BASHOPTS BASHPID COLUMNS DIRSTACK EPOCHSECONDS IFS LINENO LINES OLDPWD OPTARG OPTIND PIPESTATUS PPID PWD \
                        RANDOM REPLY SECONDS SHELLOPTS SHLVL SRANDOM";

/// The words that begin something other than a plain command.
const RESERVED: &str = "if then elif else fi for while until do done case esac select function coproc { } ! [[";

impl<'s, 'a> Script<'s, 'a> {
    pub(super) fn new(
        script: &'s Word<'a>,
        parameters: &'s [Word<'a>],
        environment: &'s Environment<'a>,
        run: &Run<'a>,
    ) -> Self {
        Self {
            rest: &script.value.text,
            at: script.at,
            environment,
            parameters: Some(parameters),
            variables: run.variables.iter().map(|(name, word)| (name.clone(), word.value.clone())).collect(),
            exported: Vec::new(),
            forgets: run.is_cleared,
            is_conditional: false,
            assignments: Vec::new(),
            words: Vec::new(),
            word: None,
            before: '\n',
            is_file_next: false,
        }
    }

    /// The next command with words.
    ///
    /// # Errors
    ///
    /// The part of the script that is not supported. Nothing after it is read either.
    pub(super) fn next_command(&mut self) -> Result<Option<Command<'a>>, String> {
        loop {
            let Some(letter) = self.next() else {
                self.end_word()?;
                return self.end_command("");
            };
            let separator = match letter {
                '\n' => "\n",
                ';' => ";",
                '&' if self.skip('&') => "&&",
                '&' if self.rest.starts_with('>') => {
                    self.end_word()?;
                    continue;
                }
                '&' => "&",
                '|' if self.skip('|') => "||",
                '|' => "|",
                _ => {
                    self.read_letter(letter)?;
                    continue;
                }
            };
            self.end_word()?;
            self.before = letter;
            if let Some(command) = self.end_command(separator)? {
                return Ok(Some(command));
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    fn skip(&mut self, letter: char) -> bool {
        let rest = self.rest.strip_prefix(letter);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes the text before a closing character.
    fn take_until(&mut self, end: char, what: &str) -> Result<&'s str, String> {
        let (inner, behind) = self.rest.split_once(end).ok_or_else(|| format!("{what} that is never closed"))?;
        self.rest = behind;
        Ok(inner)
    }

    /// Reads a letter outside quotes, and the letters that belong to it.
    fn read_letter(&mut self, letter: char) -> Result<(), String> {
        match letter {
            ' ' | '\t' => self.end_word()?,
            '#' if !self.is_within_word() => {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.rest = &self.rest[end..];
                return Ok(());
            }
            // A name or an operator could continue on the next line.
            '\\' if self.skip('\n') => {
                let is_apart = matches!(self.before, ' ' | '\t' | '\n');
                return if is_apart { Ok(()) } else { Err("a word that goes on in the next line".to_owned()) };
            }
            '\\' => {
                let letter = self.next().unwrap_or('\\');
                self.push(letter, false);
            }
            '\'' => {
                let inner = self.take_until('\'', "a quote")?;
                self.quote();
                inner.chars().for_each(|letter| self.push(letter, false));
            }
            '"' => self.read_quoted()?,
            '$' => self.read_parameter(false)?,
            '`' => self.read_substitution('`', false)?,
            '<' | '>' => self.read_redirection(letter)?,
            '(' | ')' | '{' if !(letter == '{' && self.rest.starts_with([' ', '\t', '\n'])) => {
                return Err(format!("`{letter}`"));
            }
            _ => self.push(letter, true),
        }
        self.before = letter;
        Ok(())
    }

    /// Whether the previous letter belongs to the word, even if it adds nothing to it.
    fn is_within_word(&self) -> bool {
        !matches!(self.before, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>')
    }

    fn growing(&mut self) -> &mut Growing {
        let (at, plain) = (self.at, self.is_within_word().then_some(0));
        self.word.get_or_insert_with(|| Growing { at, plain, ..Growing::default() })
    }

    /// Returns the word, and records that the script does not have it literally from here on.
    fn quote(&mut self) -> &mut Growing {
        let word = self.growing();
        let end = word.text.len();
        word.plain.get_or_insert(end);
        word
    }

    /// Adds a letter to the word.
    fn push(&mut self, letter: char, is_plain: bool) {
        let word = if is_plain { self.growing() } else { self.quote() };
        if !word.is_unknown {
            word.text.push(letter);
        }
    }

    /// Reads up to the closing double quote.
    fn read_quoted(&mut self) -> Result<(), String> {
        // Alone in quotes, "$@" is one word for each parameter.
        if self.rest.starts_with("$@\"") || self.rest.starts_with("${@}\"") {
            self.rest = self.rest.split_once('"').map_or("", |(_, behind)| behind);
            return self.push_parameters(true);
        }
        self.quote();
        loop {
            match self.next().ok_or("a quote that is never closed")? {
                '"' => return Ok(()),
                '\\' if self.rest.starts_with('\n') => return Err("a quote with a line that goes on".to_owned()),
                '\\' => {
                    let letter = if self.rest.starts_with(['$', '`', '"', '\\']) { self.next() } else { None };
                    self.push(letter.unwrap_or('\\'), false);
                }
                '$' => self.read_parameter(true)?,
                '`' => self.read_substitution('`', true)?,
                letter => self.push(letter, false),
            }
        }
    }

    /// Skips a command that is replaced by its output.
    fn read_substitution(&mut self, end: char, is_quoted: bool) -> Result<(), String> {
        let inner = self.take_until(end, "a substitution")?;
        if inner.contains(['(', '\'', '"', '\\', '`', '#']) || inner.split_whitespace().any(is_flyteadmin) {
            return Err("a substitution with more than plain words".to_owned());
        }
        self.push_value(&Value::default(), is_quoted)
    }

    /// Reads what follows a `$`.
    fn read_parameter(&mut self, is_quoted: bool) -> Result<(), String> {
        let rest = self.rest;
        let first = rest.chars().next().unwrap_or(' ');
        let name = match first {
            '(' => {
                self.next();
                return self.read_substitution(')', is_quoted);
            }
            '{' => {
                self.next();
                let inner = self.take_until('}', "`${`")?;
                if inner.contains(['\'', '"', '\\', '$', '`', '{', '=']) {
                    return Err("`${` with more than a name in it".to_owned());
                }
                inner
            }
            '@' | '*' | '#' | '?' | '-' | '$' | '!' | '0'..='9' => {
                self.next();
                &rest[..1]
            }
            _ if is_of_name(first) => {
                let end = rest.find(|letter| !is_of_name(letter)).unwrap_or(rest.len());
                self.rest = &rest[end..];
                &rest[..end]
            }
            '[' => return Err("`$[`".to_owned()),
            '\'' | '"' if !is_quoted => return Err(format!("`${first}`")),
            // bash does not split a word that ends with a lone `$`.
            _ if !is_quoted => return Err("a `$` alone".to_owned()),
            _ => {
                self.push('$', false);
                return Ok(());
            }
        };
        match name {
            "@" => self.push_parameters(is_quoted),
            "*" if !is_quoted => self.push_parameters(false),
            _ => {
                let value = self.look_up(name);
                // `"${@:2}"` is several words too.
                self.push_value(&value, is_quoted && !name.contains('@'))
            }
        }
    }

    /// The value of a parameter or a variable.
    fn look_up(&self, name: &str) -> Value<'a> {
        let own = |value: &Value| Value { text: Cow::Owned(value.text.clone().into_owned()), is_known: value.is_known };
        let found = |value: &Value| if self.allows(1 + value.text.len()) { own(value) } else { Value::default() };
        if let Ok(index) = name.parse::<usize>() {
            return match self.parameters.map(|words| words.get(index)) {
                Some(Some(word)) => found(&word.value),
                Some(None) if index > 0 => Value::known(""),
                // `$0` is the shell's name then.
                _ => Value::default(),
            };
        }
        if self.forgets
            || !is_name(name)
            || OF_SHELL.split(' ').any(|set| set == name)
            || !self.allows(self.variables.len())
        {
            return Value::default();
        }
        match self.variables.iter().rev().find(|(assigned, _)| assigned == name) {
            Some((_, value)) => found(value),
            // If the object does not set it, the image may.
            None => self.environment.look_up(name).map_or_else(Value::default, |value| own(&value)),
        }
    }

    fn allows(&self, steps: usize) -> bool {
        self.environment.allows(steps)
    }

    /// Adds the value of a parameter, which outside quotes may become several words.
    fn push_value(&mut self, value: &Value, is_quoted: bool) -> Result<(), String> {
        let is_assigned = self.words.is_empty() && self.word.as_ref().is_some_and(|word| word.assignment().is_some());
        // The name of a file is not split either.
        let splits = !is_quoted && !is_assigned && !self.is_file_next;
        for letter in value.text.chars() {
            if splits && matches!(letter, ' ' | '\t' | '\n') {
                self.end_word()?;
            } else {
                self.push(letter, false);
            }
        }
        if !value.is_known {
            let word = self.quote();
            word.is_unknown = true;
            word.may_split |= splits;
        }
        Ok(())
    }

    /// Adds `$1` and so on, each as a word.
    fn push_parameters(&mut self, is_quoted: bool) -> Result<(), String> {
        let words = self.parameters.map(|words| words.get(1..).unwrap_or_default());
        let Some(words) = words.filter(|words| self.allows(words.iter().map(|word| 1 + word.value.text.len()).sum()))
        else {
            // The number of words is unknown, in quotes or not.
            return self.push_value(&Value::default(), false);
        };
        let script = self.at;
        for (index, word) in words.iter().enumerate() {
            if index > 0 && !self.is_file_next {
                self.end_word()?;
            }
            self.at = word.at;
            if is_quoted {
                self.quote();
            }
            self.push_value(&word.value, is_quoted)?;
        }
        self.at = script;
        Ok(())
    }

    /// Reads a redirection, without its file.
    fn read_redirection(&mut self, letter: char) -> Result<(), String> {
        let is_descriptor =
            |word: &Growing| word.plain.is_none() && word.text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(word) = self.word.take_if(|word| is_descriptor(word))
            && word.text.len() > 1
        {
            // To dash, only the last digit is a descriptor.
            return Err(format!("`{}{letter}`", word.text));
        }
        self.end_word()?;
        if self.rest.starts_with('(') || letter == '<' && self.rest.starts_with('<') {
            return Err(format!("`{letter}{}`", &self.rest[..1]));
        }
        let _ = self.skip('>') || self.skip('&') || self.skip('|');
        self.is_file_next = true;
        Ok(())
    }

    /// Ends the current word, if there is one.
    fn end_word(&mut self) -> Result<(), String> {
        let Some(word) = self.word.take() else { return Ok(()) };
        if std::mem::take(&mut self.is_file_next) {
            return Ok(());
        }
        let is_first = self.words.is_empty();
        if is_first && word.plain.is_none() && RESERVED.split(' ').any(|reserved| reserved == word.text) {
            return Err(format!("`{}`", word.text));
        }
        let assignment = word.assignment().filter(|_| is_first).map(|(name, start, is_whole)| {
            let value = Value { text: word.text[start..].to_owned().into(), is_known: !word.is_unknown };
            (name.to_owned(), Word { at: word.at, value: if is_whole { value } else { Value::default() } })
        });
        if let Some(assignment) = assignment {
            self.assignments.push(assignment);
            return Ok(());
        }
        let may_be_flags = word.may_be_flags();
        let is_more = may_be_flags || word.may_split && !word.text.is_empty();
        // If no file matches, the pattern stays as it is.
        let value = Value { text: word.text.into(), is_known: !word.is_unknown };
        self.words.push(Word { at: word.at, value });
        if is_more {
            self.words.push(Word { at: word.at, value: Value::default() });
        }
        Ok(())
    }
}

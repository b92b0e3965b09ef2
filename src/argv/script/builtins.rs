//! Tracks what a command changes in the shell that runs it: variables, exports and parameters.

use super::{Command, Script, Value, Word, is_name};

/// The builtins that POSIX calls special.
const SPECIAL: &str = ": . break continue eval exec exit export readonly return set shift times trap unset";

impl<'a> Script<'_, 'a> {
    /// Ends a command, and records what it sets.
    pub(super) fn end_command(&mut self, separator: &str) -> Result<Option<Command<'a>>, String> {
        self.is_file_next = false;
        let assignments = std::mem::take(&mut self.assignments);
        let words = std::mem::take(&mut self.words);
        // In a pipe and in the background, a subshell sets them.
        let is_conditional = std::mem::replace(&mut self.is_conditional, matches!(separator, "&&" | "||" | "|"));
        let is_sure = !is_conditional && !matches!(separator, "&" | "|");
        if words.is_empty() {
            for (name, Word { at, value }) in assignments {
                // A variable from the shell's environment stays exported.
                if self.environment.look_up(&name).is_some() {
                    let value = if is_sure { value.clone() } else { Value::default() };
                    self.exported.push((name.clone(), Word { at, value }));
                }
                self.assign(name, value, is_sure);
            }
            return Ok(None);
        }
        // POSIX shells keep assignments before special builtins.
        if words.first().is_some_and(|word| SPECIAL.split(' ').any(|special| special == word.value.text)) {
            for (name, _) in &assignments {
                self.assign(name.clone(), Value::default(), is_sure);
            }
        }
        self.run_builtin(&words, is_sure);
        if !self.allows(1 + self.exported.len() + self.variables.len()) {
            return Err("too many commands".to_owned());
        }
        let mut variables = self.exported.clone();
        variables.extend(assignments);
        Ok(Some(Command { variables, words, is_conditional, has_fallback: separator == "||" }))
    }

    fn assign(&mut self, name: String, value: Value<'a>, is_sure: bool) {
        // A change of IFS changes how words are split.
        self.forgets |= name == "IFS";
        self.variables.push((name, if is_sure { value } else { Value::default() }));
    }

    /// Applies what a command changes in the shell that runs it.
    fn run_builtin(&mut self, words: &[Word<'a>], is_sure: bool) {
        let is_before = |word: &Word| matches!(&*word.value.text, "command" | "builtin" | "time");
        let mut words = words;
        while let [first, rest @ ..] = words
            && is_before(first)
        {
            words = &rest[rest.iter().take_while(|word| word.value.text.starts_with('-')).count()..];
        }
        let Some((name, words)) = words.split_first() else { return };
        let words = words.iter();
        let is_set = match &*name.value.text {
            "export" | "readonly" | "declare" | "typeset" | "local" => true,
            "wait" if !words.clone().any(|word| word.value.text.starts_with('-')) => return,
            "unset" | "read" | "getopts" | "let" | "mapfile" | "readarray" | "printf" | "wait" => false,
            "eval" | "." | "source" | "alias" | "enable" => {
                self.forgets = true;
                self.parameters = None;
                return;
            }
            "shift" => return self.parameters = None,
            "set" => {
                if !are_options(words) {
                    self.parameters = None;
                }
                return;
            }
            _ => return,
        };
        // Whether an assigned value becomes a number or a list, or changes its case.
        let mut changes = false;
        for Word { at, value } in words {
            if let Some(letters) = value.text.strip_prefix(['-', '+']) {
                // `-n` makes a name refer to another variable. For other builtins, a name may be glued to the option.
                self.forgets |= if is_set { letters.contains('n') } else { letters.len() > 1 };
                changes |= is_set && letters.contains(['a', 'A', 'i', 'l', 'u']);
                if is_set {
                    continue;
                }
            }
            let (name, text) =
                value.text.split_once('=').map_or((&*value.text, None), |(name, _)| (name, Some(name.len() + 1)));
            self.forgets |= !value.is_known && text.is_none();
            match text.filter(|_| is_set && is_name(name)) {
                Some(start) => {
                    let value = if changes { Value::default() } else { value.behind(start) };
                    self.assign(name.to_owned(), value.clone(), is_sure);
                    if is_sure {
                        self.exported.push((name.to_owned(), Word { at: *at, value }));
                    }
                }
                None if is_set && text.is_none() && !changes => {}
                // `A+=` and `A[0]=` change `A`.
                None => {
                    let name = name.split(['+', '[']).next().unwrap_or_default();
                    self.assign(name.to_owned(), Value::default(), true);
                }
            }
        }
    }
}

/// Whether the words after `set` are only options, which leave the parameters as they are.
fn are_options<'w, 'a: 'w>(mut words: impl Iterator<Item = &'w Word<'a>>) -> bool {
    while let Some(Word { value, .. }) = words.next() {
        let letters = value.text.strip_prefix(['-', '+']).unwrap_or_default();
        if letters.is_empty() || !value.is_known || !letters.bytes().all(|letter| letter.is_ascii_alphabetic()) {
            return false;
        }
        // `o` is followed by a name.
        if letters.contains('o') && (!letters.ends_with('o') || words.next().is_none()) {
            return false;
        }
    }
    true
}

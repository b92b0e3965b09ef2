//! The configuration file, `flytewarden.yaml`. It contains options of `flytewarden check` by name, and the policies'
//! settings.
//!
//! ```yaml
//! fail-on: medium
//! skip: [flyte-oauth-tls/expires-soon]
//! exclude: [tests]
//! settings:
//!   flyte-non-root: {level: restricted}
//! ```
//!
//! An option on the command line replaces its key. Paths are relative to the file.

use std::{
    env,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, Command, ValueHint, parser::ValueSource};
use flytewarden::settings::nearest;
use flytewarden_formats::text::without_user;
use flytewarden_offline::yaml::{self, Node, Value};

use crate::files::{MOST_OF_SETTINGS, read_file_text};

/// The name of the file.
pub const NAME: &str = "flytewarden.yaml";

/// The key for the settings. Its value is the settings themselves, or the file that contains them.
pub const SETTINGS: &str = "settings";

/// The options that choose an action, and so are not keys of the file. `context` is among them, because a file in a
/// repository must not choose a cluster.
const NO_KEYS: [&str; 8] = ["config", "context", "fix", "help", "list", "version", "write", "write-baseline"];

/// A file of options that cannot be used: the configuration, settings, a baseline or the users of images.
#[derive(Debug)]
pub struct Unusable {
    /// The purpose of the file, e.g. `settings`.
    pub what: &'static str,
    /// Its name in messages.
    pub file: String,
    /// The line, from 1, if it is known.
    pub line: Option<usize>,
    /// The problem.
    pub reason: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: ", self.what, self.file)?;
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for Unusable {}

/// A configuration file.
#[derive(Debug)]
pub struct Config {
    /// Its path.
    pub file: PathBuf,
    options: Vec<Given>,
    settings: Option<Node>,
}

/// An option in the file.
#[derive(Debug)]
struct Given {
    name: String,
    line: usize,
    /// The option as command-line arguments, e.g. `--fail-on=medium`.
    arguments: Vec<OsString>,
}

impl Config {
    /// Reads the file at a path, or else the nearest one in the working directory and those above it. `check` is the
    /// subcommand whose options are the keys of the file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has a key or a value that `check` does not accept.
    pub fn find(path: Option<&Path>, check: &Command) -> Result<Option<Self>, Unusable> {
        let above = || {
            let folder = env::current_dir().ok()?;
            let found = folder.ancestors().map(|folder| folder.join(NAME)).find(|file| file.is_file())?;
            // Messages show the path relative to the working directory.
            Some(found.strip_prefix(&folder).map(Path::to_owned).unwrap_or(found))
        };
        let Some(file) = path.map(Path::to_owned).or_else(above) else { return Ok(None) };
        let unusable = |line: Option<usize>, reason: String| Unusable {
            what: "configuration",
            file: without_user(&file.to_string_lossy()),
            line,
            reason,
        };
        let text = read_file_text(&file, MOST_OF_SETTINGS).map_err(|reason| unusable(None, reason))?;
        let (options, settings) =
            options(&text, &file, check).map_err(|(line, reason)| unusable(Some(line), reason))?;
        Ok(Some(Self { file, options, settings }))
    }

    /// Returns the settings in the file itself.
    pub fn settings(&self) -> Option<&Node> {
        self.settings.as_ref()
    }

    /// Returns the line of an option, from 1.
    pub fn line(&self, name: &str) -> Option<usize> {
        self.options.iter().find(|given| given.name == name).map(|given| given.line)
    }

    /// Returns the line of an option, if the file gives it this value.
    pub fn line_of(&self, option: &str, value: &str) -> Option<usize> {
        let word = OsString::from(format!("--{option}={value}"));
        let given = self.options.iter().find(|given| given.name == option && given.arguments.contains(&word))?;
        Some(given.line)
    }

    /// Returns a command line with the file's options added, except those that it has already. `command` is the whole
    /// command.
    ///
    /// # Errors
    ///
    /// The command line is not valid.
    pub fn added_to(&self, line: &[OsString], command: &Command) -> Result<Vec<OsString>, clap::Error> {
        let matches = command.clone().try_get_matches_from(line)?;
        let Some((name, own)) = matches.subcommand() else { return Ok(line.to_vec()) };
        let Some(subcommand) = command.find_subcommand(name) else { return Ok(line.to_vec()) };
        let is_typed = |argument: &&Arg| own.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine);
        let typed: Vec<&Arg> = subcommand.get_arguments().filter(is_typed).collect();
        let excluded: Vec<&Arg> =
            typed.iter().flat_map(|argument| subcommand.get_arg_conflicts_with(argument)).collect();
        let takes = |given: &&Given| {
            let mut arguments = subcommand.get_arguments();
            let argument = arguments.find(|argument| argument.get_long() == Some(&given.name));
            argument
                .is_some_and(|argument| typed.iter().chain(&excluded).all(|other| other.get_id() != argument.get_id()))
        };
        // Skip the first word: the program's name may equal that of a subcommand.
        let at = line.iter().skip(1).position(|word| word == name).map_or(line.len(), |at| at + 2);
        let mut whole = line.to_vec();
        let added = self.options.iter().filter(takes).flat_map(|given| given.arguments.clone());
        whole.splice(at..at, added.collect::<Vec<_>>());
        Ok(whole)
    }
}

/// Returns the options that a configuration file can have.
pub fn keys(check: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let named = check.get_arguments().filter_map(|argument| Some((argument.get_long()?, argument)));
    named.filter(|(name, _)| !NO_KEYS.contains(name))
}

/// The line of a problem, and its description.
type Wrong = (usize, String);

fn options(text: &str, file: &Path, check: &Command) -> Result<(Vec<Given>, Option<Node>), Wrong> {
    let content = yaml::settings(text).map_err(|malformed| (malformed.line, malformed.reason))?;
    let mut fields = match content.map(|content| (content.line, content.value)) {
        None | Some((_, Value::Null)) => return Ok((Vec::new(), None)),
        Some((_, Value::Map(fields))) => fields,
        Some((line, _)) => return Err((line, "must be a map from options to their values".to_owned())),
    };
    let settings = match fields.get(SETTINGS).map(|settings| &settings.value) {
        Some(Value::String(_)) | None => None,
        Some(_) => fields.shift_remove(SETTINGS),
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut options = Vec::with_capacity(fields.len());
    for (name, node) in &fields {
        let Some((_, argument)) = keys(check).find(|(known, _)| known == name) else {
            let hint =
                nearest(name, keys(check).map(|(known, _)| known)).map(|known| format!("; did you mean {known}?"));
            return Err((node.key_line, format!("unknown key {name}{}", hint.unwrap_or_default())));
        };
        let mut arguments = Vec::new();
        for (line, value) in values(name, argument, node)? {
            let word = match value {
                None => format!("--{name}"),
                Some(value) => format!("--{name}={}", below(folder, argument, value)),
            };
            let tried = check.clone().try_get_matches_from(["check", "-", &word]);
            tried.map_err(|error| (line, format!("{name}: {}", problem(&error))))?;
            arguments.push(OsString::from(word));
        }
        options.push(Given { name: name.clone(), line: node.key_line, arguments });
    }
    Ok((options, settings))
}

/// Returns the command-line values of a key, each with its line. A switch has no value.
fn values(name: &str, argument: &Arg, node: &Node) -> Result<Vec<(usize, Option<String>)>, Wrong> {
    let takes_several = matches!(argument.get_action(), ArgAction::Append);
    let scalar = |node: &Node| match &node.value {
        Value::String(text) => Ok((node.line, Some(text.clone()))),
        Value::Number(number) => Ok((node.line, Some(number.to_string()))),
        _ if takes_several => Err((node.key_line, format!("{name} must be a string or a list of strings"))),
        _ => Err((node.key_line, format!("{name} must be a string"))),
    };
    match (&node.value, argument.get_action()) {
        (Value::Bool(true), ArgAction::SetTrue) => Ok(vec![(node.line, None)]),
        (Value::Bool(false), ArgAction::SetTrue) => Ok(Vec::new()),
        (_, ArgAction::SetTrue) => Err((node.key_line, format!("{name} must be true or false"))),
        (Value::List(items), ArgAction::Append) => items.iter().map(scalar).collect(),
        // FORMAT=FILE
        (Value::Map(fields), ArgAction::Append) if argument.get_value_hint() == ValueHint::Other => {
            let pair = |(key, node): (&String, &Node)| {
                let (line, value) = scalar(node)?;
                Ok((line, value.map(|value| format!("{key}={value}"))))
            };
            fields.iter().map(pair).collect()
        }
        _ => Ok(vec![scalar(node)?]),
    }
}

/// Returns a value. Paths are made relative to the configuration file's folder.
fn below(folder: &Path, argument: &Arg, value: String) -> String {
    let joined = |path: &str| folder.join(path).to_string_lossy().into_owned();
    match argument.get_value_hint() {
        ValueHint::FilePath | ValueHint::AnyPath if !value.contains("://") => joined(&value),
        ValueHint::Other => match value.split_once('=') {
            Some((format, file)) => format!("{format}={}", joined(file)),
            None => value,
        },
        _ => value,
    }
}

/// Returns clap's message without the parts that only apply to a command line.
pub fn problem(error: &clap::Error) -> String {
    let message = error.to_string();
    let lines: Vec<&str> = message.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

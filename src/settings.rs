//! A policy's settings: how they are declared and read, and the errors in them.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{location::Located, verdict::Unjudged};

/// A setting, or a field of one.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key.
    pub name: &'static str,
    /// Its label in a form.
    pub label: &'static str,
    /// The values that it takes.
    pub shape: Shape,
    /// Its default.
    pub default: Unset,
    /// Another setting and a value: a form asks for this setting only when that one has that value.
    pub asked_where: Option<(&'static str, &'static str)>,
    /// Its meaning: one line of Markdown.
    pub meaning: &'static str,
}

/// The values that a setting takes.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Number,
    /// A text.
    Text,
    /// A text of several lines.
    Lines,
    /// A list of texts.
    List,
    /// One of these words. Some settings take more values than a form can offer.
    OneOf(&'static [&'static str]),
    /// A list of maps with these fields.
    Maps(&'static [Setting]),
}

/// The default of a setting.
#[derive(Debug, Clone, Copy)]
pub enum Unset {
    /// None: it has to be set.
    Required,
    /// The one that the setting's meaning describes.
    Said,
    /// This value, in JSON.
    Is(&'static str),
}

/// Why settings are rejected, e.g. ``exceptions[0]: unknown field `image`, did you mean `images`?``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSettings {
    /// The path to the problem; empty for the settings as a whole.
    pub path: String,
    /// The problem.
    pub problem: String,
}

impl From<InvalidSettings> for Unjudged {
    fn from(invalid: InvalidSettings) -> Self {
        Self { path: "settings".to_owned(), reason: invalid.to_string() }
    }
}

impl InvalidSettings {
    /// A problem at a path of the settings; an empty path means the settings as a whole.
    pub fn at(path: &str, problem: impl fmt::Display) -> Self {
        Self::new(path, &problem)
    }

    /// [`Self::at`] without its type parameter, so that a module contains it once and not once for each type.
    #[inline(never)]
    fn new(path: &str, problem: &dyn fmt::Display) -> Self {
        Self { path: path.to_owned(), problem: problem.to_string() }
    }

    /// The same problem, with a path that starts at the map that holds these settings under `name`.
    pub(crate) fn below(self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{name}: {}", self.path) };
        Self { path, ..self }
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.problem)
    }
}

/// Reads settings; without any, returns the defaults.
///
/// `T` must be a strict view: a misspelt key that is silently ignored leaves a rule off.
///
/// # Errors
///
/// A key or value that `T` does not know, with its path and the nearest known one, or a wrong type.
pub fn parse_settings<'a, T: Deserialize<'a> + Default>(settings: Option<&'a RawValue>) -> Result<T, InvalidSettings> {
    let Some(settings) = settings else {
        return Ok(T::default());
    };
    serde_json::from_str(settings.get()).map_err(|error| {
        let Located { path, problem } = Located::from_error(&error, settings.get());
        // Without a path, the problem needs a subject.
        let subject = if path.is_empty() && problem.starts_with("must ") { "the settings " } else { "" };
        InvalidSettings::at(&path, format!("{subject}{}", with_nearest(&problem)))
    })
}

/// Adds the nearest known name to serde's "unknown field `levle`, expected `level` or `groups`".
fn with_nearest(message: &str) -> String {
    if !message.starts_with("unknown ") {
        return message.to_owned();
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next().unwrap_or_default();
    match nearest(unknown, names) {
        // If there is only one name, the message already contains it.
        Some(known) if message.ends_with(&format!("expected `{known}`")) => message.to_owned(),
        Some(known) => format!("{message}; did you mean `{known}`?"),
        None => message.to_owned(),
    }
}

/// The name most like `unknown`, if one is similar enough.
pub fn nearest<'n>(unknown: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let unknown = unknown.to_ascii_lowercase();
    known
        .map(|name| (strsim::osa_distance(&unknown, &name.to_ascii_lowercase()), name))
        .min_by_key(|(distance, _)| *distance)
        // Half the letters may be wrong; beyond that a suggestion is a guess.
        .filter(|(distance, name)| distance * 2 <= name.len().max(unknown.len()))
        .map(|(_, name)| name)
}

//! What flyteadmin's command line and environment say: a flag comes before a variable, and both before the files.
//!
//! Source: `flyteadmin/pkg/config/serverconfig_flags.go` of [flyteorg/flyte](https://github.com/flyteorg/flyte) v1.16.8,
//! [spf13/pflag](https://github.com/spf13/pflag) v1.0.10, and `bindViperConfigsEnvDepth` of
//! `flytestdlib/config/viper/viper.go`.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::{Fault, FaultKind, Item, Place, Said, Security, decode};
use crate::{
    flyte,
    image::Repository,
    text::Text,
    verdict::{Shortened, Unjudged},
    view::view,
    workload::{Placed, Role},
};

view! {
    struct Variable<'a> {
        "name" => name: Text<'a>,
        "value" => value: Text<'a>,
        "valueFrom" => value_from: &'a RawValue,
    }
}

/// What a container says before the files do.
#[derive(Default)]
pub(crate) struct Overrides {
    /// What is not said is not known.
    pub(crate) security: Security,
    pub(crate) faults: Vec<Fault>,
    /// What is worth knowing: the rule, the place, the text.
    pub(crate) remarks: Vec<(&'static str, Place, String)>,
}

/// Whether the container runs flyteadmin's server: by its name in Flyte's charts, or by its image.
pub(crate) fn is_flyteadmin(placed: &Placed) -> bool {
    let has_image =
        || Repository::of(placed.container.image()).is_some_and(|image| flyte::ADMIN_IMAGES.contains(&image.name()));
    placed.role == Role::Regular && (flyte::ADMIN_CONTAINERS.contains(&placed.container.name()) || has_image())
}

/// The rule about what is said in a way that cannot be read from the object.
pub(crate) const NOT_KNOWN: &str = "not-known";

const FLAG: &str = "--server.security.";
const VARIABLE: &str = "SERVER.SECURITY.";

/// An option that has a flag and a variable.
#[derive(Clone, Copy)]
enum Known {
    AllowCors,
    UseAuth,
    AllowedOrigins,
    AllowedHeaders,
    /// A boolean that is not about CORS.
    OtherFlag,
    /// A text that is not about CORS.
    OtherText,
}

/// The options by their names.
const KNOWN: [(&str, Known); 8] = [
    ("allowCors", Known::AllowCors),
    ("useAuth", Known::UseAuth),
    ("allowedOrigins", Known::AllowedOrigins),
    ("allowedHeaders", Known::AllowedHeaders),
    ("secure", Known::OtherFlag),
    ("insecureCookieHeader", Known::OtherFlag),
    ("ssl.certificateFile", Known::OtherText),
    ("ssl.keyFile", Known::OtherText),
];

impl Overrides {
    /// Reads a container's environment, command and arguments.
    ///
    /// # Errors
    ///
    /// One of them has another type than Kubernetes gives it.
    pub(crate) fn read(placed: &Placed) -> Result<Self, Unjudged> {
        let mut overrides = Self::default();
        let flags = overrides.read_command_line(placed)?;
        overrides.read_environment(placed, &flags)?;
        Ok(overrides)
    }

    /// Reads the variables that no flag comes before; of a name that is given twice Kubernetes takes the last.
    fn read_environment(&mut self, placed: &Placed, flags: &BTreeSet<&str>) -> Result<(), Unjudged> {
        let variables: Vec<Variable> = placed.list("env", placed.container.env)?;
        let mut seen = BTreeSet::new();
        for (index, Variable { name, value, value_from, .. }) in variables.iter().enumerate().rev() {
            let name = name.as_deref().unwrap_or_default();
            if !seen.insert(name) {
                continue;
            }
            let place = || place(placed, &format!("env[{index}]"));
            let value = value.as_deref().unwrap_or_default();
            let known = |(option, _): &&(&str, Known)| {
                name.strip_prefix(VARIABLE).is_some_and(|name| name == option.to_ascii_uppercase())
            };
            let Some((option, known)) = KNOWN.iter().find(known) else {
                if matches!(name, "SERVER" | "SERVER.SECURITY") && !(value.is_empty() && value_from.is_none()) {
                    let problem = format!("{name} stands for all options below it, and none of them is read any more");
                    let fault =
                        Fault { place: place(), kind: FaultKind::TwoMeanings, problem, mend: "rename it".into() };
                    self.faults.push(fault);
                } else if let Some(meant) = meant(name) {
                    let text = format!("{} has no effect: flyteadmin reads {meant}", Shortened(name));
                    self.remarks.push(("no-effect", place(), text));
                }
                continue;
            };
            if flags.contains(option) {
                continue;
            }
            if value_from.is_some() {
                let text = format!("{name} is not known here (valueFrom), and comes before the files");
                self.remarks.push((NOT_KNOWN, place(), text));
            } else if value.contains("$(") {
                let text = format!("{name} refers to another variable, and comes before the files");
                self.remarks.push((NOT_KNOWN, place(), text));
            } else if !value.is_empty() {
                // viper takes no empty variable.
                self.say(*known, value, place(), false)?;
            }
        }
        Ok(())
    }

    /// Reads the flags; which options they say.
    fn read_command_line(&mut self, placed: &Placed) -> Result<BTreeSet<&'static str>, Unjudged> {
        let mut said = BTreeSet::new();
        let command: Vec<Text> = placed.list("command", placed.container.command)?;
        let arguments: Vec<Text> = placed.list("args", placed.container.args)?;
        let command = command.iter().enumerate().map(|(index, text)| (format!("command[{index}]"), &**text));
        let arguments = arguments.iter().enumerate().map(|(index, text)| (format!("args[{index}]"), &**text));
        let mut tokens = command.chain(arguments).peekable();
        while let Some((path, token)) = tokens.next() {
            if token == "--" {
                break;
            }
            let place = place(placed, &path);
            // With one dash it is no flag either, and pflag refuses it.
            let start = if token.starts_with("--") { FLAG } else { &FLAG[1..] };
            let is_flag = token.get(..start.len()).is_some_and(|token| token.eq_ignore_ascii_case(start));
            let Some(flag) = token.get(start.len()..).filter(|_| is_flag) else {
                if token.contains("server.security.") {
                    self.remarks.push((
                        NOT_KNOWN,
                        place,
                        "sets server.security in a way that is not read here".to_owned(),
                    ));
                }
                continue;
            };
            let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            let known = KNOWN.iter().find(|(option, _)| *option == name && token.starts_with(FLAG));
            let Some((option, known)) = known else {
                let flag = token.split('=').next().unwrap_or(token);
                let problem = format!("there is no flag {}: flyteadmin does not start", Shortened(flag));
                let known = crate::settings::nearest(name, KNOWN.iter().map(|(option, _)| *option));
                let mend = known.map_or("remove it".to_owned(), |known| format!("write {FLAG}{known}"));
                self.faults.push(Fault { place, kind: FaultKind::NeverStarts, problem, mend: mend.into() });
                continue;
            };
            said.insert(*option);
            let value = match (value, known) {
                (Some(value), _) => value,
                // A boolean flag takes its value after `=` alone.
                (None, Known::AllowCors | Known::UseAuth | Known::OtherFlag) => {
                    if tokens.peek().is_some_and(|(_, next)| decode::parse_bool(next).is_ok()) {
                        let text = format!("{FLAG}{name} is true here: a boolean flag takes a value after `=` alone");
                        self.remarks.push(("no-effect", place.clone(), text));
                    }
                    "true"
                }
                (None, _) => match tokens.next() {
                    Some((_, value)) => value,
                    None => {
                        self.never_starts(place, "the flag has no value", "write one after `=`");
                        break;
                    }
                },
            };
            if value.contains("$(") {
                let text = format!("{FLAG}{name} refers to a variable, and comes before the files");
                self.remarks.push((NOT_KNOWN, place, text));
                self.forget(*known);
            } else {
                self.say(*known, value, place, true)?;
            }
        }
        Ok(said)
    }

    /// Takes back what an earlier flag says, since a later one is not known.
    fn forget(&mut self, known: Known) {
        match known {
            Known::AllowCors => self.security.allow_cors = None,
            Known::UseAuth => self.security.use_auth = None,
            Known::AllowedOrigins => self.security.allowed_origins = None,
            Known::AllowedHeaders => self.security.allowed_headers = None,
            Known::OtherFlag | Known::OtherText => {}
        }
    }

    /// Takes what a flag or a variable says. A flag for a list that is given again adds to it.
    fn say(&mut self, known: Known, text: &str, place: Place, is_flag: bool) -> Result<(), Unjudged> {
        match known {
            Known::AllowCors | Known::UseAuth | Known::OtherFlag => match decode::parse_bool(text) {
                Ok(value) => {
                    let said = Some(Said { value, place: Some(place) });
                    match known {
                        Known::AllowCors => self.security.allow_cors = said,
                        Known::UseAuth => self.security.use_auth = said,
                        _ => {}
                    }
                }
                Err(reason) => self.never_starts(place, &reason, "write true or false"),
            },
            Known::AllowedOrigins | Known::AllowedHeaders => {
                let list = match known {
                    Known::AllowedOrigins => &mut self.security.allowed_origins,
                    _ => &mut self.security.allowed_headers,
                };
                let mut value = list.take().map(|said| said.value).unwrap_or_default();
                if value.len() + text.split(',').count() > decode::MOST_ITEMS {
                    let reason = format!("more than {} items", decode::MOST_ITEMS);
                    return Err(Unjudged { path: place.path, reason });
                }
                if is_flag && text.matches('"').count() % 2 == 1 {
                    self.never_starts(place, "a quote that is never closed", "remove it");
                    return Ok(());
                }
                let Some(texts) = (if is_flag { fields(text) } else { Some(decode::split(text).collect()) }) else {
                    let reason = "a quote that is not around a whole item of the list".to_owned();
                    return Err(Unjudged { path: place.path, reason });
                };
                value.extend(texts.into_iter().map(|text| Item { text: text.to_owned(), place: place.clone() }));
                *list = Some(Said { value, place: Some(place) });
            }
            Known::OtherText => {}
        }
        Ok(())
    }

    fn never_starts(&mut self, place: Place, reason: &str, mend: &'static str) {
        self.faults.push(Fault::never_starts(place, reason, mend));
    }
}

/// The variable that a name was meant to be, where it only has other letters or underscores.
fn meant(name: &str) -> Option<String> {
    let dotted = name.replace('_', ".").to_ascii_uppercase();
    let option = dotted.strip_prefix(VARIABLE)?;
    KNOWN.iter().any(|(known, _)| known.to_ascii_uppercase() == option).then_some(dotted)
}

/// The fields of a line of comma-separated values, as pflag reads them from a flag: each may be in quotes as a whole.
/// `None` where a quote stands elsewhere; no origin and no header has a comma or a quote in it.
fn fields(line: &str) -> Option<Vec<&str>> {
    let field = |field| match str::strip_prefix(field, '"').and_then(|field| field.strip_suffix('"')) {
        Some(inner) => Some(inner),
        None => Some(field),
    };
    let fields: Option<Vec<&str>> =
        line.split(',').map(|text| field(text).filter(|inner| !inner.contains('"'))).collect();
    fields.map(|fields| if fields == [""] { Vec::new() } else { fields })
}

fn place(placed: &Placed, path: &str) -> Place {
    let container = Shortened(placed.container.name()).to_string();
    Place { path: format!("{}.{path}", placed.path()), container, within: None }
}

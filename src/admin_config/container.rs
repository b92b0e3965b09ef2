//! What flyteadmin's command line and environment say: a flag comes before a variable, and both before the files.
//!
//! Source: `flyteadmin/pkg/config/serverconfig_flags.go` of [flyteorg/flyte](https://github.com/flyteorg/flyte) v1.16.8,
//! [spf13/pflag](https://github.com/spf13/pflag) v1.0.10, and `bindViperConfigsEnvDepth` of
//! `flytestdlib/config/viper/viper.go`.

use serde_json::value::RawValue;

use super::{Fault, FaultKind, Item, Place, Said, Security, decode};
use crate::{
    admission, flyte,
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
    /// What is said in a way that cannot be read from the object, and why.
    pub(crate) unknown: Vec<(Place, String)>,
}

/// Whether the container runs flyteadmin's server: by its name in Flyte's charts, or by its image.
pub(crate) fn is_flyteadmin(placed: &Placed) -> bool {
    let image = Repository::of(placed.container.image());
    placed.role == Role::Regular
        && (flyte::ADMIN_CONTAINERS.contains(&placed.container.name())
            || image.is_some_and(|image| flyte::ADMIN_IMAGES.contains(&image.name())))
}

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
        overrides.read_environment(placed)?;
        overrides.read_command_line(placed)?;
        Ok(overrides)
    }

    fn read_environment(&mut self, placed: &Placed) -> Result<(), Unjudged> {
        let variables: Vec<Variable> = list(placed, "env", placed.container.env)?;
        for (index, Variable { name, value, value_from, .. }) in variables.iter().enumerate() {
            let name = name.as_deref().unwrap_or_default();
            let known = |(option, _): &&(&str, Known)| {
                name.strip_prefix(VARIABLE).is_some_and(|name| name == option.to_ascii_uppercase())
            };
            let Some((_, known)) = KNOWN.iter().find(known) else {
                continue;
            };
            let place = place(placed, &format!("env[{index}]"));
            let value = value.as_deref().unwrap_or_default();
            if value_from.is_some() {
                self.unknown.push((place, format!("{name} is not known here (valueFrom), and comes before the files")));
            } else if value.contains("$(") {
                self.unknown.push((place, format!("{name} refers to another variable, and comes before the files")));
            } else if !value.is_empty() {
                // viper takes no empty variable.
                self.say(*known, value, place, false)?;
            }
        }
        Ok(())
    }

    fn read_command_line(&mut self, placed: &Placed) -> Result<(), Unjudged> {
        let command: Vec<Text> = list(placed, "command", placed.container.command)?;
        let arguments: Vec<Text> = list(placed, "args", placed.container.args)?;
        let command = command.iter().enumerate().map(|(index, text)| (format!("command[{index}]"), &**text));
        let arguments = arguments.iter().enumerate().map(|(index, text)| (format!("args[{index}]"), &**text));
        let mut tokens = command.chain(arguments);
        while let Some((path, token)) = tokens.next() {
            if token == "--" {
                break;
            }
            let place = place(placed, &path);
            let is_flag = token.get(..FLAG.len()).is_some_and(|start| start.eq_ignore_ascii_case(FLAG));
            let Some(flag) = token.get(FLAG.len()..).filter(|_| is_flag) else {
                if token.contains("server.security.") {
                    self.unknown.push((place, "sets server.security in a way that is not read here".to_owned()));
                }
                continue;
            };
            let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            let known = KNOWN.iter().find(|(option, _)| *option == name && token.starts_with(FLAG));
            let Some((_, known)) = known else {
                let flag = token.split('=').next().unwrap_or(token);
                let problem = format!("there is no flag {}: flyteadmin does not start", Shortened(flag));
                let known = crate::settings::nearest(name, KNOWN.iter().map(|(option, _)| *option));
                let mend = known.map_or("remove it".to_owned(), |known| format!("write {FLAG}{known}"));
                self.faults.push(Fault { place, kind: FaultKind::NeverStarts, problem, mend: mend.into() });
                continue;
            };
            let value = match (value, known) {
                (Some(value), _) => value,
                // A boolean flag takes its value after `=` alone.
                (None, Known::AllowCors | Known::UseAuth | Known::OtherFlag) => "true",
                (None, _) => match tokens.next() {
                    Some((_, value)) => value,
                    None => {
                        self.never_starts(place, "the flag has no value", "write one after `=`");
                        break;
                    }
                },
            };
            if value.contains("$(") {
                self.unknown.push((place, format!("{FLAG}{name} refers to a variable, and comes before the files")));
            } else {
                self.say(*known, value, place, true)?;
            }
        }
        Ok(())
    }

    /// Takes what a flag or a variable says; flags are read last, and so win.
    fn say(&mut self, known: Known, value: &str, place: Place, is_flag: bool) -> Result<(), Unjudged> {
        match known {
            Known::AllowCors | Known::UseAuth | Known::OtherFlag => match decode::parse_bool(value) {
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
                if value.split(',').nth(decode::MOST_ITEMS).is_some() {
                    let reason = format!("more than {} items", decode::MOST_ITEMS);
                    return Err(Unjudged { path: place.path, reason });
                }
                let Some(texts) = (if is_flag { fields(value) } else { Some(decode::split(value).collect()) }) else {
                    let reason = "a quote that is not around a whole item of the list".to_owned();
                    return Err(Unjudged { path: place.path, reason });
                };
                let items = texts.into_iter().map(|text| Item { text: text.to_owned(), place: place.clone() });
                let list = match known {
                    Known::AllowedOrigins => &mut self.security.allowed_origins,
                    _ => &mut self.security.allowed_headers,
                };
                // A flag that is given again adds to the list.
                let earlier = list.take().filter(|said| is_flag && said.place.as_ref().is_some_and(is_of_flag));
                let value = earlier.map(|said| said.value).unwrap_or_default().into_iter().chain(items).collect();
                *list = Some(Said { value, place: Some(place) });
            }
            Known::OtherText => {}
        }
        Ok(())
    }

    fn never_starts(&mut self, place: Place, reason: &str, mend: &'static str) {
        let problem = format!("{reason}: flyteadmin does not start");
        self.faults.push(Fault { place, kind: FaultKind::NeverStarts, problem, mend: mend.into() });
    }
}

fn is_of_flag(place: &Place) -> bool {
    !place.path.contains(".env[")
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

/// Reads a list of the container's.
fn list<'a, T: serde::Deserialize<'a>>(
    placed: &Placed,
    field: &str,
    list: Option<&'a RawValue>,
) -> Result<Vec<T>, Unjudged> {
    let read = list.map(admission::read::<Option<Vec<T>>>).transpose();
    read.map(|list| list.flatten().unwrap_or_default()).map_err(|Unjudged { path, reason }| {
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        Unjudged { path: format!("{}.{field}{dot}{path}", placed.path()), reason }
    })
}

fn place(placed: &Placed, path: &str) -> Place {
    let container = Shortened(placed.container.name()).to_string();
    Place { path: format!("{}.{path}", placed.path()), container, within: None }
}

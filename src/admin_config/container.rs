//! flyteadmin's command line and environment: a flag overrides a variable, and both override the files.
//!
//! Source: `flyteadmin/pkg/config/serverconfig_flags.go` of [flyteorg/flyte](https://github.com/flyteorg/flyte) v1.16.8,
//! [spf13/pflag](https://github.com/spf13/pflag) v1.0.10, and `bindViperConfigsEnvDepth` of
//! `flytestdlib/config/viper/viper.go`. [`argv`](crate::argv) finds out what reaches flyteadmin.

use std::{collections::BTreeSet, iter::Peekable, slice};

use super::{Fault, FaultKind, Item, Place, Said, Security, decode, mounts, server};
use crate::{
    argv::{At, CommandLine, Value, Variable, Word},
    flyte,
    verdict::{Note, Shortened, Unjudged},
    workload::Placed,
};

/// The options that a container sets itself, which override the files.
#[derive(Default)]
pub(crate) struct Overrides {
    /// An option is `None` if it is not set here, or not known.
    pub(crate) security: Security,
    pub(crate) faults: Vec<Fault>,
    /// Remarks, each with its place.
    pub(crate) remarks: Vec<(Remark, Place, Note)>,
    /// The value of the last `--config`, which is the one that counts, if it is known.
    pub(crate) config: Option<String>,
    pub(crate) tls: OwnTls,
}

/// The options for TLS that flyteadmin serves itself.
#[derive(Debug, Default, Clone)]
pub(crate) struct OwnTls {
    pub(crate) secure: Option<bool>,
    pub(crate) certificate_file: Option<String>,
}

/// The kind of a remark on what a container sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remark {
    /// The object does not show what is set.
    NotKnown,
    /// It looks like an option, but sets nothing.
    NoEffect,
}

/// The words that are not read yet.
type Words<'w, 'a> = Peekable<slice::Iter<'w, Word<'a>>>;

/// The fix if CORS options could not be read.
pub(crate) const ONLY_CONSOLE: &str = "make sure that they allow no origin but flyteconsole's";

/// The fix for a value that is not known.
const WRITE_VALUE: &str = "write the value itself";

/// The fix for an option that may be lost or cannot be read.
const IN_FILE: &str = "set the option in the ConfigMap instead";

const FLAG: &str = "--server.security.";
const VARIABLE: &str = "SERVER.SECURITY.";

/// An option that has a flag and a variable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    AllowCors,
    UseAuth,
    AllowedOrigins,
    AllowedHeaders,
    Secure,
    CertificateFile,
    /// A boolean that does not concern CORS.
    OtherFlag,
    /// A text that does not concern CORS.
    OtherText,
}

/// The options by their names.
const KNOWN: [(&str, Known); 9] = [
    ("allowCors", Known::AllowCors),
    ("useAuth", Known::UseAuth),
    ("allowedOrigins", Known::AllowedOrigins),
    ("allowedHeaders", Known::AllowedHeaders),
    // Until v1.16.7.
    ("auditAccess", Known::OtherFlag),
    ("secure", Known::Secure),
    ("insecureCookieHeader", Known::OtherFlag),
    ("ssl.certificateFile", Known::CertificateFile),
    ("ssl.keyFile", Known::OtherText),
];

impl Overrides {
    /// Reads the options in a container's command line and environment.
    ///
    /// # Errors
    ///
    /// A list of origins or headers in it cannot be read.
    pub(crate) fn from_container(placed: &Placed, line: &CommandLine) -> Result<Self, Unjudged> {
        let mut overrides = Self::default();
        for (at, why) in &line.unread {
            let text = format!(
                "{why}. Flags and variables that are set this way override flyteadmin's files, and were not checked"
            );
            overrides.not_known(place(placed, *at), Note::new(text, ONLY_CONSOLE));
        }
        if placed.container.env_from.is_some_and(|list| !server::is_empty(list)) {
            let container = Shortened(placed.container.name()).to_string();
            let place = Place { path: format!("{}.envFrom", placed.path()), container, within: None };
            let text = "it may set variables, which override flyteadmin's files";
            let mend = format!("make sure that it sets no {VARIABLE}*");
            overrides.not_known(place, Note::new(text, mend));
        }
        let flags = overrides.read_flags(placed, &line.run.arguments)?;
        overrides.read_variables(placed, line, &flags)?;
        Ok(overrides)
    }

    /// Reads the variables that no flag overrides.
    fn read_variables(&mut self, placed: &Placed, line: &CommandLine, flags: &BTreeSet<&str>) -> Result<(), Unjudged> {
        let mut seen = BTreeSet::new();
        for Variable { at, name, value: Value { text, is_known }, is_from_elsewhere, may_be_dropped } in
            line.variables()
        {
            if !seen.insert(name) {
                continue;
            }
            let place = || place(placed, at);
            let known = |(option, _): &&(&str, Known)| {
                name.strip_prefix(VARIABLE).is_some_and(|name| name == option.to_ascii_uppercase())
            };
            let Some((option, known)) = KNOWN.iter().find(known) else {
                if matches!(name, "SERVER" | "SERVER.SECURITY") && !(text.is_empty() && *is_known) {
                    let problem = format!(
                        "the variable {name} replaces the whole section {}, so flyteadmin ignores all other options in that section",
                        name.to_ascii_lowercase()
                    );
                    let fault = Fault {
                        place: place(),
                        kind: FaultKind::TwoMeanings,
                        problem,
                        mend: "give the variable another name".into(),
                    };
                    self.faults.push(fault);
                } else if let Some(meant) = meant(name) {
                    let text = format!("{} has no effect, because flyteadmin does not read it", Shortened(name));
                    let note =
                        Note::new(text, format!("remove it. If flyteadmin should read it, rename it to {meant}"));
                    self.remarks.push((Remark::NoEffect, place(), note));
                }
                continue;
            };
            if flags.contains(option) {
                continue;
            }
            if may_be_dropped && !(text.is_empty() && *is_known) {
                let text = format!(
                    "{name} may be lost: many shells, such as dash and busybox, drop variables with dots in their names"
                );
                self.not_known(place(), Note::new(text, IN_FILE));
            }
            if is_from_elsewhere {
                let text = format!("{name} overrides flyteadmin's files, and its value in valueFrom was not checked");
                self.not_known(place(), Note::new(text, WRITE_VALUE));
            } else if !is_known {
                let text =
                    format!("{name} overrides flyteadmin's files, and the variable that it refers to is not known");
                self.not_known(place(), Note::new(text, WRITE_VALUE));
            } else if !text.is_empty() {
                // viper ignores an empty variable.
                self.say(*known, text, place(), false)?;
            }
        }
        Ok(())
    }

    /// Reads the flags, and returns the options that they set.
    fn read_flags(&mut self, placed: &Placed, words: &[Word]) -> Result<BTreeSet<&'static str>, Unjudged> {
        let mut said = BTreeSet::new();
        let mut words = words.iter().peekable();
        // Whether the previous word is an unknown flag, which may take the next one as its value.
        let mut is_open = false;
        // Whether a `--` came before, which may be the value of such a flag.
        let mut may_be_behind = false;
        while let Some(Word { at, value: Value { text: token, is_known } }) = words.next() {
            let may_be_value = is_open;
            if token == "--" && *is_known {
                if !may_be_value {
                    break;
                }
                is_open = false;
                may_be_behind = true;
                continue;
            }
            let config = token.strip_prefix("--config").filter(|_| *is_known);
            if let Some(rest) = config.filter(|rest| rest.is_empty() || rest.starts_with('=')) {
                is_open = may_be_value && rest.is_empty();
                self.read_config(placed, *at, rest, is_open, &mut words);
                continue;
            }
            is_open = token.starts_with("--") && !token.contains('=') && !token.to_ascii_lowercase().starts_with(FLAG);
            let place = place(placed, *at);
            // With a single dash this is not a flag either: pflag rejects it.
            let start = if token.starts_with("--") { FLAG } else { &FLAG[1..] };
            let is_flag = token.get(..start.len()).is_some_and(|token| token.eq_ignore_ascii_case(start));
            let flag = token.get(start.len()..).filter(|_| is_flag);
            // If the word has a `=`, the name before it is complete, even if the value is unknown.
            let Some(flag) = flag.filter(|flag| *is_known || flag.contains('=')) else {
                if !is_known && (is_flag || FLAG.starts_with(&**token)) {
                    let text = "this may set a flag, which overrides flyteadmin's files";
                    self.not_known(place, Note::new(text, "write the flag without variables"));
                } else if token.contains("server.security.") {
                    let text = "this sets server.security in a way that could not be read";
                    self.not_known(place, Note::new(text, IN_FILE));
                }
                continue;
            };
            let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            let known = KNOWN.iter().find(|(option, _)| *option == name && token.starts_with(FLAG));
            let Some((option, known)) = known else {
                self.faults.push(no_such_flag(place, token, name));
                continue;
            };
            said.insert(*option);
            let Some((value, is_known)) =
                value.map(|value| (value, *is_known)).or_else(|| self.value_behind(*known, name, &place, &mut words))
            else {
                break;
            };
            if may_be_value || may_be_behind {
                let note = if may_be_value {
                    Note::new(
                        "flyteadmin may read this as the value of the flag before it",
                        "write the value of that flag after `=`",
                    )
                } else {
                    Note::new(
                        "flyteadmin may read this as an argument, because a `--` may come before it",
                        "write the flag before `--`",
                    )
                };
                self.not_known(place.clone(), note);
                // A flag that may have no effect must not hide a problem.
                if matches!(known, Known::AllowCors) && is_known && decode::parse_bool(value) == Ok(false) {
                    continue;
                }
            }
            if is_known {
                self.say(*known, value, place, true)?;
            } else {
                let text = format!(
                    "{FLAG}{name} overrides flyteadmin's files, and the variable that it refers to is not known"
                );
                self.not_known(place, Note::new(text, WRITE_VALUE));
                self.forget(*known);
            }
        }
        Ok(said)
    }

    /// Reads `--config`, which takes any word after it as its value. If the `--config` may itself be a value, the next
    /// word may be a flag.
    fn read_config(&mut self, placed: &Placed, at: At, rest: &str, may_be_value: bool, words: &mut Words) {
        let behind = if may_be_value { words.peek().copied() } else { None };
        let (at, file) = match (rest.strip_prefix('='), behind) {
            (Some(file), _) => (at, &Value::known(file)),
            (None, Some(word)) => (word.at, &word.value),
            (None, None) => match words.next() {
                Some(word) => (word.at, &word.value),
                None => return,
            },
        };
        if file.is_known && !file.text.is_empty() {
            self.config = Some(file.text.to_string());
        }
        if !is_read_here(file, placed) {
            self.not_known(place(placed, at), reads_another(file));
        }
    }

    /// The value of a flag without a `=`, and whether it is known; `None` if flyteadmin does not start.
    fn value_behind<'w>(
        &mut self,
        known: Known,
        name: &str,
        place: &Place,
        words: &mut Words<'w, '_>,
    ) -> Option<(&'w str, bool)> {
        // A boolean flag takes a value only after `=`.
        if matches!(known, Known::AllowCors | Known::UseAuth | Known::Secure | Known::OtherFlag) {
            let is_boolean = |next: &&Word| next.value.is_known && decode::parse_bool(&next.value.text).is_ok();
            if words.peek().is_some_and(is_boolean) {
                let text = format!("{FLAG}{name} is true here: a boolean flag takes a value only after `=`");
                let note = Note::new(text, format!("write {FLAG}{name}=true, or {FLAG}{name}=false if that is meant"));
                self.remarks.push((Remark::NoEffect, place.clone(), note));
            }
            return Some(("true", true));
        }
        let Some(Word { value, .. }) = words.next() else {
            self.never_starts(place.clone(), "the flag has no value", "write a value after `=`");
            return None;
        };
        Some((&*value.text, value.is_known))
    }

    /// Drops the value of an earlier flag, because that of a later one is not known.
    fn forget(&mut self, known: Known) {
        match known {
            Known::AllowCors => self.security.allow_cors = None,
            Known::UseAuth => self.security.use_auth = None,
            Known::AllowedOrigins => self.security.allowed_origins = None,
            Known::AllowedHeaders => self.security.allowed_headers = None,
            Known::Secure => self.tls.secure = None,
            Known::CertificateFile => self.tls.certificate_file = None,
            Known::OtherFlag | Known::OtherText => {}
        }
    }

    /// Applies a flag or a variable. A list flag that is given again adds to the list.
    fn say(&mut self, known: Known, text: &str, place: Place, is_flag: bool) -> Result<(), Unjudged> {
        match known {
            Known::AllowCors | Known::UseAuth | Known::Secure | Known::OtherFlag => match decode::parse_bool(text) {
                Ok(value) => {
                    if known == Known::Secure {
                        self.tls.secure = Some(value);
                    }
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
                    let reason = format!("this policy cannot read more than {} items", decode::MOST_ITEMS);
                    return Err(Unjudged { path: place.path, reason });
                }
                if is_flag && text.matches('"').count() % 2 == 1 {
                    self.never_starts(place, "a quote is never closed", "close or remove the quote");
                    return Ok(());
                }
                let Some(texts) = (if is_flag { fields(text) } else { Some(decode::split(text).collect()) }) else {
                    let reason = "this policy cannot read a list item that is only partly in quotes".to_owned();
                    return Err(Unjudged { path: place.path, reason });
                };
                value.extend(texts.into_iter().map(|text| Item { text: text.to_owned(), place: place.clone() }));
                *list = Some(Said { value, place: Some(place) });
            }
            Known::CertificateFile => self.tls.certificate_file = Some(text.to_owned()),
            Known::OtherText => {}
        }
        Ok(())
    }

    fn not_known(&mut self, place: Place, note: Note) {
        self.remarks.push((Remark::NotKnown, place, note));
    }

    fn never_starts(&mut self, place: Place, reason: &str, mend: &'static str) {
        self.faults.push(Fault::never_starts(place, reason, mend));
    }
}

/// Whether the file that `--config` names is among those that are read here.
fn is_read_here(Value { text, is_known }: &Value, placed: &Placed) -> bool {
    *is_known && (text.is_empty() || flyte::ADMIN_CONFIG_FILES.contains(&&**text) || mounts::brings(placed, text))
}

/// The remark on a `--config` file that is not read here.
fn reads_another(Value { text, is_known }: &Value) -> Note {
    let shown = Shortened(text);
    if *is_known && text.starts_with('-') {
        let text = format!(
            "--config has no value of its own, so flyteadmin takes the next argument, `{shown}`, as the path of its files"
        );
        return Note::new(text, "write the path of the files after `=`, e.g. --config=/etc/flyte/config/*.yaml");
    }
    let why = match is_known {
        true => format!("--config names `{shown}`, but this container mounts no volume there"),
        false => "could not tell which file --config names".to_owned(),
    };
    let mend = "make sure that its CORS options allow no origin but flyteconsole's";
    Note::new(format!("{why}, so the policy could not read that file"), mend)
}

/// Returns the fault for a flag that does not exist. It suggests the flag with the nearest name.
fn no_such_flag(place: Place, token: &str, name: &str) -> Fault {
    let flag = token.split('=').next().unwrap_or(token);
    let problem = format!("flyteadmin has no flag {} and does not start", Shortened(flag));
    let known = crate::settings::nearest(name, KNOWN.iter().map(|(option, _)| *option));
    let mend = known.map_or("remove it".to_owned(), |known| format!("write {FLAG}{known}"));
    Fault { place, kind: FaultKind::NeverStarts, problem, mend: mend.into() }
}

/// Returns the variable that a name was meant to be, if the name is wrong only in its case or its underscores.
fn meant(name: &str) -> Option<String> {
    let dotted = name.replace('_', ".").to_ascii_uppercase();
    let option = dotted.strip_prefix(VARIABLE)?;
    KNOWN.iter().any(|(known, _)| known.to_ascii_uppercase() == option).then_some(dotted)
}

/// Splits the value of a comma-separated flag as pflag does. A field may be quoted as a whole. `None` if a quote is
/// elsewhere: no origin and no header contains a comma or a quote.
fn fields(line: &str) -> Option<Vec<&str>> {
    let field = |field| match str::strip_prefix(field, '"').and_then(|field| field.strip_suffix('"')) {
        Some(inner) => Some(inner),
        None => Some(field),
    };
    let fields: Option<Vec<&str>> =
        line.split(',').map(|text| field(text).filter(|inner| !inner.contains('"'))).collect();
    fields.map(|fields| if fields == [""] { Vec::new() } else { fields })
}

fn place(placed: &Placed, at: At) -> Place {
    let container = Shortened(placed.container.name()).to_string();
    Place { path: format!("{}.{at}", placed.path()), container, within: None }
}

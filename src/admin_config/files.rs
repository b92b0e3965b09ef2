//! Reads the value of an option from flyteadmin's files.
//!
//! flyteadmin merges files in the order of their names. It merges maps deeply; of other values, the last one counts.
//! This module does not merge: it looks an option up in all files at once. If a file has `<<`, it looks the option up
//! twice: as yaml.v3 reads the file, and as yaml.v2 does, which flyteadmin uses up to v1.16.5.

use std::{mem, rc::Rc};

use super::{
    DEFAULT_ALLOW_CORS, DEFAULT_ALLOWED_HEADERS, DEFAULT_ALLOWED_ORIGINS, DEFAULT_USE_AUTH, Fault, FaultKind, Item,
    Place, Said, Security,
    decode::{self, Listed, NoList},
};
use crate::{
    verdict::{Shortened, Unjudged, Within},
    yaml::{Document, Found, Merging, Node, Unreadable, Value},
};

/// A file of flyteadmin's configuration.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct File<'f> {
    /// Where it is in its object, e.g. `data["server.yaml"]`.
    pub(crate) path: String,
    pub(crate) text: std::borrow::Cow<'f, [u8]>,
}

/// flyteadmin's files, read together.
pub(crate) struct Config {
    /// The path of each file, and its map.
    files: Vec<(String, Rc<Node>)>,
    /// The paths of keys with dots, in lower case.
    dotted: Vec<String>,
    /// The problems in the files.
    pub(crate) faults: Vec<Fault>,
    /// How maps are merged.
    merging: Merging,
    /// The faults for keys that `<<` replaces, among the keys that were looked up.
    replaced: Vec<Fault>,
}

/// A value in one of the files.
#[derive(Debug, Clone)]
pub(super) struct At {
    pub(super) file: usize,
    pub(super) node: Rc<Node>,
}

/// The value of a key in all files.
#[derive(Debug)]
pub(super) enum Merged {
    Nothing,
    /// The value in one file.
    Leaf(At),
    /// Maps, which are merged.
    Maps(Vec<At>),
}

/// Boolean options that do not concern CORS. flyteadmin does not start if one is not a boolean.
const OTHER_BOOLEANS: [&str; 2] = ["secure", "insecureCookieHeader"];

/// The path of the section that has the CORS options.
const SECTION: [&str; 2] = ["server", "security"];
/// The top-level keys that are read. flyteadmin ignores the third, which Flyte's "Security Overview" seems to use. The
/// last is for Flyte 2.
const WANTED: [&str; 4] = [SECTION[0], "auth", SECTION[1], "runs"];

impl Config {
    /// Reads files, which are given in the order of their names.
    ///
    /// # Errors
    ///
    /// A file has something that is not supported here.
    pub(crate) fn merge(files: &[File]) -> Result<Self, Unjudged> {
        let mut config = Self {
            files: Vec::new(),
            dotted: Vec::new(),
            faults: Vec::new(),
            merging: Merging::OwnFirst,
            replaced: Vec::new(),
        };
        let is_wanted = |key: &str| WANTED.iter().any(|wanted| key.eq_ignore_ascii_case(wanted));
        let wanted = |key: &str| key.split('.').next().is_some_and(is_wanted);
        for File { path, text } in files {
            match Document::parse(text, wanted) {
                Ok(Document { root }) => config.files.extend(root.map(|root| (path.clone(), root))),
                Err(Unreadable::Beyond { line, reason }) => {
                    return Err(Unjudged {
                        path: path.clone(),
                        reason: format!("line {line}: this policy cannot read {reason}"),
                    });
                }
                Err(Unreadable::Twice { line, key, first }) => {
                    let problem = format!(
                        "the key `{}` is given twice, first on line {first}: flyteadmin does not start (up to \
                         v1.16.5, it uses the last)",
                        Shortened(&key)
                    );
                    config.fault(path, line, "", FaultKind::NeverStarts, problem, "remove one of them");
                }
                Err(Unreadable::Broken { line, reason }) => {
                    let problem =
                        format!("{}. flyteadmin cannot read this file and does not start", Shortened(&reason));
                    let is_template = text.windows(2).any(|two| two == b"{{");
                    let mend = if is_template {
                        "this looks like a Helm template: render it first"
                    } else {
                        "fix the YAML on or before that line"
                    };
                    // If a text ends too early, its last line is wrong, not the one after it.
                    let lines = text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n').count();
                    config.fault(path, line.min(lines), "", FaultKind::NeverStarts, problem, mend);
                }
            }
        }
        Ok(config)
    }

    /// The options of `server.security`. Adds what is wrong with them to `faults`.
    ///
    /// # Errors
    ///
    /// A list has more items than are read here.
    pub(crate) fn security(&mut self) -> Result<Security, Unjudged> {
        if !self.faults.is_empty() {
            return Ok(Security::default());
        }
        let security = self.read_security()?;
        if self.faults.is_empty() {
            let (earlier, starts, replaced) = self.read_as_yaml_v2(Self::read_security);
            if !replaced.is_empty() {
                let differences = security.differences(&earlier?);
                let matters = |Fault { place, .. }: &Fault| {
                    let path = place.within.as_ref().map_or("", |within| &within.path);
                    !starts || differences.iter().any(|(option, differs)| *differs && option.starts_with(path))
                };
                self.faults.extend(replaced.into_iter().filter(matters));
            }
        }
        Ok(security)
    }

    /// Reads something again as yaml.v2 does. Returns the result, whether flyteadmin starts with it, and the keys of maps that
    /// `<<` replaces.
    pub(super) fn read_as_yaml_v2<T>(&mut self, read: fn(&mut Self) -> T) -> (T, bool, Vec<Fault>) {
        self.merging = Merging::LastFirst;
        let read = read(self);
        self.merging = Merging::OwnFirst;
        (read, mem::take(&mut self.faults).is_empty(), mem::take(&mut self.replaced))
    }

    fn read_security(&mut self) -> Result<Security, Unjudged> {
        self.find_dotted_keys();
        let server = self.merged(&self.roots(), SECTION[0], "server");
        let Some(server) = self.maps(server, SECTION[0]) else {
            return Ok(Security::default());
        };
        let security = self.merged(&server, SECTION[1], "server.security");
        let Some(security) = self.maps(security, "server.security") else {
            return Ok(Security::default());
        };
        for name in OTHER_BOOLEANS {
            self.boolean(&security, name, false);
        }
        Ok(Security {
            allow_cors: self.boolean(&security, "allowCors", DEFAULT_ALLOW_CORS),
            allowed_origins: self.texts(&security, "allowedOrigins", &DEFAULT_ALLOWED_ORIGINS)?,
            allowed_headers: self.texts(&security, "allowedHeaders", &DEFAULT_ALLOWED_HEADERS)?,
            use_auth: self.boolean(&security, "useAuth", DEFAULT_USE_AUTH),
        })
    }

    pub(super) fn roots(&self) -> Vec<At> {
        self.files.iter().enumerate().map(|(file, (_, node))| At { file, node: Rc::clone(node) }).collect()
    }

    fn boolean(&mut self, security: &[At], name: &str, default: bool) -> Option<Said<bool>> {
        if self.is_wiped(name) {
            return Some(Said::default());
        }
        let Some(at) = self.leaf(security, name) else {
            return Some(Said { value: default, place: None });
        };
        let path = format!("server.security.{name}");
        if self.has_two_meanings(&at, &path, false) {
            return None;
        }
        match decode::boolean(&at.node) {
            Ok(None) => Some(Said { value: default, place: None }),
            Ok(Some(value)) => Some(Said { value, place: Some(self.place(at.file, at.node.line, &path)) }),
            Err(reason) => self.never_starts(&at, &path, &reason, "write true or false"),
        }
    }

    fn texts(&mut self, security: &[At], name: &str, default: &[&str]) -> Result<Option<Said<Vec<Item>>>, Unjudged> {
        if self.is_wiped(name) {
            return Ok(Some(Said::default()));
        }
        let path = format!("server.security.{name}");
        let default = || {
            let item = |text: &&str| Item { text: (*text).to_owned(), place: Place::default() };
            Ok(Some(Said { value: default.iter().map(item).collect(), place: None }))
        };
        let Some(at) = self.leaf(security, name) else {
            return default();
        };
        let texts = match decode::texts(&at.node) {
            Ok(Some(texts)) => texts,
            Ok(None) => return default(),
            Err(NoList::NeverStarts(reason)) => {
                return Ok(self.never_starts(&at, &path, &reason, "write a list of strings"));
            }
            Err(NoList::TooLong) => {
                let reason = format!(
                    "line {}, {path}: this policy cannot read more than {} items",
                    at.node.line,
                    decode::MOST_ITEMS
                );
                return Err(Unjudged { path: self.files[at.file].0.clone(), reason });
            }
        };
        let faults = self.faults.len();
        match &at.node.value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let at = At { file: at.file, node: Rc::clone(item) };
                    self.has_two_meanings(&at, &format!("{path}[{index}]"), true);
                }
            }
            _ => {
                self.has_two_meanings(&at, &path, true);
            }
        }
        if self.faults.len() > faults {
            return Ok(None);
        }
        let item = |Listed { text, line, index }: Listed| {
            let path = index.map_or_else(|| path.clone(), |index| format!("{path}[{index}]"));
            Item { text, place: self.place(at.file, line, &path) }
        };
        let value = texts.into_iter().map(item).collect();
        Ok(Some(Said { value, place: Some(self.place(at.file, at.node.line, &path)) }))
    }

    /// Returns the value of an option, as `restoreCaseSensitiveArrayKeys` of `viper.go` leaves it. If the last file
    /// that sets the option sets a list, viper goes through the files in their order, and takes each file's value until
    /// a value is not a list. So an earlier text wins over a later list.
    fn leaf(&mut self, security: &[At], name: &str) -> Option<At> {
        let merged = match self.merged(security, name, &format!("server.security.{name}")) {
            Merged::Nothing => return None,
            Merged::Leaf(at) => at,
            Merged::Maps(maps) => maps.into_iter().next()?,
        };
        let mut restored = merged.clone();
        for at in security {
            if !matches!(restored.node.value, Value::List(_)) {
                break;
            }
            if let Some(value) = self.value(&at.node, name).filter(|value| !is_null(value)) {
                restored = At { file: at.file, node: Rc::clone(value) };
            }
        }
        if !Rc::ptr_eq(&restored.node, &merged.node) {
            let path = format!("server.security.{name}");
            let problem = format!(
                "this is not a list: flyteadmin v1.16.6 and later use it and ignore the list in {}. Up to v1.16.5 that list \
                 counts",
                self.files[merged.file].0
            );
            let At { file, node } = &restored;
            self.fault_at(
                *file,
                node.line,
                &path,
                FaultKind::TwoMeanings,
                problem,
                "write the option in one file only",
            );
        }
        Some(restored)
    }

    /// Returns the value of a key in the given maps. `path` is the key's path.
    pub(super) fn merged(&mut self, maps: &[At], key: &str, path: &str) -> Merged {
        let mut merged = Merged::Nothing;
        for at in maps {
            let is_key = |name: &str| name.eq_ignore_ascii_case(key);
            let entries = at.node.entries(self.merging, &is_key);
            let Some(Found { entry, replaces }) = entries.first() else {
                continue;
            };
            if let (Some(line), Some(own)) = (replaces, at.node.entries(Merging::OwnFirst, &is_key).first()) {
                let problem = format!(
                    "`{}` has two values in this map: one on line {}, and one from this `<<`. flyteadmin up to v1.16.5 uses the one \
                     from `<<`. Later releases use the other",
                    entry.key, own.entry.line
                );
                let mend = "put `<<` before all other keys of its map, or remove one of the values";
                let fault = Fault {
                    place: self.place(at.file, *line, path),
                    kind: FaultKind::TwoMeanings,
                    problem,
                    mend: mend.into(),
                };
                self.replaced.push(fault);
            }
            if let Some(Found { entry: second, .. }) = entries.get(1) {
                // They are one key to viper; if both have capitals, chance decides which one counts.
                let problem = format!(
                    "`{}` and `{}` are the same key to flyteadmin, and only one of them counts",
                    entry.key, second.key
                );
                self.fault_at(at.file, second.line, path, FaultKind::TwoMeanings, problem, "remove one of them");
            }
            let at = At { file: at.file, node: Rc::clone(&entry.value) };
            let is_map = matches!(at.node.value, Value::Map(_));
            match &mut merged {
                Merged::Maps(maps) if is_map => maps.push(at),
                // viper keeps a map even if a later file has another value.
                Merged::Maps(_) => {}
                _ if is_map => merged = Merged::Maps(vec![at]),
                _ => merged = Merged::Leaf(at),
            }
        }
        merged
    }

    /// The maps of a section, empty if it is not set; `None` if flyteadmin does not start with it.
    pub(super) fn maps(&mut self, merged: Merged, path: &str) -> Option<Vec<At>> {
        match merged {
            Merged::Nothing => Some(Vec::new()),
            Merged::Maps(maps) => Some(maps),
            Merged::Leaf(at) if is_null(&at.node) => Some(Vec::new()),
            Merged::Leaf(at) => {
                let kind = if matches!(at.node.value, Value::List(_)) { "a list" } else { "a text" };
                let reason = format!("this is {kind}, but must be a map");
                self.never_starts::<()>(&at, path, &reason, "write a map");
                None
            }
        }
    }

    fn never_starts<T>(&mut self, at: &At, path: &str, reason: &str, mend: &'static str) -> Option<T> {
        let place = self.place(at.file, at.node.line, path);
        self.faults.push(Fault::never_starts(place, reason, mend));
        None
    }

    /// Whether a value is a boolean only in YAML 1.1, or a text only to yaml.v2. Adds a fault if so.
    fn has_two_meanings(&mut self, at: &At, path: &str, is_text: bool) -> bool {
        let Value::Scalar(scalar) = &at.node.value else {
            return false;
        };
        let text = Shortened(&scalar.text);
        let (problem, mend) = if let Some(value) = scalar.bool_of_yaml_1_1() {
            let problem = format!(
                "flyteadmin up to v1.16.5 reads `{text}` as {value} (YAML 1.1). Later releases read it as the string \"{text}\""
            );
            let mend = match (is_text, value) {
                (true, _) => "put it in quotes",
                (false, true) => "write true",
                (false, false) => "write false",
            };
            (problem, mend)
        } else if scalar.is_text_to_yaml_v2() {
            let problem =
                format!("flyteadmin up to v1.16.5 reads `! {text}` as a string. Later releases read it as `{text}`");
            (problem, if is_text { "put it in quotes" } else { "remove the `!`" })
        } else {
            return false;
        };
        self.fault_at(at.file, at.node.line, path, FaultKind::TwoMeanings, problem, mend);
        true
    }

    /// The places of CORS options below a top-level `security`, which flyteadmin does not read.
    pub(crate) fn misplaced(&self) -> Vec<Place> {
        let is_of_cors = |key: &str| {
            ["allowCors", "allowedOrigins", "allowedHeaders"].iter().any(|own| key.eq_ignore_ascii_case(own))
        };
        let of_file = |(file, (_, root)): (usize, &(String, Rc<Node>))| {
            let entries = root.entries(self.merging, &|key| key.eq_ignore_ascii_case(SECTION[1]));
            let entry = entries.first().map(|found| found.entry)?;
            let is_one = !entry.value.entries(self.merging, &is_of_cors).is_empty();
            is_one.then(|| self.place(file, entry.line, &entry.key))
        };
        self.files.iter().enumerate().filter_map(of_file).collect()
    }

    /// The places of a section in the files.
    #[cfg(feature = "flyte2-exposure")]
    pub(crate) fn sections<'c>(&'c self, section: &'c str) -> impl Iterator<Item = Place> + 'c {
        let of_file = move |(file, (_, root)): (usize, &(String, Rc<Node>))| {
            let entries = root.entries(self.merging, &|key| key.eq_ignore_ascii_case(section));
            let line = entries.first().map(|found| found.entry.line)?;
            Some(self.place(file, line, section))
        };
        self.files.iter().enumerate().filter_map(of_file)
    }

    /// Finds keys with dots that lead to `server.security` or into it, such as `server.security.allowCors`, and adds a
    /// fault for each.
    fn find_dotted_keys(&mut self) {
        for (file, (_, root)) in self.files.clone().into_iter().enumerate() {
            let mut map = Some(root);
            for level in 0..=SECTION.len() {
                let Some(node) = map.take() else { break };
                let is_dotted = |key: &str| {
                    let path = SECTION[..level].iter().copied().chain(key.split('.'));
                    key.contains('.') && path.zip(SECTION).all(|(one, other)| one.eq_ignore_ascii_case(other))
                };
                for Found { entry, .. } in node.entries(self.merging, &is_dotted) {
                    let key = &entry.key;
                    let path = [&SECTION[..level], &[&**key]].concat().join(".");
                    let effect = match path.to_ascii_lowercase().strip_prefix("server.security.") {
                        Some("allowedorigins") => "the list is empty and allows every origin",
                        Some("allowedheaders") => "the list is empty",
                        Some("allowcors" | "useauth" | "secure") => "the option is false",
                        Some(_) => "the option is not set",
                        None => "its options are false or empty lists. An empty list of origins allows every origin",
                    };
                    let problem = format!(
                        "`{}` contains dots: flyteadmin v1.16.7 and later ignore its value, so {effect}. Earlier releases \
                         split the key at its dots",
                        Shortened(key)
                    );
                    let mend = "write nested keys, which all releases read: server: {security: {...}}";
                    self.fault_at(file, entry.line, &path, FaultKind::TwoMeanings, problem, mend);
                    self.dotted.push(path.to_ascii_lowercase());
                }
                map = SECTION.get(level).and_then(|key| Some(Rc::clone(self.value(&node, key)?)));
            }
        }
    }

    /// Whether a key with dots leads to an option. `restoreDottedMapKeys` of `viper.go` then removes the option from
    /// all files, flags and defaults, so that it has Go's zero value: false, or an empty list.
    fn is_wiped(&self, name: &str) -> bool {
        let option = format!("server.security.{}", name.to_ascii_lowercase());
        let leads_to =
            |path: &String| option.strip_prefix(&**path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.dotted.iter().any(leads_to)
    }

    /// The value of a key in a map, ignoring case.
    fn value<'n>(&self, map: &'n Node, key: &str) -> Option<&'n Rc<Node>> {
        map.entries(self.merging, &|name| name.eq_ignore_ascii_case(key)).first().map(|found| &found.entry.value)
    }

    pub(super) fn place(&self, file: usize, line: usize, path: &str) -> Place {
        let within = Within { path: path.to_owned(), line };
        Place { path: self.files[file].0.clone(), container: String::new(), within: Some(within) }
    }

    fn fault_at(&mut self, file: usize, line: usize, path: &str, kind: FaultKind, problem: String, mend: &'static str) {
        let file = self.files[file].0.clone();
        self.fault(&file, line, path, kind, problem, mend);
    }

    fn fault(&mut self, file: &str, line: usize, path: &str, kind: FaultKind, problem: String, mend: &'static str) {
        let within = Some(Within { path: Shortened(path).to_string(), line });
        let place = Place { path: file.to_owned(), container: String::new(), within };
        self.faults.push(Fault { place, kind, problem, mend: mend.into() });
    }
}

fn is_null(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar(scalar) if matches!(scalar.meaning(), Ok(crate::yaml::Meaning::Null)))
}

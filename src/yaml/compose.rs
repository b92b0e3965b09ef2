//! Builds nodes from events, with the checks that yaml.v3 makes on the way.
//!
//! Source: `decode.go` of [go-yaml](https://github.com/yaml/go-yaml), v3.0.1.

use std::{
    collections::{BTreeMap, btree_map},
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use super::{
    BINARY_TAG, Entry, MERGE_TAG, Meaning, Node, Scalar, Size, Style, Unreadable, Value,
    events::{self, Broken, Event, Events, Said},
    scalar,
};

/// The maximum number of levels. flyteadmin's configuration has about ten.
const MOST_LEVELS: usize = 128;

/// The most values that are kept of a file. flyteadmin's `server` section has about fifty.
const MOST_KEPT: usize = 10_000;

impl From<Broken> for Unreadable {
    fn from(broken: Broken) -> Self {
        Self::Broken { line: broken.line, reason: format!("invalid YAML: {}", broken.problem) }
    }
}

const TEXT_TAG: &str = "tag:yaml.org,2002:str";

/// The first document of a text; `None` if it is empty.
pub(super) fn compose(text: &[u8], wanted: &dyn Fn(&str) -> bool) -> Result<Option<Rc<Node>>, Unreadable> {
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return Err(Unreadable::Beyond { line: 1, reason: "UTF-16".to_owned() });
    }
    events::check_directives(text).map_err(|reason| Unreadable::Beyond { line: 1, reason })?;
    let mut events = Events::new(text);
    let mut composer = Composer::default();
    loop {
        let event = events.next_event()?;
        match event.content() {
            Said::StreamEnd => return Ok(None),
            Said::StreamStart | Said::DocumentStart { version: None | Some((1, 1)) } => {}
            Said::DocumentStart { .. } => return Err(broken(event.line(), "its %YAML directive is not 1.1")),
            Said::DocumentEnd => break,
            said => composer.add(said, &event, wanted)?,
        }
    }
    // yaml.v3 reads the token after the first document, but does not interpret it.
    if let Err(broken) = events.next_event().map(drop)
        && !broken.has_tokens
    {
        return Err(broken.into());
    }
    let Some(root) = composer.root else {
        return Ok(None);
    };
    match &root.value {
        Value::Map(_) => Ok(Some(root)),
        Value::Scalar(scalar) if scalar.meaning() == Ok(Meaning::Null) => Ok(None),
        Value::Scalar(_) => Err(broken(root.line, "this is a text, but must be a map")),
        Value::List(_) => Err(broken(root.line, "this is a list, but must be a map")),
    }
}

fn broken(line: usize, reason: impl Into<String>) -> Unreadable {
    Unreadable::Broken { line, reason: reason.into() }
}

#[derive(Default)]
struct Composer {
    /// The lists and maps that are open.
    open: Vec<Open>,
    /// The index of each anchor's value in `anchored`.
    anchors: BTreeMap<Box<str>, usize>,
    /// The values with an anchor; `None` while one is open.
    anchored: Vec<Option<Rc<Node>>>,
    /// The number of values so far, and of those from aliases, as yaml.v3 counts them.
    values: u64,
    aliased: u64,
    kept: usize,
    root: Option<Rc<Node>>,
}

/// A list or a map that is open.
struct Open {
    line: usize,
    anchor: Option<Box<str>>,
    size: Size,
    is_flow: bool,
    keeps: Keeps,
    content: Content,
}

enum Content {
    List(Vec<Rc<Node>>),
    Map {
        entries: Vec<Entry>,
        /// Every key so far, by its hash, and its line. Two keys with the same 64-bit hash count as one.
        keys: BTreeMap<u64, usize>,
        /// The key whose value comes next.
        key: Option<Key>,
    },
}

struct Key {
    text: Box<str>,
    line: usize,
    is_merge: bool,
}

/// The values of a list or a map that are kept.
#[derive(Clone, Copy, PartialEq)]
enum Keeps {
    All,
    Wanted,
    Nothing,
}

/// A scalar as it is written.
#[derive(Clone, Copy)]
struct Written<'e> {
    tag: Option<&'e str>,
    text: &'e str,
    style: Style,
}

/// A complete value.
struct Done {
    line: usize,
    size: Size,
    is_alias: bool,
    /// Its node, if it is kept.
    node: Option<Rc<Node>>,
}

impl Composer {
    fn add(&mut self, said: Said, event: &Event, wanted: &dyn Fn(&str) -> bool) -> Result<(), Unreadable> {
        let line = event.line();
        match said {
            Said::ListStart { anchor, is_flow } => self.open(Content::List(Vec::new()), anchor, is_flow, line, wanted),
            Said::MapStart { anchor, is_flow } => {
                let map = Content::Map { entries: Vec::new(), keys: BTreeMap::new(), key: None };
                self.open(map, anchor, is_flow, line, wanted)
            }
            Said::End => {
                let Some(Open { line, anchor, size, keeps, content, .. }) = self.open.pop() else {
                    return Ok(());
                };
                let is_kept = keeps != Keeps::Nothing;
                let value = match content {
                    Content::List(items) => Value::List(items),
                    Content::Map { entries, .. } => Value::Map(entries),
                };
                let node = is_kept.then(|| Rc::new(Node { line, value, size }));
                if let Some(anchor) = anchor {
                    self.set_anchor(anchor, node.clone());
                }
                self.add_value(Done { line, size, is_alias: false, node })
            }
            Said::Scalar { anchor, tag, text, style } => {
                self.add_scalar(Written { tag, text, style }, anchor, line, wanted)
            }
            Said::Alias(name) => self.add_alias(name, line),
            Said::StreamStart | Said::DocumentStart { .. } | Said::DocumentEnd | Said::StreamEnd => Ok(()),
        }
    }

    fn add_scalar(
        &mut self,
        said: Written,
        anchor: Option<&str>,
        line: usize,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<(), Unreadable> {
        let Written { tag, text, style } = said;
        let is_plain = style == Style::Plain;
        self.count(line, 1, 0)?;
        // yaml.v3 is stricter here than today's libyaml.
        if is_plain && text.contains('?') && self.open.last().is_some_and(|open| open.is_flow) {
            return Err(broken(line, "found `?` in a text without quotes between brackets"));
        }
        let is_key = self.expects_key();
        let scalar = || Scalar { text: text.into(), is_plain, tag: tag.map(Into::into) };
        if tag.is_some() {
            scalar().meaning().map_err(|reason| broken(line, reason))?;
        }
        let size = Size { values: 1, levels: 0 };
        let is_kept = anchor.is_some() || self.open.is_empty() || self.keeps_next(wanted);
        let node = is_kept.then(|| Rc::new(Node { line, value: Value::Scalar(scalar()), size }));
        if let Some(anchor) = anchor {
            self.set_anchor(anchor.into(), node.clone());
        }
        // yaml.v2 merges `! "<<"`.
        let is_merge_to_yaml_v2 = text == "<<" && !is_plain && tag == Some("!");
        let tag = tag.filter(|tag| *tag != "!");
        if is_key {
            let is_merge = text == "<<" && tag.map_or(is_plain, |tag| tag == MERGE_TAG);
            let is_text = is_merge || tag.map_or(!is_plain || scalar::is_text(text), |tag| tag == TEXT_TAG);
            if self.keeps_keys() && (!is_text || is_merge_to_yaml_v2 || text.contains(['İ', 'ſ', '\u{212a}'])) {
                // viper and its helpers fold the case of such keys in more than one way.
                return Err(Unreadable::Beyond {
                    line,
                    reason: "a key that is not a string of ordinary letters".to_owned(),
                });
            }
            return self.add_key(text, line, 1, is_merge);
        }
        if tag.is_some_and(|tag| tag == BINARY_TAG) && node.is_some() {
            return Err(Unreadable::Beyond { line, reason: "a !!binary value".to_owned() });
        }
        self.add_value(Done { line, size, is_alias: false, node })
    }

    fn add_alias(&mut self, name: &str, line: usize) -> Result<(), Unreadable> {
        let node = match self.anchors.get(name).map(|index| &self.anchored[*index]) {
            Some(Some(node)) => Rc::clone(node),
            Some(None) => return Err(broken(line, "the value of an anchor contains itself".to_owned())),
            None => return Err(broken(line, "an alias has no anchor".to_owned())),
        };
        let values = node.size.values;
        self.count(line, values.saturating_add(1), values)?;
        let size = Size { values: values.saturating_add(1), levels: node.size.levels };
        if self.open.len() + size.levels > MOST_LEVELS {
            return Err(too_deep(line));
        }
        match &node.value {
            _ if !self.expects_key() => self.add_value(Done { line, size, is_alias: true, node: Some(node) }),
            Value::Scalar(_) if self.keeps_keys() => {
                Err(Unreadable::Beyond { line, reason: "an alias as a key".to_owned() })
            }
            // yaml.v3 does not treat an alias as the key that it stands for.
            Value::Scalar(_) => self.add_key(&format!("*{name}"), line, size.values, false),
            _ => Err(no_text(line)),
        }
    }

    fn open(
        &mut self,
        content: Content,
        anchor: Option<&str>,
        is_flow: bool,
        line: usize,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<(), Unreadable> {
        if self.open.len() == MOST_LEVELS {
            return Err(too_deep(line));
        }
        if self.expects_key() {
            return Err(no_text(line));
        }
        self.count(line, 1, 0)?;
        let keeps = if self.open.is_empty() {
            Keeps::Wanted
        } else if anchor.is_some() || self.keeps_next(wanted) {
            Keeps::All
        } else {
            Keeps::Nothing
        };
        let anchor: Option<Box<str>> = anchor.map(Into::into);
        if let Some(anchor) = &anchor {
            self.set_anchor(anchor.clone(), None);
        }
        self.open.push(Open { line, anchor, size: Size { values: 1, levels: 1 }, is_flow, keeps, content });
        Ok(())
    }

    /// Whether a key comes next.
    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    /// Whether the keys of the open map are kept.
    fn keeps_keys(&self) -> bool {
        self.open.last().is_some_and(|open| open.keeps != Keeps::Nothing)
    }

    /// Whether the next value is kept.
    fn keeps_next(&self, wanted: &dyn Fn(&str) -> bool) -> bool {
        match self.open.last() {
            Some(Open { keeps: Keeps::All, content: Content::List(_), .. }) => true,
            Some(Open { keeps: Keeps::All, content: Content::Map { key, .. }, .. }) => key.is_some(),
            Some(Open { keeps, content: Content::Map { key: Some(key), .. }, .. }) => {
                key.is_merge || *keeps == Keeps::Wanted && wanted(&key.text)
            }
            _ => false,
        }
    }

    /// Counts values as yaml.v3 does, which rejects a document that is mostly aliases.
    fn count(&mut self, line: usize, values: u64, aliased: u64) -> Result<(), Unreadable> {
        const MANY: f64 = 400_000.0;
        const TOO_MANY: f64 = 4_000_000.0;
        self.values = self.values.saturating_add(values);
        self.aliased = self.aliased.saturating_add(aliased);
        let (all, aliased) = (self.values as f64, self.aliased as f64);
        let share = 0.99 - 0.89 * ((all - MANY) / (TOO_MANY - MANY)).clamp(0.0, 1.0);
        if self.aliased > 100 && self.values > 1_000 && aliased / all > share {
            return Err(broken(line, format!("its aliases stand for {} values, which is excessive", self.aliased)));
        }
        Ok(())
    }

    fn set_anchor(&mut self, anchor: Box<str>, node: Option<Rc<Node>>) {
        self.anchors.insert(anchor, self.anchored.len());
        self.anchored.push(node);
    }

    /// Adds the key of the next value; the key counts as `values` values.
    fn add_key(&mut self, text: &str, line: usize, values: u64, is_merge: bool) -> Result<(), Unreadable> {
        let Some(Open { size, keeps, content: Content::Map { keys, key, .. }, .. }) = self.open.last_mut() else {
            return Ok(());
        };
        size.values = size.values.saturating_add(values);
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        match keys.entry(hasher.finish()) {
            btree_map::Entry::Occupied(first) => {
                return Err(Unreadable::Twice { line, key: text.into(), first: *first.get() });
            }
            btree_map::Entry::Vacant(place) => place.insert(line),
        };
        let text = if *keeps == Keeps::Nothing { Box::default() } else { text.into() };
        *key = Some(Key { text, line, is_merge });
        Ok(())
    }

    /// Adds a complete value to the list or map that it is in.
    fn add_value(&mut self, done: Done) -> Result<(), Unreadable> {
        if done.node.is_some() && !done.is_alias {
            self.kept += 1;
            if self.kept > MOST_KEPT {
                let reason = format!("more than {MOST_KEPT} values");
                return Err(Unreadable::Beyond { line: done.line, reason });
            }
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = done.node;
            return Ok(());
        };
        parent.size.values = parent.size.values.saturating_add(done.size.values);
        parent.size.levels = parent.size.levels.max(done.size.levels + 1);
        match &mut parent.content {
            Content::List(items) => items.extend(done.node.filter(|_| parent.keeps == Keeps::All)),
            Content::Map { entries, key, .. } => {
                if let (Some(Key { text, line, is_merge }), Some(value)) = (key.take(), done.node) {
                    if is_merge && !value.is_merged(done.is_alias) {
                        return Err(broken(line, "the value of << must be a map"));
                    }
                    // A value may be kept only for its anchor.
                    if parent.keeps != Keeps::Nothing {
                        entries.push(Entry { key: text, line, is_merge, value });
                    }
                }
            }
        }
        Ok(())
    }
}

impl Node {
    /// Whether this is valid after `<<`: a map or its alias, or a list of these.
    fn is_merged(&self, is_alias: bool) -> bool {
        match &self.value {
            Value::Map(_) => true,
            Value::List(items) => !is_alias && items.iter().all(|item| matches!(item.value, Value::Map(_))),
            Value::Scalar(_) => false,
        }
    }
}

fn no_text(line: usize) -> Unreadable {
    broken(line, "a key is a list or a map, and must be a string")
}

fn too_deep(line: usize) -> Unreadable {
    Unreadable::Beyond { line, reason: format!("more than {MOST_LEVELS} levels") }
}

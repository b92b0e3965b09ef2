//! Builds nodes from libyaml's events.

use std::collections::{BTreeMap, BTreeSet};

use flytewarden::yaml::{BINARY_TAG, Broken, Events, Int, MERGE_TAG, Meaning, Said, Scalar, Style, check_directives};
use indexmap::IndexMap;

use super::{Lines, MOST_LEVELS, MOST_NODES, Malformed, Node, Value, number};

/// How to interpret a text.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// Whether the last value counts if a key is given twice, as in kubectl. Otherwise a second value is an error.
    pub(super) takes_last: bool,
    /// Whether scalars other than null stay texts, exactly as they are written.
    pub(super) as_spelled: bool,
}

/// Returns the documents of a text. Lines count from the text's start.
pub(super) fn compose(text: &str, dialect: Dialect) -> Result<Vec<Node>, Malformed> {
    check_directives(text.as_bytes()).map_err(|reason| Malformed { line: 1, reason })?;
    let lines = Lines::new(text);
    let mut events = Events::new(text.as_bytes());
    let mut documents = Vec::new();
    let mut composer = Composer::new(dialect);
    loop {
        let event = events.next_event().map_err(|Broken { line, problem, .. }| Malformed {
            // For an unclosed bracket or quote, libyaml reports a line behind the end.
            line: line.min(text.trim_end().lines().count().max(1)),
            reason: format!("invalid YAML: {problem}"),
        })?;
        match event.content() {
            Said::StreamEnd => return Ok(documents),
            Said::StreamStart => {}
            Said::DocumentStart { .. } => {
                composer = Composer { nodes: composer.nodes, copied: composer.copied, ..Composer::new(dialect) };
            }
            Said::DocumentEnd => documents.extend(composer.root.take()),
            said => composer.take(said, lines.of_byte(event.span().start))?,
        }
    }
}

struct Composer {
    dialect: Dialect,
    /// The lists and maps that are still open, outermost first.
    open: Vec<Open>,
    /// The value of each anchor. `None` while the value is still open.
    anchors: BTreeMap<String, Option<Anchored>>,
    root: Option<Node>,
    /// The number of nodes so far, including those of aliases.
    nodes: usize,
    /// The total weight of the copies for anchors and aliases.
    copied: usize,
}

#[derive(Clone)]
struct Anchored {
    node: Node,
    /// The number of nodes in it.
    nodes: usize,
    /// Its approximate size in bytes.
    weight: usize,
    /// The number of nested levels in it: 0 for a scalar.
    levels: usize,
}

struct Open {
    line: usize,
    anchor: Option<String>,
    content: Content,
    /// The number of nodes before it.
    nodes: usize,
    weight: usize,
    /// The number of nested levels in it.
    levels: usize,
}

enum Content {
    List(Vec<Node>),
    Map {
        fields: IndexMap<String, Node>,
        /// The keys that the map itself has. In a strict text, none may be given twice.
        own: BTreeSet<String>,
        /// The key whose value comes next, with its line.
        key: Option<(Key, usize)>,
    },
}

enum Key {
    Text(String),
    /// `<<`: the value is a map, or a list of maps. Its fields are added to this map.
    Merge,
}

/// The approximate size of a node without its text, in bytes.
const NODE_WEIGHT: usize = 64;
/// The limit of the copies for anchors and aliases, in bytes.
const MOST_COPIED: usize = 64 << 20;

impl Composer {
    fn new(dialect: Dialect) -> Self {
        Self { dialect, open: Vec::new(), anchors: BTreeMap::new(), root: None, nodes: 0, copied: 0 }
    }

    /// Handles an event of the document.
    fn take(&mut self, said: Said, line: usize) -> Result<(), Malformed> {
        match said {
            Said::ListStart { anchor, .. } => self.open(line, anchor, Content::List(Vec::new())),
            Said::MapStart { anchor, .. } => {
                self.open(line, anchor, Content::Map { fields: IndexMap::new(), own: BTreeSet::new(), key: None })
            }
            Said::End => match self.open.pop() {
                Some(open) => self.close(open),
                None => Ok(()),
            },
            Said::Scalar { anchor, tag, text, style } => {
                let scalar = Scalar {
                    text: text.into(),
                    // The tag `!` alone makes a scalar a text.
                    is_plain: style == Style::Plain && tag != Some("!"),
                    tag: tag.filter(|tag| *tag != "!").map(Into::into),
                };
                if self.expects_key() {
                    let key = key(&scalar).map_err(|reason| Malformed { line, reason })?;
                    if anchor.is_some() {
                        let node = Node { line, key_line: line, value: Value::String(text.to_owned()) };
                        self.keep(anchor, &Anchored { node, nodes: 1, weight: NODE_WEIGHT + text.len(), levels: 0 })?;
                    }
                    return self.add_key(key, line);
                }
                let value = value(&scalar, self.dialect).map_err(|reason| Malformed { line, reason })?;
                self.count(1, line)?;
                let weight = NODE_WEIGHT + text.len();
                let done = Anchored { node: Node { line, key_line: line, value }, nodes: 1, weight, levels: 0 };
                self.keep(anchor, &done)?;
                self.add(done)
            }
            Said::Alias(name) => self.add_alias(name, line),
            Said::StreamStart | Said::DocumentStart { .. } | Said::DocumentEnd | Said::StreamEnd => Ok(()),
        }
    }

    fn add_alias(&mut self, name: &str, line: usize) -> Result<(), Malformed> {
        let reason = match self.anchors.get(name) {
            Some(Some(_)) => None,
            Some(None) => Some("the value with this anchor contains itself"),
            // The name is not shown, because it may be a password that starts with `*`.
            None => Some("an alias has no anchor; put a text that starts with * in quotes"),
        };
        if let Some(reason) = reason {
            return Err(Malformed { line, reason: reason.to_owned() });
        }
        // Check the limits before copying.
        let (nodes, weight, levels) = match &self.anchors[name] {
            Some(anchored) => (anchored.nodes, anchored.weight, anchored.levels),
            None => (0, 0, 0),
        };
        self.count(nodes, line)?;
        self.copy(weight, line)?;
        if self.open.len() + levels > MOST_LEVELS {
            return Err(too_much(line));
        }
        let Some(Some(mut anchored)) = self.anchors.get(name).cloned() else { return Ok(()) };
        (anchored.node.line, anchored.node.key_line) = (line, line);
        match anchored.node.value {
            _ if !self.expects_key() => self.add(anchored),
            Value::String(text) => self.add_key(Key::Text(text), line),
            _ => Err(no_key(line)),
        }
    }

    fn open(&mut self, line: usize, anchor: Option<&str>, content: Content) -> Result<(), Malformed> {
        if self.expects_key() {
            return Err(no_key(line));
        }
        if self.open.len() == MOST_LEVELS {
            return Err(too_much(line));
        }
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor.to_owned(), None);
        }
        let nodes = self.nodes;
        self.count(1, line)?;
        let weight = NODE_WEIGHT;
        self.open.push(Open { line, anchor: anchor.map(str::to_owned), content, nodes, weight, levels: 1 });
        Ok(())
    }

    fn close(&mut self, Open { line, anchor, content, nodes, weight, levels }: Open) -> Result<(), Malformed> {
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { fields, .. } => Value::Map(fields),
        };
        let done = Anchored { node: Node { line, key_line: line, value }, nodes: self.nodes - nodes, weight, levels };
        self.keep(anchor.as_deref(), &done)?;
        self.add(done)
    }

    /// Whether the next event is a key.
    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), Malformed> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES { Err(too_much(line)) } else { Ok(()) }
    }

    /// Stores a value for the aliases of its anchor, if it has one.
    fn keep(&mut self, anchor: Option<&str>, anchored: &Anchored) -> Result<(), Malformed> {
        if let Some(anchor) = anchor {
            self.copy(anchored.weight, anchored.node.line)?;
            self.anchors.insert(anchor.to_owned(), Some(anchored.clone()));
        }
        Ok(())
    }

    fn copy(&mut self, weight: usize, line: usize) -> Result<(), Malformed> {
        self.copied += weight;
        if self.copied > MOST_COPIED { Err(too_much(line)) } else { Ok(()) }
    }

    fn add_key(&mut self, next: Key, line: usize) -> Result<(), Malformed> {
        if let Some(Open { content: Content::Map { own, key, .. }, .. }) = self.open.last_mut() {
            if let Key::Text(text) = &next
                && !self.dialect.takes_last
                && !own.insert(text.clone())
            {
                return Err(Malformed { line, reason: format!("the key {text} is given twice") });
            }
            *key = Some((next, line));
        }
        Ok(())
    }

    /// Adds a complete value to its parent.
    fn add(&mut self, Anchored { node, weight, levels, .. }: Anchored) -> Result<(), Malformed> {
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.levels = parent.levels.max(levels + 1);
        parent.weight += weight;
        match &mut parent.content {
            Content::List(items) => items.push(node),
            Content::Map { fields, key, .. } => match (key.take(), node) {
                (Some((Key::Text(key), key_line)), node) => {
                    fields.insert(key, Node { key_line, ..node });
                }
                // Merged fields replace earlier fields, and later fields replace merged ones, as in yaml.v2. In a list
                // of maps, the first map wins.
                (Some((Key::Merge, _)), Node { value: Value::List(maps), .. }) if maps.iter().all(is_map) => {
                    fields.extend(maps.into_iter().rev().flat_map(fields_of));
                }
                (Some((Key::Merge, _)), node) if is_map(&node) => fields.extend(fields_of(node)),
                (_, node) => {
                    return Err(Malformed { line: node.line, reason: "the value of << must be a map".to_owned() });
                }
            },
        }
        Ok(())
    }
}

fn is_map(node: &Node) -> bool {
    matches!(node.value, Value::Map(_))
}

fn fields_of(node: Node) -> IndexMap<String, Node> {
    match node.value {
        Value::Map(fields) => fields,
        _ => IndexMap::new(),
    }
}

/// Reads a scalar as a key. All keys become texts, as in JSON.
fn key(scalar: &Scalar) -> Result<Key, String> {
    if &*scalar.text == "<<" && scalar.tag.as_deref().map_or(scalar.is_plain, |tag| tag == MERGE_TAG) {
        return Ok(Key::Merge);
    }
    Ok(Key::Text(match (scalar.bool_of_yaml_1_1(), scalar.meaning()?) {
        (Some(value), _) | (_, Meaning::Bool(value)) => value.to_string(),
        (_, Meaning::Int(number)) => number.to_string(),
        (_, Meaning::Null) => return Err("a key is null, and must be a string".to_owned()),
        _ => scalar.text.to_string(),
    }))
}

/// Reads a scalar as a value.
fn value(scalar: &Scalar, dialect: Dialect) -> Result<Value, String> {
    if scalar.tag.as_deref() == Some(BINARY_TAG) {
        return Err("a !!binary value is not supported".to_owned());
    }
    Ok(match (scalar.bool_of_yaml_1_1(), scalar.meaning()?) {
        (_, Meaning::Null) => Value::Null,
        _ if dialect.as_spelled => Value::String(scalar.text.to_string()),
        (Some(value), _) | (_, Meaning::Bool(value)) => Value::Bool(value),
        (_, Meaning::Int(Int { is_negative: false, magnitude })) => Value::Number(magnitude.into()),
        (_, Meaning::Int(Int { magnitude, .. })) => Value::Number(0_i64.wrapping_sub_unsigned(magnitude).into()),
        (_, Meaning::Float(text)) => {
            Value::Number(float(text).and_then(number).ok_or("a number that JSON cannot have")?)
        }
        (_, Meaning::Text(_) | Meaning::Time) => Value::String(scalar.text.to_string()),
    })
}

/// Parses a float of YAML. It is rewritten as JSON, so that one float parser is enough.
fn float(text: &str) -> Option<f64> {
    let text = text.replace('_', "");
    let (sign, text) = text.strip_prefix('-').map_or(("", text.trim_start_matches('+')), |text| ("-", text));
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    serde_json::from_str(&format!("{sign}{whole}.{fraction}0e{exponent}")).ok()
}

fn no_key(line: usize) -> Malformed {
    Malformed { line, reason: "a key is a list or a map, and must be a string".to_owned() }
}

fn too_much(line: usize) -> Malformed {
    Malformed { line, reason: "too deep, too large or too many aliases for a manifest".to_owned() }
}

//! Reads YAML and JSON as kubectl does, and records the line of every value.
//!
//! kubectl's parser is a port of libyaml, as is `libyaml-rs`, whose events this module uses. Other parsers accept
//! different texts: for example, they reject the quoted texts without indentation in the schemas of old custom
//! resources. The events are interpreted in kubectl's dialect, YAML 1.1: `yes` is a boolean, `010` is 8, merge keys
//! merge, and if a key is given twice, the last one counts. Texts made to exhaust the reader are rejected. [`settings`]
//! reads settings more strictly.

mod compose;
mod json;

use std::{collections::BTreeMap, ops::Range};

use compose::{Dialect, compose};
pub use flytewarden::yaml::Style;
use indexmap::IndexMap;
pub use json::parse_values as json;
use serde::{Serialize, Serializer};
use serde_json::Number;

/// A value and the line it starts on.
#[derive(Debug, Clone)]
pub struct Node {
    /// The line, from 1, in the text given to [`documents`].
    pub line: usize,
    /// The line of its key, if it has one. Otherwise the same as `line`.
    pub key_line: usize,
    /// The value.
    pub value: Value,
}

/// A YAML value, limited to JSON's types, because the API server receives JSON.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Node>),
    /// The fields, in the order of the text.
    Map(IndexMap<String, Node>),
}

/// Why a text cannot be read: it is not valid YAML, or it exceeds the limits.
#[derive(Debug)]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// One document of a text.
#[derive(Debug)]
pub struct Document {
    /// Its number in the text, from 1, not counting empty documents.
    pub number: usize,
    /// The chart template it was rendered from, if helm names it in a comment.
    pub source: Option<String>,
    /// The part of the text between lines of `---` that contains it.
    pub span: Range<usize>,
    /// Its content, or why it cannot be read.
    pub content: Result<Node, Malformed>,
}

/// Returns the documents of a text, except empty ones. A document is parsed only when the iterator reaches it.
///
/// The text is split at lines of `---` before it is parsed, as in kubectl. So an invalid document does not affect the
/// others.
pub fn documents(text: &str) -> impl Iterator<Item = Document> {
    let contents = parts(text).flat_map(|(first_line, span)| {
        let part = &text[span.clone()];
        let source = source(part);
        let contents = contents(part, first_line - 1).into_iter();
        contents.map(move |content| (span.clone(), source.clone(), content))
    });
    let full = contents.filter(|(.., content)| !matches!(content, Ok(Node { value: Value::Null, .. })));
    full.zip(1..).map(|((span, source, content), number)| Document { number, source, span, content })
}

/// Returns the documents of a part that starts below `above` lines. That is one document, unless the part contains
/// `...` lines or several JSON values.
fn contents(part: &str, above: usize) -> Vec<Result<Node, Malformed>> {
    let read = match json::parse_values(part) {
        Some(nodes) => Ok(nodes),
        None => compose(part, KUBECTL),
    };
    match read {
        Ok(mut nodes) => {
            nodes.iter_mut().for_each(|node| node.shift(above));
            nodes.into_iter().map(Ok).collect()
        }
        Err(Malformed { line, reason }) => vec![Err(Malformed { line: line + above, reason })],
    }
}

/// Returns the document of a settings file. `None` if the file is empty.
///
/// # Errors
///
/// The text cannot be read, has more than one document, or has a key twice.
pub fn settings(text: &str) -> Result<Option<Node>, Malformed> {
    let nodes = compose(text, STRICT)?;
    match &nodes[..] {
        [_, second, ..] => Err(Malformed { line: second.line, reason: "settings must be one document".to_owned() }),
        _ => Ok(nodes.into_iter().next()),
    }
}

/// Returns the map of texts in a file, with each value as it is written. `None` if the file is empty.
///
/// # Errors
///
/// The text is not a map of texts, has more than one document, or has a key twice.
pub fn texts(text: &str) -> Result<Option<BTreeMap<String, Option<String>>>, Malformed> {
    let nodes = compose(text, Dialect { as_spelled: true, ..STRICT })?;
    let root = match <[Node; 1]>::try_from(nodes) {
        Ok([root]) => root,
        Err(nodes) if nodes.is_empty() => return Ok(None),
        Err(nodes) => return Err(Malformed { line: nodes[1].line, reason: "must be one document".to_owned() }),
    };
    let no_text = |line, what: &str| Malformed { line, reason: format!("must be a string, not {what}") };
    let fields = match root.value {
        Value::Null => return Ok(None),
        Value::Map(fields) => fields,
        _ => return Err(Malformed { line: root.line, reason: "must be a map".to_owned() }),
    };
    let texts = fields.into_iter().map(|(name, Node { line, value, .. })| match value {
        Value::Null => Ok((name, None)),
        Value::String(text) => Ok((name, Some(text))),
        Value::List(_) => Err(no_text(line, "a list")),
        _ => Err(no_text(line, "a map")),
    });
    texts.collect::<Result<_, _>>().map(Some)
}

fn source(part: &str) -> Option<String> {
    let mut comments = part.lines().take_while(|line| line.is_empty() || line.starts_with('#'));
    comments.find_map(|line| line.strip_prefix("# Source: ")).map(|path| path.trim().to_owned())
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Returns the parts between lines of `---`, each with the number of its first line.
fn parts(text: &str) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mark = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let (mut start, mut first_line, mut position) = (mark, 1, mark);
    let separators = text[mark..].split_inclusive('\n').zip(1..).filter_map(move |(line, number)| {
        let here = position;
        position += line.len();
        let rest = line.strip_prefix("---")?.trim();
        (rest.is_empty() || rest.starts_with('#')).then_some((number, here, position))
    });
    let ends = separators.map(Some).chain([None]);
    ends.map(move |separator| {
        let (number, end, next) = separator.unwrap_or((0, text.len(), text.len()));
        let part = (first_line, start..end);
        (start, first_line) = (next, number + 1);
        part
    })
}

const KUBECTL: Dialect = Dialect { takes_last: true, as_spelled: false };
const STRICT: Dialect = Dialect { takes_last: false, as_spelled: false };

/// A cluster's objects have at most about 40 levels, in the schemas of custom resources.
const MOST_LEVELS: usize = 128;
const MOST_NODES: usize = 4_000_000;

/// The positions of a text's line breaks, to count lines as editors do. libyaml also ends lines at some other Unicode
/// characters.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index).collect())
    }

    /// Returns the line of a byte, from 1.
    fn of_byte(&self, at: usize) -> usize {
        self.0.partition_point(|end| *end < at) + 1
    }
}

/// Converts a float to a JSON number. Go writes whole floats without a fraction, so the API server gets `1e3` as 1000.
fn number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 1e18 {
        return Some((value as i64).into());
    }
    Number::from_f64(value)
}

impl Node {
    fn shift(&mut self, lines: usize) {
        self.line += lines;
        self.key_line += lines;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.shift(lines)),
            Value::Map(fields) => fields.values_mut().for_each(|value| value.shift(lines)),
            _ => {}
        }
    }

    /// Returns the value of a field. `None` if this is not a map or has no such field.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(fields) => fields.get(name),
            _ => None,
        }
    }

    /// Removes a field from this map and returns its value. `None` if this is not a map or has no such field.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        match &mut self.value {
            Value::Map(fields) => fields.shift_remove(name),
            _ => None,
        }
    }

    /// Returns the text. `None` if this is not a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Follows a path such as `spec.containers[0].image` or `data["server.yaml"]`, and returns the deepest value that
    /// exists on it.
    pub fn at(&self, path: &str) -> &Self {
        let mut node = self;
        for step in steps(path) {
            let next = match step {
                Step::Key(key) => node.get(&key),
                Step::Index(index) => match &node.value {
                    Value::List(items) => items.get(index),
                    _ => None,
                },
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To the value of a key.
    Key(String),
    /// To an item of a list, from 0.
    Index(usize),
}

/// Splits a path such as `spec.containers[0].image` or `data["server.yaml"]` into steps.
pub fn steps(mut path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    while !path.is_empty() {
        steps.push(Step::take(&mut path));
    }
    steps
}

impl Step {
    /// Removes the first step from a path and returns it.
    fn take(path: &mut &str) -> Self {
        let rest = path.strip_prefix('.').unwrap_or(path);
        if let Some(bracketed) = rest.strip_prefix('[') {
            let mut quoted = serde_json::Deserializer::from_str(bracketed).into_iter::<String>();
            if let Some(Ok(key)) = quoted.next() {
                *path = bracketed[quoted.byte_offset()..].trim_start_matches(']');
                return Self::Key(key);
            }
            let (index, after) = bracketed.split_once(']').unwrap_or((bracketed, ""));
            *path = after;
            return index.parse().map_or_else(|_| Self::Key(index.to_owned()), Self::Index);
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        *path = after;
        Self::Key(key.to_owned())
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(number) => number.serialize(serializer),
            Value::String(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items),
            Value::Map(fields) => serializer.collect_map(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::documents;

    /// Returns each document as JSON, or the line and the reason of its error.
    fn parse_documents(text: &str) -> Vec<Result<String, (usize, String)>> {
        documents(text)
            .map(|document| match document.content {
                Ok(node) => Ok(serde_json::to_string(&node).unwrap()),
                Err(malformed) => Err((malformed.line, malformed.reason)),
            })
            .collect()
    }

    #[test]
    fn values_are_the_same_as_in_kubectl() {
        for (yaml, json) in [
            ("a: yes", r#"{"a":true}"#),
            ("a: off", r#"{"a":false}"#),
            ("a: 'yes'", r#"{"a":"yes"}"#),
            ("a: 010", r#"{"a":8}"#),
            ("a: 0x10", r#"{"a":16}"#),
            ("a: 1_000", r#"{"a":1000}"#),
            ("a: ~", r#"{"a":null}"#),
            ("a:", r#"{"a":null}"#),
            ("a: 0.5", r#"{"a":0.5}"#),
            ("a: 1e3", r#"{"a":1000}"#),
            ("a: 0.0", r#"{"a":0}"#),
            ("a: [.5, 1., +01.5, -1e-2, 1E+3]", r#"{"a":[0.5,1,1.5,-0.01,1000]}"#),
            ("a: 18446744073709551615", r#"{"a":18446744073709551615}"#),
            ("1: a\ntrue: b", r#"{"1":"a","true":"b"}"#),
            ("a: 1\na: 2", r#"{"a":2}"#),
            ("a: &b {c: 1}\nd: {<<: *b, e: 2}", r#"{"a":{"c":1},"d":{"c":1,"e":2}}"#),
            ("a: &a {b: 1}\nc: {b: 2, <<: *a}", r#"{"a":{"b":1},"c":{"b":1}}"#),
            ("a: &a {b: 1}\nc: {<<: *a, <<: {b: 3}}", r#"{"a":{"b":1},"c":{"b":3}}"#),
            ("a: ! yes\nb: 1e15", r#"{"a":"yes","b":1000000000000000}"#),
            ("a: |\n  b\n  ---\n", r#"{"a":"b\n---\n"}"#),
            ("{\"a\": \"\\ud83d\\ude00\\/\",\t\"b\": [1]}", "{\"a\":\"😀/\",\"b\":[1]}"),
            ("a: 2024-01-01", r#"{"a":"2024-01-01"}"#),
            ("a: 1e999", r#"{"a":"1e999"}"#),
            ("a: -9223372036854775808", r#"{"a":-9223372036854775808}"#),
            ("a: !!str 5\nb: !!int '5'", r#"{"a":"5","b":5}"#),
            ("yes: 1\n'no': 2", r#"{"true":1,"no":2}"#),
            ("a: &a [x]\nb: *a\nc: {<<: [{d: 1}, {d: 2, e: 3}]}", r#"{"a":["x"],"b":["x"],"c":{"d":1,"e":3}}"#),
        ] {
            assert_eq!(vec![Ok(json.to_owned())], parse_documents(yaml), "{yaml}");
        }
    }

    #[test]
    fn an_invalid_document_does_not_affect_the_others() {
        let read = parse_documents("# only a comment\n---\na: 1\n--- # second\nb: [\n---\nc: 3\n");
        assert_eq!(3, read.len(), "{read:?}");
        assert_eq!(Ok(r#"{"a":1}"#.to_owned()), read[0]);
        assert!(matches!(read[1], Err((5, _))), "{read:?}");
        assert_eq!(Ok(r#"{"c":3}"#.to_owned()), read[2]);
    }

    #[test]
    fn quoted_text_that_is_not_indented_is_read_as_kubectl_reads_it() {
        let text = "a: 1\n---\n# comment\nspec:\n  description: 'one\n  two'\n  more: &x {b: 2}\n  all: *x\n";
        let documents: Vec<_> = documents(text).collect();
        let node = documents[1].content.as_ref().unwrap();
        let json = r#"{"spec":{"description":"one two","more":{"b":2},"all":{"b":2}}}"#;
        assert_eq!(json, serde_json::to_string(node).unwrap());
        assert_eq!(7, node.at("spec.more").line);
    }

    #[test]
    fn lines_are_those_of_the_whole_text() {
        let documents: Vec<_> =
            documents("a: 1\n---\nspec:\n  containers:\n  - name: x\n  - name: y\n    image: z\n").collect();
        let node = documents[1].content.as_ref().unwrap();
        assert_eq!(2, documents[1].number);
        assert_eq!(7, node.at("spec.containers[1].image").line);
        assert_eq!(6, node.at("spec.containers[1].securityContext.runAsUser").line);
        assert_eq!(4 + 1, node.at("spec.containers[9]").line);
    }

    #[test]
    fn keys_with_special_characters_are_quoted_in_paths() {
        let documents: Vec<_> = documents("data:\n  server.yaml: |\n    a: 1\n  'a]\"b': [x]\n").collect();
        let node = documents[0].content.as_ref().unwrap();
        assert_eq!(Some("a: 1\n"), node.at(r#"data["server.yaml"]"#).as_str());
        assert_eq!(Some("x"), node.at(r#"data["a]\"b"][0]"#).as_str());
        for path in ["[", "[]", "[\"", "..", "data[\"server.yaml\"", "data[0]", "]"] {
            node.at(path);
        }
    }

    #[test]
    fn documents_made_to_exhaust_the_reader_are_rejected() {
        let bomb: String = (1..12)
            .map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(",")))
            .collect();
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let indented: String = (0..2_000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        for text in [format!("a0: &a0 x\n{bomb}"), deep, indented] {
            assert!(matches!(&parse_documents(&text)[..], [Err(_)]));
        }
    }

    #[test]
    fn copies_for_anchors_and_aliases_are_limited() {
        let levels: String = (0..100).map(|level| format!("&a{level} [")).collect();
        let nested = format!("{levels}{}{}", "x,".repeat(50_000), "]".repeat(100));
        let many = format!("a: &a {}\nb: [{}]", "x".repeat(100_000), "*a,".repeat(4_000));
        for text in [nested, many] {
            assert!(matches!(&parse_documents(&text)[..], [Err(_)]));
        }
    }

    #[test]
    fn values_that_json_does_not_have_are_rejected() {
        for text in [
            "a: .inf",
            "a: .nan",
            "a: -.inf",
            "a: 'one\ntwo'\nb: .nan",
            "*a",
            "? [a]\n: b",
            "~: a",
            "a: &a [*a]",
            "a: !!binary aGk=",
            "<<: 5",
            "%YAML 9.9\n",
            "\0",
        ] {
            assert!(matches!(&parse_documents(text)[..], [Err(_)]), "{text:?}: {:?}", parse_documents(text));
        }
    }
}

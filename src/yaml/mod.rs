//! YAML as Go programs read it: flyteadmin with yaml.v3, and kubectl with yaml.v2.
//!
//! The parser is `libyaml-rs`, libyaml in Rust by the YAML organization, which Kubewarden's `yaml_serde` uses too.
//! yaml.v3 is a port of the same libyaml, and its grammar decides whether flyteadmin starts. Of 38,000 files with
//! random faults, libyaml-rs disagreed with yaml.v3 on about 0.7 %. Newer parsers (`granit-parser`, `saphyr-parser`)
//! disagreed on about 6.0 and 7.5 %, mostly because they accept what flyteadmin rejects; `libyaml-safer`, the other
//! port, panicked. libyaml-rs is as fast as any of them, and the smallest. Its code is unsafe Rust, and runs in
//! WebAssembly's sandbox, in an instance made for one request.
//!
//! A full tree of nodes would cost too much. Two kinds of values become `Node`s: those that `Document::parse` is told
//! to keep, and those with an anchor, because an alias may need them. An alias shares its node, so a document that
//! multiplies by aliases stays as small as its text.

mod compose;
mod events;
mod scalar;

use std::{collections::BTreeSet, rc::Rc};

pub use events::{Broken, Event, Events, Said, Span, Style, check_directives};
pub use scalar::{Int, Meaning, Scalar};

/// The tag of the key `<<`.
pub const MERGE_TAG: &str = "tag:yaml.org,2002:merge";
/// The tag of bytes in base64.
pub const BINARY_TAG: &str = "tag:yaml.org,2002:binary";

/// The first document of a text, with the values that are kept.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its map; `None` if it is empty.
    pub(crate) root: Option<Rc<Node>>,
}

/// A value.
#[derive(Debug)]
pub(crate) struct Node {
    /// The line it starts on, from 1.
    pub(crate) line: usize,
    pub(crate) value: Value,
    size: Size,
}

#[derive(Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

/// A key of a map and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Box<str>,
    /// The line of the key, from 1.
    pub(crate) line: usize,
    /// Whether the key is `<<`, so that the value is a map, or a list of maps, to merge into this one.
    is_merge: bool,
    pub(crate) value: Rc<Node>,
}

/// How large a value would be if its aliases were written out.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// The number of values in it, including itself and the keys of maps.
    values: u64,
    /// The number of levels in it: 0 for a scalar.
    levels: usize,
}

/// Why a text cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// flyteadmin cannot read it either.
    Broken { line: usize, reason: String },
    /// A key is given twice, which flyteadmin rejects since v1.16.6.
    Twice { line: usize, key: Box<str>, first: usize },
    /// It is not supported here.
    Beyond { line: usize, reason: String },
}

impl Document {
    /// Reads the first document of a text, as yaml.v3 does, and keeps the top-level keys that are `wanted`.
    ///
    /// # Errors
    ///
    /// yaml.v3 rejects the text, or it nests too deep or has too many values to be read, or is not supported here.
    pub(crate) fn parse(text: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Self, Unreadable> {
        compose::compose(text, &wanted).map(|root| Self { root })
    }
}

/// The value that counts if a map has a key itself and also gets it by `<<`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merging {
    /// The map's own value, wherever `<<` stands: `merge` of yaml.v3 v3.0.1, `decode.go`.
    OwnFirst,
    /// The value that stands further down: `merge` of yaml.v2 v2.4.0, `decode.go`.
    LastFirst,
}

/// An entry of a map, its own or a merged one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'n> {
    pub(crate) entry: &'n Entry,
    /// The line of the `<<` that replaces an earlier entry with it, in [`Merging::LastFirst`].
    pub(crate) replaces: Option<usize>,
}

impl Node {
    /// The entries of a map that have the requested keys, including merged ones; empty if this is not a map.
    ///
    /// The keys of the first merged map override those of the next one.
    pub(crate) fn entries(&self, merging: Merging, is_asked_for: &dyn Fn(&str) -> bool) -> Vec<Found<'_>> {
        let mut entries = Vec::new();
        self.collect(merging, is_asked_for, None, &mut BTreeSet::new(), &mut entries);
        entries
    }

    fn collect<'n>(
        &'n self,
        merging: Merging,
        is_asked_for: &dyn Fn(&str) -> bool,
        replaces: Option<usize>,
        keys: &mut BTreeSet<&'n str>,
        entries: &mut Vec<Found<'n>>,
    ) {
        let Value::Map(own) = &self.value else {
            return;
        };
        // A second `<<` is rejected like any key that is given twice.
        let merge = own.iter().position(|entry| entry.is_merge).unwrap_or(own.len());
        let (before, rest) = own.split_at(merge);
        let (merge, behind) = rest.split_at(rest.len().min(1));
        let parts = match merging {
            Merging::OwnFirst => [before, behind, merge],
            Merging::LastFirst => [behind, merge, before],
        };
        for entry in parts.into_iter().flatten() {
            if !entry.is_merge {
                if is_asked_for(&entry.key) && keys.insert(&entry.key) {
                    entries.push(Found { entry, replaces });
                }
                continue;
            }
            let is_late = merging == Merging::LastFirst && before.iter().any(|own| is_asked_for(&own.key));
            let replaces = replaces.or(is_late.then_some(entry.line));
            let maps = match &entry.value.value {
                Value::List(maps) => &maps[..],
                _ => std::slice::from_ref(&entry.value),
            };
            for map in maps {
                map.collect(merging, is_asked_for, replaces, keys, entries);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, Found, Meaning, Merging, Node, Unreadable, Value};

    /// A document in a notation for tests: `{a: 1, b: ["x"]}`, with numbers and texts as they mean.
    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Scalar(scalar) => match scalar.meaning().unwrap() {
                Meaning::Text(text) => format!("{text:?}"),
                Meaning::Int(number) => number.to_string(),
                other => format!("{other:?}"),
            },
            Value::List(items) => format!("[{}]", items.iter().map(|item| shown(item)).collect::<Vec<_>>().join(", ")),
            Value::Map(_) => {
                let entries = node.entries(Merging::OwnFirst, &|_| true);
                let entries =
                    entries.iter().map(|Found { entry, .. }| format!("{}: {}", entry.key, shown(&entry.value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn read_scalar(text: &str) -> Result<String, Unreadable> {
        let document = Document::parse(text.as_bytes(), |_| true)?;
        Ok(document.root.as_deref().map_or("nothing".to_owned(), shown))
    }

    fn broken(line: usize, reason: &str) -> Result<String, Unreadable> {
        Err(Unreadable::Broken { line, reason: reason.to_owned() })
    }

    #[test]
    fn documents_are_read_as_yaml_v3_reads_them() {
        for (text, expected) in [
            ("", "nothing"),
            ("# only a comment\n", "nothing"),
            ("null", "nothing"),
            ("a: 1\n---\nb: 2\n", "{a: 1}"),
            ("\u{feff}a: 1", "{a: 1}"),
            ("a: [1, 'b']\nc: {d: yes}", "{a: [1, \"b\"], c: {d: \"yes\"}}"),
            ("a: &x {b: 1}\nc: *x", "{a: {b: 1}, c: {b: 1}}"),
            ("a: &x {b: 1, c: 1}\nd: {<<: *x, c: 2}", "{a: {b: 1, c: 1}, d: {c: 2, b: 1}}"),
            ("<<: [{a: 1}, {a: 2, b: 3}]\nc: 4", "{c: 4, a: 1, b: 3}"),
            ("'<<': 5", "{<<: 5}"),
            ("a: |\n  one\n  two\n", "{a: \"one\\ntwo\\n\"}"),
        ] {
            assert_eq!(Ok(expected.to_owned()), read_scalar(text), "{text}");
        }
    }

    #[test]
    fn text_that_yaml_v3_rejects_is_rejected_with_its_line() {
        for (text, expected) in [
            ("[a]", broken(1, "this is a list, but must be a map")),
            ("x", broken(1, "this is a text, but must be a map")),
            ("a: 1\nb: 2\na: 3", Err(Unreadable::Twice { line: 3, key: "a".into(), first: 1 })),
            ("a:\n  {b: 1, b: 2}", Err(Unreadable::Twice { line: 2, key: "b".into(), first: 2 })),
            ("a: *b", broken(1, "an alias has no anchor")),
            ("a: &a [*a]", broken(1, "the value of an anchor contains itself")),
            ("<<: 5", broken(1, "the value of << must be a map")),
            ("<<: [5]", broken(1, "the value of << must be a map")),
            ("a: {{ b }}", broken(1, "a key is a list or a map, and must be a string")),
            ("a: 1\n\tb: 2", broken(2, "invalid YAML: found a tab character that violates indentation")),
            ("a: 1\nb: 2\nc: \u{1}", broken(3, "invalid YAML: control characters are not allowed")),
            ("a: !!int b", broken(1, "the value cannot be read as !!int")),
            ("a: &a [{}]\nb: {<<: *a}", broken(2, "the value of << must be a map")),
            ("a: 1\n...\n@", broken(3, "invalid YAML: found character that cannot start any token")),
            ("a: [\n", broken(2, "invalid YAML: did not find expected node content")),
            ("a: \u{1}", broken(1, "invalid YAML: control characters are not allowed")),
            ("a: *", broken(1, "invalid YAML: did not find expected alphabetic or numeric character")),
        ] {
            assert_eq!(expected, read_scalar(text), "{text}");
        }
    }

    #[test]
    fn keys_that_viper_reads_specially_are_not_read() {
        for text in
            ["1: a", "true: a", "~: a", "!!binary c2VydmVy: a", "ſerver: a", "a: &k b\n*k : c", "a: b\n! '<<': {a: c}"]
        {
            assert!(matches!(read_scalar(text), Err(Unreadable::Beyond { .. })), "{text}");
        }
        assert_eq!(Ok("{a: {b: 1}, '1': 2}".replace('\'', "")), read_scalar("a: {b: 1}\n'1': 2"));
    }

    #[test]
    fn only_wanted_and_anchored_values_are_kept() {
        let text = "a: {b: &x {c: 1}}\nd: {<<: *x, e: 2}\nf: {g: *x}\n";
        let document = Document::parse(text.as_bytes(), |key| key == "d").unwrap();
        assert_eq!("{d: {e: 2, c: 1}}", shown(&document.root.unwrap()));
        let twice = Unreadable::Twice { line: 1, key: "b".into(), first: 1 };
        assert_eq!(twice, Document::parse(b"a: {b: 1, b: 2}", |_| false).unwrap_err());
    }

    #[test]
    fn an_alias_bomb_is_rejected_as_yaml_v3_rejects_it() {
        let bomb: String = (1..12)
            .map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(",")))
            .collect();
        let refused = read_scalar(&format!("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{bomb}"));
        assert_eq!(broken(4, "its aliases stand for 4983 values, which is excessive"), refused);
    }
}

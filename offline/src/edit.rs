//! Edits an object in its text, and keeps comments, order and layout.
//!
//! libyaml gives the position of each value, and an edit replaces, adds or removes only that value. The new text is
//! parsed again, and kept only if it has the expected content.

mod spot;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spot::{Kind, Spot};

use crate::{
    manifest,
    report::Place,
    yaml::{self, Document, Step, Style},
};

/// A change to an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
// A misspelt `value` would otherwise remove the current value.
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
pub struct Edit {
    /// The path in the object, e.g. `spec.containers[0].securityContext.runAsUser`.
    pub path: String,
    /// If the path leads to a file, such as an entry of a ConfigMap: the path in that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// The value before the change. If the text has another value by now, the edit fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", tsify(type = "unknown"))]
    pub was: Option<Value>,
    /// The new value. If absent, the current value is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", tsify(type = "unknown"))]
    pub value: Option<Value>,
}

/// Returns the text with edits to one of its objects.
///
/// # Errors
///
/// Why the edits cannot be made.
pub fn mended(text: &str, place: &Place, edits: &[Edit]) -> Result<String, String> {
    let mut text = text.to_owned();
    for edit in edits {
        let mut found = manifest::objects(&text).flatten().filter(|object| place.is_of(object)).collect::<Vec<_>>();
        let (Some(object), true) = (found.pop(), found.is_empty()) else {
            return Err("found no such object on that line, or more than one".to_owned());
        };
        let change = Change {
            route: object.route().into_iter().chain(yaml::steps(&edit.path)).collect(),
            within: edit.within.as_deref().map(yaml::steps),
            was: edit.was.clone(),
            value: edit.value.clone(),
        };
        let document = yaml::documents(&text).find(|document| document.number == object.document);
        let span = document.ok_or("there is no such document")?.span;
        let part = changed(&text[span.clone()], &[change])?;
        text.replace_range(span, &part);
    }
    Ok(text)
}

/// A change to a document.
#[derive(Debug, Clone)]
pub struct Change {
    /// The path in the document.
    pub route: Vec<Step>,
    /// If the path leads to a file: the path in that file.
    pub within: Option<Vec<Step>>,
    /// The value before the change, if it must be checked.
    pub was: Option<Value>,
    /// The new value, or `None` to remove the current one.
    pub value: Option<Value>,
}

/// Returns the text of one document with changes. No change may refer to a value that another change adds.
///
/// # Errors
///
/// Why the changes cannot be made.
pub fn changed(text: &str, changes: &[Change]) -> Result<String, String> {
    // This includes several JSON values in a row, as `jq -c` prints them.
    if serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>().all(|value| value.is_ok()) {
        return Err("JSON cannot be edited".to_owned());
    }
    // libyaml ends a line at each of these characters; some editors do not.
    let mut breaks = text.match_indices(['\r', '\u{85}', '\u{2028}', '\u{2029}']);
    if breaks.any(|(at, _)| !text[at..].starts_with("\r\n")) {
        return Err("its line endings are not supported".to_owned());
    }
    let mut expected = only(text).ok_or("it is not a single readable document")?;
    let root = Spot::parse(text).ok_or("it is not a single readable document")?;
    // Apply the last change first, so that earlier positions stay valid. A sort function would add 4 KB to the page.
    let mut splices: Vec<Splice> = Vec::new();
    for change in changes {
        let own = splice(text, &root, change)?;
        splices.insert(splices.partition_point(|other| other.start > own.start), own);
        let value = match &change.within {
            None => {
                if let Some(was) = &change.was
                    && find(&mut expected, &change.route).as_deref() != Some(was)
                {
                    return Err(format!("{was} is no longer there"));
                }
                change.value.clone()
            }
            Some(within) => {
                let file = find(&mut expected, &change.route).and_then(|file| file.as_str()).ok_or(NO_TEXT)?;
                Some(json!(changed(file, &[Change { within: None, route: within.clone(), ..change.clone() }])?))
            }
        };
        put(&mut expected, &change.route, value)?;
    }
    let mut edited = text.to_owned();
    for Splice { start, end, with } in splices {
        edited.replace_range(start..end, &with);
    }
    match only(&edited) == Some(expected) {
        true => Ok(edited),
        false => Err("the edit would change more than this".to_owned()),
    }
}

const NO_TEXT: &str = "there is no text to edit";

/// Parses a text that has exactly one document.
fn only(text: &str) -> Option<Value> {
    let mut documents = yaml::documents(text);
    match (documents.next()?, documents.next()) {
        (Document { content: Ok(content), .. }, None) => Some(json!(content)),
        _ => None,
    }
}

/// A part of a text, and its replacement.
struct Splice {
    start: usize,
    end: usize,
    with: String,
}

/// Translates a change into a splice of the document's text.
fn splice(text: &str, root: &Spot, Change { route, within, value, .. }: &Change) -> Result<Splice, String> {
    let (spot, parents, rest) = root.follow(route);
    if let Some(within) = within {
        return match rest {
            [] => spot_within(text, spot, within, value.as_ref()),
            _ => Err(NO_TEXT.to_owned()),
        };
    }
    match (rest, value) {
        ([], Some(value)) => replaced(text, spot, value),
        ([], None) => removed(text, spot, parents.last().copied()),
        (_, None) => Err("it is not there".to_owned()),
        (rest, Some(value)) => {
            let keys = rest.iter().map(|step| match step {
                Step::Key(key) => Ok(key.as_str()),
                Step::Index(_) => Err("there is no such item".to_owned()),
            });
            added(text, spot, &keys.collect::<Result<Vec<_>, _>>()?, value)
        }
    }
}

/// Changes a file that is a block value below `|`. The splice covers only the lines that differ.
fn spot_within(text: &str, spot: &Spot, within: &[Step], value: Option<&Value>) -> Result<Splice, String> {
    let Kind::Scalar { style, text: file } = &spot.kind else { return Err(NO_TEXT.to_owned()) };
    if *style != Style::Block || !text[spot.start..].starts_with('|') {
        return Err("the file is not a `|` block".to_owned());
    }
    let change = Change { route: within.to_vec(), within: None, was: None, value: value.cloned() };
    let edited = changed(file, &[change])?;
    let (old, new): (Vec<&str>, Vec<&str>) = (file.lines().collect(), edited.lines().collect());
    let before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let most = old.len().min(new.len()) - before;
    let after = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(old, new)| old == new).count();

    let header = line_end(text, spot.start);
    let lines: Vec<&str> = text.get(header..spot.end).ok_or(NO_TEXT)?.split_inclusive('\n').collect();
    let indent = lines.iter().find(|line| !line.trim().is_empty()).map_or("", |line| blanks(line));
    let at = |line: usize| header + lines[..line.min(lines.len())].iter().map(|line| line.len()).sum::<usize>();
    let end = line_break(text);
    let with = new[before..new.len() - after].iter().map(|line| match line.is_empty() {
        true => end.to_owned(),
        false => format!("{indent}{line}{end}"),
    });
    let mut with: String = with.collect();
    let (start, stop) = (at(before), at(old.len() - after));
    // The last line of a text may have no line break.
    if start < stop && !text[..stop].ends_with('\n') {
        with.truncate(with.trim_end_matches(['\r', '\n']).len());
    }
    Ok(Splice { start, end: stop, with })
}

fn replaced(text: &str, spot: &Spot, value: &Value) -> Result<Splice, String> {
    let Kind::Scalar { style, .. } = &spot.kind else {
        return Err("the value to replace is not a scalar".to_owned());
    };
    let own = &text[spot.start..spot.end];
    let with = match (style, value) {
        (Style::Block, _) => return Err("a multi-line string cannot be replaced".to_owned()),
        (_, Value::Object(_) | Value::Array(_)) if !own.is_empty() => return Err("it is a scalar".to_owned()),
        (Style::Quoted, Value::String(new)) if own.starts_with('\'') && !new.contains(['\'', '\n']) => {
            format!("'{new}'")
        }
        (Style::Quoted, Value::String(new)) => json!(new).to_string(),
        _ => flow(value),
    };
    // An empty value directly follows the colon of its key, so it needs a space.
    let space = if own.is_empty() { " " } else { "" };
    Ok(Splice { start: spot.start, end: spot.end, with: format!("{space}{with}") })
}

fn removed(text: &str, spot: &Spot, parent: Option<&Spot>) -> Result<Splice, String> {
    let Some(Spot { kind: Kind::List { is_flow, items }, .. }) = parent else {
        return Err("only items of lists are removed".to_owned());
    };
    let index = items.iter().position(|item| item.start == spot.start).ok_or("it is not there")?;
    if items.len() == 1 {
        return Err("its list would be empty".to_owned());
    }
    let (start, end) = match (is_flow, items.get(index + 1)) {
        // Remove the comma behind the item as well. Keep a comment before the next item.
        (true, Some(next)) => {
            let comma = text[spot.end..next.start].find(',').ok_or("there is no comma after it")?;
            let behind = &text[spot.end + comma + 1..next.start];
            (spot.start, next.start - behind.trim_start_matches(' ').len())
        }
        (true, None) => (items[index - 1].end, spot.end),
        // Remove the dash before the item as well.
        (false, _) => (line_start(text, spot.start), line_end(text, spot.end)),
    };
    if !is_flow && text[start..spot.start].trim() != "-" {
        return Err("it shares its line with other text".to_owned());
    }
    Ok(Splice { start, end, with: String::new() })
}

/// Adds a key to a map. With several keys, each is added to the map of the one before.
fn added(text: &str, spot: &Spot, keys: &[&str], value: &Value) -> Result<Splice, String> {
    let (key, deeper) = keys.split_first().ok_or("it is there")?;
    let value = deeper.iter().rev().fold(value.clone(), |value, key| json!({ *key: value }));
    match &spot.kind {
        Kind::Map { is_flow: false, entries } => {
            let last = entries.last().ok_or("an empty map without braces")?;
            let end = match trimmed_end(text, last.1.end.max(last.1.start)) {
                end if text[..end].ends_with('\n') => end,
                end => line_end(text, end),
            };
            let lines = block(key, &value, spot.column);
            let line_break = line_break(text);
            let lines = lines.join(line_break);
            let with = match text[..end].is_empty() || text[..end].ends_with('\n') {
                true => format!("{lines}{line_break}"),
                false => format!("{line_break}{lines}"),
            };
            Ok(Splice { start: end, end, with })
        }
        Kind::Map { is_flow: true, entries } if entries.is_empty() && !text[spot.start..].starts_with('{') => {
            Err("it has a tag or an anchor, and nothing in it".to_owned())
        }
        Kind::Map { is_flow: true, entries } => {
            let entry = format!("{}: {}", flow(&json!(key)), flow(&value));
            match entries.last() {
                Some((_, last)) => Ok(Splice { start: last.end, end: last.end, with: format!(", {entry}") }),
                // Insert directly behind the brace, because a comment may follow it.
                None => Ok(Splice { start: spot.start + 1, end: spot.start + 1, with: entry }),
            }
        }
        Kind::Scalar { style: Style::Plain, text: own } if matches!(own.as_str(), "" | "~" | "null") => {
            let own = &text[spot.start..spot.end];
            let space = if own.is_empty() { " " } else { "" };
            let with = format!("{space}{}", flow(&json!({ *key: value })));
            Ok(Splice { start: spot.start, end: spot.end, with })
        }
        Kind::Alias => Err("it is an alias, whose value other fields may share".to_owned()),
        _ => Err("the place to add it to is not a map".to_owned()),
    }
}

/// Writes a key and its value on lines of their own.
fn block(key: &str, value: &Value, indent: usize) -> Vec<String> {
    let key = flow(&json!(key));
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let first = format!("{:indent$}{key}:", "");
            let rest = fields.iter().flat_map(|(key, value)| block(key, value, indent + 2));
            std::iter::once(first).chain(rest).collect()
        }
        value => vec![format!("{:indent$}{key}: {}", "", flow(value))],
    }
}

/// Writes a value on one line, with braces and brackets if needed.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{}: {}", flow(&json!(key)), flow(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) if reads_as_itself(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a text needs no quotes, even inside braces.
fn reads_as_itself(text: &str) -> bool {
    let is_safe = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
    let is_url = |text: &str| text.split_once("://").is_some_and(|(_, rest)| rest.chars().all(is_safe));
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && (text.chars().all(is_safe) || is_url(text))
        && only(&format!("a: {text}")) == Some(json!({ "a": text }))
}

/// Returns where the line of a position starts.
fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Returns the position behind the line break of a position's line.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}

/// Moves a position back over empty lines, which do not belong to the value before it.
fn trimmed_end(text: &str, end: usize) -> usize {
    let kept = text[..end].trim_end().len();
    if text[kept..end].contains('\n') { line_end(text, kept) } else { end }
}

fn blanks(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// Returns the line break of the text's first line.
fn line_break(text: &str) -> &'static str {
    match text.find('\n') {
        Some(end) if text[..end].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

fn find<'v>(value: &'v mut Value, route: &[Step]) -> Option<&'v mut Value> {
    route.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    })
}

/// Sets the value at a route, or removes it. Creates missing maps on the way.
fn put(root: &mut Value, route: &[Step], value: Option<Value>) -> Result<(), String> {
    let (last, route) = route.split_last().ok_or("a document is not replaced")?;
    let mut place = root;
    for step in route {
        place = match step {
            Step::Key(key) => {
                if place.is_null() {
                    *place = json!({});
                }
                place.as_object_mut().ok_or("there is no map")?.entry(key).or_insert(Value::Null)
            }
            Step::Index(index) => place.get_mut(index).ok_or("there is no such item")?,
        };
    }
    match (last, value) {
        (Step::Key(key), Some(value)) => {
            if place.is_null() {
                *place = json!({});
            }
            place.as_object_mut().ok_or("there is no map")?.insert(key.clone(), value);
        }
        (Step::Index(index), Some(value)) => *place.get_mut(index).ok_or("there is no such item")? = value,
        (Step::Index(index), None) => {
            let items = place.as_array_mut().filter(|items| *index < items.len()).ok_or("there is no such item")?;
            items.remove(*index);
        }
        (Step::Key(_), None) => return Err("only items of lists are removed".to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Edit, mended};
    use crate::{manifest, report::Place};

    fn at(text: &str, line: usize, edits: &[Edit]) -> Result<String, String> {
        let objects: Vec<_> = manifest::objects(text).flatten().collect();
        let object = objects.iter().find(|object| object.line == line).ok_or("no object")?;
        mended(text, &Place::from_object(object, "a.yaml"), edits)
    }

    /// Makes one edit to the object on a text's first line.
    fn edited(
        text: &str,
        path: &str,
        within: Option<&str>,
        value: Option<serde_json::Value>,
    ) -> Result<String, String> {
        let within = within.map(str::to_owned);
        at(text, 1, &[Edit { path: path.to_owned(), within, was: None, value }])
    }

    const FILE: &str = "apiVersion: v1\nkind: ConfigMap\ndata:\n  a.yaml: |\n    # one\n    list:\n    - '*'\n    - http://a/  # two\n\n  b: 1\n";

    #[test]
    fn a_value_in_an_embedded_file_is_changed_in_place() {
        let at = |within| edited(FILE, "data[\"a.yaml\"]", Some(within), Some(json!("http://a")));
        assert_eq!(Ok(FILE.replace("http://a/ ", "http://a ")), at("list[1]"));
        assert_eq!(Err("there is no such item".to_owned()), at("list[2]"));
        let quoted = "apiVersion: v1\nkind: ConfigMap\ndata: {a: \"b: 1\"}\n";
        let reason = "the file is not a `|` block";
        assert_eq!(Err(reason.to_owned()), edited(quoted, "data.a", Some("b"), Some(json!(2))));
    }

    #[test]
    fn removing_an_item_removes_its_line() {
        assert_eq!(Ok(FILE.replace("    - '*'\n", "")), edited(FILE, "data[\"a.yaml\"]", Some("list[0]"), None));
        for (before, after) in [("a: [x, y]", "a: [y]"), ("a: [y, x]", "a: [y]"), ("a: [y, x, z]", "a: [y, z]")] {
            let text = |list| format!("apiVersion: v1\nkind: Pod\n{list}\n");
            let index = before[..before.find('x').unwrap()].matches(',').count();
            assert_eq!(Ok(text(after)), edited(&text(before), &format!("a[{index}]"), None, None), "{before}");
        }
        let alone = "apiVersion: v1\nkind: Pod\na:\n- x\n";
        assert_eq!(Err("its list would be empty".to_owned()), edited(alone, "a[0]", None, None));
    }

    #[test]
    fn a_value_keeps_its_quotes_and_gets_the_quotes_it_needs() {
        for (before, value, after) in [
            ("'0'", json!("1"), "'1'"),
            ("\"0\"", json!("a: b"), "\"a: b\""),
            ("0", json!("1"), "\"1\""),
            ("0", json!(1), "1"),
            ("0", json!("yes"), "\"yes\""),
            ("0", json!("https://a.example:8443/b"), "\"https://a.example:8443/b\""),
            ("0", json!("https://a.example"), "https://a.example"),
        ] {
            let text = |value: &str| format!("apiVersion: v1\nkind: Pod\na: {value} # why\n");
            assert_eq!(Ok(text(after)), edited(&text(before), "a", None, Some(value)), "{before}");
        }
    }

    #[test]
    fn missing_maps_are_created() {
        let text = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: a\n      # its image\n      image: b\n  c: 1\n";
        let path = "spec.containers[0].securityContext.runAsUser";
        let lines = "      image: b\n      securityContext:\n        runAsUser: 1\n";
        assert_eq!(Ok(text.replace("      image: b\n", lines)), edited(text, path, None, Some(json!(1))));
    }

    #[test]
    fn an_edit_that_would_change_more_is_rejected() {
        let text = "apiVersion: v1\nkind: Pod\na: &a {b: 1}\nc: *a\n";
        let reason = "the edit would change more than this";
        assert_eq!(Err(reason.to_owned()), edited(text, "a.b", None, Some(json!(2))));
    }

    #[test]
    fn an_edit_changes_its_own_object_or_nothing() {
        let list = "kind: List\napiVersion: v1\nitems: [{apiVersion: v1, kind: Pod, metadata: {name: a}}, {apiVersion: v1, kind: Pod, metadata: {name: b}}]\n";
        let objects: Vec<_> = manifest::objects(list).flatten().collect();
        let edits = [Edit { path: "x".to_owned(), within: None, was: None, value: Some(json!(1)) }];
        let mended = mended(list, &Place::from_object(&objects[1], ""), &edits);
        assert_eq!(Ok(list.replace("{name: b}", "{name: b}, x: 1")), mended);
        let twice = list.replace("name: b", "name: a");
        assert!(super::mended(&twice, &Place::from_object(&objects[0], ""), &edits).is_err());
        let later = format!("{FILE}---\n{FILE}");
        let edits = [Edit { path: "data.b".to_owned(), within: None, was: None, value: Some(json!(2)) }];
        assert_eq!(Ok(format!("{FILE}---\n{}", FILE.replace("b: 1", "b: 2"))), at(&later, 12, &edits));
    }

    #[test]
    fn an_edit_of_a_value_that_has_changed_is_rejected() {
        let within = |index: usize| Some(format!("list[{index}]"));
        let path = || "data[\"a.yaml\"]".to_owned();
        let remove = |index, was| [Edit { path: path(), within: within(index), was: Some(json!(was)), value: None }];
        let once = at(FILE, 1, &remove(0, "*")).unwrap();
        assert_eq!(Err("it is not there".to_owned()), at(&once, 1, &remove(1, "http://a/")));
        let [removal] = remove(0, "*");
        let replaced = [Edit { value: Some(json!("x")), ..removal }];
        assert_eq!(Err("\"*\" is no longer there".to_owned()), at(&once, 1, &replaced));
    }

    #[test]
    fn texts_of_all_kinds_are_edited_or_rejected() {
        let last = "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n    b: 1";
        assert_eq!(Ok(last.replace("b: 1", "b: 2")), edited(last, "data.a", Some("b"), Some(json!(2))));
        let empty = "apiVersion: v1\nkind: Pod\na: { # one\n  }\nb: !!map {}\n";
        assert_eq!(Ok(empty.replace("a: {", "a: {c: 1")), edited(empty, "a.c", None, Some(json!(1))));
        assert!(edited(empty, "b.c", None, Some(json!(1))).is_err());
        let commented = "apiVersion: v1\nkind: Pod\na: [x, # one\n  # two\n  y]\n";
        assert_eq!(Ok(commented.replace("x, ", "")), edited(commented, "a[0]", None, None));
        let marked = "\u{feff}apiVersion: v1\nkind: Pod\na: é\n---\n\u{feff}apiVersion: v1\nkind: Pod\na: 1\n";
        let edits = [Edit { path: "a".to_owned(), within: None, was: None, value: Some(json!(2)) }];
        assert_eq!(Ok(marked.replace("a: 1", "a: 2")), at(marked, 5, &edits));
        for odd in ["\r", "\u{85}", "\u{2028}"] {
            let text = FILE.replace("# one\n", &format!("# one{odd}    c: 1\n"));
            let result = edited(&text, "data[\"a.yaml\"]", Some("list[1]"), Some(json!("x")));
            assert_eq!(Err("its line endings are not supported".to_owned()), result, "{odd:?}");
        }
    }
}

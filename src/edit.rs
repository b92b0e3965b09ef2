//! Changes to a JSON text that keep the rest byte for byte: unknown fields, the spelling of numbers, the order.

use serde_json::value::RawValue;

use crate::members::Members;

/// The members of an object; empty if the text is not an object.
pub(crate) fn members(text: &str) -> Members<'_, &RawValue> {
    serde_json::from_str(text).unwrap_or_default()
}

/// The items of a list; `None` if the text is not a list.
pub(crate) fn items(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

/// The part of the text at a path of keys and indices.
pub(crate) fn at<'t>(text: &'t str, path: &[&str]) -> Option<&'t str> {
    let Some((step, rest)) = path.split_first() else { return Some(text) };
    at(below(text, step)?, rest)
}

fn below<'t>(text: &'t str, step: &str) -> Option<&'t str> {
    let part = match step.parse::<usize>() {
        Ok(index) => items(text)?.get(index).copied(),
        Err(_) => members(text).get(step).copied(),
    };
    part.map(RawValue::get)
}

/// The object with a member set to null, if it has that member.
pub(crate) fn without(text: &str, member: &str) -> String {
    below(text, member).map_or_else(|| text.to_owned(), |part| replaced(text, part, "null"))
}

/// Returns the text with members added to the object at a path. The object is created if it is absent or null. A member
/// that is null is set; a member that has a value keeps it.
pub(crate) fn add_members(text: &str, path: &[&str], more: &[(&str, String)]) -> String {
    let Some((step, rest)) = path.split_first() else {
        return more.iter().fold(text.to_owned(), |text, (key, value)| with_member(&text, key, value));
    };
    match below(text, step).filter(|part| *part != "null") {
        Some(part) => replaced(text, part, &add_members(part, rest, more)),
        None => with_member(text, step, &add_members("{}", rest, more)),
    }
}

fn with_member(text: &str, key: &str, value: &str) -> String {
    match members(text).get(key) {
        Some(null) if null.get() == "null" => replaced(text, null.get(), value),
        Some(_) => text.to_owned(),
        None => {
            let end = text.rfind('}').unwrap_or(text.len());
            let comma = if text[..end].trim_end().ends_with('{') { "" } else { "," };
            format!("{}{comma}\"{key}\":{value}{}", &text[..end], &text[end..])
        }
    }
}

/// An addition that turns one version of an object into another.
#[cfg(feature = "opa")]
pub(crate) struct Addition<'t> {
    /// The place, as a JSON pointer.
    pub(crate) path: String,
    pub(crate) value: &'t RawValue,
}

/// Returns the members that a new version of an object adds, or sets in place of null. The versions must not differ
/// otherwise.
#[cfg(feature = "opa")]
pub(crate) fn added<'t>(old: &str, new: &'t RawValue) -> Vec<Addition<'t>> {
    let below = |step: &str, old: &str, new: &'t RawValue| {
        let step = step.replace('~', "~0").replace('/', "~1");
        added(old, new)
            .into_iter()
            .map(move |addition| Addition { path: format!("/{step}{}", addition.path), ..addition })
    };
    if old == new.get() {
        Vec::new()
    } else if let (Some(old), Some(new)) = (items(old), items(new.get())) {
        let pairs = old.iter().zip(new).enumerate();
        pairs.flat_map(|(index, (old, new))| below(&index.to_string(), old.get(), new)).collect()
    } else if old.starts_with('{') {
        let old = members(old);
        let new = members(new.get()).0.into_iter();
        new.flat_map(|(name, new)| below(&name, old.get(&*name).map_or("", |old| old.get()), new).collect::<Vec<_>>())
            .collect()
    } else {
        vec![Addition { path: String::new(), value: new }]
    }
}

/// The text with one part of it replaced.
fn replaced(text: &str, part: &str, other: &str) -> String {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    [&text[..start], other, &text[start + part.len()..]].concat()
}

#[cfg(test)]
mod tests {
    use super::{add_members, at};
    #[cfg(feature = "opa")]
    use serde_json::value::RawValue;

    #[test]
    #[cfg(feature = "opa")]
    fn added_members_are_found() {
        let old = r#"{"a/b":[{"c":null,"x":1e3},{}],"d":1}"#;
        let new = r#"{"a/b":[{"c":{"e":2},"x":1e3},{"f":3}],"d":1,"g":{}}"#.to_owned();
        let new = RawValue::from_string(new).expect("it is JSON");
        let added = super::added(old, &new);
        let added: Vec<_> = added.iter().map(|addition| (&*addition.path, addition.value.get())).collect();
        assert_eq!(vec![("/a~1b/0/c", r#"{"e":2}"#), ("/a~1b/1/f", "3"), ("/g", "{}")], added);
    }

    #[test]
    fn absent_members_are_added_and_the_rest_stays_unchanged() {
        for (text, path, expected) in [
            ("{}", &[][..], r#"{"k":1}"#),
            (r#"{ "a" : 1e3 }"#, &[], r#"{ "a" : 1e3 ,"k":1}"#),
            (r#"{"b":{"c":"}"},"a":1.0}"#, &["b"], r#"{"b":{"c":"}","k":1},"a":1.0}"#),
            (r#"{"a":1}"#, &["b", "c"], r#"{"a":1,"b":{"c":{"k":1}}}"#),
            (r#"{"b":null,"a":1}"#, &["b"], r#"{"b":{"k":1},"a":1}"#),
            (r#"{"b":{"k": null }}"#, &["b"], r#"{"b":{"k": 1 }}"#),
            (r#"{"b":{"k":2}}"#, &["b"], r#"{"b":{"k":2}}"#),
            (r#"{"l":[{},{"x":0}]}"#, &["l", "1", "b"], r#"{"l":[{},{"x":0,"b":{"k":1}}]}"#),
        ] {
            assert_eq!(expected, add_members(text, path, &[("k", "1".to_owned())]), "{text}");
        }
    }

    #[test]
    fn a_path_leads_to_a_part_of_the_text() {
        let text = r#"{"a": [{"b": [ 1 ]}]}"#;
        assert_eq!(Some("[ 1 ]"), at(text, &["a", "0", "b"]));
        assert_eq!(None, at(text, &["a", "1"]));
        assert_eq!(None, at(text, &["b", "c"]));
    }
}

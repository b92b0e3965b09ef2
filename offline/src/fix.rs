//! What policies fill in, put into the manifests themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    ops::Range,
};

use serde_json::{Value, json};

use crate::{
    edit::{Change, changed},
    manifest::{self, Object},
    yaml::{self, Document, Step},
};

/// A text with what was filled in.
#[derive(Debug)]
pub struct Fixed {
    /// As it was.
    pub before: String,
    /// As it is now.
    pub text: String,
    /// How many of its objects changed.
    pub objects: usize,
    /// The objects that are left as they were, by their place in what was wanted, and why.
    pub left: Vec<(usize, String)>,
    /// The documents with Secrets, and those that cannot be read and may be Secrets, by their lines, from 0.
    secret: Vec<Range<usize>>,
}

impl Fixed {
    /// A text with each of some of its objects as policies want it.
    pub fn of(text: &str, wanted: &[(Object, Value)]) -> Self {
        let left = Vec::new();
        let mut fixed = Self { before: text.to_owned(), text: text.to_owned(), objects: 0, left, secret: Vec::new() };
        let mut by_document: BTreeMap<usize, Vec<Wanted>> = BTreeMap::new();
        for (place, change) in wanted.iter().enumerate() {
            by_document.entry(change.0.document).or_default().push((place, change));
        }
        let documents: Vec<Document> = yaml::documents(text).collect();
        let secrets: BTreeSet<usize> = manifest::objects(text)
            .filter_map(|object| match object {
                Ok(object) => (object.kind == "Secret").then_some(object.document),
                Err(unreadable) => Some(unreadable.document),
            })
            .collect();
        let lines_before = |at: usize| text[..at].matches('\n').count();
        // The last line of a text may end in nothing.
        let end = |at: usize| lines_before(at) + usize::from(!text[..at].ends_with('\n'));
        let secret = documents.iter().filter(|document| secrets.contains(&document.number));
        fixed.secret = secret.map(|document| lines_before(document.span.start)..end(document.span.end)).collect();
        // From the last, so that what comes before stays where it is.
        for (number, wanted) in by_document.iter().rev() {
            let Some(document) = documents.iter().find(|document| document.number == *number) else { continue };
            let left = fixed.left.len();
            let part = edited_where_possible(&text[document.span.clone()], wanted, &mut fixed.left);
            fixed.objects += wanted.len() - (fixed.left.len() - left);
            fixed.text.replace_range(document.span.clone(), &part);
        }
        let mut left = Vec::with_capacity(fixed.left.len());
        for own in mem::take(&mut fixed.left) {
            left.insert(left.partition_point(|other| *other < own), own);
        }
        fixed.left = left;
        fixed
    }

    /// Whether a line of the text as it was, from 0, is one of a Secret.
    pub fn is_secret(&self, line: usize) -> bool {
        self.secret.iter().any(|document| document.contains(&line))
    }
}

/// An object, how it is wanted, and its place among all that are.
type Wanted<'w> = (usize, &'w (Object, Value));

/// A document's text with some of its objects as they are wanted, but for those that are added to `left`.
fn edited_where_possible(text: &str, wanted: &[Wanted], left: &mut Vec<(usize, String)>) -> String {
    match (edited(text, wanted), wanted) {
        (Ok(edited), _) => edited,
        (Err(reason), [(place, _)]) => {
            left.push((*place, reason));
            text.to_owned()
        }
        // Reading is what takes long, so they are only parted to find those that cannot be.
        (Err(_), _) => {
            let (first, second) = wanted.split_at(wanted.len() / 2);
            let text = edited_where_possible(text, first, left);
            edited_where_possible(&text, second, left)
        }
    }
}

/// A document's text with some of its objects as they are wanted.
fn edited(text: &str, wanted: &[Wanted]) -> Result<String, String> {
    let mut changes = Vec::new();
    for (_, (object, wanted)) in wanted {
        added(&json!(object.content), wanted, object.route(), &mut changes)?;
    }
    changed(text, &changes)
}

/// What is wanted and is not there, or is null.
fn added(there: &Value, wanted: &Value, route: Vec<Step>, changes: &mut Vec<Change>) -> Result<(), String> {
    let below = |step: Step| [route.clone(), vec![step]].concat();
    match (there, wanted) {
        _ if there == wanted => Ok(()),
        (Value::Object(there), Value::Object(wanted)) if there.keys().all(|key| wanted.contains_key(key)) => {
            for (key, value) in wanted {
                let route = below(Step::Key(key.clone()));
                match there.get(key) {
                    None | Some(Value::Null) if !value.is_null() => {
                        changes.push(Change { route, within: None, was: None, value: Some(value.clone()) });
                    }
                    Some(own) => added(own, value, route, changes)?,
                    None => {}
                }
            }
            Ok(())
        }
        (Value::Array(there), Value::Array(wanted)) if there.len() == wanted.len() => {
            let mut pairs = there.iter().zip(wanted).enumerate();
            pairs.try_for_each(|(index, (own, value))| added(own, value, below(Step::Index(index)), changes))
        }
        _ => Err("a policy changes fields that are already set".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Fixed;
    use crate::manifest;

    /// A text in which every Pod gets `runAsUser: 1`.
    fn fixed(text: &str) -> Fixed {
        let wanted: Vec<_> = manifest::objects(text)
            .flatten()
            .filter(|object| object.kind == "Pod")
            .map(|object| {
                let mut wanted = json!(object.content);
                let context = &mut wanted["spec"]["securityContext"];
                if context.is_null() {
                    *context = json!({});
                }
                context["runAsUser"] = json!(1);
                (object, wanted)
            })
            .collect();
        Fixed::of(text, &wanted)
    }

    #[test]
    fn what_is_filled_in_stands_where_a_person_would_write_it_and_the_rest_is_as_it_was() {
        for (it, before, after) in [
            (
                "a block with comments",
                "# one\nkind: Pod # two\napiVersion: v1\nspec: # three\n  # four\n  containers: [] # five\n  # six\n",
                "# one\nkind: Pod # two\napiVersion: v1\nspec: # three\n  # four\n  containers: [] # five\n  securityContext:\n    runAsUser: 1\n  # six\n",
            ),
            (
                "a security context that is there",
                "kind: Pod\napiVersion: v1\nspec:\n    securityContext:\n        fsGroup: 0x10   # hex\n    a: 1\n",
                "kind: Pod\napiVersion: v1\nspec:\n    securityContext:\n        fsGroup: 0x10   # hex\n        runAsUser: 1\n    a: 1\n",
            ),
            (
                "a null",
                "kind: Pod\napiVersion: v1\nspec:\n  securityContext:\n    runAsUser: null\n",
                "kind: Pod\napiVersion: v1\nspec:\n  securityContext:\n    runAsUser: 1\n",
            ),
            (
                "a key alone",
                "kind: Pod\napiVersion: v1\nspec:\n  securityContext:\n    runAsUser:\n    b: 1\n",
                "kind: Pod\napiVersion: v1\nspec:\n  securityContext:\n    runAsUser: 1\n    b: 1\n",
            ),
            (
                "a map with nothing in it",
                "kind: Pod\napiVersion: v1\nspec:\n  securityContext: {}\n  b: 0x10\n",
                "kind: Pod\napiVersion: v1\nspec:\n  securityContext: {runAsUser: 1}\n  b: 0x10\n",
            ),
            (
                "a map in braces",
                "kind: Pod\napiVersion: v1\nspec: {a: 0x10, 'b': 1}\n",
                "kind: Pod\napiVersion: v1\nspec: {a: 0x10, 'b': 1, securityContext: {runAsUser: 1}}\n",
            ),
            (
                "a map in braces over several lines",
                "---\nkind: Pod\napiVersion: v1\nspec: {\n  a: 1, # one\n}\n",
                "---\nkind: Pod\napiVersion: v1\nspec: {\n  a: 1, securityContext: {runAsUser: 1}, # one\n}\n",
            ),
            (
                "nothing in place of a map",
                "kind: Pod\napiVersion: v1\nspec:\n  securityContext:\n  b: 1\n",
                "kind: Pod\napiVersion: v1\nspec:\n  securityContext: {runAsUser: 1}\n  b: 1\n",
            ),
            (
                "a tag",
                "kind: Pod\napiVersion: v1\nspec: !!map\n  a: 1\n",
                "kind: Pod\napiVersion: v1\nspec: !!map\n  a: 1\n  securityContext:\n    runAsUser: 1\n",
            ),
            (
                "lines that end as on Windows",
                "kind: Pod\r\napiVersion: v1\r\nspec:\r\n  a: 1\r\n",
                "kind: Pod\r\napiVersion: v1\r\nspec:\r\n  a: 1\r\n  securityContext:\r\n    runAsUser: 1\r\n",
            ),
            (
                "the second of several documents",
                "---\na: {b: c}\nkind: X\napiVersion: v1\n--- # next\nkind: Pod\napiVersion: v1\nspec:\n  a: |\n    text\n\n    more\n---\n# end\n",
                "---\na: {b: c}\nkind: X\napiVersion: v1\n--- # next\nkind: Pod\napiVersion: v1\nspec:\n  a: |\n    text\n\n    more\n  securityContext:\n    runAsUser: 1\n---\n# end\n",
            ),
            (
                "the items of a list",
                "kind: List\napiVersion: v1\nitems:\n- kind: Pod\n  apiVersion: v1\n  spec:\n    a: 1\n- kind: Pod\n  apiVersion: v1\n  spec:\n    b: 2\n",
                "kind: List\napiVersion: v1\nitems:\n- kind: Pod\n  apiVersion: v1\n  spec:\n    a: 1\n    securityContext:\n      runAsUser: 1\n- kind: Pod\n  apiVersion: v1\n  spec:\n    b: 2\n    securityContext:\n      runAsUser: 1\n",
            ),
            (
                "a text without an end of its last line",
                "kind: Pod\napiVersion: v1\nspec:\n  a: 1",
                "kind: Pod\napiVersion: v1\nspec:\n  a: 1\n  securityContext:\n    runAsUser: 1",
            ),
            (
                "the items of a list that can be edited",
                "kind: List\napiVersion: v1\nx: &x {a: 1}\nitems:\n- {kind: Pod, apiVersion: v1, spec: *x}\n- kind: Pod\n  apiVersion: v1\n  spec:\n    b: 2\n",
                "kind: List\napiVersion: v1\nx: &x {a: 1}\nitems:\n- {kind: Pod, apiVersion: v1, spec: *x}\n- kind: Pod\n  apiVersion: v1\n  spec:\n    b: 2\n    securityContext:\n      runAsUser: 1\n",
            ),
        ] {
            let fixed = fixed(before);
            assert_eq!(after, fixed.text, "{it}: {:?}", fixed.left);
            assert_eq!(it.ends_with("that can be edited"), !fixed.left.is_empty(), "{it}: {:?}", fixed.left);
        }
    }

    #[test]
    fn what_cannot_be_edited_where_it_stands_is_left_and_named() {
        const OTHER: &str = "the edit would change more than this";
        for (it, text, reason) in [
            ("a map that several have", "kind: Pod\napiVersion: v1\nspec: &s\n  a: 1\nother: *s\n", OTHER),
            (
                "a map from elsewhere",
                "x: &s {a: 1}\nkind: Pod\napiVersion: v1\nspec: *s\n",
                "it is an alias, whose value other fields may share",
            ),
            ("JSON", "{\"kind\": \"Pod\", \"apiVersion\": \"v1\", \"spec\": {\"a\": 1}}\n", "JSON is not edited"),
        ] {
            let fixed = fixed(text);
            assert_eq!((text, 0), (&*fixed.text, fixed.objects), "{it}");
            assert_eq!(vec![(0, reason.to_owned())], fixed.left, "{it}");
        }
    }

    #[test]
    fn a_change_to_what_is_there_is_not_made() {
        let text = "kind: Pod\napiVersion: v1\nspec: {a: 1}\n";
        let object = manifest::objects(text).next().unwrap().unwrap();
        let fixed = Fixed::of(text, &[(object, json!({"kind": "Pod", "apiVersion": "v1", "spec": {"a": 2}}))]);
        assert_eq!(vec![(0, "a policy changes fields that are already set".to_owned())], fixed.left);
    }
}

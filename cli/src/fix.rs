//! What policies fill in, in the manifests themselves: comments, order and layout stay as they are.
//!
//! The library that edits YAML is `yamlpatch`. What it made is read again, and kept only if it is the object that the policies
//! let in, and if all that stands beside it is what it was.

use std::collections::BTreeMap;

use flytewarden_offline::{
    manifest::Object,
    yaml::{self, Document},
};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use similar::TextDiff;
use yamlpatch::{Op, Patch, apply_yaml_patches};
use yamlpath::{Component, Route};

/// A text with what was filled in.
#[derive(Debug)]
pub struct Fixed {
    /// As it was.
    pub before: String,
    /// As it is now.
    pub text: String,
    /// How many of its objects changed.
    pub objects: usize,
    /// The objects that are left as they were: the line of each, from 1, and why.
    pub left: Vec<(usize, String)>,
}

impl Fixed {
    /// A text with each of some of its objects as policies want it.
    pub fn of(text: &str, wanted: &[(&Object, Value)]) -> Self {
        let mut fixed = Self { before: text.to_owned(), text: text.to_owned(), objects: 0, left: Vec::new() };
        let mut by_document: BTreeMap<usize, Vec<&(&Object, Value)>> = BTreeMap::new();
        for change in wanted {
            by_document.entry(change.0.document).or_default().push(change);
        }
        let documents = yaml::documents(text);
        // From the last, so that what comes before stays where it is.
        for (number, wanted) in by_document.iter().rev() {
            let Some(document) = documents.iter().find(|document| document.number == *number) else { continue };
            let is_shared = documents.iter().filter(|other| other.span == document.span).count() > 1;
            let mut part = text[document.span.clone()].to_owned();
            for (object, wanted) in wanted {
                let edited = match is_shared {
                    true => Err("it shares its document with others".to_owned()),
                    false => edited(&part, object, wanted),
                };
                match edited {
                    Ok(edited) => {
                        part = edited;
                        fixed.objects += 1;
                    }
                    Err(reason) => fixed.left.push((object.line, reason)),
                }
            }
            fixed.text.replace_range(document.span.clone(), &part);
        }
        fixed.left.sort();
        fixed
    }

    /// What has changed, as a unified diff; nothing where nothing has.
    pub fn diff(&self, file: &str) -> String {
        TextDiff::from_lines(&self.before, &self.text)
            .unified_diff()
            .header(&format!("a/{file}"), &format!("b/{file}"))
            .to_string()
    }
}

/// A document's text with an object of it as it is wanted.
fn edited(text: &str, object: &Object, wanted: &Value) -> Result<String, String> {
    let route: Vec<Step> =
        object.items.iter().flat_map(|item| [Step::Key("items".to_owned()), Step::Item(*item)]).collect();
    let mut additions = Vec::new();
    added(&json!(object.content), wanted, route, &mut additions)?;
    let patches: Vec<Patch> = additions.iter().map(Addition::patch).collect::<Result<_, _>>()?;

    // The rest is the library's name for the place.
    let unedited = |error: &dyn std::fmt::Display| {
        let error = error.to_string();
        format!("it cannot be edited where it stands: {}", error.split(" route:").next().unwrap_or(&error))
    };
    let document = yamlpath::Document::new(text).map_err(|error| unedited(&error))?;
    let mut edited = apply_yaml_patches(&document, &patches).map_err(|error| unedited(&error))?.source().to_owned();
    if !text.ends_with('\n') && edited.ends_with('\n') {
        edited.pop();
    }

    let mut expected = only(text).ok_or("it cannot be read alone")?;
    let place = object.items.iter().try_fold(&mut expected, |list, item| list.get_mut("items")?.get_mut(item));
    *place.ok_or("it is not where it was")? = wanted.clone();
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    match only(&edited) {
        _ if is_json(text) && !is_json(&edited) => Err("it is JSON, which is not edited".to_owned()),
        Some(read) if read == expected => Ok(edited),
        _ => Err("edited where it stands it would be another object".to_owned()),
    }
}

/// The value of a text that is one document.
fn only(text: &str) -> Option<Value> {
    match &yaml::documents(text)[..] {
        [Document { content: Ok(content), .. }] => Some(json!(content)),
        _ => None,
    }
}

#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Item(usize),
}

/// A member that a map gets.
struct Addition {
    route: Vec<Step>,
    key: String,
    value: Value,
    /// Whether it is there, without a value.
    is_null: bool,
}

impl Addition {
    fn patch(&self) -> Result<Patch<'_>, String> {
        let value = yaml_serde::to_value(&self.value).map_err(|error| error.to_string())?;
        let route: Route = self
            .route
            .iter()
            .map(|step| match step {
                Step::Key(key) => Component::Key(key.into()),
                Step::Item(item) => Component::Index(*item),
            })
            .collect::<Vec<_>>()
            .into();
        Ok(match self.is_null {
            true => Patch { route: route.with_key(self.key.as_str()), operation: Op::Replace(value) },
            false => Patch { route, operation: Op::Add { key: self.key.clone(), value } },
        })
    }
}

/// What is wanted and is not there, or is null.
fn added(there: &Value, wanted: &Value, route: Vec<Step>, additions: &mut Vec<Addition>) -> Result<(), String> {
    let below = |step: Step| [route.clone(), vec![step]].concat();
    match (there, wanted) {
        _ if there == wanted => Ok(()),
        (Value::Object(there), Value::Object(wanted)) if there.keys().all(|key| wanted.contains_key(key)) => {
            for (key, value) in wanted {
                match there.get(key) {
                    None | Some(Value::Null) if !value.is_null() => additions.push(Addition {
                        route: route.clone(),
                        key: key.clone(),
                        value: value.clone(),
                        is_null: there.contains_key(key),
                    }),
                    Some(own) => added(own, value, below(Step::Key(key.clone())), additions)?,
                    None => {}
                }
            }
            Ok(())
        }
        (Value::Array(there), Value::Array(wanted)) if there.len() == wanted.len() => {
            let mut pairs = there.iter().zip(wanted).enumerate();
            pairs.try_for_each(|(index, (own, value))| added(own, value, below(Step::Item(index)), additions))
        }
        _ => Err("a policy changes more than what it lacks".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use flytewarden_offline::manifest;
    use serde_json::{Value, json};

    use super::Fixed;

    /// A text in which every Pod gets `runAsUser: 1`.
    fn fixed(text: &str) -> Fixed {
        let objects: Vec<_> = manifest::objects(text).into_iter().flatten().collect();
        let wanted: Vec<_> = objects
            .iter()
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
                "a map in braces",
                "kind: Pod\napiVersion: v1\nspec: {containers: []}\n",
                "kind: Pod\napiVersion: v1\nspec: { containers: [], securityContext: { runAsUser: 1 } }\n",
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
        ] {
            let fixed = fixed(before);
            assert_eq!((after, &[][..]), (&*fixed.text, &*fixed.left), "{it}");
        }
    }

    #[test]
    fn what_cannot_be_edited_where_it_stands_is_left_and_named() {
        for (it, text, lines) in [
            ("a map that several have", "kind: Pod\napiVersion: v1\nspec: &s\n  a: 1\nother: *s\n", vec![1]),
            ("a map from elsewhere", "x: &s {a: 1}\nkind: Pod\napiVersion: v1\nspec: *s\n", vec![1]),
            ("a map in braces over several lines", "---\nkind: Pod\napiVersion: v1\nspec: {\n  a: 1\n}\n", vec![2]),
            ("JSON", "{\"kind\": \"Pod\", \"apiVersion\": \"v1\", \"spec\": {\"a\": 1}}\n", vec![1]),
            ("JSON in lines", "{\n\"kind\": \"Pod\", \"apiVersion\": \"v1\",\n \"spec\": {\"a\": 1}}\n", vec![1]),
        ] {
            let fixed = fixed(text);
            println!("{it}: {:?}", fixed.left);
            assert_eq!((text, 0), (&*fixed.text, fixed.objects), "{it}");
            assert_eq!(lines, fixed.left.iter().map(|(line, _)| *line).collect::<Vec<_>>(), "{it}: {:?}", fixed.left);
        }
    }

    #[test]
    fn a_change_to_what_is_there_is_not_made() {
        let text = "kind: Pod\napiVersion: v1\nspec: {a: 1}\n";
        let object = manifest::objects(text).remove(0).unwrap();
        let fixed = Fixed::of(text, &[(&object, json!({"kind": "Pod", "apiVersion": "v1", "spec": {"a": 2}}))]);
        assert_eq!(vec![(1, "a policy changes more than what it lacks".to_owned())], fixed.left);
    }

    #[test]
    fn lines_that_end_as_on_windows_are_edited_or_left() {
        let text = "kind: Pod\r\napiVersion: v1\r\nspec:\r\n  a: 1\r\n";
        let fixed = fixed(text);
        let read: Value = json!(manifest::objects(&fixed.text).remove(0).unwrap().content);
        assert!(
            fixed.objects == 0 || read["spec"] == json!({"a": 1, "securityContext": {"runAsUser": 1}}),
            "{fixed:?}"
        );
        assert!(fixed.text.lines().count() >= 4);
    }

    #[test]
    fn a_diff_names_the_file_and_shows_three_lines_around_a_change() {
        let fixed = fixed("kind: Pod\napiVersion: v1\nspec:\n  a: 1\n");
        let diff = "--- a/x.yaml\n+++ b/x.yaml\n@@ -2,3 +2,5 @@\n apiVersion: v1\n spec:\n   a: 1\n+  securityContext:\n+    runAsUser: 1\n";
        assert_eq!(diff, fixed.diff("x.yaml"));
    }
}

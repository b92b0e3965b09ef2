//! Applies the fixes that need no decision: edits that findings propose, and fields that mutating policies fill in.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde_json::{Value, json};

use crate::{
    edit::{Change, changed, mended},
    manifest::{self, Object},
    report::{Finding, Judged, Place},
    yaml::{self, Document, Step},
};

/// A text and its fixed version.
#[derive(Debug)]
pub struct Fixed {
    /// The text before the fixes.
    pub before: String,
    /// The text now.
    pub text: String,
    /// The changed objects, by document and name.
    objects: BTreeSet<(usize, String)>,
    /// The objects that the last round could not fix.
    pub left: Vec<Left>,
    /// The line ranges, from 0, of documents that contain Secrets, or that cannot be read and so may contain Secrets.
    secret: Vec<Range<usize>>,
}

/// An object that could not be fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Its first line in the current text, from 1.
    pub line: usize,
    /// The number of its document, from 1.
    pub document: usize,
    /// The name to show, e.g. `Deployment flyte/flyteadmin`.
    pub title: String,
    /// Why it could not be fixed.
    pub reason: String,
}

impl Left {
    fn new(place: &Place, reason: String) -> Self {
        Self { line: place.line, document: place.document, title: place.title(), reason }
    }
}

impl Fixed {
    /// Creates the state before any fix.
    pub fn new(text: &str) -> Self {
        let secrets: BTreeSet<usize> = manifest::objects(text)
            .filter_map(|object| match object {
                Ok(object) => (object.kind == "Secret").then_some(object.document),
                Err(unreadable) => Some(unreadable.document),
            })
            .collect();
        let lines_before = |at: usize| text[..at].matches('\n').count();
        // The last line of a text may have no line break.
        let end = |at: usize| lines_before(at) + usize::from(!text[..at].ends_with('\n'));
        let documents: Vec<Document> = yaml::documents(text).collect();
        let secret = documents.iter().filter(|document| secrets.contains(&document.number));
        Self {
            before: text.to_owned(),
            text: text.to_owned(),
            objects: BTreeSet::new(),
            left: Vec::new(),
            secret: secret.map(|document| lines_before(document.span.start)..end(document.span.end)).collect(),
        }
    }

    /// Counts the changed objects.
    pub fn objects(&self) -> usize {
        self.objects.len()
    }

    /// Leaves an object as it is, and says why.
    pub(crate) fn leave(&mut self, place: &Place, reason: String) {
        self.left.push(Left::new(place, reason));
    }

    /// Applies the edits that objects' violations propose, and adds the fields that policies fill in. Returns whether
    /// the text changed.
    pub fn improve<'j>(&mut self, judged: impl Iterator<Item = &'j Judged>, filled: &[(Object, Value)]) -> bool {
        let before = self.text.clone();
        self.left.clear();
        let mut judged: Vec<&Judged> = judged.collect();
        // Start at the last object, so that earlier positions stay valid.
        judged.sort_by_key(|judged| std::cmp::Reverse(judged.place.line));
        for judged in judged {
            self.edit(judged);
        }
        self.fill(filled);
        self.left.sort_by_key(|left| left.line);
        self.text != before
    }

    fn edit(&mut self, Judged { place, violations, is_live, .. }: &Judged) {
        for violation in violations.iter().filter(|violation| !violation.edits.is_empty()) {
            let edited = match is_live {
                true => Err(
                    "it is from a running cluster (it has a uid); fix the manifest or the chart that it is made from"
                        .to_owned(),
                ),
                false => mended(&self.text, place, &violation.edits),
            };
            match edited {
                Ok(text) => {
                    self.text = text;
                    self.objects.insert((place.document, place.title()));
                }
                Err(reason) => {
                    let left = Left::new(place, reason);
                    if self.left.last() != Some(&left) {
                        self.left.push(left);
                    }
                }
            }
        }
    }

    /// Adds the fields that policies fill in. Each pair is the object before and after the policy's change.
    fn fill(&mut self, filled: &[(Object, Value)]) {
        let mut by_document: BTreeMap<usize, Vec<&(Object, Value)>> = BTreeMap::new();
        for wanted in filled {
            by_document.entry(wanted.0.document).or_default().push(wanted);
        }
        let text = self.text.clone();
        let documents: Vec<Document> = yaml::documents(&text).collect();
        for (number, wanted) in by_document.iter().rev() {
            let Some(document) = documents.iter().find(|document| document.number == *number) else { continue };
            let mut left = Vec::new();
            let part = edited_where_possible(&text[document.span.clone()], wanted, &mut left);
            self.text.replace_range(document.span.clone(), &part);
            let is_left = |own: &Object| left.iter().any(|(object, _): &(&Object, String)| std::ptr::eq(*object, own));
            let done = wanted.iter().filter(|(object, _)| !is_left(object));
            self.objects.extend(done.map(|(object, _)| (object.document, Place::from_object(object, "").title())));
            self.left
                .extend(left.into_iter().map(|(object, reason)| Left::new(&Place::from_object(object, ""), reason)));
        }
    }

    /// Whether a line of the original text, from 0, is in one of the documents of `secret`.
    pub fn is_secret(&self, line: usize) -> bool {
        self.secret.iter().any(|document| document.contains(&line))
    }
}

/// Whether to add the fields that policies fill in to an object. `without` and `with` are the findings without and with
/// these fields. The fields are not added if they would fix only findings that are ignored or whose rules are off.
///
/// # Errors
///
/// The fields would fix an ignored finding and other violations too.
pub(crate) fn is_fill_wanted(without: &Judged, with: &Judged) -> Result<bool, String> {
    fn omitted(judged: &Judged) -> impl Iterator<Item = &Finding> {
        judged.ignored.iter().map(|ignored| &ignored.finding).chain(&judged.off)
    }
    fn key(finding: &Finding) -> [&str; 3] {
        [&finding.policy, &finding.rule, &finding.path]
    }
    let is_fixed = |finding: &&Finding| !omitted(with).chain(&with.violations).any(|other| key(other) == key(finding));
    let fixes = without.violations.iter().any(|finding| is_fixed(&finding));
    let Some(omitted) = omitted(without).find(is_fixed) else { return Ok(fixes) };
    if fixes {
        return Err(format!("it would also fix {}/{}, which is ignored or off here", omitted.policy, omitted.rule));
    }
    Ok(false)
}

/// Returns a document's text in which objects have their wanted content. Adds the objects that cannot be edited to
/// `left`.
fn edited_where_possible<'w>(
    text: &str,
    wanted: &[&'w (Object, Value)],
    left: &mut Vec<(&'w Object, String)>,
) -> String {
    match (edited(text, wanted), wanted) {
        (Ok(edited), _) => edited,
        (Err(reason), [(object, _)]) => {
            left.push((object, reason));
            text.to_owned()
        }
        // Parsing is slow, so the list is split only to find the objects that cannot be edited.
        (Err(_), _) => {
            let (first, second) = wanted.split_at(wanted.len() / 2);
            let text = edited_where_possible(text, first, left);
            edited_where_possible(&text, second, left)
        }
    }
}

/// Returns a document's text in which objects have their wanted content.
fn edited(text: &str, wanted: &[&(Object, Value)]) -> Result<String, String> {
    let mut changes = Vec::new();
    for (object, wanted) in wanted {
        added(&json!(object.content), wanted, object.route(), &mut changes)?;
    }
    changed(text, &changes)
}

/// Collects the wanted fields that are missing or null.
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
    use serde_json::{Value, json};

    use super::Fixed;
    use crate::manifest::{self, Object};

    /// Fixes a text in which a policy gives every Pod `runAsUser: 1`.
    fn fixed(text: &str) -> Fixed {
        let filled: Vec<_> = manifest::objects(text)
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
        improved(text, &filled)
    }

    fn improved(text: &str, filled: &[(Object, Value)]) -> Fixed {
        let mut fixed = Fixed::new(text);
        fixed.improve([].into_iter(), filled);
        fixed
    }

    #[test]
    fn filled_in_fields_are_well_placed_and_the_rest_is_unchanged() {
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
    fn objects_that_cannot_be_edited_are_listed() {
        const OTHER: &str = "the edit would change more than this";
        for (it, text, reason) in [
            ("a map that several have", "kind: Pod\napiVersion: v1\nspec: &s\n  a: 1\nother: *s\n", OTHER),
            (
                "a map from elsewhere",
                "x: &s {a: 1}\nkind: Pod\napiVersion: v1\nspec: *s\n",
                "it is an alias, whose value other fields may share",
            ),
            ("JSON", "{\"kind\": \"Pod\", \"apiVersion\": \"v1\", \"spec\": {\"a\": 1}}\n", "JSON cannot be edited"),
        ] {
            let fixed = fixed(text);
            assert_eq!((text, 0), (&*fixed.text, fixed.objects()), "{it}");
            assert_eq!([reason], *fixed.left.iter().map(|left| &*left.reason).collect::<Vec<_>>(), "{it}");
        }
    }

    #[test]
    fn fields_that_are_set_are_not_changed() {
        let text = "kind: Pod\napiVersion: v1\nspec: {a: 1}\n";
        let object = manifest::objects(text).next().unwrap().unwrap();
        let fixed = improved(text, &[(object, json!({"kind": "Pod", "apiVersion": "v1", "spec": {"a": 2}}))]);
        assert_eq!("a policy changes fields that are already set", fixed.left[0].reason);
    }
}

//! Reads the Kubernetes objects of a text.

use std::cell::LazyCell;

use flytewarden::shown::visible;

use crate::{
    kinds,
    yaml::{self, Document, Malformed, Node, Step, Value},
};

/// An object and its position.
#[derive(Debug)]
pub struct Object {
    /// The number of its document, from 1.
    pub document: usize,
    /// The indices in nested lists of `items`, outermost first. Empty if the object is the whole document.
    pub items: Vec<usize>,
    /// Its first line, from 1.
    pub line: usize,
    /// The chart template it was rendered from, if helm names it in a comment.
    pub source: Option<String>,
    /// Its API version, e.g. `apps/v1`.
    pub api_version: String,
    /// Its kind, e.g. `Deployment`.
    pub kind: String,
    /// Its namespace, if it names one.
    pub namespace: Option<String>,
    /// Its name, or its `generateName`.
    pub name: String,
    /// The whole object.
    pub content: Node,
}

/// A document, or an item of a list, that is not a Kubernetes object.
#[derive(Debug)]
pub struct Unreadable {
    /// The number of the document, from 1.
    pub document: usize,
    /// The line, from 1.
    pub line: usize,
    /// Why it is not an object.
    pub reason: String,
    /// Whether it is valid YAML without apiVersion and kind, so probably not meant as an object.
    pub is_something_else: bool,
}

impl Object {
    /// Returns the API group: `apps` for `apps/v1`, empty for `v1`.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Returns the path to the object in its document.
    pub fn route(&self) -> Vec<Step> {
        self.items.iter().flat_map(|item| [Step::Key("items".to_owned()), Step::Index(*item)]).collect()
    }

    /// Returns the version: `v1` for `apps/v1`.
    pub fn version(&self) -> &str {
        self.api_version.split_once('/').map_or(&self.api_version, |(_, version)| version)
    }
}

/// Returns the objects of a text in order, including those in lists. A document is parsed only when the iterator
/// reaches it.
pub fn objects(text: &str) -> impl Iterator<Item = Result<Object, Unreadable>> {
    let has_template = |line: Option<&str>| line.is_some_and(|line| line.contains("{{"));
    let is_template = LazyCell::new(|| text.lines().any(|line| line.trim_start().starts_with("{{")));
    yaml::documents(text).flat_map(move |Document { number: document, source, content, .. }| {
        let mut objects = Vec::new();
        match content {
            Ok(content) => add(content, &Origin { document, source }, &[], None, &mut objects),
            Err(Malformed { line, reason }) => {
                let hint = match has_template(text.lines().nth(line.saturating_sub(1))) || *is_template {
                    true => " (is this a chart's template? `helm template` renders it)",
                    false => "",
                };
                let reason = format!("{reason}{hint}");
                objects.push(Err(Unreadable { document, line, reason, is_something_else: false }));
            }
        }
        objects
    })
}

/// Whether a text has no objects and is not meant to have any, e.g. a chart's values or only comments.
pub fn is_something_else(text: &str) -> bool {
    objects(text).all(|object| object.is_err_and(|unreadable| unreadable.is_something_else))
}

struct Origin {
    document: usize,
    source: Option<String>,
}

/// Adds an object, or the items of a list. Items of a typed list such as `PodList` may omit apiVersion and kind.
fn add(
    mut content: Node,
    origin: &Origin,
    place: &[usize],
    item_type: Option<(&str, &str)>,
    objects: &mut Vec<Result<Object, Unreadable>>,
) {
    let unreadable = |line: usize, reason: &str| {
        let (document, reason) = (origin.document, reason.to_owned());
        Err(Unreadable { document, line, reason, is_something_else: false })
    };
    let text = |name: &str| content.get(name).and_then(Node::as_str).filter(|text| !text.is_empty());
    let api_version = text("apiVersion").or(item_type.map(|(api_version, _)| api_version));
    let kind = text("kind").or(item_type.map(|(_, kind)| kind));
    let (api_version, kind) = match (api_version, kind) {
        (Some(api_version), Some(kind)) => (api_version, kind),
        (None, None) => {
            let hint = match content.value {
                Value::List(_) => "; this is a list: check its objects, e.g. with jq -c '.[]'",
                _ => "",
            };
            let reason = format!("not a Kubernetes object: no apiVersion, no kind{hint}");
            let (document, line) = (origin.document, content.line);
            return objects.push(Err(Unreadable { document, line, reason, is_something_else: true }));
        }
        (None, _) => return objects.push(unreadable(content.line, "not a Kubernetes object: no apiVersion")),
        (_, None) => return objects.push(unreadable(content.line, "not a Kubernetes object: no kind")),
    };
    let (api_version, kind) = (api_version.to_owned(), kind.to_owned());

    // kubectl treats every object with `items` as a list.
    let items = content.get("items").map(|items| &items.value);
    if kind == "List" || !matches!(items, None | Some(Value::Null)) {
        let item_type = kind.strip_suffix("List").filter(|kind| !kind.is_empty()).map(|kind| (&*api_version, kind));
        match content.take("items") {
            Some(Node { value: Value::List(items), .. }) => {
                for (index, item) in items.into_iter().enumerate() {
                    add(item, origin, &[place, &[index]].concat(), item_type, objects);
                }
            }
            None | Some(Node { value: Value::Null, .. }) => {}
            Some(items) => objects.push(unreadable(items.line, "items must be a list")),
        }
        return;
    }

    let metadata = content.get("metadata");
    let text = |name: &str| metadata.and_then(|metadata| metadata.get(name)).and_then(Node::as_str);
    let object = Object {
        document: origin.document,
        items: place.to_owned(),
        line: content.line,
        source: origin.source.clone(),
        name: text("name").or(text("generateName")).unwrap_or_default().to_owned(),
        namespace: text("namespace").filter(|namespace| !namespace.is_empty()).map(str::to_owned),
        api_version,
        kind,
        content,
    };
    if !kinds::can_exist(object.group(), &object.kind) {
        let now = kinds::own(&object.kind).map(|(api_version, kind)| format!("; there is {kind} in {api_version}"));
        let reason = format!("Kubernetes has no kind {} in {}", object.kind, object.api_version);
        let reason = visible(&format!("{reason}{}", now.unwrap_or_default()));
        return objects.push(unreadable(object.line, &reason));
    }
    objects.push(Ok(object));
}

#[cfg(test)]
mod tests {
    use super::objects;

    fn described(text: &str) -> Vec<String> {
        objects(text)
            .map(|object| match object {
                Ok(object) => format!("{} {} {} line {}", object.api_version, object.kind, object.name, object.line),
                Err(unreadable) => format!("line {}: {}", unreadable.line, unreadable.reason),
            })
            .collect()
    }

    #[test]
    fn objects_are_found_in_documents_and_in_lists() {
        let text = "\
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: flyteadmin}
- {apiVersion: v1, kind: PodList, items: [{metadata: {name: a}}, {metadata: {generateName: b-}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: c}
---
{apiVersion: v1, kind: List, items: null}
";
        assert_eq!(
            vec!["apps/v1 Deployment flyteadmin line 4", "v1 Pod a line 7", "v1 Pod b- line 7", "v1 Pod c line 9"],
            described(text)
        );
    }

    #[test]
    fn json_objects_in_a_row_are_read() {
        let pods = ["a", "b"]
            .map(|name| format!(r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "{name}"}}}}"#));
        for separator in ["\n", "", "\n---\n"] {
            let described = described(&pods.join(separator));
            let names: Vec<&str> = described.iter().filter_map(|line| line.split(' ').nth(2)).collect();
            assert_eq!(["a", "b"], names[..], "{separator:?}: {described:?}");
        }
        assert_eq!(1, described(&format!("{} {{", pods[0])).len(), "what breaks off is not read in part");
        assert!(described(&format!("{} {{", pods[0]))[0].starts_with("line 1: "));
    }

    #[test]
    fn documents_that_are_not_objects_are_reported() {
        let text = "a: 1\n---\n- b\n---\napiVersion: v1\nkind: List\nitems: 5\n---\nkind: {{ .Values.kind }}\n";
        let described = described(text);
        assert_eq!("line 1: not a Kubernetes object: no apiVersion, no kind", described[0]);
        assert!(described[1].starts_with("line 3: not a Kubernetes object: no apiVersion, no kind; this is a list"));
        assert_eq!("line 7: items must be a list", described[2]);
        assert!(described[3].starts_with("line 9: "), "{described:?}");
        assert!(described[3].ends_with("`helm template` renders it)"), "{described:?}");
    }

    #[test]
    fn kinds_that_the_api_server_does_not_know_are_rejected() {
        for (api_version, kind, hint) in [
            ("apps/v1", "deployment", "; there is Deployment in apps/v1"),
            ("v1", "Deployment", "; there is Deployment in apps/v1"),
            ("v1", "Pods", ""),
            ("extensions/v1beta1", "Deployment", "; there is Deployment in apps/v1"),
            ("v1", "CronJob", "; there is CronJob in batch/v1"),
            ("v1", "list", ""),
        ] {
            let expected = format!("line 1: Kubernetes has no kind {kind} in {api_version}{hint}");
            assert_eq!(vec![expected], described(&format!("apiVersion: {api_version}\nkind: {kind}\n")));
        }
        assert_eq!(1, objects("apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\n").flatten().count());
    }

    #[test]
    fn the_template_named_by_helm_is_kept() {
        let text = "---\n# Source: flyte-core/templates/admin/deployment.yaml\napiVersion: v1\nkind: Pod\n";
        let object = objects(text).next().unwrap().unwrap();
        assert_eq!(Some("flyte-core/templates/admin/deployment.yaml"), object.source.as_deref());
    }
}

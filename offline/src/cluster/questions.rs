//! Answers the questions that policy modules ask Kubewarden's host about other objects, in the format of Kubewarden's
//! SDK.
//!
//! Source: `labels.Parse` of [kubernetes/apimachinery](https://github.com/kubernetes/apimachinery), and
//! `crates/policy-evaluator/src/runtimes/callback.rs` of
//! [kubewarden/kubewarden-controller](https://github.com/kubewarden/kubewarden-controller).

use flytewarden::host::Listed;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{Cluster, masked};
use crate::kinds;

/// A request of `list_resources_all`, `list_resources_by_namespace` or `get_resource`, in the format of Kubewarden's
/// SDK.
#[derive(Deserialize)]
struct Asked {
    api_version: String,
    kind: String,
    namespace: Option<String>,
    /// Only for `get_resource`.
    name: Option<String>,
    label_selector: Option<String>,
    field_selector: Option<String>,
    field_masks: Option<Vec<String>>,
}

/// Answers an operation. Request and answer are JSON.
type Answers<'a> = dyn Fn(&str, &[u8]) -> Result<Vec<u8>, String> + 'a;

/// Asks `answer` for the objects of a kind, as a module would.
pub(super) fn list(answer: &Answers, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Box<RawValue>>,
    }
    let (api_version, name) = kind.kind();
    let mut request = json!({
        "api_version": api_version, "kind": name, "label_selector": null, "field_selector": null,
        "field_masks": kind.fields(),
    });
    let operation = match namespace {
        Some(namespace) => {
            request["namespace"] = json!(namespace);
            "list_resources_by_namespace"
        }
        None => "list_resources_all",
    };
    let answer = answer(operation, request.to_string().as_bytes())?;
    let list: List = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
    Ok(list.items)
}

impl Cluster {
    /// Answers a policy that checks an object of the file `asking`.
    ///
    /// # Errors
    ///
    /// Why the manifests cannot answer.
    pub fn answer_to(&self, asking: usize, operation: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        let asked = || serde_json::from_slice::<Asked>(request).map_err(|error| error.to_string());
        match operation {
            "list_resources_by_namespace" => {
                let asked = asked()?;
                self.answer_list(asking, Some(asked.namespace.as_deref().unwrap_or_default()), &asked)
            }
            "list_resources_all" => self.answer_list(asking, None, &asked()?),
            "get_resource" => {
                let Asked { api_version, kind, namespace, name, .. } = asked()?;
                let (name, namespace) = (name.unwrap_or_default(), Some(namespace.as_deref().unwrap_or_default()));
                let objects = self.of_kind(asking, &api_version, &kind, namespace)?;
                let found = objects.into_iter().find(|object| object["metadata"]["name"] == name);
                let found = found.ok_or_else(|| format!("{kind} \"{name}\" not found"))?;
                Ok(found.to_string().into_bytes())
            }
            _ => Err(format!("manifests do not answer {operation}")),
        }
    }

    fn answer_list(&self, asking: usize, namespace: Option<&str>, asked: &Asked) -> Result<Vec<u8>, String> {
        let Asked { api_version, kind, label_selector, field_selector, field_masks, .. } = asked;
        if namespace.is_some() && kinds::is_cluster_wide(kind) {
            return Err(format!(
                "resource {api_version}/{kind} is cluster wide. Cannot search for it inside of a namespace"
            ));
        }
        let labels = label_selector.as_deref().map(label_selectors).transpose()?.unwrap_or_default();
        let fields = field_selector.as_deref().map(field_selectors).transpose()?.unwrap_or_default();
        let objects = self.of_kind(asking, api_version, kind, namespace)?;
        let selected = objects.into_iter().filter(|object| {
            let own = &object["metadata"]["labels"];
            labels.iter().all(|requirement| requirement.holds_of(own))
                && fields
                    .iter()
                    .all(|(path, value, is_equal)| (object.pointer(path) == Some(&json!(value))) == *is_equal)
        });
        let masks: Vec<&str> = field_masks.iter().flatten().map(String::as_str).collect();
        let items: Vec<Value> = selected.map(|object| masked(object, &masks)).collect();
        let list = json!({"apiVersion": api_version, "kind": format!("{kind}List"), "metadata": {}, "items": items});
        Ok(list.to_string().into_bytes())
    }
}

/// One requirement of a label selector.
#[derive(Debug, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    In(String, Vec<String>),
    Not(Box<Self>),
}

impl Requirement {
    fn holds_of(&self, labels: &Value) -> bool {
        match self {
            Self::Exists(key) => labels.get(key).is_some(),
            Self::In(key, values) => {
                labels.get(key).and_then(Value::as_str).is_some_and(|own| values.iter().any(|value| value == own))
            }
            // As in the API server, `!=` and `notin` match objects without the label.
            Self::Not(other) => !other.holds_of(labels),
        }
    }
}

/// Parses a label selector: requirements joined by commas, all of which must hold. A requirement is `a=b`, `a==b`,
/// `a!=b`, `a in (b, c)`, `a notin (b)`, `a` or `!a`. No maintained crate parses this text; `kube-core` only writes it.
fn label_selectors(text: &str) -> Result<Vec<Requirement>, String> {
    let mut depth = 0;
    let is_between = |letter: char| {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        letter == ',' && depth == 0
    };
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    text.split(is_between).map(|part| requirement(part.trim())).collect()
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let unreadable = || format!("unable to parse the label selector `{text}`");
    let is_part = |part: &str| {
        part.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/'))
    };
    let key = |key: &str| {
        let key = key.trim();
        if !key.is_empty() && is_part(key) { Ok(key.to_owned()) } else { Err(unreadable()) }
    };
    let value = |value: &str| {
        let value = value.trim();
        if is_part(value) { Ok(value.to_owned()) } else { Err(unreadable()) }
    };
    let one = |name: &str, text: &str| Ok(Requirement::In(key(name)?, vec![value(text)?]));
    let not = |requirement| Requirement::Not(Box::new(requirement));
    if let Some((name, set)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let values = set.split(',').map(value).collect::<Result<_, _>>()?;
        return match name.trim().rsplit_once(char::is_whitespace) {
            Some((name, "in")) => Ok(Requirement::In(key(name)?, values)),
            Some((name, "notin")) => Ok(not(Requirement::In(key(name)?, values))),
            _ => Err(unreadable()),
        };
    }
    if let Some((name, value)) = text.split_once("!=") {
        one(name, value).map(not)
    } else if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        one(name, value)
    } else if let Some(name) = text.strip_prefix('!') {
        Ok(not(Requirement::Exists(key(name)?)))
    } else {
        Ok(Requirement::Exists(key(text)?))
    }
}

/// Parses a field selector into path, value and whether they must be equal. The API server supports only two fields for
/// every kind, and so does this function.
fn field_selectors(text: &str) -> Result<Vec<(String, String, bool)>, String> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let read = |part: &str| {
        let unequal = part.split_once("!=").map(|(field, value)| (field, value, false));
        let equal =
            || part.split_once("==").or_else(|| part.split_once('=')).map(|(field, value)| (field, value, true));
        match unequal.or_else(equal) {
            Some((field @ ("metadata.name" | "metadata.namespace"), value, is_equal)) => {
                Ok((format!("/{}", field.replace('.', "/")), value.to_owned(), is_equal))
            }
            _ => Err(format!("manifests do not answer the field selector `{part}`")),
        }
    };
    parts.map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        cluster::{Cluster, HostCalls},
        manifest,
    };

    const OBJECTS: &str = "\
{apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: flyte, labels: {app: z, tier: web}}, data: {k: '4'}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: flyte, labels: {app: q}}, data: {k: '2', l: '3'}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}
---
{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: flyte}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: flyte, labels: {app: z, tier: web}}, data: {k: '4'}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: flyte, namespace: flyte}}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: flyte}
spec: {containers: [{name: c, image: i}, {name: d, image: j}], hostUsers: true}
---
{apiVersion: extensions/v1beta1, kind: Ingress, metadata: {name: old, namespace: flyte}}
---
{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {selector: {a: b}}}
---
{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {selector: {a: c}}}
";

    fn answer(operation: &str, request: Value) -> Result<Value, String> {
        let objects: Vec<_> = manifest::objects(OBJECTS).map(|object| object.unwrap()).collect();
        let cluster = Cluster::from_objects(&objects, "default");
        let answer = cluster.answer(operation, request.to_string().as_bytes())?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    fn names(list: &Value) -> Vec<String> {
        let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
        list["items"].as_array().unwrap().iter().map(name).collect()
    }

    fn list(more: Value) -> Result<Value, String> {
        let mut request = json!({"api_version": "v1", "kind": "ConfigMap", "namespace": "flyte"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer("list_resources_by_namespace", request)
    }

    #[test]
    fn a_list_has_the_objects_of_its_kind_and_namespace_sorted_by_name() {
        let listed = list(json!({})).unwrap();
        assert_eq!(("v1", "ConfigMapList"), (listed["apiVersion"].as_str().unwrap(), listed["kind"].as_str().unwrap()));
        assert_eq!(vec!["a", "b"], names(&listed));
        assert_eq!("4", listed["items"][1]["data"]["k"]);
        let all = answer("list_resources_all", json!({"api_version": "v1", "kind": "ConfigMap"})).unwrap();
        assert_eq!(vec!["c", "a", "b"], names(&all), "by namespace, then by name");
        assert_eq!("default", all["items"][0]["metadata"]["namespace"]);
        assert_eq!(Vec::<String>::new(), names(&list(json!({"namespace": "other"})).unwrap()));
    }

    #[test]
    fn selectors_select_the_same_objects_as_the_api_server() {
        for (selector, expected) in [
            ("", &["a", "b"][..]),
            ("app=q", &["a"]),
            ("app==q", &["a"]),
            ("app!=q", &["b"]),
            ("tier!=web", &["a"]),
            ("tier", &["b"]),
            ("!tier", &["a"]),
            ("app in (q, z)", &["a", "b"]),
            ("app in (q,z),tier=web", &["b"]),
            ("app notin (q)", &["b"]),
            ("tier notin (web)", &["a"]),
            ("absent=", &[]),
        ] {
            let listed = list(json!({"label_selector": selector})).unwrap();
            assert_eq!(expected, names(&listed), "{selector}");
        }
        for selector in ["a b", "=x", "app on (x)", "a=(b", "app=y,,tier", "app=y,", "app=y z", "app in (y z)"] {
            assert!(list(json!({"label_selector": selector})).is_err(), "{selector}");
        }
        assert_eq!(vec!["a"], names(&list(json!({"field_selector": "metadata.name=a"})).unwrap()));
        assert_eq!(vec!["b"], names(&list(json!({"field_selector": "metadata.name!=a"})).unwrap()));
        assert!(list(json!({"field_selector": "data.k=1"})).is_err());
    }

    #[test]
    fn masks_keep_the_fields_they_name_also_in_lists() {
        let mut request = json!({"api_version": "v1", "kind": "Pod", "namespace": "flyte"});
        request["field_masks"] = json!(["metadata.name", "spec.containers.image"]);
        let metadata = json!({"name": "p", "namespace": "flyte"});
        let spec = json!({"containers": [{"image": "i"}, {"image": "j"}]});
        let expected = json!([{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}]);
        let listed = answer("list_resources_by_namespace", request).unwrap();
        assert_eq!(expected, listed["items"]);
    }

    #[test]
    fn get_resource_returns_the_whole_object() {
        let request = |namespace: Value, kind: &str, name: &str| {
            json!({
                "api_version": "v1", "kind": kind, "name": name, "namespace": namespace, "disable_cache": false,
                "field_masks": ["metadata.name"]
            })
        };
        let pod = answer("get_resource", request(json!("flyte"), "Pod", "p")).unwrap();
        assert_eq!(json!(true), pod["spec"]["hostUsers"]);
        assert!(answer("get_resource", request(Value::Null, "Namespace", "flyte")).is_ok());
    }

    #[test]
    fn unanswerable_questions_get_an_error() {
        for (operation, request) in [
            (
                "get_resource",
                json!({"api_version": "v1", "kind": "ConfigMap", "name": "z", "namespace": "flyte", "disable_cache": true}),
            ),
            ("get_resource", json!({"api_version": "v1", "kind": "ConfigMap", "name": "a", "disable_cache": true})),
            ("list_resources_by_namespace", json!({"api_version": "v1", "kind": "Namespace", "namespace": "flyte"})),
            (
                "list_resources_by_namespace",
                json!({"api_version": "networking.k8s.io/v1", "kind": "Ingress", "namespace": "flyte"}),
            ),
            ("list_resources_all", json!({"api_version": "v1", "kind": "Service"})),
            ("list_resources_by_namespace", json!({})),
            ("can_i", json!({})),
        ] {
            assert!(answer(operation, request.clone()).is_err(), "{operation} {request}");
        }
    }
}

//! What a cluster that holds the manifests' objects says, where policies ask Kubewarden's host about other objects.
//!
//! Names, namespaces and selectors are the API server's; field masks are Kubewarden's, which always keeps an object's
//! metadata. Source:
//! `labels.Parse` of [kubernetes/apimachinery](https://github.com/kubernetes/apimachinery), and
//! `crates/policy-evaluator/src/runtimes/callback.rs` and `callback_handler/kubernetes/field_mask.rs` of
//! [kubewarden/kubewarden-controller](https://github.com/kubewarden/kubewarden-controller).

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use serde::Deserialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use crate::{kinds, manifest::Object};

/// Something that answers a policy's calls of its host about the cluster, and about images.
pub trait HostCalls: Send + Sync {
    /// The answer to an operation of the host's `kubernetes` namespace, both as JSON.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn answer(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, String>;

    /// The manifest and the configuration of an image, as JSON.
    ///
    /// # Errors
    ///
    /// Why they are not known.
    fn image(&self, _reference: &str) -> Result<Vec<u8>, String> {
        Err("there is no registry to ask".to_owned())
    }
}

/// What `list_resources_all`, `list_resources_by_namespace` and `get_resource` ask for, as Kubewarden's SDK writes it.
#[derive(Deserialize)]
struct Asked {
    api_version: String,
    kind: String,
    namespace: Option<String>,
    /// Of `get_resource` alone.
    name: Option<String>,
    label_selector: Option<String>,
    field_selector: Option<String>,
    field_masks: Option<Vec<String>>,
}

/// No cluster at all.
#[derive(Debug)]
pub struct NoCluster;

impl HostCalls for NoCluster {
    fn answer(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, String> {
        Err("there is no cluster to ask".to_owned())
    }
}

/// A cluster that holds some objects, and nothing else.
#[derive(Debug, Default)]
pub struct Cluster {
    /// By group, kind, namespace and name: one, or several of other contents.
    objects: BTreeMap<[String; 4], Vec<Held>>,
    /// The names of the files they stand in.
    files: Vec<String>,
    asked: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
struct Held {
    version: String,
    /// As JSON, which takes a tenth of a tree.
    content: Box<RawValue>,
    /// Which file it stands in, and on which line.
    file: usize,
    line: usize,
}

impl Held {
    /// The object, in a namespace.
    fn tree(&self, namespace: &str) -> Value {
        let mut tree: Value = serde_json::from_str(self.content.get()).unwrap_or_default();
        if let Some(metadata) = tree.get_mut("metadata").and_then(Value::as_object_mut)
            && !namespace.is_empty()
        {
            metadata.insert("namespace".to_owned(), json!(namespace));
        }
        tree
    }
}

impl Cluster {
    /// A cluster with these objects. Those that name no namespace and belong in one are in `namespace`.
    pub fn of(objects: impl IntoIterator<Item = impl Borrow<Object>>, namespace: &str) -> Self {
        Self::of_files(vec![String::new()], objects.into_iter().map(|object| (0, object)), namespace)
    }

    /// The same of objects in files: each with the place of its file among the names.
    pub fn of_files(
        files: Vec<String>,
        objects: impl IntoIterator<Item = (usize, impl Borrow<Object>)>,
        namespace: &str,
    ) -> Self {
        let mut held: BTreeMap<[String; 4], Vec<Held>> = BTreeMap::new();
        for (file, object) in objects {
            let object: &Object = object.borrow();
            let namespace = match kinds::is_cluster_wide(&object.kind) {
                true => "",
                false => object.namespace.as_deref().unwrap_or(namespace),
            };
            // Where the API server has them now.
            let group = match (object.group(), &*object.kind) {
                ("extensions", "Ingress" | "NetworkPolicy") => "networking.k8s.io",
                (group, _) => group,
            };
            let key = [group, &object.kind, namespace, &object.name].map(str::to_owned);
            let content = to_raw_value(&object.content).unwrap_or_default();
            let own = Held { version: object.version().to_owned(), content, file, line: object.line };
            let others = held.entry(key).or_default();
            let is_same =
                |other: &Held| other.content.get() == own.content.get() || other.tree(namespace) == own.tree(namespace);
            // The same in each environment is there once for each file.
            if !others.iter().any(|other| other.file == file && is_same(other)) {
                others.push(own);
            }
        }
        Self { objects: held, files, asked: Mutex::default() }
    }

    /// The one of several objects of a name that is of the environment of a file: that in the file itself, else in its folder,
    /// else the only one.
    fn of_environment<'h>(&self, several: &'h [Held], asking: usize) -> Result<&'h Held, [&'h Held; 2]> {
        let folder =
            |file: usize| self.files.get(file).and_then(|name| name.rsplit_once('/')).map(|(folder, _)| folder);
        let is_near: [&dyn Fn(&&Held) -> bool; 3] =
            [&|held| held.file == asking, &|held| folder(held.file) == folder(asking), &|_| true];
        let near = is_near.iter().map(|is_near| several.iter().filter(is_near).collect::<Vec<_>>());
        let near = near.into_iter().find(|near| !near.is_empty()).unwrap_or_default();
        let other = near.iter().find(|held| held.content.get() != near[0].content.get());
        match other {
            Some(other) => Err([near[0], other]),
            None => near.first().copied().ok_or([&several[0], &several[0]]),
        }
    }

    /// The kinds that policies have asked for so far, as `v1 ConfigMap`.
    pub fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().map(|asked| asked.clone()).unwrap_or_default()
    }

    /// The objects of a kind in a namespace, or in all.
    fn of_kind(
        &self,
        asking: usize,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<Vec<Value>, String> {
        if let Ok(mut asked) = self.asked.lock() {
            asked.insert(format!("{api_version} {kind}"));
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let mut found = Vec::new();
        for ([_, _, own, name], several) in
            self.objects.iter().filter(|([own, own_kind, ..], _)| own == group && own_kind == kind)
        {
            if namespace.is_some_and(|namespace| namespace != own) {
                continue;
            }
            let at = |held: &Held| format!("{}:{}", self.files.get(held.file).map_or("", |name| name), held.line);
            let held = self.of_environment(several, asking).map_err(|[one, other]| {
                format!("{kind} {own}/{name} is given twice, as two different objects, {} and {}", at(one), at(other))
            })?;
            if held.version != version {
                // The API server would convert it.
                return Err(format!(
                    "{kind} {own}/{name} is of version {}, and is not converted to {version} here",
                    held.version
                ));
            }
            found.push(held.tree(own));
        }
        Ok(found)
    }

    fn list(&self, asking: usize, namespace: Option<&str>, asked: &Asked) -> Result<Vec<u8>, String> {
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
        let items: Vec<Value> = selected.map(|object| masked(object, field_masks.as_ref())).collect();
        let list = json!({"apiVersion": api_version, "kind": format!("{kind}List"), "metadata": {}, "items": items});
        Ok(list.to_string().into_bytes())
    }
}

impl HostCalls for Cluster {
    fn answer(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        self.answer_to(0, operation, request)
    }
}

impl Cluster {
    /// The answer to a question about an object of a file.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn answer_to(&self, asking: usize, operation: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        let asked = || serde_json::from_slice::<Asked>(request).map_err(|error| error.to_string());
        match operation {
            "list_resources_by_namespace" => {
                let asked = asked()?;
                self.list(asking, Some(asked.namespace.as_deref().unwrap_or_default()), &asked)
            }
            "list_resources_all" => self.list(asking, None, &asked()?),
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
}

/// The fields of an object that masks name, all where there are none. What every object has is kept in any case.
fn masked(mut object: Value, masks: Option<&Vec<String>>) -> Value {
    let always = ["apiVersion", "kind", "metadata"].into_iter();
    let masks = masks.into_iter().flatten().map(|mask| mask.split('.').collect::<Vec<_>>());
    let masks: Vec<Vec<&str>> = masks.filter(|mask| mask[0] != "metadata").collect();
    if !masks.is_empty() {
        let masks = masks.into_iter().chain(always.map(|field| vec![field])).collect::<Vec<_>>();
        prune(&mut object, &masks.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
    object
}

fn prune(value: &mut Value, masks: &[&[&str]]) {
    if masks.iter().all(|mask| mask.is_empty()) {
        return;
    }
    match value {
        Value::Object(fields) => fields.retain(|name, value| {
            let below: Vec<&[&str]> = masks
                .iter()
                .filter_map(|mask| mask.split_first())
                .filter(|(first, _)| **first == name)
                .map(|(_, rest)| rest)
                .collect();
            prune(value, &below);
            !below.is_empty()
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| prune(item, masks)),
        _ => {}
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
            // An object without the label is in no set.
            Self::Not(other) => !other.holds_of(labels),
        }
    }
}

/// Reads a label selector: `a=b`, `a==b`, `a!=b`, `a in (b, c)`, `a notin (b)`, `a`, `!a`, all that hold together joined by
/// commas. No crate that is kept up reads the text; `kube-core` makes it.
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

/// Reads a field selector, of which the API server knows two fields for every kind: the path, the value, and whether they
/// must be equal.
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

    use super::{Cluster, HostCalls};
    use crate::manifest;

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
        let cluster = Cluster::of(&objects, "default");
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
    fn a_list_has_the_objects_of_its_kind_and_namespace_by_name() {
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
    fn selectors_select_as_the_api_server_has_it() {
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
    fn masks_keep_the_fields_they_name_and_pass_through_lists() {
        let mut request = json!({"api_version": "v1", "kind": "Pod", "namespace": "flyte"});
        request["field_masks"] = json!(["metadata.name", "spec.containers.image"]);
        let metadata = json!({"name": "p", "namespace": "flyte"});
        let spec = json!({"containers": [{"image": "i"}, {"image": "j"}]});
        let expected = json!([{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}]);
        let listed = answer("list_resources_by_namespace", request).unwrap();
        assert_eq!(expected, listed["items"]);
    }

    #[test]
    fn an_object_that_is_asked_for_by_name_is_whole() {
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
    fn what_manifests_cannot_answer_has_a_reason() {
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

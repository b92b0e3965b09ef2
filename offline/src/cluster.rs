//! Answers policies' questions about other objects from the manifests, as a cluster with these objects would.
//!
//! Names, namespaces and selectors work as in the API server. Field masks work as in Kubewarden, which always keeps an
//! object's metadata. Source: `crates/policy-evaluator/src/callback_handler/kubernetes/field_mask.rs` of
//! [kubewarden/kubewarden-controller](https://github.com/kubewarden/kubewarden-controller).

mod environment;
mod names;
#[cfg(feature = "modules")]
mod questions;

pub(crate) use names::Names;

use environment::{Choice, Environment, Paths};

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock},
};

use flytewarden::host::Listed;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use crate::{kinds, manifest::Object, report::Related};

/// Answers a policy's calls to its host about the cluster and about images.
pub trait HostCalls: Send + Sync {
    /// Answers an operation of the host's `kubernetes` namespace. Request and answer are JSON.
    ///
    /// # Errors
    ///
    /// Why the host cannot answer.
    #[cfg(feature = "modules")]
    fn answer(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, String>;

    /// Lists the objects of a kind in one namespace or in all, with the fields that policies read.
    ///
    /// # Errors
    ///
    /// Why the objects are not known.
    #[cfg(feature = "modules")]
    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        questions::list(&|operation, request| self.answer(operation, request), kind, namespace)
    }

    /// Lists the objects of a kind in one namespace or in all. Without modules, nobody asks about the cluster in
    /// another way.
    ///
    /// # Errors
    ///
    /// Why the objects are not known.
    #[cfg(not(feature = "modules"))]
    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String>;

    /// Returns the manifest and the configuration of an image, as JSON.
    ///
    /// # Errors
    ///
    /// Why they are not known.
    fn image(&self, _reference: &str) -> Result<Vec<u8>, String> {
        Err("no registry is available".to_owned())
    }
}

/// A host without a cluster.
#[derive(Debug)]
pub struct NoCluster;

impl HostCalls for NoCluster {
    #[cfg(not(feature = "modules"))]
    fn list(&self, _: Listed, _: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        Err("no cluster is available".to_owned())
    }

    #[cfg(feature = "modules")]
    fn answer(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, String> {
        Err("no cluster is available".to_owned())
    }
}

/// A cluster that contains only the given objects.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Objects by group, kind, namespace and name. A key has several objects if several files contain the object, or if
    /// its content differs.
    objects: BTreeMap<[String; 4], Vec<Held>>,
    /// The names of the files that contain the objects.
    files: Vec<String>,
    asked: Mutex<BTreeSet<String>>,
    paths: Paths,
    environments: OnceLock<Vec<(usize, BTreeSet<usize>)>>,
    /// The environment of the last question.
    environment: Mutex<Option<Arc<Environment>>>,
}

#[derive(Debug)]
struct Held {
    version: String,
    /// Kept as JSON, which takes a tenth of the memory of a parsed tree.
    content: Box<RawValue>,
    /// The index of the file, and the line in it.
    file: usize,
    line: usize,
}

impl Held {
    /// Parses the object and sets its namespace.
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
    /// Creates a cluster with these objects. Namespaced objects that do not name a namespace are in `namespace`.
    pub fn from_objects(objects: impl IntoIterator<Item = impl Borrow<Object>>, namespace: &str) -> Self {
        Self::of_files(vec![String::new()], objects.into_iter().map(|object| (0, object)), namespace)
    }

    /// Like [`Self::from_objects`], for objects from several files. Each object comes with the index of its file in `files`.
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
            // The API server has moved these kinds to another group.
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
            // An object that several environments share is kept once for each file.
            if !others.iter().any(|other| other.file == file && is_same(other)) {
                others.push(own);
            }
        }
        let paths = Paths::from_files(&files, held.iter());
        Self { objects: held, files, paths, ..Self::default() }
    }

    fn related(&self, object: String, held: &Held) -> Related {
        Related { object, file: self.name(held.file).to_owned(), line: held.line }
    }

    fn name(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |name| name)
    }

    /// The kinds that policies have asked for so far, e.g. `v1 ConfigMap`.
    pub fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().map(|asked| asked.clone()).unwrap_or_default()
    }

    /// Returns the objects of a kind in one namespace or in all, as seen from the file `asking`.
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
        let environment = self.environment_of(asking);
        for (([own_group, own_kind, own, name], several), choice) in self.objects.iter().zip(&environment.choices) {
            let is_asked_for = own_group == group && own_kind == kind;
            if !is_asked_for || namespace.is_some_and(|namespace| namespace != own) {
                continue;
            }
            let held = match choice {
                Choice::One(held) => &several[*held],
                Choice::Elsewhere => continue,
                Choice::Two(places) => {
                    let [one, other] = places.map(|held| &several[held]);
                    return Err(format!(
                        "{kind} {own}/{name} is in {}:{} and in {}:{} with different content. Check each environment separately",
                        self.name(one.file),
                        one.line,
                        self.name(other.file),
                        other.line
                    ));
                }
            };
            if held.version != version {
                // The API server would convert the object. This code cannot.
                return Err(format!(
                    "{kind} {own}/{name} has version {}, and this needs {version}; render it for a newer Kubernetes, e.g. with helm \
                     template --kube-version 1.35",
                    held.version
                ));
            }
            found.push(held.tree(own));
        }
        Ok(found)
    }

    /// Lists the objects of a kind in one namespace or in all, with the fields that policies read. The objects are
    /// those that a policy sees when it checks an object of the file `asking`.
    ///
    /// # Errors
    ///
    /// Why the objects are not known.
    pub fn list_to(&self, asking: usize, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        let (api_version, name) = kind.kind();
        let objects = self.of_kind(asking, api_version, name, namespace)?.into_iter();
        objects.map(|object| to_raw_value(&masked(object, kind.fields())).map_err(|error| error.to_string())).collect()
    }
}

impl HostCalls for Cluster {
    #[cfg(feature = "modules")]
    fn answer(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        self.answer_to(0, operation, request)
    }

    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        self.list_to(0, kind, namespace)
    }
}

/// Keeps the fields that the masks name, or all fields if there are no masks. Always keeps apiVersion, kind and
/// metadata.
fn masked(mut object: Value, masks: &[&str]) -> Value {
    let always = ["apiVersion", "kind", "metadata"].into_iter();
    let masks = masks.iter().map(|mask| mask.split('.').collect::<Vec<_>>());
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

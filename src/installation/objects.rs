//! The objects of the cluster besides the one in the request, as the host lists them.

use std::{cell::RefCell, rc::Rc};

use serde_json::value::RawValue;

use crate::{
    admission,
    host::{Host, Listed},
    verdict::{Shortened, Unjudged},
    view::view,
    workload::Metadata,
};

/// The objects that the host lists, with the ConfigMap of the request among them. Each list is requested once, and only if needed.
pub(crate) struct Objects<'c> {
    host: &'c dyn Host,
    /// Whether to list the objects of all namespaces together, rather than those of one.
    is_everywhere: bool,
    /// The ConfigMap of the request, if it has one: its namespace, its name, and the whole object.
    config_map: Option<(&'c str, &'c str, &'c RawValue)>,
    lists: Rc<RefCell<Vec<(Question, Answer)>>>,
}

/// A kind, and a namespace or all.
type Question = (Listed, Option<String>);
type Answer = Rc<Result<Vec<Found>, String>>;

view! {
    struct Object<'a> {
        "metadata" => metadata: Metadata<'a>,
    }
}

/// Whether a host's error means that the cluster does not know a kind. Source: `find_resource` in
/// `crates/policy-evaluator/src/callback_handler/kubernetes/client.rs` of
/// [kubewarden/kubewarden-controller](https://github.com/kubewarden/kubewarden-controller).
fn is_of_no_kind(reason: &str) -> bool {
    reason.contains("Cannot find resource") || reason.contains("error finding resource") && reason.contains("404")
}

/// A listed object.
pub(crate) struct Found {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) object: Box<RawValue>,
}

impl Found {
    /// Reads the fields of `T` from it.
    pub(crate) fn read_fields<'a, T: serde::Deserialize<'a>>(&'a self, kind: Listed) -> Result<T, String> {
        admission::read_fields(&self.object).map_err(|unjudged| self.unreadable(kind, &unjudged))
    }

    pub(crate) fn unreadable(&self, kind: Listed, Unjudged { path, reason }: &Unjudged) -> String {
        format!("{} cannot be read: {path}: {reason}", self.title(kind))
    }

    /// The object's name in messages: `Ingress flyte/flyte-core`.
    pub(crate) fn title(&self, kind: Listed) -> String {
        title(kind, &self.namespace, &self.name)
    }
}

pub(crate) fn title(kind: Listed, namespace: &str, name: &str) -> String {
    format!("{} {}/{}", kind.kind().1, Shortened(namespace), Shortened(name))
}

impl<'c> Objects<'c> {
    /// The objects for a request whose object is not a ConfigMap.
    pub(crate) fn beside(host: &'c dyn Host) -> Self {
        Self { host, is_everywhere: false, config_map: None, lists: Rc::default() }
    }

    /// The objects for a request whose object is a ConfigMap: those of its namespace, or of all namespaces.
    pub(crate) fn beside_config_map(
        host: &'c dyn Host,
        is_everywhere: bool,
        config_map: (&'c str, &'c str, &'c RawValue),
    ) -> Self {
        Self { is_everywhere, config_map: Some(config_map), ..Self::beside(host) }
    }

    /// The same objects, of all namespaces.
    pub(crate) fn everywhere(&self) -> Self {
        Self { is_everywhere: true, lists: Rc::clone(&self.lists), ..*self }
    }

    /// The same objects, with the ConfigMap as it was before the request.
    pub(crate) fn before(&self, old: &'c RawValue) -> Self {
        Self {
            host: self.host,
            is_everywhere: self.is_everywhere,
            config_map: self.config_map.map(|(namespace, name, _)| (namespace, name, old)),
            lists: Rc::clone(&self.lists),
        }
    }

    /// The ConfigMap in the request, if it is that one.
    pub(crate) fn of_request(&self, namespace: &str, name: &str) -> Option<&'c RawValue> {
        let (own_namespace, own_name, object) = self.config_map?;
        ((own_namespace, own_name) == (namespace, name)).then_some(object)
    }

    /// Calls `each` for every object of a kind, in a namespace or in all, until it returns something.
    ///
    /// # Errors
    ///
    /// The host cannot list them, an object cannot be read, or `each` fails.
    pub(crate) fn find<T>(
        &self,
        kind: Listed,
        namespace: Option<&str>,
        mut each: impl FnMut(&Found) -> Result<Option<T>, String>,
    ) -> Result<Option<T>, String> {
        let list = self.list(kind, namespace.filter(|_| !self.is_everywhere));
        let list = list.as_ref().as_ref().map_err(|reason| {
            let (api_version, kind) = kind.kind();
            // policy-server's words: it looks up only what the policy's manifest lists.
            if reason.contains("has not been granted access") {
                return format!(
                    "could not list {kind} objects (the policy's contextAwareResources lacks {api_version} {kind})"
                );
            }
            format!("could not list {kind} objects ({})", Shortened(reason.trim_end_matches('.')))
        })?;
        let is_in = |own: &str| namespace.is_none_or(|namespace| namespace == own);
        for found in list.iter().filter(|found| is_in(&found.namespace)) {
            let is_replaced = kind == Listed::ConfigMap && self.of_request(&found.namespace, &found.name).is_some();
            if !is_replaced && let Some(said) = each(found)? {
                return Ok(Some(said));
            }
        }
        match self.config_map.filter(|(namespace, ..)| kind == Listed::ConfigMap && is_in(namespace)) {
            Some((namespace, name, object)) => {
                each(&Found { namespace: namespace.to_owned(), name: name.to_owned(), object: object.to_owned() })
            }
            None => Ok(None),
        }
    }

    /// Calls `each` for every object of a kind, in a namespace or in all.
    ///
    /// # Errors
    ///
    /// The same as for [`Self::find`].
    pub(crate) fn each(
        &self,
        kind: Listed,
        namespace: Option<&str>,
        mut each: impl FnMut(&Found) -> Result<(), String>,
    ) -> Result<(), String> {
        self.find(kind, namespace, |found| each(found).map(|()| None::<()>)).map(|_| ())
    }

    fn list(&self, kind: Listed, namespace: Option<&str>) -> Answer {
        let question = (kind, namespace.map(str::to_owned));
        // The list of all namespaces includes that of one.
        let is_answered = |asked: &Question| *asked == question || *asked == (kind, None);
        if let Some((_, answer)) = self.lists.borrow().iter().find(|(asked, _)| is_answered(asked)) {
            return Rc::clone(answer);
        }
        let found = |object: Box<RawValue>| {
            let read = admission::read_fields::<Object>(&object)
                .map_err(|Unjudged { path, reason }| format!("{path}: {reason}"))?;
            let metadata = read.metadata.unwrap_or_default();
            let name = metadata.name.as_deref().unwrap_or_default().to_owned();
            let namespace = metadata.namespace.as_deref().or(namespace).unwrap_or_default().to_owned();
            Ok::<_, String>(Found { namespace, name, object })
        };
        let listed =
            self.host.list(kind, namespace).or_else(|reason| match kind.is_extra() && is_of_no_kind(&reason) {
                true => Ok(Vec::new()),
                false => Err(reason),
            });
        let answer = Rc::new(listed.and_then(|objects| {
            let mut sorted: Vec<Found> = Vec::with_capacity(objects.len());
            for found in objects.into_iter().map(found) {
                let found = found?;
                // Hosts may list objects in any order, but mostly list them in this one. A sort would add 3 KB to a
                // module.
                let is_before = |other: &Found| (&other.namespace, &other.name) <= (&found.namespace, &found.name);
                sorted.insert(sorted.partition_point(is_before), found);
            }
            Ok(sorted)
        }));
        self.lists.borrow_mut().push((question, Rc::clone(&answer)));
        answer
    }
}

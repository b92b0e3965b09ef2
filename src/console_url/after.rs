//! The cluster as it is once the request is accepted.

use std::{cell::RefCell, rc::Rc};

use serde_json::value::RawValue;

use crate::{
    admission,
    cluster::{Cluster, Listed},
    verdict::{Shortened, Unjudged},
    view::view,
    workload::Metadata,
};

/// The objects beside the one in the request; each kind is asked for once in a namespace, and only where it is needed.
pub(super) struct After<'c> {
    cluster: &'c dyn Cluster,
    /// The ConfigMap of the request, where it is one: its namespace, its name, and all of it.
    config_map: Option<(&'c str, &'c str, &'c RawValue)>,
    #[allow(clippy::type_complexity, reason = "an answer by its question")]
    answers: RefCell<Vec<((Listed, Option<String>), Rc<Result<Vec<Box<RawValue>>, String>>)>>,
}

view! {
    /// Any object.
    pub(super) struct Object<'a> {
        "metadata" => pub(super) metadata: Metadata<'a>,
    }
}

/// An object that is listed, its name and its namespace.
pub(super) struct Found<'o> {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) object: &'o RawValue,
}

impl Found<'_> {
    /// The object as people name it: `Ingress flyte/flyte-core`.
    pub(super) fn title(&self, kind: Listed) -> String {
        title(kind, &self.namespace, &self.name)
    }
}

pub(super) fn title(kind: Listed, namespace: &str, name: &str) -> String {
    format!("{} {}/{}", kind.kind().1, Shortened(namespace), Shortened(name))
}

impl<'c> After<'c> {
    pub(super) fn new(cluster: &'c dyn Cluster, config_map: Option<(&'c str, &'c str, &'c RawValue)>) -> Self {
        Self { cluster, config_map, answers: RefCell::default() }
    }

    /// Whether a ConfigMap is the one in the request.
    pub(super) fn is_of_request(&self, namespace: &str, name: &str) -> bool {
        self.config_map.is_some_and(|(own_namespace, own_name, _)| (own_namespace, own_name) == (namespace, name))
    }

    /// Gives each object of a kind to `each`, until that says something.
    ///
    /// # Errors
    ///
    /// The cluster does not say, or an object cannot be read, or what `each` says.
    pub(super) fn find<T>(
        &self,
        kind: Listed,
        namespace: Option<&str>,
        mut each: impl FnMut(Found) -> Result<Option<T>, String>,
    ) -> Result<Option<T>, String> {
        let objects = self.list(kind, namespace);
        let objects = objects.as_ref().as_ref().map_err(|reason| {
            format!("the cluster does not say which {} objects there are: {}", kind.kind().1, Shortened(reason))
        })?;
        let own = self
            .config_map
            .filter(|(own, ..)| kind == Listed::ConfigMap && namespace.is_none_or(|namespace| namespace == *own));
        for object in objects {
            let metadata = read::<Object>(kind, object)?.metadata.unwrap_or_default();
            let name = metadata.name.as_deref().unwrap_or_default().to_owned();
            let namespace = metadata.namespace.as_deref().or(namespace).unwrap_or_default().to_owned();
            let is_replaced =
                own.is_some_and(|(own_namespace, own_name, _)| own_namespace == namespace && own_name == name);
            if !is_replaced && let Some(found) = each(Found { namespace, name, object })? {
                return Ok(Some(found));
            }
        }
        match own {
            Some((namespace, name, object)) => {
                each(Found { namespace: namespace.to_owned(), name: name.to_owned(), object })
            }
            None => Ok(None),
        }
    }

    fn list(&self, kind: Listed, namespace: Option<&str>) -> Rc<Result<Vec<Box<RawValue>>, String>> {
        let question = (kind, namespace.map(str::to_owned));
        if let Some((_, answer)) = self.answers.borrow().iter().find(|(asked, _)| *asked == question) {
            return Rc::clone(answer);
        }
        let answer = Rc::new(self.cluster.list(kind, namespace));
        self.answers.borrow_mut().push((question, Rc::clone(&answer)));
        answer
    }
}

/// Reads the fields of `T` from an object that is listed.
pub(super) fn read<'a, T: serde::Deserialize<'a>>(kind: Listed, object: &'a RawValue) -> Result<T, String> {
    admission::read(object).map_err(|unjudged| unreadable(kind, &unjudged))
}

pub(super) fn unreadable(kind: Listed, Unjudged { path, reason }: &Unjudged) -> String {
    format!("a {} cannot be read: {path}: {reason}", kind.kind().1)
}

//! The content of `data`, from the engine: settings, the objects of the cluster, the time.

use std::{cell::OnceCell, time::Duration};

use serde_json::value::RawValue;

use crate::{
    admission::{self, AdmissionRequest},
    edit,
    host::{Host, Listed, plural},
    text::Text,
    verdict::Unjudged,
    view::view,
};
#[cfg(feature = "flyte-oauth-tls")]
use crate::{host::Pki, oauth_tls::LINKED};

view! {
    /// OPA's `data`.
    struct Data<'a> {
        "flytewarden" => flytewarden: Own<'a>,
        /// Gatekeeper's objects: `namespace.<namespace>.<API version>.<kind>.<name>`, and `cluster.<API version>.<kind>.<name>`.
        "inventory" => inventory: &'a RawValue,
        /// The objects that kube-mgmt and Kubewarden sync: `<plural>.<namespace>.<name>`, and `<plural>.<name>`.
        "kubernetes" => kubernetes: &'a RawValue,
    }

    struct Own<'a> {
        "settings" => settings: &'a RawValue,
        /// All objects of the cluster, of the kinds that policies ask for.
        "objects" => objects: Vec<&'a RawValue>,
        /// The time, in seconds since 1970-01-01T00:00:00Z.
        "now" => now: u64,
        /// `review` to make the first entrypoint answer with an AdmissionReview, as Kubewarden's mode `opa` requires.
        "answer" => answer: Text<'a>,
    }
}

/// The host that answers policies from `data`.
pub(super) struct Documents<'a> {
    data: Data<'a>,
    /// The objects of `flytewarden.objects`, each as the request that would create it. Read once, when a policy first asks.
    objects: OnceCell<Result<Vec<AdmissionRequest<'a>>, String>>,
}

impl<'a> Documents<'a> {
    /// Reads `data`.
    ///
    /// # Errors
    ///
    /// A part of it has the wrong type.
    pub(super) fn parse(data: &'a str) -> Result<Self, Unjudged> {
        let data = admission::read_str(data).map_err(|unjudged| unjudged.below("data"))?;
        Ok(Self { data, objects: OnceCell::new() })
    }

    /// Creates a host whose cluster contains exactly these manifests. It has the time of `beside`.
    pub(super) fn from_objects(objects: Vec<&'a RawValue>, beside: &Documents) -> Self {
        let now = beside.own().and_then(|own| own.now);
        let own = Own { objects: Some(objects), now, ..Own::default() };
        Self { data: Data { flytewarden: Some(own), ..Data::default() }, objects: OnceCell::new() }
    }

    fn own(&self) -> Option<&Own<'a>> {
        self.data.flytewarden.as_ref()
    }

    /// The settings.
    pub(super) fn settings(&self) -> Option<&'a RawValue> {
        self.own()?.settings
    }

    /// Whether the first entrypoint answers with an AdmissionReview.
    pub(super) fn wants_reviews(&self) -> bool {
        self.own().and_then(|own| own.answer.as_deref()) == Some("review")
    }
}

impl<'a> Host for Documents<'a> {
    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        let (api_version, name) = kind.kind();
        if let Some(objects) = self.own().and_then(|own| own.objects.as_ref()) {
            let create = |object: &&'a RawValue| AdmissionRequest::create(object).map_err(Unjudged::in_words);
            let read = self.objects.get_or_init(|| objects.iter().map(create).collect());
            return Ok(among(read.as_ref().map_err(String::clone)?, kind, namespace));
        }
        let names = |of_namespace: &str| edit::members(of_namespace).0.into_values().map(ToOwned::to_owned).collect();
        let found: Option<Vec<Vec<Box<RawValue>>>> = if let Some(inventory) = self.data.inventory {
            let of_kind = |at: &str| edit::at(at, &[api_version, name]).map(names);
            match edit::at(inventory.get(), &["cluster"]).and_then(of_kind) {
                Some(cluster) => Some(vec![cluster]),
                None => of_namespaces(edit::at(inventory.get(), &["namespace"]), namespace, of_kind),
            }
        } else if let Some(kubernetes) = self.data.kubernetes {
            let objects = edit::at(kubernetes.get(), &[&plural(name).to_lowercase()]);
            match kind {
                Listed::ClusterIssuer => objects.map(|objects| vec![names(objects)]),
                _ => of_namespaces(objects, namespace, |objects| Some(names(objects))),
            }
        } else {
            return Err("no cluster is available".to_owned());
        };
        found.map(|found| found.into_iter().flatten().collect()).ok_or_else(|| format!("data contains no {name}"))
    }

    fn now(&self) -> Result<Duration, String> {
        let now = self.own().and_then(|own| own.now).ok_or("data.flytewarden.now is not set")?;
        Ok(Duration::from_secs(now))
    }

    #[cfg(feature = "flyte-oauth-tls")]
    fn pki(&self) -> Result<&'static Pki, String> {
        Ok(LINKED)
    }
}

/// Selects the objects of a kind, and of a namespace if one is given.
fn among(objects: &[AdmissionRequest], kind: Listed, namespace: Option<&str>) -> Vec<Box<RawValue>> {
    let is_there = |it: &&AdmissionRequest| {
        kind == Listed::ClusterIssuer || namespace.is_none_or(|namespace| namespace == it.namespace())
    };
    let found = objects.iter().filter(|it| kind.is(it.kind())).filter(is_there);
    found.filter_map(|it| it.object).map(ToOwned::to_owned).collect()
}

/// Returns the objects of a kind in one namespace, or in all. `None` if no namespace has any: the kind may not be
/// synced.
fn of_namespaces<T>(
    namespaces: Option<&str>,
    namespace: Option<&str>,
    of: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    let namespaces = edit::members(namespaces?);
    let found = namespaces.iter().filter_map(|(name, objects)| Some((name, of(objects.get())?)));
    let found: Vec<_> = found.collect();
    let is_asked = |name: &str| namespace.is_none_or(|namespace| namespace == name);
    (!found.is_empty()).then(|| found.into_iter().filter(|(name, _)| is_asked(name)).map(|(_, found)| found).collect())
}

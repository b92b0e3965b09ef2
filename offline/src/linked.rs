//! Policies that are linked in: the same decisions without a module or an engine.

use std::{sync::Arc, time::Duration};

use flytewarden::{
    abi::Module,
    cluster::{Cluster, Listed},
    oauth_tls::Pki,
    policy::Policy as Rule,
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{check::Policy, cluster::HostCalls, metadata::Metadata, report::Answer};

/// What the program that links the policies has for them, or why it does not.
pub type Source<T> = fn() -> Result<T, String>;

/// A policy that is linked in, and what its module says of itself.
pub struct Linked {
    /// What it is called here.
    pub name: String,
    /// What its module says of itself.
    pub metadata: Metadata,
    /// The policy.
    pub rule: &'static dyn Rule,
    /// The time, since 1970-01-01T00:00:00Z.
    pub clock: Source<Duration>,
    /// What certificates are checked with.
    pub pki: Source<&'static Pki>,
}

impl Policy for Linked {
    fn name(&self) -> &str {
        &self.name
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn validate(&self, request: &str, settings: &str, host: &Arc<dyn HostCalls>) -> Result<Answer, String> {
        let payload = format!(r#"{{"request":{request},"settings":{settings}}}"#);
        let answer = Module::One(self.rule)
            .validate(payload.as_bytes(), &Host { host: &**host, clock: self.clock, pki: self.pki });
        // As it would come from a module.
        let answer = serde_json::to_string(&answer).map_err(|error| error.to_string())?;
        serde_json::from_str(&answer).map_err(|error| error.to_string())
    }

    fn validate_settings(&self, settings: &str) -> Result<(), String> {
        let validity = Module::One(self.rule).validate_settings(settings.as_bytes());
        if validity.valid { Ok(()) } else { Err(validity.message.unwrap_or_default()) }
    }
}

/// A host, asked as the compiled module asks it.
pub struct Host<'h> {
    /// What answers.
    pub host: &'h dyn HostCalls,
    /// The time, since 1970-01-01T00:00:00Z.
    pub clock: Source<Duration>,
    /// What certificates are checked with.
    pub pki: Source<&'static Pki>,
}

impl Cluster for Host<'_> {
    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
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
        let answer = self.host.answer(operation, request.to_string().as_bytes())?;
        let list: List = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        Ok(list.items)
    }

    fn image(&self, reference: &str) -> Result<Box<RawValue>, String> {
        RawValue::from_string(String::from_utf8(self.host.image(reference)?).map_err(|error| error.to_string())?)
            .map_err(|error| error.to_string())
    }

    fn now(&self) -> Result<Duration, String> {
        (self.clock)()
    }

    fn pki(&self) -> Result<&'static Pki, String> {
        (self.pki)()
    }
}

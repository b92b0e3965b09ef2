//! Policies that are linked into the program. They decide the same as the modules, without an engine.

use std::{sync::Arc, time::Duration};

use flytewarden::{
    decision::{POLICIES, Policies, WITH_VARIANTS},
    host::{Host, Listed, Pki},
    policy::Policy as Rule,
    settings::InvalidSettings,
};
use serde_json::value::RawValue;

use crate::{check::Policy, cluster::HostCalls, metadata::Metadata, report::Answer};

/// Provides a value to the policies, or the reason why the program has none.
pub type Source<T> = fn() -> Result<T, String>;

/// The metadata from a policy's folder in `policies/`.
struct Folder {
    name: &'static str,
    /// Its `metadata.yml`, as JSON.
    metadata: &'static str,
    /// Its description for people, as JSON.
    info: &'static str,
}

/// build.rs writes this list.
const FOLDERS: &[Folder] = include!(concat!(env!("OUT_DIR"), "/folders.rs"));

fn folder_of(policy: &str) -> Option<&'static Folder> {
    FOLDERS.iter().find(|folder| folder.name == policy)
}

/// The descriptions of all policies for people, as JSON: a list of `{"name", "description", "version", "severity",
/// "questions"}`.
pub fn info() -> String {
    let folders = POLICIES.iter().filter_map(|policy| folder_of(policy.name()));
    let info: Vec<&str> = folders.map(|folder| folder.info).collect();
    format!("[{}]", info.join(","))
}

/// Returns all policies, sorted by name. If a policy has a variant that asks its host for more, the variant replaces
/// it: unlike in a cluster, nobody has to allow these questions first.
pub fn policies(clock: Source<Duration>, pki: Source<&'static Pki>) -> Vec<Linked> {
    let linked = |policy: &&'static dyn Rule| {
        let name = policy.name();
        let read = |name: &str| serde_json::from_str::<Metadata>(folder_of(name)?.metadata).ok();
        let mut metadata = read(name)?;
        let mut rule = *policy;
        if let Some((variant, _)) = WITH_VARIANTS.iter().find(|(_, of)| *of == Some(name)) {
            // The variant has the policy's name here, so it has its description too.
            metadata = read(variant.name())?.described_as(&metadata);
            rule = *variant;
        }
        Some(Linked { name: name.to_owned(), metadata, rule, clock, pki })
    };
    POLICIES.iter().filter_map(linked).collect()
}

/// A linked policy and its module's metadata.
pub struct Linked {
    /// The name that it has here.
    pub name: String,
    /// Its module's metadata.
    pub metadata: Metadata,
    /// The policy.
    pub rule: &'static dyn Rule,
    /// Returns the time since 1970-01-01T00:00:00Z.
    pub clock: Source<Duration>,
    /// Returns the functions that check certificates.
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
        let host = Asked { host: &**host, clock: self.clock, pki: self.pki };
        Ok(Policies::One(self.rule).validate(payload.as_bytes(), &host).into())
    }

    fn validate_settings(&self, settings: &str) -> Result<(), InvalidSettings> {
        Policies::One(self.rule).validate_settings(settings.as_bytes())
    }
}

/// A host that answers linked policies as it answers the compiled module.
pub struct Asked<'h> {
    /// Answers the questions about the cluster and images.
    pub host: &'h dyn HostCalls,
    /// Returns the time since 1970-01-01T00:00:00Z.
    pub clock: Source<Duration>,
    /// Returns the functions that check certificates.
    pub pki: Source<&'static Pki>,
}

impl Host for Asked<'_> {
    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        self.host.list(kind, namespace)
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

#[cfg(test)]
mod tests {
    use super::{POLICIES, policies};

    #[test]
    fn every_policy_is_linked() {
        let linked = policies(|| Err(String::new()), || Err(String::new()));
        let linked: Vec<&str> = linked.iter().map(|policy| &*policy.name).collect();
        assert_eq!(POLICIES.iter().map(|policy| policy.name()).collect::<Vec<_>>(), linked);
    }
}

//! Policies that are linked in: the same decisions without a module or an engine.

use std::{sync::Arc, time::Duration};

use flytewarden::{
    decision::{POLICIES, Policies, WITH_VARIANTS},
    host::{Host, Listed, Pki},
    policy::Policy as Rule,
    settings::InvalidSettings,
};
use serde_json::value::RawValue;

use crate::{check::Policy, cluster::HostCalls, metadata::Metadata, report::Answer};

/// What the program that links the policies has for them, or why it does not.
pub type Source<T> = fn() -> Result<T, String>;

/// What a folder of `policies/` says of its policy.
struct Folder {
    name: &'static str,
    /// Its `metadata.yml`, as JSON.
    metadata: &'static str,
    /// What it says for people, as JSON.
    info: &'static str,
}

/// By build.rs.
const FOLDERS: &[Folder] = include!(concat!(env!("OUT_DIR"), "/folders.rs"));

fn folder_of(policy: &str) -> Option<&'static Folder> {
    FOLDERS.iter().find(|folder| folder.name == policy)
}

/// What each policy says of itself for people, as JSON: a list of `{"name", "description", "version", "severity",
/// "questions"}`.
pub fn info() -> String {
    let folders = POLICIES.iter().filter_map(|policy| folder_of(policy.name()));
    let info: Vec<&str> = folders.map(|folder| folder.info).collect();
    format!("[{}]", info.join(","))
}

/// All policies, in the order of their names. A variant with more to ask stands in for its policy: here nobody has to allow
/// that first.
pub fn policies(clock: Source<Duration>, pki: Source<&'static Pki>) -> Vec<Linked> {
    let linked = |policy: &&'static dyn Rule| {
        let name = policy.name();
        let variant = WITH_VARIANTS.iter().find(|(_, of)| *of == Some(name));
        let rule = variant.map_or(*policy, |(variant, _)| *variant);
        let metadata: Metadata = serde_json::from_str(folder_of(rule.name())?.metadata).ok()?;
        Some(Linked { name: name.to_owned(), metadata, rule, clock, pki })
    };
    POLICIES.iter().filter_map(linked).collect()
}

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
        let host = Asked { host: &**host, clock: self.clock, pki: self.pki };
        Ok(Policies::One(self.rule).validate(payload.as_bytes(), &host).into())
    }

    fn validate_settings(&self, settings: &str) -> Result<(), InvalidSettings> {
        Policies::One(self.rule).validate_settings(settings.as_bytes())
    }
}

/// A host, asked as the compiled module asks it.
pub struct Asked<'h> {
    /// What answers.
    pub host: &'h dyn HostCalls,
    /// The time, since 1970-01-01T00:00:00Z.
    pub clock: Source<Duration>,
    /// What certificates are checked with.
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
    fn every_policy_is_linked_in() {
        let linked = policies(|| Err(String::new()), || Err(String::new()));
        let linked: Vec<&str> = linked.iter().map(|policy| &*policy.name).collect();
        assert_eq!(POLICIES.iter().map(|policy| policy.name()).collect::<Vec<_>>(), linked);
    }
}

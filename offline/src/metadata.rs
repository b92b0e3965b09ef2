//! A module's metadata, and the requests that its rules select.

use std::collections::BTreeMap;

use flytewarden::host::plural;
use serde::Deserialize;

use crate::request::Request;

/// The metadata in a module's custom section [`SECTION`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    rules: Vec<Rule>,
    #[serde(default)]
    context_aware_resources: Vec<ContextAwareResource>,
    #[serde(default)]
    host_capabilities: Vec<String>,
    #[serde(default)]
    execution_mode: Option<String>,
    /// Descriptions for people, by names such as `io.kubewarden.policy.title`.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// The custom section where a module keeps its metadata.
pub const SECTION: &str = "io.kubewarden.metadata";

/// A kind of object that a module may ask the cluster for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContextAwareResource {
    /// E.g. `apps/v1`.
    pub api_version: String,
    /// E.g. `Deployment`.
    pub kind: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    operations: Vec<String>,
}

/// A kind of object, as API servers list it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// E.g. `apps`; empty for the core group.
    pub group: String,
    /// E.g. `deployments`.
    pub plural: String,
    /// The version that the policy reads, e.g. `v1`. `None` means any version.
    pub version: Option<String>,
}

impl Metadata {
    /// Returns the kinds of objects that the policy reads: those it checks, in any version, and those it asks the
    /// cluster for. Leaves out wildcards and subresources.
    pub fn resources(&self) -> impl Iterator<Item = Resource> {
        let checked = self.rules.iter().flat_map(|Rule { api_groups, resources, .. }| {
            let pairs = api_groups.iter().flat_map(|group| resources.iter().map(move |plural| (group, plural)));
            pairs.map(|(group, plural)| Resource { group: group.clone(), plural: plural.clone(), version: None })
        });
        let asked = self.context_aware_resources.iter().map(|ContextAwareResource { api_version, kind }| {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let plural = plural(kind).to_lowercase();
            Resource { group: group.to_owned(), plural, version: Some(version.to_owned()) }
        });
        let is_named = |Resource { group, plural, .. }: &Resource| !group.contains('*') && !plural.contains(['*', '/']);
        checked.chain(asked).filter(is_named)
    }

    /// Whether the policy's rules have wildcards, so that it checks kinds that they do not name.
    pub fn has_wildcards(&self) -> bool {
        let is_any = |names: &[String]| names.iter().any(|name| name.starts_with('*'));
        self.rules.iter().any(|rule| is_any(&rule.api_groups) || is_any(&rule.resources))
    }

    /// Whether the API server would send this request to the policy.
    ///
    /// Versions are not compared: with `matchPolicy: Equivalent`, the default, the API server converts them.
    pub fn asks_for(&self, request: &Request) -> bool {
        let is_in = |list: &[String], value: &str| list.iter().any(|item| item == "*" || item == value);
        self.rules.iter().any(|rule| {
            is_in(&rule.api_groups, request.resource.group)
                && rule.resources.iter().any(|rule| names(rule, &request.resource.resource))
                && is_in(&rule.operations, request.operation)
        })
    }

    /// Returns the kinds of objects that the policy asks the cluster for.
    pub fn context_aware_resources(&self) -> &[ContextAwareResource] {
        &self.context_aware_resources
    }

    /// Whether the metadata lists a host call, e.g. `oci/v1/oci_manifest_config`.
    pub fn asks_its_host(&self, capability: &str) -> bool {
        self.host_capabilities.iter().any(|asked| asked == capability)
    }

    /// Whether the policy has no rules, so that it never checks anything.
    pub fn asks_for_nothing(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns the policy's name.
    pub fn name(&self) -> Option<&str> {
        self.annotation("title")
    }

    /// The same metadata, with another's description.
    pub(crate) fn described_as(mut self, other: &Self) -> Self {
        const DESCRIPTION: &str = "io.kubewarden.policy.description";
        self.annotations
            .extend(other.annotations.get_key_value(DESCRIPTION).map(|(name, text)| (name.clone(), text.clone())));
        self
    }

    /// Returns the policy's purpose, in one line.
    pub fn description(&self) -> Option<&str> {
        self.annotation("description")
    }

    /// Returns the execution mode if it is not waPC.
    pub fn other_execution_mode(&self) -> Option<&str> {
        self.execution_mode.as_deref().filter(|mode| *mode != "kubewarden-wapc")
    }

    /// Returns one of Kubewarden's annotations, by the last part of its name.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(&format!("io.kubewarden.policy.{name}")).map(String::as_str)
    }
}

/// Whether a rule's resource, e.g. `pods`, `*`, `*/*` or `pods/*`, includes the resource itself and not only a
/// subresource.
fn names(rule: &str, resource: &str) -> bool {
    let (own, sub) = rule.split_once('/').unwrap_or((rule, "*"));
    (own == "*" || own == resource) && sub == "*"
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn rules_name_resources_as_in_kubernetes() {
        for rule in ["pods", "*", "*/*", "pods/*"] {
            assert!(names(rule, "pods"), "{rule}");
        }
        for rule in ["pods/status", "*/scale", "jobs", "jobs/*", ""] {
            assert!(!names(rule, "pods"), "{rule}");
        }
    }
}

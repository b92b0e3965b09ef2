//! The trait that every policy implements, and the data that describes a policy.

use serde_json::value::RawValue;

use crate::{
    admission::{AdmissionRequest, Kind},
    host::{Host, Listed},
    rule::{Rule, Severities},
    settings::{InvalidSettings, Setting},
    verdict::{Unjudged, Verdict},
};

/// One requirement of Flyte's "Security Overview": a pure decision about one admission request. Some policies also read
/// other objects of the cluster, and say so.
pub trait Policy: Sync {
    /// The policy's name: its folder in `policies/`, its cargo feature, and its key in the settings of the module that
    /// carries all policies.
    fn name(&self) -> &'static str;

    /// Whether the policy checks objects of this kind.
    fn concerns(&self, kind: &Kind) -> bool;

    /// Checks a request whose kind [concerns](Self::concerns) the policy. Without settings the defaults apply.
    ///
    /// # Errors
    ///
    /// The request or the settings cannot be read, so there is no verdict.
    fn judge(
        &self,
        request: &AdmissionRequest,
        settings: Option<&RawValue>,
        host: &dyn Host,
    ) -> Result<Verdict, Unjudged>;

    /// Checks that `settings` are valid: known keys, right types, values that can work.
    ///
    /// # Errors
    ///
    /// The first problem, with its path.
    fn check_settings(&self, settings: Option<&RawValue>) -> Result<(), InvalidSettings>;
}

/// A policy with its description. The docs, help and metadata of the policy are generated from this and from its `metadata.yml`.
#[derive(Clone, Copy)]
pub struct Declared {
    /// The implementation.
    pub policy: &'static dyn Policy,
    /// The name of the policy that this one extends with more questions to the host. It has the same rules and
    /// settings, and replaces that policy on hosts that need no permission for these questions.
    pub variant_of: Option<&'static str>,
    /// The rules that its findings name.
    pub rules: &'static [Rule],
    /// The severity of each of its rules.
    pub severities: Severities,
    /// The settings that it takes.
    pub settings: &'static [Setting],
    /// The kinds of objects that it lists through its host.
    pub asks_for: &'static [Listed],
    /// Whether it asks its host for images.
    pub asks_for_images: bool,
    /// The largest size of its annotated module, in bytes: an engine fetches, compiles and keeps every policy it runs.
    pub most_bytes: usize,
}

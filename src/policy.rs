//! What a policy is, and what it declares of itself.

use serde_json::value::RawValue;

use crate::{
    admission::{AdmissionRequest, Kind},
    host::{Host, Listed},
    rule::{Rule, Severity},
    settings::{InvalidSettings, Setting},
    verdict::{Unjudged, Verdict},
};

/// One rule of Flyte's "Security Overview": a pure decision about one admission request, and where it says so about what
/// the cluster holds beside.
pub trait Policy: Sync {
    /// The policy's name: its folder in `policies/`, its cargo feature, and its key in the settings of the module that
    /// carries all policies.
    fn name(&self) -> &'static str;

    /// Whether the policy has an opinion on objects of this kind.
    fn concerns(&self, kind: &Kind) -> bool;

    /// Decides about a request whose kind [concerns](Self::concerns) the policy. Absent settings are the defaults.
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

    /// Whether `settings` mean something: known keys, right types, values that can work.
    ///
    /// # Errors
    ///
    /// What is wrong, with the path to it.
    fn check_settings(&self, settings: Option<&RawValue>) -> Result<(), InvalidSettings>;
}

/// A policy with what it declares of itself, once: from this, and from its `metadata.yml`, comes all that is said of it elsewhere.
#[derive(Clone, Copy)]
pub struct Declared {
    /// What decides.
    pub policy: &'static dyn Policy,
    /// The name of the policy that this one is too, with more to ask its host; it stands in for that one where nobody has to
    /// allow it first, and has its rules and settings.
    pub variant_of: Option<&'static str>,
    /// What it can find.
    pub rules: &'static [Rule],
    /// How bad the findings of each of its rules are.
    pub severities: &'static [(&'static str, Severity)],
    /// What it can be told.
    pub settings: &'static [Setting],
    /// The objects that it asks its host for.
    pub asks_for: &'static [Listed],
    /// Whether it asks its host for images.
    pub asks_for_images: bool,
    /// The most bytes that its module may have, annotated: an engine fetches, compiles and keeps every policy it runs.
    pub most_bytes: usize,
}

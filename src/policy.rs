//! What a policy is.

use serde_json::value::RawValue;

use crate::{
    admission::{AdmissionRequest, Kind},
    host::Host,
    settings::InvalidSettings,
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

//! Access to the cluster and to registries through a Kubewarden host.

use std::time::{Duration, SystemTime};

#[cfg(feature = "flyte-non-root-image-user")]
use kubewarden_policy_sdk::wapc_guest::host_call;
use serde_json::value::RawValue;

#[cfg(feature = "admin-config")]
use super::list;
use crate::host::{self, Listed};
#[cfg(feature = "flyte-oauth-tls")]
use crate::{host::Pki, oauth_tls::LINKED};

/// The Kubewarden host that runs the module.
pub(super) struct Host;

impl host::Host for Host {
    #[cfg(feature = "admin-config")]
    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        list::list(kind, namespace)
    }

    #[cfg(not(feature = "admin-config"))]
    fn list(&self, _: Listed, _: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        Err("this module asks for no objects".to_owned())
    }

    /// Calls the host directly. The SDK's `get_manifest_and_config` parses the whole manifest and configuration into
    /// types, and fails if one of their fields is missing.
    #[cfg(feature = "flyte-non-root-image-user")]
    fn image(&self, reference: &str) -> Result<Box<RawValue>, String> {
        let unreadable = |error: &dyn std::fmt::Display| format!("the policy engine's answer cannot be read: {error}");
        let request = serde_json::to_vec(reference).map_err(|error| error.to_string())?;
        let answer = host_call("kubewarden", "oci", "v1/oci_manifest_config", &request)
            .map_err(|error| reason(&error.to_string()))?;
        let answer = String::from_utf8(answer).map_err(|error| unreadable(&error))?;
        RawValue::from_string(answer).map_err(|error| unreadable(&error))
    }

    fn now(&self) -> Result<Duration, String> {
        SystemTime::UNIX_EPOCH.elapsed().map_err(|_| "the clock is before 1970".to_owned())
    }

    #[cfg(feature = "flyte-oauth-tls")]
    fn pki(&self) -> Result<&'static Pki, String> {
        Ok(LINKED)
    }
}

/// Returns the reason of an error without the prefixes that waPC and Kubewarden's hosts add, and without the trace that
/// a host adds if it traces errors.
pub(super) fn reason(error: &str) -> String {
    let first = error.lines().next().unwrap_or_default();
    first.trim_start_matches("Host error: ").trim_start_matches("Callback evaluation failure: ").to_owned()
}

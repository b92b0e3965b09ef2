//! The interface for waPC hosts, such as Kubewarden's engines: functions by name, with bytes in and bytes out.

#[cfg(any(feature = "admin-config", feature = "flyte-non-root-image-user"))]
mod host;
#[cfg(feature = "admin-config")]
mod list;

use kubewarden_policy_sdk::{
    protocol_version_guest,
    settings::SettingsValidationResponse,
    wapc_guest::{CallResult, register_function},
};

use crate::decision::Policies;
#[cfg(not(any(feature = "admin-config", feature = "flyte-non-root-image-user")))]
use crate::host::NoHost as Host;
#[cfg(any(feature = "admin-config", feature = "flyte-non-root-image-user"))]
use host::Host;

/// Called once by the host, before any other function.
#[allow(unsafe_code, reason = "the name is the host's")]
#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("validate", validate);
    register_function("validate_settings", validate_settings);
    register_function("protocol_version", protocol_version_guest);
}

fn validate(payload: &[u8]) -> CallResult {
    Ok(serde_json::to_vec(&Policies::BUILT.validate(payload, &Host))?)
}

fn validate_settings(payload: &[u8]) -> CallResult {
    let message = Policies::BUILT.validate_settings(payload).err().map(|invalid| invalid.to_string());
    Ok(serde_json::to_vec(&SettingsValidationResponse { valid: message.is_none(), message })?)
}

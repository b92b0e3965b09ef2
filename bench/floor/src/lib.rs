//! A policy that accepts without reading. It shows what a decision costs the engine before a policy does anything.

use kubewarden_policy_sdk::{accept_request, wapc_guest::register_function};

/// Called once by the host, before any other function.
#[allow(unsafe_code, reason = "the name is the host's")]
#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("validate", |_| accept_request());
}

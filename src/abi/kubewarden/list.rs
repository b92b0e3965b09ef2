//! Lists objects of the cluster through a Kubewarden host.
//!
//! This module does not use the SDK's functions, because the compiled policy would contain them once for each kind. The
//! request has the same form as in the SDK's `host_capabilities::kubernetes`.

use kubewarden_policy_sdk::wapc_guest::host_call;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::host::reason;
use crate::host::Listed;

/// The question to a host.
#[derive(Serialize)]
struct Request<'r> {
    api_version: &'r str,
    kind: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'r str>,
    label_selector: (),
    field_selector: (),
    field_masks: &'r [&'r str],
}

/// The answer of a host.
#[derive(Deserialize)]
struct List {
    items: Vec<Box<RawValue>>,
}

pub(super) fn list(kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
    let operation = match namespace {
        Some(_) => "list_resources_by_namespace",
        None => "list_resources_all",
    };
    let (api_version, name) = kind.kind();
    let request = Request {
        api_version,
        kind: name,
        namespace,
        label_selector: (),
        field_selector: (),
        field_masks: kind.fields(),
    };
    let request = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
    let answer =
        host_call("kubewarden", "kubernetes", operation, &request).map_err(|error| reason(&error.to_string()))?;
    // Parsed as text, like everything else: if bytes were parsed too, the module would contain serde_json's reader
    // twice.
    let answer = str::from_utf8(&answer).map_err(|error| error.to_string())?;
    let list: List = serde_json::from_str(answer).map_err(|error| error.to_string())?;
    Ok(list.items)
}

//! Kubewarden's own command, where it is on PATH.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use flytewarden_offline::report::Answer;
use serde_json::{Value, json};

/// A question of a policy to its host, and the answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The operation.
    pub operation: String,
    /// The request, as JSON.
    pub request: Vec<u8>,
    /// The answer, as JSON.
    pub answer: Result<Vec<u8>, String>,
}

/// The exchanges as kwctl records them: YAML, of which this is the part that is JSON, but for the tag of each request.
fn recording(exchanges: &[Exchange]) -> Value {
    let recorded = exchanges.iter().map(|Exchange { operation, request, answer }| {
        let tag = match operation.as_str() {
            "list_resources_by_namespace" => "KubernetesListResourceNamespace",
            _ => "KubernetesListResourceAll",
        };
        let response = match answer {
            Ok(payload) => json!({"type": "Success", "payload": String::from_utf8_lossy(payload)}),
            Err(message) => json!({"type": "Error", "message": message}),
        };
        let request = format!("!{tag} {}", String::from_utf8_lossy(request));
        json!({"type": "Exchange", "request": request, "response": response})
    });
    recorded.collect()
}

/// Whether `kwctl` is on PATH.
pub fn is_there() -> bool {
    let version = Command::new("kwctl").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// What `kwctl run` makes of a module, a request and settings. `exchanges` are what its host is asked and answers, in
/// order.
///
/// # Errors
///
/// It does not run, or its answer cannot be read; settings that the policy refuses are one way to that.
pub fn run(module: &Path, request: &Value, settings: &Value, exchanges: &[Exchange]) -> Result<Answer, String> {
    let file = |content: &Value| {
        let mut file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        write!(file, "{content}").map_err(|error| error.to_string())?;
        Ok::<_, String>(file)
    };
    let (request, recording) = (file(request)?, file(&recording(exchanges))?);
    let output = Command::new("kwctl")
        .args(["run", "--settings-json", &settings.to_string(), "--allow-context-aware"])
        .arg("--replay-host-capabilities-interactions")
        .arg(recording.path())
        .arg("--request-path")
        .arg(request.path())
        .arg(module)
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let answer: Value = serde_json::from_str(&text)
        .map_err(|error| format!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    // kwctl prints the AdmissionReview's response, not the policy's own answer.
    serde_json::from_value(json!({
        "accepted": answer["allowed"],
        "message": answer["status"]["message"],
        "code": answer["status"]["code"],
        "warnings": answer["warnings"],
        "audit_annotations": answer["auditAnnotations"],
    }))
    .map_err(|error| format!("{error}: {text}"))
}

//! Kubewarden's own command, where it is on PATH.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use flytewarden_offline::report::Answer;
use serde_json::Value;

/// Whether `kwctl` is on PATH.
pub fn is_there() -> bool {
    let version = Command::new("kwctl").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// What `kwctl run` makes of a module, a request and settings.
///
/// # Errors
///
/// It does not run, or its answer cannot be read; settings that the policy refuses are one way to that.
pub fn run(module: &Path, request: &Value, settings: &Value) -> Result<Answer, String> {
    let mut file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    write!(file, "{request}").map_err(|error| error.to_string())?;
    let output = Command::new("kwctl")
        .args(["run", "--settings-json", &settings.to_string(), "--request-path"])
        .arg(file.path())
        .arg(module)
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let answer: Value = serde_json::from_str(&text)
        .map_err(|error| format!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    // kwctl prints the AdmissionReview's response, not the policy's own answer.
    serde_json::from_value(serde_json::json!({
        "accepted": answer["allowed"],
        "message": answer["status"]["message"],
        "code": answer["status"]["code"],
        "warnings": answer["warnings"],
        "audit_annotations": answer["auditAnnotations"],
    }))
    .map_err(|error| format!("{error}: {text}"))
}

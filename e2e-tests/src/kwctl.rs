//! Runs the cases with kwctl, Kubewarden's own command.

use std::{io::Write, path::Path, process::Command};

use flytewarden::oauth_tls::LINKED;
use flytewarden_offline::{linked::Asked, report::Answer};
use serde_json::{Value, json};

use crate::{
    cases::{Case, patched},
    native::{Exchange, IMAGE, Remembering, clock},
};

/// The exchanges in kwctl's format: YAML that consists of this JSON and a tag for each request.
fn recording(exchanges: &[Exchange]) -> Value {
    let recorded = exchanges.iter().map(|Exchange { operation, request, answer }| {
        let tag = match operation.as_str() {
            "list_resources_by_namespace" => "KubernetesListResourceNamespace",
            IMAGE => "OciManifestAndConfig",
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

/// Runs a case, and compares the answer.
///
/// # Errors
///
/// The difference between the answers, or the reason why kwctl does not answer.
pub fn judge(module: &Path, case: &Case) -> Result<(), String> {
    if case.object.is_some() {
        // The policy's native build finds out the questions to the host.
        let host = Remembering::new(case.host());
        let payload = json!({"request": case.admission_request(), "settings": case.settings});
        case.native().validate(payload.to_string().as_bytes(), &Asked { host: &host, clock, pki: || Ok(LINKED) });
        let exchanges = host.exchanges.lock().map_err(|error| error.to_string())?;
        return case.compare(&run(module, &case.admission_request(), &case.settings, &exchanges)?);
    }
    // kwctl has no command for settings alone; it checks them before it runs the policy.
    let anything = Case { object: Some(json!({"apiVersion": "v1", "kind": "Service"})), ..case.clone() };
    case.compare_settings(match run(module, &anything.admission_request(), &case.settings, &[]) {
        Ok(_) => Ok(()),
        // Its log contains the reason, among other things.
        Err(log) if case.message.iter().all(|line| log.contains(line)) => Err(case.message.join("\n")),
        Err(log) => Err(log),
    })
}

/// The answer of `kwctl run` for a module, a request and settings. `exchanges` are the questions to its host with the
/// answers, in order.
fn run(module: &Path, request: &Value, settings: &Value, exchanges: &[Exchange]) -> Result<Answer, String> {
    let file = |content: &Value| {
        let mut file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        write!(file, "{content}").map_err(|error| error.to_string())?;
        Ok::<_, String>(file)
    };
    let object = &request["object"];
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
        "mutated_object": patched(object, &answer["patch"])?,
        "accepted": answer["allowed"],
        "message": answer["status"]["message"],
        "code": answer["status"]["code"],
        "warnings": answer["warnings"],
        "audit_annotations": answer["auditAnnotations"],
    }))
    .map_err(|error| format!("{error}: {text}"))
}

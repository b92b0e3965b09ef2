//! The interface for OPA: a module for any engine that loads compiled Rego.
//!
//! `question` reads an input in any of the shapes that such engines send. `documents` answers the policies' questions from `data`.
//! `answer` writes the answers. Only `exports` deals with memory: it has the functions that OPA's ABI requires.
//!
//! Source: `docs/docs/wasm.md` of [open-policy-agent/opa](https://github.com/open-policy-agent/opa).

mod answer;
mod documents;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod exports;
mod go;
mod question;

use answer::Finding;
use documents::Documents;
use question::Question;
use serde_json::value::RawValue;

use crate::{
    decision::{Decision, Policies},
    verdict::Unjudged,
};

/// The violations of a request, in the form of Gatekeeper's policies.
const VIOLATION: &str = "flytewarden/violation";
/// The notices, in the same form.
const WARN: &str = "flytewarden/warn";
/// Answers an AdmissionReview with an AdmissionReview.
const ADMISSION: &str = "flytewarden/admission";
/// The report on manifests.
const REPORT: &str = "flytewarden/report";

/// The entrypoints, in the order of their numbers.
pub const ENTRYPOINTS: [&str; 4] = [VIOLATION, WARN, ADMISSION, REPORT];

/// Answers an entrypoint, by its number, as JSON. Unreadable input is a violation: an engine that gets no answer allows
/// everything.
pub fn evaluate(policies: &Policies, entrypoint: usize, input: &str, data: &str) -> String {
    let (input, data) = (&*go::json(input), &*go::json(data));
    let documents = Documents::parse(data);
    let name = match ENTRYPOINTS.get(entrypoint) {
        Some(&VIOLATION) if documents.as_ref().is_ok_and(Documents::wants_reviews) => ADMISSION,
        name => name.unwrap_or(&VIOLATION),
    };
    if name == REPORT {
        let report = documents.and_then(|documents| answer::report(policies, input, &documents));
        return report.unwrap_or_else(|unjudged| answer::json(&Finding::violations(&unjudged.into())));
    }
    let question = Question::parse(input);
    let decision = match (&documents, &question) {
        (Ok(documents), Ok(question)) => decide(policies, question, documents).unwrap_or_else(Decision::from),
        (Err(unjudged), _) | (_, Err(unjudged)) => unjudged.clone().into(),
    };
    match name {
        WARN => answer::json(&Finding::notices(&decision)),
        ADMISSION => answer::review(decision, question.as_ref().ok(), &question::uid(input)),
        _ => answer::json(&Finding::violations(&decision)),
    }
}

fn decide(policies: &Policies, question: &Question, documents: &Documents) -> Result<Decision, Unjudged> {
    let settings = checked(policies, question.settings.or(documents.settings()))?;
    Ok(policies.decide(&question.request, settings, documents))
}

/// Checks the settings. Kubewarden asks a policy to check them once; OPA's engines do not, so this happens for each request.
fn checked<'s>(policies: &Policies, settings: Option<&'s RawValue>) -> Result<Option<&'s RawValue>, Unjudged> {
    if let Some(settings) = settings {
        policies.validate_settings(settings.get().as_bytes())?;
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ADMISSION, ENTRYPOINTS, REPORT, VIOLATION, evaluate};
    use crate::decision::Policies;

    fn ask(entrypoint: &str, input: &Value, data: &Value) -> Value {
        let number = ENTRYPOINTS.iter().position(|name| *name == entrypoint).expect("there is such an entrypoint");
        let answer = evaluate(&Policies::BUILT, number, &input.to_string(), &data.to_string());
        serde_json::from_str(&answer).expect("an answer is JSON")
    }

    fn pod(user: u32) -> Value {
        let container = json!({"name": "a", "image": "a:1", "securityContext": {"runAsUser": user}});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [container]}})
    }

    #[test]
    fn every_manifest_is_reported_on() {
        for (manifests, violations) in [
            (json!([pod(0), pod(1)]), vec![1, 0]),
            (json!({"apiVersion": "v1", "kind": "List", "items": [pod(1), pod(0), 5]}), vec![0, 1, 1]),
            (pod(0), vec![1]),
            (json!("text"), vec![1]),
            // Must not be reported as free of problems.
            (json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {}}), vec![1]),
        ] {
            let report = ask(REPORT, &manifests, &json!({}));
            let counted: Vec<usize> = report
                .as_array()
                .expect("it is a list")
                .iter()
                .map(|it| it["violations"].as_array().map_or(0, Vec::len))
                .collect();
            assert_eq!(violations, counted, "{report}");
        }
    }

    #[test]
    fn the_clusters_objects_are_found_in_every_form_of_data() {
        let flyteadmin = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "admin", "namespace": "flyte"},
            "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{
                "name": "a", "image": "flyteadmin:v1.16.8", "command": ["flyteadmin", "--config", "/etc/*.yaml", "serve"]
            }]}}}
        });
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "admin", "namespace": "flyte"},
            "spec": {"selector": {"a": "b"}}
        });
        let backend = json!({"path": "/", "backend": {"service": {"name": "admin"}}});
        let ingress = json!({
            "metadata": {"name": "a", "annotations": {"nginx.ingress.kubernetes.io/enable-cors": "true"}},
            "spec": {"rules": [{"host": "flyte.example.com", "http": {"paths": [backend]}}]}
        });
        // In the form that Gatekeeper's audit sends.
        let kind = json!({"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"});
        let input = json!({"review": {"kind": kind, "namespace": "flyte", "object": ingress}});
        for data in [
            json!({"flytewarden": {"objects": [flyteadmin, service]}}),
            json!({"inventory": {"namespace": {"flyte": {
                "apps/v1": {"Deployment": {"admin": flyteadmin}}, "v1": {"Service": {"admin": service}}
            }}}}),
            json!({"kubernetes": {
                "deployments": {"flyte": {"admin": flyteadmin}}, "services": {"flyte": {"admin": service}}
            }}),
        ] {
            assert_eq!("any-origin", ask(VIOLATION, &input, &data)[0]["details"]["rule"], "{data}");
        }
        // Without `data`, the Ingress's backend is unknown.
        assert_eq!(json!([]), ask(VIOLATION, &input, &json!({})));
    }

    #[test]
    fn a_rejection_has_the_uid_of_a_request_that_cannot_be_read() {
        for request in [json!({"uid": "1", "operation": 5}), json!({"uid": "1"}), json!({"uid": "1", "object": "text"})]
        {
            let review = ask(ADMISSION, &json!({"request": request}), &json!({}));
            assert_eq!(
                (&json!("1"), &json!(false)),
                (&review["response"]["uid"], &review["response"]["allowed"]),
                "{request}"
            );
        }
    }

    #[test]
    fn values_of_the_wrong_type_are_rejected() {
        let pod = json!({"request": {
            "operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": pod(1)
        }});
        assert_eq!(json!([]), ask(VIOLATION, &pod, &json!({})));
        for (input, data, path) in [
            (&pod, json!({"flytewarden": 5}), "data.flytewarden"),
            (&pod, json!({"flytewarden": {"settings": {"flyte-non-root": {"levle": 1}}}}), "settings"),
            (&json!({"request": 5}), json!({}), "request"),
            (&json!({}), json!({}), ""),
        ] {
            assert_eq!(path, ask(VIOLATION, input, &data)[0]["details"]["path"], "{input} {data}");
        }
    }
}

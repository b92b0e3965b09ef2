//! The door for OPA: a module that engines which load compiled Rego load too.
//!
//! `question` reads an input in any of the shapes that such engines send, `documents` finds in `data` what policies ask
//! their host, and `answer` words what they say. None of it knows of memory: that, and the functions that OPA's ABI wants, are in
//! `exports`.
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

/// What refuses a request, as Gatekeeper's policies answer it.
const VIOLATION: &str = "flytewarden/violation";
/// What is worth knowing, in the same shape.
const WARN: &str = "flytewarden/warn";
/// An AdmissionReview for an AdmissionReview.
const ADMISSION: &str = "flytewarden/admission";
/// What is said of manifests.
const REPORT: &str = "flytewarden/report";

/// What can be asked, in the order of its numbers.
pub const ENTRYPOINTS: [&str; 4] = [VIOLATION, WARN, ADMISSION, REPORT];

/// Answers an entrypoint, by its number, as JSON. What cannot be read is a violation: an engine that gets no answer lets
/// everything in.
pub fn evaluate(policies: &Policies, entrypoint: usize, input: &str, data: &str) -> String {
    let (input, data) = (&*go::json(input), &*go::json(data));
    let documents = Documents::read(data);
    let name = match ENTRYPOINTS.get(entrypoint) {
        Some(&VIOLATION) if documents.as_ref().is_ok_and(Documents::wants_reviews) => ADMISSION,
        name => name.unwrap_or(&VIOLATION),
    };
    if name == REPORT {
        let report = documents.and_then(|documents| answer::report(policies, input, &documents));
        return report.unwrap_or_else(|unjudged| answer::json(&Finding::violations(&unjudged.into())));
    }
    let question = Question::read(input);
    let decision = match (&documents, &question) {
        (Ok(documents), Ok(question)) => decide(policies, question, documents).unwrap_or_else(Decision::from),
        (Err(unjudged), _) | (_, Err(unjudged)) => unjudged.clone().into(),
    };
    match name {
        WARN => answer::json(&Finding::notices(&decision)),
        ADMISSION => answer::review(decision, question.as_ref().ok()),
        _ => answer::json(&Finding::violations(&decision)),
    }
}

fn decide(policies: &Policies, question: &Question, documents: &Documents) -> Result<Decision, Unjudged> {
    let settings = checked(policies, question.settings.or(documents.settings()))?;
    Ok(policies.decide(&question.request, settings, documents))
}

/// Settings that mean something. Kubewarden asks a policy for that once; here nobody does before a request comes.
fn checked<'s>(policies: &Policies, settings: Option<&'s RawValue>) -> Result<Option<&'s RawValue>, Unjudged> {
    if let Some(settings) = settings {
        policies.validate_settings(settings.get().as_bytes())?;
    }
    Ok(settings)
}

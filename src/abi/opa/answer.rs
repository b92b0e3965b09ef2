//! The answers to an engine.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::ByteString;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{checked, documents::Documents, question::Question};
use crate::{
    admission::{self, AdmissionRequest},
    answer::Answer,
    decision::{Decision, Policies},
    edit::{self, Addition},
    text::Text,
    verdict::{Findings, Notice, Unjudged, Violation},
    view::view,
};

/// A finding in the form of Gatekeeper's policies.
#[derive(Serialize)]
pub(super) struct Finding<'d> {
    msg: String,
    details: Details<'d>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Details<'d> {
    Violation(&'d Violation),
    Notice(&'d Notice),
    Unjudged(&'d Unjudged),
    /// The number of findings that are not listed.
    More {
        more: usize,
    },
}

impl<'d> Finding<'d> {
    fn new(text: impl ToString, details: Details<'d>) -> Self {
        Self { msg: text.to_string(), details }
    }

    /// The violations, and the reasons why policies could not check the object.
    pub(super) fn violations(decision: &'d Decision) -> Vec<Self> {
        let unjudged = decision.unjudged.iter().map(|unjudged| Self::new(unjudged, Details::Unjudged(unjudged)));
        let violations = &decision.verdict.violations;
        unjudged
            .chain(violations.listed().iter().map(|violation| Self::new(violation, Details::Violation(violation))))
            .chain(Self::more(violations))
            .collect()
    }

    /// The notices.
    pub(super) fn notices(decision: &'d Decision) -> Vec<Self> {
        let notices = &decision.verdict.notices;
        let listed = notices.listed().iter().map(|notice| Self::new(notice, Details::Notice(notice)));
        listed.chain(Self::more(notices)).collect()
    }

    fn more<T>(findings: &Findings<T>) -> Option<Self> {
        let more = findings.more();
        (more > 0).then(|| Self::new(format!("... and {more} more"), Details::More { more }))
    }
}

/// An answer as JSON.
pub(super) fn json(answer: &impl Serialize) -> String {
    // Cannot fail: only texts, numbers and lists of them.
    serde_json::to_string(answer).unwrap_or_default()
}

const REVIEW: &str = "AdmissionReview";

/// Kubernetes' AdmissionReview.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'r> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'r> {
    uid: &'r str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_annotations: Option<BTreeMap<Cow<'static, str>, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<ByteString>,
}

#[derive(Serialize)]
struct Status {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
}

/// An item of a JSON patch.
#[derive(Serialize)]
struct Operation<'o> {
    op: &'static str,
    path: String,
    value: &'o RawValue,
}

/// The AdmissionReview that answers a question, if one could be read.
pub(super) fn review(decision: Decision, question: Option<&Question>, uid: &str) -> String {
    let Answer { accepted, message, code, mutated_object, audit_annotations, warnings } =
        Answer::from_decision(decision);
    let object = question.and_then(|question| question.request.object);
    let added = object.zip(mutated_object.as_deref()).map(|(old, new)| edit::added(old.get(), new)).unwrap_or_default();
    let operations = added.into_iter().map(|Addition { path, value }| Operation { op: "add", path, value });
    let operations: Vec<Operation> = operations.collect();
    let patch = (!operations.is_empty()).then(|| ByteString(json(&operations).into_bytes()));
    json(&Review {
        api_version: "admission.k8s.io/v1",
        kind: REVIEW,
        response: Response {
            uid,
            allowed: accepted,
            status: message.map(|message| Status { message, code }),
            warnings,
            audit_annotations,
            patch_type: patch.as_ref().map(|_| "JSONPatch"),
            patch,
        },
    })
}

view! {
    /// A manifest, or a list of them.
    struct Manifest<'a> {
        "apiVersion" => api_version: Text<'a>,
        "kind" => kind: Text<'a>,
        "metadata" => metadata: Metadata<'a>,
        "items" => items: Vec<&'a RawValue>,
    }

    struct Metadata<'a> {
        "namespace" => namespace: Text<'a>,
        "name" => name: Text<'a>,
    }
}

/// The report on one manifest.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reported<'r> {
    api_version: Option<Text<'r>>,
    kind: Option<Text<'r>>,
    namespace: Option<Text<'r>>,
    name: Option<Text<'r>>,
    /// The names of the sentences that it proves; `None` if no policy checks its kind.
    judged: Option<Vec<&'static str>>,
    violations: Vec<Finding<'r>>,
    notices: Vec<Finding<'r>>,
}

/// The report on manifests, each checked as if all of them were in the cluster.
///
/// # Errors
///
/// The input is not valid JSON, or the settings are invalid.
pub(super) fn report(policies: &Policies, input: &str, documents: &Documents) -> Result<String, Unjudged> {
    let settings = checked(policies, documents.settings())?;
    let given = match admission::read_str::<Vec<&RawValue>>(input) {
        Ok(list) => list,
        Err(_) => vec![admission::read_str(input)?],
    };
    let mut objects = Vec::new();
    for object in given {
        match admission::read_fields::<Manifest>(object) {
            Ok(Manifest { kind: Some(kind), items: Some(items), .. }) if kind.ends_with("List") => {
                objects.extend(items)
            }
            _ => objects.push(object),
        }
    }
    let cluster = Documents::from_objects(objects.clone(), documents);
    let decide = |object| match AdmissionRequest::create(object) {
        Ok(request) if request.kind().name() == REVIEW => {
            let reason = "an AdmissionReview is not a manifest; use the entrypoint flytewarden/admission".to_owned();
            Unjudged { path: String::new(), reason }.into()
        }
        Ok(request) => policies.decide(&request, settings, &cluster),
        Err(unjudged) => unjudged.into(),
    };
    let decisions: Vec<Decision> = objects.iter().map(|object| decide(*object)).collect();
    let reported = objects.iter().zip(&decisions).map(|(object, decision)| {
        let Manifest { api_version, kind, metadata, .. } = admission::read_fields(object).unwrap_or_default();
        let Metadata { namespace, name, .. } = metadata.unwrap_or_default();
        Reported {
            api_version,
            kind,
            namespace,
            name,
            judged: decision.verdict.seen.names(),
            violations: Finding::violations(decision),
            notices: Finding::notices(decision),
        }
    });
    Ok(json(&reported.collect::<Vec<_>>()))
}

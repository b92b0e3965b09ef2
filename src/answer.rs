//! The answer to a request, in words for people.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    decision::Decision,
    verdict::{self, Unjudged},
};

/// HTTP's "Bad Request": the code for a request that cannot be checked.
const BAD_REQUEST: u16 = 400;

/// The answer to `validate`: Kubewarden's `ValidationResponse`. The SDK's type would hold the changed object as a tree, which
/// loses how numbers were written.
#[derive(Debug, Default, Serialize)]
pub struct Answer {
    /// Whether the request is allowed.
    pub accepted: bool,
    /// Why it is rejected.
    pub message: Option<String>,
    /// The HTTP status code of a rejection.
    pub code: Option<u16>,
    /// The object that replaces the request's, as JSON. A rejection has none: Kubewarden would not show the reason.
    pub mutated_object: Option<Box<RawValue>>,
    /// Annotations for the audit log.
    pub audit_annotations: Option<BTreeMap<Cow<'static, str>, String>>,
    /// Warnings for the client that sent the request.
    pub warnings: Option<Vec<String>>,
}

impl Answer {
    /// Puts the policies' decision into words.
    pub(crate) fn from_decision(Decision { verdict, unjudged }: Decision) -> Self {
        let accepted = verdict.violations.is_empty() && unjudged.is_empty();
        let mut lines: Vec<String> = unjudged.iter().map(Unjudged::to_string).collect();
        let mut annotations: BTreeMap<Cow<str>, String> = BTreeMap::new();
        if !unjudged.is_empty() {
            annotations.insert("unjudged".into(), json(&unjudged));
        }
        if !verdict.violations.is_empty() {
            lines.push(verdict::message(&verdict.violations));
            annotations.insert("violations".into(), json(verdict.violations.listed()));
        }
        if !verdict.notices.is_empty() {
            annotations.insert("notices".into(), json(verdict.notices.listed()));
        }
        for (name, more) in [("moreViolations", verdict.violations.more()), ("moreNotices", verdict.notices.more())] {
            if more > 0 {
                annotations.insert(name.into(), more.to_string());
            }
        }
        if let Some(names) = verdict.seen.names() {
            annotations.insert("judged".into(), json(&names));
        }
        let warnings = verdict.notices.listed().iter().map(ToString::to_string).collect::<Vec<_>>();
        Self {
            accepted,
            message: (!accepted).then(|| lines.join("\n")),
            code: (!unjudged.is_empty()).then_some(BAD_REQUEST),
            mutated_object: verdict.object.filter(|_| accepted),
            audit_annotations: (!annotations.is_empty()).then_some(annotations),
            warnings: (!warnings.is_empty()).then_some(warnings),
        }
    }
}

fn json<T: serde::Serialize>(findings: &[T]) -> String {
    serde_json::to_string(findings).unwrap_or_default()
}

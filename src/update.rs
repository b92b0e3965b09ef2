//! Decides for every policy which problems reject an UPDATE: those that it adds, and old ones that it changes.
//!
//! Some objects are older than a policy, and controllers must still be able to update them. When a controller's request
//! is rejected, no person sees it: a Job that cannot drop its finalizer never completes, and a ReplicaSet that cannot
//! be scaled keeps a Deployment from replacing it.
//!
//! | the request | is |
//! | --- | --- |
//! | changes only metadata other than labels: annotations, finalizers, owners | allowed |
//! | leaves a problem, and all that it depends on, unchanged: `scale`, `rollout restart`, labels | allowed, with a notice |
//! | adds a problem | rejected |
//! | changes a problem without fixing it | rejected |
//!
//! A problem is unchanged if the policy finds all of it in `oldObject` too, at any index of its list: see
//! [`Violation::faults`]. A request that changes neither the pods of a workload nor its labels leaves every problem
//! unchanged. This holds for any number of problems, and even if the object cannot be read. A request that changes
//! labels or other fields of an unreadable object also leaves the problem unchanged, if the object was unreadable for
//! the same reason before. For comparison: Pod Security's `isSignificantPodUpdate` in `admission/admission.go` of
//! [kubernetes/pod-security-admission](https://github.com/kubernetes/pod-security-admission), and
//! `allowExistingViolations` of
//! [Kyverno](https://kyverno.io/docs/policy-types/cluster-policy/validate/#allow-existing-violations).
//!
//! Kubewarden's audit sends existing objects as CREATE, so it reports all of these problems.

use std::mem;

use serde_json::value::RawValue;

use crate::{
    admission::{AdmissionRequest, Kind},
    edit,
    host::Host,
    policy::Policy,
    rule::{Rule, RuleName, Severity},
    text::Text,
    verdict::{Findings, Notice, Place, Unjudged, Verdict, Violation},
    workload,
};

/// Asks a policy for its verdict, and allows the problems that an UPDATE leaves unchanged.
///
/// # Errors
///
/// The same as for [`Policy::judge`].
pub(crate) fn judge(
    policy: &dyn Policy,
    request: &AdmissionRequest,
    settings: Option<&RawValue>,
    host: &dyn Host,
) -> Result<Verdict, Unjudged> {
    let judged = ask(policy, request, settings, host);
    let is_plainly_allowed = |verdict: &Verdict| verdict.accepts() && verdict.object.is_none();
    let (Some(unchanged), false) = (request.unchanged(), judged.as_ref().is_ok_and(is_plainly_allowed)) else {
        return judged;
    };
    let Some((new, old)) = request.object.zip(unchanged.object).map(|(new, old)| (new.get(), old.get())) else {
        return judged;
    };
    // The object is not filled in then either: removing a finalizer must not start a rollout.
    if is_same(new, old) {
        return Ok(Verdict::default());
    }
    if judged.as_ref().is_ok_and(Verdict::accepts) {
        return judged;
    }
    // All problems of any kind are allowed here: a Deployment can only go on if its ReplicaSet can be scaled down.
    if has_same_pods(request.kind(), new, old) {
        return Ok(allow_all(policy, judged));
    }
    if let Err(unjudged) = &judged
        && has_same_contents(request.kind(), new, old)
        && ask(policy, &unchanged, settings, host).is_err_and(|before| before == *unjudged)
    {
        return Ok(allow_all(policy, judged));
    }
    let mut verdict = judged?;
    if let Ok(before) = ask(policy, &unchanged, settings, host) {
        allow_as_before(&mut verdict, &before.violations);
    }
    Ok(verdict)
}

/// Calls [`Policy::judge`]. It is not inlined, because a module with one policy would contain it twice.
#[inline(never)]
fn ask(
    policy: &dyn Policy,
    request: &AdmissionRequest,
    settings: Option<&RawValue>,
    host: &dyn Host,
) -> Result<Verdict, Unjudged> {
    policy.judge(request, settings, host)
}

/// Whether two versions of an object are the same in all that policies read: everything except the status and the metadata
/// other than labels. The API server writes both versions the same way, so equal values are equal texts.
fn is_same(new: &str, old: &str) -> bool {
    let rest = |object: &str| edit::without(&edit::without(object, "metadata"), "status");
    labels(new) == labels(old) && rest(new) == rest(old)
}

fn labels(object: &str) -> Option<&str> {
    edit::at(object, &["metadata", "labels"])
}

/// Whether two versions of a workload make the same pods and have the same labels: policies read nothing else of a workload.
fn has_same_pods(kind: &Kind, new: &str, old: &str) -> bool {
    workload::template_path(kind).is_some_and(|path| {
        let template = edit::at(new, path);
        template.is_some() && template == edit::at(old, path) && labels(new) == labels(old)
    })
}

/// The rule that every policy has. Its name lacks the policy's name.
pub const NOT_JUDGED: Rule = Rule {
    name: RuleName { policy: "", rule: "not-judged" },
    severity: Severity::Notice,
    summary: "an object that cannot be checked, and that the request does not change",
    help: "It was not checked, and is allowed so that controllers can continue. A CREATE of it is rejected. Fix what the finding names.",
};

/// Whether two versions have the same text in the parts that policies read, so that the change is elsewhere. For objects that
/// policies cannot read.
fn has_same_contents(kind: &Kind, new: &str, old: &str) -> bool {
    let parts: &[&[&str]] = match kind.name() {
        "Pod" => return lasting(new) == lasting(old),
        "ConfigMap" | "Secret" => &[&["data"], &["binaryData"], &["stringData"], &["type"]],
        _ => match workload::template_path(kind) {
            Some(path) => &[path],
            None => return false,
        },
    };
    parts.iter().all(|part| edit::at(new, part) == edit::at(old, part))
}

/// The fields of a Pod's `spec`, except those that an UPDATE changes for scheduling.
fn lasting(pod: &str) -> Vec<(Text<'_>, &str)> {
    let spec = edit::at(pod, &["spec"]).map(edit::members).unwrap_or_default();
    let lasting = spec.0.into_iter().filter(|(name, _)| !matches!(&**name, "schedulingGates" | "tolerations"));
    lasting.map(|(name, value)| (name, value.get())).collect()
}

const AS_IT_WAS: &str = "this request does not change this part of the object";

/// Turns a policy's violations, or its failure, into notices.
fn allow_all(policy: &dyn Policy, judged: Result<Verdict, Unjudged>) -> Verdict {
    let mut verdict = match judged {
        Ok(verdict) => verdict,
        Err(Unjudged { path, reason }) => {
            let text = format!("cannot be checked: {reason}. Admitted anyway, because {AS_IT_WAS}");
            let mut verdict = Verdict::default();
            let rule = RuleName { policy: policy.name(), ..NOT_JUDGED.name };
            verdict.notices.push(Notice::new(rule, Place::at(path), text));
            return verdict;
        }
    };
    let mut violations = mem::take(&mut verdict.violations);
    verdict.notices.count(violations.counted());
    for violation in violations.take() {
        verdict.notices.push(violation.allowed(AS_IT_WAS));
    }
    verdict.object = None;
    verdict
}

/// Turns violations that the old object has too into notices.
fn allow_as_before(verdict: &mut Verdict, before: &Findings<Violation>) {
    // Violations that are only counted cannot be compared.
    if verdict.violations.counted() > 0 {
        return;
    }
    let mut before: Vec<&Violation> = before.kept().collect();
    for mut violation in verdict.violations.take() {
        match before.iter().position(|other| violation.is_as_in(other)) {
            Some(index) => {
                before.swap_remove(index);
                verdict.notices.push(violation.allowed(AS_IT_WAS));
                // As for rejected objects, nothing is filled in before the problems are fixed.
                verdict.object = None;
            }
            None => {
                if before.iter().any(|other| violation.is_where(other) && violation.problem == other.problem) {
                    violation.problem.push_str(
                        " (an old problem, but this request changes this part of the object, so it must be fixed now)",
                    );
                }
                verdict.violations.push(violation);
            }
        }
    }
}

//! What an UPDATE is refused for, decided once for every policy: what it makes wrong, and what was wrong and it touches.
//!
//! Objects may be older than a policy, and controllers must be able to go on with them. A refused request of a controller is
//! seen by nobody: a Job that cannot drop its finalizer never completes, and a ReplicaSet that cannot be scaled keeps a
//! Deployment from replacing it.
//!
//! | the request | is |
//! | --- | --- |
//! | changes metadata alone, its labels excepted: annotations, finalizers, owners | allowed |
//! | leaves what is wrong, and what that rests on, as it was: `scale`, `rollout restart`, labels | allowed, with a notice |
//! | makes something wrong | refused |
//! | changes what is wrong, and leaves it wrong | refused |
//!
//! A finding is as it was if the policy finds the same in `oldObject`, wherever it stands in its list, on the same
//! [grounds](crate::verdict::Violation::grounds). For comparison: Pod Security's `isSignificantPodUpdate` in
//! `admission/admission.go` of [kubernetes/pod-security-admission](https://github.com/kubernetes/pod-security-admission), and
//! `allowExistingViolations` of [Kyverno](https://kyverno.io/docs/policy-types/cluster-policy/validate/#allow-existing-violations).
//!
//! Kubewarden's audit sends objects that exist as CREATE, so it reports all of this.

use std::mem;

use serde_json::value::RawValue;

use crate::{
    admission::AdmissionRequest,
    edit,
    host::Host,
    policy::Policy,
    verdict::{Unjudged, Verdict, Violation},
};

/// Has a policy judge a request, and allows what an UPDATE leaves as it was.
///
/// # Errors
///
/// As [`Policy::judge`].
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
    // Nor is the object changed then: whoever takes a finalizer off does not start a rollout.
    if request.object.zip(unchanged.object).is_some_and(|(new, old)| is_same(new.get(), old.get())) {
        return Ok(Verdict::default());
    }
    let mut verdict = judged?;
    if verdict.accepts() {
        return Ok(verdict);
    }
    if let Ok(before) = ask(policy, &unchanged, settings, host) {
        allow_as_before(&mut verdict, before.violations.listed());
    }
    Ok(verdict)
}

/// [`Policy::judge`], which would stand twice in a module that has one policy.
#[inline(never)]
fn ask(
    policy: &dyn Policy,
    request: &AdmissionRequest,
    settings: Option<&RawValue>,
    host: &dyn Host,
) -> Result<Verdict, Unjudged> {
    policy.judge(request, settings, host)
}

/// Whether two versions of an object are the same in all that policies read: everything but the status, and of the metadata
/// the labels. The API server writes both versions in one way, so what is the same is the same text.
fn is_same(new: &str, old: &str) -> bool {
    let rest = |object: &str| edit::without(&edit::without(object, "metadata"), "status");
    let labels = |object| edit::at(object, &["metadata", "labels"]);
    labels(new) == labels(old) && rest(new) == rest(old)
}

/// Turns violations that were there before into notices.
fn allow_as_before(verdict: &mut Verdict, before: &[Violation]) {
    // Those that are only counted cannot be compared.
    if verdict.violations.more() > 0 {
        return;
    }
    let mut before: Vec<&Violation> = before.iter().collect();
    for violation in mem::take(&mut verdict.violations).into_listed() {
        match before.iter().position(|other| violation.is_as_in(other)) {
            Some(index) => {
                before.swap_remove(index);
                verdict.notices.push(violation.allowed("this request leaves it as it was"));
                // As with what is refused: what is wrong with it comes first.
                verdict.object = None;
            }
            None => verdict.violations.push(violation),
        }
    }
}

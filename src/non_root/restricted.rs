//! Level `restricted`: the two user checks of Pod Security Standards "restricted", v1.35, and the check for processes
//! of the node.
//!
//! - `runAsNonRoot` is true in every container itself, or unset under a pod's true; an explicit false, on the pod or on
//!   a container, is rejected even if every container overrides it.
//! - `runAsUser` is not 0 anywhere, not even on a pod whose containers all override it.
//!
//! Both are waived for a pod in a user namespace (`hostUsers: false`). Windows pods are not exempt. A process of the
//! node (`hostProcess: true`) is dangerous with every user. It is rejected as in "baseline", which "restricted"
//! includes.
//!
//! Read: `hostUsers`, and of the pod's and the container's `securityContext`: `runAsUser`, `runAsNonRoot`,
//! `windowsOptions.hostProcess`. Source: `check_runAsNonRoot.go`, `check_runAsUser.go` and `check_windowsHostProcess.go` in
//! `policy/` of
//! [kubernetes/pod-security-admission](https://github.com/kubernetes/pod-security-admission).

use super::{
    effective,
    finding::{Finding, Inherited, SET_USER},
    rules, windows,
};
use crate::{
    id::Id,
    verdict::Scalar,
    workload::{Container, PodSpec},
};

const SET_NON_ROOT: &str = "set securityContext.runAsNonRoot: true";

/// The fields of the pod's own security context that are rejected even if its containers override them.
pub(super) fn judge_pod(pod: &PodSpec) -> impl Iterator<Item = (&'static str, Finding)> {
    let context = pod.security_context();
    let waived = pod.has_own_users();
    let root = (!waived && context.run_as_user == Some(Id::ROOT)).then(|| {
        let problem = "is 0, which Pod Security's \"restricted\" rejects even if every container overrides it";
        ("runAsUser", Finding::new(rules::RUNS_AS_ROOT, problem, "set it to a non-zero uid"))
    });
    let allowed = (!waived && context.run_as_non_root == Some(false)).then(|| {
        let problem = "is false, which Pod Security's \"restricted\" rejects even if every container overrides it";
        (
            "runAsNonRoot",
            Finding::new(rules::NOT_PROVEN_NON_ROOT, problem, "set it to true").mended_by("", Scalar::Bool(true)),
        )
    });
    root.into_iter().chain(allowed)
}

pub(super) fn judge(container: &Container, pod: &PodSpec) -> Option<Finding> {
    if let Some(finding) = windows::process_of_node(container, pod) {
        return Some(finding);
    }
    if pod.has_own_users() {
        return None;
    }
    let (own, inherited) = (container.security_context(), pod.security_context());
    let user = Inherited::resolve(own.run_as_user, None);
    let non_root = Inherited::resolve(own.run_as_non_root, inherited.run_as_non_root);
    if user.value == Some(Id::ROOT) && non_root.value == Some(true) {
        return Some(effective::never_starts(container, &user, &non_root));
    }
    let root = (user.value == Some(Id::ROOT))
        .then(|| Finding::new(rules::RUNS_AS_ROOT, "runs as root (runAsUser: 0)", SET_USER).mended_by_user(container));
    let not_proven = match (own.run_as_non_root, inherited.run_as_non_root) {
        (Some(true), _) | (None, Some(true)) => None,
        (Some(false), _) => Some("runAsNonRoot is false, which Pod Security's \"restricted\" rejects"),
        (None, _) => Some(
            "neither the container nor its pod sets runAsNonRoot: true, which Pod Security's \"restricted\" requires",
        ),
    }
    .map(|problem| {
        let finding = Finding::new(rules::NOT_PROVEN_NON_ROOT, problem, SET_NON_ROOT);
        finding.mended_by("securityContext.runAsNonRoot", Scalar::Bool(true))
    });
    let finding = Finding::joined(root, not_proven)?;
    // Windows users are not numbers, though "restricted" asks for one.
    Some(if pod.may_run_on_windows() { Finding { edits: Vec::new(), ..finding } } else { finding })
}

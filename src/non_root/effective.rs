//! Level `effective`: checks a container by the user that it will really have.
//!
//! A container's own field overrides the pod's, each by itself. Then, in this order:
//!
//! | `runAsUser` | `runAsNonRoot` | what happens |
//! | --- | --- | --- |
//! | 0 | true | the kubelet never starts it, in a user namespace or not |
//! | any | any | fine in a user namespace (`hostUsers: false`) |
//! | not 0 | any | fine |
//! | 0 | not true | root |
//! | unset | true | fine: the kubelet does not start it as root |
//! | unset | not true | the image decides: not proven |
//!
//! A pod that may run on Windows is also checked as in [`windows`].
//!
//! Read: `hostUsers`; of the pod's and the container's `securityContext`: `runAsUser`, `runAsNonRoot`. Source:
//! `verifyRunAsNonRoot` in `pkg/kubelet/kuberuntime/security_context_others.go` of
//! [kubernetes/kubernetes](https://github.com/kubernetes/kubernetes).

use super::{
    finding::{Finding, Inherited, SET_USER},
    rules, windows,
};
use crate::{
    id::Id,
    workload::{Container, PodSpec},
};

pub(super) fn judge(container: &Container, pod: &PodSpec) -> Option<Finding> {
    let (own, inherited) = (container.security_context(), pod.security_context());
    let non_root = Inherited::resolve(own.run_as_non_root, inherited.run_as_non_root);
    let on_windows = windows::judge(container, pod, &non_root);
    // A pod that does not name its system but has a Windows user is meant for Windows.
    if !pod.may_run_on_linux() || on_windows.is_some() && !pod.may_run_on_windows() {
        return on_windows;
    }
    match (on_windows, on_linux(container, pod, &non_root)) {
        (Some(on_windows), Some(on_linux)) => {
            Finding::joined(Some(on_windows.on_system("Windows")), Some(on_linux.on_system("Linux")))
        }
        (on_windows, on_linux) => on_windows.or(on_linux),
    }
}

fn on_linux(container: &Container, pod: &PodSpec, non_root: &Inherited<bool>) -> Option<Finding> {
    let (own, inherited) = (container.security_context(), pod.security_context());
    let user = Inherited::resolve(own.run_as_user, inherited.run_as_user);
    match (user.value, non_root.value) {
        (Some(Id::ROOT), Some(true)) => Some(never_starts(container, &user, non_root)),
        _ if pod.has_own_users() => None,
        (Some(Id::ROOT), _) => {
            let problem = format!("runs as root (runAsUser: 0{})", user.origin());
            Some(Finding::new(rules::RUNS_AS_ROOT, &problem, SET_USER).mended_by_user(container))
        }
        (Some(_), _) | (None, Some(true)) => None,
        (None, _) => Some(not_proven(container, non_root)),
    }
}

/// Returns the finding for fields that contradict each other. The kubelet compares the two before it looks at anything
/// else.
pub(super) fn never_starts(container: &Container, user: &Inherited<Id>, non_root: &Inherited<bool>) -> Finding {
    let problem = user.rejected_with("runAsUser: 0", non_root);
    Finding::new(rules::NEVER_STARTS, &problem, SET_USER).mended_by_user(container)
}

fn not_proven(container: &Container, non_root: &Inherited<bool>) -> Finding {
    let problem = match non_root.value {
        Some(_) => format!(
            "may run as root: runAsUser is not set, and runAsNonRoot is false{}, so the image's USER decides",
            if non_root.is_from_pod { " in the pod's securityContext" } else { "" }
        ),
        None => "may run as root: neither runAsUser nor runAsNonRoot is set, so the image's USER decides".to_owned(),
    };
    let mend = format!("{SET_USER} (on OpenShift, set runAsNonRoot: true instead)");
    Finding::new(rules::NOT_PROVEN_NON_ROOT, &problem, &mend).mended_by_user(container)
}

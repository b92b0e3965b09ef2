//! Level `effective`: a container is judged by the user it will really have.
//!
//! A container's own field wins over the pod's, each by itself. Then, in this order:
//!
//! | `runAsUser` | `runAsNonRoot` | what happens |
//! | --- | --- | --- |
//! | 0 | true | the kubelet never starts it, in a user namespace or not |
//! | any | any | fine in a user namespace (`hostUsers: false`) |
//! | not 0 | any | fine |
//! | 0 | not true | root |
//! | unset | true | fine: the kubelet refuses to start it as root |
//! | unset | not true | the image decides: not proven |
//!
//! On Windows (`os.name: windows`) `ContainerAdministrator` in `windowsOptions.runAsUserName`, in any case, is root,
//! and `runAsUser` means nothing.
//!
//! Read: `hostUsers`, `os.name`, and of the pod's and the container's `securityContext`: `runAsUser`, `runAsNonRoot`,
//! `windowsOptions.runAsUserName`. Source: `verifyRunAsNonRoot` in `pkg/kubelet/kuberuntime/security_context_others.go`
//! and `..._windows.go` of [kubernetes/kubernetes](https://github.com/kubernetes/kubernetes).

use super::{Finding, Inherited, Rule, SET_USER};
use crate::workload::{Container, PodSpec, SecurityContext};

pub(super) fn judge(container: &Container, pod: &PodSpec) -> Option<Finding> {
    let (own, inherited) = (container.security_context(), pod.security_context());
    let non_root = Inherited::of(own.run_as_non_root, inherited.run_as_non_root);
    if pod.is_windows() {
        let name = Inherited::of(user_name(own), user_name(inherited));
        return on_windows(&name, &non_root);
    }
    let user = Inherited::of(own.run_as_user, inherited.run_as_user);
    match (user.value, non_root.value) {
        (Some(0), Some(true)) => Some(never_starts(&user, &non_root)),
        _ if pod.host_users == Some(false) => None,
        (Some(0), _) => Some(Finding {
            rule: Rule::RunsAsRoot,
            problem: format!("runs as root (runAsUser: 0{})", user.origin()),
            mend: SET_USER.to_owned(),
        }),
        (Some(_), _) | (None, Some(true)) => None,
        (None, _) => Some(not_proven("runAsUser", &non_root, SET_USER)),
    }
}

/// The kubelet compares the two fields before it looks at anything else.
pub(super) fn never_starts(user: &Inherited<i64>, non_root: &Inherited<bool>) -> Finding {
    Finding {
        rule: Rule::NeverStarts,
        problem: format!(
            "never starts: the kubelet refuses runAsUser: 0{} together with runAsNonRoot: true{}",
            user.origin(),
            non_root.origin()
        ),
        mend: SET_USER.to_owned(),
    }
}

fn not_proven(user_field: &str, non_root: &Inherited<bool>, mend: &str) -> Finding {
    let problem = match non_root.value {
        Some(_) => format!(
            "may run as root: runAsNonRoot is false{} and {user_field} is not set, so the image's USER decides",
            non_root.origin()
        ),
        None => format!("may run as root: neither {user_field} nor runAsNonRoot is set, so the image's USER decides"),
    };
    Finding { rule: Rule::NotProvenNonRoot, problem, mend: mend.to_owned() }
}

/// The privileged one of the two users that Windows base images have.
const ADMINISTRATOR: &str = "ContainerAdministrator";
const SET_USER_NAME: &str = "set securityContext.windowsOptions.runAsUserName to ContainerUser";

fn on_windows(name: &Inherited<&str>, non_root: &Inherited<bool>) -> Option<Finding> {
    // A user can be written with its domain: "User Manager\ContainerAdministrator".
    let is_administrator = name.value.map(|name| {
        let user = name.rsplit('\\').next().unwrap_or(name);
        user.eq_ignore_ascii_case(ADMINISTRATOR)
    });
    let (rule, problem) = match (is_administrator, non_root.value) {
        (Some(true), Some(true)) => (
            Rule::NeverStarts,
            format!(
                "never starts: the kubelet refuses runAsUserName: {ADMINISTRATOR}{} together with runAsNonRoot: true{}",
                name.origin(),
                non_root.origin()
            ),
        ),
        (Some(true), _) => {
            (Rule::RunsAsRoot, format!("runs as administrator (runAsUserName: {ADMINISTRATOR}{})", name.origin()))
        }
        (Some(false), _) | (None, Some(true)) => return None,
        (None, _) => return Some(not_proven("runAsUserName", non_root, SET_USER_NAME)),
    };
    Some(Finding { rule, problem, mend: SET_USER_NAME.to_owned() })
}

fn user_name<'c>(context: &'c SecurityContext) -> Option<&'c str> {
    context.windows_options.as_ref()?.run_as_user_name.as_deref()
}

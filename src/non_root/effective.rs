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
//! On Windows (`os.name`, or else the node selector `kubernetes.io/os`, is `windows`) `runAsUser` means nothing. Root are
//! there `ContainerAdministrator` and `SYSTEM` in `windowsOptions.runAsUserName`, and processes of the node
//! (`hostProcess`) but for two service accounts. `runAsNonRoot` proves nothing without a user name: the kubelet only
//! compares the image's user with `ContainerAdministrator`, and an image that names none may start as just that.
//!
//! Read: `hostUsers`, `os.name`, `nodeSelector`; of the pod's and the container's `securityContext`: `runAsUser`,
//! `runAsNonRoot`, `windowsOptions.runAsUserName`, `windowsOptions.hostProcess`. Source: `verifyRunAsNonRoot` in
//! `pkg/kubelet/kuberuntime/security_context_others.go` and `..._windows.go` of
//! [kubernetes/kubernetes](https://github.com/kubernetes/kubernetes).

use super::{Finding, Inherited, Rule, SET_USER};
use crate::{
    id::Id,
    verdict::Shortened,
    workload::{Container, PodSpec, WindowsOptions},
};

pub(super) fn judge(container: &Container, pod: &PodSpec) -> Option<Finding> {
    let (own, inherited) = (container.security_context(), pod.security_context());
    let non_root = Inherited::of(own.run_as_non_root, inherited.run_as_non_root);
    if pod.is_windows() {
        let [own, inherited] = [own, inherited].map(|context| context.windows_options.as_ref());
        return on_windows(own.unwrap_or(WindowsOptions::EMPTY), inherited.unwrap_or(WindowsOptions::EMPTY), &non_root);
    }
    let user = Inherited::of(own.run_as_user, inherited.run_as_user);
    match (user.value, non_root.value) {
        (Some(Id::ROOT), Some(true)) => Some(never_starts(container, &user, &non_root)),
        _ if pod.has_own_users() => None,
        (Some(Id::ROOT), _) => {
            let problem = format!("runs as root (runAsUser: 0{})", user.origin());
            Some(Finding::new(Rule::RunsAsRoot, &problem, SET_USER).mended_by_user(container))
        }
        (Some(_), _) | (None, Some(true)) => None,
        (None, _) => Some(not_proven(container, &non_root)),
    }
}

/// The kubelet compares the two fields before it looks at anything else.
pub(super) fn never_starts(container: &Container, user: &Inherited<Id>, non_root: &Inherited<bool>) -> Finding {
    let problem = format!(
        "never starts: the kubelet refuses runAsUser: 0{} together with runAsNonRoot: true{}",
        user.origin(),
        non_root.origin()
    );
    Finding::new(Rule::NeverStarts, &problem, SET_USER).mended_by_user(container)
}

fn not_proven(container: &Container, non_root: &Inherited<bool>) -> Finding {
    let problem = match non_root.value {
        Some(_) => format!(
            "may run as root: runAsNonRoot is false{} and runAsUser is not set, so the image's USER decides",
            non_root.origin()
        ),
        None => "may run as root: neither runAsUser nor runAsNonRoot is set, so the image's USER decides".to_owned(),
    };
    Finding::new(Rule::NotProvenNonRoot, &problem, SET_USER).mended_by_user(container)
}

/// The privileged one of the two users that Windows base images have; the only name the kubelet compares.
const ADMINISTRATOR: &str = "ContainerAdministrator";
/// The users a process of the node can have without being an administrator of it.
const SERVICES: [&str; 2] = [r"NT AUTHORITY\Local service", r"NT AUTHORITY\NetworkService"];
const SET_USER_NAME: &str = "set securityContext.windowsOptions.runAsUserName to ContainerUser";
const UNSET_HOST_PROCESS: &str = "remove securityContext.windowsOptions.hostProcess";

fn on_windows(own: &WindowsOptions, pod: &WindowsOptions, non_root: &Inherited<bool>) -> Option<Finding> {
    let host_process = Inherited::of(own.host_process, pod.host_process);
    let process_of_node = || {
        let problem = format!("runs as a process of the node (hostProcess: true{})", host_process.origin());
        Some(Finding::new(Rule::RunsAsRoot, &problem, UNSET_HOST_PROCESS))
    };
    let is_on_node = host_process.value == Some(true);
    let name = Inherited::of(own.run_as_user_name.as_deref(), pod.run_as_user_name.as_deref());
    let Some(full_name) = name.value.map(str::trim).filter(|name| !name.is_empty()) else {
        return if is_on_node { process_of_node() } else { Some(not_proven_on_windows(non_root)) };
    };
    let is = |known: &str| full_name.eq_ignore_ascii_case(known);
    if is(ADMINISTRATOR) && non_root.value == Some(true) {
        let problem = format!(
            "never starts: the kubelet refuses runAsUserName: {ADMINISTRATOR}{} together with runAsNonRoot: true{}",
            name.origin(),
            non_root.origin()
        );
        return Some(Finding::new(Rule::NeverStarts, &problem, SET_USER_NAME));
    }
    // A user can be written with its domain, which the kubelet does not see through: "User Manager\...".
    let user = full_name.rsplit('\\').next().unwrap_or(full_name);
    if [ADMINISTRATOR, "SYSTEM"].iter().any(|root| user.eq_ignore_ascii_case(root)) {
        let problem = format!("runs as administrator (runAsUserName: {}{})", Shortened(full_name), name.origin());
        return Some(Finding::new(Rule::RunsAsRoot, &problem, SET_USER_NAME));
    }
    if is_on_node && !SERVICES.iter().any(|service| is(service)) { process_of_node() } else { None }
}

fn not_proven_on_windows(non_root: &Inherited<bool>) -> Finding {
    let unproven = "may run as administrator: runAsUserName is not set, so the image's USER decides";
    let problem = match non_root.value {
        Some(true) => format!("{unproven}, and runAsNonRoot does not stop an image that has none"),
        _ => unproven.to_owned(),
    };
    Finding::new(Rule::NotProvenNonRoot, &problem, SET_USER_NAME)
}

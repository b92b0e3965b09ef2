//! Checks users on Windows, where `runAsUser` has no effect, and processes of the node, which exist only there.
//!
//! Root are `ContainerAdministrator` and `SYSTEM` in `windowsOptions.runAsUserName`, and processes of the node (`hostProcess`)
//! except with two service accounts. `runAsNonRoot` proves nothing without a user name: the kubelet only compares the image's
//! user with `ContainerAdministrator`, and an image without a user may start as just that.
//!
//! `hostProcess: true` is checked even if the pod names another system. If the pod names none, a user name is enough:
//! its `nodeName` may be a Windows node.
//!
//! Read: `os.name`, `nodeSelector`, `affinity.nodeAffinity`; of the pod's and the container's `securityContext`:
//! `runAsNonRoot`, `windowsOptions.runAsUserName`, `windowsOptions.hostProcess`. Source: `verifyRunAsNonRoot` in
//! `pkg/kubelet/kuberuntime/security_context_windows.go` of [kubernetes/kubernetes](https://github.com/kubernetes/kubernetes).

#[cfg(feature = "flyte-non-root-image-user")]
use super::settings::Level;
use super::{
    finding::{Finding, Inherited},
    rules,
};
use crate::{
    verdict::{self, Shortened},
    workload::{Container, PodSpec, WindowsOptions},
};

/// The privileged one of the two users in Windows base images; the only name that the kubelet compares.
const ADMINISTRATOR: &str = "ContainerAdministrator";
/// The users with which a process of the node is not an administrator of it.
const SERVICES: [&str; 2] = [r"NT AUTHORITY\Local service", r"NT AUTHORITY\NetworkService"];
const SET_USER_NAME: &str = "set securityContext.windowsOptions.runAsUserName to ContainerUser";
const UNSET_HOST_PROCESS: &str = "remove securityContext.windowsOptions.hostProcess";

/// The Windows options of a container: its own, else the pod's.
struct Options<'c> {
    host_process: Inherited<bool>,
    /// The user's name, with its domain if it has one.
    user: Inherited<&'c str>,
}

impl<'c> Options<'c> {
    fn effective(container: &'c Container, pod: &'c PodSpec) -> Self {
        let [own, inherited] = [container.security_context(), pod.security_context()]
            .map(|context| context.windows_options.as_ref().unwrap_or(WindowsOptions::EMPTY));
        let user = |options: &'c WindowsOptions| options.run_as_user_name.as_deref();
        let user = Inherited::resolve(user(own), user(inherited));
        let is_name = |name: &&str| !name.is_empty();
        Self {
            host_process: Inherited::resolve(own.host_process, inherited.host_process),
            user: Inherited { value: user.value.map(str::trim).filter(is_name), ..user },
        }
    }

    fn is_host_process(&self) -> bool {
        self.host_process.value == Some(true)
    }

    fn process_of_node(&self) -> Finding {
        let problem = format!("runs as a process of the node (hostProcess: true{})", self.host_process.origin());
        let finding = Finding::new(rules::RUNS_AS_ROOT, &problem, UNSET_HOST_PROCESS);
        // Another user may have more rights on the node.
        Finding { faults: vec![verdict::hash((&problem, self.user.value))], ..finding }
    }
}

/// Returns what is wrong with a container that may run on Windows.
pub(super) fn judge(container: &Container, pod: &PodSpec, non_root: &Inherited<bool>) -> Option<Finding> {
    let options = Options::effective(container, pod);
    let may_be_windows = pod.systems().map_or(options.user.value.is_some(), |systems| systems.windows);
    if !may_be_windows && !options.is_host_process() {
        return None;
    }
    let Options { user: name, .. } = &options;
    let Some(full_name) = name.value else {
        return Some(if options.is_host_process() { options.process_of_node() } else { not_proven(non_root) });
    };
    let is = |known: &str| full_name.eq_ignore_ascii_case(known);
    let is_service = SERVICES.iter().any(|service| is(service));
    let process = (options.is_host_process() && !is_service).then(|| options.process_of_node());
    Finding::joined(of_user(full_name, name, non_root), process)
}

/// Returns what is wrong with a user's name.
fn of_user(full_name: &str, name: &Inherited<&str>, non_root: &Inherited<bool>) -> Option<Finding> {
    if full_name.eq_ignore_ascii_case(ADMINISTRATOR) && non_root.value == Some(true) {
        let problem = name.rejected_with(&format!("runAsUserName: {ADMINISTRATOR}"), non_root);
        return Some(Finding::new(rules::NEVER_STARTS, &problem, SET_USER_NAME));
    }
    // A user can be written with its domain, which the kubelet does not parse: "User Manager\...".
    let user = full_name.rsplit('\\').next().unwrap_or(full_name);
    if [ADMINISTRATOR, "SYSTEM"].iter().any(|root| user.eq_ignore_ascii_case(root)) {
        let problem = format!("runs as administrator (runAsUserName: {}{})", Shortened(full_name), name.origin());
        return Some(Finding::new(rules::RUNS_AS_ROOT, &problem, SET_USER_NAME));
    }
    None
}

/// Returns the finding for a process of the node, which Pod Security's "baseline" rejects with every user.
pub(super) fn process_of_node(container: &Container, pod: &PodSpec) -> Option<Finding> {
    let options = Options::effective(container, pod);
    options.is_host_process().then(|| options.process_of_node())
}

/// Whether a level rejects a container for a problem on Windows.
#[cfg(feature = "flyte-non-root-image-user")]
pub(super) fn is_refused(container: &Container, pod: &PodSpec, level: Level) -> bool {
    let (own, inherited) = (container.security_context(), pod.security_context());
    match level {
        Level::Effective => {
            judge(container, pod, &Inherited::resolve(own.run_as_non_root, inherited.run_as_non_root)).is_some()
        }
        Level::Restricted => process_of_node(container, pod).is_some(),
    }
}

fn not_proven(non_root: &Inherited<bool>) -> Finding {
    let unproven = "may run as administrator: runAsUserName is not set, so the image's USER decides";
    let problem = match non_root.value {
        Some(true) => format!("{unproven}, and runAsNonRoot does not stop an image without a USER"),
        _ => unproven.to_owned(),
    };
    Finding::new(rules::NOT_PROVEN_NON_ROOT, &problem, SET_USER_NAME)
}

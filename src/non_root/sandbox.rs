//! What ends an exception: whatever Pod Security's "baseline", v1.35, refuses of the container or of its pod.
//!
//! An exception is for uid 0 in an ordinary sandbox. Root with the host's namespaces, its files or more capabilities has the
//! node, and whoever may create a pod chooses its labels.
//!
//! | refused | where |
//! | --- | --- |
//! | `hostNetwork`, `hostPID`, `hostIPC`: true | pod |
//! | `volumes[].hostPath` | pod |
//! | `sysctls` beyond the safe ones | pod |
//! | `privileged: true`, `capabilities.add` beyond the default set, `procMount` but in a user namespace | container |
//! | `ports[].hostPort`, `host` of probes and of lifecycle hooks | container |
//! | `windowsOptions.hostProcess: true`, a `seccompProfile` or `appArmorProfile` that is neither the runtime's nor the node's, `seLinuxOptions` beyond the types for containers | pod, container |
//!
//! Read only where an exception is otherwise good, straight from the object. Source: `policy/check_*.go` of level "baseline"
//! in [kubernetes/pod-security-admission](https://github.com/kubernetes/pod-security-admission).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    admission, edit,
    text::Text,
    verdict::{Shortened, Unjudged},
    view::view,
    workload::{Placed, Workload},
};

view! {
    struct Pod<'a> {
        "hostNetwork" => host_network: bool,
        "hostPID" => host_pid: bool,
        "hostIPC" => host_ipc: bool,
        "volumes" => volumes: Vec<Volume<'a>>,
        "securityContext" => context: Context<'a>,
    }

    struct Volume<'a> {
        "name" => name: Text<'a>,
        "hostPath" => host_path: &'a RawValue,
    }

    struct Container<'a> {
        "ports" => ports: Vec<Port<'a>>,
        "livenessProbe" => liveness: Handler<'a>,
        "readinessProbe" => readiness: Handler<'a>,
        "startupProbe" => startup: Handler<'a>,
        "lifecycle" => lifecycle: Lifecycle<'a>,
        "securityContext" => context: Context<'a>,
    }

    struct Port<'a> {
        "hostPort" => host_port: i64,
    }

    struct Lifecycle<'a> {
        "postStart" => post_start: Handler<'a>,
        "preStop" => pre_stop: Handler<'a>,
    }

    /// A probe or a hook.
    struct Handler<'a> {
        "httpGet" => http: Target<'a>,
        "tcpSocket" => tcp: Target<'a>,
    }

    struct Target<'a> {
        "host" => host: Text<'a>,
    }

    /// A security context, of a pod or of a container.
    struct Context<'a> {
        "privileged" => privileged: bool,
        "capabilities" => capabilities: Capabilities<'a>,
        "procMount" => proc_mount: Text<'a>,
        "seccompProfile" => seccomp: Profile<'a>,
        "appArmorProfile" => app_armor: Profile<'a>,
        "seLinuxOptions" => se_linux: SeLinux<'a>,
        "windowsOptions" => windows: Windows<'a>,
        "sysctls" => sysctls: Vec<Sysctl<'a>>,
    }

    struct Capabilities<'a> {
        "add" => add: Vec<Text<'a>>,
    }

    struct Profile<'a> {
        "type" => kind: Text<'a>,
    }

    struct SeLinux<'a> {
        "type" => kind: Text<'a>,
        "user" => user: Text<'a>,
        "role" => role: Text<'a>,
    }

    struct Windows<'a> {
        "hostProcess" => host_process: bool,
    }

    struct Sysctl<'a> {
        "name" => name: Text<'a>,
    }

    struct Metadata<'a> {
        "annotations" => annotations: BTreeMap<Text<'a>, Option<Text<'a>>>,
    }
}

/// What container runtimes add by default.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const PROFILES: [&str; 2] = ["RuntimeDefault", "Localhost"];
const SE_LINUX_TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// Why a container's sandbox is more than an ordinary one, to follow "its exception does not apply"; `None` where it is not.
pub(super) fn extra(placed: &Placed, workload: &Workload) -> Option<String> {
    match read(placed, workload) {
        Ok(extra) => extra.map(|extra| format!("it has {extra}, which Pod Security's \"baseline\" refuses")),
        Err(Unjudged { path, reason }) => Some(format!("{path} cannot be read ({reason})")),
    }
}

fn read(placed: &Placed, workload: &Workload) -> Result<Option<String>, Unjudged> {
    let object = workload.object.get();
    let pod_path: Vec<&str> = workload.pod_path.split('.').collect();
    let metadata_path = [&pod_path[..pod_path.len() - 1], &["metadata"]].concat();
    let index = placed.index.to_string();
    let container_path = [&pod_path[..], &[placed.role.field(), &index]].concat();
    let pod: Pod = part(object, &pod_path, workload.pod_path)?;
    let container: Container = part(object, &container_path, &placed.path())?;
    let metadata: Metadata = part(object, &metadata_path, "metadata")?;
    let has_own_users = workload.pod.has_own_users();
    Ok(of_pod(&pod).or_else(|| of_container(&container, has_own_users)).or_else(|| of_metadata(&metadata)))
}

/// Reads what a path leads to; what is absent is empty.
fn part<'a, T: Deserialize<'a> + Default>(object: &'a str, path: &[&str], shown: &str) -> Result<T, Unjudged> {
    let read = edit::at(object, path).map(admission::read_str::<Option<T>>).transpose();
    read.map(|part| part.flatten().unwrap_or_default()).map_err(|unjudged| unjudged.below(shown))
}

fn of_pod(pod: &Pod) -> Option<String> {
    let flags = [("hostNetwork", pod.host_network), ("hostPID", pod.host_pid), ("hostIPC", pod.host_ipc)];
    let flag = flags.iter().find(|(_, flag)| *flag == Some(true)).map(|(name, _)| format!("{name}: true"));
    let volume = || {
        let volume = pod.volumes.iter().flatten().find(|volume| volume.host_path.is_some())?;
        Some(format!("the hostPath volume {}", Shortened(volume.name.as_deref().unwrap_or_default())))
    };
    let context = pod.context.as_ref().unwrap_or(Context::EMPTY);
    let sysctl = || {
        let mut names = context.sysctls.iter().flatten().map(|sysctl| sysctl.name.as_deref().unwrap_or_default());
        names.find(|name| !SYSCTLS.contains(name)).map(|name| format!("the sysctl {}", Shortened(name)))
    };
    flag.or_else(volume).or_else(sysctl).or_else(|| of_either(context))
}

fn of_container(container: &Container, has_own_users: bool) -> Option<String> {
    let context = container.context.as_ref().unwrap_or(Context::EMPTY);
    if context.privileged == Some(true) {
        return Some("privileged: true".to_owned());
    }
    let capability = || {
        let mut added = context.capabilities.iter().flat_map(|all| all.add.iter().flatten());
        let added = added.find(|added| !CAPABILITIES.contains(&&***added))?;
        Some(format!("the capability {}", Shortened(added)))
    };
    let proc_mount = || {
        let kind = context.proc_mount.as_deref().filter(|kind| *kind != "Default" && !has_own_users)?;
        Some(format!("procMount: {}", Shortened(kind)))
    };
    let port = || {
        let port = container.ports.iter().flatten().find_map(|port| port.host_port.filter(|port| *port != 0))?;
        Some(format!("hostPort: {port}"))
    };
    let handler = || {
        let hooks = container.lifecycle.iter().flat_map(|lifecycle| [&lifecycle.post_start, &lifecycle.pre_stop]);
        let handlers = [&container.liveness, &container.readiness, &container.startup].into_iter().chain(hooks);
        let targets = handlers.flatten().flat_map(|handler| [&handler.http, &handler.tcp]).flatten();
        let host = targets.filter_map(|target| target.host.as_deref()).find(|host| !host.is_empty())?;
        Some(format!("a probe or hook with host: {}", Shortened(host)))
    };
    capability().or_else(proc_mount).or_else(port).or_else(handler).or_else(|| of_either(context))
}

/// What a pod and a container have alike.
fn of_either(context: &Context) -> Option<String> {
    if context.windows.as_ref().is_some_and(|options| options.host_process == Some(true)) {
        return Some("hostProcess: true".to_owned());
    }
    let profile = |name: &str, profile: &Option<Profile>| {
        let kind = profile.as_ref()?.kind.as_deref().unwrap_or_default();
        (!PROFILES.contains(&kind)).then(|| format!("{name} {}", Shortened(kind)))
    };
    let se_linux = || {
        let SeLinux { kind, user, role, .. } = context.se_linux.as_ref()?;
        let is_set = |text: &Option<Text>| text.as_deref().is_some_and(|text| !text.is_empty());
        let is_extra = is_set(user) || is_set(role) || !SE_LINUX_TYPES.contains(&kind.as_deref().unwrap_or_default());
        is_extra.then(|| "seLinuxOptions of its own".to_owned())
    };
    profile("the seccompProfile", &context.seccomp)
        .or_else(|| profile("the appArmorProfile", &context.app_armor))
        .or_else(se_linux)
}

/// The annotations that were AppArmor's fields before v1.30.
fn of_metadata(metadata: &Metadata) -> Option<String> {
    let is_ordinary = |value: &str| value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
    let mut annotations = metadata.annotations.iter().flatten();
    let (_, value) = annotations
        .find(|(name, value)| name.starts_with(APP_ARMOR) && !is_ordinary(value.as_deref().unwrap_or_default()))?;
    Some(format!("the AppArmor profile {}", Shortened(value.as_deref().unwrap_or_default())))
}

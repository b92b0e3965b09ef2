//! Ends an exception for anything that Pod Security's "baseline", v1.35, rejects in the container or in its pod.
//!
//! An exception is for uid 0 in an ordinary sandbox. Root with the host's namespaces, its files or more capabilities controls
//! the node, and anyone who may create a pod chooses its labels.
//!
//! | rejected | where |
//! | --- | --- |
//! | `hostNetwork`, `hostPID`, `hostIPC`: true | pod |
//! | `volumes[].hostPath` | pod |
//! | `sysctls` beyond the safe ones | pod |
//! | `privileged: true`, `capabilities.add` beyond the default set, `procMount` outside a user namespace | container |
//! | `ports[].hostPort`, `host` of probes and of lifecycle hooks | container |
//! | `windowsOptions.hostProcess: true`, a `seccompProfile` or `appArmorProfile` that is neither the runtime's nor the node's, `seLinuxOptions` beyond the types for containers | pod, container |
//!
//! These fields are read only if an exception applies otherwise. They are read straight from the object, by a table of
//! fields and the values that each may have. A field of another type has none of these values. Source:
//! `policy/check_*.go` of level "baseline" in
//! [kubernetes/pod-security-admission](https://github.com/kubernetes/pod-security-admission).

use std::{cell::OnceCell, collections::BTreeMap};

use serde_json::value::RawValue;

use crate::{
    edit,
    text::Text,
    verdict::{self, Shortened},
    workload::{Placed, Role, Workload},
};

/// A field, and the values it may have besides null. `[]` stands for the items of a list.
type Field = (&'static str, &'static [&'static str]);

const POD: [Field; 4] =
    [("hostNetwork", OFF), ("hostPID", OFF), ("hostIPC", OFF), ("securityContext.sysctls.[].name", &SYSCTLS)];

/// The fields of both a pod and a container.
const EITHER: [Field; 6] = [
    ("securityContext.windowsOptions.hostProcess", OFF),
    ("securityContext.seccompProfile.type", &PROFILES),
    ("securityContext.appArmorProfile.type", &PROFILES),
    ("securityContext.seLinuxOptions.type", &SE_LINUX_TYPES),
    ("securityContext.seLinuxOptions.user", EMPTY),
    ("securityContext.seLinuxOptions.role", EMPTY),
];

const CONTAINER: [Field; 13] = [
    ("securityContext.privileged", OFF),
    ("securityContext.capabilities.add.[]", &CAPABILITIES),
    ("ports.[].hostPort", &["0"]),
    ("livenessProbe.httpGet.host", EMPTY),
    ("livenessProbe.tcpSocket.host", EMPTY),
    ("readinessProbe.httpGet.host", EMPTY),
    ("readinessProbe.tcpSocket.host", EMPTY),
    ("startupProbe.httpGet.host", EMPTY),
    ("startupProbe.tcpSocket.host", EMPTY),
    ("lifecycle.postStart.httpGet.host", EMPTY),
    ("lifecycle.postStart.tcpSocket.host", EMPTY),
    ("lifecycle.preStop.httpGet.host", EMPTY),
    ("lifecycle.preStop.tcpSocket.host", EMPTY),
];

/// A field of a container that is not checked in a user namespace.
const PROC_MOUNT: Field = ("securityContext.procMount", &["Default"]);

const OFF: &[&str] = &["false"];
const EMPTY: &[&str] = &[""];
/// The capabilities that container runtimes add by default.
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
/// AppArmor's annotations, which became fields in v1.30.
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The sandboxes of a workload's containers. Shared parts are read once.
pub(super) struct Sandboxes<'w, 'a> {
    pub(super) workload: &'w Workload<'a>,
    pod: OnceCell<Pod<'w>>,
}

/// The parts of a pod that its containers share.
#[derive(Default)]
struct Pod<'w> {
    extras: Extras,
    /// The init containers, and the regular ones.
    lists: [Vec<&'w RawValue>; 2],
}

/// Everything that makes a sandbox more than an ordinary one.
#[derive(Clone, Default)]
pub(super) struct Extras {
    /// The first few, e.g. `hostPID: true`.
    shown: Vec<String>,
    /// Whether there are others.
    has_more: bool,
    /// The same as `faults` of a [`Violation`](crate::verdict::Violation).
    pub(super) faults: Vec<u64>,
    has_host_path: bool,
}

/// The most extras that are compared one by one with those of another version.
const MOST_FAULTS: usize = 100;
const MOST_SHOWN: usize = 3;

impl Extras {
    /// Adds an extra, with its value in the object.
    fn add(&mut self, shown: String, value: &str) {
        let fault = verdict::hash((&*shown, value));
        if !self.shown.contains(&shown) {
            if self.shown.len() < MOST_SHOWN {
                self.shown.push(shown);
            } else {
                self.has_more = true;
            }
        }
        let is_full = self.faults.len() >= MOST_FAULTS;
        match self.faults.last_mut().filter(|_| is_full) {
            Some(all) => *all = verdict::hash((*all, fault)),
            None => self.faults.push(fault),
        }
    }

    /// All of them in words; `None` if there are none.
    pub(super) fn in_words(&self) -> Option<String> {
        let more = if self.has_more { ", among others" } else { "" };
        (!self.shown.is_empty()).then(|| format!("{}{more}", self.shown.join(" and ")))
    }

    /// What to do so that nothing is left of them.
    pub(super) fn removal(&self) -> String {
        if self.has_more {
            "remove everything that \"baseline\" rejects".to_owned()
        } else {
            // A profile without a type is invalid.
            let whole = |shown: &String| match shown.split_once("Profile.type: ") {
                Some((field, _)) => format!("{field}Profile"),
                None => shown.clone(),
            };
            format!("remove {}", self.shown.iter().map(whole).collect::<Vec<_>>().join(" and "))
        }
    }
}

impl<'w, 'a> Sandboxes<'w, 'a> {
    pub(super) fn from_workload(workload: &'w Workload<'a>) -> Self {
        Self { workload, pod: OnceCell::new() }
    }

    /// Everything that makes the sandbox of a container more than an ordinary one.
    pub(super) fn extras(&self, placed: &Placed) -> Extras {
        let Pod { extras, lists } = self.pod.get_or_init(|| self.pod());
        let mut extras = extras.clone();
        let list = &lists[usize::from(placed.role == Role::Regular)];
        let Some(container) = list.get(placed.index) else { return extras };
        let container = edit::members(container.get());
        let proc_mount = (!self.workload.pod.has_own_users()).then_some(PROC_MOUNT);
        for fields in [&CONTAINER[..], proc_mount.as_slice(), &EITHER] {
            fields.iter().for_each(|field| add_others(&container, field, &mut extras));
        }
        // With the node's files, it also matters where they are mounted.
        if extras.has_host_path {
            let mounts = container.get("volumeMounts").map_or("", |mounts| mounts.get());
            extras.faults.push(verdict::hash(("volumeMounts", mounts)));
        }
        extras
    }

    fn pod(&self) -> Pod<'w> {
        let object = self.workload.object.get();
        let path: Vec<&str> = self.workload.pod_path.split('.').collect();
        let mut extras = Extras::default();
        let Some(pod) = edit::at(object, &path) else { return Pod::default() };
        // Look up the fields only once: most are not there.
        let members = edit::members(pod);
        for fields in [&POD[..], &EITHER] {
            fields.iter().for_each(|field| add_others(&members, field, &mut extras));
        }
        let annotations = [&path[..path.len() - 1], &["metadata", "annotations"]].concat();
        let volumes = members.get("volumes").and_then(|volumes| edit::items(volumes.get()));
        for volume in volumes.into_iter().flatten() {
            if edit::at(volume.get(), &["hostPath"]).is_some_and(|path| path != "null") {
                // The whole volume, since containers use it by its name.
                extras.add("volumes.hostPath".to_owned(), volume.get());
                extras.has_host_path = true;
            }
        }
        if let Some(profile) = edit::at(object, &annotations).and_then(app_armor) {
            extras.add(profile, "");
        }
        let lists = [Role::Init, Role::Regular].map(|role| {
            let list = members.get(role.field()).and_then(|list| edit::items(list.get()));
            list.unwrap_or_default()
        });
        Pod { extras, lists }
    }
}

/// Adds the values that a field may not have, with the field's name.
fn add_others(members: &BTreeMap<Text, &RawValue>, (path, allowed): &Field, extras: &mut Extras) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let Some(part) = members.get(first) else { return };
    let steps: Vec<&str> = rest.split('.').filter(|step| !step.is_empty()).collect();
    find(part.get(), &steps, &mut |value| {
        if !allowed.contains(&value.trim_matches('"')) {
            // For an object, the name tells people enough.
            let is_object = value.starts_with('{');
            let shown = if is_object { String::new() } else { format!(": {}", Shortened(value.trim_matches('"'))) };
            extras.add(format!("{}{shown}", path.replace(".[]", "")), value);
        }
    });
}

/// Calls `each` for every value at the end of the steps, and for every value on the way that has the wrong type.
fn find(text: &str, steps: &[&str], each: &mut dyn FnMut(&str)) {
    let (step, rest) = match steps.split_first() {
        _ if text == "null" => return,
        None => return each(text),
        Some(step) => step,
    };
    if *step == "[]" {
        match edit::items(text) {
            Some(items) => items.into_iter().for_each(|item| find(item.get(), rest, each)),
            None => each(text),
        }
    } else if !text.starts_with('{') {
        each(text);
    } else if let Some(value) = edit::at(text, &[step]) {
        find(value, rest, each);
    }
}

fn app_armor(annotations: &str) -> Option<String> {
    let is_ordinary = |value: &str| matches!(value, "" | "runtime/default") || value.starts_with("localhost/");
    let is_other = |(name, value): &(&Text, &str)| name.starts_with(APP_ARMOR) && !is_ordinary(value);
    let annotations = edit::members(annotations);
    let mut values = annotations.iter().map(|(name, value)| (name, value.get().trim_matches('"')));
    values.find(is_other).map(|(_, value)| format!("the AppArmor profile {}", Shortened(value)))
}

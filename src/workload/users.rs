//! The parts of a workload that say who it is and which users its containers run as.

use super::{Container, Metadata, PodSpec, Workload};
use crate::{admission, id::Id, text::Text, view::view};

/// The labels that name a workload: Flyte's helm charts use the first, its kustomizations the second.
const NAME_LABELS: [&str; 2] = ["app.kubernetes.io/name", "app"];

view! {
    /// An owner of an object.
    struct Owner<'a> {
        "kind" => kind: Text<'a>,
        "controller" => controller: bool,
    }

    /// The operating system a pod says it is for.
    pub struct Os<'a> {
        "name" => name: Text<'a>,
    }

    /// The nodes a pod asks for.
    pub struct NodeSelector<'a> {
        "kubernetes.io/os" => os: Text<'a>,
    }

    /// The security context of a pod or of a container. Each level has fields the other has not; Kubernetes drops those.
    pub struct SecurityContext<'a> {
        /// The uid.
        "runAsUser" => pub run_as_user: Id,
        /// Whether the kubelet refuses to start a container as root.
        "runAsNonRoot" => pub run_as_non_root: bool,
        /// The primary gid.
        "runAsGroup" => pub run_as_group: Id,
        /// The Windows user.
        "windowsOptions" => pub windows_options: WindowsOptions<'a>,
        /// A container's: whether it is as powerful as a process on the node.
        "privileged" => pub privileged: bool,
        /// A pod's: the gid that owns its volumes.
        "fsGroup" => pub fs_group: Id,
        /// A pod's: more gids of every container.
        "supplementalGroups" => pub supplemental_groups: Vec<Id>,
    }

    /// A security context's Windows part.
    pub struct WindowsOptions<'a> {
        /// The Windows user, perhaps with its domain.
        "runAsUserName" => pub run_as_user_name: Text<'a>,
        /// Whether the container is a process of the node.
        "hostProcess" => pub host_process: bool,
    }
}

impl Workload<'_> {
    /// Whether an object of a kind, or of any, made this one and keeps it as it wants it.
    pub fn is_controlled_by(&self, kind: Option<&str>) -> bool {
        let owners = self.metadata.owners.and_then(|owners| admission::read::<Vec<Owner>>(owners).ok());
        let is_of = |owner: &Owner| kind.is_none_or(|kind| owner.kind.as_deref() == Some(kind));
        owners.iter().flatten().any(|owner| owner.controller == Some(true) && is_of(owner))
    }

    /// Whether this is the workload of that name: by its own name, or by the label `app.kubernetes.io/name` or `app`
    /// on it or on its pods. Pods made by a controller have generated names and are known by their labels.
    pub fn is_named(&self, name: &str) -> bool {
        self.metadata.name.as_deref() == Some(name) || self.metadata.is_labelled(name) || self.pods_are_named(name)
    }

    /// Whether the pods that the workload makes are of that name too, by their labels.
    pub fn pods_are_named(&self, name: &str) -> bool {
        self.pod_metadata.is_labelled(name)
    }

    /// Whether this is not a Pod, but makes them.
    pub fn makes_pods(&self) -> bool {
        self.pod_path != "spec"
    }
}

impl Metadata<'_> {
    fn is_labelled(&self, name: &str) -> bool {
        let labels = self.labels.as_ref();
        NAME_LABELS.iter().any(|label| labels.is_some_and(|labels| labels.get(label) == Some(name)))
    }
}

impl<'a> PodSpec<'a> {
    /// Whether the pod runs on Windows, where `runAsUser` means nothing: it says so, or asks for such a node.
    pub fn is_windows(&self) -> bool {
        let name = self.os.as_ref().and_then(|os| os.name.as_deref());
        let node = self.node_selector.as_ref().and_then(|selector| selector.os.as_deref());
        name.or(node) == Some("windows")
    }

    /// The pod's own security context.
    pub fn security_context(&self) -> &SecurityContext<'a> {
        self.security_context.as_ref().unwrap_or(SecurityContext::EMPTY)
    }
}

impl<'a> Container<'a> {
    /// Whether an init container is a sidecar, which runs as long as the pod.
    pub fn restarts_always(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }

    /// The container's own security context.
    pub fn security_context(&self) -> &SecurityContext<'a> {
        self.security_context.as_ref().unwrap_or(SecurityContext::EMPTY)
    }
}

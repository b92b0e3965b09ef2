//! The parts of a workload that say who it is and which users its containers run as.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Container, Metadata, PodSpec, Workload, systems::Systems};
use crate::{admission, id::Id, text::Text, verdict::Unjudged, view::view};

/// The labels that name a workload: Flyte's helm charts use the first, its kustomizations the second.
const NAME_LABELS: [&str; 2] = ["app.kubernetes.io/name", "app"];

view! {
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

/// A field that was read, or what is wrong with it.
#[derive(Debug)]
pub(super) struct Tried<T>(Result<T, Unjudged>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Tried<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|value| Self(admission::read(value)))
    }
}

impl<T> Tried<T> {
    /// What was read. Nothing where it could not be, which [`Workload::with_users`] finds before anything is asked.
    fn get(field: &Option<Self>) -> Option<&T> {
        field.as_ref().and_then(|Self(read)| read.as_ref().ok())
    }

    fn check(field: &Option<Self>, at: impl FnOnce() -> String) -> Result<(), Unjudged> {
        match field {
            Some(Self(Err(unjudged))) => Err(unjudged.clone().below(&at())),
            _ => Ok(()),
        }
    }
}

impl Workload<'_> {
    /// The workload, if it can be read which users its containers run as.
    ///
    /// # Errors
    ///
    /// A field has another type than Kubernetes gives it.
    pub fn with_users(self) -> Result<Self, Unjudged> {
        let of_pod = |field| move || format!("{}.{field}", self.pod_path);
        Tried::check(&self.pod.host_users, of_pod("hostUsers"))?;
        Tried::check(&self.pod.os, of_pod("os"))?;
        Tried::check(&self.pod.node_selector, of_pod("nodeSelector"))?;
        Tried::check(&self.pod.security_context, of_pod("securityContext"))?;
        for placed in self.containers() {
            if let Some(policy) = placed.container.restart_policy {
                admission::read::<Option<Text>>(policy)
                    .map_err(|error| error.below(&format!("{}.restartPolicy", placed.path())))?;
            }
            Tried::check(&placed.container.security_context, || format!("{}.securityContext", placed.path()))?;
        }
        Ok(self)
    }

    /// Whether this is the workload of that name: by its own name, or by the label `app.kubernetes.io/name` or `app`
    /// on it or on its pods. Pods made by a controller have generated names and are known by their labels.
    pub fn is_named(&self, name: &str) -> bool {
        self.metadata.name.as_deref() == Some(name) || self.metadata.is_labelled(name) || self.pods_are_named(name)
    }

    /// The name that its labels give it, or its pods.
    pub fn label(&self) -> Option<&str> {
        self.metadata.label().or(self.pod_metadata.label())
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
    fn label(&self) -> Option<&str> {
        let labels = self.labels.as_ref()?;
        NAME_LABELS.iter().find_map(|label| labels.get(label))
    }

    fn is_labelled(&self, name: &str) -> bool {
        let labels = self.labels.as_ref();
        NAME_LABELS.iter().any(|label| labels.is_some_and(|labels| labels.get(label) == Some(name)))
    }
}

impl<'a> PodSpec<'a> {
    /// The operating systems the pod may run on; `None` where it names none.
    pub(crate) fn systems(&self) -> Option<Systems> {
        Systems::of(Tried::get(&self.os), Tried::get(&self.node_selector), self.affinity)
    }

    /// Whether the pod may run where `runAsUser` means something. A pod that names no system is taken to be meant for Linux.
    pub fn may_run_on_linux(&self) -> bool {
        self.systems().is_none_or(|systems| systems.linux)
    }

    /// Whether the pod names Windows as a system it may run on.
    pub fn may_run_on_windows(&self) -> bool {
        self.systems().is_some_and(|systems| systems.windows)
    }

    /// Whether the pod has a user namespace of its own, in which root is not the node's.
    pub fn has_own_users(&self) -> bool {
        Tried::get(&self.host_users) == Some(&false)
    }

    /// The pod's own security context.
    pub fn security_context(&self) -> &SecurityContext<'a> {
        Tried::get(&self.security_context).unwrap_or(SecurityContext::EMPTY)
    }
}

impl<'a> Container<'a> {
    /// The container's own security context.
    pub fn security_context(&self) -> &SecurityContext<'a> {
        Tried::get(&self.security_context).unwrap_or(SecurityContext::EMPTY)
    }
}

//! The parts of a workload that identify it and show which users its containers run as.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Container, Metadata, PodSpec, Workload, systems::Systems};
use crate::{admission, id::Id, text::Text, verdict::Unjudged, view::view};

/// The labels that name a workload: Flyte's helm charts use the first, its kustomizations the second.
const NAME_LABELS: [&str; 2] = ["app.kubernetes.io/name", "app"];

view! {
    /// The security context of a pod or of a container. Each level has fields that the other lacks; Kubernetes drops those.
    pub struct SecurityContext<'a> {
        /// The uid.
        "runAsUser" => pub run_as_user: Id,
        /// Whether the kubelet refuses to start a container as root.
        "runAsNonRoot" => pub run_as_non_root: bool,
        /// The primary gid.
        "runAsGroup" => pub run_as_group: Id,
        /// The Windows user.
        "windowsOptions" => pub windows_options: WindowsOptions<'a>,
        /// Only for pods: the gid that owns its volumes.
        "fsGroup" => pub fs_group: Id,
        /// Only for pods: more gids of every container.
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

/// A field's value, or why it cannot be read.
#[derive(Debug)]
pub(super) struct Tried<T>(Result<T, Unjudged>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Tried<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|value| Self(admission::read_fields(value)))
    }
}

impl<T> Tried<T> {
    /// Returns the value. `None` if it cannot be read: [`Workload::with_users`] reports that before this is called.
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
    /// The workload, if the users of its containers can be read.
    ///
    /// # Errors
    ///
    /// A field has the wrong type.
    pub fn with_users(self) -> Result<Self, Unjudged> {
        let of_pod = |field| move || format!("{}.{field}", self.pod_path);
        Tried::check(&self.pod.host_users, of_pod("hostUsers"))?;
        Tried::check(&self.pod.os, of_pod("os"))?;
        Tried::check(&self.pod.node_selector, of_pod("nodeSelector"))?;
        Tried::check(&self.pod.security_context, of_pod("securityContext"))?;
        for placed in self.containers() {
            if let Some(policy) = placed.container.restart_policy {
                admission::read_fields::<Option<Text>>(policy)
                    .map_err(|error| error.below(&format!("{}.restartPolicy", placed.path())))?;
            }
            Tried::check(&placed.container.security_context, || format!("{}.securityContext", placed.path()))?;
        }
        Ok(self)
    }

    /// Whether the workload has that name: as its own name, or as the label `app.kubernetes.io/name` or `app` on it or on its
    /// pods. Pods that a controller created have generated names, so their labels identify them.
    pub fn is_named(&self, name: &str) -> bool {
        self.metadata.name.as_deref() == Some(name) || self.metadata.is_labelled(name) || self.pods_are_named(name)
    }

    /// The name in its labels, or in those of its pods.
    pub fn label(&self) -> Option<&str> {
        self.metadata.label().or(self.pod_metadata.label())
    }

    /// Whether the pods that the workload creates have that name too, by their labels.
    pub fn pods_are_named(&self, name: &str) -> bool {
        self.pod_metadata.is_labelled(name)
    }

    /// Whether this creates pods, and is not a Pod itself.
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
    /// The operating systems that the pod may run on; `None` if it names none.
    pub(crate) fn systems(&self) -> Option<Systems> {
        Systems::from_constraints(Tried::get(&self.os), Tried::get(&self.node_selector), self.affinity)
    }

    /// Whether the pod may run where `runAsUser` has an effect. A pod that names no system is assumed to be for Linux.
    pub fn may_run_on_linux(&self) -> bool {
        self.systems().is_none_or(|systems| systems.linux)
    }

    /// Whether the pod names Windows as a system that it may run on.
    pub fn may_run_on_windows(&self) -> bool {
        self.systems().is_some_and(|systems| systems.windows)
    }

    /// Whether the pod has its own user namespace, in which root is not the node's root.
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

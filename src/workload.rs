//! Workloads: the objects that hold a pod spec, and the parts of it that policies read.
//!
//! The one place that knows where each kind keeps its pod spec and how to walk its containers. `null` and absent are
//! the same everywhere, as they are to the API server.

use crate::{
    admission::{self, AdmissionRequest, Kind},
    id::Id,
    text::Text,
    verdict::Unjudged,
    view::view,
};
use k8s_openapi::{
    Resource,
    api::{
        apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
        batch::v1::{CronJob, Job},
        core::v1::{Pod, PodTemplate, ReplicationController},
    },
};

/// An object with a pod spec.
#[derive(Debug)]
pub struct Workload<'a> {
    /// The object's own metadata.
    pub metadata: Metadata<'a>,
    /// The metadata its pods are given; empty for a Pod, whose metadata is its own.
    pub pod_metadata: Metadata<'a>,
    /// The pod spec.
    pub pod: PodSpec<'a>,
    /// Where the pod spec is, e.g. `spec.template.spec`.
    pub pod_path: &'static str,
}

/// Where a kind keeps its pod spec.
#[derive(Clone, Copy)]
enum Shape {
    Pod,
    Template,
    JobTemplate,
    PodTemplate,
}

impl Shape {
    fn of(kind: &Kind) -> Option<Self> {
        fn is<T: Resource>(kind: &Kind) -> bool {
            kind.name() == T::KIND && kind.group() == T::GROUP
        }
        if is::<Pod>(kind) {
            Some(Self::Pod)
        } else if is::<Deployment>(kind)
            || is::<ReplicaSet>(kind)
            || is::<StatefulSet>(kind)
            || is::<DaemonSet>(kind)
            || is::<Job>(kind)
            || is::<ReplicationController>(kind)
        {
            Some(Self::Template)
        } else if is::<CronJob>(kind) {
            Some(Self::JobTemplate)
        } else if is::<PodTemplate>(kind) {
            Some(Self::PodTemplate)
        } else {
            None
        }
    }
}

/// Whether objects of this kind hold a pod spec.
pub fn is_workload(kind: &Kind) -> bool {
    Shape::of(kind).is_some()
}

impl<'a> Workload<'a> {
    /// Reads the workload from a request whose kind [is one](is_workload).
    ///
    /// # Errors
    ///
    /// There is no object, or no pod spec in it, or a field of another type than Kubernetes gives it.
    pub fn read(request: &AdmissionRequest<'a>) -> Result<Self, Unjudged> {
        let missing = |path: &str, reason: &str| Unjudged { path: path.to_owned(), reason: reason.to_owned() };
        let (Some(shape), Some(object)) = (Shape::of(request.kind()), request.object) else {
            return Err(missing("", "the request holds no object"));
        };
        let (pod_path, metadata, template) = if let Shape::Pod = shape {
            // A Pod is its own template: the same two fields, one level up.
            let Template { metadata, spec, .. } = admission::read(object)?;
            ("spec", metadata, Some(Template { spec, ..Template::default() }))
        } else {
            let Object { metadata, spec, template, .. } = admission::read(object)?;
            match shape {
                Shape::PodTemplate => ("template.spec", metadata, template),
                Shape::JobTemplate => {
                    let job = spec.and_then(|spec| spec.job_template).and_then(|template| template.spec);
                    ("spec.jobTemplate.spec.template.spec", metadata, job.and_then(|spec| spec.template))
                }
                _ => ("spec.template.spec", metadata, spec.and_then(|spec| spec.template)),
            }
        };
        let template = template.unwrap_or_default();
        let Some(pod) = template.spec else {
            return Err(missing(pod_path, "there is no pod spec"));
        };
        Ok(Self {
            metadata: metadata.unwrap_or_default(),
            pod_metadata: template.metadata.unwrap_or_default(),
            pod,
            pod_path,
        })
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

view! {
    /// The fields of every kind but Pod.
    struct Object<'a> {
        "metadata" => metadata: Metadata<'a>,
        "spec" => spec: ObjectSpec<'a>,
        "template" => template: Template<'a>,
    }

    struct ObjectSpec<'a> {
        "template" => template: Template<'a>,
        "jobTemplate" => job_template: Box<JobTemplate<'a>>,
    }

    struct JobTemplate<'a> {
        "spec" => spec: ObjectSpec<'a>,
    }

    struct Template<'a> {
        "metadata" => metadata: Metadata<'a>,
        "spec" => spec: PodSpec<'a>,
    }

    /// An object's metadata.
    pub struct Metadata<'a> {
        /// The object's name; absent where it is to be generated.
        "name" => pub name: Text<'a>,
        /// The labels that name a workload.
        "labels" => pub labels: Labels<'a>,
        /// When somebody asked for the object's deletion; it then only waits for its finalizers.
        "deletionTimestamp" => pub deletion_timestamp: Text<'a>,
    }

    /// The labels that name a workload: Flyte's helm charts use the first, its kustomizations the second.
    pub struct Labels<'a> {
        /// The name by Kubernetes' convention.
        "app.kubernetes.io/name" => pub name: Text<'a>,
        /// The name by custom.
        "app" => pub app: Text<'a>,
    }

    /// The parts of a pod spec that say which user its containers run as.
    pub struct PodSpec<'a> {
        /// `false` puts the pod into a user namespace of its own.
        "hostUsers" => pub host_users: bool,
        "os" => os: Os<'a>,
        "nodeSelector" => node_selector: NodeSelector<'a>,
        "securityContext" => security_context: SecurityContext<'a>,
        "initContainers" => init_containers: Vec<Container<'a>>,
        "containers" => containers: Vec<Container<'a>>,
        "ephemeralContainers" => ephemeral_containers: Vec<Container<'a>>,
    }

    struct Os<'a> {
        "name" => name: Text<'a>,
    }

    struct NodeSelector<'a> {
        "kubernetes.io/os" => os: Text<'a>,
    }

    /// A container.
    pub struct Container<'a> {
        "name" => name: Text<'a>,
        "image" => image: Text<'a>,
        "restartPolicy" => restart_policy: Text<'a>,
        "securityContext" => security_context: SecurityContext<'a>,
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

/// Which list of the pod spec a container stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before the others start, unless it is a sidecar.
    Init,
    /// Runs as long as the pod.
    Regular,
    /// Added to a running pod, by `kubectl debug`.
    Ephemeral,
}

impl Role {
    fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Regular => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

/// A container and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'p, 'a> {
    /// The container.
    pub container: &'p Container<'a>,
    /// The list it stands in.
    pub role: Role,
    /// Its place in the list, from 0.
    pub index: usize,
    /// Where its pod spec is.
    pub pod_path: &'static str,
}

impl Placed<'_, '_> {
    /// The path to the container, e.g. `spec.template.spec.initContainers[2]`.
    pub fn path(&self) -> String {
        format!("{}.{}[{}]", self.pod_path, self.role.field(), self.index)
    }
}

impl<'a> Workload<'a> {
    /// Every container of the pod: init, regular, ephemeral, each in the order of its list.
    pub fn containers(&self) -> impl Iterator<Item = Placed<'_, 'a>> {
        let pod = &self.pod;
        [
            (Role::Init, &pod.init_containers),
            (Role::Regular, &pod.containers),
            (Role::Ephemeral, &pod.ephemeral_containers),
        ]
        .into_iter()
        .flat_map(move |(role, list)| {
            list.iter().flatten().enumerate().map(move |(index, container)| Placed {
                container,
                role,
                index,
                pod_path: self.pod_path,
            })
        })
    }
}

impl Metadata<'_> {
    fn is_labelled(&self, name: &str) -> bool {
        let is = |text: &Option<Text>| text.as_deref() == Some(name);
        self.labels.as_ref().is_some_and(|labels| is(&labels.name) || is(&labels.app))
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
    /// The container's name; empty where it has none.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The container's image; empty where it has none.
    pub fn image(&self) -> &str {
        self.image.as_deref().unwrap_or_default()
    }

    /// Whether an init container is a sidecar, which runs as long as the pod.
    pub fn restarts_always(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }

    /// The container's own security context.
    pub fn security_context(&self) -> &SecurityContext<'a> {
        self.security_context.as_ref().unwrap_or(SecurityContext::EMPTY)
    }
}

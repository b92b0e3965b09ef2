//! Workloads: the objects that hold a pod spec, and the parts of it that policies read.
//!
//! The one place that knows where each kind keeps its pod spec and how to walk its containers. `null` and absent are
//! the same everywhere, as they are to the API server.

mod labels;
#[cfg(feature = "pod-users")]
mod systems;
#[cfg(feature = "pod-users")]
mod users;

pub use labels::Labels;
#[cfg(feature = "pod-users")]
use systems::{Affinity, NodeSelector, Os};
#[cfg(feature = "pod-users")]
use users::Tried;
#[cfg(feature = "pod-users")]
pub use users::{SecurityContext, WindowsOptions};

use crate::{
    admission::{self, AdmissionRequest, Kind},
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
use serde_json::value::RawValue;

/// An object with a pod spec.
#[derive(Debug)]
pub struct Workload<'a> {
    /// The object's own metadata.
    pub metadata: Metadata<'a>,
    /// The metadata of its pods; empty for a Pod, which uses its own.
    pub pod_metadata: Metadata<'a>,
    /// The pod spec.
    pub pod: PodSpec<'a>,
    /// The path of the pod spec, e.g. `spec.template.spec`.
    pub pod_path: &'static str,
    /// The whole object, for fields that are rarely needed.
    pub object: &'a RawValue,
}

/// The place where a kind keeps its pod spec.
#[derive(Clone, Copy)]
enum Shape {
    Pod,
    Template,
    JobTemplate,
    PodTemplate,
}

impl Shape {
    fn from_kind(kind: &Kind) -> Option<Self> {
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

/// Returns where a kind keeps the template of its pods; `None` for a Pod, and for kinds that create no pods.
pub(crate) fn template_path(kind: &Kind) -> Option<&'static [&'static str]> {
    match Shape::from_kind(kind)? {
        Shape::Pod => None,
        Shape::Template => Some(&["spec", "template"]),
        Shape::JobTemplate => Some(&["spec", "jobTemplate"]),
        Shape::PodTemplate => Some(&["template"]),
    }
}

/// Whether objects of this kind hold a pod spec.
pub fn is_workload(kind: &Kind) -> bool {
    Shape::from_kind(kind).is_some()
}

/// Whether objects of this kind only describe pods that others may create.
#[cfg(feature = "pod-users")]
pub(crate) fn is_template(kind: &Kind) -> bool {
    matches!(Shape::from_kind(kind), Some(Shape::PodTemplate))
}

impl<'a> Workload<'a> {
    /// Reads the workload from a request whose kind [is one](is_workload).
    ///
    /// # Errors
    ///
    /// There is no object, or it has no pod spec, or a field has the wrong type.
    pub fn from_request(request: &AdmissionRequest<'a>) -> Result<Self, Unjudged> {
        Self::read_object(request.kind(), request.object()?)
    }

    /// Reads the workload from an object of a kind that [is one](is_workload).
    ///
    /// # Errors
    ///
    /// The same as for [`Self::from_request`].
    pub fn read_object(kind: &Kind, object: &'a RawValue) -> Result<Self, Unjudged> {
        let shape = Shape::from_kind(kind).ok_or_else(|| missing("", "objects of this kind have no pod spec"))?;
        Self::from_object(shape, object)
    }

    /// Reads a Deployment.
    ///
    /// # Errors
    ///
    /// The same as for [`Self::from_request`].
    #[cfg(feature = "admin-config")]
    pub fn deployment(object: &'a RawValue) -> Result<Self, Unjudged> {
        Self::from_object(Shape::Template, object)
    }

    fn from_object(shape: Shape, object: &'a RawValue) -> Result<Self, Unjudged> {
        let (pod_path, metadata, template) = if let Shape::Pod = shape {
            // A Pod is its own template: the same two fields, one level up.
            let Template { metadata, spec, .. } = admission::read_fields(object)?;
            ("spec", metadata, Some(Template { spec, ..Template::default() }))
        } else {
            let Object { metadata, spec, template, .. } = admission::read_fields(object)?;
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
            return Err(missing(pod_path, "the pod spec is missing"));
        };
        Ok(Self {
            metadata: metadata.unwrap_or_default(),
            pod_metadata: template.metadata.unwrap_or_default(),
            pod,
            pod_path,
            object,
        })
    }
}

fn missing(path: &str, reason: &str) -> Unjudged {
    Unjudged { path: path.to_owned(), reason: reason.to_owned() }
}

view! {
    /// The fields of every kind except Pod.
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

    /// An owner of an object.
    struct Owner<'a> {
        "controller" => controller: bool,
    }

    /// An object's metadata.
    pub struct Metadata<'a> {
        /// The object's name; absent if the API server is to generate it.
        "name" => pub name: Text<'a>,
        "namespace" => pub namespace: Text<'a>,
        "labels" => labels: Labels<'a>,
        /// Set by the API server when it accepts the object; only its presence matters.
        "uid" if "pod-users" => pub uid: &'a RawValue,
        /// The owners of the object, an unparsed list.
        "ownerReferences" if "pod-users" | "flyte-console-url" | "flyte2-exposure" => owners: &'a RawValue,
        /// The time when its deletion was requested. Since then it only waits for its finalizers.
        "deletionTimestamp" => pub deletion_timestamp: Text<'a>,
    }

    /// The parts of a pod spec that policies read.
    pub struct PodSpec<'a> {
        "hostUsers" if "pod-users" => host_users: Tried<bool>,
        "os" if "pod-users" => os: Tried<Os<'a>>,
        "nodeSelector" if "pod-users" => node_selector: Tried<NodeSelector<'a>>,
        "affinity" if "pod-users" => affinity: Affinity,
        "securityContext" if "pod-users" => security_context: Tried<SecurityContext<'a>>,
        "initContainers" => init_containers: Vec<Container<'a>>,
        "containers" => containers: Vec<Container<'a>>,
        "ephemeralContainers" => ephemeral_containers: Vec<Container<'a>>,
        /// Whether the pod uses the node's network, unparsed.
        "hostNetwork" if "flyte2-exposure" => pub host_network: &'a RawValue,
        /// The volumes, an unparsed list.
        "volumes" if "admin-config" => pub volumes: &'a RawValue,
    }

    /// A container.
    pub struct Container<'a> {
        "name" => name: Text<'a>,
        "image" => image: Text<'a>,
        /// Whether an init container is a sidecar, an unparsed text.
        "restartPolicy" => restart_policy: &'a RawValue,
        /// The command, an unparsed list of texts.
        "command" if "admin-config" | "pod-users" => pub command: &'a RawValue,
        /// The command's arguments, an unparsed list of texts.
        "args" if "admin-config" | "pod-users" => pub args: &'a RawValue,
        /// The environment, an unparsed list of variables.
        "env" if "admin-config" => pub env: &'a RawValue,
        /// The ConfigMaps and Secrets that the environment comes from, an unparsed list.
        "envFrom" if "admin-config" => pub env_from: &'a RawValue,
        /// Its ports, an unparsed list.
        "ports" if "flyte2-exposure" => pub ports: &'a RawValue,
        /// The mounts of its volumes, an unparsed list.
        "volumeMounts" if "admin-config" => pub volume_mounts: &'a RawValue,
        "securityContext" if "pod-users" => security_context: Tried<SecurityContext<'a>>,
    }
}

impl Metadata<'_> {
    /// The value of a label, if it is there.
    #[cfg(feature = "admin-config")]
    pub(crate) fn label_named(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name)
    }
}

/// The list of the pod spec that a container is in.
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
    /// The list's name.
    pub fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Regular => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

/// A container and its position in the pod spec.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'p, 'a> {
    /// The container.
    pub container: &'p Container<'a>,
    /// The list that it is in.
    pub role: Role,
    /// Its index in the list, from 0.
    pub index: usize,
    /// The path of its pod spec.
    pub pod_path: &'static str,
}

impl Placed<'_, '_> {
    /// Whether the container runs as long as its pod: a regular one, or a sidecar.
    #[cfg(feature = "admin-config")]
    pub(crate) fn runs_on(&self) -> bool {
        match self.role {
            Role::Init => self.container.restarts_always(),
            role => role == Role::Regular,
        }
    }

    /// The path to the container, e.g. `spec.template.spec.initContainers[2]`.
    pub fn path(&self) -> String {
        format!("{}.{}[{}]", self.pod_path, self.role.field(), self.index)
    }

    /// The place of the container.
    #[cfg(feature = "admin-config")]
    pub(crate) fn place(&self) -> crate::verdict::Place {
        use crate::verdict::{Place, Shortened};

        Place { container: Shortened(self.container.name()).to_string(), ..Place::at(self.path()) }
    }

    /// Reads the list in a `field` of the container.
    ///
    /// # Errors
    ///
    /// It is not a list, or an item has the wrong type.
    #[cfg(feature = "admin-config")]
    pub(crate) fn list<'a, T: serde::Deserialize<'a>>(
        &self,
        field: &str,
        list: Option<&'a RawValue>,
    ) -> Result<Vec<T>, Unjudged> {
        self::list(|| format!("{}.{field}", self.path()), list)
    }
}

impl<'a> Workload<'a> {
    /// The labels of the pods: its own for a Pod.
    #[cfg(feature = "admin-config")]
    pub fn pod_labels(&self) -> Option<&Labels<'a>> {
        let metadata = if self.pod_path == "spec" { &self.metadata } else { &self.pod_metadata };
        metadata.labels.as_ref()
    }

    /// Whether another object created this one and manages it.
    #[cfg(any(feature = "pod-users", feature = "flyte-console-url", feature = "flyte2-exposure"))]
    pub fn is_controlled(&self) -> bool {
        let owners = self.metadata.owners.and_then(|owners| admission::read_fields::<Vec<Owner>>(owners).ok());
        owners.iter().flatten().any(|owner| owner.controller == Some(true))
    }

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

/// Reads a list at a path.
#[cfg(feature = "admin-config")]
pub(crate) fn list<'a, T: serde::Deserialize<'a>>(
    at: impl FnOnce() -> String,
    list: Option<&'a RawValue>,
) -> Result<Vec<T>, Unjudged> {
    let read = list.map(admission::read_fields::<Option<Vec<T>>>).transpose();
    read.map(|list| list.flatten().unwrap_or_default()).map_err(|unjudged| unjudged.below(&at()))
}

impl<'a> Container<'a> {
    /// The container's name; empty if it has none.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Whether an init container is a sidecar, which runs as long as the pod.
    pub fn restarts_always(&self) -> bool {
        let policy = self.restart_policy.and_then(|policy| admission::read_fields::<Text>(policy).ok());
        policy.is_some_and(|policy| &*policy == "Always")
    }

    /// The container's image; empty if it has none.
    pub fn image(&self) -> &str {
        self.image.as_deref().unwrap_or_default()
    }
}

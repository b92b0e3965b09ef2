//! Kubernetes' own kinds, as far as people write them into manifests.
//!
//! A group without a dot is Kubernetes' own: custom resources must have one. So a kind that is not listed here for such a
//! group does not exist, and the API server refuses it: `deployment`, `v1` `Deployment`, `extensions/v1beta1`
//! `Deployment`.

/// The kinds of Kubernetes' own groups.
const OWN: [(&str, &[&str]); 6] = [
    (
        "",
        &[
            "Binding",
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "Namespace",
            "Node",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
    ),
    ("apps", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    ("autoscaling", &["HorizontalPodAutoscaler"]),
    ("batch", &["CronJob", "Job"]),
    // Of these only old charts have some; no policy is about them.
    ("extensions", &["Ingress", "NetworkPolicy", "PodSecurityPolicy"]),
    ("policy", &["Eviction", "PodDisruptionBudget", "PodSecurityPolicy"]),
];

/// The kinds that are in no namespace, as far as charts hold them.
const CLUSTER_WIDE: [&str; 14] = [
    "APIService",
    "ClusterIssuer",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PodSecurityPolicy",
    "PriorityClass",
    "StorageClass",
    "ValidatingWebhookConfiguration",
];

/// Whether the API server could know the kind: it is Kubernetes' own, or may be a custom resource's.
pub fn can_exist(group: &str, kind: &str) -> bool {
    group.contains('.') || OWN.iter().any(|(own, kinds)| *own == group && kinds.contains(&kind))
}

/// Whether objects of the kind are in no namespace.
pub fn is_cluster_wide(kind: &str) -> bool {
    CLUSTER_WIDE.contains(&kind)
}

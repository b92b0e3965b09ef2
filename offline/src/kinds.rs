//! The built-in kinds of Kubernetes that appear in manifests.
//!
//! A group without a dot is built in, because the groups of custom resources must have a dot. So if a kind in such a
//! group is not listed here, it does not exist and the API server rejects it. Examples: `apps/v1` `deployment`, `v1`
//! `Deployment`, `extensions/v1beta1` `Deployment`.

/// The kinds of the built-in groups without a dot.
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
    // Only old charts use these. No policy checks them.
    ("extensions", &["Ingress", "NetworkPolicy", "PodSecurityPolicy"]),
    ("policy", &["Eviction", "PodDisruptionBudget", "PodSecurityPolicy"]),
];

/// The cluster-wide kinds that charts contain.
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

/// Whether the API server could know the kind: it is built in, or its group may be a custom resource's.
pub fn can_exist(group: &str, kind: &str) -> bool {
    group.contains('.') || OWN.iter().any(|(own, kinds)| *own == group && kinds.contains(&kind))
}

/// Returns the API version and the name of a built-in kind, in whatever case it is written.
pub fn own(kind: &str) -> Option<(String, &'static str)> {
    let current = OWN.iter().filter(|(group, _)| *group != "extensions");
    let mut found = current.flat_map(|(group, kinds)| kinds.iter().map(move |own| (*group, *own)));
    let (group, own) = found.find(|(_, own)| own.eq_ignore_ascii_case(kind))?;
    let api_version = match group {
        "" => "v1".to_owned(),
        "autoscaling" => "autoscaling/v2".to_owned(),
        group => format!("{group}/v1"),
    };
    Some((api_version, own))
}

/// Whether objects of the kind have no namespace.
pub fn is_cluster_wide(kind: &str) -> bool {
    CLUSTER_WIDE.contains(&kind)
}

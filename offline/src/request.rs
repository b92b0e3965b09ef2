//! The admission request that the API server would send when an object is created.

use flytewarden::host::plural;
use serde::Serialize;

use crate::{kinds, manifest::Object, yaml::Node};

/// An admission request for CREATE.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Request<'o> {
    pub uid: &'static str,
    pub kind: Kind<'o>,
    pub resource: Resource<'o>,
    pub request_kind: Kind<'o>,
    pub request_resource: Resource<'o>,
    pub name: &'o str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<&'o str>,
    pub operation: &'static str,
    pub user_info: UserInfo,
    pub object: &'o Node,
    pub old_object: (),
    pub dry_run: bool,
    pub options: Options,
}

/// A kind.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Kind<'o> {
    pub group: &'o str,
    pub version: &'o str,
    pub kind: &'o str,
}

/// A resource: the name of a kind in the API's URLs.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Resource<'o> {
    pub group: &'o str,
    pub version: &'o str,
    pub resource: String,
}

/// The user who sends the request.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct UserInfo {
    pub username: &'static str,
    pub groups: [&'static str; 1],
}

/// The options of the request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Options {
    pub api_version: &'static str,
    pub kind: &'static str,
}

impl<'o> Request<'o> {
    /// Returns the request to create an object. A namespaced object that does not name a namespace is created in
    /// `namespace`.
    pub fn create(object: &'o Object, namespace: &'o str) -> Self {
        let kind = Kind { group: object.group(), version: object.version(), kind: &object.kind };
        let resource =
            Resource { group: kind.group, version: kind.version, resource: plural(&object.kind).to_lowercase() };
        Self {
            uid: "00000000-0000-0000-0000-000000000000",
            request_kind: kind.clone(),
            request_resource: resource.clone(),
            kind,
            resource,
            name: &object.name,
            namespace: object.namespace.as_deref().or((!kinds::is_cluster_wide(&object.kind)).then_some(namespace)),
            operation: "CREATE",
            user_info: UserInfo { username: "flytewarden", groups: ["system:authenticated"] },
            object: &object.content,
            old_object: (),
            dry_run: true,
            options: Options { api_version: "meta.k8s.io/v1", kind: "CreateOptions" },
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{
        Resource,
        api::{
            apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
            batch::v1::{CronJob, Job},
            core::v1::{ConfigMap, Endpoints, Pod, PodTemplate, ReplicationController, Secret},
            networking::v1::{Ingress, NetworkPolicy},
        },
    };

    use super::plural;

    #[test]
    fn resources_match_the_api() {
        fn check<T: Resource>() {
            assert_eq!(T::URL_PATH_SEGMENT, plural(T::KIND).to_lowercase());
        }
        check::<Pod>();
        check::<PodTemplate>();
        check::<ReplicationController>();
        check::<Deployment>();
        check::<ReplicaSet>();
        check::<StatefulSet>();
        check::<DaemonSet>();
        check::<Job>();
        check::<CronJob>();
        check::<ConfigMap>();
        check::<Secret>();
        check::<Ingress>();
        check::<NetworkPolicy>();
        check::<Endpoints>();
    }
}

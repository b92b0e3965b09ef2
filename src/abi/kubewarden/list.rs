//! Objects of the cluster, through the SDK's calls.

use std::marker::PhantomData;

use k8s_openapi::{
    ClusterResourceScope, ListableResource, NamespaceResourceScope, Resource,
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Service},
        networking::v1::Ingress,
    },
};
#[cfg(any(feature = "flyte-console-url", feature = "flyte-oauth-tls"))]
use kubewarden_policy_sdk::host_capabilities::kubernetes::{ListAllResourcesRequest, list_all_resources};
use kubewarden_policy_sdk::{
    error::Error,
    host_capabilities::kubernetes::{ListResourcesByNamespaceRequest, list_resources_by_namespace},
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::host::reason;
use crate::host::Listed;

pub(super) fn list(kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
    match kind {
        Listed::ConfigMap => list_as::<ConfigMap>(kind, namespace),
        Listed::Deployment => list_as::<Deployment>(kind, namespace),
        Listed::Ingress => list_as::<Ingress>(kind, namespace),
        Listed::Service => list_as::<Service>(kind, namespace),
        Listed::Issuer => list_as::<Issuer>(kind, namespace),
        Listed::ClusterIssuer => list_as::<ClusterIssuer>(kind, namespace),
    }
}

fn list_as<K: ListableResource>(kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
    let (api_version, name) = kind.kind();
    let (api_version, kind_name) = (api_version.to_owned(), name.to_owned());
    let field_masks = Some(kind.fields().iter().map(|field| (*field).to_owned()).collect());
    let (label_selector, field_selector) = (None, None);
    let listed = match namespace {
        Some(namespace) => list_resources_by_namespace::<Unread<K>>(&ListResourcesByNamespaceRequest {
            api_version,
            kind: kind_name,
            namespace: namespace.to_owned(),
            label_selector,
            field_selector,
            field_masks,
        }),
        #[cfg(any(feature = "flyte-console-url", feature = "flyte-oauth-tls"))]
        None => list_all_resources::<Unread<K>>(&ListAllResourcesRequest {
            api_version,
            kind: kind_name,
            label_selector,
            field_selector,
            field_masks,
        }),
        // A module that never asks this must not need the capability for it.
        #[cfg(not(any(feature = "flyte-console-url", feature = "flyte-oauth-tls")))]
        None => return Err("this module lists one namespace at a time".to_owned()),
    };
    let listed = listed.map_err(|error| match error {
        Error::HostCall { source, .. } => reason(&source.to_string()),
        error => error.to_string(),
    })?;
    Ok(listed.items.into_iter().map(|item| item.0).collect())
}

/// cert-manager's kinds, of which k8s-openapi has nothing. Their names are all that the SDK wants of them.
macro_rules! cert_managers {
    ($($kind:ident $plural:literal $scope:ident,)*) => {$(
        struct $kind;

        impl Resource for $kind {
            const API_VERSION: &'static str = "cert-manager.io/v1";
            const GROUP: &'static str = "cert-manager.io";
            const KIND: &'static str = stringify!($kind);
            const VERSION: &'static str = "v1";
            const URL_PATH_SEGMENT: &'static str = $plural;
            type Scope = $scope;
        }

        impl ListableResource for $kind {
            const LIST_KIND: &'static str = concat!(stringify!($kind), "List");
        }
    )*};
}

cert_managers! {
    Issuer "issuers" NamespaceResourceScope,
    ClusterIssuer "clusterissuers" ClusterResourceScope,
}

/// An object of a kind that is yet to be read. The SDK would make a typed copy of every field.
struct Unread<K>(Box<RawValue>, PhantomData<K>);

impl<K> Clone for Unread<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<'de, K> Deserialize<'de> for Unread<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::deserialize(deserializer).map(|object| Self(object, PhantomData))
    }
}

impl<K: Resource> Resource for Unread<K> {
    const API_VERSION: &'static str = K::API_VERSION;
    const GROUP: &'static str = K::GROUP;
    const KIND: &'static str = K::KIND;
    const VERSION: &'static str = K::VERSION;
    const URL_PATH_SEGMENT: &'static str = K::URL_PATH_SEGMENT;
    type Scope = K::Scope;
}

impl<K: ListableResource> ListableResource for Unread<K> {
    const LIST_KIND: &'static str = K::LIST_KIND;
}

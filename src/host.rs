//! The questions that a policy can ask its host: for other objects, images, the time, and the means to check
//! certificates.

#[cfg(feature = "admin-config")]
use std::cell::RefCell;
use std::time::Duration;

use k8s_openapi::{
    Resource,
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Service},
        networking::v1::{Ingress, NetworkPolicy},
    },
};
#[cfg(feature = "flyte-oauth-tls")]
use rustls_pki_types::{SignatureVerificationAlgorithm, TrustAnchor};
use serde_json::value::RawValue;

use crate::admission::Kind;

/// The caller of a policy, which answers the policy's questions.
pub trait Host {
    /// The objects of a kind in a namespace, or in all of them, with the [fields](Listed::fields) that policies read.
    ///
    /// # Errors
    ///
    /// Why there is no answer: no cluster, an unreachable cluster, or a missing permission.
    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String>;

    /// The manifest and the configuration of an image, as Kubewarden's hosts give them:
    /// `{"manifest": ..., "digest": ..., "config": ...}`.
    ///
    /// # Errors
    ///
    /// Why they are not available.
    fn image(&self, _reference: &str) -> Result<Box<RawValue>, String> {
        Err("no registry is available".to_owned())
    }

    /// The time since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    ///
    /// The host has no clock.
    fn now(&self) -> Result<Duration, String>;

    /// The algorithms and roots to check certificates with.
    ///
    /// # Errors
    ///
    /// The host has none.
    #[cfg(feature = "flyte-oauth-tls")]
    fn pki(&self) -> Result<&'static Pki, String> {
        Err("this host cannot check certificates".to_owned())
    }
}

/// The signature algorithms that can be verified, and the roots that browsers trust.
#[cfg(feature = "flyte-oauth-tls")]
#[derive(Debug)]
pub struct Pki {
    /// The signature algorithms, with their identifiers in certificates.
    pub signatures: &'static [&'static dyn SignatureVerificationAlgorithm],
    /// Mozilla's roots.
    pub roots: &'static [TrustAnchor<'static>],
}

/// A host that answers no question.
#[derive(Debug)]
pub struct NoHost;

impl Host for NoHost {
    fn list(&self, _: Listed, _: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        Err("no cluster is available".to_owned())
    }

    fn now(&self) -> Result<Duration, String> {
        Err("no clock is available".to_owned())
    }
}

/// A host that remembers each list, so that policies and their parts do not ask for it twice.
#[cfg(feature = "admin-config")]
pub(crate) struct Remembering<'h> {
    host: &'h dyn Host,
    lists: RefCell<Vec<(Question, Answer)>>,
}

/// A kind, and a namespace or `None` for all.
#[cfg(feature = "admin-config")]
type Question = (Listed, Option<String>);
#[cfg(feature = "admin-config")]
type Answer = Result<Vec<Box<RawValue>>, String>;

#[cfg(feature = "admin-config")]
impl<'h> Remembering<'h> {
    pub(crate) fn new(host: &'h dyn Host) -> Self {
        Self { host, lists: RefCell::default() }
    }
}

#[cfg(feature = "admin-config")]
impl Host for Remembering<'_> {
    fn list(&self, kind: Listed, namespace: Option<&str>) -> Answer {
        let is_it = |(asked, _): &&(Question, Answer)| asked.0 == kind && asked.1.as_deref() == namespace;
        if let Some((_, answer)) = self.lists.borrow().iter().find(is_it) {
            return answer.clone();
        }
        let answer = self.host.list(kind, namespace);
        self.lists.borrow_mut().push(((kind, namespace.map(str::to_owned)), answer.clone()));
        answer
    }

    fn image(&self, reference: &str) -> Result<Box<RawValue>, String> {
        self.host.image(reference)
    }

    fn now(&self) -> Result<Duration, String> {
        self.host.now()
    }

    #[cfg(feature = "flyte-oauth-tls")]
    fn pki(&self) -> Result<&'static Pki, String> {
        self.host.pki()
    }
}

/// The kinds of objects that policies list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Kubernetes'")]
pub enum Listed {
    ConfigMap,
    Deployment,
    Ingress,
    Service,
    /// Gateway API's.
    Gateway,
    /// Gateway API's.
    GrpcRoute,
    /// Gateway API's.
    HttpRoute,
    /// OpenShift's.
    Route,
    /// cert-manager's, of a namespace.
    Issuer,
    /// cert-manager's, of all namespaces.
    ClusterIssuer,
    NetworkPolicy,
    /// Istio's.
    AuthorizationPolicy,
    /// Envoy Gateway's.
    SecurityPolicy,
    /// Traefik's.
    Middleware,
    /// Traefik's.
    IngressRoute,
    /// Contour's.
    HttpProxy,
    /// Istio's.
    VirtualService,
}

/// cert-manager's API, which k8s-openapi lacks.
const CERT_MANAGER: &str = "cert-manager.io/v1";
/// Gateway API.
const GATEWAY: &str = "gateway.networking.k8s.io/v1";

/// Returns the plural of a kind. In lower case, it is the API server's name for the kind. Follows kubectl's fallback
/// rule, corrected for Gateway: `meta.UnsafeGuessKindToResource` of
/// [kubernetes/apimachinery](https://github.com/kubernetes/apimachinery).
pub fn plural(kind: &str) -> String {
    match kind.strip_suffix('y') {
        _ if kind.ends_with("ndpoints") => kind.to_owned(),
        Some(stem) if !stem.ends_with('a') => format!("{stem}ies"),
        _ if kind.ends_with('s') => format!("{kind}es"),
        _ => format!("{kind}s"),
    }
}

impl Listed {
    /// The API version and the kind's name.
    pub fn kind(self) -> (&'static str, &'static str) {
        fn names<T: Resource>() -> (&'static str, &'static str) {
            (T::API_VERSION, T::KIND)
        }
        match self {
            Self::ConfigMap => names::<ConfigMap>(),
            Self::Deployment => names::<Deployment>(),
            Self::Ingress => names::<Ingress>(),
            Self::Service => names::<Service>(),
            Self::Gateway => (GATEWAY, "Gateway"),
            Self::GrpcRoute => (GATEWAY, "GRPCRoute"),
            Self::HttpRoute => (GATEWAY, "HTTPRoute"),
            Self::Route => ("route.openshift.io/v1", "Route"),
            Self::Issuer => (CERT_MANAGER, "Issuer"),
            Self::ClusterIssuer => (CERT_MANAGER, "ClusterIssuer"),
            Self::NetworkPolicy => names::<NetworkPolicy>(),
            Self::AuthorizationPolicy => ("security.istio.io/v1", "AuthorizationPolicy"),
            Self::SecurityPolicy => ("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy"),
            Self::Middleware => ("traefik.io/v1alpha1", "Middleware"),
            Self::IngressRoute => ("traefik.io/v1alpha1", "IngressRoute"),
            Self::HttpProxy => ("projectcontour.io/v1", "HTTPProxy"),
            Self::VirtualService => ("networking.istio.io/v1", "VirtualService"),
        }
    }

    /// Whether it is that kind, in any version.
    pub(crate) fn is(self, kind: &Kind) -> bool {
        let (api_version, name) = self.kind();
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        (kind.group(), kind.name()) == (group, name)
    }

    /// Whether the kind is optional: a cluster that does not know it has no such objects.
    pub(crate) fn is_extra(self) -> bool {
        matches!(
            self,
            Self::Gateway
                | Self::GrpcRoute
                | Self::HttpRoute
                | Self::Route
                | Self::AuthorizationPolicy
                | Self::SecurityPolicy
                | Self::Middleware
                | Self::IngressRoute
                | Self::HttpProxy
                | Self::VirtualService
        )
    }

    /// The fields that policies read, as Kubewarden's hosts take them: paths pass through lists. Hosts keep the listed fields in
    /// memory, so leaving one out saves memory. Sorted, as the SDK sends them.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::ConfigMap => &["binaryData", "data", "metadata.name", "metadata.namespace"],
            Self::Deployment => &[
                "metadata.deletionTimestamp",
                "metadata.name",
                "metadata.namespace",
                "spec.template.metadata.labels",
                "spec.template.spec.containers.args",
                "spec.template.spec.containers.command",
                "spec.template.spec.containers.env",
                "spec.template.spec.containers.envFrom",
                "spec.template.spec.containers.image",
                "spec.template.spec.containers.name",
                "spec.template.spec.containers.ports",
                "spec.template.spec.containers.volumeMounts",
                "spec.template.spec.volumes.configMap",
                "spec.template.spec.volumes.name",
                "spec.template.spec.volumes.projected",
                "spec.template.spec.volumes.secret",
            ],
            Self::Gateway => &["metadata.name", "metadata.namespace", "spec.listeners"],
            Self::GrpcRoute | Self::HttpRoute => {
                &["metadata.name", "metadata.namespace", "spec.hostnames", "spec.parentRefs", "spec.rules"]
            }
            // Not all of `spec.tls`: it can hold the private key.
            Self::Route => &[
                "metadata.name",
                "metadata.namespace",
                "spec.alternateBackends",
                "spec.host",
                "spec.httpHeaders",
                "spec.path",
                "spec.port",
                "spec.tls.termination",
                "spec.to",
            ],
            Self::Issuer | Self::ClusterIssuer => {
                &["metadata.name", "metadata.namespace", "spec.acme.server", "spec.selfSigned"]
            }
            Self::Ingress => &[
                "metadata.annotations",
                "metadata.name",
                "metadata.namespace",
                "spec.defaultBackend",
                "spec.ingressClassName",
                "spec.rules.host",
                "spec.rules.http.paths.backend",
                "spec.rules.http.paths.path",
                "spec.tls.hosts",
                "spec.tls.secretName",
            ],
            Self::Service => &[
                "metadata.annotations",
                "metadata.name",
                "metadata.namespace",
                "spec.externalIPs",
                "spec.externalName",
                "spec.ports",
                "spec.selector",
                "spec.type",
            ],
            Self::NetworkPolicy => {
                &["metadata.name", "metadata.namespace", "spec.ingress", "spec.podSelector", "spec.policyTypes"]
            }
            Self::AuthorizationPolicy => &[
                "metadata.annotations",
                "metadata.name",
                "metadata.namespace",
                "spec.action",
                "spec.rules",
                "spec.selector",
                "spec.targetRefs",
            ],
            // The whole spec: its rules for clients contain no Secret.
            Self::SecurityPolicy => &["metadata.name", "metadata.namespace", "spec"],
            Self::Middleware => &["metadata.name", "metadata.namespace", "spec"],
            Self::IngressRoute => &["metadata.name", "metadata.namespace", "spec.routes", "spec.tls"],
            Self::VirtualService => {
                &["metadata.name", "metadata.namespace", "spec.gateways", "spec.hosts", "spec.http"]
            }
            Self::HttpProxy => {
                &["metadata.name", "metadata.namespace", "spec.routes", "spec.tcpproxy", "spec.virtualhost"]
            }
        }
    }
}

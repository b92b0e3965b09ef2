//! What a policy can ask beside the request: for other objects, images, the time, and what certificates are checked with.

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

/// What calls a policy, as far as the policy asks it something.
pub trait Host {
    /// The objects of a kind in a namespace, or in all of them, with the [fields](Listed::fields) that policies read.
    ///
    /// # Errors
    ///
    /// Why the cluster does not say: there is none, it cannot be reached, or the policy has no permission.
    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String>;

    /// The manifest and the configuration of an image, as Kubewarden's hosts give them:
    /// `{"manifest": ..., "digest": ..., "config": ...}`.
    ///
    /// # Errors
    ///
    /// Why they are not known.
    fn image(&self, _reference: &str) -> Result<Box<RawValue>, String> {
        Err("no registry is available".to_owned())
    }

    /// The time, since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    ///
    /// There is no clock.
    fn now(&self) -> Result<Duration, String>;

    /// What certificates are checked with.
    ///
    /// # Errors
    ///
    /// It is not there.
    #[cfg(feature = "flyte-oauth-tls")]
    fn pki(&self) -> Result<&'static Pki, String> {
        Err("this host cannot check certificates".to_owned())
    }
}

/// The signatures that can be verified, and the roots that browsers trust.
#[cfg(feature = "flyte-oauth-tls")]
#[derive(Debug)]
pub struct Pki {
    /// The ways to sign, by the names they have in certificates.
    pub signatures: &'static [&'static dyn SignatureVerificationAlgorithm],
    /// Mozilla's roots.
    pub roots: &'static [TrustAnchor<'static>],
}

/// A host that knows nothing.
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

/// A host that is asked for each list once, however many policies or parts of one want it.
#[cfg(feature = "admin-config")]
pub(crate) struct Remembering<'h> {
    host: &'h dyn Host,
    lists: RefCell<Vec<(Question, Answer)>>,
}

/// A kind, and a namespace or all.
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

/// The kinds that can be listed.
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

/// cert-manager's API, of which k8s-openapi has nothing.
const CERT_MANAGER: &str = "cert-manager.io/v1";
/// Gateway API.
const GATEWAY: &str = "gateway.networking.k8s.io/v1";

/// The plural of a kind, under which the API server has its objects, in lower case there: by the rule that kubectl falls back on,
/// `meta.UnsafeGuessKindToResource` of [kubernetes/apimachinery](https://github.com/kubernetes/apimachinery), and right of Gateways too.
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
        fn of<T: Resource>() -> (&'static str, &'static str) {
            (T::API_VERSION, T::KIND)
        }
        match self {
            Self::ConfigMap => of::<ConfigMap>(),
            Self::Deployment => of::<Deployment>(),
            Self::Ingress => of::<Ingress>(),
            Self::Service => of::<Service>(),
            Self::Gateway => (GATEWAY, "Gateway"),
            Self::GrpcRoute => (GATEWAY, "GRPCRoute"),
            Self::HttpRoute => (GATEWAY, "HTTPRoute"),
            Self::Route => ("route.openshift.io/v1", "Route"),
            Self::Issuer => (CERT_MANAGER, "Issuer"),
            Self::ClusterIssuer => (CERT_MANAGER, "ClusterIssuer"),
            Self::NetworkPolicy => of::<NetworkPolicy>(),
            Self::AuthorizationPolicy => ("security.istio.io/v1", "AuthorizationPolicy"),
            Self::SecurityPolicy => ("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy"),
            Self::Middleware => ("traefik.io/v1alpha1", "Middleware"),
            Self::IngressRoute => ("traefik.io/v1alpha1", "IngressRoute"),
            Self::HttpProxy => ("projectcontour.io/v1", "HTTPProxy"),
            Self::VirtualService => ("networking.istio.io/v1", "VirtualService"),
        }
    }

    /// Whether it is that kind, of whatever version.
    pub(crate) fn is(self, kind: &Kind) -> bool {
        let (api_version, name) = self.kind();
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        (kind.group(), kind.name()) == (group, name)
    }

    /// Whether a cluster may know the kind, and has none of it where it does not.
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

    /// The fields that policies read, as Kubewarden's hosts take them: lists are passed through. A host keeps what is
    /// listed in memory, so what is not here costs nothing. In order, as the SDK sends them.
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
            // Its key may be beside its certificate.
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
            // What it says of clients, with no Secret in it.
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

//! Reads Ingresses: where they lead, what answers CORS in front of the pods, and who issues their certificates.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::{
    fields::text,
    objects::{Found, Objects},
    proxies,
    routes::{Cors, Hosts, RouteHost, says_origin},
};
#[cfg(feature = "flyte2-exposure")]
use crate::admission;
#[cfg(feature = "flyte-oauth-tls")]
use crate::admission::Kind;
use crate::{admin_config::decode, host::Listed, text::Text, view::view};

view! {
    /// An Ingress.
    pub(crate) struct Ingress<'a> {
        "metadata" => metadata: Annotated<'a>,
        "spec" => spec: IngressSpec<'a>,
    }

    struct Annotated<'a> {
        "annotations" => annotations: Annotations<'a>,
    }

    /// The annotations that show where the certificate is, and who issues it.
    struct Annotations<'a> {
        "cert-manager.io/issuer" => issuer: Text<'a>,
        "cert-manager.io/cluster-issuer" => cluster_issuer: Text<'a>,
        "alb.ingress.kubernetes.io/certificate-arn" => certificate_arn: Text<'a>,
        "networking.gke.io/managed-certificates" => managed_certificates: Text<'a>,
        "ingress.gcp.kubernetes.io/pre-shared-cert" => pre_shared_certificate: Text<'a>,
        "nginx.ingress.kubernetes.io/ssl-passthrough" => passthrough: Text<'a>,
    }

    struct IngressSpec<'a> {
        "ingressClassName" => class: Text<'a>,
        "defaultBackend" => default_backend: Backend<'a>,
        "rules" => rules: Vec<Rule<'a>>,
        "tls" => tls: Vec<Tls<'a>>,
    }

    struct Rule<'a> {
        "host" => host: Text<'a>,
        "http" => http: Http<'a>,
    }

    struct Http<'a> {
        "paths" => paths: Vec<Path<'a>>,
    }

    struct Path<'a> {
        "path" => path: Text<'a>,
        "backend" => backend: Backend<'a>,
    }

    struct Backend<'a> {
        "service" => service: Named<'a>,
    }

    struct Named<'a> {
        "name" => name: Text<'a>,
        /// Its port, unparsed.
        "port" if "flyte2-exposure" => port: &'a RawValue,
    }

    struct Port<'a> {
        "name" => name: Text<'a>,
        "number" => number: &'a RawValue,
    }

    struct Tls<'a> {
        "hosts" => hosts: Vec<Text<'a>>,
        "secretName" => secret_name: Text<'a>,
    }
}

/// The annotation that names middlewares for Traefik.
pub(crate) const MIDDLEWARES: &str = "traefik.ingress.kubernetes.io/router.middlewares";

/// Adds the hosts from which an Ingress leads to one of the given Services of its namespace.
pub(super) fn add_hosts(
    found: &Found,
    services: &BTreeSet<String>,
    objects: &Objects,
    hosts: &mut Hosts,
) -> Result<(), String> {
    let Ingress { metadata, spec, .. } = found.read_fields(Listed::Ingress)?;
    let spec = spec.unwrap_or_default();
    let annotations = metadata.and_then(|metadata| metadata.annotations).unwrap_or_default();
    let leads_there = |backend: Option<&Backend>| backend.is_some_and(|backend| backend.is_one_of(services));
    let ingress = found.title(Listed::Ingress);
    if leads_there(spec.default_backend.as_ref()) {
        hosts.doubt = Some(format!("{ingress} accepts every host, because of its defaultBackend"));
    }
    // Collecting sets would sort them first, at 4 KB of a module each.
    let mut tls: BTreeSet<&str> = BTreeSet::new();
    tls.extend(spec.tls.iter().flatten().flat_map(|tls| tls.hosts.iter().flatten()).map(|host| &**host));
    // `*.example.com` matches one label.
    let is_at_load_balancer = annotations.certificate_elsewhere().is_some();
    let has_tls = |host: &str| {
        is_at_load_balancer
            || tls.contains(host)
            || host.split_once('.').is_some_and(|(_, domain)| tls.contains(&*format!("*.{domain}")))
    };
    let mut known = None;
    for Rule { host, http, .. } in spec.rules.iter().flatten() {
        let paths = http.as_ref().and_then(|http| http.paths.as_ref());
        let is_grpc = |path: &Path| path.path.as_deref().is_some_and(is_grpc);
        if paths.is_some_and(|paths| paths.iter().any(|path| !is_grpc(path) && leads_there(path.backend.as_ref()))) {
            let name = host.as_deref().unwrap_or_default();
            // This reads the whole Ingress, so do it only once, not for each rule.
            if known.is_none() {
                known = Some(cors(found.object.get(), objects)?);
            }
            let cors = known.clone().flatten();
            let (has_tls, route) = (has_tls(name), ingress.clone());
            hosts.add(RouteHost { name: name.to_owned(), has_tls, route, cors })?;
        }
    }
    Ok(())
}

/// Whether a path is a gRPC path, which no browser calls.
pub(crate) fn is_grpc(path: &str) -> bool {
    path.starts_with("/flyteidl.") || path.starts_with("/grpc.")
}

/// Whether an Ingress is for a host.
#[cfg(feature = "flyte-console-url")]
pub(super) fn is_for(found: &Found, host: &str) -> Result<bool, String> {
    let spec = found.read_fields::<Ingress>(Listed::Ingress)?.spec.unwrap_or_default();
    Ok(spec.rules.iter().flatten().any(|rule| rule.host.as_deref() == Some(host)))
}

impl Backend<'_> {
    fn is_one_of(&self, services: &BTreeSet<String>) -> bool {
        let name = self.service.as_ref().and_then(|service| service.name.as_deref());
        name.is_some_and(|name| services.contains(name))
    }
}

impl Annotations<'_> {
    /// The annotation for a certificate of a cloud's load balancer, if it has one.
    fn certificate_elsewhere(&self) -> Option<&'static str> {
        let known = [
            (&self.certificate_arn, "certificate-arn"),
            (&self.managed_certificates, "managed-certificates"),
            (&self.pre_shared_certificate, "pre-shared-cert"),
        ];
        known.into_iter().find_map(|(named, annotation)| named.as_ref().map(|_| annotation))
    }
}

/// Controllers, by a word in the names of their classes.
const CONTROLLERS: [&str; 8] = ["nginx", "alb", "traefik", "haproxy", "kong", "gce", "contour", "istio"];

/// Whether the name of an Ingress class contains the name of a controller, as a word.
pub(crate) fn names_controller(class: &str, controller: &str) -> bool {
    class.split(['-', '.', '_', '/']).any(|word| word == controller)
}

/// Whether the name of an Ingress class tells its controller.
pub(crate) fn names_any_controller(class: &str) -> bool {
    CONTROLLERS.iter().any(|controller| names_controller(class, controller))
}

/// Whether a controller may read an Ingress: its class names no other controller.
fn may_be_of(ingress: &str, controller: &str) -> bool {
    let class =
        text(ingress, &["spec", "ingressClassName"]).or_else(|| annotation(ingress, "kubernetes.io/ingress.class"));
    class.is_none_or(|class| names_controller(&class, controller) || !names_any_controller(&class))
}

fn annotation<'i>(ingress: &'i str, name: &str) -> Option<Text<'i>> {
    text(ingress, &["metadata", "annotations", name])
}

/// The CORS that ingress-nginx answers in place of the pods, and the annotation that sets it.
pub(crate) fn by_nginx(ingress: &str) -> Option<(Cors, String)> {
    if !may_be_of(ingress, "nginx") {
        return None;
    }
    let name = |name: &str| format!("nginx.ingress.kubernetes.io/{name}");
    let said = |own: &str| annotation(ingress, &name(own));
    for snippet in ["configuration-snippet", "server-snippet"] {
        if said(snippet).is_some_and(|snippet| says_origin(&snippet)) {
            return Some((Cors::unread("a snippet for nginx"), name(snippet)));
        }
    }
    said("enable-cors").filter(|said| decode::parse_bool(said) == Ok(true))?;
    let origins = said("cors-allow-origin");
    let said_by = if origins.is_some() { "cors-allow-origin" } else { "enable-cors" };
    Some((Cors::by_nginx(origins.as_deref(), said("cors-allow-credentials").as_deref()), name(said_by)))
}

/// The CORS that other controllers may answer, and the annotation that shows it; it is not read.
pub(crate) fn by_others(ingress: &str) -> Option<(Cors, String)> {
    const MAY: [&str; 3] = ["haproxy-ingress.github.io/cors-enable", "haproxy.org/cors-enable", "konghq.com/plugins"];
    let said = MAY.into_iter().find(|name| annotation(ingress, name).is_some_and(|said| &*said != "false"))?;
    Some((Cors::unread("an annotation of another controller"), said.to_owned()))
}

/// The CORS that a controller answers in place of the pods.
///
/// # Errors
///
/// Why the middlewares are not known.
fn cors(ingress: &str, objects: &Objects) -> Result<Option<Cors>, String> {
    match annotation(ingress, MIDDLEWARES).filter(|_| may_be_of(ingress, "traefik")) {
        Some(names) => proxies::by_middlewares(names.split(',').map(str::to_owned), objects),
        None => Ok(by_nginx(ingress).or_else(|| by_others(ingress)).map(|(cors, _)| cors)),
    }
}

/// The parts of an Ingress that decide who is let in.
#[cfg(feature = "flyte2-exposure")]
impl Ingress<'_> {
    /// The class of its controller, if it names one.
    pub(crate) fn class(&self) -> Option<&str> {
        self.spec.as_ref()?.class.as_deref()
    }

    /// Its paths, each with the Service that it leads to, and the name or number of the Service's port; "" for all paths.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&str, &str, Option<String>)> {
        let spec = self.spec.iter();
        let paths = spec.clone().flat_map(|spec| spec.rules.iter().flatten());
        let paths = paths.filter_map(|rule| rule.http.as_ref()?.paths.as_ref()).flatten();
        let paths = paths.map(|path| (path.path.as_deref().unwrap_or_default(), path.backend.as_ref()));
        let paths = paths.chain(spec.map(|spec| ("", spec.default_backend.as_ref())));
        paths.filter_map(|(path, backend)| {
            let service = backend?.service.as_ref()?;
            let port = service.port.and_then(|port| admission::read_fields::<Port>(port).ok()).unwrap_or_default();
            let port = port.name.as_deref().or(port.number.map(RawValue::get)).map(str::to_owned);
            Some((path, service.name.as_deref()?, port))
        })
    }
}

/// The annotations that ask cert-manager for a certificate, and whether they name a ClusterIssuer.
#[cfg(feature = "flyte-oauth-tls")]
pub(crate) const ISSUERS: [(&str, bool); 2] =
    [("cert-manager.io/issuer", false), ("cert-manager.io/cluster-issuer", true)];

/// The issuer that cert-manager uses for a certificate: an `Issuer` or a `ClusterIssuer`, and its name.
#[cfg(feature = "flyte-oauth-tls")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IssuedBy {
    pub(crate) is_cluster_wide: bool,
    pub(crate) name: String,
}

/// Whether objects of this kind are Ingresses.
#[cfg(feature = "flyte-oauth-tls")]
pub(crate) fn is_kind(kind: &Kind) -> bool {
    use k8s_openapi::{Resource, api::networking::v1};
    (kind.group(), kind.name()) == (v1::Ingress::GROUP, v1::Ingress::KIND)
}

#[cfg(feature = "flyte-oauth-tls")]
impl Ingress<'_> {
    /// Returns the Secrets whose certificates it presents, if it leads to one of the given Services.
    pub(crate) fn presents(&self, services: &BTreeSet<String>, ingress: &str) -> Vec<&str> {
        let tls = self.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
        let secrets = tls.filter_map(|tls| tls.secret_name.as_deref());
        if self.ends_tls(services, ingress) { secrets.collect() } else { Vec::new() }
    }

    /// Whether it leads to one of the given Services from a host without a certificate in `spec.tls`.
    pub(crate) fn has_bare_hosts(&self, services: &BTreeSet<String>, ingress: &str) -> bool {
        let tls = || self.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
        let is_named = |host: &str| {
            let wildcard = host.split_once('.').map(|(_, domain)| format!("*.{domain}"));
            let is_it = |named: &Text| **named == *host || Some(&**named) == wildcard.as_deref();
            // An entry without hosts is for the hosts of the rules.
            tls().any(|tls| {
                let mut hosts = tls.hosts.iter().flatten().peekable();
                tls.secret_name.is_some() && (host.is_empty() || hosts.peek().is_none() || hosts.any(is_it))
            })
        };
        let leads = |rule: &&Rule| {
            let paths = rule.http.as_ref().and_then(|http| http.paths.as_ref()).into_iter().flatten();
            paths.into_iter().any(|path| path.backend.as_ref().is_some_and(|backend| backend.is_one_of(services)))
        };
        let rules = self.spec.iter().flat_map(|spec| spec.rules.iter().flatten());
        let mut hosts: Vec<&str> = rules.filter(leads).map(|rule| rule.host.as_deref().unwrap_or_default()).collect();
        let default = self.spec.as_ref().and_then(|spec| spec.default_backend.as_ref());
        hosts.extend(default.filter(|backend| backend.is_one_of(services)).map(|_| ""));
        self.ends_tls(services, ingress) && hosts.into_iter().any(|host| !is_named(host))
    }

    /// Returns the annotation for a certificate of a cloud's load balancer in front of it, if it leads to one of the
    /// given Services.
    pub(crate) fn certificate_elsewhere(&self, services: &BTreeSet<String>) -> Option<&'static str> {
        let annotations = self.metadata.as_ref()?.annotations.as_ref()?;
        annotations.certificate_elsewhere().filter(|_| self.leads_to(services))
    }

    /// Whether it leads to one of the given Services and ends TLS, so that clients do not see the certificate of what
    /// is behind it. ingress-nginx can be told to pass TLS through.
    pub(super) fn ends_tls(&self, services: &BTreeSet<String>, ingress: &str) -> bool {
        let annotations = self.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
        let passes = annotations.is_some_and(|annotations| annotations.passthrough.as_deref() == Some("true"));
        !(passes && may_be_of(ingress, "nginx")) && self.leads_to(services)
    }

    fn leads_to(&self, services: &BTreeSet<String>) -> bool {
        let Some(spec) = &self.spec else { return false };
        let paths = spec.rules.iter().flatten().filter_map(|rule| rule.http.as_ref()?.paths.as_ref()).flatten();
        let mut backends = paths.filter_map(|path| path.backend.as_ref()).chain(&spec.default_backend);
        backends.any(|backend| backend.is_one_of(services))
    }

    /// Whether it presents the certificate of a Secret, wherever it leads.
    pub(crate) fn names(&self, secret: &str) -> bool {
        let tls = self.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
        tls.filter_map(|tls| tls.secret_name.as_deref()).any(|name| name == secret)
    }

    /// The hosts for which it presents the certificate of a Secret, wherever they lead; "" for every host. If `spec.tls` names
    /// none, they are those of the rules.
    pub(crate) fn tls_hosts(&self, secret: &str) -> Vec<&str> {
        let spec = self.spec.as_ref();
        let of_secret = spec.iter().flat_map(|spec| spec.tls.iter().flatten());
        let mut hosts = Vec::new();
        for tls in of_secret.filter(|tls| tls.secret_name.as_deref() == Some(secret)) {
            let before = hosts.len();
            hosts.extend(tls.hosts.iter().flatten().map(|host| &**host));
            if hosts.len() == before {
                let rules = spec.iter().flat_map(|spec| spec.rules.iter().flatten());
                hosts.extend(rules.map(|rule| rule.host.as_deref().unwrap_or_default()));
            }
            if hosts.len() == before {
                hosts.push("");
            }
        }
        hosts
    }

    /// The issuer that an annotation requests, and the annotation.
    pub(crate) fn issued_by(&self) -> Option<(IssuedBy, &'static str)> {
        let annotations = self.metadata.as_ref()?.annotations.as_ref()?;
        let by = |name: &Option<Text>, is_cluster_wide, annotation| {
            let name = name.as_deref()?.to_owned();
            Some((IssuedBy { is_cluster_wide, name }, annotation))
        };
        let [(issuer, _), (cluster_issuer, _)] = ISSUERS;
        by(&annotations.issuer, false, issuer).or_else(|| by(&annotations.cluster_issuer, true, cluster_issuer))
    }
}

//! The hosts of Ingresses: those that lead to pods, and those that present a certificate.

use std::collections::BTreeSet;

use super::objects::{Found, Objects};
#[cfg(feature = "flyte-oauth-tls")]
use crate::admission::Kind;
use crate::{host::Listed, text::Text, verdict::Shortened, view::view, workload::Labels};

view! {
    struct Service<'a> {
        "spec" => spec: ServiceSpec<'a>,
    }

    struct ServiceSpec<'a> {
        "selector" => selector: Labels<'a>,
    }

    /// An Ingress.
    pub(crate) struct Ingress<'a> {
        "metadata" => metadata: Annotated<'a>,
        "spec" => spec: IngressSpec<'a>,
    }

    struct Annotated<'a> {
        "annotations" => annotations: Annotations<'a>,
    }

    /// The annotations that say who answers CORS, and who issues certificates.
    struct Annotations<'a> {
        "nginx.ingress.kubernetes.io/enable-cors" => enable_cors: Text<'a>,
        "nginx.ingress.kubernetes.io/cors-allow-origin" => cors_allow_origin: Text<'a>,
        "nginx.ingress.kubernetes.io/cors-allow-credentials" => cors_allow_credentials: Text<'a>,
        "cert-manager.io/issuer" => issuer: Text<'a>,
        "cert-manager.io/cluster-issuer" => cluster_issuer: Text<'a>,
        "alb.ingress.kubernetes.io/certificate-arn" => certificate_arn: Text<'a>,
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
        "backend" => backend: Backend<'a>,
    }

    struct Backend<'a> {
        "service" => service: Named<'a>,
    }

    struct Named<'a> {
        "name" => name: Text<'a>,
    }

    struct Tls<'a> {
        "hosts" => hosts: Vec<Text<'a>>,
        "secretName" => secret_name: Text<'a>,
    }
}

/// A host from which an Ingress leads to some pods.
pub(crate) struct IngressHost {
    pub(crate) name: String,
    pub(crate) has_tls: bool,
    /// The Ingress, as people name it.
    pub(crate) ingress: String,
    /// What answers CORS in place of the pods, if something does.
    pub(crate) cors: Option<Cors>,
}

/// CORS as ingress-nginx answers it.
///
/// Source: `internal/ingress/annotations/cors/main.go` of
/// [kubernetes/ingress-nginx](https://github.com/kubernetes/ingress-nginx) v1.13.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Cors {
    /// The origins, `*` for any; in one of them it stands for a label.
    pub(crate) origins: Vec<String>,
    /// Whether calls may carry credentials.
    pub(crate) with_credentials: bool,
}

impl Cors {
    /// Whether browsers let a page of that origin call with credentials.
    pub(crate) fn allows(&self, origin: &str) -> bool {
        let is_it = |listed: &String| {
            let label = || {
                listed.split_once("*.").and_then(|(before, behind)| origin.strip_prefix(before)?.strip_suffix(behind))
            };
            listed == origin
                || label().is_some_and(|label| label.len() > 1 && !label[..label.len() - 1].contains(['.', '/']))
        };
        self.with_credentials && self.origins.iter().any(is_it)
    }
}

/// The hosts from which Ingresses lead to some pods.
#[derive(Default)]
pub(crate) struct Hosts {
    /// Each once.
    pub(crate) named: Vec<IngressHost>,
    /// Why there may be more of them.
    pub(crate) doubt: Option<String>,
}

/// Nothing is reached from more hosts.
const MOST_HOSTS: usize = 50;

/// The Services of a namespace that select pods with these labels.
///
/// # Errors
///
/// Why they are not known.
pub(crate) fn services(
    objects: &Objects,
    namespace: &str,
    labels: Option<&Labels>,
) -> Result<BTreeSet<String>, String> {
    let mut services = BTreeSet::new();
    objects.each(Listed::Service, Some(namespace), |found| {
        let selector = found.read::<Service>(Listed::Service)?.spec.and_then(|spec| spec.selector);
        if selector.is_some_and(|selector| selector.selects(labels)) {
            services.insert(found.name.clone());
        }
        Ok(())
    })?;
    Ok(services)
}

/// The namespaces with an Ingress for a host.
///
/// # Errors
///
/// Why they are not known.
#[cfg(feature = "flyte-console-url")]
pub(crate) fn namespaces(objects: &Objects, host: &str) -> Result<BTreeSet<String>, String> {
    let mut namespaces = BTreeSet::new();
    objects.each(Listed::Ingress, None, |found| {
        let spec = found.read::<Ingress>(Listed::Ingress)?.spec.unwrap_or_default();
        if spec.rules.iter().flatten().any(|rule| rule.host.as_deref() == Some(host)) {
            namespaces.insert(found.namespace.clone());
        }
        Ok(())
    })?;
    Ok(namespaces)
}

/// The hosts from which Ingresses of a namespace lead to some of its Services.
///
/// # Errors
///
/// Why they are not known.
pub(crate) fn hosts(objects: &Objects, namespace: &str, services: &BTreeSet<String>) -> Result<Hosts, String> {
    let mut hosts = Hosts::default();
    objects.each(Listed::Ingress, Some(namespace), |found| hosts.add(found, services))?;
    Ok(hosts)
}

impl Hosts {
    fn add(&mut self, found: &Found, services: &BTreeSet<String>) -> Result<(), String> {
        let Ingress { metadata, spec, .. } = found.read(Listed::Ingress)?;
        let spec = spec.unwrap_or_default();
        let annotations = metadata.and_then(|metadata| metadata.annotations).unwrap_or_default();
        let leads_there = |backend: Option<&Backend>| backend.is_some_and(|backend| backend.is_one_of(services));
        let ingress = found.title(Listed::Ingress);
        // Another controller does not read the annotations of this one.
        let is_nginx = spec.class.as_deref().is_none_or(|class| class.contains("nginx"));
        let cors = annotations.cors().filter(|_| is_nginx);
        if leads_there(spec.default_backend.as_ref()) {
            self.doubt = Some(format!("{ingress} leads there by its defaultBackend, from every host"));
        }
        // To collect sets would sort them first, by 4 KB of a module each.
        let mut tls: BTreeSet<&str> = BTreeSet::new();
        tls.extend(spec.tls.iter().flatten().flat_map(|tls| tls.hosts.iter().flatten()).map(|host| &**host));
        // `*.example.com` stands for one label.
        let is_behind_arn = annotations.certificate_arn.is_some();
        let has_tls = |host: &str| {
            is_behind_arn
                || tls.contains(host)
                || host.split_once('.').is_some_and(|(_, domain)| tls.contains(&*format!("*.{domain}")))
        };
        for Rule { host, http, .. } in spec.rules.iter().flatten() {
            let paths = http.as_ref().and_then(|http| http.paths.as_ref());
            if !paths.is_some_and(|paths| paths.iter().any(|path| leads_there(path.backend.as_ref()))) {
                continue;
            }
            let name = host.as_deref().unwrap_or_default();
            let host = IngressHost {
                name: name.to_owned(),
                has_tls: has_tls(name),
                ingress: ingress.clone(),
                cors: cors.clone(),
            };
            let is_known = |known: &IngressHost| {
                known.name == host.name && known.has_tls == host.has_tls && known.cors == host.cors
            };
            if name.is_empty() || name.contains('*') {
                let name = if name.is_empty() { "every host".to_owned() } else { format!("`{}`", Shortened(name)) };
                self.doubt = Some(format!("{ingress} leads there from {name}"));
            } else if self.named.len() == MOST_HOSTS {
                return Err(format!("more than {MOST_HOSTS} hosts lead there"));
            } else if !self.named.iter().any(is_known) {
                self.named.push(host);
            }
        }
        Ok(())
    }
}

impl Backend<'_> {
    fn is_one_of(&self, services: &BTreeSet<String>) -> bool {
        let name = self.service.as_ref().and_then(|service| service.name.as_deref());
        name.is_some_and(|name| services.contains(name))
    }
}

impl Annotations<'_> {
    fn cors(&self) -> Option<Cors> {
        let is = |value: &Option<Text>, wanted: &str| value.as_deref() == Some(wanted);
        let origins = self.cors_allow_origin.as_deref().unwrap_or("*").split(',');
        is(&self.enable_cors, "true").then(|| Cors {
            origins: origins.map(|origin| origin.trim().to_owned()).filter(|origin| !origin.is_empty()).collect(),
            with_credentials: !is(&self.cors_allow_credentials, "false"),
        })
    }
}

/// Who makes a certificate by cert-manager: `Issuer` or `ClusterIssuer`, and its name.
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
    /// The Secrets whose certificates it presents, if it leads to one of some Services.
    pub(crate) fn presents(&self, services: &BTreeSet<String>) -> Vec<&str> {
        let tls = self.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
        let secrets = tls.filter_map(|tls| tls.secret_name.as_deref());
        if self.leads_to(services) { secrets.collect() } else { Vec::new() }
    }

    /// Whether it leads to one of some Services, and a cloud's load balancer in front of it has the certificate.
    pub(crate) fn has_certificate_elsewhere(&self, services: &BTreeSet<String>) -> bool {
        let annotations = self.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
        annotations.is_some_and(|annotations| annotations.certificate_arn.is_some()) && self.leads_to(services)
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

    /// Who is asked to make its certificates, and by which annotation.
    pub(crate) fn issued_by(&self) -> Option<(IssuedBy, &'static str)> {
        let annotations = self.metadata.as_ref()?.annotations.as_ref()?;
        let by = |name: &Option<Text>, is_cluster_wide, annotation| {
            let name = name.as_deref()?.to_owned();
            Some((IssuedBy { is_cluster_wide, name }, annotation))
        };
        by(&annotations.issuer, false, "cert-manager.io/issuer")
            .or_else(|| by(&annotations.cluster_issuer, true, "cert-manager.io/cluster-issuer"))
    }
}

/// The hosts for which Ingresses present a certificate.
#[cfg(feature = "flyte-oauth-tls")]
#[derive(Default)]
pub(crate) struct TlsHosts {
    /// Each once, with its Ingress as people name it.
    pub(crate) named: Vec<(String, String)>,
    /// An Ingress that presents it for every host.
    pub(crate) everywhere: Option<String>,
}

/// The hosts for which Ingresses of a namespace present the certificate of a Secret. Where `spec.tls` names no host, they are
/// those of the rules.
///
/// # Errors
///
/// Why they are not known.
#[cfg(feature = "flyte-oauth-tls")]
pub(crate) fn tls_hosts(objects: &Objects, namespace: &str, secret: &str) -> Result<TlsHosts, String> {
    let mut hosts = TlsHosts::default();
    objects.each(Listed::Ingress, Some(namespace), |found| {
        let spec = found.read::<Ingress>(Listed::Ingress)?.spec.unwrap_or_default();
        let ingress = found.title(Listed::Ingress);
        let is_of_secret = |tls: &&Tls| tls.secret_name.as_deref() == Some(secret);
        for tls in spec.tls.iter().flatten().filter(is_of_secret) {
            let of_rules =
                || spec.rules.iter().flatten().map(|rule| rule.host.as_deref().unwrap_or_default()).collect();
            let mut named: Vec<&str> = tls.hosts.iter().flatten().map(|host| &**host).collect();
            if named.is_empty() {
                named = of_rules();
            }
            if named.is_empty() || named.contains(&"") {
                hosts.everywhere = Some(ingress.clone());
            }
            for host in named.into_iter().filter(|host| !host.is_empty()) {
                if hosts.named.len() == MOST_HOSTS {
                    return Err(format!("more than {MOST_HOSTS} hosts have this certificate"));
                }
                if !hosts.named.iter().any(|(known, _)| known == host) {
                    hosts.named.push((host.to_owned(), ingress.clone()));
                }
            }
        }
        Ok(())
    })?;
    Ok(hosts)
}

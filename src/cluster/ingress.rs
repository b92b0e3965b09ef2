//! The hosts of Ingresses: those that lead to pods, and those that present a certificate.

use std::collections::BTreeSet;

use super::objects::{Found, Objects};
use crate::{host::Listed, text::Text, verdict::Shortened, view::view, workload::Labels};

view! {
    struct Service<'a> {
        "spec" => spec: ServiceSpec<'a>,
    }

    struct ServiceSpec<'a> {
        "selector" => selector: Labels<'a>,
    }

    struct Ingress<'a> {
        "spec" => spec: IngressSpec<'a>,
    }

    struct IngressSpec<'a> {
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
        let spec = found.read::<Ingress>(Listed::Ingress)?.spec.unwrap_or_default();
        let leads_there = |backend: Option<&Backend>| {
            let name = backend.and_then(|backend| backend.service.as_ref()).and_then(|service| service.name.as_deref());
            name.is_some_and(|name| services.contains(name))
        };
        let ingress = found.title(Listed::Ingress);
        if leads_there(spec.default_backend.as_ref()) {
            self.doubt = Some(format!("{ingress} leads there by its defaultBackend, from every host"));
        }
        let tls: BTreeSet<&str> =
            spec.tls.iter().flatten().flat_map(|tls| tls.hosts.iter().flatten()).map(|host| &**host).collect();
        // `*.example.com` stands for one label.
        let has_tls = |host: &str| {
            tls.contains(host) || host.split_once('.').is_some_and(|(_, domain)| tls.contains(&*format!("*.{domain}")))
        };
        for Rule { host, http, .. } in spec.rules.iter().flatten() {
            let paths = http.as_ref().and_then(|http| http.paths.as_ref());
            if !paths.is_some_and(|paths| paths.iter().any(|path| leads_there(path.backend.as_ref()))) {
                continue;
            }
            let name = host.as_deref().unwrap_or_default();
            let host = IngressHost { name: name.to_owned(), has_tls: has_tls(name), ingress: ingress.clone() };
            let is_known = |known: &IngressHost| known.name == host.name && known.has_tls == host.has_tls;
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

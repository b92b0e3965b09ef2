//! The hosts from which Ingresses lead to pods.

use std::collections::BTreeSet;

use super::others::{Found, Others};
use crate::{cluster::Listed, text::Text, verdict::Shortened, view::view, workload::Labels};

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
    }
}

/// A host from which an Ingress leads to some pods.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) has_tls: bool,
    /// The Ingress, as people name it.
    pub(super) ingress: String,
}

/// The hosts from which Ingresses lead to some pods.
#[derive(Default)]
pub(super) struct Hosts {
    /// Each once.
    pub(super) named: Vec<Host>,
    /// Why there may be more of them.
    pub(super) doubt: Option<String>,
}

/// Nothing is reached from more hosts.
const MOST_HOSTS: usize = 50;

/// The Services of a namespace that select pods with these labels.
///
/// # Errors
///
/// Why they are not known.
pub(super) fn services(others: &Others, namespace: &str, labels: Option<&Labels>) -> Result<BTreeSet<String>, String> {
    let mut services = BTreeSet::new();
    others.each(Listed::Service, Some(namespace), |found| {
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
pub(super) fn hosts(others: &Others, namespace: &str, services: &BTreeSet<String>) -> Result<Hosts, String> {
    let mut hosts = Hosts::default();
    others.each(Listed::Ingress, Some(namespace), |found| hosts.add(found, services))?;
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
            let host = Host { name: name.to_owned(), has_tls: has_tls(name), ingress: ingress.clone() };
            let is_known = |known: &Host| known.name == host.name && known.has_tls == host.has_tls;
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

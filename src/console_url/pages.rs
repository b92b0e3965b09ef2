//! The origins that browsers load flyteconsole from.

use super::{
    after::{After, Found, read},
    settings::Settings,
};
use crate::{cluster::Listed, origin::Origin, text::Text, verdict::Shortened, view::view, workload::Labels};

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

/// Where browsers load a console from.
#[derive(Debug)]
pub(super) struct Page {
    /// Its origin. Two where an Ingress has no TLS for the host: a load balancer before it may have, and then it is https.
    pub(super) origins: Vec<Origin>,
    /// What says so.
    pub(super) from: String,
}

/// The pages of the consoles with these labels in a namespace, and why there may be others.
///
/// # Errors
///
/// Why none is known.
pub(super) fn of(
    after: &After,
    settings: &Settings,
    namespace: &str,
    labels: Option<&Labels>,
) -> Result<(Vec<Page>, Option<String>), String> {
    if let Some(origins) = &settings.console_origins {
        let origins = origins.iter().filter_map(|origin| Origin::read(origin).ok());
        let pages = origins.map(|origin| Page { origins: vec![origin], from: "the settings".to_owned() });
        return Ok((pages.collect(), None));
    }
    let mut services = Vec::new();
    after.find(Listed::Service, Some(namespace), |found| {
        let selector = read::<Service>(Listed::Service, found.object)?.spec.and_then(|spec| spec.selector);
        if selector.is_some_and(|selector| selector.selects(labels)) {
            services.push(found.name);
        }
        Ok(None::<()>)
    })?;
    let mut pages: Vec<Page> = Vec::new();
    let mut others = None;
    after.find(Listed::Ingress, Some(namespace), |found| {
        add(&found, &services, &mut pages, &mut others)?;
        Ok(None::<()>)
    })?;
    match (pages.is_empty(), others) {
        (true, others) => {
            let none = || format!("no Ingress in namespace {} leads to flyteconsole", Shortened(namespace));
            Err(format!("{}; name its origins in the setting consoleOrigins", others.unwrap_or_else(none)))
        }
        (false, others) => Ok((pages, others)),
    }
}

/// Adds the hosts for which an Ingress leads to one of the services.
fn add(found: &Found, services: &[String], pages: &mut Vec<Page>, others: &mut Option<String>) -> Result<(), String> {
    let spec = read::<Ingress>(Listed::Ingress, found.object)?.spec.unwrap_or_default();
    let leads_to = |backend: Option<&Backend>| {
        let name = backend.and_then(|backend| backend.service.as_ref()).and_then(|service| service.name.as_deref());
        name.is_some_and(|name| services.iter().any(|service| service == name))
    };
    let title = found.title(Listed::Ingress);
    if leads_to(spec.default_backend.as_ref()) {
        *others = Some(format!("{title} leads to flyteconsole by its defaultBackend, from every host"));
    }
    let tls: Vec<&str> =
        spec.tls.iter().flatten().flat_map(|tls| tls.hosts.iter().flatten()).map(|host| &**host).collect();
    for Rule { host, http, .. } in spec.rules.iter().flatten() {
        let paths = http.as_ref().and_then(|http| http.paths.as_ref());
        if !paths.is_some_and(|paths| paths.iter().any(|path| leads_to(path.backend.as_ref()))) {
            continue;
        }
        let host = host.as_deref().unwrap_or_default();
        let has_tls = tls.iter().any(|pattern| covers(pattern, host));
        let schemes: &[&str] = if has_tls { &["https"] } else { &["https", "http"] };
        let origins: Vec<Origin> =
            schemes.iter().filter_map(|scheme| Origin::read(&format!("{scheme}://{host}")).ok()).collect();
        if origins.is_empty() {
            let host = if host.is_empty() { "every host".to_owned() } else { format!("`{}`", Shortened(host)) };
            *others = Some(format!("{title} leads to flyteconsole from {host}"));
        } else if !pages.iter().any(|page| page.origins == origins) {
            pages.push(Page { origins, from: title.clone() });
        }
    }
    Ok(())
}

/// Whether a host of `spec.tls` is that host, or stands for it: `*.example.com` for one label.
fn covers(pattern: &str, host: &str) -> bool {
    pattern == host
        || pattern.strip_prefix("*.").is_some_and(|domain| host.split_once('.').is_some_and(|(_, rest)| rest == domain))
}

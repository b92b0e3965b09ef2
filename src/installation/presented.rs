//! The certificates that are presented in front of flyteadmin, by Ingresses, Gateways and Routes.

use std::collections::BTreeSet;

use super::{
    admin,
    gateway::certificates::{self, AtGateway},
    ingress::{Ingress, IssuedBy},
    objects::{Found, Objects},
    openshift::Route,
    proxies::{self, Proxy},
};
use crate::host::{Host, Listed};

/// A certificate in front of flyteadmin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The Ingress or route that leads to flyteadmin, or the Deployment that runs it, as people name it.
    pub route: String,
    /// The namespace of the flyteadmin.
    pub namespace: String,
    /// Where the certificate is.
    pub held: Held,
    /// Who makes it, as people name it, where cert-manager is asked to by an annotation.
    pub issuer: Option<String>,
}

/// Where a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// In a Secret, as people name it: `flyte/flyte-tls`.
    Secret(String),
    /// At a cloud's load balancer, by an annotation: AWS' `certificate-arn`, Google's `managed-certificates` or `pre-shared-cert`.
    LoadBalancer(&'static str),
    /// In an OpenShift Route or at its router.
    Router,
    /// Nowhere that is said: its controller's own, or none at all.
    Unsaid,
}

/// The key of most certificates.
pub(crate) const TLS_CRT: &str = "tls.crt";

/// The certificate of a Secret, as it is used in front of flyteadmin.
pub(crate) struct Use {
    /// Its key in the Secret.
    pub(crate) key: String,
    /// The namespace of the flyteadmin.
    pub(crate) namespace: String,
}

/// How a Secret is used in front of a flyteadmin: of one of its namespace by an Ingress or by flyteadmin itself, or of any by a
/// Gateway. `None` where it is not.
///
/// # Errors
///
/// Why that is not known.
pub(crate) fn presents(objects: &Objects, namespace: &str, secret: &str) -> Result<Option<Use>, String> {
    let used = |key: &str, namespace: &str| Some(Use { key: key.to_owned(), namespace: namespace.to_owned() });
    let names = |found: &Found| Ok(found.read::<Ingress>(Listed::Ingress)?.names(secret).then_some(()));
    // Most Secrets are named by none, and then nobody need know where it leads.
    if objects.find(Listed::Ingress, Some(namespace), names)?.is_some() {
        let services = admin::services(objects, namespace)?;
        let presents = |found: &Found| {
            let ingress = found.read::<Ingress>(Listed::Ingress)?;
            Ok(ingress.presents(&services).contains(&secret).then_some(()))
        };
        if objects.find(Listed::Ingress, Some(namespace), presents)?.is_some() {
            return Ok(used(TLS_CRT, namespace));
        }
    }
    let mut led = Vec::new();
    each_proxy(objects, &mut |_, proxy| {
        if proxy.is_of(namespace, secret) {
            led.extend(proxy.to.iter().cloned());
        }
        Ok(())
    })?;
    let mut services = admin::Services::among(objects);
    for (of, name) in led {
        if services.of(&of)?.contains(&name) {
            return Ok(used(TLS_CRT, &of));
        }
    }
    let own = admin::own_certificates(objects, namespace, |mounted| mounted == secret)?;
    if let Some(own) = own.into_iter().find(|own| own.secret.0 == secret)
        && !ends_tls(objects, namespace)?
    {
        return Ok(used(&own.secret.1, namespace));
    }
    let mut at_gateway = None;
    if certificates::names(objects, (namespace, secret))? {
        each_at_gateway(&objects.everywhere(), &mut |at| {
            if at.secret == (namespace, secret) && at_gateway.is_none() {
                at_gateway = used(TLS_CRT, at.namespace);
            }
            Ok(())
        })?;
    }
    Ok(at_gateway)
}

/// Whether something ends TLS in front of a namespace's flyteadmins, so that clients do not see their own certificates: any route
/// but those that pass it through.
fn ends_tls(objects: &Objects, namespace: &str) -> Result<bool, String> {
    let services = admin::services(objects, namespace)?;
    let by_ingress = |found: &Found| Ok(found.read::<Ingress>(Listed::Ingress)?.ends_tls(&services).then_some(()));
    let by_route = |found: &Found| Ok(found.read::<Route>(Listed::Route)?.ends_tls(&services).then_some(()));
    let mut by_proxy = false;
    each_proxy(objects, &mut |_, proxy| {
        by_proxy |= proxy.ends_tls && proxy.leads_to(namespace, &services);
        Ok(())
    })?;
    Ok(by_proxy
        || objects.find(Listed::Ingress, Some(namespace), by_ingress)?.is_some()
        || objects.find(Listed::Route, Some(namespace), by_route)?.is_some()
        || certificates::leads_to(objects, namespace, &services)?)
}

/// Gives each route of Contour's and Traefik's to `each`, with its title.
fn each_proxy(objects: &Objects, each: &mut dyn FnMut(&str, &Proxy) -> Result<(), String>) -> Result<(), String> {
    for kind in proxies::WITH_CERTIFICATES {
        objects.each(kind, None, |found| {
            let title = found.title(kind);
            Proxy::each(kind, found).iter().try_for_each(|proxy| each(&title, proxy))
        })?;
    }
    Ok(())
}

impl Proxy {
    /// Whether clients see the certificate of a Secret there.
    fn is_of(&self, namespace: &str, secret: &str) -> bool {
        self.secret.as_ref().is_some_and(|(of, name)| (&**of, &**name) == (namespace, secret))
    }
}

fn each_at_gateway(objects: &Objects, each: &mut dyn FnMut(&AtGateway) -> Result<(), String>) -> Result<(), String> {
    let mut services = admin::Services::among(objects);
    certificates::each_certificate(objects, &mut |namespace| services.of(namespace), each)
}

/// The hosts for which a certificate is presented.
#[derive(Default)]
pub(crate) struct TlsHosts {
    /// Each once, with what presents it there, as people name it.
    pub(crate) named: Vec<(String, String)>,
    /// What presents it for every host.
    pub(crate) everywhere: Option<String>,
}

impl TlsHosts {
    /// No certificate is for more hosts.
    const MOST: usize = 50;

    fn add(&mut self, host: &str, by: &str) -> Result<(), String> {
        if host.is_empty() {
            self.everywhere = Some(by.to_owned());
        } else if self.named.len() == Self::MOST {
            return Err(format!("more than {} hosts have this certificate", Self::MOST));
        } else if !self.named.iter().any(|(known, _)| known == host) {
            self.named.push((host.to_owned(), by.to_owned()));
        }
        Ok(())
    }
}

/// The hosts for which Ingresses of a namespace, and Gateways, present the certificate of a Secret.
///
/// # Errors
///
/// Why they are not known.
pub(crate) fn tls_hosts(objects: &Objects, namespace: &str, secret: &str) -> Result<TlsHosts, String> {
    let mut hosts = TlsHosts::default();
    objects.each(Listed::Ingress, Some(namespace), |found| {
        let ingress = found.read::<Ingress>(Listed::Ingress)?;
        let title = found.title(Listed::Ingress);
        ingress.tls_hosts(secret).into_iter().try_for_each(|host| hosts.add(host, &title))
    })?;
    each_proxy(objects, &mut |title, proxy| {
        let is_its = proxy.is_of(namespace, secret);
        proxy.hosts.iter().filter(|_| is_its).try_for_each(|host| hosts.add(host, title))
    })?;
    if certificates::names(objects, (namespace, secret))? {
        each_at_gateway(&objects.everywhere(), &mut |at| {
            if at.secret != (namespace, secret) {
                return Ok(());
            }
            let by = format!("{} at {}", at.route, at.gateway);
            let every = at.hosts.is_empty().then_some("");
            at.hosts.iter().copied().chain(every).try_for_each(|host| hosts.add(host, &by))
        })?;
    }
    Ok(hosts)
}

/// The flyteadmins of all namespaces, and the certificates that are presented in front of them.
#[derive(Debug, Default)]
pub struct Survey {
    /// The certificates; those that are not known are left out.
    pub presented: Vec<Presented>,
    /// The flyteadmins; those that cannot be read are left out.
    pub running: Vec<Running>,
}

impl Survey {
    /// Asks a host for the objects of all namespaces, for each kind once.
    pub fn of(host: &dyn Host) -> Self {
        let objects = Objects::beside(host).everywhere();
        Self { presented: presented(&objects), running: running(&objects) }
    }
}

fn presented(objects: &Objects) -> Vec<Presented> {
    let mut services = admin::Services::among(objects);
    let mut led = |found: &Found| services.of(&found.namespace).unwrap_or_default();
    let mut presented = Vec::new();
    let _ = objects.each(Listed::Ingress, None, |found| {
        let ingress: Ingress = found.read(Listed::Ingress)?;
        let led = led(found);
        let issuer = ingress.issued_by().map(|(IssuedBy { is_cluster_wide, name }, _)| {
            let kind = if is_cluster_wide { Listed::ClusterIssuer } else { Listed::Issuer };
            format!("{} {name}", kind.kind().1)
        });
        let secret = |secret: &str| Held::Secret(format!("{}/{secret}", found.namespace));
        let secrets = ingress.presents(&led).into_iter().map(secret);
        let at_load_balancer = ingress.certificate_elsewhere(&led).map(Held::LoadBalancer);
        let mut held: Vec<Held> = secrets.chain(at_load_balancer).collect();
        if held.is_empty() && ingress.ends_tls(&led) {
            held.push(Held::Unsaid);
        }
        presented.extend(held.into_iter().map(|held| Presented {
            route: found.title(Listed::Ingress),
            namespace: found.namespace.clone(),
            held,
            issuer: issuer.clone(),
        }));
        Ok(())
    });
    let _ = objects.each(Listed::Route, None, |found| {
        let route: Route = found.read(Listed::Route)?;
        if route.ends_tls(&led(found)) {
            let (route, namespace) = (found.title(Listed::Route), found.namespace.clone());
            presented.push(Presented { route, namespace, held: Held::Router, issuer: None });
        }
        Ok(())
    });
    let _ = each_proxy(objects, &mut |title, proxy| {
        let mut led: BTreeSet<&str> = BTreeSet::new();
        for (namespace, name) in proxy.to.iter().filter(|_| proxy.ends_tls) {
            if led.contains(&**namespace) || !services.of(namespace).unwrap_or_default().contains(name) {
                continue;
            }
            led.insert(namespace);
            let secret = |(of, name): &(String, String)| Held::Secret(format!("{of}/{name}"));
            let held = proxy.secret.as_ref().map_or(Held::Router, secret);
            presented.push(Presented { route: title.to_owned(), namespace: namespace.clone(), held, issuer: None });
        }
        Ok(())
    });
    for namespace in namespaces(objects) {
        if ends_tls(objects, &namespace).unwrap_or(true) {
            continue;
        }
        for own in admin::own_certificates(objects, &namespace, |_| true).unwrap_or_default() {
            let held = Held::Secret(format!("{namespace}/{}", own.secret.0));
            presented.push(Presented { route: own.title, namespace: namespace.clone(), held, issuer: None });
        }
    }
    let _ = each_at_gateway(objects, &mut |at| {
        let AtGateway { secret: (of_secret, name), route, gateway, .. } = at;
        let (route, held) = (format!("{route} at {gateway}"), Held::Secret(format!("{of_secret}/{name}")));
        presented.push(Presented { route, namespace: at.namespace.to_owned(), held, issuer: None });
        Ok(())
    });
    presented
}

/// A flyteadmin that a Deployment runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its Deployment, as people name it.
    pub deployment: String,
    /// Its namespace.
    pub namespace: String,
    /// What of its configuration is not seen, if something is not.
    pub unseen: Option<String>,
}

fn running(objects: &Objects) -> Vec<Running> {
    let mut running = Vec::new();
    for namespace in namespaces(objects) {
        for runner in admin::runners(objects, &namespace).unwrap_or_default() {
            if !runner.is_flyte_two {
                let unseen = runner.unseen(objects, &namespace);
                running.push(Running { deployment: runner.title, namespace: namespace.clone(), unseen });
            }
        }
    }
    running
}

/// The namespaces in which Deployments are.
fn namespaces(objects: &Objects) -> BTreeSet<String> {
    let mut namespaces = BTreeSet::new();
    let _ = objects.each(Listed::Deployment, None, |found| {
        namespaces.insert(found.namespace.clone());
        Ok(())
    });
    namespaces
}

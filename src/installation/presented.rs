//! The certificates that are presented in front of flyteadmin, by Ingresses, Gateways and Routes.

use std::collections::BTreeSet;

use super::{
    admin, admin_routes,
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
    /// The title of the Ingress or route that leads to flyteadmin, or of the Deployment that runs it.
    pub route: String,
    /// The namespace of the flyteadmin.
    pub namespace: String,
    /// Where the certificate is.
    pub held: Held,
    /// The title of its issuer, if an annotation requests it from cert-manager.
    pub issuer: Option<String>,
}

/// The place of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// In a Secret: `flyte/flyte-tls`.
    Secret(String),
    /// At a cloud's load balancer, by an annotation: AWS' `certificate-arn`, Google's `managed-certificates` or `pre-shared-cert`.
    LoadBalancer(&'static str),
    /// In an OpenShift Route or at its router.
    Router,
    /// Not shown anywhere: the controller has its own certificate, or none.
    Unsaid,
}

/// The key of most certificates.
pub(crate) const TLS_CRT: &str = "tls.crt";

/// How the certificate of a Secret is used in front of flyteadmin.
pub(crate) struct Use {
    /// Its key in the Secret.
    pub(crate) key: String,
    /// The namespace of the flyteadmin.
    pub(crate) namespace: String,
}

/// Returns how a Secret is used in front of a flyteadmin. In its own namespace, an Ingress or flyteadmin itself may use
/// it; in any namespace, other routes or a Gateway. `None` if it is not used.
///
/// # Errors
///
/// Why that is not known.
pub(crate) fn presents(objects: &Objects, namespace: &str, secret: &str) -> Result<Option<Use>, String> {
    let used = |key: &str, namespace: &str| Some(Use { key: key.to_owned(), namespace: namespace.to_owned() });
    let names = |found: &Found| Ok(found.read_fields::<Ingress>(Listed::Ingress)?.names(secret).then_some(()));
    // Most Secrets are in no Ingress, and then it does not matter where Ingresses lead.
    if objects.find(Listed::Ingress, Some(namespace), names)?.is_some() {
        let services = admin_routes::services(objects, namespace)?;
        let presents = |found: &Found| {
            let ingress = found.read_fields::<Ingress>(Listed::Ingress)?;
            Ok(ingress.presents(&services, found.object.get()).contains(&secret).then_some(()))
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
    let mut services = admin_routes::Services::among(objects);
    for (of, name) in led {
        if services.names_in(&of)?.contains(&name) {
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
            if at.secret == Some((namespace, secret)) && at_gateway.is_none() {
                at_gateway = used(TLS_CRT, at.namespace);
            }
            Ok(())
        })?;
    }
    Ok(at_gateway)
}

/// Whether something ends TLS in front of a namespace's flyteadmins, so that clients do not see flyteadmin's own certificates: any
/// route does, unless it passes TLS through.
fn ends_tls(objects: &Objects, namespace: &str) -> Result<bool, String> {
    let services = admin_routes::services(objects, namespace)?;
    let by_ingress = |found: &Found| {
        Ok(found.read_fields::<Ingress>(Listed::Ingress)?.ends_tls(&services, found.object.get()).then_some(()))
    };
    let by_route = |found: &Found| Ok(found.read_fields::<Route>(Listed::Route)?.ends_tls(&services).then_some(()));
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

/// Calls `each` for every route of Contour and Traefik, with its title.
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
    let mut services = admin_routes::Services::among(objects);
    certificates::each_certificate(objects, &mut |namespace| services.names_in(namespace), each)
}

/// The hosts for which a certificate is presented.
#[derive(Default)]
pub(crate) struct TlsHosts {
    /// Each host once, with the title of what presents it there.
    pub(crate) named: Vec<(String, String)>,
    /// The title of what presents it for every host.
    pub(crate) everywhere: Option<String>,
}

impl TlsHosts {
    /// No certificate has more hosts than this.
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

/// The hosts for which Ingresses of a namespace, other routes and Gateways present the certificate of a Secret.
///
/// # Errors
///
/// Why they are not known.
pub(crate) fn tls_hosts(objects: &Objects, namespace: &str, secret: &str) -> Result<TlsHosts, String> {
    let mut hosts = TlsHosts::default();
    objects.each(Listed::Ingress, Some(namespace), |found| {
        let ingress = found.read_fields::<Ingress>(Listed::Ingress)?;
        let title = found.title(Listed::Ingress);
        ingress.tls_hosts(secret).into_iter().try_for_each(|host| hosts.add(host, &title))
    })?;
    each_proxy(objects, &mut |title, proxy| {
        let is_its = proxy.is_of(namespace, secret);
        proxy.hosts.iter().filter(|_| is_its).try_for_each(|host| hosts.add(host, title))
    })?;
    if certificates::names(objects, (namespace, secret))? {
        each_at_gateway(&objects.everywhere(), &mut |at| {
            if at.secret != Some((namespace, secret)) {
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
    /// The certificates, and the routes without a known one.
    pub presented: Vec<Presented>,
    /// The flyteadmins.
    pub running: Vec<Running>,
    /// Why there may be more of both.
    pub unknown: Vec<String>,
}

impl Survey {
    /// Lists the objects of all namespaces, each kind once.
    pub fn take(host: &dyn Host) -> Self {
        let objects = &Objects::beside(host).everywhere();
        let mut survey = Self::default();
        type Read = fn(&mut Survey, &Objects) -> Result<(), String>;
        const READ: [Read; 6] = [by_ingresses, by_routes, by_proxies, by_mesh, by_flyteadmins, by_gateways];
        for read in READ {
            if let Err(unknown) = read(&mut survey, objects)
                && !survey.unknown.contains(&unknown)
            {
                survey.unknown.push(unknown);
            }
        }
        survey
    }

    fn add(&mut self, route: &str, namespace: &str, held: Held, issuer: Option<String>) {
        let presented = Presented { route: route.to_owned(), namespace: namespace.to_owned(), held, issuer };
        if !self.presented.contains(&presented) {
            self.presented.push(presented);
        }
    }
}

fn by_ingresses(survey: &mut Survey, objects: &Objects) -> Result<(), String> {
    let mut services = admin_routes::Services::among(objects);
    objects.each(Listed::Ingress, None, |found| {
        let ingress: Ingress = found.read_fields(Listed::Ingress)?;
        let led = services.names_in(&found.namespace)?;
        let issuer = ingress.issued_by().map(|(IssuedBy { is_cluster_wide, name }, _)| {
            let kind = if is_cluster_wide { Listed::ClusterIssuer } else { Listed::Issuer };
            format!("{} {name}", kind.kind().1)
        });
        let title = found.title(Listed::Ingress);
        let at_load_balancer = ingress.certificate_elsewhere(&led);
        for secret in ingress.presents(&led, found.object.get()) {
            survey.add(&title, &found.namespace, Held::Secret(format!("{}/{secret}", found.namespace)), issuer.clone());
        }
        if let Some(annotation) = at_load_balancer {
            survey.add(&title, &found.namespace, Held::LoadBalancer(annotation), issuer);
        } else if ingress.has_bare_hosts(&led, found.object.get()) {
            survey.add(&title, &found.namespace, Held::Unsaid, None);
        }
        Ok(())
    })
}

fn by_routes(survey: &mut Survey, objects: &Objects) -> Result<(), String> {
    let mut services = admin_routes::Services::among(objects);
    objects.each(Listed::Route, None, |found| {
        let route: Route = found.read_fields(Listed::Route)?;
        if route.ends_tls(&*services.names_in(&found.namespace)?) {
            survey.add(&found.title(Listed::Route), &found.namespace, Held::Router, None);
        }
        Ok(())
    })
}

fn by_proxies(survey: &mut Survey, objects: &Objects) -> Result<(), String> {
    let mut services = admin_routes::Services::among(objects);
    each_proxy(objects, &mut |title, proxy| {
        let mut led: BTreeSet<&str> = BTreeSet::new();
        for (namespace, name) in proxy.to.iter().filter(|_| !proxy.passes) {
            if led.contains(&**namespace) || !services.names_in(namespace)?.contains(name) {
                continue;
            }
            led.insert(namespace);
            let held = match &proxy.secret {
                Some((of, name)) => Held::Secret(format!("{of}/{name}")),
                None if proxy.ends_tls => Held::Router,
                None => Held::Unsaid,
            };
            survey.add(title, namespace, held, None);
        }
        Ok(())
    })
}

/// Adds the routes of Istio. Istio's Gateways hold the certificates, and are not read.
fn by_mesh(survey: &mut Survey, objects: &Objects) -> Result<(), String> {
    let mut services = admin_routes::Services::among(objects);
    objects.each(Listed::VirtualService, None, |found| {
        for proxy in Proxy::each(Listed::VirtualService, found) {
            for (namespace, name) in proxy.to.iter().filter(|_| !proxy.hosts.is_empty()) {
                if services.names_in(namespace)?.contains(name) {
                    survey.add(&found.title(Listed::VirtualService), namespace, Held::Router, None);
                }
            }
        }
        Ok(())
    })
}

fn by_flyteadmins(survey: &mut Survey, objects: &Objects) -> Result<(), String> {
    let mut namespaces = BTreeSet::new();
    objects.each(Listed::Deployment, None, |found| {
        namespaces.insert(found.namespace.clone());
        Ok(())
    })?;
    for namespace in namespaces {
        for runner in admin::runners(objects, &namespace)? {
            if !runner.is_flyte_two {
                let unseen = runner.unseen(objects, &namespace);
                survey.running.push(Running { deployment: runner.title, namespace: namespace.clone(), unseen });
            }
        }
        if !ends_tls(objects, &namespace)? {
            for own in admin::own_certificates(objects, &namespace, |_| true)? {
                survey.add(&own.title, &namespace, Held::Secret(format!("{namespace}/{}", own.secret.0)), None);
            }
        }
    }
    Ok(())
}

fn by_gateways(survey: &mut Survey, objects: &Objects) -> Result<(), String> {
    each_at_gateway(objects, &mut |at| {
        let AtGateway { secret, route, gateway, namespace, .. } = at;
        let (route, held) = match secret {
            Some((of, name)) => (format!("{route} at {gateway}"), Held::Secret(format!("{of}/{name}"))),
            None => ((*route).to_owned(), Held::Unsaid),
        };
        survey.add(&route, namespace, held, None);
        Ok(())
    })
}

/// A flyteadmin that a Deployment runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The title of its Deployment.
    pub deployment: String,
    /// Its namespace.
    pub namespace: String,
    /// The parts of its configuration that are not read, if any.
    pub unseen: Option<String>,
}

//! The certificates that Ingresses present in front of flyteadmin.

use std::collections::BTreeMap;

use super::{
    admin,
    ingress::{Ingress, IssuedBy},
    objects::Objects,
};
use crate::host::{Host, Listed};

/// A certificate in front of flyteadmin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The Ingress, as people name it.
    pub ingress: String,
    /// The namespace of both.
    pub namespace: String,
    /// The name of the Secret; `None` where the certificate is at a cloud's load balancer.
    pub secret: Option<String>,
    /// Who makes it, as people name it, where cert-manager is asked to by an annotation.
    pub issuer: Option<String>,
}

/// The certificates that Ingresses of all namespaces present in front of flyteadmin; those that are not known are left out.
pub fn presented(host: &dyn Host) -> Vec<Presented> {
    let objects = Objects::beside(host).everywhere();
    let mut services = BTreeMap::new();
    let mut presented = Vec::new();
    let _ = objects.each(Listed::Ingress, None, |found| {
        let ingress: Ingress = found.read(Listed::Ingress)?;
        let led = services
            .entry(found.namespace.clone())
            .or_insert_with(|| admin::services(&objects, &found.namespace).unwrap_or_default());
        let issuer = ingress.issued_by().map(|(IssuedBy { is_cluster_wide, name }, _)| {
            let kind = if is_cluster_wide { Listed::ClusterIssuer } else { Listed::Issuer };
            format!("{} {name}", kind.kind().1)
        });
        let secrets = ingress.presents(led).into_iter().map(|secret| Some(secret.to_owned()));
        let at_load_balancer = ingress.has_certificate_elsewhere(led).then_some(None);
        presented.extend(secrets.chain(at_load_balancer).map(|secret| Presented {
            ingress: found.title(Listed::Ingress),
            namespace: found.namespace.clone(),
            secret,
            issuer: issuer.clone(),
        }));
        Ok(())
    });
    presented
}

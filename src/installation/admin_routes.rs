//! The Services and hosts that lead to flyteadmin.

use std::collections::BTreeSet;
#[cfg(any(feature = "flyte-admin-cors", feature = "flyte-oauth-tls"))]
use std::rc::Rc;

use super::{
    admin::each_server,
    objects::Objects,
    routes::{self, Hosts},
};

/// The Services of a namespace that lead to its flyteadmins.
///
/// # Errors
///
/// Why they are not known.
pub(crate) fn services(objects: &Objects, namespace: &str) -> Result<BTreeSet<String>, String> {
    let mut services = BTreeSet::new();
    each_server(objects, namespace, |_, workload, _, _| {
        services.extend(routes::services(objects, namespace, workload.pod_labels())?);
        Ok(())
    })?;
    Ok(services)
}

/// The Services that lead to the flyteadmins of a namespace, looked up once for each namespace.
#[cfg(any(feature = "flyte-admin-cors", feature = "flyte-oauth-tls"))]
pub(crate) struct Services<'o> {
    objects: &'o Objects<'o>,
    known: Vec<(String, Rc<BTreeSet<String>>)>,
}

#[cfg(any(feature = "flyte-admin-cors", feature = "flyte-oauth-tls"))]
impl<'o> Services<'o> {
    /// Prepares to look them up among the given objects.
    pub(crate) fn among(objects: &'o Objects<'o>) -> Self {
        Self { objects, known: Vec::new() }
    }

    /// The Services of a namespace.
    ///
    /// # Errors
    ///
    /// Why they are not known.
    pub(crate) fn names_in(&mut self, namespace: &str) -> Result<Rc<BTreeSet<String>>, String> {
        if let Some((_, services)) = self.known.iter().find(|(known, _)| known == namespace) {
            return Ok(Rc::clone(services));
        }
        let services = Rc::new(services(self.objects, namespace)?);
        self.known.push((namespace.to_owned(), Rc::clone(&services)));
        Ok(services)
    }
}

/// The hosts from which routes lead to the flyteadmins of a namespace.
///
/// # Errors
///
/// Why they are not known.
pub(crate) fn hosts(objects: &Objects, namespace: &str) -> Result<Hosts, String> {
    routes::hosts(objects, namespace, &services(objects, namespace)?)
}

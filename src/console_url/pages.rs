//! The origins that browsers load flyteconsole from.

use std::collections::BTreeSet;

use super::settings::Settings;
use crate::{
    installation::{
        others::Others,
        routes::{self, RouteHost},
    },
    origin::Origin,
    verdict::{Note, Shortened},
    workload::Labels,
};

/// A page from which browsers load a console.
#[derive(Debug)]
pub(super) struct Page {
    /// Its origins. A route without TLS for the host has two: a load balancer in front of it may have TLS, and then it is https.
    pub(super) origins: Vec<Origin>,
    /// The route or setting.
    pub(super) from: String,
}

/// The fix if the pages are not known.
pub(super) const NAME_PAGES: &str = "set consoleOrigins to flyteconsole's origin";

/// The pages of the consoles with these labels in a namespace, and why there may be more.
///
/// # Errors
///
/// Why no page is known.
pub(super) fn find_pages(
    others: &Others,
    settings: &Settings,
    namespace: &str,
    labels: Option<&Labels>,
) -> Result<(Vec<Page>, Option<Note>), Note> {
    if let Some(origins) = &settings.console_origins {
        let mut each = BTreeSet::new();
        each.extend(origins.iter().map(|origin| &**origin));
        let origins = each.into_iter().filter_map(|origin| Origin::parse(origin).ok());
        let pages =
            origins.map(|origin| Page { origins: vec![origin], from: "the `consoleOrigins` setting".to_owned() });
        return Ok((pages.collect(), None));
    }
    let unknown = |reason: String| Note::new(reason, NAME_PAGES);
    let services = routes::services(others, namespace, labels)?;
    let hosts = routes::hosts(others, namespace, &services)?;
    let page = |RouteHost { name, has_tls, route, .. }| {
        let schemes: &[&str] = if has_tls { &["https"] } else { &["https", "http"] };
        let origins: Vec<Origin> =
            schemes.iter().filter_map(|scheme| Origin::parse(&format!("{scheme}://{name}")).ok()).collect();
        Page { origins, from: route }
    };
    let pages: Vec<Page> = hosts.named.into_iter().map(page).filter(|page| !page.origins.is_empty()).collect();
    let doubt = hosts.doubt.map(|reason| unknown(format!("{reason}, so not every origin of flyteconsole is known")));
    if pages.is_empty() {
        let none = || {
            unknown(format!(
                "found no Ingress, HTTPRoute or Route to flyteconsole in namespace {}",
                Shortened(namespace)
            ))
        };
        return Err(doubt.unwrap_or_else(none));
    }
    Ok((pages, doubt))
}

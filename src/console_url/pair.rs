//! Whether flyteadmin lets a console in: the origins that browsers load it from, against flyteadmin's CORS.

use super::{
    admin::Admin,
    after::After,
    pages::{self, Page},
    settings::Settings,
};
use crate::{
    admin_config::{Answer, Place},
    origin::Origin,
    workload::Labels,
};

/// A console, and what it calls.
pub(super) struct Console<'c> {
    /// As people name it.
    pub(super) title: &'c str,
    pub(super) namespace: &'c str,
    /// The labels of its pods.
    pub(super) labels: Option<&'c Labels<'c>>,
    /// The origin of its `ADMIN_API_URL`.
    pub(super) calls: &'c Origin,
}

/// A console that browsers refuse to call flyteadmin for.
pub(super) struct CutOff {
    /// What of flyteadmin's configuration decides it, where something does.
    pub(super) place: Option<Place>,
    /// The ConfigMaps of that configuration, in flyteadmin's namespace.
    pub(super) config_maps: Vec<String>,
    pub(super) problem: String,
    pub(super) mend: String,
}

/// Holds a console against flyteadmin.
///
/// # Errors
///
/// Why that cannot be done, or not wholly.
pub(super) fn check(console: &Console, after: &After, settings: &Settings) -> Result<Option<CutOff>, String> {
    let Console { namespace, labels, calls, .. } = console;
    let (pages, others) = pages::of(after, settings, namespace, *labels)?;
    let is_foreign = |page: &&Page| !page.origins.iter().any(|origin| origin.is_same_but_for_scheme(calls));
    let foreign: Vec<&Page> = pages.iter().filter(is_foreign).collect();
    if !foreign.is_empty() {
        let admin = Admin::of(after, settings.admin_namespace(namespace))?;
        if let Some(cut_off) = against(&foreign, &admin, console)? {
            return Ok(Some(cut_off));
        }
    }
    let doubt = foreign.iter().find(|page| page.origins.len() > 1).map(|page| {
        format!(
            "{} has no TLS for {}, so browsers load flyteconsole over http or, where a load balancer has the certificate, over \
             https; name the origin in the setting consoleOrigins",
            page.from,
            page.origins[0].host()
        )
    });
    match others.or(doubt) {
        Some(reason) => Err(reason),
        None => Ok(None),
    }
}

fn against(foreign: &[&Page], admin: &Admin, console: &Console) -> Result<Option<CutOff>, String> {
    let mut refused = Vec::new();
    let mut why = None;
    for page in foreign {
        let answer = |origin: &Origin| {
            let unknown = || "it is not known what flyteadmin's CORS comes to".to_owned();
            admin.security.answer(&origin.to_string()).ok_or_else(unknown)
        };
        let answers = page.origins.iter().map(answer).collect::<Result<Vec<_>, _>>()?;
        if !answers.iter().any(|answer| matches!(answer, Answer::Allowed)) {
            refused.push(*page);
            why = answers.into_iter().next();
        }
    }
    let Some(why) = why else {
        return Ok(None);
    };
    let origins: Vec<String> = refused.iter().map(|page| page.origins[0].to_string()).collect();
    let origins = origins.join(", ");
    let from: Vec<&str> = refused.iter().map(|page| &*page.from).collect();
    let place = match why {
        Answer::Off(off) => off.place.as_ref(),
        Answer::Any(list) | Answer::NotListed(list) => list.place.as_ref(),
        Answer::Allowed => None,
    };
    let (reason, mend) = match why {
        Answer::Allowed => return Ok(None),
        Answer::Off(_) => {
            ("allowCors is false", format!("write allowCors: true and allowedOrigins: [{origins}] there"))
        }
        Answer::Any(_) if place.is_none() => (
            "nobody sets allowedOrigins, and browsers refuse the default `*` for calls with credentials",
            format!("add server.security.allowedOrigins: [{origins}] there"),
        ),
        Answer::Any(_) => (
            "allowedOrigins is every origin, which browsers refuse for calls with credentials",
            format!("write allowedOrigins: [{origins}] there"),
        ),
        Answer::NotListed(_) => {
            let dash = if place.is_some_and(|place| place.within.is_some()) { "- " } else { "" };
            let added: Vec<String> = refused.iter().map(|page| format!("`{dash}{}`", page.origins[0])).collect();
            ("allowedOrigins lacks that origin", format!("add {} to allowedOrigins there", added.join(" and ")))
        }
    };
    let problem = format!(
        "{}, loaded from {origins} ({}), cannot call {}: {reason}, in {}",
        console.title,
        from.join(", "),
        console.calls,
        admin.at(place),
    );
    Ok(Some(CutOff { place: place.cloned(), config_maps: admin.config_maps.clone(), problem, mend }))
}

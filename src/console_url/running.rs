//! The consoles that run already, where a ConfigMap changes what they or flyteadmin are told.

use super::{
    admin,
    after::{After, unreadable},
    is_flyteconsole, pair,
    pair::{Console, CutOff},
    settings::Settings,
    url,
    variable::{self, Said, Unknown},
};
use crate::{
    admin_config::Place,
    cluster::Listed,
    flyte,
    verdict::Verdict,
    workload::{Placed, Workload},
};

/// Whose ConfigMap changes.
#[derive(Clone, Copy)]
pub(super) enum Side<'r> {
    Console { config_map: &'r str },
    Admin { config_map: &'r str },
}

/// Adds the consoles that the change in a namespace cuts off.
pub(super) fn judge(after: &After, side: Side, namespace: &str, settings: &Settings, verdict: &mut Verdict) {
    let (place, namespaces) = match side {
        Side::Console { .. } => (format!("data.{}", flyte::ADMIN_API_URL), Some(Some(namespace))),
        Side::Admin { .. } => ("data".to_owned(), settings.console_namespaces(namespace)),
    };
    let place = Place { path: place, ..Place::default() };
    let Some(namespaces) = namespaces else {
        return;
    };
    let judged = after.find(Listed::Deployment, namespaces, |found| {
        let workload = Workload::deployment(found.object).map_err(|error| unreadable(Listed::Deployment, &error))?;
        for placed in workload.containers().filter(is_flyteconsole) {
            let title = found.title(Listed::Deployment);
            match cut_off(&title, &found.namespace, &workload, &placed, after, side, settings) {
                Ok(None) => {}
                Ok(Some(cut_off)) => {
                    // What another object says is no part of this one.
                    let own = cut_off.place.clone().filter(admin::is_of_request);
                    let own = own.filter(|_| matches!(side, Side::Admin { .. }));
                    verdict.add_cut_off(cut_off, own.unwrap_or_else(|| place.clone()));
                }
                Err(reason) => verdict.add_not_checked(&format!("{title}: {reason}"), place.clone(), settings),
            }
        }
        Ok(None::<()>)
    });
    if let Err(reason) = judged {
        verdict.add_not_checked(&reason, place, settings);
    }
}

fn cut_off(
    title: &str,
    namespace: &str,
    workload: &Workload,
    placed: &Placed,
    after: &After,
    side: Side,
    settings: &Settings,
) -> Result<Option<CutOff>, String> {
    let said = variable::said(placed, namespace, after, settings);
    let said = said.map_err(|error| unreadable(Listed::Deployment, &error))?;
    let Some(Said { text, source, .. }) = said.map_err(|Unknown { reason, .. }| reason)? else {
        return Ok(None);
    };
    if let Side::Console { config_map } = side
        && source.as_deref() != Some(config_map)
    {
        return Ok(None);
    }
    let Some(calls) = url::read(&text, settings).origin else {
        return Ok(None);
    };
    let console = Console { title, namespace, labels: workload.pod_labels(), calls: &calls };
    let cut_off = pair::check(&console, after, settings)?;
    Ok(cut_off.filter(|cut_off| match side {
        Side::Console { .. } => true,
        Side::Admin { config_map } => cut_off.config_maps.iter().any(|read| read == config_map),
    }))
}

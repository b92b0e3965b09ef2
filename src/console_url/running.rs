//! Checks the consoles that already run when a ConfigMap changes their options or flyteadmin's.

use super::{
    console::is_flyteconsole,
    pair,
    pair::{Console, CutOff, Doubt},
    settings::Settings,
    url,
    variable::{self, Said, Unknown},
};
use crate::{
    flyte,
    host::Listed,
    installation::{objects::Found, others::Others},
    verdict::{Place, Verdict},
    workload::{Placed, Workload},
};

/// The ConfigMap that changes.
#[derive(Clone, Copy)]
pub(super) enum Changed<'r> {
    /// A ConfigMap that consoles take their environment from.
    Consoles { name: &'r str },
    /// A ConfigMap of flyteadmin's; `before` is the cluster before the change, if known.
    Admins { name: &'r str, before: Option<&'r Others<'r>> },
}

/// The maximum number of consoles that are checked. No flyteadmin has more.
const MOST_CONSOLES: usize = 50;

/// Reports the consoles in a namespace, or in all, that the change cuts off.
pub(super) fn judge(
    others: &Others,
    changed: Changed,
    namespace: Option<&str>,
    settings: &Settings,
    verdict: &mut Verdict,
) {
    let path = match changed {
        Changed::Consoles { .. } => format!("data.{}", flyte::ADMIN_API_URL),
        Changed::Admins { .. } => "data".to_owned(),
    };
    verdict.seen.judged();
    let place = Place { path, ..Place::default() };
    let mut consoles = 0;
    let known = others.each(Listed::Deployment, namespace, |found| {
        let workload =
            Workload::deployment(&found.object).map_err(|error| found.unreadable(Listed::Deployment, &error))?;
        if workload.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        for placed in workload.containers().filter(is_flyteconsole) {
            consoles += 1;
            if consoles > MOST_CONSOLES {
                return Err(format!("found more than {MOST_CONSOLES} consoles, too many to check"));
            }
            match cut_off(found, &workload, &placed, others, changed, settings) {
                Ok(None) => {}
                Ok(Some(cut_off)) => {
                    let place = cut_off.place.clone().unwrap_or_else(|| place.clone());
                    verdict.add_cut_off(cut_off, place);
                }
                Err(doubt) => {
                    verdict.add_doubt(doubt, &found.title(Listed::Deployment), place.clone(), settings);
                }
            }
        }
        Ok(())
    });
    if let Err(reason) = known {
        verdict.add_doubt(reason.into(), flyte::FLYTECONSOLE, place, settings);
    }
}

fn cut_off(
    found: &Found,
    workload: &Workload,
    placed: &Placed,
    others: &Others,
    changed: Changed,
    settings: &Settings,
) -> Result<Option<CutOff>, Doubt> {
    let unreadable = |error| found.unreadable(Listed::Deployment, &error);
    if let Changed::Consoles { name } = changed
        && !variable::takes_from(placed, name).map_err(unreadable)?
    {
        return Ok(None);
    }
    let said = variable::value_of(placed, &found.namespace, others, settings).map_err(unreadable)?;
    let Some(Said { text, source, .. }) =
        said.map_err(|Unknown { reason, .. }| format!("could not read ADMIN_API_URL: {reason}"))?
    else {
        return Ok(None);
    };
    let Some(calls) = url::read_url(&text, &found.namespace, settings).origin else {
        return Ok(None);
    };
    let title = &found.title(Listed::Deployment);
    let console = Console { title, namespace: &found.namespace, labels: workload.pod_labels(), calls: &calls };
    let check = |others| pair::check(&console, others, settings);
    match changed {
        Changed::Consoles { name } if source.is_none_or(|source| source.config_map != name) => Ok(None),
        Changed::Consoles { .. } => check(others),
        Changed::Admins { name, before } => {
            let cut_off = check(others)?.filter(|cut_off| cut_off.config_maps.iter().any(|read| read == name));
            // A console that was already cut off must not block a step towards a fix.
            let was_cut_off = || before.is_some_and(|before| matches!(check(before), Ok(Some(_))));
            Ok(cut_off.filter(|_| !was_cut_off()))
        }
    }
}

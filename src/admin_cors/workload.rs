//! Workloads: the flags and variables of flyteadmin's container, and files that were not checked before.

use serde_json::value::RawValue;

use super::{options, rules, settings::Settings};
use crate::{
    admin_config::{
        Security,
        container::{ONLY_CONSOLE, Overrides, Remark},
        mounts::Files,
        server::{self, Server},
    },
    admission::AdmissionRequest,
    host::Host,
    installation::{
        admin::{self, Reading},
        others::Others,
    },
    sentence::Sentence,
    verdict::{Note, Notice, Place, Unjudged, Verdict, Violation},
    workload::{Container, Placed, Workload},
};

/// Checks the containers of a workload that run flyteadmin.
pub(super) fn judge(
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let workload = Workload::from_request(request)?;
    if request.is_update() && workload.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    for placed in workload.containers() {
        let Some(Server::Admin(line)) = Server::from_container(&placed)? else { continue };
        verdict.seen.judged();
        let Overrides { security, faults, remarks, config, .. } = Overrides::from_container(&placed, &line)?;
        let is_known = faults.is_empty() && !remarks.iter().any(|(remark, ..)| *remark == Remark::NotKnown);
        let mut own = Verdict::default();
        own.notices.extend(remarks.into_iter().map(|(remark, place, note)| {
            let rule = match remark {
                Remark::NotKnown => rules::NOT_KNOWN,
                Remark::NoEffect => rules::NO_EFFECT,
            };
            Notice::new(rule, place, note)
        }));
        if faults.is_empty() {
            options::judge(&security, settings, &placed.path(), &mut own);
        } else {
            // A fault hides the other options, so the violations rest on all the lists.
            own.violations.extend(faults.into_iter().map(options::fault));
            let Container { command, args, env, env_from, .. } = placed.container;
            own.violations.rest_on([command, args, env, env_from].map(|list| list.map(RawValue::get)));
        }
        let files = Files::from_mounts(&workload, &placed, config.as_deref())?;
        if files.config_maps.is_empty() && !files.unseen.is_empty() {
            own.notices.push(not_known(&placed, nothing_seen(&files.unseen)));
        }
        // Other containers that look like flyteadmin may not contain it at all.
        let is_server = line.run.serves() || server::is_named(&placed);
        // A controller creates these, and must be able to create them again.
        let is_made = matches!(request.kind().name(), "Pod" | "ReplicaSet");
        if is_server && is_known && !is_made {
            let asked = Asked { placed: &placed, namespace: request.namespace(), files: &files };
            judge_files(&asked, security, settings, host, &mut own);
        }
        verdict.seen.and(own.seen);
        verdict.violations.merge(own.violations);
        verdict.notices.merge(own.notices);
    }
    Ok(())
}

/// flyteadmin's container, and the files it reads.
struct Asked<'f, 'p, 'a> {
    placed: &'f Placed<'p, 'a>,
    namespace: &'f str,
    files: &'f Files,
}

/// Checks the merged ConfigMaps if neither the name of one of them nor a Deployment showed that it is flyteadmin's. A chart creates
/// its ConfigMaps first, so such a ConfigMap was accepted without a check.
fn judge_files(asked: &Asked, overrides: Security, settings: &Settings, host: &dyn Host, verdict: &mut Verdict) {
    let Asked { placed, namespace, files } = *asked;
    let mut new: Vec<&str> = files.config_maps.iter().map(|source| &*source.name).collect();
    new.retain(|name| !settings.names_config_maps() && !settings.is_flyteadmins(name));
    if new.is_empty() {
        return;
    }
    let others = Others::beside(host);
    let reading = admin::runners(&others, namespace).and_then(|readers| {
        new.retain(|name| !readers.iter().any(|reader| !reader.is_flyte_two && reader.reads(name)));
        if new.is_empty() { Ok(None) } else { admin::reading(&others, namespace, files).map(Some) }
    });
    let Reading { mut config, unseen, first, .. } = match reading {
        Ok(Some(reading)) => reading,
        Ok(None) => return,
        Err(reason) => {
            return verdict
                .notices
                .push(not_known(placed, format!("could not check which origins it allows: {reason}")));
        }
    };
    let mut found = Verdict::default();
    match config.security() {
        Ok(security) if config.faults.is_empty() => {
            options::judge(&overrides.before(security), settings, DEFAULT, &mut found);
        }
        Ok(_) => found.violations.extend(config.faults.into_iter().map(options::fault)),
        Err(unjudged) => return verdict.notices.push(not_known(placed, unjudged.to_string())),
    }
    let holds = |place: &Place| unseen.is_empty() || place.path != DEFAULT;
    for violation in found.violations.take().into_iter().filter(|violation| holds(&violation.place)) {
        let Violation { rule, place, problem, mend, .. } = violation;
        let problem = if place.path == DEFAULT { problem } else { format!("in {place}: {problem}") };
        verdict.violations.push(Violation::new(rule, placed.place(), problem, mend));
    }
    if unseen.is_empty() {
        verdict.seen.shows(Sentence::Origins);
    } else if first.is_some() {
        let text = format!("{}, so CORS options there were not checked", admin::not_seen(&unseen));
        verdict.notices.push(not_known(placed, Note::new(text, ONLY_CONSOLE)));
    } else {
        verdict.notices.push(not_known(placed, nothing_seen(&unseen)));
    }
}

fn nothing_seen(unseen: &[String]) -> Note {
    let text =
        format!("could not check which origins flyteadmin allows: its CORS options may be in {}", unseen.join(" and "));
    Note::new(text, ONLY_CONSOLE)
}

/// The path of an option that no file sets.
const DEFAULT: &str = "";

fn not_known(placed: &Placed, note: impl Into<Note>) -> Notice {
    Notice::new(rules::NOT_KNOWN, placed.place(), note)
}

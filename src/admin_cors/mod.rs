//! `flyte-admin-cors`: flyteadmin allows the origins that browsers send, and no others.
//!
//! Checked: the merged `server.security` of flyteadmin's ConfigMaps, as `admin_config` reads it, and the flags and variables of
//! flyteadmin's container, which override it. `allowCors` may be off; if it is on, `allowedOrigins` must be the origins of web
//! pages as browsers write them, over https or from a loopback host. If an UPDATE changes any of this, a notice says that running
//! pods keep the old options.
//!
//! CORS that Ingresses, routes and middlewares answer in front of flyteadmin is checked by the same rules: see `in_front`.
//!
//! A ConfigMap is checked together with the ConfigMaps that are mounted with it. In a workload, the container that runs
//! flyteadmin is checked. flyteadmin's ConfigMaps are those that its Deployment mounts or, without a Deployment, those
//! with a name from Flyte's charts. A ConfigMap with another name that is created before its Deployment is checked with
//! the Deployment.
//!
//! Not checked: an UPDATE of a workload that is being deleted; options that do not concern CORS, even if flyteadmin
//! does not start with them; Flyte 2, which has none of these options.
//!
//! Source: Flyte's "Security Overview", on CORS between flyteconsole and flyteadmin; `flyteadmin/pkg/server/service.go`
//! of [flyteorg/flyte](https://github.com/flyteorg/flyte) v1.16.8; `cors.go` of
//! [gorilla/handlers](https://github.com/gorilla/handlers) v1.5.1.

mod in_front;
mod options;
mod rules;
mod settings;
mod workload;

use serde_json::value::RawValue;
use settings::Settings;

use crate::{
    admin_config::{
        config_map::{self, Requested},
        container::ONLY_CONSOLE,
        files::{Config, File},
    },
    admission::{AdmissionRequest, Kind},
    host::{Host, Listed},
    installation::{
        admin::{self, Reading, Runner},
        others::Others,
    },
    policy::{Declared, Policy},
    rule::RuleName,
    sentence::{Seen, Sentence},
    settings::InvalidSettings,
    verdict::{Note, Notice, Place, Shortened, Unjudged, Verdict},
    workload::is_workload,
};

/// The policy `flyte-admin-cors`.
#[derive(Debug)]
pub struct AdminCors;

/// The policy's declaration.
pub const DECLARED: Declared = Declared {
    policy: &AdminCors,
    variant_of: None,
    rules: rules::RULES,
    severities: rules::SEVERITIES,
    settings: settings::SETTINGS,
    asks_for: &[Listed::Deployment, Listed::Ingress, Listed::IngressRoute, Listed::ConfigMap, Listed::Service],
    asks_for_images: false,
    most_bytes: 520_000,
};

impl Policy for AdminCors {
    fn name(&self) -> &'static str {
        "flyte-admin-cors"
    }

    fn concerns(&self, kind: &Kind) -> bool {
        config_map::is_kind(kind) || is_workload(kind) || in_front(kind).is_some()
    }

    fn judge(
        &self,
        request: &AdmissionRequest,
        settings: Option<&RawValue>,
        host: &dyn Host,
    ) -> Result<Verdict, Unjudged> {
        let mut verdict = Verdict::default();
        if !request.sub_resource().is_empty() {
            return Ok(verdict);
        }
        let settings = &Settings::parse(settings)?;
        if config_map::is_kind(request.kind()) {
            judge_config_map(request, settings, host, &mut verdict)?;
        } else if let Some(kind) = in_front(request.kind()) {
            in_front::judge(kind, request, settings, host, &mut verdict)?;
        } else {
            workload::judge(request, settings, host, &mut verdict)?;
        }
        Ok(verdict)
    }

    fn check_settings(&self, settings: Option<&RawValue>) -> Result<(), InvalidSettings> {
        Settings::parse(settings)?.check()
    }
}

/// The kind of an object that may answer CORS in front of flyteadmin.
fn in_front(kind: &Kind) -> Option<Listed> {
    in_front::KINDS.into_iter().find(|listed| listed.is(kind))
}

fn judge_config_map(
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let requested = config_map::read_config_map(request)?;
    let Requested { name, object, may_have_files, .. } = &requested;
    let is_flyteadmins = settings.is_flyteadmins(name);
    // Skip it if the settings name others, or it holds no files for flyteadmin.
    if !is_flyteadmins && (settings.names_config_maps() || !may_have_files) {
        return Ok(());
    }
    let namespace = request.namespace();
    let others = Others::beside_config_map(host, false, (namespace, name, object));
    let (mut readers, doubt) = match admin::runners(&others, namespace) {
        Ok(runners) => (runners, None),
        Err(reason) => (Vec::new(), Some(reason)),
    };
    // If a flyteadmin is found that reads other ConfigMaps, the name of a ConfigMap alone does not prove that
    // flyteadmin reads it.
    let is_another_read = readers.iter().any(|runner| !runner.is_flyte_two && !runner.reads(name));
    readers.retain(|runner| runner.reads(name));
    let shows = !readers.is_empty() || !is_another_read;
    if readers.is_empty() && !is_flyteadmins {
        return Ok(());
    }
    let files = config_map::files(object)?;
    if readers.is_empty() {
        readers.push(Runner::of_name(name, requested.is_flyte_two(&files)));
    }
    if readers.iter().all(|reader| reader.is_flyte_two) {
        verdict.notices.push(about_config_map(rules::FLYTE_TWO, FLYTE_TWO.to_owned()));
        return Ok(());
    }
    let deployment = readers[0].deployment.clone();
    for reader in readers.into_iter().filter(|reader| !reader.is_flyte_two) {
        // The next reader mostly has the same violations: report them once.
        if !verdict.accepts() {
            break;
        }
        judge_reader(reader, &files, (namespace, name), &others, settings, verdict)?;
    }
    if !shows {
        verdict.seen = Seen::default();
        verdict.seen.judged();
    }
    if let Some(reason) = doubt {
        let text = format!("could not tell which other files flyteadmin merges with these: {reason}");
        verdict.notices.push(about_config_map(rules::NOT_KNOWN, text));
    }
    let old = request.old_object.filter(|_| request.is_update() && verdict.accepts());
    if let Some(old) = old {
        let served = |files: &[File]| Config::merge(files)?.security();
        let before = config_map::files(old).and_then(|files| served(&files));
        let now = served(&files)?;
        if before.map_or(true, |before| before.served() != now.served()) {
            verdict.notices.push(needs_restart(&deployment, namespace));
        }
    }
    Ok(())
}

/// A notice about the whole ConfigMap.
fn about_config_map(rule: RuleName, note: impl Into<Note>) -> Notice {
    Notice::new(rule, Place::at("data"), note)
}

/// A notice that a `security` at the top level of a file has no effect.
fn misplaced(place: Place) -> Notice {
    let note = Note::new(
        "a top-level `security` has no effect, because flyteadmin does not read it",
        "put it under `server`: server: {security: {...}} (in flyte-core's values, below configmap.adminServer.server)",
    );
    Notice::new(rules::NO_EFFECT, place, note)
}

/// Checks the configuration of a flyteadmin that reads the request's ConfigMap, and reports what that ConfigMap decides.
fn judge_reader(
    reader: Runner,
    files: &[File],
    (namespace, name): (&str, &str),
    others: &Others,
    settings: &Settings,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    verdict.seen.judged();
    let is_of_others = |path: &str| !path.starts_with("data") && !path.starts_with("binaryData");
    let read = reader.reading(others, namespace).and_then(|mut reading| Ok((reading.config.security()?, reading)));
    let (security, Reading { mut config, unseen, own_files, first }) = match read {
        Err(Unjudged { path, reason }) if is_of_others(&path) => {
            let text = format!("{path}: {reason}. flyteadmin's merged configuration was not checked");
            verdict.notices.push(about_config_map(rules::NOT_KNOWN, text.trim_start_matches(": ").to_owned()));
            return Ok(());
        }
        read => read?,
    };
    let mut found = Verdict::default();
    let is_own = |place: &Place| own_files.contains(&place.path);
    // An option that no file sets is reported for the first ConfigMap only.
    let is_first = first.as_deref() == Some(name);
    let doubt = match &reader.overrides {
        Err(doubt) => Some(doubt.clone()),
        Ok(_) => (!unseen.is_empty()).then(|| admin::not_seen(&unseen)),
    };
    let mut serves_none = None;
    if config.faults.is_empty() {
        found.notices.extend(config.misplaced().into_iter().map(misplaced));
        let security = reader.overrides.unwrap_or_default().before(security);
        options::judge(&security, settings, "data", &mut found);
        // While CORS is off, it does not matter that a release never answers CORS.
        let is_on = security.allow_cors.is_none_or(|said| said.value);
        serves_none = reader
            .release
            .filter(|_| is_on && is_first)
            .and_then(|release| admin::serves_none(release, &reader.tls, &mut config));
    } else if config.faults.iter().any(|fault| is_own(&fault.place)) {
        found.violations.extend(config.faults.into_iter().map(options::fault));
        found.violations.rest_on(files);
    } else {
        let fault = &config.faults[0];
        let text = format!("{}: {}; nothing else was checked", fault.place.path, fault.problem);
        verdict.notices.push(about_config_map(rules::NOT_KNOWN, text));
    }
    let holds = |place: &Place| is_own(place) || is_first && doubt.is_none() && place.path == "data";
    let more = found.violations.counted();
    verdict.violations.extend(found.violations.take().into_iter().filter(|violation| holds(&violation.place)));
    verdict.violations.count(more);
    verdict.notices.extend(found.notices.take().into_iter().filter(|notice| holds(&notice.place)));
    if let Some(note) = serves_none {
        verdict.notices.push(about_config_map(rules::NO_EFFECT, note));
    }
    if doubt.is_none() {
        verdict.seen.shows(Sentence::Origins);
    }
    if let Some(doubt) = doubt.filter(|_| is_first) {
        let text = format!("{doubt}. CORS options there count too, and were not checked");
        verdict.notices.push(about_config_map(rules::NOT_KNOWN, Note::new(text, ONLY_CONSOLE)));
    }
    Ok(())
}

/// The notice for Flyte 2, which has no flyteadmin.
const FLYTE_TWO: &str =
    "not checked: this is the configuration of Flyte 2, which allows every origin and has no option to change that";

/// Returns a notice that running pods keep the old options. flyteadmin reloads its files when they change, but builds
/// its CORS handler only once, when it starts.
fn needs_restart(deployment: &str, namespace: &str) -> Notice {
    let namespace = if namespace.is_empty() { String::new() } else { format!(" -n {}", Shortened(namespace)) };
    let mend = format!(
        "run kubectl rollout restart deployment/{}{namespace} (helm upgrade of Flyte's charts does it for you)",
        Shortened(deployment)
    );
    about_config_map(rules::NEEDS_RESTART, Note::new("running pods keep the old CORS options until they restart", mend))
}

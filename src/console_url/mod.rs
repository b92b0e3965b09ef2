//! `flyte-console-url`: flyteconsole is given an address of flyteadmin that users' browsers can call, and flyteadmin allows
//! flyteconsole's origin.
//!
//! Checked: `ADMIN_API_URL` of the container that runs flyteconsole, from its `env` or from the ConfigMaps of its `envFrom`
//! and `valueFrom`, and in the ConfigMap `flyte-console-config`. If it is set, it must be the origin of an address that
//! browsers outside the cluster can resolve, over https. If it is not set, it is the page's own origin.
//!
//! If browsers load flyteconsole from another origin than that, flyteadmin's CORS must allow that other origin by name. The origins
//! are those of the Ingresses and routes that lead to the console. flyteadmin's CORS is the result of its ConfigMaps, flags and
//! variables. This is checked for workloads that run flyteconsole, and for an UPDATE that changes one side: `flyte-console-config`,
//! or flyteadmin's ConfigMaps.
//!
//! Not checked: an UPDATE of a workload that is being deleted; variables from Secrets; the creation of Ingresses; the effect on
//! flyteconsole of changes to flyteadmin's own workload.
//!
//! Source: Flyte's "Security Overview", on CORS between flyteconsole and flyteadmin, and the files that `url` and
//! `admin_config` name.

mod console;
mod pages;
mod pair;
mod rules;
mod running;
mod settings;
mod url;
mod variable;

use console::{is_consoles, is_flyteconsole};
use pair::{Console, CutOff, Doubt};
use running::Changed;
use serde_json::value::RawValue;
use settings::Settings;
use variable::{Said, Source, Unknown};

use crate::{
    admin_config::{
        config_map::{self, Requested},
        server::Server,
    },
    admission::{self, AdmissionRequest, Kind},
    flyte,
    host::{Host, Listed},
    installation::{objects::title, others::Others},
    location,
    origin::Origin,
    policy::{Declared, Policy},
    sentence::Sentence,
    settings::InvalidSettings,
    text::Text,
    verdict::{self, Edit, Note, Notice, Place, Scalar, Shortened, Unjudged, Verdict, Violation},
    view::view,
    workload::{self, Labels, Placed, Workload},
};

/// The policy `flyte-console-url`.
#[derive(Debug)]
pub struct ConsoleUrl;

/// The policy's declaration.
pub const DECLARED: Declared = Declared {
    policy: &ConsoleUrl,
    variant_of: None,
    rules: rules::RULES,
    severities: rules::SEVERITIES,
    settings: settings::SETTINGS,
    asks_for: &[
        Listed::Deployment,
        Listed::SecurityPolicy,
        Listed::Gateway,
        Listed::HttpRoute,
        Listed::VirtualService,
        Listed::Ingress,
        Listed::HttpProxy,
        Listed::Route,
        Listed::IngressRoute,
        Listed::Middleware,
        Listed::ConfigMap,
        Listed::Service,
    ],
    asks_for_images: false,
    most_bytes: 615_000,
};

impl Policy for ConsoleUrl {
    fn name(&self) -> &'static str {
        "flyte-console-url"
    }

    fn concerns(&self, kind: &Kind) -> bool {
        config_map::is_kind(kind) || workload::is_workload(kind)
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
        } else {
            judge_workload(request, settings, host, &mut verdict)?;
        }
        Ok(verdict)
    }

    fn check_settings(&self, settings: Option<&RawValue>) -> Result<(), InvalidSettings> {
        Settings::parse(settings)?.check()
    }
}

fn judge_workload(
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let workload = Workload::from_request(request)?;
    if request.is_update() && workload.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let others = Others::beside(host);
    for placed in workload.containers() {
        // flyte-binary serves its own console, at its own origin.
        if matches!(Server::from_container(&placed), Ok(Some(Server::Admin(line))) if line.run.holds_console()) {
            verdict.seen.shows(Sentence::Address);
            verdict.seen.shows(Sentence::Pair);
        }
    }
    for placed in workload.containers().filter(is_flyteconsole) {
        judge_console(&placed, workload.pod_labels(), request.namespace(), &others, settings, verdict)?;
    }
    if matches!(request.kind().name(), "Pod" | "ReplicaSet") && workload.is_controlled() {
        verdict.allow_what_is_between_objects();
    }
    Ok(())
}

fn judge_console(
    placed: &Placed,
    labels: Option<&Labels>,
    namespace: &str,
    others: &Others,
    settings: &Settings,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let container = Shortened(placed.container.name()).to_string();
    let at = |path: String| Place { path, container: container.clone(), within: None };
    let lost = |calls: Option<&Origin>, path: String| {
        let lost = settings.cross_checks().then(|| pair::lost(namespace, labels, calls, others, settings)).flatten();
        lost.map(|note| Notice::new(rules::NO_WAY, at(path), note))
    };
    verdict.seen.judged();
    if let Some(list) = variable::overridden(placed) {
        let text = format!("`{list}` may set ADMIN_API_URL to another value, which is not checked");
        let note = Note::new(text, "make sure that it does not");
        verdict.add_not_judged(note, at(format!("{}.{list}", placed.path())), settings);
    }
    let Said { text, path, source, is_expanded } = match variable::value_of(placed, namespace, others, settings)? {
        Ok(Some(said)) => said,
        Ok(None) => {
            let lost = lost(None, placed.path());
            verdict.seen.shows(Sentence::Address);
            if lost.is_none() && settings.cross_checks() {
                verdict.seen.shows(Sentence::Pair);
            }
            verdict.notices.extend(lost);
            return Ok(());
        }
        Err(Unknown { path, reason }) => {
            let text = format!("could not check ADMIN_API_URL, nor the CORS that flyteconsole needs: {reason}");
            verdict.add_not_judged(text.into(), at(path), settings);
            return Ok(());
        }
    };
    let url::Read { origin, mut faults } = url::read_url(&text, namespace, settings);
    if let Some(Source { config_map, key }) = source {
        if is_consoles(&config_map) && key == flyte::ADMIN_API_URL {
            // It is checked by itself.
            faults.clear();
        }
        let key = location::key("data", &Shortened(&key).to_string());
        let there = format!("in {} {key}: ", title(Listed::ConfigMap, namespace, &config_map));
        for fault in &mut faults {
            fault.mend.insert_str(0, &there);
            fault.instead = None;
        }
    }
    if is_expanded {
        faults.iter_mut().for_each(|fault| fault.instead = None);
    }
    verdict.add_faults(faults, &text, &at(path.clone()), "value");
    verdict.seen.shows(Sentence::Address);
    let Some(calls) = origin.filter(|_| settings.cross_checks()) else {
        return Ok(());
    };
    let console = Console { title: flyte::FLYTECONSOLE, namespace, labels, calls: &calls };
    match pair::check(&console, others, settings) {
        Ok(None) => {
            verdict.seen.shows(Sentence::Pair);
            let no_login = pair::no_login(&console, others, settings);
            verdict.notices.extend(no_login.map(|note| Notice::new(rules::NO_LOGIN, at(path.clone()), note)));
        }
        Ok(Some(cut_off)) => verdict.add_cut_off(cut_off, at(path.clone())),
        Err(doubt) => verdict.add_doubt(doubt, console.title, at(path.clone()), settings),
    }
    verdict.notices.extend(lost(Some(&calls), path));
    Ok(())
}

fn judge_config_map(
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let Requested { name, object, .. } = config_map::read_config_map(request)?;
    let (name, is_update) = (&*name, request.is_update());
    let own = (request.namespace(), name, object);
    if is_consoles(name) {
        let text = admin_api_url(object)?;
        if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
            let place = Place { path: format!("data.{}", flyte::ADMIN_API_URL), ..Place::default() };
            verdict.add_faults(url::read_url(text, request.namespace(), settings).faults, text, &place, "");
        }
        verdict.seen.judged();
        let before = request.old_object.and_then(|old| admin_api_url(old).ok().flatten());
        if is_update && text != before && settings.cross_checks() {
            let others = Others::beside_config_map(host, false, own);
            running::judge(&others, Changed::Consoles { name }, Some(request.namespace()), settings, verdict);
        }
    } else if config_map::deployment(name).is_some() && is_update && settings.cross_checks() {
        let files = config_map::files(object)?;
        let is_changed = request.old_object.is_none_or(|old| config_map::files(old).ok().as_ref() != Some(&files));
        if let Some(namespace) = settings.console_namespaces(request.namespace()).filter(|_| is_changed) {
            let others = Others::beside_config_map(host, namespace.is_none(), own);
            let before = request.old_object.map(|old| others.before(old));
            running::judge(&others, Changed::Admins { name, before: before.as_ref() }, namespace, settings, verdict);
        }
    }
    Ok(())
}

view! {
    struct ConfigMap<'a> {
        "data" => data: Variables<'a>,
    }

    struct Variables<'a> {
        "ADMIN_API_URL" => admin_api_url: Text<'a>,
    }
}

fn admin_api_url(config_map: &RawValue) -> Result<Option<Text<'_>>, Unjudged> {
    Ok(admission::read_fields::<ConfigMap>(config_map)?.data.unwrap_or_default().admin_api_url)
}

impl Verdict {
    /// Adds the faults of a URL that is below a place.
    fn add_faults(&mut self, faults: Vec<url::Fault>, url: &str, place: &Place, below: &'static str) {
        for url::Fault { rule, problem, mend, instead } in faults {
            let edits = instead.map(|instead| Edit { below, was: None, value: Some(Scalar::String(instead)) });
            let mut violation = Violation::new(rule, place.clone(), problem, mend);
            violation.edits.extend(edits);
            // The message shows only a part of a long URL, and no password.
            violation.rest_on(verdict::hash(url));
            self.violations.push(violation);
        }
    }

    fn add_cut_off(&mut self, CutOff { problem, mend, .. }: CutOff, place: Place) {
        self.violations.push(Violation::new(rules::CUT_OFF, place, problem, mend));
    }

    /// Turns violations between flyteconsole and flyteadmin into notices, for an object that a controller creates. People see them
    /// when the Deployment or a ConfigMap changes. Pods cannot fix them, and without pods the Deployment could not scale or move to
    /// another node.
    fn allow_what_is_between_objects(&mut self) {
        for violation in self.violations.take() {
            if [rules::CUT_OFF, rules::NOT_CHECKED].contains(&violation.rule) {
                self.notices.push(violation.allowed("a controller creates this object"));
            } else {
                self.violations.push(violation);
            }
        }
    }

    /// Adds why flyteadmin is not known to allow a console.
    fn add_doubt(&mut self, doubt: Doubt, console: &str, place: Place, settings: &Settings) {
        let note = match doubt {
            Doubt::Likely(note) if console == flyte::FLYTECONSOLE => note,
            Doubt::Likely(Note { text, mend }) => Note { text: format!("{console}: {text}"), mend },
            Doubt::NotChecked(Note { text, mend }) => {
                Note { text: format!("could not check whether flyteadmin's CORS allows {console}: {text}"), mend }
            }
        };
        self.add_not_judged(note, place, settings);
    }

    /// Adds that something was not checked: a violation if the settings require the check.
    fn add_not_judged(&mut self, note: Note, place: Place, settings: &Settings) {
        if settings.requires_cross_check() {
            let Note { text, mend } = note;
            let mend = if mend.is_empty() { "solve this problem" } else { &mend };
            let mend = format!("{mend}, or set requireCrossCheck: false in the policy's settings");
            self.violations.push(Violation::new(rules::NOT_CHECKED, place, text, mend));
        } else {
            self.notices.push(Notice::new(rules::NOT_CHECKED, place, note));
        }
    }
}

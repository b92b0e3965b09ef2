//! `flyte-admin-cors`: the origins that flyteadmin really allows are those that browsers send, and no others.
//!
//! Judged: what `server.security` comes to in flyteadmin's ConfigMaps, by `admin_config`, and what the flags and
//! variables of flyteadmin's container say before that. `allowCors` may be off; with it on, `allowedOrigins` must be the
//! origins of web pages as browsers write them, over https or from a loopback host. An UPDATE that changes any of it is
//! told that running pods keep what they have.
//!
//! Judged are ConfigMap, and in workloads the container that runs flyteadmin. Not judged: an UPDATE of a workload that is
//! being deleted; options that are not about CORS, even where flyteadmin does not start with them; what several
//! ConfigMaps mounted together say together.
//!
//! Source: Flyte's "Security Overview", on CORS between flyteconsole and flyteadmin; `flyteadmin/pkg/server/service.go`
//! of [flyteorg/flyte](https://github.com/flyteorg/flyte) v1.16.8; `cors.go` of
//! [gorilla/handlers](https://github.com/gorilla/handlers) v1.5.1.

mod options;
mod rules;
mod settings;

use serde_json::value::RawValue;
use settings::Settings;

use crate::{
    admin_config::{
        config_map,
        container::{self, Overrides, Remark},
        files::Config,
    },
    admission::{AdmissionRequest, Kind},
    argv::CommandLine,
    host::Host,
    policy::{Declared, Policy},
    settings::InvalidSettings,
    verdict::{Notice, Place, Shortened, Unjudged, Verdict},
    workload::{self, Container, Workload},
};

/// The policy `flyte-admin-cors`.
#[derive(Debug)]
pub struct AdminCors;

/// The policy as it is declared.
pub const DECLARED: Declared = Declared {
    policy: &AdminCors,
    variant_of: None,
    rules: rules::RULES,
    settings: settings::SETTINGS,
    asks_for: &[],
    asks_for_images: false,
    most_bytes: 420_000,
};

impl Policy for AdminCors {
    fn name(&self) -> &'static str {
        "flyte-admin-cors"
    }

    fn concerns(&self, kind: &Kind) -> bool {
        config_map::is_kind(kind) || workload::is_workload(kind)
    }

    fn judge(
        &self,
        request: &AdmissionRequest,
        settings: Option<&RawValue>,
        _: &dyn Host,
    ) -> Result<Verdict, Unjudged> {
        if !request.sub_resource().is_empty() {
            return Ok(Verdict::default());
        }
        let settings = Settings::read(settings)?;
        if config_map::is_kind(request.kind()) {
            judge_config_map(request, &settings)
        } else {
            judge_workload(request, &settings)
        }
    }

    fn check_settings(&self, settings: Option<&RawValue>) -> Result<(), InvalidSettings> {
        Settings::read(settings)?.check()
    }
}

fn judge_config_map(request: &AdmissionRequest, settings: &Settings) -> Result<Verdict, Unjudged> {
    let (name, object) = config_map::of(request)?;
    if !settings.is_flyteadmins(&name) {
        return Ok(Verdict::default());
    }
    let files = config_map::files(object)?;
    let mut config = Config::read(&files)?;
    let security = config.security()?;
    let mut verdict = Verdict::default();
    verdict.violations.extend(config.faults.into_iter().map(options::fault));
    // With a fault there is no telling what holds, so it rests on all files.
    verdict.violations.rest_on(&files);
    if verdict.accepts() {
        options::judge(&security, settings, "data", &mut verdict);
    }
    let old = request.old_object.filter(|_| request.is_update() && verdict.accepts());
    let before = old.map(|old| config_map::files(old).and_then(|files| Config::read(&files)?.security()));
    if before.is_some_and(|before| before.map_or(true, |before| before.served() != security.served())) {
        verdict.notices.push(needs_restart(&name, request.namespace()));
    }
    Ok(verdict)
}

/// flyteadmin reads its files anew when they change, but builds its CORS handler once, when it starts.
fn needs_restart(config_map: &str, namespace: &str) -> Notice {
    let deployment = config_map::deployment(config_map).unwrap_or("<flyteadmin's>");
    let namespace = if namespace.is_empty() { String::new() } else { format!(" -n {}", Shortened(namespace)) };
    let text = format!(
        "running pods keep the CORS they started with until they restart, as helm upgrade of Flyte's charts makes them; else: \
         kubectl rollout restart deployment/{}{namespace}",
        Shortened(deployment)
    );
    Notice { rule: rules::NEEDS_RESTART, place: Place::at("data"), text }
}

fn judge_workload(request: &AdmissionRequest, settings: &Settings) -> Result<Verdict, Unjudged> {
    let workload = Workload::read(request)?;
    let mut verdict = Verdict::default();
    if request.is_update() && workload.metadata.deletion_timestamp.is_some() {
        return Ok(verdict);
    }
    for placed in workload.containers().filter(container::is_flyteadmin) {
        let Overrides { security, faults, remarks } = Overrides::read(&placed, &CommandLine::read(&placed)?)?;
        let mut own = Verdict::default();
        own.notices.extend(remarks.into_iter().map(|(remark, place, text)| {
            let rule = match remark {
                Remark::NotKnown => rules::NOT_KNOWN,
                Remark::NoEffect => rules::NO_EFFECT,
            };
            Notice { rule, place, text }
        }));
        if faults.is_empty() {
            options::judge(&security, settings, &placed.path(), &mut own);
        } else {
            // There is no telling what else is said, so it rests on all of that.
            own.violations.extend(faults.into_iter().map(options::fault));
            let Container { command, args, env, env_from, .. } = placed.container;
            own.violations.rest_on([command, args, env, env_from].map(|list| list.map(RawValue::get)));
        }
        verdict.violations.merge(own.violations);
        verdict.notices.merge(own.notices);
    }
    Ok(verdict)
}

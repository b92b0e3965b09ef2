//! `flyte-admin-cors`: the origins that flyteadmin really allows are those that browsers send, and no others.
//!
//! Judged: what `server.security` comes to in flyteadmin's ConfigMaps, by `admin_config`, and what the flags and
//! variables of flyteadmin's container say before that. `allowCors` may be off; with it on, `allowedOrigins` must be the
//! origins of web pages as browsers write them, over https or from a loopback host. An UPDATE that changes any of it is
//! told that running pods keep what they have.
//!
//! Judged are ConfigMap, and in workloads the container that runs flyteadmin. Not judged: an UPDATE of an object that is
//! being deleted; options that are not about CORS, even where flyteadmin does not start with them; what several
//! ConfigMaps mounted together say together.
//!
//! Source: Flyte's "Security Overview", on CORS between flyteconsole and flyteadmin; `flyteadmin/pkg/server/service.go`
//! of [flyteorg/flyte](https://github.com/flyteorg/flyte) v1.16.8; `cors.go` of
//! [gorilla/handlers](https://github.com/gorilla/handlers) v1.5.1.

mod rules;
mod settings;

use serde_json::value::RawValue;
use settings::Settings;

use crate::{
    admin_config::{
        Place, config_map,
        container::{self, Overrides},
        files::Config,
    },
    admission::{self, AdmissionRequest, Kind},
    cluster::Cluster,
    policy::Policy,
    settings::InvalidSettings,
    verdict::{Notice, Shortened, Unjudged, Verdict},
    view::view,
    workload::{self, Workload},
};

/// The policy `flyte-admin-cors`.
#[derive(Debug)]
pub struct AdminCors;

const NAME: &str = "flyte-admin-cors";

impl Policy for AdminCors {
    fn name(&self) -> &'static str {
        NAME
    }

    fn concerns(&self, kind: &Kind) -> bool {
        is_config_map(kind) || workload::is_workload(kind)
    }

    fn judge(
        &self,
        request: &AdmissionRequest,
        settings: Option<&RawValue>,
        _: &dyn Cluster,
    ) -> Result<Verdict, Unjudged> {
        if !request.sub_resource().is_empty() {
            return Ok(Verdict::default());
        }
        let settings =
            Settings::read(settings).map_err(|error| Unjudged { path: "settings".to_owned(), reason: error.0 })?;
        if is_config_map(request.kind()) {
            judge_config_map(request, &settings)
        } else {
            judge_workload(request, &settings)
        }
    }

    fn check_settings(&self, settings: Option<&RawValue>) -> Result<(), InvalidSettings> {
        Settings::read(settings)?.check()
    }
}

fn is_config_map(kind: &Kind) -> bool {
    kind.group().is_empty() && kind.name() == "ConfigMap"
}

view! {
    struct Object<'a> {
        "metadata" => metadata: workload::Metadata<'a>,
    }
}

fn judge_config_map(request: &AdmissionRequest, settings: &Settings) -> Result<Verdict, Unjudged> {
    let Some(object) = request.object else {
        return Err(Unjudged { path: "request.object".to_owned(), reason: "missing".to_owned() });
    };
    let metadata = admission::read::<Object>(object)?.metadata.unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    let is_deleted = request.operation() == "UPDATE" && metadata.deletion_timestamp.is_some();
    if is_deleted || !settings.is_flyteadmins(name) {
        return Ok(Verdict::default());
    }
    let mut config = Config::read(&config_map::files(object)?)?;
    let security = config.security()?;
    let mut verdict = Verdict::default();
    verdict.violations.extend(config.faults.into_iter().map(rules::fault));
    // With a fault there is no telling what holds.
    if verdict.violations.is_empty() {
        rules::judge(&security, settings, "data", &mut verdict);
    }
    if config_map::changes_what_is_served(request, &security) {
        verdict.notices.push(needs_restart(name, request.namespace()));
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
    rules::notice("needs-restart", Place { path: "data".to_owned(), ..Place::default() }, text)
}

fn judge_workload(request: &AdmissionRequest, settings: &Settings) -> Result<Verdict, Unjudged> {
    let workload = Workload::read(request)?;
    let mut verdict = Verdict::default();
    if request.operation() == "UPDATE" && workload.metadata.deletion_timestamp.is_some() {
        return Ok(verdict);
    }
    for placed in workload.containers().filter(container::is_flyteadmin) {
        let Overrides { security, faults, remarks } = Overrides::read(&placed)?;
        verdict.notices.extend(remarks.into_iter().map(|(rule, place, text)| rules::notice(rule, place, text)));
        let starts = faults.is_empty();
        verdict.violations.extend(faults.into_iter().map(rules::fault));
        if starts {
            rules::judge(&security, settings, &placed.path(), &mut verdict);
        }
    }
    Ok(verdict)
}

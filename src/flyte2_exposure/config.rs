//! Flyte 2's ConfigMaps: options of Flyte 1 that it does not read, and the provider that clients are sent to.

use std::mem;

use crate::{
    admin_config::{
        Fault,
        config_map::{self, Requested},
        files::Config,
    },
    admission::AdmissionRequest,
    host::Host,
    installation::{admin, others::Others},
    origin::shown,
    verdict::{Note, Notice, Place, Unjudged, Verdict, Violation},
};

use super::rules;

/// Checks a ConfigMap that Flyte 2's server reads or, if no server is found, one that looks like it.
pub(super) fn judge(request: &AdmissionRequest, host: &dyn Host, verdict: &mut Verdict) -> Result<(), Unjudged> {
    let requested = config_map::read_config_map(request)?;
    let Requested { name, object, may_have_files, .. } = &requested;
    if !may_have_files {
        return Ok(());
    }
    let namespace = request.namespace();
    let others = Others::beside_config_map(host, false, (namespace, name, object));
    let readers = admin::runners(&others, namespace).unwrap_or_default();
    let mut readers = readers.iter().filter(|runner| runner.reads(name)).peekable();
    let is_read = readers.peek().is_some();
    let may_be_its = if is_read { readers.any(|runner| runner.is_flyte_two) } else { requested.may_be_flyte_two() };
    if !may_be_its {
        return Ok(());
    }
    let files = config_map::files(object)?;
    let is_sure = is_read || requested.is_flyte_two(&files);
    // An upgrade may have left sections of Flyte 1 in it.
    if !is_sure && !requested.is_of_flyte_two {
        return Ok(());
    }
    verdict.seen.judged();
    let mut config = Config::merge(&files)?;
    // Files are read as flyteadmin reads them, so faults name flyteadmin.
    for Fault { place, problem, mend, .. } in mem::take(&mut config.faults) {
        verdict.violations.push(Violation::new(
            rules::UNREADABLE_FILE,
            place,
            problem.replacen("flyteadmin", "Flyte 2", 1),
            mend.into_owned(),
        ));
    }
    for place in config.sections("auth") {
        let problem = "Flyte 2 does not read `auth`, a section of Flyte 1, and does not authenticate: anyone who reaches it can use it";
        let mend = "remove `auth`, and authenticate in front of Flyte, e.g. with ingress.httpAnnotations in the chart's values";
        verdict.violations.push(Violation::new(rules::NO_AUTHENTICATION, place, problem.to_owned(), mend.to_owned()));
    }
    for place in config.sections("server").filter(|_| is_sure) {
        let text = "Flyte 2 does not read `server`, a section of Flyte 1, and has no option for CORS";
        verdict.notices.push(Notice::new(rules::NO_EFFECT, place, Note::new(text, "remove `server`")));
    }
    if let Some(said) = config.insecure_provider() {
        let then = match said.value.starts_with("http://") {
            true => "is plain http: anyone on the network path can send clients to another provider",
            false => "is not an absolute URL, so clients cannot log in",
        };
        let problem = format!("`{}` {then}", shown(&said.value));
        let mend = "write https://<the provider's address>".to_owned();
        let place = said.place.unwrap_or_else(|| Place::at("data"));
        verdict.violations.push(Violation::new(rules::INSECURE_PROVIDER, place, problem, mend));
    }
    Ok(())
}

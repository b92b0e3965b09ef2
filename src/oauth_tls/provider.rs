//! The other option of the document: an OAuth provider outside, whose certificate is not this one.

use super::{
    rules,
    settings::{Oauth, Settings},
};
use crate::{
    admin_config::{Fault, auth::Auth, config_map, files::Config},
    admission::AdmissionRequest,
    cluster::others::Others,
    host::Host,
    origin::shown,
    verdict::{Unjudged, Verdict, Violation},
};

/// Who gives out the tokens, in words, where it is not flyteadmin.
///
/// # Errors
///
/// Why that is not known.
pub(super) fn of(settings: &Settings, host: &dyn Host, namespace: &str) -> Result<Option<String>, String> {
    match settings.oauth() {
        Oauth::Itself => Ok(None),
        Oauth::External => Ok(Some("another provider, by the settings".to_owned())),
        Oauth::Detect => {
            let admin = Others::beside(host).admin(namespace);
            let admin = admin.as_ref().as_ref().map_err(String::clone)?;
            if admin.security.use_auth.as_ref().is_some_and(|said| !said.value) {
                return Ok(None);
            }
            match admin.auth.as_ref().map_err(String::clone)? {
                Auth::Itself => Ok(None),
                Auth::External(url) => Ok(Some(format!("{}, by flyteadmin's configuration", shown(url)))),
            }
        }
    }
}

/// The option that names a provider, without which there is nothing to judge. Its case does not matter.
const SERVER_TYPE: &[u8] = b"authServerType";

fn says(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// Judges a ConfigMap of flyteadmin's by itself: a provider that is named must have an address.
pub(super) fn judge(request: &AdmissionRequest, settings: &Settings, verdict: &mut Verdict) -> Result<(), Unjudged> {
    let (name, object) = config_map::of(request)?;
    if config_map::deployment(&name).is_none() || settings.oauth() != Oauth::Detect {
        return Ok(());
    }
    let files = config_map::files(object)?;
    // Reading YAML is what a ConfigMap costs, and flyte-admin-cors has done it once.
    if !files.iter().any(|file| says(&file.text, SERVER_TYPE)) {
        return Ok(());
    }
    let mut config = Config::read(&files)?;
    let use_auth = config.security()?.use_auth;
    // Without authentication nobody asks the provider. What does not start anyway is said by flyte-admin-cors.
    if !config.faults.is_empty() || use_auth.is_some_and(|said| !said.value) {
        return Ok(());
    }
    if let Err(fault) = config.auth() {
        let Fault { place, problem, mend, .. } = *fault;
        verdict.violations.push(Violation::new(rules::NO_PROVIDER, place, problem, mend.into_owned()));
        // Another address is another provider, and the words show neither's password.
        verdict.violations.rest_on(&files);
    }
    Ok(())
}

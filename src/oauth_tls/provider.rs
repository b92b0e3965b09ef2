//! The other option of Flyte's document: an external OAuth provider with a certificate of its own.

use super::{
    rules,
    settings::{Oauth, Settings},
};
use crate::{
    admin_config::{
        Fault,
        auth::Auth,
        config_map::{self, Requested},
        files::Config,
    },
    admission::AdmissionRequest,
    host::Host,
    installation::{
        admin::{self, Reading, Runner},
        others::Others,
    },
    origin::shown,
    sentence::Sentence,
    verdict::{Note, Notice, Unjudged, Verdict, Violation},
};

/// The issuer of the tokens.
pub(super) enum Tokens {
    ByFlyteadmin,
    /// Another provider, in words.
    ByAnother(String),
    /// No issuer in the namespace: Flyte 2 leaves tokens to others, and its certificate is for all its clients.
    FlyteTwo,
}

/// Returns who issues the tokens in a namespace.
///
/// # Errors
///
/// Why that is not known.
pub(super) fn find_tokens(settings: &Settings, others: &Others, namespace: &str) -> Result<Tokens, String> {
    match settings.oauth() {
        Oauth::Itself => Ok(Tokens::ByFlyteadmin),
        Oauth::External => Ok(Tokens::ByAnother("another provider (the `oauth` setting)".to_owned())),
        Oauth::Detect => {
            let runners = admin::runners(others, namespace).unwrap_or_default();
            if !runners.is_empty() && runners.iter().all(|runner| runner.is_flyte_two) {
                return Ok(Tokens::FlyteTwo);
            }
            let admin = others.admin(namespace);
            let admin = admin.as_ref().as_ref().map_err(String::clone)?;
            if admin.security.use_auth.as_ref().is_some_and(|said| !said.value) {
                return Ok(Tokens::ByFlyteadmin);
            }
            Ok(match admin.auth.as_ref().map_err(String::clone)? {
                Auth::Itself => Tokens::ByFlyteadmin,
                Auth::External(url) => Tokens::ByAnother(format!("{} (flyteadmin's configuration)", shown(url))),
            })
        }
    }
}

/// The option that selects a provider; without it there is nothing to check. Its case does not matter.
const SERVER_TYPE: &[u8] = b"authServerType";

fn says(mut text: &[u8], word: &[u8]) -> bool {
    // Comparing every part of a megabyte would cost more than all else.
    while let Some(at) = text.iter().position(|byte| byte.eq_ignore_ascii_case(&word[0])) {
        text = &text[at..];
        if text.get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word)) {
            return true;
        }
        text = &text[1..];
    }
    false
}

/// Checks a ConfigMap of flyteadmin, merged with those that are mounted with it: a named provider must have an address.
pub(super) fn judge(
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let requested = config_map::read_config_map(request)?;
    let Requested { name, object, may_have_files, .. } = &requested;
    // Reading files is expensive, so skip a ConfigMap without the option, unless escapes or base64 may hide it.
    let is_veiled = || ["\\u", "\"binaryData\""].iter().any(|sign| object.get().contains(sign));
    let may_say_it = || says(object.get().as_bytes(), SERVER_TYPE) || is_veiled();
    if settings.oauth() != Oauth::Detect || !may_have_files || !may_say_it() {
        return Ok(());
    }
    let files = config_map::files(object)?;
    if !files.iter().any(|file| says(&file.text, SERVER_TYPE)) {
        return Ok(());
    }
    let namespace = request.namespace();
    let others = Others::beside_config_map(host, false, (namespace, name, object));
    let readers = admin::runners(&others, namespace).unwrap_or_default();
    let mut readers: Vec<Runner> = readers.into_iter().filter(|runner| runner.reads(name)).collect();
    if readers.is_empty() && config_map::deployment(name).is_some() {
        readers.push(Runner::of_name(name, requested.is_flyte_two(&files)));
    }
    for reader in readers.into_iter().filter(|reader| !reader.is_flyte_two) {
        verdict.seen.judged();
        let Reading { mut config, unseen, own_files, .. } = reader.reading(&others, namespace)?;
        let Some(fault) = fault(&mut config)?.filter(|fault| own_files.contains(&fault.place.path)) else {
            let asks = config.security()?.use_auth.is_some_and(|said| said.value);
            let is_external = asks && unseen.is_empty() && matches!(config.auth(), Ok(Auth::External(_)));
            // Flags and variables override it, and another ConfigMap may be mounted.
            if is_external && matches!(find_tokens(settings, &others, namespace), Ok(Tokens::ByAnother(_))) {
                verdict.seen.shows(Sentence::Certificate);
            }
            continue;
        };
        if unseen.is_empty() {
            let Fault { place, problem, mend, .. } = fault;
            verdict.violations.push(Violation::new(rules::NO_PROVIDER, place, problem, mend.into_owned()));
            break;
        } else {
            let text = format!("{}; {}", fault.problem, admin::not_seen(&unseen));
            let note = Note::new(text, format!("if nothing there overrides this, {}", fault.mend));
            verdict.notices.push(Notice::new(rules::NOT_CHECKED, fault.place, note));
        }
    }
    // Another address is another provider, and the message shows neither's password.
    verdict.violations.rest_on(&files);
    Ok(())
}

/// Returns what is wrong with the provider in the files. `None` if authentication is off, because then no client uses
/// the provider, or if the files have faults, because flyte-admin-cors reports them.
fn fault(config: &mut Config) -> Result<Option<Fault>, Unjudged> {
    let use_auth = config.security()?.use_auth;
    if !config.faults.is_empty() || use_auth.is_some_and(|said| !said.value) {
        return Ok(None);
    }
    Ok(config.auth().err().map(|fault| *fault))
}

//! Checks the CORS options by what browsers do with them.

use std::{cell::LazyCell, collections::BTreeSet};

use super::{rules, settings::Settings};
use crate::{
    admin_config::{ANY, Answer, Fault, FaultKind, Item, Said, Security},
    origin::{Origin, shown},
    rule::RuleName,
    verdict::{Edit, Note, Notice, Place, Scalar, Shortened, Verdict, Violation},
};

const LIST_CONSOLE: &str = "if flyteconsole is on another domain, set allowedOrigins: [https://<flyte-console-domain>]. If it is on \
                            flyteadmin's domain, set allowCors: false";

/// The fix for an origin if others are listed too.
pub(super) const REMOVE: &str = "remove it";

/// The fix for an origin that is the only one.
const LIST_INSTEAD: &str = "replace it with flyteconsole's origin. If flyteconsole is on flyteadmin's domain, set allowCors: false and \
                            remove allowedOrigins";

/// The effect of allowing every origin.
pub(super) const SERVED_TO_ANY: &str = "any website can read flyteadmin's answers to calls without credentials. But flyteconsole \
                          on another domain fails, because browsers reject `*` for calls with credentials";

/// Checks the known options; `path` is the place of a finding about an option that is not set.
pub(super) fn judge(security: &Security, settings: &Settings, path: &str, verdict: &mut Verdict) {
    let is_on = security.allow_cors.as_ref().is_none_or(|said| said.value);
    if let Some(origins) = &security.allowed_origins {
        if is_on {
            judge_origins(origins, settings, path, verdict);
        } else {
            judge_without_cors(security, origins, settings, path, verdict);
        }
    }
    verdict.violations.rest_on(security.origins());
    if is_on {
        verdict.notices.extend(missing_header(security));
    }
}

fn judge_origins(origins: &Said<Vec<Item>>, settings: &Settings, path: &str, verdict: &mut Verdict) {
    let place = || origins.place.clone().unwrap_or_else(|| Place::at(path));
    if origins.value.is_empty() {
        let problem = format!("an empty list allows every origin: {SERVED_TO_ANY}");
        verdict.violations.push(violation(rules::ANY_ORIGIN, place(), problem, LIST_CONSOLE));
    }
    let is_good = |item: &Item| item.text != ANY && judge_origin(item, settings, &|| REMOVE).is_none();
    let has_good = LazyCell::new(|| origins.value.iter().any(is_good));
    // Something must be left after the removal: an empty list allows every origin.
    let remove = || if *has_good { REMOVE } else { LIST_INSTEAD };
    for item in &origins.value {
        if item.text == ANY {
            let (place, problem) = match &origins.place {
                Some(_) => (item.place.clone(), format!("`*` allows every origin: {SERVED_TO_ANY}")),
                None => (
                    place(),
                    format!(
                        "server.security.allowedOrigins is not set, and its default `*` allows every origin: {SERVED_TO_ANY}"
                    ),
                ),
            };
            let edits = if *has_good { in_list(item, &place, None) } else { Vec::new() };
            verdict.violations.push(Violation { edits, ..violation(rules::ANY_ORIGIN, place, problem, LIST_CONSOLE) });
        } else {
            let violation = judge_origin(item, settings, &remove);
            verdict.violations.extend(violation.map(|violation| match violation.rule {
                rules::NULL_ORIGIN if *has_good => Violation { edits: in_list(item, &item.place, None), ..violation },
                _ => violation,
            }));
        }
    }
    let mut earlier = BTreeSet::new();
    for item in &origins.value {
        if !earlier.insert(&*item.text) {
            let note = Note::new(format!("`{}` is listed twice", shown(&item.text)), "remove one of them");
            verdict.notices.push(Notice::new(rules::DUPLICATE_ORIGIN, item.place.clone(), note));
        }
    }
    let is_any = origins.value.iter().any(|item| item.text == ANY);
    let is_reachable = |required: &str| matches!(Answer::to_origin(origins, required), Answer::Allowed);
    let cause = if is_any { Cause::AnyListed } else { Cause::NotListed };
    judge_required(settings, is_reachable, place(), cause, verdict);
}

/// Returns what is wrong with one origin. `remove` returns the text that says how to remove it.
pub(super) fn judge_origin(item: &Item, settings: &Settings, remove: &dyn Fn() -> &'static str) -> Option<Violation> {
    let Item { text, place } = item;
    let shown = shown(text);
    if text == "null" {
        let problem = "sandboxed frames and local files send `null`, so any website can send it";
        return Some(violation(rules::NULL_ORIGIN, place.clone(), problem, remove()));
    }
    let origin = match Origin::parse(text) {
        Ok(origin) => origin,
        Err(never) => {
            let problem = if text.is_empty() {
                "no browser ever sends an empty origin".to_owned()
            } else {
                format!("no browser ever sends `{shown}`: it {}", never.in_words(text))
            };
            let is_trusted = |instead: &str| settings.trusts(instead);
            let mend = never.instead_of(text).map_or_else(
                || "write the origin as a browser sends it, e.g. https://console.example.com".to_owned(),
                |instead| {
                    let instead = encrypted(instead, settings);
                    let shown = Shortened(&instead);
                    match is_trusted(&instead) {
                        true => format!("write {shown}"),
                        false => {
                            format!(
                                "if you trust {shown}, write that, and add it to trustedOrigins. Otherwise {}",
                                remove()
                            )
                        }
                    }
                },
            );
            // There is no edit if someone must first set up https, or add the origin to the settings.
            let is_enough = |instead: &&String| encrypted(instead, settings) == **instead && is_trusted(instead);
            let instead = never.instead_of(text).filter(is_enough).cloned();
            let edits = instead.map(|instead| in_list(item, place, Some(Scalar::String(instead)))).unwrap_or_default();
            return Some(Violation { edits, ..violation(rules::NEVER_MATCHES, place.clone(), problem, &mend) });
        }
    };
    if origin.is_plain_http() && !settings.may_be_http(text) {
        let problem =
            format!("`{shown}` is plain http: anyone on the network path can change the console and act as its user");
        let mend = format!("serve the console over https and write {}", Shortened(&encrypted(text, settings)));
        return Some(violation(rules::PLAIN_HTTP, place.clone(), problem, &mend));
    }
    if !settings.trusts(text) {
        let problem = format!("`{shown}` is not in the `trustedOrigins` setting");
        let mend = format!("if you trust it, add it to trustedOrigins. Otherwise {}", remove());
        return Some(violation(rules::UNTRUSTED_ORIGIN, place.clone(), problem, &mend));
    }
    None
}

/// The origin over https, unless it may be plain http.
fn encrypted(origin: &str, settings: &Settings) -> String {
    match Origin::parse(origin) {
        Ok(read) if read.is_plain_http() && !settings.may_be_http(origin) => read.over_https().to_string(),
        _ => origin.to_owned(),
    }
}

/// Reports origins that have no effect because CORS is off. `*` is accepted: the charts list it.
fn judge_without_cors(
    security: &Security,
    origins: &Said<Vec<Item>>,
    settings: &Settings,
    path: &str,
    verdict: &mut Verdict,
) {
    let off = security.allow_cors.as_ref().and_then(|said| said.place.clone());
    let place = origins.place.clone().or(off).unwrap_or_else(|| Place::at(path));
    if origins.value.iter().any(|item| item.text != ANY) {
        let problem = "allowCors is false, so these origins have no effect: flyteadmin sends no CORS headers";
        verdict.violations.push(violation(
            rules::CORS_OFF,
            place.clone(),
            problem,
            "set allowCors: true, or remove the origins",
        ));
    }
    judge_required(settings, |_| false, place, Cause::CorsOff, verdict);
}

/// Why flyteadmin does not allow a required origin.
enum Cause {
    /// `*` is listed, which does not allow calls with credentials.
    AnyListed,
    NotListed,
    CorsOff,
}

/// Reports required origins that flyteadmin does not allow.
fn judge_required(
    settings: &Settings,
    is_reachable: impl Fn(&str) -> bool,
    place: Place,
    cause: Cause,
    verdict: &mut Verdict,
) {
    let missing: Vec<String> = settings
        .required_origins
        .iter()
        .flatten()
        .filter(|origin| !is_reachable(origin))
        .map(|origin| Shortened(origin).to_string())
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        let (subject, why, first) = match cause {
            Cause::AnyListed => ("`*`", ": browsers reject `*` for calls with credentials", "remove `*`, and "),
            Cause::NotListed => ("flyteadmin", "", ""),
            Cause::CorsOff => ("flyteadmin", "", "set allowCors: true, and "),
        };
        let problem = format!("{subject} does not allow {missing}, which the `requiredOrigins` setting requires{why}");
        let mend = format!("{first}add {missing} to allowedOrigins");
        verdict.violations.push(violation(rules::REQUIRED_ORIGIN_MISSING, place, problem, &mend));
    }
}

/// Returns a notice if `allowedHeaders` lacks Flyte's own header. With authentication on, flyteconsole and flytectl
/// send their token in it.
fn missing_header(security: &Security) -> Option<Notice> {
    const HEADER: &str = "flyte-authorization";
    let (use_auth, headers) = (security.use_auth.as_ref()?, security.allowed_headers.as_ref()?);
    let has_it = headers.value.iter().any(|item| item.text.trim().eq_ignore_ascii_case(HEADER));
    let place = headers.place.as_ref().filter(|_| use_auth.value && !has_it)?;
    let text = format!(
        "useAuth is true, but allowedHeaders does not list {HEADER}: calls from another domain with that header get 403"
    );
    let note = Note::new(text, format!("add {HEADER} to allowedHeaders"));
    Some(Notice::new(rules::AUTH_HEADER_NOT_ALLOWED, place.clone(), note))
}

/// The violation for a fault in the configuration.
pub(super) fn fault(Fault { place, kind, problem, mend }: Fault) -> Violation {
    let rule = match kind {
        FaultKind::NeverStarts => rules::NEVER_STARTS,
        FaultKind::TwoMeanings => rules::TWO_MEANINGS,
    };
    violation(rule, place, problem, &mend)
}

fn violation(rule: RuleName, place: Place, problem: impl Into<String>, mend: &str) -> Violation {
    Violation::new(rule, place, problem.into(), mend.to_owned())
}

/// Returns the edit for one origin, if it is an item of a list in a file. An origin with a user gets no edit, because
/// an edit shows the old text.
fn in_list(item: &Item, place: &Place, value: Option<Scalar>) -> Vec<Edit> {
    let is_item = place.within.as_ref().is_some_and(|within| within.path.ends_with(']'));
    let is_item = is_item && !item.text.contains('@');
    let was = Some(Scalar::String(item.text.clone()));
    if is_item { vec![Edit { below: "", was, value }] } else { Vec::new() }
}

//! Checks whether a user's browser can use a value of `ADMIN_API_URL`.
//!
//! flyteconsole appends paths to it, such as `/login` and `/api/v1`, and calls the result from the browser. Up to v1.10 it uses
//! the URL as it is; since v1.11 it replaces the scheme with that of its own page. Source:
//! `website/env.js` and `packages/console/src/models/AdminEntity/utils.ts` of
//! [flyteorg/flyteconsole](https://github.com/flyteorg/flyteconsole) v1.10.0, and `website/console/env/index.ts` of v1.11.0.

use super::{rules, settings::Settings};
use crate::{
    flyte,
    origin::{NeverSent, Origin, Reason, shown},
    rule::RuleName,
    verdict::Shortened,
};

/// A problem with the URL.
pub(super) struct Fault {
    pub(super) rule: RuleName,
    pub(super) problem: String,
    pub(super) mend: String,
    /// The URL to write instead, if that is the whole fix.
    pub(super) instead: Option<String>,
}

/// The result of reading a value.
pub(super) struct Read {
    /// The origin that browsers call, if they can call it.
    pub(super) origin: Option<Origin>,
    pub(super) faults: Vec<Fault>,
}

const WRITE_ADDRESS: &str = "write the address where browsers reach flyteadmin, e.g. https://flyte.example.com. If flyteconsole is \
                             on the same host, remove ADMIN_API_URL";

/// Reads a value that is not empty, for a console in a namespace.
pub(super) fn read_url(text: &str, namespace: &str, settings: &Settings) -> Read {
    let shown = &shown(text);
    let (origin, part) = match Origin::parse(text) {
        Ok(origin) => (Some(origin), None),
        Err(NeverSent { reason, instead }) => {
            let origin = instead.and_then(|instead| Origin::parse(&instead).ok());
            (origin, Some(reason))
        }
    };
    if let Some(origin) = &origin
        && let Some(what) = known_to_cluster_alone(origin, [namespace, settings.admin_namespace(namespace)])
    {
        let problem = format!(
            "`{shown}` is {what}, which only the cluster can resolve, but flyteconsole calls it from the user's browser"
        );
        return Read {
            origin: None,
            faults: vec![Fault { rule: rules::CLUSTER_HOST, problem, mend: WRITE_ADDRESS.to_owned(), instead: None }],
        };
    }
    let is_http = origin.as_ref().is_some_and(|origin| origin.is_plain_http() && !settings.may_be_http(origin.host()));
    let path = text.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    let path = path.filter(|_| settings.allows_path() && !text.contains('@'));
    let path = path.and_then(|path| path.split(['?', '#']).next()).unwrap_or_default();
    // Nothing from before the `@` is shown.
    let meant = origin.as_ref().filter(|_| !text.contains('@') || part == Some(Reason::User));
    let instead = meant.map(|origin| {
        let origin = if is_http { origin.over_https() } else { origin.clone() };
        format!("{origin}{}", path.trim_end_matches('/'))
    });
    let mend = match (&instead, part) {
        (Some(instead), _) => {
            let is_translated = part != Some(Reason::NotPunycode) && instead.contains("xn--") && !text.contains("xn--");
            let why = if is_translated { " (browsers write the host in punycode)" } else { "" };
            format!("write {}{why}", Shortened(instead))
        }
        (None, Some(Reason::NotPunycode)) => "write the host in punycode (xn--...)".to_owned(),
        (None, _) => WRITE_ADDRESS.to_owned(),
    };
    let mut faults = Vec::new();
    let judged = part.and_then(|part| match judge(part, text, shown, settings) {
        None if origin.is_none() && part == Reason::NotPunycode => Some((
            rules::NO_URL,
            format!("`{shown}` has a host with letters that this policy cannot read, so it could not be checked"),
        )),
        None if origin.is_none() => Some(no_url(shown)),
        judged => judged,
    });
    if let Some((rule, problem)) = judged {
        let may_be_meant = if part == Some(Reason::Path) && !settings.allows_path() {
            ", or set allowPath: true if a proxy removes the path"
        } else {
            ""
        };
        let mend = format!("{mend}{may_be_meant}");
        // Someone must first decide whether the path is intended, or set up https.
        let instead = instead.filter(|_| !is_http && (part != Some(Reason::Path) || settings.allows_path()));
        faults.push(Fault { rule, problem, mend, instead });
    }
    if is_http {
        let problem = format!(
            "`{shown}` is plain http: if the page is https, and flyteconsole is v1.10 or earlier, browsers block the calls. If the \
             page is http, anyone on the network path can act as the user"
        );
        let mend = format!("serve flyteadmin over https, and {mend}");
        faults.push(Fault { rule: rules::PLAIN_HTTP, problem, mend, instead: None });
    }
    Read { origin, faults }
}

/// Returns the rule and the problem for a URL that is not a plain origin, if that is wrong.
fn judge(part: Reason, text: &str, shown: &str, settings: &Settings) -> Option<(RuleName, String)> {
    match part {
        Reason::UpperCase if !text.starts_with("http") => Some((
            rules::NO_URL,
            format!("the scheme of `{shown}` is in upper case: flyteconsole v1.11 and later do not recognize it"),
        )),
        Reason::NotPunycode | Reason::UpperCase | Reason::DefaultPort | Reason::OtherwiseWritten => None,
        Reason::Path if settings.allows_path() && !text.ends_with('/') => None,
        Reason::Path if settings.allows_path() => Some(glued(Reason::Slash, shown)),
        Reason::Query | Reason::Fragment | Reason::Path | Reason::Slash => Some(glued(part, shown)),
        Reason::User => Some((
            rules::MORE_THAN_ORIGIN,
            format!("`{shown}` contains a user, which flyteconsole shows to everyone who opens it"),
        )),
        Reason::Placeholder => Some((rules::PLACEHOLDER, format!("`{shown}` {part}: the host does not exist"))),
        Reason::NoScheme => Some((
            rules::NO_URL,
            format!("`{shown}` has no scheme: flyteconsole up to v1.10 treats it as a relative path"),
        )),
        Reason::WhiteSpace
        | Reason::TwoSchemes
        | Reason::NoHost
        | Reason::InvalidPort
        | Reason::InvalidPunycode
        | Reason::OtherScheme
        | Reason::LongHost => Some((rules::NO_URL, format!("`{shown}` {part}: browsers cannot call it"))),
        Reason::Empty | Reason::Pattern | Reason::Several => Some(no_url(shown)),
    }
}

fn no_url(shown: &str) -> (RuleName, String) {
    (rules::NO_URL, format!("`{shown}` is not an http or https URL that browsers can call"))
}

/// The finding for a URL that paths cannot be appended to.
fn glued(part: Reason, shown: &str) -> (RuleName, String) {
    let problem = format!("`{shown}` {part}: flyteconsole appends paths to it, so browsers call `{shown}/login`");
    (rules::MORE_THAN_ORIGIN, problem)
}

/// Describes a host that browsers outside the cluster cannot resolve.
fn known_to_cluster_alone(origin: &Origin, namespaces: [&str; 2]) -> Option<&'static str> {
    let host = origin.host().strip_suffix('.').unwrap_or(origin.host());
    if !origin.has_name() || origin.is_loopback() {
        None
    } else if !host.contains('.') {
        Some("a name without a dot")
    } else if host.ends_with(".svc")
        || host.ends_with(".cluster.local")
        || host
            .split_once('.')
            .is_some_and(|(service, rest)| service == flyte::FLYTEADMIN && namespaces.contains(&rest))
    {
        Some("the name of a Service")
    } else {
        None
    }
}

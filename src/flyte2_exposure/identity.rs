//! Checks how Flyte 2 identifies its callers: it trusts headers, and verifies no token in them.
//!
//! Source: `TrustForwardedIdentityHeaders` in `runs/config/config.go`, and `runs/service/identity.go` of
//! [flyteorg/flyte](https://github.com/flyteorg/flyte) v2.0.43.

use super::{in_front::Mesh, network, rules};
use crate::{
    admin_config::mounts::Files,
    installation::{
        admin::{self, Reading},
        objects::Objects,
    },
    members::Members,
    text::Text,
    verdict::{Note, Notice, Unjudged, Verdict},
    workload::{Placed, Workload},
};

/// The headers that a proxy must not pass on from callers.
const HEADERS: [&str; 3] = ["x-amzn-oidc-data", "x-amzn-oidc-identity", "authorization"];

/// Whether an nginx snippet removes all of them: by `more_clear_input_headers`, or by an empty `proxy_set_header`.
pub(super) fn removes_in_nginx(snippet: &str) -> bool {
    let lines = snippet.lines().map(|line| line.split('#').next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    HEADERS.iter().all(|header| {
        text.split(';').any(|directive| {
            let mut words = directive.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
            let is_header = |word: &str| {
                word == *header
                    || word.strip_suffix('*').is_some_and(|start| !start.is_empty() && header.starts_with(start))
            };
            match words.next() {
                Some("more_clear_input_headers") => words.any(is_header),
                Some("proxy_set_header") => words.next().is_some_and(is_header) && words.next() == Some(""),
                _ => false,
            }
        })
    })
}

/// Whether a Traefik middleware removes all of them: it sets each of these headers to an empty value.
pub(super) fn removes_in_traefik(headers: &Members<'_, Text<'_>>) -> bool {
    let is_removed =
        |header: &&str| headers.iter().any(|(name, value)| name.eq_ignore_ascii_case(header) && value.is_empty());
    HEADERS.iter().all(is_removed)
}

/// Whether a route removes all of them.
pub(super) fn are_removed(removed: &[Text]) -> bool {
    HEADERS.iter().all(|header| removed.iter().any(|name| name.eq_ignore_ascii_case(header)))
}

/// Whether a server trusts the headers, as far as its configuration is known: it does by default.
pub(super) fn believes(workload: &Workload, placed: &Placed, objects: &Objects, namespace: &str) -> bool {
    if is_told_not_to(placed) {
        return false;
    }
    let reading = read_configuration(workload, placed, objects, namespace);
    reading.map_or(true, |Reading { mut config, .. }| config.trusts_identity_headers())
}

/// The configuration of a server.
fn read_configuration(
    workload: &Workload,
    placed: &Placed,
    objects: &Objects,
    namespace: &str,
) -> Result<Reading, String> {
    let files = Files::from_mounts(workload, placed, None).map_err(Unjudged::in_words)?;
    admin::reading(objects, namespace, &files)
}

/// Whether a flag turns this trust off. Flags override the files.
fn is_told_not_to(placed: &Placed) -> bool {
    let words = |field, words| placed.list::<Text>(field, words).unwrap_or_default();
    let said = [words("command", placed.container.command), words("args", placed.container.args)].concat();
    said.iter().any(|word| &**word == "--runs.trustForwardedIdentityHeaders=false")
}

/// Checks whether anything but the proxy can send these headers.
pub(super) fn judge(
    workload: &Workload,
    placed: &Placed,
    objects: &Objects,
    namespace: &str,
    mesh: &Mesh,
    verdict: &mut Verdict,
) -> Result<(), String> {
    let closes = if mesh.closes { Some(true) } else { network::closes(objects, namespace, workload.pod_labels())? };
    if closes == Some(true) {
        return Ok(());
    }
    let Reading { mut config, unseen, .. } = read_configuration(workload, placed, objects, namespace)?;
    if !config.faults.is_empty() || is_told_not_to(placed) || !config.trusts_identity_headers() {
        return Ok(());
    }
    let trusts =
        "trusts headers that name the user, and no NetworkPolicy restricts its ports: any pod can act as any user";
    let (rule, text) = match closes {
        None => {
            let text = "trusts headers that name the user: any pod can act as any user, unless a NetworkPolicy with \
                        matchExpressions, which this policy cannot read, restricts the ports";
            (rules::NOT_KNOWN, text.to_owned())
        }
        _ if !unseen.is_empty() => {
            (rules::NOT_KNOWN, format!("{trusts}, unless {}, turns this off", unseen.join(" and ")))
        }
        _ => (rules::FORGEABLE_IDENTITY, trusts.to_owned()),
    };
    let mend = "add a NetworkPolicy that allows only the proxy and task pods, or set runs.trustForwardedIdentityHeaders: false under \
                configuration.inline in the chart's values";
    verdict.notices.push(Notice::new(rule, placed.place(), Note::new(text, mend)));
    Ok(())
}

//! An Ingress or an HTTPRoute that answers CORS in front of flyteadmin: its origins are what browsers get, whatever flyteadmin says.
//!
//! Read: ingress-nginx' annotations `enable-cors` and `cors-*`, and filters of type `CORS`. In one of their origins `*` may stand for a
//! part of the name. Source: `annotations/cors` of [kubernetes/ingress-nginx](https://github.com/kubernetes/ingress-nginx), which takes
//! a list with `*` in it for `*`; `HTTPCORSFilter` of [Gateway API](https://gateway-api.sigs.k8s.io).

use serde_json::value::RawValue;

use super::{note, options, rules, settings::Settings};
use crate::{
    admin_config::{ANY, Item},
    admission::AdmissionRequest,
    edit,
    host::{Host, Listed},
    installation::{admin, ingress, objects::Objects, routes::Cors},
    location,
    text::Text,
    verdict::{Notice, Place, Unjudged, Verdict, Violation},
};

/// CORS that is answered in front of Services.
struct InFront {
    cors: Cors,
    /// The path to the origins.
    path: String,
    /// Whether they are a list there, and no text.
    is_list: bool,
    /// The names of the Services.
    services: Vec<String>,
}

/// Judges an Ingress, or an HTTPRoute, as far as it answers CORS in front of flyteadmin.
pub(super) fn judge(
    kind: Listed,
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let (object, namespace) = (request.object()?.get(), request.namespace());
    let answered =
        if kind == Listed::Ingress { by_ingress(object).into_iter().collect() } else { by_filters(object, namespace) };
    let mut led = None;
    for in_front in answered {
        let found = judge_origins(&in_front, settings);
        // Where nothing would be wrong, nobody need know where it leads.
        let Some(first) = found.first() else { continue };
        match led.get_or_insert_with(|| admin::services(&Objects::beside(host), namespace)) {
            Ok(led) if in_front.services.iter().any(|service| led.contains(service)) => {
                verdict.seen.judged();
                verdict.violations.extend(found);
            }
            Ok(_) => {}
            Err(reason) => {
                let text = format!("{}; whether it leads to flyteadmin is not known: {reason}", first.problem);
                let place = first.place.clone();
                verdict.notices.push(Notice { place, ..note(rules::NOT_KNOWN, text) });
                break;
            }
        }
    }
    Ok(())
}

/// The text at a path.
fn text<'t>(object: &'t str, path: &[&str]) -> Option<Text<'t>> {
    serde_json::from_str(edit::at(object, path)?).ok()
}

/// The items of a list at a path.
fn items<'t>(object: &'t str, path: &[&str]) -> Vec<&'t RawValue> {
    edit::at(object, path).and_then(edit::items).unwrap_or_default()
}

/// What ingress-nginx answers for an Ingress; controllers of another class do not read its annotations.
fn by_ingress(ingress: &str) -> Option<InFront> {
    let name = |annotation: &str| format!("nginx.ingress.kubernetes.io/{annotation}");
    let said = |annotation: &str| text(ingress, &["metadata", "annotations", &name(annotation)]);
    let is_nginx = text(ingress, &["spec", "ingressClassName"]).is_none_or(|class| class.contains("nginx"));
    if !is_nginx || said("enable-cors").as_deref() != Some("true") {
        return None;
    }
    let origins = said("cors-allow-origin");
    let said_at = if origins.is_some() { "cors-allow-origin" } else { "enable-cors" };
    let path = location::key("metadata.annotations", &name(said_at));
    let mut services: Vec<String> =
        text(ingress, &["spec", "defaultBackend", "service", "name"]).iter().map(|name| name.to_string()).collect();
    for rule in items(ingress, &["spec", "rules"]) {
        for path in items(rule.get(), &["http", "paths"]) {
            if !text(path.get(), &["path"]).is_some_and(|path| ingress::is_grpc(&path)) {
                services.extend(text(path.get(), &["backend", "service", "name"]).map(|name| name.to_string()));
            }
        }
    }
    let cors = Cors::by_nginx(origins.as_deref(), said("cors-allow-credentials").as_deref());
    Some(InFront { cors, path, is_list: false, services })
}

/// What the filters of an HTTPRoute answer, for the Services of its own namespace.
fn by_filters(route: &str, namespace: &str) -> Vec<InFront> {
    let mut answered = Vec::new();
    for (index, rule) in items(route, &["spec", "rules"]).into_iter().enumerate() {
        for (at, filter) in items(rule.get(), &["filters"]).into_iter().enumerate() {
            let Some(cors) = edit::at(filter.get(), &["cors"]) else { continue };
            let origins = items(cors, &["allowOrigins"]).into_iter().filter_map(|origin| text(origin.get(), &[]));
            let origins = origins.map(|origin| origin.to_string()).collect();
            let own = items(rule.get(), &["backendRefs"]);
            let is_own = |backend: &&&RawValue| text(backend.get(), &["namespace"]).is_none_or(|of| &*of == namespace);
            let service = |backend: &&RawValue| text(backend.get(), &["name"]).map(|name| name.to_string());
            answered.push(InFront {
                cors: Cors::by_filter(origins, edit::at(cors, &["allowCredentials"]) == Some("true")),
                path: format!("spec.rules[{index}].filters[{at}].cors.allowOrigins"),
                is_list: true,
                services: own.iter().filter(is_own).filter_map(service).collect(),
            });
        }
    }
    answered
}

const LIST_CONSOLE: &str = "name flyteconsole's own origin alone there, https://<flyte-console-domain>; where flyteadmin answers CORS \
                            itself, leave it to that";

/// All hosts of a domain in an origin, and one of them.
const HOSTS: &str = "//*.";
const ONE_HOST: &str = "//any-host.";

/// What is wrong with the origins, wherever they lead.
fn judge_origins(InFront { cors, path, is_list, .. }: &InFront, settings: &Settings) -> Vec<Violation> {
    let origins = cors.origins.as_deref().unwrap_or_default();
    let path = |index: usize| if *is_list { format!("{path}[{index}]") } else { path.clone() };
    let is_any = |origin: &String| [ANY, "https://*", "http://*"].contains(&&**origin);
    if let Some(index) = origins.iter().position(is_any) {
        let served = match cors.is_echoed && cors.with_credentials {
            true => "any website may call flyteadmin as whoever is logged in",
            false => options::SERVED_TO_ANY,
        };
        let problem = format!("`{}` lets in every origin, by {}: {served}", origins[index], cors.by);
        return vec![Violation::new(rules::ANY_ORIGIN, Place::at(path(index)), problem, LIST_CONSOLE.to_owned())];
    }
    let mut found = Vec::new();
    for (index, origin) in origins.iter().enumerate() {
        // One that is for all hosts of a domain is judged as one of them.
        let item = Item { text: origin.replacen(HOSTS, ONE_HOST, 1), place: Place::at(path(index)) };
        let violation = options::judge_origin(&item, settings, &|| options::REMOVE);
        found.extend(violation.map(|Violation { rule, place, problem, mend, .. }| {
            let [problem, mend] = [problem, mend].map(|text| text.replacen(ONE_HOST, HOSTS, 1));
            Violation::new(rule, place, problem, mend)
        }));
    }
    found
}

//! What answers CORS in front of flyteadmin: its origins are what browsers get, whatever flyteadmin says.
//!
//! Read: ingress-nginx' annotations `enable-cors` and `cors-*` of an Ingress, filters of type `CORS` of an HTTPRoute, `corsPolicy` of
//! Contour's HTTPProxy and of Istio's VirtualService, and `headers` of Traefik's Middleware. In one of their origins `*` may stand for a
//! part of the name. That snippets and patterns are not read is said.
//!
//! Sources: `annotations/cors` of [kubernetes/ingress-nginx](https://github.com/kubernetes/ingress-nginx), which takes a list with `*`
//! in it for `*`; `HTTPCORSFilter` of [Gateway API](https://gateway-api.sigs.k8s.io); `CORSPolicy` of
//! [projectcontour/contour](https://github.com/projectcontour/contour); `pkg/middlewares/headers` of
//! [traefik/traefik](https://github.com/traefik/traefik).

use serde_json::value::RawValue;

use super::{note, options, rules, settings::Settings};
use crate::{
    admin_config::{ANY, Item},
    admission::AdmissionRequest,
    edit,
    host::{Host, Listed},
    installation::{
        admin,
        fields::{is_true, items, text, texts},
        ingress,
        objects::{Found, Objects},
        proxies,
        routes::{Cors, says_origin},
    },
    location,
    verdict::{Notice, Place, Unjudged, Verdict, Violation},
};

/// CORS that is answered in front of Services.
struct InFront {
    cors: Cors,
    /// The path to the origins.
    path: String,
    /// Whether they are a list there, and no text.
    is_list: bool,
    /// The names of the Services; those of a Middleware the routes say that name it.
    services: Vec<String>,
}

/// The kinds of objects that may.
pub(super) const KINDS: [Listed; 5] =
    [Listed::Ingress, Listed::HttpRoute, Listed::HttpProxy, Listed::Middleware, Listed::VirtualService];

/// Judges an object of these kinds, as far as it answers CORS in front of flyteadmin.
pub(super) fn judge(
    kind: Listed,
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let (object, namespace) = (request.object()?.get(), request.namespace());
    let answered = match kind {
        Listed::Ingress => by_ingress(object).into_iter().collect(),
        Listed::HttpProxy => by_proxy(object).into_iter().collect(),
        Listed::Middleware => by_middleware(object).into_iter().collect(),
        Listed::VirtualService => by_mesh(object, namespace),
        _ => by_filters(object, namespace),
    };
    let objects = Objects::beside(host);
    let mut led = None;
    for in_front in answered {
        let found = judge_origins(&in_front, settings);
        // Where nothing would be wrong, nobody need know where it leads.
        let unread = in_front.cors.origins.is_none().then(|| {
            let text = format!(
                "{} may answer CORS here, and is not read; see that it lets in no more than flyteconsole's own origin",
                in_front.cors.by
            );
            Notice { place: Place::at(in_front.path.clone()), ..note(rules::NOT_KNOWN, text) }
        });
        let Some((place, problem)) = found
            .first()
            .map(|first| (&first.place, &first.problem))
            .or(unread.as_ref().map(|unread| (&unread.place, &unread.text)))
        else {
            continue;
        };
        let leads = if kind == Listed::Middleware {
            let name = text(object, &["metadata", "name"]);
            is_used(&objects.everywhere(), namespace, name.as_deref().unwrap_or_default())
        } else {
            let led = led.get_or_insert_with(|| admin::services(&objects, namespace)).as_ref();
            led.map(|led| in_front.services.iter().any(|service| led.contains(service))).map_err(String::clone)
        };
        match leads {
            Ok(true) => {
                verdict.seen.judged();
                verdict.violations.extend(found);
                verdict.notices.extend(unread);
            }
            Ok(false) => {}
            Err(reason) => {
                let text = format!("{problem}; whether it leads to flyteadmin is not known: {reason}");
                verdict.notices.push(Notice { place: place.clone(), ..note(rules::NOT_KNOWN, text) });
                break;
            }
        }
    }
    Ok(())
}

/// What ingress-nginx answers for an Ingress; controllers of another class do not read its annotations.
fn by_ingress(ingress: &str) -> Option<InFront> {
    let name = |annotation: &str| format!("nginx.ingress.kubernetes.io/{annotation}");
    let said = |annotation: &str| text(ingress, &["metadata", "annotations", &name(annotation)]);
    if text(ingress, &["spec", "ingressClassName"]).is_some_and(|class| !class.contains("nginx")) {
        return None;
    }
    let at = |annotation: &str| location::key("metadata.annotations", &name(annotation));
    for snippet in ["configuration-snippet", "server-snippet"] {
        if said(snippet).is_some_and(|snippet| says_origin(&snippet)) {
            let (cors, services) = (Cors::unread("a snippet for nginx"), services_of_ingress(ingress));
            return Some(InFront { cors, path: at(snippet), is_list: false, services });
        }
    }
    if said("enable-cors").as_deref() != Some("true") {
        return None;
    }
    let origins = said("cors-allow-origin");
    let said_at = if origins.is_some() { "cors-allow-origin" } else { "enable-cors" };
    let path = at(said_at);
    let cors = Cors::by_nginx(origins.as_deref(), said("cors-allow-credentials").as_deref());
    Some(InFront { cors, path, is_list: false, services: services_of_ingress(ingress) })
}

/// The Services that an Ingress leads browsers to.
fn services_of_ingress(ingress: &str) -> Vec<String> {
    let mut services: Vec<String> =
        text(ingress, &["spec", "defaultBackend", "service", "name"]).iter().map(|name| name.to_string()).collect();
    for rule in items(ingress, &["spec", "rules"]) {
        for path in items(rule.get(), &["http", "paths"]) {
            if !text(path.get(), &["path"]).is_some_and(|path| ingress::is_grpc(&path)) {
                services.extend(text(path.get(), &["backend", "service", "name"]).map(|name| name.to_string()));
            }
        }
    }
    services
}

/// What Contour answers for an HTTPProxy.
fn by_proxy(proxy: &str) -> Option<InFront> {
    Some(InFront {
        cors: proxies::of_proxy(proxy)?,
        path: "spec.virtualhost.corsPolicy.allowOrigin".to_owned(),
        is_list: true,
        services: proxies::services_of_proxy(proxy),
    })
}

/// What Istio answers for the routes of a VirtualService.
fn by_mesh(service: &str, namespace: &str) -> Vec<InFront> {
    let routes = items(service, &["spec", "http"]).into_iter().enumerate();
    let answered = routes.filter_map(|(index, route)| {
        Some(InFront {
            cors: proxies::of_mesh(route.get())?,
            path: format!("spec.http[{index}].corsPolicy.allowOrigins"),
            is_list: true,
            services: proxies::services_of_mesh(route.get(), namespace),
        })
    });
    answered.collect()
}

/// What Traefik answers by a Middleware.
fn by_middleware(middleware: &str) -> Option<InFront> {
    Some(InFront {
        cors: proxies::of_middleware(middleware)?,
        path: "spec.headers.accessControlAllowOriginList".to_owned(),
        is_list: true,
        services: Vec::new(),
    })
}

/// Whether an Ingress or an IngressRoute names a Middleware, and leads to flyteadmin.
fn is_used(objects: &Objects, namespace: &str, name: &str) -> Result<bool, String> {
    let leads = |of: &str, services: Vec<String>| -> Result<Option<()>, String> {
        let led = if services.is_empty() { Default::default() } else { admin::services(objects, of)? };
        Ok(services.iter().any(|service| led.contains(service)).then_some(()))
    };
    let own = format!("{namespace}-{name}@kubernetescrd");
    let by_ingress = objects.find(Listed::Ingress, None, |found| {
        let ingress = found.object.get();
        let names = text(ingress, &["metadata", "annotations", ingress::MIDDLEWARES]);
        let is_named = names.is_some_and(|names| names.split(',').any(|name| name.trim() == own));
        leads(&found.namespace, if is_named { services_of_ingress(ingress) } else { Vec::new() })
    })?;
    let own = own.trim_end_matches("@kubernetescrd");
    let by_route = |found: &Found| {
        let routes = items(found.object.get(), &["spec", "routes"]).into_iter().map(|route| route.get());
        let is_named = |route: &&str| proxies::middlewares(route, &found.namespace).iter().any(|name| name == own);
        leads(&found.namespace, routes.filter(is_named).flat_map(proxies::services).collect())
    };
    Ok(by_ingress.is_some() || objects.find(Listed::IngressRoute, None, by_route)?.is_some())
}

/// What the filters of an HTTPRoute answer, for the Services of its own namespace.
fn by_filters(route: &str, namespace: &str) -> Vec<InFront> {
    let mut answered = Vec::new();
    for (index, rule) in items(route, &["spec", "rules"]).into_iter().enumerate() {
        for (at, filter) in items(rule.get(), &["filters"]).into_iter().enumerate() {
            let Some(cors) = edit::at(filter.get(), &["cors"]) else { continue };
            let own = items(rule.get(), &["backendRefs"]);
            let is_own = |backend: &&&RawValue| text(backend.get(), &["namespace"]).is_none_or(|of| &*of == namespace);
            let service = |backend: &&RawValue| text(backend.get(), &["name"]).map(|name| name.to_string());
            answered.push(InFront {
                cors: Cors::by_filter(texts(cors, &["allowOrigins"]), is_true(cors, &["allowCredentials"])),
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

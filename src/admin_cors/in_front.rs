//! Checks CORS that a proxy answers in front of flyteadmin. Browsers then get the proxy's origins, not flyteadmin's.
//!
//! This module reads ingress-nginx's annotations `enable-cors` and `cors-*` of an Ingress, filters of type `CORS` of an
//! HTTPRoute, `corsPolicy` of Contour's HTTPProxy and of Istio's VirtualService, and `headers` of Traefik's Middleware.
//! For nginx and Gateway API, `*` in an origin may stand for a part of the name. Snippets, patterns and headers that a
//! route sets are not read; a notice says so.
//!
//! Sources: `annotations/cors` of [kubernetes/ingress-nginx](https://github.com/kubernetes/ingress-nginx), which reads a list that
//! contains `*` as `*`; `HTTPCORSFilter` of [Gateway API](https://gateway-api.sigs.k8s.io); `CORSPolicy` of
//! [projectcontour/contour](https://github.com/projectcontour/contour); `pkg/middlewares/headers` of
//! [traefik/traefik](https://github.com/traefik/traefik).

use serde_json::value::RawValue;

use super::{options, rules, settings::Settings};
use crate::{
    admin_config::{ANY, Item, container::ONLY_CONSOLE, server::Server},
    admission::AdmissionRequest,
    host::{Host, Listed},
    installation::{
        admin,
        admin_routes::Services,
        fields::{at, is_true, items, text, texts},
        ingress,
        objects::{Found, Objects},
        proxies::{self, ServiceName},
        routes::{Cors, says_origin},
    },
    location,
    text::Text,
    verdict::{Note, Notice, Place, Unjudged, Verdict, Violation},
};

/// CORS that is answered in front of Services.
struct InFront {
    cors: Cors,
    /// The path to the origins.
    path: String,
    /// Whether the origins are a list there, not a text.
    is_list: bool,
    /// The Services behind it; empty for a Middleware, since its routes name them.
    services: Vec<ServiceName>,
}

/// The kinds that may answer CORS here.
pub(super) const KINDS: [Listed; 5] =
    [Listed::Ingress, Listed::HttpRoute, Listed::HttpProxy, Listed::Middleware, Listed::VirtualService];

/// Checks an object of one of these kinds, if it answers CORS in front of flyteadmin.
pub(super) fn judge(
    kind: Listed,
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let (object, namespace) = (request.object()?.get(), request.namespace());
    let mut answered: Vec<InFront> = match kind {
        Listed::Ingress => by_ingress(object, namespace).into_iter().collect(),
        Listed::HttpProxy => by_proxy(object, namespace).into_iter().collect(),
        Listed::Middleware => by_middleware(object).into_iter().collect(),
        Listed::VirtualService => by_mesh(object, namespace),
        _ => by_filters(object, namespace),
    };
    answered.extend(by_headers(kind, object, namespace));
    let is_elsewhere = |in_front: &InFront| in_front.services.iter().any(|(of, _)| of != namespace);
    let mut objects = Objects::beside(host);
    if kind == Listed::Middleware || answered.iter().any(is_elsewhere) {
        objects = objects.everywhere();
    }
    let mut known = Services::among(&objects);
    for in_front in answered {
        let found = judge_origins(&in_front, settings);
        // Only a finding makes it worth looking up where the route leads.
        let unread = in_front.cors.origins.is_none().then(|| {
            let text = format!("{} may set CORS headers here, and this policy cannot read it", in_front.cors.by);
            Notice::new(rules::NOT_KNOWN, Place::at(in_front.path.clone()), Note::new(text, ONLY_CONSOLE))
        });
        let Some((place, problem, mend)) = found
            .first()
            .map(|first| (&first.place, &first.problem, &first.mend))
            .or(unread.as_ref().map(|unread| (&unread.place, &unread.text, &unread.mend)))
        else {
            continue;
        };
        let leads = match kind {
            Listed::Middleware => {
                let name = text(object, &["metadata", "name"]);
                is_used(&objects, &mut known, namespace, name.as_deref().unwrap_or_default())
            }
            _ => leads(&mut known, &in_front.services),
        };
        let leads = match leads {
            Ok(false) if kind == Listed::HttpProxy && !items(object, &["spec", "includes"]).is_empty() => {
                Err("it includes other HTTPProxies, which are not checked".to_owned())
            }
            leads => leads,
        };
        match leads {
            // Another policy checks Flyte 2.
            Ok(true) if found.is_empty() && leads_to_flyte_two(&objects, &in_front.services) => {}
            Ok(true) => {
                verdict.seen.judged();
                verdict.violations.extend(found);
                verdict.notices.extend(unread);
            }
            Ok(false) => {}
            Err(reason) => {
                let text = format!("{problem}. Could not check whether it leads to flyteadmin: {reason}");
                let note = Note::new(text, format!("ignore this if it does not lead to flyteadmin. Otherwise: {mend}"));
                verdict.notices.push(Notice::new(rules::NOT_KNOWN, place.clone(), note));
                break;
            }
        }
    }
    Ok(())
}

/// Whether every server in the namespaces of the given Services is Flyte 2.
fn leads_to_flyte_two(objects: &Objects, services: &[ServiceName]) -> bool {
    let mut is_one = services.is_empty();
    for (namespace, _) in services {
        let read = admin::each_server(objects, namespace, |_, _, _, server| {
            is_one |= !matches!(server, Server::FlyteTwo);
            Ok(())
        });
        is_one |= read.is_err();
    }
    !is_one
}

/// Whether at least one of the given Services leads to flyteadmin.
fn leads(known: &mut Services, services: &[ServiceName]) -> Result<bool, String> {
    for (namespace, name) in services {
        if known.names_in(namespace)?.contains(name) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The CORS that an ingress controller answers.
fn by_ingress(ingress: &str, namespace: &str) -> Option<InFront> {
    let (cors, annotation) = ingress::by_nginx(ingress).or_else(|| ingress::by_others(ingress))?;
    let path = location::key("metadata.annotations", &annotation);
    Some(InFront { cors, path, is_list: false, services: services_of_ingress(ingress, namespace) })
}

/// The Services that an Ingress sends browsers to.
fn services_of_ingress(ingress: &str, namespace: &str) -> Vec<ServiceName> {
    let mut names: Vec<Text> = text(ingress, &["spec", "defaultBackend", "service", "name"]).into_iter().collect();
    for rule in items(ingress, &["spec", "rules"]) {
        for path in items(rule.get(), &["http", "paths"]) {
            if !text(path.get(), &["path"]).is_some_and(|path| ingress::is_grpc(&path)) {
                names.extend(text(path.get(), &["backend", "service", "name"]));
            }
        }
    }
    names.into_iter().map(|name| (namespace.to_owned(), name.to_string())).collect()
}

/// The CORS that Contour answers for an HTTPProxy.
fn by_proxy(proxy: &str, namespace: &str) -> Option<InFront> {
    Some(InFront {
        cors: proxies::of_proxy(proxy)?,
        path: "spec.virtualhost.corsPolicy.allowOrigin".to_owned(),
        is_list: true,
        services: proxies::services_of_proxy(proxy, namespace),
    })
}

/// The CORS that Istio answers for each route of a VirtualService.
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

/// The CORS that Traefik answers with a Middleware.
fn by_middleware(middleware: &str) -> Option<InFront> {
    Some(InFront {
        cors: proxies::of_middleware(middleware)?,
        path: "spec.headers.accessControlAllowOriginList".to_owned(),
        is_list: true,
        services: Vec::new(),
    })
}

/// Whether an Ingress or an IngressRoute uses a Middleware and leads to flyteadmin.
fn is_used(objects: &Objects, known: &mut Services, namespace: &str, name: &str) -> Result<bool, String> {
    let own = format!("{namespace}-{name}");
    let by_ingress = objects.find(Listed::Ingress, None, |found| {
        let ingress = found.object.get();
        let names = text(ingress, &["metadata", "annotations", ingress::MIDDLEWARES]);
        let is_it = |name: &str| name.trim().trim_end_matches("@kubernetescrd") == own;
        if !names.is_some_and(|names| names.split(',').any(is_it)) {
            return Ok(None);
        }
        let services = services_of_ingress(ingress, &found.namespace);
        leads(known, &services).map(|leads| leads.then_some(()))
    })?;
    let by_route = |found: &Found| {
        let routes = items(found.object.get(), &["spec", "routes"]).into_iter().map(|route| route.get());
        let is_named = |route: &&str| proxies::middlewares(route, &found.namespace).contains(&own);
        let to = routes.filter(is_named).flat_map(|route| proxies::services(route, &found.namespace));
        leads(known, &to.collect::<Vec<_>>()).map(|leads| leads.then_some(()))
    };
    Ok(by_ingress.is_some() || objects.find(Listed::IngressRoute, None, by_route)?.is_some())
}

/// The CORS of the filters of an HTTPRoute: those of its rules, and those of a single backend of a rule.
fn by_filters(route: &str, namespace: &str) -> Vec<InFront> {
    let mut answered = Vec::new();
    let mut add = |filters: Vec<&RawValue>, place: &str, services: &[ServiceName]| {
        for (number, filter) in filters.into_iter().enumerate() {
            let (cors, path) = match at(filter.get(), &["cors"]) {
                Some(cors) => {
                    let origins = texts(cors, &["allowOrigins"]);
                    (Cors::by_filter(origins, is_true(cors, &["allowCredentials"])), "cors.allowOrigins")
                }
                None if at(filter.get(), &["extensionRef"]).is_some() => {
                    (Cors::unread("a filter by reference"), "extensionRef")
                }
                None => continue,
            };
            let path = format!("{place}.filters[{number}].{path}");
            answered.push(InFront { cors, path, is_list: true, services: services.to_vec() });
        }
    };
    for (index, rule) in items(route, &["spec", "rules"]).into_iter().enumerate() {
        let place = format!("spec.rules[{index}]");
        add(items(rule.get(), &["filters"]), &place, &backends(rule.get(), namespace));
        for (index, backend) in items(rule.get(), &["backendRefs"]).into_iter().enumerate() {
            let service = service(backend.get(), namespace);
            add(items(backend.get(), &["filters"]), &format!("{place}.backendRefs[{index}]"), service.as_slice());
        }
    }
    answered
}

/// The Services that a rule of an HTTPRoute leads to.
fn backends(rule: &str, namespace: &str) -> Vec<ServiceName> {
    let backends = items(rule, &["backendRefs"]).into_iter();
    backends.filter_map(|backend| service(backend.get(), namespace)).collect()
}

/// The Service that a backend of a route refers to.
fn service(backend: &str, namespace: &str) -> Option<ServiceName> {
    let is_service = text(backend, &["kind"]).is_none_or(|kind| &*kind == "Service");
    if !is_service || at(backend, &["weight"]) == Some("0") {
        return None;
    }
    let of = text(backend, &["namespace"]);
    Some((of.as_deref().unwrap_or(namespace).to_owned(), text(backend, &["name"])?.to_string()))
}

/// The CORS of headers that a route sets itself, if one of them sets the allowed origin.
fn by_headers(kind: Listed, object: &str, namespace: &str) -> Option<InFront> {
    let sets = says_origin(object) && ["\"set\"", "\"add\""].iter().any(|how| object.contains(how));
    let routes = |path: &[&str]| items(object, path).into_iter().map(|route| route.get()).collect::<Vec<_>>();
    let services = match kind {
        _ if !sets => return None,
        Listed::HttpProxy => proxies::services_of_proxy(object, namespace),
        Listed::VirtualService => routes(&["spec", "http"])
            .into_iter()
            .flat_map(|route| proxies::services_of_mesh(route, namespace))
            .collect(),
        Listed::HttpRoute => {
            routes(&["spec", "rules"]).into_iter().flat_map(|rule| backends(rule, namespace)).collect()
        }
        _ => return None,
    };
    Some(InFront {
        cors: Cors::unread("a rule for response headers"),
        path: "spec".to_owned(),
        is_list: false,
        services,
    })
}

const LIST_CONSOLE: &str = "allow only flyteconsole's origin here, https://<flyte-console-domain>. If flyteadmin \
                            handles CORS itself, remove CORS here";

/// All hosts of a domain, and a host that stands in for them.
const HOSTS: &str = "//*.";
const ONE_HOST: &str = "//any-host.";

/// Returns what is wrong with the origins, no matter where the route leads.
fn judge_origins(InFront { cors, path, is_list, .. }: &InFront, settings: &Settings) -> Vec<Violation> {
    let origins = cors.origins.as_deref().unwrap_or_default();
    let path = |index: usize| if *is_list { format!("{path}[{index}]") } else { path.clone() };
    let is_all_of_scheme = |origin: &String| cors.has_wildcards && ["https://*", "http://*"].contains(&&**origin);
    let is_any = |origin: &String| origin == ANY || is_all_of_scheme(origin);
    if let Some(index) = origins.iter().position(is_any) {
        let served = match cors.is_echoed && cors.with_credentials {
            true => {
                "answers with credentials name the caller's own origin, so any website can call flyteadmin as the user \
                 who is logged in"
            }
            false => options::SERVED_TO_ANY,
        };
        let problem = format!("`{}` allows every origin ({}): {served}", origins[index], cors.by);
        return vec![Violation::new(rules::ANY_ORIGIN, Place::at(path(index)), problem, LIST_CONSOLE.to_owned())];
    }
    let mut found = Vec::new();
    for (index, origin) in origins.iter().enumerate() {
        // An origin for all hosts of a domain is checked as one of them.
        let hosts = if cors.has_wildcards { origin.replacen(HOSTS, ONE_HOST, 1) } else { origin.clone() };
        let item = Item { text: hosts, place: Place::at(path(index)) };
        let violation = options::judge_origin(&item, settings, &|| options::REMOVE);
        found.extend(violation.map(|Violation { rule, place, problem, mend, .. }| {
            let [problem, mend] = [problem, mend].map(|text| text.replacen(ONE_HOST, HOSTS, 1));
            Violation::new(rule, place, problem, mend)
        }));
    }
    found
}

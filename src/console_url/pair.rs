//! Checks whether flyteadmin allows a console: compares the origins that browsers load it from with flyteadmin's CORS.

use std::collections::BTreeSet;

use super::{
    pages::{self, NAME_PAGES, Page},
    settings::Settings,
};
use crate::{
    admin_config::{Answer, Security},
    installation::{
        admin::{self, Admin},
        admin_routes,
        others::Others,
        routes::{self, Cors},
    },
    origin::Origin,
    verdict::{Note, Place, Shortened, few},
    workload::Labels,
};

/// A console, and the origin that it calls.
pub(super) struct Console<'c> {
    /// Its name in messages.
    pub(super) title: &'c str,
    pub(super) namespace: &'c str,
    /// The labels of its pods.
    pub(super) labels: Option<&'c Labels<'c>>,
    /// The origin of its `ADMIN_API_URL`.
    pub(super) calls: &'c Origin,
}

/// A console whose calls to flyteadmin are blocked by browsers.
pub(super) struct CutOff {
    /// The place of the deciding option, if it is in the ConfigMap of the request.
    pub(super) place: Option<Place>,
    /// The ConfigMaps that flyteadmin reads, in its namespace.
    pub(super) config_maps: Vec<String>,
    pub(super) problem: String,
    pub(super) mend: String,
}

/// Why flyteadmin is not known to allow a console.
pub(super) enum Doubt {
    /// The reason why it could not be checked, or not completely.
    NotChecked(Note),
    /// A finding that makes it unlikely, but does not prove it.
    Likely(Note),
}

impl From<Note> for Doubt {
    fn from(reason: Note) -> Self {
        Self::NotChecked(reason)
    }
}

impl From<String> for Doubt {
    fn from(reason: String) -> Self {
        Self::NotChecked(reason.into())
    }
}

/// Checks whether flyteadmin allows a console.
///
/// # Errors
///
/// Why that is not known.
pub(super) fn check(console: &Console, others: &Others, settings: &Settings) -> Result<Option<CutOff>, Doubt> {
    let Console { namespace, labels, calls, .. } = console;
    if calls.is_loopback() && settings.console_origins.is_none() {
        return forwarded(console, others, settings).map(|()| None);
    }
    let (pages, doubt) = pages::find_pages(others, settings, namespace, *labels)?;
    let mut doubt = doubt.map(Doubt::from);
    let is_foreign = |page: &&Page| !page.origins.iter().any(|origin| origin.is_same_but_for_scheme(calls));
    let foreign: Vec<&Page> = pages.iter().filter(is_foreign).collect();
    if !foreign.is_empty() {
        let admin_namespace = admin_namespace(console, others, settings)?;
        let front = front(others, &admin_namespace, calls);
        let admin = others.admin(&admin_namespace);
        let admin = admin.as_ref().as_ref().map_err(String::clone)?;
        doubt = doubt.or(admin.doubt.clone().map(Doubt::from));
        if let (Some(Note { text, mend }), true) = (&admin.serves_none, front.is_empty()) {
            let problem = format!(
                "{} at {} ({}) cannot call {}: {text}",
                console.title, foreign[0].origins[0], foreign[0].from, console.calls
            );
            let mend = mend.clone();
            return Ok(Some(CutOff { place: None, config_maps: admin.config_maps.clone(), problem, mend }));
        }
        let mut refused = Vec::new();
        for &page in &foreign {
            let lets_in = |cors: &Cors| page.origins.iter().any(|origin| cors.allows(&origin.to_string()));
            let known = || front.iter().filter(|(_, cors)| cors.origins.is_some());
            if let Some((route, cors)) = known().find(|(_, cors)| cors.lets_in_all()) {
                let text = format!(
                    "{route} handles CORS in front of flyteadmin ({}), and allows every origin with credentials, not only {}: any \
                     website can act as the user who is logged in",
                    cors.by, page.origins[0]
                );
                let origins = few(foreign.iter().map(|page| page.origins[0].to_string()));
                doubt = Some(Doubt::Likely(Note::new(text, format!("in {route}, allow only {origins}"))));
                continue;
            } else if let Some((route, cors)) = known().find(|(_, cors)| !lets_in(cors)) {
                let text = format!(
                    "{route} handles CORS in front of flyteadmin ({}), and does not allow {} with credentials, so flyteconsole's \
                     calls may fail",
                    cors.by, page.origins[0]
                );
                let mend = format!("in {route}, allow {} with credentials", page.origins[0]);
                doubt = Some(Doubt::Likely(Note::new(text, mend)));
                continue;
            } else if !front.is_empty() && known().count() == front.len() {
                continue;
            }
            let unknown = || "could not determine flyteadmin's CORS options".to_owned();
            let answer = |origin: &Origin| admin.security.answer(&origin.to_string()).ok_or_else(unknown);
            let answers = page.origins.iter().map(answer).collect::<Result<Vec<_>, _>>()?;
            let allowed = answers.iter().filter(|answer| matches!(answer, Answer::Allowed)).count();
            let knows_port = settings.console_origins.is_some();
            if allowed == 0 && !knows_port && may_be_of_another_port(page, calls, &admin.security) {
                let text = format!("{} does not show on which port browsers load flyteconsole", page.from);
                doubt = Some(Note::new(text, NAME_PAGES).into());
            } else if allowed == 0 {
                refused.push((page, answers[0]));
            } else if allowed < answers.len() {
                let text = format!(
                    "{} has no TLS for {}, so browsers load flyteconsole over http, or over https if a load balancer has the \
                     certificate",
                    page.from,
                    page.origins[0].host()
                );
                doubt = Some(Note::new(text, NAME_PAGES).into());
            }
        }
        // An option that nothing seems to set may be set in a file that is not read.
        let is_said = |why: &Answer| admin.doubt.is_none() || why.place().is_some();
        if let Some(((route, cors), (page, _))) = front.first().zip(refused.first()) {
            let text = format!(
                "flyteadmin itself does not allow {}. {route} in front of it may allow it, but its CORS options \
                 could not be read ({})",
                page.origins[0], cors.by
            );
            let mend = format!("make sure that it allows {} with credentials", page.origins[0]);
            doubt = Some(Note::new(text, mend).into());
        } else if let Some((_, why)) = refused.first().filter(|(_, why)| is_said(why)) {
            let pages: Vec<&Page> = refused.iter().map(|(page, _)| *page).collect();
            return Ok(cut_off(console, &pages, *why, admin));
        }
    }
    doubt.map_or(Ok(None), Err)
}

/// Checks a console that calls the user's own machine. A user who forwards a port to flyteadmin also forwards one to
/// flyteconsole.
///
/// # Errors
///
/// Why flyteadmin may not allow it there.
fn forwarded(console: &Console, others: &Others, settings: &Settings) -> Result<(), Doubt> {
    let Console { namespace, labels, calls, .. } = console;
    if let Ok((pages, _)) = pages::find_pages(others, settings, namespace, *labels)
        && let Some(page) = pages.first()
    {
        let (from, host) = (&page.from, page.origins[0].host());
        let text = format!("flyteconsole at {host} ({from}) calls {calls}, each user's own machine");
        let note = Note::new(text, "set ADMIN_API_URL to the address where browsers reach flyteadmin");
        return Err(Doubt::Likely(note));
    }
    let admin = others.admin(&admin_namespace(console, others, settings)?);
    let admin = admin.as_ref().as_ref().map_err(String::clone)?;
    let mut listed = admin.security.allowed_origins.iter().flat_map(|said| &said.value);
    if !listed.any(|item| Origin::parse(&item.text).is_ok_and(|origin| origin.is_loopback())) {
        let text =
            format!("flyteconsole calls {calls}, but allowedOrigins lists no loopback origin, so the calls may fail");
        let note = Note::new(text, "add the origin at which you open flyteconsole, e.g. http://localhost:8080");
        return Err(Doubt::Likely(note));
    }
    admin.doubt.clone().map_or(Ok(()), |doubt| Err(doubt.into()))
}

/// The namespace of the flyteadmin that a console calls: the one in the settings, the console's own if a flyteadmin runs there, or
/// the one that routes for the called host lead to.
///
/// # Errors
///
/// No flyteadmin is found, or more than one.
fn admin_namespace(console: &Console, others: &Others, settings: &Settings) -> Result<String, Doubt> {
    let Console { namespace, calls, .. } = console;
    if let Some(said) = settings.says_admin_namespace() {
        return Ok(said.to_owned());
    }
    let own = others.admin(namespace);
    let Err(reason) = own.as_ref() else { return Ok((*namespace).to_owned()) };
    if !admin::runners(others, namespace).is_ok_and(|runners| runners.is_empty()) {
        return Err(reason.clone().into());
    }
    let others = others.everywhere();
    // If the routes are unreadable, the settings can name it.
    let mut found = routes::namespaces(&others, None, calls.host()).unwrap_or_default();
    found.retain(|namespace| {
        let is_led = |hosts: routes::Hosts| hosts.named.iter().any(|host| host.name == calls.host());
        admin_routes::hosts(&others, namespace).is_ok_and(is_led)
    });
    match &found.iter().collect::<Vec<_>>()[..] {
        [one] => Ok((*one).clone()),
        [] if *reason == admin::found_none(namespace) => {
            Err(Note::new(reason.clone(), "if flyteadmin is in another namespace, set adminNamespace").into())
        }
        [] => Err(reason.clone().into()),
        several => {
            let mut runners = Vec::new();
            for namespace in several {
                runners.extend(admin::runners(&others, namespace)?);
            }
            let text = format!(
                "{} leads to more than one flyteadmin: {}",
                calls.host(),
                few(runners.into_iter().map(|runner| runner.title))
            );
            Err(Note::new(text, "set adminNamespace to the namespace of the right one").into())
        }
    }
}

/// The CORS that is answered in front of flyteadmin on the host that a console calls, each with its route. Empty if one of the
/// routes answers no CORS, since browsers may come through that one.
fn front(others: &Others, namespace: &str, calls: &Origin) -> Vec<(String, Cors)> {
    let named = admin_routes::hosts(others, namespace).map(|hosts| hosts.named).unwrap_or_default();
    let led = named.into_iter().filter(|host| host.name == calls.host());
    led.map(|host| Some((host.route, host.cors?))).collect::<Option<_>>().unwrap_or_default()
}

/// Returns why a console may not reach flyteadmin at all: routes lead to flyteadmin, but none of them from the host
/// that the console calls. Without `calls`, that host is the console's own. `None` if one of them does, or if that is
/// not known.
pub(super) fn lost(
    namespace: &str,
    labels: Option<&Labels>,
    calls: Option<&Origin>,
    others: &Others,
    settings: &Settings,
) -> Option<Note> {
    let of_admin = settings.admin_namespace(namespace);
    let admin = admin_routes::hosts(others, of_admin).ok()?;
    if admin.doubt.is_some() || calls.is_some_and(Origin::is_loopback) {
        return None;
    }
    let Some(known) = admin.named.first() else {
        let calls =
            calls.filter(|_| admin_routes::services(others, of_admin).is_ok_and(|services| !services.is_empty()))?;
        let namespaces = routes::namespaces(others, Some(of_admin), calls.host()).ok()?;
        return (!namespaces.is_empty()).then(|| {
            let text = format!(
                "{} does not lead to flyteadmin: a route in namespace {} sends it elsewhere",
                calls.host(),
                Shortened(of_admin)
            );
            Note::new(text, "make that route lead to flyteadmin")
        });
    };
    let is_led = |origin: &Origin| admin.named.iter().any(|host| host.name == origin.host());
    let (name, route) = (Shortened(&known.name), &known.route);
    let mend = || format!("set ADMIN_API_URL to an address with host {name}, which leads to flyteadmin ({route})");
    if let Some(calls) = calls {
        return (!is_led(calls)).then(|| Note::new(format!("{} does not lead to flyteadmin", calls.host()), mend()));
    }
    let (pages, _) = pages::find_pages(others, settings, namespace, labels).ok()?;
    let lost = pages.iter().map(|page| &page.origins[0]).find(|origin| !is_led(origin))?;
    let text = format!(
        "ADMIN_API_URL is empty or not set, so flyteconsole calls its own host {}, which does not lead to flyteadmin",
        lost.host()
    );
    Some(Note::new(text, mend()))
}

/// Returns why users cannot log in to a console that flyteadmin allows: browsers do not send flyteadmin's cookies from
/// pages of other sites. `None` if users can log in, or if that is not known.
pub(super) fn no_login(console: &Console, others: &Others, settings: &Settings) -> Option<Note> {
    let Console { namespace, labels, calls, .. } = console;
    let admin = others.admin(&admin_namespace(console, others, settings).ok()?);
    let admin = admin.as_ref().as_ref().ok()?;
    let is_moot = admin.has_cookies_across_sites || admin.auth.is_err() || calls.is_loopback();
    if is_moot || !admin.security.use_auth.as_ref()?.value {
        return None;
    }
    let (pages, _) = pages::find_pages(others, settings, namespace, *labels).ok()?;
    let page = pages.iter().find(|page| !page.origins.iter().any(|origin| origin.may_be_same_site(calls)))?;
    let text = format!(
        "users cannot log in from {}: it is on a different site than {}, so browsers do not send flyteadmin's cookies",
        page.origins[0],
        calls.host()
    );
    let mend = format!(
        "serve both under one domain, or set auth.userAuth.cookieSetting.sameSitePolicy: NoneMode in {}",
        admin.at(None)
    );
    Some(Note::new(text, mend))
}

/// Whether the page's host is used with a port somewhere, so that an Ingress may be reached at a port other than the scheme's.
fn may_be_of_another_port(page: &Page, calls: &Origin, security: &Security) -> bool {
    let has_port = |origin: &Origin| origin.host() == page.origins[0].host() && origin.has_port();
    let listed = security.allowed_origins.iter().flat_map(|said| &said.value);
    has_port(calls) || listed.filter_map(|item| Origin::parse(&item.text).ok()).any(|origin| has_port(&origin))
}

fn cut_off(console: &Console, pages: &[&Page], why: Answer, admin: &Admin) -> Option<CutOff> {
    let origins = few(pages.iter().map(|page| page.origins[0].to_string()));
    // All of them, ready to paste.
    let each: Vec<String> = pages.iter().map(|page| page.origins[0].to_string()).collect();
    let list = each.join(", ");
    let place = why.place();
    let is_listed = |page: &&Page| {
        let lists =
            admin.security.allowed_origins.as_ref().map(|list| Answer::to_origin(list, &page.origins[0].to_string()));
        matches!(lists, Some(Answer::Allowed))
    };
    let at = admin.at(place);
    let (reason, mut mend) = match why {
        Answer::Allowed => return None,
        Answer::Off(_) if pages.iter().all(is_listed) => {
            (format!("allowCors is false in {at}"), "set allowCors: true there".to_owned())
        }
        Answer::Off(_) => {
            (format!("allowCors is false in {at}"), format!("set allowCors: true there, and allowedOrigins: [{list}]"))
        }
        Answer::Any(_) if place.is_none() => (
            format!(
                "allowedOrigins is not set in {at}, and browsers reject its default `*` for calls with credentials"
            ),
            format!("set server.security.allowedOrigins: [{list}] there"),
        ),
        Answer::Any(_) => (
            format!("allowedOrigins in {at} allows every origin, which browsers reject for calls with credentials"),
            format!("set allowedOrigins: [{list}] there"),
        ),
        Answer::NotListed(_) => {
            let dash = if place.is_some_and(|place| place.within.is_some()) { "- " } else { "" };
            let added: Vec<String> = each.iter().map(|origin| format!("`{dash}{origin}`")).collect();
            let added = added.join(", ");
            (format!("allowedOrigins in {at} does not list {origins}"), format!("add {added} to that list"))
        }
    };
    if pages.iter().any(|page| page.origins[0].is_plain_http()) {
        mend.push_str(", and add origins over http to the `allowHttp` setting of flyte-admin-cors too");
    }
    let mut from = BTreeSet::new();
    from.extend(pages.iter().map(|page| page.from.clone()));
    let problem =
        format!("{} at {origins} ({}) cannot call {}: {reason}", console.title, few(from.into_iter()), console.calls);
    let place = place.filter(|place| admin.is_of_request(place)).cloned();
    Some(CutOff { place, config_maps: admin.config_maps.clone(), problem, mend })
}

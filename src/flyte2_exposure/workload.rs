//! Workloads that run Flyte 2's server or its console: ports of the node, and Services and routes that already exist.

use super::{
    Found, identity, in_front, of_ways, rules,
    server::{self, LeadsTo, Ports},
    settings::Settings,
};
use crate::{
    admin_config::server::Server,
    admission::{self, AdmissionRequest},
    flyte,
    host::Host,
    image::Repository,
    installation::objects::Objects,
    text::Text,
    verdict::{Note, Notice, Place, Shortened, Unjudged, Verdict, Violation},
    view::view,
    workload::{Placed, Workload},
};

view! {
    struct Variable<'a> {
        "name" => name: Text<'a>,
    }
}

/// Checks the containers of a workload that run Flyte 2's server, or its console.
pub(super) fn judge(
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let workload = Workload::from_request(request)?;
    if request.is_update() && workload.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    for placed in workload.containers() {
        if is_console(&placed) {
            judge_console(&placed, verdict)?;
        }
        if !matches!(Server::from_container(&placed)?, Some(Server::FlyteTwo)) {
            continue;
        }
        verdict.seen.judged();
        let ports = Ports::from_container(&workload, &placed)?;
        judge_node_ports(&workload, &ports, settings, verdict)?;
        // A controller creates it, and findings about other objects are for its owner.
        if workload.is_controlled() {
            continue;
        }
        if let Err(reason) = judge_beside(&workload, &placed, &ports, request, settings, host, verdict) {
            let text = format!(
                "could not check whether callers can reach Flyte 2 without authentication, or act as other users: {reason}"
            );
            verdict.notices.push(Notice::new(rules::NOT_KNOWN, placed.place(), text));
        }
    }
    Ok(())
}

fn is_console(placed: &Placed) -> bool {
    Repository::parse(placed.container.image()).is_some_and(|image| image.name() == flyte::CONSOLE_2_IMAGE)
}

fn judge_console(placed: &Placed, verdict: &mut Verdict) -> Result<(), Unjudged> {
    verdict.seen.judged();
    let variables: Vec<Variable> = placed.list("env", placed.container.env)?;
    let is_it = |variable: &Variable| variable.name.as_deref() == Some(flyte::ADMIN_API_URL);
    if let Some(index) = variables.iter().position(is_it) {
        let place = Place { path: format!("{}.env[{index}]", placed.path()), ..placed.place() };
        let text = "Flyte 2's console does not read ADMIN_API_URL: it calls Flyte at its own origin, so both must be on one host";
        verdict.notices.push(Notice::new(rules::NO_EFFECT, place, Note::new(text, "remove ADMIN_API_URL")));
    }
    Ok(())
}

/// Checks the ports of the node that lead to Flyte 2.
fn judge_node_ports(
    workload: &Workload,
    ports: &Ports,
    settings: &Settings,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    if settings.is_authenticated(workload.metadata.name.as_deref().unwrap_or_default()) {
        return Ok(());
    }
    let mut refuse = |place: Place, what: &str, leads_to: LeadsTo, mend: &str| {
        let problem = format!("{what} leads to {}", leads_to.in_words());
        verdict.violations.push(Violation::new(rules::OPEN_PORT, place, problem, mend.to_owned()));
    };
    let path = format!("{}.hostNetwork", workload.pod_path);
    let is_on_node = workload.pod.host_network.map(admission::read_fields::<Option<bool>>).transpose();
    if is_on_node.map_err(|unjudged| unjudged.below(&path))?.flatten() == Some(true) {
        refuse(Place::at(path), "the node's address", LeadsTo::Api, "remove hostNetwork");
        return Ok(());
    }
    for (place, port, leads_to) in ports.of_node() {
        let place = Place { path: format!("{}.hostPort", place.path), ..place.clone() };
        refuse(place, &format!("port {} of the node", Shortened(port)), leads_to, "remove hostPort");
    }
    Ok(())
}

/// Checks other objects in the cluster that affect the workload.
fn judge_beside(
    workload: &Workload,
    placed: &Placed,
    ports: &Ports,
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), String> {
    let (objects, namespace, labels) = (Objects::beside(host), request.namespace(), workload.pod_labels());
    let mesh = in_front::of_mesh(&objects, namespace, labels)?;
    identity::judge(workload, placed, &objects, namespace, &mesh, verdict)?;
    let name = workload.metadata.name.as_deref().unwrap_or_default();
    let mut is_there = false;
    server::each(&objects, namespace, |other, _, _, _| {
        is_there |= other == name && request.kind().name() == "Deployment";
        Ok(())
    })?;
    // An UPDATE may give the pods labels that other Services select.
    if !is_there || request.is_update() {
        let believes = || identity::believes(workload, placed, &objects, namespace);
        for (title, found) in of_ways(&objects, namespace, labels, ports, settings, &mesh, &believes)? {
            verdict.add(
                match found {
                    Found::Wrong(rule, problem, mend) => {
                        Found::Wrong(rule, format!("{title} {problem}"), format!("in {title}: {mend}"))
                    }
                    Found::Worth(rule, Note { text, mend }) => {
                        Found::Worth(rule, Note::new(format!("{title} {text}"), format!("in {title}: {mend}")))
                    }
                },
                &placed.place(),
            );
        }
    }
    Ok(())
}

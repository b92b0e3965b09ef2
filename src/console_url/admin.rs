//! What flyteadmin's CORS comes to in a namespace.
//!
//! The container that runs flyteadmin says which ConfigMaps are mounted where it reads its files, and by flags and variables
//! what comes before them. Where there is no such Deployment, it is the one ConfigMap with a name of Flyte's charts.
//! Secrets that are mounted beside are not looked at.

use std::collections::BTreeMap;

use super::after::{After, title, unreadable};
use crate::{
    admin_config::{Place, Security, config_map, container, container::Overrides, files::Config},
    cluster::Listed,
    flyte,
    text::Text,
    verdict::{Shortened, Unjudged},
    view::view,
    workload::{self, Placed, Workload},
};

view! {
    struct Mount<'a> {
        "name" => name: Text<'a>,
        "mountPath" => path: Text<'a>,
    }

    struct Volume<'a> {
        "name" => name: Text<'a>,
        "configMap" => config_map: Named<'a>,
        "projected" => projected: Projected<'a>,
    }

    struct Projected<'a> {
        "sources" => sources: Vec<Source<'a>>,
    }

    struct Source<'a> {
        "configMap" => config_map: Named<'a>,
    }

    struct Named<'a> {
        "name" => name: Text<'a>,
    }
}

/// A flyteadmin.
pub(super) struct Admin {
    pub(super) security: Security,
    /// The names of the ConfigMaps it reads.
    pub(super) config_maps: Vec<String>,
    namespace: String,
    /// The Deployment that runs it, as people name it.
    deployment: Option<String>,
}

/// A container that runs flyteadmin.
struct Runs {
    deployment: String,
    is_named: bool,
    security: Security,
    config_maps: Vec<String>,
}

impl Admin {
    /// The flyteadmin of a namespace.
    ///
    /// # Errors
    ///
    /// Why it is not known what holds.
    pub(super) fn of(after: &After, namespace: &str) -> Result<Self, String> {
        let mut containers = Vec::new();
        after.find(Listed::Deployment, Some(namespace), |found| {
            let workload =
                Workload::deployment(found.object).map_err(|error| unreadable(Listed::Deployment, &error))?;
            for placed in workload.containers().filter(container::is_flyteadmin) {
                containers.push(runs(found.title(Listed::Deployment), &workload, &placed)?);
            }
            Ok(None::<()>)
        })?;
        // The image alone may run something else of Flyte's.
        if containers.iter().any(|runs| runs.is_named) {
            containers.retain(|runs| runs.is_named);
        }
        if let [one, other, ..] = &containers[..] {
            return Err(format!("{} and {} both run flyteadmin", one.deployment, other.deployment));
        }
        let runs = containers.pop();
        let mut config_maps = runs.as_ref().map(|runs| runs.config_maps.clone()).unwrap_or_default();
        if config_maps.is_empty() {
            config_maps = by_name(after, namespace)?;
        }
        let files = files(after, namespace, &config_maps)?;
        let (deployment, overrides) =
            runs.map_or((None, Security::default()), |runs| (Some(runs.deployment), runs.security));
        Ok(Self { security: overrides.before(files), config_maps, namespace: namespace.to_owned(), deployment })
    }

    /// Where something is said, as people say it.
    pub(super) fn at(&self, place: Option<&Place>) -> String {
        match place {
            // Where nobody says it, it can be said in a ConfigMap.
            None => self
                .config_maps
                .iter()
                .map(|name| title(Listed::ConfigMap, &self.namespace, name))
                .collect::<Vec<_>>()
                .join(", "),
            Some(Place { path, within: Some(within), .. }) => format!("{path} line {}", within.line),
            Some(Place { path, .. }) => format!("{} {path}", self.deployment.as_deref().unwrap_or_default()),
        }
    }
}

/// Whether a place is in the ConfigMap of the request, rather than in another object.
pub(super) fn is_of_request(place: &Place) -> bool {
    place.within.is_some() && !place.path.starts_with(OTHERS)
}

/// What the path to a file in another ConfigMap than the request's starts with.
const OTHERS: &str = "ConfigMap ";

fn runs(deployment: String, workload: &Workload, placed: &Placed) -> Result<Runs, String> {
    let unreadable = |error: Unjudged| unreadable(Listed::Deployment, &error);
    let Overrides { security, faults, remarks } = Overrides::read(placed).map_err(unreadable)?;
    let doubt = faults.into_iter().map(|fault| fault.problem);
    let mut doubt =
        doubt.chain(remarks.into_iter().filter(|(rule, ..)| *rule == container::NOT_KNOWN).map(|(_, _, text)| text));
    if let Some(doubt) = doubt.next() {
        return Err(format!("{deployment}: {doubt}"));
    }
    let mounts: Vec<Mount> = placed.list("volumeMounts", placed.container.volume_mounts).map_err(unreadable)?;
    let is_config = |mount: &&Mount| {
        let path = mount.path.as_deref().unwrap_or_default();
        flyte::ADMIN_CONFIG_FOLDERS.contains(&path.trim_end_matches('/'))
    };
    let mounted: Vec<&str> = mounts.iter().filter(is_config).filter_map(|mount| mount.name.as_deref()).collect();
    let volumes: Vec<Volume> =
        workload::list(|| format!("{}.volumes", workload.pod_path), workload.pod.volumes).map_err(unreadable)?;
    let volumes = volumes.iter().filter(|volume| volume.name.as_deref().is_some_and(|name| mounted.contains(&name)));
    let sources = volumes.flat_map(|volume| {
        let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        volume.config_map.iter().chain(projected.filter_map(|source| source.config_map.as_ref()))
    });
    let config_maps = sources.filter_map(|config_map| config_map.name.as_deref()).map(str::to_owned).collect();
    let is_named = flyte::ADMIN_CONTAINERS.contains(&placed.container.name());
    Ok(Runs { deployment, is_named, security, config_maps })
}

/// The one ConfigMap of flyteadmin's by its name.
fn by_name(after: &After, namespace: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    after.find(Listed::ConfigMap, Some(namespace), |found| {
        names.extend(config_map::deployment(&found.name).is_some().then_some(found.name));
        Ok(None::<()>)
    })?;
    match &names[..] {
        [] => Err(format!("there is no ConfigMap of flyteadmin's in namespace {}", Shortened(namespace))),
        [_] => Ok(names),
        _ => {
            let names: Vec<String> = names.iter().map(|name| Shortened(name).to_string()).collect();
            Err(format!("no Deployment says which of {} flyteadmin reads", names.join(", ")))
        }
    }
}

/// What the files of ConfigMaps that are mounted together come to.
fn files(after: &After, namespace: &str, names: &[String]) -> Result<Security, String> {
    let mut objects = Vec::new();
    for name in names {
        let object = after.find(Listed::ConfigMap, Some(namespace), |found| {
            Ok((found.name == *name).then(|| found.object.to_owned()))
        })?;
        let title = title(Listed::ConfigMap, namespace, name);
        let owner = if after.is_of_request(namespace, name) { String::new() } else { format!("{title} ") };
        objects.push((owner, object.ok_or_else(|| format!("{title}, which flyteadmin mounts, is not there"))?));
    }
    let unknown = |Unjudged { path, reason }: Unjudged| format!("{path}: {reason}");
    let mut files = BTreeMap::new();
    for (owner, object) in &objects {
        config_map::add_files(object, owner, &mut files).map_err(unknown)?;
    }
    let files: Vec<_> = files.into_values().collect();
    let mut config = Config::read(&files).map_err(unknown)?;
    let security = config.security().map_err(unknown)?;
    match config.faults.first() {
        Some(fault) => Err(format!("{}: {}", fault.place.path, fault.problem)),
        None => Ok(security),
    }
}

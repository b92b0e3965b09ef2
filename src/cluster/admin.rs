//! What flyteadmin's configuration comes to in a namespace.
//!
//! The container that runs flyteadmin says which ConfigMaps are mounted where it reads its files, and by flags and variables
//! what comes before them. Where no Deployment runs flyteadmin, it is the one ConfigMap with a name of Flyte's charts.
//! Secrets that are mounted beside are not looked at, nor is what flyteadmin's own `envFrom` brings.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ingress::{self, Hosts},
    objects::{Found, Objects, title},
};
use crate::{
    admin_config::{
        Security,
        auth::Auth,
        config_map, container,
        container::{Overrides, Remark},
        files::Config,
    },
    argv::CommandLine,
    flyte,
    host::Listed,
    text::Text,
    verdict::{Place, Shortened, Unjudged},
    view::view,
    workload::{self, Placed, Workload},
};

view! {
    struct Mount<'a> {
        "name" => name: Text<'a>,
        "mountPath" => path: Text<'a>,
        "subPath" => sub_path: Text<'a>,
        "subPathExpr" => sub_path_expr: Text<'a>,
    }

    struct Volume<'a> {
        "name" => name: Text<'a>,
        "configMap" => config_map: Source<'a>,
        "projected" => projected: Projected<'a>,
    }

    struct Projected<'a> {
        "sources" => sources: Vec<ProjectedSource<'a>>,
    }

    struct ProjectedSource<'a> {
        "configMap" => config_map: Source<'a>,
    }

    struct Source<'a> {
        "name" => name: Text<'a>,
        "optional" => optional: bool,
        "items" => items: Vec<serde::de::IgnoredAny>,
    }
}

/// A flyteadmin.
pub(crate) struct Admin {
    pub(crate) security: Security,
    /// Who gives out the tokens, or why that is not known.
    pub(crate) auth: Result<Auth, String>,
    /// The names of the ConfigMaps it reads.
    pub(crate) config_maps: Vec<String>,
    namespace: String,
    /// The Deployment that runs it, as people name it.
    deployment: Option<String>,
    /// The paths of those of its files that are in the ConfigMap of the request.
    own_files: BTreeSet<String>,
}

/// A container that runs flyteadmin.
struct Runs {
    deployment: String,
    is_named: bool,
    security: Security,
    /// A flag or variable about `auth`, which is not read.
    auth: Option<String>,
    config_maps: Vec<Mounted>,
}

/// A ConfigMap where flyteadmin reads its files.
struct Mounted {
    name: String,
    /// Whether it need not be there.
    optional: bool,
}

impl Admin {
    /// The flyteadmin of a namespace.
    ///
    /// # Errors
    ///
    /// Why it is not known what holds.
    pub(crate) fn of(objects: &Objects, namespace: &str) -> Result<Self, String> {
        let mut containers = Vec::new();
        each_server(objects, namespace, |found, workload, placed, line| {
            containers.push(runs(found, workload, placed, line)?);
            Ok(())
        })?;
        if containers.iter().any(|runs| runs.is_named) {
            containers.retain(|runs| runs.is_named);
        }
        if let [one, other, ..] = &containers[..] {
            return Err(format!("{} and {} both run flyteadmin", one.deployment, other.deployment));
        }
        let (deployment, overrides, auth, mounted) = match containers.pop() {
            Some(Runs { deployment, security, auth, config_maps, .. }) => {
                let unread = auth.map(|said| format!("{deployment} says {said}, which is not read"));
                (Some(deployment), security, unread, config_maps)
            }
            None => (None, Security::default(), None, by_name(objects, namespace)?),
        };
        let mut own_files = BTreeSet::new();
        let (files, of_files) = files(objects, namespace, &mounted, &mut own_files)?;
        let config_maps = mounted.into_iter().map(|mounted| mounted.name).collect();
        let namespace = namespace.to_owned();
        let auth = auth.map_or(of_files, Err);
        Ok(Self { security: overrides.before(files), auth, config_maps, namespace, deployment, own_files })
    }

    /// Where something is said, as people say it.
    pub(crate) fn at(&self, place: Option<&Place>) -> String {
        match place {
            // Where nobody says it, it can be said in a ConfigMap.
            None => {
                let titles = self.config_maps.iter().map(|name| title(Listed::ConfigMap, &self.namespace, name));
                titles.collect::<Vec<_>>().join(", ")
            }
            Some(Place { path, within: Some(within), .. }) => format!("{path} line {}", within.line),
            Some(Place { path, .. }) => format!("{} {path}", self.deployment.as_deref().unwrap_or_default()),
        }
    }

    /// Whether a place is in the ConfigMap of the request, rather than in another object.
    pub(crate) fn is_of_request(&self, place: &Place) -> bool {
        self.own_files.contains(&place.path)
    }
}

/// Gives each container of a namespace's Deployments that runs flyteadmin's server to `each`.
fn each_server(
    objects: &Objects,
    namespace: &str,
    mut each: impl FnMut(&Found, &Workload, &Placed, &CommandLine) -> Result<(), String>,
) -> Result<(), String> {
    objects.each(Listed::Deployment, Some(namespace), |found| {
        let unreadable = |error| found.unreadable(Listed::Deployment, &error);
        let workload = Workload::deployment(&found.object).map_err(unreadable)?;
        for placed in workload.containers().filter(container::is_flyteadmin) {
            let line = CommandLine::read(&placed).map_err(unreadable)?;
            // Something else may be in the image than the server.
            if line.run.serves() || is_named(&placed) {
                each(found, &workload, &placed, &line)?;
            }
        }
        Ok(())
    })
}

/// What a container says of the flyteadmin it runs.
fn runs(found: &Found, workload: &Workload, placed: &Placed, line: &CommandLine) -> Result<Runs, String> {
    let deployment = found.title(Listed::Deployment);
    let unreadable = |error: Unjudged| found.unreadable(Listed::Deployment, &error);
    let Overrides { security, faults, remarks } = Overrides::read(placed, line).map_err(unreadable)?;
    let unknown = remarks.into_iter().filter(|(remark, ..)| *remark == Remark::NotKnown).map(|(_, _, text)| text);
    if let Some(doubt) = faults.into_iter().map(|fault| fault.problem).chain(unknown).next() {
        return Err(format!("{deployment}: {doubt}"));
    }
    let auth = says_of_auth(line);
    let config_maps = mounted(workload, placed).map_err(unreadable)?;
    let is_named = is_named(placed);
    match config_maps.filter(|config_maps| !config_maps.is_empty()) {
        Some(config_maps) => Ok(Runs { deployment, is_named, security, auth, config_maps }),
        None => Err(format!(
            "{deployment} has its files from elsewhere than whole ConfigMaps at {}",
            flyte::ADMIN_CONFIG_FOLDERS[0]
        )),
    }
}

fn is_named(placed: &Placed) -> bool {
    flyte::ADMIN_CONTAINERS.contains(&placed.container.name())
}

/// A flag or a variable about `auth`, which come before the files.
fn says_of_auth(line: &CommandLine) -> Option<String> {
    const FLAG: &str = "--auth.";
    let mut flags = line.run.arguments.iter().map(|word| &word.value);
    let flag = flags.find(|value| value.text.starts_with(FLAG) || !value.is_known && FLAG.starts_with(&*value.text));
    let flag = flag.map(|value| value.text.split('=').next().unwrap_or_default());
    let mut names = line.variables().map(|variable| variable.name);
    let said = flag.or_else(|| names.find(|name| *name == "AUTH" || name.starts_with("AUTH.")));
    said.map(|name| Shortened(name).to_string())
}

/// The hosts from which Ingresses lead to the flyteadmins of a namespace.
///
/// # Errors
///
/// Why they are not known.
pub(crate) fn hosts(objects: &Objects, namespace: &str) -> Result<Hosts, String> {
    let mut services = BTreeSet::new();
    each_server(objects, namespace, |_, workload, _, _| {
        services.extend(ingress::services(objects, namespace, workload.pod_labels())?);
        Ok(())
    })?;
    ingress::hosts(objects, namespace, &services)
}

/// The ConfigMaps that are mounted where flyteadmin reads its files; `None` where single files are.
fn mounted(workload: &Workload, placed: &Placed) -> Result<Option<Vec<Mounted>>, Unjudged> {
    let mounts: Vec<Mount> = placed.list("volumeMounts", placed.container.volume_mounts)?;
    let mut names = Vec::new();
    for Mount { name, path, sub_path, sub_path_expr, .. } in &mounts {
        let path = path.as_deref().unwrap_or_default().trim_end_matches('/');
        let is_part = sub_path.is_some() || sub_path_expr.is_some();
        for folder in flyte::ADMIN_CONFIG_FOLDERS {
            match path.strip_prefix(folder) {
                Some("") if !is_part => names.extend(name.as_deref()),
                Some(below) if below.is_empty() || below.starts_with('/') => return Ok(None),
                _ => {}
            }
        }
    }
    let volumes: Vec<Volume> = workload::list(|| format!("{}.volumes", workload.pod_path), workload.pod.volumes)?;
    let mut config_maps = Vec::new();
    for Volume { name, config_map, projected, .. } in &volumes {
        if !name.as_deref().is_some_and(|name| names.contains(&name)) {
            continue;
        }
        let projected = projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        for Source { name, optional, items, .. } in
            config_map.iter().chain(projected.filter_map(|source| source.config_map.as_ref()))
        {
            if items.is_some() {
                return Ok(None);
            }
            let name = name.as_deref().unwrap_or_default().to_owned();
            config_maps.push(Mounted { name, optional: optional.unwrap_or(false) });
        }
    }
    Ok(Some(config_maps))
}

/// The one ConfigMap of flyteadmin's by its name.
fn by_name(objects: &Objects, namespace: &str) -> Result<Vec<Mounted>, String> {
    let mut names = Vec::new();
    objects.each(Listed::ConfigMap, Some(namespace), |found| {
        if config_map::deployment(&found.name).is_some() {
            names.push(Mounted { name: found.name.clone(), optional: false });
        }
        Ok(())
    })?;
    match &names[..] {
        [] => Err(format!(
            "there is no ConfigMap of flyteadmin's in namespace {}; if flyteadmin is in another, the settings can say so",
            Shortened(namespace)
        )),
        [_] => Ok(names),
        [one, other, ..] => Err(format!(
            "no Deployment says whether flyteadmin reads {} or {}",
            Shortened(&one.name),
            Shortened(&other.name)
        )),
    }
}

/// What the files of ConfigMaps that are mounted together come to.
fn files(
    objects: &Objects,
    namespace: &str,
    config_maps: &[Mounted],
    own_files: &mut BTreeSet<String>,
) -> Result<(Security, Result<Auth, String>), String> {
    let mut mounted = Vec::new();
    for Mounted { name, optional } in config_maps {
        let object = objects.find(Listed::ConfigMap, Some(namespace), |found| {
            Ok((found.name == *name).then(|| found.object.clone()))
        })?;
        match object {
            Some(object) => mounted.push((name, object)),
            None if *optional => {}
            None => {
                let title = title(Listed::ConfigMap, namespace, name);
                return Err(format!("{title}, which flyteadmin mounts, is not there"));
            }
        }
    }
    let unknown = |Unjudged { path, reason }: Unjudged| format!("{path}: {reason}");
    let mut files = BTreeMap::new();
    for (name, object) in &mounted {
        if objects.is_of_request(namespace, name) {
            let mut own = BTreeMap::new();
            config_map::add_files(object, "", &mut own).map_err(unknown)?;
            own_files.extend(own.values().map(|file| file.path.clone()));
            files.extend(own);
        } else {
            let owner = format!("{} ", title(Listed::ConfigMap, namespace, name));
            config_map::add_files(object, &owner, &mut files).map_err(unknown)?;
        }
    }
    let files: Vec<_> = files.into_values().collect();
    let mut config = Config::read(&files).map_err(unknown)?;
    let security = config.security().map_err(unknown)?;
    match config.faults.first() {
        Some(fault) => Err(format!("{}: {}", fault.place.path, fault.problem)),
        None => {
            let auth = config.auth().map_err(|fault| format!("{}: {}", fault.place.path, fault.problem));
            Ok((security, auth))
        }
    }
}

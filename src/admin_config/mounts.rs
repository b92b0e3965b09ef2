//! Where flyteadmin's files come from: the volumes that are mounted where `--config` looks.
//!
//! `--config` is a glob, and the files that match it are merged in the order of their names, whichever volume brings them. A
//! volume is mounted as a folder, or one file of it by `subPath`; `items` gives other names to its files. What a Secret or a
//! volume of another kind brings is not seen.
//!
//! Source: `flytestdlib/config/files/finder.go` of [flyteorg/flyte](https://github.com/flyteorg/flyte) v1.16.8, and the
//! [reference of volumes](https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume/).

use crate::{
    flyte, pattern,
    text::Text,
    verdict::{Shortened, Unjudged},
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
        "configMap" => config_map: Listed<'a>,
        "secret" => secret: Listed<'a>,
        "projected" => projected: Projected<'a>,
    }

    /// The sources of a volume, which say what they bring as volumes do.
    struct Projected<'a> {
        "sources" => sources: Vec<Volume<'a>>,
    }

    struct Listed<'a> {
        "name" => name: Text<'a>,
        /// A Secret's name where it is a volume by itself.
        "secretName" => secret_name: Text<'a>,
        "optional" => optional: bool,
        "items" => items: Vec<Item<'a>>,
    }

    struct Item<'a> {
        "key" => key: Text<'a>,
        "path" => path: Text<'a>,
    }
}

/// What flyteadmin's files come from.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The ConfigMaps, in the order of the volumes.
    pub(crate) config_maps: Vec<Source>,
    /// What brings files that are not seen, as people name it.
    pub(crate) unseen: Vec<String>,
    /// The Secrets that are mounted, wherever.
    #[cfg(feature = "flyte-oauth-tls")]
    pub(crate) secrets: Vec<Mounted>,
}

/// A Secret that is mounted.
#[cfg(feature = "flyte-oauth-tls")]
#[derive(Debug)]
pub(crate) struct Mounted {
    pub(crate) secret: String,
    picks: Picks,
    /// Where, without a slash at the end.
    path: String,
    /// What of it, where that is one file.
    part: Option<String>,
}

#[cfg(feature = "flyte-oauth-tls")]
impl Mounted {
    /// The key of the Secret that is a file.
    pub(crate) fn key(&self, file: &str) -> Option<String> {
        let name = match &self.part {
            Some(part) => (self.path == file).then_some(&**part)?,
            None => file.strip_prefix(&*self.path)?.strip_prefix('/')?,
        };
        match &self.picks {
            Picks::All => Some(name.to_owned()),
            Picks::Some(picks) => picks.iter().find(|(_, own)| own == name).map(|(key, _)| key.clone()),
        }
    }
}

/// A ConfigMap that brings files.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    /// Whether it need not be there.
    pub(crate) optional: bool,
    picks: Picks,
    /// The names of files that are read, as a pattern.
    names: String,
}

/// The keys of an object that are mounted, and the names of their files.
#[derive(Debug)]
enum Picks {
    /// All, by their own names.
    All,
    Some(Vec<(String, String)>),
}

impl Source {
    /// A ConfigMap all of whose keys are files in flyteadmin's folder.
    pub(crate) fn whole(name: String) -> Self {
        Self { name, optional: false, picks: Picks::All, names: "*.yaml".to_owned() }
    }

    /// The name of the file that flyteadmin reads a key as, if it does.
    pub(crate) fn file<'k>(&'k self, key: &'k str) -> Option<&'k str> {
        let file = match &self.picks {
            Picks::All => key,
            Picks::Some(picks) => picks.iter().find(|(own, _)| own == key).map(|(_, file)| &**file)?,
        };
        pattern::matches(&self.names, file).then_some(file)
    }
}

/// A glob as `--config` takes it: a folder, and the names of files in it.
#[derive(Clone, Copy)]
struct Glob<'g> {
    folder: &'g str,
    names: &'g str,
}

impl<'g> Glob<'g> {
    /// `None` where it is one that is not read here.
    fn of(path: &'g str) -> Option<Self> {
        let (folder, names) = path.rsplit_once('/')?;
        let is_plain = !folder.contains('*') && !path.contains(['?', '[', '\\']) && folder.starts_with('/');
        is_plain.then_some(Self { folder, names })
    }

    /// Those that flyteadmin starts with where it is told none.
    fn defaults() -> impl Iterator<Item = Self> {
        flyte::ADMIN_CONFIG_FILES.iter().filter_map(|files| Self::of(files))
    }

    /// The name of the file that a path leads to, if it is among these.
    fn file(self, path: &str) -> Option<&str> {
        let name = path.strip_prefix(self.folder)?.strip_prefix('/')?;
        (!name.contains('/') && pattern::matches(self.names, name)).then_some(name)
    }
}

/// Whether something is mounted where a glob looks, or a file that it matches.
pub(super) fn brings(placed: &Placed, glob: &str) -> bool {
    let Some(glob) = Glob::of(glob) else { return false };
    let mounts: Vec<Mount> = placed.list("volumeMounts", placed.container.volume_mounts).unwrap_or_default();
    let path = |mount: &Mount| mount.path.as_deref().unwrap_or_default().trim_end_matches('/').to_owned();
    mounts.iter().map(path).any(|path| path == glob.folder || glob.file(&path).is_some())
}

impl Files {
    /// The files of a container whose flyteadmin is told `--config` or, where it is `None`, starts without it.
    ///
    /// # Errors
    ///
    /// A mount or a volume has another type than Kubernetes gives it.
    pub(crate) fn of(workload: &Workload, placed: &Placed, config: Option<&str>) -> Result<Self, Unjudged> {
        let globs: Vec<Glob> = match config {
            Some(config) => Glob::of(config).into_iter().collect(),
            None => Glob::defaults().collect(),
        };
        let mut files = Self::default();
        let mounts: Vec<Mount> = placed.list("volumeMounts", placed.container.volume_mounts)?;
        let volumes: Vec<Volume> = workload::list(|| format!("{}.volumes", workload.pod_path), workload.pod.volumes)?;
        // A file that is mounted by itself lies over what its folder brings, wherever it stands in the list.
        let (folders, parts): (Vec<_>, Vec<_>) = mounts.iter().partition(|mount| mount.sub_path.is_none());
        for mount in folders.into_iter().chain(parts) {
            let Some(volume) = volumes.iter().find(|volume| volume.name == mount.name) else { continue };
            for glob in &globs {
                files.add(mount, volume, *glob);
            }
            #[cfg(feature = "flyte-oauth-tls")]
            files.add_secrets(mount, volume);
        }
        Ok(files)
    }

    #[cfg(feature = "flyte-oauth-tls")]
    fn add_secrets(&mut self, mount: &Mount, volume: &Volume) {
        let path = mount.path.as_deref().unwrap_or_default().trim_end_matches('/');
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        for secret in volume.secret.iter().chain(sources.filter_map(|source| source.secret.as_ref())) {
            let pick = |Item { key, path, .. }: &Item| Some((key.as_deref()?.to_owned(), path.as_deref()?.to_owned()));
            let picks = match &secret.items {
                None => Picks::All,
                Some(items) => Picks::Some(items.iter().filter_map(pick).collect()),
            };
            let part = mount.sub_path.as_deref().filter(|part| !part.is_empty()).map(str::to_owned);
            self.secrets.push(Mounted { secret: secret.name().to_owned(), picks, path: path.to_owned(), part });
        }
    }

    /// Adds what a volume brings where it is mounted.
    fn add(&mut self, mount: &Mount, volume: &Volume, glob: Glob) {
        let path = mount.path.as_deref().unwrap_or_default().trim_end_matches('/');
        let part = match (mount.sub_path.as_deref(), &mount.sub_path_expr) {
            (None | Some(""), None) if path == glob.folder => None,
            (Some(part), None) if !part.is_empty() && path != glob.folder => match glob.file(path) {
                Some(file) => Some((part, file)),
                None => return,
            },
            // A folder below, or one around the whole: it would take a volume with folders of its own.
            _ => {
                if path == glob.folder || glob.folder.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')) {
                    self.unseen.push(format!("the files at {}, which the policy does not follow", Shortened(path)));
                }
                return;
            }
        };
        let projected = || volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        let config_maps =
            || volume.config_map.iter().chain(projected().filter_map(|source| source.config_map.as_ref()));
        for listed in config_maps() {
            self.config_maps.extend(listed.source(part, glob));
        }
        let is_chart_own = |secret: &str| {
            // It has the passwords of the database, of the storage and of OAuth, and never `server`.
            secret.ends_with("-config-secret")
                && config_maps().any(|own| own.name() == &secret[..secret.len() - "-secret".len()])
        };
        let secrets = volume.secret.iter().chain(projected().filter_map(|source| source.secret.as_ref()));
        for secret in secrets.filter(|secret| secret.source(part, glob).is_some() && !is_chart_own(secret.name())) {
            self.unseen.push(format!("Secret {}, which the policy does not read", Shortened(secret.name())));
        }
        if volume.config_map.is_none() && volume.secret.is_none() && volume.projected.is_none() {
            let name = volume.name.as_deref().unwrap_or_default();
            self.unseen.push(format!("volume {}, which is not a ConfigMap", Shortened(name)));
        }
    }
}

impl Listed<'_> {
    fn name(&self) -> &str {
        self.secret_name.as_deref().or(self.name.as_deref()).unwrap_or_default()
    }

    /// What it brings, of which `part` may be mounted alone, as the file of that name; `None` where that is nothing.
    fn source(&self, part: Option<(&str, &str)>, glob: Glob) -> Option<Source> {
        let picks = match (&self.items, part) {
            (None, None) => Picks::All,
            (None, Some((key, file))) => Picks::Some(vec![(key.to_owned(), file.to_owned())]),
            (Some(items), part) => Picks::Some(
                items
                    .iter()
                    .filter_map(|Item { key, path, .. }| {
                        let path = path.as_deref()?;
                        let file = match part {
                            None => Some(path),
                            Some((part, file)) => (part == path).then_some(file),
                        };
                        Some((key.as_deref()?.to_owned(), file?.to_owned()))
                    })
                    .collect(),
            ),
        };
        if matches!(&picks, Picks::Some(picks) if picks.is_empty()) {
            return None;
        }
        let optional = self.optional.unwrap_or(false);
        Some(Source { name: self.name().to_owned(), optional, picks, names: glob.names.to_owned() })
    }
}

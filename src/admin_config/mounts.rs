//! Finds where flyteadmin's files come from: the volumes that are mounted where `--config` looks.
//!
//! `--config` is a glob, and the files that match it are merged in the order of their names, whichever volume they come from. A
//! volume is mounted as a folder, or as one of its files by `subPath`; `items` renames its files. Files of Secrets and of
//! other kinds of volumes are not read.
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

    /// The sources of a projected volume, with the same fields as volumes.
    struct Projected<'a> {
        "sources" => sources: Vec<Volume<'a>>,
    }

    struct Listed<'a> {
        "name" => name: Text<'a>,
        /// The name of a Secret that is a whole volume.
        "secretName" => secret_name: Text<'a>,
        "optional" => optional: bool,
        "items" => items: Vec<Item<'a>>,
    }

    struct Item<'a> {
        "key" => key: Text<'a>,
        "path" => path: Text<'a>,
    }
}

/// The sources of flyteadmin's files.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The ConfigMaps, in the order of the volumes.
    pub(crate) config_maps: Vec<Source>,
    /// The sources of files that are not read, as messages name them.
    pub(crate) unseen: Vec<String>,
    /// All mounted Secrets, wherever they are mounted.
    #[cfg(feature = "flyte-oauth-tls")]
    pub(crate) secrets: Vec<Mounted>,
}

/// A mounted Secret.
#[cfg(feature = "flyte-oauth-tls")]
#[derive(Debug)]
pub(crate) struct Mounted {
    pub(crate) secret: String,
    picks: Picks,
    /// The mount path, without a slash at the end.
    path: String,
    /// The file of it, if only one is mounted.
    part: Option<String>,
}

#[cfg(feature = "flyte-oauth-tls")]
impl Mounted {
    /// The key of the Secret that is mounted as a file.
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

/// A ConfigMap that provides files.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    /// Whether it may be missing.
    pub(crate) optional: bool,
    picks: Picks,
    /// The pattern of the file names that are read.
    names: String,
}

/// The keys of an object that are mounted, and the names of their files.
#[derive(Debug)]
enum Picks {
    /// All keys, as files of the same names.
    All,
    Some(Vec<(String, String)>),
}

impl Source {
    /// A ConfigMap whose keys are all files in flyteadmin's folder.
    pub(crate) fn whole(name: String) -> Self {
        Self { name, optional: false, picks: Picks::All, names: "*.yaml".to_owned() }
    }

    /// The name of the file that flyteadmin reads for a key, if any.
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
    /// Splits a path into the folder and the names. `None` for a glob that is not supported here.
    fn parse(path: &'g str) -> Option<Self> {
        let (folder, names) = path.rsplit_once('/')?;
        let is_plain = !folder.contains('*') && !path.contains(['?', '[', '\\']) && folder.starts_with('/');
        is_plain.then_some(Self { folder, names })
    }

    /// The globs for a flyteadmin that starts without `--config`.
    fn defaults() -> impl Iterator<Item = Self> {
        flyte::ADMIN_CONFIG_FILES.iter().filter_map(|files| Self::parse(files))
    }

    /// The file name of a path, if the glob matches it.
    fn file(self, path: &str) -> Option<&str> {
        let name = path.strip_prefix(self.folder)?.strip_prefix('/')?;
        (!name.contains('/') && pattern::matches(self.names, name)).then_some(name)
    }
}

/// Whether something is mounted at a glob's folder, or as a file that it matches.
pub(super) fn brings(placed: &Placed, glob: &str) -> bool {
    let Some(glob) = Glob::parse(glob) else { return false };
    let mounts: Vec<Mount> = placed.list("volumeMounts", placed.container.volume_mounts).unwrap_or_default();
    let path = |mount: &Mount| mount.path.as_deref().unwrap_or_default().trim_end_matches('/').to_owned();
    mounts.iter().map(path).any(|path| path == glob.folder || glob.file(&path).is_some())
}

impl Files {
    /// The files of a container. `config` is its `--config`; `None` if flyteadmin starts without one.
    ///
    /// # Errors
    ///
    /// A mount or a volume has the wrong type.
    pub(crate) fn from_mounts(workload: &Workload, placed: &Placed, config: Option<&str>) -> Result<Self, Unjudged> {
        let globs: Vec<Glob> = match config {
            Some(config) => Glob::parse(config).into_iter().collect(),
            None => Glob::defaults().collect(),
        };
        let mut files = Self::default();
        let mounts: Vec<Mount> = placed.list("volumeMounts", placed.container.volume_mounts)?;
        let volumes: Vec<Volume> = workload::list(|| format!("{}.volumes", workload.pod_path), workload.pod.volumes)?;
        // A file that is mounted by itself hides the one of its folder, whichever is first in the list.
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

    /// Adds the files of a volume at its mount path.
    fn add(&mut self, mount: &Mount, volume: &Volume, glob: Glob) {
        let path = mount.path.as_deref().unwrap_or_default().trim_end_matches('/');
        let part = match (mount.sub_path.as_deref(), &mount.sub_path_expr) {
            (None | Some(""), None) if path == glob.folder => None,
            (Some(part), None) if !part.is_empty() && path != glob.folder => match glob.file(path) {
                Some(file) => Some((part, file)),
                None => return,
            },
            // This is a folder within the volume, or a mount of a parent folder. Both need a volume with folders.
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
            // The chart's own Secret holds passwords of the database, the storage and OAuth, and never a section
            // `server`.
            secret.ends_with("-config-secret")
                && config_maps().any(|own| own.name() == &secret[..secret.len() - "-secret".len()])
        };
        let secrets = volume.secret.iter().chain(projected().filter_map(|source| source.secret.as_ref()));
        for secret in secrets.filter(|secret| secret.source(part, glob).is_some() && !is_chart_own(secret.name())) {
            self.unseen.push(format!("Secret `{}`, which the policy does not read", Shortened(secret.name())));
        }
        if volume.config_map.is_none() && volume.secret.is_none() && volume.projected.is_none() {
            let name = volume.name.as_deref().unwrap_or_default();
            self.unseen.push(format!("volume `{}`, which is not a ConfigMap", Shortened(name)));
        }
    }
}

impl Listed<'_> {
    fn name(&self) -> &str {
        self.secret_name.as_deref().or(self.name.as_deref()).unwrap_or_default()
    }

    /// Returns the files that it provides. With `part`, the path in the volume and the name of the file, it provides
    /// only that file. `None` if it provides none.
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

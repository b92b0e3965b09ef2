//! flyteadmin's configuration in a namespace.
//!
//! The container that runs flyteadmin shows what is mounted where flyteadmin reads its files, and its flags and variables
//! override these. If no Deployment runs flyteadmin, the only ConfigMap with a name of Flyte's charts counts. Secrets are not
//! read, nor is flyteadmin's own `envFrom`.

use std::collections::{BTreeMap, BTreeSet};

use super::objects::{Found, Objects, title};
#[cfg(feature = "flyte-oauth-tls")]
use crate::admin_config::mounts::Mounted;
#[cfg(any(feature = "flyte-admin-cors", feature = "flyte-console-url"))]
use crate::verdict::Note;
use crate::{
    admin_config::{
        Fault, Security,
        auth::Auth,
        config_map,
        container::{Overrides, OwnTls, Remark},
        files::{Config, File},
        mounts::{Files, Source},
        server::{self, Server},
    },
    argv::CommandLine,
    host::Listed,
    verdict::{Place, Shortened, Unjudged},
    workload::{Placed, Workload},
};

/// A container that runs flyteadmin's server.
pub(crate) struct Runner {
    /// The title of its Deployment.
    pub(crate) title: String,
    /// The name of its Deployment.
    pub(crate) deployment: String,
    /// Whether it is Flyte 2's, which has no flyteadmin.
    pub(crate) is_flyte_two: bool,
    is_named: bool,
    /// The options that override its files, or why they are not known.
    pub(crate) overrides: Result<Security, String>,
    /// A flag or variable for `auth`, which is not read.
    auth: Option<String>,
    files: Files,
    /// Its flags and variables for TLS that it serves itself.
    pub(crate) tls: OwnTls,
    /// Its release, if the tag of its image shows it: `[1, 16, 8]`.
    #[cfg(any(feature = "flyte-admin-cors", feature = "flyte-console-url"))]
    pub(crate) release: Option<[u32; 3]>,
}

/// The configuration of a flyteadmin.
pub(crate) struct Admin {
    pub(crate) security: Security,
    /// Why the options are not certain, if something that is not seen may override them.
    pub(crate) doubt: Option<String>,
    /// The issuer of the tokens, or why it is not known.
    pub(crate) auth: Result<Auth, String>,
    /// The names of the ConfigMaps that it reads.
    pub(crate) config_maps: Vec<String>,
    /// Why its release sends no CORS headers at all, even to allowed origins.
    #[cfg(feature = "flyte-console-url")]
    pub(crate) serves_none: Option<Note>,
    /// Whether browsers send its cookies from pages of other sites.
    #[cfg(feature = "flyte-console-url")]
    pub(crate) has_cookies_across_sites: bool,
    namespace: String,
    /// The title of the Deployment that runs it.
    deployment: Option<String>,
    /// The paths of its files that are in the ConfigMap of the request.
    own_files: BTreeSet<String>,
}

/// Files that are mounted together, merged as far as they are seen.
pub(crate) struct Reading {
    pub(crate) config: Config,
    /// Sources of other files that are not read, as messages name them.
    pub(crate) unseen: Vec<String>,
    /// The paths of the files that are in the ConfigMap of the request.
    pub(crate) own_files: BTreeSet<String>,
    /// The name of the first ConfigMap with a file, or the first of all. An option that no file sets can be set there.
    pub(crate) first: Option<String>,
}

impl Admin {
    /// Finds the flyteadmin of a namespace.
    ///
    /// # Errors
    ///
    /// Why its configuration is not known.
    pub(crate) fn find(objects: &Objects, namespace: &str) -> Result<Self, String> {
        let mut runners = runners(objects, namespace)?;
        if runners.iter().any(|runner| runner.is_flyte_two) {
            runners.retain(|runner| !runner.is_flyte_two);
            if runners.is_empty() {
                return Err(format!("namespace {} runs Flyte 2, which has no flyteadmin", Shortened(namespace)));
            }
        }
        if runners.iter().any(|runner| runner.is_named) {
            runners.retain(|runner| runner.is_named);
        }
        if let [one, other, ..] = &runners[..] {
            return Err(format!("{} and {} both run flyteadmin", one.title, other.title));
        }
        let runner = runners.pop();
        #[cfg(feature = "flyte-console-url")]
        let own = runner.as_ref().map(|runner| (runner.release, runner.tls.clone()));
        let (deployment, overrides, auth, files) = match runner {
            Some(Runner { title, overrides, auth, files, .. }) => {
                if files.config_maps.is_empty() && files.unseen.is_empty() {
                    return Err(format!("{title} does not mount a configuration file where flyteadmin reads it"));
                }
                let unread = auth.map(|said| format!("{title} sets {said}, which is not checked"));
                (Some(title), overrides?, unread, files)
            }
            None => (None, Security::default(), None, by_name(objects, namespace)?),
        };
        let Reading { mut config, unseen, own_files, .. } = reading(objects, namespace, &files)?;
        let security = config.security().map_err(Unjudged::in_words)?;
        if let Some(fault) = config.faults.first() {
            return Err(with_place(fault));
        }
        let of_files = config.auth().map_err(|fault| with_place(&fault));
        let doubt = (!unseen.is_empty()).then(|| not_seen(&unseen));
        let auth = auth.map_or(of_files, Err).and_then(|auth| doubt.clone().map_or(Ok(auth), Err));
        #[cfg(feature = "flyte-console-url")]
        let (serves_none, doubt) = match own {
            Some((Some(release), tls)) => (serves_none(release, &tls, &mut config), doubt),
            Some((None, tls)) if config.serves_tls(&tls) => {
                let unknown = "flyteadmin serves TLS itself, so releases before v1.13.3 send no CORS headers, and its image tag \
                               does not show the release";
                (None, doubt.or_else(|| Some(unknown.to_owned())))
            }
            _ => (None, doubt),
        };
        let config_maps = files.config_maps.into_iter().map(|source| source.name).collect();
        let namespace = namespace.to_owned();
        Ok(Self {
            security: overrides.before(security),
            doubt,
            auth,
            config_maps,
            #[cfg(feature = "flyte-console-url")]
            serves_none,
            #[cfg(feature = "flyte-console-url")]
            has_cookies_across_sites: config.has_cookies_across_sites(),
            namespace,
            deployment,
            own_files,
        })
    }

    /// Describes a place, for messages.
    pub(crate) fn at(&self, place: Option<&Place>) -> String {
        match place {
            // An option that nothing sets can be set in a ConfigMap.
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

/// Returns why a release sends no CORS headers at all, even to allowed origins: before v1.13.3, a flyteadmin that
/// served TLS itself sent none (pull request 5855 of flyteorg/flyte).
#[cfg(any(feature = "flyte-admin-cors", feature = "flyte-console-url"))]
pub(crate) fn serves_none(release: [u32; 3], tls: &OwnTls, config: &mut Config) -> Option<Note> {
    let [major, minor, patch] = release;
    (release < [1, 13, 3] && config.serves_tls(tls)).then(|| {
        Note::new(
            format!("flyteadmin v{major}.{minor}.{patch} sends no CORS headers if server.security.secure is true"),
            "use flyteadmin v1.13.3 or later, or terminate TLS in front of flyteadmin",
        )
    })
}

/// Returns the release in the tag of one of Flyte's images, such as `v1.16.8`.
#[cfg(any(feature = "flyte-admin-cors", feature = "flyte-console-url"))]
fn release(image: &str) -> Option<[u32; 3]> {
    let (_, tag) = image.split('@').next()?.rsplit_once(':')?;
    // `v1.10.7-b2` is a test build of v1.10.7, and a mirror may leave out the `v`.
    let number = tag.strip_prefix('v').unwrap_or(tag).split('-').next()?;
    let mut parts = number.split('.').map(|part| part.parse().ok());
    let release = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(release)
}

/// The text for files of flyteadmin that are not read.
pub(crate) fn not_seen(unseen: &[String]) -> String {
    format!("flyteadmin also reads {}", unseen.join(" and "))
}

/// Calls `each` for every container of a namespace's Deployments that runs flyteadmin's server, or Flyte 2's.
pub(crate) fn each_server(
    objects: &Objects,
    namespace: &str,
    mut each: impl FnMut(&Found, &Workload, &Placed, &Server) -> Result<(), String>,
) -> Result<(), String> {
    objects.each(Listed::Deployment, Some(namespace), |found| {
        let unreadable = |error| found.unreadable(Listed::Deployment, &error);
        let workload = Workload::deployment(&found.object).map_err(unreadable)?;
        for placed in workload.containers() {
            match Server::from_container(&placed).map_err(unreadable)? {
                // The image may run something other than the server.
                Some(Server::Admin(line)) if !line.run.serves() && !server::is_named(&placed) => {}
                Some(server) => each(found, &workload, &placed, &server)?,
                None => {}
            }
        }
        Ok(())
    })
}

/// The containers of a namespace that run flyteadmin's server, or Flyte 2's.
///
/// # Errors
///
/// Why they are not known.
pub(crate) fn runners(objects: &Objects, namespace: &str) -> Result<Vec<Runner>, String> {
    let mut runners = Vec::new();
    each_server(objects, namespace, |found, workload, placed, server| {
        runners.push(Runner::from_workload(found, workload, placed, server)?);
        Ok(())
    })?;
    Ok(runners)
}

/// Merges files that are mounted together.
///
/// # Errors
///
/// A file cannot be read, or the host cannot list the ConfigMaps.
pub(crate) fn reading(objects: &Objects, namespace: &str, files: &Files) -> Result<Reading, String> {
    Reading::merge(objects, namespace, files).map_err(Unjudged::in_words)
}

impl Runner {
    /// Creates a runner that reads a ConfigMap, from the ConfigMap's name alone.
    pub(crate) fn of_name(config_map: &str, is_flyte_two: bool) -> Self {
        let deployment = config_map::deployment(config_map).unwrap_or("<flyteadmin's Deployment>").to_owned();
        let files = Files { config_maps: vec![Source::whole(config_map.to_owned())], ..Files::default() };
        let title = String::new();
        Self {
            title,
            deployment,
            is_flyte_two,
            is_named: false,
            overrides: Ok(Security::default()),
            auth: None,
            files,
            tls: OwnTls::default(),
            #[cfg(any(feature = "flyte-admin-cors", feature = "flyte-console-url"))]
            release: None,
        }
    }

    fn from_workload(found: &Found, workload: &Workload, placed: &Placed, server: &Server) -> Result<Self, String> {
        let title = found.title(Listed::Deployment);
        let unreadable = |error: Unjudged| found.unreadable(Listed::Deployment, &error);
        let (overrides, auth, config, tls) = match server {
            Server::FlyteTwo => (Ok(Security::default()), None, None, OwnTls::default()),
            Server::Admin(line) => {
                let Overrides { security, faults, remarks, config, tls } =
                    Overrides::from_container(placed, line).map_err(unreadable)?;
                let unknown = remarks
                    .into_iter()
                    .filter(|(remark, ..)| *remark == Remark::NotKnown)
                    .map(|(_, _, note)| note.text);
                let doubt = faults.into_iter().map(|fault| fault.problem).chain(unknown).next();
                let overrides = doubt.map_or(Ok(security), |doubt| Err(format!("{title}: {doubt}")));
                (overrides, says_of_auth(line), config, tls)
            }
        };
        let files = Files::from_mounts(workload, placed, config.as_deref()).map_err(unreadable)?;
        let (is_flyte_two, is_named) = (matches!(server, Server::FlyteTwo), server::is_named(placed));
        Ok(Self {
            title,
            deployment: found.name.clone(),
            is_flyte_two,
            is_named,
            overrides,
            auth,
            files,
            tls,
            #[cfg(any(feature = "flyte-admin-cors", feature = "flyte-console-url"))]
            release: release(placed.container.image()),
        })
    }

    /// The parts of its configuration that are not read, if any.
    pub(crate) fn unseen(&self, objects: &Objects, namespace: &str) -> Option<String> {
        if let Err(doubt) = &self.overrides {
            return Some(doubt.clone());
        }
        match reading(objects, namespace, &self.files) {
            Ok(Reading { unseen, .. }) => (!unseen.is_empty()).then(|| not_seen(&unseen)),
            Err(reason) => Some(reason),
        }
    }

    /// Whether it reads a ConfigMap of its namespace.
    pub(crate) fn reads(&self, config_map: &str) -> bool {
        self.files.config_maps.iter().any(|source| source.name == config_map)
    }

    /// Merges its files.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or the host cannot list the ConfigMaps. The path leads to the file, and begins with the title of its
    /// object unless that is the object of the request.
    pub(crate) fn reading(&self, objects: &Objects, namespace: &str) -> Result<Reading, Unjudged> {
        Reading::merge(objects, namespace, &self.files)
    }
}

/// Returns a flag or a variable for `auth`, if there is one. Both override the files.
fn says_of_auth(line: &CommandLine) -> Option<String> {
    const FLAG: &str = "--auth.";
    let mut flags = line.run.arguments.iter().map(|word| &word.value);
    let flag = flags.find(|value| value.text.starts_with(FLAG) || !value.is_known && FLAG.starts_with(&*value.text));
    let flag = flag.map(|value| value.text.split('=').next().unwrap_or_default());
    let mut names = line.variables().map(|variable| variable.name);
    let said = flag.or_else(|| names.find(|name| *name == "AUTH" || name.starts_with("AUTH.")));
    said.map(|name| Shortened(name).to_string())
}

/// A certificate with which a flyteadmin serves TLS itself.
#[cfg(feature = "flyte-oauth-tls")]
pub(crate) struct OwnCertificate {
    /// The title of the Deployment that runs it.
    pub(crate) title: String,
    /// The name of the Secret that it comes from, and the key in it.
    pub(crate) secret: (String, String),
}

/// Returns the certificates with which the flyteadmins of a namespace serve TLS themselves. Skips a flyteadmin if it
/// mounts no Secret for which `is_concerned` is true, because its files then need not be read.
///
/// # Errors
///
/// Why they are not known.
#[cfg(feature = "flyte-oauth-tls")]
pub(crate) fn own_certificates(
    objects: &Objects,
    namespace: &str,
    is_concerned: impl Fn(&str) -> bool,
) -> Result<Vec<OwnCertificate>, String> {
    let mut own = Vec::new();
    for runner in runners(objects, namespace)? {
        if !runner.files.secrets.iter().any(|mounted| is_concerned(&mounted.secret)) {
            continue;
        }
        // Other policies report what is wrong with its files.
        let Some(file) =
            runner.reading(objects, namespace).ok().and_then(|mut read| read.config.certificate_file(&runner.tls))
        else {
            continue;
        };
        let secret = |mounted: &Mounted| Some((mounted.secret.clone(), mounted.key(&file)?));
        if let Some(secret) = runner.files.secrets.iter().find_map(secret) {
            own.push(OwnCertificate { title: runner.title, secret });
        }
    }
    Ok(own)
}

/// A fault's problem, with its place in front of it.
fn with_place(Fault { place, problem, .. }: &Fault) -> String {
    format!("{place}: {problem}")
}

/// Why nothing is known of a flyteadmin: neither a Deployment nor a ConfigMap of it was found.
pub(crate) fn found_none(namespace: &str) -> String {
    format!("found no ConfigMap of flyteadmin in namespace {}", Shortened(namespace))
}

/// Returns the only ConfigMap that has a name of flyteadmin's ConfigMaps in Flyte's charts.
fn by_name(objects: &Objects, namespace: &str) -> Result<Files, String> {
    let mut names = Vec::new();
    objects.each(Listed::ConfigMap, Some(namespace), |found| {
        if config_map::deployment(&found.name).is_some() {
            names.push(found.name.clone());
        }
        Ok(())
    })?;
    match &names[..] {
        [] => Err(found_none(namespace)),
        [one] => Ok(Files { config_maps: vec![Source::whole(one.clone())], ..Files::default() }),
        [one, other, ..] => {
            Err(format!("no Deployment shows whether flyteadmin reads {} or {}", Shortened(one), Shortened(other)))
        }
    }
}

impl Reading {
    /// Reads the files of ConfigMaps that are mounted together.
    fn merge(objects: &Objects, namespace: &str, Files { config_maps, unseen, .. }: &Files) -> Result<Self, Unjudged> {
        let mut unseen = unseen.clone();
        let mut found = Vec::new();
        for source in config_maps {
            let own = objects.of_request(namespace, &source.name);
            let object = match own {
                Some(own) => Ok(Some(own.to_owned())),
                None => objects.find(Listed::ConfigMap, Some(namespace), |found| {
                    Ok((found.name == source.name).then(|| found.object.clone()))
                }),
            };
            match object.map_err(|reason| Unjudged { path: String::new(), reason })? {
                Some(object) => found.push((source, own.is_some(), object)),
                None if source.optional => {}
                None => {
                    unseen.push(format!("{}, which was not found", title(Listed::ConfigMap, namespace, &source.name)))
                }
            }
        }
        let mut files: BTreeMap<String, File> = BTreeMap::new();
        let (mut own_files, mut first) = (BTreeSet::new(), None);
        for (source, is_own, object) in &found {
            let file = |key: &str| source.file(key).map(str::to_owned);
            let owner = match is_own {
                true => String::new(),
                false => format!("{} ", title(Listed::ConfigMap, namespace, &source.name)),
            };
            let mut brought = BTreeMap::new();
            config_map::add_files(object, &owner, &file, &mut brought)?;
            if first.is_none() && !brought.is_empty() {
                first = Some(source.name.clone());
            }
            if *is_own {
                own_files.extend(brought.values().map(|file| file.path.clone()));
            }
            files.extend(brought);
        }
        let first = first.or_else(|| found.first().map(|(source, ..)| source.name.clone()));
        let files: Vec<File> = files.into_values().collect();
        Ok(Self { config: Config::merge(&files)?, unseen, own_files, first })
    }
}

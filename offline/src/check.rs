//! Runs policies on texts and makes a report. The command and the page share this code.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use flytewarden::{host::Listed, installation::Survey, settings::InvalidSettings};
use serde_json::{Value, value::RawValue};

use crate::{
    cluster::{Cluster, HostCalls},
    ignored::Comments,
    images::Images,
    linked::Asked,
    manifest::{self, Object},
    metadata::Metadata,
    report::{self, Answer, Judged, Namespaces, Report},
    request::Request,
    sentences::Environment,
    settings::Settings,
};

/// A policy that can run: a module on an engine, or linked code.
pub trait Policy {
    /// The policy's name.
    fn name(&self) -> &str;

    /// The policy's own metadata.
    fn metadata(&self) -> &Metadata;

    /// Runs the policy on a request with settings, both as JSON. `host` answers the policy's questions about the
    /// cluster and about images.
    ///
    /// # Errors
    ///
    /// The policy failed, or it did not return a valid answer.
    fn validate(&self, request: &str, settings: &str, host: &Arc<dyn HostCalls>) -> Result<Answer, String>;

    /// Checks settings, given as JSON.
    ///
    /// # Errors
    ///
    /// The policy rejects the settings, or it failed.
    fn validate_settings(&self, settings: &str) -> Result<(), InvalidSettings>;
}

impl<P: Policy + ?Sized> Policy for Box<P> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn metadata(&self) -> &Metadata {
        (**self).metadata()
    }

    fn validate(&self, request: &str, settings: &str, host: &Arc<dyn HostCalls>) -> Result<Answer, String> {
        (**self).validate(request, settings, host)
    }

    fn validate_settings(&self, settings: &str) -> Result<(), InvalidSettings> {
        (**self).validate_settings(settings)
    }
}

/// A file: its name, and its text or the reason why the text could not be read.
pub struct File {
    /// The name as the user gave it.
    pub name: String,
    /// The whole text, or why it could not be read.
    pub text: Result<Arc<str>, String>,
    /// Whether the file was found in a directory. Such a file is skipped if it contains no Kubernetes object.
    pub is_found: bool,
}

impl File {
    /// Creates a file from its text, or from the reason why the text could not be read.
    pub fn new(name: String, text: Result<String, String>) -> Self {
        Self { name, text: text.map(Arc::from), is_found: false }
    }
}

/// Everything that a check needs besides the files.
pub struct Check<'c, P> {
    /// The policies.
    pub policies: &'c [P],
    /// Their settings.
    pub settings: &'c Settings,
    /// The namespace of objects that do not name one.
    pub namespace: &'c str,
    /// The users of images.
    pub images: Images,
    /// The namespaces that the report covers.
    pub namespaces: Namespaces,
}

/// A check in progress.
pub struct Run<'r, P> {
    check: &'r Check<'r, P>,
    host: Arc<Host>,
    /// The name of the first file.
    first: String,
    /// The report so far.
    pub report: Report,
}

/// Answers the policies' questions from the manifests and from a list of images.
struct Host {
    /// The name and the text of each file.
    files: Vec<(String, Arc<str>)>,
    /// The file whose objects the policies are checking now.
    asking: AtomicUsize,
    namespace: String,
    /// The objects of all manifests, created at a policy's first question. For most manifests policies ask no question,
    /// so these are read only once.
    cluster: OnceLock<Cluster>,
    images: Images,
}

impl Host {
    fn cluster(&self) -> &Cluster {
        self.cluster.get_or_init(|| {
            let names = self.files.iter().map(|(name, _)| name.clone()).collect();
            let of_file = |(file, (_, text)): (usize, &'_ (String, Arc<str>))| {
                let objects: Vec<Object> = manifest::objects(text).flatten().collect();
                objects.into_iter().map(move |object| (file, object))
            };
            Cluster::of_files(names, self.files.iter().enumerate().flat_map(of_file), &self.namespace)
        })
    }

    /// If a file belongs to several environments, returns one file of each. Empty if no policy has asked about other
    /// objects yet.
    fn environments_of(&self, file: Option<usize>) -> Vec<usize> {
        let environments = self.cluster.get().map(Cluster::environments).unwrap_or_default();
        let of = environments.iter().filter(|(_, apart)| file.is_some_and(|file| !apart.contains(&file)));
        let files: Vec<usize> = of.map(|(file, _)| *file).collect();
        if files.len() > 1 { files } else { Vec::new() }
    }

    fn environments(&self) -> Vec<Environment> {
        let name = |file: usize| self.files[file].0.clone();
        let environment = |(file, apart): &(usize, BTreeSet<usize>)| {
            let file = *file;
            self.asking.store(file, Ordering::Relaxed);
            let host = Asked { host: self, clock: || Err(String::new()), pki: || Err(String::new()) };
            let apart = apart.iter().map(|file| name(*file)).collect();
            Environment { file: name(file), apart, survey: Survey::take(&host) }
        };
        self.cluster().environments().iter().map(environment).collect()
    }
}

impl HostCalls for Host {
    #[cfg(feature = "modules")]
    fn answer(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        self.cluster().answer_to(self.asking.load(Ordering::Relaxed), operation, request)
    }

    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        self.cluster().list_to(self.asking.load(Ordering::Relaxed), kind, namespace)
    }

    fn image(&self, reference: &str) -> Result<Vec<u8>, String> {
        self.images.answer(reference)
    }
}

impl<P: Policy> Check<'_, P> {
    /// Starts a check of files and adds to an existing report. All files together answer the policies' questions about
    /// other objects.
    pub fn start(&self, files: &[File], report: Report) -> Run<'_, P> {
        let read = files.iter().filter_map(|file| Some((file.name.clone(), file.text.clone().ok()?)));
        let (files_read, asking) = (read.collect(), AtomicUsize::new(0));
        let (namespace, images) = (self.namespace.to_owned(), self.images.clone());
        let first = files.first().map(|file| file.name.clone()).unwrap_or_default();
        Run {
            check: self,
            host: Arc::new(Host { files: files_read, asking, namespace, cluster: OnceLock::new(), images }),
            first,
            report,
        }
    }

    fn answers(&self, object: &Object, host: &Arc<dyn HostCalls>) -> Vec<(String, Result<Answer, String>)> {
        let request = Request::create(object, self.namespace);
        let mut concerned = self.policies.iter().filter(|policy| policy.metadata().asks_for(&request)).peekable();
        if concerned.peek().is_none() {
            return Vec::new();
        }
        match serde_json::to_string(&request) {
            Ok(request) => concerned
                .map(|policy| {
                    let settings = self.settings.for_policy(policy.name());
                    (policy.name().to_owned(), policy.validate(&request, settings, host))
                })
                .collect(),
            Err(error) => concerned.map(|policy| (policy.name().to_owned(), Err(error.to_string()))).collect(),
        }
    }
}

/// Adds to each policy's answer what its answer in another environment found. A failure in one of them is a failure.
fn merge(answers: &mut [(String, Result<Answer, String>)], others: Vec<(String, Result<Answer, String>)>) {
    for ((_, answer), (_, other)) in answers.iter_mut().zip(others) {
        match (&mut *answer, other) {
            (Ok(answer), Ok(other)) => answer.merge(other),
            (Ok(_), Err(reason)) => *answer = Err(reason),
            (Err(_), _) => {}
        }
    }
}

impl<P: Policy> Run<'_, P> {
    /// Runs the policies on each object of a file. Returns each object that a policy wants to change, and the object
    /// after that change.
    pub fn add(&mut self, file: &File) -> Vec<(Object, Value)> {
        let mut changed = Vec::new();
        let text = match &file.text {
            Ok(text) => text,
            Err(reason) => {
                self.report.add_unread(&file.name, None, reason.clone());
                return changed;
            }
        };
        if file.is_found && manifest::is_something_else(text) {
            self.report.skipped.push(file.name.clone());
            return changed;
        }
        let asking = self.host.files.iter().position(|(name, own)| *name == file.name && Arc::ptr_eq(own, text));
        self.host.asking.store(asking.unwrap_or(0), Ordering::Relaxed);
        let host: Arc<dyn HostCalls> = Arc::clone(&self.host) as _;
        let mut objects = manifest::objects(text).peekable();
        if objects.peek().is_none() {
            // A failed `helm template` leaves an empty pipe, which must not count as a success.
            self.report.add_unread(&file.name, None, "contains no Kubernetes object".to_owned());
        }
        let mut comments = Comments::find(text, self.report.omissions.knows);
        for object in objects {
            match object {
                Ok(object) => {
                    let mut answers = self.check.answers(&object, &host);
                    // An object that several environments share is checked once in each environment, not in all of them
                    // at once.
                    for (place, environment) in self.host.environments_of(asking).into_iter().enumerate() {
                        self.host.asking.store(environment, Ordering::Relaxed);
                        let own = self.check.answers(&object, &host);
                        if place == 0 {
                            answers = own;
                        } else {
                            merge(&mut answers, own);
                        }
                    }
                    self.host.asking.store(asking.unwrap_or(0), Ordering::Relaxed);
                    let mut answered = answers.iter_mut();
                    let wanted = answered.find_map(|(_, answer)| answer.as_mut().ok()?.mutated_object.take());
                    self.report.add(&file.name, text, &mut comments, &object, answers);
                    changed.extend(wanted.map(|wanted| (object, wanted)));
                }
                Err(unreadable) => self.report.add_unreadable(&file.name, &unreadable),
            }
        }
        comments.finish(&file.name, &mut self.report);
        changed
    }

    /// Completes the report: adds the kinds that policies asked for and the results for the manifests as a whole.
    pub fn finish(mut self) -> Report {
        let asked = self.host.cluster.get().map(Cluster::asked);
        self.report.asked_for = asked.into_iter().flatten().collect();
        let Check { namespace, namespaces, .. } = self.check;
        let has_run = |policy: &str| self.check.policies.iter().any(|own| report::contains(own.name(), policy));
        self.report.finish(namespace, namespaces, || self.host.environments(), has_run);
        // Policies can only name other objects if they have asked for lists of them.
        if let Some(cluster) = self.host.cluster.get() {
            self.report.environments = cluster.parted();
            self.report.relate(cluster, |name| self.host.files.iter().position(|(file, _)| file == name));
        }
        if let Namespaces::Named(names) = namespaces {
            let is_in = |judged: &Judged, name: &str| judged.place.namespace.as_deref().unwrap_or(namespace) == name;
            let empty = names.iter().filter(|name| !self.report.objects.iter().any(|judged| is_in(judged, name)));
            let others: Vec<&str> = self.report.other_namespaces.keys().map(String::as_str).collect();
            let hint =
                if others.is_empty() { String::new() } else { format!("; there are objects in {}", others.join(", ")) };
            let reasons: Vec<String> =
                empty.map(|name| format!("nothing to check in the namespace {name}{hint}")).collect();
            for reason in reasons {
                self.report.add_unread(&self.first, None, reason);
            }
        }
        let is_own = |policy: &P| report::is_own(policy.name());
        let Report { unjudged, summary, .. } = &self.report;
        let found = summary.violations + summary.ignored + self.report.rules_off.len();
        if unjudged.is_empty() && found == 0 && self.check.policies.iter().all(is_own) {
            // Other objects, however many, say nothing about Flyte.
            let reason = match (self.report.has_flyte(), summary.judged) {
                (false, _) => Some("no Flyte objects found in these manifests; nothing was checked"),
                (true, 0) => Some("nothing was checked: the policies that ran cover none of these objects"),
                _ => None,
            };
            if let Some(reason) = reason {
                self.report.add_unread(&self.first, None, reason.to_owned());
            }
        }
        self.report
    }
}

//! From texts to a report: what the command and the page do alike, whoever runs the policies.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    cluster::{Cluster, HostCalls},
    images::Images,
    manifest::{self, Object, Unreadable},
    metadata::Metadata,
    report::{Answer, Report},
    request::Request,
    settings::Settings,
};

/// A policy that can be asked: a module on an engine, or code that is linked in.
pub trait Policy {
    /// Its name.
    fn name(&self) -> &str;

    /// What it says of itself.
    fn metadata(&self) -> &Metadata;

    /// Its answer to a request with settings, both as JSON. What it asks about the cluster and about images, `host` answers.
    ///
    /// # Errors
    ///
    /// It failed, or its answer is none.
    fn validate(&self, request: &str, settings: &str, host: &Arc<dyn HostCalls>) -> Result<Answer, String>;

    /// Whether it takes these settings, as JSON.
    ///
    /// # Errors
    ///
    /// It does not, or it failed.
    fn validate_settings(&self, settings: &str) -> Result<(), String>;
}

/// A file, as it is named, and what it holds.
pub struct File {
    /// As it is named.
    pub name: String,
    /// What it holds, or why that is not known.
    pub content: Result<Content, String>,
}

/// What a file holds.
pub struct Content {
    /// All of it.
    pub text: String,
    /// The objects, in order.
    pub objects: Vec<Result<Object, Unreadable>>,
}

impl File {
    /// A file by its text, or by why that cannot be read.
    pub fn new(name: String, text: Result<String, String>) -> Self {
        let content = text.and_then(|text| match manifest::objects(&text) {
            // An empty pipe is what a failed `helm template` leaves, and no sign that all is well.
            objects if objects.is_empty() => Err("there is no object in it".to_owned()),
            objects => Ok(Content { text, objects }),
        });
        Self { name, content }
    }

    /// The objects that can be read.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.content.iter().flat_map(|content| content.objects.iter().flatten())
    }
}

/// What to check with.
pub struct Check<'c, P> {
    /// The policies.
    pub policies: &'c [P],
    /// Their settings.
    pub settings: &'c Settings,
    /// The namespace of objects that name none.
    pub namespace: &'c str,
    /// The users of images.
    pub images: Images,
}

/// A check under way.
pub struct Run<'r, P> {
    check: &'r Check<'r, P>,
    cluster: Arc<Cluster>,
    host: Arc<dyn HostCalls>,
    /// What the policies said so far.
    pub report: Report,
}

/// What policies ask, answered by the manifests and by a list of images.
struct Host {
    cluster: Arc<Cluster>,
    images: Images,
}

impl HostCalls for Host {
    fn answer(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        self.cluster.answer(operation, request)
    }

    fn image(&self, reference: &str) -> Result<Vec<u8>, String> {
        self.images.answer(reference)
    }
}

impl<P: Policy> Check<'_, P> {
    /// Starts to check files, after what a report holds already. What a policy asks about other objects, all of them
    /// together answer.
    pub fn start(&self, files: &[File], report: Report) -> Run<'_, P> {
        let cluster = Arc::new(Cluster::of(files.iter().flat_map(File::objects), self.namespace));
        let host = Arc::new(Host { cluster: Arc::clone(&cluster), images: self.images.clone() });
        Run { check: self, cluster, host, report }
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
                    let settings = self.settings.of(policy.name());
                    (policy.name().to_owned(), policy.validate(&request, settings, host))
                })
                .collect(),
            Err(error) => concerned.map(|policy| (policy.name().to_owned(), Err(error.to_string()))).collect(),
        }
    }
}

impl<P: Policy> Run<'_, P> {
    /// Asks the policies about each object of a file; `judged` is called after each. Returns the objects that a policy
    /// changes, as it wants them.
    pub fn add<'f>(&mut self, file: &'f File, mut judged: impl FnMut()) -> Vec<(&'f Object, Value)> {
        let mut changed = Vec::new();
        let Content { text, objects } = match &file.content {
            Ok(content) => content,
            Err(reason) => {
                self.report.add_unread(&file.name, reason.clone());
                return changed;
            }
        };
        for object in objects {
            match object {
                Ok(object) => {
                    let mut answers = self.check.answers(object, &self.host);
                    let mut answered = answers.iter_mut();
                    let wanted = answered.find_map(|(_, answer)| answer.as_mut().ok()?.mutated_object.take());
                    changed.extend(wanted.map(|wanted| (object, wanted)));
                    self.report.add(&file.name, text, object, answers);
                }
                Err(unreadable) => self.report.add_unreadable(&file.name, unreadable),
            }
            judged();
        }
        changed
    }

    /// The report, with what the policies asked for.
    pub fn finish(mut self) -> Report {
        self.report.asked_for = self.cluster.asked().into_iter().collect();
        self.report
    }
}

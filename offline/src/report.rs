//! The result of a check: the findings, and the objects that could not be checked.
//!
//! A [`Report`] serializes to the JSON of `flytewarden check --format json`. That format is stable: fields may be
//! added, but no field is renamed, removed or given another meaning unless [`FORMAT`] changes.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    mem,
};

use flytewarden::{
    decision,
    rule::Severity,
    shown::{around_user, visible},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    charts::{self, ChartValue},
    cluster::{Cluster, Names},
    edit::Edit,
    fix::Left,
    ignored::{self, Baseline, Comments, Ignored, Omissions, Stale},
    manifest::{Object, Unreadable},
    sentences::{self, Environment, Sentences},
    yaml::{Node, Value as Yaml},
};

/// The name of the JSON format.
pub const FORMAT: &str = "flytewarden-report/v1";

/// The result of a whole run.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`FORMAT`].
    pub format: Cow<'static, str>,
    /// The state of each sentence of the "Security Overview".
    pub sentences: Vec<sentences::Shown>,
    /// The objects that were checked, in the order of the input.
    pub objects: Vec<Judged>,
    /// The objects and files that could not be checked. If there are any, the run does not prove that the rest is fine.
    pub unjudged: Vec<Unjudged>,
    /// How many objects of each kind are not covered by any policy.
    pub out_of_scope: BTreeMap<String, usize>,
    /// How many objects were left out, by namespace: namespaces without anything of Flyte's, or those that the user did
    /// not name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub other_namespaces: BTreeMap<String, usize>,
    /// How many objects were left out because another checked object makes them, e.g. the pods of a Deployment.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub made_by_others: usize,
    /// The kinds of objects that policies asked the cluster for, e.g. `v1 Service`. The manifests answered instead of a
    /// cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub asked_for: Vec<String>,
    /// If files or folders contain the same object with different content, they are checked as separate environments.
    /// For each environment but the first, this has one such object: its place in the first environment, and its place
    /// in the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub environments: Vec<[Related; 2]>,
    /// The configuration file that the command used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub configuration: Option<String>,
    /// The settings that somebody set, and the file they come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub settings: Option<GivenSettings>,
    /// The files of directories that were skipped because they contain no Kubernetes object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub skipped: Vec<String>,
    /// The files and directories that `--exclude` left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub excluded: Vec<String>,
    /// How many findings were left out because their rule is off, by `<policy>/<rule>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub rules_off: BTreeMap<String, usize>,
    /// The comments, annotations and baseline entries that match no violation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub stale: Vec<Stale>,
    /// The counts.
    pub summary: Summary,
    /// Whether a ConfigMap that is not covered by any policy has `flyte` in its name.
    #[serde(skip)]
    names_flyte: bool,
    /// The findings to leave out.
    #[serde(skip)]
    pub(crate) omissions: Omissions,
    /// The objects with a pod template that no policy covers.
    #[serde(skip)]
    unread_workloads: Vec<String>,
}

/// The settings that somebody set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
pub struct GivenSettings {
    /// The file that contains them, as the user named it.
    pub from: String,
    /// Their names, e.g. `flyte-non-root.level`.
    pub names: Vec<String>,
}

/// The counts of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Objects that all policies that cover them could check, and other objects with a violation.
    pub judged: usize,
    /// Objects with a violation.
    pub refused: usize,
    /// Violations.
    pub violations: usize,
    /// Violations of high severity. Violations without a severity, and those only counted by a policy, are in none of
    /// the three counts.
    pub high: usize,
    /// Violations of medium severity.
    pub medium: usize,
    /// Violations of low severity.
    pub low: usize,
    /// Ignored violations.
    pub ignored: usize,
    /// Notices.
    pub notices: usize,
    /// Entries of `unjudged`.
    pub unjudged: usize,
    /// Objects that are not covered by any policy.
    pub out_of_scope: usize,
}

/// An object that was checked.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// Its place.
    #[serde(flatten)]
    pub place: Place,
    /// The policies that checked it.
    pub policies: Vec<String>,
    /// Its violations.
    pub violations: Vec<Finding>,
    /// Its notices.
    pub notices: Vec<Finding>,
    /// Its ignored violations, with the reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub ignored: Vec<Ignored>,
    /// The findings whose rules are off.
    #[serde(skip)]
    pub(crate) off: Vec<Finding>,
    /// The violations that were only counted, by policy.
    #[serde(skip)]
    pub(crate) unlisted_by: Vec<(String, usize)>,
    /// How many more violations the policies counted but did not list.
    pub more_violations: usize,
    /// How many more notices the policies counted but did not list.
    pub more_notices: usize,
    /// The names of the sentences that it shows to hold.
    #[serde(skip)]
    pub(crate) shows: Vec<String>,
    /// If it is a Certificate of cert-manager, the name of its Secret.
    #[serde(skip)]
    pub(crate) certificate: Option<String>,
    /// Whether it comes from a running cluster, which gave it a uid.
    #[serde(skip)]
    pub(crate) is_live: bool,
    /// Whether it belongs to Flyte, and does not only run beside it.
    #[serde(skip)]
    is_flytes: bool,
    /// The kind and the name of the object that controls it.
    #[serde(skip)]
    owner: Option<[String; 2]>,
    /// Whether its `spec.replicas` is 0, as in a ReplicaSet that is kept only for rollbacks.
    #[serde(skip)]
    runs_nothing: bool,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The namespaces that a report covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Namespaces {
    /// Those with an object of Flyte's, or all if there is no such object.
    #[default]
    Flytes,
    /// All namespaces.
    All,
    /// The namespaces with these names.
    Named(Vec<String>),
}

/// The place of an object in the input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The file as the user named it; `<stdin>` for standard input.
    pub file: String,
    /// The document in the file, from 1.
    pub document: usize,
    /// The object's first line in the file, from 1.
    pub line: usize,
    /// The chart template it was rendered from, if helm names it in a comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its API version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace, if it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Place {
    /// Whether the object at another place is the same one.
    fn is_at(&self, other: &Self) -> bool {
        let key = |place: &Self| (place.document, place.line, place.title());
        self.file == other.file && key(self) == key(other)
    }
}

/// A violation or a notice.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The policy that found it.
    pub policy: String,
    /// The rule's stable name within the policy. Empty for other people's modules.
    pub rule: String,
    /// The severity: `high`, `medium`, `low` or `notice`. Absent for violations of other people's modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", tsify(optional, type = r#""high" | "medium" | "low" | "notice""#))]
    pub severity: Option<Severity>,
    /// The path in the object. Empty for the object as a whole.
    pub path: String,
    /// The line of the path's value in the file, or of the nearest value above it that exists, from 1.
    pub line: usize,
    /// The name of the container that the path leads to, if any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub container: String,
    /// If the path leads to a file, such as an entry of a ConfigMap: the place in that file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// The consequence of the problem, or the text of the notice.
    pub problem: String,
    /// How to fix it. Empty for other people's modules, and for notices about which there is nothing to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub mend: String,
    /// The same fix for programs. Absent if a person must decide something first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub edits: Vec<Edit>,
    /// The key with which the object's chart sets the value, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub chart_value: Option<ChartValue>,
    /// The other objects that the finding names, if the manifests contain them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub related: Vec<Related>,
}

/// The place of an object that a finding names.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
pub struct Related {
    /// The object's title, e.g. `Ingress flyte/flyte-core`.
    pub object: String,
    /// The file that contains it, as the user named it.
    pub file: String,
    /// Its first line in the file, from 1.
    pub line: usize,
}

impl Finding {
    /// The problem and, if there is one, the fix.
    pub fn in_words(&self) -> String {
        let Self { problem, mend, .. } = self;
        if mend.is_empty() { problem.clone() } else { format!("{problem}; {mend}") }
    }

    /// Returns the place in the form that messages show: `spec.containers[0] "flyteadmin"` or `data["server.yaml"] line
    /// 3, server.security`.
    pub fn place(&self) -> String {
        let mut place = self.path.clone();
        if !self.container.is_empty() {
            place += &format!(" \"{}\"", self.container);
        }
        if let Some(Within { path, line }) = &self.within {
            place += &format!(" line {line}");
            if !path.is_empty() {
                place += &format!(", {path}");
            }
        }
        place
    }
}

/// A place in a file that is a value in an object, such as an entry of a ConfigMap.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
pub struct Within {
    /// The path in the file, e.g. `server.security.allowedOrigins[0]`. Empty for the file as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub path: String,
    /// The line in that file, from 1.
    pub line: usize,
}

/// An object or a file that could not be checked, and the reason.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Unjudged {
    /// The file or directory as the user named it.
    pub file: String,
    /// The document in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// The line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The object, e.g. `Deployment flyteadmin`, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The policy that could not check it. Absent if no policy could.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The path in the object, if it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub path: String,
    /// The reason.
    pub reason: String,
}

impl Unjudged {
    fn of_file(file: &str, line: Option<usize>, reason: String) -> Self {
        let file = file.to_owned();
        Self { file, line, reason, document: None, object: None, policy: None, path: String::new() }
    }
}

/// A policy's answer, in the format of Kubewarden's SDK.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// Whether the policy accepts the object.
    pub accepted: bool,
    /// Why the policy rejects it.
    pub message: Option<String>,
    /// The status code of a rejection.
    pub code: Option<u16>,
    /// More details. Flytewarden's own policies put their findings here, as JSON.
    pub audit_annotations: Option<BTreeMap<Cow<'static, str>, String>>,
    /// Notices, as texts.
    pub warnings: Option<Vec<String>>,
    /// The object as the policy changed it, if it did.
    pub mutated_object: Option<Value>,
}

impl From<flytewarden::answer::Answer> for Answer {
    /// Converts the answer of a linked policy into the answer that its module would give.
    fn from(answer: flytewarden::answer::Answer) -> Self {
        let flytewarden::answer::Answer { accepted, message, code, mutated_object, audit_annotations, warnings } =
            answer;
        let mutated_object = mutated_object.and_then(|object| serde_json::from_str(object.get()).ok());
        Self { accepted, message, code, audit_annotations, warnings, mutated_object }
    }
}

/// A finding in the audit annotations of Flytewarden's policies.
#[derive(Default)]
struct Annotated {
    policy: String,
    rule: String,
    path: String,
    container: String,
    within: Option<Within>,
    problem: String,
    mend: String,
    edits: Vec<AnnotatedEdit>,
    text: String,
    reason: String,
}

impl Annotated {
    /// Reads the fields of the JSON one by one. Derived types would add 3 KB to the page.
    fn from_json(found: Value) -> Self {
        // Indexing a value that is neither an object nor null panics.
        let mut found = if found.is_object() { found } else { Value::Null };
        let mut text = |field: &str| match found[field].take() {
            Value::String(text) => text,
            _ => String::new(),
        };
        let [policy, rule, path, container, problem, mend, said, reason] =
            ["policy", "rule", "path", "container", "problem", "mend", "text", "reason"].map(&mut text);
        let within = found.pointer("/within/line").and_then(Value::as_u64).map(|line| Within {
            path: found.pointer("/within/path").and_then(Value::as_str).unwrap_or_default().to_owned(),
            line: line as usize,
        });
        let edits = match found["edits"].take() {
            Value::Array(edits) => edits.into_iter().map(AnnotatedEdit::from_json).collect(),
            _ => Vec::new(),
        };
        Self { policy, rule, path, container, within, problem, mend, edits, text: said, reason }
    }
}

/// An edit at the place of a finding, or below it.
struct AnnotatedEdit {
    below: String,
    was: Option<Value>,
    value: Option<Value>,
}

impl AnnotatedEdit {
    fn from_json(edit: Value) -> Self {
        let mut edit = if edit.is_object() { edit } else { Value::Null };
        let below = edit["below"].as_str().unwrap_or_default().to_owned();
        let mut value = |field: &str| Some(edit[field].take()).filter(|value| !value.is_null());
        Self { below, was: value("was"), value: value("value") }
    }

    /// Returns the edit with its full path.
    fn at(self, path: &str, within: Option<&Within>) -> Edit {
        let below = |place: &str| match self.below.as_str() {
            "" => place.to_owned(),
            below => format!("{place}.{below}"),
        };
        let (path, within) = match within {
            Some(within) => (path.to_owned(), Some(below(&within.path))),
            None => (below(path), None),
        };
        // Text output hides the query of a URL and its user, and so does this.
        let is_private = |value: &Value| {
            value
                .as_str()
                .is_some_and(|text| around_user(text).is_some() || text.contains("://") && text.contains(['?', '#']))
        };
        Edit { path, within, was: self.was.filter(|was| !is_private(was)), value: self.value }
    }
}

impl Place {
    /// Returns the place of an object in a file.
    pub fn from_object(object: &Object, file: &str) -> Self {
        Self {
            file: file.to_owned(),
            document: object.document,
            line: object.line,
            source: object.source.clone(),
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        }
    }

    /// Whether this is the place of an object of the same text.
    pub(crate) fn is_of(&self, object: &Object) -> bool {
        let (document, line) = (object.document, object.line);
        (self.document, self.line) == (document, line)
            && (&self.kind, &self.namespace, &self.name) == (&object.kind, &object.namespace, &object.name)
    }

    /// Returns the object's title, e.g. `Deployment flyte/flyteadmin`, with escapes for invisible characters.
    pub fn title(&self) -> String {
        let name = if self.name.is_empty() { "without a name" } else { &self.name };
        visible(&match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{name}", self.kind),
            None => format!("{} {name}", self.kind),
        })
    }
}

impl Default for Report {
    fn default() -> Self {
        Self {
            format: FORMAT.into(),
            objects: Vec::new(),
            sentences: Vec::new(),
            unjudged: Vec::new(),
            out_of_scope: BTreeMap::new(),
            other_namespaces: BTreeMap::new(),
            made_by_others: 0,
            asked_for: Vec::new(),
            environments: Vec::new(),
            skipped: Vec::new(),
            summary: Summary::default(),
            stale: Vec::new(),
            names_flyte: false,
            configuration: None,
            settings: None,
            excluded: Vec::new(),
            rules_off: BTreeMap::new(),
            omissions: Omissions::default(),
            unread_workloads: Vec::new(),
        }
    }
}

impl Report {
    /// Creates an empty report that will leave some findings out.
    pub fn without(omissions: Omissions) -> Self {
        Self { omissions, ..Self::default() }
    }

    /// Adds the policies' answers about an object of a text: each policy's name, and its answer or the reason why it
    /// has none.
    pub fn add(
        &mut self,
        file: &str,
        text: &str,
        comments: &mut Comments,
        object: &Object,
        answers: Vec<(String, Result<Answer, String>)>,
    ) {
        if answers.is_empty() {
            self.pass_over(object);
            return;
        }
        let mut judged = Judged {
            place: Place::from_object(object, file),
            policies: Vec::new(),
            violations: Vec::new(),
            notices: Vec::new(),
            ignored: Vec::new(),
            off: Vec::new(),
            unlisted_by: Vec::new(),
            more_violations: 0,
            more_notices: 0,
            shows: Vec::new(),
            certificate: certificate(object),
            is_live: object.content.at("metadata.uid").as_str().is_some(),
            is_flytes: false,
            owner: owner(object),
            runs_nothing: matches!(&object.content.at("spec.replicas").value, Yaml::Number(replicas) if replicas.as_u64() == Some(0)),
        };
        let unjudged = self.unjudged.len();
        for (policy, answer) in answers {
            let failures = match answer {
                Ok(mut answer) => {
                    let failures = answer.findings("unjudged").unwrap_or_default();
                    // In a module with several policies, one policy may check an object that another cannot check.
                    if (failures.is_empty() || answer.has("violations")) && answer.says_something(&policy) {
                        judged.add(&policy, answer, object, text);
                        judged.policies.push(policy.clone());
                    }
                    failures
                }
                Err(reason) => vec![Annotated { reason, ..Annotated::default() }],
            };
            for Annotated { path, reason, .. } in failures {
                self.add_unjudged(Unjudged {
                    file: file.to_owned(),
                    document: Some(object.document),
                    line: Some(object.content.at(&path).line),
                    object: Some(judged.place.title()),
                    policy: Some(policy.clone()),
                    path,
                    reason,
                });
            }
        }
        ignored::ignore(&mut judged, object, comments, self);
        let is_read = self.unjudged.len() == unjudged;
        if is_read && judged.policies.is_empty() {
            self.pass_over(object);
        } else if is_read || judged.is_refused() {
            // If one policy finds nothing, that says nothing about an object that another could not check.
            self.objects.push(judged);
        }
    }

    /// Counts an object that is not covered by any policy.
    fn pass_over(&mut self, object: &Object) {
        self.names_flyte |= object.kind == "ConfigMap" && object.name.contains("flyte");
        *self.out_of_scope.entry(object.kind.clone()).or_default() += 1;
        self.summary.out_of_scope += 1;
        // An Argo Rollout, for example.
        if matches!(object.content.at("spec.template.spec.containers").value, Yaml::List(_)) {
            self.unread_workloads.push(Place::from_object(object, "").title());
        }
    }

    /// Leaves out objects of other namespaces and objects that others make, counts the rest, and adds the state of each
    /// sentence. Objects that do not name a namespace are in `namespace`. `environments` reads the manifests together.
    /// `has_run` tells whether a policy ran.
    pub(crate) fn finish(
        &mut self,
        namespace: &str,
        namespaces: &Namespaces,
        environments: impl FnOnce() -> Vec<Environment>,
        has_run: impl Fn(&str) -> bool,
    ) {
        let of = |judged: &Judged| judged.place.namespace.clone().unwrap_or_else(|| namespace.to_owned());
        let key = |kind: &str, namespace: &str, name: &str| [kind, namespace, name].join("/");
        let (mut flytes, mut known) = (BTreeSet::new(), BTreeMap::new());
        for judged in &self.objects {
            known.insert(key(&judged.place.kind, &of(judged), &judged.place.name), judged.wrongs());
            if judged.is_flytes {
                flytes.insert(of(judged));
            }
        }
        let is_concerned = |own: &String| match namespaces {
            Namespaces::All => true,
            Namespaces::Flytes => flytes.is_empty() || flytes.contains(own),
            Namespaces::Named(named) => named.contains(own),
        };
        let mut kept = Vec::with_capacity(self.objects.len());
        for judged in mem::take(&mut self.objects) {
            let own = of(&judged);
            let is_made = judged.owner.as_ref().is_some_and(|[kind, name]| {
                let wrongs = known.get(&key(kind, &own, name)).filter(|_| makes(kind, &judged.place.kind));
                wrongs.is_some_and(|wrongs| judged.runs_nothing || wrongs.is_superset(&judged.wrongs()))
            });
            if !is_concerned(&own) {
                *self.other_namespaces.entry(own).or_default() += 1;
            } else if is_made {
                self.made_by_others += 1;
            } else {
                kept.push(judged);
            }
        }
        self.objects = kept;
        let mut sentences = Sentences::default();
        for workload in &self.unread_workloads {
            sentences.leave_open(workload);
        }
        for judged in &self.objects {
            sentences.add(judged, namespace);
            self.summary.judged += 1;
            self.summary.refused += usize::from(judged.is_refused());
            self.summary.ignored += judged.ignored.len();
            for Finding { policy, rule, .. } in &judged.off {
                *self.rules_off.entry(format!("{policy}/{rule}")).or_default() += 1;
            }
            self.summary.violations += judged.violations.len() + judged.more_violations;
            self.summary.notices += judged.notices.len() + judged.more_notices;
            let count = |severity| judged.violations.iter().filter(|found| found.severity == Some(severity)).count();
            self.summary.high += count(Severity::High);
            self.summary.medium += count(Severity::Medium);
            self.summary.low += count(Severity::Low);
        }
        // Without a route, the manifests need not be read a second time.
        const ROUTES: [&str; 7] =
            ["GRPCRoute", "HTTPProxy", "HTTPRoute", "Ingress", "IngressRoute", "Route", "VirtualService"];
        let leads_somewhere = !self.asked_for.is_empty()
            || ROUTES.iter().any(|kind| self.out_of_scope.contains_key(*kind))
            || self.objects.iter().any(|judged| judged.place.kind == "Ingress")
            || sentences.needs_flyteadmin();
        self.stale.extend(self.omissions.baseline.iter().flat_map(Baseline::stale));
        // An ignored violation may be in an object that could not be checked.
        if !self.unjudged.is_empty() {
            self.stale.clear();
        }
        let environments = if leads_somewhere { environments() } else { Vec::new() };
        // What could not be read at all, no policy has checked.
        let is_unread = |policy: &str| {
            self.unjudged.iter().any(|entry| entry.policy.as_ref().is_none_or(|module| contains(module, policy)))
        };
        self.sentences = sentences.finish(&environments, is_unread, has_run);
    }

    /// Adds the places of the other objects that findings name. `place` returns the index of a file in the cluster.
    pub(crate) fn relate(&mut self, cluster: &Cluster, place: impl Fn(&str) -> Option<usize>) {
        let mut names = None;
        for judged in &mut self.objects {
            let Some(file) = place(&judged.place.file) else { continue };
            for finding in judged.violations.iter_mut().chain(&mut judged.notices) {
                let names = names.get_or_insert_with(|| Names::collect(cluster));
                finding.related = names.in_text(&finding.in_words(), file);
                finding.related.retain(|other| (&other.file, other.line) != (&judged.place.file, judged.place.line));
            }
        }
    }

    /// The object at a place.
    pub(crate) fn object_at(&self, place: &Place) -> Option<&Judged> {
        self.objects.iter().find(|judged| judged.place.is_at(place))
    }

    /// Whether something of Flyte's is among the manifests.
    pub(crate) fn has_flyte(&self) -> bool {
        self.names_flyte || self.objects.iter().any(|judged| judged.is_flytes)
    }

    /// Adds an object that could not be fixed as one that could not be checked.
    pub fn add_unfixed(&mut self, file: &str, Left { line, document, title, reason }: &Left) {
        self.add_unjudged(Unjudged {
            document: Some(*document),
            object: Some(title.clone()),
            ..Unjudged::of_file(file, Some(*line), format!("could not be fixed: {reason}"))
        });
    }

    /// Adds the objects with unlisted violations, for a baseline that needs every violation.
    pub fn add_unlisted(&mut self) {
        let unlisted: Vec<Unjudged> = self
            .objects
            .iter()
            .filter_map(|judged| {
                let reason = format!("a baseline needs every violation, and there are {}", judged.unlisted()?);
                Some(Unjudged {
                    document: Some(judged.place.document),
                    object: Some(judged.place.title()),
                    ..Unjudged::of_file(&judged.place.file, Some(judged.place.line), reason)
                })
            })
            .collect();
        unlisted.into_iter().for_each(|unjudged| self.add_unjudged(unjudged));
    }

    /// Adds a document that is not an object.
    pub fn add_unreadable(&mut self, file: &str, unreadable: &Unreadable) {
        let Unreadable { document, line, reason, .. } = unreadable;
        self.add_unjudged(Unjudged {
            document: Some(*document),
            ..Unjudged::of_file(file, Some(*line), reason.clone())
        });
    }

    /// Adds a file that cannot be read, or a line of a file that cannot be used.
    pub fn add_unread(&mut self, file: &str, line: Option<usize>, reason: String) {
        self.add_unjudged(Unjudged::of_file(file, line, reason));
    }

    fn add_unjudged(&mut self, unjudged: Unjudged) {
        self.unjudged.push(unjudged);
        self.summary.unjudged += 1;
    }
}

/// The name of the module that contains every policy.
pub(crate) const ALL_POLICIES: &str = "flytewarden";

/// Whether a module contains a policy, by their names: those of variants begin with their policy's.
pub fn contains(module: &str, policy: &str) -> bool {
    module == ALL_POLICIES || module.starts_with(policy)
}

/// Whether a module with this name is one of Flytewarden's.
pub(crate) fn is_own(policy: &str) -> bool {
    policy == ALL_POLICIES || decision::WITH_VARIANTS.iter().any(|(own, _)| own.name() == policy)
}

/// Whether objects of one kind make objects of another from a template.
fn makes(kind: &str, made: &str) -> bool {
    match made {
        "ReplicaSet" => kind == "Deployment",
        "Pod" => ["ReplicaSet", "StatefulSet", "DaemonSet", "Job"].contains(&kind),
        "Job" => kind == "CronJob",
        _ => false,
    }
}

/// Merges an annotation of two answers: counts, the names of sentences, or findings.
fn merged(name: &str, own: &str, other: &str) -> Option<String> {
    if name.starts_with("more") {
        return Some(own.parse::<usize>().ok()?.max(other.parse().ok()?).to_string());
    }
    let [mut own, other]: [Vec<Value>; 2] = [serde_json::from_str(own).ok()?, serde_json::from_str(other).ok()?];
    if name == "judged" {
        own.retain(|sentence| other.contains(sentence));
    } else {
        other.into_iter().for_each(|finding| {
            if !own.contains(&finding) {
                own.push(finding);
            }
        });
    }
    serde_json::to_string(&own).ok()
}

/// Returns the name of the Secret for which cert-manager issues a Certificate.
fn certificate(object: &Object) -> Option<String> {
    let secret = object.content.get("spec")?.get("secretName")?.as_str().filter(|_| object.kind == "Certificate")?;
    Some(secret.to_owned())
}

/// Returns the kind and the name of the object's controller.
fn owner(object: &Object) -> Option<[String; 2]> {
    let Yaml::List(owners) = &object.content.at("metadata.ownerReferences").value else { return None };
    let owner = owners.iter().find(|owner| matches!(owner.at("controller").value, Yaml::Bool(true)))?;
    Some(["kind", "name"].map(|field| owner.at(field).as_str().unwrap_or_default().to_owned()))
}

impl Judged {
    /// Whether it has a violation that is not ignored. Violations that were only counted also count here.
    pub fn is_refused(&self) -> bool {
        !self.violations.is_empty() || self.more_violations > 0
    }

    /// Describes how many violations were only counted. `None` if all are listed. Nobody knows which of the unlisted
    /// are ignored.
    pub fn unlisted(&self) -> Option<String> {
        let doubt = match self.ignored.is_empty() && self.off.is_empty() {
            true => "",
            false => "; some may be ignored or of a rule that is off",
        };
        (self.more_violations > 0).then(|| format!("{} more in this object, not listed{doubt}", self.more_violations))
    }

    /// Returns its violations without their places.
    fn wrongs(&self) -> BTreeSet<[String; 3]> {
        let wrong = |found: &Finding| [&found.policy, &found.rule, &found.container].map(String::clone);
        self.violations.iter().map(wrong).collect()
    }

    fn add(&mut self, policy: &str, mut answer: Answer, object: &Object, manifest: &str) {
        let shows = answer.judged().unwrap_or_default();
        // The other policies check only objects of Flyte's. These also check everything that runs beside Flyte.
        let judges_all = |policy: &str| policy == ALL_POLICIES || policy.starts_with("flyte-non-root");
        self.is_flytes |= !judges_all(policy) || !shows.is_empty();
        self.shows.extend(shows);
        let finding = |found: Annotated, is_notice: bool| {
            // A module with several policies names the policy of each finding.
            let policy = if found.policy.is_empty() { policy.to_owned() } else { found.policy };
            let declared = || decision::severity(&policy, &found.rule);
            let severity = if is_notice { Some(Severity::Notice) } else { declared() };
            Finding {
                severity,
                policy,
                line: line(object.content.at(&found.path), found.within.as_ref(), manifest),
                edits: found.edits.into_iter().map(|edit| edit.at(&found.path, found.within.as_ref())).collect(),
                rule: found.rule,
                path: found.path,
                container: found.container,
                within: found.within,
                problem: if found.text.is_empty() { found.problem } else { found.text },
                mend: found.mend,
                related: Vec::new(),
                chart_value: None,
            }
        };
        let label = object.content.at("metadata.labels").get("helm.sh/chart").and_then(Node::as_str);
        let place = self.place.clone();
        let violation = |found| {
            let violation = finding(found, false);
            // Some fixes already name the chart's key.
            let is_open = !violation.mend.is_empty() && !violation.mend.contains("chart ");
            let edited = violation.edits.first().and_then(|edit| edit.path.rsplit_once('.'));
            let is_set = edited.is_some_and(|(above, field)| object.content.at(above).get(field).is_some());
            let chart_value = if is_open { charts::value_of(&place, label, &violation, is_set) } else { None };
            Finding { chart_value, ..violation }
        };
        let notice = |found| finding(found, true);
        let plain = |text: String| Annotated { text, ..Annotated::default() };

        if !answer.accepted {
            let found = answer.findings("violations").filter(|found| !found.is_empty());
            match found {
                Some(found) => self.violations.extend(found.into_iter().map(violation)),
                None => self.violations.push(violation(plain(answer.message.take().unwrap_or_default()))),
            }
            self.unlisted_by.push((policy.to_owned(), answer.count("moreViolations")));
        }
        self.more_notices += answer.count("moreNotices");
        match answer.findings("notices") {
            Some(found) => self.notices.extend(found.into_iter().map(notice)),
            None => self.notices.extend(answer.warnings.unwrap_or_default().into_iter().map(plain).map(notice)),
        }
    }
}

/// Returns the line of a finding in the manifest. If the finding is in an embedded file that the manifest contains line
/// by line, this is that file's line in the manifest.
fn line(node: &Node, within: Option<&Within>, manifest: &str) -> usize {
    let of_text = |within: &Within| {
        let text: Vec<&str> = node.as_str()?.lines().map(str::trim).collect();
        let first = text.iter().position(|line| !line.is_empty())?;
        let is_at = |line: usize, index: usize| {
            line > 0 && manifest.lines().nth(line - 1).is_some_and(|line| line.trim() == text[index])
        };
        // The text starts behind its key, or on the line below it after `|`. It may start with empty lines.
        let above = (node.line.saturating_sub(first + 1)..node.line).rev();
        let mut starts = [node.line, node.line + 1].into_iter().chain(above);
        let start = starts.find(|start| is_at(start + first, first))?;
        let index = within.line.checked_sub(1).filter(|index| *index < text.len())?;
        is_at(start + index, index).then_some(start + index)
    };
    within.and_then(of_text).unwrap_or(node.line)
}

impl Answer {
    /// Adds the findings of another answer about the same object. A sentence holds only if both say so.
    pub(crate) fn merge(&mut self, other: Self) {
        let Self { accepted, message, warnings, audit_annotations, mutated_object, .. } = other;
        match (&mut self.message, message) {
            (Some(own), Some(message)) if *own != message => *own += &format!("; {message}"),
            (own @ None, message) => *own = message,
            _ => {}
        }
        self.accepted &= accepted;
        self.mutated_object = self.mutated_object.take().or(mutated_object);
        let own_warnings = self.warnings.get_or_insert_default();
        for warning in warnings.unwrap_or_default() {
            if !own_warnings.contains(&warning) {
                own_warnings.push(warning);
            }
        }
        let own = self.audit_annotations.get_or_insert_default();
        for (name, text) in audit_annotations.unwrap_or_default() {
            let merged = own.get(&name).and_then(|own| merged(&name, own, &text));
            own.insert(name, merged.unwrap_or(text));
        }
    }

    /// Whether the answer is a result for the object. A policy of Flytewarden's that does not cover an object accepts
    /// it without one. Other people's modules always count.
    fn says_something(&mut self, policy: &str) -> bool {
        !is_own(policy) || !self.accepted || ["judged", "notices"].iter().any(|annotation| self.has(annotation))
    }

    /// Returns the names of the sentences that the object shows to hold.
    fn judged(&mut self) -> Option<Vec<String>> {
        serde_json::from_str(&self.annotation("judged")?).ok()
    }

    fn has(&self, annotation: &str) -> bool {
        self.audit_annotations.as_ref().is_some_and(|annotations| annotations.contains_key(annotation))
    }

    fn annotation(&mut self, name: &str) -> Option<String> {
        self.audit_annotations.as_mut()?.remove(name)
    }

    fn count(&mut self, name: &str) -> usize {
        self.annotation(name).and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    fn findings(&mut self, name: &str) -> Option<Vec<Annotated>> {
        let found: Vec<Value> = serde_json::from_str(&self.annotation(name)?).ok()?;
        Some(found.into_iter().map(Annotated::from_json).collect())
    }
}

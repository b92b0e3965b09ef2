//! What was judged, what was found, and what could not be judged.
//!
//! A [`Report`] serializes to the JSON of `flytewarden check --format json`. That is stable: fields are added, and none
//! is renamed, removed or given another meaning without another [`FORMAT`].

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    mem,
};

use flytewarden::{decision, rule::Severity, shown::visible};
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

/// A whole run.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`FORMAT`].
    pub format: Cow<'static, str>,
    /// What is shown of each sentence of the "Security Overview".
    pub sentences: Vec<sentences::Shown>,
    /// The objects that were judged, in the order they were given.
    pub objects: Vec<Judged>,
    /// What could not be judged. Where there is any, the run says nothing good about the whole.
    pub unjudged: Vec<Unjudged>,
    /// How many objects of each kind no policy is about.
    pub out_of_scope: BTreeMap<String, usize>,
    /// How many objects were left out in each namespace that is none of Flyte's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub other_namespaces: BTreeMap<String, usize>,
    /// How many objects were left out that another one makes, which was judged: the pods of a Deployment.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub made_by_others: usize,
    /// The kinds of objects that policies asked the cluster for, e.g. `v1 Service`; the manifests answered in its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub asked_for: Vec<String>,
    /// Where files or folders hold the same object with other contents, they are checked as environments of their own. For each
    /// but the first, such an object: where it stands in the first, and in the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub environments: Vec<[Related; 2]>,
    /// The configuration file that the command used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub configuration: Option<String>,
    /// The settings that are not the defaults, and where they come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub settings: Option<GivenSettings>,
    /// The files of a directory that hold no Kubernetes object, which were skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub skipped: Vec<String>,
    /// How many findings are left out because their rule is off, by `<policy>/<rule>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub rules_off: BTreeMap<String, usize>,
    /// What ignores a violation that is not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub stale: Vec<Stale>,
    /// The counts.
    pub summary: Summary,
    /// Whether an object that no policy is about has Flyte's name.
    #[serde(skip)]
    names_flyte: bool,
    /// Which findings are left out.
    #[serde(skip)]
    pub(crate) omissions: Omissions,
}

/// Settings that somebody gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
pub struct GivenSettings {
    /// The file with them, as it was named.
    pub from: String,
    /// Their names: `flyte-non-root.level`.
    pub names: Vec<String>,
}

/// The counts of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Objects judged by every policy that is about them, or with a violation.
    pub judged: usize,
    /// Objects with a violation.
    pub refused: usize,
    /// Violations.
    pub violations: usize,
    /// How many of them are of each severity; those that were counted and not spelled out are of none.
    pub high: usize,
    /// As `high`.
    pub medium: usize,
    /// As `high`.
    pub low: usize,
    /// Violations that somebody ignores.
    pub ignored: usize,
    /// Notices.
    pub notices: usize,
    /// Entries of `unjudged`.
    pub unjudged: usize,
    /// Objects no policy is about.
    pub out_of_scope: usize,
}

/// An object that was judged.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// The policies that judged it.
    pub policies: Vec<String>,
    /// What is wrong with it.
    pub violations: Vec<Finding>,
    /// What is worth knowing about it.
    pub notices: Vec<Finding>,
    /// The violations that somebody ignores, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub ignored: Vec<Ignored>,
    /// The findings whose rules are off.
    #[serde(skip)]
    pub(crate) off: Vec<Finding>,
    /// How many more violations the policies counted and did not spell out.
    pub more_violations: usize,
    /// How many more notices the policies counted and did not spell out.
    pub more_notices: usize,
    /// The names of the sentences that it shows.
    #[serde(skip)]
    pub(crate) shows: Vec<String>,
    /// The name of the Secret whose certificate it stands for, where it is none itself.
    #[serde(skip)]
    pub(crate) certificate: Option<String>,
    /// Whether it comes from a running cluster, which gave it a uid.
    #[serde(skip)]
    pub(crate) is_live: bool,
    /// Whether it is Flyte's, rather than beside it.
    #[serde(skip)]
    is_flytes: bool,
    /// The kind and the name of the object that makes it.
    #[serde(skip)]
    owner: Option<[String; 2]>,
    /// Whether it is kept for a rollback alone.
    #[serde(skip)]
    runs_nothing: bool,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Which namespaces a report is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Namespaces {
    /// Those in which something of Flyte's is.
    #[default]
    Flytes,
    /// All.
    All,
    /// These.
    Named(Vec<String>),
}

/// Where an object stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The file, as it was named; `<stdin>` for standard input.
    pub file: String,
    /// The document in the file, from 1.
    pub document: usize,
    /// The object's first line in the file, from 1.
    pub line: usize,
    /// The chart's template it was rendered from, where helm says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its API version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace, where it names one.
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
    /// The rule's stable name within the policy; empty for other people's modules.
    pub rule: String,
    /// How bad it is: `high`, `medium`, `low` or `notice`; absent for violations of other people's modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", tsify(optional, type = r#""high" | "medium" | "low" | "notice""#))]
    pub severity: Option<Severity>,
    /// Where in the object; empty for the object as a whole.
    pub path: String,
    /// The line in the file that the path leads to, or the nearest that exists, from 1.
    pub line: usize,
    /// The container the path leads to, if it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub container: String,
    /// Where in the file that the path leads to, if it leads to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// What will really happen, or what is worth knowing.
    pub problem: String,
    /// What mends it; empty for notices and for other people's modules.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub mend: String,
    /// The same for programs; absent where a person must decide something first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub edits: Vec<Edit>,
    /// Where the chart that the object was rendered from sets the value, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub chart_value: Option<ChartValue>,
    /// The other objects that it names, as far as they are among the manifests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub related: Vec<Related>,
}

/// Where an object stands that something else names.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
pub struct Related {
    /// The object, as people name it: `Ingress flyte/flyte-core`.
    pub object: String,
    /// The file that it stands in, as it was named.
    pub file: String,
    /// Its first line in the file, from 1.
    pub line: usize,
}

impl Finding {
    /// Where it is, as people say it: `spec.containers[0] "flyteadmin"`, `data["server.yaml"] line 3, server.security`.
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

/// Where in a file that is a value of an object: an entry of a ConfigMap.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
pub struct Within {
    /// Where in the file, e.g. `server.security.allowedOrigins[0]`; empty for no part of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub path: String,
    /// The line of the file, from 1.
    pub line: usize,
}

/// Something that could not be judged, and why.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Unjudged {
    /// The file or directory, as it was named.
    pub file: String,
    /// The document in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// The line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The object, e.g. `Deployment flyteadmin`, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The policy that could not judge it; none could where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Where in the object, if that is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub path: String,
    /// Why.
    pub reason: String,
}

impl Unjudged {
    fn of_file(file: &str, line: Option<usize>, reason: String) -> Self {
        let file = file.to_owned();
        Self { file, line, reason, document: None, object: None, policy: None, path: String::new() }
    }
}

/// A policy's answer, as Kubewarden's SDK writes it.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// Whether the object is let in.
    pub accepted: bool,
    /// Why not.
    pub message: Option<String>,
    /// The status code of a refusal.
    pub code: Option<u16>,
    /// More about it. Flytewarden's own policies put their findings here, as JSON.
    pub audit_annotations: Option<BTreeMap<Cow<'static, str>, String>>,
    /// What is worth knowing.
    pub warnings: Option<Vec<String>>,
    /// The object as it is let in, where the policy changes it.
    pub mutated_object: Option<Value>,
}

impl From<flytewarden::answer::Answer> for Answer {
    /// The answer of a policy that is linked in, as it would come from a module.
    fn from(answer: flytewarden::answer::Answer) -> Self {
        let flytewarden::answer::Answer { accepted, message, code, mutated_object, audit_annotations, warnings } =
            answer;
        let mutated_object = mutated_object.and_then(|object| serde_json::from_str(object.get()).ok());
        Self { accepted, message, code, audit_annotations, warnings, mutated_object }
    }
}

/// What Flytewarden's policies say of a finding in their audit annotations.
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
    /// Read from JSON by its fields, since a type for each would be 3 KB of the page.
    fn of(found: Value) -> Self {
        // To ask anything else for a field panics.
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
            Value::Array(edits) => edits.into_iter().map(AnnotatedEdit::of).collect(),
            _ => Vec::new(),
        };
        Self { policy, rule, path, container, within, problem, mend, edits, text: said, reason }
    }
}

/// A change at the place of a finding, or below it.
struct AnnotatedEdit {
    below: String,
    was: Option<Value>,
    value: Option<Value>,
}

impl AnnotatedEdit {
    fn of(edit: Value) -> Self {
        let mut edit = if edit.is_object() { edit } else { Value::Null };
        let below = edit["below"].as_str().unwrap_or_default().to_owned();
        let mut value = |field: &str| Some(edit[field].take()).filter(|value| !value.is_null());
        Self { below, was: value("was"), value: value("value") }
    }

    /// The change, where the place is spelled out.
    fn at(self, path: &str, within: Option<&Within>) -> Edit {
        let below = |place: &str| match self.below.as_str() {
            "" => place.to_owned(),
            below => format!("{place}.{below}"),
        };
        let (path, within) = match within {
            Some(within) => (path.to_owned(), Some(below(&within.path))),
            None => (below(path), None),
        };
        Edit { path, within, was: self.was, value: self.value }
    }
}

impl Place {
    /// Where an object of a file stands.
    pub fn of(object: &Object, file: &str) -> Self {
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

    /// Whether an object of the same text stands there.
    pub(crate) fn is_of(&self, object: &Object) -> bool {
        let (document, line) = (object.document, object.line);
        (self.document, self.line) == (document, line)
            && (&self.kind, &self.namespace, &self.name) == (&object.kind, &object.namespace, &object.name)
    }

    /// The object as people name it: `Deployment flyte/flyteadmin`, with escapes for what cannot be seen.
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
            rules_off: BTreeMap::new(),
            omissions: Omissions::default(),
        }
    }
}

impl Report {
    /// A report that leaves some findings out.
    pub fn without(omissions: Omissions) -> Self {
        Self { omissions, ..Self::default() }
    }

    /// Adds what the policies answered about an object of a text: each policy's name, and its answer or why there is none.
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
            place: Place::of(object, file),
            policies: Vec::new(),
            violations: Vec::new(),
            notices: Vec::new(),
            ignored: Vec::new(),
            off: Vec::new(),
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
                    // A module with several policies can judge with one of them what another cannot.
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
            // That one policy finds nothing is no word on an object that another could not judge.
            self.objects.push(judged);
        }
    }

    /// Counts an object that no policy is about.
    fn pass_over(&mut self, object: &Object) {
        self.names_flyte |= object.kind == "ConfigMap" && object.name.contains("flyte");
        *self.out_of_scope.entry(object.kind.clone()).or_default() += 1;
        self.summary.out_of_scope += 1;
    }

    /// Leaves out what is none of Flyte's and what others make, counts what is left, and says what is shown of each sentence.
    /// Objects without a namespace are in `namespace`; `environments` says what the manifests hold together.
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
        // Where nothing leads anywhere, the manifests need not be read once more.
        const ROUTES: [&str; 7] =
            ["GRPCRoute", "HTTPProxy", "HTTPRoute", "Ingress", "IngressRoute", "Route", "VirtualService"];
        let leads_somewhere = !self.asked_for.is_empty()
            || ROUTES.iter().any(|kind| self.out_of_scope.contains_key(*kind))
            || self.objects.iter().any(|judged| judged.place.kind == "Ingress");
        self.stale.extend(self.omissions.baseline.iter().flat_map(Baseline::stale));
        // What could not be checked may be what is ignored.
        if !self.unjudged.is_empty() {
            self.stale.clear();
        }
        let environments = if leads_somewhere { environments() } else { Vec::new() };
        // What could not be read at all, no policy has checked.
        let is_unread = |policy: &str| {
            let is_of = |own: &String| own.starts_with(policy) || own == ALL_POLICIES;
            self.unjudged.iter().any(|entry| entry.policy.as_ref().is_none_or(is_of))
        };
        self.sentences = sentences.finish(&environments, is_unread, has_run);
    }

    /// Says where the other objects stand that findings name. `place` is that of a file among the cluster's.
    pub(crate) fn relate(&mut self, cluster: &Cluster, place: impl Fn(&str) -> Option<usize>) {
        let mut names = None;
        for judged in &mut self.objects {
            let Some(file) = place(&judged.place.file) else { continue };
            for finding in judged.violations.iter_mut().chain(&mut judged.notices) {
                let names = names.get_or_insert_with(|| Names::of(cluster));
                finding.related = names.in_text(&finding.problem, file);
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

    /// Adds that an object could not be fixed, so that it is not good as it stands.
    pub fn add_unfixed(&mut self, file: &str, Left { line, document, title, reason }: &Left) {
        self.add_unjudged(Unjudged {
            document: Some(*document),
            object: Some(title.clone()),
            ..Unjudged::of_file(file, Some(*line), format!("could not be fixed: {reason}"))
        });
    }

    /// Adds that violations of objects were only counted, where each must be known.
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

    /// Adds a document that holds no object.
    pub fn add_unreadable(&mut self, file: &str, unreadable: &Unreadable) {
        let Unreadable { document, line, reason, .. } = unreadable;
        self.add_unjudged(Unjudged {
            document: Some(*document),
            ..Unjudged::of_file(file, Some(*line), reason.clone())
        });
    }

    /// Adds a file, or a line of it, that cannot be read.
    pub fn add_unread(&mut self, file: &str, line: Option<usize>, reason: String) {
        self.add_unjudged(Unjudged::of_file(file, line, reason));
    }

    fn add_unjudged(&mut self, unjudged: Unjudged) {
        self.unjudged.push(unjudged);
        self.summary.unjudged += 1;
    }
}

/// The name of the module that carries every policy.
pub(crate) const ALL_POLICIES: &str = "flytewarden";

/// Whether a policy is one of Flytewarden's, by the name of its module.
pub(crate) fn is_own(policy: &str) -> bool {
    policy == ALL_POLICIES || decision::WITH_VARIANTS.iter().any(|(own, _)| own.name() == policy)
}

/// Whether objects of one kind make those of another, from a template of their own.
fn makes(kind: &str, made: &str) -> bool {
    match made {
        "ReplicaSet" => kind == "Deployment",
        "Pod" => ["ReplicaSet", "StatefulSet", "DaemonSet", "Job"].contains(&kind),
        "Job" => kind == "CronJob",
        _ => false,
    }
}

/// The Secret that a Certificate of cert-manager's is put into.
fn certificate(object: &Object) -> Option<String> {
    let secret = object.content.get("spec")?.get("secretName")?.as_str().filter(|_| object.kind == "Certificate")?;
    Some(secret.to_owned())
}

/// The kind and the name of the object that makes another and keeps it as it wants it.
fn owner(object: &Object) -> Option<[String; 2]> {
    let Yaml::List(owners) = &object.content.at("metadata.ownerReferences").value else { return None };
    let owner = owners.iter().find(|owner| matches!(owner.at("controller").value, Yaml::Bool(true)))?;
    Some(["kind", "name"].map(|field| owner.at(field).as_str().unwrap_or_default().to_owned()))
}

impl Judged {
    /// Whether it has a violation, spelled out or only counted, that nobody ignores.
    pub fn is_refused(&self) -> bool {
        !self.violations.is_empty() || self.more_violations > 0
    }

    /// How many violations were only counted, in words; `None` if all are spelled out. It is not known which of these are ignored.
    pub fn unlisted(&self) -> Option<String> {
        let doubt = match self.ignored.is_empty() && self.off.is_empty() {
            true => "",
            false => "; some may be ignored or of a rule that is off",
        };
        (self.more_violations > 0).then(|| format!("{} more in this object, not listed{doubt}", self.more_violations))
    }

    /// What is wrong with it, wherever it stands.
    fn wrongs(&self) -> BTreeSet<[String; 3]> {
        let wrong = |found: &Finding| [&found.policy, &found.rule, &found.container].map(String::clone);
        self.violations.iter().map(wrong).collect()
    }

    fn add(&mut self, policy: &str, mut answer: Answer, object: &Object, manifest: &str) {
        let shows = answer.judged().unwrap_or_default();
        // What other policies judge is Flyte's; this one judges all that runs beside it too.
        let judges_all = |policy: &str| policy == ALL_POLICIES || policy.starts_with("flyte-non-root");
        self.is_flytes |= !judges_all(policy) || !shows.is_empty();
        self.shows.extend(shows);
        let finding = |found: Annotated, is_notice: bool| {
            // A module with several policies says which of them it was.
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
            // Some fixes name the key themselves.
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
            self.more_violations += answer.count("moreViolations");
        }
        self.more_notices += answer.count("moreNotices");
        match answer.findings("notices") {
            Some(found) => self.notices.extend(found.into_iter().map(notice)),
            None => self.notices.extend(answer.warnings.unwrap_or_default().into_iter().map(plain).map(notice)),
        }
    }
}

/// The line of the manifest where a finding is: for a line within a text that the manifest holds as it is, that line.
fn line(node: &Node, within: Option<&Within>, manifest: &str) -> usize {
    let of_text = |within: &Within| {
        let text: Vec<&str> = node.as_str()?.lines().map(str::trim).collect();
        let first = text.iter().position(|line| !line.is_empty())?;
        let is_at = |line: usize, index: usize| {
            line > 0 && manifest.lines().nth(line - 1).is_some_and(|line| line.trim() == text[index])
        };
        // The text starts behind its key, or below it behind `|`; lines that are empty may come first.
        let above = (node.line.saturating_sub(first + 1)..node.line).rev();
        let mut starts = [node.line, node.line + 1].into_iter().chain(above);
        let start = starts.find(|start| is_at(start + first, first))?;
        let index = within.line.checked_sub(1).filter(|index| *index < text.len())?;
        is_at(start + index, index).then_some(start + index)
    };
    within.and_then(of_text).unwrap_or(node.line)
}

impl Answer {
    /// Whether it is a word on the object, rather than a policy's that passes it over. Other people's modules do not say.
    fn says_something(&mut self, policy: &str) -> bool {
        !is_own(policy) || !self.accepted || ["judged", "notices"].iter().any(|annotation| self.has(annotation))
    }

    /// The names of the sentences that the object shows.
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
        Some(found.into_iter().map(Annotated::of).collect())
    }
}

//! What a policy answers, and how it is put into words.

use std::{
    fmt::{self, Write},
    hash::{DefaultHasher, Hash, Hasher},
    mem,
};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    rule::RuleName,
    sentence::Seen,
    shown::{around_user, is_visible},
};

/// What a policy thinks of an object. Accepted when there is no violation.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is wrong, in the object's own order.
    pub violations: Findings<Violation>,
    /// What is worth knowing and refuses nothing.
    pub notices: Findings<Notice>,
    /// The object as the policy wants it, where it changes it: as JSON.
    pub object: Option<Box<RawValue>>,
    /// What the policy saw.
    pub seen: Seen,
}

impl Verdict {
    /// Whether there is no violation.
    pub fn accepts(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Where in a file that is a value of an object: an entry of a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Within {
    /// Where in the file, e.g. `server.security.allowedOrigins[0]`; empty for no part of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The line of the file, from 1.
    pub line: usize,
}

/// Where a finding is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Where in the object, e.g. `spec.template.spec.initContainers[2]`.
    pub path: String,
    /// The name of the container the path leads to; empty where it leads to none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// Where in the file that the path leads to, if it leads to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
}

impl Place {
    /// Where in the object a path leads, to no container and no file.
    pub(crate) fn at(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.path)?;
        if !self.container.is_empty() {
            write!(formatter, " \"{}\"", self.container)?;
        }
        if let Some(Within { path, line }) = &self.within {
            write!(formatter, " line {line}")?;
            if !path.is_empty() {
                write!(formatter, ", {path}")?;
            }
        }
        Ok(())
    }
}

/// What is wrong with an object in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What finds it.
    #[serde(flatten)]
    pub rule: RuleName,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// What will really happen.
    pub problem: String,
    /// The line that mends it.
    pub mend: String,
    /// The same for programs; nothing where a person must decide something first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// A hash for each thing that is wrong, with what it rests on and does not say, such as the image of a container that may
    /// be root. An UPDATE that brings another makes something wrong, or touches what is.
    #[serde(skip)]
    pub faults: Vec<u64>,
}

impl Violation {
    /// One thing that is wrong at a place.
    pub(crate) fn new(rule: RuleName, place: Place, problem: String, mend: String) -> Self {
        let faults = vec![hash((rule.rule, &problem))];
        Self { rule, place, problem, mend, edits: Vec::new(), faults }
    }

    /// Whether another version of the object has all that is wrong here too, wherever it stands in its list.
    pub(crate) fn is_as_in(&self, other: &Self) -> bool {
        self.is_where(other) && self.faults.iter().all(|fault| other.faults.contains(fault))
    }

    /// Whether another version of the object has a violation in the same place, wherever that stands in its list.
    pub(crate) fn is_where(&self, other: &Self) -> bool {
        let file = |place: &Place| place.within.as_ref().map(|within| without_indices(&within.path));
        let (place, others) = (&self.place, &other.place);
        (self.rule.policy, &place.container) == (other.rule.policy, &others.container)
            && without_indices(&place.path) == without_indices(&others.path)
            && file(place) == file(others)
    }

    /// Has all that is wrong rest on something.
    pub(crate) fn rest_on(&mut self, grounds: u64) {
        self.rest_on_each(&[grounds]);
    }

    /// Has all that is wrong rest on each of some things.
    fn rest_on_each(&mut self, grounds: &[u64]) {
        let faults = self.faults.iter();
        self.faults = faults.flat_map(|fault| grounds.iter().map(move |ground| hash((*fault, *ground)))).collect();
    }

    /// The notice in place of a violation that refuses nothing, with the reason.
    pub(crate) fn allowed(self, reason: &str) -> Notice {
        let Self { rule, place, problem, mend, .. } = self;
        Notice { rule, place, text: format!("{problem}; allowed, because {reason}; {mend}") }
    }
}

/// A path without the places in lists: `spec.containers[0]` is `spec.containers[]`.
fn without_indices(path: &str) -> String {
    let part = |part: &str| match part.split_once(']') {
        Some((index, rest)) if index.bytes().all(|byte| byte.is_ascii_digit()) => format!("]{rest}"),
        _ => part.to_owned(),
    };
    path.split('[').map(part).collect::<Vec<_>>().join("[")
}

/// A change at the place of a violation, or below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// Where below it, e.g. `securityContext.runAsUser`; empty for the place itself.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub below: &'static str,
    /// What is there now, where another change before this one could have put something else there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Scalar>,
    /// What is to be there; where absent, what is there is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Scalar>,
}

/// What an edit puts there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "the names are JSON's")]
pub enum Scalar {
    Bool(bool),
    Number(u32),
    String(String),
}

/// One thing worth knowing about an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// What finds it.
    #[serde(flatten)]
    pub rule: RuleName,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// What is worth knowing.
    pub text: String,
}

/// A request no verdict can be given on. Never an acceptance: what cannot be judged is not good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unjudged {
    /// Where in the object, or in the request or the settings; empty for the request as a whole.
    pub path: String,
    /// Why it cannot be judged.
    pub reason: String,
}

impl Unjudged {
    /// The same, of an object in which what it is about stands at a path.
    pub(crate) fn below(self, at: &str) -> Self {
        let Self { path, reason } = self;
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        Self { path: format!("{at}{dot}{path}"), reason }
    }

    /// Why, with where in front of it.
    pub(crate) fn in_words(self) -> String {
        let Self { path, reason } = self;
        if path.is_empty() { reason } else { format!("{path}: {reason}") }
    }
}

impl fmt::Display for Unjudged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("cannot be checked: ")?;
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.reason)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}; {}", self.place, self.problem, self.mend)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.text)
    }
}

/// The most violations or notices one answer spells out. An answer ends up in a terminal and in the cluster's audit
/// log; the hundredth container says what the twentieth said.
pub const MOST_LISTED: usize = 20;

/// The most findings that are kept to be compared with those of another version of the object.
const MOST_KEPT: usize = 200;

/// Findings, of which the first [`MOST_LISTED`] are listed, some more kept, and the others counted: a megabyte has room for a
/// hundred thousand containers that are all wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Findings<T> {
    listed: Vec<T>,
    kept: Vec<T>,
    counted: usize,
}

impl<T> Findings<T> {
    /// Adds one.
    pub fn push(&mut self, finding: T) {
        if self.listed.len() < MOST_LISTED {
            self.listed.push(finding);
        } else if self.listed.len() + self.kept.len() < MOST_KEPT {
            self.kept.push(finding);
        } else {
            self.counted += 1;
        }
    }

    /// Adds those of another part of the object.
    pub(crate) fn merge(&mut self, mut other: Self) {
        other.take().into_iter().for_each(|finding| self.push(finding));
        self.counted += other.counted;
    }

    /// Adds those of another policy, which keeps no more than its own share.
    pub fn append(&mut self, other: Self) {
        self.listed.extend(other.listed);
        self.kept.extend(other.kept);
        self.counted += other.counted;
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Those that are spelled out.
    pub fn listed(&self) -> &[T] {
        &self.listed
    }

    /// How many more there are.
    pub fn more(&self) -> usize {
        self.kept.len() + self.counted
    }

    /// All that are kept.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &T> {
        self.listed.iter().chain(&self.kept)
    }

    /// Takes all that are kept, and counts on.
    pub(crate) fn take(&mut self) -> Vec<T> {
        let mut taken = mem::take(&mut self.listed);
        taken.append(&mut self.kept);
        taken
    }

    /// How many are only counted.
    pub(crate) fn counted(&self) -> usize {
        self.counted
    }

    /// Counts more.
    pub(crate) fn count(&mut self, more: usize) {
        self.counted += more;
    }
}

impl Findings<Violation> {
    /// Has all of them rest on something.
    pub(crate) fn rest_on(&mut self, grounds: impl Hash) {
        self.rest_on_each(&[hash(grounds)]);
    }

    /// Has all of them rest on each of some things, so that another version may have fewer of these; of many on all together.
    pub(crate) fn rest_on_each(&mut self, grounds: &[u64]) {
        let all = grounds.iter().fold(0, |all: u64, ground| all.wrapping_add(*ground));
        let grounds = if grounds.len() > MOST_KEPT { &[all][..] } else { grounds };
        self.listed.iter_mut().chain(&mut self.kept).for_each(|violation| violation.rest_on_each(grounds));
    }
}

/// The hash of what a violation rests on.
pub(crate) fn hash(grounds: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    grounds.hash(&mut hasher);
    hasher.finish()
}

impl<T> Default for Findings<T> {
    fn default() -> Self {
        Self { listed: Vec::new(), kept: Vec::new(), counted: 0 }
    }
}

impl<T> Extend<T> for Findings<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, findings: I) {
        findings.into_iter().for_each(|finding| self.push(finding));
    }
}

/// One line for each violation that is kept, and a last line that counts the others.
pub fn message(violations: &Findings<Violation>) -> String {
    let mut message = String::new();
    for (index, violation) in violations.listed.iter().enumerate() {
        let separator = if index == 0 { "" } else { "\n" };
        let _ = write!(message, "{separator}{violation}");
    }
    if violations.more() > 0 {
        let _ = write!(message, "\n... and {} more", violations.more());
    }
    message
}

/// A text from the request, safe to put into an answer: one line, at most [`Self::MOST`] characters, those that cannot be
/// seen as escapes, and without the user and the password of a URL.
///
/// Names in Kubernetes have at most 253 characters and no control characters, but not everything that asks for a
/// verdict has been through the API server.
pub(crate) struct Shortened<'a>(pub(crate) &'a str);

impl Shortened<'_> {
    const MOST: usize = 256;
}

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = around_user(self.0).unwrap_or([self.0, ""]);
        let hidden = if after.is_empty() { "" } else { "..." };
        for (index, character) in [before, hidden, after].iter().flat_map(|part| part.chars()).enumerate() {
            if index == Self::MOST {
                return formatter.write_str("...");
            }
            if is_visible(character) {
                formatter.write_char(character)?;
            } else {
                character.escape_unicode().fmt(formatter)?;
            }
        }
        Ok(())
    }
}

/// The first few texts, and how many more there are.
pub(crate) fn few(texts: impl ExactSizeIterator<Item = String>) -> String {
    const FEW: usize = 3;
    let more = texts.len().saturating_sub(FEW);
    let mut few = texts.take(FEW).collect::<Vec<_>>().join(", ");
    if more > 0 {
        few.push_str(&format!(", and {more} more"));
    }
    few
}

//! A policy's verdict, and its text for people.

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

/// A policy's verdict on an object. The object is accepted when there is no violation.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The problems, in the object's own order.
    pub violations: Findings<Violation>,
    /// Remarks that reject nothing.
    pub notices: Findings<Notice>,
    /// The changed object as JSON, if the policy changes it.
    pub object: Option<Box<RawValue>>,
    /// Whether the policy checked the object, and which sentences it proves.
    pub seen: Seen,
}

impl Verdict {
    /// Whether there is no violation.
    pub fn accepts(&self) -> bool {
        self.violations.is_empty()
    }
}

/// A place in a file that is a value of an object: an entry of a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Within {
    /// The path in the file, e.g. `server.security.allowedOrigins[0]`; empty for no particular part.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The line in the file, from 1.
    pub line: usize,
}

/// The place of a finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The path in the object, e.g. `spec.template.spec.initContainers[2]`.
    pub path: String,
    /// The name of the container at the path; empty if it is not a container.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// The place in the file at the path, if it is a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
}

impl Place {
    /// A path in the object, to neither a container nor a file.
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

/// A problem in one place of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The rule that finds it.
    #[serde(flatten)]
    pub rule: RuleName,
    /// Its place.
    #[serde(flatten)]
    pub place: Place,
    /// The problem: what is wrong, or what will happen.
    pub problem: String,
    /// The fix.
    pub mend: String,
    /// The same fix for programs; empty if a person must decide something first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// A hash for each problem, together with what the problem depends on but does not mention, such as the image of a container
    /// that may be root. An UPDATE that adds a new hash adds a problem, or changes an existing one.
    #[serde(skip)]
    pub faults: Vec<u64>,
}

impl Violation {
    /// One problem at a place.
    pub(crate) fn new(rule: RuleName, place: Place, problem: String, mend: String) -> Self {
        let faults = vec![hash((rule.rule, &problem))];
        Self { rule, place, problem, mend, edits: Vec::new(), faults }
    }

    /// Whether the same place in another version of the object has all these problems too. The index in a list does not matter.
    pub(crate) fn is_as_in(&self, other: &Self) -> bool {
        self.is_where(other) && self.faults.iter().all(|fault| other.faults.contains(fault))
    }

    /// Whether the other violation has the same policy and place. The index in a list does not matter.
    pub(crate) fn is_where(&self, other: &Self) -> bool {
        let file = |place: &Place| place.within.as_ref().map(|within| without_indices(&within.path));
        let (place, others) = (&self.place, &other.place);
        (self.rule.policy, &place.container) == (other.rule.policy, &others.container)
            && without_indices(&place.path) == without_indices(&others.path)
            && file(place) == file(others)
    }

    /// Makes every problem depend on something.
    pub(crate) fn rest_on(&mut self, grounds: u64) {
        self.rest_on_each(&[grounds]);
    }

    /// Makes every problem depend on each of several things.
    fn rest_on_each(&mut self, grounds: &[u64]) {
        let faults = self.faults.iter();
        self.faults = faults.flat_map(|fault| grounds.iter().map(move |ground| hash((*fault, *ground)))).collect();
    }

    /// The notice that replaces a violation, with the reason why the violation is allowed.
    pub(crate) fn allowed(self, reason: &str) -> Notice {
        let Self { rule, place, problem, mend, .. } = self;
        Notice { rule, place, text: problem, mend: format!("{mend}. Admitted anyway, because {reason}") }
    }
}

/// A path without the indices of lists: `spec.containers[0]` becomes `spec.containers[]`.
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
    /// The path below that place, e.g. `securityContext.runAsUser`; empty for the place itself.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub below: &'static str,
    /// The current value, where an earlier edit could have changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Scalar>,
    /// The new value; without one, the edit removes the current value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Scalar>,
}

/// The value of an edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "the names are JSON's")]
pub enum Scalar {
    Bool(bool),
    Number(u32),
    String(String),
}

/// A remark about an object, which does not reject it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The rule that finds it.
    #[serde(flatten)]
    pub rule: RuleName,
    /// Its place.
    #[serde(flatten)]
    pub place: Place,
    /// The remark.
    pub text: String,
    /// What to do about it; empty if there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mend: String,
}

impl Notice {
    /// A remark at a place.
    pub(crate) fn new(rule: RuleName, place: Place, note: impl Into<Note>) -> Self {
        let Note { text, mend } = note.into();
        Self { rule, place, text, mend }
    }
}

/// A remark without its rule and place, or the reason why something could not be checked.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) text: String,
    /// What to do about it; empty if there is nothing to do.
    pub(crate) mend: String,
}

impl Note {
    pub(crate) fn new(text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { text: text.into(), mend: mend.into() }
    }
}

impl From<String> for Note {
    fn from(text: String) -> Self {
        Self { text, mend: String::new() }
    }
}

/// A request that cannot be checked. It is never accepted: an object that cannot be checked is not known to be good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unjudged {
    /// The path in the object, the request or the settings; empty for the request as a whole.
    pub path: String,
    /// Why it cannot be checked.
    pub reason: String,
}

impl Unjudged {
    /// The same problem, with a path that starts at the object that holds this one at `at`.
    pub(crate) fn below(self, at: &str) -> Self {
        let Self { path, reason } = self;
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        Self { path: format!("{at}{dot}{path}"), reason }
    }

    /// The reason, with the path in front of it.
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
        write!(formatter, "{}: {}", self.place, self.text)?;
        if self.mend.is_empty() { Ok(()) } else { write!(formatter, "; {}", self.mend) }
    }
}

/// The most violations or notices that one answer lists. An answer ends up in a terminal and in the cluster's audit log;
/// the hundredth container tells nothing that the twentieth did not.
pub const MOST_LISTED: usize = 20;

/// The most findings that are kept, to compare them with those of another version of the object.
const MOST_KEPT: usize = 200;

/// Findings. The first [`MOST_LISTED`] are listed, some more are kept, and the rest are only counted: a megabyte has room for
/// a hundred thousand wrong containers.
#[derive(Debug, PartialEq, Eq)]
pub struct Findings<T> {
    listed: Vec<T>,
    kept: Vec<T>,
    counted: usize,
}

impl<T> Findings<T> {
    /// Adds a finding.
    pub fn push(&mut self, finding: T) {
        if self.listed.len() < MOST_LISTED {
            self.listed.push(finding);
        } else if self.listed.len() + self.kept.len() < MOST_KEPT {
            self.kept.push(finding);
        } else {
            self.counted += 1;
        }
    }

    /// Adds the findings of another part of the object.
    pub(crate) fn merge(&mut self, mut other: Self) {
        other.take().into_iter().for_each(|finding| self.push(finding));
        self.counted += other.counted;
    }

    /// Adds the findings of another policy, which has its own limits.
    pub fn append(&mut self, other: Self) {
        self.listed.extend(other.listed);
        self.kept.extend(other.kept);
        self.counted += other.counted;
    }

    /// Whether there are no findings.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The findings that an answer lists.
    pub fn listed(&self) -> &[T] {
        &self.listed
    }

    /// How many more findings there are.
    pub fn more(&self) -> usize {
        self.kept.len() + self.counted
    }

    /// All findings that are listed or kept.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &T> {
        self.listed.iter().chain(&self.kept)
    }

    /// Takes out all findings that are listed or kept; the count of the others stays.
    pub(crate) fn take(&mut self) -> Vec<T> {
        let mut taken = mem::take(&mut self.listed);
        taken.append(&mut self.kept);
        taken
    }

    /// How many findings are only counted.
    pub(crate) fn counted(&self) -> usize {
        self.counted
    }

    /// Counts more findings, without keeping them.
    pub(crate) fn count(&mut self, more: usize) {
        self.counted += more;
    }
}

impl Findings<Violation> {
    /// Makes all violations depend on something.
    pub(crate) fn rest_on(&mut self, grounds: impl Hash) {
        self.rest_on_each(&[hash(grounds)]);
    }

    /// Makes all violations depend on each of several things, so that another version can have fewer of these. If there
    /// are more than [`MOST_KEPT`], makes the violations depend on all of them together.
    pub(crate) fn rest_on_each(&mut self, grounds: &[u64]) {
        let all = grounds.iter().fold(0, |all: u64, ground| all.wrapping_add(*ground));
        let grounds = if grounds.len() > MOST_KEPT { &[all][..] } else { grounds };
        self.listed.iter_mut().chain(&mut self.kept).for_each(|violation| violation.rest_on_each(grounds));
    }
}

/// The hash of what a violation depends on.
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

/// One line for each listed violation, and a last line that counts the others.
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

/// A text from the request, made safe for an answer: one line of at most [`Self::MOST`] characters, with escapes for
/// invisible characters, and without the user and the password of a URL.
///
/// Names in Kubernetes have at most 253 characters and no control characters, but not every request has been through the
/// API server.
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

/// The first three texts, and the number of the others.
pub(crate) fn few(texts: impl ExactSizeIterator<Item = String>) -> String {
    const FEW: usize = 3;
    let more = texts.len().saturating_sub(FEW);
    let mut few: Vec<String> = texts.take(FEW).collect();
    if more > 0 {
        few.push(format!("{more} more"));
    }
    let last = few.pop().unwrap_or_default();
    match &few[..] {
        [] => last,
        [first] => format!("{first} and {last}"),
        _ => format!("{}, and {last}", few.join(", ")),
    }
}

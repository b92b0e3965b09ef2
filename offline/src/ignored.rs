//! Ignores findings on purpose: by an annotation of the object, by a comment on the line, or by a baseline.
//!
//! ```yaml
//! metadata:
//!   annotations:
//!     flytewarden.io/ignore: "flyte-non-root/not-proven-non-root: the image's USER is 1001"
//! ...
//!       containers:
//!         - name: sync # flytewarden:ignore flyte-non-root/not-proven-non-root: the chart has no value for it
//! ```
//!
//! Annotations and comments need a reason. They apply only to files: in a cluster, the policies do not read them.

use serde::{Deserialize, Serialize};

use flytewarden::shown::visible;

use crate::{
    manifest::Object,
    report::{Finding, Judged, Report, contains},
    yaml::{Node, Value},
};

/// The annotation. Each of its lines has a rule and a reason.
const ANNOTATION: &str = "flytewarden.io/ignore";

/// Whether a rule exists, given its policy's name and its own. A program that does not contain the list of rules, such
/// as the page, accepts any name.
pub type Knows = fn(&str, &str) -> bool;

/// The start of a comment that ignores a rule.
const COMMENT: &str = "flytewarden:ignore";

/// The name of the baseline format.
const FORMAT: &str = "flytewarden-baseline/v1";

/// An ignored violation.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
pub struct Ignored {
    /// The violation.
    #[serde(flatten)]
    pub finding: Finding,
    /// How it is ignored.
    pub by: By,
    /// The reason.
    pub reason: String,
}

/// The place that tells flytewarden to ignore a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// In an annotation of the object.
    Annotation,
    /// In a comment on the line.
    Comment,
    /// In the baseline.
    Baseline,
}

impl By {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Annotation => "annotation",
            Self::Comment => "comment",
            Self::Baseline => "baseline",
        }
    }
}

/// An instruction to ignore a rule.
#[derive(Debug)]
struct Directive {
    /// The policy and the rule: `flyte-non-root/runs-as-root`.
    rule: String,
    reason: String,
    /// Whether it has matched a violation.
    is_used: bool,
}

impl Directive {
    fn parse(text: &str, knows: Knows) -> Result<Self, String> {
        let (rule, reason) = text.split_once(':').unwrap_or((text, ""));
        let (rule, reason) = (rule.trim(), reason.trim());
        let is_known = rule.split_once('/').is_some_and(|(policy, rule)| knows(policy, rule));
        match (is_known, reason) {
            (false, _) => Err(format!(
                "ignores `{rule}`, and there is no such rule; write <policy>/<rule>: <reason>, with a name that `flytewarden explain` lists"
            )),
            (true, "") => Err(format!("ignores {rule} without a reason; write {rule}: <reason>")),
            _ => Ok(Self { rule: rule.to_owned(), reason: reason.to_owned(), is_used: false }),
        }
    }

    fn is_for(&self, finding: &Finding) -> bool {
        self.rule.split_once('/') == Some((&finding.policy, &finding.rule))
    }

    /// Marks the directive as used, and returns its reason.
    fn used(&mut self) -> String {
        self.is_used = true;
        self.reason.clone()
    }
}

/// The comments of a text that ignore rules.
#[derive(Debug, Default)]
pub struct Comments {
    each: Vec<Comment>,
    /// The invalid comments, each with its line.
    wrong: Vec<(usize, String)>,
}

/// A comment that ignores a rule. Lines count from 1.
#[derive(Debug)]
struct Comment {
    line: usize,
    /// The line whose findings it ignores.
    ignores: usize,
    directive: Directive,
}

impl Comments {
    /// Finds the comments in a text.
    pub fn find(text: &str, knows: Knows) -> Self {
        let mut comments = Self::default();
        if !text.contains("lytewarden") {
            return comments;
        }
        for (line, content) in (1..).zip(text.lines()) {
            let Some((before, directive)) = content.split_once(COMMENT) else {
                if is_misspelt(content) {
                    comments.wrong.push((line, format!("is not read; write # {COMMENT} <policy>/<rule>: <reason>")));
                }
                continue;
            };
            let Some(before) = before.trim_end().strip_suffix('#') else { continue };
            // A comment alone on its line applies to the next line that is not a comment.
            let is_comment = |content: &&str| content.trim_start().starts_with('#');
            let ignores = match before.trim().is_empty() {
                true => line + text.lines().skip(line - 1).take_while(is_comment).count(),
                false => line,
            };
            match Directive::parse(directive, knows) {
                Ok(directive) => comments.each.push(Comment { line, ignores, directive }),
                Err(wrong) => comments.wrong.push((line, wrong)),
            }
        }
        comments
    }

    /// Reports the invalid comments, and the comments that matched nothing.
    pub(crate) fn finish(self, file: &str, report: &mut Report) {
        for (line, reason) in self.wrong {
            report.add_unread(file, Some(line), format!("the comment {reason}"));
        }
        for Comment { line, directive, .. } in self.each {
            if !directive.is_used {
                report.stale.push(Stale { rule: directive.rule, place: format!("{file}:{line}") });
            }
        }
    }
}

/// Whether a comment looks like one that ignores something: `# Flytewarden-ignore ...`.
fn is_misspelt(line: &str) -> bool {
    let Some((_, comment)) = line.split_once('#') else { return false };
    let comment = comment.trim_start().to_lowercase();
    let Some(rest) = comment.strip_prefix("flytewarden") else { return false };
    let rest = rest.trim_start_matches([':', '-', '_', '/', '.', ' ']);
    rest.strip_prefix("ignore").is_some_and(|rest| rest.contains('/') && rest.starts_with([':', ' ', '[', '=']))
}

/// A comment, annotation or baseline entry that matches no violation, so that it can be removed.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
pub struct Stale {
    /// The policy and the rule.
    pub rule: String,
    /// The file and the line, or the object if it is in the baseline.
    pub place: String,
}

/// The violations of an earlier run, to be ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    format: String,
    violations: Vec<Known>,
}

/// A violation in a baseline. It is identified by values that stay the same if lines or containers move.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
struct Known {
    object: String,
    policy: String,
    rule: String,
    path: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    container: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    within: String,
    #[serde(default, skip_serializing)]
    reason: String,
    /// How many such violations there are: containers of one name, items of one list, the same object in two environments.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    count: usize,
    /// How many of them were found.
    #[serde(skip)]
    found: usize,
}

fn one() -> usize {
    1
}

fn is_one(count: &usize) -> bool {
    *count == 1
}

impl Known {
    fn from_finding(object: &str, finding: &Finding) -> Self {
        Self {
            object: object.to_owned(),
            policy: finding.policy.clone(),
            rule: finding.rule.clone(),
            path: without_indices(&finding.path),
            container: finding.container.clone(),
            within: finding.within.as_ref().map(|within| without_indices(&within.path)).unwrap_or_default(),
            reason: String::new(),
            count: 1,
            found: 0,
        }
    }

    /// The values that identify it.
    fn key(&self) -> [&str; 6] {
        [&self.object, &self.policy, &self.rule, &self.path, &self.container, &self.within]
    }
}

/// Removes the numbers from a path: `spec.containers[2]` becomes `spec.containers[]`.
fn without_indices(path: &str) -> String {
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| path + "[" + part.trim_start_matches(|digit: char| digit.is_ascii_digit()))
}

impl Baseline {
    /// Creates a baseline from the violations of a report.
    pub fn from_report(report: &Report) -> Self {
        let of_object = |judged: &Judged| {
            let title = judged.place.title();
            judged.violations.iter().map(|finding| Known::from_finding(&title, finding)).collect::<Vec<_>>()
        };
        let mut violations: Vec<Known> = report.objects.iter().flat_map(of_object).collect();
        violations.sort();
        violations.dedup_by(|later, first| {
            let is_same = later.key() == first.key();
            first.count += usize::from(is_same);
            is_same
        });
        Self { format: FORMAT.to_owned(), violations }
    }

    /// Counts the violations in the baseline.
    pub fn count(&self) -> usize {
        self.violations.iter().map(|known| known.count).sum()
    }

    /// Parses a baseline, which is JSON.
    ///
    /// # Errors
    ///
    /// Why the baseline is invalid.
    pub fn parse(text: &str) -> Result<Self, String> {
        let content: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if content["format"] != FORMAT {
            return Err("it is not a baseline; --write-baseline writes one".to_owned());
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    fn find(&mut self, title: &str, finding: &Finding) -> Option<String> {
        let own = Known::from_finding(title, finding);
        let known = self.violations.iter_mut().find(|known| known.key() == own.key() && known.found < known.count)?;
        known.found += 1;
        Some(if known.reason.is_empty() { "in the baseline".to_owned() } else { known.reason.clone() })
    }

    /// Returns the entries whose violations are gone.
    pub(crate) fn stale(&self) -> impl Iterator<Item = Stale> {
        let stale = self.violations.iter().filter(|known| known.found < known.count);
        stale.map(|known| Stale {
            rule: format!("{}/{}", known.policy, known.rule),
            place: format!("the baseline's entry for {}", known.object),
        })
    }
}

/// The findings that a report leaves out.
#[derive(Debug, Clone)]
pub struct Omissions {
    /// Whether a rule exists. A program without the list of rules, such as the page, accepts any name.
    pub knows: Knows,
    /// The rules to report, as policy name and rule name. If empty, all rules are reported.
    pub on: Vec<(String, String)>,
    /// The rules that are off.
    pub off: Vec<(String, String)>,
    /// The violations of an earlier run.
    pub baseline: Option<Baseline>,
}

impl Default for Omissions {
    fn default() -> Self {
        Self { knows: |_, _| true, on: Vec::new(), off: Vec::new(), baseline: None }
    }
}

impl Omissions {
    /// Whether no rule of a policy is on.
    fn is_policy_off(&self, policy: &str) -> bool {
        !self.on.is_empty() && !self.on.iter().any(|(own, _)| contains(policy, own))
    }

    fn is_off(&self, finding: &Finding) -> bool {
        let names = |rules: &[(String, String)]| {
            rules.iter().any(|(policy, rule)| (policy, rule) == (&finding.policy, &finding.rule))
        };
        names(&self.off) || !self.on.is_empty() && !names(&self.on)
    }
}

/// Moves ignored findings out of an object's violations, and moves findings whose rules are off out of its violations
/// and notices.
pub(crate) fn ignore(judged: &mut Judged, object: &Object, comments: &mut Comments, report: &mut Report) {
    for findings in [&mut judged.violations, &mut judged.notices] {
        let (off, on) = std::mem::take(findings).into_iter().partition(|finding| report.omissions.is_off(finding));
        *findings = on;
        judged.off.extend::<Vec<_>>(off);
    }
    judged.unlisted_by.retain(|(policy, _)| !report.omissions.is_policy_off(policy));
    judged.more_violations = judged.unlisted_by.iter().map(|(_, more)| more).sum();
    let annotations = object.content.at("metadata.annotations");
    let annotation = annotations.get(ANNOTATION).and_then(Node::as_str).unwrap_or_default();
    if let Value::Map(entries) = &annotations.value {
        let prefix = ANNOTATION.trim_end_matches("ignore");
        for (name, node) in
            entries.iter().filter(|(name, _)| name.to_lowercase().starts_with(prefix) && *name != ANNOTATION)
        {
            let reason = format!("there is no annotation {}; write {ANNOTATION}", visible(name));
            report.add_unread(&judged.place.file, Some(node.key_line), reason);
        }
    }
    let mut annotated = Vec::new();
    for line in annotation.lines().filter(|line| !line.trim().is_empty()) {
        match Directive::parse(line, report.omissions.knows) {
            Ok(directive) => annotated.push(directive),
            Err(reason) => {
                let reason = format!("the annotation {ANNOTATION} {reason}");
                report.add_unread(&judged.place.file, Some(annotations.line), reason);
            }
        }
    }
    let title = judged.place.title();
    for finding in std::mem::take(&mut judged.violations) {
        let mut by_annotation =
            || Some((By::Annotation, annotated.iter_mut().find(|own| own.is_for(&finding))?.used()));
        let by_comment = || {
            let is_it = |own: &&mut Comment| own.ignores == finding.line && own.directive.is_for(&finding);
            Some((By::Comment, comments.each.iter_mut().find(is_it)?.directive.used()))
        };
        let by_baseline = || Some((By::Baseline, report.omissions.baseline.as_mut()?.find(&title, &finding)?));
        match by_annotation().or_else(by_comment).or_else(by_baseline) {
            Some((by, reason)) => judged.ignored.push(Ignored { finding, by, reason }),
            None => judged.violations.push(finding),
        }
    }
    let place = || format!("{}:{}, annotation of {title}", judged.place.file, judged.place.line);
    let unused = annotated.into_iter().filter(|directive| !directive.is_used);
    report.stale.extend(unused.map(|directive| Stale { rule: directive.rule, place: place() }));
}

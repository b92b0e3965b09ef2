//! Findings that somebody ignores on purpose: by an annotation of the object, by a comment on the line, or by a baseline.
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
//! Each needs a reason. They are for files alone: in a cluster the policies do not read them.

use serde::{Deserialize, Serialize};

use crate::{
    manifest::Object,
    report::{Finding, Judged, Report},
};

/// The annotation: a rule and a reason on each line.
const ANNOTATION: &str = "flytewarden.io/ignore";

/// Whether there is a rule, by its policy's name and its own. Who links the rules' texts can say; a page that need not carry them
/// takes any.
pub type Knows = fn(&str, &str) -> bool;

/// What a comment begins with.
const COMMENT: &str = "flytewarden:ignore";

/// The name of a baseline's format.
const FORMAT: &str = "flytewarden-baseline/v1";

/// A violation that somebody ignores.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
pub struct Ignored {
    /// The violation.
    #[serde(flatten)]
    pub finding: Finding,
    /// Where that is said: `annotation`, `comment` or `baseline`.
    pub by: &'static str,
    /// Why.
    pub reason: String,
}

/// That somebody ignores a rule.
#[derive(Debug)]
struct Directive {
    /// The policy and the rule: `flyte-non-root/runs-as-root`.
    rule: String,
    reason: String,
}

impl Directive {
    fn read(text: &str, knows: Knows) -> Result<Self, String> {
        let (rule, reason) = text.split_once(':').unwrap_or((text, ""));
        let (rule, reason) = (rule.trim(), reason.trim());
        let is_known = rule.split_once('/').is_some_and(|(policy, rule)| knows(policy, rule));
        match (is_known, reason) {
            (false, _) => Err(format!(
                "ignores `{rule}`, and there is no such rule; write <policy>/<rule>: <reason>, with a name that `flytewarden explain` lists"
            )),
            (true, "") => Err(format!("ignores {rule} without a reason; write {rule}: <reason>")),
            _ => Ok(Self { rule: rule.to_owned(), reason: reason.to_owned() }),
        }
    }

    fn is_for(&self, finding: &Finding) -> bool {
        self.rule.split_once('/') == Some((&finding.policy, &finding.rule))
    }
}

/// The comments of a text that ignore something.
#[derive(Debug, Default)]
pub struct Comments {
    /// The line of each, from 1, the line that it is for, and whether something was ignored by it.
    each: Vec<(usize, usize, Directive, bool)>,
    /// Those that cannot be read, each with its line.
    wrong: Vec<(usize, String)>,
}

impl Comments {
    /// Finds the comments of a text.
    pub fn of(text: &str, knows: Knows) -> Self {
        let mut comments = Self::default();
        if !text.contains(COMMENT) {
            return comments;
        }
        for (line, content) in (1..).zip(text.lines()) {
            let Some((before, directive)) = content.split_once(COMMENT) else { continue };
            let Some(before) = before.trim_end().strip_suffix('#') else { continue };
            // Alone on a line it is for the next.
            let of = if before.trim().is_empty() { line + 1 } else { line };
            match Directive::read(directive, knows) {
                Ok(directive) => comments.each.push((line, of, directive, false)),
                Err(wrong) => comments.wrong.push((line, wrong)),
            }
        }
        comments
    }

    /// Reports what of them cannot be read, and what ignored nothing.
    pub(crate) fn finish(self, file: &str, report: &mut Report) {
        for (line, reason) in self.wrong {
            report.add_line(file, line, format!("the comment {reason}"));
        }
        for (line, _, Directive { rule, .. }, is_used) in self.each {
            if !is_used {
                report.stale.push(Stale { rule, place: format!("{file}:{line}") });
            }
        }
    }
}

/// Something that ignores nothing, and can be removed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
pub struct Stale {
    /// The policy and the rule.
    pub rule: String,
    /// The file and the line, or the object in the baseline.
    pub place: String,
}

/// The violations of an earlier run, which are ignored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    format: String,
    violations: Vec<Known>,
}

/// A violation in a baseline. It is known by what does not change where lines and containers are moved.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
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
    #[serde(skip)]
    is_used: bool,
}

impl Known {
    fn of(object: &str, finding: &Finding) -> Self {
        Self {
            object: object.to_owned(),
            policy: finding.policy.clone(),
            rule: finding.rule.clone(),
            path: without_indices(&finding.path),
            container: finding.container.clone(),
            within: finding.within.as_ref().map(|within| without_indices(&within.path)).unwrap_or_default(),
            reason: String::new(),
            is_used: false,
        }
    }

    fn is(&self, other: &Self) -> bool {
        let key = |known: &Self| {
            [&known.object, &known.policy, &known.rule, &known.path, &known.container, &known.within].map(String::clone)
        };
        key(self) == key(other)
    }
}

/// `spec.containers[]` for `spec.containers[2]`.
fn without_indices(path: &str) -> String {
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| path + "[" + part.trim_start_matches(|digit: char| digit.is_ascii_digit()))
}

impl Baseline {
    /// The violations of a report.
    pub fn of(report: &Report) -> Self {
        let of_object = |judged: &Judged| {
            let title = judged.place.title();
            judged.violations.iter().map(|finding| Known::of(&title, finding)).collect::<Vec<_>>()
        };
        let mut violations: Vec<Known> = report.objects.iter().flat_map(of_object).collect();
        violations.sort();
        violations.dedup();
        Self { format: FORMAT.to_owned(), violations }
    }

    /// How many violations it holds.
    pub fn len(&self) -> usize {
        self.violations.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.violations.is_empty()
    }

    /// Reads a baseline, which is JSON.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let baseline: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match baseline.format == FORMAT {
            true => Ok(baseline),
            false => Err(format!("its format is not {FORMAT}")),
        }
    }

    fn find(&mut self, title: &str, finding: &Finding) -> Option<String> {
        let own = Known::of(title, finding);
        let known = self.violations.iter_mut().find(|known| known.is(&own))?;
        known.is_used = true;
        Some(if known.reason.is_empty() { "in the baseline".to_owned() } else { known.reason.clone() })
    }

    /// What it holds of violations that are gone.
    pub(crate) fn stale(&self) -> impl Iterator<Item = Stale> {
        let stale = self.violations.iter().filter(|known| !known.is_used);
        stale.map(|known| Stale {
            rule: format!("{}/{}", known.policy, known.rule),
            place: format!("{} in the baseline", known.object),
        })
    }
}

/// Moves what somebody ignores out of an object's violations. Returns what cannot be read of its annotation.
pub(crate) fn ignore(
    judged: &mut Judged,
    object: &Object,
    comments: &mut Comments,
    knows: Knows,
    mut baseline: Option<&mut Baseline>,
    stale: &mut Vec<Stale>,
) -> Vec<String> {
    let annotation = object.content.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let annotation = annotation.and_then(|annotations| annotations.get(ANNOTATION)?.as_str());
    let (mut wrong, mut annotated) = (Vec::new(), Vec::new());
    for line in annotation.unwrap_or_default().lines().filter(|line| !line.trim().is_empty()) {
        match Directive::read(line, knows) {
            Ok(directive) => annotated.push((directive, false)),
            Err(reason) => wrong.push(format!("the annotation {ANNOTATION} {reason}")),
        }
    }
    let title = judged.place.title();
    for finding in std::mem::take(&mut judged.violations) {
        let by_comment = comments
            .each
            .iter_mut()
            .find(|(_, line, directive, _)| *line == finding.line && directive.is_for(&finding));
        let by_annotation = annotated.iter_mut().find(|(directive, _)| directive.is_for(&finding));
        let found = if let Some((directive, is_used)) = by_annotation {
            *is_used = true;
            Some(("annotation", directive.reason.clone()))
        } else if let Some((.., directive, is_used)) = by_comment {
            *is_used = true;
            Some(("comment", directive.reason.clone()))
        } else {
            let reason = baseline.as_mut().and_then(|baseline| baseline.find(&title, &finding));
            reason.map(|reason| ("baseline", reason))
        };
        match found {
            Some((by, reason)) => judged.ignored.push(Ignored { finding, by, reason }),
            None => judged.violations.push(finding),
        }
    }
    let place = || format!("{}:{}, annotation of {title}", judged.place.file, judged.place.line);
    let unused = annotated.into_iter().filter(|(_, is_used)| !is_used);
    stale.extend(unused.map(|(directive, _)| Stale { rule: directive.rule, place: place() }));
    wrong
}

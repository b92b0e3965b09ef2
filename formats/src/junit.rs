//! Writes a report as JUnit XML, which GitLab, Jenkins and other tools show as tests.
//!
//! Each file is a suite. Each pair of an object and a policy is a test. Violations are failures, and objects that could
//! not be checked are errors.

use flytewarden::rule::Severity;
use flytewarden_offline::{
    report::{Finding, Judged, Report as Checked, Unjudged},
    sentences::{Shown, State},
    shown::visible,
};
use indexmap::{IndexMap, IndexSet};
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::text::in_one_line;

/// Returns the report as JUnit XML.
///
/// # Errors
///
/// The library cannot write it.
pub fn junit(checked: &Checked) -> Result<String, SerializeError> {
    let mut suites: IndexMap<&str, TestSuite> = IndexMap::new();
    let mut add = |file, case| {
        suites.entry(file).or_insert_with(|| TestSuite::new(visible(file))).add_test_case(case);
    };
    for judged in &checked.objects {
        for policy in policies(judged) {
            add(&judged.place.file, case(judged, policy));
        }
    }
    for entry in &checked.unjudged {
        add(&entry.file, unjudged(entry));
    }
    let mut report = Report::new("flytewarden");
    report.add_test_suites(suites.into_values());
    if !checked.objects.is_empty() {
        let mut suite = TestSuite::new("Flyte's Security Overview");
        suite.add_test_cases(checked.sentences.iter().map(sentence));
        report.add_test_suite(suite);
    }
    // The library does not escape these characters, which XML forbids.
    Ok(report.to_string()?.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}

/// Returns the policies to show for an object. A module with several policies is shown as those of them with findings.
fn policies(judged: &Judged) -> IndexSet<&str> {
    let found: IndexSet<&str> =
        judged.violations.iter().chain(&judged.notices).map(|finding| &*finding.policy).collect();
    let modules: IndexSet<&str> = judged.policies.iter().map(String::as_str).collect();
    if found.is_subset(&modules) { modules } else { found }
}

fn case(judged: &Judged, policy: &str) -> TestCase {
    let of_policy = |finding: &&Finding| finding.policy == policy;
    let violations: Vec<&Finding> = judged.violations.iter().filter(of_policy).collect();
    // If violations were only counted, their policy is unknown.
    let is_only_counted = judged.violations.is_empty() && judged.more_violations > 0;
    let status = if violations.is_empty() && !is_only_counted {
        TestCaseStatus::success()
    } else {
        let rules: IndexSet<&str> = violations.iter().map(|violation| &*violation.rule).collect();
        let rules: Vec<&str> = rules.into_iter().collect();
        let more = judged.unlisted().map(|more| format!("and {more}"));
        let text = lines(violations.iter().copied(), more);
        let mut status = non_success(NonSuccessKind::Failure, &rules.join(", "), &text);
        if let Some(worst) =
            Severity::VIOLATIONS.into_iter().find(|own| violations.iter().any(|found| found.severity == Some(*own)))
        {
            status.set_type(worst.name());
        }
        status
    };
    // GitLab treats tests of the same name as one, even in different suites.
    let name = format!("{} in {}", judged.place.title(), visible(&judged.place.file));
    let mut case = TestCase::new(name, status);
    case.set_classname(policy);
    let notices: Vec<&Finding> = judged.notices.iter().filter(of_policy).collect();
    let more = (judged.more_notices > 0 && !notices.is_empty())
        .then(|| format!("and {} more in this object", judged.more_notices));
    let notices = lines(notices.into_iter(), more);
    if !notices.is_empty() {
        case.set_system_out(notices);
    }
    case
}

/// Returns a sentence as a test. If the sentence is not shown, the test is an error if it is required, and skipped otherwise.
fn sentence(Shown { name, sentence, state, missing, required }: &Shown) -> TestCase {
    let status = match state {
        State::Holds => TestCaseStatus::success(),
        State::Broken => non_success(NonSuccessKind::Failure, "broken", "see the violations"),
        State::NotShown if *required => {
            non_success(NonSuccessKind::Error, "required, but not shown", &visible(&missing.join("; ")))
        }
        State::NotShown => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(visible(&missing.join("; ")));
            status
        }
    };
    let mut case = TestCase::new(&**sentence, status);
    case.set_classname(&**name);
    case
}

fn unjudged(entry: &Unjudged) -> TestCase {
    let file = visible(&entry.file);
    let name = match (&entry.object, entry.document) {
        (Some(object), _) => format!("{object} in {file}"),
        (None, Some(document)) => format!("document {document} in {file}"),
        (None, None) => file,
    };
    let place = entry.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let path = if entry.path.is_empty() { String::new() } else { format!("{}: ", entry.path) };
    let text = format!("{place}{path}{}", entry.reason);
    let mut case = TestCase::new(name, non_success(NonSuccessKind::Error, "not checked", &text));
    case.set_classname(entry.policy.as_deref().unwrap_or("flytewarden"));
    case
}

fn non_success(kind: NonSuccessKind, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message).set_description(text);
    status
}

/// Returns one line for each finding, and a line for the unlisted ones, which belong to the object as a whole.
fn lines<'f>(findings: impl Iterator<Item = &'f Finding>, more: Option<String>) -> String {
    findings.map(line).chain(more).collect::<Vec<_>>().join("\n")
}

fn line(finding: &Finding) -> String {
    let severity = finding.severity.filter(|severity| *severity != Severity::Notice);
    let severity = severity.map(|severity| format!(" ({})", severity.name())).unwrap_or_default();
    let rule = if finding.rule.is_empty() { String::new() } else { format!("{}{severity}: ", finding.rule) };
    format!("line {} {}: {rule}{}", finding.line, finding.place(), in_one_line(finding))
}

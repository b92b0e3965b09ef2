//! Writes a report as SARIF 2.1.0, which GitHub code scanning and other tools read.
//!
//! Each violation is an `error` and each notice a `note`, at its line of the manifest. If an object could not be
//! checked, the run is marked as not successful, with a notification. Source: [SARIF
//! 2.1.0](https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html).

use std::path::MAIN_SEPARATOR;

use flytewarden::{decision, rule::Severity};
use flytewarden_offline::{
    ignored::{By, Ignored},
    metadata::Metadata,
    report::{Finding, Judged, Related, Report, Unjudged},
    rules::Explained,
    sentences::{Shown, State},
};
use indexmap::IndexSet;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use serde_sarif::sarif::{
    ArtifactLocation, Invocation, Location, LogicalLocation, Message, MultiformatMessageString, Notification,
    PhysicalLocation, PropertyBag, Region, ReportingDescriptor, Result as Entry, ResultLevel, Run, Sarif, Suppression,
    Tool, ToolComponent,
};

use crate::text::in_one_line;

/// The characters that a path keeps unescaped in a URI.
const OF_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b'+').remove(b'@');

/// Returns the report as SARIF. Flytewarden's own rules have their descriptions. Other people's modules have the
/// description of their metadata, which `metadata` finds by the name of the module.
pub fn sarif<'m>(report: &Report, metadata: impl Fn(&str) -> Option<&'m Metadata>) -> Sarif {
    let mut rules = IndexSet::new();
    let mut entries = Vec::new();
    let mut notifications: Vec<Notification> = report.unjudged.iter().map(unjudged).collect();
    for judged in &report.objects {
        for (level, findings) in [(ResultLevel::Error, &judged.violations), (ResultLevel::Note, &judged.notices)] {
            for finding in findings {
                let (index, _) = rules.insert_full((finding.policy.clone(), finding.rule.clone()));
                entries.push(entry(judged, finding, level, index));
            }
        }
        for Ignored { finding, by, reason } in &judged.ignored {
            let (index, _) = rules.insert_full((finding.policy.clone(), finding.rule.clone()));
            // The exception is in the manifest, or in the baseline file.
            let kind = if *by == By::Baseline { "external" } else { "inSource" };
            let suppression = Suppression::builder().kind(json!(kind)).justification(reason.clone()).build();
            let mut entry = entry(judged, finding, ResultLevel::Error, index);
            entry.suppressions = Some(vec![suppression]);
            entries.push(entry);
        }
        if let Some(unlisted) = judged.unlisted() {
            let title = judged.place.title();
            let place = location(&judged.place.file, Some(judged.place.line), Some(title.clone()));
            let text = format!("{title}: {unlisted}");
            let entry = Entry::builder().rule_id("not-listed").level(ResultLevel::Error).message(message(text));
            entries.push(entry.locations(vec![place]).build());
        }
        if judged.more_notices > 0 {
            let text = format!("{}: {} more notices, not listed", judged.place.title(), judged.more_notices);
            notifications.push(notification(
                "warning",
                text,
                location(&judged.place.file, Some(judged.place.line), None),
            ));
        }
    }
    let skipped = |file: &String| {
        let text = "skipped: it holds no Kubernetes object".to_owned();
        notification("note", text, location(file, None, None))
    };
    notifications.extend(report.skipped.iter().map(skipped));
    notifications.extend(report.sentences.iter().filter(|shown| shown.state == State::NotShown).map(not_shown));
    let rules = rules.iter().map(|(policy, rule)| descriptor(policy, rule, metadata(policy)));
    let driver = ToolComponent::builder()
        .name("flytewarden")
        .semantic_version(env!("CARGO_PKG_VERSION"))
        .information_uri(env!("CARGO_PKG_REPOSITORY"))
        .rules(rules.collect::<Vec<_>>())
        .build();
    let invocation = Invocation::builder()
        .execution_successful(report.unjudged.is_empty())
        .tool_execution_notifications(notifications)
        .build();
    let run = Run::builder()
        .tool(Tool::builder().driver(driver).build())
        .invocations(vec![invocation])
        .results(entries)
        .build();
    Sarif::builder()
        .schema("https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json")
        .version(json!("2.1.0"))
        .runs(vec![run])
        .build()
}

/// Returns a rule's unique name. Other people's modules have no rules, so theirs is the policy's name.
fn id(policy: &str, rule: &str) -> String {
    if rule.is_empty() { policy.to_owned() } else { format!("{policy}/{rule}") }
}

fn descriptor(policy: &str, rule: &str, metadata: Option<&Metadata>) -> ReportingDescriptor {
    let text = |text: &str| MultiformatMessageString::builder().text(text).build();
    let id = id(policy, rule);
    let Some(declared) = decision::rule(policy, rule) else {
        let mut descriptor = ReportingDescriptor::builder().short_description(text(&id)).id(id).build();
        descriptor.full_description = metadata.and_then(Metadata::description).map(text);
        descriptor.help_uri = metadata.and_then(|metadata| metadata.annotation("url")).map(str::to_owned);
        return descriptor;
    };
    let Explained { summary, help, page, .. } = Explained::from_rule(declared);
    let mut properties = PropertyBag::builder().build();
    if let Some(score) = security_severity(declared.severity) {
        properties.tags = Some(vec!["security".to_owned()]);
        properties.additional_properties.insert("security-severity".to_owned(), json!(score));
    }
    ReportingDescriptor::builder()
        .properties(properties)
        .id(id)
        .name(rule)
        .short_description(text(summary))
        .full_description(text(&format!("{summary}. {help}")))
        .help(MultiformatMessageString::builder().text(help).markdown(help).build())
        .help_uri(page)
        .build()
}

/// Returns a score in the middle of GitHub's range for the severity.
///
/// Source: [SARIF support for code scanning](https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning#reportingdescriptor-object).
fn security_severity(severity: Severity) -> Option<&'static str> {
    match severity {
        Severity::High => Some("8.0"),
        Severity::Medium => Some("5.5"),
        Severity::Low => Some("2.0"),
        Severity::Notice => None,
    }
}

fn entry(judged: &Judged, finding: &Finding, level: ResultLevel, rule: usize) -> Entry {
    let title = judged.place.title();
    let text = format!("{title} {}", finding.place());
    let related = finding.related.iter().map(|Related { object, file, line }| Location {
        message: Some(message(object.clone())),
        ..location(file, Some(*line), Some(object.clone()))
    });
    let mut entry = Entry::builder()
        .rule_id(id(&finding.policy, &finding.rule))
        .rule_index(i64::try_from(rule).unwrap_or(-1))
        .level(level)
        .message(message(format!("{}: {}", text.trim_end(), in_one_line(finding))))
        .locations(vec![location(&judged.place.file, Some(finding.line), Some(format!("{title} {}", finding.path)))])
        .build();
    entry.related_locations = Some(related.collect()).filter(|related: &Vec<Location>| !related.is_empty());
    entry
}

fn unjudged(entry: &Unjudged) -> Notification {
    let what = [entry.object.as_deref(), entry.policy.as_deref(), Some(&*entry.path)];
    let what: Vec<&str> = what.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let what = if what.is_empty() { String::new() } else { format!("{}: ", what.join(" ")) };
    let text = format!("not checked: {what}{}", entry.reason);
    notification("error", text, location(&entry.file, entry.line, entry.object.clone()))
}

/// Returns a notification that a sentence of the "Security Overview" is not shown.
fn not_shown(Shown { sentence, missing, required, .. }: &Shown) -> Notification {
    let (level, state) = if *required { ("error", "required, but not shown") } else { ("note", "not shown") };
    let text = format!("{state}: {sentence}: {}", missing.join("; "));
    Notification::builder().level(json!(level)).message(message(text)).build()
}

fn notification(level: &str, text: String, location: Location) -> Notification {
    Notification::builder().level(json!(level)).message(message(text)).locations(vec![location]).build()
}

fn message(text: String) -> Message {
    Message::builder().text(text).build()
}

/// Returns a line of a file, with the object there. `<stdin>` is treated as a file name.
fn location(file: &str, line: Option<usize>, object: Option<String>) -> Location {
    let uri = utf8_percent_encode(&file.replace(MAIN_SEPARATOR, "/"), OF_PATHS).to_string();
    let mut physical =
        PhysicalLocation::builder().artifact_location(ArtifactLocation::builder().uri(uri).build()).build();
    physical.region = line.map(|line| Region::builder().start_line(i64::try_from(line).unwrap_or(i64::MAX)).build());
    let mut location = Location::builder().physical_location(physical).build();
    location.logical_locations =
        object.map(|object| vec![LogicalLocation::builder().fully_qualified_name(object.trim_end()).build()]);
    location
}

//! Sentences about a report's scope and options, for the formats that people read.

use std::cmp::Reverse;

use flytewarden_offline::{
    ignored::Stale,
    report::{GivenSettings, Report},
    shown::visible,
};

/// The largest number of names in a sentence.
const MOST_NAMES: usize = 4;

/// A sentence about a report.
pub(crate) struct Remark {
    pub(crate) text: String,
    /// Whether somebody should check it.
    pub(crate) is_warning: bool,
}

/// Tells which objects were not checked on purpose, and why.
pub(crate) fn skipped_objects(report: &Report) -> Vec<String> {
    let mut remarks = Vec::new();
    let count_of_scope = report.summary.out_of_scope;
    if count_of_scope > 0 {
        let mut kinds: Vec<_> = report.out_of_scope.iter().collect();
        kinds.sort_by_key(|(_, number)| Reverse(**number));
        let kinds = names(kinds.iter().map(|(kind, number)| format!("{number} {}", visible(kind))));
        let are = if count_of_scope == 1 { "is" } else { "are" };
        remarks.push(format!("{} {are} not covered by any policy ({kinds}).", count(count_of_scope, "other object")));
    }
    if !report.other_namespaces.is_empty() {
        let objects = count(report.other_namespaces.values().sum(), "object");
        let names = names(report.other_namespaces.keys().map(|name| visible(name)));
        remarks.push(format!("{objects} in other namespaces skipped ({names}); use --namespaces all to check them."));
    }
    if report.made_by_others > 0 {
        remarks.push(format!("Skipped {} whose owner is checked here.", count(report.made_by_others, "object")));
    }
    remarks
}

/// Returns the other remarks about a report.
pub(crate) fn remarks(report: &Report) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut add = |is_warning, text| remarks.push(Remark { text, is_warning });
    if !report.rules_off.is_empty() {
        let rules: Vec<String> =
            report.rules_off.iter().map(|(rule, found)| format!("{} ({found})", visible(rule))).collect();
        add(true, format!("Not reported, since the rules are off: {}.", rules.join(", ")));
    }
    if let Some(GivenSettings { from, names }) = report.settings.as_ref().filter(|given| !given.names.is_empty()) {
        let names: Vec<String> = names.iter().map(|name| visible(name)).collect();
        add(false, format!("Settings from {}: {}.", visible(from), names.join(", ")));
    }
    if let Some(file) = &report.configuration {
        add(false, format!("Options from {}; flytewarden config prints them.", visible(file)));
    }
    for Stale { rule, place } in &report.stale {
        add(true, format!("{} ignores {rule}, which is not found there; move or remove it.", visible(place)));
    }
    if !report.skipped.is_empty() {
        let files = count(report.skipped.len(), "file");
        let names = names(report.skipped.iter().map(|file| visible(file)));
        add(false, format!("Skipped {files} without a Kubernetes object: {names}."));
    }
    if !report.excluded.is_empty() {
        add(false, format!("Left out by --exclude: {}.", names(report.excluded.iter().map(|file| visible(file)))));
    }
    if let [[one, other], ..] = &report.environments[..] {
        let number = report.environments.len() + 1;
        let object = visible(&one.object);
        let [one, other] = [one, other].map(|place| format!("{}:{}", visible(&place.file), place.line));
        add(false, format!("Checked as {number} environments: {object} differs in {one} and {other}."));
    }
    if !report.asked_for.is_empty() {
        add(false, "Related objects were looked up only among the objects given here.".to_owned());
    }
    remarks
}

/// Returns the first few names, and `...` if there are more.
fn names(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = if all.len() > MOST_NAMES { ", ..." } else { "" };
    all.take(MOST_NAMES).collect::<Vec<_>>().join(", ") + more
}

/// Returns a number of things, e.g. `2 objects`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

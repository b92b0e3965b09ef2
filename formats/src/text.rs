//! Writes a report as text for people.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};
use flytewarden::rule::Severity;
use flytewarden_offline::{
    charts::ChartValue,
    ignored::Ignored,
    report::{Finding, Judged, Related, Report, Unjudged},
    sentences::{Shown, State},
    shown::{around_user, is_visible, visible},
};
use textwrap::{Options, WordSeparator, WordSplitter};

use crate::remarks::{Remark, count, remarks, skipped_objects};

const TITLE: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WORTH_KNOWING: Style = AnsiColor::Yellow.on_default();
const MEND: Style = AnsiColor::Green.on_default();

/// Writes the report: the objects with findings, the objects that could not be checked, the sentences, and a summary.
///
/// # Errors
///
/// `out` cannot be written to.
pub fn text(report: &Report, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    for judged in &report.objects {
        if judged.is_refused() || !judged.notices.is_empty() || !judged.ignored.is_empty() {
            title(judged, out)?;
            violations_of(judged, out)?;
            notices(judged, out)?;
            writeln!(out)?;
        }
    }
    not_checked(report, out)?;
    if !report.unjudged.is_empty() {
        writeln!(out)?;
    }
    if !report.objects.is_empty() {
        sentences(&report.sentences, out)?;
    }
    summary(report, out)
}

/// Writes the violations and the objects that could not be checked. Writes nothing if there are none.
///
/// # Errors
///
/// `out` cannot be written to.
pub fn violations(report: &Report, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    for judged in report.objects.iter().filter(|judged| judged.is_refused()) {
        title(judged, out)?;
        violations_of(judged, out)?;
        writeln!(out)?;
    }
    not_checked(report, out)
}

/// Writes the objects and files that could not be checked. If several policies fail for the same reason, writes it
/// once.
///
/// # Errors
///
/// `out` cannot be written to.
pub fn not_checked(report: &Report, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    fn key(Unjudged { file, line, path, reason, .. }: &Unjudged) -> (&str, Option<usize>, &str, &str) {
        (file, *line, path, reason)
    }
    let is_same = |one: &Unjudged, other: &Unjudged| one.object.is_some() && key(one) == key(other);
    report.unjudged.chunk_by(is_same).try_for_each(|entries| unjudged(entries, out))
}

/// Writes each sentence of the document with its state, and what is missing.
fn sentences(sentences: &[Shown], out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    const MOST_MISSING: usize = 3;
    writeln!(out, "{TITLE}Flyte's Security Overview{TITLE:#}")?;
    for Shown { sentence, state, missing, required, .. } in sentences {
        let (word, style, remark) = match state {
            State::Holds => ("holds", MEND, ""),
            State::Broken => ("broken", BAD, ""),
            State::NotShown if *required => ("not shown", BAD, " (required)"),
            State::NotShown => ("not shown", WORTH_KNOWING, ""),
        };
        writeln!(out, "  {style}{word:9}{style:#}  {sentence}{remark}")?;
        for reason in missing.iter().take(MOST_MISSING) {
            writeln!(out, "             {DIM}{}{DIM:#}", printable(reason))?;
        }
        if missing.len() > MOST_MISSING {
            writeln!(out, "             {DIM}and {} more{DIM:#}", missing.len() - MOST_MISSING)?;
        }
    }
    writeln!(out)
}

fn title(Judged { place, .. }: &Judged, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    write!(out, "{TITLE}{}{TITLE:#}  {DIM}{}:{}", place.title(), visible(&place.file), place.line)?;
    if let Some(source) = &place.source {
        write!(out, ", from {}", printable(source))?;
    }
    writeln!(out, "{DIM:#}")
}

fn violations_of(judged: &Judged, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    for violation in &judged.violations {
        finding(violation, "✗", BAD, out)?;
    }
    match judged.unlisted() {
        None => Ok(()),
        Some(more) => writeln!(out, "  {BAD}✗{BAD:#} and {more}"),
    }
}

fn notices(judged: &Judged, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    for notice in &judged.notices {
        finding(notice, "i", WORTH_KNOWING, out)?;
    }
    if judged.more_notices > 0 {
        writeln!(out, "  {WORTH_KNOWING}i{WORTH_KNOWING:#} and {} more", judged.more_notices)?;
    }
    for Ignored { finding, by, reason } in &judged.ignored {
        let (rule, reason) = (format!("{}/{}", finding.policy, finding.rule), printable(reason));
        writeln!(
            out,
            "  {DIM}- {}  line {}, {rule}, ignored by {}: {reason}{DIM:#}",
            printable(&finding.place()),
            finding.line,
            by.name()
        )?;
    }
    Ok(())
}

fn finding(finding: &Finding, mark: &str, style: Style, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    write!(out, "  {style}{mark}{style:#} ")?;
    if finding.path.is_empty() {
        writeln!(out, "{DIM}{}{DIM:#}", printable(&finding.policy))?;
    } else {
        write!(out, "{}", printable(&finding.place()))?;
        let rule = printable(&format!("{}/{}", finding.policy, finding.rule));
        let severity = finding.severity.filter(|severity| *severity != Severity::Notice);
        let severity = severity.map(|severity| format!(", {}", severity.name())).unwrap_or_default();
        writeln!(out, "  {DIM}line {}, {rule}{severity}{DIM:#}", finding.line)?;
    }
    writeln!(out, "    {style}{}{style:#}", printable(&finding.problem))?;
    if !finding.mend.is_empty() {
        writeln!(out, "    {MEND}→ {}{MEND:#}", printable(&finding.mend))?;
    }
    if let Some(value) = &finding.chart_value {
        writeln!(out, "      {MEND}{}{MEND:#}", printable(&in_values(value)))?;
    }
    for Related { object, file, line } in &finding.related {
        writeln!(out, "    {DIM}see {}  {}:{line}{DIM:#}", printable(object), visible(file))?;
    }
    Ok(())
}

/// Returns the problem, the fix and, if a chart sets the value, its key, in one line.
pub(crate) fn in_one_line(finding: &Finding) -> String {
    let mut words = finding.in_words();
    if let Some(value) = &finding.chart_value {
        words += &format!("; {}", in_values(value));
    }
    words
}

/// Returns the key with which a chart sets a value, as text.
pub fn in_values(ChartValue { chart, key, since }: &ChartValue) -> String {
    let since = since.as_ref().map(|since| format!(" (since {since})")).unwrap_or_default();
    match key {
        Some(key) => format!("in the values of {chart}{since}: {key}"),
        None => format!("{chart} has no value for this; use flytewarden fix --stdout - as a Helm post-renderer"),
    }
}

fn unjudged(entries: &[Unjudged], out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let entry = &entries[0];
    write!(out, "{BAD}not checked{BAD:#}  {}", visible(&entry.file))?;
    if let Some(line) = entry.line {
        write!(out, ":{line}")?;
    }
    if let Some(document) = entry.document {
        write!(out, " {DIM}(document {document}){DIM:#}")?;
    }
    if let Some(object) = &entry.object {
        write!(out, "  {}", printable(object))?;
    }
    let policies: Vec<String> = entries.iter().filter_map(|entry| entry.policy.as_deref()).map(printable).collect();
    if !policies.is_empty() {
        write!(out, "  {DIM}{}{DIM:#}", policies.join(", "))?;
    }
    let path = if entry.path.is_empty() { String::new() } else { format!("{}: ", printable(&entry.path)) };
    writeln!(out, "\n    {path}{}", printable(&entry.reason))
}

fn summary(report: &Report, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let counts = &report.summary;
    write!(out, "{} checked", count(counts.judged, "object"))?;
    match counts.violations {
        0 if counts.judged == 0 => {}
        0 if !report.rules_off.is_empty() => write!(out, ": {MEND}no violations of the rules that are on{MEND:#}")?,
        0 => write!(out, ": {MEND}no violations{MEND:#}")?,
        violations => {
            write!(out, ": {BAD}{} in {}{BAD:#}", count(violations, "violation"), count(counts.refused, "object"))?;
        }
    }
    if counts.notices > 0 {
        write!(out, ", {}", count(counts.notices, "notice"))?;
    }
    if counts.ignored > 0 {
        write!(out, ", {} ignored", count(counts.ignored, "violation"))?;
    }
    write!(out, ".")?;
    if counts.unjudged > 0 {
        write!(out, " {BAD}{} could not be checked.{BAD:#}", counts.unjudged)?;
    }
    for remark in skipped_objects(report) {
        write!(out, " {DIM}{}{DIM:#}", printable(&remark))?;
    }
    writeln!(out)?;
    for Remark { text, is_warning } in remarks(report) {
        let style = if is_warning { WORTH_KNOWING } else { DIM };
        writeln!(out, "{style}{}{style:#}", printable(&text))?;
    }
    Ok(())
}

/// Wraps a text at a number of columns, with a hanging indent. Longer words stay whole, so that they can be copied.
pub fn wrapped(text: &str, columns: usize) -> String {
    let wrap = |line: &str| {
        // A line's first word may follow a colour code. The indent comes before that.
        let indent = " ".repeat(line.len() - line.trim_start_matches(' ').len() + 2);
        let options = Options::new(columns)
            .subsequent_indent(&indent)
            .break_words(false)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation);
        textwrap::fill(line, options)
    };
    text.lines().map(|line| wrap(line) + "\n").collect()
}

/// Makes a text safe to print: escapes invisible characters and those that move the cursor or reorder a line, and
/// indents further lines.
pub fn printable(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n    ")
}

/// Removes the user and the password from a URL in a name, a reference or a path.
pub fn without_user(text: &str) -> String {
    // The part behind the `@` of a module reference may be its digest.
    let (reference, digest) = text.rfind("@sha256:").map_or((text, ""), |digest| text.split_at(digest));
    let shown = around_user(reference).map(|[before, after]| format!("{before}...{after}{digest}"));
    match (shown, reference.rsplit_once('@')) {
        (Some(shown), _) => shown,
        (None, Some((user, host))) if user.contains(':') => format!("...@{host}{digest}"),
        (None, _) => text.to_owned(),
    }
}

/// Escapes invisible characters in JSON, in case a terminal shows it. The JSON keeps its meaning.
pub fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || is_visible(character) {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

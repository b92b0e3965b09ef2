//! Writes a report as Markdown, for pull requests and job summaries.
//!
//! Source: [GitHub Flavored Markdown](https://github.github.com/gfm/).

use std::fmt::{self, Write as _};

use flytewarden::rule::Severity;
use flytewarden_offline::{
    report::{Finding, Judged, Report, Unjudged},
    sentences::{Shown, State},
    shown::visible,
};

use crate::{
    remarks::{Remark, remarks, skipped_objects},
    text::in_values,
};

/// Returns the report: a summary, the objects that could not be checked, the objects with findings, and the
/// requirements.
pub fn markdown(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(report, &mut out);
    out
}

fn write(report: &Report, out: &mut String) -> fmt::Result {
    let counts = &report.summary;
    let violations = match counts.violations {
        0 if counts.unjudged > 0 || counts.judged == 0 => "not checked completely".to_owned(),
        0 if !report.rules_off.is_empty() => "no violations of the rules that are on".to_owned(),
        0 => "no violations".to_owned(),
        1 => "1 violation".to_owned(),
        several => format!("{several} violations"),
    };
    writeln!(out, "## Flytewarden: {violations}\n")?;
    writeln!(
        out,
        "Objects checked: {}. High: {}, medium: {}, low: {}, notices: {}, ignored: {}, not checked: {}.\n",
        counts.judged, counts.high, counts.medium, counts.low, counts.notices, counts.ignored, counts.unjudged
    )?;
    let mut remarks = remarks(report);
    remarks.extend(skipped_objects(report).into_iter().map(|text| Remark { text, is_warning: false }));
    for Remark { text, is_warning } in &remarks {
        writeln!(out, "- {}{}", if *is_warning { "⚠️ " } else { "" }, escaped(text))?;
    }
    if !remarks.is_empty() {
        writeln!(out)?;
    }
    for Unjudged { file, line, object, path, reason, .. } in &report.unjudged {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        let object = object.as_ref().map(|object| format!(" {}", escaped(object))).unwrap_or_default();
        let path = if path.is_empty() { String::new() } else { format!(" {}", code(path)) };
        writeln!(out, "- ⚠️ **not checked** {}{object}{path}: {}", code(&format!("{file}{line}")), escaped(reason))?;
    }
    if !report.unjudged.is_empty() {
        writeln!(out)?;
    }
    for judged in report.objects.iter().filter(|judged| !judged.violations.is_empty() || !judged.notices.is_empty()) {
        object(judged, out)?;
    }
    if report.objects.is_empty() {
        return Ok(());
    }
    writeln!(out, "### Flyte's Security Overview\n")?;
    for Shown { sentence, state, missing, required, .. } in &report.sentences {
        let state = match state {
            State::Holds => "✅ holds",
            State::Broken => "❌ broken",
            State::NotShown if *required => "❌ required, but not shown",
            State::NotShown => "❔ not shown",
        };
        writeln!(out, "- {state}: {}", escaped(sentence))?;
        for reason in missing {
            writeln!(out, "  - {}", escaped(reason))?;
        }
    }
    Ok(())
}

fn object(
    Judged { place, violations, notices, more_violations, more_notices, .. }: &Judged,
    out: &mut String,
) -> fmt::Result {
    writeln!(out, "### {}\n\n{}\n", escaped(&place.title()), code(&format!("{}:{}", place.file, place.line)))?;
    for finding in violations.iter().chain(notices) {
        let Finding { policy, rule, severity, line, problem, mend, .. } = finding;
        let mark = match severity {
            Some(Severity::Notice) => "ℹ️ notice".to_owned(),
            Some(severity) => format!("❌ **{}**", severity.name()),
            None => "❌".to_owned(),
        };
        let rule = if rule.is_empty() { policy.clone() } else { format!("{policy}/{rule}") };
        let place = if finding.path.is_empty() { String::new() } else { format!(" {}", code(&finding.place())) };
        // A backslash at the end of a line is a line break in Markdown.
        writeln!(out, "- {mark} {}, line {line}{place}\\\n  {}", code(&rule), escaped(problem))?;
        if !mend.is_empty() {
            let value = finding.chart_value.as_ref().map(|value| format!(" ({})", escaped(&in_values(value))));
            writeln!(out, "\n  **Fix:** {}{}", escaped(mend), value.unwrap_or_default())?;
        }
    }
    for (more, what) in [(more_violations, "violations"), (more_notices, "notices")] {
        if *more > 0 {
            writeln!(out, "- and {more} more {what}")?;
        }
    }
    writeln!(out)
}

/// Returns a text as code on one line.
fn code(text: &str) -> String {
    let text = visible(&text.replace('\n', " "));
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // Spaces separate the text's own backticks from the fence. Renderers remove them.
    let space = if longest > 0 { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Returns a text on one line. Text between backticks becomes code. All other characters of Markdown or HTML are
/// escaped, because names come from manifests.
fn escaped(text: &str) -> String {
    let text = visible(&text.replace('\n', " "));
    let parts: Vec<&str> = text.split('`').collect();
    let is_paired = parts.len() % 2 == 1;
    let mut out = String::with_capacity(text.len());
    // At the start of a line, these characters begin a list, a quotation or a heading.
    let number = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let mut begins_block =
        text.starts_with(['>', '-', '+', '=']) || number.len() < text.len() && number.starts_with(['.', ')']);
    for (index, part) in parts.iter().enumerate() {
        if is_paired && index % 2 == 1 && !part.is_empty() {
            out += &code(part);
            continue;
        }
        if is_paired && index % 2 == 1 {
            out += "\\`\\`";
        } else if !is_paired && index > 0 {
            out += "\\`";
        }
        for (place, character) in part.char_indices() {
            match character {
                '<' => out += "&lt;",
                '&' => out += "&amp;",
                '\\' | '*' | '_' | '[' | ']' | '|' | '~' | '!' => out.extend(['\\', character]),
                // On GitHub, a backslash does not prevent mentions and links to issues.
                '#' | '@' => out.extend(["\\", part.get(place..=place).unwrap_or_default(), "<!-- -->"]),
                '>' | '-' | '+' | '=' | '.' | ')' if begins_block => {
                    out.extend(['\\', character]);
                    begins_block = false;
                }
                _ => out.push(character),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{code, escaped};

    #[test]
    fn code_stays_code_and_other_markup_is_escaped() {
        for (text, expected) in [
            ("`*` allows every origin", "`*` allows every origin"),
            ("set allowedOrigins: [https://<domain>]", "set allowedOrigins: \\[https://&lt;domain>\\]"),
            ("![x](https://evil.example) <img>", "\\!\\[x\\](https://evil.example) &lt;img>"),
            ("one ` alone", "one \\` alone"),
            ("two `` and ``", "two \\`\\` and \\`\\`"),
            ("a\nb", "a b"),
            ("@team fixes #1", "\\@<!-- -->team fixes \\#<!-- -->1"),
            ("> quoted", "\\> quoted"),
            ("- an item", "\\- an item"),
            ("12) an item", "12\\) an item"),
            ("12 items - no list", "12 items - no list"),
        ] {
            assert_eq!(expected, escaped(text), "{text}");
        }
        assert_eq!("`` a`b ``", code("a`b"));
    }
}

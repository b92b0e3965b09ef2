//! `flytewarden fix`.

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use flytewarden_cli::{
    arguments::{CheckArguments, Command, FixArguments},
    diff::diff,
    files::{Resolved, replace},
    fix::{FixedFile, Fixes, fix},
    inputs::{Input, Inputs, STANDARD_INPUT},
};
use flytewarden_formats::text::{self, printable};
use flytewarden_offline::{fix::Left, report::Report, shown::visible};

use super::{Setup, UNJUDGED, check, configured, finish};

/// The output of a fix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// Print a diff.
    Diff,
    /// Replace the files.
    Files,
    /// Print the fixed manifests.
    Stdout,
}

/// The result of a fix.
struct Rest {
    /// The report on the fixed manifests.
    report: Report,
    /// The objects that could not be fixed, each with the name of its file.
    unfixed: Vec<(String, Left)>,
}

/// Fixes manifests.
pub fn run(arguments: FixArguments, line: &[OsString]) -> Result<ExitCode, Box<dyn Error>> {
    let (Command::Fix(arguments), config) = configured(line, &arguments.scope)? else {
        return Err("the configuration file changes the command".into());
    };
    let setup = Setup::load(&arguments.scope, config.as_ref(), arguments.fill)?;
    let target = match (arguments.write, arguments.stdout) {
        (true, _) => Target::Files,
        (_, true) => Target::Stdout,
        _ => Target::Diff,
    };
    let inputs = Inputs::find(&arguments.paths, &arguments.scope.exclude);
    let Rest { report, unfixed } = fixed(&setup, &inputs, target)?;
    let mut out = anstream::stderr().lock();
    let written = text::not_checked(&report, &mut out).and_then(|()| {
        unfixed.iter().try_for_each(|(file, Left { line, title, reason, .. })| {
            let title = if title.is_empty() { String::new() } else { format!("  {}", visible(title)) };
            writeln!(out, "not fixed  {}:{line}{title}\n    {}", visible(file), printable(reason))
        })?;
        // Violations with edits are in `unfixed` already.
        let violations = report.objects.iter().flat_map(|judged| &judged.violations);
        let more: usize = report.objects.iter().map(|judged| judged.more_violations).sum();
        match violations.filter(|violation| violation.edits.is_empty()).count() + more {
            0 => Ok(()),
            1 => writeln!(out, "1 violation needs a decision; flytewarden check shows it."),
            more => writeln!(out, "{more} violations need a decision; flytewarden check shows them."),
        }
    });
    finish(written)?;
    let is_done = unfixed.is_empty() && report.unjudged.is_empty();
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(UNJUDGED) })
}

/// Runs the former `check --fix`: fixes and fills in, and reports the remaining violations.
pub fn former(arguments: &CheckArguments, setup: Setup) -> Result<ExitCode, Box<dyn Error>> {
    let inputs = Inputs::find(&arguments.paths, &arguments.scope.exclude);
    let reads_input = inputs.files.iter().any(Input::is_standard);
    let target = match (arguments.write, reads_input) {
        (true, true) => Target::Stdout,
        (true, false) => Target::Files,
        _ => Target::Diff,
    };
    anstream::eprintln!("warning: check --fix is deprecated; use flytewarden fix --fill");
    let Rest { mut report, unfixed } = fixed(&setup, &inputs, target)?;
    for (file, left) in &unfixed {
        report.add_unfixed(file, left);
    }
    check::require(arguments, &mut report);
    match target {
        Target::Files => check::write(arguments, &report, &setup.policies, &mut anstream::stdout().lock())?,
        _ => check::write(arguments, &report, &setup.policies, &mut anstream::stderr().lock())?,
    }
    Ok(check::code(arguments, &report))
}

/// Fixes manifests, and prints or writes them.
fn fixed(setup: &Setup, inputs: &Inputs, target: Target) -> Result<Rest, Box<dyn Error>> {
    let Fixes { files, report } = fix(&setup.check(), &setup.omissions, inputs);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut unfixed = Vec::new();
    let mut before: Option<&str> = None;
    for FixedFile { name, place, is_standard, fixed } in &files {
        let whole = |reason: String| Left { line: 1, document: 1, title: String::new(), reason };
        unfixed.extend(fixed.left.iter().map(|left| (name.clone(), left.clone())));
        if target == Target::Stdout || target == Target::Files && *is_standard {
            let between = before.map(|before| between(before, &fixed.text)).unwrap_or_default();
            before = Some(&fixed.text);
            finish(write!(out, "{between}{}", fixed.text))?;
        } else if fixed.objects() > 0 {
            let done = place.as_ref().map_err(Clone::clone).and_then(|place| match target {
                Target::Files => replace(&place.path, &fixed.before, &fixed.text).map(|()| String::new()),
                _ => diff(fixed, &from_here(place)),
            });
            match done {
                Err(reason) => unfixed.push((name.clone(), whole(reason))),
                Ok(_) if target == Target::Files => {
                    let objects = if fixed.objects() == 1 { "object" } else { "objects" };
                    anstream::eprintln!("{}: changed {} {objects}", printable(name), fixed.objects());
                }
                Ok(diff) => finish(out.write_all(diff.as_bytes()))?,
            }
        }
    }
    finish(out.flush())?;
    Ok(Rest { report, unfixed })
}

/// Returns the separator between the documents of two texts.
fn between(before: &str, after: &str) -> String {
    let end = if before.ends_with('\n') { "" } else { "\n" };
    let first = after.lines().find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let marker = match first {
        // Before a directive, a document must end with `...`.
        Some(line) if line.starts_with('%') => "...\n",
        Some(line) if line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) => {
            ""
        }
        _ => "---\n",
    };
    format!("{end}{marker}")
}

/// Returns a file's name for a diff: relative to the working directory, so that `git apply` and `patch -p1` find it there. For a file
/// outside that directory, returns its absolute path.
fn from_here(Resolved { path, shown }: &Resolved) -> PathBuf {
    if path == Path::new(STANDARD_INPUT) {
        return shown.clone();
    }
    let here = env::current_dir().and_then(fs::canonicalize).unwrap_or_default();
    match path.strip_prefix(&here) {
        Ok(below) => below.to_owned(),
        Err(_) => {
            let name = visible(&path.to_string_lossy());
            anstream::eprintln!(
                "warning: {name} is outside of the working directory; apply its diff with patch -d / -p1"
            );
            path.clone()
        }
    }
}

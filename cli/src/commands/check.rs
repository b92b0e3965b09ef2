//! `flytewarden check`.

use std::{
    collections::BTreeSet,
    error::Error,
    ffi::OsString,
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use flytewarden::rule::Severity;
use flytewarden_cli::{
    arguments::{ALL, CheckArguments, Command, Format},
    check::check,
    config::{Config, Unusable},
    inputs::Inputs,
};
use flytewarden_formats::{junit::junit, markdown::markdown, sarif::sarif, text};
use flytewarden_offline::{
    check::Policy,
    ignored::Baseline,
    report::{Report, Summary},
    sentences::State,
};

use terminal_size::{Width, terminal_size};

use super::{Setup, UNJUDGED, VIOLATIONS, cluster, configured, finish, fix, json, shown};

/// Checks manifests.
pub fn run(arguments: CheckArguments, line: &[OsString]) -> Result<ExitCode, Box<dyn Error>> {
    let configured = match configured(line, &arguments.scope) {
        Ok((Command::Check(arguments), config)) => Ok((arguments, config)),
        Ok(_) => return Err("the configuration file changes the command".into()),
        Err(error) => Err(error),
    };
    match configured {
        Err(error) => not_started(&arguments, error),
        Ok((arguments, config)) => {
            let setup = Setup::load(&arguments.scope, config.as_ref(), arguments.fix);
            match setup {
                Err(error) => not_started(&arguments, error),
                Ok(setup) if arguments.list => list(&setup),
                Ok(setup) if arguments.fix => fix::former(&arguments, setup),
                Ok(setup) => checked(&arguments, setup, config.as_ref()),
            }
        }
    }
}

fn checked(arguments: &CheckArguments, setup: Setup, config: Option<&Config>) -> Result<ExitCode, Box<dyn Error>> {
    let inputs = Inputs::find(&arguments.paths, &arguments.scope.exclude);
    targets(arguments, &inputs)?;
    let mut report = Report::without(setup.omissions.clone());
    inputs.add_unread(&mut report);
    let mut files = inputs.read_files();
    if let Some(context) = &arguments.context {
        match cluster::read_objects(context, &setup, &mut report) {
            Ok(objects) => files.push(objects),
            Err(error) => return not_started(arguments, error),
        }
    }
    let mut report = check(&setup.check(), report, &files);
    report.settings.clone_from(&setup.given);
    report.excluded = inputs.excluded;
    report.configuration = config.map(|config| shown(&config.file));
    require(arguments, &mut report);
    if let Some(file) = &arguments.write_baseline {
        report.add_unlisted();
        return write_baseline(file, &report);
    }
    write(arguments, &report, &setup.policies, &mut anstream::stdout().lock())?;
    let missing: Vec<&str> = missing(&report).collect();
    if !missing.is_empty() {
        anstream::eprintln!("error: --require: not shown: {}", missing.join(", "));
    }
    Ok(code(arguments, &report))
}

/// Checks that each file of `--output` is another one, and none of the inputs.
fn targets(arguments: &CheckArguments, inputs: &Inputs) -> Result<(), String> {
    let mut seen: BTreeSet<PathBuf> = inputs.files.iter().filter_map(|input| Some(input.place().ok()?.path)).collect();
    for (_, file) in &arguments.output {
        let place = fs::canonicalize(file).unwrap_or_else(|_| file.clone());
        if !seen.insert(place) {
            return Err(format!("--output {}: it is an input, or the file of another --output", shown(file)));
        }
    }
    Ok(())
}

/// Marks the requirements of `--require`.
pub fn require(arguments: &CheckArguments, report: &mut Report) {
    for shown in &mut report.sentences {
        shown.required = arguments.require.iter().any(|name| name == ALL || *name == shown.name);
    }
}

/// The names of the requirements that must be shown, and are not.
fn missing(report: &Report) -> impl Iterator<Item = &str> {
    report.sentences.iter().filter(|shown| shown.required && shown.state == State::NotShown).map(|shown| &*shown.name)
}

/// Writes the report to the files of `--output`, and prints it.
pub fn write(
    arguments: &CheckArguments,
    report: &Report,
    policies: &[Box<dyn Policy>],
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    // If a file cannot be written, the report is printed all the same.
    let mut done = Ok(());
    for (format, file) in &arguments.output {
        let mut text = Vec::new();
        write_as(*format, arguments.quiet, report, policies, &mut anstream::StripStream::new(&mut text))?;
        if let Err(error) = fs::write(file, text) {
            done = Err(format!("--output {}: {error}", shown(file)));
        }
    }
    let mut text = Vec::new();
    write_as(arguments.format, arguments.quiet, report, policies, &mut text)?;
    let columns =
        terminal_size().map(|(Width(columns), _)| usize::from(columns)).filter(|_| arguments.format == Format::Text);
    if let Some(columns) = columns {
        text = text::wrapped(&String::from_utf8_lossy(&text), columns.max(LEAST_COLUMNS)).into_bytes();
    }
    finish(out.write_all(&text).and_then(|()| out.flush()))?;
    done.map_err(Into::into)
}

/// The smallest width to wrap at, in columns. Real terminals are wider.
const LEAST_COLUMNS: usize = 40;

fn write_as(
    format: Format,
    is_quiet: bool,
    report: &Report,
    policies: &[Box<dyn Policy>],
    out: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Text if is_quiet => text::violations(report, out),
        Format::Text => text::text(report, out),
        Format::Markdown => out.write_all(markdown(report).as_bytes()),
        Format::Json => json(report, out),
        Format::Sarif => {
            let metadata = |name: &str| policies.iter().find(|policy| policy.name() == name).map(Policy::metadata);
            json(&sarif(report, metadata), out)
        }
        Format::Junit => junit(report).map_err(io::Error::other).and_then(|xml| out.write_all(xml.as_bytes())),
    }
}

/// Returns the exit code for a report.
pub fn code(arguments: &CheckArguments, report: &Report) -> ExitCode {
    let is_missing = missing(report).next().is_some();
    let Summary { violations, medium, low, notices, unjudged, .. } = report.summary;
    let failures = match arguments.fail_on.least() {
        // Violations of other people's modules have no severity, so they count as high.
        Some(Severity::High) => violations - medium - low,
        Some(Severity::Medium) => violations - low,
        Some(Severity::Low) => violations,
        Some(Severity::Notice) => violations + notices,
        None => 0,
    };
    match failures {
        _ if unjudged > 0 || is_missing => ExitCode::from(UNJUDGED),
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(VIOLATIONS),
    }
}

/// Reports that nothing was checked: as a message for people, and as a report in the requested format for programs.
fn not_started(arguments: &CheckArguments, error: Box<dyn Error>) -> Result<ExitCode, Box<dyn Error>> {
    let mut report = Report::default();
    match error.downcast_ref::<Unusable>() {
        Some(Unusable { what, file, line, reason }) => report.add_unread(file, *line, format!("{what}: {reason}")),
        None => report.add_unread("flytewarden", None, error.to_string()),
    }
    if arguments.format == Format::Text {
        write(arguments, &report, &[], &mut io::sink())?;
        return Err(error);
    }
    anstream::eprintln!("error: {}", text::printable(&error.to_string()));
    write(arguments, &report, &[], &mut anstream::stdout().lock())?;
    Ok(ExitCode::from(UNJUDGED))
}

fn list(setup: &Setup) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = BufWriter::new(anstream::stdout().lock());
    let width = setup.policies.iter().map(|policy| policy.name().len()).max().unwrap_or(0);
    for policy in &setup.policies {
        let description = policy.metadata().description().unwrap_or_default();
        finish(writeln!(out, "{:width$}  {}", text::printable(policy.name()), text::printable(description)))?;
    }
    finish(out.flush()).map(|()| ExitCode::SUCCESS)
}

/// Writes the violations to a baseline file. If something could not be checked, prints the report instead.
fn write_baseline(file: &Path, report: &Report) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = anstream::stdout().lock();
    if !report.unjudged.is_empty() {
        finish(text::text(report, &mut out).and_then(|()| out.flush()))?;
        return Ok(ExitCode::from(UNJUDGED));
    }
    let baseline = Baseline::from_report(report);
    fs::write(file, serde_json::to_string_pretty(&baseline)? + "\n")
        .map_err(|error| format!("{}: {error}", shown(file)))?;
    let violations = if baseline.count() == 1 { "violation" } else { "violations" };
    let file = text::printable(&shown(file));
    finish(writeln!(out, "Wrote {} {violations} to {file}.", baseline.count())).map(|()| ExitCode::SUCCESS)
}

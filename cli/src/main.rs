//! The `flytewarden` command: arguments in, exit code out.

#[cfg_attr(not(feature = "modules"), path = "without_modules.rs")]
mod modules;

use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use clap::{Parser, Subcommand, ValueEnum};
use flytewarden::{decision, oauth_tls::LINKED, sentence::Sentence};
use flytewarden_cli::{
    DEFAULT_TIME,
    check::{Checked, FixedFile, STANDARD_INPUT, check as check_files, not_filled},
    diff::diff,
    explain,
    files::{MOST_OF_SETTINGS, read_text, replace},
    formats::{
        junit::junit,
        sarif::sarif,
        text::{self, without_user},
    },
};
use flytewarden_offline::{
    check::{Check, Policy},
    ignored::Baseline,
    images::Images,
    linked,
    report::{Namespaces, Report},
    sentences::State,
    settings::Settings,
};
use serde::Serialize;

/// Flyte's security guidance, checked on rendered manifests.
#[derive(Parser)]
#[command(name = "flytewarden", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks manifests, and shows how to fix each problem.
    ///
    /// Exits with 0 if there are no violations, 1 if there are, and 2 if something could not be checked.
    #[command(after_help = "Example:\n  helm template flyte flyteorg/flyte-core | flytewarden check -")]
    Check(Box<CheckArguments>),
    /// Explains a rule; without RULE, lists all rules.
    #[command(after_help = "Example:\n  flytewarden explain runs-as-root")]
    Explain(ExplainArguments),
    /// Pushes a module for Kubewarden, or a bundle for OPA, to an OCI registry.
    ///
    /// Prints the digest reference. Uses the credentials of `docker login`.
    #[command(after_help = "Example:\n  flytewarden push flyte-non-root.wasm ghcr.io/owner/flyte-non-root:v1")]
    Push(PushArguments),
}

#[derive(clap::Args)]
struct CheckArguments {
    /// Files, directories with .yaml, .yml and .json files, or - for standard input.
    #[arg(value_name = "FILE|DIRECTORY|-", required_unless_present = "list")]
    paths: Vec<PathBuf>,

    /// A YAML file that maps each policy's name to its settings.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,

    /// A YAML file with the USER of each image; sets `imageUser: check` for flyte-non-root.
    ///
    /// It maps image references, written as in the manifests, to the USER, which may be empty.
    #[arg(long, value_name = "FILE")]
    image_users: Option<PathBuf>,

    /// Sets missing users and prints a diff. The setting `fill` of flyte-non-root has the values; the default is `flyte`.
    ///
    /// The report goes to standard error. A workload that flyte-non-root still rejects is not changed.
    #[arg(long)]
    fix: bool,

    /// With --fix: changes the files; for standard input, prints the changed manifests, as a Helm post-renderer does.
    #[arg(long, requires = "fix")]
    write: bool,

    /// Runs these policies and no others.
    #[arg(long = "policy", value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,

    /// Ignores the violations in a file that --write-baseline made, and lists those that are gone.
    #[arg(long, value_name = "FILE", conflicts_with = "write_baseline")]
    baseline: Option<PathBuf>,

    /// Writes the violations to a file for --baseline, and exits with 0 if everything could be checked.
    #[arg(long, value_name = "FILE", conflicts_with = "fix")]
    write_baseline: Option<PathBuf>,

    /// Skips a file or directory below the directories to check; can be given more than once.
    #[arg(long, value_name = "PATH")]
    exclude: Vec<PathBuf>,

    /// Another compiled policy instead of the built-in ones; can be given more than once.
    #[arg(long = "module", value_name = "FILE|registry://REF")]
    modules: Vec<String>,

    /// The time limit for a module to check one object. A module that exceeds it is not run again.
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TIME.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,

    /// Contacts registries over plain http.
    #[arg(long)]
    insecure: bool,

    /// The namespace of objects that do not set one.
    #[arg(long, short, default_value = "default")]
    namespace: String,

    /// The namespaces to report on, or `all`. The default is every namespace that contains a Flyte component.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    namespaces: Vec<String>,

    /// The requirements of the "Security Overview" that must be shown, or `all`: exits with 2 if one is not shown.
    #[arg(long, value_name = "SENTENCES", value_delimiter = ',', value_parser = sentence)]
    require: Vec<String>,

    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Also writes the report to a file, in another format: `sarif=flytewarden.sarif`; can be given more than once.
    #[arg(long, value_name = "FORMAT=FILE", value_parser = output)]
    output: Vec<(Format, PathBuf)>,

    /// What makes the command exit with 1.
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = FailOn::Violation)]
    fail_on: FailOn,

    /// Lists the policies and stops.
    #[arg(long)]
    list: bool,
}

#[derive(clap::Args)]
struct ExplainArguments {
    /// The rule's name, e.g. runs-as-root or flyte-non-root/runs-as-root.
    #[arg(value_name = "RULE")]
    rule: Option<String>,

    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct PushArguments {
    /// The module with its metadata, or the bundle (.tar.gz).
    #[arg(value_name = "FILE")]
    artifact: PathBuf,

    /// The target: host/repository:tag.
    #[arg(value_name = "REF")]
    reference: String,

    /// Contacts the registry over plain http.
    #[arg(long)]
    insecure: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum FailOn {
    /// Violations, and notices too.
    Notice,
    /// Violations.
    Violation,
    /// Nothing that is found; what could not be checked still exits with 2.
    Never,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people; in colour on a terminal.
    Text,
    /// For programs; a stable format.
    Json,
    /// For code scanning: SARIF 2.1.0.
    Sarif,
    /// For CI that shows tests: JUnit XML.
    Junit,
}

/// Violations were found.
const VIOLATIONS: u8 = 1;
/// Something could not be judged.
const UNJUDGED: u8 = 2;

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Check(arguments) => check(&arguments),
        Command::Explain(arguments) => explain(&arguments),
        Command::Push(arguments) => modules::push(&arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("error: {}", text::printable(&error.to_string()));
            ExitCode::from(UNJUDGED)
        }
    }
}

fn explain(arguments: &ExplainArguments) -> Result<ExitCode, Box<dyn Error>> {
    let rules = explain::rules(arguments.rule.as_deref())?;
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match arguments.rule {
        _ if arguments.json => json(&rules, &mut out),
        None => out.write_all(explain::list(&rules).as_bytes()),
        Some(_) => out.write_all(explain::text(&rules).as_bytes()),
    };
    finish(written.and_then(|()| out.flush()))?;
    Ok(ExitCode::SUCCESS)
}

fn check(arguments: &CheckArguments) -> Result<ExitCode, Box<dyn Error>> {
    let policies = policies(arguments)?;
    let mut out = BufWriter::new(anstream::AutoStream::auto(io::stdout().lock()));
    if arguments.list {
        let width = policies.iter().map(|policy| policy.name().len()).max().unwrap_or(0);
        for policy in &policies {
            let description = policy.metadata().description().unwrap_or_default();
            writeln!(out, "{:width$}  {}", text::printable(policy.name()), text::printable(description))?;
        }
        return finish(out.flush()).map(|()| ExitCode::SUCCESS);
    }

    let settings = match &arguments.settings {
        None => Settings::default(),
        Some(file) => read_settings(file)
            .and_then(|text| Settings::read(&text, &policies).map_err(|wrong| wrong.to_string()))
            .map_err(|error| format!("settings {}: {error}", shown(file)))?,
    };
    let policies = chosen(policies, &arguments.only)?;
    for policy in policies.iter().filter(|policy| !settings.has(policy.name())) {
        let needed = |problem| format!("{} needs settings: {problem}", policy.name());
        policy.validate_settings("{}").map_err(needed)?;
    }
    let settings = if arguments.fix { settings.or("fill", "flyte", &policies)? } else { settings };
    let settings = match &arguments.image_users {
        Some(_) => settings.or("imageUser", "check", &policies)?,
        None => settings,
    };
    let images = match &arguments.image_users {
        None => Images::default(),
        Some(file) => read_settings(file)
            .and_then(|text| Images::read(&text))
            .map_err(|error| format!("image users {}: {error}", shown(file)))?,
    };
    let namespaces = match &arguments.namespaces[..] {
        [] => Namespaces::Flytes,
        named if named.iter().any(|name| name == ALL) => Namespaces::All,
        named => Namespaces::Named(named.to_vec()),
    };
    let check = Check { policies: &policies, settings: &settings, namespace: &arguments.namespace, images, namespaces };
    let report = match &arguments.baseline {
        None => Report::default(),
        Some(file) => read_settings(file)
            .and_then(|text| Baseline::read(&text))
            .map(Report::beyond)
            .map_err(|error| format!("baseline {}: {error}", shown(file)))?,
    };
    let report = report.knowing(|policy, rule| decision::rule(policy, rule).is_some());
    let Checked { mut report, fixed } =
        check_files(&check, report, &arguments.paths, &arguments.exclude, arguments.fix);
    if let Some(file) = &arguments.write_baseline {
        return write_baseline(file, &report, &mut out);
    }
    fix(&fixed, arguments.write, &mut report, &mut out)?;
    let prints_manifests = arguments.paths.iter().any(|path| path == Path::new(STANDARD_INPUT));
    let report_out: &mut dyn Write = match arguments.fix && (!arguments.write || prints_manifests) {
        true => &mut anstream::AutoStream::auto(io::stderr().lock()),
        false => &mut out,
    };
    for (format, file) in &arguments.output {
        let mut text = Vec::new();
        write_report(*format, &report, &policies, &mut anstream::StripStream::new(&mut text))?;
        fs::write(file, text).map_err(|error| format!("--output {}: {error}", shown(file)))?;
    }
    let written = write_report(arguments.format, &report, &policies, report_out);
    finish(written.and_then(|()| report_out.flush()))?;
    let is_required = |name: &str| arguments.require.iter().any(|required| required == ALL || required == name);
    let mut missing = report.sentences.iter().filter(|shown| shown.state == State::NotShown);
    let is_missing = missing.any(|shown| is_required(shown.name));
    let summary = &report.summary;
    let failures = match arguments.fail_on {
        FailOn::Violation => summary.violations,
        FailOn::Notice => summary.violations + summary.notices,
        FailOn::Never => 0,
    };
    Ok(match failures {
        _ if summary.unjudged > 0 || is_missing => ExitCode::from(UNJUDGED),
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(VIOLATIONS),
    })
}

fn write_report(
    format: Format,
    report: &Report,
    policies: &[Box<dyn Policy>],
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    match format {
        Format::Text => text::text(report, out),
        Format::Json => json(report, out),
        Format::Sarif => json(&sarif(report, policies), out),
        Format::Junit => junit(report).map_err(io::Error::other).and_then(|xml| out.write_all(xml.as_bytes())),
    }
}

/// A format and a file, `sarif=flytewarden.sarif`.
fn output(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, file) = text.split_once('=').ok_or("it must be FORMAT=FILE")?;
    Ok((Format::from_str(format, false)?, PathBuf::from(file)))
}

/// Writes the violations of a report to a file. What could not be checked is no part of it, and is printed.
fn write_baseline(file: &Path, report: &Report, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let baseline = Baseline::of(report);
    if !report.unjudged.is_empty() {
        finish(text::text(report, out).and_then(|()| out.flush()))?;
        return Ok(ExitCode::from(UNJUDGED));
    }
    fs::write(file, serde_json::to_string_pretty(&baseline)? + "\n")
        .map_err(|error| format!("{}: {error}", shown(file)))?;
    let violations = if baseline.len() == 1 { "violation" } else { "violations" };
    finish(writeln!(out, "Wrote {} {violations} to {}.", baseline.len(), text::printable(&shown(file))))?;
    finish(out.flush()).map(|()| ExitCode::SUCCESS)
}

/// What stands for every namespace, and for every sentence.
const ALL: &str = "all";

/// The name of a sentence, or all.
fn sentence(name: &str) -> Result<String, String> {
    let mut names = Sentence::ALL.map(Sentence::name).into_iter().chain([ALL]);
    if names.any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let names = Sentence::ALL.map(Sentence::name).join(", ");
    Err(format!("use one of {names}, or {ALL}"))
}

/// Writes what is filled in to the files, or prints it as a diff; of standard input it prints all. What cannot be is added to the
/// report.
fn fix(fixed: &[FixedFile], write: bool, report: &mut Report, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let is_input = |file: &&FixedFile| write && file.place.path == Path::new(STANDARD_INPUT);
    if let Some(input) = fixed.iter().find(is_input) {
        finish(out.write_all(input.fixed.text.as_bytes()))?;
    }
    for FixedFile { name, place, fixed } in fixed.iter().filter(|file| file.fixed.objects > 0 && !is_input(file)) {
        let done = match write {
            true => replace(&place.path, &fixed.before, &fixed.text).map(|()| String::new()),
            false => diff(fixed, &place.shown),
        };
        match done {
            Err(reason) => report.add_unread(name, not_filled(&reason)),
            Ok(diff) if !write => finish(out.write_all(diff.as_bytes()))?,
            Ok(_) => {
                let objects = if fixed.objects == 1 { "object" } else { "objects" };
                anstream::eprintln!("{}: changed {} {objects}", text::printable(name), fixed.objects);
            }
        }
    }
    finish(out.flush())
}

fn json(report: &impl Serialize, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    writeln!(out, "{}", text::escaped(&serde_json::to_string_pretty(report)?))
}

/// Whoever closed the pipe has read enough; what was said means the same.
fn finish(written: io::Result<()>) -> Result<(), Box<dyn Error>> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The policies to ask: the modules that are named, or else those that are linked in.
fn policies(arguments: &CheckArguments) -> Result<Vec<Box<dyn Policy>>, Box<dyn Error>> {
    if !arguments.modules.is_empty() {
        return modules::load(arguments);
    }
    let linked =
        linked::policies(|| SystemTime::UNIX_EPOCH.elapsed().map_err(|error| error.to_string()), || Ok(LINKED));
    Ok(linked.into_iter().map(|policy| Box::new(policy) as Box<dyn Policy>).collect())
}

/// The policies that somebody named, all if nobody did.
fn chosen(mut policies: Vec<Box<dyn Policy>>, names: &[String]) -> Result<Vec<Box<dyn Policy>>, Box<dyn Error>> {
    let known: Vec<&str> = policies.iter().map(|policy| policy.name()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&&***name)) {
        return Err(format!("--policy: there is no policy {unknown}; the policies are {}", known.join(", ")).into());
    }
    if !names.is_empty() {
        policies.retain(|policy| names.iter().any(|name| name == policy.name()));
    }
    Ok(policies)
}

/// Reads a file with settings, or with the users of images.
fn read_settings(file: &Path) -> Result<String, String> {
    read_text(File::open(file).map_err(|error| error.to_string())?, MOST_OF_SETTINGS)
}

/// A path as messages name it.
fn shown(path: &Path) -> String {
    without_user(&path.to_string_lossy())
}

//! The `flytewarden` command: arguments in, exit code out.

use std::{
    error::Error,
    fs,
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};
use flytewarden_cli::{
    check::Check,
    engine::{EMBEDDED, Module},
    render,
    settings::Settings,
};

/// Flyte's security guidance, checked on rendered manifests.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says what is wrong with manifests, and the line that mends it.
    ///
    /// Exits with 0 where all is good, 1 where there are violations, 2 where something could not be judged.
    #[command(after_help = "Example:\n  helm template flyte flyteorg/flyte-core | flytewarden check -")]
    Check(CheckArguments),
}

#[derive(clap::Args)]
struct CheckArguments {
    /// Files, directories with .yaml, .yml and .json files, or - for standard input.
    #[arg(value_name = "FILE|DIRECTORY|-", required_unless_present = "list")]
    paths: Vec<PathBuf>,

    /// The policies' settings: YAML, a map from policy names to their settings.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,

    /// Another compiled policy instead of the built-in ones; can be given more than once.
    #[arg(long = "module", value_name = "FILE")]
    modules: Vec<PathBuf>,

    /// The namespace of objects that name none.
    #[arg(long, short, default_value = "default")]
    namespace: String,

    /// How to report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Lists the policies and stops.
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people; in colour on a terminal.
    Text,
    /// For programs; a stable format.
    Json,
}

/// Violations were found.
const VIOLATIONS: u8 = 1;
/// Something could not be judged.
const UNJUDGED: u8 = 2;

fn main() -> ExitCode {
    let Command::Check(arguments) = Arguments::parse().command;
    match check(&arguments) {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("error: {}", render::printable(&error.to_string()));
            ExitCode::from(UNJUDGED)
        }
    }
}

fn check(arguments: &CheckArguments) -> Result<ExitCode, Box<dyn Error>> {
    let modules = modules(&arguments.modules)?;
    let mut out = BufWriter::new(anstream::AutoStream::auto(io::stdout().lock()));
    if arguments.list {
        let width = modules.iter().map(|module| module.name.len()).max().unwrap_or(0);
        for module in &modules {
            let description = module.metadata.description().unwrap_or_default();
            writeln!(out, "{:width$}  {}", render::printable(&module.name), render::printable(description))?;
        }
        return finish(out.flush()).map(|()| ExitCode::SUCCESS);
    }

    let settings = match &arguments.settings {
        None => Settings::read("", &modules).map_err(|error| format!("settings: {error}"))?,
        Some(file) => fs::read_to_string(file)
            .map_err(|error| error.to_string())
            .and_then(|text| Settings::read(&text, &modules))
            .map_err(|error| format!("settings {}: {error}", file.display()))?,
    };
    let check = Check { modules: &modules, settings: &settings, namespace: &arguments.namespace };
    let report = check.run(&arguments.paths);
    let written = match arguments.format {
        Format::Text => render::text(&report, &mut out),
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &report).map_err(io::Error::from).and_then(|()| writeln!(out))
        }
    };
    finish(written.and_then(|()| out.flush()))?;
    Ok(match (report.summary.unjudged, report.summary.violations) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(VIOLATIONS),
        _ => ExitCode::from(UNJUDGED),
    })
}

/// Whoever closed the pipe has read enough; what was said means the same.
fn finish(written: io::Result<()>) -> Result<(), Box<dyn Error>> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn modules(files: &[PathBuf]) -> Result<Vec<Module>, Box<dyn Error>> {
    let engine = wasmtime::Engine::default();
    let mut modules = Vec::new();
    for file in files {
        let module = fs::read(file)
            .map_err(|error| error.to_string())
            .and_then(|bytes| Module::load(&engine, &bytes).map_err(|error| error.to_string()))
            .map_err(|error| format!("module {}: {error}", file.display()))?;
        modules.push(module);
    }
    if files.is_empty() {
        for (name, bytes) in EMBEDDED {
            modules.push(Module::load(&engine, bytes).map_err(|error| format!("built-in {name}: {error}"))?);
        }
    }
    Ok(modules)
}

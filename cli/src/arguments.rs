//! What a person types: the subcommands and their options.
//!
//! The options of `check` are the keys of the [configuration file](crate::config) too.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use flytewarden::{rule::Severity, sentence::Sentence};

use crate::DEFAULT_TIME;

/// Flyte's security guidance, checked on rendered manifests.
#[derive(Parser)]
#[command(name = "flytewarden", version, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// When to use colour.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    pub color: Colour,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Checks manifests, and shows how to fix each problem.
    ///
    /// Exits with 1 if a violation reaches --fail-on, with 2 if something could not be checked, and otherwise with 0.
    #[command(after_help = "Example:\n  helm template flyte flyteorg/flyte-core | flytewarden check -")]
    Check(Box<CheckArguments>),
    /// Fixes the problems that need no decision, and prints the changes as a diff.
    ///
    /// Exits with 2 if something could not be checked or fixed, and otherwise with 0.
    #[command(after_help = "Example:\n  flytewarden fix rendered.yaml >fix.diff && git apply fix.diff")]
    Fix(Box<FixArguments>),
    /// Explains a rule; without RULE, lists all rules.
    #[command(after_help = "Example:\n  flytewarden explain runs-as-root")]
    Explain(ExplainArguments),
    /// Prints the configuration in force, and where each value comes from.
    ///
    /// The output is a valid flytewarden.yaml.
    Config(ConfigArguments),
    /// Pushes a module for Kubewarden, or a bundle for OPA, to an OCI registry.
    ///
    /// Prints the digest reference. Uses the credentials of `docker login`.
    #[command(after_help = "Example:\n  flytewarden push flyte-non-root.wasm ghcr.io/owner/flyte-non-root:v1")]
    Push(PushArguments),
    /// Prints a completion script for a shell.
    #[command(after_help = "Example:\n  source <(flytewarden completion bash)")]
    Completion {
        /// The shell.
        #[arg(value_enum, value_name = "SHELL")]
        shell: Shell,
    },
    /// Writes the manual pages to a directory.
    #[command(hide = true)]
    Man {
        /// The directory.
        #[arg(value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

/// The options that `check` and `fix` share.
#[derive(clap::Args)]
pub struct Scope {
    /// The configuration file. The default is flytewarden.yaml in the working directory or the nearest directory above it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// A YAML file that maps each policy's name to its settings, or a policy.yaml for Kubewarden.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub settings: Option<PathBuf>,

    /// A YAML file with the USER of each image; sets `imageUser: check` for flyte-non-root.
    ///
    /// It maps image references, written as in the manifests, to the USER, which may be empty.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub image_users: Option<PathBuf>,

    /// Runs these policies and no others.
    #[arg(long = "policy", value_name = "NAMES", value_delimiter = ',')]
    pub policies: Vec<String>,

    /// Reports on these rules and no others; the name of a policy means all of its rules.
    #[arg(long = "rule", value_name = "NAMES", value_delimiter = ',')]
    pub rules: Vec<String>,

    /// Turns off policies or rules. The report counts what the rules would have found.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub skip: Vec<String>,

    /// Skips a file or directory under the directories to check; can be given more than once.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub exclude: Vec<PathBuf>,

    /// Ignores the violations in a file that --write-baseline made, and lists those that are gone.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub baseline: Option<PathBuf>,

    /// Runs a compiled policy instead of the built-in ones; can be given more than once.
    #[arg(long = "module", value_name = "FILE|registry://REF", value_hint = ValueHint::FilePath)]
    pub modules: Vec<String>,

    /// The time limit for a module to check one object. A module that exceeds it is not run again.
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TIME.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,

    /// Contacts registries over plain http.
    #[arg(long)]
    pub insecure: bool,

    /// The namespace of objects that do not set one.
    #[arg(long, short, default_value = "default", value_parser = namespace)]
    pub namespace: String,

    /// The namespaces to report on, or `all`. The default is every namespace that contains a Flyte component.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = namespace)]
    pub namespaces: Vec<String>,
}

/// The options of `check`.
#[derive(clap::Args)]
pub struct CheckArguments {
    /// Files, directories with .yaml, .yml and .json files, or - for standard input.
    #[arg(value_name = "FILE|DIRECTORY|-", required_unless_present_any = ["list", "context"], value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    /// The options that both have.
    #[command(flatten)]
    pub scope: Scope,

    /// Checks the objects of a running cluster, by a context of your kubeconfig. Reads them, and changes nothing.
    #[arg(long, value_name = "NAME", conflicts_with = "fix")]
    pub context: Option<String>,

    /// Writes the violations to a file for --baseline, and exits with 0 if everything could be checked.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["baseline", "output", "require"], value_hint = ValueHint::FilePath)]
    pub write_baseline: Option<PathBuf>,

    /// Exits with 2 if the report calls one of these requirements of the "Security Overview" *not shown*; or `all`.
    #[arg(long, value_name = "REQUIREMENTS", value_delimiter = ',', value_parser = sentence)]
    pub require: Vec<String>,

    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Also writes the report to a file, in another format: `sarif=flytewarden.sarif`; can be given more than once.
    #[arg(long, value_name = "FORMAT=FILE", value_parser = output, value_hint = ValueHint::Other)]
    pub output: Vec<(Format, PathBuf)>,

    /// Exits with 1 if there is a violation of this severity or a worse one.
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = FailOn::Low)]
    pub fail_on: FailOn,

    /// Prints only violations, and what could not be checked.
    #[arg(long, short)]
    pub quiet: bool,

    /// Lists the policies and stops.
    #[arg(long)]
    pub list: bool,

    /// The former name of `fix --fill`.
    #[arg(long, hide = true)]
    pub fix: bool,

    /// The former name of `fix --write`.
    #[arg(long, hide = true, requires = "fix")]
    pub write: bool,
}

/// The options of `fix`.
#[derive(clap::Args)]
pub struct FixArguments {
    /// Files, directories with .yaml, .yml and .json files, or - for standard input.
    #[arg(value_name = "FILE|DIRECTORY|-", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    /// The options that both have.
    #[command(flatten)]
    pub scope: Scope,

    /// Also sets missing users, as flyte-non-root's setting `fill` does (if not set: `flyte`).
    #[arg(long)]
    pub fill: bool,

    /// Changes the files instead of printing a diff.
    #[arg(long, conflicts_with = "stdout")]
    pub write: bool,

    /// Prints the whole manifests, as a Helm post-renderer does.
    #[arg(long)]
    pub stdout: bool,
}

/// The options of `explain`.
#[derive(clap::Args)]
pub struct ExplainArguments {
    /// The name of a rule or a policy, e.g. runs-as-root or flyte-non-root/runs-as-root.
    #[arg(value_name = "RULE")]
    pub rule: Option<String>,

    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// The options of `config`.
#[derive(clap::Args)]
pub struct ConfigArguments {
    /// The configuration file. The default is flytewarden.yaml in the working directory or the nearest directory above it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Prints the JSON Schema of the file, for editors.
    #[arg(long)]
    pub schema: bool,
}

/// The options of `push`.
#[derive(clap::Args)]
pub struct PushArguments {
    /// The module with its metadata, or the bundle (.tar.gz).
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub artifact: PathBuf,

    /// The target: host/repository:tag.
    #[arg(value_name = "REF")]
    pub reference: String,

    /// Contacts the registry over plain http.
    #[arg(long)]
    pub insecure: bool,
}

/// When to use colour.
#[derive(Clone, Copy, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What makes `check` exit with 1.
#[derive(Clone, Copy, ValueEnum)]
pub enum FailOn {
    /// Violations of severity high.
    High,
    /// Violations of severity medium or high.
    Medium,
    /// All violations.
    #[value(alias = "violation")]
    Low,
    /// All violations and notices.
    Notice,
    /// Nothing; a check that is incomplete still exits with 2.
    Never,
}

impl FailOn {
    /// The least severe finding that makes `check` exit with 1.
    pub fn least(self) -> Option<Severity> {
        match self {
            Self::High => Some(Severity::High),
            Self::Medium => Some(Severity::Medium),
            Self::Low => Some(Severity::Low),
            Self::Notice => Some(Severity::Notice),
            Self::Never => None,
        }
    }
}

/// A format of the report.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; in colour on a terminal.
    Text,
    /// For pull requests and job summaries.
    Markdown,
    /// For programs; a stable format.
    Json,
    /// For code scanning: SARIF 2.1.0.
    Sarif,
    /// For test reports in CI: JUnit XML.
    Junit,
}

/// The word for every namespace, and for every sentence.
pub const ALL: &str = "all";

/// Reads a format and a file, `sarif=flytewarden.sarif`.
fn output(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, file) = text.split_once('=').ok_or("it must be FORMAT=FILE")?;
    let names = || {
        Format::value_variants().iter().filter_map(Format::to_possible_value).map(|value| value.get_name().to_owned())
    };
    let format = Format::from_str(format, false)
        .map_err(|_| format!("unknown format {format}; use one of {}", names().collect::<Vec<_>>().join(", ")))?;
    Ok((format, PathBuf::from(file)))
}

/// Reads the name of a namespace, which Kubernetes takes as a label of DNS (RFC 1123).
fn namespace(name: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=63).contains(&name.len()) && name.bytes().all(is_plain) && !name.starts_with('-') && !name.ends_with('-') {
        return Ok(name.to_owned());
    }
    Err("a namespace is at most 63 lower-case letters, digits and -".to_owned())
}

/// Reads the name of a sentence, or `all`.
fn sentence(name: &str) -> Result<String, String> {
    let mut names = Sentence::ALL.map(Sentence::name).into_iter().chain([ALL]);
    if names.any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let names = Sentence::ALL.map(Sentence::name).join(", ");
    Err(format!("use one of {names}, or {ALL}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_options_fit_together() {
        Arguments::command().debug_assert();
    }
}

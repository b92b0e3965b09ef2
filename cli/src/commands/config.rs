//! `flytewarden config`.

use std::{
    error::Error,
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches};
use flytewarden_cli::{
    arguments::{Arguments, CheckArguments, ConfigArguments},
    config::{self, Config, SETTINGS},
    schema::schema,
};
use flytewarden_offline::shown::visible;
use serde_json::json as value_of;

use super::{Setup, finish, json, shown};

/// Prints the options in force and their sources. Reads all files that they name, so that mistakes show.
pub fn run(arguments: &ConfigArguments) -> Result<ExitCode, Box<dyn Error>> {
    let command = Arguments::command();
    let check = command.find_subcommand("check").ok_or("there is no check")?;
    if arguments.schema {
        finish(json(&schema(check), &mut io::stdout()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = Config::find(arguments.config.as_deref(), check)?;
    let line = ["flytewarden", "check", "-"].map(OsString::from);
    let line = config.as_ref().map_or(Ok(line.to_vec()), |config| config.added_to(&line, &command))?;
    let matches = command.clone().try_get_matches_from(line)?;
    let (_, matches) = matches.subcommand().ok_or("there is no check")?;
    let setup = Setup::load(&CheckArguments::from_arg_matches(matches)?.scope, config.as_ref(), false)?;

    let mut lines = vec![match &config {
        Some(config) => format!("# {}", shown(&config.file)),
        None => format!("# There is no {} in this directory or above it. These are the defaults.", config::NAME),
    }];
    let has_file = matches.get_raw(SETTINGS).is_some();
    for (name, argument) in config::keys(check).filter(|(name, _)| has_file || *name != SETTINGS) {
        let line = config.as_ref().and_then(|config| config.line(name));
        let source = line.map_or("default".to_owned(), |line| format!("line {line}"));
        lines.push(match value(argument, matches) {
            Some(value) => format!("{name}: {value} # {source}"),
            None => format!("# {name}: not set"),
        });
    }
    if !has_file {
        let mut settings = setup.settings().peekable();
        lines.push(match settings.peek() {
            None => format!("# {SETTINGS}: the defaults"),
            Some(_) => format!("{SETTINGS}:"),
        });
        lines.extend(settings.map(|(policy, settings)| format!("  {policy}: {settings}")));
    }
    let text: String = lines.iter().map(|line| visible(line) + "\n").collect();
    finish(io::stdout().write_all(text.as_bytes()))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns an option's value as YAML.
fn value(argument: &Arg, matches: &ArgMatches) -> Option<String> {
    let values: Vec<String> = matches
        .get_raw(argument.get_id().as_str())
        .into_iter()
        .flatten()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    match argument.get_action() {
        ArgAction::SetTrue => Some(matches.get_flag(argument.get_id().as_str()).to_string()),
        ArgAction::Append if values.is_empty() => None,
        ArgAction::Append => Some(value_of!(values).to_string()),
        _ => values.first().map(|value| match value.parse::<u64>() {
            Ok(number) => number.to_string(),
            Err(_) => value_of!(value).to_string(),
        }),
    }
}

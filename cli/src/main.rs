//! The `flytewarden` command: reads the arguments and returns the exit code.

mod commands;

use std::{
    env,
    error::Error,
    ffi::OsString,
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use anstream::ColorChoice;
use clap::{CommandFactory, Parser};
use commands::{UNJUDGED, check, config, finish, fix, json, modules};
use flytewarden_cli::{
    arguments::{Arguments, Colour, Command, ExplainArguments},
    explain,
};
use flytewarden_formats::text::printable;

fn main() -> ExitCode {
    let line: Vec<OsString> = env::args_os().collect();
    let Arguments { command, color } = Arguments::parse_from(&line);
    let color = match color {
        Colour::Auto => ColorChoice::Auto,
        Colour::Always => ColorChoice::AlwaysAnsi,
        Colour::Never => ColorChoice::Never,
    };
    color.write_global();
    let done = match command {
        Command::Check(arguments) => check::run(*arguments, &line),
        Command::Fix(arguments) => fix::run(*arguments, &line),
        Command::Explain(arguments) => explain(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Push(arguments) => modules::push(&arguments),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "flytewarden", &mut script);
            finish(io::stdout().write_all(&script)).map(|()| ExitCode::SUCCESS)
        }
        Command::Man { directory } => {
            clap_mangen::generate_to(Arguments::command(), directory).map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("error: {}", printable(&error.to_string()));
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

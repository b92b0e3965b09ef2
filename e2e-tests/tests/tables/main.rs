//! What holds of each row of a table: a trial for each, by its title.

mod cases;
mod charts;
mod hostile_files;
mod hostile_hosts;
mod origins;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let tables = [cases::trials, charts::trials, hostile_files::trials, hostile_hosts::trials, origins::trials];
    let trials = tables.into_iter().flat_map(|trials| trials()).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

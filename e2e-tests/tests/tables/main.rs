//! Table tests: a trial for each row, named by its title.

mod cases;
mod charts;
#[cfg(feature = "engines")]
mod hostile_files;
#[cfg(feature = "engines")]
mod hostile_hosts;
#[cfg(feature = "engines")]
mod in_modules;
#[cfg(feature = "engines")]
mod in_opa;
mod origins;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    #[cfg(not(feature = "engines"))]
    println!("SKIPPED, since no engine is built in: the cases in compiled modules, which `make e2e` runs");
    let tables = [
        cases::trials,
        charts::trials,
        origins::trials,
        #[cfg(feature = "engines")]
        hostile_files::trials,
        #[cfg(feature = "engines")]
        hostile_hosts::trials,
    ];
    let trials = tables.into_iter().flat_map(|trials| trials()).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

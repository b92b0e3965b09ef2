//! Checks files and makes a report.

use flytewarden_offline::{
    check::{Check, File, Policy},
    report::Report,
};

/// Checks files. `report` may leave findings out, and may already contain files that could not be read.
pub fn check(check: &Check<impl Policy>, report: Report, files: &[File]) -> Report {
    let mut run = check.start(files, report);
    for file in files {
        run.add(file);
    }
    run.finish()
}

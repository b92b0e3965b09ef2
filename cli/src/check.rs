//! From files to a report.

use flytewarden_offline::{
    check::{Check, File, Policy},
    report::Report,
};

use crate::inputs::{Input, Inputs};

/// Checks files. `report` may leave findings out.
pub fn check(check: &Check<impl Policy>, mut report: Report, inputs: &Inputs) -> Report {
    inputs.add_unread(&mut report);
    let files: Vec<File> = inputs.files.iter().map(Input::read).collect();
    let mut run = check.start(&files, report);
    for file in &files {
        run.add(file);
    }
    run.finish()
}

//! Fixes files as far as no decision is needed.

use flytewarden_offline::{
    check::{Check, File, Policy},
    fix::Fixed,
    ignored::Omissions,
    report::Report,
    rounds,
};

use crate::{
    files::Resolved,
    inputs::{Input, Inputs},
};

/// The fixed files, and the report on them.
pub struct Fixes {
    /// The files that could be read, fixed as far as possible.
    pub files: Vec<FixedFile>,
    /// The report on the fixed files.
    pub report: Report,
}

/// A file and its fixes.
pub struct FixedFile {
    /// Its name in reports.
    pub name: String,
    /// Its resolved path, or why it cannot be changed.
    pub place: Result<Resolved, String>,
    /// Whether it is standard input.
    pub is_standard: bool,
    /// Its text before and after.
    pub fixed: Fixed,
}

/// Makes the changes that findings propose, and those of flyte-non-root's setting `fill`, until none is left.
pub fn fix<P: Policy>(check: &Check<P>, omissions: &Omissions, inputs: &Inputs) -> Fixes {
    let mut files: Vec<File> = inputs.read_files();
    let start = || {
        let mut report = Report::without(omissions.clone());
        inputs.add_unread(&mut report);
        report
    };
    let (fixed, report) = rounds::fix(check, start, &mut files);
    let fixed_file = |((input, file), fixed): ((&Input, &File), Option<Fixed>)| {
        Some(FixedFile {
            name: file.name.clone(),
            place: input.place(),
            is_standard: input.is_standard(),
            fixed: fixed?,
        })
    };
    let files = inputs.files.iter().zip(&files).zip(fixed).filter_map(fixed_file).collect();
    Fixes { files, report }
}

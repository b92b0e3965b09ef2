//! From files to what can be fixed in them without a decision.

use std::collections::BTreeSet;

use flytewarden_offline::{
    check::{Check, File, Policy},
    fix::Fixed,
    ignored::Omissions,
    report::Report,
};

use crate::{
    files::Resolved,
    inputs::{Input, Inputs},
};

/// What was fixed, and what was not.
pub struct Fixes {
    /// The files that could be read, fixed as far as possible.
    pub files: Vec<FixedFile>,
    /// The report on them as they are now.
    pub report: Report,
}

/// A file, and what is fixed in it.
pub struct FixedFile {
    /// Its name in reports.
    pub name: String,
    /// Where it is, or why it cannot be changed.
    pub place: Result<Resolved, String>,
    /// Whether it is standard input.
    pub is_standard: bool,
    /// Its text before and after.
    pub fixed: Fixed,
}

/// How often files are fixed and checked again. A fix can make another one possible, or two can exclude each other.
const MOST_ROUNDS: usize = 5;

/// Makes the changes that findings propose, and those of flyte-non-root's setting `fill`, until none is left. A file that is given
/// twice, or by a link, is fixed once.
pub fn fix(check: &Check<impl Policy>, omissions: &Omissions, inputs: &Inputs) -> Fixes {
    let mut seen = BTreeSet::new();
    let inputs_once: Vec<&Input> =
        inputs.files.iter().filter(|input| input.place().map_or(true, |place| seen.insert(place.path))).collect();
    let mut files: Vec<File> = inputs_once.iter().map(|input| input.read()).collect();
    let fixed_file = |(input, file): (&&Input, &File)| {
        let fixed = Fixed::of(file.text.as_ref().ok()?);
        Some(FixedFile { name: file.name.clone(), place: input.place(), is_standard: input.is_standard(), fixed })
    };
    let mut fixed: Vec<Option<FixedFile>> = inputs_once.iter().zip(&files).map(fixed_file).collect();
    let mut rounds = 0..MOST_ROUNDS;
    loop {
        let mut report = Report::without(omissions.clone());
        inputs.add_unread(&mut report);
        let mut run = check.start(&files, report);
        let filled: Vec<_> = files.iter().map(|file| run.add(file)).collect();
        let report = run.finish();
        let may_change = rounds.next().is_some();
        let mut is_changed = false;
        for ((file, fixed), filled) in files.iter_mut().zip(&mut fixed).zip(filled) {
            let Some(FixedFile { fixed, .. }) = fixed else { continue };
            let own = report.objects.iter().filter(|judged| judged.place.file == file.name);
            if may_change && fixed.improve(own, &filled) {
                file.text = Ok(fixed.text.as_str().into());
                is_changed = true;
            }
        }
        if !is_changed {
            return Fixes { files: fixed.into_iter().flatten().collect(), report };
        }
    }
}

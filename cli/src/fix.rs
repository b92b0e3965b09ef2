//! From files to what can be fixed in them without a decision.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use flytewarden_offline::{
    check::{Check, File, Policy},
    fix::{Fixed, is_fill_wanted},
    ignored::Omissions,
    report::{Judged, Place, Report},
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

/// How often files are fixed and checked again: a policy lists at most 20 violations of an object, and a fix can make another one
/// possible.
const MOST_ROUNDS: usize = 100;

/// Makes the changes that findings propose, and those of flyte-non-root's setting `fill`, until none is left. `unfilled` is the same check
/// without that setting.
pub fn fix<P: Policy>(check: &Check<P>, unfilled: &Check<P>, omissions: &Omissions, inputs: &Inputs) -> Fixes {
    let mut files: Vec<File> = inputs.read();
    let fixed_file = |(input, file): (&Input, &File)| {
        let fixed = Fixed::of(file.text.as_ref().ok()?);
        Some(FixedFile { name: file.name.clone(), place: input.place(), is_standard: input.is_standard(), fixed })
    };
    let mut fixed: Vec<Option<FixedFile>> = inputs.files.iter().zip(&files).map(fixed_file).collect();
    let mut seen = HashSet::new();
    loop {
        let mut report = Report::without(omissions.clone());
        inputs.add_unread(&mut report);
        let mut run = check.start(&files, report);
        let filled: Vec<_> = files.iter().map(|file| run.add(file)).collect();
        let report = run.finish();
        let without_fill = filled.iter().any(|filled| !filled.is_empty()).then(|| {
            let mut run = unfilled.start(&files, Report::without(omissions.clone()));
            files.iter().for_each(|file| drop(run.add(file)));
            run.finish()
        });
        // Two fixes that undo each other lead back to where they began.
        let is_new = seen.len() < MOST_ROUNDS && seen.insert(hash(&files));
        let mut is_changed = false;
        for ((file, fixed), mut filled) in files.iter_mut().zip(&mut fixed).zip(filled) {
            let Some(FixedFile { fixed, .. }) = fixed else { continue };
            let mut left = Vec::new();
            filled.retain(|(object, _)| {
                let place = Place::of(object, &file.name);
                let find = |report: &'_ Report| report.objects.iter().position(|judged| judged.place.is_at(&place));
                let Some(without_fill) = &without_fill else { return false };
                // What the report is not about is not fixed either.
                let (Some(with), Some(without)) = (find(&report), find(without_fill)) else { return false };
                is_fill_wanted(&without_fill.objects[without], &report.objects[with]).unwrap_or_else(|reason| {
                    left.push((place, reason));
                    false
                })
            });
            let own: Vec<&Judged> = report.objects.iter().filter(|judged| judged.place.file == file.name).collect();
            if is_new && fixed.improve(own.iter().copied(), &filled) {
                file.text = Ok(fixed.text.as_str().into());
                is_changed = true;
            }
            for (place, reason) in left {
                fixed.leave(&place, reason);
            }
            if !is_new {
                for judged in own.into_iter().filter(|judged| judged.violations.iter().any(|own| !own.edits.is_empty()))
                {
                    fixed.leave(&judged.place, "its fixes undo each other; make one of them by hand".to_owned());
                }
            }
        }
        if !is_changed {
            return Fixes { files: fixed.into_iter().flatten().collect(), report };
        }
    }
}

fn hash(files: &[File]) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.iter().for_each(|file| file.text.hash(&mut hasher));
    hasher.finish()
}

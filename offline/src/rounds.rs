//! Fixes manifests, and checks them again, until nothing is left to fix.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::{
    check::{Check, File, Policy},
    fix::{Fixed, is_fill_wanted},
    report::{Judged, Place, Report},
};

/// The most rounds. A policy lists at most 20 violations of an object at a time, and a fix can make another one possible.
const MOST_ROUNDS: usize = 100;

/// Makes the changes that findings propose, and those of flyte-non-root's setting `fill`. `start` makes the report that a check begins
/// with. Returns each file that could be read with its changes, and the report on the files as they are now.
pub fn fix<P: Policy>(
    check: &Check<P>,
    start: impl Fn() -> Report,
    files: &mut [File],
) -> (Vec<Option<Fixed>>, Report) {
    let mut fixed: Vec<Option<Fixed>> =
        files.iter().map(|file| file.text.as_ref().ok().map(|text| Fixed::new(text))).collect();
    let settings = check.settings.without("fill");
    let (images, namespaces) = (check.images.clone(), check.namespaces.clone());
    let unfilled = Check { settings: &settings, images, namespaces, ..*check };
    let mut seen = HashSet::new();
    loop {
        let mut run = check.start(files, start());
        let filled: Vec<_> = files.iter().map(|file| run.add(file)).collect();
        let report = run.finish();
        let without_fill = filled.iter().any(|filled| !filled.is_empty()).then(|| {
            let mut run = unfilled.start(files, start());
            for file in &*files {
                run.add(file);
            }
            run.finish()
        });
        // Two fixes that undo each other lead back to an earlier state.
        let is_last = seen.len() == MOST_ROUNDS;
        let is_new = !is_last && seen.insert(hash(files));
        let mut is_changed = false;
        for ((file, fixed), mut filled) in files.iter_mut().zip(&mut fixed).zip(filled) {
            let Some(fixed) = fixed else { continue };
            let mut left = Vec::new();
            filled.retain(|(object, _)| {
                let place = Place::from_object(object, &file.name);
                // Objects that the report leaves out are not fixed either.
                let (Some(with), Some(without)) =
                    (report.object_at(&place), without_fill.as_ref().and_then(|report| report.object_at(&place)))
                else {
                    return false;
                };
                is_fill_wanted(without, with).unwrap_or_else(|reason| {
                    left.push((place, reason));
                    false
                })
            });
            let own: Vec<&Judged> = report.objects.iter().filter(|judged| judged.place.file == file.name).collect();
            if is_new && fixed.improve(own.iter().copied(), &filled) {
                file.text = Ok(fixed.text.as_str().into());
                is_changed = true;
            }
            if !is_new {
                let has_edits = |judged: &&Judged| judged.violations.iter().any(|found| !found.edits.is_empty());
                let undone = match is_last {
                    true => "it has more violations than can be fixed at once; run the command again",
                    false => "its fixes undo each other; make one of them by hand",
                };
                left.extend(own.into_iter().filter(has_edits).map(|judged| (judged.place.clone(), undone.to_owned())));
            }
            for (place, reason) in left {
                fixed.leave(&place, reason);
            }
        }
        if !is_changed {
            return (fixed, report);
        }
    }
}

fn hash(files: &[File]) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.iter().for_each(|file| file.text.hash(&mut hasher));
    hasher.finish()
}

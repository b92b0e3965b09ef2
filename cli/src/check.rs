//! From files to a report.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use flytewarden_offline::{
    check::{Check, File},
    report::Report,
};
use indicatif::{ProgressBar, ProgressStyle};
use same_file::is_same_file;
use walkdir::WalkDir;

use crate::{engine::Module, fix::Fixed};

/// What became of the files.
pub struct Checked {
    /// What the policies say.
    pub report: Report,
    /// The files in which policies fill something in, each by its path and as it is named.
    pub fixed: Vec<(PathBuf, String, Fixed)>,
}

/// The path that means standard input.
pub const STANDARD_INPUT: &str = "-";

/// Checks files, directories and standard input (`-`), in the order they are given. With `fix`, what policies fill in is
/// put into the texts.
pub fn check(check: &Check<Module>, paths: &[PathBuf], fix: bool) -> Checked {
    let mut unreadable = Report::default();
    let mut fixed: Vec<(PathBuf, String, Fixed)> = Vec::new();
    let found: Vec<PathBuf> = paths.iter().flat_map(|path| manifests(path, &mut unreadable)).collect();
    let files: Vec<File> = found.iter().map(|path| File::new(name(path), read(path))).collect();

    let progress = progress(files.iter().flat_map(File::objects).count());
    let mut run = check.start(&files, unreadable);
    for (path, file) in found.iter().zip(&files) {
        let filled = run.add(file, || progress.inc(1));
        if let Ok(content) = &file.content
            && fix
            && !filled.is_empty()
        {
            let text = Fixed::of(&content.text, &filled);
            for (place, reason) in &text.left {
                run.report.add_unfilled(&file.name, filled[*place].0, reason);
            }
            // A file can be given twice.
            if !fixed.iter().any(|(other, ..)| is_same_file(other, path).unwrap_or(false)) {
                fixed.push((path.clone(), file.name.clone(), text));
            }
        }
    }
    progress.finish_and_clear();
    Checked { report: run.finish(), fixed }
}

/// A file as reports name it.
fn name(path: &Path) -> String {
    match path == Path::new(STANDARD_INPUT) {
        true => "<stdin>".to_owned(),
        false => path.to_string_lossy().into_owned(),
    }
}

/// The files a path stands for: itself, or in a directory every manifest, by name.
fn manifests(path: &Path, report: &mut Report) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let mut files = Vec::new();
    for entry in WalkDir::new(path).follow_links(true).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_manifest(entry.path()) => files.push(entry.into_path()),
            Ok(_) => {}
            Err(error) => {
                let path = error.path().unwrap_or(path).to_string_lossy().into_owned();
                report.add_unread(&path, error.to_string());
            }
        }
    }
    if files.is_empty() {
        report.add_unread(&path.to_string_lossy(), "there is no .yaml, .yml or .json file in it".to_owned());
    }
    files
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = if path == Path::new(STANDARD_INPUT) {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
}

/// A bar on a terminal's standard error, where there is something to wait for.
fn progress(objects: usize) -> ProgressBar {
    const WORTH_A_BAR: usize = 500;
    if objects < WORTH_A_BAR {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} objects").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(objects as u64).with_style(style)
}

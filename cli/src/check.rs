//! From files to a report.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use flytewarden_offline::{
    check::{Check, File, Policy},
    fix::Fixed,
    report::Report,
};
use walkdir::WalkDir;

use crate::{
    files::{MOST_OF_MANIFEST, Resolved, read_text, resolve_below},
    formats::text::without_user,
};

/// What became of the files.
pub struct Checked {
    /// What the policies say.
    pub report: Report,
    /// The files in which policies fill something in.
    pub fixed: Vec<FixedFile>,
}

/// A file in which policies fill something in, or standard input.
pub struct FixedFile {
    /// As reports name it.
    pub name: String,
    /// Where it is.
    pub place: Resolved,
    /// What it holds, and what it is to hold.
    pub fixed: Fixed,
}

/// The path that means standard input.
pub const STANDARD_INPUT: &str = "-";

/// Checks files, directories and standard input (`-`), in the order they are given. With `fix`, what policies fill in is
/// put into the texts; that of standard input is there even where that is nothing.
///
/// Of directories, `excluded` files and directories are left out. `report` may ignore what a baseline holds.
pub fn check(
    check: &Check<impl Policy>,
    mut report: Report,
    paths: &[PathBuf],
    excluded: &[PathBuf],
    fix: bool,
) -> Checked {
    let mut fixed: Vec<FixedFile> = Vec::new();
    let found: Vec<(&Path, PathBuf)> = paths
        .iter()
        .flat_map(|named| manifests(named, excluded, &mut report).into_iter().map(|path| (&**named, path)))
        .collect();
    let file =
        |(named, path): &(&Path, PathBuf)| File { is_found: *named != path, ..File::new(name(path), read(path)) };
    let files: Vec<File> = found.iter().map(file).collect();

    let mut run = check.start(&files, report);
    for ((named, path), file) in found.iter().zip(&files) {
        let filled = run.add(file);
        if let Ok(text) = &file.text
            && fix
            && (!filled.is_empty() || path == Path::new(STANDARD_INPUT))
        {
            let text = Fixed::of(text, &filled);
            for (place, reason) in &text.left {
                run.report.add_unfilled(&file.name, &filled[*place].0, reason);
            }
            match place(named, path) {
                // A file can be given twice, and by a link.
                Ok(place) if fixed.iter().any(|other| other.place.path == place.path) => {}
                Ok(place) => fixed.push(FixedFile { name: file.name.clone(), place, fixed: text }),
                Err(reason) => run.report.add_unread(&file.name, not_filled(&reason)),
            }
        }
    }
    Checked { report: run.finish(), fixed }
}

/// Why nothing is filled in, in a file that was read.
pub fn not_filled(reason: &str) -> String {
    format!("could not set the values of fill: {reason}")
}

/// Where a file is that was found by a path that somebody named.
fn place(named: &Path, path: &Path) -> Result<Resolved, String> {
    match path == Path::new(STANDARD_INPUT) {
        true => Ok(Resolved { path: path.to_owned(), shown: PathBuf::from("<stdin>") }),
        false => resolve_below(named, path),
    }
}

/// A file as reports name it.
fn name(path: &Path) -> String {
    match path == Path::new(STANDARD_INPUT) {
        true => "<stdin>".to_owned(),
        false => without_user(&path.to_string_lossy()),
    }
}

/// The files a path stands for: itself, or in a directory every manifest, by name. Directories whose files only a tool makes
/// into manifests are reported as not checked, with the command that does so.
fn manifests(path: &Path, excluded: &[PathBuf], report: &mut Report) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let mut files = Vec::new();
    let mut is_empty = true;
    let mut entries = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(path).to_string_lossy().into_owned();
                report.add_unread(&path, error.to_string());
                is_empty = false;
                continue;
            }
        };
        let is_hidden = entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
        let is_folder = entry.file_type().is_dir();
        if is_hidden && is_folder || excluded.iter().any(|excluded| is_below(entry.path(), excluded)) {
            if is_folder {
                entries.skip_current_dir();
            }
        } else if is_folder {
            if let Some(reason) = needs_a_tool(entry.path()) {
                report.add_unread(&name(entry.path()), reason);
                is_empty = false;
                entries.skip_current_dir();
            }
        } else if entry.file_type().is_file() && is_manifest(entry.path()) {
            files.push(entry.into_path());
        }
    }
    if files.is_empty() && is_empty {
        report.add_unread(&name(path), "it contains no .yaml, .yml or .json file to check".to_owned());
    }
    files
}

/// Whether a path is another one, or below it, however they are written.
fn is_below(path: &Path, other: &Path) -> bool {
    let plain = |path: &Path| path.strip_prefix(".").unwrap_or(path).to_owned();
    plain(path).starts_with(plain(other))
}

/// Why a directory cannot be checked as it is.
fn needs_a_tool(folder: &Path) -> Option<String> {
    const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
    let shown = name(folder);
    if folder.join("Chart.yaml").is_file() {
        return Some(format!(
            "this is a Helm chart. Check what it renders: helm template flyte {shown} | flytewarden check -"
        ));
    }
    let is_kustomization = KUSTOMIZATIONS.iter().any(|name| folder.join(name).is_file());
    is_kustomization.then(|| {
        format!("this is a kustomization. Check what it builds: kubectl kustomize {shown} | flytewarden check -")
    })
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

fn read(path: &Path) -> Result<String, String> {
    let from: Box<dyn Read> = match path == Path::new(STANDARD_INPUT) {
        true => Box::new(io::stdin()),
        false => Box::new(std::fs::File::open(path).map_err(|error| error.to_string())?),
    };
    read_text(from, MOST_OF_MANIFEST)
}

//! Finds the files to check: files that the user named, files in directories, and standard input.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use flytewarden_formats::text::without_user;
use flytewarden_offline::{check::File, report::Report, shown::visible};
use walkdir::WalkDir;

use crate::files::{MOST_OF_MANIFEST, Resolved, read_text, resolve_below};

/// The path that means standard input.
pub const STANDARD_INPUT: &str = "-";

/// The files to check, in the order in which the user named them and they were found.
#[derive(Debug, Default)]
pub struct Inputs {
    /// The files.
    pub files: Vec<Input>,
    /// The paths that cannot be read, and why.
    unread: Vec<(String, String)>,
    /// The real paths of the files.
    places: BTreeSet<PathBuf>,
    /// The number of files found, including duplicates.
    found: usize,
    /// The files and directories that were left out, as they were found.
    pub excluded: Vec<String>,
}

/// A path to leave out.
struct Excluded {
    /// As the user wrote it.
    named: PathBuf,
    /// Its real path, if there is one.
    real: Option<PathBuf>,
    is_found: bool,
}

impl Excluded {
    fn from_path(path: &Path) -> Self {
        Self { named: path.to_owned(), real: fs::canonicalize(path).ok(), is_found: false }
    }
}

/// A file to check, or standard input.
#[derive(Debug)]
pub struct Input {
    /// The path that the user named: the file's, or that of the directory that contains it.
    named: PathBuf,
    path: PathBuf,
}

impl Inputs {
    /// Finds the files for the given paths: `-` for standard input, a file, or a directory with all its manifests,
    /// sorted by name. In directories, it leaves out `excluded` files and directories. It reports a directory with a
    /// chart or a kustomization as not checked, with the command that renders it.
    pub fn find(paths: &[PathBuf], excluded: &[PathBuf]) -> Self {
        let mut inputs = Self::default();
        let mut excluded: Vec<Excluded> = excluded.iter().map(|path| Excluded::from_path(path)).collect();
        for path in paths {
            inputs.add(path, &mut excluded);
        }
        for excluded in excluded.iter().filter(|excluded| !excluded.is_found) {
            let name = visible(&name(&excluded.named));
            anstream::eprintln!("warning: --exclude {name}: there is no such path in the directories to check");
        }
        inputs
    }

    /// Reads the files.
    pub fn read_files(&self) -> Vec<File> {
        self.files.iter().map(Input::read_file).collect()
    }

    /// Adds the paths that cannot be read to a report.
    pub fn add_unread(&self, report: &mut Report) {
        for (path, reason) in &self.unread {
            report.add_unread(path, None, reason.clone());
        }
    }

    fn add(&mut self, named: &Path, excluded: &mut [Excluded]) {
        if !named.is_dir() {
            self.add_file(Input { named: named.to_owned(), path: named.to_owned() });
            return;
        }
        let before = self.found + self.unread.len();
        let mut entries = WalkDir::new(named).follow_links(true).sort_by_file_name().into_iter();
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.unread.push((name(error.path().unwrap_or(named)), error.to_string()));
                    continue;
                }
            };
            let is_hidden = entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
            let is_folder = entry.file_type().is_dir();
            let real = if excluded.is_empty() { None } else { fs::canonicalize(entry.path()).ok() };
            let is_below = |excluded: &Excluded| Some(real.as_ref()?.starts_with(excluded.real.as_ref()?));
            let excluded = excluded.iter_mut().find(|excluded| is_below(excluded) == Some(true));
            if is_hidden && is_folder || excluded.is_some() {
                if let Some(excluded) = excluded {
                    excluded.is_found = true;
                    self.excluded.push(name(entry.path()));
                }
                if is_folder {
                    entries.skip_current_dir();
                }
            } else if is_folder {
                if let Some(reason) = needs_a_tool(entry.path()) {
                    self.unread.push((name(entry.path()), reason));
                    entries.skip_current_dir();
                }
            } else if entry.file_type().is_file() && is_manifest(entry.path()) {
                self.add_file(Input { named: named.to_owned(), path: entry.into_path() });
            }
        }
        if self.found + self.unread.len() == before {
            self.unread.push((name(named), "it contains no .yaml, .yml or .json file to check".to_owned()));
        }
    }

    /// Adds a file, unless it was added before under another name or through a link.
    fn add_file(&mut self, input: Input) {
        self.found += 1;
        if input.place().map_or(true, |place| self.places.insert(place.path)) {
            self.files.push(input);
        }
    }
}

impl Input {
    /// Whether it is standard input.
    pub fn is_standard(&self) -> bool {
        self.path == Path::new(STANDARD_INPUT)
    }

    /// Reads the file.
    pub fn read_file(&self) -> File {
        let from: io::Result<Box<dyn Read>> = match self.is_standard() {
            true => Ok(Box::new(io::stdin())),
            false => fs::File::open(&self.path).map(|file| Box::new(file) as _),
        };
        let text = from.map_err(|error| error.to_string()).and_then(|from| read_text(from, MOST_OF_MANIFEST));
        File { is_found: self.named != self.path, ..File::new(name(&self.path), text) }
    }

    /// Returns its real path.
    ///
    /// # Errors
    ///
    /// A link leads out of the directory that somebody named, or it is not a regular file.
    pub fn place(&self) -> Result<Resolved, String> {
        match self.is_standard() {
            true => Ok(Resolved { path: self.path.clone(), shown: PathBuf::from(name(&self.path)) }),
            false => resolve_below(&self.named, &self.path),
        }
    }
}

/// Returns a file's name in reports.
fn name(path: &Path) -> String {
    match path == Path::new(STANDARD_INPUT) {
        true => "<stdin>".to_owned(),
        false => without_user(&path.to_string_lossy()),
    }
}

/// Returns why a directory cannot be checked as it is, if so.
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

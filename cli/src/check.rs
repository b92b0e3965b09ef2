//! From files to a report.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use flytewarden_offline::{manifest, report::Report, request::Request};
use indicatif::{ProgressBar, ProgressStyle};
use walkdir::WalkDir;

use crate::{engine::Module, settings::Settings};

/// What to check with.
pub struct Check<'c> {
    /// The policies.
    pub modules: &'c [Module],
    /// Their settings.
    pub settings: &'c Settings,
    /// The namespace of objects that name none.
    pub namespace: &'c str,
}

/// The path that means standard input.
const STANDARD_INPUT: &str = "-";

impl Check<'_> {
    /// Checks files, directories and standard input (`-`), in the order they are given.
    pub fn run(&self, paths: &[PathBuf]) -> Report {
        let mut report = Report::default();
        let mut files = Vec::new();
        for path in paths {
            files.extend(manifests(path, &mut report));
        }
        let progress = progress(files.len());
        for file in files {
            let name = if file == Path::new(STANDARD_INPUT) { "<stdin>".into() } else { file.to_string_lossy() };
            match read(&file) {
                Ok(text) => self.text(&name, &text, &mut report),
                Err(reason) => report.add_unread(&name, reason),
            }
            progress.inc(1);
        }
        progress.finish_and_clear();
        report
    }

    /// Checks the objects of one text.
    fn text(&self, file: &str, text: &str, report: &mut Report) {
        let objects = manifest::objects(text);
        if objects.is_empty() {
            // An empty pipe is what a failed `helm template` leaves, and no sign that all is well.
            report.add_unread(file, "there is no object in it".to_owned());
        }
        for object in objects {
            match object {
                Ok(object) => {
                    let answers = self.answers(&object);
                    report.add(file, text, &object, answers);
                }
                Err(unreadable) => report.add_unreadable(file, unreadable),
            }
        }
    }

    fn answers(&self, object: &manifest::Object) -> Vec<(String, Result<flytewarden_offline::report::Answer, String>)> {
        let request = Request::create(object, self.namespace);
        let mut concerned = self.modules.iter().filter(|module| module.metadata.asks_for(&request)).peekable();
        if concerned.peek().is_none() {
            return Vec::new();
        }
        match serde_json::to_string(&request) {
            Ok(request) => concerned
                .map(|module| (module.name.clone(), module.validate(&request, self.settings.of(&module.name))))
                .collect(),
            Err(error) => concerned.map(|module| (module.name.clone(), Err(error.to_string()))).collect(),
        }
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
fn progress(files: usize) -> ProgressBar {
    const WORTH_A_BAR: usize = 50;
    if files < WORTH_A_BAR {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} files").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(files as u64).with_style(style)
}

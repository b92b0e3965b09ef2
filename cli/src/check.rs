//! From files to a report.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use flytewarden_offline::{
    cluster::{Cluster, HostCalls},
    images::Images,
    manifest,
    report::{self, Report},
    request::Request,
};
use indicatif::{ProgressBar, ProgressStyle};
use same_file::is_same_file;
use walkdir::WalkDir;

use crate::{engine::Module, fix::Fixed, settings::Settings};

/// What to check with.
pub struct Check<'c> {
    /// The policies.
    pub modules: &'c [Module],
    /// Their settings.
    pub settings: &'c Settings,
    /// The namespace of objects that name none.
    pub namespace: &'c str,
    /// The users of images.
    pub images: Images,
    /// Whether what policies fill in is put into the texts.
    pub fix: bool,
}

/// What became of the files.
pub struct Checked {
    /// What the policies say.
    pub report: Report,
    /// The files in which policies fill something in, each by its path and as it is named.
    pub fixed: Vec<(PathBuf, String, Fixed)>,
}

/// What policies ask, answered by the manifests and by a list of images.
struct Host {
    cluster: Arc<Cluster>,
    images: Images,
}

impl HostCalls for Host {
    fn answer(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        self.cluster.answer(operation, request)
    }

    fn image(&self, reference: &str) -> Result<Vec<u8>, String> {
        self.images.answer(reference)
    }
}

/// The path that means standard input.
pub const STANDARD_INPUT: &str = "-";

impl Check<'_> {
    /// Checks files, directories and standard input (`-`), in the order they are given. What a policy asks about other
    /// objects, all of them together answer.
    pub fn run(&self, paths: &[PathBuf]) -> Checked {
        let mut report = Report::default();
        let mut fixed: Vec<(PathBuf, String, Fixed)> = Vec::new();
        let mut files = Vec::new();
        for path in paths {
            files.extend(manifests(path, &mut report));
        }
        let files: Vec<File> = files.into_iter().map(File::read).collect();
        let cluster = Arc::new(Cluster::of(files.iter().flat_map(File::objects), self.namespace));
        let host: Arc<dyn HostCalls> = Arc::new(Host { cluster: Arc::clone(&cluster), images: self.images.clone() });

        let progress = progress(files.iter().flat_map(File::objects).count());
        for File { path, name, content } in &files {
            match content {
                Ok(Content { text, objects }) => {
                    let mut filled = Vec::new();
                    for object in objects {
                        match object {
                            Ok(object) => {
                                let mut answers = self.answers(object, &host);
                                let mut answered = answers.iter_mut();
                                let wanted =
                                    answered.find_map(|(_, answer)| answer.as_mut().ok()?.mutated_object.take());
                                filled.extend(wanted.map(|wanted| (object, wanted)));
                                report.add(name, text, object, answers);
                            }
                            Err(unreadable) => report.add_unreadable(name, unreadable),
                        }
                        progress.inc(1);
                    }
                    if self.fix && !filled.is_empty() {
                        let text = Fixed::of(text, &filled);
                        for (place, reason) in &text.left {
                            report.add_unfilled(name, filled[*place].0, reason);
                        }
                        // A file can be given twice.
                        if !fixed.iter().any(|(other, ..)| is_same_file(other, path).unwrap_or(false)) {
                            fixed.push((path.clone(), name.clone(), text));
                        }
                    }
                }
                Err(reason) => report.add_unread(name, reason.clone()),
            }
        }
        progress.finish_and_clear();
        report.asked_for = cluster.asked().into_iter().collect();
        Checked { report, fixed }
    }

    fn answers(
        &self,
        object: &manifest::Object,
        host: &Arc<dyn HostCalls>,
    ) -> Vec<(String, Result<report::Answer, String>)> {
        let request = Request::create(object, self.namespace);
        let mut concerned = self.modules.iter().filter(|module| module.metadata.asks_for(&request)).peekable();
        if concerned.peek().is_none() {
            return Vec::new();
        }
        match serde_json::to_string(&request) {
            Ok(request) => concerned
                .map(|module| (module.name.clone(), module.validate(&request, self.settings.of(&module.name), host)))
                .collect(),
            Err(error) => concerned.map(|module| (module.name.clone(), Err(error.to_string()))).collect(),
        }
    }
}

/// A file, as it is named, and what it holds.
struct File {
    path: PathBuf,
    name: String,
    content: Result<Content, String>,
}

struct Content {
    text: String,
    objects: Vec<Result<manifest::Object, manifest::Unreadable>>,
}

impl File {
    fn read(path: PathBuf) -> Self {
        let is_input = path == Path::new(STANDARD_INPUT);
        let name = if is_input { "<stdin>".to_owned() } else { path.to_string_lossy().into_owned() };
        let content = read(&path).and_then(|text| match manifest::objects(&text) {
            // An empty pipe is what a failed `helm template` leaves, and no sign that all is well.
            objects if objects.is_empty() => Err("there is no object in it".to_owned()),
            objects => Ok(Content { text, objects }),
        });
        Self { path, name, content }
    }

    fn objects(&self) -> impl Iterator<Item = &manifest::Object> {
        self.content.iter().flat_map(|content| content.objects.iter().flatten())
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

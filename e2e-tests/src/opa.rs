//! The cases as questions for OPA's engines.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    time::SystemTime,
};

use serde::Serialize;
use serde_json::{Value, json};

use crate::cases::{self, Case};

/// The policy whose own module is tested. The others are in the module with every policy; their own modules would take a minute
/// each to compile.
const OWN: &str = "flyte-non-root";
const ALL: &str = "flytewarden";

/// The modules that are tested.
pub const MODULES: [&str; 2] = [OWN, ALL];

/// A question to an engine.
#[derive(Debug, Serialize)]
pub struct Question {
    /// The module in `dist/opa/`.
    pub module: &'static str,
    /// OPA's `input`: the request with the settings.
    pub input: Value,
    /// OPA's `data`.
    pub data: Value,
}

impl Question {
    /// The question about a case. `None` if the case needs permissions or images, which OPA's engines do not have.
    pub fn from_case(case: &Case) -> Option<Self> {
        if !case.denied.is_empty() || case.images.is_some() || case.policy == "flyte-non-root-image-user" {
            return None;
        }
        // Certificates that start in this very second must already be valid.
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() + 1;
        let mut own = json!({"now": now});
        if let Some(objects) = &case.cluster {
            own["objects"] = json!(objects);
        }
        // The answer about settings does not depend on the object.
        let request = match case.object {
            Some(_) => case.admission_request(),
            None => json!({"operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Namespace"}}),
        };
        let (module, settings) = match case.policy == OWN {
            true => (OWN, case.settings.clone()),
            false => (ALL, case.settings_among_all()),
        };
        let input = json!({"request": request, "parameters": settings});
        Some(Self { module, input, data: json!({"flytewarden": own}) })
    }
}

/// A case for an engine that is a separate program.
#[derive(Serialize)]
struct Entry {
    title: String,
    #[serde(flatten)]
    question: Question,
    /// The texts of the violations, and of the notices, joined by line breaks.
    violations: String,
    warnings: String,
}

/// Writes the cases with objects to a file, one on each line, and prints how many OPA's engines cannot run.
///
/// # Errors
///
/// The file cannot be written.
pub fn export(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = BufWriter::new(File::create(path)?);
    let mut beyond = 0;
    for case in cases::all().iter().filter(|case| case.object.is_some() && !case.lacks_openssl) {
        let Some(question) = Question::from_case(case) else {
            beyond += 1;
            continue;
        };
        let entry = Entry {
            title: format!("{} {}: {}", case.policy, case.table, case.it),
            question,
            violations: case.message.join("\n"),
            warnings: case.warnings.join("\n"),
        };
        serde_json::to_writer(&mut file, &entry)?;
        file.write_all(b"\n")?;
    }
    println!("SKIPPED, since OPA's engines have no images and no permissions: {beyond} cases");
    file.flush()
}

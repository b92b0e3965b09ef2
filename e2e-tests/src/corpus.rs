//! The cases as files, for engines that are separate programs. Certificates in them are made once, so all engines get
//! the same.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cases::{self, Case};

/// The cases' file in the folder: JSON, one on each line.
const CASES: &str = "cases.jsonl";

/// A case, and an engine's name for its policy with its settings.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Entry {
    /// The policy with these settings, e.g. `flyte-non-root-3`.
    pub id: String,
    policy: String,
    table: String,
    case: Case,
}

impl Entry {
    /// The case.
    pub fn case(&self) -> Case {
        Case { policy: self.policy.clone(), table: self.table.clone(), ..self.case.clone() }
    }

    /// The title by which people find the case.
    pub fn title(&self) -> String {
        format!("{} {}: {}", self.policy, self.table, self.case.it)
    }
}

/// Writes the cases to a folder. Prints the cases that it skips because openssl is missing.
///
/// # Errors
///
/// The folder cannot be written to.
pub fn export(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut ids: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let mut entries = Vec::new();
    for case in cases::all() {
        if case.lacks_openssl {
            println!("SKIPPED, since openssl is not on PATH: {}", case.it);
            continue;
        }
        // A policy's id depends on its permissions too.
        let number = ids.len();
        let key = (case.policy.clone(), case.settings.to_string(), Value::from(case.denied.clone()).to_string());
        let id = format!("{}-{}", case.policy, ids.entry(key).or_insert(number));
        entries.push(Entry { id, policy: case.policy.clone(), table: case.table.clone(), case });
    }
    fs::create_dir_all(folder)?;
    let mut file = File::create(folder.join(CASES))?;
    for entry in &entries {
        serde_json::to_writer(&mut file, entry)?;
        file.write_all(b"\n")?;
    }
    Ok(entries)
}

/// Reads the cases of a folder.
///
/// # Errors
///
/// They cannot be read.
pub fn read_entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let lines = BufReader::new(File::open(folder.join(CASES))?).lines();
    lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

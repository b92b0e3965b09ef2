//! Puts what each policy says of itself into the library, as JSON.
//!
//! A folder `<policy>-image-user` is the same policy, which may also ask for images, and stands in for it: here nobody has to
//! allow that first.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

const ASKING: &str = "-image-user";

fn main() -> Result<(), Box<dyn Error>> {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?.join("policies");
    println!("cargo::rerun-if-changed={}", policies.display());
    let read = |folder: &str, file: &str| -> Result<Value, Box<dyn Error>> {
        let path = policies.join(folder).join(file);
        yaml_serde::from_str(&fs::read_to_string(&path)?).map_err(|error| format!("{}: {error}", path.display()).into())
    };
    let mut list = String::from("&[\n");
    let mut info = Vec::new();
    for (name, folder) in linked(&policies)? {
        // What it says for people it says under its own name.
        let (own, form) = (read(&name, "metadata.yml")?, read(&name, "questions-ui.yml")?);
        let said = |what: &str| &own["annotations"][format!("io.kubewarden.policy.{what}")];
        info.push(json!({
            "name": name,
            "description": said("description"),
            "version": said("version"),
            "severity": said("severity"),
            "questions": form["questions"],
        }));
        writeln!(list, "    ({name:?}, {:?}),", read(&folder, "metadata.yml")?.to_string())?;
    }
    list.push(']');
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("metadata.rs"), list)?;
    fs::write(out.join("info.json"), Value::from(info).to_string())?;
    Ok(())
}

/// Each policy's name and its folder in `policies/`, by name.
fn linked(policies: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(policies)? {
        let entry = entry?;
        if entry.path().join("metadata.yml").is_file() {
            folders.push(entry.file_name().into_string().map_err(|_| "a policy's name is not UTF-8")?);
        }
    }
    folders.sort();
    let stands_alone = |folder: &&String| !folders.contains(&format!("{folder}{ASKING}"));
    let named = |folder: &String| (folder.strip_suffix(ASKING).unwrap_or(folder).to_owned(), folder.clone());
    Ok(folders.iter().filter(stands_alone).map(named).collect())
}

//! Builds the metadata of each policy's folder into the library, as JSON.

use std::{env, error::Error, fmt::Write, fs, path::PathBuf};

use serde_json::{Map, Value, json};

/// The annotations that a linked policy keeps.
const SAID: [&str; 4] = ["title", "description", "version", "url"];

fn main() -> Result<(), Box<dyn Error>> {
    let policies = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?.join("policies");
    println!("cargo::rerun-if-changed={}", policies.display());
    let mut folders = Vec::new();
    for entry in fs::read_dir(&policies)? {
        let folder = entry?.path();
        if folder.join("metadata.yml").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    let mut list = String::from("&[\n");
    for folder in folders {
        let read = |file: &str| -> Result<Value, Box<dyn Error>> {
            let path = folder.join(file);
            yaml_serde::from_str(&fs::read_to_string(&path)?)
                .map_err(|error| format!("{}: {error}", path.display()).into())
        };
        let name = folder.file_name().and_then(|name| name.to_str()).ok_or("a policy's name is not UTF-8")?;
        let mut metadata = read("metadata.yml")?;
        // A new policy has no form yet: `make docs` writes it, and `make docs` needs this library.
        let form = if folder.join("questions-ui.yml").exists() { read("questions-ui.yml")? } else { json!({}) };
        let said = |what: &str| &metadata["annotations"][format!("io.kubewarden.policy.{what}")];
        let info = json!({
            "name": name,
            "description": said("description"),
            "version": said("version"),
            "severity": said("severity"),
            "questions": form["questions"],
        });
        let annotations: Map<String, Value> =
            SAID.iter().map(|what| (format!("io.kubewarden.policy.{what}"), said(what).clone())).collect();
        metadata["annotations"] = annotations.into();
        if let Some(fields) = metadata.as_object_mut() {
            fields.retain(|field, _| !["backgroundAudit", "minimumKubewardenVersion", "mutating"].contains(&&**field));
        }
        let (metadata, info) = (metadata.to_string(), info.to_string());
        writeln!(list, "    Folder {{ name: {name:?}, metadata: {metadata:?}, info: {info:?} }},")?;
    }
    list.push(']');
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("folders.rs"), list)?;
    Ok(())
}

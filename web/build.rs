//! Puts what each policy says of itself into the module, as JSON.

#[path = "../policies/built_in.rs"]
mod built_in;

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use built_in::built_in;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?.join("policies");
    let read = |folder: &str, file: &str| -> Result<Value, Box<dyn Error>> {
        let path = policies.join(folder).join(file);
        yaml_serde::from_str(&fs::read_to_string(&path)?).map_err(|error| format!("{}: {error}", path.display()).into())
    };
    let mut list = String::from("&[\n");
    let mut info = Vec::new();
    for (name, folder) in built_in(&policies)? {
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

//! Puts the compiled modules into the command: one for each folder of `policies/`, from `dist/`.

use std::{env, error::Error, fmt::Write, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?.to_owned();
    let policies = root.join("policies");
    println!("cargo::rerun-if-changed={}", policies.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&policies)? {
        let entry = entry?;
        if entry.path().join("metadata.yml").is_file() {
            names.push(entry.file_name().into_string().map_err(|_| "a policy's name is not UTF-8")?);
        }
    }
    names.sort();

    let mut list = String::from("&[\n");
    for name in names {
        let module = root.join("dist").join(format!("{name}.wasm"));
        println!("cargo::rerun-if-changed={}", module.display());
        if !module.is_file() {
            println!("cargo::error={} is not there: run `make modules` first", module.display());
        }
        writeln!(list, "    (\"{name}\", include_bytes!({module:?})),")?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("modules.rs"), list)?;
    Ok(())
}

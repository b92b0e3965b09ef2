//! Puts the compiled modules into the command: one for each folder of `policies/`, from `dist/`.
//!
//! A folder `<policy>-image-user` is the same policy, which may also ask for images, and stands in for it: here nobody has to
//! allow that first.

use std::{env, error::Error, fmt::Write, fs, path::Path};

const ASKING: &str = "-image-user";

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
    let asking: Vec<String> = names.iter().filter(|name| name.ends_with(ASKING)).cloned().collect();
    names.retain(|name| !asking.contains(&format!("{name}{ASKING}")));

    let mut list = String::from("&[\n");
    for name in names {
        let module = root.join("dist").join(format!("{name}.wasm"));
        println!("cargo::rerun-if-changed={}", module.display());
        if !module.is_file() {
            println!("cargo::error={} is not there: run `make modules` first", module.display());
        }
        let policy = name.strip_suffix(ASKING).unwrap_or(&name);
        writeln!(list, "    (\"{policy}\", include_bytes!({module:?})),")?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("modules.rs"), list)?;
    Ok(())
}

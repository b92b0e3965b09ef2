//! Puts the compiled modules of the policies that are built in into the command, from `dist/`.

#[path = "../policies/built_in.rs"]
mod built_in;

use std::{env, error::Error, fmt::Write, fs, path::Path};

use built_in::built_in;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?.to_owned();
    let mut list = String::from("&[\n");
    for (policy, folder) in built_in(&root.join("policies"))? {
        let module = root.join("dist").join(format!("{folder}.wasm"));
        println!("cargo::rerun-if-changed={}", module.display());
        if !module.is_file() {
            println!("cargo::error={} is not there: run `make modules` first", module.display());
        }
        writeln!(list, "    (\"{policy}\", include_bytes!({module:?})),")?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("modules.rs"), list)?;
    Ok(())
}

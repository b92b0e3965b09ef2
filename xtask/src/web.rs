//! `cargo xtask web`: compiles the policies and the module that checks certificates for JavaScript, and puts the npm package into
//! `dist/npm`. The descriptions of the rules are in its `rules.json`.
//!
//! wasm-bindgen's own library generates the JavaScript, the library behind `wasm-bindgen-cli`. `Cargo.lock` pins it to the
//! version of the crate, because they only work together.

use std::{fs, path::Path};

use flytewarden_offline::rules::{self, Explained};
use wasm_bindgen_cli_support::Bindgen;

use crate::{Build, Result, UNKNOWN, compile};

/// The modules: the folder of each in the package, and its crate.
const MODULES: [(&str, &str); 3] =
    [("policies", "flytewarden-web"), ("pki", "flytewarden-web-pki"), ("formats", "flytewarden-web-formats")];

/// The ways to load a module, each with the name of its script. They share the module.
type Target = fn(&mut Bindgen) -> Result<&mut Bindgen>;
const TARGETS: [(&str, Target); 3] = [
    ("bundler", |bindgen| Ok(bindgen.bundler(true)?)),
    ("node", |bindgen| Ok(bindgen.nodejs_module(true)?)),
    ("web", |bindgen| Ok(bindgen.web(true)?)),
];

/// The files that the package takes unchanged from `web/npm`.
const FILES: [&str; 10] = [
    "README.md",
    "bin.js",
    "errors.d.ts",
    "errors.js",
    "flytewarden.d.ts",
    "flytewarden.js",
    "node.d.ts",
    "node.js",
    "web.d.ts",
    "web.js",
];

pub(crate) fn write(root: &Path, target: &Path) -> Result<()> {
    let package = root.join("dist/npm");
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    let crates = MODULES.map(|(_, of)| of);
    let modules = compile(root, target, &Build::new(&crates, UNKNOWN))?;
    for ((name, _), module) in MODULES.into_iter().zip(modules) {
        let folder = package.join(name);
        fs::create_dir_all(&folder)?;
        bind(name, &module, &target.join("web"), &folder)?;
    }
    for file in FILES {
        fs::copy(root.join("web/npm").join(file), package.join(file))?;
    }
    let rules: Vec<Explained> = rules::all().map(Explained::from_rule).collect();
    fs::write(package.join("rules.json"), serde_json::to_string_pretty(&rules)?)?;
    let description = fs::read_to_string(root.join("web/npm/package.json"))?;
    fs::write(
        package.join("package.json"),
        description.replace("\"0.0.0\"", concat!("\"", env!("CARGO_PKG_VERSION"), "\"")),
    )?;
    fs::copy(root.join("LICENSE"), package.join("LICENSE"))?;
    Ok(())
}

/// Writes a module and the scripts that load it to a folder.
fn bind(name: &str, wasm: &[u8], bound: &Path, folder: &Path) -> Result<()> {
    let mut shared = None;
    for (script, set) in TARGETS {
        let mut bindgen = Bindgen::new();
        bindgen.input_bytes(name, wasm.to_owned()).typescript(true).omit_default_module_path(false);
        set(bindgen.remove_name_section(true).remove_producers_section(true))?.generate(bound)?;
        for end in [".js", ".d.ts"] {
            // The script names the file of its types, for Deno.
            let text = fs::read_to_string(bound.join(format!("{name}{end}")))?;
            fs::write(
                folder.join(format!("{script}{end}")),
                text.replace(&format!("./{name}.d.ts"), &format!("./{script}.d.ts")),
            )?;
        }
        let module = fs::read(bound.join(format!("{name}_bg.wasm")))?;
        if *shared.get_or_insert_with(|| module.clone()) != module {
            return Err(format!("{name}/{script}.js needs a module of its own").into());
        }
    }
    for end in ["_bg.wasm", "_bg.js"] {
        fs::copy(bound.join(format!("{name}{end}")), folder.join(format!("{name}{end}")))?;
    }
    Ok(())
}

//! `cargo xtask web`: compiles the policies for JavaScript, and leaves the npm package in `dist/npm`.
//!
//! The JavaScript is by wasm-bindgen's own library for that, the one that `wasm-bindgen-cli` puts arguments in front of:
//! `Cargo.lock` holds it to the version of the crate, without which neither works.

use std::{fs, path::Path};

use walrus::Module;
use wasm_bindgen_cli_support::Bindgen;

use crate::{Build, Result, compile};

/// What the host of a waPC guest calls, which the SDK exports whoever links it; with them goes all that only they need.
const GUEST: &str = "__guest_call";

/// The ways to load the module, and what the script for it is called. They share the module.
type Target = fn(&mut Bindgen) -> Result<&mut Bindgen>;
const TARGETS: [(&str, Target); 3] = [
    ("flytewarden", |bindgen| Ok(bindgen.bundler(true)?)),
    ("node", |bindgen| Ok(bindgen.nodejs_module(true)?)),
    ("web", |bindgen| Ok(bindgen.web(true)?)),
];

const MODULE: &str = "flytewarden_bg.wasm";

/// What is optimised for time in modules, and must be small here, where it is fetched by people.
const SMALL: [&str; 7] = ["crypto-bigint", "elliptic-curve", "libyaml-rs", "p256", "p384", "primeorder", "serde_json"];

pub(crate) fn write(root: &Path, target: &Path) -> Result<()> {
    let wasm = compile(
        root,
        target,
        &Build {
            package: "flytewarden-web",
            target: "wasm32-unknown-unknown",
            feature: None,
            level: "z",
            small: &SMALL,
        },
    )?;
    let mut module = Module::from_buffer(&wasm).map_err(|error| error.to_string())?;
    module.exports.remove(GUEST).map_err(|error| error.to_string())?;
    let wasm = module.emit_wasm();

    let package = root.join("dist/npm");
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    fs::create_dir_all(&package)?;
    let bound = target.join("web");
    let mut shared = None;
    for (name, set) in TARGETS {
        let mut bindgen = Bindgen::new();
        bindgen.input_bytes("flytewarden", wasm.clone()).typescript(true).omit_default_module_path(false);
        set(bindgen.remove_name_section(true).remove_producers_section(true))?.generate(&bound)?;
        for end in [".js", ".d.ts"] {
            fs::copy(bound.join(format!("flytewarden{end}")), package.join(format!("{name}{end}")))?;
        }
        let module = fs::read(bound.join(MODULE))?;
        if *shared.get_or_insert_with(|| module.clone()) != module {
            return Err(format!("{name}.js needs a module of its own").into());
        }
    }
    for file in [MODULE, "flytewarden_bg.js"] {
        fs::copy(bound.join(file), package.join(file))?;
    }
    let description = fs::read_to_string(root.join("web/npm/package.json"))?;
    fs::write(
        package.join("package.json"),
        description.replace("\"0.0.0\"", concat!("\"", env!("CARGO_PKG_VERSION"), "\"")),
    )?;
    for (from, to) in [("web/npm/README.md", "README.md"), ("LICENSE", "LICENSE")] {
        fs::copy(root.join(from), package.join(to))?;
    }
    Ok(())
}

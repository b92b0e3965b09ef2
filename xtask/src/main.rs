//! `cargo xtask modules`: compiles every policy module, annotates it, checks its size, and puts it into `dist/`.
//! `cargo xtask opa`: the same for OPA's engines: see [`opa`].
//! `cargo xtask reproducible`: builds the smallest module again from a copy of the sources in another folder, and compares every
//! byte. It reuses the compiled dependencies: cargo keeps their sources in one place.
//! `cargo xtask docs` and `cargo xtask web`: see [`docs`] and [`web`].
//!
//! An artifact is a folder of `policies/` with a `metadata.yml`, built with the cargo feature of that name. The
//! `metadata.yml` at the top level is for the module with every policy.

mod docs;
mod opa;
#[cfg(feature = "web")]
mod web;

use std::{
    borrow::Cow,
    env,
    error::Error,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use flytewarden_offline::{metadata, yaml};
use serde_json::{Map, Value, json};
use wasm_encoder::{CustomSection, Encode, Section};
use wasmparser::{Parser, Payload};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let done = match env::args().nth(1).as_deref() {
        Some("modules") => named(root).and_then(|artifacts| modules(root, &target, &artifacts)),
        Some("opa") => named(root).and_then(|artifacts| opa::write(root, &target, &artifacts)),
        Some("reproducible") => reproducible(root, &target),
        #[cfg(feature = "web")]
        Some("web") => web::write(root, &target),
        #[cfg(not(feature = "web"))]
        Some("web") => Err("this xtask is built without the feature `web`; `make web` builds it with it".into()),
        Some("docs") => docs::write(root),
        _ => Err("usage: cargo xtask modules [NAME...]|opa [NAME...]|reproducible|docs|web".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Artifact {
    name: String,
    feature: String,
    /// The folder of its `metadata.yml` and `README.md`.
    folder: PathBuf,
}

fn modules(root: &Path, target: &Path, artifacts: &[Artifact]) -> Result<()> {
    let dist = root.join("dist");
    fs::create_dir_all(&dist)?;
    for Artifact { name, feature, folder } in artifacts {
        let budget = docs::most_bytes(name).ok_or(format!("{name} is declared nowhere"))?;
        let features = format!("kubewarden,{feature}");
        let build = Build { features: Some(&features), ..Build::new(&CORE, "wasm32-wasip1") };
        let bare = compile(root, target, &build)?.swap_remove(0);
        // The input for the comparison with `kwctl annotate`.
        fs::create_dir_all(target.join("bare"))?;
        fs::write(target.join("bare").join(format!("{name}.wasm")), &bare)?;
        let module = annotate(bare, &metadata_of(folder)?)?;
        println!("dist/{name}.wasm: {} KB of at most {}", module.len().div_ceil(1000), budget / 1000);
        if module.len() > budget {
            return Err(format!("{name} is over its budget").into());
        }
        fs::write(dist.join(format!("{name}.wasm")), module)?;
    }
    Ok(())
}

/// The module that is built again in another folder. [`compile`] ensures that no module contains a path of this machine.
const SMALLEST: &str = "flyte-non-root";

fn reproducible(root: &Path, target: &Path) -> Result<()> {
    let elsewhere = target.join("elsewhere");
    if elsewhere.exists() {
        fs::remove_dir_all(&elsewhere)?;
    }
    let sources = elsewhere.join("sources");
    copy(root, &sources, target)?;
    for built in ["module", "wasm32-wasip1/module"] {
        copy_built(&target.join(built), &elsewhere.join("target").join(built))?;
    }
    let small: Vec<Artifact> = artifacts(&sources)?.into_iter().filter(|artifact| artifact.name == SMALLEST).collect();
    modules(&sources, &elsewhere.join("target"), &small)?;
    let module = &format!("dist/{SMALLEST}.wasm");
    if fs::read(root.join(module))? != fs::read(sources.join(module))? {
        return Err(format!("{module} is another when built from another folder").into());
    }
    println!("{module}: the same when built from another folder");
    Ok(())
}

/// Copies the sources of the modules, without anything that is built from them.
fn copy(from: &Path, to: &Path, target: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            if entry.path() != target && ![".git", "dist", "fuzz", "node_modules"].iter().any(|made| name == *made) {
                copy(&entry.path(), &to.join(name), target)?;
            }
        } else {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

/// Copies the crates that cargo compiled, except this project's own, with the file times that cargo compares.
fn copy_built(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        if name.to_string_lossy().contains("flytewarden") {
            continue;
        }
        if kind.is_dir() {
            copy_built(&entry.path(), &to.join(name))?;
        } else {
            let copy = to.join(name);
            fs::copy(entry.path(), &copy)?;
            File::options().write(true).open(copy)?.set_modified(entry.metadata()?.modified()?)?;
        }
    }
    Ok(())
}

/// The artifacts that the command line names; all if it names none.
fn named(root: &Path) -> Result<Vec<Artifact>> {
    let named: Vec<String> = env::args().skip(2).collect();
    let mut artifacts = artifacts(root)?;
    if let Some(unknown) = named.iter().find(|name| !artifacts.iter().any(|artifact| artifact.name == **name)) {
        return Err(format!("there is no artifact {unknown}").into());
    }
    artifacts.retain(|artifact| named.is_empty() || named.contains(&artifact.name));
    Ok(artifacts)
}

fn artifacts(root: &Path) -> Result<Vec<Artifact>> {
    let mut artifacts = Vec::new();
    for entry in fs::read_dir(root.join("policies"))? {
        let entry = entry?;
        if entry.path().join("metadata.yml").is_file() {
            let name = entry.file_name().into_string().map_err(|_| "a policy's name is not UTF-8")?;
            artifacts.push(Artifact { feature: name.clone(), name, folder: entry.path() });
        }
    }
    artifacts.sort_by(|one, other| one.name.cmp(&other.name));
    artifacts.push(whole(root));
    Ok(artifacts)
}

/// The module with every policy.
fn whole(root: &Path) -> Artifact {
    Artifact { name: "flytewarden".to_owned(), feature: "all".to_owned(), folder: root.to_owned() }
}

/// The target for engines without WASI: browsers, and OPA's.
const UNKNOWN: &str = "wasm32-unknown-unknown";

/// Crates that are optimised for time in Kubewarden's modules, but for size in the modules that people download. OPA's modules are
/// built like the latter, so that the shared code is compiled once.
const SMALL: [&str; 7] = ["crypto-bigint", "elliptic-curve", "libyaml-rs", "p256", "p384", "primeorder", "serde_json"];

/// The crates to compile to WebAssembly, and the options.
struct Build<'b> {
    /// The crates: each is a module, or the core is, alone.
    packages: &'b [&'b str],
    target: &'b str,
    /// The cargo features; `None` for the default ones.
    features: Option<&'b str>,
    /// More options for the linker.
    link: &'b [&'b str],
}

impl<'b> Build<'b> {
    fn new(packages: &'b [&'b str], target: &'b str) -> Self {
        Self { packages, target, features: None, link: &[] }
    }
}

/// The crate of the policies.
const CORE: [&str; 1] = ["flytewarden"];

/// Compiles crates together, so that shared dependencies are compiled once. Returns the modules in the order of the crates.
fn compile(root: &Path, target: &Path, build: &Build) -> Result<Vec<Vec<u8>>> {
    let home = |variable: &str, folder: &str| {
        env::var_os(variable).map_or_else(|| env::home_dir().unwrap_or_default().join(folder), PathBuf::from)
    };
    // Otherwise the module would contain paths of this machine, in the locations of panics. If rustup has installed the sources
    // of std, the compiler names their paths there instead of its usual names.
    let version = rustc(root, "-vV")?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
    let std_name = format!("/rustc/{}", commit.ok_or("rustc does not say which commit it is of")?);
    let std = Path::new(rustc(root, "--print=sysroot")?.trim()).join("lib/rustlib/src/rust");
    let cargo_home = home("CARGO_HOME", ".cargo");
    let renamed = |path: &Path, name: &str| format!("--remap-path-prefix={}={name}", path.display());
    // By default the linker pads every reference to a function or to memory, which is a tenth of a module.
    let compress = "-Clink-arg=--compress-relocations".to_owned();
    let mut flags = vec![renamed(&cargo_home, "cargo"), renamed(&std, &std_name), compress];
    let own = renamed(root, "flytewarden");
    // Without WASI, names and features stay in the module: wasm-bindgen needs the features, and removes the names.
    let of_unknown = SMALL.map(|name| format!("package.{name}.opt-level=\"z\""));
    let of_unknown =
        of_unknown.into_iter().chain(["strip=\"debuginfo\"".to_owned()]).filter(|_| build.target == UNKNOWN);
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let is_core = build.packages == CORE;
    cargo
        .arg(if is_core { "rustc" } else { "build" })
        .args(["--quiet", "--locked", "--lib", "--target", build.target, "--profile", "module"])
        .args(build.packages.iter().map(|package| format!("--package={package}")))
        .args(of_unknown.map(|setting| format!("--config=profile.module.{setting}")));
    if let Some(features) = build.features {
        cargo.args(["--no-default-features", "--features", features]);
    }
    if is_core {
        cargo.args(["--crate-type", "cdylib", "--"]);
    }
    if build.target == UNKNOWN {
        // The page's module has several crates of this project.
        flags.push(own);
    } else {
        // Set only for the one crate of this project, so that its dependencies are the same in every folder.
        cargo.arg(own);
    }
    cargo.args(build.link.iter().map(|flag| format!("-Clink-arg={flag}")));
    let status = cargo
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        // Releases are built by the plain compiler, not by the wrapper that lints.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env("CARGO_TARGET_DIR", target)
        .current_dir(root)
        .status()?;
    if !status.success() {
        return Err(format!("cargo did not build {:?} {}", build.packages, build.features.unwrap_or_default()).into());
    }
    let module = |package: &&str| {
        let file = format!("{}/module/{}.wasm", build.target, package.replace('-', "_"));
        let module = fs::read(target.join(file))?;
        for folder in [&std, &cargo_home, &root.to_owned()] {
            let path = folder.as_os_str().as_encoded_bytes();
            if module.windows(path.len()).any(|part| part == path) {
                return Err(format!("{package} names {}", folder.display()).into());
            }
        }
        Ok(module)
    };
    build.packages.iter().map(module).collect()
}

/// The compiler's answer to a question.
fn rustc(root: &Path, question: &str) -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg(question).current_dir(root).output()?;
    if !output.status.success() {
        return Err(format!("rustc does not answer {question}").into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The metadata that engines read: `metadata.yml` as JSON, with the protocol that the module speaks, and the README as
/// the policy's usage.
fn metadata_of(folder: &Path) -> Result<Value> {
    let mut metadata: Map<String, Value> = serde_json::from_value(read_yaml(&folder.join("metadata.yml"))?)?;
    metadata.insert("protocolVersion".to_owned(), json!("v1"));
    let usage = fs::read_to_string(folder.join("README.md"))?;
    metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
        .ok_or("metadata.yml has no annotations")?
        .insert("io.kubewarden.policy.usage".to_owned(), json!(usage));
    Ok(metadata.into())
}

fn read_yaml(path: &Path) -> Result<Value> {
    let content = yaml::settings(&fs::read_to_string(path)?)
        .map_err(|malformed| format!("{}:{}: {}", path.display(), malformed.line, malformed.reason))?;
    Ok(json!(content))
}

fn annotate(mut module: Vec<u8>, metadata: &Value) -> Result<Vec<u8>> {
    for payload in Parser::new(0).parse_all(&module) {
        if let Payload::CustomSection(section) = payload?
            && section.name() == metadata::SECTION
        {
            return Err("the module is annotated already".into());
        }
    }
    let section = CustomSection { name: metadata::SECTION.into(), data: Cow::Owned(serde_json::to_vec(metadata)?) };
    module.push(section.id());
    section.encode(&mut module);
    Ok(module)
}

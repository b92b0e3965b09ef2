//! `cargo xtask opa`: compiles every policy for OPA's engines, and leaves it in `dist/opa/` as a module and as a bundle.

use std::{convert::Infallible, fs, io::Write, path::Path};

use flate2::{Compression, GzBuilder};
use flytewarden::{abi::opa::ENTRYPOINTS, decision::DECLARED};
use serde_json::{Value, json};
use tar::{Builder, Header};
use wasm_encoder::{
    ConstExpr, DataSection, ExportKind, ExportSection, GlobalSection, GlobalType, MemoryType, Module, ValType,
    reencode::{Error, Reencode, utils},
};
use wasmparser::{CustomSectionReader, DataSectionReader, ExportSectionReader, GlobalSectionReader, Parser};

use crate::{Artifact, Build, CORE, Result, UNKNOWN, compile, docs};

/// The module imports the host's memory, and gives it back as its own. Hosts bring 5 pages, which Rust's stack of a mebibyte
/// would not leave room in.
const LINK: [&str; 3] = ["--import-memory", "--export-memory", "-zstack-size=131072"];

/// What a page of memory has, in bytes.
const PAGE: u64 = 65_536;

/// How many pages a module asks for, as OPA's own do: hosts bring 2 to 5, and more where data does not fit in.
const LEAST_PAGES: u64 = 2;

/// The version of OPA's ABI: its Go engine takes these alone.
const VERSION: [(&str, i32); 2] = [("opa_wasm_abi_version", 1), ("opa_wasm_abi_minor_version", 3)];

/// How many bytes more than its module for Kubewarden a module may have, in a hundred.
const MORE: usize = 10;

pub fn write(root: &Path, target: &Path, artifacts: &[Artifact]) -> Result<()> {
    let dist = root.join("dist/opa");
    fs::create_dir_all(&dist)?;
    for Artifact { name, feature, .. } in artifacts.iter().filter(|artifact| !asks_for_images(&artifact.name)) {
        let features = format!("opa,{feature}");
        let build = Build { features: Some(&features), link: &LINK, ..Build::of(&CORE, UNKNOWN) };
        let module = finished(&compile(root, target, &build)?[0])?;
        let most = docs::most_bytes(name).ok_or(format!("{name} is declared nowhere"))? * (100 + MORE) / 100;
        println!("dist/opa/{name}.wasm: {} KB of at most {}", module.len().div_ceil(1000), most / 1000);
        if module.len() > most {
            return Err(format!("{name} for OPA is over its budget").into());
        }
        fs::write(dist.join(format!("{name}.tar.gz")), bundle(&module)?)?;
        fs::write(dist.join(format!("{name}.wasm")), module)?;
    }
    Ok(())
}

/// Whether a policy asks its host for images, of which OPA's engines know nothing.
fn asks_for_images(policy: &str) -> bool {
    DECLARED.iter().any(|declared| declared.policy.name() == policy && declared.asks_for_images)
}

/// A module as OPA's engines expect it: with the globals that say which version of the ABI it speaks, where Rust's would hold
/// their address; and a memory of few pages, with a last byte of data where what the module needs ends, so that a host that has
/// less sees it.
fn finished(module: &[u8]) -> Result<Vec<u8>> {
    struct Finish {
        globals: u32,
        pages: u64,
    }

    impl Reencode for Finish {
        type Error = Infallible;

        fn memory_type(&mut self, memory: wasmparser::MemoryType) -> std::result::Result<MemoryType, Error> {
            self.pages = memory.initial;
            Ok(utils::memory_type(self, wasmparser::MemoryType { initial: memory.initial.min(LEAST_PAGES), ..memory }))
        }

        fn data_count(&mut self, count: u32) -> std::result::Result<u32, Error> {
            Ok(count + 1)
        }

        fn parse_data_section(
            &mut self,
            data: &mut DataSection,
            section: DataSectionReader<'_>,
        ) -> std::result::Result<(), Error> {
            utils::parse_data_section(self, data, section)?;
            let last = i32::try_from(self.pages * PAGE - 1).unwrap_or(i32::MAX);
            data.active(0, &ConstExpr::i32_const(last), [0]);
            Ok(())
        }

        fn parse_global_section(
            &mut self,
            globals: &mut GlobalSection,
            section: GlobalSectionReader<'_>,
        ) -> std::result::Result<(), Error> {
            self.globals = section.count();
            utils::parse_global_section(self, globals, section)?;
            for (_, version) in VERSION {
                let of_number = GlobalType { val_type: ValType::I32, mutable: false, shared: false };
                globals.global(of_number, &ConstExpr::i32_const(version));
            }
            Ok(())
        }

        /// Names are for people who debug.
        fn parse_custom_section(
            &mut self,
            _: &mut Module,
            _: CustomSectionReader<'_>,
        ) -> std::result::Result<(), Error> {
            Ok(())
        }

        fn parse_export_section(
            &mut self,
            exports: &mut ExportSection,
            section: ExportSectionReader<'_>,
        ) -> std::result::Result<(), Error> {
            utils::parse_export_section(self, exports, section)?;
            for ((name, _), index) in VERSION.iter().zip(self.globals..) {
                exports.export(name, ExportKind::Global, index);
            }
            Ok(())
        }
    }

    let mut finished = Module::new();
    Finish { globals: 0, pages: 0 }.parse_core_module(&mut finished, Parser::new(0), module)?;
    Ok(finished.finish())
}

/// A bundle, as `opa run --bundle` takes it. Its roots leave room for another with the settings, below `data.flytewarden`.
fn bundle(module: &[u8]) -> Result<Vec<u8>> {
    let resolvers = ENTRYPOINTS.map(|entrypoint| json!({"entrypoint": entrypoint, "module": "/policy.wasm"}));
    let manifest: Value = json!({
        "revision": env!("CARGO_PKG_VERSION"),
        "roots": ENTRYPOINTS,
        "wasm": resolvers,
    });
    let mut bundle = Builder::new(GzBuilder::new().write(Vec::new(), Compression::best()));
    for (name, content) in
        [("/.manifest", manifest.to_string().as_bytes()), ("/data.json", b"{}"), ("/policy.wasm", module)]
    {
        let mut header = Header::new_gnu();
        header.set_size(content.len().try_into()?);
        header.set_mode(0o644);
        bundle.append_data(&mut header, name.trim_start_matches('/'), content)?;
    }
    let mut compressed = bundle.into_inner()?;
    compressed.flush()?;
    Ok(compressed.finish()?)
}

#[cfg(test)]
mod tests {
    use super::bundle;

    #[test]
    fn a_bundle_has_nothing_of_the_time_it_was_made() {
        let made = bundle(b"a module").unwrap();
        assert_eq!([0; 4], made[4..8], "the time of gzip");
        assert_eq!(made, bundle(b"a module").unwrap());
    }
}

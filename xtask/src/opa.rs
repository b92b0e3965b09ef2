//! `cargo xtask opa`: compiles every policy for OPA's engines, and puts it into `dist/opa/` as a module and as a bundle.

use std::{convert::Infallible, fs, io::Write, path::Path};

use flate2::{Compression, GzBuilder};
use flytewarden::{abi::opa::ENTRYPOINTS, decision::DECLARED};
use serde_json::{Value, json};
use tar::{Builder, Header};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, DataSection, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, MemoryType, Module, SectionId, TypeSection, ValType,
    reencode::{Error, Reencode, utils},
};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, DataKind, DataSectionReader, ExportSectionReader, FunctionSectionReader,
    GlobalSectionReader, Operator, Parser, Payload, TypeRef, TypeSectionReader,
};

use crate::{Artifact, Build, CORE, Result, UNKNOWN, compile, docs};

/// The module imports the host's memory, and exports it as its own. Hosts provide 5 pages, which is too little for Rust's
/// default stack of 1 MiB.
const LINK: [&str; 3] = ["--import-memory", "--export-memory", "-zstack-size=131072"];

/// The number of pages that a module requires at first, as OPA's own modules do.
const LEAST_PAGES: u64 = 2;

/// The version of OPA's ABI. Its Go engine accepts only this one.
const VERSION: [(&str, i32); 2] = [("opa_wasm_abi_version", 1), ("opa_wasm_abi_minor_version", 3)];

/// How much larger a module may be than its module for Kubewarden, in percent.
const MORE: usize = 10;

pub fn write(root: &Path, target: &Path, artifacts: &[Artifact]) -> Result<()> {
    let dist = root.join("dist/opa");
    fs::create_dir_all(&dist)?;
    for Artifact { name, feature, .. } in artifacts.iter().filter(|artifact| !asks_for_images(&artifact.name)) {
        let features = format!("opa,{feature}");
        let build = Build { features: Some(&features), link: &LINK, ..Build::new(&CORE, UNKNOWN) };
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

/// Whether a policy asks its host for images, which OPA's engines cannot provide.
fn asks_for_images(policy: &str) -> bool {
    DECLARED.iter().any(|declared| declared.policy.name() == policy && declared.asks_for_images)
}

/// The layout of a module.
#[derive(Default)]
struct Layout {
    types: u32,
    /// How many functions are imported.
    functions: u32,
    globals: u32,
    pages: u64,
    /// The address of each data segment, and its length in bytes.
    data: Vec<(i32, i32)>,
    counts_data: bool,
    /// The linker's start function, which clears the memory that holds no data.
    start: Option<u32>,
}

impl Layout {
    fn from_module(module: &[u8]) -> Result<Self> {
        let mut layout = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(types) => layout.types = types.count(),
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        match import?.ty {
                            TypeRef::Func(_) => layout.functions += 1,
                            TypeRef::Memory(memory) => layout.pages = memory.initial,
                            _ => return Err("a module for OPA imports functions and a memory".into()),
                        }
                    }
                }
                Payload::FunctionSection(functions) => layout.functions += functions.count(),
                Payload::GlobalSection(globals) => layout.globals = globals.count(),
                Payload::DataCountSection { .. } => layout.counts_data = true,
                Payload::StartSection { func, .. } => layout.start = Some(func),
                Payload::DataSection(data) => {
                    for segment in data {
                        let segment = segment?;
                        let DataKind::Active { offset_expr, .. } = segment.kind else {
                            return Err("data is not active".into());
                        };
                        let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
                            return Err("the place of data is not a number".into());
                        };
                        layout.data.push((value, segment.data.len().try_into()?));
                    }
                }
                _ => {}
            }
        }
        Ok(layout)
    }

    /// Grows the memory to the size that the module needs, and copies the data into it.
    fn start(&self) -> Result<Function> {
        let pages: i32 = self.pages.try_into()?;
        let mut start = Function::new([]);
        let mut body = start.instructions();
        body.memory_size(0).i32_const(pages).i32_lt_u().if_(BlockType::Empty);
        body.i32_const(pages).memory_size(0).i32_sub().memory_grow(0).drop().end();
        for (index, (place, bytes)) in (0..).zip(&self.data) {
            body.i32_const(*place).i32_const(0).i32_const(*bytes).memory_init(0, index).data_drop(index);
        }
        body.call(self.start.ok_or("the linker made no start function")?).end();
        Ok(start)
    }
}

/// Turns a module into the form that OPA's engines expect. Globals hold the version of the ABI itself, where Rust's globals would
/// hold its address. The module requires few pages of memory, and grows the memory when it starts: hosts provide as many pages as
/// it requires, or a number of their own, and then it must not require more.
fn finished(module: &[u8]) -> Result<Vec<u8>> {
    struct Finish {
        layout: Layout,
        start: Function,
    }

    impl Reencode for Finish {
        type Error = Infallible;

        fn memory_type(&mut self, memory: wasmparser::MemoryType) -> std::result::Result<MemoryType, Error> {
            Ok(utils::memory_type(self, wasmparser::MemoryType { initial: memory.initial.min(LEAST_PAGES), ..memory }))
        }

        fn start_section(&mut self, _: u32) -> std::result::Result<u32, Error> {
            Ok(self.layout.functions)
        }

        fn parse_type_section(
            &mut self,
            types: &mut TypeSection,
            section: TypeSectionReader<'_>,
        ) -> std::result::Result<(), Error> {
            utils::parse_type_section(self, types, section)?;
            types.ty().function([], []);
            Ok(())
        }

        fn parse_function_section(
            &mut self,
            functions: &mut FunctionSection,
            section: FunctionSectionReader<'_>,
        ) -> std::result::Result<(), Error> {
            utils::parse_function_section(self, functions, section)?;
            functions.function(self.layout.types);
            Ok(())
        }

        fn parse_code_section(
            &mut self,
            code: &mut CodeSection,
            section: CodeSectionReader<'_>,
        ) -> std::result::Result<(), Error> {
            utils::parse_code_section(self, code, section)?;
            code.function(&self.start);
            Ok(())
        }

        fn parse_data_section(
            &mut self,
            data: &mut DataSection,
            section: DataSectionReader<'_>,
        ) -> std::result::Result<(), Error> {
            for segment in section {
                data.passive(segment?.data.iter().copied());
            }
            Ok(())
        }

        fn intersperse_section_hook(
            &mut self,
            module: &mut Module,
            _: Option<SectionId>,
            before: Option<SectionId>,
        ) -> std::result::Result<(), Error> {
            if before == Some(SectionId::Code) && !self.layout.counts_data {
                module.section(&DataCountSection { count: self.layout.data.len() as u32 });
            }
            Ok(())
        }

        fn parse_global_section(
            &mut self,
            globals: &mut GlobalSection,
            section: GlobalSectionReader<'_>,
        ) -> std::result::Result<(), Error> {
            utils::parse_global_section(self, globals, section)?;
            for (_, version) in VERSION {
                let of_number = GlobalType { val_type: ValType::I32, mutable: false, shared: false };
                globals.global(of_number, &ConstExpr::i32_const(version));
            }
            Ok(())
        }

        /// Removes custom sections: their names only help to debug.
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
            for ((name, _), index) in VERSION.iter().zip(self.layout.globals..) {
                exports.export(name, ExportKind::Global, index);
            }
            Ok(())
        }
    }

    let layout = Layout::from_module(module)?;
    let start = layout.start()?;
    let mut finished = Module::new();
    Finish { layout, start }.parse_core_module(&mut finished, Parser::new(0), module)?;
    Ok(finished.finish())
}

/// A bundle for `opa run --bundle`. Its roots allow another bundle to hold the settings, below `data.flytewarden`.
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
    fn a_bundle_does_not_depend_on_the_time_of_the_build() {
        let made = bundle(b"a module").unwrap();
        assert_eq!([0; 4], made[4..8], "the time of gzip");
        assert_eq!(made, bundle(b"a module").unwrap());
    }
}

//! Loads and pushes compiled policies, from files and registries.

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use flytewarden_cli::{
    arguments::{PushArguments, Scope},
    cache::Cache,
    engine::{Engine, MOST_BYTES, Module},
    files::read_file,
    registry::{Artifact, Pulled},
};
use flytewarden_formats::text::{self, without_user};
use flytewarden_offline::check::Policy;

use super::{finish, shown};

/// Loads the modules that the user named.
pub fn load(arguments: &Scope) -> Result<Vec<Box<dyn Policy>>, Box<dyn Error>> {
    let engine = Engine::new(Duration::from_secs(arguments.timeout))?;
    let mut modules: Vec<Box<dyn Policy>> = Vec::new();
    for reference in &arguments.modules {
        let name = &without_user(reference);
        let bytes = match reference.split_once("://") {
            None => read_file(Path::new(reference), MOST_BYTES).map_err(Into::into),
            Some(("registry", _)) => pull(reference, arguments.insecure),
            Some((scheme, _)) => Err(format!("a module must be a file or registry://..., not {scheme}://").into()),
        };
        let module = bytes.and_then(|bytes| Module::load(&engine, &bytes).map_err(Into::into));
        let module = module.map_err(|error| format!("module {name}: {error}"))?;
        if modules.iter().any(|other| other.name() == module.name) {
            return Err(format!("module {name}: the policy {} is already loaded", module.name).into());
        }
        modules.push(Box::new(module));
    }
    Ok(modules)
}

fn pull(reference: &str, insecure: bool) -> Result<Vec<u8>, Box<dyn Error>> {
    let Pulled { module, immutable } = Artifact::at(reference, insecure)?.pull(&Cache::of_user()?)?;
    // A tag can move, so print the digest.
    if !reference.ends_with(&immutable) {
        anstream::eprintln!("{} is {}", text::printable(reference), text::printable(&immutable));
    }
    Ok(module)
}

/// Pushes a module, or a bundle for OPA, to a registry.
pub fn push(arguments: &PushArguments) -> Result<ExitCode, Box<dyn Error>> {
    let PushArguments { artifact, reference, insecure } = arguments;
    let bytes = read_file(artifact, MOST_BYTES).map_err(|error| format!("{}: {error}", shown(artifact)))?;
    let pushed = Artifact::at(reference, *insecure).and_then(|artifact| artifact.push(&bytes));
    let immutable = pushed.map_err(|error| format!("{}: {error}", without_user(reference)))?;
    finish(writeln!(io::stdout(), "{}", text::printable(&immutable)))?;
    Ok(ExitCode::SUCCESS)
}

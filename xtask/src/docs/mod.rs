//! `cargo xtask docs`: generates files from the policies' declarations, in Rust and in their `metadata.yml`: tables for people
//! ([`pages`]), forms for the settings ([`questions`]), and manifests for a cluster ([`manifests`]).

mod manifests;
mod pages;
mod questions;

use std::{
    fs,
    path::{Path, PathBuf},
};

use flytewarden::{
    decision::{DECLARED, MOST_BYTES_OF_ALL},
    policy::Declared,
};
use serde_json::Value;

use crate::{Result, read_yaml};

/// A file and its generated content.
type Made = (PathBuf, String);

/// The first line of a file that is generated as a whole.
const MADE: &str = "# Made by `make docs`.\n";

/// A policy with the content of its folder.
pub struct Package {
    /// Its name.
    pub name: &'static str,
    /// Its folder in `policies/`.
    pub folder: PathBuf,
    /// Its declaration in Rust.
    pub declared: &'static Declared,
    /// Its `metadata.yml`.
    pub metadata: Value,
}

impl Package {
    /// The packages of every policy, by name.
    pub fn all(root: &Path) -> Result<Vec<Self>> {
        let package = |declared: &'static Declared| {
            let name = declared.policy.name();
            let folder = root.join("policies").join(name);
            let metadata = read_yaml(&folder.join("metadata.yml"))?;
            Ok(Self { name, folder, declared, metadata })
        };
        DECLARED.iter().map(package).collect()
    }

    /// Whether the module with all policies contains it.
    fn is_of_whole(&self) -> bool {
        self.declared.variant_of.is_none()
    }
}

/// The policies that the module with all policies contains.
fn of_whole(packages: &[Package]) -> impl Iterator<Item = &Package> {
    packages.iter().filter(|package| package.is_of_whole())
}

/// The largest size of a module, in bytes.
pub fn most_bytes(name: &str) -> Option<usize> {
    let declared = DECLARED.iter().find(|declared| declared.policy.name() == name);
    declared.map(|declared| declared.most_bytes).or((name == "flytewarden").then_some(MOST_BYTES_OF_ALL))
}

/// Writes the generated files.
pub fn write(root: &Path) -> Result<()> {
    for (path, content) in made(root)? {
        fs::write(path, content)?;
    }
    Ok(())
}

/// The files that are generated as a whole or in part, with their expected content.
fn made(root: &Path) -> Result<Vec<Made>> {
    let packages = Package::all(root)?;
    let mut made = pages::made(root, &packages)?;
    made.extend(questions::made(root, &packages)?);
    made.extend(manifests::made(root, &packages)?);
    Ok(made)
}

/// One of a policy's annotations.
fn annotation<'m>(metadata: &'m Value, name: &str) -> Result<&'m str> {
    Ok(metadata["annotations"][name].as_str().ok_or(format!("a metadata.yml has no {name}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_up_to_date() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let stale: Vec<String> = made(root)
            .unwrap()
            .into_iter()
            .filter(|(path, content)| fs::read_to_string(path).ok().as_ref() != Some(content))
            .map(|(path, _)| path.strip_prefix(root).unwrap_or(&path).display().to_string())
            .collect();
        assert!(stale.is_empty(), "`make docs` makes these anew: {}", stale.join(", "));
    }
}

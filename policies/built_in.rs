//! Which policies are built in, and under which names: what the build scripts of `cli/` and of `web/` share.
//!
//! A folder `<policy>-image-user` is the same policy, which may also ask for images, and stands in for it: here nobody has to
//! allow that first.

use std::{error::Error, fs, path::Path};

const ASKING: &str = "-image-user";

/// Each policy's name and its folder in `policies/`, by name.
pub fn built_in(policies: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", policies.display());
    let mut folders = Vec::new();
    for entry in fs::read_dir(policies)? {
        let entry = entry?;
        if entry.path().join("metadata.yml").is_file() {
            folders.push(entry.file_name().into_string().map_err(|_| "a policy's name is not UTF-8")?);
        }
    }
    folders.sort();
    let stands_alone = |folder: &&String| !folders.contains(&format!("{folder}{ASKING}"));
    let named = |folder: &String| (folder.strip_suffix(ASKING).unwrap_or(folder).to_owned(), folder.clone());
    Ok(folders.iter().filter(stands_alone).map(named).collect())
}

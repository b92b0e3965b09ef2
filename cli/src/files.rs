//! Reads and replaces files. Limits their size, and never follows a link that leaves a folder.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
};

/// The largest size of a manifest or of standard input, in bytes: 200 times the size of all rendered Flyte charts.
pub const MOST_OF_MANIFEST: u64 = 128 << 20;

/// The largest size of a file with settings or with the users of images, in bytes.
pub const MOST_OF_SETTINGS: u64 = 16 << 20;

/// Reads everything.
///
/// # Errors
///
/// There are more than `most` bytes, or reading fails.
pub fn read_at_most(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it is larger than the limit of {} MiB", most >> 20)));
    }
    Ok(bytes)
}

/// Reads a file.
///
/// # Errors
///
/// As [`read_at_most`].
pub fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_at_most(File::open(path)?, most)
}

/// Reads a text.
///
/// # Errors
///
/// As [`read_at_most`], or it is not UTF-8.
pub fn read_text(from: impl Read, most: u64) -> Result<String, String> {
    let bytes = read_at_most(from, most).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
}

/// Reads the text of a file.
///
/// # Errors
///
/// As [`read_text`].
pub fn read_file_text(path: &Path, most: u64) -> Result<String, String> {
    read_text(File::open(path).map_err(|error| error.to_string())?, most)
}

/// A file in a folder that the user named, with all links resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The real path.
    pub path: PathBuf,
    /// The path below the folder as the user named it, for diffs.
    pub shown: PathBuf,
}

/// Resolves a file that was found in a folder, or that the user named. A named file must stay in its own folder.
///
/// # Errors
///
/// A link leads out of that folder, or it is not a regular file.
pub fn resolve_below(named: &Path, path: &Path) -> Result<Resolved, String> {
    let around = || path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = if named.is_dir() { named } else { around() };
    let failed = |error: io::Error| error.to_string();
    let (real_folder, real) = (fs::canonicalize(folder).map_err(failed)?, fs::canonicalize(path).map_err(failed)?);
    let below = real.strip_prefix(&real_folder).map_err(|_| "a link leads out of the given directory".to_owned())?;
    if !fs::metadata(&real).map_err(failed)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    Ok(Resolved { shown: folder.join(below), path: real })
}

/// Replaces the content of a file atomically, and keeps its mode: a temporary file is renamed to it.
///
/// # Errors
///
/// The file no longer contains `before`, is read-only, or its folder cannot be written to. Then it is unchanged.
pub fn replace(path: &Path, before: &str, after: &str) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    let metadata = fs::symlink_metadata(path).map_err(failed)?;
    if !metadata.is_file() || read_file(path, before.len() as u64).ok().as_deref() != Some(before.as_bytes()) {
        return Err("it has changed since it was read".to_owned());
    }
    if metadata.permissions().readonly() {
        return Err("it is read-only".to_owned());
    }
    let folder = path.parent().ok_or("it is in no folder")?;
    let mut beside = tempfile::Builder::new().prefix(".flytewarden-").tempfile_in(folder).map_err(failed)?;
    beside.write_all(after.as_bytes()).map_err(failed)?;
    beside.as_file().set_permissions(metadata.permissions()).map_err(failed)?;
    beside.as_file().sync_all().map_err(failed)?;
    beside.persist(path).map_err(|error| error.error.to_string())?;
    Ok(())
}

/// Returns a file's name for a diff, after `a/` or `b/`, quoted as in git if a character could end the line or the
/// name.
///
/// Source: `quote.c` of [git](https://github.com/git/git) v2.47.0, with the default `core.quotePath`.
pub fn quote_for_diff(side: &str, path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    // `git apply` does not accept names with a leading `./` or `/`.
    let start = bytes.strip_prefix(b"./").unwrap_or(bytes).iter().position(|byte| *byte != b'/').unwrap_or(0);
    let bytes = &bytes.strip_prefix(b"./").unwrap_or(bytes)[start..];
    let mut quoted = format!("{side}/");
    let mut needs_quotes = false;
    for byte in bytes {
        let letter = match byte {
            b'"' | b'\\' => char::from(*byte),
            7 => 'a',
            8 => 'b',
            b'\t' => 't',
            b'\n' => 'n',
            11 => 'v',
            12 => 'f',
            b'\r' => 'r',
            b' '..=b'~' => {
                quoted.push(char::from(*byte));
                continue;
            }
            _ => {
                needs_quotes = true;
                let _ = write!(quoted, "\\{byte:03o}");
                continue;
            }
        };
        needs_quotes = true;
        quoted.extend(['\\', letter]);
    }
    // `patch` accepts a name with blanks only if a tab follows.
    let tab = if bytes.contains(&b' ') { "\t" } else { "" };
    if needs_quotes { format!("\"{quoted}\"{tab}") } else { format!("{quoted}{tab}") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{quote_for_diff, read_at_most};

    #[test]
    fn reading_stops_at_the_limit() {
        assert_eq!(b"abc".to_vec(), read_at_most(&b"abc"[..], 3).unwrap());
        assert!(read_at_most(&b"abcd"[..], 3).is_err());
        assert!(read_at_most(std::io::repeat(b' '), 1 << 20).is_err());
    }

    #[test]
    fn names_are_quoted_as_git_quotes_them() {
        for (name, quoted) in [
            ("x.yaml", "a/x.yaml"),
            ("./b/x.yaml", "a/b/x.yaml"),
            ("/b/x.yaml", "a/b/x.yaml"),
            ("x y.yaml", "a/x y.yaml\t"),
            ("x\ny.yaml", r#""a/x\ny.yaml""#),
            ("ü.yaml", r#""a/\303\274.yaml""#),
            ("x \"\\\u{1}\u{7f}.yaml", "\"a/x \\\"\\\\\\001\\177.yaml\"\t"),
        ] {
            assert_eq!(quoted, quote_for_diff("a", Path::new(name)));
        }
    }
}

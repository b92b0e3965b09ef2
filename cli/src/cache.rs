//! What was downloaded, by its digest.
//!
//! A file is written beside its place, under a lock, and moved there once its digest is right. So a process never sees half
//! of one, two processes fetch it once, and what a failed download left is gone on with.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use directories::ProjectDirs;
use same_file::Handle;
use sha2::{Digest as _, Sha256};

use crate::files::read_at_most;

/// A folder of files named by their digests.
pub struct Cache(PathBuf);

/// A SHA-256 digest, as OCI writes it: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest(String);

/// A file that is not whole yet. Nobody else writes to it while this lives.
pub struct Partial {
    file: File,
    path: PathBuf,
}

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("sha256:{digits}"))
    }

    /// Reads a digest; `None` where it is no SHA-256.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() == 64 && digits.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// The digest as OCI writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn digits(&self) -> &str {
        self.0.rsplit(':').next().unwrap_or_default()
    }
}

impl Cache {
    /// The user's: `$XDG_CACHE_HOME/flytewarden`, or what the platform has in its place.
    ///
    /// # Errors
    ///
    /// There is no such folder, or it cannot be made.
    pub fn of_user() -> io::Result<Self> {
        let folders = ProjectDirs::from("", "", "flytewarden")
            .ok_or_else(|| io::Error::other("found no home directory for downloads; set XDG_CACHE_HOME"))?;
        let folder = folders.cache_dir().join("sha256");
        fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?;
        Ok(Self(folder))
    }

    /// A file that is there, of at most `most` bytes. One that is larger, or whose bytes are no longer those of its digest, is
    /// removed.
    pub fn get(&self, digest: &Digest, most: u64) -> Option<Vec<u8>> {
        let file = File::open(self.path(digest)).ok()?;
        let bytes = read_at_most(file, most).ok().filter(|bytes| Digest::of(bytes) == *digest);
        if bytes.is_none() {
            self.remove(digest);
        }
        bytes
    }

    /// Removes a file. Where it cannot be removed, it is fetched each time.
    pub fn remove(&self, digest: &Digest) {
        let _ = fs::remove_file(self.path(digest));
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(digest.digits())
    }

    /// Begins, or goes on, to write a file. Waits for whoever writes it now, after which it may be there.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn begin(&self, digest: &Digest) -> io::Result<Partial> {
        let path = self.0.join(format!("{}.partial", digest.digits()));
        loop {
            let file =
                File::options().read(true).append(true).create(true).open(&path).map_err(|error| at(&path, &error))?;
            if file.try_lock().is_err() {
                anstream::eprintln!("waiting for another process that downloads {}", digest.as_str());
                file.lock()?;
            }
            // Whoever held the lock may have moved the file to its place meanwhile, or removed it.
            let own = Handle::from_file(file.try_clone()?)?;
            if Handle::from_path(&path).is_ok_and(|there| there == own) {
                return Ok(Partial { file, path });
            }
        }
    }
}

/// An error of the file system, with the place where it came up.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the cache {}: {error}", path.display()))
}

impl Partial {
    /// How many bytes are there.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn written(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Begins anew.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Ends the file: its bytes, where they are those of `digest`; else what their digest is, and the file is gone.
    ///
    /// # Errors
    ///
    /// The file cannot be read or moved.
    pub fn finish(mut self, digest: &Digest) -> io::Result<Result<Vec<u8>, Digest>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_to_end(&mut bytes)?;
        let actual = Digest::of(&bytes);
        if actual == *digest {
            fs::rename(&self.path, self.path.with_extension(""))?;
            return Ok(Ok(bytes));
        }
        self.discard()?;
        Ok(Err(actual))
    }

    /// Gives the file up.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub fn discard(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

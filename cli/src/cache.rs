//! Stores downloads by digest.
//!
//! A download is written to a partial file under a lock, and renamed once its digest is correct. So a process never
//! sees an incomplete file, two processes download it only once, and an interrupted download continues.

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

/// An incomplete file. The lock keeps other processes from writing to it.
pub struct Partial {
    file: File,
    path: PathBuf,
}

impl Digest {
    /// Computes the digest of some bytes.
    pub fn compute(bytes: &[u8]) -> Self {
        let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("sha256:{digits}"))
    }

    /// Parses a digest. `None` if it is not a SHA-256 digest.
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
    /// Opens the user's cache: `$XDG_CACHE_HOME/flytewarden`, or the platform's equivalent.
    ///
    /// # Errors
    ///
    /// There is no such folder, or it cannot be created.
    pub fn of_user() -> io::Result<Self> {
        let folders = ProjectDirs::from("", "", "flytewarden")
            .ok_or_else(|| io::Error::other("found no home directory for downloads; set XDG_CACHE_HOME"))?;
        let folder = folders.cache_dir().join("sha256");
        fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?;
        Ok(Self(folder))
    }

    /// Returns a file from the cache. A file that has more than `most` bytes or does not match its digest is removed.
    pub fn get(&self, digest: &Digest, most: u64) -> Option<Vec<u8>> {
        let file = File::open(self.path(digest)).ok()?;
        let bytes = read_at_most(file, most).ok().filter(|bytes| Digest::compute(bytes) == *digest);
        if bytes.is_none() {
            self.remove(digest);
        }
        bytes
    }

    /// Removes a file. If that fails, the file is downloaded each time.
    pub fn remove(&self, digest: &Digest) {
        let _ = fs::remove_file(self.path(digest));
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(digest.digits())
    }

    /// Starts or continues a download. Waits if another process is writing the file, which may then be complete.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn begin(&self, digest: &Digest) -> io::Result<Partial> {
        let path = self.0.join(format!("{}.partial", digest.digits()));
        loop {
            let file =
                File::options().read(true).append(true).create(true).open(&path).map_err(|error| at(&path, &error))?;
            if file.try_lock().is_err() {
                anstream::eprintln!("waiting for another process that downloads {}", digest.as_str());
                file.lock()?;
            }
            // The process that held the lock may have renamed or removed the file.
            let own = Handle::from_file(file.try_clone()?)?;
            if Handle::from_path(&path).is_ok_and(|there| there == own) {
                return Ok(Partial { file, path });
            }
        }
    }
}

/// Adds the path to an error of the file system.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the cache {}: {error}", path.display()))
}

impl Partial {
    /// Returns the number of bytes so far.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn written(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Removes all bytes, to start again.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Completes the file. Returns its bytes if they match `digest`. Otherwise it removes the file and returns the
    /// actual digest.
    ///
    /// # Errors
    ///
    /// The file cannot be read or moved.
    pub fn finish(mut self, digest: &Digest) -> io::Result<Result<Vec<u8>, Digest>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_to_end(&mut bytes)?;
        let actual = Digest::compute(&bytes);
        if actual == *digest {
            fs::rename(&self.path, self.path.with_extension(""))?;
            return Ok(Ok(bytes));
        }
        self.discard()?;
        Ok(Err(actual))
    }

    /// Removes the file.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub fn discard(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

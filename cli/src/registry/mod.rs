//! Pulls and pushes policies in OCI registries, in Kubewarden's format: a manifest with one layer, the module.
//!
//! Source: `kwctl push` and the policy-fetcher of
//! [kubewarden-controller](https://github.com/kubewarden/kubewarden-controller).

mod manifest;
mod session;

use std::{collections::BTreeMap, error::Error, fmt, io, str::FromStr, time::Duration};

use http::{
    Method, StatusCode,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, RANGE},
};
use oci_spec::distribution::Reference;
use reqwest::Url;
use tokio::{runtime::Runtime, time::timeout};

use self::{
    manifest::{DOCKER_MANIFEST, Descriptor, INDEX, MANIFEST, Manifest, NO_CONFIG, is_bundle, read_layer},
    session::{Access, Session, innermost, read_body},
};
use crate::{
    cache::{Cache, Digest, Partial},
    engine::{MOST_BYTES, Module},
};

/// The scheme of references to modules in registries.
const SCHEME: &str = "registry://";

/// The largest size of a manifest, in bytes. The distribution specification asks registries to accept this size.
const MOST_MANIFEST: u64 = 4 << 20;

/// The time limit for each task of a registry.
const MOST_TIME: Duration = Duration::from_secs(300);

/// A module in a registry, by its reference.
pub struct Artifact {
    session: Session,
    runtime: Runtime,
}

/// A module from a registry.
pub struct Pulled {
    /// Its bytes.
    pub module: Vec<u8>,
    /// The reference by digest, which always means these bytes: `host/repository@sha256:...`.
    pub immutable: String,
}

/// Why a module could not be pulled or pushed.
#[derive(Debug)]
pub struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Error for Failed {}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl Artifact {
    /// Returns the artifact at a reference such as `ghcr.io/owner/policy:v1`, with or without `registry://`. If
    /// `insecure` is true, the registry is contacted over plain http.
    ///
    /// # Errors
    ///
    /// The reference is not valid.
    pub fn at(reference: &str, insecure: bool) -> Result<Self, Failed> {
        let reference = reference.strip_prefix(SCHEME).unwrap_or(reference);
        if reference.split('/').next().is_some_and(|registry| registry.contains('@')) && reference.contains('/') {
            return Err(Failed("it contains a user; use `docker login` for credentials".to_owned()));
        }
        let reference = Reference::from_str(reference).map_err(|error| {
            Failed(format!("it is not a registry reference such as ghcr.io/owner/policy:v1: {error}"))
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { session: Session::open(reference, insecure)?, runtime })
    }

    /// Pushes a module or a bundle for OPA. A module's metadata becomes the annotations of the manifest. Blobs that the
    /// registry has already are not sent again. Returns the reference by digest.
    ///
    /// # Errors
    ///
    /// The module has no metadata, or the registry rejects it.
    pub fn push(&self, artifact: &[u8]) -> Result<String, Failed> {
        if self.session.reference.digest().is_some() {
            return Err(Failed("cannot push to a digest; use a tag".to_owned()));
        }
        if artifact.len() as u64 > MOST_BYTES {
            return Err(too_large(artifact.len() as u64));
        }
        let manifest = if is_bundle(artifact) {
            Manifest::of_bundle(artifact)
        } else {
            let annotations = Module::annotations(artifact).map_err(|error| Failed(error.to_string()))?;
            Manifest::of_module(artifact, single_lines(annotations))
        };
        let bytes = serde_json::to_vec(&manifest).map_err(|error| Failed(error.to_string()))?;
        let digest = Digest::compute(&bytes);
        let stored = self.within_time(async {
            self.session.authenticate(Access::Push).await?;
            self.push_blob(&manifest.layers[0], artifact).await?;
            self.push_blob(&manifest.config, NO_CONFIG).await?;
            let request = self.session.request(Method::PUT, self.manifest_url()?);
            self.session.expect(request.header(CONTENT_TYPE, MANIFEST).body(bytes)).await?;
            // A registry may store the manifest in another form, with another digest.
            self.download_manifest().await.map(|stored| Digest::compute(&stored))
        })?;
        if stored != digest {
            let (stored, digest) = (stored.as_str(), digest.as_str());
            return Err(Failed(format!("the registry has {stored} at the tag, but was sent {digest}")));
        }
        Ok(self.immutable(&digest))
    }

    /// Pushes a blob, unless the registry has it already.
    async fn push_blob(&self, blob: &Descriptor, bytes: &[u8]) -> Result<(), Failed> {
        let session = &self.session;
        let url = session.url(&format!("blobs/{}", blob.digest))?;
        match session.send(session.request(Method::HEAD, url)).await?.status() {
            status if status.is_success() => return Ok(()),
            StatusCode::NOT_FOUND => {}
            status => return Err(session.refused(status)),
        }
        let begin = session.request(Method::POST, session.url("blobs/uploads/")?).header(CONTENT_LENGTH, 0);
        let mut place = session.location(&session.expect(begin).await?)?;
        place.query_pairs_mut().append_pair("digest", &blob.digest);
        let upload = session.request(Method::PUT, place).header(CONTENT_TYPE, "application/octet-stream");
        session.expect(upload.body(bytes.to_vec())).await.map(|_| ())
    }

    /// Pulls a module, or takes it from the cache.
    ///
    /// # Errors
    ///
    /// The registry does not provide it, it is not a Kubewarden policy, or it does not match its digest.
    pub fn pull(&self, cache: &Cache) -> Result<Pulled, Failed> {
        let (layer, digest) = self.manifest(cache)?;
        Ok(Pulled { module: self.layer(&layer, cache)?, immutable: self.immutable(&digest) })
    }

    /// Returns the manifest's entry for the module, and the manifest's digest. If the reference contains the digest,
    /// the manifest may come from the cache. Manifests that cannot be read are not cached.
    fn manifest(&self, cache: &Cache) -> Result<(Descriptor, Digest), Failed> {
        let named = self.session.reference.digest().map(sha256).transpose()?;
        if let Some(digest) = &named
            && let Some(manifest) = cache.get(digest, MOST_MANIFEST)
        {
            match read_layer(&manifest) {
                Ok(layer) => return Ok((layer, digest.clone())),
                Err(_) => cache.remove(digest),
            }
        }
        let bytes = self.within_time(async {
            self.session.authenticate(Access::Pull).await?;
            self.download_manifest().await
        })?;
        let digest = Digest::compute(&bytes);
        match named {
            Some(named) if named != digest => return Err(differs(&named, &digest)),
            _ => {}
        }
        let layer = read_layer(&bytes)?;
        if cache.get(&digest, MOST_MANIFEST).is_none() {
            let mut partial = cache.begin(&digest)?;
            partial.clear()?;
            partial.append(&bytes)?;
            partial.finish(&digest)?.map_err(|actual| differs(&digest, &actual))?;
        }
        Ok((layer, digest))
    }

    async fn download_manifest(&self) -> Result<Vec<u8>, Failed> {
        let accepted = [MANIFEST, DOCKER_MANIFEST, INDEX].join(", ");
        let request = self.session.request(Method::GET, self.manifest_url()?).header(ACCEPT, accepted);
        read_body(self.session.expect(request).await?, "its manifest", MOST_MANIFEST).await
    }

    fn manifest_url(&self) -> Result<Url, Failed> {
        let reference = &self.session.reference;
        let of = reference.digest().or(reference.tag()).unwrap_or("latest");
        self.session.url(&format!("manifests/{of}"))
    }

    fn layer(&self, layer: &Descriptor, cache: &Cache) -> Result<Vec<u8>, Failed> {
        let digest = sha256(&layer.digest)?;
        let size = layer.size;
        if size > MOST_BYTES {
            return Err(too_large(size));
        }
        if let Some(module) = cache.get(&digest, MOST_BYTES) {
            return Ok(module);
        }
        let mut partial = cache.begin(&digest)?;
        // The process that held the lock may have completed the download.
        if let Some(module) = cache.get(&digest, MOST_BYTES) {
            partial.discard()?;
            return Ok(module);
        }
        if partial.written()? > size {
            partial.clear()?;
        }
        let before = partial.written()?;
        if before < size {
            let ended = self.within_time(self.download(&digest, &mut partial, size));
            let written = partial.written()?;
            if let Err(error) = ended {
                return Err(Failed(match written {
                    0 => error.0,
                    _ => format!(
                        "the download stopped after {written} of {size} bytes, and the next try continues there: {error}"
                    ),
                }));
            }
            if written < size {
                partial.discard()?;
                return Err(Failed(format!("the module has {written} bytes, but its manifest says {size}")));
            }
        }
        let is_longer = partial.written()? > size;
        match partial.finish(&digest)? {
            Ok(module) => Ok(module),
            // The part from an earlier try may be damaged.
            Err(_) if before > 0 => self.layer(layer, cache),
            Err(_) if is_longer => Err(Failed(format!("the module is longer than the {size} bytes its manifest says"))),
            Err(actual) => Err(differs(&digest, &actual)),
        }
    }

    /// Downloads the missing bytes of a module, and only a little more if the registry sends too many. It is not an
    /// error if the registry sends too few.
    async fn download(&self, digest: &Digest, partial: &mut Partial, size: u64) -> Result<(), Failed> {
        self.session.authenticate(Access::Pull).await?;
        let from = partial.written()?;
        let url = self.session.url(&format!("blobs/{}", digest.as_str()))?;
        let request = self.session.request(Method::GET, url).header(RANGE, format!("bytes={from}-"));
        let mut response = self.session.send(request).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::OK => partial.clear()?,
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok(()),
            status => return Err(self.session.refused(status)),
        }
        while partial.written()? <= size {
            match response.chunk().await.map_err(|error| Failed(innermost(&error.without_url())))? {
                // `finish` verifies these bytes together with the earlier ones.
                Some(bytes) => partial.append(&bytes)?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn within_time<T>(&self, asked: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let registry = self.session.reference.registry();
        let late = |_| Failed(format!("{registry} took more than {} s", MOST_TIME.as_secs()));
        self.runtime.block_on(async { timeout(MOST_TIME, asked).await.map_err(late)? })
    }

    fn immutable(&self, digest: &Digest) -> String {
        let reference = &self.session.reference;
        format!("{}/{}@{}", reference.registry(), reference.repository(), digest.as_str())
    }
}

/// Returns the first line of a registry's message, limited to 256 characters.
fn first_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.char_indices().nth(256).map_or(line, |(end, _)| &line[..end])
}

/// Returns the annotations that fit in a manifest: those with one line.
fn single_lines(annotations: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let source = annotations.get("io.kubewarden.policy.source").cloned();
    let lines = annotations.into_iter().map(|(name, value)| (name, value.trim().to_owned()));
    let mut kept: BTreeMap<String, String> = lines.filter(|(_, value)| !value.contains('\n')).collect();
    if let Some(source) = source {
        kept.entry("org.opencontainers.image.source".to_owned()).or_insert(source);
    }
    kept
}

fn sha256(digest: &str) -> Result<Digest, Failed> {
    Digest::parse(digest).ok_or_else(|| Failed(format!("the digest `{}` is not a sha256 digest", first_line(digest))))
}

fn differs(expected: &Digest, actual: &Digest) -> Failed {
    let (expected, actual) = (expected.as_str(), actual.as_str());
    Failed(format!("its digest differs: expected {expected}, but the registry sent {actual}"))
}

fn too_large(size: u64) -> Failed {
    Failed(format!("the module has {size} bytes, more than the limit of {MOST_BYTES}"))
}

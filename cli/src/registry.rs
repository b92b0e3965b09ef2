//! Policies in OCI registries, as Kubewarden keeps them there: a manifest with one layer, the module.
//!
//! Source: `kwctl push` and the policy-fetcher of
//! [kubewarden-controller](https://github.com/kubewarden/kubewarden-controller).

use std::{cell::OnceCell, collections::BTreeMap, error::Error, fmt, io, str::FromStr, time::Duration};

use docker_credential::DockerCredential;
use futures_util::TryStreamExt;
use http::HeaderValue;
use oci_client::{
    Client, Reference, RegistryOperation,
    client::{BlobResponse, ClientConfig, ClientProtocol},
    errors::{DigestError, OciDistributionError, OciErrorCode},
    manifest::{
        IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest,
        OciManifest, WASM_CONFIG_MEDIA_TYPE, WASM_LAYER_MEDIA_TYPE,
    },
    secrets::RegistryAuth,
};
use tokio::{runtime::Runtime, time::timeout};

use crate::{
    cache::{Cache, Digest, Partial},
    engine::Module,
};

/// What references to modules in registries start with.
const SCHEME: &str = "registry://";

/// The configuration that Kubewarden's artifacts have: none.
const CONFIG: &[u8] = b"{}";

/// The most bytes a module may have. Kubewarden's largest policies, which carry a runtime of their own, have 20 MB.
const MOST_BYTES: u64 = 128 << 20;

/// How long a registry may take, whatever it is asked for.
const MOST_TIME: Duration = Duration::from_secs(300);

/// A registry, by way of one reference into it.
pub struct Artifact {
    reference: Reference,
    client: Client,
    runtime: Runtime,
    credentials: OnceCell<Credentials>,
}

/// A module from a registry.
pub struct Pulled {
    /// Its bytes.
    pub module: Vec<u8>,
    /// The reference that will always mean these: `host/repository@sha256:...`.
    pub immutable: String,
}

/// Why there is no module, or none was pushed.
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

/// Who we are to a registry.
struct Credentials {
    auth: RegistryAuth,
    /// Where they come from, or why there are none.
    origin: String,
}

impl Artifact {
    /// The artifact at a reference: `ghcr.io/owner/policy:v1`, with `registry://` before it or not. Plain http where the
    /// registry is `insecure`.
    ///
    /// # Errors
    ///
    /// It is no reference.
    pub fn at(reference: &str, insecure: bool) -> Result<Self, Failed> {
        let reference = Reference::from_str(reference.strip_prefix(SCHEME).unwrap_or(reference)).map_err(|error| {
            Failed(format!("it is no reference to a registry, e.g. ghcr.io/owner/policy:v1: {error}"))
        })?;
        // Somebody else who set the process's provider did so for all of it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(ClientConfig {
            protocol: if insecure { ClientProtocol::Http } else { ClientProtocol::Https },
            connect_timeout: Some(Duration::from_secs(10)),
            read_timeout: Some(Duration::from_secs(30)),
            user_agent: concat!("flytewarden/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        })
        .map_err(|error| Failed(innermost(&error)))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { credentials: OnceCell::new(), reference, client, runtime })
    }

    /// Pushes a module, whose metadata becomes the manifest's annotations; what the registry has is not sent again.
    /// Returns the reference that will always mean it.
    ///
    /// # Errors
    ///
    /// The module has no metadata, or the registry does not take it.
    pub fn push(&self, module: &[u8]) -> Result<String, Failed> {
        if self.reference.digest().is_some() {
            return Err(Failed("a digest is what comes of pushing; name a tag".to_owned()));
        }
        if module.len() as u64 > MOST_BYTES {
            return Err(too_large(module.len() as u64));
        }
        let annotations = Module::annotations(module).map_err(|error| Failed(error.to_string()))?;
        let blob = |media_type: &str, bytes: &[u8]| OciDescriptor {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes).as_str().to_owned(),
            size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            ..OciDescriptor::default()
        };
        let manifest = OciImageManifest {
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            config: blob(WASM_CONFIG_MEDIA_TYPE, CONFIG),
            layers: vec![blob(WASM_LAYER_MEDIA_TYPE, module)],
            annotations: Some(single_lines(annotations)),
            ..OciImageManifest::default()
        };
        let blobs = [(&manifest.layers[0].digest, module), (&manifest.config.digest, CONFIG)];
        let bytes = serde_json::to_vec(&manifest).map_err(|error| Failed(error.to_string()))?;
        let digest = Digest::of(&bytes);
        let stored = self.within_time(async {
            let Self { client, reference, .. } = self;
            self.authenticate(RegistryOperation::Push).await?;
            let pushed = async {
                for (digest, blob) in blobs {
                    if !client.blob_exists(reference, digest).await? {
                        client.push_blob(reference, blob.to_vec(), digest).await?;
                    }
                }
                let media_type = HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE);
                client.push_manifest_raw(reference, bytes, media_type).await?;
                client.fetch_manifest_digest(reference, &self.credentials().auth).await
            };
            pushed.await.map_err(|error| self.explain(&error))
        })?;
        if stored != digest.as_str() {
            return Err(Failed(format!("the registry has {stored} at the tag, and was sent {}", digest.as_str())));
        }
        Ok(self.immutable(&digest))
    }

    /// Pulls a module, or takes it from the cache.
    ///
    /// # Errors
    ///
    /// The registry does not give it, it is no Kubewarden policy, or it is another than its digest says.
    pub fn pull(&self, cache: &Cache) -> Result<Pulled, Failed> {
        let (manifest, digest) = self.manifest(cache)?;
        let manifest = match serde_json::from_slice(&manifest) {
            Ok(OciManifest::Image(manifest)) => manifest,
            Ok(OciManifest::ImageIndex(_)) => return Err(no_policy(OCI_IMAGE_INDEX_MEDIA_TYPE)),
            Err(error) => return Err(Failed(format!("its manifest cannot be read: {error}"))),
        };
        let layer = match manifest.layers.as_slice() {
            [layer] if layer.media_type == WASM_LAYER_MEDIA_TYPE => layer,
            [layer] => return Err(no_policy(&layer.media_type)),
            layers => return Err(Failed(format!("a Kubewarden policy has one layer, and this has {}", layers.len()))),
        };
        Ok(Pulled { module: self.layer(layer, cache)?, immutable: self.immutable(&digest) })
    }

    /// The manifest's bytes and digest. Where the reference names the digest, the cache may have it.
    fn manifest(&self, cache: &Cache) -> Result<(Vec<u8>, Digest), Failed> {
        let named = self.reference.digest().map(sha256).transpose()?;
        if let Some(digest) = &named
            && let Some(manifest) = cache.get(digest)
        {
            return Ok((manifest, digest.clone()));
        }
        let accepted = [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE];
        let (bytes, _) = self.within_time(async {
            self.authenticate(RegistryOperation::Pull).await?;
            let pulled = self.client.pull_manifest_raw(&self.reference, &self.credentials().auth, &accepted).await;
            pulled.map_err(|error| self.explain(&error))
        })?;
        let digest = Digest::of(&bytes);
        match named {
            Some(named) if named != digest => return Err(differs(&named, &digest)),
            _ => {}
        }
        if cache.get(&digest).is_none() {
            let mut partial = cache.begin(&digest)?;
            partial.clear()?;
            partial.append(&bytes)?;
            partial.finish(&digest)?.map_err(|actual| differs(&digest, &actual))?;
        }
        Ok((bytes.into(), digest))
    }

    fn layer(&self, layer: &OciDescriptor, cache: &Cache) -> Result<Vec<u8>, Failed> {
        let digest = sha256(&layer.digest)?;
        let size = u64::try_from(layer.size).unwrap_or(0);
        if size > MOST_BYTES {
            return Err(too_large(size));
        }
        if let Some(module) = cache.get(&digest) {
            return Ok(module);
        }
        let mut partial = cache.begin(&digest)?;
        // Whoever held the lock has brought it.
        if let Some(module) = cache.get(&digest) {
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
                        "the module stopped after {written} of {size} bytes, and the next try goes on there: {error}"
                    ),
                }));
            }
            if written < size {
                partial.discard()?;
                return Err(Failed(format!("the module has {written} bytes, where its manifest says {size}")));
            }
        }
        let is_longer = partial.written()? > size;
        match partial.finish(&digest)? {
            Ok(module) => Ok(module),
            // What an earlier try left may have been damaged since.
            Err(_) if before > 0 => self.layer(layer, cache),
            Err(_) if is_longer => Err(Failed(format!("the module is longer than the {size} bytes its manifest says"))),
            Err(actual) => Err(differs(&digest, &actual)),
        }
    }

    /// Adds what is missing of a module, and little more than that. Ends well too where the registry has no more of it.
    async fn download(&self, digest: &Digest, partial: &mut Partial, size: u64) -> Result<(), Failed> {
        self.authenticate(RegistryOperation::Pull).await?;
        let from = partial.written()?;
        let response = self.client.pull_blob_stream_partial(&self.reference, digest.as_str(), from, None).await;
        let mut stream = match response {
            Ok(BlobResponse::Partial(stream)) => stream,
            Ok(BlobResponse::Full(stream)) => {
                partial.clear()?;
                stream
            }
            // "Range not satisfiable".
            Err(OciDistributionError::ServerError { code: 416, .. }) => return Ok(()),
            Err(error) => return Err(self.explain(&error)),
        };
        loop {
            match stream.try_next().await {
                Ok(Some(bytes)) => partial.append(&bytes)?,
                Ok(None) => return Ok(()),
                // What is there is verified in the end, with what was there before.
                Err(error) if error.get_ref().is_some_and(|error| error.is::<DigestError>()) => return Ok(()),
                Err(error) => return Err(Failed(innermost(&error))),
            }
            if partial.written()? > size {
                return Ok(());
            }
        }
    }

    /// Says who we are, as far as the registry asks for it.
    async fn authenticate(&self, operation: RegistryOperation) -> Result<(), Failed> {
        let token = self.client.auth(&self.reference, &self.credentials().auth, operation).await;
        match token.map_err(|error| self.explain(&error))? {
            // The library takes for granted that a header can hold it.
            Some(token) if HeaderValue::from_str(&token).is_err() => {
                Err(Failed(format!("{} gives out a token that no header can hold", self.reference.registry())))
            }
            _ => Ok(()),
        }
    }

    fn credentials(&self) -> &Credentials {
        self.credentials.get_or_init(|| Credentials::of(self.reference.registry()))
    }

    fn within_time<T>(&self, asked: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let late = |_| Failed(format!("{} took more than {} s", self.reference.registry(), MOST_TIME.as_secs()));
        self.runtime.block_on(async { timeout(MOST_TIME, asked).await.map_err(late)? })
    }

    fn immutable(&self, digest: &Digest) -> String {
        format!("{}/{}@{}", self.reference.registry(), self.reference.repository(), digest.as_str())
    }

    /// What went wrong, for people.
    fn explain(&self, error: &OciDistributionError) -> Failed {
        let registry = self.reference.registry();
        let status = match error {
            OciDistributionError::UnauthorizedError { .. } => Some(401),
            OciDistributionError::ServerError { code, .. } => Some(*code),
            OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
            OciDistributionError::RegistryError { envelope, .. } => {
                envelope.errors.iter().find_map(|error| match error.code {
                    OciErrorCode::Unauthorized => Some(401),
                    OciErrorCode::Denied => Some(403),
                    OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound => Some(404),
                    _ => None,
                })
            }
            _ => None,
        };
        Failed(match (status, error) {
            (Some(status @ (401 | 403)), _) => {
                format!("{registry} does not let us in ({status}), {}", self.credentials().origin)
            }
            (_, OciDistributionError::AuthenticationFailure(reason)) => {
                format!("{registry} does not let us in ({}), {}", first_line(reason), self.credentials().origin)
            }
            (Some(404), _) => format!("{registry} has no {} (404)", self.reference),
            (Some(status), _) => format!("{registry} answered {status}"),
            (None, OciDistributionError::DigestError(DigestError::VerificationError { expected, actual })) => {
                format!("its digest differs: {expected} was expected, and the registry sent {actual}")
            }
            (None, OciDistributionError::RequestError(error)) => {
                let reason = innermost(error);
                // What TLS says of an answer that is none of TLS.
                let is_plain = reason.contains("InvalidContentType");
                let hint = if is_plain { "; `--insecure` is for a registry over plain http" } else { "" };
                format!("{registry} cannot be reached: {reason}{hint}")
            }
            (None, error) => first_line(&error.to_string()).to_owned(),
        })
    }
}

/// What lies behind an error.
fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// As much as is worth showing of what a registry says.
fn first_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.char_indices().nth(256).map_or(line, |(end, _)| &line[..end])
}

impl Credentials {
    /// Those of Docker's configuration (`docker login`), or none.
    fn of(registry: &str) -> Self {
        let anonymous = |origin: &str| Self { auth: RegistryAuth::Anonymous, origin: origin.to_owned() };
        // Docker's own name for its registry.
        let server = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
        match docker_credential::get_credential(server) {
            Ok(DockerCredential::UsernamePassword(user, password)) => Self {
                origin: format!("with the credentials of {user} in Docker's configuration"),
                auth: RegistryAuth::Basic(user, password),
            },
            Ok(DockerCredential::IdentityToken(_)) => {
                anonymous("and Docker's configuration has an identity token, which is not supported")
            }
            Err(error) => anonymous(&format!(
                "and there are no credentials for it: {error}; `docker login {registry}` leaves some"
            )),
        }
    }
}

/// The annotations that a manifest can have, with the source where OCI has it.
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
    Digest::parse(digest).ok_or_else(|| Failed(format!("the digest `{digest}` is no sha256 one")))
}

fn differs(expected: &Digest, actual: &Digest) -> Failed {
    let (expected, actual) = (expected.as_str(), actual.as_str());
    Failed(format!("its digest differs: {expected} was expected, and the registry sent {actual}"))
}

fn too_large(size: u64) -> Failed {
    Failed(format!("a module of {size} bytes is larger than the {MOST_BYTES} that one may have"))
}

fn no_policy(media_type: &str) -> Failed {
    Failed(format!(
        "it is no Kubewarden policy: its media type is {media_type}, where a policy's is {WASM_LAYER_MEDIA_TYPE}"
    ))
}

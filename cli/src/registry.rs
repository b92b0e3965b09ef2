//! Policies in OCI registries, as Kubewarden keeps them there: a manifest with one layer, the module.
//!
//! Source: `kwctl push` and the policy-fetcher of
//! [kubewarden-controller](https://github.com/kubewarden/kubewarden-controller).

use std::{collections::BTreeMap, error::Error, fmt, io, str::FromStr, time::Duration};

use docker_credential::DockerCredential;
use futures_util::TryStreamExt;
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
use tokio::runtime::Runtime;

use crate::{
    cache::{Cache, Digest, Partial},
    engine::Module,
};

/// What references to modules in registries start with.
pub const SCHEME: &str = "registry://";

/// The configuration that Kubewarden's artifacts have: none.
const CONFIG: &[u8] = b"{}";

/// The most bytes a module may have. Kubewarden's largest policies, which carry a runtime of their own, have 20 MB.
const MOST_BYTES: u64 = 128 << 20;

/// A registry, by way of one reference into it.
pub struct Artifact {
    reference: Reference,
    client: Client,
    runtime: Runtime,
    credentials: Credentials,
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
    /// The artifact at a reference: `ghcr.io/owner/policy:v1`, with [`SCHEME`] before it or not. Plain http where the
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
        .map_err(|error| Failed(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { credentials: Credentials::of(reference.registry()), reference, client, runtime })
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
        let pushed = self.runtime.block_on(async {
            let Self { client, reference, .. } = self;
            client.auth(reference, &self.credentials.auth, RegistryOperation::Push).await?;
            client.store_auth_if_needed(reference.resolve_registry(), &self.credentials.auth).await;
            for (digest, blob) in blobs {
                if !client.blob_exists(reference, digest).await? {
                    client.push_blob(reference, blob.to_vec(), digest).await?;
                }
            }
            let media_type = http::HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE);
            client.push_manifest_raw(reference, bytes, media_type).await?;
            client.fetch_manifest_digest(reference, &self.credentials.auth).await
        });
        let stored = pushed.map_err(|error| self.explain(&error))?;
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
        let pulled = self.client.pull_manifest_raw(&self.reference, &self.credentials.auth, &accepted);
        let (bytes, _) = self.runtime.block_on(pulled).map_err(|error| self.explain(&error))?;
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
            return Err(Failed(format!("a module of {size} bytes is larger than any policy")));
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
        if partial.len()? > size {
            partial.clear()?;
        }
        let before = partial.len()?;
        let stopped = self.runtime.block_on(self.download(&digest, size, &mut partial)).err();
        let now = partial.len()?;
        if now < size {
            let reason = stopped.map(|error| format!(": {}", error.0)).unwrap_or_default();
            if now > before {
                return Err(Failed(format!(
                    "the layer stopped after {now} of {size} bytes{reason}; the next try goes on from there"
                )));
            }
            partial.discard()?;
            return Err(Failed(format!("the layer has {now} bytes, where its manifest says {size}{reason}")));
        }
        partial.finish(&digest)?.map_err(|actual| differs(&digest, &actual))
    }

    /// Adds what is missing of a layer, and no more than that.
    async fn download(&self, digest: &Digest, size: u64, partial: &mut Partial) -> Result<(), Failed> {
        let explain = |error| self.explain(&error);
        self.client.store_auth_if_needed(self.reference.resolve_registry(), &self.credentials.auth).await;
        let from = partial.len()?;
        let response = self.client.pull_blob_stream_partial(&self.reference, digest.as_str(), from, None);
        let mut stream = match response.await.map_err(explain)? {
            BlobResponse::Partial(stream) => stream,
            BlobResponse::Full(stream) => {
                partial.clear()?;
                stream
            }
        };
        while let Some(bytes) = stream.try_next().await? {
            partial.append(&bytes)?;
            if partial.len()? > size {
                return Ok(());
            }
        }
        Ok(())
    }

    fn immutable(&self, digest: &Digest) -> String {
        format!("{}/{}@{}", self.reference.registry(), self.reference.repository(), digest.as_str())
    }

    /// What went wrong, for people.
    fn explain(&self, error: &OciDistributionError) -> Failed {
        let Self { reference, credentials, .. } = self;
        let registry = reference.registry();
        let is_missing = |code: &OciErrorCode| {
            matches!(code, OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound)
        };
        let is_refused = |code: &OciErrorCode| matches!(code, OciErrorCode::Unauthorized | OciErrorCode::Denied);
        let any = |is: &dyn Fn(&OciErrorCode) -> bool| match error {
            OciDistributionError::RegistryError { envelope, .. } => envelope.errors.iter().any(|error| is(&error.code)),
            _ => false,
        };
        let status = match error {
            OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => {
                Some(401)
            }
            OciDistributionError::ServerError { code, .. } => Some(*code),
            OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
            _ if any(&is_refused) => Some(401),
            _ if any(&is_missing) => Some(404),
            _ => None,
        };
        Failed(match error {
            _ if status == Some(401) => format!("{registry} does not let us in (401), {}", credentials.origin),
            _ if status == Some(404) => format!("{registry} has no {reference} (404)"),
            OciDistributionError::DigestError(DigestError::VerificationError { expected, actual }) => {
                format!("its digest differs: {expected} was expected, and the registry sent {actual}")
            }
            OciDistributionError::RequestError(error) => {
                let mut reason = error.to_string();
                let mut cause = error.source();
                while let Some(error) = cause {
                    reason = error.to_string();
                    cause = error.source();
                }
                // What TLS says of an answer that is none of TLS.
                let is_plain = reason.contains("InvalidContentType");
                let hint = if is_plain { "; `--insecure` is for a registry over plain http" } else { "" };
                format!("{registry} cannot be reached: {reason}{hint}")
            }
            error => error.to_string(),
        })
    }
}

impl Credentials {
    /// Those of Docker's configuration (`docker login`), or none.
    fn of(registry: &str) -> Self {
        let anonymous = |origin: &str| Self { auth: RegistryAuth::Anonymous, origin: origin.to_owned() };
        match docker_credential::get_credential(registry) {
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

fn no_policy(media_type: &str) -> Failed {
    Failed(format!(
        "it is no Kubewarden policy: its media type is {media_type}, where a policy's is {WASM_LAYER_MEDIA_TYPE}"
    ))
}

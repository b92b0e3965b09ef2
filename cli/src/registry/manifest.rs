//! The manifest of a policy in a registry: annotations, and one layer with the module or with a bundle for OPA.
//!
//! Sources: the [image specification](https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md), [the
//! layout for WebAssembly](https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md), and
//! `v1/download/oci_download.go` of [open-policy-agent/opa](https://github.com/open-policy-agent/opa), which takes the
//! first layer that is a tarball.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{Failed, first_line};
use crate::cache::Digest;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Docker's older media type of the same manifest.
pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v1+json";
const LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const TARBALL: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The configuration of Kubewarden's artifacts, which is empty.
pub(super) const NO_CONFIG: &[u8] = b"{}";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    schema_version: u8,
    media_type: &'static str,
    pub(super) config: Descriptor,
    pub(super) layers: [Descriptor; 1],
    annotations: BTreeMap<String, String>,
}

/// A manifest's entry for a blob.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
}

impl Descriptor {
    fn describe(media_type: &str, bytes: &[u8]) -> Self {
        let digest = Digest::compute(bytes).as_str().to_owned();
        Self { media_type: media_type.to_owned(), digest, size: bytes.len() as u64 }
    }
}

impl Manifest {
    pub(super) fn of_module(module: &[u8], annotations: BTreeMap<String, String>) -> Self {
        Self::new([CONFIG, LAYER], module, annotations)
    }

    pub(super) fn of_bundle(bundle: &[u8]) -> Self {
        Self::new([IMAGE_CONFIG, TARBALL], bundle, BTreeMap::new())
    }

    fn new([config, layer]: [&str; 2], bytes: &[u8], annotations: BTreeMap<String, String>) -> Self {
        let config = Descriptor::describe(config, NO_CONFIG);
        Self {
            schema_version: 2,
            media_type: MANIFEST,
            config,
            layers: [Descriptor::describe(layer, bytes)],
            annotations,
        }
    }
}

/// Whether these bytes are a bundle (a gzipped tarball) and not a module.
pub(super) fn is_bundle(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Returns a manifest's entry for the module.
///
/// # Errors
///
/// It is not a manifest, or not that of a Kubewarden policy.
pub(super) fn read_layer(manifest: &[u8]) -> Result<Descriptor, Failed> {
    #[derive(Deserialize)]
    struct Read {
        layers: Option<Vec<Descriptor>>,
        manifests: Option<IgnoredAny>,
    }
    let Read { layers, manifests } =
        serde_json::from_slice(manifest).map_err(|error| Failed(format!("its manifest cannot be read: {error}")))?;
    let Some(mut layers) = layers else {
        return Err(match manifests {
            Some(_) => no_policy(INDEX),
            None => Failed("its manifest cannot be read: it has no layers".to_owned()),
        });
    };
    match (layers.len(), layers.pop()) {
        (1, Some(layer)) if layer.media_type == LAYER => Ok(layer),
        (1, Some(layer)) => Err(no_policy(&layer.media_type)),
        (number, _) => Err(Failed(format!("a Kubewarden policy has one layer, but this has {number}"))),
    }
}

fn no_policy(media_type: &str) -> Failed {
    let media_type = first_line(media_type);
    Failed(format!("it is not a Kubewarden policy: its media type is {media_type}, but must be {LAYER}"))
}

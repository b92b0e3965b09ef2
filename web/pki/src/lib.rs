//! What certificates are checked with, for `web/src/pki.rs`: a module of its own, to be fetched where there are certificates.
//! It is a fifth of the whole, and few charts hold any.

use flytewarden::oauth_tls::LINKED;
use js_sys::Uint8Array;
use rustls_pki_types::{SignatureVerificationAlgorithm, TrustAnchor};
use wasm_bindgen::prelude::*;

/// Its version, which must be that of the policies' module.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// The ways to sign: of each the name of its keys' kind and its own, as certificates have them.
#[wasm_bindgen]
pub fn signatures() -> Vec<Uint8Array> {
    let names = |way: &&dyn SignatureVerificationAlgorithm| {
        [bytes(way.public_key_alg_id().as_ref()), bytes(way.signature_alg_id().as_ref())]
    };
    LINKED.signatures.iter().flat_map(names).collect()
}

/// Mozilla's roots: of each its name, its key, and the names it may sign for, which is empty where that is any.
#[wasm_bindgen]
pub fn roots() -> Vec<Uint8Array> {
    let parts = |root: &TrustAnchor| {
        let names = root.name_constraints.as_deref().unwrap_or_default();
        [bytes(&root.subject), bytes(&root.subject_public_key_info), bytes(names)]
    };
    LINKED.roots.iter().flat_map(parts).collect()
}

/// Whether a key has signed a message in a way of the list `signatures`, which counts from 0.
#[wasm_bindgen]
pub fn verify(way: usize, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let way = LINKED.signatures.get(way);
    way.is_some_and(|way| way.verify_signature(key, message, signature).is_ok())
}

fn bytes(bytes: &[u8]) -> Uint8Array {
    Uint8Array::from(bytes)
}

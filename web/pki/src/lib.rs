//! The algorithms and roots to check certificates, for `web/src/pki.rs`. This is a separate module, which is fetched
//! only if there are certificates: it is a fifth of the whole, and few charts contain any.

use flytewarden::oauth_tls::LINKED;
use js_sys::Uint8Array;
use rustls_pki_types::{SignatureVerificationAlgorithm, TrustAnchor};
use wasm_bindgen::prelude::*;

/// The version of this module, which must equal that of the policies' module.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// The signature algorithms: for each, the identifiers of its key's kind and of the algorithm, as in certificates.
#[wasm_bindgen]
pub fn signatures() -> Vec<Uint8Array> {
    let names = |way: &&dyn SignatureVerificationAlgorithm| {
        [bytes(way.public_key_alg_id().as_ref()), bytes(way.signature_alg_id().as_ref())]
    };
    LINKED.signatures.iter().flat_map(names).collect()
}

/// Mozilla's roots: for each, its name, its key, and the names that it may sign for, which is empty for any name.
#[wasm_bindgen]
pub fn roots() -> Vec<Uint8Array> {
    let parts = |root: &TrustAnchor| {
        let names = root.name_constraints.as_deref().unwrap_or_default();
        [bytes(&root.subject), bytes(&root.subject_public_key_info), bytes(names)]
    };
    LINKED.roots.iter().flat_map(parts).collect()
}

/// Whether a key has signed a message, with an algorithm given by its index in `signatures`, from 0.
#[wasm_bindgen]
pub fn verify(way: usize, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let way = LINKED.signatures.get(way);
    way.is_some_and(|way| way.verify_signature(key, message, signature).is_ok())
}

fn bytes(bytes: &[u8]) -> Uint8Array {
    Uint8Array::from(bytes)
}

//! What certificates are checked with: `web/pki/`, a module of its own, which may be there or not.

use std::cell::OnceCell;

use flytewarden::host::Pki;
use js_sys::Uint8Array;
use rustls_pki_types::{AlgorithmIdentifier, Der, InvalidSignature, SignatureVerificationAlgorithm, TrustAnchor};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// What `web/pki/` exports. What its functions throw, a trap say, goes to whoever called this module: that a signature is bad
    /// is not what it means.
    pub type Module;

    #[wasm_bindgen(method)]
    fn version(this: &Module) -> String;

    #[wasm_bindgen(method)]
    fn signatures(this: &Module) -> Vec<Uint8Array>;

    #[wasm_bindgen(method)]
    fn roots(this: &Module) -> Vec<Uint8Array>;

    #[wasm_bindgen(method)]
    fn verify(this: &Module, way: usize, key: &[u8], message: &[u8], signature: &[u8]) -> bool;
}

thread_local! {
    static LOADED: OnceCell<(Module, &'static Pki)> = const { OnceCell::new() };
}

/// Has certificates checked with a module from now on.
///
/// # Errors
///
/// It is of another version.
pub(crate) fn set(module: Module) -> Result<(), String> {
    const OWN: &str = env!("CARGO_PKG_VERSION");
    let version = module.version();
    if version != OWN {
        return Err(format!(
            "what certificates are checked with is of version {version}, and the policies are of {OWN}"
        ));
    }
    LOADED.with(|loaded| {
        loaded.get_or_init(|| {
            // Once for as long as this module lives.
            let pki = Pki { signatures: signatures(&module).leak(), roots: roots(&module).leak() };
            (module, Box::leak(Box::new(pki)))
        });
    });
    Ok(())
}

/// What certificates are checked with.
///
/// # Errors
///
/// It is not there.
pub(crate) fn loaded() -> Result<&'static Pki, String> {
    let pki = LOADED.with(|loaded| loaded.get().map(|(_, pki)| *pki));
    pki.ok_or_else(|| "what certificates are checked with is not loaded".to_owned())
}

fn signatures(module: &Module) -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    let names: Vec<_> = module.signatures().iter().map(|name| AlgorithmIdentifier::from_slice(leaked(name))).collect();
    let ways = (0..).zip(names.as_chunks().0).map(|(way, &[key, own])| Way { way, key, own });
    ways.map(|way| &*Box::leak(Box::new(way)) as _).collect()
}

fn roots(module: &Module) -> Vec<TrustAnchor<'static>> {
    let parts: Vec<_> = module.roots().iter().map(|part| Der::from_slice(leaked(part))).collect();
    let root = |[subject, key, names]: &[Der<'static>; 3]| TrustAnchor {
        subject: subject.clone(),
        subject_public_key_info: key.clone(),
        name_constraints: Some(names.clone()).filter(|names| !names.is_empty()),
    };
    parts.as_chunks().0.iter().map(root).collect()
}

fn leaked(bytes: &Uint8Array) -> &'static [u8] {
    bytes.to_vec().leak()
}

/// A way to sign. The module it is of is in [`LOADED`]: JavaScript's values stay in their thread, and webpki wants what need not.
#[derive(Debug)]
struct Way {
    /// Its number.
    way: usize,
    key: AlgorithmIdentifier,
    own: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for Way {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.own
    }

    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let is_good = |(module, _): &(Module, _)| module.verify(self.way, key, message, signature);
        LOADED.with(|loaded| loaded.get().is_some_and(is_good)).then_some(()).ok_or(InvalidSignature)
    }
}

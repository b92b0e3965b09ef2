//! Checks certificates with `web/pki/`, a separate module that is not always loaded.

use std::cell::OnceCell;

use flytewarden::host::Pki;
use js_sys::Uint8Array;
use rustls_pki_types::{AlgorithmIdentifier, Der, InvalidSignature, SignatureVerificationAlgorithm, TrustAnchor};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// The exports of `web/pki/`. An exception in them, such as a trap, goes to the caller of this module: it does not mean that a
    /// signature is bad.
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

/// Sets the module that checks certificates from now on.
///
/// # Errors
///
/// The module has another version.
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
            // Leaked only once in the life of this module.
            let pki = Pki { signatures: signatures(&module).leak(), roots: roots(&module).leak() };
            (module, Box::leak(Box::new(pki)))
        });
    });
    Ok(())
}

/// The algorithms and roots to check certificates with.
///
/// # Errors
///
/// The module is not loaded.
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

/// A signature algorithm. Its module is in [`LOADED`]: webpki requires values that can leave their thread, and JavaScript's cannot.
#[derive(Debug)]
struct Way {
    /// Its index in `signatures`.
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

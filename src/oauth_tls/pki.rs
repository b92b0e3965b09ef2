//! What certificates are checked with.

use rustls_pki_types::{SignatureVerificationAlgorithm, TrustAnchor};

use super::signatures;

/// The signatures that can be verified, and the roots that browsers trust.
#[derive(Debug)]
pub struct Pki {
    /// The ways to sign, by the names they have in certificates.
    pub signatures: &'static [&'static dyn SignatureVerificationAlgorithm],
    /// Mozilla's roots.
    pub roots: &'static [TrustAnchor<'static>],
}

impl Pki {
    /// What is linked in: RustCrypto, and Mozilla's roots as they were when it was built.
    pub const LINKED: &Self = &Self { signatures: signatures::ALL, roots: webpki_roots::TLS_SERVER_ROOTS };
}

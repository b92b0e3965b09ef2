//! Verifies signatures with RustCrypto: it is pure Rust, so it compiles to WebAssembly, while ring and aws-lc need a C
//! compiler for the target.

use std::{fmt::Debug, marker::PhantomData};

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::{
    BoxedUint, Pkcs1v15Sign, RsaPublicKey, pkcs1::RsaPublicKeyRef, pkcs8::AssociatedOid, pss::Pss,
    traits::SignatureScheme,
};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest, Sha256, Sha384, Sha512, digest::FixedOutputReset};

/// The largest RSA key, in bits, that Go's TLS accepts: `checkKeySize` of its `crypto/tls/handshake_client.go`.
pub(super) const MOST_RSA_BITS: usize = 8192;

/// The algorithms, by the names they have in certificates.
pub(super) static ALL: &[&dyn SignatureVerificationAlgorithm] = &[
    &Ecdsa::<P256, Sha256>::new(alg_id::ECDSA_SHA256),
    &Ecdsa::<P256, Sha384>::new(alg_id::ECDSA_SHA384),
    &Ecdsa::<P256, Sha512>::new(alg_id::ECDSA_SHA512),
    &Ecdsa::<P384, Sha256>::new(alg_id::ECDSA_SHA256),
    &Ecdsa::<P384, Sha384>::new(alg_id::ECDSA_SHA384),
    &Ecdsa::<P384, Sha512>::new(alg_id::ECDSA_SHA512),
    &Rsa::<Pkcs1, Sha256>::new(alg_id::RSA_PKCS1_SHA256),
    &Rsa::<Pkcs1, Sha384>::new(alg_id::RSA_PKCS1_SHA384),
    &Rsa::<Pkcs1, Sha512>::new(alg_id::RSA_PKCS1_SHA512),
    &Rsa::<Probabilistic, Sha256>::new(alg_id::RSA_PSS_SHA256),
    &Rsa::<Probabilistic, Sha384>::new(alg_id::RSA_PSS_SHA384),
    &Rsa::<Probabilistic, Sha512>::new(alg_id::RSA_PSS_SHA512),
    &Ed25519,
];

/// A curve of ECDSA.
trait Curve: Debug + Send + Sync {
    const KEY: AlgorithmIdentifier;
    fn verify(key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()>;
}

#[derive(Debug)]
struct P256;

impl Curve for P256 {
    const KEY: AlgorithmIdentifier = alg_id::ECDSA_P256;

    fn verify(key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
        key.verify_prehash(digest, &p256::ecdsa::Signature::from_der(signature).ok()?).ok()
    }
}

#[derive(Debug)]
struct P384;

impl Curve for P384 {
    const KEY: AlgorithmIdentifier = alg_id::ECDSA_P384;

    fn verify(key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
        let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
        key.verify_prehash(digest, &p384::ecdsa::Signature::from_der(signature).ok()?).ok()
    }
}

/// ECDSA on a curve, with a hash.
#[derive(Debug)]
struct Ecdsa<C, D>(AlgorithmIdentifier, PhantomData<(C, D)>);

impl<C, D> Ecdsa<C, D> {
    const fn new(name: AlgorithmIdentifier) -> Self {
        Self(name, PhantomData)
    }
}

impl<C: Curve, D: Digest + Debug + Send + Sync> SignatureVerificationAlgorithm for Ecdsa<C, D> {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        C::KEY
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0
    }

    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        C::verify(key, &D::digest(message), signature).ok_or(InvalidSignature)
    }
}

/// A padding of RSA signatures.
trait Padding: Debug + Send + Sync {
    fn verify<D: Hash>(key: &RsaPublicKey, digest: &[u8], signature: &[u8]) -> rsa::Result<()>;
}

/// A hash that RSA signs.
trait Hash: Digest + AssociatedOid + FixedOutputReset + Debug + Send + Sync + 'static {}

impl<D: Digest + AssociatedOid + FixedOutputReset + Debug + Send + Sync + 'static> Hash for D {}

#[derive(Debug)]
struct Pkcs1;

impl Padding for Pkcs1 {
    fn verify<D: Hash>(key: &RsaPublicKey, digest: &[u8], signature: &[u8]) -> rsa::Result<()> {
        Pkcs1v15Sign::new::<D>().verify(key, digest, signature)
    }
}

#[derive(Debug)]
struct Probabilistic;

impl Padding for Probabilistic {
    fn verify<D: Hash>(key: &RsaPublicKey, digest: &[u8], signature: &[u8]) -> rsa::Result<()> {
        Pss::<D>::new().verify(key, digest, signature)
    }
}

/// RSA with a padding and a hash.
#[derive(Debug)]
struct Rsa<P, D>(AlgorithmIdentifier, PhantomData<(P, D)>);

impl<P, D> Rsa<P, D> {
    const fn new(name: AlgorithmIdentifier) -> Self {
        Self(name, PhantomData)
    }
}

impl<P: Padding, D: Hash> SignatureVerificationAlgorithm for Rsa<P, D> {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0
    }

    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = RsaPublicKeyRef::try_from(key).map_err(|_| InvalidSignature)?;
        let [modulus, exponent] =
            [key.modulus, key.public_exponent].map(|number| BoxedUint::from_be_slice_vartime(number.as_bytes()));
        let key =
            RsaPublicKey::new_with_size_limits(modulus, exponent, 0..=MOST_RSA_BITS).map_err(|_| InvalidSignature)?;
        P::verify::<D>(&key, &D::digest(message), signature).map_err(|_| InvalidSignature)
    }
}

#[derive(Debug)]
struct Ed25519;

impl SignatureVerificationAlgorithm for Ed25519 {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ED25519
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ED25519
    }

    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = key.try_into().ok().and_then(|key| ed25519_dalek::VerifyingKey::from_bytes(key).ok());
        let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| InvalidSignature)?;
        key.ok_or(InvalidSignature)?.verify_strict(message, &signature).map_err(|_| InvalidSignature)
    }
}

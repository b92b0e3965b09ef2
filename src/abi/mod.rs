//! The interfaces through which engines call the policies. [`decision`](crate::decision) holds the code that they share.

#[cfg(feature = "opa")]
pub mod opa;

#[cfg(all(feature = "kubewarden", target_family = "wasm", target_os = "wasi"))]
mod kubewarden;

//! The doors: how engines ask the policies. What is the same behind all of them is in [`decision`](crate::decision).

#[cfg(feature = "opa")]
pub mod opa;

#[cfg(all(feature = "kubewarden", target_family = "wasm", target_os = "wasi"))]
mod kubewarden;

//! Flyte's security guidance as decisions about Kubernetes objects.
//!
//! Flyte's "Security Overview" describes in prose how to deploy Flyte. Each sentence of it is a [`policy::Policy`] here: a
//! pure function from an [`admission::AdmissionRequest`], settings, and the other objects that a [`host::Host`] returns,
//! to a [`verdict::Verdict`]. These modules read no file, socket or clock, and do not know which engine calls them.
//! [`decision`] runs the policies that a request concerns and builds the [`answer::Answer`]. `abi/` holds the engines' interfaces.
//!
//! ```
//! use flytewarden::{decision::Policies, host::NoHost, non_root::NonRoot};
//!
//! let answer = Policies::One(&NonRoot::POLICY).validate(br#"{"settings": {}, "request": {
//!     "operation": "CREATE",
//!     "kind": {"group": "", "version": "v1", "kind": "Pod"},
//!     "object": {"spec": {"containers": [{"name": "flyteadmin", "securityContext": {"runAsUser": 0}}]}}
//! }}"#, &NoHost);
//! assert!(!answer.accepted);
//! assert!(answer.message.unwrap().starts_with(r#"spec.containers[0] "flyteadmin": runs as root"#));
//! ```
//!
//! Other crates read manifests and write reports without a cluster (`offline/`), and hold the command (`cli/`).

#![cfg_attr(not(feature = "all"), allow(dead_code, reason = "a module needs what its policy needs"))]

pub mod abi;
#[cfg(feature = "admin-config")]
mod admin_config;
#[cfg(feature = "flyte-admin-cors")]
pub mod admin_cors;
pub mod admission;
pub mod answer;
#[cfg(feature = "admin-config")]
mod argv;
#[cfg(feature = "admin-config")]
mod base64;
#[cfg(feature = "flyte-console-url")]
pub mod console_url;
pub mod decision;
mod edit;
mod flyte;
#[cfg(feature = "flyte2-exposure")]
pub mod flyte2_exposure;
pub mod host;
mod id;
mod image;
#[cfg(feature = "admin-config")]
pub mod installation;
mod location;
mod members;
#[cfg(feature = "pod-users")]
pub mod non_root;
#[cfg(feature = "flyte-oauth-tls")]
pub mod oauth_tls;
#[cfg(feature = "admin-config")]
mod origin;
#[cfg(feature = "admin-config")]
mod pattern;
pub mod policy;
pub mod rule;
pub mod sentence;
pub mod settings;
pub mod shown;
mod text;
pub mod update;
pub mod verdict;
mod view;
mod workload;
#[cfg(feature = "admin-config")]
pub mod yaml;

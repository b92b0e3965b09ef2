//! Flyte's security guidance as decisions about Kubernetes objects.
//!
//! Flyte's "Security Overview" says in prose how a deployment should be. Each sentence is a [`policy::Policy`] here: a
//! pure decision from an [`admission::AdmissionRequest`], settings, and what a [`host::Host`] says of other objects,
//! to a [`verdict::Verdict`]. Nothing in these modules reads a file, a socket or a clock, or knows which engine calls it;
//! [`decision`] asks the policies that a request concerns, and words the [`answer::Answer`]; `abi/` holds the doors to the engines.
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
//! What is not here: reading manifests and writing reports without a cluster (`offline/`), the command (`cli/`).

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

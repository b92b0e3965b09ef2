//! What stands in for the API server where there is no cluster.
//!
//! In: the text of manifests, as `helm template` prints it. Between: their [`manifest::Object`]s, the [`request`] the
//! API server would send about each, and the [`cluster`] they make up together. Out: what the policies answered, as a
//! [`report`]. [`check`] goes all that way. Nothing here reads a file or runs a module, so that whatever does (the command, a
//! page in a browser) shares all of it.

pub mod charts;
pub mod check;
pub mod cluster;
pub mod edit;
pub mod fix;
pub mod ignored;
pub mod images;
pub mod kinds;
pub mod linked;
pub mod manifest;
pub mod metadata;
pub mod report;
pub mod request;
pub mod rounds;
pub mod rules;
pub mod sentences;
pub mod settings;
pub mod yaml;

pub use flytewarden::shown;

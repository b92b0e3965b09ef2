//! What stands in for the API server where there is no cluster.
//!
//! In: the text of manifests, as `helm template` prints it. Between: their [`manifest::Object`]s, the [`request`] the
//! API server would send about each, and the [`cluster`] they make up together. Out: what the policies answered, as a
//! [`report`]. Nothing here reads a file or runs a module, so that whatever does (the command, a page in a browser) shares
//! all of it.

pub mod cluster;
pub mod images;
pub mod kinds;
pub mod manifest;
pub mod metadata;
pub mod report;
pub mod request;
pub mod yaml;

//! Replaces the API server if there is no cluster.
//!
//! The input is the text of manifests, as `helm template` prints it. [`manifest::objects`] reads the objects,
//! [`request`] makes the request that the API server would send about each of them, and [`cluster`] answers for all
//! objects together. The output is a [`report`] of the policies' answers. [`check`] does all these steps. Nothing here
//! reads a file or runs a module, so the command and the browser page share all of it.

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

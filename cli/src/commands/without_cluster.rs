//! What `--context` says in a build without the client for clusters.

use std::error::Error;

use flytewarden_offline::{check::File, report::Report};

use super::Setup;

/// Says how to get what is needed.
pub fn read(_: &str, _: &Setup, _: &mut Report) -> Result<File, Box<dyn Error>> {
    Err("this build cannot contact clusters. Use a release, or build with: \
         cargo build --profile shipped --package flytewarden-cli --features cluster"
        .into())
}

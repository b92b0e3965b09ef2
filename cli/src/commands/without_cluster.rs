//! Replaces `cluster` in a build without the feature.

use std::error::Error;

use flytewarden_offline::{check::File, report::Report};

use super::Setup;

/// Fails, and tells how to get a build with the feature.
pub fn read_objects(_: &str, _: &Setup, _: &mut Report) -> Result<File, Box<dyn Error>> {
    Err("this build cannot contact clusters. Use a release, or build with: \
         cargo build --profile shipped --package flytewarden-cli --features cluster"
        .into())
}

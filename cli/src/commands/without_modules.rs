//! Replaces `modules` in a build without the feature.

use std::{error::Error, process::ExitCode};

use flytewarden_cli::arguments::{PushArguments, Scope};
use flytewarden_offline::check::Policy;

const LEFT_OUT: &str = "this build cannot run compiled policies or contact registries. Use a release, or build with: \
    cargo build --profile shipped --package flytewarden-cli --features modules";

/// Fails, and tells how to get a build with the feature.
pub fn load(_: &Scope) -> Result<Vec<Box<dyn Policy>>, Box<dyn Error>> {
    Err(LEFT_OUT.into())
}

/// Fails, and tells how to get a build with the feature.
pub fn push(_: &PushArguments) -> Result<ExitCode, Box<dyn Error>> {
    Err(LEFT_OUT.into())
}

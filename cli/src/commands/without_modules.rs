//! What `--module` and `push` say where they were left out.

use std::{error::Error, process::ExitCode};

use flytewarden_cli::arguments::{PushArguments, Scope};
use flytewarden_offline::check::Policy;

const LEFT_OUT: &str = "this build cannot run compiled policies or contact registries. Use a release, or build with: \
    cargo build --profile shipped --package flytewarden-cli --features modules";

/// Says how to get what is needed.
pub fn load(_: &Scope) -> Result<Vec<Box<dyn Policy>>, Box<dyn Error>> {
    Err(LEFT_OUT.into())
}

/// Says how to get what is needed.
pub fn push(_: &PushArguments) -> Result<ExitCode, Box<dyn Error>> {
    Err(LEFT_OUT.into())
}

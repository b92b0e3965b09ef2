//! What `--module` and `push` say where they were left out.

use std::{error::Error, process::ExitCode};

use flytewarden_offline::check::Policy;

use crate::{CheckArguments, PushArguments};

const LEFT_OUT: &str = "this flytewarden has no engine for compiled policies, and no client of registries: released ones have, and \
    `cargo build --release --package flytewarden-cli --features modules` builds one";

/// Says how to get what is needed.
pub fn load(_: &CheckArguments) -> Result<Vec<Box<dyn Policy>>, Box<dyn Error>> {
    Err(LEFT_OUT.into())
}

/// Says how to get what is needed.
pub fn push(_: &PushArguments) -> Result<ExitCode, Box<dyn Error>> {
    Err(LEFT_OUT.into())
}

//! Tests of the compiled modules.

mod certificates;
mod host_calls;
mod linked;
mod malformed;
mod metadata;

//! What holds of the modules and of what they ship with.

mod certificates;
mod host_calls;
mod linked;
mod malformed;
mod metadata;
mod packages;
mod updates;

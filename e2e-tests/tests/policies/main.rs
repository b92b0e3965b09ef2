//! What holds of what the policies declare and ship with, and of changes of objects.

mod metadata;
mod packages;
mod updates;

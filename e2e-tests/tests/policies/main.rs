//! Tests of the policies' declarations and packages, and of changes to objects.

mod metadata;
mod packages;
mod updates;

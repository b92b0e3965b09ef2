//! A report in the formats that people and programs read: for the command, and for JavaScript. JSON is what a [`Report`] serializes to.
//!
//! [`Report`]: flytewarden_offline::report::Report

pub mod junit;
pub mod markdown;
mod remarks;
pub mod sarif;
pub mod text;

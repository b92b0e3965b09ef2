//! Writes a [`Report`] in the formats for people and programs. The command and the JavaScript packages use it. JSON is
//! not here: a report serializes to it.
//!
//! [`Report`]: flytewarden_offline::report::Report

pub mod junit;
pub mod markdown;
mod remarks;
pub mod sarif;
pub mod text;

//! A report in the formats that people and programs read. JSON is what a [`Report`] serializes to.
//!
//! [`Report`]: flytewarden_offline::report::Report

pub mod junit;
pub mod sarif;
pub mod text;

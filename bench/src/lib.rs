//! What a decision costs.

pub mod cost;

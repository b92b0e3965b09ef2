//! Code that the fuzz targets share: a host that answers from the input, checks for every answer, and mutations of JSON and
//! certificates.

pub mod answer;
pub mod certificate;
pub mod host;
pub mod json;
pub mod leaves;
pub mod random;

/// The first line of an input, and the rest.
pub fn first_line(input: &str) -> (&str, &str) {
    input.split_once('\n').unwrap_or((input, ""))
}

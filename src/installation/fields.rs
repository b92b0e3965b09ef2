//! Reads single fields of an object by their paths. A view for each part would take 2 KB of a module. A field of the
//! wrong type counts as absent, because no cluster accepts it.

use serde_json::value::RawValue;

use crate::{edit, text::Text};

/// The value at a path; null counts as absent, as it does to the API server.
pub(crate) fn at<'t>(object: &'t str, path: &[&str]) -> Option<&'t str> {
    edit::at(object, path).filter(|part| *part != "null")
}

/// The text at a path.
pub(crate) fn text<'t>(object: &'t str, path: &[&str]) -> Option<Text<'t>> {
    serde_json::from_str(at(object, path)?).ok()
}

/// The items of a list at a path.
pub(crate) fn items<'t>(object: &'t str, path: &[&str]) -> Vec<&'t RawValue> {
    at(object, path).and_then(edit::items).unwrap_or_default()
}

/// The texts of a list at a path.
pub(crate) fn texts(object: &str, path: &[&str]) -> Vec<String> {
    items(object, path).into_iter().filter_map(|item| text(item.get(), &[])).map(|text| text.to_string()).collect()
}

/// Whether the value at a path is `true`.
pub(crate) fn is_true(object: &str, path: &[&str]) -> bool {
    at(object, path) == Some("true")
}

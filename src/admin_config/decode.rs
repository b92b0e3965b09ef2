//! Decodes values as flyteadmin does: mapstructure's weak decoding.
//!
//! Source: `decodeBool`, `decodeString` and `decodeSlice` of
//! [go-viper/mapstructure](https://github.com/go-viper/mapstructure) v2.4.0, and `defaultDecoderConfig` of
//! `flytestdlib/config/viper/viper.go`.

use crate::{
    origin::shown,
    yaml::{Meaning, Node, Value},
};

/// A YAML value as a boolean; `None` for null, which sets nothing.
///
/// # Errors
///
/// Why flyteadmin does not start with it.
pub(crate) fn boolean(node: &Node) -> Result<Option<bool>, String> {
    match &node.value {
        Value::Scalar(scalar) => match scalar.meaning()? {
            Meaning::Null => Ok(None),
            Meaning::Bool(value) => Ok(Some(value)),
            Meaning::Int(number) => Ok(Some(number.magnitude != 0)),
            // Zero is zero with any exponent.
            Meaning::Float(number) => {
                let digits = number.split(['e', 'E']).next().unwrap_or(number);
                Ok(Some(!digits.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'+' | b'-' | b'_'))))
            }
            Meaning::Text("") => Ok(Some(false)),
            Meaning::Text(text) => parse_bool(text).map(Some),
            Meaning::Time => Err("a time is not a boolean".to_owned()),
        },
        Value::List(_) => Err("a list is not a boolean".to_owned()),
        Value::Map(_) => Err("a map is not a boolean".to_owned()),
    }
}

/// Parses a boolean as Go's `strconv.ParseBool` does.
///
/// # Errors
///
/// The text is not a boolean.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        _ => Err(format!("`{}` is not a boolean", shown(text))),
    }
}

/// Why a list cannot be read.
pub(crate) enum NoList {
    /// flyteadmin does not start with it.
    NeverStarts(String),
    /// It has more items than are read here.
    TooLong,
}

/// The maximum number of items in a list. No installation has a thousand consoles.
pub(crate) const MOST_ITEMS: usize = 1_000;

/// A text in a list.
pub(crate) struct Listed {
    pub(crate) text: String,
    /// Its line, from 1.
    pub(crate) line: usize,
    /// Its index; `None` if a text was split at commas.
    pub(crate) index: Option<usize>,
}

/// A YAML value as a list of texts; `None` for null, which sets nothing.
///
/// # Errors
///
/// Why it cannot be read.
pub(crate) fn texts(node: &Node) -> Result<Option<Vec<Listed>>, NoList> {
    let listed = |text| Listed { text, line: node.line, index: None };
    match &node.value {
        Value::List(items) => {
            let mut texts = Vec::new();
            for (index, item) in items.iter().enumerate() {
                if index == MOST_ITEMS {
                    return Err(NoList::TooLong);
                }
                let text = text(item).map_err(|reason| NoList::NeverStarts(reason.replacen("this", "an item", 1)))?;
                texts.push(Listed { text, line: item.line, index: Some(index) });
            }
            Ok(Some(texts))
        }
        Value::Map(entries) if entries.is_empty() => Ok(Some(Vec::new())),
        Value::Map(_) => Err(NoList::NeverStarts("a map is not a list".to_owned())),
        Value::Scalar(scalar) => match scalar.meaning().map_err(NoList::NeverStarts)? {
            Meaning::Null => Ok(None),
            Meaning::Text(text) if text.split(',').nth(MOST_ITEMS).is_some() => Err(NoList::TooLong),
            Meaning::Text(text) => Ok(Some(split(text).map(|part| listed(part.to_owned())).collect())),
            _ => Ok(Some(vec![listed(text(node).map_err(NoList::NeverStarts)?)])),
        },
    }
}

/// Splits a text that stands where a list is expected. Splits at commas, and keeps spaces.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(move |_| !text.is_empty())
}

fn text(node: &Node) -> Result<String, String> {
    match &node.value {
        Value::Scalar(scalar) => match scalar.meaning()? {
            Meaning::Null => Ok(String::new()),
            Meaning::Bool(value) => Ok(u8::from(value).to_string()),
            Meaning::Int(number) => Ok(number.to_string()),
            Meaning::Float(number) => Ok(number.to_owned()),
            Meaning::Text(text) => Ok(text.to_owned()),
            Meaning::Time => Err("a time must be in quotes to be a string".to_owned()),
        },
        Value::List(_) => Err("this is a list, but must be a string".to_owned()),
        Value::Map(_) => Err("this is a map, but must be a string".to_owned()),
    }
}

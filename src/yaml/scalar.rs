//! The meaning of a scalar: `true` is a boolean, `"true"` a text, `yes` a text to YAML 1.2 and a boolean to YAML 1.1.
//!
//! Source: `resolve.go` of [go-yaml](https://github.com/yaml/go-yaml), v3.0.1 and v2.4.0.

use std::fmt;

/// A scalar as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// Its characters, without quotes.
    pub text: Box<str>,
    /// Whether it is neither quoted nor a block.
    pub is_plain: bool,
    /// The tag in full: `tag:yaml.org,2002:str` for `!!str`.
    pub tag: Option<Box<str>>,
}

/// A scalar's meaning to Go.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names are YAML's")]
pub enum Meaning<'s> {
    Null,
    Bool(bool),
    Int(Int),
    /// The number as it is written. Code that reads and writes floats would be a tenth of a module, for values that are
    /// floats only by mistake.
    Float(&'s str),
    Time,
    Text(&'s str),
}

/// A whole number of 64 bits and a sign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Int {
    /// Whether it is below 0.
    pub is_negative: bool,
    /// Without the sign.
    pub magnitude: u64,
}

impl fmt::Display for Int {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_negative { "-" } else { "" })?;
        self.magnitude.fmt(formatter)
    }
}

const STANDARD_TAG: &str = "tag:yaml.org,2002:";

impl Scalar {
    /// Its meaning to yaml.v3, flyteadmin's YAML library since v1.16.6.
    ///
    /// # Errors
    ///
    /// The tag does not fit the text, so the file cannot be read.
    pub fn meaning(&self) -> Result<Meaning<'_>, String> {
        let standard = self.tag.as_deref().and_then(|tag| tag.strip_prefix(STANDARD_TAG));
        let meaning = match (self.tag.as_deref(), standard) {
            (None | Some("!"), _) if self.is_plain => plain(&self.text),
            (_, Some("null" | "bool" | "int" | "float" | "timestamp")) => plain(&self.text),
            _ => Meaning::Text(&self.text),
        };
        match (standard, meaning) {
            (Some("float"), Meaning::Int(_)) => Ok(Meaning::Float(&self.text)),
            (Some("null"), Meaning::Null)
            | (Some("bool"), Meaning::Bool(_))
            | (Some("int"), Meaning::Int(_))
            | (Some("float"), Meaning::Float(_))
            | (Some("timestamp"), Meaning::Time) => Ok(meaning),
            (Some(tag @ ("null" | "bool" | "int" | "float" | "timestamp")), _) => {
                // Leave out the text: it may be a secret, since this may come from a Secret.
                Err(format!("the value cannot be read as !!{tag}"))
            }
            _ => Ok(meaning),
        }
    }

    /// Returns the boolean of a text that is a boolean only in YAML 1.1, and so only to flyteadmin up to v1.16.5.
    pub fn bool_of_yaml_1_1(&self) -> Option<bool> {
        if !self.is_plain || self.tag.is_some() {
            return None;
        }
        match &*self.text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
            _ => None,
        }
    }

    /// Whether the tag `!` makes it a text to yaml.v2, which flyteadmin uses up to v1.16.5, but not to yaml.v3.
    pub fn is_text_to_yaml_v2(&self) -> bool {
        self.is_plain && self.tag.as_deref() == Some("!") && !is_text(&self.text)
    }
}

/// Whether a text without quotes and tag means a text.
pub(super) fn is_text(text: &str) -> bool {
    matches!(plain(text), Meaning::Text(_))
}

/// The meaning of a text without quotes and tag.
fn plain(text: &str) -> Meaning<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        "true" | "True" | "TRUE" => return Meaning::Bool(true),
        "false" | "False" | "FALSE" => return Meaning::Bool(false),
        ".nan" | ".NaN" | ".NAN" | "-.inf" | "-.Inf" | "-.INF" => return Meaning::Float(text),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Meaning::Float(text),
        _ => {}
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return Meaning::Text(text);
    }
    if is_time(text) {
        return Meaning::Time;
    }
    let digits = text.replace('_', "");
    match integer(&digits) {
        Some(number) => Meaning::Int(number),
        None if is_float(&digits) => Meaning::Float(text),
        None => Meaning::Text(text),
    }
}

/// Reads an integer: `10`, `0x1f`, `0b11`, `0o17`, or `017`, which is octal to Go. A number that does not fit in 64
/// bits is a float.
fn integer(text: &str) -> Option<Int> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &*lower),
    };
    let magnitude = u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))?;
    (!is_negative || magnitude <= i64::MIN.unsigned_abs()).then_some(Int { is_negative, magnitude })
}

/// Whether a text is a float: `1.5`, `.5`, `1e3`. With an exponent above 307 it is a text to Go.
fn is_float(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (number, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    are_digits(whole)
        && are_digits(fraction)
        && are_digits(exponent)
        && !exponent.is_empty()
        && (exponent.len() < 3 || exponent.len() == 3 && exponent < "308")
        && whole.len() + fraction.len() > 0
}

/// Whether a text is a time: `2024-01-01`, or that followed by a time of day.
fn is_time(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let is_number = |part: Option<&str>, lengths: &[usize]| {
        part.is_some_and(|part| lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_date = is_number(parts.next(), &[4]) && is_number(parts.next(), &[1, 2]);
    let day = parts.next().unwrap_or_default();
    let end = day.find(|character: char| !character.is_ascii_digit()).unwrap_or(day.len());
    is_date
        && is_number(Some(&day[..end]), &[1, 2])
        && matches!(day.as_bytes().get(end), None | Some(b't' | b'T' | b' '))
}

#[cfg(test)]
mod tests {
    use super::{Int, Meaning, Scalar};

    fn int(number: i128) -> Meaning<'static> {
        Meaning::Int(Int { is_negative: number < 0, magnitude: number.unsigned_abs() as u64 })
    }

    fn scalar(text: &str, is_plain: bool, tag: Option<&str>) -> Scalar {
        Scalar { text: text.into(), is_plain, tag: tag.map(Into::into) }
    }

    #[test]
    fn a_plain_scalar_has_its_meaning_in_yaml_v3() {
        for (text, meaning) in [
            ("true", Meaning::Bool(true)),
            ("tRue", Meaning::Text("tRue")),
            ("yes", Meaning::Text("yes")),
            ("~", Meaning::Null),
            ("nULL", Meaning::Text("nULL")),
            ("", Meaning::Null),
            ("017", int(15)),
            ("0o17", int(15)),
            ("0x1F", int(31)),
            ("0b11", int(3)),
            ("+1", int(1)),
            ("-1", int(-1)),
            ("--1", Meaning::Text("--1")),
            ("0", int(0)),
            ("1_000", int(1000)),
            ("_1", Meaning::Text("_1")),
            ("9223372036854775808", int(9_223_372_036_854_775_808)),
            ("99999999999999999999", Meaning::Float("99999999999999999999")),
            ("1e3", Meaning::Float("1e3")),
            ("-.5E-10", Meaning::Float("-.5E-10")),
            (".", Meaning::Text(".")),
            ("1e", Meaning::Text("1e")),
            ("1e100", Meaning::Float("1e100")),
            ("1e400", Meaning::Text("1e400")),
            ("0x", Meaning::Text("0x")),
            ("12:30:45", Meaning::Text("12:30:45")),
            ("2024-01-01", Meaning::Time),
            ("2024-01-01x", Meaning::Text("2024-01-01x")),
            ("=", Meaning::Text("=")),
        ] {
            assert_eq!(Ok(meaning), scalar(text, true, None).meaning(), "{text}");
        }
    }

    #[test]
    fn quotes_and_tags_decide_the_meaning() {
        let tag = |name| Some(format!("tag:yaml.org,2002:{name}"));
        for (text, is_plain, tag, meaning) in [
            ("true", false, None, Some(Meaning::Text("true"))),
            ("5", true, tag("str"), Some(Meaning::Text("5"))),
            ("5", false, tag("int"), Some(int(5))),
            ("5", true, Some("!".to_owned()), Some(int(5))),
            ("5", true, Some("!own".to_owned()), Some(Meaning::Text("5"))),
            ("1", true, tag("float"), Some(Meaning::Float("1"))),
            ("yes", true, tag("bool"), None),
            ("x", true, tag("null"), None),
        ] {
            assert_eq!(meaning, scalar(text, is_plain, tag.as_deref()).meaning().ok(), "{text} {tag:?}");
        }
    }

    #[test]
    fn only_a_plain_scalar_is_a_boolean_of_yaml_1_1() {
        assert_eq!(Some(true), scalar("yes", true, None).bool_of_yaml_1_1());
        assert_eq!(Some(false), scalar("OFF", true, None).bool_of_yaml_1_1());
        assert_eq!(None, scalar("yes", false, None).bool_of_yaml_1_1());
        assert_eq!(None, scalar("true", true, None).bool_of_yaml_1_1());
        assert_eq!(None, scalar("yes", true, Some("!")).bool_of_yaml_1_1());
        assert!(scalar("~", true, Some("!")).is_text_to_yaml_v2());
        assert!(!scalar("yes", true, Some("!")).is_text_to_yaml_v2());
    }
}

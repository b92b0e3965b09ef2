//! Locates an error in a JSON text, as a path that a person can follow.
use serde::de::IgnoredAny;
use serde_json::{error::Category, value::RawValue};

use crate::{members::Members, verdict::Shortened};

/// A problem in a JSON text, and the path to it: `spec.containers[0].securityContext`.
pub(crate) struct Located {
    /// Empty if the text as a whole is wrong.
    pub(crate) path: String,
    pub(crate) problem: String,
}

/// The path to a key of the map that `path` leads to: `metadata.name`, `data["server.yaml"]`.
pub(crate) fn key(path: &str, key: &str) -> String {
    let is_plain =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match (is_plain, path) {
        (true, "") => key.to_owned(),
        (true, path) => format!("{path}.{key}"),
        (false, path) => format!("{path}[{}]", serde_json::to_string(key).unwrap_or_default()),
    }
}

/// Policies read no object of Kubernetes deeper than this.
const MOST_LEVELS: usize = 32;

impl Located {
    /// Turns serde_json's position into a path. The position means nothing to a person: an engine wrote the JSON.
    ///
    /// A crate that tracks the path while it deserializes would double the size of a module.
    pub(crate) fn from_error(error: &serde_json::Error, text: &str) -> Self {
        let problem = in_words(error, text);
        let lines_before = error.line().saturating_sub(1);
        let line_start: usize = text.split_inclusive('\n').take(lines_before).map(str::len).sum();
        // The column counts the bytes read of the line: to the end of a wrong string or number, or to the start of a
        // wrong object or list.
        let position = line_start + error.column();

        let is_inside = |part: &RawValue| {
            let start = part.get().as_ptr() as usize - text.as_ptr() as usize;
            (start..=start + part.get().len()).contains(&position)
        };
        let mut path = String::new();
        let mut around = text;
        for _ in 0..MOST_LEVELS {
            if let Ok(fields) = serde_json::from_str::<Members<&RawValue>>(around)
                && let Some((name, value)) = fields.iter().find(|(_, value)| is_inside(value))
            {
                path = key(&path, name);
                around = value.get();
            } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(around)
                && let Some(index) = items.iter().position(|value| is_inside(value))
            {
                path.push_str(&format!("[{index}]"));
                around = items[index].get();
            } else {
                break;
            }
        }
        Self { path: Shortened(&path).to_string(), problem: Shortened(&problem).to_string() }
    }
}

/// The problem in words for users: `must be a list` for serde's `invalid type: string "x", expected a sequence`.
///
/// Without the value: the path leads to it, and it may be a URL with a password.
fn in_words(error: &serde_json::Error, text: &str) -> String {
    let problem = error.to_string();
    let problem = problem.rsplit_once(" at line ").map_or(&*problem, |(problem, _)| problem);
    if error.classify() != Category::Data {
        // In valid JSON, serde_json reports this for a number or a boolean where a word of a fixed list is expected.
        let is_no_word = problem == "expected value" && serde_json::from_str::<IgnoredAny>(text).is_ok();
        return if is_no_word { "must be a string".to_owned() } else { format!("invalid JSON: {problem}") };
    }
    if let Some(rest) = problem.strip_prefix("unknown variant ") {
        return format!("unknown value {rest}");
    }
    let is_wrong = ["invalid type: ", "invalid value: "].iter().any(|start| problem.starts_with(start));
    match problem.rsplit_once(", expected ").filter(|_| is_wrong) {
        Some((_, "a sequence")) => "must be a list".to_owned(),
        Some((_, "an object")) => "must be a map".to_owned(),
        Some((_, "a boolean")) => "must be true or false".to_owned(),
        Some((_, "u32")) => format!("must be a whole number from 0 to {}", u32::MAX),
        Some((_, "i64" | "u64" | "usize")) => "must be a whole number".to_owned(),
        Some((_, expected)) => format!("must be {expected}"),
        None => problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::Located;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[allow(dead_code, reason = "only its reading matters")]
        items: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[allow(dead_code, reason = "only its reading matters")]
        user: i64,
    }

    #[test]
    fn a_problem_is_located_by_its_path() {
        for (json, path, problem) in [
            (r#"{"items": [{"user": 1}, {"user": "0"}]}"#, "items[1].user", "must be a whole number"),
            ("{\"items\":\n [{\"user\": 1},\n {\"user\": 0.5}]}", "items[1].user", "must be a whole number"),
            (r#"{"items": [{"user": 1}, {}]}"#, "items[1]", "missing field `user`"),
            (r#"{"items": [{"user": 1}, 5]}"#, "items[1]", "must be struct Inner"),
            (r#"{"items": [{"usr": 1}]}"#, "items[0]", "unknown field `usr`, expected `user`"),
            (r#"{"items": {}}"#, "items", "must be a list"),
            (r#"{"items": [ [] ]}"#, "items[0]", "invalid length 0, expected struct Inner with 1 element"),
            (r#"{"items": [{"user": [1]}]}"#, "items[0].user", "must be a whole number"),
            (r#"{"items": 5, "more": 1}"#, "items", "must be a list"),
            ("[]", "", "invalid length 0, expected struct Outer with 1 element"),
            ("nonsense", "", "invalid JSON: expected ident"),
            ("", "", "invalid JSON: EOF while parsing a value"),
        ] {
            let error = serde_json::from_str::<Outer>(json).unwrap_err();
            let located = Located::from_error(&error, json);
            assert_eq!((path, problem), (&*located.path, &*located.problem), "{json}");
        }
    }
}

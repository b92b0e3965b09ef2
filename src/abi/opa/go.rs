//! Reads JSON as OPA's Go engine writes it for a module, with texts quoted as Go quotes them.
//!
//! Source: `strconv.Quote` of Go's `src/strconv/quote.go`, which OPA's `ast.String` uses.

use std::borrow::Cow;

/// Replaces the escapes that Go has and JSON lacks: `\a`, `\v`, `\x7f` and `\U0001f600`.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    let is_foreign = |pair: &[u8]| pair[0] == b'\\' && matches!(pair[1], b'a' | b'v' | b'x' | b'U');
    if !text.as_bytes().windows(2).any(is_foreign) {
        return Cow::Borrowed(text);
    }
    let mut json = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        json.push_str(before);
        let (letter, behind) = escape.split_at(escape.chars().next().map_or(0, char::len_utf8));
        let digits = match letter {
            "x" => behind.get(..2),
            "U" => behind.get(..8),
            _ => None,
        };
        let character = digits.and_then(|digits| char::from_u32(u32::from_str_radix(digits, 16).ok()?));
        match (letter, character) {
            ("a", _) => json.push_str("\\u0007"),
            ("v", _) => json.push_str("\\u000b"),
            (_, Some(character)) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    json.push_str(&format!("\\u{unit:04x}"));
                }
            }
            _ => {
                json.push('\\');
                json.push_str(letter);
            }
        }
        rest = &behind[character.and(digits).map_or(0, str::len)..];
    }
    json.push_str(rest);
    Cow::Owned(json)
}

#[cfg(test)]
mod tests {
    use super::json;

    #[test]
    fn texts_quoted_by_go_are_read() {
        for (go, expected) in [
            (r#"{"a":"\u00e4\n"}"#, "{\"a\":\"\u{e4}\n\"}"),
            (r#"["\a\v\x7f\U0001f600\\x41"]"#, "[\"\u{7}\u{b}\u{7f}\u{1f600}\\\\x41\"]"),
            (r#"["\x0"]"#, r#"["\x0"]"#),
        ] {
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
            let expected = expected.replace('\n', "\\n").replace('\u{7}', "\\u0007").replace('\u{b}', "\\u000b");
            assert_eq!(read(&expected), read(&json(go)), "{go}");
        }
    }
}

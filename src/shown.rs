//! Makes text safe for messages: escapes invisible characters, and hides the user and the password of a URL.

/// Whether a character shows as itself: it is visible, does not look like an ordinary space, and neither moves a terminal's
/// cursor nor reorders a line.
///
/// The others are controls, Unicode's formats (Cf) outside scripts, its spaces (Zs) and its fillers. They are listed here
/// because Unicode's tables are larger than the limit of a module.
pub fn is_visible(character: char) -> bool {
    let is_hidden = matches!(character, '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{1680}'
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
        | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}');
    !is_hidden && !character.is_control()
}

/// A text on one line, with escapes for invisible characters.
pub fn visible(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        if is_visible(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

/// The parts before and after the user and the password of a URL: `https://` and `@host`; `None` if it has no user.
pub fn around_user(text: &str) -> Option<[&str; 2]> {
    let user = text.find("://")? + "://".len();
    let host = user + text[user..].rfind('@')?;
    Some([&text[..user], &text[host..]])
}

#[cfg(test)]
mod tests {
    use super::{around_user, is_visible};

    #[test]
    fn invisible_characters_are_recognized() {
        for hidden in "\u{0}\t\n\u{1b}\u{7f}\u{85}\u{a0}\u{ad}\u{200b}\u{202e}\u{2028}\u{2066}\u{feff}\u{e0041}".chars()
        {
            assert!(!is_visible(hidden), "{hidden:?}");
        }
        for seen in "a Z~é中й😀\u{e000}\u{fffd}".chars() {
            assert!(is_visible(seen), "{seen:?}");
        }
    }

    #[test]
    fn the_user_of_a_url_ends_at_the_last_at_sign() {
        for (text, around) in [
            ("https://a:b@c.example", Some(["https://", "@c.example"])),
            ("https://a:b@c@d/e", Some(["https://", "@d/e"])),
            ("see https://a/b@c", Some(["see https://", "@c"])),
            ("https://c.example", None),
            ("docker.io/a@sha256:0", None),
        ] {
            assert_eq!(around, around_user(text), "{text}");
        }
    }
}

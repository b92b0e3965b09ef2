//! Shows fixes as a diff.

use std::path::Path;

use flytewarden_offline::{fix::Fixed, shown::around_user};
use similar::{DiffOp, TextDiff};

use crate::files::quote_for_diff;

/// Returns the changes of a file as a unified diff. Empty if there are none.
///
/// # Errors
///
/// The lines around the changes contain a Secret or a password, which must not appear in a log.
pub fn diff(fixed: &Fixed, file: &Path) -> Result<String, String> {
    // Split lines as `patch` and git do. The library would also split at other characters.
    let [old, new] = [&fixed.before, &fixed.text].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let diff = TextDiff::configure().newline_terminated(true).diff_slices(&old, &new);
    let private = private_lines(&old);
    let is_private = |line: usize| fixed.is_secret(line) || private.get(line).is_some_and(|is_private| *is_private);
    let shows_private = |context: &usize| {
        let hunks = diff.grouped_ops(*context);
        hunks.iter().flatten().flat_map(DiffOp::old_range).any(&is_private)
    };
    // With one line of context, the diff shows only the `---` of another document.
    let context = [3, 2, 1]
        .into_iter()
        .find(|context| !shows_private(context))
        .ok_or("the diff would show a password or lines of a Secret; use --write to change the file")?;
    let [before, after] = ["a", "b"].map(|side| quote_for_diff(side, file));
    Ok(diff.unified_diff().context_radius(context).header(&before, &after).to_string())
}

/// Whether each line may show a password, by its own words, or as the value of something above it that is named like one.
///
/// Nobody can know every name. This prefers to hide too much: the file can still be changed with `--write`.
fn private_lines(lines: &[&str]) -> Vec<bool> {
    let mut private: Vec<bool> = lines.iter().map(|line| around_user(line).is_some() || says_password(line)).collect();
    let mut is_pem = false;
    for (line, is_private) in lines.iter().zip(&mut private) {
        is_pem |= line.contains("-----BEGIN ");
        *is_private |= is_pem;
        is_pem &= !line.contains("-----END ") && !line.starts_with("---");
    }
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    for (number, line) in lines.iter().enumerate() {
        let key = line.trim_start_matches([' ', '\t', '-', '?', '{', '"', '\'']);
        let (key, value) = key.split_once(':').unwrap_or((key, ""));
        let is_named = key.trim() == "name" && is_secret_name(value);
        // A map or a list below is of names: `secret:` of a volume.
        let next = lines.get(number + 1).map_or("", |line| line.trim_start());
        let is_begun = is_secret_name(key)
            && match value.trim().chars().next() {
                None => !next.starts_with('-') && !next.contains(": ") && !next.trim_end().ends_with(':'),
                first => matches!(first, Some('|' | '>' | '&' | '!')),
            };
        if is_named || is_begun {
            // The value of a variable is beside its name, and other values are below their keys.
            let first = number.saturating_sub(if is_named { 2 } else { 0 });
            let own = indent(line);
            let below = lines.iter().skip(number + 1).take_while(|line| {
                let is_below = line.trim().is_empty() || indent(line) > own || is_named && indent(line) == own;
                is_below && !(is_named && line.trim_start().starts_with('-'))
            });
            let last = number + below.count();
            let is_reference = lines[first..=last].iter().any(|line| line.contains("valueFrom"));
            for (at, is_private) in private.iter_mut().enumerate().take(last + 1).skip(first) {
                let is_value = at > number || at < number && lines[at].contains("value");
                *is_private |= !is_named || is_value && !is_reference;
            }
        }
    }
    private
}

/// Whether a line holds a password by its own words: `clientSecret: hunter2`, `--password=x`, `Authorization: Bearer x`.
fn says_password(line: &str) -> bool {
    let is_of_word = |character: char| character.is_alphanumeric() || "_-.".contains(character);
    let mut rest = line;
    while let Some(start) = rest.find(is_of_word) {
        let word = &rest[start..];
        let (word, behind) = word.split_at(word.find(|character| !is_of_word(character)).unwrap_or(word.len()));
        if is_secret_name(word) && begins_with_value(behind) {
            return true;
        }
        rest = behind;
    }
    line.contains("Bearer ")
}

/// Whether what stands behind a name gives it a value.
fn begins_with_value(behind: &str) -> bool {
    let behind = behind.trim_start_matches(['"', '\'', ' ']);
    let value = [":", "=", ", value", ",\"value\""].iter().find_map(|sign| behind.strip_prefix(sign));
    value.is_some_and(|value| {
        let value = value.trim().trim_end_matches([',', '}']);
        !matches!(value, "" | "true" | "false" | "null" | "~" | "\"\"" | "''")
            && !value.starts_with(['|', '>', '{', '['])
    })
}

/// Whether something with this name is a password or a token.
fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 9] =
        ["passw", "passphrase", "pgpass", "secret", "token", "apikey", "accesskey", "privatekey", "credential"];
    // These name where a secret is, or say something about it.
    const OTHERS: [&str; 17] = [
        "name",
        "names",
        "ref",
        "refs",
        "location",
        "path",
        "file",
        "dir",
        "url",
        "uri",
        "endpoint",
        "type",
        "secrets",
        "mount",
        "enabled",
        "serviceaccounttoken",
        "lifetime",
    ];
    let name: String = name.chars().filter(|character| character.is_alphanumeric()).collect::<String>().to_lowercase();
    let is_other = OTHERS.iter().any(|end| name.ends_with(end)) || name.starts_with("secretname");
    !is_other && (PARTS.iter().any(|part| name.contains(part)) || name.ends_with("pwd") || name == "pass")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use flytewarden_offline::{fix::Fixed, manifest};
    use serde_json::{Value, json};

    use super::diff;

    /// Fixes a text in which a policy gives every Pod `runAsUser: 1`.
    fn fixed(text: &str) -> Fixed {
        let pods = manifest::objects(text).flatten().filter(|object| object.kind == "Pod");
        let filled: Vec<_> = pods
            .map(|object| {
                let mut wanted: Value = json!(object.content);
                wanted["spec"]["securityContext"] = json!({"runAsUser": 1});
                (object, wanted)
            })
            .collect();
        let mut fixed = Fixed::new(text);
        fixed.improve([].into_iter(), &filled);
        fixed
    }

    #[test]
    fn a_diff_names_the_file_and_shows_three_lines_around_a_change() {
        let fixed = fixed("kind: Pod\napiVersion: v1\nspec:\n  a: 1\n");
        let expected = "--- a/x.yaml\n+++ b/x.yaml\n@@ -2,3 +2,5 @@\n apiVersion: v1\n spec:\n   a: 1\n+  securityContext:\n+    runAsUser: 1\n";
        assert_eq!(Ok(expected.to_owned()), diff(&fixed, Path::new("x.yaml")));
    }

    #[test]
    fn a_diff_never_shows_a_secret_or_a_password() {
        let pod = "kind: Pod\napiVersion: v1\nspec: {a: 1}\n";
        let secret = "kind: Secret\napiVersion: v1\nstringData: {a: MARKER}\n";
        let url = "kind: Pod\napiVersion: v1\nspec:\n  b: https://a:MARKER@b.example\n  c: 1\n  d: 1\n";
        for (it, text, is_shown) in [
            ("before a last line that ends in nothing", format!("{pod}---\n{{\"kind\": \"Secret\", \"apiVersion\": \"v1\", \"stringData\": {{\"a\": \"MARKER\"}}}}"), true),
            ("between", format!("{secret}---\n{pod}---\n{secret}"), true),
            ("beside one that cannot be read", format!("a: [MARKER\n---\n{pod}---\nb: *MARKER\n"), true),
            ("on one line", format!("{secret}---\n{{kind: Pod, apiVersion: v1, spec: {{a: 1}}}}\n---\n{secret}"), true),
            (
                "in one list",
                "kind: List\napiVersion: v1\nitems:\n- {kind: Secret, apiVersion: v1, stringData: {a: MARKER}}\n- {kind: Pod, apiVersion: v1, spec: {a: 1}}\n".to_owned(),
                false,
            ),
            ("a password in a text", pod.replace("{a: 1}", "\n  x: 1\n  clientSecret: MARKER"), false),
            ("a variable", pod.replace("{a: 1}", "\n  env:\n  - name: DB_PASSWORD\n    value: MARKER"), false),
            ("a variable in braces", pod.replace("{a: 1}", "\n  env:\n  - {name: DB_PASSWORD, value: MARKER}"), false),
            ("a variable over several lines", pod.replace("{a: 1}", "\n  env:\n  - name: PGPASS # the db\n    # or\n    value: >-\n      MARKER"), false),
            ("a value before its name", pod.replace("{a: 1}", "\n  env:\n  - value: MARKER\n    name: DB_PASSWORD_V2"), true),
            ("a key in a text", pod.replace("{a: 1}", "\n  x: |\n    -----BEGIN PRIVATE KEY-----\n    MARKER"), false),
            ("a word before the key", pod.replace("{a: 1}", "\n  x: 1\n  a: the secret is secret=MARKER"), false),
            ("an option", pod.replace("{a: 1}", "\n  args: [--client-secret=MARKER]"), false),
            ("a block", pod.replace("{a: 1}", "\n  clientSecret: |-\n    MARKER"), false),
            ("a volume", pod.replace("{a: 1}", "\n  volumes:\n  - secret:\n      secretName: x\n  - secret: {secretName: y}"), true),
            ("names of secrets", pod.replace("{a: 1}", "\n  secretName: x\n  imagePullSecrets: [{name: y}]\n  tokenUrl: z"), true),
            ("a variable's name alone", pod.replace("{a: 1}", "\n  automountServiceAccountToken: false\n  env:\n  - name: DB_PASSWORD\n    valueFrom: {}"), true),
            ("a URL some lines away", url.to_owned(), true),
            ("a URL on the next line", url.replace("  c: 1\n  d: 1\n", ""), false),
        ] {
            let diff = diff(&fixed(&text), Path::new("x.yaml"));
            assert_eq!(is_shown, diff.as_ref().is_ok_and(|diff| diff.contains("runAsUser: 1")), "{it}: {diff:?}");
            assert!(!format!("{diff:?}").contains("MARKER"), "{it}: {diff:?}");
        }
    }
}

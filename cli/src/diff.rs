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
    let is_private = |line: usize| {
        let own = old.get(line).copied().unwrap_or_default();
        let above = line.checked_sub(1).and_then(|line| old.get(line)).copied().unwrap_or_default();
        let below = old.get(line + 1).copied().unwrap_or_default();
        fixed.is_secret(line) || around_user(own).is_some() || is_password(own) || is_variable(own, [above, below])
    };
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

/// Returns a line's key and value, if it has both.
fn entry(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.trim_start_matches([' ', '\t', '-']).split_once(':')?;
    let bare = |text: &'_ str| text.trim().trim_matches(['"', '\'']).len();
    (bare(key) > 0 && bare(value) > 0).then(|| (key.trim_matches(['"', '\'']), value.trim()))
}

/// Whether a name is that of a password or a token.
fn is_secret_name(name: &str) -> bool {
    const ENDS: [&str; 8] =
        ["password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey"];
    let name = name.trim_matches(['"', '\'']).to_lowercase().replace(['_', '-', '.'], "");
    ENDS.iter().any(|end| name.ends_with(end)) || name.ends_with("secretkey") || name.ends_with("secretaccesskey")
}

/// Whether a line sets a password, e.g. `clientSecret: hunter2`.
fn is_password(line: &str) -> bool {
    let is_value = |value: &str| {
        !matches!(value, "true" | "false" | "null" | "~") && !value.starts_with(['{', '[', '|', '>', '#'])
    };
    entry(line).is_some_and(|(key, value)| is_secret_name(key) && is_value(value))
}

/// Whether a line is the value of an environment variable whose name, on a line beside it, is that of a password.
fn is_variable(line: &str, beside: [&str; 2]) -> bool {
    let names = |line: &str| entry(line).is_some_and(|(key, name)| key == "name" && is_secret_name(name));
    entry(line).is_some_and(|(key, _)| key == "value") && beside.into_iter().any(names)
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
        let mut fixed = Fixed::of(text);
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

//! Tests violations that are ignored on purpose.

use super::{folder, path, run};

const RULE: &str = "flyte-non-root/not-proven-non-root";

fn deployment(annotation: &str, comment: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: flytepropeller
  annotations: {{flytewarden.io/ignore: \"{annotation}\"}}
spec:
  template:
    spec:
      containers:
      - name: flytepropeller {comment}
        image: a:1
"
    )
}

#[test]
fn an_annotation_or_a_comment_with_a_reason_ignores_a_violation_and_is_listed() {
    let name = "      - name:";
    let above = deployment("", "").replace(name, &format!("      # flytewarden:ignore {RULE}: tried\n{name}"));
    for (input, by) in [
        (deployment(&format!("{RULE}: tried"), ""), "annotation"),
        (deployment("", &format!("# flytewarden:ignore {RULE}: tried")), "comment"),
        (above, "comment"),
    ] {
        let run = run(&["check", "-"], &input);
        assert_eq!(Some(0), run.code, "{}", run.out);
        assert!(run.out.contains(&format!("{RULE}, ignored by {by}: tried")), "{}", run.out);
        assert!(run.out.contains("no violations, 1 violation ignored."), "{}", run.out);
        // A sentence with an ignored violation does not hold.
        assert!(run.out.contains("not shown  components run as a non-root user"), "{}", run.out);
    }
}

#[test]
fn other_rules_and_lines_are_not_ignored_and_the_unused_entry_is_reported() {
    for input in [
        deployment("flyte-non-root/runs-as-root: tried", ""),
        deployment("", "# flytewarden:ignore flyte-non-root/runs-as-root: tried"),
        format!("# flytewarden:ignore {RULE}: tried\n{}", deployment("", "")),
    ] {
        let run = run(&["check", "-"], &input);
        assert_eq!(Some(1), run.code, "{}", run.out);
        assert!(run.out.contains("which is not found there; move or remove it."), "{}", run.out);
    }
}

#[test]
fn an_ignored_violation_needs_a_known_rule_and_a_reason() {
    for (directive, problem) in [
        (RULE.to_owned(), "without a reason"),
        (format!("{RULE}:  "), "without a reason"),
        ("flyte-non-root/root: tried".to_owned(), "there is no such rule"),
        ("not-proven-non-root: tried".to_owned(), "there is no such rule"),
        ("all".to_owned(), "there is no such rule"),
    ] {
        for input in [deployment(&directive, ""), deployment("", &format!("# flytewarden:ignore {directive}"))] {
            let run = run(&["check", "-"], &input);
            assert_eq!(Some(2), run.code, "{}", run.out);
            assert!(run.out.contains(problem), "{}", run.out);
            assert!(run.out.contains("1 violation in 1 object"), "{}", run.out);
        }
    }
}

#[test]
fn a_baseline_ignores_violations_that_have_moved_and_lists_those_that_are_gone() {
    let bad = deployment("", "");
    let folder = folder(&[("bad.yaml", bad.as_bytes())]);
    let [bad_file, baseline] = ["bad.yaml", "baseline.json"].map(|file| path(&folder, file));
    let written = run(&["check", &bad_file, "--write-baseline", &baseline], "");
    assert_eq!((Some(0), format!("Wrote 1 violation to {baseline}.\n")), (written.code, written.out));
    let moved =
        bad.replace("containers:\n", "containers:\n      - {name: a, image: a:1, securityContext: {runAsUser: 1}}\n");
    let known = run(&["check", "--baseline", &baseline, "-"], &moved);
    assert_eq!(Some(0), known.code, "{}", known.out);
    assert!(known.out.contains("ignored by baseline"), "{}", known.out);
    let new = run(&["check", "--baseline", &baseline, "-"], &moved.replace("runAsUser: 1", "runAsUser: 0"));
    assert_eq!(Some(1), new.code, "{}", new.out);
    let fixed =
        run(&["check", "--baseline", &baseline, "-"], &bad.replace("image: a:1", "securityContext: {runAsUser: 1}"));
    assert_eq!(Some(0), fixed.code, "{}", fixed.out);
    assert!(fixed.out.contains("the baseline's entry for Deployment flytepropeller ignores"), "{}", fixed.out);
    // If something cannot be checked, no baseline is written.
    let unread = run(&["check", "-", "--write-baseline", &path(&folder, "none.json")], "a: b");
    assert_eq!(Some(2), unread.code, "{}", unread.out);
    assert!(!folder.path().join("none.json").exists());
    for text in ["{}", "{\"format\": \"x\", \"violations\": []}", "a"] {
        std::fs::write(folder.path().join("baseline.json"), text).unwrap();
        assert_eq!(Some(2), run(&["check", "--baseline", &baseline, "-"], &bad).code, "{text}");
    }
}

#[test]
fn sarif_marks_ignored_violations_as_suppressed() {
    let run = run(&["check", "--format", "sarif", "-"], &deployment(&format!("{RULE}: tried"), ""));
    let sarif: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(RULE, result["ruleId"]);
    assert_eq!(
        ("inSource", "tried"),
        (
            result["suppressions"][0]["kind"].as_str().unwrap(),
            result["suppressions"][0]["justification"].as_str().unwrap()
        )
    );
}

/// A pod with more violations than a policy lists.
fn many() -> String {
    let containers: String =
        (0..50).map(|number| format!("  - name: c{number}\n    securityContext: {{runAsUser: 0}}\n")).collect();
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: many}}\nspec:\n  containers:\n{containers}")
}

#[test]
fn a_baseline_of_an_object_with_unlisted_violations_is_not_written() {
    let folder = folder(&[]);
    let file = path(&folder, "baseline.json");
    let run = run(&["check", "--write-baseline", &file, "-"], &many());
    assert_eq!(Some(2), run.code, "{}", run.out);
    assert!(run.out.contains("a baseline needs every violation, and there are 30 more in this object"), "{}", run.out);
    assert!(!folder.path().join("baseline.json").exists());
}

#[test]
fn unlisted_violations_are_reported_if_the_listed_ones_are_off() {
    let skipped = ["check", "--skip", "flyte-non-root/runs-as-root", "-"];
    let text = run(&skipped, &many());
    assert_eq!(Some(1), text.code, "{}", text.out);
    let unlisted = "and 30 more in this object, not listed; some may be ignored or of a rule that is off\n";
    assert!(text.out.contains(unlisted), "{}", text.out);
    assert!(text.out.contains("1 object checked: 30 violations in 1 object."), "{}", text.out);
    let junit = run(&[&skipped[..3], &["--format", "junit", "-"]].concat(), &many());
    assert!(junit.out.contains("failures=\"1\""), "{}", junit.out);
}

#[test]
fn markdown_says_which_rules_are_off() {
    let run = run(&["check", "--skip", RULE, "--format", "markdown", "-"], &deployment("", ""));
    assert!(run.out.contains("## Flytewarden: no violations of the rules that are on\n"), "{}", run.out);
    let off = "- ⚠️ Not reported, since the rules are off: flyte-non-root/not-proven-non-root (1).\n";
    assert!(run.out.contains(off), "{}", run.out);
}

#[test]
fn a_baseline_does_not_accept_more_violations_than_it_counts() {
    let origins = |more: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: flyte-admin-config}}\ndata: {{server.yaml: 'server: {{security: {{allowCors: true, allowedOrigins: [https://a.example.com/{more}]}}}}'}}\n"
        )
    };
    let folder = folder(&[("a.yaml", origins("").as_bytes())]);
    let [file, baseline] = ["a.yaml", "baseline.json"].map(|name| path(&folder, name));
    assert_eq!(Some(0), run(&["check", "--write-baseline", &baseline, &file], "").code);
    assert_eq!(Some(0), run(&["check", "--baseline", &baseline, &file], "").code);
    std::fs::write(&file, origins(", https://evil.example.com/")).unwrap();
    let more = run(&["check", "--baseline", &baseline, &file], "");
    assert_eq!(Some(1), more.code, "{}", more.out);
    assert!(more.out.contains("1 violation in 1 object, 1 violation ignored"), "{}", more.out);
    std::fs::write(&baseline, "[]").unwrap();
    let wrong = run(&["check", "--baseline", &baseline, &file], "");
    assert!(wrong.err.contains("it is not a baseline; --write-baseline writes one"), "{}", wrong.err);
}

#[test]
fn comments_above_a_line_apply_to_it_together_and_misspelt_ones_are_reported() {
    let other = "flyte-non-root/runs-as-root";
    let name = "      - name:";
    let stacked =
        format!("      # flytewarden:ignore {RULE}: tried\n      # flytewarden:ignore {other}: tried\n{name}");
    let run_on = |text: &str| run(&["check", "-"], text);
    let out = run_on(&deployment("", "").replace(name, &stacked)).out;
    assert!(out.contains("1 violation ignored"), "{out}");
    for comment in ["# flytewarden: ignore", "# Flytewarden-ignore"] {
        let wrong = run_on(&deployment("", &format!("{comment} {RULE}: tried")));
        assert_eq!(Some(2), wrong.code, "{}", wrong.out);
        assert!(wrong.out.contains("the comment is not read; write # flytewarden:ignore"), "{}", wrong.out);
    }
    let key =
        run_on(&deployment(&format!("{RULE}: tried"), "").replace("flytewarden.io/ignore", "flytewarden.io/ignores"));
    assert!(
        key.out.contains("there is no annotation flytewarden.io/ignores; write flytewarden.io/ignore"),
        "{}",
        key.out
    );
}

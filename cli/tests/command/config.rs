//! Tests the configuration file and its options.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use crate::{BAD, GOOD, Run, flytewarden, folder, path, root, run};

/// Runs the command in a folder, or in a folder below it.
fn run_in(folder: &TempDir, below: &str, arguments: &[&str]) -> Run {
    let output = flytewarden().args(arguments).current_dir(folder.path().join(below)).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    Run { code: output.status.code(), out, err }
}

#[test]
fn the_file_is_found_upwards_and_its_paths_are_relative_to_it() {
    let config = "exclude: [other]\nfail-on: never\noutput: {sarif: out.sarif}\n";
    let folder = folder(&[
        ("flytewarden.yaml", config.as_bytes()),
        ("a/b/bad.yaml", BAD.as_bytes()),
        ("other/broken.yaml", b"a: ["),
    ]);
    let run = run_in(&folder, "a/b", &["check", folder.path().to_str().unwrap()]);
    assert_eq!(Some(0), run.code, "{}", run.out);
    assert!(run.out.contains("\nOptions from "), "{}", run.out);
    assert!(folder.path().join("out.sarif").is_file());
}

#[test]
fn an_option_on_the_command_line_replaces_the_value_in_the_file() {
    let folder = folder(&[
        ("flytewarden.yaml", b"fail-on: never\nskip: [runs-as-root]\nbaseline: absent.json\n"),
        ("bad.yaml", BAD.as_bytes()),
    ]);
    let with = |arguments: &[&str]| run_in(&folder, "", &[&["check", "bad.yaml"], arguments].concat());
    let written = with(&["--write-baseline", "base.json", "--skip", "any-origin"]);
    assert_eq!((Some(0), "Wrote 1 violation to base.json.\n"), (written.code, &*written.out), "{}", written.err);
    assert_eq!(Some(0), with(&["--baseline", "base.json", "--skip", "any-origin"]).code);
    fs::write(folder.path().join("flytewarden.yaml"), "fail-on: never\n").unwrap();
    assert_eq!(Some(1), with(&["--fail-on", "high"]).code);
}

#[test]
fn an_invalid_file_is_reported_with_its_line_and_nothing_is_checked() {
    for (config, problem) in [
        ("failon: high", "line 1: unknown key failon; did you mean fail-on?"),
        ("a: b\n", "line 1: unknown key a"),
        ("fix: true", "line 1: unknown key fix"),
        ("\nfail-on: huge", "line 2: fail-on: invalid value 'huge'"),
        ("quiet: maybe", "line 1: quiet must be true or false"),
        ("policy: {a: b}", "line 1: policy must be a string or a list of strings"),
        ("policy:\n- a\n- [b]", "line 3: policy must be a string or a list of strings"),
        ("timeout: 0", "line 1: timeout: invalid value '0'"),
        ("output: [a]", "line 1: output: invalid value 'a'"),
        ("- a", "line 1: must be a map from options to their values"),
        ("a: [b", "line 1: invalid YAML: "),
        ("settings: [a]", "line 1: settings: must be a map from policy names to their settings"),
        (
            "settings:\n  flyte-non-rot: {}",
            "line 2: settings: unknown policy flyte-non-rot; did you mean flyte-non-root?",
        ),
        (
            "settings:\n  flyte-non-root:\n    groups: nonZero\n    levle:\n      restricted",
            "line 4: settings: flyte-non-root: unknown field `levle`",
        ),
        (
            "settings:\n  flyte-admin-cors:\n    requiredOrigins:\n      a: b",
            "line 3: settings: flyte-admin-cors: requiredOrigins: must be a list",
        ),
        ("settings: absent.yaml", "settings absent.yaml: No such file"),
    ] {
        let folder = folder(&[("flytewarden.yaml", config.as_bytes()), ("bad.yaml", BAD.as_bytes())]);
        for command in ["check", "fix"] {
            let run = run_in(&folder, "", &[command, "bad.yaml"]);
            assert_eq!((Some(2), ""), (run.code, &*run.out), "{config}");
            let expected = match problem.starts_with("line") || problem.starts_with("must") {
                true => format!("error: configuration flytewarden.yaml: {problem}"),
                false => format!("error: {problem}"),
            };
            assert!(run.err.starts_with(&expected), "{config}: {}", run.err);
        }
    }
}

#[test]
fn programs_get_a_report_in_their_format_if_the_check_cannot_start() {
    let folder = folder(&[("wrong.yaml", b"flyte-non-root: {levle: restricted}"), ("bad.yaml", BAD.as_bytes())]);
    let with = |format: &str| {
        let run = run_in(&folder, "", &["check", "--settings", "wrong.yaml", "--format", format, "bad.yaml"]);
        assert_eq!(Some(2), run.code);
        assert!(run.err.contains("unknown field `levle`"), "{}", run.err);
        run.out
    };
    let report: Value = serde_json::from_str(&with("json")).unwrap();
    assert_eq!(
        ("wrong.yaml", 1),
        (report["unjudged"][0]["file"].as_str().unwrap(), report["summary"]["unjudged"].as_u64().unwrap())
    );
    let log: Value = serde_json::from_str(&with("sarif")).unwrap();
    assert_eq!(false, log["runs"][0]["invocations"][0]["executionSuccessful"]);
    let junit = quick_junit::Report::deserialize_from_str(&with("junit")).unwrap();
    assert_eq!((1, 0), (junit.errors, junit.failures));

    let run = run_in(&folder, "", &["check", "--settings", "wrong.yaml", "--output", "sarif=out.sarif", "bad.yaml"]);
    assert_eq!((Some(2), ""), (run.code, &*run.out));
    let log: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("out.sarif")).unwrap()).unwrap();
    assert_eq!(false, log["runs"][0]["invocations"][0]["executionSuccessful"]);
}

#[test]
fn config_prints_a_configuration_file_with_the_source_of_each_value() {
    let config = "fail-on: medium\nnamespaces: [flyte, other]\nsettings: {flyte-non-root: {level: restricted}}\n";
    let first = folder(&[("flytewarden.yaml", config.as_bytes())]);
    let printed = run_in(&first, "", &["config"]);
    assert_eq!((Some(0), ""), (printed.code, &*printed.err));
    for line in [
        "# flytewarden.yaml",
        "fail-on: \"medium\" # line 1",
        "namespaces: [\"flyte\",\"other\"] # line 2",
        "namespace: \"default\" # default",
        "  flyte-non-root: {\"level\":\"restricted\"}",
    ] {
        assert!(printed.out.lines().any(|printed| printed == line), "{line}\n{}", printed.out);
    }
    let again = run_in(&folder(&[("flytewarden.yaml", printed.out.as_bytes())]), "", &["config"]);
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split(" # ").next().unwrap().to_owned())
            .filter(|line| !line.starts_with('#'))
            .collect()
    };
    assert_eq!(values(&printed.out), values(&again.out), "{}", again.err);

    let none = run_in(&folder(&[("a", b"")]), "", &["config"]);
    assert!(none.out.starts_with("# There is no flytewarden.yaml in this directory or above it."), "{}", none.out);
}

#[test]
fn the_schema_in_docs_is_up_to_date_and_complete() {
    let file = root().join("docs/flytewarden.schema.json");
    let printed = run(&["config", "--schema"], "").out;
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &printed).unwrap();
    }
    assert!(fs::read_to_string(&file).unwrap() == printed, "BLESS=1 makes it anew");
    let schema: Value = serde_json::from_str(&printed).unwrap();
    let level = "/properties/settings/anyOf/1/properties/flyte-non-root/properties/level/anyOf/0/enum";
    assert!(schema.pointer(level).unwrap().as_array().unwrap().contains(&"restricted".into()));
    assert_eq!("array", schema["properties"]["skip"]["anyOf"][1]["type"]);
}

#[test]
fn findings_of_rules_that_are_off_are_counted_and_their_requirement_is_not_shown() {
    let bad = &GOOD.replace("runAsUser: 1", "runAsUser: 0");
    let skipped = run(&["check", "--skip", "runs-as-root", "-"], bad);
    assert_eq!(Some(0), skipped.code);
    assert!(
        skipped.out.contains("Not reported, since the rules are off: flyte-non-root/runs-as-root (1).\n"),
        "{}",
        skipped.out
    );
    assert!(
        skipped.out.contains(
            "not shown  components run as a non-root user\n             Pod good: flyte-non-root/runs-as-root is off\n"
        ),
        "{}",
        skipped.out
    );
    let only = run(&["check", "--rule", "flyte-non-root/never-starts", "--format", "json", "-"], bad);
    let report: Value = serde_json::from_str(&only.out).unwrap();
    assert_eq!((Some(0), Some(1)), (only.code, report["rulesOff"]["flyte-non-root/runs-as-root"].as_u64()));

    let policy = run(&["check", "--skip", "flyte-oauth-tls", "-"], BAD);
    assert!(policy.out.contains("the policy flyte-oauth-tls was not run"), "{}", policy.out);
    for (option, name, problem) in [
        ("--skip", "runs-as-rot", "error: --skip: unknown rule `runs-as-rot`; did you mean `runs-as-root`?\n"),
        ("--rule", "flyte-nonroot", "error: --rule: unknown rule `flyte-nonroot`; did you mean `flyte-non-root`?\n"),
    ] {
        let wrong = run(&["check", option, name, "-"], BAD);
        assert_eq!(Some(2), wrong.code);
        assert!(wrong.err.starts_with(problem), "{}", wrong.err);
    }
}

#[test]
fn a_level_decides_which_findings_fail_the_check() {
    for (level, bad) in [("high", 1), ("medium", 1), ("low", 1), ("violation", 1), ("notice", 1), ("never", 0)] {
        assert_eq!(Some(bad), run(&["check", "--fail-on", level, "-"], BAD).code, "{level}");
        assert_eq!(Some(0), run(&["check", "--fail-on", level, "-"], GOOD).code, "{level}");
    }
    let low = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: flyte-admin-config, namespace: flyte}
data: {server.yaml: 'server: {security: {allowCors: true, allowedOrigins: [https://console.example.com/]}}'}
";
    for (level, code) in [("high", 0), ("medium", 0), ("low", 1)] {
        assert_eq!(Some(code), run(&["check", "--fail-on", level, "-"], low).code, "{level}");
    }
}

#[test]
fn a_quiet_check_prints_only_violations() {
    let quiet = run(&["check", "--quiet", "-"], BAD);
    assert_eq!(Some(1), quiet.code);
    assert!(
        quiet.out.starts_with("Pod bad  <stdin>:1\n  ✗ ") && quiet.out.ends_with("that the image can run as\n\n"),
        "{}",
        quiet.out
    );
    let good = run(&["check", "-q", "-"], GOOD);
    assert_eq!((Some(0), "", ""), (good.code, &*good.out, &*good.err));
    let broken = run(&["check", "-q", "-"], "a: [");
    assert_eq!(Some(2), broken.code);
    assert!(broken.out.starts_with("not checked  <stdin>:1"), "{}", broken.out);
}

#[test]
fn colour_can_be_switched_on_and_off() {
    assert!(run(&["--color", "always", "check", "-"], BAD).out.contains('\u{1b}'));
    assert!(!run(&["check", "--color", "never", "-"], BAD).out.contains('\u{1b}'));
}

#[test]
fn settings_can_be_a_kubewarden_policy() {
    let policy = |name: &str, module: &str| {
        format!(
            "apiVersion: policies.kubewarden.io/v1\nkind: {name}\nmetadata: {{name: x}}\nspec:\n  module: {module}\n  settings:\n    {}\n",
            if module.contains("/flytewarden:") { "flyte-non-root: {exceptions: []}" } else { "exceptions: []" }
        )
    };
    let run_with = |text: &str| {
        let folder = folder(&[("policy.yaml", text.as_bytes())]);
        run(&["check", "--settings", &path(&folder, "policy.yaml"), "-"], BAD)
    };
    for module in ["flyte-non-root:v0.1.0", "flyte-non-root-image-user@sha256:00", "flytewarden:v1"] {
        let text = policy("ClusterAdmissionPolicy", &format!("registry://ghcr.io/flytewarden/policies/{module}"));
        let run = run_with(&text);
        assert!(run.out.contains("policy.yaml: flyte-non-root.exceptions.\n"), "{module}: {}{}", run.out, run.err);
    }
    let other = run_with(&policy("AdmissionPolicy", "registry://ghcr.io/kubewarden/policies/other:v1"));
    assert!(
        other
            .err
            .contains("line 5: the module registry://ghcr.io/kubewarden/policies/other:v1 is not one of the policies"),
        "{}",
        other.err
    );
    let own = root().join("policies/flyte-non-root/policy.yaml");
    assert_eq!(Some(1), run(&["check", "--settings", own.to_str().unwrap(), "-"], BAD).code);
}

#[test]
fn completion_and_manual_pages_know_every_subcommand() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completion", shell], "").out;
        assert!(script.contains("write-baseline"), "{shell}: {script}");
    }
    let pages = folder(&[("a", b"")]);
    assert_eq!(Some(0), run(&["man", pages.path().to_str().unwrap()], "").code);
    let page = |name: &str| fs::read_to_string(Path::new(pages.path()).join(name)).unwrap();
    assert!(page("flytewarden-check.1").contains("fail\\-on"), "{}", page("flytewarden-check.1"));
    for name in ["flytewarden.1", "flytewarden-fix.1", "flytewarden-config.1", "flytewarden-explain.1"] {
        assert!(page(name).starts_with(".ie"), "{}", page(name));
    }
    assert_eq!(format!("flytewarden {}\n", env!("CARGO_PKG_VERSION")), run(&["--version"], "").out);
}

#[test]
fn a_wrong_name_in_the_file_is_reported_with_its_line() {
    for (key, problem) in [
        ("skip: [oauth-tls]", "skip: unknown rule `oauth-tls`"),
        ("policy: [cors]", "policy: there is no policy `cors`"),
    ] {
        let folder = folder(&[
            ("flytewarden.yaml", format!("fail-on: low\n{key}\n").as_bytes()),
            ("good.yaml", GOOD.as_bytes()),
        ]);
        let output = crate::flytewarden().args(["check", "good.yaml"]).current_dir(folder.path()).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.starts_with(&format!("error: configuration flytewarden.yaml: line 2: {problem}")), "{err}");
    }
}

#[test]
fn rules_of_policies_that_are_not_run_are_refused() {
    let run = run(&["check", "--policy", "flyte-non-root", "--rule", "any-origin", "-"], GOOD);
    assert_eq!((Some(2), "error: --rule any-origin: no policy with this rule is run\n"), (run.code, &*run.err));
}

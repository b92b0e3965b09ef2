//! Tests the report for programs: JSON, SARIF and JUnit.

use std::fs;

use serde_json::Value;

use crate::{BAD, GOOD, SERVICE, folder, root, run};

#[test]
fn json_has_every_count_and_place() {
    let run = run(&["check", "--format", "json", "-"], &format!("{GOOD}---\n{BAD}---\n{SERVICE}---\na: [\n"));
    assert_eq!(Some(2), run.code);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!("flytewarden-report/v1", report["format"]);
    let counts = serde_json::json!({
        "judged": 2, "refused": 1, "violations": 1, "high": 1, "medium": 0, "low": 0, "ignored": 0, "notices": 0, "unjudged": 1, "outOfScope": 1
    });
    assert_eq!(counts, report["summary"]);
    assert_eq!(serde_json::json!({"Service": 1}), report["outOfScope"]);
    let violation = &report["objects"][1]["violations"][0];
    assert_eq!((11, "runs-as-root"), (violation["line"].as_u64().unwrap(), violation["rule"].as_str().unwrap()));
    assert_eq!(4, report["unjudged"][0]["document"]);
}

#[test]
fn the_printed_json_matches_the_documentation() {
    let document = fs::read_to_string(root().join("docs/json-report.md")).unwrap();
    let block = |language: &str| {
        let start = document.split_once(&format!("```{language}\n")).expect(language).1;
        start.split_once("```").expect("a closed block").0.to_owned()
    };
    let run = run(&["check", "--format", "json", "-"], &block("yaml"));
    let documented: Value = serde_json::from_str(&block("json")).unwrap();
    let mut printed: Value = serde_json::from_str(&run.out).unwrap();
    // The document leaves out other policies that check these objects.
    for (printed, documented) in
        printed["objects"].as_array_mut().unwrap().iter_mut().zip(documented["objects"].as_array().unwrap())
    {
        let policies = printed["policies"].as_array_mut().unwrap();
        policies.retain(|policy| documented["policies"].as_array().unwrap().contains(policy));
    }
    assert_eq!(documented, printed, "{}", run.out);
}

#[test]
fn sarif_describes_a_rule_like_explain() {
    let log: Value = serde_json::from_str(&run(&["check", "--format", "sarif", "-"], BAD).out).unwrap();
    let described = &log["runs"][0]["tool"]["driver"]["rules"][0];
    let explained: Value = serde_json::from_str(&run(&["explain", "runs-as-root", "--json"], "").out).unwrap();
    let explained = &explained[0];
    assert_eq!(explained["summary"], described["shortDescription"]["text"]);
    assert_eq!(explained["help"], described["help"]["text"]);
    assert_eq!(explained["page"], described["helpUri"]);
    let readme = fs::read_to_string(root().join("policies/flyte-non-root/README.md")).unwrap();
    let (_, row) = described["helpUri"].as_str().unwrap().split_once("/policies/flyte-non-root/README.md#").unwrap();
    assert!(readme.contains(&format!("<a id=\"{row}\"></a>")), "{row}");
}

#[test]
fn a_finding_in_a_file_of_a_config_map_has_the_line_of_the_manifest() {
    let head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: flyte-admin-config}\ndata:\n";
    let server = "server:\n      security:\n        allowedOrigins:\n        - ";
    let files = [
        (format!("  server.yaml: |\n    {server}'*'\n"), 9),
        (format!("  server.yaml: |+\n\n   \n    # comment\n    {server}'*'\n\n"), 12),
        (format!("  server.yaml:\n    |-\n    {server}'*'\n"), 10),
        (format!("  server.yaml: |\n    {server}'https://a.example\n"), 9),
        ("  server.yaml: 'server: {security: {allowedOrigins: [\"*\"]}}'\n".to_owned(), 5),
        ("  server.yaml: \"server:\\n  security:\\n    allowedOrigins: ['*']\"\n".to_owned(), 5),
    ];
    let folder = folder(&[]);
    for (number, (file, _)) in files.iter().enumerate() {
        fs::write(folder.path().join(format!("{number}.yaml")), format!("{head}{file}")).unwrap();
    }
    let run = run(&["check", "--format", "json", folder.path().to_str().unwrap()], "");
    let report: Value = serde_json::from_str(&run.out).unwrap();
    for (number, (file, line)) in files.iter().enumerate() {
        assert_eq!(*line, report["objects"][number]["violations"][0]["line"], "{file}{}", run.out);
    }
}

#[test]
fn sarif_has_the_place_of_findings_and_the_unchecked_objects() {
    let run = run(&["check", "--format", "sarif", "-"], &format!("{BAD}---\na: [\n"));
    assert_eq!(Some(2), run.code);
    let log: Value = serde_json::from_str(&run.out).unwrap();
    let of_run = &log["runs"][0];
    let found = &of_run["results"][0];
    assert_eq!(
        ("flyte-non-root/runs-as-root", "error"),
        (found["ruleId"].as_str().unwrap(), found["level"].as_str().unwrap())
    );
    let place = &found["locations"][0]["physicalLocation"];
    assert_eq!("%3Cstdin%3E", place["artifactLocation"]["uri"]);
    assert_eq!(6, place["region"]["startLine"]);
    assert_eq!(found["ruleId"], of_run["tool"]["driver"]["rules"][0]["id"]);
    assert_eq!(false, of_run["invocations"][0]["executionSuccessful"]);
    let told = &of_run["invocations"][0]["toolExecutionNotifications"][0];
    assert_eq!("error", told["level"]);
    assert!(told["message"]["text"].as_str().unwrap().starts_with("not checked: "), "{told}");
}

#[test]
#[cfg(feature = "modules")]
fn sarif_names_files_as_uris_do_and_other_peoples_modules_by_their_name() {
    let folder = folder(&[("a b#ü.yaml", BAD.as_bytes())]);
    let file = crate::path(&folder, "a b#ü.yaml");
    let run = run(&["check", "--format", "sarif", "--module", "dist/flytewarden.wasm", &file], "");
    let log: Value = serde_json::from_str(&run.out).unwrap();
    let uri = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert!(uri.as_str().unwrap().ends_with("/a%20b%23%C3%BC.yaml"), "{uri}");
    assert_eq!("flyte-non-root/runs-as-root", log["runs"][0]["results"][0]["ruleId"]);
}

#[test]
fn junit_has_a_test_for_each_object_under_each_policy() {
    let run = run(&["check", "--format", "junit", "-"], &format!("{GOOD}---\n{BAD}---\na: [\n"));
    assert_eq!(Some(2), run.code);
    let report = quick_junit::Report::deserialize_from_str(&run.out).unwrap();
    let suite = &report.test_suites[0];
    assert_eq!((1, 1), (suite.failures, suite.errors), "{}", run.out);
    assert_eq!("<stdin>", suite.name.as_str());
    let of_bad = suite.test_cases.iter().filter(|case| case.name.as_str() == "Pod bad in <stdin>");
    let policies: Vec<&str> = of_bad.filter_map(|case| case.classname.as_deref()).collect();
    assert_eq!(["flyte-non-root"][..], policies);
    assert_eq!(3, suite.tests);
    let sentences = &report.test_suites[1];
    assert_eq!(("Flyte's Security Overview", 6, 0), (sentences.name.as_str(), sentences.tests, sentences.failures));
    assert!(run.out.contains("<failure message=\"runs-as-root\" type=\"high\">line "), "{}", run.out);
    assert!(run.out.contains("<error message=\"not checked\">line "), "{}", run.out);
}

#[test]
#[cfg(feature = "modules")]
fn junit_of_a_module_with_several_policies_has_no_test_that_passes_beside_one_that_fails() {
    let odd = BAD.replace("name: bad", "name: \"bad\\uFFFF\"");
    let run = run(&["check", "--format", "junit", "--module", "dist/flytewarden.wasm", "-"], &odd);
    let report = quick_junit::Report::deserialize_from_str(&run.out).unwrap();
    let suite = &report.test_suites[0];
    assert_eq!((1, 1), (suite.tests, suite.failures), "{}", run.out);
    assert!(run.out.contains("Pod bad\u{fffd}"), "{}", run.out);
}

#[test]
fn junit_has_the_number_of_unlisted_violations() {
    let root = "securityContext: {runAsUser: 0}";
    let containers: String = (0..30).map(|number| format!("{{name: c{number}, {root}}}, ")).collect();
    let pod = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: many}}\nspec: {{containers: [{containers}]}}\n");
    let run = run(&["check", "--format", "junit", "-"], &pod);
    assert!(run.out.contains("and 10 more in this object, not listed"), "{}", run.out);
}

#[test]
fn one_run_writes_several_formats() {
    let folder = crate::folder(&[]);
    let file = |name: &str| crate::path(&folder, name);
    let outputs = ["sarif=a.sarif", "junit=b.xml", "json=c.json", "text=d.txt"].map(|output| {
        let (format, name) = output.split_once('=').unwrap();
        format!("--output={format}={}", file(name))
    });
    let mut arguments = vec!["check", "-"];
    arguments.extend(outputs.iter().map(String::as_str));
    let found = run(&arguments, BAD);
    assert_eq!(Some(1), found.code, "{}", found.err);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(found.out, read("d.txt"));
    for (name, format) in [("a.sarif", "sarif"), ("b.xml", "junit"), ("c.json", "json")] {
        assert_eq!(run(&["check", "--format", format, "-"], BAD).out, read(name), "{format}");
    }
    for wrong in ["sarif", "xml=a", "sarif=/nowhere/a"] {
        assert_eq!(Some(2), run(&["check", "--output", wrong, "-"], BAD).code, "{wrong}");
    }
}

#[test]
fn fail_on_selects_the_findings_that_fail_a_run() {
    let notice = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: flyte-admin-base-config, namespace: flyte}\ndata: {server.yaml: 'security: {allowCors: true}'}\n";
    for (input, codes) in [(GOOD, [0, 0, 0]), (BAD, [1, 1, 0]), ("a: b", [2, 2, 2])] {
        for (level, code) in ["notice", "violation", "never"].into_iter().zip(codes) {
            let found = run(&["check", "--fail-on", level, "-"], input);
            assert_eq!(Some(code), found.code, "{level}: {}", found.out);
        }
    }
    let noticed = run(&["check", "--fail-on", "notice", "-"], notice);
    assert!(noticed.out.contains("notice") && noticed.code == Some(1), "{}", noticed.out);
}

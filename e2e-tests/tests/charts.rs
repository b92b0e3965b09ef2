//! Real renderings of Flyte's own charts, where they are beside the repository.

use std::path::Path;

use flytewarden_cli::{
    check::Check,
    engine::{EMBEDDED, Module},
    settings::Settings,
};
use flytewarden_e2e::charts;

/// The violations in a chart, each as its object, its line and its rule. `None`, said aloud, where the chart is absent.
fn violations(chart: &str, settings: &str) -> Option<Vec<String>> {
    let Some(charts) = charts() else {
        eprintln!("SKIPPED: {chart} is not beside the repository, so it was not checked");
        return None;
    };
    let engine = wasmtime::Engine::default();
    let modules: Vec<Module> =
        EMBEDDED.iter().map(|(_, bytes)| Module::load(&engine, bytes).expect("the module loads")).collect();
    let settings = Settings::read(settings, &modules).expect("the settings are good");
    let check = Check { modules: &modules, settings: &settings, namespace: "flyte" };
    let report = check.run(&[charts.join(Path::new(chart))]);
    assert_eq!(0, report.summary.unjudged, "{:?}", report.unjudged);
    let mut found = Vec::new();
    for object in &report.objects {
        for violation in &object.violations {
            found.push(format!("{} line {} {}", object.place.title(), violation.line, violation.rule));
        }
    }
    Some(found)
}

#[test]
fn v0_19_1_has_the_two_documented_exceptions_and_one_violation() {
    if let Some(found) = violations("flyte-v0.19.1-gcp.yaml", "") {
        assert_eq!(vec!["CronJob flyte/syncresources line 1398 not-proven-non-root"], found);
    }
}

#[test]
fn v0_19_1_without_exceptions_has_three_objects_refused() {
    if let Some(found) = violations("flyte-v0.19.1-gcp.yaml", "flyte-non-root: {exceptions: []}") {
        let expected = vec![
            "Deployment flyte/flyteadmin line 843 runs-as-root",
            "Deployment flyte/datacatalog line 1065 runs-as-root",
            "CronJob flyte/syncresources line 1398 not-proven-non-root",
        ];
        assert_eq!(expected, found);
    }
}

#[test]
fn v1_16_8_has_one_violation() {
    if let Some(found) = violations("flyte-v1.16.8-eks.yaml", "") {
        assert_eq!(vec!["Deployment flyte/syncresources line 1132 not-proven-non-root"], found);
    }
}

#[test]
fn v1_16_8_has_flytepropeller_too_at_restricted() {
    if let Some(found) = violations("flyte-v1.16.8-eks.yaml", "flyte-non-root: {level: restricted}") {
        let expected = vec![
            "Deployment flyte/syncresources line 1132 not-proven-non-root",
            "Deployment flyte/flytepropeller line 1465 not-proven-non-root",
        ];
        assert_eq!(expected, found);
    }
}

#[test]
fn v0_13_0_runs_nearly_everything_as_root() {
    if let Some(found) = violations("flyte-v0.13.0-sandbox.yaml", "") {
        let objects: std::collections::BTreeSet<_> =
            found.iter().filter_map(|line| line.split(" line ").next()).collect();
        assert_eq!(10, objects.len(), "{objects:?}");
        assert!(found.iter().all(|line| !line.contains("check-db-ready")));
    }
}

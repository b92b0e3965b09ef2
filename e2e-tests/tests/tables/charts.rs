//! Tests with real renderings of Flyte's own charts, if they are next to the repository.

use std::sync::LazyLock;

use flytewarden_cli::{check::check, diff::diff, inputs::Inputs};
use flytewarden_e2e::{charts, native};
use flytewarden_offline::{
    check::Check,
    fix::Fixed,
    images::Images,
    linked::Linked,
    report::{Judged, Namespaces, Report},
    settings::Settings,
};
use libtest_mimic::{Failed, Trial};

/// A title, the chart's file, the policy, its settings, and its violations: each with the object and its line, the container or the
/// place in a file, and the rule.
const CHARTS: [(&str, &str, &str, &str, &[&str]); 18] = [
    (
        "v0.13.0 with the users of Flyte's charts has violations in other people's pods alone",
        "flyte-v0.13.0-sandbox.yaml",
        "flyte-non-root",
        "flyte-non-root: {fill: flyte}",
        &[
            "Deployment flyte/minio:3130 create-bucket not-proven-non-root",
            "Deployment flyte/minio:3113 minio not-proven-non-root",
            "Deployment flyte/postgres:3157 postgres not-proven-non-root",
            "DaemonSet projectcontour/envoy:3516 envoy-initconfig not-proven-non-root",
            "DaemonSet projectcontour/envoy:3444 shutdown-manager not-proven-non-root",
            "DaemonSet projectcontour/envoy:3465 envoy not-proven-non-root",
        ],
    ),
    (
        "v0.19.1 with the users of Flyte's charts has no violation",
        "flyte-v0.19.1-gcp.yaml",
        "flyte-non-root",
        "flyte-non-root: {fill: flyte}",
        &[],
    ),
    (
        "v1.16.8 with the users of Flyte's charts has no violation at restricted either",
        "flyte-v1.16.8-eks.yaml",
        "flyte-non-root",
        "flyte-non-root: {fill: flyte, level: restricted}",
        &[],
    ),
    (
        "v0.19.1 has the two documented exceptions and one violation",
        "flyte-v0.19.1-gcp.yaml",
        "flyte-non-root",
        "",
        &["CronJob flyte/syncresources:1398 sync-cluster-resources not-proven-non-root"],
    ),
    (
        "v0.19.1 without exceptions has three objects refused",
        "flyte-v0.19.1-gcp.yaml",
        "flyte-non-root",
        "flyte-non-root: {exceptions: []}",
        &[
            "Deployment flyte/flyteadmin:843 check-db-ready runs-as-root",
            "Deployment flyte/datacatalog:1065 check-db-ready runs-as-root",
            "CronJob flyte/syncresources:1398 sync-cluster-resources not-proven-non-root",
        ],
    ),
    (
        "v1.16.8 has one violation",
        "flyte-v1.16.8-eks.yaml",
        "flyte-non-root",
        "",
        &["Deployment flyte/syncresources:1132 sync-cluster-resources not-proven-non-root"],
    ),
    (
        "v1.16.8 has flytepropeller too at restricted",
        "flyte-v1.16.8-eks.yaml",
        "flyte-non-root",
        "flyte-non-root: {level: restricted}",
        &[
            "Deployment flyte/syncresources:1132 sync-cluster-resources not-proven-non-root",
            "Deployment flyte/flytepropeller:1465 flytepropeller not-proven-non-root",
        ],
    ),
    (
        "v0.13.0 allows every origin",
        "flyte-v0.13.0-sandbox.yaml",
        "flyte-admin-cors",
        "",
        &["ConfigMap flyte/flyte-admin-config-7gmg5ffhdd:2168 server.security.allowedOrigins[0] any-origin"],
    ),
    (
        "v0.19.1 allows every origin",
        "flyte-v0.19.1-gcp.yaml",
        "flyte-admin-cors",
        "",
        &["ConfigMap flyte/flyte-admin-config:214 server.security.allowedOrigins[0] any-origin"],
    ),
    (
        "v1.16.8 allows every origin",
        "flyte-v1.16.8-eks.yaml",
        "flyte-admin-cors",
        "",
        &["ConfigMap flyte/flyte-admin-base-config:203 server.security.allowedOrigins[0] any-origin"],
    ),
    (
        "v1.16.8 has no origin that a console needs",
        "flyte-v1.16.8-eks.yaml",
        "flyte-admin-cors",
        "flyte-admin-cors: {requiredOrigins: [https://console.example.com]}",
        &[
            "ConfigMap flyte/flyte-admin-base-config:203 server.security.allowedOrigins[0] any-origin",
            "ConfigMap flyte/flyte-admin-base-config:203 server.security.allowedOrigins required-origin-missing",
        ],
    ),
    ("v0.13.0 tells flyteconsole nothing", "flyte-v0.13.0-sandbox.yaml", "flyte-console-url", "", &[]),
    ("v0.19.1 tells flyteconsole nothing", "flyte-v0.19.1-gcp.yaml", "flyte-console-url", "", &[]),
    ("v1.16.8 tells flyteconsole nothing", "flyte-v1.16.8-eks.yaml", "flyte-console-url", "", &[]),
    (
        "v1.16.8 leaves nothing about flyteconsole unchecked",
        "flyte-v1.16.8-eks.yaml",
        "flyte-console-url",
        "flyte-console-url: {requireCrossCheck: true}",
        &[],
    ),
    ("v0.13.0 brings no certificate of its own", "flyte-v0.13.0-sandbox.yaml", "flyte-oauth-tls", "", &[]),
    ("v0.19.1 brings no certificate of its own", "flyte-v0.19.1-gcp.yaml", "flyte-oauth-tls", "", &[]),
    ("v1.16.8 brings no certificate of its own", "flyte-v1.16.8-eks.yaml", "flyte-oauth-tls", "", &[]),
];

/// The policies of the command.
static POLICIES: LazyLock<Vec<Linked>> = LazyLock::new(native::policies);

fn check_chart(chart: &str, policy: &str, settings: &str, expected: &[&str]) -> Result<(), Failed> {
    let settings = Settings::parse(settings, &POLICIES).map_err(|wrong| wrong.to_string())?;
    let with = Check {
        policies: &POLICIES,
        settings: &settings,
        namespace: "flyte",
        images: Images::default(),
        namespaces: Namespaces::All,
    };
    let report = check(&with, Report::default(), &Inputs::find(&[charts().join(chart)], &[]).read_files());
    let mut found = Vec::new();
    for object in &report.objects {
        for violation in object.violations.iter().filter(|violation| violation.policy == policy) {
            let title = object.place.title();
            let place = violation.within.as_ref().map_or(&violation.container, |within| &within.path);
            found.push(format!("{title}:{} {place} {}", violation.line, violation.rule));
        }
    }
    if report.summary.unjudged > 0 || found != expected {
        return Err(format!("found {found:#?}, not judged {:#?}", report.unjudged).into());
    }
    Ok(())
}

/// Checks which users of Flyte's charts are filled in for v0.13.0, and that the text is edited accordingly.
fn check_filled() -> Result<(), Failed> {
    let settings = Settings::parse("flyte-non-root: {fill: flyte}", &POLICIES).map_err(|wrong| wrong.to_string())?;
    let with = Check {
        policies: &POLICIES,
        settings: &settings,
        namespace: "flyte",
        images: Images::default(),
        namespaces: Namespaces::All,
    };
    let inputs = Inputs::find(&[charts().join("flyte-v0.13.0-sandbox.yaml")], &[]);
    let files = inputs.read_files();
    let mut run = with.start(&files, Report::default());
    let mut fixed = Fixed::new(files[0].text.as_ref()?);
    fixed.improve([].into_iter(), &run.add(&files[0]));
    let report = run.finish();
    let is_filled = |object: &&Judged| object.notices.iter().any(|notice| notice.rule == "filled");
    let filled: Vec<_> = report.objects.iter().filter(is_filled).map(|object| object.place.title()).collect();
    let expected = [
        "Deployment flyte/datacatalog",
        "Deployment flyte/flyte-pod-webhook",
        "Deployment flyte/flyteadmin",
        "Deployment flyte/flyteconsole",
        "Deployment flyte/flytepropeller",
        "CronJob flyte/syncresources",
        "Job flyte/flyte-pod-webhook-secret",
    ];
    let diff = diff(&fixed, "x".as_ref())?;
    let removed = diff.lines().skip(2).any(|line| line.starts_with('-'));
    if filled != expected || fixed.objects() != expected.len() || !fixed.left.is_empty() || removed {
        return Err(format!("{filled:#?} {fixed:#?}").into());
    }
    Ok(())
}

pub fn trials() -> Vec<Trial> {
    let are_absent = !charts().is_dir();
    if are_absent {
        println!("SKIPPED: there are no charts in {}, so none was checked", charts().display());
    }
    let trials = CHARTS.map(|(title, chart, policy, settings, expected)| {
        Trial::test(title, move || check_chart(chart, policy, settings, expected)).with_ignored_flag(are_absent)
    });
    let filled = Trial::test("v0.13.0 is filled in where it is Flyte's", check_filled).with_ignored_flag(are_absent);
    trials.into_iter().chain([filled]).collect()
}

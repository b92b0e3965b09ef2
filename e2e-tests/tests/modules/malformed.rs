//! Malformed requests of every sort to the compiled modules: always an answer, never a trap, and never acceptance of
//! a request that cannot be checked.

use std::sync::{Arc, LazyLock};

use flytewarden::decision::{POLICIES, VARIANTS};
use flytewarden_cli::engine::Module;
use flytewarden_e2e::{
    cases::{self, Case},
    modules::loaded,
};
use flytewarden_offline::{check::Policy as _, cluster::NoCluster, report::Answer};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Every module. The first two have `flyte-non-root`.
static MODULES: LazyLock<Vec<Arc<Module>>> = LazyLock::new(|| {
    let names = POLICIES.iter().chain(VARIANTS).map(|policy| policy.name());
    let first = ["flyte-non-root", "flytewarden"];
    let names = first.into_iter().chain(names.filter(|name| !first.contains(name)));
    names.map(loaded).collect()
});

fn those_that_judge_pods() -> impl Iterator<Item = &'static Arc<Module>> {
    let kinds = |module: &Module| module.metadata().annotations.get("io.artifacthub.resources").cloned();
    MODULES.iter().filter(move |module| kinds(module).is_some_and(|kinds| kinds.split(", ").any(|kind| kind == "Pod")))
}

/// The cases with an object.
static CASES: LazyLock<Vec<Case>> =
    LazyLock::new(|| cases::all().into_iter().filter(|case| case.object.is_some() && !case.lacks_openssl).collect());

/// The module's answer to any bytes.
fn answer(module: &Module, payload: &[u8]) -> Answer {
    let answer = module.guest.call("validate", payload, Arc::new(NoCluster)).expect("no trap");
    serde_json::from_slice(&answer).expect("an answer")
}

fn is_unjudged(answer: &Answer) -> bool {
    let message = answer.message.as_deref().unwrap_or_default();
    !answer.accepted && answer.code == Some(400) && message.starts_with("cannot be checked: ")
}

fn root_pod() -> Value {
    json!({
        "uid": "0", "operation": "CREATE", "namespace": "flyte",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "object": {"spec": {"containers": [{"name": "a", "securityContext": {"runAsUser": 0}}]}}
    })
}

#[test]
fn invalid_requests_are_rejected_with_the_reason() {
    let payloads: [&[u8]; 17] = [
        b"",
        b" ",
        b"\0",
        b"\xff\xfe",
        b"null",
        b"true",
        b"0",
        b"\"request\"",
        b"[]",
        b"{}",
        b"{",
        br#"{"request": null}"#,
        br#"{"request": []}"#,
        br#"{"request": {}}"#,
        br#"{"request": {"operation": "CREATE", "kind": "Pod"}}"#,
        br#"{"request": {"operation": 1, "kind": {"kind": "Pod"}}}"#,
        br#"{"request": {"operation": "CREATE", "kind": {"kind": "Pod", "group": ""}}}"#,
    ];
    for module in those_that_judge_pods() {
        for payload in payloads {
            let answer = answer(module, payload);
            assert!(is_unjudged(&answer), "{}: {answer:?}", String::from_utf8_lossy(payload));
        }
    }
}

#[test]
fn invalid_settings_are_rejected_with_the_reason() {
    for (module, settings) in [
        (0, json!({"level": "none"})),
        (0, json!([])),
        (0, json!({"exceptions": [1]})),
        (1, json!({"flyte-non-rot": {}})),
        (1, json!({"flyte-non-root": {"level": 1}})),
        (1, json!("level")),
    ] {
        let payload = json!({"request": root_pod(), "settings": settings}).to_string();
        let answer = answer(&MODULES[module], payload.as_bytes());
        assert!(is_unjudged(&answer), "{settings}: {answer:?}");
        assert!(answer.message.unwrap().contains("settings"), "{settings}");
    }
}

#[test]
fn the_settings_of_the_module_with_all_policies_are_by_policy_name() {
    let payload = json!({"request": root_pod(), "settings": {"flyte-non-root": {"level": "restricted"}}}).to_string();
    let answer = answer(&MODULES[1], payload.as_bytes());
    assert!(answer.message.unwrap().contains("\"restricted\" requires"));
    let problem = MODULES[1].validate_settings(r#"{"flyte-nonroot": {}}"#).unwrap_err();
    assert_eq!("unknown policy `flyte-nonroot`; did you mean `flyte-non-root`?", problem.to_string());
    assert_eq!(Ok(()), MODULES[1].validate_settings("null"));
    assert_eq!(Ok(()), MODULES[1].validate_settings(r#"{"flyte-non-root": null}"#));
}

#[test]
fn irrelevant_fields_are_skipped_however_deep_or_large_they_are() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    for irrelevant in [deep, large] {
        let request = root_pod().to_string().replacen("{\"spec\"", &format!("{{\"data\":{irrelevant},\"spec\""), 1);
        for module in &MODULES[..2] {
            let answer = answer(module, format!("{{\"request\":{request}}}").as_bytes());
            let message = answer.message.unwrap();
            assert!(message.starts_with("spec.containers[0] \"a\": runs as root"), "{message:.200}");
        }
    }
}

#[test]
fn relevant_fields_that_nest_too_deep_are_rejected() {
    let level = r#"{"spec":{"jobTemplate":"#;
    let object = format!("{}null{}", level.repeat(10_000), "}}".repeat(10_000));
    let kind = r#"{"group":"batch","version":"v1","kind":"CronJob"}"#;
    let payload = format!(r#"{{"request":{{"operation":"CREATE","kind":{kind},"object":{object}}}}}"#);
    for module in those_that_judge_pods() {
        assert!(is_unjudged(&answer(module, payload.as_bytes())));
    }
}

#[test]
fn a_wrong_type_in_a_user_field_is_never_accepted() {
    let good = json!({
        "hostUsers": true,
        "securityContext": {"runAsUser": 1, "runAsNonRoot": true, "runAsGroup": 1, "windowsOptions": {}},
        "initContainers": [{"name": "a", "securityContext": {"runAsUser": 1, "runAsNonRoot": true}}],
        "containers": [{"name": "a", "image": "b", "securityContext": {"runAsUser": 1}}]
    });
    for pointer in [
        "",
        "/hostUsers",
        "/securityContext",
        "/securityContext/runAsUser",
        "/securityContext/runAsNonRoot",
        "/securityContext/runAsGroup",
        "/securityContext/windowsOptions",
        "/initContainers",
        "/initContainers/0",
        "/initContainers/0/name",
        "/initContainers/0/securityContext/runAsNonRoot",
        "/containers/0/image",
        "/containers/0/securityContext",
        "/containers/0/securityContext/runAsUser",
    ] {
        for wrong in [json!("0"), json!(0.5), json!(-1), json!([true]), json!([[]])] {
            let mut spec = good.clone();
            let place = spec.pointer_mut(pointer).unwrap();
            if std::mem::discriminant(place) == std::mem::discriminant(&wrong) && !wrong.is_number() {
                continue;
            }
            *place = wrong.clone();
            let mut request = root_pod();
            request["object"]["spec"] = spec;
            for module in &MODULES[..2] {
                let answer = answer(module, json!({ "request": request }).to_string().as_bytes());
                assert!(is_unjudged(&answer), "{pointer} {wrong}: {answer:?}");
            }
        }
    }
}

#[test]
fn a_message_is_bounded_and_says_how_many_more_there_are() {
    let containers: Vec<Value> =
        (0..100).map(|number| json!({"name": format!("{number}\n{}", "x".repeat(10_000))})).collect();
    let mut request = root_pod();
    request["object"]["spec"]["containers"] = json!(containers);
    for module in &MODULES[..2] {
        let answer = answer(module, json!({ "request": request }).to_string().as_bytes());
        let message = answer.message.unwrap();
        assert!(message.len() < 20 * 600, "{}", message.len());
        assert_eq!(21, message.lines().count());
        assert_eq!(Some("... and 80 more"), message.lines().last());
        assert_eq!("80", answer.audit_annotations.unwrap()["moreViolations"]);
    }
}

/// A value of any type, to replace any other.
fn values() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}\u{ffff}\n"),
        json!([]),
        json!([null, [0]]),
        json!({}),
        json!({"name": {}, "securityContext": 0}),
    ])
}

/// Puts `value` in the place of the `which`-th value inside of `tree`.
fn replace(tree: &mut Value, which: &mut usize, value: &Value) -> bool {
    if *which == 0 {
        *tree = value.clone();
        return true;
    }
    *which -= 1;
    match tree {
        Value::Array(items) => items.iter_mut().any(|item| replace(item, which, value)),
        Value::Object(fields) => fields.values_mut().any(|field| replace(field, which, value)),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_an_answer(payload: Vec<u8>) {
        prop_assert!(is_unjudged(&answer(&MODULES[0], &payload)));
    }

    #[test]
    fn a_truncated_request_is_rejected(case in 0..1_000_usize, length in 0.0..1.0) {
        let case = &CASES[case % CASES.len()];
        let payload = json!({"request": case.admission_request(), "settings": case.settings}).to_string();
        let cut = (payload.len() as f64 * length) as usize;
        prop_assert!(is_unjudged(&answer(&MODULES[0], &payload.as_bytes()[..cut])));
    }

    #[test]
    fn a_request_with_a_wrong_value_anywhere_gets_an_answer(case in 0..1_000_usize, which in 0..60_usize, value in values()) {
        let case = &CASES[case % CASES.len()];
        let mut payload = json!({"request": case.admission_request(), "settings": case.settings});
        replace(&mut payload, &mut which.clone(), &value);
        for module in &*MODULES {
            let answer = answer(module, payload.to_string().as_bytes());
            prop_assert!(answer.accepted == answer.message.is_none());
        }
    }
}

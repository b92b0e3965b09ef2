//! Properties of `flyte-non-root` for every pod, not just for the cases.
#![cfg(feature = "flyte-non-root")]

use flytewarden::{answer::Answer, decision::Policies, host::NoHost, non_root::NonRoot};
use k8s_openapi::api::core::v1::{PodSpec, SecurityContext};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn judge_in(object: &Value, settings: &Value) -> Answer {
    let payload = json!({"settings": settings, "request": {
        "operation": "CREATE",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "object": object
    }});
    Policies::One(&NonRoot::POLICY).validate(payload.to_string().as_bytes(), &NoHost)
}

fn judge(spec: &Value, settings: &Value) -> Answer {
    judge_in(&json!({"metadata": {"name": "flyteadmin"}, "spec": spec}), settings)
}

/// A field that is absent, null or one of the given values.
fn optional(values: Vec<Value>) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![2 => Just(None), 1 => Just(Some(Value::Null)), 4 => prop::sample::select(values).prop_map(Some)]
}

fn object(fields: Vec<(&'static str, Option<Value>)>) -> Value {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>().into()
}

fn security_contexts() -> impl Strategy<Value = Value> {
    (
        optional(vec![json!(0), json!(0), json!(1001)]),
        optional(vec![json!(true), json!(false)]),
        optional(vec![json!(0), json!(1)]),
        optional(vec![json!({"runAsUserName": "ContainerAdministrator"}), json!({"runAsUserName": "ContainerUser"})]),
    )
        .prop_map(|(user, non_root, group, windows)| {
            let fields = vec![
                ("runAsUser", user),
                ("runAsNonRoot", non_root),
                ("runAsGroup", group),
                ("windowsOptions", windows),
            ];
            object(fields)
        })
}

fn containers() -> impl Strategy<Value = Vec<Value>> {
    let container = (
        prop::sample::select(vec!["a", "check-db-ready"]),
        prop::sample::select(vec!["postgres:15", "evil.example/postgres"]),
        optional(vec![json!("Always")]),
        security_contexts(),
        optional(vec![json!(["x"])]),
    );
    let container = container.prop_map(|(name, image, restart, context, command)| {
        object(vec![
            ("name", Some(json!(name))),
            ("image", Some(json!(image))),
            ("restartPolicy", restart),
            ("securityContext", Some(context)),
            ("command", command),
        ])
    });
    prop::collection::vec(container, 0..4)
}

fn pods() -> impl Strategy<Value = Value> {
    (
        optional(vec![json!(true), json!(false)]),
        optional(vec![json!({"name": "windows"}), json!({"name": "linux"})]),
        security_contexts(),
        containers(),
        containers(),
        containers(),
    )
        .prop_map(|(host_users, os, context, init, regular, ephemeral)| {
            object(vec![
                ("hostUsers", host_users),
                ("os", os),
                ("securityContext", Some(context)),
                ("initContainers", Some(json!(init))),
                ("containers", Some(json!(regular))),
                ("ephemeralContainers", Some(json!(ephemeral))),
            ])
        })
}

fn settings() -> impl Strategy<Value = Value> {
    (
        prop::sample::select(vec!["effective", "restricted"]),
        prop::sample::select(vec!["off", "nonZero"]),
        optional(vec![json!([])]),
    )
        .prop_map(|(level, groups, exceptions)| {
            let exceptions = exceptions.filter(|exceptions| !exceptions.is_null());
            object(vec![("level", Some(json!(level))), ("groups", Some(json!(groups))), ("exceptions", exceptions)])
        })
}

/// Every container's own security context.
fn own_contexts(pod: &PodSpec) -> impl Iterator<Item = SecurityContext> {
    let others = pod.init_containers.iter().flatten().chain(&pod.containers);
    let others = others.map(|container| container.security_context.clone());
    let ephemeral = pod.ephemeral_containers.iter().flatten().map(|container| container.security_context.clone());
    others.chain(ephemeral).map(Option::unwrap_or_default)
}

/// The two checks of `policy/check_runAsNonRoot.go` and `policy/check_runAsUser.go`, v1.35, on the typed pod spec.
fn is_restricted(pod: &PodSpec) -> bool {
    if pod.host_users == Some(false) {
        return true;
    }
    let context = pod.security_context.clone().unwrap_or_default();
    let mut contexts = own_contexts(pod);
    context.run_as_non_root != Some(false)
        && context.run_as_user != Some(0)
        && contexts
            .all(|own| own.run_as_user != Some(0) && own.run_as_non_root.or(context.run_as_non_root) == Some(true))
}

/// Whether the kubelet starts no container as root, on the typed pod spec of a Linux pod.
fn is_effectively_non_root(pod: &PodSpec) -> bool {
    let context = pod.security_context.clone().unwrap_or_default();
    own_contexts(pod).all(|own| {
        let user = own.run_as_user.or(context.run_as_user);
        let refuses_root = own.run_as_non_root.or(context.run_as_non_root) == Some(true);
        match user {
            Some(0) => !refuses_root && pod.host_users == Some(false),
            Some(_) => true,
            None => refuses_root || pod.host_users == Some(false),
        }
    })
}

/// The same value with every object's fields in the opposite order.
fn reversed(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().rev().map(|(name, value)| format!("{}:{}", json!(name), reversed(value))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(reversed).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn restricted_without_exceptions_equals_pod_security_standards(pod in pods()) {
        let typed: PodSpec = serde_json::from_value(pod.clone()).unwrap();
        let answer = judge(&pod, &json!({"level": "restricted", "exceptions": []}));
        prop_assert_eq!(is_restricted(&typed), answer.accepted, "{:?}", answer.message);
    }

    #[test]
    fn effective_without_exceptions_equals_the_kubelet(mut pod in pods()) {
        pod["os"] = json!({"name": "linux"});
        let typed: PodSpec = serde_json::from_value(pod.clone()).unwrap();
        let answer = judge(&pod, &json!({"exceptions": []}));
        prop_assert_eq!(is_effectively_non_root(&typed), answer.accepted, "{:?}", answer.message);
    }

    #[test]
    fn an_accepted_pod_stays_accepted_when_a_container_is_made_more_strictly_non_root(
        pod in pods(), settings in settings(), list in prop::sample::select(vec!["initContainers", "containers", "ephemeralContainers"]),
        index in 0..4_usize,
    ) {
        // About one pod in three is accepted.
        if !judge(&pod, &settings).accepted {
            return Ok(());
        }
        let mut stricter = pod.clone();
        if let Some(container) = stricter[list].get_mut(index) {
            for (field, value) in [
                ("runAsUser", json!(1001)),
                ("runAsNonRoot", json!(true)),
                ("runAsGroup", json!(1001)),
                ("windowsOptions", json!({"runAsUserName": "ContainerUser"})),
            ] {
                container["securityContext"][field] = value;
            }
        }
        prop_assert!(judge(&stricter, &settings).accepted, "{stricter}");
    }

    #[test]
    fn an_exception_never_makes_a_verdict_worse(pod in pods(), mut settings in settings()) {
        let with = judge(&pod, &settings).accepted;
        settings["exceptions"] = json!([]);
        prop_assert!(with || !judge(&pod, &settings).accepted);
    }

    #[test]
    fn the_message_does_not_depend_on_the_order_of_fields(pod in pods(), settings in settings()) {
        let object = json!({"metadata": {"name": "flyteadmin", "labels": {"app": "a"}}, "spec": pod});
        let payload = json!({"settings": settings, "request": {
            "operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": object
        }});
        let one = Policies::One(&NonRoot::POLICY).validate(payload.to_string().as_bytes(), &NoHost);
        let other = Policies::One(&NonRoot::POLICY).validate(reversed(&payload).as_bytes(), &NoHost);
        prop_assert_eq!(one.message, other.message);
        prop_assert_eq!(one.warnings, other.warnings);
        prop_assert_eq!(one.audit_annotations, other.audit_annotations);
    }

    #[test]
    fn every_line_of_a_message_names_a_path_that_exists(pod in pods(), settings in settings()) {
        let object = json!({"spec": pod});
        for line in judge_in(&object, &settings).message.iter().flat_map(|message| message.lines()) {
            let path = line.split([' ', ':']).next().unwrap();
            let pointer = format!("/{}", path.replace(['.', '['], "/").replace(']', ""));
            prop_assert!(object.pointer(&pointer).is_some(), "{line}");
            prop_assert!(line.contains("; set ") || line.contains("; remove "), "{line}");
        }
    }
}

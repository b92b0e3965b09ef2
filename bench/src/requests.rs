//! The requests that are measured: small, ordinary, and mostly irrelevant.

use flytewarden_offline::manifest;
use serde_json::{Value, json};

/// Each request with its title.
pub fn all() -> [(&'static str, String); 3] {
    let example = manifest::objects(include_str!("../../examples/after.yaml"));
    let deployment =
        example.into_iter().flatten().find(|object| object.kind == "Deployment" && object.name == "flyteadmin");
    let deployment = json!(deployment.expect("the example has flyteadmin's Deployment").content);
    [
        ("a small pod", request("", "Pod", &small_pod())),
        ("flyteadmin's Deployment", request("apps", "Deployment", &deployment)),
        ("100 containers in 200 KB", request("", "Pod", &hundred_containers())),
    ]
}

fn request(group: &str, kind: &str, object: &Value) -> String {
    let kind = json!({"group": group, "version": "v1", "kind": kind});
    format!(r#"{{"uid":"0","operation":"CREATE","namespace":"flyte","kind":{kind},"object":{object}}}"#)
}

fn small_pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "flyteconsole", "labels": {"app.kubernetes.io/name": "flyteconsole"}},
        "spec": {
            "securityContext": {"runAsUser": 1000, "runAsNonRoot": true},
            "containers": [{"name": "flyteconsole", "image": "cr.flyte.org/flyteorg/flyteconsole:v1.16.8"}]
        }
    })
}

/// A pod whose 100 containers carry 2 KB each that says nothing of users.
fn hundred_containers() -> Value {
    let variables: Vec<Value> =
        (0..32).map(|number| json!({"name": format!("VARIABLE_{number}"), "value": "x".repeat(24)})).collect();
    let containers: Vec<Value> = (0..100)
        .map(|number| {
            json!({
                "name": format!("task-{number}"),
                "image": "registry.example/task:1",
                "env": variables,
                "securityContext": {"runAsUser": 1000, "allowPrivilegeEscalation": false}
            })
        })
        .collect();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "wide"}, "spec": {"containers": containers}})
}

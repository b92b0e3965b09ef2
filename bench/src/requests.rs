//! The requests that are measured: small, ordinary, and mostly irrelevant.

use flytewarden_e2e::certificates;
use flytewarden_offline::manifest;
use serde_json::{Value, json};

/// A request that is measured.
pub struct Asked {
    /// The policy it is for.
    pub policy: &'static str,
    /// Its title in the table.
    pub title: &'static str,
    /// The admission request, as JSON.
    pub request: String,
    /// The policy's settings.
    pub settings: Value,
}

/// Every request.
pub fn all() -> Vec<Asked> {
    let without_settings = |(policy, title, request)| Asked { policy, title, request, settings: json!({}) };
    without_certificates().into_iter().map(without_settings).chain([filled()]).chain(chains()).collect()
}

/// A request whose object the policy changes.
fn filled() -> Asked {
    let deployment = of_example("Deployment", "flyteadmin");
    Asked {
        policy: "flyte-non-root",
        title: "flyteadmin's Deployment, filled in",
        request: request("apps", "Deployment", &deployment),
        settings: json!({"fill": {"*": {"runAsGroup": 1001}}}),
    }
}

/// Chains of three valid certificates.
fn chains() -> impl Iterator<Item = Asked> {
    let chains = [
        ("a chain of three, P-256", "${leaf}${intermediate}${root}", "${root}"),
        ("a chain of three, P-384", "${p384-leaf}${p384-intermediate}${p384-root}", "${p384-root}"),
        ("a chain of three, RSA 2048", "${openssl-leaf}${openssl-intermediate}${openssl-root}", "${openssl-root}"),
    ];
    chains.into_iter().filter_map(|(title, chain, root)| {
        let certificates = certificates::filled(chain).or_else(|| {
            println!("SKIPPED, since openssl is not on PATH: {title}");
            None
        })?;
        let settings = json!({"trustRoots": certificates::filled(root)?, "hosts": ["flyte.example.com"]});
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "flyte-tls"}, "stringData": {"tls.crt": certificates},
        });
        Some(Asked { policy: "flyte-oauth-tls", title, request: request("", "Secret", &secret), settings })
    })
}

/// The requests for the policies that read no certificates, each with its title.
fn without_certificates() -> Vec<(&'static str, &'static str, String)> {
    let deployment = of_example("Deployment", "flyteadmin");
    let mut requests = vec![
        ("flyte-non-root", "a small pod", request("", "Pod", &small_pod())),
        ("flyte-non-root", "flyteadmin's Deployment", request("apps", "Deployment", &deployment)),
        ("flyte-non-root", "100 containers in 200 KB", request("", "Pod", &hundred_containers())),
    ];
    let config_map = of_example("ConfigMap", "flyte-admin-base-config");
    requests.push(("flyte-admin-cors", "flyteadmin's ConfigMap", request("", "ConfigMap", &config_map)));
    for (title, size) in [("64 KiB of it", 64 << 10), ("256 KiB of it", 256 << 10), ("1 MiB of it", 1 << 20)] {
        requests.push(("flyte-admin-cors", title, request("", "ConfigMap", &repeated(&config_map, size))));
    }
    let mut another = repeated(&config_map, 1 << 20);
    another["metadata"]["name"] = json!("another");
    let another = request("", "ConfigMap", &another);
    requests.push(("flyte-admin-cors", "another ConfigMap of 1 MiB", another.clone()));
    let console = of_example("Deployment", "flyteconsole");
    requests.push((
        "flyte-console-url",
        "flyteconsole's Deployment, without a cluster to ask",
        request("apps", "Deployment", &console),
    ));
    requests.push(("flyte-console-url", "flyteadmin's Deployment", request("apps", "Deployment", &deployment)));
    requests.push(("flyte-console-url", "another ConfigMap of 1 MiB", another));
    requests
}

/// An object of `examples/after.yaml`.
fn of_example(kind: &str, name: &str) -> Value {
    let objects = manifest::objects(include_str!("../../examples/after.yaml"));
    let object = objects.into_iter().flatten().find(|object| object.kind == kind && object.name == name);
    json!(object.expect("the example has it").content)
}

/// A ConfigMap whose files are repeated, with numbered sections, until together they have `size` bytes.
fn repeated(config_map: &Value, size: usize) -> Value {
    let mut repeated = config_map.clone();
    let files = config_map["data"].as_object().expect("there are files");
    let section = |text: &str, number: usize| -> String {
        let is_section = |line: &str| line.starts_with(|first: char| first.is_ascii_alphabetic());
        let numbered =
            |line: &str| if is_section(line) { line.replacen(':', &format!("{number}:"), 1) } else { line.to_owned() };
        text.split_inclusive('\n').map(numbered).collect()
    };
    let mut bytes = 0;
    for (number, (name, text)) in (1..).flat_map(|number| files.iter().map(move |file| (number, file))) {
        let more = section(text.as_str().unwrap_or_default(), number);
        bytes += more.len();
        if bytes > size {
            return repeated;
        }
        let text = repeated["data"][name].as_str().unwrap_or_default().to_owned() + &more;
        repeated["data"][name] = json!(text);
    }
    repeated
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

/// A pod with 100 containers, each with 2 KB of fields that have nothing to do with users.
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

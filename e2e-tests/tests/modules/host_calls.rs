//! The questions of the compiled modules to a cluster: each kind once, and none about objects that do not concern them.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex},
};

use flytewarden_cli::engine::Module;
use flytewarden_e2e::{certificates, modules::loaded};
use flytewarden_offline::{
    check::Policy as _,
    cluster::{Cluster, HostCalls},
    manifest,
};
use serde_json::{Value, json};

/// A cluster that records the questions it gets.
struct Remembering {
    cluster: Cluster,
    asked: Mutex<Vec<String>>,
}

impl HostCalls for Remembering {
    fn answer(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        let read: Value = serde_json::from_slice(request).unwrap();
        let kind = read["kind"].as_str().unwrap_or_default();
        let namespace = read["namespace"].as_str().unwrap_or("everywhere");
        self.asked.lock().unwrap().push(format!("{kind} in {namespace}"));
        self.cluster.answer(operation, request)
    }

    fn image(&self, reference: &str) -> Result<Vec<u8>, String> {
        self.asked.lock().unwrap().push(reference.to_owned());
        Err("there is no registry".to_owned())
    }
}

/// The modules that ask the cluster.
static MODULES: LazyLock<BTreeMap<&str, Arc<Module>>> =
    LazyLock::new(|| [CONSOLE, CERTIFICATE, IMAGE_USER, "flytewarden"].map(|name| (name, loaded(name))).into());

/// The questions about a request, from a policy's own module and from the one with all policies. The cluster has the objects of
/// `examples/after.yaml`, and consoles in other namespaces.
fn asked(policy: &str, request: &Value, settings: &Value) -> Vec<String> {
    let mut text = include_str!("../../../examples/after.yaml").to_owned();
    for number in 0..5 {
        let console =
            text.split("---").find(|document| document.contains("kind: Deployment\nmetadata:\n  name: flyteconsole"));
        let console = console.unwrap().replace("namespace: flyte\n", &format!("namespace: other-{number}\n"));
        text.push_str(&format!("---\n{console}"));
    }
    let objects: Vec<_> = manifest::objects(&text).map(|object| object.unwrap()).collect();
    let mut asked = Vec::new();
    for (name, settings) in [(policy, settings.clone()), ("flytewarden", json!({ policy: settings }))] {
        let cluster = Arc::new(Remembering {
            cluster: Cluster::from_objects(&objects, "default"),
            asked: Mutex::new(Vec::new()),
        });
        MODULES[name].validate(&request.to_string(), &settings.to_string(), &(Arc::clone(&cluster) as _)).unwrap();
        let mut sorted = cluster.asked.lock().unwrap().clone();
        sorted.sort();
        asked.push(sorted);
    }
    // The module with all policies asks the questions of each policy, and none twice.
    assert!(asked[0].iter().all(|question| asked[1].contains(question)), "{asked:?}");
    assert!(asked[1].is_sorted_by(|one, other| one < other), "{asked:?}");
    asked.remove(0)
}

fn request(group: &str, kind: &str, name: &str, operation: &str) -> Value {
    let objects = manifest::objects(include_str!("../../../examples/after.yaml"));
    let object = objects.into_iter().flatten().find(|object| object.kind == kind && object.name == name).unwrap();
    json!({
        "uid": "0", "operation": operation, "namespace": "flyte", "kind": {"group": group, "version": "v1", "kind": kind},
        "object": object.content, "oldObject": {"metadata": {"name": name}, "data": {}}
    })
}

const CONSOLE: &str = "flyte-console-url";
const CERTIFICATE: &str = "flyte-oauth-tls";
const IMAGE_USER: &str = "flyte-non-root-image-user";

/// The questions that comparing a console with flyteadmin needs.
fn of_a_pair(namespace: &str) -> [String; 9] {
    // The kinds that are listed everywhere can lead to other namespaces.
    [
        ("ConfigMap", namespace),
        ("Deployment", namespace),
        ("HTTPProxy", "everywhere"),
        ("HTTPRoute", "everywhere"),
        ("Ingress", namespace),
        ("IngressRoute", "everywhere"),
        ("Route", namespace),
        ("Service", namespace),
        ("VirtualService", "everywhere"),
    ]
    .map(|(kind, namespace)| format!("{kind} in {namespace}"))
}

#[test]
fn a_console_asks_for_each_kind_once() {
    let expected = of_a_pair("flyte");
    assert_eq!(expected[..], asked(CONSOLE, &request("apps", "Deployment", "flyteconsole", "CREATE"), &json!({})));
}

#[test]
fn a_change_of_flyteadmins_config_map_asks_for_each_kind_once() {
    let expected = of_a_pair("flyte");
    assert_eq!(
        expected[..],
        asked(CONSOLE, &request("", "ConfigMap", "flyte-admin-base-config", "UPDATE"), &json!({}))
    );
}

#[test]
fn with_consoles_in_other_namespaces_each_kind_is_still_asked_for_once() {
    let expected = of_a_pair("everywhere");
    let settings = json!({"adminNamespace": "flyte"});
    assert_eq!(expected[..], asked(CONSOLE, &request("", "ConfigMap", "flyte-admin-base-config", "UPDATE"), &settings));
}

#[test]
fn without_the_check_of_the_pair_nothing_is_asked() {
    let settings = json!({"crossCheck": false});
    for (group, kind, name) in [
        ("apps", "Deployment", "flyteconsole"),
        ("", "ConfigMap", "flyte-admin-base-config"),
        ("", "ConfigMap", "flyte-console-config"),
    ] {
        assert_eq!(Vec::<String>::new(), asked(CONSOLE, &request(group, kind, name, "UPDATE"), &settings), "{name}");
    }
}

#[test]
fn objects_other_than_consoles_and_configuration_ask_nothing() {
    for (kind, name) in [("Deployment", "flyteadmin"), ("Deployment", "datacatalog")] {
        for operation in ["CREATE", "UPDATE"] {
            assert_eq!(
                Vec::<String>::new(),
                asked(CONSOLE, &request("apps", kind, name, operation), &json!({})),
                "{name}"
            );
        }
    }
    let mut other = request("", "ConfigMap", "flyte-admin-base-config", "UPDATE");
    other["object"]["metadata"]["name"] = json!("other");
    assert_eq!(Vec::<String>::new(), asked(CONSOLE, &other, &json!({})));
}

fn secret(certificates: &str) -> Value {
    json!({
        "uid": "0", "operation": "CREATE", "namespace": "flyte", "kind": {"group": "", "version": "v1", "kind": "Secret"},
        "object": {
            "type": "kubernetes.io/tls", "metadata": {"name": "flyte-tls"},
            "stringData": {"tls.crt": certificates::filled(certificates)},
        }
    })
}

#[test]
fn a_certificate_of_a_ca_asks_only_for_the_objects_that_use_it() {
    let secret = secret("${leaf}${intermediate}");
    let mut settings = json!({"trustRoots": certificates::filled("${root}")});
    let expected =
        ["Gateway in everywhere", "HTTPProxy in everywhere", "Ingress in flyte", "IngressRoute in everywhere"];
    assert_eq!(expected[..], asked(CERTIFICATE, &secret, &settings));
    settings["hosts"] = json!(["flyte.example.com"]);
    assert_eq!(Vec::<String>::new(), asked(CERTIFICATE, &secret, &settings));
}

#[test]
fn a_self_signed_certificate_asks_for_each_kind_once() {
    let expected = [
        "ConfigMap in flyte",
        "Deployment in flyte",
        "Gateway in everywhere",
        "HTTPProxy in everywhere",
        "Ingress in flyte",
        "IngressRoute in everywhere",
    ];
    assert_eq!(expected[..], asked(CERTIFICATE, &secret("${self-signed}"), &json!({})));
    let settings = json!({"oauth": "self", "hosts": ["flyte.example.com"]});
    assert_eq!(Vec::<String>::new(), asked(CERTIFICATE, &secret("${self-signed}"), &settings));
}

#[test]
fn other_secrets_and_config_maps_ask_nothing_about_certificates() {
    let mut other = secret("${self-signed}");
    other["object"]["type"] = json!("Opaque");
    other["object"]["stringData"] = json!({"password": "a"});
    assert_eq!(Vec::<String>::new(), asked(CERTIFICATE, &other, &json!({})));
    let settings = json!({});
    let config_map = request("", "ConfigMap", "flyte-admin-base-config", "CREATE");
    assert_eq!(Vec::<String>::new(), asked(CERTIFICATE, &config_map, &settings));
}

/// The images that are asked for in the check of a Pod of flyteadmin.
fn asked_images(settings: &Value, spec: Value) -> Vec<String> {
    let cluster = Arc::new(Remembering { cluster: Cluster::default(), asked: Mutex::new(Vec::new()) });
    let request = json!({
        "uid": "0", "operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "object": {"metadata": {"name": "flyteadmin"}, "spec": spec},
    });
    MODULES[IMAGE_USER].validate(&request.to_string(), &settings.to_string(), &(Arc::clone(&cluster) as _)).unwrap();
    let asked = cluster.asked.lock().unwrap();
    asked.clone()
}

#[test]
fn each_image_is_asked_for_once() {
    let container = |image: &str| json!({"name": "c", "image": image});
    let spec = json!({
        "initContainers": [container("a:1"), container("b:1")], "containers": [container("b:1"), container("a:1"), container("a:2")],
    });
    assert_eq!(["a:1", "b:1", "a:2"][..], asked_images(&json!({"imageUser": "check"}), spec));
}

#[test]
fn no_image_is_asked_for_where_none_decides() {
    let check = json!({"imageUser": "check"});
    let container = json!({"name": "c", "image": "a:1"});
    let of_its_own = json!({"name": "c", "image": "a:1", "securityContext": {"runAsUser": 1001}});
    let excepted = json!({"name": "check-db-ready", "image": "postgres:10.16-alpine"});
    for (it, settings, spec) in [
        ("without the setting", &json!({}), json!({"containers": [container]})),
        ("the pod has a user", &check, json!({"securityContext": {"runAsUser": 0}, "containers": [container]})),
        ("the container has a user", &check, json!({"containers": [of_its_own]})),
        ("the container may be root", &check, json!({"initContainers": [excepted]})),
        ("a user namespace", &check, json!({"hostUsers": false, "containers": [container]})),
        ("Windows", &check, json!({"os": {"name": "windows"}, "containers": [container]})),
        (
            "restricted refuses it",
            &json!({"imageUser": "check", "level": "restricted"}),
            json!({"containers": [container]}),
        ),
        ("a user is filled in", &json!({"imageUser": "check", "fill": "flyte"}), json!({"containers": [container]})),
    ] {
        assert_eq!(Vec::<String>::new(), asked_images(settings, spec), "{it}");
    }
}

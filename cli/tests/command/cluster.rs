//! Tests `check --context` with an API server that returns each test's answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

use crate::{Run, folder, path, run_with};

/// The answer to each path, with its status. Queries are ignored. For other paths, the server knows the [`KINDS`] and
/// has no objects.
type Answers = BTreeMap<&'static str, (u16, Value)>;

/// The kinds that the server knows: group, version, plural, kind, and whether its objects are in namespaces.
const KINDS: [(&str, &str, &str, &str, bool); 8] = [
    ("", "v1", "configmaps", "ConfigMap", true),
    ("", "v1", "secrets", "Secret", true),
    ("", "v1", "services", "Service", true),
    ("apps", "v1", "deployments", "Deployment", true),
    ("cert-manager.io", "v1", "clusterissuers", "ClusterIssuer", false),
    ("networking.k8s.io", "v1", "ingresses", "Ingress", true),
    ("gateway.networking.k8s.io", "v1alpha2", "tlsroutes", "TLSRoute", true),
    ("gateway.networking.k8s.io", "v1beta1", "httproutes", "HTTPRoute", true),
];

/// Returns the server's answer about the kinds that it knows.
fn discovery(path: &str) -> Option<Value> {
    let version =
        |group: &str, version: &str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let resources = |own_group: &str, own_version: &str| {
        let own = KINDS.iter().filter(|(group, version, ..)| (*group, *version) == (own_group, own_version));
        let resources: Vec<Value> = own
            .map(|(_, _, plural, kind, namespaced)| {
                json!({"name": plural, "singularName": "", "kind": kind, "namespaced": namespaced, "verbs": ["get", "list"]})
            })
            .collect();
        let group_version =
            if own_group.is_empty() { own_version.to_owned() } else { format!("{own_group}/{own_version}") };
        let list = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
        (!resources.is_empty()).then_some(list)
    };
    match path.trim_matches('/').split('/').collect::<Vec<_>>()[..] {
        ["apis"] => {
            let names: BTreeSet<&str> = KINDS.iter().map(|kind| kind.0).filter(|group| !group.is_empty()).collect();
            let versions = |name: &str| {
                let versions: BTreeSet<&str> = KINDS.iter().filter(|kind| kind.0 == name).map(|kind| kind.1).collect();
                versions.into_iter().map(|own| version(name, own)).collect::<Vec<_>>()
            };
            let groups: Vec<Value> =
                names.into_iter().map(|name| json!({"name": name, "versions": versions(name)})).collect();
            Some(json!({"kind": "APIGroupList", "groups": groups}))
        }
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})),
        ["api", version] => resources("", version),
        ["apis", group, version] => resources(group, version),
        [.., plural] if KINDS.iter().any(|kind| kind.2 == plural) => Some(list("", "", json!([])).1),
        _ => None,
    }
}

/// Runs the command with a kubeconfig for an API server. Returns the run and the paths that the command requested.
fn check(answers: Answers, arguments: &[&str]) -> (Run, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (answers, of_server) = (Arc::new(answers), Arc::clone(&asked));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (answers, asked) = (Arc::clone(&answers), Arc::clone(&of_server));
            thread::spawn(move || serve(stream.unwrap(), &answers, &asked));
        }
    });
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}]\nusers: [{{name: u, user: {{token: TOKEN}}}}]\n\
         contexts: [{{name: test, context: {{cluster: c, user: u}}}}]\n"
    );
    let folder = folder(&[("kubeconfig", kubeconfig.as_bytes())]);
    let file = path(&folder, "kubeconfig");
    let run = run_with(&[&["check"], arguments].concat(), "", &[("KUBECONFIG", Path::new(&file))]);
    let asked = asked.lock().unwrap().clone();
    (run, asked)
}

fn serve(mut stream: TcpStream, answers: &Answers, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            lines.push(line);
        }
        let [method, target] = [0, 1].map(|word| lines[0].split(' ').nth(word).unwrap().to_owned());
        asked.lock().unwrap().push(format!("{method} {target}"));
        let not_found = (
            404,
            json!({"kind": "Status", "status": "Failure", "code": 404, "message": "not found", "reason": "NotFound"}),
        );
        let path = target.split('?').next().unwrap();
        let known = || discovery(path).map(|answer| (200, answer));
        let (status, body) = answers.get(path).cloned().or_else(known).unwrap_or(not_found);
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).unwrap();
    }
}

fn list(kind: &str, api_version: &str, items: Value) -> (u16, Value) {
    (200, json!({"kind": format!("{kind}List"), "apiVersion": api_version, "metadata": {}, "items": items}))
}

fn admin() -> Value {
    json!({
        "metadata": {"name": "flyteadmin", "namespace": "flyte", "uid": "1"},
        "spec": {"template": {"spec": {"containers": [{"name": "flyteadmin", "securityContext": {"runAsUser": 0}}]}}}
    })
}

#[test]
fn the_objects_of_a_cluster_are_checked_and_nothing_is_changed() {
    let answers = Answers::from([("/apis/apps/v1/deployments", list("Deployment", "apps/v1", json!([admin()])))]);
    let (run, asked) = check(answers, &["--context", "test"]);
    assert_eq!(Some(1), run.code, "{}{}", run.out, run.err);
    assert!(run.out.starts_with("Deployment flyte/flyteadmin  context test:1\n"), "{}", run.out);
    assert!(run.out.contains("flyte-non-root/runs-as-root, high"), "{}", run.out);
    assert!(asked.iter().all(|request| request.starts_with("GET ")), "{asked:?}");
    assert!(!asked.iter().any(|request| request.contains("/secrets/")), "{asked:?}");
}

#[test]
fn namespaced_objects_are_listed_only_in_the_named_namespaces() {
    let path = "/apis/apps/v1/namespaces/flyte/deployments";
    let answers = Answers::from([(path, list("Deployment", "apps/v1", json!([admin()])))]);
    let (run, asked) = check(answers, &["--context", "test", "--namespaces", "flyte"]);
    assert_eq!(Some(1), run.code, "{}{}", run.out, run.err);
    assert!(
        asked.iter().any(|request| request.starts_with("GET /apis/cert-manager.io/v1/clusterissuers?")),
        "{asked:?}"
    );
    assert!(!asked.iter().any(|request| request.starts_with("GET /apis/apps/v1/deployments")), "{asked:?}");
}

#[test]
fn only_secrets_that_a_route_names_are_read() {
    let secret = |name: &str| json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": name, "namespace": "flyte"}});
    let names = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": [secret("flyte-tls"), secret("db-pass")]});
    let ingress = json!({
        "metadata": {"name": "flyte", "namespace": "flyte"},
        "spec": {"tls": [{"secretName": "flyte-tls", "hosts": ["flyte.example.com"]}]}
    });
    let whole = json!({
        "kind": "Secret", "apiVersion": "v1", "type": "kubernetes.io/tls", "metadata": {"name": "flyte-tls", "namespace": "flyte"},
        // An invalid certificate and a key.
        "data": {"tls.crt": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUIKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=", "tls.key": "TUFSS0VS"}
    });
    let answers = Answers::from([
        ("/apis/apps/v1/deployments", list("Deployment", "apps/v1", json!([admin()]))),
        ("/apis/networking.k8s.io/v1/ingresses", list("Ingress", "networking.k8s.io/v1", json!([ingress]))),
        ("/api/v1/secrets", (200, names)),
        ("/api/v1/namespaces/flyte/secrets/flyte-tls", (200, whole)),
    ]);
    let (run, asked) = check(answers, &["--context", "test", "--format", "json"]);
    assert!(run.out.contains("Secret"), "{}", run.out);
    assert!(!format!("{}{}", run.out, run.err).contains("TUFSS0VS"), "{}", run.out);
    let read: Vec<&String> = asked.iter().filter(|request| request.contains("/secrets/")).collect();
    assert_eq!(["GET /api/v1/namespaces/flyte/secrets/flyte-tls"], *read);
}

#[test]
fn a_kind_that_may_not_be_listed_fails_the_check() {
    let forbidden = json!({"kind": "Status", "status": "Failure", "code": 403, "message": "configmaps is forbidden", "reason": "Forbidden"});
    let mut good = admin();
    good["spec"]["template"]["spec"]["containers"][0]["securityContext"]["runAsUser"] = json!(1001);
    let answers = Answers::from([
        ("/apis/apps/v1/deployments", list("Deployment", "apps/v1", json!([good]))),
        ("/api/v1/configmaps", (403, forbidden)),
    ]);
    let (run, _) = check(answers, &["--context", "test"]);
    assert_eq!(Some(2), run.code, "{}", run.out);
    assert!(
        run.out.contains("not checked  context test\n    could not list /api/v1/configmaps: configmaps is forbidden\n"),
        "{}",
        run.out
    );
}

#[test]
fn a_cluster_that_cannot_be_reached_is_an_error() {
    let (unknown, _) = check(Answers::new(), &["--context", "other"]);
    assert_eq!((Some(2), ""), (unknown.code, &*unknown.out));
    assert!(unknown.err.starts_with("error: context other: "), "{}", unknown.err);
    let (broken, _) = check(Answers::from([("/apis", (500, json!({})))]), &["--context", "test"]);
    assert_eq!((Some(2), ""), (broken.code, &*broken.out));
    assert!(broken.err.starts_with("error: context test: ") && !broken.err.contains("TOKEN"), "{}", broken.err);
}

#[test]
fn kinds_in_other_versions_are_read_too() {
    let (run, asked) = check(Answers::new(), &["--context", "test", "--policy", "flyte2-exposure"]);
    for path in ["v1alpha2/tlsroutes", "v1beta1/httproutes"] {
        let path = format!("GET /apis/gateway.networking.k8s.io/{path}?");
        assert!(asked.iter().any(|request| request.starts_with(&path)), "{path}: {asked:?}");
    }
    assert_eq!(Some(2), run.code, "{}", run.out);
}

#[test]
fn an_answer_that_is_not_a_list_fails_the_check() {
    let (run, _) =
        check(Answers::from([("/api/v1/services", (200, json!({"kind": "Service"})))]), &["--context", "test"]);
    assert!(run.out.contains("could not list /api/v1/services: the answer is not a list\n"), "{}", run.out);
    let (gone, _) = check(
        Answers::from([(
            "/api/v1/services",
            (
                404,
                json!({"kind": "Status", "status": "Failure", "code": 404, "message": "not found", "reason": "NotFound"}),
            ),
        )]),
        &["--context", "test"],
    );
    assert!(gone.out.contains("could not list /api/v1/services: not found\n"), "{}", gone.out);
}

#[test]
fn a_namespace_cannot_change_the_requested_path() {
    let (run, asked) = check(Answers::new(), &["--context", "test", "--namespaces", "flyte/secrets?x="]);
    assert_eq!((Some(2), true), (run.code, asked.is_empty()), "{asked:?}");
    assert!(run.err.contains("a namespace is at most 63 lower-case letters, digits and -"), "{}", run.err);
}

#[test]
fn a_secret_in_another_namespace_is_read_if_a_route_names_it() {
    let args = json!(["/nginx-ingress-controller", "--default-ssl-certificate=ingress/wildcard", "--other=a/b"]);
    let nginx = json!({
        "metadata": {"name": "nginx", "namespace": "flyte"},
        "spec": {"template": {"spec": {"containers": [{"name": "controller", "args": args}]}}}
    });
    let answers =
        Answers::from([("/apis/apps/v1/namespaces/flyte/deployments", list("Deployment", "apps/v1", json!([nginx])))]);
    let (_, asked) = check(answers, &["--context", "test", "--namespaces", "flyte"]);
    let read: Vec<&String> = asked.iter().filter(|request| request.contains("/secrets/")).collect();
    assert_eq!(
        ["GET /api/v1/namespaces/ingress/secrets/wildcard"],
        *read.iter().map(|path| path.trim_end_matches('?')).collect::<Vec<_>>()
    );
}

#[test]
fn a_cluster_that_cannot_be_read_is_in_the_report_too() {
    let (run, _) = check(Answers::new(), &["--context", "other", "--format", "json"]);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert!(report["unjudged"][0]["reason"].as_str().unwrap().starts_with("context other: "), "{}", run.out);
}

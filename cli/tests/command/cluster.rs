//! `check --context`, with an API server that answers with what a test says.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

use crate::{Run, folder, path, run_with};

/// The answer to each path, with its status. Queries are cut off, and whatever is not here is not found.
type Answers = BTreeMap<&'static str, (u16, Value)>;

/// Runs the command with a kubeconfig for an API server, and returns what it asked for.
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
        let (status, body) = answers.get(target.split('?').next().unwrap()).cloned().unwrap_or(not_found);
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).unwrap();
    }
}

fn list(kind: &str, api_version: &str, items: Value) -> (u16, Value) {
    (200, json!({"kind": format!("{kind}List"), "apiVersion": api_version, "metadata": {}, "items": items}))
}

fn version() -> (&'static str, (u16, Value)) {
    (
        "/version",
        (
            200,
            json!({"major": "1", "minor": "35", "gitVersion": "v1.35.0", "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
        ),
    )
}

fn admin() -> Value {
    json!({
        "metadata": {"name": "flyteadmin", "namespace": "flyte", "uid": "1"},
        "spec": {"template": {"spec": {"containers": [{"name": "flyteadmin", "securityContext": {"runAsUser": 0}}]}}}
    })
}

#[test]
fn the_objects_of_a_cluster_are_checked_and_nothing_is_changed() {
    let answers =
        Answers::from([version(), ("/apis/apps/v1/deployments", list("Deployment", "apps/v1", json!([admin()])))]);
    let (run, asked) = check(answers, &["--context", "test"]);
    assert_eq!(Some(1), run.code, "{}{}", run.out, run.err);
    assert!(run.out.starts_with("Deployment flyte/flyteadmin  context test:1\n"), "{}", run.out);
    assert!(run.out.contains("flyte-non-root/runs-as-root, high"), "{}", run.out);
    assert!(asked.iter().all(|request| request.starts_with("GET ")), "{asked:?}");
    assert!(!asked.iter().any(|request| request.contains("/secrets/")), "{asked:?}");
}

#[test]
fn objects_of_some_namespaces_are_asked_for_there() {
    let path = "/apis/apps/v1/namespaces/flyte/deployments";
    let answers = Answers::from([version(), (path, list("Deployment", "apps/v1", json!([admin()])))]);
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
        // A certificate that cannot be read, and a key.
        "data": {"tls.crt": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUIKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=", "tls.key": "TUFSS0VS"}
    });
    let answers = Answers::from([
        version(),
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
fn what_may_not_be_listed_is_not_called_good() {
    let forbidden = json!({"kind": "Status", "status": "Failure", "code": 403, "message": "configmaps is forbidden", "reason": "Forbidden"});
    let mut good = admin();
    good["spec"]["template"]["spec"]["containers"][0]["securityContext"]["runAsUser"] = json!(1001);
    let answers = Answers::from([
        version(),
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
    let (broken, _) = check(Answers::new(), &["--context", "test"]);
    assert_eq!((Some(2), ""), (broken.code, &*broken.out));
    assert!(broken.err.starts_with("error: context test: ") && !broken.err.contains("TOKEN"), "{}", broken.err);
}

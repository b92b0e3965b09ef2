//! Tests the compiled modules with hosts that answer nonsense: the modules check the object alone, say what they did not check,
//! and never trap.

use std::sync::Arc;

use flytewarden::decision::DECLARED;
use flytewarden_cli::engine::Module;
use flytewarden_e2e::{certificates, modules::loaded};
use flytewarden_offline::{check::Policy as _, cluster::HostCalls};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

/// A host's answer for a kind.
type Answer = fn(&str) -> Result<Vec<u8>, String>;

struct Host(Answer);

impl HostCalls for Host {
    fn answer(&self, _: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        let request: Value = serde_json::from_slice(request).map_err(|error| error.to_string())?;
        self.0(request["kind"].as_str().unwrap_or_default())
    }

    fn image(&self, _: &str) -> Result<Vec<u8>, String> {
        self.0("")
    }
}

fn list(kind: &str, items: Vec<Value>) -> Result<Vec<u8>, String> {
    let api_version = match kind {
        "Deployment" => "apps/v1",
        "Ingress" => "networking.k8s.io/v1",
        _ => "v1",
    };
    Ok(json!({"apiVersion": api_version, "kind": format!("{kind}List"), "items": items}).to_string().into_bytes())
}

fn named(number: usize, spec: &Value) -> Value {
    json!({"metadata": {"name": format!("x{number}"), "namespace": "flyte"}, "spec": spec})
}

fn service() -> Value {
    named(0, &json!({"selector": {"app": "flyteconsole"}}))
}

fn ingress(hosts: impl Iterator<Item = String>) -> Value {
    let backend = json!({"service": {"name": "x0"}});
    let hosts: Vec<String> = hosts.collect();
    let rules: Vec<Value> =
        hosts.iter().map(|host| json!({"host": host, "http": {"paths": [{"backend": backend}]}})).collect();
    named(0, &json!({"rules": rules, "tls": [{"hosts": hosts}]}))
}

const HOSTS: [(&str, Answer); 14] = [
    ("nothing", |_| Ok(Vec::new())),
    ("no UTF-8", |_| Ok(b"\xff\xfe".to_vec())),
    ("null", |_| Ok(b"null".to_vec())),
    ("a list", |_| Ok(b"[]".to_vec())),
    ("a list of another kind", |_| list("Pod", Vec::new())),
    ("items that are no list", |kind| {
        let answer = String::from_utf8_lossy(&list(kind, Vec::new())?).replace("[]", "5");
        Ok(answer.into_bytes())
    }),
    ("items that are no objects", |kind| list(kind, vec![json!(5), json!([]), json!("x")])),
    ("objects without anything", |kind| list(kind, vec![json!({}), json!({"metadata": null, "spec": null})])),
    ("objects of the wrong types", |kind| {
        list(kind, vec![named(0, &json!({"selector": [], "rules": {}, "template": 5}))])
    }),
    ("an object that is 100,000 deep", |kind| {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let answer = String::from_utf8_lossy(&list(kind, vec![json!("deep")])?).replace("\"deep\"", &deep);
        Ok(answer.into_bytes())
    }),
    ("a mebibyte of error", |_| Err("x".repeat(1 << 20))),
    ("an error with lines and controls", |_| Err("no\u{1b}[2J\nbecause\u{0}".to_owned())),
    ("20,000 hosts", |kind| match kind {
        "Service" => list(kind, vec![service()]),
        "Ingress" => list(kind, vec![ingress((0..20_000).map(|number| format!("h{number}.example.com")))]),
        _ => list(kind, Vec::new()),
    }),
    ("one host 20,000 times, and two ConfigMaps of flyteadmin's with a mebibyte each", |kind| match kind {
        "Service" => list(kind, vec![service(); 1_000]),
        "Ingress" => list(kind, vec![ingress((0..20_000).map(|_| "console.example.com".to_owned()))]),
        "ConfigMap" => {
            let config_map =
                |name: &str| json!({"metadata": {"name": name}, "data": {"a.yaml": "x: y\n".repeat(1 << 18)}});
            list(kind, vec![config_map("flyte-admin-config"), config_map("flyte-admin-base-config")])
        }
        _ => list(kind, Vec::new()),
    }),
];

/// flyteconsole, an UPDATE of flyteadmin's ConfigMap, and a self-signed certificate, each with its policy.
fn requests() -> [(&'static str, &'static str, Value); 3] {
    let console = json!({
        "operation": "CREATE", "namespace": "flyte", "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "object": {"spec": {"template": {"metadata": {"labels": {"app": "flyteconsole"}}, "spec": {"containers": [{
            "name": "flyteconsole",
            "securityContext": {"runAsUser": 1000},
            "env": [{"name": "ADMIN_API_URL", "value": "https://flyte.example.com"}]
        }]}}}}
    });
    let files = |origin: &str| {
        let file = format!("server: {{security: {{allowedOrigins: ['https://{origin}.example.com']}}}}");
        json!({"metadata": {"name": "flyte-admin-config"}, "data": {"server.yaml": file}})
    };
    let admin = json!({
        "operation": "UPDATE", "namespace": "flyte", "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "object": files("a"), "oldObject": files("b")
    });
    let secret = json!({
        "operation": "CREATE", "namespace": "flyte", "kind": {"group": "", "version": "v1", "kind": "Secret"},
        "object": {
            "type": "kubernetes.io/tls", "metadata": {"name": "flyte-tls"},
            "stringData": {"tls.crt": certificates::pem("self-signed")}
        }
    });
    [
        ("flyte-console-url", "flyteconsole", console),
        ("flyte-console-url", "flyteadmin's ConfigMap", admin),
        ("flyte-oauth-tls", "a certificate", secret),
    ]
}

fn judge(module: &Module, request: &Value, host: Host) -> Result<(), Failed> {
    let (is_update, is_secret) = (request["operation"] == "UPDATE", request["kind"]["kind"] == "Secret");
    let answer = module.validate(&request.to_string(), "{}", &(Arc::new(host) as _))?;
    let warnings = answer.warnings.clone().unwrap_or_default().join("\n");
    let said = match is_secret {
        true => &[
            "could not check whether flyteadmin or another OAuth provider issues the tokens: ",
            "could not check which hosts the certificate must cover: ",
        ][..],
        // If no console is known, none can be cut off.
        false if is_update => &[],
        false => &["could not check whether flyteadmin's CORS allows flyteconsole: "],
    };
    let says_so = said.iter().all(|said| warnings.contains(said));
    if answer.accepted != is_secret && says_so && warnings.len() < 10_000 && !warnings.contains('\u{1b}') {
        Ok(())
    } else {
        Err(format!("{answer:.2000?}").into())
    }
}

/// Checks that an unknown image proves nothing.
fn judge_image(module: &Module, host: Host) -> Result<(), Failed> {
    let request = json!({
        "operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "object": {"spec": {"containers": [{"name": "a", "image": "a:1"}]}}
    });
    let answer = module.validate(&request.to_string(), r#"{"imageUser": "check"}"#, &(Arc::new(host) as _))?;
    let message = answer.message.clone().unwrap_or_default();
    if !answer.accepted
        && message.contains("It could not be checked: ")
        && message.len() < 10_000
        && !message.contains('\u{1b}')
    {
        Ok(())
    } else {
        Err(format!("{answer:.2000?}").into())
    }
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    let images = loaded("flyte-non-root-image-user");
    for (title, host) in HOSTS {
        let images = Arc::clone(&images);
        let trial = Trial::test(format!("{title}, asked about an image"), move || judge_image(&images, Host(host)));
        trials.push(trial);
    }
    let asking =
        DECLARED.iter().filter(|declared| !declared.asks_for.is_empty()).map(|declared| declared.policy.name());
    for name in asking.chain(["flytewarden"]) {
        let module = loaded(name);
        for (title, host) in HOSTS {
            for (_, what, request) in
                requests().into_iter().filter(|(policy, ..)| [policy, "flytewarden"].contains(&name))
            {
                let module = Arc::clone(&module);
                let title = format!("{title}, asked about {what} ({name})");
                trials.push(Trial::test(title, move || judge(&module, &request, Host(host))));
            }
        }
    }
    trials
}

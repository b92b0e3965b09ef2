//! Checks that no output contains a value of a Secret or the user info of a URL.

use flytewarden::oauth_tls::LINKED;
use flytewarden_offline::{linked, settings::Settings};

use crate::{Run, folder, path, run};

/// The text that must not appear.
const MARKER: &str = "MARKER";

/// URLs with user info, in the ways that people may write them.
const URLS: [&str; 4] = [
    "https://a:MARKER@b.example",
    "http://MARKER@b.example/x",
    "a:MARKER@b.example",
    "https://a:MAR/MARKER@b.example?c",
];

/// A Deployment that `fix --fill` changes.
const CONSOLE: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: flyteconsole, namespace: flyte}
spec:
  template:
    spec:
      containers:
      - name: flyteconsole
        image: cr.flyte.org/flyteorg/flyteconsole:v1.21.0
";

/// Checks all outputs for some manifests. `fix --fill` must print `fixed`.
fn assert_hidden(manifests: &[String], fixed: &str) {
    let folder = folder(&[("a.yaml", manifests.join("\n---\n").as_bytes())]);
    let file = path(&folder, "a.yaml");
    let assert = |arguments: &[&str], expected: &str| {
        let Run { code, out, err } = run(&[arguments, &[&file]].concat(), "");
        assert!(matches!(code, Some(0..=2)), "{arguments:?}: {code:?} {err}");
        assert!(format!("{out}{err}").contains(expected), "{arguments:?}: {out}{err}");
        let seen: Vec<&str> = out.lines().chain(err.lines()).filter(|line| line.contains(MARKER)).collect();
        assert!(seen.is_empty(), "{arguments:?}: {seen:#?}");
    };
    for format in ["text", "json", "sarif", "junit"] {
        assert(&["check", "--format", format], "");
    }
    #[cfg(feature = "modules")]
    assert(&["check", "--format", "json", "--module", "dist/flytewarden.wasm"], "");
    assert(&["fix", "--fill"], fixed);
    assert(&["fix", "--fill", "--write"], "");
}

#[test]
fn no_value_of_a_secret_is_shown() {
    let pem = |label: &str| {
        format!("stringData: {{tls.crt: \"-----BEGIN {label}-----\\nTUFSS0VS MARKER\\n-----END {label}-----\\n\"}}")
    };
    let fields = [
        "stringData: {a: MARKER}".to_owned(),
        "stringData: {tls.crt: MARKER, tls.key: MARKER}".to_owned(),
        "data: {tls.crt: MARKER}".to_owned(),
        "data: {tls.crt: [MARKER]}".to_owned(),
        "data: {tls.crt: {MARKER: MARKER}}".to_owned(),
        "stringData: MARKER".to_owned(),
        "data: [MARKER]".to_owned(),
        "data: {a: !!int MARKER}".to_owned(),
        "data: {tls.crt: !!bool MARKER}".to_owned(),
        "data: {a: !!float MARKER}".to_owned(),
        "data: {a: !!null MARKER}".to_owned(),
        "data: {a: !!timestamp MARKER}".to_owned(),
        "data: {a: !!binary MARKER}".to_owned(),
        "data: {a: !MARKER b}".to_owned(),
        "data: {a: !MARKER!b c}".to_owned(),
        "data: {a: *MARKER}".to_owned(),
        "data: {a: &MARKER [*MARKER]}".to_owned(),
        "data: {a: %MARKER}".to_owned(),
        "data: {a: @MARKER}".to_owned(),
        "data: {a: \"MARKER}".to_owned(),
        "data: {a: \"MARKER\\q\"}".to_owned(),
        "data:\n  a: MARKER: MARKER".to_owned(),
        "data:\n\ta: MARKER".to_owned(),
        "data:\n  a: MARKER\n b: MARKER".to_owned(),
        "data: {a: |MARKER}".to_owned(),
        "data: {? [MARKER] : MARKER}".to_owned(),
        "data: {<<: MARKER}".to_owned(),
        "data: {a: {{ MARKER }}}".to_owned(),
        "data: {a: MARKER\u{1}}".to_owned(),
        "items: [MARKER]".to_owned(),
        "items: MARKER".to_owned(),
        pem("MARKER"),
        pem("CERTIFICATE"),
        pem("RSA PRIVATE KEY"),
        "stringData: {tls.crt: \"-----BEGIN MARKER\"}".to_owned(),
    ];
    let secret = |(field, kind): (&String, &str)| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: flyte-secret-tls}}\ntype: {kind}\n{field}\n")
    };
    let json = r#"{"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "MARKER"#;
    let json = [json.to_owned(), format!("{json}\" 5}}}}"), format!("{json}\"}}, \"data\": \"MARKER\"}}")];
    let tls = fields.iter().map(|field| secret((field, "kubernetes.io/tls")));
    let opaque = fields.iter().map(|field| secret((field, "Opaque")));
    let secrets: Vec<String> = tls.chain(opaque).chain(json).collect();
    // Put an object that gets filled in between the Secrets.
    let between = |secret: &String| [secret.clone(), CONSOLE.to_owned()];
    assert_hidden(
        &secrets.iter().flat_map(between).chain([secrets[0].clone()]).collect::<Vec<_>>(),
        "+        runAsUser: 1000\n",
    );
}

#[test]
fn no_user_info_of_a_url_is_shown() {
    let config = |file: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: flyte-admin-base-config, namespace: flyte}}\ndata:\n  server.yaml: |\n    {file}\n"
        )
    };
    let deployment = |container: &str| {
        format!(
            "{CONSOLE}---\n{}",
            CONSOLE
                .replace("flyteconsole", "flyteadmin")
                .replace("        image:", &format!("        {container}\n        image:"))
        )
    };
    let mut all = vec![CONSOLE.to_owned()];
    for url in URLS {
        let origins = |more: &str| config(&format!("server: {{security: {{allowedOrigins: ['{url}'{more}]}}}}"));
        let console = CONSOLE.replace(
            "        image:",
            &format!("        env: [{{name: ADMIN_API_URL, value: '{url}'}}]\n        image:"),
        );
        let manifests = [
            origins(""),
            origins(&format!(", 'https://good.example', '{url}'")),
            origins(", 'null', '*'"),
            config(&format!(
                "server: {{security: {{allowedOrigins: '{url}, {url}', allowedHeaders: ['{url}'], useAuth: true}}}}"
            )),
            config(&format!("server: {{security: {{allowCors: '{url}'}}}}")),
            config(&format!("server: {{security: {{allowCors: !!int '{url}'}}}}")),
            config(&format!("auth: {{appAuth: {{authServerType: '{url}'}}}}")),
            config(&format!(
                "auth: {{appAuth: {{authServerType: External, externalAuthServer: {{baseUrl: '{url}'}}}}}}"
            )),
            deployment(&format!("args: ['--server.security.allowedOrigins={url}']")),
            deployment(&format!("env: [{{name: SERVER_SECURITY_ALLOWEDORIGINS, value: '{url}'}}]")),
            deployment(&format!("args: ['--{url}', '--server.security.allowCors={url}']")),
            console.clone(),
            format!("{console}---\n{}", origins("")),
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: flyte-console-config, namespace: flyte}}\ndata: {{ADMIN_API_URL: '{url}'}}\n"
            ),
            CONSOLE.replace("cr.flyte.org/flyteorg/flyteconsole:v1.21.0", &format!("'{url}'")),
        ];
        // Each set of manifests has its own namespace, so that their objects do not belong together.
        for manifests in manifests {
            let namespace = format!("namespace: n{}", all.len());
            all.push(manifests.replace("namespace: flyte", &namespace));
        }
    }
    assert_hidden(&all, "the diff would show a password or lines of a Secret; use --write");
}

#[test]
fn no_user_info_of_a_setting_is_shown() {
    let policies = linked::policies(|| Err("no clock is available".to_owned()), || Ok(LINKED));
    for url in URLS {
        for (policy, setting) in [
            ("flyte-admin-cors", "allowHttp"),
            ("flyte-admin-cors", "requiredOrigins"),
            ("flyte-admin-cors", "trustedOrigins"),
            ("flyte-console-url", "allowHttp"),
            ("flyte-console-url", "consoleOrigins"),
            ("flyte-console-url", "crossCheck"),
            ("flyte-oauth-tls", "hosts"),
        ] {
            for value in [format!("['{url}']"), format!("'{url}'"), format!("[['{url}']]"), format!("['{url}*']")] {
                let text = format!("{policy}: {{{setting}: {value}}}");
                // All programs that read settings print only this message.
                let wrong = Settings::parse(&text, &policies).map_or_else(|wrong| wrong.to_string(), |_| String::new());
                assert!(!wrong.contains(MARKER), "{text}\n{wrong}");
            }
        }
    }
    for text in [
        "https://a:MARKER@b.example: {}",
        "flyte-non-root: {exceptions: [{initContainer: a, images: ['https://a:MARKER@b.example/c']}]}",
        "flyte-non-root: {fill: {'https://a:MARKER@b.example': {}}}",
    ] {
        let wrong = Settings::parse(text, &policies).expect_err(text);
        assert!(!wrong.to_string().contains(MARKER), "{text}\n{wrong}");
    }
    for arguments in [&["check", "https://a:MARKER@b/c"][..], &["check", "--settings", "https://a:MARKER@b/c", "-"]] {
        let run = run(arguments, "");
        assert!(!format!("{}{}", run.out, run.err).contains(MARKER), "{}{}", run.out, run.err);
    }
}

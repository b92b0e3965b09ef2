//! Tests checks that need two objects of the same input, such as flyteconsole's address and flyteadmin's origins.

use crate::{check, folder, path, run};

/// The objects of flyteconsole, without a namespace.
const CONSOLE: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: flyteconsole}
spec:
  template:
    metadata: {labels: {app: flyteconsole}}
    spec:
      containers:
      - name: flyteconsole
        securityContext: {runAsUser: 1000}
        env: [{name: ADMIN_API_URL, value: https://flyte.example.com}]
---
apiVersion: v1
kind: Service
metadata: {name: flyteconsole}
spec: {selector: {app: flyteconsole}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: flyteconsole}
spec:
  tls: [{hosts: [console.example.com]}]
  rules: [{host: console.example.com, http: {paths: [{backend: {service: {name: flyteconsole}}}]}}]
";
const ADMIN: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: flyte-admin-config, namespace: flyte}
data:
  server.yaml: |
    server: {security: {allowedOrigins: [https://other.example.com]}}
";

#[test]
fn a_broken_pair_is_found_across_files_and_the_report_tells_that_no_cluster_was_asked() {
    let folder = folder(&[("admin.yaml", ADMIN.as_bytes()), ("console.yaml", CONSOLE.as_bytes())]);
    let paths = [path(&folder, "console.yaml"), path(&folder, "admin.yaml")];
    let run = run(&["check", "--namespace", "flyte", &paths[0], &paths[1]], "");
    assert_eq!(Some(1), run.code, "{}", run.out);
    assert!(run.out.contains("line 11, flyte-console-url/cut-off, low\n    flyteconsole at "), "{}", run.out);
    assert!(run.out.contains("(Ingress flyte/flyteconsole)"), "{}", run.out);
    assert!(run.out.contains("→ add `- https://console.example.com` to that list"), "{}", run.out);
    for related in [
        format!("see Ingress flyte/flyteconsole  {}:18", paths[0]),
        format!("see ConfigMap flyte/flyte-admin-config  {}:1", paths[1]),
    ] {
        assert!(run.out.contains(&related), "{related}\n{}", run.out);
    }
    let asked = "Related objects were looked up only among the objects given here.";
    assert!(run.out.ends_with(&format!("{asked}\n")), "{}", run.out);
}

#[test]
fn an_object_that_only_the_fix_names_is_related_too() {
    let behind = BEHIND_TLS.replace("flyte.example.com", "real.example.com");
    let run = run(&["check", "--namespace", "flyte", "-"], &format!("{CONSOLE}{behind}"));
    let related = "which leads to flyteadmin (Ingress flyte/flyteadmin)\n    see Ingress flyte/flyteadmin  ";
    assert!(run.out.contains(related), "{}", run.out);
}

#[test]
fn a_fixed_pair_has_no_violation() {
    let mended = ADMIN.replace("other.example.com", "console.example.com");
    let run = run(&["check", "--namespace", "flyte", "-"], &format!("{CONSOLE}---\n{mended}"));
    assert_eq!(Some(0), run.code, "{}", run.out);
    assert!(!run.out.contains("flyte-console-url/"), "{}", run.out);
}

#[test]
fn a_pair_in_two_namespaces_is_reported_as_not_checked() {
    let run = check(&format!("{CONSOLE}---\n{ADMIN}"));
    assert_eq!(Some(0), run.code, "{}", run.out);
    assert!(run.out.contains("found no ConfigMap of flyteadmin in namespace default"), "{}", run.out);
}

#[test]
fn a_pair_with_an_unreadable_side_fails_the_check() {
    let run = run(&["check", "--namespace", "flyte", "-"], &format!("{CONSOLE}---\n{ADMIN}  a.yaml: 5\n"));
    assert_eq!(Some(2), run.code, "{}", run.out);
    assert!(run.out.contains("flyte-console-url/not-checked"), "{}", run.out);
}

#[test]
fn two_environments_in_one_input_are_not_compared_with_each_other() {
    let mended = ADMIN.replace("other.example.com", "console.example.com");
    let run = run(&["check", "--namespace", "flyte", "-"], &format!("{CONSOLE}---\n{ADMIN}---\n{mended}"));
    assert_eq!(Some(0), run.code, "{}", run.out);
    assert!(run.out.contains("ConfigMap flyte/flyte-admin-config is in "), "{}", run.out);
}

#[test]
fn environments_in_separate_files_or_folders_are_checked_separately() {
    let mended = ADMIN.replace("other.example.com", "console.example.com");
    for (staging, prod) in [("staging/", "prod/"), ("staging-", "prod-")] {
        let file = |environment: &str, name: &str| format!("{environment}{name}.yaml");
        let both = |admin: &str| format!("{CONSOLE}---\n{admin}");
        let (good, bad) = (both(&mended), both(ADMIN));
        let folder = folder(&[(&*file(staging, "flyte"), good.as_bytes()), (&*file(prod, "flyte"), bad.as_bytes())]);
        let run = run(&["check", "--namespace", "flyte", folder.path().to_str().unwrap()], "");
        assert_eq!(Some(1), run.code, "{}", run.out);
        let found: Vec<&str> = run.out.lines().filter(|line| line.contains("flyte-console-url/")).collect();
        assert_eq!(1, found.len(), "{}", run.out);
        let object = run.out.lines().find(|line| line.starts_with("Deployment flyteconsole")).unwrap();
        assert!(object.contains(&file(prod, "flyte")), "{object}");
    }
}

#[test]
fn objects_of_one_name_in_one_file_are_reported_with_both_lines() {
    let other = ADMIN.replace("other", "third");
    let run = run(&["check", "--namespace", "flyte", "-"], &format!("{CONSOLE}---\n{ADMIN}---\n{other}"));
    let said = "ConfigMap flyte/flyte-admin-config is in <stdin>:25 and in <stdin>:32 with different content";
    assert!(run.out.contains(said), "{}", run.out);
}

#[test]
fn objects_of_another_environment_do_not_count() {
    let (common, admin) = CONSOLE.split_at(CONSOLE.find("---\napiVersion: v1").unwrap());
    let (staging, prod) =
        (format!("{common}{admin}---\n{ADMIN}"), format!("{}---\n{ADMIN}", common.replace("1000", "1001")));
    let folder = folder(&[("prod.yaml", prod.as_bytes()), ("staging.yaml", staging.as_bytes())]);
    let paths = [path(&folder, "prod.yaml"), path(&folder, "staging.yaml")];
    let run = run(&["check", "--namespace", "flyte", &paths[0], &paths[1]], "");
    assert!(run.out.contains(&format!("{}:1\n  i ", paths[0])), "{}", run.out);
    assert!(run.out.contains("found no Ingress, HTTPRoute or Route to flyteconsole in namespace flyte"), "{}", run.out);
    assert!(run.out.contains(&format!("{}:1\n  ✗ ", paths[1])), "{}", run.out);
    let parted = format!("2 environments: Deployment flyte/flyteconsole differs in {}:1 and {}:1", paths[0], paths[1]);
    assert!(run.out.contains(&parted), "{}", run.out);
}

/// flyteadmin, and an Ingress with a certificate in front of it.
const BEHIND_TLS: &str = "
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: flyteadmin, namespace: flyte}
spec:
  template:
    metadata: {labels: {app: flyteadmin}}
    spec:
      securityContext: {runAsUser: 1000}
      volumes: [{name: c, configMap: {name: flyte-admin-config}}]
      containers:
      - name: flyteadmin
        command: [flyteadmin, --config, /etc/flyte/config/*.yaml, serve]
        volumeMounts: [{name: c, mountPath: /etc/flyte/config}]
---
apiVersion: v1
kind: Service
metadata: {name: flyteadmin, namespace: flyte}
spec: {selector: {app: flyteadmin}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: flyteadmin, namespace: flyte}
spec:
  tls: [{hosts: [flyte.example.com], secretName: tls}]
  rules: [{host: flyte.example.com, http: {paths: [{backend: {service: {name: flyteadmin}}}]}}]
";

/// The certificate of that Ingress.
const CERTIFICATE: &str = "
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: tls, namespace: flyte}
spec: {secretName: tls, dnsNames: [flyte.example.com], issuerRef: {kind: ClusterIssuer, name: letsencrypt}}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: letsencrypt}
spec: {acme: {server: https://acme-v02.api.letsencrypt.org/directory}}
";

#[test]
fn a_certificate_of_one_environment_does_not_count_for_another() {
    let prod = format!("{ADMIN}{BEHIND_TLS}{CERTIFICATE}");
    let staging = format!("{ADMIN}{BEHIND_TLS}").replace("other.example.com", "third.example.com");
    let folder = folder(&[("prod.yaml", prod.as_bytes()), ("staging.yaml", staging.as_bytes())]);
    let [prod, staging] = ["prod.yaml", "staging.yaml"].map(|file| path(&folder, file));
    let alone = run(&["check", "--namespace", "flyte", &prod], "");
    assert!(alone.out.contains("holds      OAuth uses a certificate"), "{}", alone.out);
    let both = run(&["check", "--namespace", "flyte", &prod, &staging], "");
    assert!(both.out.contains("not shown  OAuth uses a certificate"), "{}", both.out);
    let missing = "Ingress flyte/flyteadmin uses Secret flyte/tls, which is not in these manifests; add it, without its private key";
    assert!(both.out.contains(&format!("{missing} (in the environment of {staging})")), "{}", both.out);
}

/// flyteadmin with its Service, and with a Secret that has the given password.
fn admin_with(secret: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: flyteadmin, namespace: flyte}}
spec:
  template:
    metadata: {{labels: {{app: flyteadmin}}}}
    spec:
      securityContext: {{runAsUser: 1000}}
      containers: [{{name: flyteadmin, command: [flyteadmin, --config, /etc/flyte/config/*.yaml, serve]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: flyteadmin, namespace: flyte}}
spec: {{selector: {{app: flyteadmin}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: db-pass, namespace: flyte}}
stringData: {{pass: {secret}}}
"
    )
}

/// An Ingress in front of flyteadmin that allows every origin.
const OPEN_ROUTE: &str = "
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: flyteadmin
  namespace: flyte
  annotations: {nginx.ingress.kubernetes.io/enable-cors: \"true\"}
spec:
  rules: [{host: flyte.example.com, http: {paths: [{backend: {service: {name: flyteadmin}}}]}}]
";

#[test]
fn a_placeholder_file_is_not_an_environment() {
    let route = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db-pass, namespace: flyte}}\n{OPEN_ROUTE}");
    let folder = folder(&[("app.yaml", admin_with("changeme").as_bytes()), ("edge.yaml", route.as_bytes())]);
    let run = run(&["check", folder.path().to_str().unwrap()], "");
    assert_eq!(Some(1), run.code, "{}", run.out);
    assert!(run.out.contains("flyte-admin-cors/any-origin") && !run.out.contains("environments"), "{}", run.out);
}

#[test]
fn an_environment_is_everything_below_its_folder() {
    let file = |environment: &str, name: &str| format!("{environment}/flyte-core/{name}.yaml");
    let prod = admin_with("a").replace("1000", "1001");
    let folder = folder(&[
        (&*file("prod", "templates/admin/deployment"), prod.as_bytes()),
        (&*file("staging", "templates/admin/deployment"), admin_with("b").as_bytes()),
        (&*file("staging", "ingress"), OPEN_ROUTE.as_bytes()),
    ]);
    let both = run(&["check", folder.path().to_str().unwrap()], "");
    assert_eq!(Some(1), both.code, "{}", both.out);
    assert!(both.out.contains("Checked as 2 environments"), "{}", both.out);
    assert!(both.out.contains(&format!("Ingress flyte/flyteadmin  {}", path(&folder, &file("staging", "ingress")))));
    assert!(!both.out.contains("Check each environment separately"), "{}", both.out);
}

#[test]
fn objects_that_environments_share_are_checked_in_each() {
    let prod = admin_with("a").replace("1000", "1001");
    let folder = folder(&[
        ("common/ingress.yaml", OPEN_ROUTE.as_bytes()),
        ("prod/admin.yaml", prod.as_bytes()),
        ("staging/admin.yaml", admin_with("b").as_bytes()),
    ]);
    let run = run(&["check", folder.path().to_str().unwrap()], "");
    assert_eq!(Some(1), run.code, "{}", run.out);
    assert!(run.out.contains("flyte-admin-cors/any-origin"), "{}", run.out);
}

#[test]
fn a_second_route_to_flyteadmin_needs_its_own_certificate() {
    let route = "rules: [{host: flyte.example.com, http: {paths: [{backend: {service: {name: flyteadmin}}}]}}]";
    let mended = ADMIN.replace("other", "console");
    let with = |manifests: &str| {
        run(&["check", "--namespace", "flyte", "-"], &format!("{mended}{BEHIND_TLS}{CERTIFICATE}{manifests}"))
    };
    assert!(with("").out.contains("holds      OAuth uses a certificate"), "{}", with("").out);
    for (kind, more) in [
        ("Ingress", format!("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: a, namespace: flyte}}\nspec: {{{}}}\n", route.replace("flyte.", "other."))),
        ("HTTPRoute", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a, namespace: flyte}\nspec: {parentRefs: [{name: gone}], rules: [{backendRefs: [{name: flyteadmin, port: 80}]}]}\n".to_owned()),
        ("IngressRoute", "apiVersion: traefik.io/v1alpha1\nkind: IngressRoute\nmetadata: {name: a, namespace: flyte}\nspec: {routes: [{match: Host(`a.example.com`), services: [{name: flyteadmin, port: 80}]}]}\n".to_owned()),
    ] {
        let run = with(&format!("---\n{more}"));
        assert!(run.out.contains("not shown  OAuth uses a certificate"), "{}", run.out);
        assert!(run.out.contains(&format!("found no certificate for {kind} flyte/a")), "{}", run.out);
    }
}

#[test]
fn a_provider_in_an_unmounted_config_map_does_not_count() {
    let stale = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: flyte-admin-base-config, namespace: flyte}\ndata:\n  server.yaml: |\n    server: {security: {useAuth: true}}\n    auth: {appAuth: {authServerType: External, externalAuthServer: {baseUrl: https://idp.example.com}}}\n";
    let run = run(
        &["check", "--namespace", "flyte", "-"],
        &format!("{}{BEHIND_TLS}---\n{stale}", ADMIN.replace("other", "console")),
    );
    assert!(run.out.contains("uses Secret flyte/tls, which is not in these manifests"), "{}", run.out);
}

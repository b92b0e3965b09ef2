//! Tests which objects are checked: those of Flyte, in which namespaces. Also tests which sentences must be shown.

use super::{BAD, GOOD, SERVICE, check, folder, path, run};

#[test]
fn manifests_without_flyte_fail_the_check() {
    let other = GOOD.replace("flytepropeller", "a");
    for input in [other.clone(), SERVICE.repeat(3).replace("apiVersion", "---\napiVersion")] {
        let run = check(&input);
        assert_eq!(Some(2), run.code, "{}", run.out);
        assert!(run.out.contains("no Flyte objects found in these manifests"), "{}", run.out);
    }
    // Violations are reported all the same.
    assert_eq!(Some(1), check(BAD).code);
    assert_eq!(Some(0), check(&format!("{GOOD}---\n{other}")).code);
}

#[test]
fn namespaces_without_flyte_are_left_out_unless_the_user_names_them() {
    let elsewhere = BAD.replace("{name: bad}", "{name: bad, namespace: monitoring}");
    let input = format!("{GOOD}---\n{elsewhere}");
    let run = check(&input);
    assert_eq!(Some(0), run.code, "{}", run.out);
    assert!(run.out.contains("1 object in other namespaces skipped (monitoring)"), "{}", run.out);
    for (namespaces, code) in [("all", 1), ("monitoring", 1), ("default", 0), ("default,monitoring", 1)] {
        let run = self::run(&["check", "--namespaces", namespaces, "-"], &input);
        assert_eq!(Some(code), run.code, "{namespaces}: {}", run.out);
    }
    let mistyped = self::run(&["check", "--namespaces", "defualt", "-"], &input);
    assert_eq!(Some(2), mistyped.code);
    assert!(mistyped.out.contains("there are objects in default, monitoring"), "{}", mistyped.out);
}

#[test]
fn objects_that_another_object_makes_are_checked_only_there() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: flyteadmin}\nspec: {template: {spec: {containers: [{name: flyteadmin, securityContext: {runAsUser: 1}}]}}}\n";
    let owner = "ownerReferences: [{kind: Deployment, name: flyteadmin, controller: true}]";
    let made = deployment
        .replace("Deployment", "ReplicaSet")
        .replace("name: flyteadmin}\nspec", &format!("name: flyteadmin-1, {owner}}}\nspec"));
    let run = check(&format!("{deployment}---\n{made}"));
    assert!(
        run.out.contains("\n1 object checked: no violations. Skipped 1 object whose owner is checked here.\n"),
        "{}",
        run.out
    );
    assert!(check(&made).out.contains("\n1 object checked: no violations.\n"), "where the other is not there");
    let own = deployment.replace("name: flyteadmin}\nspec", &format!("name: flyteadmin, {owner}}}\nspec"));
    assert!(check(&own).out.contains("\n1 object checked: no violations.\n"), "nothing makes itself");
    let root = made.replace("runAsUser: 1", "runAsUser: 0");
    assert_eq!(Some(1), check(&format!("{deployment}---\n{root}")).code, "an old ReplicaSet may still run");
    let kept = root.replace("spec: {template", "spec: {replicas: 0, template");
    assert_eq!(Some(0), check(&format!("{deployment}---\n{kept}")).code, "it is kept for a rollback");
    let both = check(&format!("{}---\n{root}", deployment.replace("runAsUser: 1", "runAsUser: 0")));
    assert!(
        both.out
            .contains("\n1 object checked: 1 violation in 1 object. Skipped 1 object whose owner is checked here.\n"),
        "{}",
        both.out
    );
}

#[test]
fn a_sentence_holds_only_if_it_holds_for_every_flyteadmin() {
    let admin = |namespace: &str, files: &str| {
        format!(
            "apiVersion: apps/v1
kind: Deployment
metadata: {{name: flyteadmin, namespace: {namespace}}}
spec: {{template: {{metadata: {{labels: {{app: flyteadmin}}}}, spec: {{containers: [{{name: flyteadmin, image: \"flyteadmin:v1.16.8\", \
             command: [flyteadmin, --config, /etc/flyte/*.yaml, serve], securityContext: {{runAsUser: 1001}}, volumeMounts: [{{name: c, mountPath: \
             /etc/flyte}}]}}], volumes: [{{name: c, configMap: {{name: admin}}}}]}}}}}}
---
{files}"
        )
    };
    let files = |namespace: &str, auth: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: admin, namespace: {namespace}}}\ndata: {{a.yaml: 'server: {{security: \
             {{useAuth: true, allowedOrigins: [\"https://console.example.com\"]}}}}\n\n  auth: {{appAuth: {{authServerType: {auth}, externalAuthServer: {{baseUrl: \"https://login.example.com\"}}}}}}'}}\n---\n"
        )
        .replace("\n\n  auth", "\n\n\n    auth")
    };
    let external = admin("a", &files("a", "External"));
    let alone = check(&external);
    for sentence in ["only listed origins, as browsers send them", "OAuth uses a certificate"] {
        assert!(alone.out.lines().any(|line| line.contains("holds") && line.contains(sentence)), "{}", alone.out);
    }
    // Nothing is known about the other flyteadmin, or about the routes in front of it.
    let both = check(&format!("{external}{}", admin("b", "")));
    for missing in [
        "Deployment b/flyteadmin: flyteadmin also reads ConfigMap b/admin, which was not found",
        "found no Ingress or route with a certificate in front of Deployment b/flyteadmin",
    ] {
        assert!(both.out.contains(missing), "{missing} {}", both.out);
    }
}

#[test]
fn a_required_sentence_that_is_not_shown_exits_with_2() {
    for (required, code) in [("non-root", 0), ("non-root,exception", 0), ("pair", 2), ("all", 2)] {
        let run = run(&["check", "--require", required, "-"], GOOD);
        assert_eq!(Some(code), run.code, "{required}: {}", run.out);
    }
    assert_eq!(Some(2), run(&["check", "--fix", "--require", "pair", "-"], GOOD).code);
    // Each format shows which requirement that is.
    for (format, words) in [
        ("text", "not shown  flyteadmin accepts calls from flyteconsole (required)"),
        ("markdown", "- ❌ required, but not shown: flyteadmin accepts calls from flyteconsole"),
        ("json", "\"required\": true"),
        ("junit", "<error message=\"required, but not shown\""),
        ("sarif", "required, but not shown: flyteadmin accepts calls from flyteconsole"),
    ] {
        let with = run(&["check", "--require", "pair", "--format", format, "-"], GOOD);
        assert!(with.out.contains(words), "{}", with.out);
        let without = run(&["check", "--format", format, "-"], GOOD);
        assert!(!without.out.contains("required"), "{}", without.out);
    }
    let unknown = run(&["check", "--require", "everything", "-"], GOOD);
    assert_eq!(Some(2), unknown.code);
    assert!(
        unknown.err.contains("use one of non-root, exception, origins, address, pair, certificate, or all"),
        "{}",
        unknown.err
    );
}

#[test]
fn other_files_in_a_directory_are_skipped_and_listed() {
    let folder = folder(&[
        ("flyte/good.yaml", GOOD.as_bytes()),
        ("flyte/values.yaml", b"replicas: 1\n"),
        ("package.json", b"{\"name\": \"a\"}"),
        ("empty.yaml", b"# disabled\n"),
        (".github/workflows/ci.yml", b"kind: 5\n"),
    ]);
    let whole = folder.path().to_str().unwrap();
    let found = run(&["check", whole], "");
    assert_eq!(Some(0), found.code, "{}", found.out);
    let skipped = ["empty.yaml", "flyte/values.yaml", "package.json"].map(|file| path(&folder, file)).join(", ");
    assert!(found.out.contains(&format!("Skipped 3 files without a Kubernetes object: {skipped}.")), "{}", found.out);
    // A file that the user names is never skipped.
    let named = run(&["check", &path(&folder, "flyte/values.yaml")], "");
    assert_eq!(Some(2), named.code, "{}", named.out);
    // If no other files are left, the check fails.
    let alone = run(&["check", whole, "--exclude", &path(&folder, "flyte")], "");
    assert_eq!(Some(2), alone.code, "{}", alone.out);
}

#[test]
fn a_chart_or_kustomization_is_reported_with_the_command_that_renders_it() {
    let folder = folder(&[
        ("good.yaml", GOOD.as_bytes()),
        ("chart/Chart.yaml", b"name: flyte-core\n"),
        ("chart/templates/a.yaml", b"kind: {{ .Values.kind }}\n"),
        ("overlay/kustomization.yaml", b"resources: [bad.yaml]\n"),
        ("overlay/bad.yaml", BAD.as_bytes()),
    ]);
    let [chart, overlay] = ["chart", "overlay"].map(|part| path(&folder, part));
    let found = run(&["check", folder.path().to_str().unwrap()], "");
    assert_eq!(Some(2), found.code, "{}", found.out);
    assert!(found.out.contains(&format!("helm template flyte {chart} | flytewarden check -")), "{}", found.out);
    assert!(found.out.contains(&format!("kubectl kustomize {overlay} | flytewarden check -")), "{}", found.out);
    let without = run(&["check", folder.path().to_str().unwrap(), "--exclude", &chart, "--exclude", &overlay], "");
    assert_eq!(Some(0), without.code, "{}", without.out);
    assert_eq!(Some(1), run(&["check", &path(&folder, "overlay/bad.yaml")], "").code);
}

#[test]
fn a_policy_that_did_not_run_is_named_if_a_sentence_needs_it() {
    let found = run(&["check", "--policy", "flyte-admin-cors,flyte-oauth-tls", "-"], BAD);
    assert!(!found.out.contains("flyte-non-root/"), "{}", found.out);
    let own = run(&["check", "--policy", "flyte-non-root", "-"], BAD);
    assert_eq!(Some(1), own.code, "{}", own.out);
    assert!(own.out.contains("the policy flyte-admin-cors was not run"), "{}", own.out);
    let unknown = run(&["check", "--policy", "flyte-nonroot", "-"], BAD);
    assert_eq!(Some(2), unknown.code);
    assert!(
        unknown.err.contains("there is no policy `flyte-nonroot`; the policies are flyte-admin-cors, "),
        "{}",
        unknown.err
    );
}

#[test]
fn a_namespace_with_nothing_to_check_is_reported() {
    let good = GOOD.replace("name: good", "name: good, namespace: flyte");
    let run = run(&["check", "--namespaces", "flyte,elsewhere", "-"], &good);
    assert_eq!(Some(2), run.code, "{}", run.out);
    assert!(run.out.contains("nothing to check in the namespace elsewhere\n"), "{}", run.out);
    assert!(!run.out.contains("in the namespace flyte"), "{}", run.out);
}

#[test]
fn a_file_that_is_named_twice_is_checked_once() {
    let folder = folder(&[("good.yaml", GOOD.as_bytes())]);
    let file = path(&folder, "good.yaml");
    let run = run(&["check", &file, folder.path().to_str().unwrap(), &file], "");
    assert!(run.out.contains("1 object checked"), "{}", run.out);
}

#[test]
fn a_quiet_check_names_required_sentences_that_are_not_shown() {
    let run = run(&["check", "-q", "--require", "origins,non-root", "-"], GOOD);
    assert_eq!((Some(2), "", "error: --require: not shown: origins\n"), (run.code, &*run.out, &*run.err));
}

#[test]
fn a_workload_of_another_kind_leaves_the_requirement_open() {
    let after = std::fs::read_to_string(crate::root().join("examples/after.yaml")).unwrap();
    let rollout =
        after.replacen("apiVersion: apps/v1\nkind: Deployment", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout", 1);
    let run = run(&["check", "--require", "non-root,origins", "-"], &rollout);
    assert_eq!(Some(2), run.code, "{}", run.out);
    assert!(run.out.contains("Rollout flyte/flyteadmin: no policy covers this kind of workload\n"), "{}", run.out);
    assert!(run.out.contains("found no flyteadmin; add its Deployment\n"), "{}", run.out);
    assert_eq!("error: --require: not shown: non-root, origins\n", run.err);
}

#[test]
fn a_check_that_covers_no_object_is_not_good() {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: flyte-admin-config}\ndata: {}\n";
    let run = run(&["check", "--policy", "flyte-oauth-tls", "-"], config);
    assert_eq!(Some(2), run.code, "{}", run.out);
    assert!(run.out.contains("nothing was checked: the policies that ran cover none of these objects"), "{}", run.out);
}

#[test]
fn a_violation_in_any_environment_is_reported_for_a_file_that_they_share() {
    // In each, flyteconsole is loaded from another origin that flyteadmin does not allow.
    let admin = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: flyte-admin-config, namespace: flyte}\ndata: {server.yaml: 'server: {security: {allowCors: true, allowedOrigins: [https://a.example.com]}}'}\n";
    let console = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: flyteconsole, namespace: flyte}\nspec: {template: {metadata: {labels: {app: console}}, spec: {containers: [{name: flyteconsole, image: cr.flyte.org/flyteorg/flyteconsole:v1.21.0, env: [{name: ADMIN_API_URL, value: 'https://flyte.example.com'}], securityContext: {runAsUser: 1000}}]}}}\n";
    let ingress = |host: &str| {
        format!(
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: flytepropeller, namespace: flyte}}\nspec: {{template: {{spec: {{containers: [{{name: flytepropeller, image: cr.flyte.org/flyteorg/flytepropeller:v1.16.8, env: [{{name: HOST, value: {host}}}], securityContext: {{runAsUser: 1001}}}}]}}}}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: flyteconsole, namespace: flyte}}\nspec: {{selector: {{app: console}}, ports: [{{port: 80}}]}}\n---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: flyteconsole, namespace: flyte}}\nspec: {{tls: [{{hosts: [{host}]}}], rules: [{{host: {host}, http: {{paths: [{{path: /console, pathType: Prefix, backend: {{service: {{name: flyteconsole, port: {{number: 80}}}}}}}}]}}}}]}}\n"
        )
    };
    let check = |first: &str, second: &str| {
        let shared = format!("{console}---\n{admin}");
        let [first, second] = [ingress(first), ingress(second)];
        let folder = folder(&[
            ("common.yaml", shared.as_bytes()),
            ("a/ingress.yaml", first.as_bytes()),
            ("b/ingress.yaml", second.as_bytes()),
        ]);
        run(&["check", "--namespaces", "all", folder.path().to_str().unwrap()], "").out
    };
    let out = check("x.example.com", "y.example.com");
    for host in ["x.example.com", "y.example.com"] {
        assert!(out.contains(&format!("flyteconsole at https://{host} (Ingress flyte/flyteconsole) cannot")), "{out}");
    }
}

#[test]
fn what_is_left_out_is_named_wherever_the_command_runs() {
    let folder = folder(&[
        ("sub/tests/bad.yaml", BAD.as_bytes()),
        ("sub/good.yaml", GOOD.as_bytes()),
        ("flytewarden.yaml", b"exclude: [sub/tests, typo]\n"),
    ]);
    let output = crate::flytewarden().args(["check", "."]).current_dir(folder.path().join("sub")).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(Some(0), output.status.code(), "{out}");
    assert!(out.contains("Left out by --exclude: ./tests.\n"), "{out}");
    assert!(err.contains("typo: there is no such path in the directories to check"), "{err}");
}

#[test]
fn a_report_replaces_no_input_and_no_other_report() {
    let folder = folder(&[("good.yaml", GOOD.as_bytes())]);
    let file = path(&folder, "good.yaml");
    for outputs in
        [[format!("json={file}"), format!("text={file}.txt")], [format!("json={file}.x"), format!("text={file}.x")]]
    {
        let run = run(&["check", "--output", &outputs[0], "--output", &outputs[1], &file], "");
        assert_eq!(Some(2), run.code, "{}", run.out);
        assert!(run.err.contains("it is an input, or the file of another --output"), "{}", run.err);
    }
    assert_eq!(GOOD, std::fs::read_to_string(&file).unwrap());
}

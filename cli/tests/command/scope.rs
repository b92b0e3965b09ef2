//! What of the manifests is judged: what is Flyte's, in which namespaces, and which sentences must be shown.

use super::{BAD, GOOD, SERVICE, check, run};

#[test]
fn manifests_without_anything_of_flytes_are_not_good() {
    let other = GOOD.replace("flytepropeller", "a");
    for input in [other.clone(), SERVICE.repeat(3).replace("apiVersion", "---\napiVersion")] {
        let run = check(&input);
        assert_eq!(Some(2), run.code, "{}", run.out);
        assert!(run.out.contains("no Flyte objects found in these manifests"), "{}", run.out);
    }
    // What is wrong is said all the same.
    assert_eq!(Some(1), check(BAD).code);
    assert_eq!(Some(0), check(&format!("{GOOD}---\n{other}")).code);
}

#[test]
fn namespaces_without_flyte_are_left_out_unless_they_are_asked_for() {
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
fn what_another_object_makes_is_judged_there_alone() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: flyteadmin}\nspec: {template: {spec: {containers: [{name: flyteadmin, securityContext: {runAsUser: 1}}]}}}\n";
    let owner = "ownerReferences: [{kind: Deployment, name: flyteadmin, controller: true}]";
    let made = deployment
        .replace("Deployment", "ReplicaSet")
        .replace("name: flyteadmin}\nspec", &format!("name: flyteadmin-1, {owner}}}\nspec"));
    let run = check(&format!("{deployment}---\n{made}"));
    assert!(
        run.out.contains("\n1 object checked: no violation. 1 object made by others here skipped.\n"),
        "{}",
        run.out
    );
    assert!(check(&made).out.contains("\n1 object checked: no violation.\n"), "where the other is not there");
    let own = deployment.replace("name: flyteadmin}\nspec", &format!("name: flyteadmin, {owner}}}\nspec"));
    assert!(check(&own).out.contains("\n1 object checked: no violation.\n"), "nothing makes itself");
    let root = made.replace("runAsUser: 1", "runAsUser: 0");
    assert_eq!(Some(1), check(&format!("{deployment}---\n{root}")).code, "an old ReplicaSet may still run");
    let kept = root.replace("spec: {template", "spec: {replicas: 0, template");
    assert_eq!(Some(0), check(&format!("{deployment}---\n{kept}")).code, "it is kept for a rollback");
    let both = check(&format!("{}---\n{root}", deployment.replace("runAsUser: 1", "runAsUser: 0")));
    assert!(
        both.out.contains("\n1 object checked: 1 violation in 1 object. 1 object made by others here skipped.\n"),
        "{}",
        both.out
    );
}

#[test]
fn a_sentence_holds_where_it_does_for_every_flyteadmin() {
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
    for sentence in ["origins of browsers, and no others", "OAuth has a certificate"] {
        assert!(alone.out.lines().any(|line| line.contains("holds") && line.contains(sentence)), "{}", alone.out);
    }
    // Of the other one nothing is known, and neither is what stands in front of it.
    let both = check(&format!("{external}{}", admin("b", "")));
    for missing in [
        "Deployment b/flyteadmin: flyteadmin also reads ConfigMap b/admin, which is not there",
        "no Ingress or route here presents a certificate in front of Deployment b/flyteadmin",
    ] {
        assert!(both.out.contains(missing), "{missing} {}", both.out);
    }
}

#[test]
fn a_sentence_that_must_be_shown_exits_with_2_where_it_is_not() {
    for (required, code) in [("non-root", 0), ("non-root,exception", 0), ("pair", 2), ("all", 2)] {
        let run = run(&["check", "--require", required, "-"], GOOD);
        assert_eq!(Some(code), run.code, "{required}: {}", run.out);
    }
    let unknown = run(&["check", "--require", "everything", "-"], GOOD);
    assert_eq!(Some(2), unknown.code);
    assert!(
        unknown.err.contains("there are non-root, exception, origins, address, pair, certificate, and all"),
        "{}",
        unknown.err
    );
}

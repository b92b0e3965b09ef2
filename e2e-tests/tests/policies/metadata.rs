//! Tests of the policies' metadata: values that several files repeat are the same in all of them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use flytewarden::decision::{DECLARED, POLICIES, VARIANTS};
use flytewarden_e2e::{cases, root};
use flytewarden_offline::yaml;
use serde_json::{Value, json};

fn metadata(folder: &Path) -> Value {
    let path = folder.join("metadata.yml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    json!(yaml::settings(&text).expect("it is YAML"))
}

fn folders_of_policies() -> impl Iterator<Item = (&'static str, PathBuf)> {
    POLICIES.iter().chain(VARIANTS).map(|policy| (policy.name(), root().join("policies").join(policy.name())))
}

#[test]
fn every_policy_has_a_folder_and_every_folder_a_policy() {
    let folders: BTreeSet<String> = fs::read_dir(root().join("policies"))
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let policies: BTreeSet<String> = folders_of_policies().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(policies, folders);
}

#[test]
fn context_aware_resources_are_the_kinds_that_policies_list() {
    for declared in DECLARED {
        let name = declared.policy.name();
        let written = metadata(&root().join("policies").join(name))["contextAwareResources"].clone();
        let kinds = declared.asks_for.iter().map(|listed| listed.kind());
        let kinds: Value = kinds.map(|(version, kind)| json!({"apiVersion": version, "kind": kind})).collect();
        assert_eq!(kinds, if written.is_null() { json!([]) } else { written }, "{name}");
    }
}

#[test]
fn rules_are_declared_once_with_their_policys_name() {
    for declared in DECLARED {
        let policy = declared.variant_of.unwrap_or(declared.policy.name());
        let names: BTreeSet<&str> = declared.rules.iter().map(|rule| rule.name.rule).collect();
        assert_eq!(declared.rules.len(), names.len(), "{policy}");
        for rule in declared.rules {
            assert_eq!(policy, rule.name.policy, "{}", rule.name);
            assert!(rule.summary.len() < 130 && !rule.summary.ends_with('.'), "{}", rule.name);
            assert!(rule.help.ends_with('.'), "{}", rule.name);
        }
    }
}

/// Rules that no case can trigger: only a public CA can make a certificate under one of Mozilla's roots.
const WITHOUT_CASES: &[&str] = &["long-lived"];

/// A rule without a case that finds it would be untested.
#[test]
fn every_rule_is_found_by_a_case() {
    let cases = cases::all();
    let found =
        cases.iter().flat_map(|case| case.rules.iter().map(String::as_str)).chain(WITHOUT_CASES.iter().copied());
    let found: BTreeSet<&str> = found.collect();
    let declared = DECLARED.iter().flat_map(|declared| declared.rules);
    let lost: Vec<String> =
        declared.map(|rule| rule.name).filter(|name| !found.contains(name.rule)).map(|name| name.to_string()).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn titles_and_versions_are_those_of_the_code() {
    for (name, folder) in folders_of_policies().chain([("flytewarden", root())]) {
        let annotations = &metadata(&folder)["annotations"];
        assert_eq!(name, annotations["io.kubewarden.policy.title"]);
        assert_eq!(env!("CARGO_PKG_VERSION"), annotations["io.kubewarden.policy.version"], "{name}");
    }
}

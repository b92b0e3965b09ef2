//! What the modules say of themselves: where it stands in several files, it is the same in all of them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use flytewarden::{
    decision::{MORE_POLICIES, POLICIES},
    host::Listed,
};
use flytewarden_e2e::{module, root};
use flytewarden_offline::yaml;
use serde_json::{Value, json};

fn metadata(folder: &Path) -> Value {
    let path = folder.join("metadata.yml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    json!(yaml::settings(&text).expect("it is YAML"))
}

fn folders_of_policies() -> impl Iterator<Item = (&'static str, PathBuf)> {
    POLICIES.iter().chain(MORE_POLICIES).map(|policy| (policy.name(), root().join("policies").join(policy.name())))
}

fn rules(metadata: &Value) -> BTreeSet<String> {
    metadata["rules"].as_array().expect("there are rules").iter().map(Value::to_string).collect()
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
fn the_module_with_all_policies_asks_for_what_any_of_them_asks_for() {
    let folders = POLICIES.iter().map(|policy| root().join("policies").join(policy.name()));
    let any: BTreeSet<String> = folders.flat_map(|folder| rules(&metadata(&folder))).collect();
    assert_eq!(any, rules(&metadata(&root())));
}

/// What a module asks of its host, as kwctl's scan finds it: the operations whose names are in its data.
#[test]
fn host_capabilities_are_those_the_modules_have() {
    let of_kubernetes = ["list_resources_by_namespace", "list_resources_all", "get_resource", "can_i"];
    let of_registries = ["v1/verify", "v2/verify", "v1/manifest_digest", "v1/oci_manifest", "v1/oci_manifest_config"];
    let operations = of_kubernetes.map(|name| ("kubernetes", name)).into_iter();
    let operations: Vec<_> = operations.chain(of_registries.map(|name| ("oci", name))).collect();
    for (name, folder) in folders_of_policies().chain([("flytewarden", root())]) {
        let mut code = module(name);
        // The metadata, which comes last, names them too.
        let metadata_at =
            code.windows(23).rposition(|bytes| bytes == b"io.kubewarden.metadata{").expect("it is annotated");
        code.truncate(metadata_at);
        // A name that another starts with counts where it stands alone.
        let has = |(_, operation): &&(&str, &str)| {
            let longer = operations.iter().map(|(_, other)| *other).filter(|other| other.starts_with(operation));
            let longer: Vec<&str> = longer.filter(|other| other != operation).collect();
            let mut places =
                code.windows(operation.len()).enumerate().filter(|(_, bytes)| *bytes == operation.as_bytes());
            places.any(|(at, _)| !longer.iter().any(|longer| code[at..].starts_with(longer.as_bytes())))
        };
        let found: BTreeSet<String> =
            operations.iter().filter(has).map(|(namespace, name)| format!("{namespace}/{name}")).collect();
        let metadata = metadata(&folder);
        let declared = metadata["hostCapabilities"].as_array().into_iter().flatten();
        assert_eq!(found, declared.map(|name| name.as_str().unwrap().to_owned()).collect(), "{name}");
        let asks_for_objects = found.iter().any(|name| name.starts_with("kubernetes/"));
        assert_eq!(asks_for_objects, metadata.get("contextAwareResources").is_some(), "{name}");
    }
}

#[test]
fn context_aware_resources_are_the_kinds_that_policies_list() {
    let listed = [Listed::Deployment, Listed::Ingress, Listed::ConfigMap, Listed::Service].map(Listed::kind);
    for folder in [root(), root().join("policies/flyte-console-url")] {
        let declared = &metadata(&folder)["contextAwareResources"];
        let expected = listed.map(|(api_version, kind)| json!({"apiVersion": api_version, "kind": kind}));
        assert_eq!(&json!(expected), declared);
    }
}

#[test]
fn titles_and_versions_are_those_of_the_code() {
    for (name, folder) in folders_of_policies().chain([("flytewarden", root())]) {
        let annotations = &metadata(&folder)["annotations"];
        assert_eq!(name, annotations["io.kubewarden.policy.title"]);
        assert_eq!(env!("CARGO_PKG_VERSION"), annotations["io.kubewarden.policy.version"], "{name}");
    }
}

//! Tests of the modules' metadata.

use std::collections::BTreeSet;

use flytewarden::decision::{POLICIES, VARIANTS};
use flytewarden_e2e::modules;
use serde_json::Value;

const SECTION: &[u8] = b"io.kubewarden.metadata";

/// The host capabilities that kwctl's scan would find: the operations whose names are in a module's data.
#[test]
fn host_capabilities_are_those_the_modules_have() {
    let of_kubernetes = ["list_resources_by_namespace", "list_resources_all", "get_resource", "can_i"];
    let of_registries = ["v1/verify", "v2/verify", "v1/manifest_digest", "v1/oci_manifest", "v1/oci_manifest_config"];
    let operations = of_kubernetes.map(|name| ("kubernetes", name)).into_iter();
    let operations: Vec<_> = operations.chain(of_registries.map(|name| ("oci", name))).collect();
    for name in POLICIES.iter().chain(VARIANTS).map(|policy| policy.name()).chain(["flytewarden"]) {
        let module = modules::bytes(name);
        // The metadata at the end contains the names too.
        let metadata_at = module.windows(SECTION.len() + 1).rposition(|bytes| bytes == [SECTION, b"{"].concat());
        let (code, metadata) = module.split_at(metadata_at.expect("it is annotated") + SECTION.len());
        let metadata: Value = serde_json::from_slice(metadata).expect("it is JSON");
        // If a name is the prefix of another, only its own occurrences count.
        let has = |(_, operation): &&(&str, &str)| {
            let longer = operations.iter().map(|(_, other)| *other).filter(|other| other.starts_with(operation));
            let longer: Vec<&str> = longer.filter(|other| other != operation).collect();
            let mut places =
                code.windows(operation.len()).enumerate().filter(|(_, bytes)| *bytes == operation.as_bytes());
            places.any(|(at, _)| !longer.iter().any(|longer| code[at..].starts_with(longer.as_bytes())))
        };
        let found: BTreeSet<String> =
            operations.iter().filter(has).map(|(namespace, name)| format!("{namespace}/{name}")).collect();
        let declared = metadata["hostCapabilities"].as_array().into_iter().flatten();
        assert_eq!(found, declared.map(|name| name.as_str().unwrap().to_owned()).collect(), "{name}");
        let asks_for_objects = found.iter().any(|name| name.starts_with("kubernetes/"));
        assert_eq!(asks_for_objects, metadata.get("contextAwareResources").is_some(), "{name}");
    }
}

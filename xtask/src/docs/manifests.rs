//! Generates the manifests for a cluster, and the metadata of the module with all policies: `policy.yaml`, `kustomization.yaml`,
//! `policy-server-rbac.yaml` and the top-level `metadata.yml`, from the policies' `metadata.yml`.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use flytewarden::host::plural;
use serde_json::{Value, json};

use super::{MADE, Made, Package, annotation, of_whole};
use crate::{Result, read_yaml};

pub fn made(root: &Path, packages: &[Package]) -> Result<Vec<Made>> {
    let whole = whole(root, packages)?;
    let metadata: Value = json!(flytewarden_offline::yaml::settings(&whole.1).map_err(|error| error.reason)?);
    let conditions = read_yaml(&root.join("policies/match-conditions.yml"))?;
    let mut made = vec![policy("flytewarden", root, &metadata, &conditions)?];
    for package in packages {
        made.push(policy(package.name, &package.folder, &package.metadata, &conditions)?);
    }
    made.extend([whole, kustomization(root, packages), rbac(root, packages)?]);
    Ok(made)
}

/// A list of maps in the style of these files: a line for each field of a map, or one line for the map.
fn list(items: &Value, indent: usize) -> Result<String> {
    let mut text = String::new();
    for item in items.as_array().into_iter().flatten() {
        let fields = item.as_object().ok_or("an item is no map")?;
        let is_short = fields.values().all(Value::is_string);
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {}", flow(value))).collect();
        if is_short {
            writeln!(text, "{:indent$}- {{{}}}", "", fields.join(", "))?;
        } else {
            let separator = format!("\n{:indent$}  ", "");
            writeln!(text, "{:indent$}- {}", "", fields.join(&separator))?;
        }
    }
    Ok(text)
}

/// A value in a line.
fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The different maps in a field of all packages, in the order of their first appearance.
fn union(packages: &[Package], field: &str) -> Value {
    let mut all: Vec<Value> = Vec::new();
    for package in of_whole(packages) {
        for item in package.metadata[field].as_array().into_iter().flatten() {
            if !all.contains(item) {
                all.push(item.clone());
            }
        }
    }
    all.into()
}

/// `metadata.yml` of the module with all policies: everything that any policy asks for, above annotations written by hand.
fn whole(root: &Path, packages: &[Package]) -> Result<Made> {
    let path = root.join("metadata.yml");
    let written = fs::read_to_string(&path)?;
    let at = written.find("annotations:\n").ok_or("metadata.yml has no annotations")?;
    let mut kinds: Vec<&str> = Vec::new();
    for package in of_whole(packages) {
        for kind in annotation(&package.metadata, "io.artifacthub.resources")?.split(", ") {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    let annotations = written[at..].lines().map(|line| match line.split_once("io.artifacthub.resources: ") {
        Some((indent, _)) => format!("{indent}io.artifacthub.resources: {}\n", kinds.join(", ")),
        None => format!("{line}\n"),
    });
    let of_all = |field: &'static str| of_whole(packages).map(move |package| &package.metadata[field]);
    let any = |field: &'static str| of_all(field).any(|value| *value == json!(true));
    let first =
        of_all("minimumKubewardenVersion").filter_map(Value::as_str).max().ok_or("no policy says its engine")?;
    let mut text =
        format!("# Made by `make docs` but for the annotations.\nrules:\n{}", list(&union(packages, "rules"), 2)?);
    writeln!(text, "mutating: {}", any("mutating"))?;
    let mut resources = union(packages, "contextAwareResources");
    // In kwctl's order.
    let key = |resource: &Value| ["apiVersion", "kind"].map(|field| resource[field].as_str().map(str::to_owned));
    resources.as_array_mut().into_iter().for_each(|resources| resources.sort_by_key(key));
    write!(text, "contextAwareResources:\n{}", list(&resources, 2)?)?;
    writeln!(text, "hostCapabilities:")?;
    for capability in union(packages, "hostCapabilities").as_array().into_iter().flatten() {
        writeln!(text, "  - {}", flow(capability))?;
    }
    writeln!(text, "backgroundAudit: {}", any("backgroundAudit"))?;
    writeln!(text, "executionMode: kubewarden-wapc\nminimumKubewardenVersion: {first}")?;
    text.extend(annotations);
    Ok((path, text))
}

/// The start of the part of a `policy.yaml` that is written by hand: the settings, and everything after them.
const SETTINGS: &str = "\n  settings:";

fn policy(name: &str, folder: &Path, metadata: &Value, conditions: &Value) -> Result<Made> {
    let path = folder.join("policy.yaml");
    let written = fs::read_to_string(&path).unwrap_or_default();
    let settings = written.find(SETTINGS).map_or("\n  settings: {}\n", |at| &written[at..]);
    let said = |what: &str| annotation(metadata, &format!("io.kubewarden.policy.{what}"));
    let mut text = format!(
        "# Made by `make docs` but for the settings.\n\
         apiVersion: policies.kubewarden.io/v1\n\
         kind: ClusterAdmissionPolicy\n\
         metadata:\n  \
           name: {name}\n  \
           annotations:\n    \
             io.kubewarden.policy.category: {}\n    \
             io.kubewarden.policy.severity: {}\n\
         spec:\n  \
           module: registry://{}:v{}\n  \
           # protect refuses; monitor lets everything in, and reports what it would refuse. Kubewarden takes a policy from monitor to\n  \
           # protect, and not back.\n  \
           mode: protect\n  \
           # Where Flyte itself is. The namespaces of its projects, where people's tasks run, are not judged.\n  \
           namespaceSelector:\n    \
             matchExpressions:\n      \
               - {{key: kubernetes.io/metadata.name, operator: In, values: [flyte]}}\n",
        said("category")?,
        said("severity")?,
        said("ociUrl")?,
        env!("CARGO_PKG_VERSION"),
    );
    text.push_str(&match_conditions(metadata, conditions)?);
    write!(text, "  rules:\n{}", list(&metadata["rules"], 4)?)?;
    if !metadata["contextAwareResources"].is_null() {
        write!(text, "  contextAwareResources:\n{}", list(&metadata["contextAwareResources"], 4)?)?;
    }
    if metadata["mutating"] == json!(true) {
        writeln!(
            text,
            "  # true in a second policy that has the setting `fill`; this one, asked last, judges what has come of the object."
        )?;
    }
    write!(text, "  mutating: false\n  backgroundAudit: {}{settings}", metadata["backgroundAudit"])?;
    Ok((path, text))
}

/// The conditions that concern the policy's resources.
fn match_conditions(metadata: &Value, conditions: &Value) -> Result<String> {
    let rules = metadata["rules"].as_array().into_iter().flatten();
    let resources: Vec<&Value> = rules.flat_map(|rule| rule["resources"].as_array().into_iter().flatten()).collect();
    let mut text = String::new();
    for condition in conditions.as_array().into_iter().flatten() {
        if !condition["resources"].as_array().into_iter().flatten().any(|resource| resources.contains(&resource)) {
            continue;
        }
        let field = |name: &str| condition[name].as_str().ok_or(format!("a condition has no {name}"));
        writeln!(
            text,
            "    - name: {}\n      # {}",
            field("name")?,
            field("why")?.trim_end().replace('\n', "\n      # ")
        )?;
        writeln!(
            text,
            "      expression: |-\n        {}",
            field("expression")?.trim_end().replace('\n', "\n        ")
        )?;
    }
    if text.is_empty() {
        return Ok(text);
    }
    let why = "  # Only what some setting could have the policy check is sent to policy-server; see the README.\n";
    Ok(format!("{why}  matchConditions:\n{text}"))
}

fn kustomization(root: &Path, packages: &[Package]) -> Made {
    let mut text = format!(
        "{MADE}# All policies, and what policy-server must be allowed for them: kubectl apply -k policies\n\
         apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - policy-server-rbac.yaml\n"
    );
    for package in of_whole(packages) {
        text.push_str(&format!("  - {}/policy.yaml\n", package.name));
    }
    (root.join("policies/kustomization.yaml"), text)
}

/// The permissions to read objects that policy-server's own account needs.
fn rbac(root: &Path, packages: &[Package]) -> Result<Made> {
    let mut by_group: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let resources = union(packages, "contextAwareResources");
    for resource in resources.as_array().into_iter().flatten() {
        let [version, kind] = ["apiVersion", "kind"].map(|field| resource[field].as_str());
        let (version, kind) = version.zip(kind).ok_or("a kind that is asked for has no name")?;
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        by_group.entry(group).or_default().push(plural(kind).to_lowercase());
    }
    let asking = packages.iter().filter(|package| !package.metadata["contextAwareResources"].is_null());
    let asking: Vec<&str> = asking.map(|package| package.name).collect();
    let mut text = format!(
        "{MADE}# What {} ask policy-server to look up. The names are those of Kubewarden's own charts; a\n\
         # policy-server that may not list what a policy asks for lets the request time out.\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: flytewarden\nrules:\n",
        asking.join(", ")
    );
    for (group, mut resources) in by_group {
        resources.sort();
        let group = if group.is_empty() { "\"\"" } else { group };
        writeln!(
            text,
            "  - apiGroups: [{group}]\n    resources: [{}]\n    verbs: [get, list, watch]",
            resources.join(", ")
        )?;
    }
    text.push_str(BINDING);
    Ok((PathBuf::from(root).join("policies/policy-server-rbac.yaml"), text))
}

const BINDING: &str = "---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: flytewarden
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: flytewarden
subjects:
  - kind: ServiceAccount
    name: policy-server
    namespace: kubewarden
";

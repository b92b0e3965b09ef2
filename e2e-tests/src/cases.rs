//! The case tables: `policies/<name>/cases/*.yaml`, the specification of each policy.
//!
//! A case is an object, settings, and the expected answer. Every engine runs every case.

use std::{collections::BTreeMap, fs, sync::Arc};

use crate::certificates;
use base64::{Engine, prelude::BASE64_STANDARD};
use flytewarden::decision::{POLICIES, Policies, VARIANTS};
use flytewarden_offline::{
    cluster::{Cluster, HostCalls, NoCluster},
    manifest,
    report::Answer,
    request::Request,
    yaml::{self, Node},
};
use json_patch::Patch;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One case.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its policy.
    #[serde(skip)]
    pub policy: String,
    /// Its table.
    #[serde(skip)]
    pub table: String,
    /// Whether it cannot run because openssl must make its certificates and is not on PATH.
    #[serde(skip)]
    pub lacks_openssl: bool,
    /// The policy's behavior, as a sentence that starts with "it".
    pub it: String,
    /// The object; a case without one checks only the settings.
    pub object: Option<Value>,
    /// Fields of the request that differ from a CREATE.
    #[serde(default)]
    pub request: BTreeMap<String, Value>,
    /// The other objects of the cluster; `None` for no cluster.
    pub cluster: Option<Vec<Value>>,
    /// The kinds that the policy has no permission to read.
    #[serde(default)]
    pub denied: Vec<String>,
    /// The images that the host knows: the USER of each, or the host's whole answer instead. `None` for no registry.
    pub images: Option<BTreeMap<String, Value>>,
    /// The object after the policy's changes; `None` if it stays unchanged.
    pub changed: Option<Value>,
    /// The policy's settings.
    #[serde(default = "no_settings")]
    pub settings: Value,
    /// Whether the answer accepts.
    pub accepted: bool,
    /// The lines of the message.
    #[serde(default)]
    pub message: Vec<String>,
    /// The warnings.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The stable names of the rules with findings, violations first, if the case checks them.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The status code.
    pub code: Option<u16>,
}

fn no_settings() -> Value {
    json!({})
}

/// The cases of every policy.
///
/// # Panics
///
/// A table cannot be read.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for policy in sorted(&crate::root().join("policies")) {
        for table in sorted(&policy.join("cases")) {
            let text = fs::read_to_string(&table).unwrap_or_else(|error| panic!("{}: {error}", table.display()));
            for document in yaml::documents(&text) {
                let content: Node = document.content.unwrap_or_else(|error| panic!("{}: {error:?}", table.display()));
                let read: Vec<Value> = serde_json::from_value(json!(content))
                    .unwrap_or_else(|error| panic!("{}: {error}", table.display()));
                for mut case in read {
                    let lacks_openssl = certificates::fill(&mut case).is_none();
                    let case: Case =
                        serde_json::from_value(case).unwrap_or_else(|error| panic!("{}: {error}", table.display()));
                    cases.push(Case { policy: name(&policy), table: name(&table), lacks_openssl, ..case });
                }
            }
        }
    }
    cases
}

fn sorted(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn name(path: &std::path::Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

impl Case {
    /// The case's policy, as native code.
    ///
    /// # Panics
    ///
    /// No policy has that name.
    pub fn native(&self) -> Policies<'static> {
        let mut policies = POLICIES.iter().chain(VARIANTS);
        Policies::One(*policies.find(|policy| policy.name() == self.policy).expect("a folder is a policy's"))
    }

    /// Its settings for the module with all policies.
    pub fn settings_among_all(&self) -> Value {
        // These policies all check flyteadmin's ConfigMaps; turn off those that are not the case's own.
        let mut settings = json!({
            "flyte-admin-cors": {"configMaps": ["none"]},
            "flyte-console-url": {"crossCheck": false},
            "flyte-oauth-tls": {"oauth": "self"},
        });
        settings[self.policy.as_str()] = self.settings.clone();
        settings
    }

    /// Whether its settings are not a map: Kubewarden's engines read these as no settings.
    pub fn has_odd_settings(&self) -> bool {
        self.settings.is_array()
    }

    /// Whether its request has no operation: Kubewarden's engines do not accept it as a request.
    pub fn lacks_operation(&self) -> bool {
        self.request.get("operation") == Some(&Value::Null)
    }

    /// The admission request, as JSON.
    ///
    /// # Panics
    ///
    /// The case has no object.
    pub fn admission_request(&self) -> Value {
        let object = self.object.as_ref().expect("a case about settings has no request").to_string();
        let object = manifest::objects(&object).next().expect("it is one").expect("a case's object is one");
        let mut request = json!(Request::create(&object, "default"));
        for (field, value) in &self.request {
            request[field] = value.clone();
        }
        request
    }

    /// The host that answers the policy's questions about the cluster.
    ///
    /// # Panics
    ///
    /// A value in `cluster` is not an object.
    pub fn host(&self) -> Arc<dyn HostCalls> {
        let cluster: Arc<dyn HostCalls> = match &self.cluster {
            None => Arc::new(NoCluster),
            Some(objects) => {
                let objects: Vec<_> = objects
                    .iter()
                    .map(|object| {
                        manifest::objects(&object.to_string())
                            .next()
                            .expect("it is one")
                            .expect("a case's objects are some")
                    })
                    .collect();
                Arc::new(Cluster::from_objects(&objects, "default"))
            }
        };
        Arc::new(Host { cluster, denied: self.denied.clone(), images: self.images.clone() })
    }

    /// Compares an answer with the expected one.
    ///
    /// # Errors
    ///
    /// The difference.
    pub fn compare(&self, answer: &Answer) -> Result<(), String> {
        let lines = |message: &str| message.lines().map(str::to_owned).collect::<Vec<_>>();
        let expected = (self.accepted, self.message.clone(), self.warnings.clone(), self.code);
        let message = answer.message.as_deref().map(lines).unwrap_or_default();
        let actual = (answer.accepted, message, answer.warnings.clone().unwrap_or_default(), answer.code);
        if expected != actual {
            return Err(format!("expected {expected:#?}\ngot {actual:#?}"));
        }
        let changed = answer.mutated_object.as_ref();
        if self.changed.as_ref() != changed {
            return Err(format!("expected the object to be {:#?}\ngot {changed:#?}", self.changed));
        }
        let rules = rules(answer);
        if !self.rules.is_empty() && self.rules != rules {
            return Err(format!("expected the rules {:?}\ngot {rules:?}", self.rules));
        }
        Ok(())
    }

    /// Compares a policy's answer about the settings with the expected one.
    ///
    /// # Errors
    ///
    /// The difference.
    pub fn compare_settings(&self, answer: Result<(), String>) -> Result<(), String> {
        let expected = if self.accepted { Ok(()) } else { Err(self.message.join("\n")) };
        if expected == answer { Ok(()) } else { Err(format!("expected {expected:#?}\ngot {answer:#?}")) }
    }
}

/// The object after the patch of an AdmissionReview's response, if there is a patch.
///
/// # Errors
///
/// The patch is invalid, or does not apply to this object.
pub fn patched(object: &Value, patch: &Value) -> Result<Option<Value>, String> {
    let Some(patch) = patch.as_str() else { return Ok(None) };
    let patch = BASE64_STANDARD.decode(patch).map_err(|error| error.to_string())?;
    let patch: Patch = serde_json::from_slice(&patch).map_err(|error| error.to_string())?;
    let mut object = object.clone();
    json_patch::patch(&mut object, &patch).map_err(|error| error.to_string())?;
    Ok(Some(object))
}

/// A cluster that denies permission for some kinds, in the words of Kubewarden's host, and knows some images.
struct Host {
    cluster: Arc<dyn HostCalls>,
    denied: Vec<String>,
    images: Option<BTreeMap<String, Value>>,
}

impl HostCalls for Host {
    fn answer(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        let asked: Value = serde_json::from_slice(request).map_err(|error| error.to_string())?;
        match self.denied.iter().find(|kind| asked["kind"] == **kind) {
            Some(kind) => Err(format!(
                "Policy has not been granted access to Kubernetes {}/{kind} resources. The violation has been reported.",
                asked["api_version"].as_str().unwrap_or_default()
            )),
            None => self.cluster.answer(operation, request),
        }
    }

    fn image(&self, reference: &str) -> Result<Vec<u8>, String> {
        let Some(images) = &self.images else {
            return self.cluster.image(reference);
        };
        let answer = match images.get(reference) {
            None => return Err(format!("{reference} is not in the registry")),
            Some(Value::String(refusal)) if refusal.starts_with("error: ") => return Err(refusal[7..].to_owned()),
            Some(Value::String(user)) => json!({"manifest": {}, "digest": "", "config": {"config": {"User": user}}}),
            Some(answer) => answer.clone(),
        };
        Ok(answer.to_string().into_bytes())
    }
}

/// The rules with findings, from the answer's audit annotations.
fn rules(answer: &Answer) -> Vec<String> {
    let annotations = answer.audit_annotations.iter();
    let listed = |name: &str| annotations.clone().filter_map(|all| all.get(name)).cloned().collect::<Vec<String>>();
    let found = [listed("violations"), listed("notices")].concat();
    let found = found.iter().filter_map(|json| serde_json::from_str::<Vec<Value>>(json).ok()).flatten();
    found.filter_map(|finding| finding["rule"].as_str().map(str::to_owned)).collect()
}

//! Does what Kubewarden's controller does with a ClusterAdmissionPolicy: makes a webhook for the API server, and an entry in
//! policy-server's configuration.
//!
//! Source: `internal/controller/policy_subreconciler_webhook.go` and `policyserver_controller_configmap.go` of
//! [kubewarden/kubewarden-controller](https://github.com/kubewarden/kubewarden-controller), and the defaults of its custom
//! resource in `api/policies/v1/policy_types.go`. Two things differ: the API server finds policy-server by its URL, since there
//! is no network of Services, and modules are files.

use std::{collections::BTreeSet, fs, io};

use flytewarden_offline::yaml;
use serde_json::{Map, Value, json};

use crate::{corpus::Entry, root};

/// The namespace of Kubewarden's own workloads. Policies do not get its requests.
const KUBEWARDEN: &str = "kubewarden";

/// A user whose requests the policies of the cases do not get. Tests put objects into the cluster as this user.
pub const UNCHECKED: &str = "unchecked";

/// The address of policy-server.
pub struct PolicyServer<'s> {
    /// Its URL.
    pub url: &'s str,
    /// The certificate of the CA that signed its own, as PEM in base64.
    pub ca_bundle: &'s str,
}

/// A ClusterAdmissionPolicy.
pub struct Policy(Value);

impl Policy {
    /// Reads a `policy.yaml`.
    ///
    /// # Errors
    ///
    /// It is not YAML.
    pub fn parse(text: &str) -> io::Result<Self> {
        Ok(Self(json!(yaml::settings(text).map_err(|error| io::Error::other(error.reason))?)))
    }

    /// The policies that the cases need: each with its settings, and for the namespace with its id. They are mutating: the API
    /// server asks mutating policies before it validates an object, and most objects of the cases are not valid.
    ///
    /// # Errors
    ///
    /// A `policy.yaml` cannot be read.
    pub fn of_cases(entries: &[Entry]) -> io::Result<Vec<Self>> {
        let mut ids = BTreeSet::new();
        let mut policies = Vec::new();
        for entry in entries {
            let case = entry.case();
            if case.has_odd_settings() || !ids.insert(entry.id.clone()) {
                continue;
            }
            let file = root().join("policies").join(&case.policy).join("policy.yaml");
            let Self(mut policy) = Self::parse(&fs::read_to_string(file)?)?;
            policy["metadata"]["name"] = json!(entry.id);
            let spec = &mut policy["spec"];
            spec["settings"] = case.settings;
            spec["mutating"] = json!(true);
            spec["namespaceSelector"]["matchExpressions"][0]["values"] = json!([entry.id]);
            if let Some(kinds) = spec.get_mut("contextAwareResources").and_then(Value::as_array_mut) {
                kinds.retain(|kind| case.denied.iter().all(|denied| kind["kind"] != **denied));
            }
            let unchecked =
                json!({"name": UNCHECKED, "expression": format!("request.userInfo.username != '{UNCHECKED}'")});
            match spec.get_mut("matchConditions").and_then(Value::as_array_mut) {
                Some(conditions) => conditions.push(unchecked),
                None => spec["matchConditions"] = json!([unchecked]),
            }
            policies.push(Self(policy));
        }
        Ok(policies)
    }

    fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn unique_name(&self) -> String {
        format!("clusterwide-{}", self.name())
    }

    fn is_mutating(&self) -> bool {
        self.0["spec"]["mutating"] == true
    }

    /// The webhook configuration that makes the API server ask policy-server.
    pub fn webhook(&self, server: &PolicyServer) -> Value {
        let (name, spec) = (self.unique_name(), &self.0["spec"]);
        let mut namespaces =
            json!([{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [KUBEWARDEN]}]);
        if let (Some(all), Some(own)) =
            (namespaces.as_array_mut(), spec["namespaceSelector"]["matchExpressions"].as_array())
        {
            all.extend(own.iter().cloned());
        }
        let or = |field: &str, default: Value| spec.get(field).cloned().unwrap_or(default);
        let mut webhook = json!({
            "name": format!("{name}.kubewarden.admission"),
            "clientConfig": {"url": format!("{}/validate/{name}", server.url), "caBundle": server.ca_bundle},
            "rules": spec["rules"],
            "namespaceSelector": {"matchExpressions": namespaces},
            "sideEffects": or("sideEffects", json!("None")),
            "timeoutSeconds": or("timeoutSeconds", json!(10)),
            "admissionReviewVersions": ["v1"],
        });
        for field in ["failurePolicy", "matchPolicy", "objectSelector", "matchConditions"] {
            if let Some(value) = spec.get(field) {
                webhook[field] = value.clone();
            }
        }
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": if self.is_mutating() { "MutatingWebhookConfiguration" } else { "ValidatingWebhookConfiguration" },
            "metadata": {
                "name": name,
                "labels": {"app.kubernetes.io/part-of": "kubewarden"},
                "annotations": {"kubewardenPolicyName": self.name(), "kubewardenPolicyNamespace": ""},
            },
            "webhooks": [webhook],
        })
    }

    /// The policy in policy-server's configuration.
    fn entry(&self) -> Value {
        let spec = &self.0["spec"];
        let reference = spec["module"].as_str().unwrap_or_default();
        let artifact = reference.rsplit('/').next().and_then(|last| last.split(':').next()).unwrap_or_default();
        json!({
            "module": format!("file://{}", root().join("dist").join(format!("{artifact}.wasm")).display()),
            "policyMode": spec.get("mode").unwrap_or(&json!("protect")),
            "allowedToMutate": self.is_mutating(),
            "contextAwareResources": spec.get("contextAwareResources").unwrap_or(&json!([])),
            "settings": spec["settings"],
            "hostCapabilities": ["*"],
        })
    }
}

/// policy-server's configuration for some policies.
pub fn configuration(policies: &[Policy]) -> Value {
    Value::Object(policies.iter().map(|policy| (policy.unique_name(), policy.entry())).collect::<Map<_, _>>())
}

/// The webhook configurations of some policies, as one list to apply.
pub fn list(policies: &[Policy], server: &PolicyServer) -> Value {
    let webhooks: Vec<Value> = policies.iter().map(|policy| policy.webhook(server)).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": webhooks})
}

//! Kubewarden's server, which answers the API server's AdmissionReviews.

use std::{fs, io, time::Duration};

use flytewarden_offline::{report::Answer, yaml};
use reqwest::Client;
use serde_json::{Map, Value, json};

use crate::{
    cases::{Case, patched},
    corpus::Entry,
    root,
};

/// The server's error when it has no cluster.
const NO_CLIENT: &str = "kube::Client was not initialized properly";
/// The text in the cases for the same error.
const NO_CLUSTER: &str = "no cluster is available";

/// The server's configuration: each policy from a registry, with each of the cases' settings, and with the permissions that
/// its metadata asks for.
///
/// # Errors
///
/// A `metadata.yml` cannot be read.
pub fn policies(entries: &[Entry], registry: &str, tag: &str) -> io::Result<Value> {
    let mut policies = Map::new();
    for entry in entries {
        let case = entry.case();
        // With such settings the configuration is invalid, and the server does not start.
        if case.has_odd_settings() {
            continue;
        }
        let metadata = fs::read_to_string(root().join("policies").join(&case.policy).join("metadata.yml"))?;
        let metadata = json!(yaml::settings(&metadata).map_err(|error| io::Error::other(error.reason))?);
        let granted = metadata["contextAwareResources"].as_array().into_iter().flatten();
        let is_denied = |kind: &Value| case.denied.iter().any(|denied| kind["kind"] == **denied);
        let policy = json!({
            "module": format!("registry://{registry}/{}:{tag}", case.policy),
            "settings": case.settings,
            "allowedToMutate": case.settings.get("fill").is_some(),
            "contextAwareResources": granted.filter(|kind| !is_denied(kind)).collect::<Vec<_>>(),
            "hostCapabilities": metadata.get("hostCapabilities").unwrap_or(&json!([])),
        });
        policies.insert(entry.id.clone(), policy);
    }
    Ok(policies.into())
}

/// A server, and the API server that it asks about the cluster.
pub struct Server<'s> {
    client: Client,
    url: &'s str,
    /// The URL that takes the objects of a cluster; `None` if the server has no cluster.
    cluster: Option<&'s str>,
}

impl<'s> Server<'s> {
    /// The server at a URL.
    pub fn at(url: &'s str, cluster: Option<&'s str>) -> Self {
        // The client needs a TLS provider although it only speaks http; a process can set only one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { client: Client::new(), url, cluster }
    }

    /// Why this server cannot get a case, if it cannot.
    pub fn skips(&self, case: &Case) -> Option<&'static str> {
        if case.has_odd_settings() {
            Some("such settings are no configuration of the server")
        } else if case.lacks_operation() {
            Some("a request without an operation is none")
        } else if case.images.is_some() {
            Some("the server asks a registry for images, and there is none with these")
        } else if case.cluster.is_some() && self.cluster.is_none() {
            Some("the server has no cluster")
        } else if case.cluster.is_none() && self.cluster.is_some() {
            Some("the server has a cluster")
        } else {
            None
        }
    }

    /// Sends a case to the server, and compares the answer.
    ///
    /// # Errors
    ///
    /// The difference between the answers, or the reason why the server does not answer.
    pub async fn judge(&self, entry: &Entry) -> Result<(), String> {
        let case = entry.case();
        if case.object.is_none() {
            return self.judge_settings(entry, &case).await;
        }
        let request = case.admission_request();
        let Some(cluster) = self.cluster else {
            return case.compare(&self.review(&entry.id, &request).await?);
        };
        let objects = json!(case.cluster).to_string();
        let put = self.client.put(cluster).body(objects).send().await;
        put.and_then(reqwest::Response::error_for_status).map_err(|error| error.to_string())?;
        // The server sees the objects when the events reach it, one by one. An answer counts only when it stays the same.
        let mut lasts = 0;
        let mut compared = Ok(());
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            compared = case.compare(&self.review(&entry.id, &request).await?);
            lasts = if compared.is_ok() { lasts + 1 } else { 0 };
            if lasts == 2 {
                break;
            }
        }
        compared
    }

    /// Compares the answer about settings. A policy with invalid settings answers every request with the errors in them.
    async fn judge_settings(&self, entry: &Entry, case: &Case) -> Result<(), String> {
        let anything = Case { object: Some(json!({"apiVersion": "v1", "kind": "Service"})), ..case.clone() };
        let answer = self.review(&entry.id, &anything.admission_request()).await?;
        let message = answer.message.unwrap_or_default();
        case.compare_settings(match answer.accepted {
            true => Ok(()),
            false if case.message.iter().all(|line| message.contains(line)) => Err(case.message.join("\n")),
            false => Err(message),
        })
    }

    /// The policy's answer to a request in an AdmissionReview.
    async fn review(&self, id: &str, request: &Value) -> Result<Answer, String> {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        let url = format!("{}/validate/{id}", self.url);
        let sent = self.client.post(url).header("content-type", "application/json").body(review.to_string()).send();
        let response = sent.await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let text = response.text().await.map_err(|error| error.to_string())?;
        answer(&text, request).ok_or(format!("status {status}: {text}"))
    }
}

/// The policy's answer in the AdmissionReview that the server returns for a request.
fn answer(text: &str, request: &Value) -> Option<Answer> {
    let review: Value = serde_json::from_str(&text.replace(NO_CLIENT, NO_CLUSTER)).ok()?;
    let response = &review["response"];
    let answer = json!({
        "mutated_object": patched(&request["object"], &response["patch"]).ok()?,
        "accepted": response["allowed"],
        "message": response["status"]["message"],
        "code": response["status"]["code"],
        "warnings": response["warnings"],
        "audit_annotations": response["auditAnnotations"],
    });
    serde_json::from_value(answer).ok()
}

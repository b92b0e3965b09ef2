//! Sends the cases to a real API server, with policy-server behind its webhooks. Its answers must be those of the
//! policies.
//!
//! Cases reach it as dry runs, in the namespace of their policy with their settings: see [`Policy::of_cases`]. The expected
//! answer is the native build's, for a cluster without other objects.
//!
//! [`Policy::of_cases`]: crate::webhooks::Policy::of_cases

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use flytewarden_offline::{manifest, report::Answer, request::Request};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::{cases::Case, corpus::Entry, native, webhooks::UNCHECKED};

/// The API server cuts warnings to this many characters if all of them are long: `truncateItemRunes` in
/// `staging/src/k8s.io/apiserver/pkg/endpoints/filters/warning.go`.
const LONGEST_WARNING: usize = 256;

/// An API server that speaks plain http, as `kubectl proxy` does in front of one.
pub struct ApiServer<'s> {
    client: Client,
    url: &'s str,
}

/// The API server's response to a request.
struct Response {
    status: StatusCode,
    body: Value,
    warnings: Vec<String>,
}

/// The outcome of a case.
pub enum Outcome {
    /// The API server answered as expected.
    Same,
    /// The API server cannot get such a request, for this reason.
    Skipped(&'static str),
}

impl<'s> ApiServer<'s> {
    /// The API server at a URL.
    pub fn at(url: &'s str) -> Self {
        // The client needs a TLS provider although it only speaks http; a process can set only one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { client: Client::new(), url }
    }

    /// Creates the namespace of each policy with its settings.
    ///
    /// # Errors
    ///
    /// Why the API server does not create one.
    pub async fn create_namespaces(&self, entries: &[Entry]) -> Result<(), String> {
        for entry in entries {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": entry.id}});
            let response = self.send(Method::POST, "/api/v1/namespaces", Some(&namespace), false).await?;
            if !response.status.is_success() && response.status != StatusCode::CONFLICT {
                return Err(response.message());
            }
        }
        Ok(())
    }

    /// Sends a case to the API server, and compares the answer.
    ///
    /// # Errors
    ///
    /// The difference between the answers, or the reason why the API server does not answer.
    pub async fn judge(&self, entry: &Entry) -> Result<Outcome, String> {
        let mut case = entry.case();
        if let Some(reason) = skips(&case) {
            return Ok(Outcome::Skipped(reason));
        }
        stored(&mut case, &entry.id);
        let (request, expected) = (case.admission_request(), native::validate(&case)?);
        let (folder, one) = (folder(&request), object_path(&request));
        let is_update = request["operation"] == "UPDATE";
        if is_update {
            let response = self.send(Method::POST, &folder, Some(&request["oldObject"]), true).await?;
            if !response.status.is_success() {
                return Ok(Outcome::Skipped("the API server does not take the object as it was before"));
            }
        }
        let (method, path) = if is_update { (Method::PUT, &one) } else { (Method::POST, &folder) };
        let path = format!("{path}?dryRun=All&fieldValidation=Ignore");
        let response = self.send(method, &path, Some(&request["object"]), false).await?;
        if is_update {
            self.send(Method::DELETE, &one, None, true).await?;
        }
        response.compare(&entry.id, &expected)
    }

    /// Compares the command's JSON report with the API server's answers for the same objects. Sends them one by one to the
    /// `namespace` of the policy with default settings, when all other objects are there.
    ///
    /// # Errors
    ///
    /// The difference between the answers, or the reason why the API server does not answer.
    pub async fn compare_report(
        &self,
        manifests: &str,
        report: &Value,
        ids: &BTreeMap<String, String>,
    ) -> Result<usize, String> {
        let mut compared = 0;
        for (policy, id) in ids {
            let objects: Vec<Value> = objects_in(manifests, id);
            for object in &objects {
                self.send(Method::POST, &folder(object), Some(&object["object"]), true).await?;
            }
            for object in &objects {
                let Some(found) = findings(report, &object["object"], policy, id) else { continue };
                self.compare_object(object, id, &found).await?;
                compared += 1;
            }
            for object in &objects {
                self.send(Method::DELETE, &object_path(object), None, true).await?;
            }
        }
        Ok(compared)
    }

    async fn compare_object(&self, request: &Value, id: &str, found: &Answer) -> Result<(), String> {
        let (folder, one) = (folder(request), object_path(request));
        self.send(Method::DELETE, &format!("{one}?propagationPolicy=Background"), None, true).await?;
        // policy-server sees the other objects only when the events reach it.
        let mut compared = Ok(());
        for _ in 0..50 {
            let path = format!("{folder}?dryRun=All");
            let response = self.send(Method::POST, &path, Some(&request["object"]), false).await?;
            compared = response.compare(id, found).map(|_| ());
            if compared.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.send(Method::POST, &folder, Some(&request["object"]), true).await?;
        compared.map_err(|difference| format!("{one}: {difference}"))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        unchecked: bool,
    ) -> Result<Response, String> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if unchecked {
            request = request.header("impersonate-user", UNCHECKED).header("impersonate-group", "system:masters");
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.map_err(|error| error.to_string())?;
        let status = response.status();
        let warnings = response.headers().get_all("warning").iter();
        let warnings = warnings.map(|header| warning(&String::from_utf8_lossy(header.as_bytes()))).collect();
        let text = response.text().await.map_err(|error| error.to_string())?;
        Ok(Response { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)), warnings })
    }
}

/// Why the API server cannot get a case's request, if it cannot.
fn skips(case: &Case) -> Option<&'static str> {
    let Some(object) = &case.object else { return Some("it is about settings alone") };
    let is_update = case.request.get("operation").is_some_and(|operation| operation == "UPDATE");
    let others = case.request.keys().any(|field| !["operation", "oldObject", "namespace", "name"].contains(&&**field));
    if case.has_odd_settings() {
        Some("such settings are no configuration of the server")
    } else if case.images.is_some() {
        Some("the server asks a registry for images, and there is none with these")
    } else if case.cluster.is_some() {
        Some("policy-server.bats has the cluster")
    } else if others || (!is_update && case.request.contains_key("operation")) {
        Some("the API server makes its requests itself")
    } else if is_update && case.request.get("oldObject").is_none_or(Value::is_null) {
        Some("an UPDATE without an object before it is none")
    } else if object["metadata"].get("uid").is_some() {
        Some("the API server gives an object its uid")
    } else if object["metadata"].get("deletionTimestamp").is_some() {
        Some("the API server says itself when an object was deleted")
    } else if is_update && case.accepted && object["kind"] == "ConfigMap" && case.rules == ["not-judged"] {
        Some("matchConditions leave out an UPDATE that changes no entry")
    } else {
        None
    }
}

/// Changes a case's objects to the form that the API server sends: in the namespace of the case's policy, with a name, and
/// without `stringData`.
fn stored(case: &mut Case, namespace: &str) {
    case.cluster = Some(Vec::new());
    case.request.remove("namespace");
    let name =
        case.object.as_ref().and_then(|object| object["metadata"]["name"].as_str()).unwrap_or("unnamed").to_owned();
    let old = case.request.get_mut("oldObject");
    for object in case.object.iter_mut().chain(old) {
        // Without a name the API server rejects the object before it asks the policies.
        let metadata = &mut object["metadata"];
        if metadata.is_null() || metadata.is_object() {
            metadata["namespace"] = json!(namespace);
            metadata["name"] = json!(name);
        }
        let Some(Value::Object(texts)) = object.as_object_mut().and_then(|fields| fields.remove("stringData")) else {
            continue;
        };
        for (key, text) in texts {
            object["data"][key] = json!(BASE64_STANDARD.encode(text.as_str().unwrap_or_default()));
        }
    }
}

/// The path of all objects of a request's kind in its namespace.
fn folder(request: &Value) -> String {
    let resource = &request["resource"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let group = match text(&resource["group"]) {
        group if group.is_empty() => "/api".to_owned(),
        group => format!("/apis/{group}"),
    };
    let (version, plural) = (text(&resource["version"]), text(&resource["resource"]));
    format!("{group}/{version}/namespaces/{}/{plural}", text(&request["namespace"]))
}

/// The path of a request's object.
fn object_path(request: &Value) -> String {
    format!("{}/{}", folder(request), request["name"].as_str().unwrap_or_default())
}

/// The requests that create the objects of manifests in a namespace.
fn objects_in(manifests: &str, namespace: &str) -> Vec<Value> {
    let objects = manifest::objects(manifests).flatten();
    let requests = objects.map(|object| {
        let mut request = json!(Request::create(&object, namespace));
        request["namespace"] = json!(namespace);
        request["object"]["metadata"]["namespace"] = json!(namespace);
        request
    });
    requests.collect()
}

/// A policy's findings on an object in the command's report, as its answer in another namespace; `None` if it does not check the
/// object.
fn findings(report: &Value, object: &Value, policy: &str, namespace: &str) -> Option<Answer> {
    let is_same = |other: &&Value| other["kind"] == object["kind"] && other["name"] == object["metadata"]["name"];
    let found = report["objects"].as_array()?.iter().find(is_same)?;
    found["policies"].as_array()?.iter().find(|name| **name == *policy)?;
    let own = found["namespace"].as_str().unwrap_or_default();
    // The API server sends `stringData` as `data`.
    let moved = |finding: &Value| {
        let line = line(finding).replace(&format!(" {own}/"), &format!(" {namespace}/"));
        line.strip_prefix("stringData").map_or(line.clone(), |rest| format!("data{rest}"))
    };
    let lines = |field: &str| {
        let findings = found[field].as_array().into_iter().flatten();
        findings.filter(|finding| finding["policy"] == *policy).map(moved).collect::<Vec<String>>()
    };
    let (violations, notices) = (lines("violations"), lines("notices"));
    serde_json::from_value(json!({
        "accepted": violations.is_empty(),
        "message": (!violations.is_empty()).then(|| violations.join("\n")),
        "warnings": notices,
    }))
    .ok()
}

/// The text of a finding of the report, as policies write it.
fn line(finding: &Value) -> String {
    let text = |field: &str| finding[field].as_str().unwrap_or_default();
    let mut line = text("path").to_owned();
    if let Some(within) = finding.get("within") {
        line += &format!(" line {}, {}", within["line"], within["path"].as_str().unwrap_or_default());
    }
    if !text("container").is_empty() {
        line += &format!(" \"{}\"", text("container"));
    }
    line += &format!(": {}", text("problem"));
    if !text("mend").is_empty() {
        line += &format!("; {}", text("mend"));
    }
    line
}

/// The text of a header `Warning: 299 - "text"`.
fn warning(header: &str) -> String {
    let quoted = header.split_once('"').map_or(header, |(_, quoted)| quoted);
    let quoted = quoted.strip_suffix('"').unwrap_or(quoted);
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}

impl Response {
    fn message(&self) -> String {
        let message = self.body["message"].as_str().map(str::to_owned);
        message.unwrap_or_else(|| format!("status {}: {}", self.status, self.body))
    }

    /// Compares with the answer of the policy whose webhook has an id.
    fn compare(&self, id: &str, expected: &Answer) -> Result<Outcome, String> {
        let message = self.message();
        let start = format!("admission webhook \"clusterwide-{id}.kubewarden.admission\" denied the request: ");
        let refusal = message.strip_prefix(&start);
        if refusal.is_none() && [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND].contains(&self.status) {
            return Ok(Outcome::Skipped("the API server cannot read such an object"));
        }
        // The API server asks the policies even about invalid objects.
        let is_answer = self.status.is_success() || self.status == StatusCode::UNPROCESSABLE_ENTITY;
        if refusal.is_none() && !is_answer {
            return Err(message);
        }
        let is_odd = expected.message.as_deref().is_some_and(|message| message.starts_with("cannot be checked"));
        if is_odd && expected.message.as_deref() != refusal && !self.status.is_success() {
            return Ok(Outcome::Skipped(
                "the API server makes something else of what cannot be judged, and it is not let in",
            ));
        }
        if (expected.accepted, expected.message.as_deref()) != (refusal.is_none(), refusal) {
            return Err(format!("expected {:?}\ngot {refusal:?}", expected.message));
        }
        let is_said = |warning: &String| {
            let start: String = warning.chars().take(LONGEST_WARNING).collect();
            self.warnings.iter().any(|said| said == warning || *said == start)
        };
        let missing: Vec<&String> = expected.warnings.iter().flatten().filter(|warning| !is_said(warning)).collect();
        if !missing.is_empty() {
            return Err(format!("expected the warnings {missing:?}\ngot {:?}", self.warnings));
        }
        Ok(Outcome::Same)
    }
}

//! The objects of a running cluster, read and never changed.
//!
//! Only kinds that policies read are listed. Of Secrets, first only the names are: the few that a route or a certificate names are
//! then read, and of those no more than certificates is kept.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use flytewarden_offline::{check::File, kinds::is_cluster_wide_resource, metadata::Resource};
use http::{Request, header::ACCEPT};
use kube::{
    Client, Config, Error,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Map, Value, json};
use tokio::runtime::Builder;

/// What was read of a cluster.
pub struct Objects {
    /// The objects, one on each line.
    pub file: File,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// How long the API server may take to accept a connection, and to answer.
const CONNECT_TIME: Duration = Duration::from_secs(10);
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// The most objects in an answer. The API server keeps the rest for the next request.
const MOST_OBJECTS: usize = 500;

/// An answer with no more of each object than its metadata.
const NAMES_ALONE: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// Reads the objects of the kinds that policies read from the cluster of a context of the kubeconfig: from some namespaces, or from all if
/// none is named. A kind that the cluster does not have is passed over.
///
/// # Errors
///
/// There is no such context, or the cluster cannot be reached.
pub fn read(context: &str, namespaces: &[String], resources: BTreeSet<Resource>) -> Result<Objects, String> {
    let failed = |error: &dyn std::error::Error| format!("context {context}: {}", with_causes(error));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
    runtime.block_on(async {
        let kubeconfig = Kubeconfig::read().map_err(|error| failed(&error))?;
        let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut config = config.map_err(|error| failed(&error))?;
        config.connect_timeout = Some(CONNECT_TIME);
        config.read_timeout = Some(ANSWER_TIME);
        let client = Client::try_from(config).map_err(|error| failed(&error))?;
        // Before anything else, so that a cluster that is not there is one error and not one for each kind.
        client.apiserver_version().await.map_err(|error| failed(&error))?;
        let (secrets, others): (Vec<_>, Vec<_>) = resources.into_iter().partition(|resource| resource.is_secrets());
        let mut reader = Reader { client, namespaces, objects: Vec::new(), unread: Vec::new() };
        for resource in &others {
            let listed = reader.list(resource, "application/json").await;
            reader.objects.extend(listed);
        }
        for resource in &secrets {
            reader.read_secrets(resource).await;
        }
        let Reader { objects, unread, .. } = reader;
        let lines: Vec<String> = objects.iter().map(ToString::to_string).collect();
        Ok(Objects { file: File::new(format!("context {context}"), Ok(lines.join("\n"))), unread })
    })
}

struct Reader<'n> {
    client: Client,
    namespaces: &'n [String],
    objects: Vec<Value>,
    unread: Vec<String>,
}

impl Reader<'_> {
    /// Lists the objects of a kind.
    async fn list(&mut self, resource: &Resource, accept: &str) -> Vec<Value> {
        let Resource { group, version, plural } = resource;
        let api = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let everywhere = self.namespaces.is_empty() || is_cluster_wide_resource(plural);
        let paths: Vec<String> = match everywhere {
            true => vec![format!("{api}/{plural}")],
            false => self.namespaces.iter().map(|name| format!("{api}/namespaces/{name}/{plural}")).collect(),
        };
        let mut objects = Vec::new();
        for path in paths {
            if let Err(error) = self.list_pages(&path, accept, &mut objects).await {
                match error {
                    // The cluster does not have the kind.
                    Error::Api(status) if status.code == 404 => {}
                    error => self.unread.push(format!("could not list {path}: {}", reason(&error))),
                }
            }
        }
        objects
    }

    async fn list_pages(&self, path: &str, accept: &str, objects: &mut Vec<Value>) -> Result<(), Error> {
        let mut next = String::new();
        loop {
            let mut page = self.get(&format!("{path}?limit={MOST_OBJECTS}{next}"), accept).await?;
            let kind = page["kind"].as_str().unwrap_or_default().trim_end_matches("List").to_owned();
            let api_version = page["apiVersion"].take();
            let Value::Array(items) = page["items"].take() else { return Ok(()) };
            // The items of a list do not say what they are.
            objects.extend(items.into_iter().filter(Value::is_object).map(|mut object| {
                if object["kind"].is_null() {
                    object["kind"] = json!(kind);
                    object["apiVersion"] = api_version.clone();
                }
                object
            }));
            match page["metadata"]["continue"].as_str() {
                Some(token) if !token.is_empty() => next = format!("&continue={token}"),
                _ => return Ok(()),
            }
        }
    }

    async fn get(&self, path: &str, accept: &str) -> Result<Value, Error> {
        let request = Request::get(path).header(ACCEPT, accept).body(Vec::new()).map_err(Error::HttpError)?;
        self.client.request(request).await
    }

    /// Reads the Secrets that the objects so far name where they present certificates.
    async fn read_secrets(&mut self, resource: &Resource) {
        const WITH_CERTIFICATES: [&str; 8] =
            ["Certificate", "Deployment", "Gateway", "HTTPProxy", "Ingress", "IngressRoute", "Route", "StatefulSet"];
        let presents = |object: &&Value| object["kind"].as_str().is_some_and(|kind| WITH_CERTIFICATES.contains(&kind));
        let mut named = BTreeSet::new();
        for object in self.objects.iter().filter(presents) {
            add_names(&object["spec"], &mut named);
        }
        for secret in self.list(resource, NAMES_ALONE).await {
            let (namespace, name) = (&secret["metadata"]["namespace"], &secret["metadata"]["name"]);
            let (Some(namespace), Some(name)) = (namespace.as_str(), name.as_str()) else { continue };
            if !named.contains(name) {
                continue;
            }
            let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
            match self.get(&path, "application/json").await {
                Ok(secret) => self.objects.extend(with_certificates_alone(secret)),
                Err(error) => self.unread.push(format!("could not read {path}: {}", reason(&error))),
            }
        }
    }
}

/// Adds every string in a value.
fn add_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            names.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| add_names(item, names)),
        Value::Object(fields) => fields.values().for_each(|field| add_names(field, names)),
        _ => {}
    }
}

/// A Secret with the entries that hold certificates, and without what an earlier `kubectl apply` left in its annotations; nothing if it
/// holds none.
fn with_certificates_alone(mut secret: Value) -> Option<Value> {
    let Value::Object(data) = secret["data"].take() else { return None };
    let holds = |value: &Value| {
        let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains("-----BEGIN CERTIFICATE-----")
    };
    let data: Map<String, Value> = data.into_iter().filter(|(_, value)| holds(value)).collect();
    let Value::Object(metadata) = &mut secret["metadata"] else { return None };
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    let metadata = secret["metadata"].take();
    (!data.is_empty()).then(
        || json!({"apiVersion": "v1", "kind": "Secret", "type": secret["type"], "metadata": metadata, "data": data}),
    )
}

/// Why the API server did not answer with an object.
fn reason(error: &Error) -> String {
    match error {
        Error::Api(status) => status.message.clone(),
        error => with_causes(error),
    }
}

/// An error with its causes, which say what its own text leaves out.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let own = error.to_string();
        if !text.contains(&own) {
            text += &format!(": {own}");
        }
        cause = error.source();
    }
    text
}

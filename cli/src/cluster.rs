//! Reads the objects of a running cluster, and never changes them.
//!
//! Lists only the kinds that policies read. Of Secrets, it lists only the metadata, and then reads those that a route
//! or a certificate names. It keeps only their entries with certificates, without private keys.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use flytewarden_offline::{check::File, metadata::Resource};
use http::Request;
use kube::{
    Client, Config, Discovery, Error, Resource as _,
    api::{ApiResource, DynamicObject, GetParams, ListParams, Request as Requests},
    config::{KubeConfigOptions, Kubeconfig},
    discovery::{Scope, verbs},
};
use serde_json::{Map, Value, json};
use tokio::runtime::Builder;

/// The objects of a cluster.
pub struct Objects {
    /// The objects, one per line.
    pub file: File,
    /// The objects that could not be read, and why.
    pub unread: Vec<String>,
}

/// The time limits for the API server to accept a connection and to answer.
const CONNECT_TIME: Duration = Duration::from_secs(10);
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// The largest number of objects in one answer. The next request gets more.
const MOST_OBJECTS: u32 = 500;

/// Reads the objects of the kinds that policies read, from the cluster of a kubeconfig context. Reads only the given
/// namespaces, or all if none are given. Skips kinds that the cluster does not have. If the cluster has a kind only in
/// another version, reads that version.
///
/// # Errors
///
/// There is no such context, or the cluster cannot be reached.
pub fn read_cluster(context: &str, namespaces: &[String], resources: BTreeSet<Resource>) -> Result<Objects, String> {
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
        let groups: Vec<&str> = resources.iter().map(|resource| &*resource.group).collect();
        let found = Discovery::new(client.clone()).filter(&groups).run().await.map_err(|error| failed(&error))?;
        let (secrets, others): (Vec<_>, Vec<_>) = kinds(&found, &resources)
            .into_iter()
            .partition(|(kind, _)| kind.group.is_empty() && kind.plural == "secrets");
        let mut reader = Reader { client, namespaces, objects: Vec::new(), unread: Vec::new() };
        for (kind, scope) in &others {
            let listed = reader.list(kind, scope, Requests::list).await;
            reader.objects.extend(listed);
        }
        for (kind, scope) in &secrets {
            reader.read_secrets(kind, scope).await;
        }
        let Reader { objects, unread, .. } = reader;
        let lines: Vec<String> = objects.iter().map(ToString::to_string).collect();
        Ok(Objects { file: File::new(format!("context {context}"), Ok(lines.join("\n"))), unread })
    })
}

/// Returns the cluster's kinds that policies read, each in one version: one that a policy reads, or else the most
/// stable.
fn kinds(found: &Discovery, resources: &BTreeSet<Resource>) -> Vec<(ApiResource, Scope)> {
    let names: BTreeSet<(&str, &str)> =
        resources.iter().map(|Resource { group, plural, .. }| (&**group, &**plural)).collect();
    let kind = |(group, plural): (&str, &str)| {
        let served = found.get(group)?;
        let versions = resources.iter().filter(|own| (&*own.group, &*own.plural) == (group, plural));
        let read =
            versions.filter_map(|own| own.version.as_deref()).flat_map(|version| served.versioned_resources(version));
        let mut offers = read.chain(served.resources_by_stability());
        let (kind, capabilities) = offers
            .find(|(kind, capabilities)| kind.plural == plural && capabilities.supports_operation(verbs::LIST))?;
        Some((kind, capabilities.scope))
    };
    names.into_iter().filter_map(kind).collect()
}

struct Reader<'n> {
    client: Client,
    namespaces: &'n [String],
    objects: Vec<Value>,
    unread: Vec<String>,
}

/// Builds a request for a list, either of whole objects or only of their metadata.
type List = fn(&Requests, &ListParams) -> Built;

/// A request, if it could be built.
type Built = Result<Request<Vec<u8>>, kube::core::request::Error>;

impl Reader<'_> {
    /// Lists the objects of a kind.
    async fn list(&mut self, kind: &ApiResource, scope: &Scope, list: List) -> Vec<Value> {
        let paths: Vec<String> = match self.namespaces.is_empty() || *scope == Scope::Cluster {
            true => vec![DynamicObject::url_path(kind, None)],
            false => self.namespaces.iter().map(|name| DynamicObject::url_path(kind, Some(name))).collect(),
        };
        let mut objects = Vec::new();
        for path in paths {
            if let Err(reason) = self.list_pages(kind, &path, list, &mut objects).await {
                self.unread.push(format!("could not list {path}: {reason}"));
            }
        }
        objects
    }

    async fn list_pages(
        &self,
        kind: &ApiResource,
        path: &str,
        list: List,
        objects: &mut Vec<Value>,
    ) -> Result<(), String> {
        let mut page = ListParams::default().limit(MOST_OBJECTS);
        loop {
            let request = list(&Requests::new(path), &page);
            let mut answer = self.get(request).await.map_err(|error| reason(&error))?;
            // Go writes an empty list as null.
            let items = match answer.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => items,
                Some(Value::Null) => Vec::new(),
                _ => return Err("the answer is not a list".to_owned()),
            };
            // The items of a list may lack kind and apiVersion.
            objects.extend(items.into_iter().filter(Value::is_object).map(|mut object| {
                if object["kind"].is_null() {
                    object["kind"] = json!(kind.kind);
                    object["apiVersion"] = json!(kind.api_version);
                }
                object
            }));
            match answer["metadata"]["continue"].as_str() {
                Some(token) if !token.is_empty() => page = page.continue_token(token),
                _ => return Ok(()),
            }
        }
    }

    /// Returns an answer, which must be an object.
    async fn get(&self, request: Built) -> Result<Value, Error> {
        self.client.request(request.map_err(Error::BuildRequest)?).await.map(Value::Object)
    }

    /// Reads the Secrets that may contain certificates: those that objects of the kinds below name.
    async fn read_secrets(&mut self, kind: &ApiResource, scope: &Scope) {
        const WITH_CERTIFICATES: [&str; 9] = [
            "Certificate",
            "DaemonSet",
            "Deployment",
            "Gateway",
            "HTTPProxy",
            "Ingress",
            "IngressRoute",
            "Route",
            "StatefulSet",
        ];
        let presents = |object: &&Value| object["kind"].as_str().is_some_and(|kind| WITH_CERTIFICATES.contains(&kind));
        let mut named = Named::default();
        for object in self.objects.iter().filter(presents) {
            named.add(&object["spec"]);
        }
        let mut wanted: BTreeSet<(String, String)> = named.elsewhere;
        for secret in self.list(kind, scope, Requests::list_metadata).await {
            let (namespace, name) = (&secret["metadata"]["namespace"], &secret["metadata"]["name"]);
            let (Some(namespace), Some(name)) = (namespace.as_str(), name.as_str()) else { continue };
            if named.names.contains(name) {
                wanted.insert((namespace.to_owned(), name.to_owned()));
            }
        }
        for (namespace, name) in wanted {
            let path = DynamicObject::url_path(kind, Some(&namespace));
            match self.get(Requests::new(path).get(&name, &GetParams::default())).await {
                Ok(secret) => self.objects.extend(with_certificates_alone(secret)),
                // The Secret does not exist. The policies report that.
                Err(Error::Api(status)) if status.code == 404 => {}
                Err(error) => self.unread.push(format!("could not read Secret {namespace}/{name}: {}", reason(&error))),
            }
        }
    }
}

/// Possible names of Secrets.
#[derive(Default)]
struct Named {
    /// Every string in the objects, as each may be a name.
    names: BTreeSet<String>,
    /// Namespaces and names from fields that can only mean a Secret.
    elsewhere: BTreeSet<(String, String)>,
}

impl Named {
    fn add(&mut self, value: &Value) {
        const OPTION: &str = "--default-ssl-certificate=";
        match value {
            Value::String(text) => {
                if let Some(name) = text.strip_prefix(OPTION) {
                    self.add_qualified(name);
                }
                self.names.insert(text.clone());
            }
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(fields) => {
                if let Some(name) = fields.get("secretName").and_then(Value::as_str) {
                    self.add_qualified(name);
                }
                if let Some(Value::Array(references)) = fields.get("certificateRefs") {
                    for reference in references {
                        if let (Some(namespace), Some(name)) =
                            (reference["namespace"].as_str(), reference["name"].as_str())
                        {
                            self.add_qualified(&format!("{namespace}/{name}"));
                        }
                    }
                }
                fields.values().for_each(|field| self.add(field));
            }
            _ => {}
        }
    }

    /// Adds a text such as `namespace/name`, if it is safe in the path of a request.
    fn add_qualified(&mut self, text: &str) {
        let Some((namespace, name)) = text.split_once('/') else { return };
        if [namespace, name].into_iter().all(is_dns_name) {
            self.elsewhere.insert((namespace.to_owned(), name.to_owned()));
        }
    }
}

/// Whether a text is safe as a name in a path: it has only lower-case letters, digits, `-` and `.`.
fn is_dns_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(is_plain)
}

/// Reduces a Secret to its type, name, namespace, uid and certificates. `None` if it has no certificate.
fn with_certificates_alone(mut secret: Value) -> Option<Value> {
    let Value::Object(data) = secret["data"].take() else { return None };
    let certificates = |value: Value| {
        let bytes = STANDARD.decode(value.as_str()?).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        text.contains("-----BEGIN CERTIFICATE-----").then(|| json!(STANDARD.encode(without_keys(&text))))
    };
    let data: Map<String, Value> =
        data.into_iter().filter_map(|(entry, value)| Some((entry, certificates(value)?))).collect();
    let [name, namespace] = ["name", "namespace"].map(|field| secret["metadata"][field].take());
    let metadata = json!({"name": name, "namespace": namespace, "uid": secret["metadata"]["uid"]});
    (!data.is_empty()).then(
        || json!({"apiVersion": "v1", "kind": "Secret", "type": secret["type"], "metadata": metadata, "data": data}),
    )
}

/// Returns a PEM text without the content of its private keys. Their first and last lines stay, so that policies see that there is one.
fn without_keys(text: &str) -> String {
    let mut is_key = false;
    let is_kept = |line: &&str| {
        let is_border = line.contains("-----BEGIN ") || line.contains("-----END ");
        if is_border {
            is_key = line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----");
        }
        is_border || !is_key
    };
    text.split_inclusive('\n').filter(is_kept).collect()
}

/// Returns why the API server did not answer with an object.
fn reason(error: &Error) -> String {
    match error {
        Error::Api(status) => status.message.clone(),
        error => with_causes(error),
    }
}

/// Returns an error's text with those of its causes.
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

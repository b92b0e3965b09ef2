//! The policies as native code, and what they ask their host.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use flytewarden::cluster::{Cluster, Listed};
use flytewarden_offline::cluster::HostCalls;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

/// A question of a policy to its host, and the answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The operation.
    pub operation: String,
    /// The request, as JSON.
    pub request: Vec<u8>,
    /// The answer, as JSON.
    pub answer: Result<Vec<u8>, String>,
}

/// The operation that asks for an image.
pub const IMAGE: &str = "oci_manifest_config";

/// A host, asked as the compiled module asks it.
pub struct Asking {
    host: Arc<dyn HostCalls>,
    /// What was asked and answered, in order.
    pub exchanges: RefCell<Vec<Exchange>>,
}

impl Asking {
    /// A policy's view of a host.
    pub fn new(host: Arc<dyn HostCalls>) -> Self {
        Self { host, exchanges: RefCell::default() }
    }
}

impl Cluster for Asking {
    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<Box<RawValue>>,
        }
        let (api_version, name) = kind.kind();
        let mut request = json!({
            "api_version": api_version, "kind": name, "label_selector": null, "field_selector": null,
            "field_masks": kind.fields().iter().collect::<BTreeSet<_>>(),
        });
        let operation = match namespace {
            Some(namespace) => {
                request["namespace"] = json!(namespace);
                "list_resources_by_namespace"
            }
            None => "list_resources_all",
        };
        let request = request.to_string().into_bytes();
        let answer = self.host.answer(operation, &request);
        let exchange = Exchange { operation: operation.to_owned(), request, answer: answer.clone() };
        self.exchanges.borrow_mut().push(exchange);
        let list: List = serde_json::from_slice(&answer?).map_err(|error| error.to_string())?;
        Ok(list.items)
    }

    fn image(&self, reference: &str) -> Result<Box<RawValue>, String> {
        let answer = self.host.image(reference);
        let (operation, request) = (IMAGE.to_owned(), json!({ "image": reference }).to_string().into_bytes());
        self.exchanges.borrow_mut().push(Exchange { operation, request, answer: answer.clone() });
        RawValue::from_string(String::from_utf8(answer?).map_err(|error| error.to_string())?)
            .map_err(|error| error.to_string())
    }

    fn now(&self) -> Result<Duration, String> {
        SystemTime::UNIX_EPOCH.elapsed().map_err(|error| error.to_string())
    }
}

//! Runs the policies as native code, and records their questions to the host.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use flytewarden::oauth_tls::LINKED;
use flytewarden_offline::{
    cluster::HostCalls,
    linked::{self, Asked, Linked},
    report::Answer,
};
use serde_json::json;

use crate::cases::Case;

/// The answer of a case's policy.
///
/// # Errors
///
/// JSON cannot represent it.
pub fn validate(case: &Case) -> Result<Answer, String> {
    let payload = json!({"request": case.admission_request(), "settings": case.settings});
    let host = Asked { host: &*case.host(), clock, pki: || Ok(LINKED) };
    let answer = case.native().validate(payload.to_string().as_bytes(), &host);
    serde_json::from_slice(&serde_json::to_vec(&answer).map_err(|error| error.to_string())?)
        .map_err(|error| error.to_string())
}

/// The policies of the command.
pub fn policies() -> Vec<Linked> {
    linked::policies(clock, || Ok(LINKED))
}

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

/// A host that records the questions it gets.
pub struct Remembering {
    host: Arc<dyn HostCalls>,
    /// The questions and answers, in order.
    pub exchanges: Mutex<Vec<Exchange>>,
}

impl Remembering {
    /// Wraps a host.
    pub fn new(host: Arc<dyn HostCalls>) -> Self {
        Self { host, exchanges: Mutex::default() }
    }

    fn remember(&self, operation: &str, request: Vec<u8>, answer: &Result<Vec<u8>, String>) {
        let exchange = Exchange { operation: operation.to_owned(), request, answer: answer.clone() };
        self.exchanges.lock().expect("nobody panicked").push(exchange);
    }
}

impl HostCalls for Remembering {
    fn answer(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        let answer = self.host.answer(operation, request);
        self.remember(operation, request.to_owned(), &answer);
        answer
    }

    fn image(&self, reference: &str) -> Result<Vec<u8>, String> {
        let answer = self.host.image(reference);
        self.remember(IMAGE, json!({ "image": reference }).to_string().into_bytes(), &answer);
        answer
    }
}

/// The machine's clock.
///
/// # Errors
///
/// It is before 1970.
pub fn clock() -> Result<Duration, String> {
    SystemTime::UNIX_EPOCH.elapsed().map_err(|error| error.to_string())
}

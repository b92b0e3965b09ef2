//! Bytes in base64, as ConfigMaps and Secrets hold them.

use k8s_openapi::ByteString;
use serde::{
    Deserialize,
    de::{self, IntoDeserializer, value::StrDeserializer},
};

/// Decodes base64, ignoring line breaks as Go does.
///
/// # Errors
///
/// It is not valid base64.
pub(crate) fn decode(base64: &[u8]) -> Result<Vec<u8>, String> {
    let base64: String =
        base64.iter().map(|byte| *byte as char).filter(|letter| !matches!(letter, '\r' | '\n')).collect();
    let text: StrDeserializer<'_, de::value::Error> = base64.as_str().into_deserializer();
    ByteString::deserialize(text).map(|bytes| bytes.0).map_err(|_| {
        let is_pem = base64.contains("-----BEGIN");
        if is_pem { "not valid base64; put plain PEM into stringData" } else { "not valid base64" }.to_owned()
    })
}

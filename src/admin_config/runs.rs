//! Options in Flyte 2's files.
//!
//! Source: `runs/config/config.go` of [flyteorg/flyte](https://github.com/flyteorg/flyte) v2.0.43.

use super::{Said, auth::scheme, decode, files::Config};

impl Config {
    /// Whether Flyte 2 takes the caller's identity from headers.
    pub(crate) fn trusts_identity_headers(&mut self) -> bool {
        let said = self.text(&["runs", "trustForwardedIdentityHeaders"]).ok().flatten();
        said.is_none_or(|said| decode::parse_bool(&said.value) != Ok(false))
    }

    /// The address of the OAuth provider that clients are sent to, if it is not an absolute https URL.
    pub(crate) fn insecure_provider(&mut self) -> Option<Said<String>> {
        let said = self.text(&["runs", "authMetadata", "externalAuthServerBaseUrl"]).ok()??;
        (!said.value.is_empty() && scheme(&said.value).as_deref() != Some("https")).then_some(said)
    }
}

//! The HTTP requests to a registry.
//!
//! A registry may be hostile. So each answer is read only up to the caller's limit, and only the status of a refusal is
//! read. Credentials are sent only to the registry, and to the server that it names for tokens.
//!
//! Source: the [distribution specification](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md),
//! and [how registries issue tokens](https://distribution.github.io/distribution/spec/auth/token/).

use std::{cell::OnceCell, error::Error, time::Duration};

use docker_credential::DockerCredential;
use http::{
    HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE},
};
use http_auth::{ChallengeParser, ChallengeRef};
use oci_spec::distribution::Reference;
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::Deserialize;

use super::{Failed, first_line};

/// The largest size of an answer with a token, in bytes. Tokens have a few KiB.
const MOST_TOKEN: u64 = 256 << 10;

/// A connection to a registry, for one reference.
pub(super) struct Session {
    pub(super) reference: Reference,
    client: Client,
    base: Url,
    credentials: OnceCell<Credentials>,
    /// The `Authorization` header, if the registry needs one. Unset until the registry has been asked.
    authorization: OnceCell<Option<HeaderValue>>,
}

/// The user's credentials for a registry.
struct Credentials {
    /// The user and the password. `None` to be anonymous.
    user: Option<(String, String)>,
    /// The source of the credentials, or why there are none.
    origin: String,
}

/// The kind of access to a repository.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Pull,
    Push,
}

impl Session {
    pub(super) fn open(reference: Reference, insecure: bool) -> Result<Self, Failed> {
        // If another provider is already installed for the process, keep it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(30))
            .user_agent(concat!("flytewarden/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failed(innermost(&error)))?;
        let scheme = if insecure { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{}/v2/", reference.resolve_registry()))
            .map_err(|error| Failed(format!("it has no registry: {error}")))?;
        Ok(Self { client, base, reference, credentials: OnceCell::new(), authorization: OnceCell::new() })
    }

    /// Returns the URL of something in the repository, e.g. `blobs/sha256:...`.
    pub(super) fn url(&self, of_repository: &str) -> Result<Url, Failed> {
        let path = format!("{}/{of_repository}", self.reference.repository());
        self.base.join(&path).map_err(|error| Failed(format!("{path} has no address: {error}")))
    }

    /// Returns the URL that an answer refers to, e.g. for an upload.
    pub(super) fn location(&self, response: &Response) -> Result<Url, Failed> {
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        location
            .and_then(|location| self.base.join(location).ok())
            .ok_or_else(|| Failed(format!("{} did not say where to upload", self.reference.registry())))
    }

    /// Creates a request. Only a request to the registry itself gets the credentials.
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let own = url.origin() == self.base.origin();
        let request = self.client.request(method, url);
        match self.authorization.get() {
            Some(Some(authorization)) if own => request.header(AUTHORIZATION, authorization.clone()),
            _ => request,
        }
    }

    /// Sends a request and returns the answer, whatever its status.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Failed> {
        request.send().await.map_err(|error| {
            let reason = innermost(&error.without_url());
            // The message if the answer is not TLS.
            let is_plain = reason.contains("InvalidContentType");
            let hint = if is_plain { "; for a registry over plain http, use `--insecure`" } else { "" };
            Failed(format!("{} cannot be reached: {reason}{hint}", self.reference.registry()))
        })
    }

    /// Sends a request and returns the answer if its status is a success.
    pub(super) async fn expect(&self, request: RequestBuilder) -> Result<Response, Failed> {
        let response = self.send(request).await?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response.status())) }
    }

    /// Returns the error for a refused request.
    pub(super) fn refused(&self, status: StatusCode) -> Failed {
        let registry = self.reference.registry();
        Failed(match status.as_u16() {
            status @ (401 | 403) => {
                format!("{registry} denied access ({status}), {}", self.credentials().origin)
            }
            404 => format!("{registry} has no {} (404)", self.reference),
            status => format!("{registry} answered {status}"),
        })
    }

    /// Finds out whether the registry needs credentials, and sets the header.
    pub(super) async fn authenticate(&self, access: Access) -> Result<(), Failed> {
        if self.authorization.get().is_some() {
            return Ok(());
        }
        let asked = self.send(self.request(Method::GET, self.base.clone())).await?;
        let challenges = asked.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|header| header.to_str().ok());
        let challenges: Vec<ChallengeRef> =
            challenges.flat_map(|header| ChallengeParser::new(header).map_while(Result::ok)).collect();
        let bearer = challenges.iter().find(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"));
        let authorization = match (bearer, &self.credentials().user) {
            (Some(challenge), _) => Some(self.token(challenge, access).await?),
            (None, Some(_)) if !challenges.is_empty() => self.basic()?,
            _ => None,
        };
        let _ = self.authorization.set(authorization);
        Ok(())
    }

    /// Gets a token for the repository from the server that the challenge names.
    async fn token(&self, challenge: &ChallengeRef<'_>, access: Access) -> Result<HeaderValue, Failed> {
        let registry = self.reference.registry();
        let parameter = |name: &str| {
            let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        let realm = parameter("realm").and_then(|realm| Url::parse(&realm).ok());
        let mut realm = realm.ok_or_else(|| Failed(format!("{registry} did not say where to get a token")))?;
        if self.base.scheme() == "https" && realm.scheme() != "https" {
            return Err(Failed(format!("{registry} wants the credentials sent over plain http to get a token")));
        }
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", self.reference.repository());
        realm.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = parameter("service") {
            realm.query_pairs_mut().append_pair("service", &service);
        }
        let request = self.client.get(realm);
        let request = match self.basic()? {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        };
        let answer = self.expect(request).await?;
        let answer = read_body(answer, "the answer with a token", MOST_TOKEN).await?;
        // The answer is secret, so no error may show a part of it.
        let token = read_token(&answer).ok_or_else(|| Failed(format!("{registry} returned no token")))?;
        let header = HeaderValue::from_str(&format!("Bearer {token}"));
        header.map_err(|_| Failed(format!("{registry} returned a token that is not valid in a header")))
    }

    /// Returns the user and the password as a header.
    fn basic(&self) -> Result<Option<HeaderValue>, Failed> {
        let Some((user, password)) = &self.credentials().user else { return Ok(None) };
        let request = self.client.get(self.base.clone()).basic_auth(user, Some(password)).build();
        let mut request = request.map_err(|error| Failed(innermost(&error.without_url())))?;
        Ok(request.headers_mut().remove(AUTHORIZATION))
    }

    fn credentials(&self) -> &Credentials {
        self.credentials.get_or_init(|| Credentials::load(self.reference.registry()))
    }
}

/// Reads the body of an answer.
///
/// # Errors
///
/// It is larger than `most` bytes, or ends early.
pub(super) async fn read_body(mut response: Response, what: &str, most: u64) -> Result<Vec<u8>, Failed> {
    let too_large = || Failed(format!("{what} is larger than {} KiB", most >> 10));
    if response.content_length().is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Failed(innermost(&error.without_url())))? {
        if (bytes.len() + chunk.len()) as u64 > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn read_token(answer: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let Answer { token, access_token } = serde_json::from_slice(answer).ok()?;
    token.or(access_token)
}

/// Returns the text of the innermost cause of an error.
pub(super) fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    first_line(&innermost.to_string()).to_owned()
}

impl Credentials {
    /// Reads the credentials from Docker's configuration (`docker login`), if there are any.
    fn load(registry: &str) -> Self {
        let anonymous = |origin: &str| Self { user: None, origin: origin.to_owned() };
        // Docker uses this name for its own registry.
        let server = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
        match docker_credential::get_credential(server) {
            Ok(DockerCredential::UsernamePassword(user, password)) => Self {
                origin: format!("with the credentials of {user} in Docker's configuration"),
                user: Some((user, password)),
            },
            Ok(DockerCredential::IdentityToken(_)) => {
                anonymous("and Docker's configuration has an identity token, which is not supported")
            }
            Err(error) => {
                anonymous(&format!("and there are no credentials for it: {error}; run `docker login {registry}`"))
            }
        }
    }
}

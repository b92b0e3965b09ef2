//! What a registry is asked over HTTP.
//!
//! A registry may be hostile: of each answer no more is read than its caller allows, and of a refusal nothing but its status.
//! Credentials go to the registry, and to whom it names for tokens.
//!
//! Source: the [distribution specification](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md), and
//! [how registries give out tokens](https://distribution.github.io/distribution/spec/auth/token/).

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

/// The most bytes of an answer with a token. Tokens have some KiB.
const MOST_TOKEN: u64 = 256 << 10;

/// A registry, by way of one reference into it.
pub(super) struct Session {
    pub(super) reference: Reference,
    client: Client,
    base: Url,
    credentials: OnceCell<Credentials>,
    /// What goes into the header `Authorization`, once the registry was asked whether it wants one.
    authorization: OnceCell<Option<HeaderValue>>,
}

/// Who we are to a registry.
struct Credentials {
    /// A user and a password; `None` for nobody.
    user: Option<(String, String)>,
    /// Where they come from, or why there are none.
    origin: String,
}

/// What is done in a repository.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Pull,
    Push,
}

impl Session {
    pub(super) fn open(reference: Reference, insecure: bool) -> Result<Self, Failed> {
        // Somebody else who set the process's provider did so for all of it.
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

    /// The address of something in the repository, e.g. `blobs/sha256:...`.
    pub(super) fn url(&self, of_repository: &str) -> Result<Url, Failed> {
        let path = format!("{}/{of_repository}", self.reference.repository());
        self.base.join(&path).map_err(|error| Failed(format!("{path} has no address: {error}")))
    }

    /// The address that an answer refers to, e.g. to upload to.
    pub(super) fn location(&self, response: &Response) -> Result<Url, Failed> {
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        location
            .and_then(|location| self.base.join(location).ok())
            .ok_or_else(|| Failed(format!("{} did not say where to upload", self.reference.registry())))
    }

    /// A request that says who we are, where it is the registry's own address.
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let own = url.origin() == self.base.origin();
        let request = self.client.request(method, url);
        match self.authorization.get() {
            Some(Some(authorization)) if own => request.header(AUTHORIZATION, authorization.clone()),
            _ => request,
        }
    }

    /// The answer to a request, whatever its status.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Failed> {
        request.send().await.map_err(|error| {
            let reason = innermost(&error.without_url());
            // What TLS says of an answer that is none of TLS.
            let is_plain = reason.contains("InvalidContentType");
            let hint = if is_plain { "; for a registry over plain http, use `--insecure`" } else { "" };
            Failed(format!("{} cannot be reached: {reason}{hint}", self.reference.registry()))
        })
    }

    /// The answer to a request, where it is that all is well.
    pub(super) async fn expect(&self, request: RequestBuilder) -> Result<Response, Failed> {
        let response = self.send(request).await?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response.status())) }
    }

    /// Why a registry did not do what it was asked to.
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

    /// Finds out whom we must be to the registry, as far as it asks for that.
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

    /// A token for the repository, from where a challenge says.
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
        let answer = read(answer, "the answer with a token", MOST_TOKEN).await?;
        // Its text is nobody's to see, so no error shows a part of it.
        let token = read_token(&answer).ok_or_else(|| Failed(format!("{registry} returned no token")))?;
        let header = HeaderValue::from_str(&format!("Bearer {token}"));
        header.map_err(|_| Failed(format!("{registry} returned a token that is not valid in a header")))
    }

    /// The user and the password, as a header has them.
    fn basic(&self) -> Result<Option<HeaderValue>, Failed> {
        let Some((user, password)) = &self.credentials().user else { return Ok(None) };
        let request = self.client.get(self.base.clone()).basic_auth(user, Some(password)).build();
        let mut request = request.map_err(|error| Failed(innermost(&error.without_url())))?;
        Ok(request.headers_mut().remove(AUTHORIZATION))
    }

    fn credentials(&self) -> &Credentials {
        self.credentials.get_or_init(|| Credentials::of(self.reference.registry()))
    }
}

/// The body of an answer.
///
/// # Errors
///
/// It is larger than `most` bytes, or ends early.
pub(super) async fn read(mut response: Response, what: &str, most: u64) -> Result<Vec<u8>, Failed> {
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

/// What lies behind an error.
pub(super) fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    first_line(&innermost.to_string()).to_owned()
}

impl Credentials {
    /// Those of Docker's configuration (`docker login`), or none.
    fn of(registry: &str) -> Self {
        let anonymous = |origin: &str| Self { user: None, origin: origin.to_owned() };
        // Docker's own name for its registry.
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

//! Determines who issues the tokens of flyteadmin's OAuth: flyteadmin itself, or an external provider.
//!
//! Sources, in [flyteorg/flyte](https://github.com/flyteorg/flyte) v1.16.8: `flyteadmin/auth/config/config.go`; for a missing
//! address, `NewOAuth2ResourceServer` of `flyteadmin/auth/authzserver/resource_server.go`, with which flyteadmin fetches
//! the provider's keys when it starts; for values of other types, `jsonUnmarshallerHook` of
//! `flytestdlib/config/viper/viper.go`.

use super::{
    Fault, FaultKind, Said,
    container::OwnTls,
    decode,
    files::{Config, Merged},
};
use crate::{
    origin::shown,
    yaml::{Meaning, Value},
};

/// The issuer of the tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Auth {
    /// flyteadmin.
    Itself,
    /// An OAuth provider at this address.
    External(String),
}

const SERVER_TYPE: [&str; 3] = ["auth", "appAuth", "authServerType"];
/// The settings of the provider's address; the first one that is set counts.
const BASE_URLS: [&[&str]; 2] =
    [&["auth", "appAuth", "externalAuthServer", "baseUrl"], &["auth", "userAuth", "openId", "baseUrl"]];

impl Config {
    /// Returns who issues the tokens.
    ///
    /// # Errors
    ///
    /// The fault, if flyteadmin does not start as `External`, if that is unsafe, or if releases differ.
    pub(crate) fn auth(&mut self) -> Result<Auth, Box<Fault>> {
        let auth = self.read_auth()?;
        // `read_auth` reports keys that differ only in case as faults.
        if let Some(fault) = self.faults.pop() {
            return Err(fault.into());
        }
        let (earlier, _, replaced) = self.read_as_yaml_v2(Self::read_auth);
        match replaced.into_iter().next() {
            Some(fault) if earlier.ok().as_ref() != Some(&auth) => Err(fault.into()),
            _ => Ok(auth),
        }
    }

    /// The certificate file with which flyteadmin serves TLS itself, if it does. `own` overrides the files.
    #[cfg(feature = "flyte-oauth-tls")]
    pub(crate) fn certificate_file(&mut self, own: &OwnTls) -> Option<String> {
        if !self.serves_tls(own) {
            return None;
        }
        let mut in_files = || Some(self.text(&["server", "security", "ssl", "certificateFile"]).ok()??.value);
        own.certificate_file.clone().or_else(&mut in_files).filter(|file| !file.is_empty())
    }

    /// Whether flyteadmin serves TLS itself. `own` overrides the files.
    pub(crate) fn serves_tls(&mut self, own: &OwnTls) -> bool {
        let mut in_files = || {
            let secure = self.text(&["server", "security", "secure"]).ok().flatten();
            secure.is_some_and(|secure| decode::parse_bool(&secure.value) == Ok(true))
        };
        own.secure.unwrap_or_else(&mut in_files)
    }

    /// Whether browsers send flyteadmin's cookies from pages of other sites.
    #[cfg(feature = "flyte-console-url")]
    pub(crate) fn has_cookies_across_sites(&mut self) -> bool {
        let policy = self.text(&["auth", "userAuth", "cookieSetting", "sameSitePolicy"]).ok().flatten();
        policy.is_some_and(|policy| matches!(&*policy.value, "NoneMode" | "3"))
    }

    fn read_auth(&mut self) -> Result<Auth, Box<Fault>> {
        let Some(server) = self.text(&SERVER_TYPE)? else {
            return Ok(Auth::Itself);
        };
        match &*server.value {
            "Self" | "" | "0" => return Ok(Auth::Itself),
            "External" | "1" => {}
            other => {
                let (reason, mend) = match &*other.to_ascii_lowercase() {
                    "self" => ("must be spelled `Self`", "write Self"),
                    "external" => ("must be spelled `External`", "write External"),
                    _ => ("is neither `Self` nor `External`", "write Self or External"),
                };
                let reason = format!("`{}` {reason}", shown(other));
                return Err(Fault::never_starts(server.place.unwrap_or_default(), &reason, mend).into());
            }
        }
        for path in BASE_URLS {
            let Some(url) = self.text(path)?.filter(|said| !said.value.is_empty()) else {
                continue;
            };
            let place = url.place.unwrap_or_default();
            let mend = "write https://<the provider's address>";
            return match scheme(&url.value).as_deref() {
                Some("https") => Ok(Auth::External(url.value)),
                Some("http") => {
                    let problem = "authServerType is External, but this address is plain http: anyone on the network path \
                                   can give flyteadmin forged keys and act as any user";
                    Err(Box::new(Fault {
                        place,
                        kind: FaultKind::TwoMeanings,
                        problem: problem.to_owned(),
                        mend: mend.into(),
                    }))
                }
                _ => {
                    let reason = "authServerType is External, but this address is not an absolute URL";
                    Err(Fault::never_starts(place, reason, mend).into())
                }
            };
        }
        let reason = format!(
            "authServerType is External, but neither {} nor {} is set",
            BASE_URLS[0].join("."),
            BASE_URLS[1].join(".")
        );
        let mend = "set auth.appAuth.externalAuthServer.baseUrl: https://<the provider's address>";
        Err(Fault::never_starts(server.place.unwrap_or_default(), &reason, mend).into())
    }

    /// The text at the end of a path. Numbers and booleans are converted as flyteadmin converts them.
    pub(super) fn text(&mut self, path: &[&str]) -> Result<Option<Said<String>>, Box<Fault>> {
        let mut merged = Merged::Maps(self.roots());
        let mut shown = String::new();
        for key in path {
            let Some(maps) = self.maps(merged, &shown) else {
                return self.faults.pop().map_or(Ok(None), |fault| Err(fault.into()));
            };
            shown = if shown.is_empty() { (*key).to_owned() } else { format!("{shown}.{key}") };
            merged = self.merged(&maps, key, &shown);
        }
        let Some(at) = (match merged {
            Merged::Nothing => None,
            Merged::Leaf(at) => Some(at),
            Merged::Maps(maps) => maps.into_iter().next(),
        }) else {
            return Ok(None);
        };
        let place = self.place(at.file, at.node.line, &shown);
        let meaning = match &at.node.value {
            Value::Scalar(scalar) => scalar.meaning(),
            Value::List(_) | Value::Map(_) => Err("this is not a string".to_owned()),
        };
        let value = match meaning {
            Ok(Meaning::Null) => return Ok(None),
            Ok(Meaning::Text(text)) => text.to_owned(),
            Ok(Meaning::Int(number)) => number.to_string(),
            Ok(Meaning::Bool(value)) => u8::from(value).to_string(),
            Ok(Meaning::Float(_) | Meaning::Time) => {
                return Err(Fault::never_starts(place, "this is not a string", "write a text").into());
            }
            Err(reason) => return Err(Fault::never_starts(place, &reason, "write a text").into()),
        };
        Ok(Some(Said { value, place: Some(place) }))
    }
}

/// Returns the scheme of an absolute URL with a host. Go's parser rejects some URLs that browsers and the `url` crate
/// accept.
pub(super) fn scheme(url: &str) -> Option<String> {
    let is_plain = |letter: char| letter.is_ascii_graphic() && letter != '\\';
    let (scheme, _) = url.split_once("://").filter(|(_, rest)| rest.chars().all(is_plain) && !rest.starts_with('/'))?;
    let is_url = url::Url::parse(url).is_ok_and(|url| url.has_host());
    is_url.then(|| scheme.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{Auth, Config};
    use crate::admin_config::files::File;

    fn auth(text: &str) -> Result<Auth, String> {
        let file = File { path: "server.yaml".to_owned(), text: text.as_bytes().into() };
        Config::merge(&[file]).unwrap().auth().map_err(|fault| fault.problem)
    }

    fn external(url: &str) -> Result<Auth, String> {
        Ok(Auth::External(url.to_owned()))
    }

    #[test]
    fn flyteadmin_issues_tokens_unless_a_provider_is_set() {
        for text in [
            "",
            "auth: {}",
            "auth: {appAuth: {externalAuthServer: {baseUrl: https://a.example.com}}}",
            "auth: {appAuth: {authServerType: Self}}",
            "auth: {appAuth: {authServerType: null}}",
            "auth: {appAuth: {authServerType: ''}}",
            "auth: {appAuth: {authServerType: 0}}",
            "auth.appAuth.authServerType: External",
        ] {
            assert_eq!(Ok(Auth::Itself), auth(text), "{text}");
        }
    }

    #[test]
    fn a_providers_address_is_read_from_either_section() {
        let openid = "userAuth: {openId: {baseUrl: https://b.example.com}}";
        let own = "externalAuthServer: {baseUrl: https://a.example.com/oauth2/default}";
        for (text, url) in [
            (format!("auth: {{appAuth: {{authServerType: External, {own}}}}}"), "https://a.example.com/oauth2/default"),
            (format!("AUTH: {{appauth: {{AuthServerType: 1, {own}}}}}"), "https://a.example.com/oauth2/default"),
            (format!("auth: {{appAuth: {{authServerType: External}}, {openid}}}"), "https://b.example.com"),
            (
                format!(
                    "auth: {{appAuth: {{authServerType: External, externalAuthServer: {{baseUrl: ''}}}}, {openid}}}"
                ),
                "https://b.example.com",
            ),
            (
                format!("auth: {{appAuth: {{authServerType: External, {own}}}, {openid}}}"),
                "https://a.example.com/oauth2/default",
            ),
        ] {
            assert_eq!(external(url), auth(&text), "{text}");
        }
    }

    #[test]
    fn keys_that_releases_read_differently_are_rejected() {
        for text in [
            "auth: {appAuth: {authServerType: Self, AuthServerType: External}}",
            "auth: {appAuth: {authServerType: Self, <<: {authServerType: External}}}",
            "auth: {appAuth: {authServerType: Self}, <<: {appAuth: {authServerType: 5}}}",
            "auth: {appAuth: {authServerType: External}, userAuth: {openId: {baseUrl: https://b.example.com, <<: {baseUrl: ''}}}}",
        ] {
            assert!(auth(text).is_err(), "{text}");
        }
        for text in [
            "auth: {appAuth: {<<: {authServerType: External}, authServerType: Self}}",
            "auth: {appAuth: {authServerType: Self, <<: {authServerType: ''}}}",
        ] {
            assert_eq!(Ok(Auth::Itself), auth(text), "{text}");
        }
    }

    #[test]
    fn a_provider_without_an_address_keeps_flyteadmin_from_starting() {
        for text in [
            "auth: {appAuth: {authServerType: External}}",
            "auth: {appAuth: {authServerType: external}}",
            "auth: {appAuth: {authServerType: [External]}}",
            "auth: {appAuth: External}",
            "auth: {appAuth: {authServerType: 2}}",
            "auth: {appAuth: {authServerType: 1.5}}",
            "auth: {appAuth: {authServerType: External, externalAuthServer: {baseUrl: okta.example.com}}}",
            "auth: {appAuth: {authServerType: External, externalAuthServer: {baseUrl: 'https:okta.example.com'}}}",
            "auth: {appAuth: {authServerType: External, externalAuthServer: {baseUrl: 'https:///okta.example.com'}}}",
            "auth: {appAuth: {authServerType: External, externalAuthServer: {baseUrl: ' https://okta.example.com'}}}",
            "auth: {appAuth: {authServerType: External, externalAuthServer: {baseUrl: 'https://okta example.com'}}}",
            "auth: {appAuth: {authServerType: External, externalAuthServer: {baseUrl: 'https:\\\\okta.example.com'}}}",
            "auth: {appAuth: {authServerType: External, externalAuthServer: {baseUrl: 5}}}",
            "auth: {appAuth: {authServerType: External, externalAuthServer: {baseUrl: {}}}}",
        ] {
            let problem = auth(text).expect_err(text);
            assert!(problem.ends_with("flyteadmin does not start"), "{text}: {problem}");
        }
    }
}

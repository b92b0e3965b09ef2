//! The settings of `flyte-oauth-tls`.

use rustls_pki_types::ServerName;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::certificate::Certificate;
use crate::{
    flyte,
    origin::shown,
    pattern,
    settings::{self, InvalidSettings, Setting, Shape, Unset},
    text::Text,
    view::view,
};

/// The declared settings.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "secrets",
        label: "Secrets",
        shape: Shape::List,
        default: Unset::Is(r#"["*-flyte-tls", "flyte-tls", "flyte-secret-tls"]"#),
        asked_where: None,
        meaning: "The names of the Secrets that hold the certificate. `*` matches any characters.",
    },
    Setting {
        name: "hosts",
        label: "Hosts",
        shape: Shape::List,
        default: Unset::Said,
        asked_where: None,
        meaning: "The hosts that the certificate must cover. If not set, they are read from Ingresses and Gateways. For `*.example.com`, the certificate must have exactly that name.",
    },
    Setting {
        name: "minDaysLeft",
        label: "Days left",
        shape: Shape::Number,
        default: Unset::Is("0"),
        asked_where: None,
        meaning: "The number of whole days that the leaf must still be valid.",
    },
    Setting {
        name: "trustRoots",
        label: "Trusted roots",
        shape: Shape::Lines,
        default: Unset::Said,
        asked_where: None,
        meaning: "The trusted roots, as PEM, instead of Mozilla's.",
    },
    Setting {
        name: "trustMozilla",
        label: "Trust Mozilla's roots too",
        shape: Shape::Boolean,
        default: Unset::Said,
        asked_where: None,
        meaning: "With `trustRoots`, whether Mozilla's roots are trusted too. If not set, they are not.",
    },
    Setting {
        name: "trust",
        label: "Trust",
        shape: Shape::OneOf(&["roots", "none"]),
        default: Unset::Is(r#""roots""#),
        asked_where: None,
        meaning: "Whether the chain must end at a trusted root.",
    },
    Setting {
        name: "oauth",
        label: "OAuth provider",
        shape: Shape::OneOf(&["detect", "external", "self"]),
        default: Unset::Is(r#""detect""#),
        asked_where: None,
        meaning: "Who issues the tokens. `detect` reads flyteadmin's configuration, `external` is another provider, and `self` is flyteadmin.",
    },
];

view! {
    /// The policy's settings, all optional.
    pub(super) struct Settings<'a>: strict {
        /// The names of the Secrets, with `*` for any characters; [`flyte::TLS_SECRETS`] if absent.
        "secrets" => secrets: Vec<Text<'a>>,
        /// The hosts that the certificate must cover; those of Ingresses and Gateways if absent.
        "hosts" => pub(super) hosts: Vec<Text<'a>>,
        /// How many days a certificate must still be valid.
        "minDaysLeft" => min_days_left: u32,
        /// Whether the chain must end at a trusted root.
        "trust" => trust: Trust,
        /// The trusted roots, in PEM; Mozilla's if absent.
        "trustRoots" => trust_roots: Text<'a>,
        /// Whether Mozilla's roots are trusted in addition to those.
        "trustMozilla" => trust_mozilla: bool,
        /// The issuer of the tokens.
        "oauth" => oauth: Oauth,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Trust {
    /// A trusted root is required.
    Roots,
    /// Any root is accepted.
    None,
}

/// The issuer of the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Oauth {
    /// As in flyteadmin's configuration.
    Detect,
    /// An external provider.
    External,
    /// flyteadmin.
    #[serde(rename = "self")]
    Itself,
}

impl<'a> Settings<'a> {
    pub(super) fn parse(settings: Option<&'a RawValue>) -> Result<Self, InvalidSettings> {
        settings::parse_settings(settings)
    }

    /// Whether a Secret of that name is checked.
    pub(super) fn concern(&self, secret: &str) -> bool {
        match &self.secrets {
            Some(patterns) => patterns.iter().any(|pattern| pattern::matches(pattern, secret)),
            None => flyte::TLS_SECRETS.iter().any(|pattern| pattern::matches(pattern, secret)),
        }
    }

    /// Whether the settings name the Secrets.
    pub(super) fn names_secrets(&self) -> bool {
        self.secrets.is_some()
    }

    pub(super) fn min_days_left(&self) -> u64 {
        self.min_days_left.unwrap_or(0).into()
    }

    pub(super) fn wants_trust(&self) -> bool {
        self.trust != Some(Trust::None)
    }

    pub(super) fn trusts_mozilla(&self) -> bool {
        self.trust_mozilla.unwrap_or(self.trust_roots.is_none())
    }

    /// The roots of the settings, as DER.
    pub(super) fn roots(&self) -> Vec<Vec<u8>> {
        let roots = self.trust_roots.as_deref().map(pem::parse_many).and_then(Result::ok);
        roots.into_iter().flatten().map(pem::Pem::into_contents).collect()
    }

    /// The trusted roots, for messages.
    pub(super) fn roots_in_words(&self) -> &'static str {
        match (self.trust_roots.is_some(), self.trusts_mozilla()) {
            (false, _) => "Mozilla's roots",
            (true, false) => "the valid roots in trustRoots",
            (true, true) => "Mozilla's roots or the valid roots in trustRoots",
        }
    }

    pub(super) fn oauth(&self) -> Oauth {
        self.oauth.unwrap_or(Oauth::Detect)
    }

    pub(super) fn check(&self) -> Result<(), InvalidSettings> {
        for (field, list) in [("secrets", &self.secrets), ("hosts", &self.hosts)] {
            if list.as_ref().is_some_and(Vec::is_empty) {
                return Err(InvalidSettings::at(field, "must not be empty: nothing would be checked"));
            }
        }
        for (index, pattern) in self.secrets.iter().flatten().enumerate() {
            if pattern.is_empty() {
                return Err(InvalidSettings::at(&format!("secrets[{index}]"), "must not be empty"));
            }
        }
        for (index, host) in self.hosts.iter().flatten().enumerate() {
            if ServerName::try_from(host.strip_prefix("*.").unwrap_or(host)).is_err() {
                let problem = format!("`{}` is not a host; write it like flyte.example.com", shown(host));
                return Err(InvalidSettings::at(&format!("hosts[{index}]"), problem));
            }
        }
        if self.trust == Some(Trust::None) && (self.trust_roots.is_some() || self.trust_mozilla.is_some()) {
            return Err(InvalidSettings::at("trust", "`none` cannot be combined with trustRoots or trustMozilla"));
        }
        match &self.trust_roots {
            None if self.trust_mozilla.is_some() => {
                Err(InvalidSettings::at("trustMozilla", "has no effect without trustRoots"))
            }
            None => Ok(()),
            Some(text) => check_roots(text).map_err(|problem| InvalidSettings::at("trustRoots", problem)),
        }
    }
}

fn check_roots(text: &str) -> Result<(), String> {
    let roots = pem::parse_many(text).map_err(|_| "one of its blocks is not valid PEM".to_owned())?;
    if roots.is_empty() {
        return Err("contains no certificate; paste PEM that starts with -----BEGIN CERTIFICATE-----".to_owned());
    }
    for (number, root) in (1..).zip(roots) {
        let is_root = root.tag() == "CERTIFICATE"
            && Certificate::from_der(root.contents(), number).is_ok_and(|root| root.may_sign());
        if !is_root {
            return Err(format!("block {number} is not the certificate of a CA that may sign"));
        }
    }
    Ok(())
}

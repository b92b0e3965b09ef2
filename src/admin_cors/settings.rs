//! The settings of `flyte-admin-cors`.

use serde_json::value::RawValue;

use crate::{
    admin_config::config_map,
    origin::{Origin, shown},
    pattern,
    settings::{self, InvalidSettings, Setting, Shape, Unset},
    text::Text,
    view::view,
};

/// The declared settings.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "configMaps",
        label: "ConfigMaps of flyteadmin",
        shape: Shape::List,
        default: Unset::Said,
        asked_where: None,
        meaning: "The only ConfigMaps to check, by name. If not set, the policy checks those that flyteadmin mounts, and those with a name from Flyte's charts. `*` matches any characters.",
    },
    Setting {
        name: "allowHttp",
        label: "Origins over plain http",
        shape: Shape::List,
        default: Unset::Is("[]"),
        asked_where: None,
        meaning: "Origins that may be plain http.",
    },
    Setting {
        name: "requiredOrigins",
        label: "Required origins",
        shape: Shape::List,
        default: Unset::Is("[]"),
        asked_where: None,
        meaning: "Origins that flyteadmin must allow by name. `*` does not count, because browsers reject it.",
    },
    Setting {
        name: "trustedOrigins",
        label: "Trusted origins",
        shape: Shape::List,
        default: Unset::Said,
        asked_where: None,
        meaning: "The only origins that may be listed. If not set, every origin may be listed. The `*` in `https://*.example.com` matches one or more labels.",
    },
];

view! {
    /// The policy's settings, all optional.
    pub(super) struct Settings<'a>: strict {
        /// The names of flyteadmin's ConfigMaps, with `*` for any characters; if absent, those of Flyte's charts.
        "configMaps" => config_maps: Vec<Text<'a>>,
        /// The origins that may be plain http.
        "allowHttp" => allow_http: Vec<Text<'a>>,
        /// The origins that must be allowed.
        "requiredOrigins" => pub(super) required_origins: Vec<Text<'a>>,
        /// The origins that may be allowed; any origin if absent.
        "trustedOrigins" => trusted_origins: Vec<Text<'a>>,
    }
}

impl<'a> Settings<'a> {
    pub(super) fn parse(settings: Option<&'a RawValue>) -> Result<Self, InvalidSettings> {
        settings::parse_settings(settings)
    }

    /// Whether a ConfigMap of that name is flyteadmin's.
    pub(super) fn is_flyteadmins(&self, config_map: &str) -> bool {
        match &self.config_maps {
            Some(patterns) => patterns.iter().any(|pattern| pattern::matches(pattern, config_map)),
            None => config_map::deployment(config_map).is_some(),
        }
    }

    /// Whether the settings name flyteadmin's ConfigMaps.
    pub(super) fn names_config_maps(&self) -> bool {
        self.config_maps.is_some()
    }

    pub(super) fn may_be_http(&self, origin: &str) -> bool {
        self.allow_http.iter().flatten().any(|allowed| &**allowed == origin)
    }

    pub(super) fn trusts(&self, origin: &str) -> bool {
        self.trusted_origins.as_ref().is_none_or(|trusted| trusted.iter().any(|trusted| is_trusted(trusted, origin)))
    }

    pub(super) fn check(&self) -> Result<(), InvalidSettings> {
        for (index, pattern) in self.config_maps.iter().flatten().enumerate() {
            if pattern.is_empty() {
                return Err(InvalidSettings::at(&format!("configMaps[{index}]"), "must not be empty"));
            }
        }
        if self.config_maps.as_ref().is_some_and(Vec::is_empty) {
            return Err(InvalidSettings::at("configMaps", "must not be empty: no ConfigMap would be checked"));
        }
        let lists = [
            ("allowHttp", &self.allow_http),
            ("requiredOrigins", &self.required_origins),
            ("trustedOrigins", &self.trusted_origins),
        ];
        for (field, origins) in lists {
            for (index, origin) in origins.iter().flatten().enumerate() {
                let at = |problem: String| Err(InvalidSettings::at(&format!("{field}[{index}]"), problem));
                let is_pattern = field == "trustedOrigins" && origin.contains('*');
                let example = if is_pattern { origin.replacen("://*.", "://any.", 1) } else { origin.to_string() };
                match Origin::parse(&example) {
                    read if is_pattern && (read.is_err() || origin.ends_with("*.")) => {
                        return at(format!(
                            "`{}` is not a valid pattern; write it like https://*.example.com",
                            shown(origin)
                        ));
                    }
                    Err(never) => return at(never.refusal(origin)),
                    Ok(origin) if field == "allowHttp" && !origin.is_plain_http() => {
                        return at(format!(
                            "`{origin}` is allowed anyway, because it is https or a loopback host; remove it"
                        ));
                    }
                    Ok(_) => {}
                }
            }
        }
        for (index, origin) in self.required_origins.iter().flatten().enumerate() {
            let at = |problem| Err(InvalidSettings::at(&format!("requiredOrigins[{index}]"), problem));
            if !self.trusts(origin) {
                return at(format!("`{}` is not in trustedOrigins; add it to trustedOrigins too", &**origin));
            }
            if Origin::parse(origin).is_ok_and(|origin| origin.is_plain_http()) && !self.may_be_http(origin) {
                return at(format!("`{}` is plain http; add it to allowHttp", &**origin));
            }
        }
        Ok(())
    }
}

/// Whether an origin is the trusted one, or matches a pattern such as `https://*.example.com`.
fn is_trusted(trusted: &str, origin: &str) -> bool {
    match trusted.split_once("*.") {
        None => trusted == origin,
        Some((scheme, domain)) => origin
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_suffix(domain))
            .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.')),
    }
}

#[cfg(test)]
mod tests {
    use super::is_trusted;

    #[test]
    fn a_trusted_wildcard_matches_one_or_more_labels() {
        for origin in ["https://a.example.com", "https://a.b.example.com"] {
            assert!(is_trusted("https://*.example.com", origin), "{origin}");
        }
        for origin in [
            "https://example.com",
            "http://a.example.com",
            "https://aexample.com",
            "https://a.example.com.evil.example",
            "https://a.example.com:8443",
            "https://.example.com",
        ] {
            assert!(!is_trusted("https://*.example.com", origin), "{origin}");
        }
        assert!(is_trusted("https://*.example.com:8443", "https://a.example.com:8443"));
    }
}

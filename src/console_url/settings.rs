//! The settings of `flyte-console-url`.

use serde_json::value::RawValue;

use crate::{
    origin::{Origin, shown},
    settings::{self, InvalidSettings, Setting, Shape, Unset},
    text::Text,
    view::view,
};

/// The declared settings.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "allowHttp",
        label: "Hosts over plain http",
        shape: Shape::List,
        default: Unset::Is("[]"),
        asked_where: None,
        meaning: "Hosts of flyteadmin that flyteconsole may call over plain http. Write hosts here, not origins.",
    },
    Setting {
        name: "allowPath",
        label: "Allow a path",
        shape: Shape::Boolean,
        default: Unset::Is("false"),
        asked_where: None,
        meaning: "Whether the address may have a path, for a proxy that removes it.",
    },
    Setting {
        name: "consoleOrigins",
        label: "Origins of flyteconsole",
        shape: Shape::List,
        default: Unset::Said,
        asked_where: None,
        meaning: "The origins that browsers load flyteconsole from. If not set, they are read from its Ingresses and routes.",
    },
    Setting {
        name: "adminNamespace",
        label: "Namespace of flyteadmin",
        shape: Shape::Text,
        default: Unset::Said,
        asked_where: None,
        meaning: "The namespace of flyteadmin. If not set, it is flyteconsole's own, or the one that the host in `ADMIN_API_URL` leads to.",
    },
    Setting {
        name: "crossCheck",
        label: "Check flyteadmin too",
        shape: Shape::Boolean,
        default: Unset::Is("true"),
        asked_where: None,
        meaning: "Whether to check that flyteadmin allows flyteconsole's origin. With `false`, the policy reads nothing from the cluster.",
    },
    Setting {
        name: "requireCrossCheck",
        label: "Require that check",
        shape: Shape::Boolean,
        default: Unset::Is("false"),
        asked_where: Some(("crossCheck", "true")),
        meaning: "Whether a cross-check that cannot be made is a violation, not a notice.",
    },
];

view! {
    /// The policy's settings, all optional.
    pub(super) struct Settings<'a>: strict {
        /// The hosts that may be called over plain http.
        "allowHttp" => allow_http: Vec<Text<'a>>,
        /// Whether the URL may have a path, which a proxy in front of flyteadmin removes.
        "allowPath" => allow_path: bool,
        /// The origins that browsers load flyteconsole from; if absent, those of its Ingresses and routes.
        "consoleOrigins" => pub(super) console_origins: Vec<Text<'a>>,
        /// The namespace of flyteadmin; if absent, the console's own, or the one that its calls lead to.
        "adminNamespace" => admin_namespace: Text<'a>,
        /// Whether to check that flyteadmin allows flyteconsole; true if absent.
        "crossCheck" => cross_check: bool,
        /// Whether it is a violation if that check cannot be made.
        "requireCrossCheck" => require_cross_check: bool,
    }
}

impl<'a> Settings<'a> {
    pub(super) fn parse(settings: Option<&'a RawValue>) -> Result<Self, InvalidSettings> {
        settings::parse_settings(settings)
    }

    pub(super) fn may_be_http(&self, host: &str) -> bool {
        self.allow_http.iter().flatten().any(|allowed| &**allowed == host)
    }

    pub(super) fn allows_path(&self) -> bool {
        self.allow_path.unwrap_or(false)
    }

    /// The namespace of the flyteadmin that a console in `namespace` calls.
    pub(super) fn admin_namespace<'s>(&'s self, namespace: &'s str) -> &'s str {
        self.admin_namespace.as_deref().unwrap_or(namespace)
    }

    /// The namespace of flyteadmin, if the settings name it.
    pub(super) fn says_admin_namespace(&self) -> Option<&str> {
        self.admin_namespace.as_deref()
    }

    /// Where the consoles of a flyteadmin in `namespace` are: in one namespace, in any (`Some(None)`), or in none (`None`).
    pub(super) fn console_namespaces<'s>(&self, namespace: &'s str) -> Option<Option<&'s str>> {
        match self.admin_namespace.as_deref() {
            None => Some(Some(namespace)),
            Some(admin) => (admin == namespace).then_some(None),
        }
    }

    pub(super) fn cross_checks(&self) -> bool {
        self.cross_check.unwrap_or(true)
    }

    pub(super) fn requires_cross_check(&self) -> bool {
        self.require_cross_check.unwrap_or(false)
    }

    pub(super) fn check(&self) -> Result<(), InvalidSettings> {
        for (index, host) in self.allow_http.iter().flatten().enumerate() {
            let url = if host.contains("://") { host.to_string() } else { format!("http://{}", &**host) };
            let (problem, instead) = match Origin::parse(&url) {
                Ok(origin) if origin.host() == &**host => continue,
                Ok(origin) => ("must be only a host".to_owned(), Some(origin)),
                Err(never) => {
                    (never.in_words(&url), never.instead_of(&url).and_then(|origin| Origin::parse(origin).ok()))
                }
            };
            let instead = instead.as_ref().map_or("a host such as flyte.internal.example.com", Origin::host);
            let problem = format!("`{}` {problem}; write {instead}", shown(host));
            return Err(InvalidSettings::at(&format!("allowHttp[{index}]"), problem));
        }
        for (index, origin) in self.console_origins.iter().flatten().enumerate() {
            if let Err(never) = Origin::parse(origin) {
                return Err(InvalidSettings::at(&format!("consoleOrigins[{index}]"), never.refusal(origin)));
            }
        }
        if self.console_origins.as_ref().is_some_and(Vec::is_empty) {
            return Err(InvalidSettings::at(
                "consoleOrigins",
                "must not be empty; remove it to read the origins from Ingresses \
                and routes",
            ));
        }
        if let Some(namespace) = &self.admin_namespace {
            let is_of_name = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
            if namespace.is_empty() || !namespace.bytes().all(is_of_name) {
                let problem = "must be a namespace name: lower-case letters, digits and dashes";
                return Err(InvalidSettings::at("adminNamespace", problem));
            }
        }
        if self.requires_cross_check() && !self.cross_checks() {
            return Err(InvalidSettings::at("requireCrossCheck", "needs crossCheck: true, but crossCheck is false"));
        }
        Ok(())
    }
}

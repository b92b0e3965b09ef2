//! The settings of `flyte2-exposure`.

use serde_json::value::RawValue;

use crate::{
    pattern,
    settings::{self, InvalidSettings, Setting, Shape, Unset},
    text::Text,
    view::view,
};

/// The declared settings.
pub(super) const SETTINGS: &[Setting] = &[Setting {
    name: "authenticated",
    label: "Authenticated elsewhere",
    shape: Shape::List,
    default: Unset::Is("[]"),
    asked_where: None,
    meaning: "Names of Ingresses, routes, Services and workloads that are protected by something the policy cannot see, such as a VPN. `*` matches any characters.",
}];

view! {
    /// The policy's settings, all optional.
    pub(super) struct Settings<'a>: strict {
        /// The names of objects that are authenticated elsewhere.
        "authenticated" => authenticated: Vec<Text<'a>>,
    }
}

impl<'a> Settings<'a> {
    pub(super) fn parse(settings: Option<&'a RawValue>) -> Result<Self, InvalidSettings> {
        settings::parse_settings(settings)
    }

    /// Whether something authenticates in front of an object of that name.
    pub(super) fn is_authenticated(&self, name: &str) -> bool {
        self.authenticated.iter().flatten().any(|pattern| pattern::matches(pattern, name))
    }

    pub(super) fn check(&self) -> Result<(), InvalidSettings> {
        for (index, name) in self.authenticated.iter().flatten().enumerate() {
            if name.is_empty() {
                return Err(InvalidSettings::at(&format!("authenticated[{index}]"), "must not be empty"));
            }
        }
        Ok(())
    }
}

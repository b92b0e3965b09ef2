//! The settings of `flyte-non-root`.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::exceptions::Exception;
use crate::{
    settings::{self, InvalidSettings},
    view::view,
};

view! {
    /// The policy's settings, all optional.
    pub(super) struct Settings<'a>: strict {
        /// What a container is held to.
        "level" => level: Level,
        /// The init containers that may be root; the documented one where absent, none where empty.
        "exceptions" => pub(super) exceptions: Vec<Exception<'a>>,
        /// What groups are held to.
        "groups" => groups: Groups,
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Level {
    /// What will really happen.
    #[default]
    Effective,
    /// The two user checks of Pod Security Standards "restricted".
    Restricted,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Groups {
    /// Not judged: OpenShift runs containers with a random uid in group 0.
    #[default]
    Off,
    /// Group 0 is refused.
    NonZero,
}

impl<'de> Deserialize<'de> for Groups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Groups;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`off` or `nonZero`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Groups, E> {
                match name {
                    "off" => Ok(Groups::Off),
                    "nonZero" => Ok(Groups::NonZero),
                    _ => Err(E::unknown_variant(name, &["off", "nonZero"])),
                }
            }

            /// What a bare `off` is to a reader of YAML 1.1, kubectl for one.
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Groups, E> {
                if on { Err(E::invalid_type(de::Unexpected::Bool(on), &self)) } else { Ok(Groups::Off) }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl<'a> Settings<'a> {
    pub(super) fn read(settings: Option<&'a RawValue>) -> Result<Self, InvalidSettings> {
        settings::read(settings)
    }

    pub(super) fn level(&self) -> Level {
        self.level.unwrap_or_default()
    }

    pub(super) fn groups(&self) -> Groups {
        self.groups.unwrap_or_default()
    }

    pub(super) fn check(&self) -> Result<(), InvalidSettings> {
        let exceptions = self.exceptions.iter().flatten();
        exceptions.enumerate().try_for_each(|(index, exception)| exception.check(&format!("exceptions[{index}]")))
    }
}

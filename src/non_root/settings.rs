//! The settings of `flyte-non-root`.

use serde::Deserialize;
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

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Groups {
    /// Not judged: OpenShift runs containers with a random uid in group 0.
    #[default]
    Off,
    /// Group 0 is refused.
    NonZero,
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

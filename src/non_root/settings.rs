//! The settings of `flyte-non-root`.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::{exceptions::Exception, fill::Fill};
use crate::{
    settings::{self, InvalidSettings, Setting, Shape, Unset},
    view::view,
};

/// The declared settings.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "level",
        label: "Level",
        shape: Shape::OneOf(&["effective", "restricted"]),
        default: Unset::Is(r#""effective""#),
        asked_where: None,
        meaning: "The standard for containers. `effective` checks the user that a container will really have, `restricted` checks Pod Security's \"restricted\".",
    },
    Setting {
        name: "exceptions",
        label: "Exceptions",
        shape: Shape::Maps(EXCEPTION),
        default: Unset::Is(
            r#"[{"initContainer": "check-db-ready", "images": ["postgres", "ecr.flyte.org/ubuntu/postgres"], "workloads": ["flyteadmin", "datacatalog"]}]"#,
        ),
        asked_where: None,
        meaning: "The containers that may be root. A list replaces the default, and an empty one allows none.",
    },
    Setting {
        name: "groups",
        label: "Groups",
        shape: Shape::OneOf(&["off", "nonZero"]),
        default: Unset::Is(r#""off""#),
        asked_where: None,
        meaning: "Whether group 0 is rejected too.",
    },
    Setting {
        name: "imageUser",
        label: "Image user",
        shape: Shape::OneOf(&["off", "check"]),
        default: Unset::Is(r#""off""#),
        asked_where: None,
        meaning: "Whether the image's own USER counts if `runAsUser` is not set. In a cluster, `check` needs the module flyte-non-root-image-user.",
    },
    Setting {
        name: "fill",
        label: "Fill",
        shape: Shape::OneOf(&["flyte"]),
        default: Unset::Said,
        asked_where: None,
        meaning: "Values that the policy adds to a pod's security context, where unset, before it checks the pod. Write `flyte` for the values of Flyte's charts, or a map from components to fields. If not set, it adds nothing.",
    },
];

const EXCEPTION: &[Setting] = &[
    Setting {
        name: "initContainer",
        label: "Init container",
        shape: Shape::Text,
        default: Unset::Said,
        asked_where: None,
        meaning: "The exact name of an init container.",
    },
    Setting {
        name: "container",
        label: "Regular container",
        shape: Shape::Text,
        default: Unset::Said,
        asked_where: None,
        meaning: "The exact name of a regular container, instead of `initContainer`.",
    },
    Setting {
        name: "images",
        label: "Images",
        shape: Shape::List,
        default: Unset::Required,
        asked_where: None,
        meaning: "Repositories its image may come from, without tags; `postgres` is `docker.io/library/postgres`.",
    },
    Setting {
        name: "workloads",
        label: "Workloads",
        shape: Shape::List,
        default: Unset::Said,
        asked_where: None,
        meaning: "Names of workloads, or values of the label `app.kubernetes.io/name` or `app` on them or on their pods. If not set, any workload.",
    },
    Setting {
        name: "namespaces",
        label: "Namespaces",
        shape: Shape::List,
        default: Unset::Said,
        asked_where: None,
        meaning: "Names of namespaces. If not set, any namespace.",
    },
];

view! {
    /// The policy's settings, all optional.
    pub(super) struct Settings<'a>: strict {
        /// The standard for containers.
        "level" => level: Level,
        /// The containers that may be root; the documented one if absent, none if empty.
        "exceptions" => pub(super) exceptions: Vec<Exception<'a>>,
        /// The standard for groups.
        "groups" => groups: Groups,
        /// Whether the users of images are looked up.
        "imageUser" => image_user: ImageUser,
        /// The fields to add before the check; none if absent.
        "fill" => pub(super) fill: Fill<'a>,
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Level {
    /// Checks the user that a container will really have.
    #[default]
    Effective,
    /// Makes the two user checks of Pod Security Standards "restricted".
    Restricted,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Groups {
    /// Not checked: OpenShift runs containers with a random uid in group 0.
    #[default]
    Off,
    /// Group 0 is rejected.
    NonZero,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ImageUser {
    /// No image is looked up: that makes the host pull its manifest.
    #[default]
    Off,
    /// Images decide if `runAsUser` is not set.
    Check,
}

impl<'de> Deserialize<'de> for Groups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(if deserializer.deserialize_any(OffOr(&["off", "nonZero"]))? { Self::NonZero } else { Self::Off })
    }
}

impl<'de> Deserialize<'de> for ImageUser {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(if deserializer.deserialize_any(OffOr(&["off", "check"]))? { Self::Check } else { Self::Off })
    }
}

/// A setting that is `off` or one other word; returns whether it is the latter.
struct OffOr(&'static [&'static str; 2]);

impl de::Visitor<'_> for OffOr {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [off, on] = self.0;
        write!(formatter, "`{off}` or `{on}`")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<bool, E> {
        let index = self.0.iter().position(|known| *known == word);
        index.map(|index| index == 1).ok_or_else(|| E::unknown_variant(word, self.0))
    }

    /// A bare `off` is `false` to a reader of YAML 1.1, such as kubectl.
    fn visit_bool<E: de::Error>(self, on: bool) -> Result<bool, E> {
        if on { Err(E::invalid_type(de::Unexpected::Bool(on), &self)) } else { Ok(false) }
    }
}

impl<'a> Settings<'a> {
    pub(super) fn parse(settings: Option<&'a RawValue>) -> Result<Self, InvalidSettings> {
        settings::parse_settings(settings)
    }

    pub(super) fn level(&self) -> Level {
        self.level.unwrap_or_default()
    }

    pub(super) fn groups(&self) -> Groups {
        self.groups.unwrap_or_default()
    }

    pub(super) fn image_user(&self) -> ImageUser {
        self.image_user.unwrap_or_default()
    }

    pub(super) fn check(&self) -> Result<(), InvalidSettings> {
        self.fill.as_ref().map_or(Ok(()), |fill| fill.check(self.groups()))?;
        let exceptions = self.exceptions.iter().flatten();
        exceptions.enumerate().try_for_each(|(index, exception)| exception.check(&format!("exceptions[{index}]")))
    }
}

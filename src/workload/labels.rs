//! An object's labels.

use serde::{Deserialize, Deserializer};

use crate::{members::Members, text::Text};

/// An object's labels.
#[derive(Debug, Default)]
pub struct Labels<'a>(Members<'a, Option<Text<'a>>>);

impl Labels<'_> {
    /// The value of a label, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_deref().unwrap_or_default())
    }

    /// Whether there are no labels.
    #[cfg(feature = "flyte2-exposure")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels and their values.
    #[cfg(feature = "flyte2-exposure")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_deref().unwrap_or_default()))
    }

    /// Whether these, as a Service's selector, select a pod with the given labels. An empty selector selects no pod.
    #[cfg(feature = "admin-config")]
    pub fn selects(&self, labels: Option<&Labels>) -> bool {
        let has = |(name, value): (&Text, &Option<Text>)| {
            labels.and_then(|labels| labels.get(name)) == Some(value.as_deref().unwrap_or_default())
        };
        !self.0.is_empty() && self.0.iter().all(has)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Labels<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Members::deserialize(deserializer).map(Self)
    }
}

//! A uid or gid.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A uid or gid that Kubernetes accepts: a whole number from 0 to 2147483647.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(pub u32);

impl Id {
    /// The user or the group that may do anything.
    pub const ROOT: Self = Self(0);
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Id;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a whole number from 0 to {}", i32::MAX)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Id, E> {
                let valid = u32::try_from(number).ok().filter(|number| *number <= i32::MAX as u32);
                valid.map(Id).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Id, E> {
                Err(E::invalid_value(de::Unexpected::Signed(number), &self))
            }
        }

        deserializer.deserialize_u64(Visitor)
    }
}

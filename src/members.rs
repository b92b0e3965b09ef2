//! A JSON object whose names are not known beforehand.

use std::{collections::BTreeMap, fmt, marker::PhantomData, ops::Deref};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use crate::text::Text;

/// The members of an object by name. If a name occurs twice, the last member counts.
///
/// serde's implementation for `BTreeMap` sorts the members first, which adds 4 KB to a module for each type.
#[derive(Debug)]
pub(crate) struct Members<'a, V>(pub(crate) BTreeMap<Text<'a>, V>);

impl<V> Default for Members<'_, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'a, V> Deref for Members<'a, V> {
    type Target = BTreeMap<Text<'a>, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Members<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<'a, V>(PhantomData<(&'a str, V)>);

        impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for Members<'a, V> {
            type Value = BTreeMap<Text<'a>, V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    members.insert(name, value);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

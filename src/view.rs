//! Views: structs that read only the fields they declare from a JSON object, and skip the rest.

use serde::de::{self, IgnoredAny, MapAccess};

use crate::text::Text;

/// Declares views. Every field is an `Option`, since `null` and absent are the same to the API server.
///
/// ```text
/// view! {
///     /// A container.
///     pub struct Container<'a> {
///         /// The container's name.
///         "name" => pub name: Text<'a>,
///     }
/// }
/// ```
///
/// A field that only some policies read names their features: `"env" if "admin-config" => env: ...`. A module without any of
/// these features skips the field. Such a field should be parsed later, such as a `RawValue`: where policies are linked
/// together, an error in it must stop only the policies that read it.
///
/// A `struct Name<'a>: strict` rejects unknown fields, and null: in settings, a misspelt key would leave a rule off, and
/// null could mean the default or nothing at all.
///
/// This is not serde's derive, which would also read the struct from an array, which Kubernetes does not accept as an object,
/// and would make a module twice as large.
macro_rules! view {
    (@is_strict strict) => { true };
    (@is_strict) => { false };
    ($(
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident<'a> $(: $strict:ident)? {
            $($(#[$field_meta:meta])* $json:literal $(if $($feature:literal)|+)? => $field_visibility:vis $field:ident: $type:ty,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Default)]
        $visibility struct $name<'a> {
            $($(#[$field_meta])* $(#[cfg(any($(feature = $feature),+))])? $field_visibility $field: Option<$type>,)*
            _borrowed: std::marker::PhantomData<&'a str>,
        }

        impl $name<'static> {
            /// The view of an object that has none of the fields.
            #[allow(dead_code, reason = "not every view needs it")]
            $visibility const EMPTY: &'static Self = &Self {
                $($(#[cfg(any($(feature = $feature),+))])? $field: None,)*
                _borrowed: std::marker::PhantomData,
            };
        }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                const IS_STRICT: bool = view!(@is_strict $($strict)?);

                struct Visitor<'a>(std::marker::PhantomData<&'a str>);

                impl<'de: 'a, 'a> serde::de::Visitor<'de> for Visitor<'a> {
                    type Value = $name<'a>;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        #[allow(non_camel_case_types, reason = "these are the fields' names")]
                        enum Field {
                            $($(#[cfg(any($(feature = $feature),+))])? $field,)*
                        }
                        const NAMES: &[&str] = &[$($(#[cfg(any($(feature = $feature),+))])? $json,)*];

                        let mut view = $name::default();
                        $crate::view::each_field(&mut map, NAMES, IS_STRICT, &mut |map, at| {
                            match at {
                                $($(#[cfg(any($(feature = $feature),+))])?
                                at if at == Field::$field as usize => {
                                    view.$field = if IS_STRICT { Some(map.next_value()?) } else { map.next_value()? };
                                })*
                                _ => {}
                            }
                            Ok(())
                        })?;
                        Ok(view)
                    }
                }

                deserializer.deserialize_map(Visitor(std::marker::PhantomData))
            }
        }
    )*};
}

pub(crate) use view;

/// Reads the value of a field from a map, given the index of its name.
type Take<'t, A, E> = dyn FnMut(&mut A, usize) -> Result<(), E> + 't;

/// Passes each field in `names` to `take`, with the index of its name, and skips or rejects the other fields.
///
/// One function for all views: otherwise this code would be most of every view.
#[inline(never)]
pub(crate) fn each_field<'de, A: MapAccess<'de>>(
    map: &mut A,
    names: &'static [&'static str],
    is_strict: bool,
    take: &mut Take<A, A::Error>,
) -> Result<(), A::Error> {
    while let Some(key) = map.next_key::<Text>()? {
        match names.iter().position(|name| **name == *key) {
            Some(at) => take(map, at)?,
            None if is_strict => return Err(de::Error::unknown_field(&key, names)),
            None => {
                map.next_value::<IgnoredAny>()?;
            }
        }
    }
    Ok(())
}

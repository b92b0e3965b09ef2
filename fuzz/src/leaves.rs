//! Finds the differences between two JSON texts.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of an object in order, including repeated ones.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// Any value this deep counts as a leaf.
const MOST_LEVELS: usize = 24;

/// Every leaf of a JSON text in order: its path and its exact text. Empty lists and maps are leaves.
pub fn leaves(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    add("", text, MOST_LEVELS, &mut found);
    found
}

fn add(path: &str, text: &str, levels: usize, found: &mut Vec<(String, String)>) {
    let before = found.len();
    if levels == 0 {
    } else if let Ok(Members(members)) = serde_json::from_str(text) {
        for (name, value) in members {
            add(&format!("{path}.{name}"), value.get(), levels - 1, found);
        }
    } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) {
        for (index, item) in items.iter().enumerate() {
            add(&format!("{path}.{index}"), item.get(), levels - 1, found);
        }
    }
    if found.len() == before {
        found.push((path.to_owned(), text.to_owned()));
    }
}

/// Whether `fill` may set the value at a path: in the security context of a pod or of a container.
fn may_fill(path: &str) -> bool {
    const OF_POD: [&str; 5] = ["runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy"];
    let Some((place, field)) = path.rsplit_once(".securityContext") else { return false };
    let field = field.strip_prefix('.').unwrap_or(field);
    let is_pod = place.ends_with(".spec");
    let container = place.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let is_container = container.len() < place.len() && container.to_ascii_lowercase().ends_with("containers.");
    let may_hold = |fields: &[&str]| field.is_empty() || fields.contains(&field);
    is_pod && may_hold(&OF_POD) || is_container && may_hold(&OF_POD[..2])
}

/// Checks that a filled object differs from the submitted one only in the filled fields: every other leaf is there, in order
/// and with the same text.
pub fn check_filled(submitted: &str, filled: &str) {
    // Null or empty values may now hold something, and so may an empty pod or container.
    let is_open = |(path, value): &(String, String)| {
        let within = format!("{path}.securityContext");
        may_fill(path) && (value == "null" || value.starts_with('{')) || value.starts_with('{') && may_fill(&within)
    };
    let (open, written): (Vec<_>, Vec<_>) = leaves(submitted).into_iter().partition(is_open);
    let mut rest = leaves(filled).into_iter();
    let mut added = Vec::new();
    for leaf in written {
        loop {
            match rest.next() {
                Some(other) if other == leaf => break,
                Some(other) => added.push(other),
                None => panic!("{leaf:?} of {submitted} is not in its place in {filled}"),
            }
        }
    }
    for leaf in added.into_iter().chain(rest) {
        assert!(may_fill(&leaf.0) || open.contains(&leaf), "{leaf:?} was put into {submitted}");
    }
}

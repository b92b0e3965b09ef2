//! Properties of `fill` for every object, with unknown fields, any spelling of numbers and any order of members.
#![cfg(feature = "flyte-non-root")]

use std::fmt;

use flytewarden::{answer::Answer, decision::Policies, host::NoHost, non_root::NonRoot};
use proptest::prelude::*;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

fn judge(object: &str) -> Answer {
    let payload = format!(
        r#"{{"settings":{{"fill":"flyte"}},"request":{{"operation":"CREATE","kind":{{"group":"","version":"v1","kind":"Pod"}},"object":{object}}}}}"#
    );
    Policies::One(&NonRoot::POLICY).validate(payload.as_bytes(), &NoHost)
}

/// The members of an object, in order.
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

/// Every leaf in order: its path and its exact text. Empty lists and maps are leaves.
fn leaves(path: &str, text: &str, found: &mut Vec<(String, String)>) {
    let before = found.len();
    if let Ok(Members(members)) = serde_json::from_str(text) {
        for (name, value) in members {
            leaves(&format!("{path}.{name}"), value.get(), found);
        }
    } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) {
        for (index, item) in items.iter().enumerate() {
            leaves(&format!("{path}.{index}"), item.get(), found);
        }
    }
    if found.len() == before {
        found.push((path.to_owned(), text.to_owned()));
    }
}

fn leaves_of(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    leaves("", text, &mut found);
    found
}

/// Whether `fill` may change the value at a path.
fn may_change(path: &str) -> bool {
    const POD: &str = ".spec.securityContext";
    const INIT: &str = ".spec.initContainers.0.securityContext";
    const OF_POD: [&str; 5] = [".runAsNonRoot", ".runAsUser", ".runAsGroup", ".fsGroup", ".fsGroupChangePolicy"];
    let is_of = |place: &str, fields: &[&str]| {
        path.strip_prefix(place).is_some_and(|field| field.is_empty() || fields.contains(&field))
    };
    is_of(POD, &OF_POD) || is_of(INIT, &OF_POD[..2])
}

/// JSON that no API knows, in spellings that few programs write.
fn anything() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1e3",
        "1.0",
        "-0",
        "12345678901234567890123",
        "0.10",
        "1E-7",
        "\"\\u00e9\\/\"",
        "\"}]\"",
        "null",
        "true",
        "[]",
        "{}",
    ]);
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(3, 12, 3, |inner| {
        let members = prop::collection::btree_map("[a-z.\\-]{0,8}", inner.clone(), 0..3);
        let member = |(name, value): (String, String)| format!(" \"x{name}\" :\t{value}");
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(|items| format!("[ {} ]", items.join(" ,"))),
            members.prop_map(move |members| {
                format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

/// An object with known members, some of them absent, and unknown ones, in any order.
fn object(known: Vec<(&'static str, BoxedStrategy<Option<String>>)>) -> impl Strategy<Value = String> {
    let known: Vec<_> =
        known.into_iter().map(|(name, value)| value.prop_map(move |value| Some((name.to_owned(), value?)))).collect();
    let unknown = prop::collection::btree_map("[a-z]{1,6}", anything(), 0..3);
    (known, unknown)
        .prop_map(|(known, unknown)| {
            let unknown = unknown.into_iter().map(|(name, value)| (format!("future-{name}"), value));
            known.into_iter().flatten().chain(unknown).collect::<Vec<_>>()
        })
        .prop_shuffle()
        .prop_map(|members| {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            format!("{{ {} }}", members.join(" , "))
        })
}

fn one_of(values: &'static [&'static str]) -> BoxedStrategy<Option<String>> {
    prop::option::of(prop::sample::select(values).prop_map(str::to_owned)).boxed()
}

fn required(value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Option<String>> {
    value.prop_map(Some).boxed()
}

fn security_context() -> BoxedStrategy<Option<String>> {
    let context = object(vec![
        ("runAsUser", one_of(&["0", "7", "null"])),
        ("runAsNonRoot", one_of(&["true", "false", "null"])),
        ("fsGroup", one_of(&["7", "null"])),
        ("fsGroupChangePolicy", one_of(&["\"Always\"", "null"])),
    ]);
    prop_oneof![Just(None), Just(Some("null".to_owned())), context.prop_map(Some)].boxed()
}

fn pods() -> impl Strategy<Value = String> {
    let container = |name: &'static str| {
        object(vec![
            ("name", required(Just(name.to_owned()))),
            ("image", required(Just("\"postgres:15\"".to_owned()))),
            ("securityContext", security_context()),
        ])
        .prop_map(|container| format!("[{container}]"))
    };
    let spec = object(vec![
        ("securityContext", security_context()),
        ("initContainers", required(container("\"check-db-ready\""))),
        ("containers", required(container("\"flyteadmin\""))),
    ]);
    object(vec![("metadata", required(Just("{\"name\": \"flyteadmin\"}".to_owned()))), ("spec", required(spec))])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn filling_changes_only_the_filled_fields(object in pods()) {
        let answer = judge(&object);
        prop_assert!(answer.code.is_none(), "{:?}", answer.message);
        let Some(filled) = answer.mutated_object else { return Ok(()) };
        // Absent or null values may be filled in, and nothing else changes.
        let is_open = |(path, value): &(String, String)| may_change(path) && (value == "null" || value.starts_with('{'));
        let written: Vec<_> = leaves_of(&object).into_iter().filter(|leaf| !is_open(leaf)).collect();
        let kept: Vec<_> = leaves_of(filled.get()).into_iter().filter(|leaf| {
            written.contains(leaf) || !may_change(&leaf.0)
        }).collect();
        prop_assert_eq!(written, kept);
    }

    #[test]
    fn filling_twice_equals_filling_once(object in pods()) {
        if let Some(filled) = judge(&object).mutated_object {
            let again = judge(filled.get());
            prop_assert!(again.accepted, "{:?}", again.message);
            prop_assert!(again.mutated_object.is_none());
        }
    }

    #[test]
    fn the_policy_accepts_a_filled_object_without_the_setting(object in pods()) {
        if let Some(filled) = judge(&object).mutated_object {
            let payload = format!(
                r#"{{"request":{{"operation":"CREATE","kind":{{"group":"","version":"v1","kind":"Pod"}},"object":{}}}}}"#,
                filled.get()
            );
            prop_assert!(Policies::One(&NonRoot::POLICY).validate(payload.as_bytes(), &NoHost).accepted);
        }
    }
}

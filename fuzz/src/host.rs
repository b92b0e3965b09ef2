//! A host that answers policies from the input.

use std::{collections::BTreeMap, time::Duration};

use flytewarden::host::{Host, Listed};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// The time if the input sets none: 2026-01-01.
pub const NOW: u64 = 1_767_225_600;

/// A host that answers from the member `host` of an input:
/// `{"ConfigMap": [...], "Deployment": "why not", "images": {"a:1": {...}}, "now": 1767225600}`. It has no answer for absent
/// members.
#[derive(Debug, Default)]
pub struct Scripted<'i>(BTreeMap<String, &'i RawValue>);

impl<'i> Scripted<'i> {
    /// The host of an input; if the input has none, a host without answers.
    pub fn from_input(input: &'i str) -> Self {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(input).unwrap_or_default();
        Self(members.get("host").map(|host| parse_or_default(host)).unwrap_or_default())
    }

    fn answer(&self, question: &str) -> Result<&'i RawValue, String> {
        self.0.get(question).copied().ok_or_else(|| format!("the host does not know {question}"))
    }
}

impl Host for Scripted<'_> {
    fn list(&self, kind: Listed, namespace: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        let answer = self.answer(kind.kind().1)?;
        let items: Vec<&RawValue> = serde_json::from_str(answer.get()).map_err(|_| parse_or_default::<String>(answer))?;
        let is_there = |item: &&RawValue| {
            let object: Value = parse_or_default(item);
            namespace.is_none_or(|asked| object["metadata"]["namespace"].as_str().is_none_or(|own| own == asked))
        };
        Ok(items.into_iter().filter(is_there).map(ToOwned::to_owned).collect())
    }

    fn image(&self, reference: &str) -> Result<Box<RawValue>, String> {
        let images: BTreeMap<String, Box<RawValue>> = parse_or_default(self.answer("images")?);
        images.get(reference).cloned().ok_or_else(|| format!("{reference} is not in the registry"))
    }

    fn now(&self) -> Result<Duration, String> {
        let seconds = self.answer("now").map_or(NOW, parse_or_default);
        Ok(Duration::from_secs(seconds))
    }
}

fn parse_or_default<'i, T: Deserialize<'i> + Default>(json: &'i RawValue) -> T {
    serde_json::from_str(json.get()).unwrap_or_default()
}

//! Checks for every answer.

use std::collections::BTreeMap;

use flytewarden::{answer::Answer, decision::Policies, host::Host};
use serde_json::{Value, value::RawValue};

/// The answer of a module to a request with settings. Checks that it passes [`check`] and is the same when asked again.
pub fn ask(module: &Policies, payload: &str, cluster: &dyn Host) -> Answer {
    let answer = module.validate(payload.as_bytes(), cluster);
    check(&answer);
    let again = module.validate(payload.as_bytes(), cluster);
    assert_eq!(shown(&answer), shown(&again), "two answers to the same request");
    answer
}

/// An answer as JSON.
pub fn shown(answer: &Answer) -> String {
    serde_json::to_string(answer).expect("an answer can be written")
}

/// Checks that an answer either accepts or rejects, gives the reason, and can be shown to people.
fn check(answer: &Answer) {
    let annotations = answer.audit_annotations.iter().flatten();
    let is_refused = annotations.clone().any(|(name, _)| ["violations", "unjudged"].contains(name));
    assert_eq!(answer.accepted, !is_refused, "{answer:?}");
    assert_eq!(answer.accepted, answer.message.is_none(), "{answer:?}");
    assert!(answer.message.as_ref().is_none_or(|message| !message.is_empty()), "{answer:?}");
    assert!(!answer.accepted || answer.code.is_none(), "{answer:?}");
    for (name, annotation) in annotations {
        assert!(serde_json::from_str::<Value>(annotation).is_ok(), "{name}: {annotation}");
    }
    if let Some(object) = &answer.mutated_object {
        assert!(answer.accepted, "{answer:?}");
        assert!(serde_json::from_str::<BTreeMap<String, &RawValue>>(object.get()).is_ok(), "{object}");
    }
    let lines = answer.message.iter().flat_map(|message| message.split('\n'));
    for line in lines.chain(answer.warnings.iter().flatten().map(String::as_str)) {
        assert!(!line.is_empty(), "{answer:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

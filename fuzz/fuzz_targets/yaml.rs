//! Fuzzes YAML: libyaml's events, kubectl's manifests, settings, and flyteadmin's configuration in a ConfigMap.
#![no_main]

use flytewarden::{
    admin_cors::AdminCors,
    decision::Policies,
    host::NoHost,
    yaml::{Events, Said},
};
use flytewarden_fuzz::answer::ask;
use flytewarden_offline::{
    manifest,
    yaml::{self, Malformed},
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Number, Value, json};

fuzz_target!(|data: &[u8]| {
    check_events(data);
    let text = &*String::from_utf8_lossy(data);
    check_documents(text);
    check_configuration(text);
});

/// Checks that the events end, and that their spans are within the text, if it is UTF-8.
fn check_events(text: &[u8]) {
    let is_utf8 = str::from_utf8(text).is_ok();
    let mut events = Events::new(text);
    // All but a few events take a byte or more.
    for _ in 0..=2 * text.len() + 16 {
        let Ok(event) = events.next_event() else { return };
        let span = event.span();
        assert!(!is_utf8 || span.start <= span.end && span.end <= text.len(), "{span:?}");
        match event.content() {
            Said::StreamEnd => return,
            Said::Scalar { anchor, tag, text, .. } => drop((anchor.map(str::len), tag.map(str::len), text.len())),
            _ => {}
        }
    }
    panic!("the events do not end");
}

/// Checks that the lines of documents are within the text, and that the documents mean the same when written as JSON.
fn check_documents(text: &str) {
    let lines = text.lines().count().max(1);
    let check_line = |line: usize| assert!((1..=lines + 1).contains(&line), "line {line} of {lines}");
    let mut last = 0;
    for document in yaml::documents(text) {
        assert!(last <= document.span.start, "{:?}", document.span);
        let part = &text[document.span.clone()];
        last = document.span.start;
        match document.content {
            Ok(content) => {
                check_line(content.line);
                let json = serde_json::to_string(&content).expect("it is JSON");
                let again = yaml::documents(&json).next().and_then(|document| document.content.ok());
                let again = again.map(|content| serde_json::to_string(&content).expect("it is JSON"));
                let again = again.unwrap_or_else(|| panic!("{json} is not read again: {part}"));
                let read = |json: &str| serde_json::from_str::<Value>(json).expect("it is JSON");
                assert!(json == again || are_alike(&read(&json), &read(&again)), "{json} is {again}: {part}");
            }
            Err(Malformed { line, reason }) => {
                check_line(line);
                assert!(!reason.is_empty());
            }
        }
    }
    for read in [yaml::settings(text).err(), yaml::texts(text).err()] {
        read.iter().for_each(|Malformed { line, .. }| check_line(*line));
    }
    manifest::objects(text).for_each(drop);
}

/// Whether two values differ at most in the last digit of floats. serde_json sometimes reads not the nearest float but the next
/// one: exact reading would add 18 KB to the page, and no rule reads floats.
fn are_alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let float = |number: &Number| number.as_f64().expect("a number is a float");
            one == other || one.is_f64() && (float(one) - float(other)).abs() <= float(one).abs() * 1e-15
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| are_alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| are_alike(one, other)))
        }
        _ => one == other,
    }
}

/// Checks how the policies read the text as flyteadmin's configuration.
fn check_configuration(text: &str) {
    let object = json!({"metadata": {"name": "flyte-admin-config"}, "data": {"server.yaml": text}});
    let kind = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    let payload = json!({"request": {"operation": "CREATE", "kind": kind, "object": object}}).to_string();
    ask(&Policies::One(&AdminCors), &payload, &NoHost);
}

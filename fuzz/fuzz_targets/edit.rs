//! Fuzzes changes to texts, which must keep the rest of the text: to JSON by `fill`, and to manifests by edits.
//!
//! If the first line of an input is a list, it holds edits, and the manifest is below it. Any other input is a payload as for
//! `request`.
#![no_main]

use std::collections::BTreeMap;

use flytewarden::{decision::Policies, host::NoHost, non_root::NonRoot};
use flytewarden_fuzz::{
    answer::ask,
    first_line, json, leaves,
    random::{Random, mutate_bytes, write_or_mutate},
};
use flytewarden_offline::{
    edit::{self, Edit},
    manifest::{self, Object},
    report::Place,
};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde_json::{json, value::RawValue};

fuzz_target!(|data: &[u8]| {
    let Ok(input) = str::from_utf8(data) else { return };
    let (first, manifest) = first_line(input);
    match serde_json::from_str::<Vec<Edit>>(first) {
        Ok(edits) => check_edits(manifest, &edits),
        Err(_) => check_fill(input),
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut random = Random::from_seed(seed);
    let input = String::from_utf8_lossy(&data[..size]).into_owned();
    let (first, rest) = first_line(&input);
    let mutated = match (first.starts_with('['), random.below(4)) {
        (_, 0) => None,
        (false, _) => json::mutate(&data[..size], &mut random),
        (true, 1) => {
            json::mutate(first.as_bytes(), &mut random).map(|first| [&first, &b"\n"[..], rest.as_bytes()].concat())
        }
        (true, _) => Some([first.as_bytes(), b"\n", &mutate_bytes(rest.as_bytes())].concat()),
    };
    write_or_mutate(data, size, max_size, mutated)
});

/// Checks that filling in leaves everything else as it was written.
fn check_fill(payload: &str) {
    let answer = ask(&Policies::One(&NonRoot::POLICY), payload, &NoHost);
    let Some(filled) = answer.mutated_object else { return };
    let payload: BTreeMap<String, &RawValue> = serde_json::from_str(payload).expect("it was read before");
    let request: BTreeMap<String, &RawValue> =
        serde_json::from_str(payload["request"].get()).expect("it was read before");
    leaves::check_filled(request["object"].get(), filled.get());
}

/// Checks that edits of an object leave every other object, and the text around it, unchanged.
fn check_edits(text: &str, edits: &[Edit]) {
    let objects: Vec<Object> = manifest::objects(text).flatten().collect();
    // After these edits, the text may not be an object any more.
    if edits.iter().any(|edit| ["apiVersion", "kind", "items"].iter().any(|field| edit.path.starts_with(field))) {
        return;
    }
    for (index, object) in objects.iter().enumerate().take(3) {
        let Ok(edited) = edit::mended(text, &place(object), edits) else { continue };
        let after: Vec<Object> = manifest::objects(&edited).flatten().collect();
        assert_eq!(objects.len(), after.len(), "{edited}");
        for (other, (before, after)) in objects.iter().zip(&after).enumerate() {
            assert!(other == index || json!(before.content) == json!(after.content), "{edited}");
        }
        if let [Edit { path, within: None, value: Some(value), .. }] = edits {
            assert_eq!(value, &json!(after[index].content.at(path)), "{edited}");
            check_lines(text, &edited);
        }
    }
}

/// Checks that at most one line is changed or removed, and that added lines are adjacent: a value that spans several lines is
/// not replaced.
fn check_lines(text: &str, edited: &str) {
    let (old, new): (Vec<&str>, Vec<&str>) = (text.lines().collect(), edited.lines().collect());
    let before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let most = old.len().min(new.len()) - before;
    let after = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(old, new)| old == new).count();
    assert!(before + after + 1 >= old.len(), "{edited}");
}

fn place(object: &Object) -> Place {
    Place {
        file: String::new(),
        document: object.document,
        line: object.line,
        source: object.source.clone(),
        api_version: object.api_version.clone(),
        kind: object.kind.clone(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
    }
}

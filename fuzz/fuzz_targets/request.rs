//! Fuzzes whole requests to every policy, alone and together: `{"request": ..., "settings": ..., "host": ...}`.
//!
//! Each policy gets the settings; those that do not know them reject the request.
#![no_main]

use std::collections::BTreeMap;

use flytewarden::{
    answer::Answer,
    decision::{VARIANTS, POLICIES, Policies},
    host::{Host, NoHost},
};
use flytewarden_fuzz::{
    answer::{ask, shown},
    host::Scripted,
    json,
    random::{Random, write_or_mutate},
};
use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Parts<'i> {
    #[serde(borrow, default)]
    request: Option<&'i RawValue>,
    #[serde(borrow, default)]
    settings: Option<&'i RawValue>,
}

fuzz_target!(|data: &[u8]| {
    let Ok(input) = str::from_utf8(data) else {
        assert!(!Policies::Several(POLICIES).validate(data, &NoHost).accepted);
        return;
    };
    let host = &Scripted::from_input(input);
    ask(&Policies::Several(POLICIES), input, host);
    // Not a list, which serde would accept too.
    let is_object = input.trim_start().starts_with('{');
    match serde_json::from_str(input).ok().filter(|_| is_object) {
        Some(Parts { request: Some(request), settings }) => {
            let settings = settings.map_or("null", RawValue::get);
            check_alone_and_together(request, settings, host);
        }
        _ => POLICIES.iter().chain(VARIANTS).for_each(|policy| {
            ask(&Policies::One(*policy), input, host);
        }),
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut random = Random::from_seed(seed);
    let mutated = if random.below(4) > 0 { json::mutate(&data[..size], &mut random) } else { None };
    write_or_mutate(data, size, max_size, mutated)
});

fuzz_crossover!(|data1: &[u8], data2: &[u8], out: &mut [u8], seed: u32| {
    let crossed = json::cross(data1, data2, &mut Random::from_seed(seed));
    let crossed = crossed.filter(|crossed| crossed.len() <= out.len()).unwrap_or_default();
    out[..crossed.len()].copy_from_slice(&crossed);
    crossed.len()
});

/// Checks each policy alone, and that all policies together say the same.
fn check_alone_and_together(request: &RawValue, settings: &str, host: &dyn Host) {
    let request = request.get();
    let payload = format!(r#"{{"request":{request},"settings":{settings}}}"#);
    let check_alone = |policy| {
        let module = Policies::One(policy);
        let answer = ask(&module, &payload, host);
        if module.validate_settings(settings.as_bytes()).is_ok() {
            let message = answer.message.as_deref().unwrap_or_default();
            assert!(!message.contains("cannot be checked: settings"), "{message}");
        }
        if let Some(filled) = &answer.mutated_object {
            check_filled(&module, request, settings, filled, host);
        }
        answer
    };
    VARIANTS.iter().for_each(|policy| {
        check_alone(*policy);
    });
    let alone: Vec<Answer> = POLICIES.iter().map(|policy| check_alone(*policy)).collect();
    let grouped: Vec<String> = POLICIES.iter().map(|policy| format!("{:?}:{settings}", policy.name())).collect();
    let payload = format!(r#"{{"request":{request},"settings":{{{}}}}}"#, grouped.join(","));
    let together = ask(&Policies::Several(POLICIES), &payload, host);
    ask(&Policies::Several(POLICIES), &payload, &NoHost);

    assert_eq!(alone.iter().all(|answer| answer.accepted), together.accepted, "{together:?}");
    let said = shown(&together);
    for answer in &alone {
        let lines = answer.message.iter().flat_map(|message| message.lines());
        for line in lines.chain(answer.warnings.iter().flatten().map(String::as_str)) {
            let json = serde_json::to_string(line).expect("a text is JSON");
            // The numbers of findings that are not listed are added up.
            assert!(line.starts_with("... and ") || said.contains(json.trim_matches('"')), "{line} is not in {said}");
        }
    }
}

/// Checks that the policy accepts an object that it has filled: without the setting, and again with it.
fn check_filled(module: &Policies, request: &str, settings: &str, filled: &RawValue, host: &dyn Host) {
    let mut request: BTreeMap<String, &RawValue> = serde_json::from_str(request).expect("it was read before");
    request.insert("object".to_owned(), filled);
    let request = serde_json::to_string(&request).expect("it is JSON");
    let again = ask(module, &format!(r#"{{"request":{request},"settings":{settings}}}"#), host);
    assert!(again.accepted && again.mutated_object.is_none(), "{again:?}");
    let mut settings: BTreeMap<String, &RawValue> = serde_json::from_str(settings).expect("they were read before");
    settings.remove("fill");
    let settings = serde_json::to_string(&settings).expect("they are JSON");
    let without = ask(module, &format!(r#"{{"request":{request},"settings":{settings}}}"#), host);
    assert!(without.accepted, "{without:?}");
}

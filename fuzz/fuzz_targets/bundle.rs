//! Fuzzes the `tls.crt` of a Secret: settings and a host as JSON on the first line, the bundle below it.
#![no_main]

use flytewarden::{decision::Policies, oauth_tls::OauthTls};
use flytewarden_fuzz::{
    answer::ask,
    certificate, first_line,
    host::Scripted,
    json,
    random::{Random, write_or_mutate},
};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde_json::{Map, Value, json};

fuzz_target!(|data: &[u8]| {
    let input = &*String::from_utf8_lossy(data);
    let (first, bundle) = first_line(input);
    let options: Map<String, Value> = serde_json::from_str(first).unwrap_or_default();
    let settings = options.get("settings").unwrap_or(&Value::Null);
    let judge = |entries: Value| {
        let mut object = json!({"metadata": {"name": "flyte-tls", "namespace": "flyte"}, "type": "kubernetes.io/tls"});
        object.as_object_mut().expect("it is one").extend(entries.as_object().cloned().unwrap_or_default());
        let kind = json!({"group": "", "version": "v1", "kind": "Secret"});
        let request = json!({"operation": "CREATE", "kind": kind, "namespace": "flyte", "object": object});
        let payload = json!({"request": request, "settings": settings}).to_string();
        ask(&Policies::One(&OauthTls), &payload, &Scripted::from_input(first))
    };
    let written = judge(json!({"stringData": {"tls.crt": bundle}}));
    let encoded = judge(json!({"data": {"tls.crt": certificate::in_base64(bundle)}}));
    let words = |message: &Option<String>| message.as_ref().map(|message| message.replace("stringData[", "data["));
    assert_eq!(words(&written.message), words(&encoded.message));
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut random = Random::from_seed(seed);
    let input = String::from_utf8_lossy(&data[..size]).into_owned();
    let (first, bundle) = first_line(&input);
    let mutated = match random.below(8) {
        0 => None,
        1 => json::mutate(first.as_bytes(), &mut random).map(|first| [&first, &b"\n"[..], bundle.as_bytes()].concat()),
        _ => certificate::mutate(bundle, &mut random).map(|bundle| format!("{first}\n{bundle}").into_bytes()),
    };
    write_or_mutate(data, size, max_size, mutated)
});

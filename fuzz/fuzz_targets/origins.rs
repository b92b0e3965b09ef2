//! Fuzzes origins, one per line: in settings, and in flyteadmin's configuration.
#![no_main]

use flytewarden::{admin_cors::AdminCors, answer::Answer, console_url::ConsoleUrl, decision::Policies, host::NoHost};
use flytewarden_fuzz::answer::{ask, shown};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    let origins: Vec<&str> = text.split('\n').take(4).collect();
    ask_with(&origins, &json!({}));
    for origin in origins {
        check_one(origin);
    }
});

/// Checks the properties of a single origin.
fn check_one(origin: &str) {
    let answer = ask_with(&[origin], &json!({}));
    if answer.accepted {
        check_sent(origin);
    }
    check_suggestions(&answer);

    // A domain's pattern trusts only origins below the domain.
    let trusted = ask_with(&[origin], &json!({"trustedOrigins": ["https://*.example.com"]}));
    if trusted.accepted {
        check_sent(origin);
        assert!(origin.starts_with("https://") && origin.ends_with(".example.com"), "{origin:?}");
    }
    // An origin that settings can require is accepted in the configuration.
    for list in ["requiredOrigins", "trustedOrigins", "allowHttp"] {
        let settings = json!({ list: [origin] });
        let is_valid = |module: Policies| module.validate_settings(settings.to_string().as_bytes()).is_ok();
        is_valid(Policies::One(&ConsoleUrl));
        if is_valid(Policies::One(&AdminCors)) && !origin.contains('*') {
            check_sent(origin);
            let answer = ask_with(&[origin], &settings);
            // A trusted origin is not automatically accepted over plain http.
            assert!(answer.accepted || list == "trustedOrigins" && origin.starts_with("http:"), "{answer:?}");
        }
    }
}

/// Checks that browsers could send a text as an origin, as far as its characters tell.
fn check_sent(origin: &str) {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let host = host.unwrap_or_else(|| panic!("{origin:?} has another scheme"));
    assert!(!host.is_empty(), "{origin:?} has no host");
    // The standard's forbidden domain code points, without the brackets and colons of addresses and ports.
    let may_be_sent =
        |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"#/<>?@\\^|%".contains(&byte);
    assert!(host.bytes().all(may_be_sent), "{origin:?} is not as browsers write it");
    let url = url::Url::parse(origin).unwrap_or_else(|error| panic!("{origin:?}: {error}"));
    assert_eq!(origin, url.origin().ascii_serialization());
}

/// Checks that an origin which a violation suggests is valid.
fn check_suggestions(answer: &Answer) {
    let violations = answer.audit_annotations.iter().filter_map(|all| all.get("violations"));
    let violations = violations.filter_map(|json| serde_json::from_str::<Vec<Value>>(json).ok()).flatten();
    for violation in violations.filter(|violation| violation["rule"] == "never-matches") {
        for edit in violation["edits"].as_array().into_iter().flatten() {
            if let Some(instead) = edit["value"].as_str() {
                check_sent(instead);
                let answer = shown(&ask_with(&[instead], &json!({})));
                assert!(!answer.contains("never-matches"), "{instead:?} is suggested, and refused: {answer}");
            }
        }
    }
}

/// The answer to flyteadmin's configuration with these origins.
fn ask_with(origins: &[&str], settings: &Value) -> Answer {
    // JSON is YAML.
    let file = json!({"server": {"security": {"allowCors": true, "allowedOrigins": origins}}}).to_string();
    let object = json!({"metadata": {"name": "flyte-admin-config"}, "data": {"server.yaml": file}});
    let kind = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    let request = json!({"operation": "CREATE", "kind": kind, "object": object});
    let payload = json!({"request": request, "settings": settings}).to_string();
    ask(&Policies::One(&AdminCors), &payload, &NoHost)
}

//! Engines may ask for a verdict with settings that they never validated.
#![cfg(feature = "flyte-admin-cors")]

use flytewarden::{admin_cors::AdminCors, decision::Policies, host::NoHost};

#[test]
fn control_characters_in_a_required_origin_do_not_reach_the_message_raw() {
    let payload = r#"{
        "settings": {"requiredOrigins": ["https://a\u001b[2K\u0007\n.example.com"]},
        "request": {
            "operation": "CREATE",
            "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "object": {
                "metadata": {"name": "flyte-admin-base-config"},
                "data": {"server.yaml": "server: {security: {allowCors: true, allowedOrigins: [https://console.example.com]}}"}
            }
        }
    }"#;
    let answer = Policies::One(&AdminCors).validate(payload.as_bytes(), &NoHost);
    let message = answer.message.expect("the required origin is missing");
    assert!(message.contains(r"https://a\u{1b}[2K\u{7}\u{a}.example.com"), "{message}");
    assert!(!message.contains(|character: char| character.is_control()), "{message}");
}

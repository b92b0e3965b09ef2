//! Properties of every command line in front of flyteadmin, not just of the cases.
#![cfg(feature = "flyte-admin-cors")]

use flytewarden::{admin_cors::AdminCors, answer::Answer, decision::Policies, host::NoHost};
use proptest::prelude::*;
use serde_json::{Value, json};

fn judge(container: &Value) -> Answer {
    let payload = json!({"settings": {}, "request": {
        "operation": "CREATE",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "object": {"metadata": {"name": "x"}, "spec": {"containers": [container]}}
    }});
    Policies::One(&AdminCors).validate(payload.to_string().as_bytes(), &NoHost)
}

const STAR: &str = "--server.security.allowedOrigins=*";

/// Words with a meaning for a wrapper, a shell, the kubelet or flyteadmin, and pieces of such words.
const WORDS: [&str; 44] = [
    "tini",
    "dumb-init",
    "catatonit",
    "env",
    "nice",
    "timeout",
    "gosu",
    "setpriv",
    "busybox",
    "exec",
    "sh",
    "bash",
    "/x",
    "-c",
    "-ec",
    "-o",
    "-u",
    "-i",
    "-S",
    "-p",
    "-",
    "--",
    "--unset",
    "--x=y",
    "A=b",
    "A=$B",
    "$(A)",
    "$$(A)",
    "$(B)",
    "$A",
    "\"$@\"",
    "flyteadmin",
    "/bin/flyteadmin",
    "flyte",
    "serve",
    STAR,
    "--server.security.allowCors",
    "false",
    "if",
    "export",
    ";",
    "'",
    "",
    "é",
];

/// Scripts of words and of characters that are special in a shell.
fn scripts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        2 => prop::sample::select(&WORDS[..]).prop_map(str::to_owned),
        2 => prop::sample::select(vec![" ", "\n", ";", "&", "&&", "|", ">", "<", "\\", "\"", "'", "`", "$", "${", "}", "(", ")", "#", "=", "2"])
            .prop_map(str::to_owned),
        1 => ".{0,4}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn words() -> impl Strategy<Value = Vec<String>> {
    let word = prop_oneof![
        6 => prop::sample::select(&WORDS[..]).prop_map(str::to_owned),
        2 => scripts(),
        1 => ".{0,8}",
    ];
    prop::collection::vec(word, 0..10)
}

fn environments() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["A", "B", "SERVER.SECURITY.ALLOWEDORIGINS", "AUTH", ""]);
    let entry = (name, prop::option::of(scripts())).prop_map(|(name, value)| match value {
        Some(value) => json!({"name": name, "value": value}),
        None => json!({"name": name, "valueFrom": {"fieldRef": {}}}),
    });
    prop::collection::vec(entry, 0..4).prop_map(Value::from)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every command line gets an answer.
    #[test]
    fn any_command_line_is_answered(command in words(), args in words(), env in environments()) {
        let answer = judge(&json!({"name": "flyteadmin", "command": command, "args": args, "env": env}));
        prop_assert!(answer.accepted || answer.message.is_some());
    }

    /// A star that flyteadmin may receive is never accepted silently, no matter which words come before it.
    #[test]
    fn no_star_is_accepted_silently(mut command in words(), is_script: bool) {
        // After flyteadmin itself the star can be hidden, by `--` for example. After a script of another shell, flyteadmin does
        // not receive it.
        command.retain(|word| !(word.contains("flyte") || word.starts_with('-') && word.contains('c')));
        if is_script {
            command.extend(["sh".into(), "-c".into(), format!("exec flyteadmin serve '{STAR}'")]);
        } else {
            command.extend(["flyteadmin".into(), "serve".into(), STAR.into()]);
        }
        let answer = judge(&json!({"name": "flyteadmin", "command": command}));
        prop_assert!(!answer.accepted || answer.warnings.is_some_and(|warnings| !warnings.is_empty()), "{command:?}");
    }
}

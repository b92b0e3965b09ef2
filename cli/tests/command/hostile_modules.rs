//! Tests modules made to break the engine. Each run ends with 2, names the module, and prints no panic.

use std::time::{Duration, Instant};

use crate::{BAD, Run, folder, path, run};

/// Returns a policy for Pods, named `hostile`, that runs `body` when it validates a request.
fn module(body: &str, memory: &str) -> Vec<u8> {
    let metadata = r#"{"rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
        "mutating": false, "annotations": {"io.kubewarden.policy.title": "hostile"}}"#;
    let metadata = metadata.replace('"', "\\22").replace('\n', " ");
    let text = format!(
        r#"(module
            (import "wapc" "__guest_request" (func $request (param i32 i32)))
            (import "wapc" "__guest_response" (func $response (param i32 i32)))
            (import "wapc" "__guest_error" (func $error (param i32 i32)))
            (import "wapc" "__console_log" (func $log (param i32 i32)))
            (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (import "wapc" "__host_response" (func $host_response (param i32)))
            (import "wapc" "__host_error" (func $host_error (param i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            {memory}
            (data (i32.const 1024) "{{\22valid\22:true}}")
            (func $overflow (call $overflow))
            (func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32)
                (if (i32.eq (local.get $operation) (i32.const 17))
                    (then (call $response (i32.const 1024) (i32.const 14)) (return (i32.const 1))))
                {body}
                (i32.const 1))
            (@custom "io.kubewarden.metadata" "{metadata}"))"#
    );
    wat::parse_str(text).unwrap()
}

const MEMORY: &str = r#"(memory (export "memory") 1)"#;

const KEEP: &str = "(rec (type $list (struct (field (ref null $list)) (field (ref $block)))) (type $block (array i64)))
    (func $keep (local $all (ref null $list))
        (loop $l
            (local.set $all (struct.new $list (local.get $all) (array.new_default $block (i32.const 100000))))
            (br $l)))";

fn check(module: &[u8], objects: &str, seconds: &str) -> Run {
    let folder = folder(&[("hostile.wasm", module)]);
    run(&["check", "--timeout", seconds, "--module", &path(&folder, "hostile.wasm"), "-"], objects)
}

/// Checks that the module's failure is reported, and not taken for a result without findings.
fn assert_fails(it: &str, module: &[u8], reason: &str) {
    let start = Instant::now();
    // Only endless modules get a short limit, because the machine may be busy.
    let seconds = if reason.contains("longer than 1 s") { "1" } else { "20" };
    let run = check(module, &format!("{BAD}---\n{BAD}"), seconds);
    assert_eq!(Some(2), run.code, "{it}: {}{}", run.out, run.err);
    let said = format!("{}{}", run.out, run.err);
    assert!(said.contains("hostile") && said.contains(reason), "{it}: {said}");
    assert!(!said.contains("panicked"), "{it}: {said}");
    assert!(start.elapsed() < Duration::from_secs(30), "{it}: {:?}", start.elapsed());
}

#[test]
fn addresses_outside_the_memory_are_failures_of_the_module() {
    let mut bodies =
        vec!["(call $host_response (i32.const -1))".to_owned(), "(call $host_error (i32.const -1))".to_owned()];
    for (pointer, length) in [(0, -1), (-1, 1), (1, i32::MAX), (i32::MAX, i32::MAX), (65_536, 1), (i32::MIN, i32::MIN)]
    {
        for import in ["response", "error", "log", "request"] {
            bodies.push(format!("(call ${import} (i32.const {pointer}) (i32.const {length}))"));
        }
        for argument in 0..4 {
            let bad = format!("(i32.const {pointer}) (i32.const {length})");
            let arguments: Vec<&str> =
                (0..4).map(|index| if index == argument { &*bad } else { "(i32.const 0) (i32.const 0)" }).collect();
            bodies.push(format!("(drop (call $call {}))", arguments.join(" ")));
        }
    }
    for body in bodies {
        assert_fails(&body, &module(&body, MEMORY), "the module failed");
    }
}

#[test]
fn a_call_that_takes_too_long_is_ended_and_not_repeated() {
    // A subscription to a clock, for a time many years from now.
    let sleep = r#"(i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const 999999999999999999))
        (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))"#;
    for body in ["(loop $l (br $l))", "(loop $l (drop (memory.grow (i32.const 16))) (br $l))", sleep] {
        let module = module(body, MEMORY);
        assert_fails(body, &module, "the module took longer than 1 s; to allow more time, set --timeout");
        assert_fails(body, &module, "the module took longer than 1 s, and will not run again");
    }
}

#[test]
fn other_failures_are_reported_too() {
    let answers = "(drop (memory.grow (i32.const 4000))) (call $response (i32.const 0) (i32.const 200000000))";
    for (it, body, memory, reason) in [
        ("a trap", "(unreachable)", MEMORY, "the module failed"),
        ("a recursion", "(call $overflow)", MEMORY, "the module failed"),
        ("no answer", "", MEMORY, "the module failed"),
        ("no JSON", "(call $response (i32.const 0) (i32.const 5))", MEMORY, "the module's answer cannot be read"),
        ("a huge answer", answers, MEMORY, "the module's answer has 200000000 bytes, more than the limit of 32 MiB"),
        ("a huge memory", "", r#"(memory (export "memory") 10000)"#, "the module failed"),
        ("no memory", "(call $response (i32.const 0) (i32.const 5))", "(memory 1)", "the module failed"),
        ("a huge table", "", r#"(memory (export "memory") 1) (table 1000000 funcref)"#, "the module failed"),
        // A garbage collector's heap has the same limit as a memory.
        ("a list of objects", "(call $keep)", &format!("{MEMORY} {KEEP}"), "the module failed"),
        ("two memories", "", r#"(memory (export "memory") 1) (memory 1)"#, "it has 2 memories and 0 tables"),
    ] {
        assert_fails(it, &module(body, memory), reason);
    }
}

#[test]
fn a_timeout_is_a_number_of_seconds() {
    for timeout in ["0", "-1", "a", "86401"] {
        assert_eq!(Some(2), run(&["check", "--timeout", timeout, "-"], BAD).code);
    }
    assert_eq!(Some(1), run(&["check", "--timeout", "86400", "-"], BAD).code);
}

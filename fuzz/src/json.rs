//! Mutates JSON as a tree. After a flipped bit in the text, policies can seldom read the JSON.

use serde_json::{Value, json};

use crate::random::{Random, mutate_bytes};

/// The words of the dictionaries, as libFuzzer reads them: `"word"` on a line.
const DICTIONARY: &str = include_str!("../kubernetes.dict");

/// A JSON text with one to three changes; `None` if it is not JSON.
pub fn mutate(text: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut root: Value = serde_json::from_slice(text).ok()?;
    for _ in 0..=random.below(3) {
        let other = node(&mut root, random).clone();
        change(node(&mut root, random), other, random);
    }
    serde_json::to_vec(&root).ok()
}

/// A JSON text with a part of another in it; `None` if one of them is not JSON.
pub fn cross(text: &[u8], other: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut root: Value = serde_json::from_slice(text).ok()?;
    let mut other: Value = serde_json::from_slice(other).ok()?;
    *node(&mut root, random) = node(&mut other, random).take();
    serde_json::to_vec(&root).ok()
}

fn change(value: &mut Value, other: Value, random: &mut Random) {
    match (random.below(8), value) {
        (0, value) => *value = other,
        (1, value) => *value = leaf(random),
        (2, Value::Object(fields)) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            random.pick(&names).map(|name| fields.remove(name));
        }
        (2, Value::Array(items)) if !items.is_empty() => {
            items.remove(random.below(items.len()));
        }
        (3, Value::Object(fields)) => {
            fields.insert(word(random), other);
        }
        (3, Value::Array(items)) => items.insert(random.below(items.len() + 1), other),
        (4, Value::Object(fields)) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            let taken = random.pick(&names).and_then(|name| fields.remove(name));
            taken.map(|taken| fields.insert(word(random), taken));
        }
        (4, Value::Array(items)) => items.extend(items.clone().into_iter().take(32)),
        (5, Value::String(text)) => *text = word(random),
        (_, Value::String(text)) => *text = String::from_utf8_lossy(&mutate_bytes(text.as_bytes())).into_owned(),
        (_, value @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => *value = leaf(random),
        (_, Value::Object(fields)) => {
            fields.insert(word(random), leaf(random));
        }
        (_, Value::Array(items)) => items.push(leaf(random)),
    }
}

/// A value that some code treats specially.
fn leaf(random: &mut Random) -> Value {
    match random.below(16) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(false),
        3 => json!(0),
        4 => json!(-1),
        5 => json!(1.5),
        6 => json!(u64::MAX),
        7 => json!(2_147_483_648_u32),
        8 => json!([]),
        9 => json!({}),
        10 => json!(""),
        11 => json!("*"),
        12 => json!(65_532),
        _ => json!(word(random)),
    }
}

/// A word of the dictionary.
fn word(random: &mut Random) -> String {
    let words: Vec<&str> = DICTIONARY.lines().filter(|line| line.starts_with('"')).collect();
    let word = random.pick(&words).copied().unwrap_or("\"\"");
    serde_json::from_str(word).unwrap_or_default()
}

/// One of the values in a value, itself included.
fn node<'v>(root: &'v mut Value, random: &mut Random) -> &'v mut Value {
    let mut countdown = random.below(count(root));
    nth(root, &mut countdown).expect("it is counted")
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

fn nth<'v>(value: &'v mut Value, countdown: &mut usize) -> Option<&'v mut Value> {
    if *countdown == 0 {
        return Some(value);
    }
    *countdown -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, countdown)),
        Value::Object(fields) => fields.values_mut().find_map(|field| nth(field, countdown)),
        _ => None,
    }
}

//! Reads JSON. kubectl also tries JSON before YAML, because only JSON has surrogate pairs of escapes such as
//! `\ud83d\ude00`.

use indexmap::IndexMap;
use serde_json::{Deserializer, value::RawValue};

use super::{Lines, MOST_LEVELS, MOST_NODES, Node, Value, number};

/// Returns the single value of a text, or several maps in a row, as `jq -c '.items[]'` prints them. `None` if the text
/// is not JSON, or exceeds the limits.
pub fn parse_values(text: &str) -> Option<Vec<Node>> {
    let values: Vec<&RawValue> = Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().ok()?;
    let is_read = values.len() == 1 || values.iter().all(|value| value.get().starts_with('{'));
    let mut reader = Reader { text, lines: Lines::new(text), left: MOST_NODES };
    let nodes = || values.into_iter().map(|value| reader.node(value, MOST_LEVELS)).collect::<Option<Vec<_>>>();
    if is_read { nodes().filter(|nodes| !nodes.is_empty()) } else { None }
}

struct Reader<'t> {
    text: &'t str,
    lines: Lines,
    /// How many more nodes may be read.
    left: usize,
}

impl<'t> Reader<'t> {
    fn node(&mut self, raw: &'t RawValue, levels: usize) -> Option<Node> {
        self.left = self.left.checked_sub(1)?;
        let text = raw.get();
        let start = text.as_ptr() as usize - self.text.as_ptr() as usize;
        let line = self.lines.of_byte(start);
        let value = match text.bytes().next()? {
            b'{' => {
                let levels = levels.checked_sub(1)?;
                let fields: IndexMap<String, &RawValue> = serde_json::from_str(text).ok()?;
                let fields = fields.into_iter().map(|(name, raw)| Some((name, self.node(raw, levels)?)));
                Value::Map(fields.collect::<Option<_>>()?)
            }
            b'[' => {
                let levels = levels.checked_sub(1)?;
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                Value::List(items.into_iter().map(|raw| self.node(raw, levels)).collect::<Option<_>>()?)
            }
            b'"' => Value::String(serde_json::from_str(text).ok()?),
            b't' => Value::Bool(true),
            b'f' => Value::Bool(false),
            b'n' => Value::Null,
            _ => Value::Number(match serde_json::from_str::<serde_json::Number>(text).ok()? {
                whole if !whole.is_f64() => whole,
                float => number(float.as_f64()?)?,
            }),
        };
        Some(Node { line, key_line: line, value })
    }
}

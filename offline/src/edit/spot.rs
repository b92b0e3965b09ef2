//! Finds the position of every value of a document in its text.

use flytewarden::yaml::{Events, Said};

use crate::yaml::{Step, Style};

/// A value and its position.
pub(super) struct Spot {
    /// The first byte.
    pub(super) start: usize,
    /// The byte after the last. For a list or map without brackets, the byte after its last value.
    pub(super) end: usize,
    /// The number of characters before it on its line.
    pub(super) column: usize,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Scalar { style: Style, text: String },
    Alias,
    List { is_flow: bool, items: Vec<Spot> },
    Map { is_flow: bool, entries: Vec<(String, Spot)> },
}

impl Spot {
    /// Parses the first document of a text. `None` if it cannot be parsed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut events = Events::new(text.as_bytes());
        // The open lists and maps, each with the key whose value comes next.
        let mut open: Vec<(Self, Option<String>)> = Vec::new();
        loop {
            let event = events.next_event().ok()?;
            let (span, column) = (event.span(), event.column());
            let new = |kind| Self { start: span.start, end: span.end, column, kind };
            let done = match event.content() {
                Said::StreamStart | Said::DocumentStart { .. } => continue,
                Said::StreamEnd | Said::DocumentEnd => return None,
                Said::ListStart { is_flow, .. } => {
                    open.push((new(Kind::List { is_flow, items: Vec::new() }), None));
                    continue;
                }
                Said::MapStart { is_flow, .. } => {
                    open.push((new(Kind::Map { is_flow, entries: Vec::new() }), None));
                    continue;
                }
                Said::Scalar { text, style, .. } => new(Kind::Scalar { style, text: text.to_owned() }),
                Said::Alias(_) => new(Kind::Alias),
                Said::End => {
                    let (mut done, _) = open.pop()?;
                    match &done.kind {
                        Kind::List { is_flow: false, items } => {
                            done.end = items.last().map_or(done.end, |item| item.end)
                        }
                        Kind::Map { is_flow: false, entries } => {
                            done.end = entries.last().map_or(done.end, |(_, value)| value.end);
                        }
                        _ => done.end = span.end,
                    }
                    done
                }
            };
            match open.last_mut() {
                None => return Some(done),
                Some((Self { kind: Kind::List { items, .. }, .. }, _)) => items.push(done),
                Some((Self { kind: Kind::Map { entries, .. }, column, .. }, key)) => match (key.take(), done.kind) {
                    (Some(key), kind) => entries.push((key, Self { kind, ..done })),
                    (None, Kind::Scalar { text, .. }) => {
                        // A tag or an anchor before the key is on another line, or further left.
                        if entries.is_empty() {
                            *column = done.column;
                        }
                        *key = Some(text);
                    }
                    // The key is not a scalar, e.g. an alias. No route can name it.
                    (None, _) => *key = Some(String::new()),
                },
                Some(_) => return None,
            }
        }
    }

    /// Follows a route as far as possible. Returns the deepest value, its parents and the rest of the route.
    pub(super) fn follow<'s>(&'s self, mut route: &'s [Step]) -> (&'s Self, Vec<&'s Self>, &'s [Step]) {
        let (mut spot, mut parents) = (self, Vec::new());
        while let [step, rest @ ..] = route {
            let next = match (step, &spot.kind) {
                // If a key is given twice, the last one counts.
                (Step::Key(key), Kind::Map { entries, .. }) => {
                    entries.iter().rev().find(|(own, _)| own == key).map(|(_, value)| value)
                }
                (Step::Index(index), Kind::List { items, .. }) => items.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            parents.push(spot);
            (spot, route) = (next, rest);
        }
        (spot, parents, route)
    }
}

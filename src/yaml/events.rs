//! libyaml's events, without its pointers.

#![allow(unsafe_code, reason = "libyaml-rs has libyaml's own interface, which is C's")]

use std::{ffi::CStr, mem::MaybeUninit, ptr::NonNull, slice};

use libyaml_rs as libyaml;

/// The events of a text, one after the other.
pub struct Events<'t> {
    /// A leaked box, which `drop` frees: libyaml keeps a pointer to the parser in it, so nothing here keeps a reference
    /// to it.
    parser: NonNull<libyaml::yaml_parser_t>,
    text: &'t [u8],
    /// The bytes of the byte order mark, which libyaml reads but does not count.
    uncounted: u64,
}

/// An event; its texts are borrowed from it.
pub struct Event(libyaml::yaml_event_t);

/// A part of a text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Neither quoted nor a block.
    Plain,
    /// In quotes, single or double.
    Quoted,
    /// On the lines below `|` or `>`.
    Block,
}

/// The content of an event.
#[allow(missing_docs, reason = "the names are YAML's")]
pub enum Said<'e> {
    StreamStart,
    DocumentStart {
        /// The version of YAML that it declares: 1 and 2 for `%YAML 1.2`.
        version: Option<(i32, i32)>,
    },
    DocumentEnd,
    StreamEnd,
    Alias(&'e str),
    Scalar {
        anchor: Option<&'e str>,
        tag: Option<&'e str>,
        text: &'e str,
        style: Style,
    },
    ListStart {
        anchor: Option<&'e str>,
        /// Whether it is in brackets.
        is_flow: bool,
    },
    MapStart {
        anchor: Option<&'e str>,
        /// Whether it is in braces.
        is_flow: bool,
    },
    /// Where a list or a map ends.
    End,
}

/// Why a text is not valid YAML.
pub struct Broken {
    /// The line, from 1.
    pub line: usize,
    /// libyaml's message.
    pub problem: String,
    /// Whether its tokens are valid, and only their order is not.
    pub has_tokens: bool,
}

/// Rejects a text with too many directives: libyaml compares each with all before it.
///
/// # Errors
///
/// It has too many.
pub fn check_directives(text: &[u8]) -> Result<(), String> {
    const MOST: usize = 100;
    match text.windows(4).filter(|four| four == b"%TAG").nth(MOST) {
        Some(_) => Err(format!("more than {MOST} %TAG directives")),
        None => Ok(()),
    }
}

impl<'t> Events<'t> {
    /// The events of a text in UTF-8.
    pub fn new(text: &'t [u8]) -> Self {
        let parser = NonNull::from(Box::leak(Box::<libyaml::yaml_parser_t>::new_uninit())).cast();
        // SAFETY: the parser is initialized before it is used, stays where it is, and cannot outlive the text.
        // Initializing fails only if memory is exhausted, and then the allocation aborts first.
        unsafe {
            let _ = libyaml::yaml_parser_initialize(parser.as_ptr());
            libyaml::yaml_parser_set_input_string(parser.as_ptr(), text.as_ptr(), text.len() as u64);
        }
        let uncounted = if text.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        Self { parser, text, uncounted }
    }

    /// The next event. After the last one, and after an error, it is the end of the stream.
    ///
    /// # Errors
    ///
    /// The text is not valid YAML.
    pub fn next_event(&mut self) -> Result<Event, Broken> {
        let mut event = MaybeUninit::uninit();
        // SAFETY: the parser is initialized, and so is the event when parsing succeeded.
        unsafe {
            if libyaml::yaml_parser_parse(self.parser.as_ptr(), event.as_mut_ptr()).ok {
                let mut event = event.assume_init();
                event.start_mark.index += self.uncounted;
                event.end_mark.index += self.uncounted;
                return Ok(Event(event));
            }
        }
        Err(self.broken())
    }

    fn broken(&self) -> Broken {
        // SAFETY: the parser is initialized; its problem is a constant of libyaml, or null.
        let (parser, problem) = unsafe {
            let parser = self.parser.as_ref();
            (parser, (!parser.problem.is_null()).then(|| CStr::from_ptr(parser.problem.cast())))
        };
        let problem = problem.map_or("it cannot be parsed".into(), CStr::to_string_lossy);
        let has_tokens = parser.error == libyaml::YAML_PARSER_ERROR;
        let line = match parser.error {
            // An error about invalid characters has only an offset.
            libyaml::YAML_READER_ERROR => {
                let before = &self.text[..self.text.len().min(parser.problem_offset as usize)];
                before.iter().filter(|byte| **byte == b'\n').count()
            }
            _ => parser.problem_mark.line as usize,
        };
        Broken { line: line + 1, problem: problem.into_owned(), has_tokens }
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        // SAFETY: the parser is initialized, came from a box, and is not used again.
        unsafe {
            libyaml::yaml_parser_delete(self.parser.as_ptr());
            drop(Box::from_raw(self.parser.as_ptr()));
        }
    }
}

impl Event {
    /// The line it starts on, from 1.
    pub fn line(&self) -> usize {
        self.0.start_mark.line as usize + 1
    }

    /// Its position in the text, in bytes. A block scalar ends where the next thing starts.
    pub fn span(&self) -> Span {
        Span { start: self.0.start_mark.index as usize, end: self.0.end_mark.index as usize }
    }

    /// The number of characters before it on its line.
    pub fn column(&self) -> usize {
        self.0.start_mark.column as usize
    }

    /// Its content.
    pub fn content(&self) -> Said<'_> {
        let data = &self.0.data;
        // SAFETY: libyaml fills the part of the union that belongs to the type, with texts that live as long as the
        // event.
        unsafe {
            match self.0.type_ {
                libyaml::YAML_ALIAS_EVENT => Said::Alias(text(data.alias.anchor).unwrap_or_default()),
                libyaml::YAML_SCALAR_EVENT => Said::Scalar {
                    anchor: text(data.scalar.anchor),
                    tag: text(data.scalar.tag),
                    text: utf8(slice::from_raw_parts(data.scalar.value, data.scalar.length as usize)),
                    style: match data.scalar.style {
                        libyaml::YAML_PLAIN_SCALAR_STYLE => Style::Plain,
                        libyaml::YAML_SINGLE_QUOTED_SCALAR_STYLE | libyaml::YAML_DOUBLE_QUOTED_SCALAR_STYLE => {
                            Style::Quoted
                        }
                        _ => Style::Block,
                    },
                },
                libyaml::YAML_SEQUENCE_START_EVENT => Said::ListStart {
                    anchor: text(data.sequence_start.anchor),
                    is_flow: data.sequence_start.style == libyaml::YAML_FLOW_SEQUENCE_STYLE,
                },
                libyaml::YAML_MAPPING_START_EVENT => Said::MapStart {
                    anchor: text(data.mapping_start.anchor),
                    is_flow: data.mapping_start.style == libyaml::YAML_FLOW_MAPPING_STYLE,
                },
                libyaml::YAML_SEQUENCE_END_EVENT | libyaml::YAML_MAPPING_END_EVENT => Said::End,
                libyaml::YAML_DOCUMENT_END_EVENT => Said::DocumentEnd,
                libyaml::YAML_STREAM_END_EVENT | libyaml::YAML_NO_EVENT => Said::StreamEnd,
                libyaml::YAML_DOCUMENT_START_EVENT => Said::DocumentStart {
                    version: data
                        .document_start
                        .version_directive
                        .as_ref()
                        .map(|version| (version.major, version.minor)),
                },
                _ => Said::StreamStart,
            }
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is initialized, and not used again.
        unsafe { libyaml::yaml_event_delete(&mut self.0) }
    }
}

/// A text that ends with a null byte.
///
/// # Safety
///
/// `start` is such a text and lives as long as `'e`; or it is null.
unsafe fn text<'e>(start: *const u8) -> Option<&'e str> {
    // SAFETY: as above.
    (!start.is_null()).then(|| utf8(unsafe { CStr::from_ptr(start.cast()) }.to_bytes()))
}

/// libyaml writes only UTF-8.
fn utf8(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or("\u{fffd}")
}

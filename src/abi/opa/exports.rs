//! OPA's ABI: the memory that a host and a module share, and the functions that it calls. All that is unsafe is here.
//!
//! The heap grows upwards from `__heap_base`. Hosts write into it themselves, above the heap pointer, and set the pointer back to
//! free what an evaluation took; so nothing is kept there between calls. A value is the address of its text in JSON, which ends
//! with a zero byte: to parse is to copy, to dump gives it back.

#![allow(unsafe_code, reason = "memory is shared with the host, and the names are OPA's")]

use std::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32::{memory_grow, memory_size},
    ffi::{CStr, c_char},
    ptr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::{ENTRYPOINTS, evaluate};
use crate::decision::Policies;

const PAGE: usize = 1 << 16;

/// Gives out what is above the heap pointer, and takes back what was given out last.
struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

/// The heap pointer; 0 until it is asked for.
static TOP: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    static __heap_base: u8;
}

fn top() -> usize {
    match TOP.load(Relaxed) {
        0 => (&raw const __heap_base).addr(),
        top => top,
    }
}

/// Moves the heap pointer, to where there is memory. Whether there is.
fn set_top(top: usize) -> bool {
    let missing = top.saturating_sub(memory_size(0) * PAGE).div_ceil(PAGE);
    let is_there = missing == 0 || memory_grow(0, missing) != usize::MAX;
    if is_there {
        TOP.store(top, Relaxed);
    }
    is_there
}

// SAFETY: what is given out is above all that was given out before, aligned, and memory there is. A module has one thread.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = top().next_multiple_of(layout.align());
        let end = start.checked_add(layout.size());
        if end.is_some_and(set_top) { ptr::with_exposed_provenance_mut(start) } else { ptr::null_mut() }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if start.addr() + layout.size() == top() {
            TOP.store(start.addr(), Relaxed);
        }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let is_last = start.addr() + layout.size() == top();
        if is_last {
            return if start.addr().checked_add(size).is_some_and(set_top) { start } else { ptr::null_mut() };
        }
        if size <= layout.size() {
            return start;
        }
        // SAFETY: as the caller says of `start`, `layout` and `size`; the new memory is above the old.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(start, moved, layout.size());
            }
            moved
        }
    }
}

/// The address of a text in JSON, with a zero byte behind it.
type Value = *const c_char;

/// Keeps a text until the host sets the heap pointer back.
fn value(text: &str) -> Value {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes.leak().as_ptr().cast()
}

/// The text at an address, without what is behind its zero byte; `None` where it is no UTF-8.
///
/// # Safety
///
/// The host has written so many bytes there.
unsafe fn text<'h>(start: *const u8, length: usize) -> Option<&'h str> {
    // SAFETY: as the caller says.
    let bytes = unsafe { std::slice::from_raw_parts(start, length) };
    // Some hosts count the zero byte at its end.
    str::from_utf8(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).ok()
}

/// The text of a value; `null` for none.
///
/// # Safety
///
/// It is 0, or what [`value`] gave out since the heap pointer was last set to something below it.
unsafe fn text_of<'h>(value: Value) -> Option<&'h str> {
    if value.is_null() {
        return Some("null");
    }
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(value) }.to_str().ok()
}

/// What an entrypoint answers to an input; of what is no UTF-8, that it cannot be read.
fn answer(entrypoint: usize, input: Option<&str>, data: Option<&str>) -> String {
    evaluate(&Policies::BUILT, entrypoint, input.unwrap_or_default(), data.unwrap_or_default())
}

#[unsafe(no_mangle)]
extern "C" fn opa_malloc(size: usize) -> *mut u8 {
    Vec::with_capacity(size).leak().as_mut_ptr()
}

/// What is freed is freed when the heap pointer is set back.
#[unsafe(no_mangle)]
extern "C" fn opa_free(_: *mut u8) {}

#[unsafe(no_mangle)]
extern "C" fn opa_heap_ptr_get() -> usize {
    top()
}

#[unsafe(no_mangle)]
extern "C" fn opa_heap_ptr_set(top: usize) {
    set_top(top);
}

#[unsafe(no_mangle)]
extern "C" fn opa_heap_blocks_stash() {}

#[unsafe(no_mangle)]
extern "C" fn opa_heap_blocks_restore() {}

#[unsafe(no_mangle)]
extern "C" fn opa_heap_stash_clear() {}

/// # Safety
///
/// The host has written a text there.
#[unsafe(no_mangle)]
unsafe extern "C" fn opa_json_parse(start: *const u8, length: usize) -> Value {
    // SAFETY: as the caller says.
    unsafe { text(start, length) }.map_or(ptr::null(), value)
}

/// # Safety
///
/// As for [`opa_json_parse`].
#[unsafe(no_mangle)]
unsafe extern "C" fn opa_value_parse(start: *const u8, length: usize) -> Value {
    // SAFETY: as the caller says.
    unsafe { opa_json_parse(start, length) }
}

#[unsafe(no_mangle)]
extern "C" fn opa_json_dump(value: Value) -> Value {
    value
}

#[unsafe(no_mangle)]
extern "C" fn opa_value_dump(value: Value) -> Value {
    value
}

/// OPA's number for what is not implemented: data comes as a whole.
const NOT_IMPLEMENTED: i32 = 4;

#[unsafe(no_mangle)]
extern "C" fn opa_value_add_path(_: Value, _: Value, _: Value) -> i32 {
    NOT_IMPLEMENTED
}

#[unsafe(no_mangle)]
extern "C" fn opa_value_remove_path(_: Value, _: Value) -> i32 {
    NOT_IMPLEMENTED
}

/// The functions of Rego that the host is to have: none.
#[unsafe(no_mangle)]
extern "C" fn builtins() -> Value {
    c"{}".as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn entrypoints() -> Value {
    let numbered = ENTRYPOINTS.iter().enumerate().map(|(number, name)| format!("\"{name}\":{number}"));
    value(&format!("{{{}}}", numbered.collect::<Vec<_>>().join(",")))
}

/// An evaluation in steps, as engines do it that know no `opa_eval`.
struct Context {
    input: Value,
    data: Value,
    entrypoint: usize,
    result: Value,
}

#[unsafe(no_mangle)]
extern "C" fn opa_eval_ctx_new() -> *mut Context {
    let none = ptr::null();
    Box::into_raw(Box::new(Context { input: none, data: none, entrypoint: 0, result: none }))
}

/// # Safety
///
/// The context is of [`opa_eval_ctx_new`], as for all that follow.
#[unsafe(no_mangle)]
unsafe extern "C" fn opa_eval_ctx_set_input(context: *mut Context, input: Value) {
    // SAFETY: as the caller says.
    unsafe { (*context).input = input }
}

/// # Safety
///
/// See [`opa_eval_ctx_set_input`].
#[unsafe(no_mangle)]
unsafe extern "C" fn opa_eval_ctx_set_data(context: *mut Context, data: Value) {
    // SAFETY: as the caller says.
    unsafe { (*context).data = data }
}

/// # Safety
///
/// See [`opa_eval_ctx_set_input`].
#[unsafe(no_mangle)]
unsafe extern "C" fn opa_eval_ctx_set_entrypoint(context: *mut Context, entrypoint: usize) {
    // SAFETY: as the caller says.
    unsafe { (*context).entrypoint = entrypoint }
}

/// # Safety
///
/// See [`opa_eval_ctx_set_input`].
#[unsafe(no_mangle)]
unsafe extern "C" fn opa_eval_ctx_get_result(context: *mut Context) -> Value {
    // SAFETY: as the caller says.
    unsafe { (*context).result }
}

/// # Safety
///
/// See [`opa_eval_ctx_set_input`]; what was set are values.
#[unsafe(no_mangle)]
unsafe extern "C" fn eval(context: *mut Context) -> i32 {
    // SAFETY: as the caller says.
    let (context, input, data) = unsafe { (&mut *context, text_of((*context).input), text_of((*context).data)) };
    context.result = value(&format!("[{{\"result\":{}}}]", answer(context.entrypoint, input, data)));
    0
}

/// Evaluates in one step. The heap pointer, above which nothing is kept, comes with it; so does the format: 0 for a list in JSON, 1
/// for a set as Rego writes it.
///
/// # Safety
///
/// `data` is a value, and the host has written the input.
#[unsafe(no_mangle)]
unsafe extern "C" fn opa_eval(
    _: i32,
    entrypoint: usize,
    data: Value,
    input: *const u8,
    length: usize,
    heap: usize,
    format: i32,
) -> Value {
    set_top(heap);
    // SAFETY: as the caller says.
    let (input, data) = unsafe { (text(input, length), text_of(data)) };
    let answer = answer(entrypoint, input, data);
    value(&if format == 0 { format!("[{{\"result\":{answer}}}]") } else { format!("{{{{\"result\":{answer}}}}}") })
}

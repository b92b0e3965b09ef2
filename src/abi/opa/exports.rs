//! OPA's ABI: the memory that a host and a module share, and the functions that the host calls. All unsafe code is here.
//!
//! The heap grows upwards from `__heap_base`. Hosts write above the heap pointer themselves, and set the pointer back to free the
//! memory of an evaluation, so the module keeps nothing there between calls. A value is the address of its JSON text, which ends
//! with a zero byte: parsing copies the text, and dumping returns it.

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

/// Allocates above the heap pointer, and frees only the last allocation.
struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

/// The heap pointer; 0 before it is first moved, which stands for `__heap_base`.
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

/// Moves the heap pointer, and grows the memory if necessary. Returns whether there is enough memory.
fn set_top(top: usize) -> bool {
    let missing = top.saturating_sub(memory_size(0) * PAGE).div_ceil(PAGE);
    let is_there = missing == 0 || memory_grow(0, missing) != usize::MAX;
    if is_there {
        TOP.store(top, Relaxed);
    }
    is_there
}

// SAFETY: each allocation is aligned, above all live ones, and within the memory. A module has one thread.
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
        // SAFETY: the caller vouches for `start`, `layout` and `size`; the new memory is above the old.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(start, moved, layout.size());
            }
            moved
        }
    }
}

/// The address of a JSON text that ends with a zero byte.
type Value = *const c_char;

/// Copies a text to the heap, where it stays until the host sets the heap pointer back.
fn value(text: &str) -> Value {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes.leak().as_ptr().cast()
}

/// The text at an address, up to its zero byte; `None` if it is not UTF-8.
///
/// # Safety
///
/// The host has written `length` bytes there.
unsafe fn text<'h>(start: *const u8, length: usize) -> Option<&'h str> {
    // SAFETY: the caller guarantees it.
    let bytes = unsafe { std::slice::from_raw_parts(start, length) };
    // Some hosts include the zero byte in the length.
    str::from_utf8(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).ok()
}

/// The text of a value; `null` for a null pointer.
///
/// # Safety
///
/// It is 0, or [`value`] returned it and the heap pointer has not been below it since.
unsafe fn text_of<'h>(value: Value) -> Option<&'h str> {
    if value.is_null() {
        return Some("null");
    }
    // SAFETY: the caller guarantees it.
    unsafe { CStr::from_ptr(value) }.to_str().ok()
}

/// The answer of an entrypoint to an input. For invalid UTF-8, the answer says that the input cannot be read.
fn answer(entrypoint: usize, input: Option<&str>, data: Option<&str>) -> String {
    evaluate(&Policies::BUILT, entrypoint, input.unwrap_or_default(), data.unwrap_or_default())
}

#[unsafe(no_mangle)]
extern "C" fn opa_malloc(size: usize) -> *mut u8 {
    Vec::with_capacity(size).leak().as_mut_ptr()
}

/// Does nothing: the host frees memory when it sets the heap pointer back.
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
    // SAFETY: the caller guarantees it.
    unsafe { text(start, length) }.map_or(ptr::null(), value)
}

/// # Safety
///
/// The same as for [`opa_json_parse`].
#[unsafe(no_mangle)]
unsafe extern "C" fn opa_value_parse(start: *const u8, length: usize) -> Value {
    // SAFETY: the caller guarantees it.
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

/// OPA's number for "not implemented": `data` can only be set as a whole.
const NOT_IMPLEMENTED: i32 = 4;

#[unsafe(no_mangle)]
extern "C" fn opa_value_add_path(_: Value, _: Value, _: Value) -> i32 {
    NOT_IMPLEMENTED
}

#[unsafe(no_mangle)]
extern "C" fn opa_value_remove_path(_: Value, _: Value) -> i32 {
    NOT_IMPLEMENTED
}

/// The Rego functions that the host must provide: none.
#[unsafe(no_mangle)]
extern "C" fn builtins() -> Value {
    c"{}".as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn entrypoints() -> Value {
    let numbered = ENTRYPOINTS.iter().enumerate().map(|(number, name)| format!("\"{name}\":{number}"));
    value(&format!("{{{}}}", numbered.collect::<Vec<_>>().join(",")))
}

/// An evaluation in steps, for engines that do not use `opa_eval`.
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
/// The context comes from [`opa_eval_ctx_new`]. The same holds for the functions below.
#[unsafe(no_mangle)]
unsafe extern "C" fn opa_eval_ctx_set_input(context: *mut Context, input: Value) {
    // SAFETY: the caller guarantees it.
    unsafe { (*context).input = input }
}

/// # Safety
///
/// See [`opa_eval_ctx_set_input`].
#[unsafe(no_mangle)]
unsafe extern "C" fn opa_eval_ctx_set_data(context: *mut Context, data: Value) {
    // SAFETY: the caller guarantees it.
    unsafe { (*context).data = data }
}

/// # Safety
///
/// See [`opa_eval_ctx_set_input`].
#[unsafe(no_mangle)]
unsafe extern "C" fn opa_eval_ctx_set_entrypoint(context: *mut Context, entrypoint: usize) {
    // SAFETY: the caller guarantees it.
    unsafe { (*context).entrypoint = entrypoint }
}

/// # Safety
///
/// See [`opa_eval_ctx_set_input`].
#[unsafe(no_mangle)]
unsafe extern "C" fn opa_eval_ctx_get_result(context: *mut Context) -> Value {
    // SAFETY: the caller guarantees it.
    unsafe { (*context).result }
}

/// # Safety
///
/// See [`opa_eval_ctx_set_input`]; the input and the data are values.
#[unsafe(no_mangle)]
unsafe extern "C" fn eval(context: *mut Context) -> i32 {
    // SAFETY: the caller guarantees it.
    let (context, input, data) = unsafe { (&mut *context, text_of((*context).input), text_of((*context).data)) };
    context.result = value(&format!("[{{\"result\":{}}}]", answer(context.entrypoint, input, data)));
    0
}

/// Evaluates in one step. `heap` is the heap pointer: nothing above it is kept. `format` is 0 for a JSON list, and 1
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
    // SAFETY: the caller guarantees it.
    let (input, data) = unsafe { (text(input, length), text_of(data)) };
    let answer = answer(entrypoint, input, data);
    value(&if format == 0 { format!("[{{\"result\":{answer}}}]") } else { format!("{{{{\"result\":{answer}}}}}") })
}

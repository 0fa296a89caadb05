//! The static library that Capsule's C links: Wasmtime's C API, re-exported as it is, and a TOML reader
//! that keeps line numbers (`include/capsule_toml.h` is its contract).
//!
//! The reader turns a document into JSON, so that the C side has one kind of tree to walk. Every key's
//! value is wrapped, because an error about a value must be able to name its line.

use std::fmt::Write;
use toml_edit::{Document, InlineTable, Item, Key, Table, Value};

pub use wasmtime_c_api::*;

/// A message and the byte in the text that it is about.
struct Fault {
    message: String,
    offset: usize,
}

type Step = Result<(), Fault>;

struct Writer {
    json: String,
    /// Byte offsets at which lines 2, 3, … begin.
    line_starts: Vec<usize>,
}

impl Writer {
    fn new(text: &str) -> Self {
        Writer {
            json: String::with_capacity(text.len() * 2),
            line_starts: text.match_indices('\n').map(|(at, _)| at + 1).collect(),
        }
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.line_starts.partition_point(|&start| start <= offset)
    }

    fn string(&mut self, text: &str) {
        self.json.push('"');
        for c in text.chars() {
            match c {
                '"' => self.json.push_str("\\\""),
                '\\' => self.json.push_str("\\\\"),
                c if (c as u32) < 0x20 => {
                    let _ = write!(self.json, "\\u{:04x}", c as u32);
                }
                c => self.json.push(c),
            }
        }
        self.json.push('"');
    }

    /// Writes `[open, item, item, …, close]` with the commas in between.
    fn sequence<T>(
        &mut self,
        brackets: [char; 2],
        items: impl Iterator<Item = T>,
        mut each: impl FnMut(&mut Self, T) -> Step,
    ) -> Step {
        self.json.push(brackets[0]);
        for (i, item) in items.enumerate() {
            if i > 0 {
                self.json.push(',');
            }
            each(self, item)?;
        }
        self.json.push(brackets[1]);
        Ok(())
    }

    /// `"key":{"line":N,"table":…}` or `"key":{"line":N,"value":…}`.
    fn entry(&mut self, key: &Key, item: &Item) -> Step {
        let offset = key.span().or_else(|| item.span()).map_or(0, |span| span.start);
        let line = self.line(offset);
        self.string(key.get());
        let _ = write!(self.json, ":{{\"line\":{line},");
        match item {
            Item::Table(table) => {
                self.json.push_str("\"table\":");
                self.table(table)?;
            }
            Item::Value(Value::InlineTable(table)) => {
                self.json.push_str("\"table\":");
                self.sequence(['{', '}'], keys_of_inline(table), |w, (key, value)| w.entry(key, value))?;
            }
            other => {
                self.json.push_str("\"value\":");
                self.plain_item(other, offset)?;
            }
        }
        self.json.push('}');
        Ok(())
    }

    fn table(&mut self, table: &Table) -> Step {
        let entries = table.iter().filter_map(|(name, _)| table.get_key_value(name));
        self.sequence(['{', '}'], entries, |w, (key, item)| w.entry(key, item))
    }

    fn plain_item(&mut self, item: &Item, offset: usize) -> Step {
        match item {
            Item::None => {
                self.json.push_str("null");
                Ok(())
            }
            Item::Value(value) => self.plain(value, offset),
            Item::Table(table) => self.sequence(['{', '}'], table.iter(), |w, (name, item)| {
                w.string(name);
                w.json.push(':');
                w.plain_item(item, offset)
            }),
            Item::ArrayOfTables(tables) => self.sequence(['[', ']'], tables.iter(), |w, table| {
                w.sequence(['{', '}'], table.iter(), |w, (name, item)| {
                    w.string(name);
                    w.json.push(':');
                    w.plain_item(item, offset)
                })
            }),
        }
    }

    fn plain(&mut self, value: &Value, offset: usize) -> Step {
        let offset = value.span().map_or(offset, |span| span.start);
        match value {
            Value::String(text) => self.string(text.value()),
            Value::Boolean(flag) => self.json.push_str(if *flag.value() { "true" } else { "false" }),
            Value::Integer(number) => {
                let _ = write!(self.json, "{}", number.value());
            }
            Value::Float(number) if number.value().is_finite() => {
                // Debug formatting is the one that always reads back as a float.
                let _ = write!(self.json, "{:?}", number.value());
            }
            Value::Float(_) => {
                let message = "a number must be finite (no inf, no nan)".to_string();
                return Err(Fault { message, offset });
            }
            Value::Datetime(time) => self.string(&time.value().to_string()),
            Value::Array(array) => {
                return self.sequence(['[', ']'], array.iter(), |w, item| w.plain(item, offset));
            }
            Value::InlineTable(table) => {
                return self.sequence(['{', '}'], table.iter(), |w, (name, value)| {
                    w.string(name);
                    w.json.push(':');
                    w.plain(value, offset)
                });
            }
        }
        Ok(())
    }
}

fn keys_of_inline(table: &InlineTable) -> impl Iterator<Item = (&Key, &Item)> {
    table.iter().filter_map(|(name, _)| table.get_key_value(name))
}

/// The document as JSON, or a message with its line (0: none).
fn convert(bytes: &[u8]) -> Result<String, (String, usize)> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let newlines = bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        ("the file is not valid UTF-8".to_string(), 1 + newlines)
    })?;
    let mut writer = Writer::new(text);
    let located = |writer: &Writer, fault: Fault| (fault.message, writer.line(fault.offset));
    let document = Document::parse(text).map_err(|e| {
        let offset = e.span().map_or(0, |span| span.start);
        // The parser explains itself over several lines; a message of ours is one line.
        let message = e.message().trim().replace('\n', "; ");
        located(&writer, Fault { message, offset })
    })?;
    writer.table(document.as_table()).map_err(|fault| located(&writer, fault))?;
    Ok(writer.json)
}

/// See `capsule_toml.h`.
///
/// # Safety
/// `text` is readable for `len` bytes, `err` writable for `err_cap`, and the other pointers are valid.
#[no_mangle]
pub unsafe extern "C" fn capsule_toml_to_json(
    text: *const std::ffi::c_char,
    len: usize,
    ret_json: *mut *mut std::ffi::c_char,
    ret_len: *mut usize,
    err: *mut std::ffi::c_char,
    err_cap: usize,
    err_line: *mut u32,
) -> i32 {
    let bytes = if len == 0 { &[][..] } else { std::slice::from_raw_parts(text.cast::<u8>(), len) };
    match convert(bytes) {
        Ok(json) => {
            let json = json.into_bytes().into_boxed_slice();
            *ret_len = json.len();
            *ret_json = Box::into_raw(json).cast();
            0
        }
        Err((message, line)) => {
            *err_line = u32::try_from(line).unwrap_or(u32::MAX);
            if err_cap > 0 {
                // Never half a character: C prints the message as UTF-8.
                let mut n = message.len().min(err_cap - 1);
                while !message.is_char_boundary(n) {
                    n -= 1;
                }
                std::ptr::copy_nonoverlapping(message.as_ptr(), err.cast::<u8>(), n);
                *err.add(n) = 0;
            }
            -1
        }
    }
}

/// See `capsule_toml.h`.
///
/// # Safety
/// `json` and `len` are what one call of `capsule_toml_to_json` gave, and not freed before; or `json` is NULL.
#[no_mangle]
pub unsafe extern "C" fn capsule_toml_free(json: *mut std::ffi::c_char, len: usize) {
    if !json.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(json.cast::<u8>(), len)));
    }
}

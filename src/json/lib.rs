//! What is done to every JSON record that a source gives: read it, look into it, redact it, hash it, write it.
//!
//! A crate of its own because all of an extraction passes through here: it is optimised also in a development build, as
//! the dependencies are whose inner loops count (see `[profile.dev]`).

mod hash;
mod path;
mod redact;

use serde_json::Value;

pub use hash::{canonical, content_hash};
pub use path::{Fate, NotAnObject, Pattern, change, look_up, open};
pub use redact::{Sensitive, redact};

/// Reads an answer as JSON.
///
/// # Errors
/// No JSON, or no UTF-8.
pub fn read(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// A value as JSON text: its keys in their order, its numbers as they were written.
pub fn text(value: &Value) -> String {
    value.to_string()
}

/// A copy of a value, made here: a derived `clone` is compiled where it is called.
pub fn copy(value: &Value) -> Value {
    value.clone()
}

//! What is done to every JSON record that a source gives: read it, look into it, redact it, hash it, take typed values.
//!
//! No tree is built of a record: a [`Tape`] says where each value begins and ends in the text as received, and everything
//! else looks at that text. A crate of its own because all of an extraction passes through here: it is optimised also in a
//! development build, as the dependencies are whose inner loops count (see `[profile.dev]`).

mod cell;
mod hash;
mod links;
mod names;
mod path;
mod record;
mod redact;
mod slice;
mod tape;
mod text;

use serde_json::Value;

pub use cell::{Cell, Form, cell, decimal};
pub use hash::{HashSpace, canonical, content_hash};
pub use links::without_signatures;
pub use path::{NotAnObject, Pattern, look_up};
pub use record::{BadValue, Plan, Read, Space};
pub use redact::{Fields, Rules, Sensitive, redact};
pub use slice::Slice;
pub use tape::{Json, Kind, Malformed, Node, Tape};

/// A value as JSON text: its keys in their order, its numbers as they were written.
pub fn text(value: &Value) -> String {
    value.to_string()
}

//! Parts of a text that share it: records of a page, values of a record.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tape::Node;

/// A part of a text that is kept as long as one of its parts is.
#[derive(Clone)]
pub struct Slice {
    text: Arc<String>,
    from: usize,
    to: usize,
}

impl Slice {
    /// Some bytes of a text.
    pub(crate) fn new(text: &Arc<String>, bytes: Range<usize>) -> Self {
        Self { text: Arc::clone(text), from: bytes.start, to: bytes.end }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.text.get(self.from..self.to).unwrap_or_default()
    }

    /// The slice of some of its bytes; none where they are not there or cut a letter.
    pub fn part(&self, bytes: Range<usize>) -> Option<Self> {
        self.as_str().get(bytes.clone())?;
        Some(Self::new(&self.text, self.from + bytes.start..self.from + bytes.end))
    }

    /// The slice of a value that was read from this slice.
    #[must_use]
    pub fn of(&self, node: Node<'_>) -> Self {
        let (from, to) = node.span();
        Self::new(&self.text, self.from + from..self.from + to)
    }
}

/// Only the part: the rest of the text may hold what must not be told.
impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for Slice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Slice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl From<String> for Slice {
    fn from(text: String) -> Self {
        let to = text.len();
        Self { text: Arc::new(text), from: 0, to }
    }
}

//! JSON text as a tape: where each value begins and ends, in the order of the text. No value is copied, no tree is built;
//! the tape is used again for the next record.
//!
//! Accepts what RFC 8259 calls JSON, but for halves of surrogate pairs, which read as U+FFFD. Of fields with one name the
//! last counts, as everywhere else.

use std::borrow::Cow;
use std::fmt;

use crate::slice::Slice;
use crate::text::unescape;

/// Values inside one another, at most.
const DEPTH_MAX: usize = 128;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number, its digits as they were written.
    Number,
    /// A text.
    Text,
    /// A list.
    List,
    /// An object.
    Object,
}

/// A value's place: for texts without the quotes. The name of a field stands just before its value.
#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: Kind,
    has_escapes: bool,
    from: u32,
    to: u32,
    /// The entry after this value and all that it holds.
    after: u32,
}

/// Why a text is no JSON, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The byte at which it stops being JSON.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for Malformed {}

/// The places of all values of a text. One is enough for any number of texts, one after another.
#[derive(Clone, Debug, Default)]
pub struct Tape(Vec<Entry>);

impl Tape {
    /// Reads a text.
    ///
    /// # Errors
    /// No JSON, or longer than 4 GB.
    pub fn read<'t>(&'t mut self, text: &'t str) -> Result<Node<'t>, Malformed> {
        self.fill(text)?;
        Ok(self.root(text))
    }

    fn fill(&mut self, text: &str) -> Result<(), Malformed> {
        self.0.clear();
        if u32::try_from(text.len()).is_err() {
            return Err(Malformed { at: 0, what: "more than 4 GB" });
        }
        let mut parser = Parser { bytes: text.as_bytes(), at: 0, entries: &mut self.0 };
        parser.space();
        parser.value(0)?;
        parser.space();
        if parser.at == parser.bytes.len() { Ok(()) } else { Err(parser.wrong("something after the end")) }
    }

    fn root<'t>(&'t self, text: &'t str) -> Node<'t> {
        Node { text, entries: &self.0, at: 0 }
    }
}

/// A text with its tape.
#[derive(Clone, Debug)]
pub struct Json {
    text: std::sync::Arc<String>,
    tape: Tape,
}

impl Json {
    /// Reads an answer.
    ///
    /// # Errors
    /// No JSON, or no UTF-8.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| Malformed { at: error.valid_up_to(), what: "no UTF-8" })?;
        let mut tape = Tape::default();
        // A byte order mark is no JSON, but some servers send one.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        tape.fill(&text)?;
        Ok(Self { text: std::sync::Arc::new(text), tape })
    }

    /// The value.
    pub fn root(&self) -> Node<'_> {
        self.tape.root(&self.text)
    }

    /// A value of this text as a text of its own, without copying it.
    pub fn slice(&self, node: Node<'_>) -> Slice {
        let (from, to) = node.span();
        Slice::new(&self.text, from..to)
    }
}

/// One value of a text.
#[derive(Clone, Copy)]
pub struct Node<'t> {
    text: &'t str,
    entries: &'t [Entry],
    at: usize,
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.raw())
    }
}

impl<'t> Node<'t> {
    fn entry(self) -> Entry {
        let none = Entry { kind: Kind::Null, has_escapes: false, from: 0, to: 0, after: 0 };
        self.entries.get(self.at).copied().unwrap_or(none)
    }

    /// Its place on the tape.
    pub(crate) fn place(self) -> usize {
        self.at
    }

    /// Another value of the same tape.
    pub(crate) fn other(self, place: usize) -> Self {
        Self { at: place, ..self }
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        self.entry().kind
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Where it stands in its text, quotes included.
    pub fn span(self) -> (usize, usize) {
        let entry = self.entry();
        let quote = usize::from(entry.kind == Kind::Text);
        (entry.from as usize - quote, entry.to as usize + quote)
    }

    /// The value as it was written.
    pub fn raw(self) -> &'t str {
        let (from, to) = self.span();
        self.text.get(from..to).unwrap_or_default()
    }

    /// What stands between the quotes of a text, or the value as it was written.
    pub fn inner(self) -> &'t str {
        let entry = self.entry();
        self.text.get(entry.from as usize..entry.to as usize).unwrap_or_default()
    }

    /// Whether a text holds escapes.
    pub fn has_escapes(self) -> bool {
        self.entry().has_escapes
    }

    /// A text's letters, or any other value as it was written.
    pub fn letters(self) -> Cow<'t, str> {
        if self.has_escapes() { Cow::Owned(unescape(self.inner())) } else { Cow::Borrowed(self.inner()) }
    }

    /// A text's letters; none of anything else.
    pub fn as_text(self) -> Option<Cow<'t, str>> {
        (self.kind() == Kind::Text).then(|| self.letters())
    }

    /// What a list holds; nothing if it is none.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let entry = self.entry();
        let mut at = self.at + 1;
        let end = if entry.kind == Kind::List { entry.after as usize } else { 0 };
        std::iter::from_fn(move || {
            let item = (at < end).then_some(Node { at, ..self })?;
            at = item.entry().after as usize;
            Some(item)
        })
    }

    /// Names and values of an object's fields in their order; nothing if it is none.
    pub fn fields(self) -> impl Iterator<Item = (Self, Self)> {
        let entry = self.entry();
        let mut at = self.at + 1;
        let end = if entry.kind == Kind::Object { entry.after as usize } else { 0 };
        std::iter::from_fn(move || {
            let name = (at < end).then_some(Node { at, ..self })?;
            let value = Node { at: at + 1, ..self };
            at = value.entry().after as usize;
            Some((name, value))
        })
    }

    /// Whether a text is this.
    pub fn is(self, letters: &str) -> bool {
        if self.has_escapes() { self.letters() == letters } else { self.inner() == letters }
    }

    /// The field of an object by its name.
    pub fn get(self, name: &str) -> Option<Self> {
        self.fields().filter(|(found, _)| found.is(name)).last().map(|(_, value)| value)
    }
}

struct Parser<'t, 'e> {
    bytes: &'t [u8],
    at: usize,
    entries: &'e mut Vec<Entry>,
}

impl Parser<'_, '_> {
    fn wrong(&self, what: &'static str) -> Malformed {
        let what = if self.at >= self.bytes.len() { "it ends too early" } else { what };
        Malformed { at: self.at, what }
    }

    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// A list or an object begins; its end is set when it is known.
    #[expect(clippy::cast_possible_truncation, reason = "a text is shorter than 4 GB, and has fewer values than bytes")]
    fn begin(&mut self, kind: Kind) -> usize {
        let from = self.at as u32;
        self.entries.push(Entry { kind, has_escapes: false, from, to: from, after: 0 });
        self.entries.len() - 1
    }

    #[expect(clippy::cast_possible_truncation, reason = "a text is shorter than 4 GB, and has fewer values than bytes")]
    fn end(&mut self, place: usize) {
        let (to, after) = (self.at as u32, self.entries.len() as u32);
        if let Some(entry) = self.entries.get_mut(place) {
            (entry.to, entry.after) = (to, after);
        }
    }

    /// A value that holds no others, up to here.
    #[expect(clippy::cast_possible_truncation, reason = "a text is shorter than 4 GB, and has fewer values than bytes")]
    fn plain(&mut self, kind: Kind, from: usize, has_escapes: bool) {
        let (from, to, after) = (from as u32, self.at as u32, self.entries.len() as u32 + 1);
        self.entries.push(Entry { kind, has_escapes, from, to, after });
    }

    fn value(&mut self, depth: usize) -> Result<(), Malformed> {
        if depth > DEPTH_MAX {
            return Err(self.wrong("values too deep inside one another"));
        }
        match self.peek() {
            b'"' => self.text(),
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true", Kind::Bool),
            b'f' => self.word(b"false", Kind::Bool),
            b'n' => self.word(b"null", Kind::Null),
            _ => Err(self.wrong("no value")),
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<(), Malformed> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word) {
            let same = |(left, right): (&u8, &u8)| left == right;
            self.at += self.bytes.iter().skip(self.at).zip(word).take_while(|pair| same(*pair)).count();
            return Err(self.wrong("no value"));
        }
        let from = std::mem::replace(&mut self.at, end);
        self.plain(kind, from, false);
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        if !self.peek().is_ascii_digit() {
            return Err(self.wrong("no digit"));
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        let from = self.at;
        self.at += usize::from(self.peek() == b'-');
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), b'+' | b'-'));
            self.digits()?;
        }
        self.plain(Kind::Number, from, false);
        Ok(())
    }

    fn text(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        let (from, mut has_escapes) = (self.at, false);
        loop {
            self.at = plain_until(self.bytes, self.at);
            match self.peek() {
                b'"' => break,
                b'\\' => {
                    has_escapes = true;
                    self.escape()?;
                }
                _ => return Err(self.wrong("a control character in a text")),
            }
        }
        self.plain(Kind::Text, from, has_escapes);
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                for _ in 0..4 {
                    self.at += 1;
                    if !self.peek().is_ascii_hexdigit() {
                        return Err(self.wrong("no hexadecimal digit"));
                    }
                }
                self.at += 1;
            }
            _ => return Err(self.wrong("an unknown escape")),
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<(), Malformed> {
        let place = self.begin(Kind::List);
        self.at += 1;
        self.space();
        if self.peek() != b']' {
            loop {
                self.value(depth + 1)?;
                self.space();
                match self.peek() {
                    b',' => self.at += 1,
                    b']' => break,
                    _ => return Err(self.wrong("neither `,` nor `]`")),
                }
                self.space();
            }
        }
        self.at += 1;
        self.end(place);
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), Malformed> {
        let place = self.begin(Kind::Object);
        self.at += 1;
        self.space();
        if self.peek() != b'}' {
            loop {
                if self.peek() != b'"' {
                    return Err(self.wrong("no name of a field"));
                }
                self.text()?;
                self.space();
                if self.peek() != b':' {
                    return Err(self.wrong("no `:`"));
                }
                self.at += 1;
                self.space();
                self.value(depth + 1)?;
                self.space();
                match self.peek() {
                    b',' => self.at += 1,
                    b'}' => break,
                    _ => return Err(self.wrong("neither `,` nor `}`")),
                }
                self.space();
            }
        }
        self.at += 1;
        self.end(place);
        Ok(())
    }
}

/// The first byte at or after `from` that is a quote, a backslash or a control character: eight bytes a step.
fn plain_until(bytes: &[u8], mut from: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    while let Some(chunk) = bytes.get(from..from + 8).and_then(|chunk| <[u8; 8]>::try_from(chunk).ok()) {
        let word = u64::from_le_bytes(chunk);
        let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = has_zero(word ^ (ONES * 0x22)) | has_zero(word ^ (ONES * 0x5c)) | below_space;
        if found != 0 {
            // The lowest mark is exact; those above it may be false, and do not count.
            return from + found.trailing_zeros() as usize / 8;
        }
        from += 8;
    }
    let is_plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    from + bytes.get(from..).unwrap_or_default().iter().take_while(|byte| is_plain(byte)).count()
}

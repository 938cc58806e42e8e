//! `COPY … TO STDOUT`: rows as lines of text or CSV, or in binary.

use bytes::{BufMut as _, BytesMut};
use datafusion::arrow::array::timezone::Tz;

use super::encode::Cells;
use super::failure::{Failure, INVALID_VALUE, SYNTAX};

/// The first bytes of a binary copy.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// How the lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyOptions {
    pub(crate) csv: bool,
    pub(crate) binary: bool,
    pub(crate) header: bool,
    pub(crate) delimiter: Option<char>,
    pub(crate) null: Option<String>,
    pub(crate) quote: char,
    pub(crate) escape: Option<char>,
    /// Columns whose values are always quoted; `*` is all.
    pub(crate) force_quote: Vec<String>,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            csv: false,
            binary: false,
            header: false,
            delimiter: None,
            null: None,
            quote: '"',
            escape: None,
            force_quote: Vec::new(),
        }
    }
}

impl CopyOptions {
    pub(crate) fn set_format(&mut self, name: &str) -> Result<(), Failure> {
        match name.to_ascii_lowercase().as_str() {
            "text" => {}
            "csv" => self.csv = true,
            "binary" => self.binary = true,
            other => return Err(Failure::new(INVALID_VALUE, format!("COPY format \"{other}\" not recognized"))),
        }
        Ok(())
    }

    /// Refuses what a binary copy cannot have.
    pub(crate) fn checked(self) -> Result<Self, Failure> {
        let text_only = self.csv || self.header || self.delimiter.is_some() || self.null.is_some();
        if self.binary && text_only {
            return Err(Failure::new(SYNTAX, "cannot specify DELIMITER, NULL, HEADER or CSV in BINARY mode"));
        }
        Ok(self)
    }

    /// What stands before the first row: the signature of a binary copy, the line of names.
    pub(crate) fn start(&self, names: &[String], out: &mut BytesMut) {
        if self.binary {
            out.put_slice(SIGNATURE);
            // No flags, and no more in front of the rows.
            out.put_i64(0);
        } else if self.header {
            self.header_line(names, out);
        }
    }

    /// What stands after the last row.
    pub(crate) fn end(&self, out: &mut BytesMut) {
        if self.binary {
            out.put_i16(-1);
        }
    }

    /// The line of column names.
    fn header_line(&self, names: &[String], out: &mut BytesMut) {
        let mut separator = Separator::new(self);
        for name in names {
            separator.put(out);
            self.value(name, false, out);
        }
        out.put_u8(b'\n');
    }

    fn delimiter(&self) -> char {
        self.delimiter.unwrap_or(if self.csv { ',' } else { '\t' })
    }

    /// Whether a byte may stand in a value without a second look.
    fn is_plain(&self, byte: u8) -> bool {
        if !byte.is_ascii() {
            return self.delimiter().is_ascii() && self.quote.is_ascii();
        }
        let c = char::from(byte);
        if self.csv {
            c != self.delimiter() && c != self.quote && c != '\n' && c != '\r' && c != '\\'
        } else {
            c != self.delimiter() && c != '\\' && !ESCAPES.iter().any(|(special, _)| *special == c)
        }
    }

    fn value(&self, text: &str, forced: bool, out: &mut BytesMut) {
        let mut letter = [0; 4];
        let mut put = |out: &mut BytesMut, c: char| out.put_slice(c.encode_utf8(&mut letter).as_bytes());
        if !self.csv {
            for c in text.chars() {
                if let Some((_, letter)) = ESCAPES.iter().find(|(special, _)| *special == c) {
                    out.put_slice(&[b'\\', *letter]);
                } else {
                    if c == '\\' || c == self.delimiter() {
                        out.put_u8(b'\\');
                    }
                    put(out, c);
                }
            }
            return;
        }
        // A value that reads as the null string must be quoted, or it comes back as null.
        let is_null_string = text == self.null.as_deref().unwrap_or("");
        let special = |c: char| c == self.delimiter() || c == self.quote || c == '\n' || c == '\r';
        if !forced && !is_null_string && !text.contains(special) && text != "\\." {
            out.put_slice(text.as_bytes());
            return;
        }
        let escape = self.escape.unwrap_or(self.quote);
        put(out, self.quote);
        for c in text.chars() {
            if c == self.quote || c == escape {
                put(out, escape);
            }
            put(out, c);
        }
        put(out, self.quote);
    }
}

/// Letters that a line of text has other letters for.
const ESCAPES: [(char, u8); 6] =
    [('\u{8}', b'b'), ('\u{c}', b'f'), ('\n', b'n'), ('\r', b'r'), ('\t', b't'), ('\u{b}', b'v')];

/// Writes rows, with what is the same for all of them told once.
pub(crate) struct Copier<'a> {
    options: &'a CopyOptions,
    /// Of each column, whether its values are always quoted.
    forced: Vec<bool>,
    /// Of each byte, whether it may stand in a value as it is.
    plain: [bool; 256],
    null: &'a str,
    text: BytesMut,
}

impl<'a> Copier<'a> {
    pub(crate) fn new(options: &'a CopyOptions, names: &[String]) -> Self {
        let is_forced = |name: &String| options.force_quote.iter().any(|forced| forced == "*" || forced == name);
        let mut plain = [false; 256];
        for (byte, plain) in (0..=u8::MAX).zip(&mut plain) {
            *plain = options.is_plain(byte);
        }
        let null = options.null.as_deref().unwrap_or(if options.csv { "" } else { "\\N" });
        Self { options, forced: names.iter().map(is_forced).collect(), plain, null, text: BytesMut::new() }
    }

    /// A row, as a line or in binary.
    pub(crate) fn row(&mut self, columns: &[Cells], row: usize, zone: Tz, out: &mut BytesMut) {
        if self.options.binary {
            out.put_i16(i16::try_from(columns.len()).unwrap_or(i16::MAX));
            for column in columns {
                column.field(row, true, zone, out);
            }
            return;
        }
        let mut separator = Separator::new(self.options);
        for (column, forced) in columns.iter().zip(&self.forced) {
            separator.put(out);
            if column.is_null(row) {
                out.put_slice(self.null.as_bytes());
                continue;
            }
            self.text.clear();
            column.text(row, zone, &mut self.text);
            let plain = |byte: &u8| self.plain.get(usize::from(*byte)).copied().unwrap_or(false);
            if !forced && self.text != self.null.as_bytes() && self.text.iter().all(plain) {
                out.put_slice(&self.text);
            } else {
                self.options.value(&String::from_utf8_lossy(&self.text), *forced, out);
            }
        }
        out.put_u8(b'\n');
    }
}

/// The delimiter between values, not before the first.
struct Separator {
    delimiter: char,
    first: bool,
}

impl Separator {
    fn new(options: &CopyOptions) -> Self {
        Self { delimiter: options.delimiter(), first: true }
    }

    fn put(&mut self, out: &mut BytesMut) {
        if !self.first {
            out.put_slice(self.delimiter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.first = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, StringArray};

    use super::*;

    fn line(options: &CopyOptions, values: &[Option<&str>]) -> String {
        let cells = |value: Option<&str>| Cells::new(&(Arc::new(StringArray::from(vec![value])) as ArrayRef)).unwrap();
        let columns: Vec<Cells> = values.iter().copied().map(cells).collect();
        let names = vec!["c".to_owned(); values.len()];
        let mut out = BytesMut::new();
        Copier::new(options, &names).row(&columns, 0, "UTC".parse().unwrap(), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn text_escapes_and_csv_quotes() {
        let values = [Some("a\tb\\"), None, Some(""), Some("x,\"y\"")];
        assert_eq!(line(&CopyOptions::default(), &values), "a\\tb\\\\\t\\N\t\tx,\"y\"\n");
        assert_eq!(
            line(&CopyOptions::default(), &[Some("a\u{8}\u{b}\u{c}\r\nZo\u{eb}")]),
            "a\\b\\v\\f\\r\\nZo\u{eb}\n"
        );
        let csv = CopyOptions { csv: true, ..CopyOptions::default() };
        assert_eq!(line(&csv, &values), "a\tb\\,,\"\",\"x,\"\"y\"\"\"\n");
        let binary = CopyOptions { binary: true, ..CopyOptions::default() };
        let cells = Cells::new(&(Arc::new(StringArray::from(vec![Some("ab"), None])) as ArrayRef)).unwrap();
        let mut out = BytesMut::new();
        binary.start(&["c".to_owned()], &mut out);
        for row in 0..2 {
            let mut copier = Copier::new(&binary, &["c".to_owned()]);
            copier.row(std::slice::from_ref(&cells), row, "UTC".parse().unwrap(), &mut out);
        }
        binary.end(&mut out);
        let rows = b"\0\x01\0\0\0\x02ab\0\x01\xff\xff\xff\xff\xff\xff";
        assert_eq!(out.to_vec(), [&b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"[..], &rows[..]].concat());
        assert_eq!(CopyOptions { header: true, ..binary }.checked().unwrap_err().code, "42601");
        let semicolons = CopyOptions { delimiter: Some(';'), null: Some("-".to_owned()), ..csv };
        assert_eq!(line(&semicolons, &values), "a\tb\\;-;;\"x,\"\"y\"\"\"\n");
    }
}

//! Client encodings other than UTF8, as psql on Windows and older ODBC drivers ask for them.
//!
//! Invariants: a character that the client's encoding does not have is an error where it stands in a value, and `?` in a name or
//! a message; only encodings whose other characters have no ASCII byte are spoken, so that quotes and separators stay what they are.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut as _, Bytes, BytesMut};
use datafusion::arrow::array::{BinaryArray, BinaryBuilder, StringArray};
use encoding_rs::{
    EUC_JP, EUC_KR, Encoding, IBM866, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7,
    ISO_8859_8, ISO_8859_10, ISO_8859_13, ISO_8859_14, ISO_8859_15, ISO_8859_16, KOI8_R, KOI8_U, WINDOWS_874,
    WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256, WINDOWS_1257,
    WINDOWS_1258,
};
use pgwire::api::Type;

use super::failure::{Failure, INVALID_VALUE};

/// How characters become bytes.
#[derive(Clone, Copy)]
enum Form {
    /// As they are kept here.
    Utf8,
    /// The first 256 characters, a byte each.
    Latin1,
    Table(&'static Encoding),
}

/// By the names that Postgres has for them. The first one is that of the server.
const ENCODINGS: &[(&str, Form)] = &[
    ("UTF8", Form::Utf8),
    // No encoding at all: bytes are passed on.
    ("SQL_ASCII", Form::Utf8),
    ("LATIN1", Form::Latin1),
    ("LATIN2", Form::Table(ISO_8859_2)),
    ("LATIN3", Form::Table(ISO_8859_3)),
    ("LATIN4", Form::Table(ISO_8859_4)),
    ("LATIN6", Form::Table(ISO_8859_10)),
    ("LATIN7", Form::Table(ISO_8859_13)),
    ("LATIN8", Form::Table(ISO_8859_14)),
    ("LATIN9", Form::Table(ISO_8859_15)),
    ("LATIN10", Form::Table(ISO_8859_16)),
    ("ISO_8859_5", Form::Table(ISO_8859_5)),
    ("ISO_8859_6", Form::Table(ISO_8859_6)),
    ("ISO_8859_7", Form::Table(ISO_8859_7)),
    ("ISO_8859_8", Form::Table(ISO_8859_8)),
    ("WIN866", Form::Table(IBM866)),
    ("WIN874", Form::Table(WINDOWS_874)),
    ("WIN1250", Form::Table(WINDOWS_1250)),
    ("WIN1251", Form::Table(WINDOWS_1251)),
    ("WIN1252", Form::Table(WINDOWS_1252)),
    ("WIN1253", Form::Table(WINDOWS_1253)),
    ("WIN1254", Form::Table(WINDOWS_1254)),
    ("WIN1255", Form::Table(WINDOWS_1255)),
    ("WIN1256", Form::Table(WINDOWS_1256)),
    ("WIN1257", Form::Table(WINDOWS_1257)),
    ("WIN1258", Form::Table(WINDOWS_1258)),
    ("KOI8R", Form::Table(KOI8_R)),
    ("KOI8U", Form::Table(KOI8_U)),
    ("EUC_JP", Form::Table(EUC_JP)),
    ("EUC_KR", Form::Table(EUC_KR)),
];

/// Other names of theirs, without what is no letter or digit.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("unicode", "UTF8"),
    ("iso88591", "LATIN1"),
    ("iso88592", "LATIN2"),
    ("iso885915", "LATIN9"),
    ("windows1250", "WIN1250"),
    ("windows1251", "WIN1251"),
    ("windows1252", "WIN1252"),
    ("win", "WIN1251"),
    ("koi8", "KOI8R"),
];

/// The name that Postgres has for an encoding.
pub(crate) fn canonical(name: &str) -> Result<&'static str, Failure> {
    let plain = |name: &str| -> String {
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let wanted = plain(name);
    let other = OTHER_NAMES.iter().find(|other| other.0 == wanted).map(|other| other.1);
    let known = other.or_else(|| ENCODINGS.iter().map(|known| known.0).find(|known| plain(known) == wanted));
    known.ok_or_else(|| {
        let names: Vec<&str> = ENCODINGS.iter().map(|known| known.0).collect();
        Failure::new(INVALID_VALUE, format!("invalid value for parameter \"client_encoding\": \"{name}\""))
            .hint(format!("the server speaks {}", names.join(", ")))
    })
}

/// The encoding of a session, known to both ends of its connection.
#[derive(Clone, Default)]
pub(crate) struct ClientEncoding(Arc<AtomicUsize>);

impl ClientEncoding {
    /// Follows the setting, which [`canonical`] has seen.
    pub(crate) fn follow(&self, name: &str) {
        let place = ENCODINGS.iter().position(|known| known.0 == name).unwrap_or_default();
        self.0.store(place, Ordering::Relaxed);
    }

    /// The one of this moment; none where bytes go as they are.
    pub(crate) fn now(&self) -> Option<Code> {
        let (name, form) = ENCODINGS.get(self.0.load(Ordering::Relaxed))?;
        match form {
            Form::Utf8 => None,
            form => Some(Code { name, form: *form }),
        }
    }
}

/// An encoding that is not ours.
#[derive(Clone, Copy)]
pub(crate) struct Code {
    name: &'static str,
    form: Form,
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Code {
    /// What the client wrote.
    pub(crate) fn read(self, bytes: &[u8]) -> Result<String, Failure> {
        let read = match self.form {
            Form::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Form::Latin1 => Some(encoding_rs::mem::decode_latin1(bytes)),
            Form::Table(table) => table.decode_without_bom_handling_and_without_replacement(bytes),
        };
        let read = read.map(Cow::into_owned);
        read.ok_or_else(|| Failure::new("22021", format!("invalid byte sequence for encoding \"{}\"", self.name)))
    }

    /// What the client reads; none if it has no such characters.
    fn written(self, text: &str) -> Option<Cow<'_, [u8]>> {
        if text.is_ascii() {
            return Some(Cow::Borrowed(text.as_bytes()));
        }
        match self.form {
            Form::Utf8 => Some(Cow::Borrowed(text.as_bytes())),
            Form::Latin1 => encoding_rs::mem::is_str_latin1(text).then(|| encoding_rs::mem::encode_latin1_lossy(text)),
            Form::Table(table) => {
                let (bytes, _, has_missing) = table.encode(text);
                (!has_missing).then_some(bytes)
            }
        }
    }

    /// A value for the client.
    fn value(self, text: &str) -> Result<Cow<'_, [u8]>, Failure> {
        self.written(text).ok_or_else(|| {
            let missing = text.chars().find(|letter| self.written(&letter.to_string()).is_none()).unwrap_or_default();
            let bytes: Vec<String> = missing.to_string().bytes().map(|byte| format!("0x{byte:02x}")).collect();
            let bytes = bytes.join(" ");
            let name = self.name;
            let told = format!(
                "character with byte sequence {bytes} in encoding \"UTF8\" has no equivalent in encoding \"{name}\""
            );
            Failure::new("22P05", told).hint("set client_encoding to UTF8")
        })
    }

    /// A name or message for the client.
    fn lossy(self, text: &str) -> Vec<u8> {
        if let Some(bytes) = self.written(text) {
            return bytes.into_owned();
        }
        let letter =
            |letter: char| self.written(letter.to_string().as_str()).map_or_else(|| vec![b'?'], Cow::into_owned);
        text.chars().flat_map(letter).collect()
    }

    /// The texts of a column.
    pub(crate) fn column(self, texts: &StringArray) -> Result<BinaryArray, Failure> {
        let mut bytes = BinaryBuilder::new();
        for text in texts {
            match text {
                Some(text) => bytes.append_value(self.value(text)?),
                None => bytes.append_null(),
            }
        }
        Ok(bytes.finish())
    }

    /// Parameters that are texts, as we keep them.
    pub(crate) fn parameters(
        self,
        values: &[Option<Bytes>],
        is_text: impl Fn(usize) -> bool,
    ) -> Result<Vec<Option<Bytes>>, Failure> {
        let read = |(place, value): (usize, &Option<Bytes>)| match value {
            Some(bytes) if is_text(place) => self.read(bytes).map(|text| Some(Bytes::from(text))),
            value => Ok(value.clone()),
        };
        values.iter().enumerate().map(read).collect()
    }

    /// A text with its length in front, as a row has it.
    pub(crate) fn field(self, text: &str, out: &mut BytesMut) {
        let bytes = self.lossy(text);
        out.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        out.put_slice(&bytes);
    }

    /// Bytes of texts and of what parts them.
    pub(crate) fn names(self, bytes: &[u8]) -> Vec<u8> {
        self.lossy(&String::from_utf8_lossy(bytes))
    }

    /// A backend message in the client's encoding; rows and copies of them are written in it already.
    pub(crate) fn message(self, message: &BytesMut) -> BytesMut {
        let Some((head, body)) = message.split_first_chunk::<HEAD>() else { return message.clone() };
        let body = match head[0] {
            b'E' | b'N' | b'S' | b'C' => self.names(body),
            b'T' => self.description(body),
            _ => return message.clone(),
        };
        let mut out = BytesMut::new();
        super::frames::put_message(head[0], &mut out, |out| out.put_slice(&body));
        out
    }

    /// The columns of a result: a count, then each name with a zero byte and its numbers.
    fn description(self, body: &[u8]) -> Vec<u8> {
        const NUMBERS: usize = 18;
        let (count, mut rest) = body.split_at(body.len().min(2));
        let mut out = count.to_vec();
        while let Some(end) = rest.iter().position(|byte| *byte == 0) {
            let (name, numbers) = rest.split_at(end);
            out.extend(self.names(name));
            let (numbers, after) = numbers.split_at(numbers.len().min(NUMBERS + 1));
            out.extend(numbers);
            rest = after;
        }
        out
    }

    /// The first texts of a client's message, each with a zero byte behind it, as we keep them.
    pub(crate) fn statement(self, kind: u8, message: &BytesMut) -> Result<Option<BytesMut>, Failure> {
        let texts = match kind {
            b'Q' => 1,
            b'P' => 2,
            _ => return Ok(None),
        };
        let mut rest = message.get(HEAD..).unwrap_or_default();
        let mut body = Vec::new();
        for _ in 0..texts {
            let Some(end) = rest.iter().position(|byte| *byte == 0) else { break };
            let (text, after) = rest.split_at(end + 1);
            body.extend(self.read(text)?.into_bytes());
            rest = after;
        }
        body.extend(rest);
        let mut out = BytesMut::new();
        super::frames::put_message(kind, &mut out, |out| out.put_slice(&body));
        Ok(Some(out))
    }
}

/// A message's kind and length.
const HEAD: usize = 5;

/// Whether the binary form of a type is its text.
pub(crate) fn is_text(of: &Type) -> bool {
    matches!(*of, Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON | Type::JSONB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(name: &str) -> Code {
        let encoding = ClientEncoding::default();
        encoding.follow(canonical(name).unwrap());
        encoding.now().unwrap()
    }

    #[test]
    fn encodings_go_by_many_names() {
        assert_eq!(canonical("utf-8").unwrap(), "UTF8");
        assert_eq!(canonical("'Windows-1252'").unwrap(), "WIN1252");
        assert_eq!(canonical("iso_8859-1").unwrap(), "LATIN1");
        assert_eq!(canonical("SJIS").unwrap_err().code, INVALID_VALUE);
    }

    #[test]
    fn a_character_that_is_not_there_is_an_error_in_a_value_and_a_mark_in_a_name() {
        let latin = code("latin1");
        assert_eq!(latin.value("Zoë").unwrap().as_ref(), b"Zo\xeb");
        assert_eq!(latin.value("“x”").unwrap_err().code, "22P05");
        assert_eq!(latin.lossy("€ë"), b"?\xeb");
        assert_eq!(code("win1252").value("“x”").unwrap().as_ref(), b"\x93x\x94");
        assert_eq!(code("win1252").read(b"\x93x\x94").unwrap(), "“x”");
    }

    #[test]
    fn messages_keep_their_numbers() {
        let mut message = BytesMut::new();
        super::super::frames::put_message(b'T', &mut message, |out| {
            out.put_i16(1);
            out.put_slice("Größe\0".as_bytes());
            out.put_slice(&[0xff; 18]);
        });
        let told = code("win1252").message(&message);
        assert!(told.ends_with(&[b"\0\x01Gr\xf6\xdfe\0".as_slice(), &[0xff; 18]].concat()), "{told:?}");
        assert_eq!(usize::from(told[4]) + 1, told.len());
    }
}

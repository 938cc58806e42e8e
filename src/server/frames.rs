//! Messages of a client that is logged in, each looked at before it is taken apart.
//!
//! Invariants: what a message says of its own parts fits into it, so that taking it apart cannot read beyond it; nothing is
//! reserved by a size that a client names; a message of more than [`MESSAGE_MAX`] ends the connection.

use bytes::{Buf as _, BufMut as _, BytesMut};
use pgwire::messages::{DecodeContext, PgWireBackendMessage, PgWireFrontendMessage};
use pgwire::tokio::server::PgWireMessageServerCodec;
use tokio_util::codec::{Decoder, Encoder};

use super::encoding::ClientEncoding;
use super::failure::{Failure, PROTOCOL};

/// A statement with all its parameters; what is larger is no question.
pub(crate) const MESSAGE_MAX: usize = 64 << 20;
/// A message's kind and length.
const HEAD: usize = 5;

/// A message and how many bytes it took.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) message: PgWireFrontendMessage,
    pub(crate) size: usize,
}

/// The codec after the login.
#[derive(Default)]
pub(crate) struct Frames {
    /// How the client writes its statements.
    encoding: ClientEncoding,
    /// As long as it lives, a cancel request finds the connection.
    _login: Option<PgWireMessageServerCodec<()>>,
}

impl Frames {
    /// Takes over from the codec of the login.
    pub(crate) fn after(login: PgWireMessageServerCodec<()>, encoding: ClientEncoding) -> Self {
        Self { encoding, _login: Some(login) }
    }
}

impl Decoder for Frames {
    type Item = Received;
    type Error = Failure;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Received>, Failure> {
        let Some((head, _)) = source.split_first_chunk::<HEAD>() else { return Ok(None) };
        let [kind, length @ ..] = *head;
        let size = usize::try_from(i32::from_be_bytes(length)).unwrap_or(0) + 1;
        if !KINDS.contains(&kind) {
            return Err(Failure::new(PROTOCOL, format!("invalid frontend message type {kind}")).fatal());
        }
        if size < HEAD {
            return Err(Failure::new(PROTOCOL, "invalid message length").fatal());
        }
        if size > MESSAGE_MAX {
            let text = format!("a message of {size} bytes is larger than the {MESSAGE_MAX} that are read");
            return Err(Failure::new("54000", text).hint("send fewer or shorter parameters").fatal());
        }
        if source.len() < size {
            return Ok(None);
        }
        let mut frame = source.split_to(size);
        let malformed = || Failure::new(PROTOCOL, "invalid message format").fatal();
        if !frame.get(HEAD..).is_some_and(|body| fits(kind, body)) {
            return Err(malformed());
        }
        if let Some(code) = self.encoding.now()
            && let Some(read) = code.statement(kind, &frame)?
        {
            frame = read;
        }
        let mut context = DecodeContext::default();
        (context.awaiting_frontend_ssl, context.awaiting_frontend_startup) = (false, false);
        match PgWireFrontendMessage::decode(&mut frame, &context) {
            Ok(Some(message)) => Ok(Some(Received { message, size })),
            Ok(None) => Err(malformed()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What goes to a client.
pub(crate) enum Outgoing {
    Message(PgWireBackendMessage),
    /// Messages as they go over the wire.
    Written(BytesMut),
}

impl Encoder<Outgoing> for Frames {
    type Error = Failure;

    fn encode(&mut self, outgoing: Outgoing, out: &mut BytesMut) -> Result<(), Failure> {
        match outgoing {
            Outgoing::Message(message) => message.encode(out)?,
            Outgoing::Written(messages) if out.is_empty() => *out = messages,
            Outgoing::Written(messages) => out.extend_from_slice(&messages),
        }
        Ok(())
    }
}

/// Appends a message of a kind with its length, which counts itself.
pub(crate) fn put_message(kind: u8, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind);
    put_measured(LENGTH, out, write);
}

/// The bytes of a length.
const LENGTH: usize = 4;

/// Appends what is written with its length in front, and so many bytes more than that.
pub(crate) fn put_measured(more: usize, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_i32(0);
    write(out);
    let length = out.len().saturating_sub(start + LENGTH) + more;
    if let Some(place) = out.get_mut(start..start + LENGTH) {
        place.copy_from_slice(&i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes());
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new("08006", format!("the connection broke: {error}")).fatal()
    }
}

/// What a client that is logged in may send: all but passwords.
const KINDS: &[u8] = b"BCDEHPQSXcdf";

/// Whether a message's parts are as long as it says, and nothing follows them.
fn fits(kind: u8, mut body: &[u8]) -> bool {
    let rest = &mut body;
    let read = match kind {
        b'Q' | b'f' => text(rest),
        b'P' => text(rest).and_then(|()| text(rest)).and_then(|()| listed(rest, 4)),
        b'B' => text(rest)
            .and_then(|()| text(rest))
            .and_then(|()| listed(rest, 2))
            .and_then(|()| values(rest))
            .and_then(|()| listed(rest, 2)),
        b'C' | b'D' => match rest.split_first() {
            Some((b'S' | b'P', after)) => {
                *rest = after;
                text(rest)
            }
            _ => None,
        },
        b'E' => text(rest).and_then(|()| skip(rest, 4)),
        b'd' => {
            *rest = &[];
            Some(())
        }
        _ => Some(()),
    };
    read.is_some() && body.is_empty()
}

fn skip(rest: &mut &[u8], count: usize) -> Option<()> {
    *rest = rest.get(count..)?;
    Some(())
}

/// A text up to its nought.
fn text(rest: &mut &[u8]) -> Option<()> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    skip(rest, end + 1)
}

fn count(rest: &mut &[u8]) -> Option<usize> {
    let (head, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    Some(u16::from_be_bytes(*head).into())
}

/// A count of parts of one width.
fn listed(rest: &mut &[u8], width: usize) -> Option<()> {
    let count = count(rest)?;
    skip(rest, count * width)
}

/// A count of values, each with its length; -1 is null.
fn values(rest: &mut &[u8]) -> Option<()> {
    for _ in 0..count(rest)? {
        if rest.len() < 4 {
            return None;
        }
        let length = rest.get_i32();
        match usize::try_from(length) {
            Ok(length) => skip(rest, length)?,
            Err(_) if length == -1 => {}
            Err(_) => return None,
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pgwire::messages::extendedquery::{Bind, Close, Describe, Execute, Parse, Sync};
    use pgwire::messages::simplequery::Query;
    use proptest::prelude::*;

    use super::*;

    fn decoded(bytes: &[u8]) -> Vec<Result<Received, Failure>> {
        let (mut source, mut found) = (BytesMut::from(bytes), Vec::new());
        loop {
            match Frames::default().decode(&mut source) {
                Ok(Some(received)) => found.push(Ok(received)),
                Ok(None) => return found,
                Err(failure) => {
                    assert!(failure.fatal, "{failure}");
                    found.push(Err(failure));
                    return found;
                }
            }
        }
    }

    fn message() -> impl Strategy<Value = PgWireFrontendMessage> {
        let name = || proptest::option::of("[a-z]{1,8}");
        let values =
            proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)), 0..4);
        prop_oneof![
            "[ -~]{0,40}".prop_map(|text| PgWireFrontendMessage::Query(Query::new(text))),
            (name(), "[ -~]{0,40}", proptest::collection::vec(any::<u32>(), 0..4))
                .prop_map(|(name, text, oids)| PgWireFrontendMessage::Parse(Parse::new(name, text, oids))),
            (name(), name(), values).prop_map(|(portal, statement, values)| {
                let values = values.into_iter().map(|value| value.map(Bytes::from)).collect();
                PgWireFrontendMessage::Bind(Bind::new(portal, statement, vec![0], values, vec![1]))
            }),
            name().prop_map(|name| PgWireFrontendMessage::Describe(Describe::new(b'S', name))),
            (name(), any::<i32>()).prop_map(|(name, max)| PgWireFrontendMessage::Execute(Execute::new(name, max))),
            name().prop_map(|name| PgWireFrontendMessage::Close(Close::new(b'P', name))),
            any::<bool>().prop_map(|_| PgWireFrontendMessage::Sync(Sync::new())),
        ]
    }

    fn encoded(messages: &[PgWireFrontendMessage]) -> BytesMut {
        let mut out = BytesMut::new();
        for message in messages {
            message.encode(&mut out).unwrap();
        }
        out
    }

    proptest! {
        #[test]
        fn what_is_well_formed_is_read(messages in proptest::collection::vec(message(), 0..6)) {
            let found = decoded(&encoded(&messages));
            let found: Vec<String> = found.into_iter().map(|one| format!("{:?}", one.unwrap().message)).collect();
            let expected: Vec<String> = messages.iter().map(|one| format!("{one:?}")).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn whatever_comes_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            decoded(&bytes);
        }

        #[test]
        fn a_changed_byte_or_a_cut_panics_nothing(
            messages in proptest::collection::vec(message(), 1..4),
            place in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut bytes = encoded(&messages);
            let place = place.index(bytes.len());
            bytes[place] = byte;
            bytes.truncate(cut.index(bytes.len() + 1));
            decoded(&bytes);
        }

        #[test]
        fn any_body_of_any_kind_panics_nothing(
            kind in proptest::sample::select(KINDS),
            body in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut bytes = BytesMut::new();
            bytes.put_u8(kind);
            bytes.put_i32(i32::try_from(body.len()).unwrap() + 4);
            bytes.put_slice(&body);
            let found = decoded(&bytes);
            prop_assert_eq!(found.len(), 1);
        }
    }

    #[test]
    fn sizes_that_nobody_sends_are_refused_at_once() {
        for (head, code) in [
            (&b"Q\x7f\xff\xff\xff"[..], "54000"),
            (b"Q\xff\xff\xff\xff", PROTOCOL),
            (b"Q\x00\x00\x00\x03", PROTOCOL),
            (b"p\x00\x00\x00\x08", PROTOCOL),
            // A thousand values in a message that has none, one of two gigabytes.
            (b"B\x00\x00\x00\x0a\x00\x00\x00\x00\x03\xe8", PROTOCOL),
            (b"B\x00\x00\x00\x10\x00\x00\x00\x00\x00\x01\x7f\xff\xff\xff\x00\x00", PROTOCOL),
        ] {
            let found = decoded(head);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].as_ref().unwrap_err().code, code, "{head:?}");
        }
    }
}

//! The sending half of a connection: backend messages, each within reach of an interrupt.

use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use futures::SinkExt as _;
use futures::stream::SplitSink;
use pgwire::error::ErrorInfo;
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};
use pgwire::messages::data::{DataRow, FieldDescription, RowDescription};
use pgwire::messages::response::{CommandComplete, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::ParameterStatus;
use pgwire::tokio::server::{MaybeTls, PgWireMessageServerCodec};
use tokio_util::codec::{Framed, FramedParts};

use super::copy::{Copier, CopyOptions};
use super::encoding::ClientEncoding;
use super::failure::Failure;
use super::frames::{Frames, Outgoing};
use super::query::{Formats, Interrupt, Rows};
use super::rewrite::shown;
use datafusion::arrow::array::timezone::Tz;

/// A client's socket with the protocol's codec.
pub(crate) type Socket = Framed<MaybeTls, PgWireMessageServerCodec<()>>;

/// The socket of a client that is logged in.
pub(crate) type Talk = Framed<MaybeTls, Frames>;

/// How long an answer may wait for a client that reads nothing.
const STALL_LIMIT: Duration = Duration::from_mins(10);

/// A row of a result: its kind, its length, how many columns it has.
const DATA_ROW: u8 = b'D';
const DATA_ROW_HEAD: u64 = 7;
/// A piece of a copy: its kind and its length.
const COPY_DATA: u8 = b'd';
const COPY_DATA_HEAD: u64 = 5;

/// The same socket, from now on with every message looked at first.
pub(crate) fn logged_in(socket: Socket, encoding: ClientEncoding) -> Talk {
    let parts = socket.into_parts();
    let mut talk = FramedParts::new::<Outgoing>(parts.io, Frames::after(parts.codec, encoding));
    talk.read_buf = parts.read_buf;
    talk.write_buf = parts.write_buf;
    Framed::from_parts(talk)
}

/// Where answers go.
pub(crate) struct Wire {
    sink: SplitSink<Talk, Outgoing>,
    encoding: ClientEncoding,
    sent: Sent,
}

/// What went to the client as data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl Wire {
    pub(crate) fn new(sink: SplitSink<Talk, Outgoing>, encoding: ClientEncoding) -> Self {
        Self { sink, encoding, sent: Sent::default() }
    }

    /// What went out since this was last asked.
    pub(crate) fn take_sent(&mut self) -> Sent {
        std::mem::take(&mut self.sent)
    }

    pub(crate) async fn feed(&mut self, message: Message) -> Result<(), Failure> {
        let bytes = match &message {
            Message::DataRow(row) => {
                self.sent.rows += 1;
                row.data.len()
            }
            Message::CopyData(piece) => piece.data.len(),
            _ => 0,
        };
        self.sent.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        let outgoing = match self.encoding.now() {
            Some(code) => {
                let mut written = BytesMut::new();
                message.encode(&mut written)?;
                Outgoing::Written(code.message(&written))
            }
            None => Outgoing::Message(message),
        };
        unstalled(self.sink.feed(outgoing)).await
    }

    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        unstalled(self.sink.flush()).await
    }

    pub(crate) async fn complete(&mut self, tag: impl Into<String>) -> Result<(), Failure> {
        self.feed(Message::CommandComplete(CommandComplete::new(tag.into()))).await
    }

    pub(crate) async fn error(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.feed(Message::ErrorResponse(failure.response())).await?;
        self.flush().await
    }

    /// A warning, which ends nothing.
    pub(crate) async fn warning(&mut self, code: &str, message: &str) -> Result<(), Failure> {
        let info = ErrorInfo::new("WARNING".to_owned(), code.to_owned(), message.to_owned());
        self.feed(Message::NoticeResponse(info.into())).await
    }

    pub(crate) async fn ready(&mut self, status: TransactionStatus) -> Result<(), Failure> {
        self.feed(Message::ReadyForQuery(ReadyForQuery::new(status))).await?;
        self.flush().await
    }

    pub(crate) async fn description(&mut self, fields: Vec<FieldDescription>) -> Result<(), Failure> {
        self.feed(Message::RowDescription(RowDescription::new(fields))).await
    }

    pub(crate) async fn parameter(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        self.feed(Message::ParameterStatus(ParameterStatus::new(name.to_owned(), value.to_owned()))).await
    }

    /// A row of text values, as `SHOW` answers.
    pub(crate) async fn text_row(&mut self, values: &[&str]) -> Result<(), Failure> {
        let mut data = BytesMut::new();
        for value in values {
            if let Some(code) = self.encoding.now() {
                code.field(value, &mut data);
                continue;
            }
            data.put_i32(i32::try_from(value.len()).unwrap_or(i32::MAX));
            data.put_slice(value.as_bytes());
        }
        self.feed(Message::DataRow(DataRow::new(data, narrow(values.len())))).await
    }

    /// Sends up to `max` rows (`None`: all); how many went, and whether those were the last.
    pub(crate) async fn rows(
        &mut self,
        rows: &mut Rows,
        max: Option<u64>,
        formats: &Formats,
        zone: Tz,
        interrupt: &mut Interrupt,
    ) -> Result<(u64, bool), Failure> {
        let columns = narrow(rows.schema().fields().len());
        rows.follow(self.encoding.now())?;
        let mut sent = 0;
        while max.is_none_or(|max| sent < max) {
            if !rows.ready(interrupt).await? {
                return Ok((sent, true));
            }
            let mut piece = BytesMut::new();
            let wanted = max.map_or(u64::MAX, |max| max.saturating_sub(sent));
            let count = rows.messages(DATA_ROW, wanted, &mut piece, |cells, row, out| {
                out.put_i16(columns);
                for (place, column) in cells.iter().enumerate() {
                    column.field(row, formats.is_binary(place), zone, out);
                }
            });
            self.sent.rows += count;
            interrupt.guard(self.write(piece, count, DATA_ROW_HEAD)).await??;
            sent += count;
        }
        Ok((sent, false))
    }

    /// Sends messages of rows, each with a head of so many bytes.
    async fn write(&mut self, messages: BytesMut, count: u64, head: u64) -> Result<(), Failure> {
        let bytes = u64::try_from(messages.len()).unwrap_or(u64::MAX);
        self.sent.bytes += bytes.saturating_sub(count * head);
        unstalled(self.sink.feed(Outgoing::Written(messages))).await
    }

    /// Sends all rows as a copy; how many there were.
    pub(crate) async fn copy(
        &mut self,
        rows: &mut Rows,
        options: &CopyOptions,
        zone: Tz,
        interrupt: &mut Interrupt,
    ) -> Result<u64, Failure> {
        let names: Vec<String> = rows.schema().fields().iter().map(|field| shown(field.name()).to_owned()).collect();
        rows.follow(self.encoding.now())?;
        // A query that fails at once answers with the error alone.
        let mut more = rows.ready(interrupt).await?;
        let format = i8::from(options.binary);
        let formats = vec![format.into(); names.len()];
        self.feed(Message::CopyOutResponse(CopyOutResponse::new(format, narrow(names.len()), formats))).await?;
        let mut start = BytesMut::new();
        options.start(&names, &mut start);
        if let Some(code) = self.encoding.now().filter(|_| !options.binary) {
            start = code.names(&start).as_slice().into();
        }
        if !options.binary && !start.is_empty() {
            self.feed(Message::CopyData(CopyData::new(start.split().freeze()))).await?;
        }
        let mut sent = 0;
        let mut copier = Copier::new(options, &names);
        while more {
            let mut piece = BytesMut::new();
            // A message a row, as clients count on; what a binary copy starts with goes with its first.
            let count = rows.messages(COPY_DATA, u64::MAX, &mut piece, |columns, row, out| {
                out.put(start.split());
                copier.row(columns, row, zone, out);
            });
            interrupt.guard(self.write(piece, count, COPY_DATA_HEAD)).await??;
            sent += count;
            more = rows.ready(interrupt).await?;
        }
        options.end(&mut start);
        if !start.is_empty() {
            self.feed(Message::CopyData(CopyData::new(start.freeze()))).await?;
        }
        self.feed(Message::CopyDone(CopyDone::new())).await?;
        self.sent.rows += sent;
        Ok(sent)
    }
}

/// Whoever reads nothing for so long holds a query and its memory for nobody.
async fn unstalled(sent: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    match tokio::time::timeout(STALL_LIMIT, sent).await {
        Ok(sent) => sent,
        Err(_) => Err(Failure::new("08006", "the client has read nothing for ten minutes").fatal()),
    }
}

fn narrow(count: usize) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}

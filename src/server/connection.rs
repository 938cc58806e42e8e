//! A connection after its login: messages in, answers out, in simple and extended protocol.
//!
//! Invariants: one statement at a time; after an error in the extended protocol everything up to Sync is skipped; a
//! client that goes away is noticed while its query runs, because the socket is read meanwhile.

use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::SplitStream;
use pgwire::api::ConnectionHandle;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete, TARGET_TYPE_BYTE_PORTAL,
};
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use pgwire::messages::{PgWireBackendMessage as Answer, PgWireFrontendMessage as Message};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::audit::{Event, pieces};
use super::encoding;
use super::failure::{Failure, PROTOCOL};
use super::frames::{MESSAGE_MAX, Received};
use super::query::{Formats, Interrupt, describe};
use super::session::{Body, Portal, Prepared, Session, no_cursor, no_statement};
use super::sessions::Live;
use super::statement::{self, Command};
use super::wire::{Talk, Wire};

/// Messages that a client may send ahead, and their bytes.
const AHEAD_MAX: usize = 256;
const AHEAD_BYTES_MAX: usize = MESSAGE_MAX;

/// A message that waits to be answered, and its share of what may wait; or why there are no more.
type Ahead = Result<(Message, Option<OwnedSemaphorePermit>), Failure>;

/// A client's connection.
pub(crate) struct Connection {
    pub(crate) session: Session,
    pub(crate) wire: Wire,
    pub(crate) cancel: Option<Arc<ConnectionHandle>>,
    pub(crate) gone: CancellationToken,
    /// What others of its role see of it.
    pub(crate) live: Arc<Live>,
    /// Another session ends this one.
    pub(crate) ended: CancellationToken,
}

impl Connection {
    /// Answers messages until the client leaves or the server stops.
    pub(crate) async fn run(mut self, source: SplitStream<Talk>, stop: CancellationToken) -> Result<(), Failure> {
        let (sender, mut inbox) = mpsc::channel(AHEAD_MAX);
        let mut reader = pin!(read(source, sender, self.gone.clone()));
        let mut answer = Box::pin(self.answer(&mut inbox, &stop));
        // In one task: what is read is answered without waking another thread.
        let end = tokio::select! {
            biased;
            () = &mut reader => None,
            end = &mut answer => Some(end),
        };
        let end = match end {
            Some(end) => end,
            // Nothing more comes; what came is answered.
            None => answer.as_mut().await,
        };
        drop(answer);
        self.session.tell(Event::Logout);
        match end {
            Err(failure) if failure.code == "57P01" && !stop.is_cancelled() && !self.ended.is_cancelled() => Ok(()),
            Err(failure) => {
                // The client may be gone already; nobody else wants to hear it.
                let _ = self.wire.error(&failure).await;
                Err(failure)
            }
            Ok(()) => Ok(()),
        }
    }

    async fn answer(&mut self, inbox: &mut mpsc::Receiver<Ahead>, stop: &CancellationToken) -> Result<(), Failure> {
        let mut skipping = false;
        loop {
            let message = tokio::select! {
                message = inbox.recv() => message.transpose()?,
                failure = self.patience() => return Err(failure),
                () = self.ended.cancelled() => {
                    let told = "terminating connection due to administrator command";
                    return Err(Failure::new("57P01", told).fatal());
                }
                () = stop.cancelled() => return Err(Failure::new("57P01", "the server is shutting down").fatal()),
            };
            // Its share is free again once it is answered.
            let (message, _share) = message.unzip();
            let result = match message {
                None | Some(Message::Terminate(_)) => return Ok(()),
                Some(Message::Sync(_)) => {
                    skipping = false;
                    if self.session.status == TransactionStatus::Idle {
                        self.session.portals.retain(|_, portal| portal.held);
                    }
                    self.waits().await
                }
                Some(Message::Query(query)) => {
                    skipping = false;
                    Box::pin(self.simple(&query.query)).await
                }
                // What was sent ahead of an error, and copy data after a refused copy.
                Some(_) if skipping => Ok(()),
                Some(Message::CopyData(_) | Message::CopyDone(_) | Message::CopyFail(_)) => Ok(()),
                Some(Message::Flush(_)) => self.wire.flush().await,
                Some(message) => match Box::pin(self.extended(message)).await {
                    Err(failure) if !failure.fatal => {
                        skipping = true;
                        self.failed();
                        self.wire.error(&failure).await
                    }
                    other => other,
                },
            };
            result?;
        }
    }

    /// Waits as long as a client may say nothing; without end unless it set a limit.
    async fn patience(&self) -> Failure {
        let in_transaction = self.session.status != TransactionStatus::Idle;
        match self.session.with_settings(|settings| settings.patience(in_transaction)) {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
        if in_transaction {
            Failure::new("25P03", "terminating connection due to idle-in-transaction timeout").fatal()
        } else {
            Failure::new("57P05", "terminating connection due to idle-session timeout").fatal()
        }
    }

    fn failed(&mut self) {
        if self.session.status == TransactionStatus::Transaction {
            self.session.status = TransactionStatus::Error;
        }
    }

    /// The simple protocol: every statement of the text, until one fails.
    async fn simple(&mut self, text: &str) -> Result<(), Failure> {
        match Box::pin(self.statements(text)).await {
            Err(failure) if failure.fatal => return Err(failure),
            Err(failure) => {
                self.failed();
                self.wire.error(&failure).await?;
            }
            Ok(()) => {}
        }
        if self.session.status == TransactionStatus::Idle {
            self.session.portals.retain(|_, portal| portal.held);
        }
        self.waits().await
    }

    /// The client may say what comes next.
    async fn waits(&mut self) -> Result<(), Failure> {
        self.live.waits(self.session.status);
        self.wire.ready(self.session.status).await
    }

    async fn statements(&mut self, text: &str) -> Result<(), Failure> {
        if let Some(statement) = self.session.recalled(text, &[])? {
            let sql = Arc::clone(&statement.text);
            let begun = self.begin(Arc::clone(&sql))?;
            let before =
                text.find(&*sql).and_then(|start| text.get(..start)).map_or(0, |before| before.chars().count());
            let end = Box::pin(self.again(statement)).await.map_err(|failure| failure.placed_after(before, &sql));
            self.end(begun, &end).await;
            return end;
        }
        let begun = self.begin(Arc::<str>::from(text))?;
        let commands = self.parsed(text).await;
        self.end_if_failed(begun, &commands).await;
        let commands = commands?;
        if commands.is_empty() {
            return self.wire.feed(Answer::EmptyQueryResponse(EmptyQueryResponse::new())).await;
        }
        let is_all = commands.len() == 1;
        let mut after = 0;
        for (piece, command) in pieces(text, commands.len()).into_iter().zip(commands) {
            let rest = text.get(after..).unwrap_or_default();
            let start = rest.find(&*piece).map_or(0, |found| after + found);
            after = start + piece.len();
            let begun = self.begin(Arc::clone(&piece))?;
            let end = Box::pin(self.statement(command, &piece, is_all.then_some(text))).await;
            let before = text.get(..start).unwrap_or_default().chars().count();
            let end = end.map_err(|failure| failure.placed_after(before, &piece));
            self.end(begun, &end).await;
            end?;
        }
        Ok(())
    }

    /// Carries out a statement; `whole` is the client's text, if it is all there is in it.
    async fn statement(&mut self, command: Command, piece: &Arc<str>, whole: Option<&str>) -> Result<(), Failure> {
        let mut interrupt = self.interrupt().await;
        self.allowed(&command)?;
        let body = match command {
            Command::Query(query) => {
                let plan = match whole {
                    Some(whole) => Box::pin(interrupt.guard(self.session.noted(*query, whole, piece))).await??,
                    None => Box::pin(interrupt.guard(self.session.plan(*query))).await??,
                };
                Body::Planned(Box::new(plan), "SELECT")
            }
            other => Body::Command(other),
        };
        let portal = Portal { body, formats: Formats::default(), held: false };
        self.execute(portal, None, true, &mut interrupt).await?;
        Ok(())
    }

    /// Carries out a statement that came before.
    async fn again(&mut self, statement: Arc<Prepared>) -> Result<(), Failure> {
        let mut interrupt = self.interrupt().await;
        statement.command.as_ref().map(|command| self.allowed(command)).transpose()?;
        let portal = Portal { body: planned(&statement), formats: Formats::default(), held: false };
        self.execute(portal, None, true, &mut interrupt).await?;
        Ok(())
    }

    async fn parsed(&self, text: &str) -> Result<Vec<Command>, Failure> {
        let text = text.to_owned();
        self.session.threads.run(async move { statement::parse(&text) }).await
    }

    /// In a failed transaction only its end is carried out.
    fn allowed(&self, command: &Command) -> Result<(), Failure> {
        let ends = matches!(command, Command::Commit | Command::Rollback | Command::RollbackTo(_));
        if self.session.status == TransactionStatus::Error && !ends {
            return Err(Failure::new(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// What ends the statement that starts now.
    async fn interrupt(&self) -> Interrupt {
        let canceled = match &self.cancel {
            Some(handle) => Some(handle.start_query().await),
            None => None,
        };
        let timeout = self.session.with_settings(|settings| settings.timeout());
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Interrupt { canceled, deadline, gone: self.gone.clone() }
    }

    async fn extended(&mut self, message: Message) -> Result<(), Failure> {
        match message {
            Message::Parse(parse) => {
                let begun = self.begin(Arc::<str>::from(parse.query.as_str()))?;
                let end = Box::pin(self.parse(parse)).await;
                self.end_if_failed(begun, &end).await;
                end
            }
            Message::Bind(bind) => {
                let prepared = self.session.prepared.get(bind.statement_name.as_deref().unwrap_or_default());
                let text = prepared.map(|prepared| Arc::clone(&prepared.text)).unwrap_or_default();
                let begun = self.begin(text)?;
                let end = Box::pin(self.bind(bind)).await;
                self.end_if_failed(begun, &end).await;
                end
            }
            Message::Describe(describe) => self.describe(describe).await,
            Message::Execute(execute) => {
                let text = self.session.texts.get(execute.name.as_deref().unwrap_or_default());
                let text = text.cloned().unwrap_or_default();
                let begun = self.begin(text)?;
                let end = Box::pin(self.execute_portal(execute)).await;
                self.end(begun, &end).await;
                end
            }
            Message::Close(close) => self.close(close).await,
            _ => Err(Failure::new(PROTOCOL, "unexpected message").fatal()),
        }
    }

    async fn parse(&mut self, parse: Parse) -> Result<(), Failure> {
        let name = parse.name.unwrap_or_default();
        if let Some(known) = self.session.recalled(&parse.query, &parse.type_oids)? {
            known.command.as_ref().map(|command| self.allowed(command)).transpose()?;
            return self.prepared(name, known).await;
        }
        let mut interrupt = self.interrupt().await;
        let mut commands = interrupt.guard(self.parsed(&parse.query)).await??;
        if commands.len() > 1 {
            return Err(Failure::new("42601", "cannot insert multiple commands into a prepared statement"));
        }
        let command = commands.pop();
        command.as_ref().map(|command| self.allowed(command)).transpose()?;
        let text = Arc::from(parse.query.as_str());
        let prepared = Box::pin(interrupt.guard(self.session.prepare(command, &parse.type_oids, &text))).await?;
        let prepared = prepared.map_err(|failure| failure.placed(&text))?;
        let prepared = Arc::new(prepared);
        self.session.familiar.keep(&text, &parse.type_oids, &prepared);
        self.prepared(name, prepared).await
    }

    /// Keeps a prepared statement by its name.
    async fn prepared(&mut self, name: String, statement: Arc<Prepared>) -> Result<(), Failure> {
        if !name.is_empty() && self.session.prepared.contains_key(&name) {
            return Err(Failure::new("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        self.session.has_room()?;
        self.session.prepared.insert(name, statement);
        self.wire.feed(Answer::ParseComplete(ParseComplete::new())).await
    }

    async fn bind(&mut self, bind: Bind) -> Result<(), Failure> {
        let statement = bind.statement_name.unwrap_or_default();
        let prepared = self.session.prepared.get(&statement).ok_or_else(|| no_statement(&statement))?;
        let prepared = Arc::clone(prepared);
        let mut interrupt = self.interrupt().await;
        let prepared = Box::pin(interrupt.guard(self.session.renewed(prepared))).await??;
        let formats = Formats(bind.parameter_format_codes);
        let results = Formats(bind.result_column_format_codes);
        let is_text = |place| {
            let of = prepared.parameters.get(place);
            !formats.is_binary(place) || of.is_some_and(|parameter| encoding::is_text(&parameter.of))
        };
        let values = match self.session.encoding.now() {
            Some(code) => code.parameters(&bind.parameters, is_text)?,
            None => bind.parameters,
        };
        let (portal, text) = Session::bind(&prepared, &values, &formats, results)?;
        let name = bind.portal_name.unwrap_or_default();
        self.session.keep(name.clone(), portal)?;
        let Session { texts, portals, .. } = &mut self.session;
        texts.retain(|name, _| portals.contains_key(name));
        texts.insert(name, text);
        self.wire.feed(Answer::BindComplete(BindComplete::new())).await
    }

    async fn describe(&mut self, message: Describe) -> Result<(), Failure> {
        let name = message.name.unwrap_or_default();
        let fields = if message.target_type == TARGET_TYPE_BYTE_PORTAL {
            let portal = self.session.portals.get(&name).ok_or_else(|| no_cursor(&name))?;
            self.fields(portal)
        } else {
            let prepared = self.session.prepared.get(&name).ok_or_else(|| no_statement(&name))?;
            let prepared = Arc::clone(prepared);
            let types = prepared.parameters.iter().map(|parameter| parameter.of.oid()).collect();
            self.wire.feed(Answer::ParameterDescription(ParameterDescription::new(types))).await?;
            match (&prepared.command, &prepared.plan) {
                (Some(Command::Query(_)), Some(plan)) => Some(describe(plan.schema().inner(), &Formats::default())),
                (Some(command), _) => self.command_fields(command, &Formats::default()),
                (None, _) => None,
            }
        };
        match fields {
            Some(fields) => self.wire.description(fields).await,
            None => self.wire.feed(Answer::NoData(NoData::new())).await,
        }
    }

    async fn execute_portal(&mut self, message: Execute) -> Result<(), Failure> {
        let name = message.name.unwrap_or_default();
        let mut interrupt = self.interrupt().await;
        let portal = self.session.portals.remove(&name).ok_or_else(|| no_cursor(&name))?;
        match &portal.body {
            Body::Command(command) => self.allowed(command)?,
            _ if self.session.status == TransactionStatus::Error => self.allowed(&Command::ShowAll)?,
            _ => {}
        }
        let max = u64::try_from(message.max_rows).ok().filter(|max| *max > 0);
        if let Some(portal) = self.execute(portal, max, false, &mut interrupt).await? {
            self.session.portals.insert(name, portal);
        }
        Ok(())
    }

    async fn close(&mut self, close: Close) -> Result<(), Failure> {
        let name = close.name.unwrap_or_default();
        if close.target_type == TARGET_TYPE_BYTE_PORTAL {
            self.session.portals.remove(&name);
        } else {
            self.session.prepared.remove(&name);
        }
        self.wire.feed(Answer::CloseComplete(CloseComplete::new())).await
    }
}

/// What a query is to its portal.
fn planned(query: &Prepared) -> Body {
    query.plan.as_ref().map_or(Body::Empty, |plan| Body::Planned(Box::new(plan.clone()), "SELECT"))
}

/// Reads ahead, so that a client that leaves is noticed at once.
async fn read(mut source: SplitStream<Talk>, inbox: mpsc::Sender<Ahead>, gone: CancellationToken) {
    let room = Arc::new(Semaphore::new(AHEAD_BYTES_MAX));
    while let Some(received) = source.next().await {
        let Received { message, size } = match received {
            Ok(received) => received,
            Err(failure) => {
                // What was sent before is answered first; nothing after it can be understood.
                let _ = inbox.send(Err(failure)).await;
                break;
            }
        };
        let last = matches!(message, Message::Terminate(_));
        let share = u32::try_from(size.min(AHEAD_BYTES_MAX)).unwrap_or(u32::MAX);
        let share = Arc::clone(&room).acquire_many_owned(share).await.ok();
        if inbox.send(Ok((message, share))).await.is_err() || last {
            break;
        }
    }
    gone.cancel();
}

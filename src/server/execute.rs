//! Carrying out portals and commands.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use pgwire::messages::PgWireBackendMessage as Answer;
use pgwire::messages::data::FieldDescription;
use pgwire::messages::extendedquery::PortalSuspended;
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};

use super::connection::Connection;
use super::copy::CopyOptions;
use super::cursors::{Cursor, Fetch};
use super::failure::Failure;
use super::query::{Formats, Interrupt, describe};
use super::session::{Body, Portal, no_cursor, no_schema, no_statement};
use super::settings::{REPORTED, Settings};
use super::statement::Command;

impl Connection {
    /// Carries out a portal for at most `max` rows; gives it back when it may be asked again.
    pub(crate) async fn execute(
        &mut self,
        portal: Portal,
        max: Option<u64>,
        described: bool,
        interrupt: &mut Interrupt,
    ) -> Result<Option<Portal>, Failure> {
        let Portal { body, formats, held } = portal;
        let (mut rows, tag) = match body {
            Body::Empty => {
                self.wire.feed(Answer::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
                return Ok(None);
            }
            Body::Command(command) => {
                Box::pin(self.command(command, &formats, described, interrupt)).await?;
                return Ok(None);
            }
            Body::Copy(plan, options) => {
                self.copy(*plan, &options, interrupt).await?;
                return Ok(None);
            }
            Body::Finished(schema, tag) => {
                self.wire.complete(format!("{tag} 0")).await?;
                return Ok(Some(Portal { body: Body::Finished(schema, tag), formats, held }));
            }
            Body::Cursor(cursor) => {
                // A cursor is read by its name.
                return Ok(Some(Portal { body: Body::Cursor(cursor), formats, held }));
            }
            Body::Planned(plan, tag) => (self.session.start(*plan).await?, tag),
            Body::Running(rows, tag) => (rows, tag),
        };
        // The first row, or its error, before the description: a failing query then answers with the error alone.
        rows.ready(interrupt).await?;
        if described {
            self.wire.description(describe(rows.schema(), &formats)).await?;
        }
        let zone = self.session.with_settings(|settings| settings.zone());
        let (sent, last) = self.wire.rows(&mut rows, max, &formats, zone, interrupt).await?;
        let body = if last {
            self.wire.complete(format!("{tag} {sent}")).await?;
            Body::Finished(Arc::clone(rows.schema()), tag)
        } else {
            self.wire.feed(Answer::PortalSuspended(PortalSuspended::new())).await?;
            Body::Running(rows, tag)
        };
        Ok(Some(Portal { body, formats, held }))
    }

    async fn command(
        &mut self,
        command: Command,
        formats: &Formats,
        described: bool,
        interrupt: &mut Interrupt,
    ) -> Result<(), Failure> {
        match command {
            Command::Query(statement) => {
                let plan = Box::pin(interrupt.guard(self.session.plan(*statement))).await??;
                let body = Body::Planned(Box::new(plan), "SELECT");
                let portal = Portal { body, formats: formats.clone(), held: false };
                Box::pin(self.execute(portal, None, described, interrupt)).await?;
                Ok(())
            }
            Command::Set { name, value, local } => self.set(&name, value.as_deref(), local).await,
            Command::Reset(Some(name)) => {
                self.set(&name, None, false).await?;
                Ok(())
            }
            Command::Reset(None) => {
                self.session.reset_all()?;
                self.report().await?;
                self.wire.complete("RESET").await
            }
            Command::Nothing(tag) => self.wire.complete(tag).await,
            Command::Show(_) | Command::ShowAll => self.show(&command, described).await,
            Command::Begin(_) | Command::Commit | Command::Rollback => self.transaction(&command).await,
            Command::Savepoint(_) | Command::Release(_) | Command::RollbackTo(_) => {
                let tag = self.session.savepoint(&command)?;
                self.wire.complete(tag).await
            }
            Command::Prepare { name, command } => {
                if self.session.prepared.contains_key(&name) {
                    return Err(Failure::new("42P05", format!("prepared statement \"{name}\" already exists")));
                }
                self.session.has_room()?;
                let text = match command.as_ref() {
                    Command::Query(query) | Command::CopyOut { query, .. } => query.to_string().into(),
                    _ => Arc::default(),
                };
                let prepared = Box::pin(interrupt.guard(self.session.prepare(Some(*command), &[], &text))).await??;
                self.session.prepared.insert(name, prepared.into());
                self.wire.complete("PREPARE").await
            }
            Command::Execute { name, arguments } => {
                let command = self.session.executed(&name, &arguments)?;
                Box::pin(self.command(command, formats, described, interrupt)).await
            }
            Command::Deallocate(name) => {
                let Some(name) = name else {
                    self.session.prepared.clear();
                    return self.wire.complete("DEALLOCATE ALL").await;
                };
                self.session.prepared.remove(&name).ok_or_else(|| no_statement(&name))?;
                self.wire.complete("DEALLOCATE").await
            }
            Command::Declare { name, query, binary, hold, scrolls } => {
                if self.session.portals.contains_key(&name) {
                    return Err(Failure::new("42P03", format!("cursor \"{name}\" already exists")));
                }
                let plan = Box::pin(interrupt.guard(self.session.plan(*query))).await??;
                let formats = Formats(if binary { vec![1] } else { Vec::new() });
                // Outside of a transaction a cursor has nothing to end with but itself.
                let held = hold || self.session.status == TransactionStatus::Idle;
                let body = Body::Cursor(Box::new(Cursor::new(Box::new(plan), scrolls)));
                self.session.keep(name, Portal { body, formats, held })?;
                self.wire.complete("DECLARE CURSOR").await
            }
            Command::Fetch { name, direction, moves } => {
                Box::pin(self.fetch(Fetch { name, direction, moves }, formats, described, interrupt)).await
            }
            Command::Close(name) => {
                match name {
                    None => self.session.portals.clear(),
                    Some(name) => {
                        self.session.portals.remove(&name).ok_or_else(|| no_cursor(&name))?;
                    }
                }
                self.wire.complete("CLOSE CURSOR").await
            }
            Command::CopyOut { query, options } => {
                let plan = Box::pin(interrupt.guard(self.session.plan(*query))).await??;
                self.copy(plan, &options, interrupt).await
            }
            Command::DiscardAll => {
                self.session.discard()?;
                self.report().await?;
                self.wire.complete("DISCARD ALL").await
            }
        }
    }

    /// `COPY … TO STDOUT`.
    async fn copy(
        &mut self,
        plan: LogicalPlan,
        options: &CopyOptions,
        interrupt: &mut Interrupt,
    ) -> Result<(), Failure> {
        let mut rows = self.session.start(plan).await?;
        let zone = self.session.with_settings(|settings| settings.zone());
        let sent = self.wire.copy(&mut rows, options, zone, interrupt).await?;
        self.wire.complete(format!("COPY {sent}")).await
    }

    async fn set(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<(), Failure> {
        if local && self.session.status == TransactionStatus::Idle {
            self.warn("25P01", "SET LOCAL can only be used in transaction blocks").await?;
        }
        // Outside of a transaction SET LOCAL has no effect.
        if !local || self.session.status == TransactionStatus::Transaction {
            if name.eq_ignore_ascii_case("search_path") && value.is_some_and(str::is_empty) {
                return Err(no_schema(""));
            }
            self.session.check_moment(name, value).await?;
            self.session.set(name, value, local)?;
        }
        if let Some(known) = Settings::canonical(name).filter(|known| REPORTED.contains(known)) {
            let value = self.session.get(known)?;
            self.wire.parameter(known, &value).await?;
        }
        self.wire.complete(if value.is_none() { "RESET" } else { "SET" }).await
    }

    /// Tells the client all parameters that it follows.
    async fn report(&mut self) -> Result<(), Failure> {
        for name in REPORTED {
            let value = self.session.get(name)?;
            self.wire.parameter(name, &value).await?;
        }
        Ok(())
    }

    async fn show(&mut self, command: &Command, described: bool) -> Result<(), Failure> {
        let settings = self.session.settings();
        let shown: Vec<Vec<&str>>;
        let value;
        if let Command::Show(name) = command {
            value = self.session.get(name)?;
            shown = vec![vec![value.as_str()]];
        } else {
            shown = settings.all().map(|(name, value)| vec![name, value, ""]).collect();
        }
        if let Some(fields) = self.command_fields(command, &Formats::default()).filter(|_| described) {
            self.wire.description(fields).await?;
        }
        for row in &shown {
            self.wire.text_row(row).await?;
        }
        self.wire.complete("SHOW").await
    }

    /// Warns, unless the client wants to hear of errors alone.
    async fn warn(&mut self, code: &str, message: &str) -> Result<(), Failure> {
        let level = self.session.get("client_min_messages")?;
        if ["error", "fatal", "panic"].iter().any(|quiet| level.eq_ignore_ascii_case(quiet)) {
            return Ok(());
        }
        self.wire.warning(code, message).await
    }

    async fn transaction(&mut self, command: &Command) -> Result<(), Failure> {
        let begins = matches!(command, Command::Begin(_));
        match self.session.status {
            TransactionStatus::Idle if !begins => self.warn("25P01", "there is no transaction in progress").await?,
            TransactionStatus::Transaction if begins => {
                self.warn("25001", "there is already a transaction in progress").await?;
            }
            _ => {}
        }
        let tag = match command {
            Command::Begin(tag) => {
                self.session.status = TransactionStatus::Transaction;
                tag
            }
            Command::Commit if self.session.status != TransactionStatus::Error => {
                self.session.end_transaction(true)?;
                "COMMIT"
            }
            _ => {
                self.session.end_transaction(false)?;
                "ROLLBACK"
            }
        };
        self.wire.complete(tag).await
    }

    /// The columns of a portal's rows.
    pub(crate) fn fields(&self, portal: &Portal) -> Option<Vec<FieldDescription>> {
        match &portal.body {
            Body::Empty | Body::Copy(..) => None,
            Body::Command(command) => self.command_fields(command, &portal.formats),
            Body::Planned(plan, _) => Some(describe(plan.schema().inner(), &portal.formats)),
            Body::Running(rows, _) => Some(describe(rows.schema(), &portal.formats)),
            Body::Finished(schema, _) => Some(describe(schema, &portal.formats)),
            Body::Cursor(cursor) => Some(describe(&cursor.schema(), &portal.formats)),
        }
    }

    /// The columns of a command's rows, if it has any.
    pub(crate) fn command_fields(&self, command: &Command, formats: &Formats) -> Option<Vec<FieldDescription>> {
        match command {
            Command::Show(name) => Some(describe(&texts(&[Settings::canonical(name).unwrap_or(name)]), formats)),
            Command::ShowAll => Some(describe(&texts(&["name", "setting", "description"]), formats)),
            Command::Fetch { name, moves: false, .. } => {
                let portal = self.session.portals.get(name)?;
                let binary = !portal.formats.0.is_empty();
                let schema = match &portal.body {
                    Body::Planned(plan, _) => Arc::clone(plan.schema().inner()),
                    Body::Running(rows, _) => Arc::clone(rows.schema()),
                    Body::Finished(schema, _) => Arc::clone(schema),
                    Body::Cursor(cursor) => cursor.schema(),
                    Body::Empty | Body::Command(_) | Body::Copy(..) => return None,
                };
                Some(describe(&schema, if binary { &portal.formats } else { formats }))
            }
            Command::Execute { name, .. } => {
                let prepared = self.session.prepared.get(name)?;
                match (&prepared.command, &prepared.plan) {
                    (Some(Command::Query(_)), Some(plan)) => Some(describe(plan.schema().inner(), formats)),
                    (Some(command), _) => self.command_fields(command, formats),
                    (None, _) => None,
                }
            }
            _ => None,
        }
    }
}

fn texts(names: &[&str]) -> SchemaRef {
    let field = |name: &&str| Field::new(*name, DataType::Utf8, false);
    Schema::new(names.iter().map(field).collect::<Vec<_>>()).into()
}

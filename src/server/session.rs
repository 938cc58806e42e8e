//! A session: one client's context, settings, prepared statements, portals and cursors.
//!
//! Invariants: nothing is shared between sessions but the threads; every plan passes the second line of the read-only
//! guard (no DDL, no DML, no statement, also inside EXPLAIN); a portal holds a running query or nothing.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::{ConfigExtension as _, ExtensionOptions};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{Expr, Statement, Value, VisitorMut};
use pgwire::messages::response::TransactionStatus;
use tokio::sync::OwnedSemaphorePermit;

use super::catalog::Asker;
use super::copy::CopyOptions;
use super::cursors::Cursor;
use super::encoding::ClientEncoding;
use super::failure::{Failure, READ_ONLY, UNDEFINED_OBJECT, UNSUPPORTED};
use super::familiar::Familiar;
use super::plans::Plans;
use super::query::{Formats, QueryThreads, Rows};
use super::settings::{self, Settings};
use super::statement::Command;
use super::teller::{self, Teller, Text};
use super::transaction::Change;
use super::{declared, explain, meaning, naming, parameters, rewrite, search_path};
use crate::engine;
use crate::engine::common_tables::{self, Once};
use crate::engine::options::TieoutOptions;
use crate::engine::similar;
use crate::engine::using;
use crate::engine::walk::walk_mut;

/// Portals hold queries: a client that forgets to close them must not hold all memory.
pub(crate) const PORTALS_MAX: usize = 100;
const PREPARED_MAX: usize = 5_000;

/// One client's state.
pub(crate) struct Session {
    pub(crate) context: SessionContext,
    /// What `pg_catalog` answers from; none if the context has no catalogue.
    pub(crate) catalog: Option<Arc<Asker>>,
    pub(crate) settings: Arc<Mutex<Settings>>,
    pub(crate) encoding: ClientEncoding,
    pub(crate) threads: Arc<QueryThreads>,
    pub(crate) prepared: HashMap<String, Arc<Prepared>>,
    pub(crate) familiar: Familiar,
    pub(crate) portals: HashMap<String, Portal>,
    pub(crate) plans: Arc<Plans>,
    pub(crate) status: TransactionStatus,
    /// What `SET LOCAL` changed: the value before, in order.
    pub(crate) changes: Vec<Change>,
    /// The transaction's savepoints, with how much `SET LOCAL` had changed by then.
    pub(crate) savepoints: Vec<(String, usize)>,
    /// What `RESET` of a `tieout.*` option goes back to: its value when the session started.
    pub(crate) options: HashMap<String, String>,
    /// The statements of the portals that are open, by their names.
    pub(crate) texts: HashMap<String, Text>,
    pub(crate) teller: Teller,
    /// So many rows may a statement fetch.
    pub(crate) rows_max: Option<u64>,
    /// One of the role's connections, while the session lasts.
    pub(crate) _connection: Option<OwnedSemaphorePermit>,
}

/// A statement that was parsed and, where it is a query, planned.
pub(crate) struct Prepared {
    /// `None` is an empty statement.
    pub(crate) command: Option<Command>,
    pub(crate) plan: Option<LogicalPlan>,
    pub(crate) parameters: Vec<Parameter>,
    /// As the client wrote it.
    pub(crate) text: Arc<str>,
    /// The definitions that the plan's names were looked up in.
    pub(super) edition: Option<Arc<str>>,
    /// Where names were looked for, and the clock that times were read by.
    pub(super) surroundings: [String; 2],
}

/// What a placeholder takes.
pub(crate) struct Parameter {
    pub(crate) of: pgwire::api::Type,
    pub(crate) wanted: Option<DataType>,
}

/// A statement with its parameters, on its way to the client.
pub(crate) struct Portal {
    pub(crate) body: Body,
    pub(crate) formats: Formats,
    /// Outlives its transaction.
    pub(crate) held: bool,
}

/// How far a portal has come.
pub(crate) enum Body {
    Empty,
    Command(Command),
    Planned(Box<LogicalPlan>, &'static str),
    Copy(Box<LogicalPlan>, CopyOptions),
    Running(Rows, &'static str),
    /// What `DECLARE` opened.
    Cursor(Box<Cursor>),
    Finished(SchemaRef, &'static str),
}

impl Session {
    /// A copy of the settings as they are now.
    pub(crate) fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn with_settings<T>(&self, change: impl FnOnce(&mut Settings) -> T) -> T {
        change(&mut self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The plan of a query, on the query threads.
    pub(crate) async fn plan(&self, statement: Statement) -> Result<LogicalPlan, Failure> {
        self.planned(statement, Vec::new()).await
    }

    /// The same of a statement whose placeholders may have declared types.
    async fn planned(&self, statement: Statement, oids: Vec<u32>) -> Result<LogicalPlan, Failure> {
        let (context, catalog) = (self.context.clone(), self.catalog.clone());
        let planned = async move { Box::pin(plan(&context, catalog.as_deref(), statement, &oids)).await };
        self.threads.run(planned).await
    }

    /// Parses nothing: prepares an already parsed command, with the types that the client named.
    pub(crate) async fn prepare(
        &self,
        command: Option<Command>,
        oids: &[u32],
        text: &Arc<str>,
    ) -> Result<Prepared, Failure> {
        let plan = match command.clone() {
            Some(Command::Query(statement) | Command::CopyOut { query: statement, .. }) => {
                Some(Box::pin(self.planned(*statement, oids.to_vec())).await?)
            }
            _ => None,
        };
        let parameters = plan.as_ref().map(|plan| parameters_of(plan, oids)).transpose()?.unwrap_or_default();
        self.as_prepared(command, plan, parameters, text)
    }

    /// A command with its plan, as it was planned just now.
    pub(crate) fn as_prepared(
        &self,
        command: Option<Command>,
        plan: Option<LogicalPlan>,
        parameters: Vec<Parameter>,
        text: &Arc<str>,
    ) -> Result<Prepared, Failure> {
        let edition = plan.as_ref().and_then(|_| engine::followed(&self.context));
        let surroundings = self.surroundings()?;
        Ok(Prepared { command, plan, parameters, text: Arc::clone(text), edition, surroundings })
    }

    /// Refuses one more prepared statement than a session may have.
    pub(crate) fn has_room(&self) -> Result<(), Failure> {
        if self.prepared.len() >= PREPARED_MAX {
            return Err(Failure::new("53400", format!("more than {PREPARED_MAX} prepared statements")));
        }
        Ok(())
    }

    pub(super) fn surroundings(&self) -> Result<[String; 2], Failure> {
        Ok([self.get("search_path")?, self.get("TimeZone")?])
    }

    /// A prepared statement as it is to be run now: planned anew where its names may mean other definitions by now.
    pub(crate) async fn renewed(&self, prepared: Arc<Prepared>) -> Result<Arc<Prepared>, Failure> {
        let Some(before) = &prepared.plan else { return Ok(prepared) };
        if self.is_current(&prepared).await? {
            return Ok(prepared);
        }
        let oids: Vec<u32> = prepared.parameters.iter().map(|parameter| parameter.of.oid()).collect();
        let renewed = Box::pin(self.prepare(prepared.command.clone(), &oids, &prepared.text)).await?;
        let columns = |plan: &LogicalPlan| -> Vec<(String, DataType)> {
            plan.schema().fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
        };
        // The client was told the columns when it prepared the statement.
        if renewed.plan.as_ref().map(columns) != Some(columns(before)) {
            return Err(Failure::new(UNSUPPORTED, "cached plan must not change result type")
                .hint("the definitions of this moment have other columns: prepare the statement again"));
        }
        Ok(Arc::new(renewed))
    }

    /// A portal over a prepared statement.
    pub(crate) fn bind(
        prepared: &Prepared,
        values: &[Option<bytes::Bytes>],
        formats: &Formats,
        results: Formats,
    ) -> Result<(Portal, Text), Failure> {
        if values.len() != prepared.parameters.len() {
            return Err(Failure::new(
                "08P01",
                format!("{} parameters were bound, the statement takes {}", values.len(), prepared.parameters.len()),
            ));
        }
        let scalar = |(place, (value, parameter)): (usize, (&Option<bytes::Bytes>, &Parameter))| {
            parameters::scalar(value.as_deref(), formats.is_binary(place), &parameter.of, parameter.wanted.as_ref())
        };
        let values: Vec<ScalarValue> =
            values.iter().zip(&prepared.parameters).enumerate().map(scalar).collect::<Result<_, _>>()?;
        let told = values.iter().map(teller::value).collect();
        let bound = |plan: &LogicalPlan| -> Result<Box<LogicalPlan>, Failure> {
            let plan = plan.clone();
            Ok(Box::new(if values.is_empty() { plan } else { plan.with_param_values(ParamValues::from(values))? }))
        };
        let body = match (&prepared.command, &prepared.plan) {
            (None, _) => Body::Empty,
            (Some(Command::Query(_)), Some(plan)) => Body::Planned(bound(plan)?, "SELECT"),
            (Some(Command::CopyOut { options, .. }), Some(plan)) => Body::Copy(bound(plan)?, options.clone()),
            (Some(command), _) => Body::Command(command.clone()),
        };
        let parameters = told;
        Ok((Portal { body, formats: results, held: false }, Text { sql: Arc::clone(&prepared.text), parameters }))
    }

    /// Keeps a portal under its name.
    pub(crate) fn keep(&mut self, name: String, portal: Portal) -> Result<(), Failure> {
        if self.portals.len() >= PORTALS_MAX && !self.portals.contains_key(&name) {
            return Err(Failure::new("53400", format!("more than {PORTALS_MAX} open portals"))
                .hint("close cursors that are no longer read"));
        }
        self.portals.insert(name, portal);
        Ok(())
    }

    /// Starts a plan, or finds its answer.
    pub(crate) async fn start(&self, plan: LogicalPlan) -> Result<Rows, Failure> {
        if let Some(answer) = self.plans.answer(&self.context, &plan).await {
            return Ok(Rows::answered(&plan, answer, self.rows_max));
        }
        Rows::start(&self.threads, self.context.clone(), plan, &self.plans, self.rows_max)
    }

    /// The command that `EXECUTE name(arguments)` stands for.
    pub(crate) fn executed(&self, name: &str, arguments: &[Expr]) -> Result<Command, Failure> {
        let prepared = self.prepared.get(name).ok_or_else(|| no_statement(name))?;
        let mut command = prepared.command.clone().ok_or_else(|| no_statement(name))?;
        if let Command::Query(statement) | Command::CopyOut { query: statement, .. } = &mut command
            && walk_mut(statement, &mut Substitute(arguments)).is_break()
        {
            return Err(Failure::new("42601", format!("wrong number of parameters for prepared statement \"{name}\"")));
        }
        Ok(command)
    }

    /// Sets a parameter or an engine option; without a value, back to its default.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<(), Failure> {
        let before = self.get(name).ok();
        self.put(name, value)?;
        if self.status != TransactionStatus::Idle {
            self.changes.push(Change { name: name.to_ascii_lowercase(), before, local });
        }
        Ok(())
    }

    pub(crate) fn put(&self, name: &str, value: Option<&str>) -> Result<(), Failure> {
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("tieout.") {
            let value = value.or_else(|| self.options.get(&lower).map(String::as_str)).unwrap_or_default().to_owned();
            self.get(name)?;
            self.set_option(&lower, &value)
        } else {
            self.with_settings(|settings| settings.set(name, value))?;
            self.follow(&lower)
        }
    }

    /// Refuses a moment that means no commit, or whose definitions cannot be loaded, when it is set, not when it is first
    /// read.
    pub(crate) async fn check_moment(&self, name: &str, value: Option<&str>) -> Result<(), Failure> {
        let option = ["as_of", "definitions"].into_iter().find(|option| {
            name.split_once('.').is_some_and(|(prefix, rest)| {
                prefix.eq_ignore_ascii_case(TieoutOptions::PREFIX) && rest.eq_ignore_ascii_case(option)
            })
        });
        let (Some(option), Some(value)) = (option, value) else { return Ok(()) };
        let state = self.context.state_ref();
        let Some(options) = state.read().config_options().extensions.get::<TieoutOptions>().cloned() else {
            return Ok(());
        };
        // Loading definitions plans: on the threads that have the stack for it.
        let value = value.to_owned();
        self.threads.run(async move { Ok(options.check(option, &value).await?) }).await
    }

    /// A parameter's or an engine option's value.
    pub(crate) fn get(&self, name: &str) -> Result<String, Failure> {
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("tieout.") {
            let state = self.context.state_ref();
            let state = state.read();
            // Not the entries of all options: this is asked for with each statement.
            let entries = state.config_options().extensions.get::<TieoutOptions>().map(ExtensionOptions::entries);
            let entry = entries.into_iter().flatten().find(|entry| entry.key == lower);
            return entry.map(|entry| entry.value.unwrap_or_default()).ok_or_else(|| settings::unknown(name));
        }
        self.with_settings(|settings| settings.get(name).map(str::to_owned)).ok_or_else(|| settings::unknown(name))
    }

    /// What a setting means to DataFusion.
    pub(crate) fn follow(&self, name: &str) -> Result<(), Failure> {
        let value = self.get(name)?;
        match name {
            "timezone" => self.set_option("datafusion.execution.time_zone", &self.settings().zone().to_string()),
            "search_path" => match search_path::first(&value, &self.context) {
                Some(schema) => self.set_option("datafusion.catalog.default_schema", &schema),
                None => Ok(()),
            },
            "client_encoding" => {
                self.encoding.follow(&value);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn set_option(&self, key: &str, value: &str) -> Result<(), Failure> {
        let state = self.context.state_ref();
        let mut state = state.write();
        state.config_mut().options_mut().set(key, value).map_err(|error| {
            Failure::new("22023", format!("invalid value for parameter \"{key}\": \"{value}\""))
                .hint(Failure::from(error).message)
        })
    }

    /// `RESET ALL`.
    pub(crate) fn reset_all(&mut self) -> Result<(), Failure> {
        self.with_settings(Settings::reset_all)?;
        self.follow("timezone")?;
        self.follow("search_path")?;
        self.follow("client_encoding")?;
        for (key, value) in &self.options {
            self.set_option(key, value)?;
        }
        Ok(())
    }

    /// `DISCARD ALL`: as if the session were new.
    pub(crate) fn discard(&mut self) -> Result<(), Failure> {
        self.prepared.clear();
        self.familiar.clear();
        self.portals.clear();
        self.reset_all()
    }
}

/// With what may have been meant, if a table is not there.
fn unknown(context: &SessionContext, failure: Failure) -> Failure {
    match similar::hint(context, &failure.message).filter(|_| failure.hint.is_none()) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The plan of a query, past the second line of the read-only guard.
pub(crate) async fn plan(
    context: &SessionContext,
    asker: Option<&Asker>,
    statement: Statement,
    oids: &[u32],
) -> Result<LogicalPlan, Failure> {
    let (statement, explained) = explain::wanted(statement)?;
    let plan = Box::pin(planned(context, asker, statement, oids)).await?;
    match explained {
        Some(format) => explain::explaining(plan, format),
        None => Ok(plan),
    }
}

async fn planned(
    context: &SessionContext,
    asker: Option<&Asker>,
    statement: Statement,
    oids: &[u32],
) -> Result<LogicalPlan, Failure> {
    let mut rewritten = rewrite::rewrite(statement);
    declared::cast(&mut rewritten.statement, oids);
    engine::follow(context).await?;
    if let Some(asker) = asker {
        search_path::qualify(&mut rewritten.statement, &asker.search_path(), context);
    }
    if let Some(asker) = asker.filter(|_| rewritten.asks_names) {
        asker.list().await?;
    }
    let refused = |error: DataFusionError| unknown(context, error.into());
    let mut statement = Box::pin(using::merged(&context.state(), rewritten.statement)).await.map_err(refused)?;
    common_tables::mark(&mut statement, "", Once::ReadAgain);
    let plan = Box::pin(naming::planned(context, statement)).await.map_err(refused)?;
    let plan = meaning::meant(plan, meaning::writers(context).as_ref())?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)
        .map_err(|error| Failure::new(READ_ONLY, Failure::from(error).message))?;
    Ok(plan)
}

pub(crate) fn no_statement(name: &str) -> Failure {
    Failure::new("26000", format!("prepared statement \"{name}\" does not exist"))
}

pub(crate) fn no_cursor(name: &str) -> Failure {
    Failure::new("34000", format!("cursor \"{name}\" does not exist"))
}

pub(crate) fn no_schema(path: &str) -> Failure {
    Failure::new(UNDEFINED_OBJECT, format!("no schema in \"{path}\""))
}

/// What the placeholders of a plan take: the client's word first, then the plan's, else text.
fn parameters_of(plan: &LogicalPlan, oids: &[u32]) -> Result<Vec<Parameter>, Failure> {
    let mut types = plan.get_parameter_types()?;
    // DataFusion does not say what LIMIT and OFFSET take.
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for expr in limit.skip.iter().chain(&limit.fetch) {
                expr.apply(|expr| {
                    if let datafusion::logical_expr::Expr::Placeholder(placeholder) = expr {
                        types.entry(placeholder.id.clone()).or_default().get_or_insert(DataType::Int64);
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let places = types.keys().filter_map(|name| name.strip_prefix('$')?.parse::<usize>().ok());
    let count = places.max().unwrap_or(0).max(oids.len());
    let parameter = |place: usize| {
        let wanted = types.get(&format!("${}", place + 1)).cloned().flatten();
        let wanted = wanted.filter(|wanted| !wanted.is_null());
        let named = oids.get(place).filter(|oid| **oid != 0).and_then(|oid| pgwire::api::Type::from_oid(*oid));
        let inferred = wanted.as_ref().map(super::encode::field_type);
        Parameter { of: named.or(inferred).unwrap_or(pgwire::api::Type::TEXT), wanted }
    };
    if count > usize::from(u16::MAX) {
        return Err(Failure::new("54000", "more than 65535 parameters"));
    }
    Ok((0..count).map(parameter).collect())
}

/// Puts arguments in the place of `$1`, `$2` …; breaks when one is missing.
struct Substitute<'a>(&'a [Expr]);

impl VisitorMut for Substitute<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
        {
            let place = name.strip_prefix('$').and_then(|place| place.parse::<usize>().ok());
            let Some(argument) = place.and_then(|place| self.0.get(place.checked_sub(1)?)) else {
                return ControlFlow::Break(());
            };
            *expr = Expr::Nested(Box::new(argument.clone()));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::statement;

    #[tokio::test]
    async fn a_copy_takes_parameters_as_its_query_does() {
        let text = "copy (select $1 + 1 as n) to stdout (format csv)";
        let command = statement::parse(text).unwrap().pop().unwrap();
        let Command::CopyOut { query, .. } = command.clone() else { panic!("{command:?}") };
        let plan = plan(&SessionContext::new(), None, *query, &[20]).await.unwrap();
        let parameters = parameters_of(&plan, &[20]).unwrap();
        let text = text.into();
        let surroundings = Default::default();
        let (command, plan) = (Some(command), Some(plan));
        let prepared = Prepared { command, plan, parameters, text, edition: None, surroundings };
        let values = [Some(bytes::Bytes::from_static(b"41"))];
        let (portal, told) = Session::bind(&prepared, &values, &Formats::default(), Formats::default()).unwrap();
        let Body::Copy(plan, options) = portal.body else { panic!("no copy") };
        assert_eq!(told.parameters.as_ref(), ["41"]);
        assert!(options.csv && plan.get_parameter_types().unwrap().is_empty(), "{plan}");
    }
}

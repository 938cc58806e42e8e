//! `as_of('recon.exceptions', '2026-08-31')` and `changes('pm.vendors', 'FY2024', 'FY2025')`: tables at moments of their own.
//!
//! Owns what their arguments mean. Invariants: names are looked up in the session's own catalog, so that a function shows
//! nothing that the session may not read; nobody's `tieout.as_of` changes.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, SecondsFormat};
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue, TableReference, config_datafusion_err, plan_datafusion_err, plan_err};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Expr;
use futures::FutureExt;

use crate::engine::changes;
use crate::engine::editions::Edition;
use crate::engine::moments::MomentTable;
use crate::engine::options::TieoutOptions;
use crate::engine::pinned::{self, When, Which};

/// Stack of the thread that finds a table which is not there at once: planning a view recurses deeply.
const STACK_BYTES: usize = 32 << 20;

/// Registers both functions.
pub(crate) fn register(state: &mut SessionState) {
    state.register_udtf("as_of", Arc::new(AsOfFunction));
    state.register_udtf("changes", Arc::new(ChangesFunction));
}

#[derive(Debug)]
struct AsOfFunction;

impl TableFunctionImpl for AsOfFunction {
    fn call_with_args(&self, arguments: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let (session, usage) = (arguments.session(), "as_of('recon.exceptions', '2026-08-31' [, accounting date])");
        let (name, at, date) = match arguments.exprs() {
            [name, at] => (name, at, None),
            [name, at, date] => (name, at, accounting_date(date, usage)?),
            _ => return plan_err!("as_of takes a table and a moment: {usage}"),
        };
        let when = When { accounting_date: date, ..when(session, at, usage)? };
        let options = options(session)?.clone();
        // Views of that moment's own definitions, where the session reads by these.
        let edition = match when.which.absolute().cloned() {
            Some(as_of) => now(async move { options.edition_at(&as_of).await })?,
            None => None,
        };
        let (reference, table) = find(session, edition.as_ref(), &text(name, usage)?)?;
        let when = When { edition, ..when };
        let (_, plan) = pinned::scan(&reference, &table, when)?;
        Ok(Arc::new(ViewTable::new(plan.build()?, None)))
    }
}

#[derive(Debug)]
struct ChangesFunction;

impl TableFunctionImpl for ChangesFunction {
    fn call_with_args(&self, arguments: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let (session, usage) = (arguments.session(), "changes('pm.vendors', '2026-08-31', '2026-09-30')");
        let [name, from, to] = arguments.exprs() else {
            return plan_err!("changes takes a table and two moments: {usage}");
        };
        // Both readings by the session's definitions: a view that was written anew is no change of its rows.
        let (reference, table) = find(session, None, &text(name, usage)?)?;
        // Whoever compares two moments may know which they are, also who may not read meta.
        let clock = (TableReference::partial("meta", "clock"), Arc::new(MomentTable::Clock) as Arc<dyn TableProvider>);
        let between = changes::Between { from: when(session, from, usage)?, to: when(session, to, usage)? };
        changes::table(&(reference, table), &clock, between)
    }
}

/// The table of that name, in the session's catalog and search path, or in that of other definitions.
fn find(
    session: &dyn Session,
    edition: Option<&Arc<Edition>>,
    name: &str,
) -> Result<(TableReference, Arc<dyn TableProvider>)> {
    let defaults = &session.config_options().catalog;
    let reference = TableReference::parse_str(name).resolve(&defaults.default_catalog, &defaults.default_schema);
    let catalog = match edition.filter(|_| *reference.catalog == defaults.default_catalog) {
        Some(edition) => Some(options(session)?.catalog(edition)?),
        None => session.catalog_list().catalog(&reference.catalog),
    };
    let schema = catalog.and_then(|catalog| catalog.schema(&reference.schema));
    let Some(schema) = schema else {
        return plan_err!("failed to resolve schema: {}.{}", reference.catalog, reference.schema);
    };
    let wanted = reference.table.to_string();
    let lookup = Arc::clone(&schema);
    let found = now(async move { lookup.table(&wanted).await })?;
    let reference = TableReference::from(reference);
    if let Some(table) = found {
        return Ok((reference, table));
    }
    let names = schema.table_names();
    let nearest = names.iter().min_by_key(|known| strsim::damerau_levenshtein(known, reference.table()));
    let hint = nearest
        .filter(|known| strsim::damerau_levenshtein(known, reference.table()) <= 3)
        .map(|known| format!("\nhint: did you mean `{}.{known}`?", reference.schema().unwrap_or_default()));
    plan_err!("table '{reference}' not found{}", hint.unwrap_or_default())
}

/// Waits for what is nearly always there already. Table functions are planned by code that cannot wait.
fn now<T: Send>(future: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let mut future = Box::pin(future);
    if let Some(done) = future.as_mut().now_or_never() {
        return done;
    }
    // A thread of its own: it may block, and its stack is as deep as planning needs.
    let runtime = tokio::runtime::Handle::try_current();
    std::thread::scope(|scope| {
        let wait = move || {
            let _entered = runtime.as_ref().ok().map(tokio::runtime::Handle::enter);
            futures::executor::block_on(future)
        };
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, wait)?;
        let ended = || plan_err!("finding the table ended by a bug; see the server's log");
        thread.join().unwrap_or_else(|_| ended())
    })
}

fn text(argument: &Expr, usage: &str) -> Result<String> {
    let named = match argument {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    };
    let unnamed = || plan_datafusion_err!("a table is named by a text, not by an expression over rows: {usage}");
    named.map(ToOwned::to_owned).ok_or_else(unnamed)
}

fn accounting_date(argument: &Expr, usage: &str) -> Result<Option<NaiveDate>> {
    let Expr::Literal(value, _) = argument else { return plan_err!("an accounting date is a constant: {usage}") };
    match value {
        ScalarValue::Date32(Some(_)) | ScalarValue::Utf8(Some(_)) => {
            match NaiveDate::parse_from_str(value.to_string().trim(), "%Y-%m-%d") {
                Ok(date) => Ok(Some(date)),
                Err(error) => plan_err!("accounting date `{value}` is no date (YYYY-MM-DD): {error}"),
            }
        }
        value if value.is_null() => Ok(None),
        other => plan_err!("accounting date `{other}` is no date: {usage}"),
    }
}

/// A moment: a text as `tieout.as_of` takes it, a date, a timestamp, a commit's number, or one of [`Which`]'s words.
fn when(session: &dyn Session, argument: &Expr, usage: &str) -> Result<When> {
    let options = options(session)?;
    let Expr::Literal(value, _) = argument else {
        return plan_err!("a moment is a constant, not a parameter or an expression over rows: {usage}");
    };
    let as_of = match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => {
            if let Some(which) = Which::in_words(text) {
                return Ok(When { which, accounting_date: None, edition: None });
            }
            options.parse(text)?
        }
        ScalarValue::Date32(Some(_)) => options.parse(&value.to_string())?,
        ScalarValue::Int64(Some(number)) => options.parse(&format!("commit:{number}"))?,
        value if value.data_type().is_temporal() && !value.is_null() => options.parse(&moment(value)?)?,
        other => return plan_err!("`{other}` is no moment: {usage}"),
    };
    Ok(When { which: Which::At(as_of), accounting_date: None, edition: None })
}

fn options(session: &dyn Session) -> Result<&TieoutOptions> {
    let options = session.config_options().extensions.get::<TieoutOptions>();
    options.ok_or_else(|| config_datafusion_err!("this session was not opened by the engine"))
}

/// A timestamp as text: with an offset if it is a moment, without if it is a time in the firm's zone.
fn moment(value: &ScalarValue) -> Result<String> {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let is_zoned = matches!(value.data_type(), DataType::Timestamp(_, Some(_)));
    let ScalarValue::TimestampMicrosecond(Some(at), _) = value.cast_to(&micros)? else {
        return plan_err!("`{value}` is no moment");
    };
    let at = DateTime::from_timestamp_micros(at).unwrap_or_default();
    let text = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    Ok(if is_zoned { text } else { text.trim_end_matches('Z').to_owned() })
}

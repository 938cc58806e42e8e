//! The canonical model: from a source's own SQL to `pm.<entity>` and `erp.<entity>` with the same columns on both sides.
//!
//! Owns the wrapping: every view has every column of its entity, in the declared type, half a cent to the even one; what a source
//! does not map is null. And the keys: where a side has several connections, each numbers its records for itself, so the keys of
//! all but the one read first carry the connection's name in front (`east:V0001`); see [`prefixes`].
//! `approved_at` is the source's where it has one, else what commits observed (`system.record_statuses`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, plan_datafusion_err};
use datafusion::execution::session_state::SessionState;
use datafusion::functions::expr_fn::{coalesce, concat};
use datafusion::logical_expr::{Cast, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, col, lit, when};
use datafusion::sql::parser::Statement;
use serde::Deserialize;

use crate::definitions::Definitions;
use crate::engine::Error;
use crate::engine::firm_status;
use crate::engine::functions::{is_finer, round_half_even};
use crate::engine::known::{self, Known};
use crate::engine::layout::{AMOUNT, Ordered};
use crate::engine::queries::{Name, Problem, SOURCE, bind_source, parse_select, relations, selected};
use crate::engine::settings::FirmWords;
use crate::engine::shared::Shared;
use crate::engine::using;
use crate::warehouse::rows::ColumnType;

const PATH: &str = "queries/canonical.toml";
/// Between a connection's name and a record's own key.
const AFTER_SOURCE: &str = ":";
/// Columns that end like keys of the same connection and are none: keys of the other side, and numbers of documents.
const NO_KEYS: [&str; 2] = ["linked_id", "document_id"];

/// A record's key as its own system has it, without the connection in front.
pub(crate) fn own_key<'a>(source: &str, key: &'a str) -> &'a str {
    key.strip_prefix(source).and_then(|rest| rest.strip_prefix(AFTER_SOURCE)).unwrap_or(key)
}

/// One entity of the canonical model.
#[derive(Clone, Debug)]
pub(crate) struct Entity {
    pub(crate) name: String,
    pub(crate) grain: String,
    pub(crate) columns: Vec<(String, DataType)>,
    pub(crate) descriptions: BTreeMap<String, String>,
    /// What its column `kind` may hold, where a mapping may tell a part of them.
    pub(crate) kinds: Vec<String>,
}

impl Entity {
    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|(name, _)| name == column)
    }
}

/// One source's mapping of one entity.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) source: String,
    pub(crate) path: String,
    /// The raw tables it reads, as (source, table).
    pub(crate) reads: BTreeSet<Name>,
    /// The columns that it tells; none if its text does not name them.
    pub(crate) columns: Option<BTreeSet<String>>,
    /// The kinds of record that it tells, where it does not tell all.
    pub(crate) kinds: Option<Vec<String>>,
    /// The raw tables whose status words the firm may give a meaning.
    pub(crate) has_words: BTreeSet<String>,
    /// What stands in front of its records' keys: see [`prefixes`].
    pub(crate) prefix: Option<String>,
    /// The currency of amounts for which the source tells none.
    pub(crate) currency: Option<String>,
    definitions: Arc<Definitions>,
    statement: OnceLock<Result<Statement, String>>,
}

impl Mapping {
    /// Its SQL; what is shipped is parsed when somebody asks.
    fn statement(&self) -> Result<&Statement, String> {
        let parse = || bound(&self.definitions, &self.source, &self.path, &FirmWords::default());
        self.statement.get_or_init(|| parse().map(|bound| bound.statement)).as_ref().map_err(Clone::clone)
    }
}

/// What stands in front of the keys of each connection that was not the first of its side, by connection. `ever` holds each
/// connection's side: those that were ever read in the order of their first reading, then those that are configured, by name.
///
/// Two ERPs both have a vendor V0001: without it they would be one. The first keeps its keys as they are, so that a firm with one
/// ERP reads them as the ERP shows them: acumatica and intacct → V0001, intacct:V0001. It is the first for ever, also when it is
/// gone: a connection that came or went would rename the keys of another, and begin its exceptions anew.
pub(crate) fn prefixes<'a>(ever: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    let mut firsts: BTreeMap<&str, &str> = BTreeMap::new();
    let others = ever.into_iter().filter(|(source, side)| *firsts.entry(side).or_insert(source) != *source);
    others.map(|(source, _)| (source.to_owned(), format!("{source}{AFTER_SOURCE}"))).collect()
}

#[derive(Deserialize)]
struct EntityFile {
    #[serde(default)]
    grain: String,
    #[serde(default)]
    columns: Ordered<String>,
    #[serde(default)]
    descriptions: BTreeMap<String, String>,
    #[serde(default)]
    kinds: Vec<String>,
}

/// Reads the entities, each with the common columns first.
pub(crate) fn entities(definitions: &Definitions) -> Result<Vec<Entity>, Error> {
    let failed = |reason: String| Error::Manifest { path: PATH.to_owned(), reason };
    let Some(text) = definitions.get(PATH) else { return Ok(Vec::new()) };
    let files: BTreeMap<String, EntityFile> = toml::from_str(text).map_err(|error| failed(error.to_string()))?;
    let mut common = Vec::new();
    let mut common_descriptions = BTreeMap::new();
    let mut entities: Vec<Entity> = Vec::new();
    for (name, file) in files {
        let typed = |(column, word): (String, String)| match data_type(&word) {
            Some(kind) => Ok((column, kind)),
            None => Err(failed(format!("{name}.{column}: unknown type `{word}`"))),
        };
        let columns = file.columns.into_entries().into_iter().map(typed).collect::<Result<Vec<_>, _>>()?;
        if name == "common" {
            common = columns;
            common_descriptions = file.descriptions;
        } else {
            let EntityFile { grain, descriptions, kinds, .. } = file;
            entities.push(Entity { name, grain, columns, descriptions, kinds });
        }
    }
    for entity in &mut entities {
        let own = std::mem::take(&mut entity.columns);
        entity.columns = common.iter().cloned().chain(own).collect();
        let mut seen = BTreeSet::new();
        entity.columns.retain(|(name, _)| seen.insert(name.clone()));
        for (name, text) in &common_descriptions {
            entity.descriptions.entry(name.clone()).or_insert_with(|| text.clone());
        }
    }
    Ok(entities)
}

fn data_type(word: &str) -> Option<DataType> {
    match word {
        "text" => Some(DataType::Utf8),
        "bool" => Some(DataType::Boolean),
        "date" => Some(DataType::Date32),
        "timestamp" => Some(ColumnType::Timestamp.data_type()),
        "integer" => Some(DataType::Int64),
        "amount" => Some(AMOUNT.data_type()),
        "rate" => Some(DataType::Decimal128(9, 6)),
        _ => None,
    }
}

/// A source's mapping of an entity, if its system has one. `words` are the firm's own for the source, where it has some.
pub(crate) fn mapping(
    definitions: &Arc<Definitions>,
    source: &str,
    system: &str,
    entity: &str,
    words: Option<&FirmWords>,
) -> Result<Option<Mapping>, Problem> {
    let path = format!("extractors/{system}/canonical/{entity}.sql");
    let Some(sql) = definitions.get(&path) else { return Ok(None) };
    // Which words the firm has may decide which columns a mapping tells.
    let known = if words.is_none() { known::of(definitions, &path) } else { None };
    let (known, has_words, statement) = if let Some(known) = known {
        (known, BTreeSet::new(), OnceLock::new())
    } else {
        let bound = bound(definitions, source, &path, &words.cloned().unwrap_or_default());
        let bound = bound.map_err(|reason| Problem { path: path.clone(), reason })?;
        (bound.known, bound.has_words, Ok(bound.statement).into())
    };
    let of_source = |(schema, table): Name| (if schema == SOURCE { source.to_owned() } else { schema }, table);
    Ok(Some(Mapping {
        source: source.to_owned(),
        kinds: kinds(sql),
        path,
        reads: known.reads.into_iter().map(of_source).collect(),
        columns: known.selects.map(|columns| columns.into_iter().collect()),
        has_words,
        prefix: None,
        currency: None,
        definitions: Arc::clone(definitions),
        statement,
    }))
}

/// A mapping that reads the tables of its source, in the words of the firm.
struct Bound {
    statement: Statement,
    /// What it reads and selects; the tables of its source still as `source.<table>`.
    known: Known,
    has_words: BTreeSet<String>,
}

fn bound(definitions: &Definitions, source: &str, path: &str, words: &FirmWords) -> Result<Bound, String> {
    let mut statement = spelt_out(definitions, path)?;
    let has_words = firm_status::bind(&mut statement, words)?;
    let known = Known { reads: relations(&statement)?, selects: selected(&statement).map(Vec::from_iter) };
    bind_source(&mut statement, source);
    Ok(Bound { statement, known, has_words })
}

/// What the mapping of a file reads and selects for a firm without words of its own.
#[cfg(test)]
pub(crate) fn told(definitions: &Definitions, path: &str) -> Result<Known, String> {
    Ok(bound(definitions, SOURCE, path, &FirmWords::default())?.known)
}

/// A mapping with what it shares with others in its place.
pub(crate) fn spelt_out(definitions: &Definitions, path: &str) -> Result<Statement, String> {
    let mut statement = parse_select(definitions.get(path).unwrap_or_default())?;
    Shared::of(definitions, path, &statement)?.spell_out(&mut statement, None)?;
    Ok(statement)
}

/// The kinds of record that a mapping tells, as a line of its header says: `-- kinds: commitment`.
fn kinds(sql: &str) -> Option<Vec<String>> {
    let told = sql.lines().map_while(|line| line.strip_prefix("--")).find_map(|line| line.strip_prefix(" kinds:"))?;
    Some(told.split(',').map(|kind| kind.trim().to_owned()).filter(|kind| !kind.is_empty()).collect())
}

/// Plans `<side>.<entity>` over the mappings of the side's sources.
///
/// # Errors
/// Why one of the mappings cannot be planned, its path in front: a model that lacks one source would call the records of
/// that source missing.
pub(crate) async fn plan(state: &SessionState, entity: &Entity, mappings: &[Mapping]) -> Result<LogicalPlan, String> {
    let mut plan: Option<LogicalPlanBuilder> = None;
    for mapping in mappings {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", mapping.path);
        let one = plan_one(state, entity, mapping).await.map_err(|error| failed(&error))?;
        plan = Some(match plan {
            Some(before) => before.union(one).map_err(|error| failed(&error))?,
            None => LogicalPlanBuilder::from(one),
        });
    }
    let plan = match plan {
        Some(plan) => plan.build().map_err(Error::from),
        None => no_rows(entity),
    };
    plan.map_err(|error| error.to_string())
}

fn no_rows(entity: &Entity) -> Result<LogicalPlan, Error> {
    let nulls = entity.columns.iter().map(|(name, kind)| Ok(lit(ScalarValue::try_from(kind)?).alias(name)));
    let nulls = nulls.collect::<Result<Vec<Expr>, datafusion::error::DataFusionError>>()?;
    Ok(LogicalPlanBuilder::empty(true).project(nulls)?.filter(lit(false))?.build()?)
}

async fn plan_one(state: &SessionState, entity: &Entity, mapping: &Mapping) -> Result<LogicalPlan, Error> {
    let statement = mapping.statement().map_err(|reason| plan_datafusion_err!("{reason}"))?;
    let mapped = using::planned(state, statement.clone()).await?;
    let names: BTreeSet<String> = mapped.schema().fields().iter().map(|field| field.name().clone()).collect();
    for name in &names {
        if !entity.has(name) {
            let known: Vec<&str> = entity.columns.iter().map(|(name, _)| name.as_str()).collect();
            let reason =
                format!("column `{name}` is not in {PATH} [{}]; hint: known are {}", entity.name, known.join(", "));
            return Err(Error::Manifest { path: mapping.path.clone(), reason });
        }
    }
    if !names.contains("record_id") {
        return Err(Error::Manifest { path: mapping.path.clone(), reason: "it has no column record_id".to_owned() });
    }
    let mapped = with_prefixes(mapping, mapped)?;
    let observed = entity.has("approved_at") && entity.has("approval_status");
    let plan = if observed { with_statuses(state, entity, mapping, mapped).await? } else { mapped };
    let schema = Arc::clone(plan.schema());
    let column = |(name, kind): &(String, DataType)| {
        let value = if names.contains(name) {
            let told = schema.field_with_unqualified_name(name)?.data_type();
            exactly(col(unqualified(name)), told, kind)
        } else {
            lit(ScalarValue::try_from(kind)?)
        };
        let value = match name.as_str() {
            "source" => lit(mapping.source.as_str()),
            "currency" => match &mapping.currency {
                Some(currency) => coalesce(vec![cast(value, kind), lit(currency.as_str())]),
                None => value,
            },
            "approved_at" if observed => coalesce(vec![cast(value, kind), col("_status_at")]),
            "approved_at_basis" if observed => basis(value, &names)?,
            _ => value,
        };
        Ok(cast(value, kind).alias(name))
    };
    let columns = entity.columns.iter().map(column).collect::<Result<Vec<_>, Error>>()?;
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

/// The mapping's columns, with the connection's name in front of its keys.
fn with_prefixes(mapping: &Mapping, mapped: LogicalPlan) -> Result<LogicalPlan, Error> {
    let Some(prefix) = &mapping.prefix else { return Ok(mapped) };
    let column = |column: datafusion::common::Column| {
        let name = column.name.clone();
        let is_key = name.ends_with("_id") && !NO_KEYS.contains(&name.as_str());
        let value = col(column);
        if !is_key {
            return Ok(value.alias(name));
        }
        let text = cast(value, &DataType::Utf8);
        // A null and nothing at all are no key.
        let is_key = text.clone().is_not_null().and(text.clone().not_eq(lit("")));
        Ok(when(is_key, concat(vec![lit(prefix.as_str()), text])).end()?.alias(name))
    };
    let columns = mapped.schema().columns().into_iter().map(column).collect::<Result<Vec<_>, Error>>()?;
    Ok(LogicalPlanBuilder::from(mapped).project(columns)?.build()?)
}

/// Where the source has a date, its basis is `source` unless its SQL says otherwise.
fn basis(own: Expr, names: &BTreeSet<String>) -> Result<Expr, Error> {
    if !names.contains("approved_at") {
        return Ok(coalesce(vec![cast(own, &DataType::Utf8), col("_status_basis")]));
    }
    let dated = when(col("approved_at").is_not_null(), lit("source")).otherwise(col("_status_basis"))?;
    Ok(coalesce(vec![cast(own, &DataType::Utf8), dated]))
}

/// The mapping's columns, and what commits observed of each record's approval.
async fn with_statuses(
    state: &SessionState,
    entity: &Entity,
    mapping: &Mapping,
    mapped: LogicalPlan,
) -> Result<LogicalPlan, Error> {
    let quote = |text: &str| text.replace('\'', "''");
    let sql = format!(
        "select record_id as _status_record, approved_at as _status_at, approved_at_basis as _status_basis \
         from system.record_statuses where entity = '{}' and source = '{}'",
        quote(&entity.name),
        quote(&mapping.source),
    );
    let statuses = state.create_logical_plan(&sql).await?;
    // Names without their table: the columns stand in a new projection whatever the mapping called its tables.
    let columns: Vec<Expr> =
        mapped.schema().columns().into_iter().map(|column| col(column.clone()).alias(column.name)).collect();
    let same_record = cast(col(unqualified("record_id")), &DataType::Utf8).eq(col("_status_record"));
    Ok(LogicalPlanBuilder::from(mapped).project(columns)?.join_on(statuses, JoinType::Left, [same_record])?.build()?)
}

fn unqualified(name: &str) -> datafusion::common::Column {
    datafusion::common::Column::new_unqualified(name)
}

/// A decimal in the places of its canonical column: a cast alone would round halves away from zero.
fn exactly(value: Expr, told: &DataType, kind: &DataType) -> Expr {
    match kind {
        DataType::Decimal128(_, places) if is_finer(told, *places) => round_half_even(value, *places),
        _ => value,
    }
}

fn cast(value: Expr, kind: &DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(value), kind.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_has_what_it_shares_in_its_place() {
        let files = [
            ("extractors/toy/canonical/bills.sql", "select * from shared.both"),
            ("extractors/toy/canonical/lines.sql", "select id from source.lines join shared.own as o on true"),
            ("extractors/toy/canonical/notes.sql", "select * from shared.bth"),
            ("extractors/toy/canonical/codes.sql", "select * from shared.broken"),
            (
                "extractors/shared/both.sql",
                "select id as record_id, coalesce(firm_status('bills', s), s) as number from source.bills",
            ),
            ("extractors/shared/own.sql", "select 1 as other"),
            ("extractors/shared/broken.sql", "selec 1"),
            ("extractors/toy/shared/own.sql", "select id from source.own"),
        ];
        let files = files.map(|(path, sql)| (path.to_owned(), sql.to_owned())).into();
        let definitions = Arc::new(Definitions { files });
        let mapping = |entity| mapping(&definitions, "east", "toy", entity, None);
        let bills = mapping("bills").unwrap().unwrap();
        assert_eq!(bills.reads, BTreeSet::from([("east".to_owned(), "bills".to_owned())]));
        assert_eq!(bills.columns, Some(BTreeSet::from(["record_id", "number"].map(str::to_owned))));
        assert_eq!(bills.has_words, BTreeSet::from(["bills".to_owned()]));
        let lines = mapping("lines").unwrap().unwrap();
        assert_eq!(lines.reads, BTreeSet::from(["lines", "own"].map(|table| ("east".to_owned(), table.to_owned()))));
        for (entity, says) in [
            ("notes", "extractors/toy/shared/ or extractors/shared/, file bth.sql"),
            ("codes", "extractors/shared/broken.sql: "),
        ] {
            let problem = mapping(entity).unwrap_err();
            let is_sql = std::path::Path::new(&problem.path).extension().is_some_and(|ending| ending == "sql");
            assert!(is_sql && problem.reason.contains(says), "{problem:?}");
        }
    }

    /// What a source keeps finer than cents is rounded half-even, at every sign.
    #[tokio::test]
    async fn halves_of_cents_go_to_the_even_one() {
        let told = DataType::Decimal128(24, 6);
        let amount = exactly(col("x"), &told, &AMOUNT.data_type());
        assert!(amount.to_string().contains("round_half_even"), "{amount}");
        assert_eq!(exactly(col("x"), &AMOUNT.data_type(), &AMOUNT.data_type()), col("x"));
        let context = datafusion::prelude::SessionContext::new();
        let values = context
            .sql("select cast(x as decimal(24, 6)) as x from (values ('2.345'), ('2.355'), ('-0.005')) as v (x)");
        let rows = values.await.unwrap().select(vec![cast(amount, &AMOUNT.data_type()).alias("y")]).unwrap();
        let rows = rows.collect().await.unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
        assert!(["2.34 ", "2.36 ", " 0.00 "].iter().all(|part| shown.contains(part)), "{shown}");
    }
}

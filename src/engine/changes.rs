//! `changes(table, from, to)`: the rows of a table or view that differ between two moments.
//!
//! Both readings are compared by the table's key where it has one, else row by row. Invariants: a row stands once, with the
//! later values (the earlier ones if it is gone); what moves by the clock alone (ages, times of looking) is no change; the
//! comparison is a plan like any other, so that it streams, spills and can be cancelled. Keys may stand twice: rows of one
//! key are then compared in order.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::{Column, JoinType, NullEquality, Result, TableReference, plan_err};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprFunctionExt, LogicalPlanBuilder, Operator, ScalarUDF, lit, when};

use crate::engine::fields::ChangedFields;
use crate::engine::pinned::{self, When};
use crate::warehouse::rows::{COMMIT, EXTRACTED_AT, HASH, KEY, OP, SCOPE};

/// What the table gets beside its own columns.
const CHANGED: &str = "_changed";
const FROM: [&str; 2] = ["_from_commit", "_from_at"];
const TO: [&str; 2] = ["_to_commit", "_to_at"];
/// How often the key for hashed fields had changed by then, beside the two of a moment.
const ROTATIONS: [&str; 2] = ["_from_rotations", "_to_rotations"];
/// Columns that end so hold keyed hashes.
const KEYED: &str = "_hash";
/// Columns that move from commit to commit although nothing happened.
const MOVING: [&str; 10] = [
    "age_days",
    "days_open",
    "days_overdue",
    "hours_old",
    "observed_at",
    "pm_observed_at",
    "erp_observed_at",
    "is_latest",
    EXTRACTED_AT,
    COMMIT,
];
/// What makes a row the same row, tried in order; the columns must all be there.
const KEYS: [&[&str]; 5] =
    [&[KEY], &["source", "record_id"], &["check_id", "exception_key"], &["exception_key"], &["month", "check_id"]];

/// The two moments.
pub(crate) struct Between {
    pub(crate) from: When,
    pub(crate) to: When,
}

/// How the rows of a table are told apart and compared: places of columns.
struct Shape {
    names: Vec<String>,
    key: Vec<usize>,
    /// Whether the warehouse itself keeps the key unique.
    is_unique: bool,
    /// What counts as a change.
    compared: Vec<usize>,
    /// The commit that a row is of: one that is of the same commit as before did not change, whatever its hash says. Under
    /// another key for hashed fields records are written anew as of the commit that last changed them.
    version: Option<usize>,
    /// What a change is told in.
    told: Vec<usize>,
}

/// A table by its full name.
pub(crate) type Named = (TableReference, Arc<dyn TableProvider>);

/// The changes of a table as a view; `clock` is `meta.clock`.
pub(crate) fn table(table: &Named, clock: &Named, between: Between) -> Result<Arc<dyn TableProvider>> {
    let (reference, inner) = table;
    let schema = inner.schema();
    let own = [OP, CHANGED].into_iter().chain(FROM).chain(TO);
    if let Some(name) = own.into_iter().find(|name| schema.field_with_name(name).is_ok()) {
        return plan_err!("changes('{reference}', …): it has a column {name} already; hint: it tells changes itself");
    }
    let shape = Shape::of(&schema);
    let Between { from, to } = between;
    let old = side(&shape, table, from.clone(), Side::Old)?;
    let new = side(&shape, table, to.clone(), Side::New)?;
    let keys = |side: Side| {
        let rank = (!shape.is_unique).then(|| side.name("rank"));
        let names = shape.key.iter().map(|place| side.column(*place)).chain(rank);
        names.map(Column::new_unqualified).collect::<Vec<_>>()
    };
    let joined = old.join_detailed(
        new.build()?,
        JoinType::Full,
        (keys(Side::Old), keys(Side::New)),
        None,
        NullEquality::NullEqualsNull,
    )?;
    let only = |side: Side| col(side.name("here")).is_null();
    let one_sided = only(Side::Old).or(only(Side::New));
    let differs = |compare: &dyn Fn(usize) -> Expr| {
        let differs = shape.compared.iter().map(|place| compare(*place)).reduce(Expr::or);
        let differs = differs.map(|differs| match shape.version {
            Some(version) => distinct(version).and(differs),
            None => differs,
        });
        differs.into_iter().fold(one_sided.clone(), Expr::or)
    };
    let [before, after] = ROTATIONS;
    let mut plan = joined
        .filter(differs(&distinct))?
        .cross_join(moment(clock, from, FROM, before)?.build()?)?
        .cross_join(moment(clock, to, TO, after)?.build()?)?;
    if shape.compared.iter().any(|place| shape.is_keyed(*place)) {
        plan = plan.filter(differs(&|place| differing(&shape, place)))?;
    }
    Ok(Arc::new(ViewTable::new(plan.project(told(&shape)?)?.build()?, None)))
}

impl Shape {
    fn of(schema: &Schema) -> Self {
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let place = |name: &&str| names.iter().position(|known| known == name);
        let places = |names: &[&str]| names.iter().map(place).collect::<Option<Vec<_>>>();
        let still: Vec<usize> = (0..names.len()).filter(|at| !is_one_of(&names, *at, &MOVING)).collect();
        let key = KEYS.iter().find_map(|key| places(key)).unwrap_or_else(|| still.clone());
        let rest = |places: Vec<usize>| places.into_iter().filter(|at| !key.contains(at)).collect::<Vec<_>>();
        // A record changed when its content did: a column that a manifest projects otherwise is no change of the source's.
        let compared = places(&[HASH, SCOPE]).unwrap_or_else(|| rest(still.clone()));
        let told = rest(still).into_iter().filter(|at| !is_one_of(&names, *at, &[HASH])).collect();
        let is_unique = place(&KEY).is_some();
        let version = places(&[KEY, HASH, COMMIT]).and_then(|found| found.last().copied());
        Self { names, key, is_unique, compared, version, told }
    }

    /// Whether a column holds hashes under the firm's key. The hash of the record itself is compared by its version.
    fn is_keyed(&self, place: usize) -> bool {
        self.names.get(place).is_some_and(|name| name.ends_with(KEYED) && name != HASH)
    }
}

fn is_one_of(names: &[String], place: usize, words: &[&str]) -> bool {
    names.get(place).is_some_and(|name| words.contains(&name.as_str()))
}

/// One of the two readings. Its columns get names by place, so that no name of a table's can stand in the way.
#[derive(Clone, Copy)]
enum Side {
    Old,
    New,
}

impl Side {
    fn name(self, what: &str) -> String {
        match self {
            Self::Old => format!("_old_{what}"),
            Self::New => format!("_new_{what}"),
        }
    }

    fn column(self, place: usize) -> String {
        self.name(&place.to_string())
    }
}

fn col(name: String) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

fn side(shape: &Shape, (reference, inner): &Named, when: When, side: Side) -> Result<LogicalPlanBuilder> {
    let (relation, scan) = pinned::scan(reference, inner, when)?;
    let columns = shape
        .names
        .iter()
        .enumerate()
        .map(|(place, name)| Expr::Column(Column::new(Some(relation.clone()), name)).alias(side.column(place)));
    let columns = columns.chain([lit(true).alias(side.name("here"))]).collect::<Vec<_>>();
    let plan = scan.project(columns)?;
    if shape.is_unique {
        return Ok(plan);
    }
    let key = shape.key.iter().map(|place| col(side.column(*place))).collect();
    // Rows that are alike in everything may be counted in any order, but an order there must be.
    let order = if shape.compared.is_empty() { &shape.key } else { &shape.compared };
    let order = order.iter().map(|place| col(side.column(*place)).sort(true, true)).collect();
    let rank = row_number().partition_by(key).order_by(order).build()?;
    plan.window([rank.alias(side.name("rank"))])
}

/// One row: number, time and key rotations of the commit read at that moment, under these names.
fn moment((reference, clock): &Named, when: When, names: [&str; 2], rotations: &str) -> Result<LogicalPlanBuilder> {
    let (relation, scan) = pinned::scan(reference, clock, when)?;
    let [number, at] = names;
    let column = |name: &str, alias: &str| Expr::Column(Column::new(Some(relation.clone()), name)).alias(alias);
    let rotations = column("key_rotation_count", rotations);
    scan.project([column("commit_number", number), column("committed_at", at), rotations])
}

fn distinct(place: usize) -> Expr {
    let sides = [Side::Old, Side::New].map(|side| Box::new(col(side.column(place))));
    let [old, new] = sides;
    Expr::BinaryExpr(BinaryExpr::new(old, Operator::IsDistinctFrom, new))
}

/// Whether a column's values differ. Hashes under two keys tell nothing of what was hashed.
fn differing(shape: &Shape, place: usize) -> Expr {
    let differs = distinct(place);
    if shape.is_keyed(place) { differs.and(is_same_key()) } else { differs }
}

fn is_same_key() -> Expr {
    let [before, after] = ROTATIONS.map(|name| Box::new(col(name.to_owned())));
    Expr::BinaryExpr(BinaryExpr::new(before, Operator::IsNotDistinctFrom, after))
}

fn told(shape: &Shape) -> Result<Vec<Expr>> {
    let here = |side: Side| col(side.name("here"));
    let mut columns = Vec::new();
    for (place, name) in shape.names.iter().enumerate() {
        let value = when(here(Side::New).is_not_null(), col(Side::New.column(place)))
            .otherwise(col(Side::Old.column(place)))?;
        columns.push(value.alias(name));
    }
    let op = when(here(Side::Old).is_null(), lit("I")).when(here(Side::New).is_null(), lit("D")).otherwise(lit("U"))?;
    columns.push(op.alias(OP));
    let mut fields = Vec::new();
    for place in &shape.told {
        let (old, new) = (col(Side::Old.column(*place)), col(Side::New.column(*place)));
        let old = if shape.is_keyed(*place) { when(is_same_key(), old).otherwise(new.clone())? } else { old };
        fields.extend([lit(shape.names.get(*place).cloned().unwrap_or_default()), old, new]);
    }
    let fields = ScalarUDF::from(ChangedFields::default()).call(fields);
    let both = here(Side::Old).is_not_null().and(here(Side::New).is_not_null());
    columns.push(when(both, fields).end()?.alias(CHANGED));
    columns.extend(FROM.into_iter().chain(TO).map(|name| col(name.to_owned())));
    Ok(columns)
}

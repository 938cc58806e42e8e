//! Functions whose answer can be many times as large as what they are given.
//!
//! An allocation that fails ends the process and with it everybody's session; memory limits of the engine do not see what a
//! function builds. So the size of an answer is reckoned before it is built. Estimates are from above, in bytes.

use datafusion::arrow::array::{Array, ArrayRef, AsArray as _};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, SlidingAggregateWindowExpr, WindowExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use std::sync::Arc;

use super::guarded::{Argument, Arguments, Check};
use super::refuse;

/// What one call may build of a batch of rows.
const BYTES_MAX: u128 = 256 << 20;
/// What may stand between joined texts: each of a batch's rows adds it before anybody counts.
const SEPARATOR_MAX: usize = 64 << 10;
/// The widest character.
const CHARACTER: u128 = 4;
/// What an element of a list takes beside its content.
const ELEMENT: u128 = 16;

pub(super) const CHECKS: &[(&str, Check)] = &[
    ("repeat", |arguments| bounded(repeated(arguments))),
    ("lpad", |arguments| bounded(padded(arguments))),
    ("rpad", |arguments| bounded(padded(arguments))),
    ("replace", |arguments| bounded(replaced(arguments))),
    ("regexp_replace", |arguments| bounded(replaced_by_pattern(arguments))),
    ("array_to_string", |arguments| bounded(joined(arguments))),
    ("array_repeat", |arguments| bounded(elements(arguments, 0, 1))),
    ("array_resize", |arguments| bounded(elements(arguments, 2, 1))),
    ("range", |arguments| bounded(series(arguments))),
    ("generate_series", |arguments| bounded(series(arguments))),
];

/// Nothing, where the arguments are of other types: then the function itself refuses them.
fn bounded(bytes: Result<Option<u128>>) -> Result<()> {
    match bytes? {
        Some(bytes) if bytes > BYTES_MAX => {
            refuse("54000", format!("requested length too large: one answer may have {} MiB", BYTES_MAX >> 20))
        }
        _ => Ok(()),
    }
}

fn bytes(text: &str) -> u128 {
    text.len() as u128
}

/// A count that may be less than none.
fn times(count: i64) -> u128 {
    u128::try_from(count).unwrap_or_default()
}

fn repeated(arguments: &Arguments<'_>) -> Result<Option<u128>> {
    let (Some(texts), Some(counts)) = (arguments.texts(0)?, arguments.integers(1)?) else { return Ok(None) };
    let size = |row| Some(bytes(texts.text(row)?) * times(counts.integer(row)?));
    Ok(Some((0..arguments.rows).filter_map(size).sum()))
}

fn padded(arguments: &Arguments<'_>) -> Result<Option<u128>> {
    let Some(lengths) = arguments.integers(1)? else { return Ok(None) };
    Ok(Some((0..arguments.rows).filter_map(|row| lengths.integer(row)).map(|length| times(length) * CHARACTER).sum()))
}

fn replaced(arguments: &Arguments<'_>) -> Result<Option<u128>> {
    let (Some(texts), Some(from), Some(to)) = (arguments.texts(0)?, arguments.texts(1)?, arguments.texts(2)?) else {
        return Ok(None);
    };
    let size = |is_exact: bool| -> u128 {
        let size = |row| {
            let (text, from, to) = (texts.text(row)?, from.text(row)?, to.text(row)?);
            let found = match from.len() {
                0 => text.chars().count() + 1,
                _ if is_exact => text.matches(from).count(),
                length => text.len() / length,
            };
            Some(bytes(text) + found as u128 * bytes(to))
        };
        (0..arguments.rows).filter_map(size).sum()
    };
    // Most texts have few places to replace: these are counted only where it matters.
    let most = size(false);
    Ok(Some(if most > BYTES_MAX { size(true) } else { most }))
}

/// Any place may be one to replace, and each group of the pattern may be the whole text.
fn replaced_by_pattern(arguments: &Arguments<'_>) -> Result<Option<u128>> {
    let (Some(texts), Some(to)) = (arguments.texts(0)?, arguments.texts(2)?) else { return Ok(None) };
    let flags = arguments.texts(3)?;
    let size = |row| {
        let (text, to) = (texts.text(row)?, to.text(row)?);
        let is_global = flags.as_ref().and_then(|flags| flags.text(row)).is_some_and(|flags| flags.contains('g'));
        let places = if is_global { bytes(text) + 1 } else { 1 };
        let groups = to.matches('\\').count() as u128;
        Some(bytes(text) * (1 + groups) + places * bytes(to))
    };
    Ok(Some((0..arguments.rows).filter_map(size).sum()))
}

fn joined(arguments: &Arguments<'_>) -> Result<Option<u128>> {
    let (Some(lists), Some(between)) = (arguments.raw(0)?, arguments.texts(1)?) else { return Ok(None) };
    let null = arguments.texts(2)?;
    let Some(all) = lists.values.as_list_opt::<i32>() else { return Ok(None) };
    let size = |row| {
        let list = all.value(lists.place(row)?);
        let null = null.as_ref().and_then(|null| null.text(row)).map_or(0, bytes);
        let each = bytes(between.text(row)?) + null + ELEMENT;
        Some(list.len() as u128 * (each + average(list.as_ref())))
    };
    Ok(Some((0..arguments.rows).filter_map(size).sum()))
}

/// As many elements as one argument says, each as large as another.
fn elements(arguments: &Arguments<'_>, value: usize, count: usize) -> Result<Option<u128>> {
    let Some(counts) = arguments.integers(count)? else { return Ok(None) };
    let each = ELEMENT + arguments.raw(value)?.map_or(0, |value| average(value.values.as_ref()));
    Ok(Some((0..arguments.rows).filter_map(|row| counts.integer(row)).map(|count| times(count) * each).sum()))
}

fn average(values: &dyn Array) -> u128 {
    values.get_array_memory_size() as u128 / (values.len() as u128).max(1)
}

/// From the first to the last in steps: of numbers, or of moments.
fn series(arguments: &Arguments<'_>) -> Result<Option<u128>> {
    let from_zero = arguments.count() == 1;
    let (start, end) = if from_zero { (None, arguments.raw(0)?) } else { (arguments.raw(0)?, arguments.raw(1)?) };
    let Some(end) = end else { return Ok(None) };
    let (Some(end_at), start_at) = (numbers(&end.values), start.as_ref().and_then(|start| numbers(&start.values)))
    else {
        return Ok(None);
    };
    let step = arguments.raw(2)?;
    let size = |row| {
        let first = match (&start, &start_at) {
            (Some(start), Some(values)) => number(values, start, row)?,
            _ => 0,
        };
        let last = number(&end_at, &end, row)?;
        let step = match &step {
            Some(step) => step_of(step, row)?,
            None => 1,
        };
        Some((i128::from(last) - i128::from(first)).unsigned_abs() / step.max(1) * ELEMENT)
    };
    Ok(Some((0..arguments.rows).filter_map(size).sum()))
}

/// Whole numbers as they are, moments as microseconds.
fn numbers(values: &ArrayRef) -> Option<ArrayRef> {
    match values.data_type() {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            let moments = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, None)).ok()?;
            cast(&moments, &DataType::Int64).ok()
        }
        _ => cast(values, &DataType::Int64).ok(),
    }
}

fn number(values: &ArrayRef, of: &Argument, row: usize) -> Option<i64> {
    Some(values.as_primitive_opt::<Int64Type>()?.value(of.place(row)?))
}

/// A step's length without its sign, a month as its shortest.
fn step_of(step: &Argument, row: usize) -> Option<u128> {
    const DAY_MICROS: u128 = 86_400_000_000;
    let place = step.place(row)?;
    if !matches!(step.values.data_type(), DataType::Interval(_)) {
        return number(&cast(&step.values, &DataType::Int64).ok()?, step, row).map(|step| step.unsigned_abs().into());
    }
    let spans = cast(&step.values, &DataType::Interval(IntervalUnit::MonthDayNano)).ok()?;
    let span = spans.as_primitive_opt::<IntervalMonthDayNanoType>()?.value(place);
    let days = u128::from(span.months.unsigned_abs()) * 28 + u128::from(span.days.unsigned_abs());
    Some(days * DAY_MICROS + u128::from(span.nanoseconds.unsigned_abs()) / 1_000)
}

/// Refuses an aggregate that would put long texts between values.
pub(in crate::server) fn separators(plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let walked = plan.apply(|node| {
        if let Some(node) = node.downcast_ref::<AggregateExec>() {
            node.aggr_expr().iter().try_for_each(|aggregate| separator(aggregate))?;
        }
        let windows = node.downcast_ref::<WindowAggExec>().map(WindowAggExec::window_expr);
        let windows =
            windows.or_else(|| node.downcast_ref::<BoundedWindowAggExec>().map(BoundedWindowAggExec::window_expr));
        windows.into_iter().flatten().filter_map(aggregate_of).try_for_each(separator)?;
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map(drop)
}

fn aggregate_of(window: &Arc<dyn WindowExpr>) -> Option<&AggregateFunctionExpr> {
    let window = window.as_any();
    let plain = window.downcast_ref::<PlainAggregateWindowExpr>().map(PlainAggregateWindowExpr::get_aggregate_expr);
    plain.or_else(|| {
        window.downcast_ref::<SlidingAggregateWindowExpr>().map(SlidingAggregateWindowExpr::get_aggregate_expr)
    })
}

fn separator(aggregate: &AggregateFunctionExpr) -> Result<()> {
    let expressions = aggregate.expressions();
    let given = expressions.get(1).filter(|_| aggregate.fun().name() == "string_agg");
    match given.and_then(|given| given.downcast_ref::<Literal>()).map(Literal::value) {
        Some(
            ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)),
        ) if text.len() > SEPARATOR_MAX => {
            refuse("54000", format!("string_agg: a delimiter may have {} KiB", SEPARATOR_MAX >> 10))
        }
        _ => Ok(()),
    }
}

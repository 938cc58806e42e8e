//! What Postgres means and DataFusion plans otherwise, where it takes types to tell: on the plan of a client's statement.
//!
//! Invariant: views that the statement reads are not touched; they are planned elsewhere, and read here as tables.

use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::math::expr_fn::round;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::type_coercion::other::get_coerce_type_for_case_expression;
use datafusion::logical_expr::{
    Expr, ExprSchemable as _, LogicalPlan, LogicalPlanBuilder, Operator, ScalarUDF, SortExpr, Union, lit,
};
use datafusion::optimizer::analyzer::type_coercion::coerce_union_schema;
use pgwire::api::Type;

use super::catalog;
use super::encode::column_type;
use super::parameters;
use super::postgres::{instant, scalars, times, whole};
use datafusion::prelude::SessionContext;

/// The functions that say what Postgres means.
pub(crate) struct Writers {
    /// A value as the client would be sent it.
    pub(crate) shown: Arc<ScalarUDF>,
    /// A function's oid by its name.
    pub(crate) proc: Arc<ScalarUDF>,
    /// A moment's local time, and a local time's moment.
    pub(crate) clock: Arc<ScalarUDF>,
    /// A float to the nearest whole one.
    pub(crate) even: Arc<ScalarUDF>,
    /// The time between two moments as days and the rest of one.
    pub(crate) interval: Arc<ScalarUDF>,
    /// What `->` answers, as text.
    pub(crate) json: Option<Arc<ScalarUDF>>,
    pub(crate) whole: Vec<Arc<ScalarUDF>>,
    /// The session's zone, unless its clock is UTC's.
    pub(crate) zone: Option<String>,
}

impl Writers {
    fn tz(&self) -> Option<Tz> {
        self.zone.as_deref().map_or_else(|| "UTC".parse().ok(), instant::zone)
    }
}

/// The functions by which a statement gets Postgres' meaning, where the session has a catalogue.
pub(crate) fn writers(context: &SessionContext) -> Option<Writers> {
    let state = context.state_ref();
    let state = state.read();
    let function = |name: &str| state.scalar_functions().get(name).map(Arc::clone);
    let zone = state.config_options().execution.time_zone.clone();
    Some(Writers {
        shown: function(catalog::SHOWN)?,
        proc: function(catalog::PROC_NAME)?,
        clock: function("timezone")?,
        even: function(scalars::ROUND)?,
        interval: function(times::INTERVAL)?,
        json: function("json_union_to_text"),
        whole: whole::NAMES.iter().filter_map(|name| function(name)).collect(),
        zone: zone.filter(|zone| !["UTC", "+00:00", "GMT"].contains(&zone.as_str())),
    })
}

/// The plan with Postgres' meaning.
pub(crate) fn meant(plan: LogicalPlan, writers: Option<&Writers>) -> Result<LogicalPlan> {
    let zone = writers.and_then(Writers::tz);
    let told = plan.transform_up_with_subqueries(|node| {
        let node = ordered(united(node)?)?;
        let mut schema = DFSchema::empty();
        node.inputs().into_iter().for_each(|input| schema.merge(input.schema()));
        // Nodes above know the columns by their names.
        let names = NamePreserver::new(&node);
        let is_projection = matches!(node, LogicalPlan::Projection(_));
        let told = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let told = expr.transform_up(|expr| {
                let told = with_values(with_list(with_arguments(expr), &schema).data, &schema, zone).data;
                let told = summed(cased(rounded(told, &schema, writers).data, &schema), &schema);
                let told = texts_joined(local(told, &schema, writers), &schema, writers);
                let told = whole::checked(told, &schema, writers.map_or(&[], |writers| writers.whole.as_slice()));
                Ok(Transformed::yes(as_text(told, &schema, writers)))
            })?;
            let told = told.update_data(|expr| if is_projection { signed(expr, &schema) } else { expr });
            Ok(told.update_data(|expr| name.restore(expr)))
        })?;
        told.map_data(LogicalPlan::recompute_schema)
    })?;
    match writers.and_then(|writers| writers.json.as_ref()) {
        Some(json) => json_as_text(told.data, json),
        None => Ok(told.data),
    }
}

/// An order by what a subquery says, as columns beneath it: an order by the subquery itself does not always plan.
fn ordered(node: LogicalPlan) -> Result<LogicalPlan> {
    let asks = |key: &SortExpr| key.expr.exists(|part| Ok(matches!(part, Expr::ScalarSubquery(_))));
    let LogicalPlan::Sort(sort) = node else { return Ok(node) };
    let asking = sort.expr.iter().map(asks).collect::<Result<Vec<_>>>()?;
    if !asking.contains(&true) {
        return Ok(LogicalPlan::Sort(sort));
    }
    let columns: Vec<Expr> = sort.input.schema().columns().into_iter().map(Expr::Column).collect();
    let (mut beneath, mut order) = (columns.clone(), Vec::new());
    for (place, (key, asks)) in sort.expr.into_iter().zip(asking).enumerate() {
        if !asks {
            order.push(key);
            continue;
        }
        let name = format!("\u{1}order {place}");
        beneath.push(key.expr.clone().alias(&name));
        order.push(key.with_expr(Expr::Column(Column::from_name(name))));
    }
    let sorted = LogicalPlanBuilder::from(sort.input).project(beneath)?.sort_with_limit(order, sort.fetch)?;
    sorted.project(columns)?.build()
}

/// A union whose branches all have the types that they have in common: what the first one alone has is not what comes.
fn united(node: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Union(union) = node else { return Ok(node) };
    let common = coerce_union_schema(&union.inputs)?;
    let branch = |input: &Arc<LogicalPlan>| {
        let is_common = |(place, field): (usize, &Arc<Field>)| field.data_type() == common.field(place).data_type();
        if input.schema().fields().iter().enumerate().all(is_common) {
            return Ok(Arc::clone(input));
        }
        let columns = input.schema().iter().enumerate().map(|(place, (table, field))| {
            let column = Expr::Column(Column::new(table.cloned(), field.name()));
            match common.field(place).data_type() {
                same if same == field.data_type() => column,
                wanted => {
                    datafusion::logical_expr::cast(column, wanted.clone()).alias_qualified(table.cloned(), field.name())
                }
            }
        });
        let columns: Vec<Expr> = columns.collect();
        LogicalPlanBuilder::from(input.as_ref().clone()).project(columns)?.build().map(Arc::new)
    };
    let inputs = union.inputs.iter().map(branch).collect::<Result<_>>()?;
    LogicalPlan::Union(Union { inputs, schema: Arc::new(common) }).recompute_schema()
}

/// What `->` answers goes to the client as JSON text.
fn json_as_text(plan: LogicalPlan, json: &Arc<ScalarUDF>) -> Result<LogicalPlan> {
    let is_json = |field: &Field| matches!(field.data_type(), DataType::Union(..));
    let schema = Arc::clone(plan.schema());
    if !schema.fields().iter().any(|field| is_json(field)) {
        return Ok(plan);
    }
    let columns = schema.iter().map(|(table, field)| {
        let column = Expr::Column(Column::new(table.cloned(), field.name()));
        if is_json(field) { json.call(vec![column]).alias(field.name()) } else { column }
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// The branches of a `case` have the type that they have in common: DataFusion takes the first one's until it optimises, and
/// what a client was told of `case … then 0 else amount end` would be a whole number.
fn cased(mut expr: Expr, schema: &DFSchema) -> Expr {
    let Expr::Case(case) = &mut expr else { return expr };
    let of = |branch: &Expr| branch.get_type(schema).ok().filter(|of| matches!(of, DataType::List(_)));
    let list = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr).find_map(|branch| of(branch));
    if let Some(list) = list {
        // A text such as '{}' in another branch is a list too.
        for branch in case.when_then_expr.iter_mut().map(|(_, then)| then).chain(&mut case.else_expr) {
            if let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = branch.as_ref()
                && let Some(value) = literal(text, &list, None)
            {
                **branch = lit(value);
            }
        }
    }
    let branches = || case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    let Ok(types) = branches().map(|branch| branch.get_type(schema)).collect::<Result<Vec<DataType>>>() else {
        return expr;
    };
    let Some(common) = get_coerce_type_for_case_expression(&types, None) else { return expr };
    for branch in case.when_then_expr.iter_mut().map(|(_, then)| then).chain(&mut case.else_expr) {
        if branch.get_type(schema).is_ok_and(|of| of != common) {
            **branch = datafusion::logical_expr::cast(branch.as_ref().clone(), common.clone());
        }
    }
    expr
}

/// A sum of `bigint` is a numeric: it does not overflow, and what it is divided by leaves a fraction.
fn summed(mut expr: Expr, schema: &DFSchema) -> Expr {
    let (name, args) = match &mut expr {
        Expr::AggregateFunction(function) => (function.func.name(), &mut function.params.args),
        Expr::WindowFunction(function) => (function.fun.name(), &mut function.params.args),
        _ => return expr,
    };
    if name == "sum"
        && let [value] = args.as_mut_slice()
        && matches!(value.get_type(schema), Ok(DataType::Int64 | DataType::UInt64))
    {
        let wide = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);
        *value = datafusion::logical_expr::cast(value.clone(), wide);
    }
    expr
}

/// Counts that DataFusion has without a sign, such as `row_number()`, are `bigint`.
fn signed(expr: Expr, schema: &DFSchema) -> Expr {
    match expr.get_type(schema) {
        Ok(DataType::UInt64) => datafusion::logical_expr::cast(expr, DataType::Int64),
        _ => expr,
    }
}

/// Days, parts and cuts of a moment are those of the session's clock; parts of the time between two moments are what is left
/// of its days.
fn local(expr: Expr, schema: &DFSchema, writers: Option<&Writers>) -> Expr {
    let Some(writers) = writers else { return expr };
    let of = |expr: &Expr| expr.get_type(schema).ok();
    let is_moment = |expr: &Expr| writers.zone.is_some() && matches!(of(expr), Some(DataType::Timestamp(_, Some(_))));
    let clock = |expr: Expr| match &writers.zone {
        Some(zone) => writers.clock.call(vec![lit(zone.clone()), expr]),
        None => expr,
    };
    match expr {
        Expr::Cast(mut cast) if is_local(cast.field.data_type()) && is_moment(&cast.expr) => {
            cast.expr = Box::new(clock(*cast.expr));
            Expr::Cast(cast)
        }
        Expr::ScalarFunction(mut function) => {
            let [part, at] = function.args.as_mut_slice() else { return Expr::ScalarFunction(function) };
            let is_epoch =
                matches!(part, Expr::Literal(ScalarValue::Utf8(Some(text)), _) if text.eq_ignore_ascii_case("epoch"));
            match function.func.name() {
                "date_part" if !is_epoch && is_moment(at) => {
                    *at = clock(at.clone());
                    Expr::ScalarFunction(function)
                }
                "date_part" if !is_epoch && matches!(of(at), Some(DataType::Duration(_))) => {
                    *at = writers.interval.call(vec![at.clone()]);
                    Expr::ScalarFunction(function)
                }
                "date_trunc" if is_moment(at) => {
                    *at = clock(at.clone());
                    clock(Expr::ScalarFunction(function))
                }
                _ => Expr::ScalarFunction(function),
            }
        }
        other => other,
    }
}

/// What has no zone.
fn is_local(of: &DataType) -> bool {
    matches!(
        of,
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) | DataType::Timestamp(_, None)
    )
}

/// Values that are joined to a text, each as the client would be sent it.
fn texts_joined(mut expr: Expr, schema: &DFSchema, writers: Option<&Writers>) -> Expr {
    let Some(writers) = writers else { return expr };
    let show = |value: &mut Expr, with_flags: bool| {
        let Ok((_, field)) = value.to_field(schema) else { return };
        let is_flag = with_flags && *field.data_type() == DataType::Boolean;
        if is_flag || is_shown_otherwise(&field) {
            *value = writers.shown.call(vec![value.clone()]);
        }
    };
    match &mut expr {
        Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => {
            let is_text = |side: &Expr| side.get_type(schema).is_ok_and(|of| of.is_string());
            if is_text(&binary.left) || is_text(&binary.right) {
                show(&mut binary.left, false);
                show(&mut binary.right, false);
            }
        }
        Expr::ScalarFunction(function) if ["concat", "concat_ws"].contains(&function.func.name()) => {
            function.args.iter_mut().for_each(|value| show(value, true));
        }
        _ => {}
    }
    expr
}

/// Whether Arrow writes values otherwise than Postgres does.
fn is_shown_otherwise(field: &Field) -> bool {
    matches!(
        field.data_type(),
        DataType::Timestamp(..)
            | DataType::Interval(_)
            | DataType::Duration(_)
            | DataType::Float32
            | DataType::Float64
            | DataType::List(_)
            | DataType::Struct(_)
            | DataType::Binary
    ) || [Type::JSON, Type::JSONB, Type::UUID].contains(&column_type(field))
}

/// Tells what the placeholder in `x = any($1)` takes, and what a text in its place holds: a list of what `x` is.
fn with_list(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::ScalarFunction(function) = &mut expr else { return Transformed::no(expr) };
    if function.func.name() != "array_has" {
        return Transformed::no(expr);
    }
    let [list, value] = function.args.as_mut_slice() else { return Transformed::no(expr) };
    let Some(wanted) = value.get_type(schema).ok().filter(|wanted| !wanted.is_null()) else {
        return Transformed::no(expr);
    };
    let wanted = DataType::new_list(wanted, true);
    match list {
        Expr::Placeholder(list) if list.field.is_none() => {
            list.field = Some(Arc::new(Field::new(&list.id, wanted, true)));
        }
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => {
            let Some(values) = parameters::list_as(text, &wanted) else { return Transformed::no(expr) };
            *list = lit(values);
        }
        _ => return Transformed::no(expr),
    }
    Transformed::yes(expr)
}

/// Arguments that take a number, by function and place: a placeholder there would be planned as a text.
const NUMBERS: &[(&str, usize, DataType)] = &[
    ("left", 1, DataType::Int64),
    ("right", 1, DataType::Int64),
    ("repeat", 1, DataType::Int64),
    ("lpad", 1, DataType::Int64),
    ("rpad", 1, DataType::Int64),
    ("substr", 1, DataType::Int64),
    ("substr", 2, DataType::Int64),
    ("split_part", 2, DataType::Int64),
    ("round", 0, DataType::Decimal128(DECIMAL128_MAX_PRECISION, 10)),
    ("round", 1, DataType::Int64),
    ("trunc", 0, DataType::Decimal128(DECIMAL128_MAX_PRECISION, 10)),
    ("trunc", 1, DataType::Int64),
    ("chr", 0, DataType::Int64),
];

/// Tells what the placeholders among a function's arguments take.
fn with_arguments(mut expr: Expr) -> Expr {
    let Expr::ScalarFunction(function) = &mut expr else { return expr };
    let name = function.func.name();
    for (_, place, wanted) in NUMBERS.iter().filter(|(known, ..)| *known == name) {
        if let Some(Expr::Placeholder(argument)) = function.args.get_mut(*place)
            && argument.field.is_none()
        {
            argument.field = Some(Arc::new(Field::new(&argument.id, wanted.clone(), true)));
        }
    }
    expr
}

/// Texts that stand beside a truth value or a date are read as one, and placeholders in a cast take what they are cast to.
fn with_values(mut expr: Expr, schema: &DFSchema, zone: Option<Tz>) -> Transformed<Expr> {
    let read = |text: &mut Expr, other: &DataType| {
        if let Expr::Literal(ScalarValue::Utf8(Some(written)), _) = text
            && let Some(value) = literal(written, other, zone)
        {
            *text = lit(value);
            return true;
        }
        false
    };
    let changed = match &mut expr {
        Expr::BinaryExpr(binary) => {
            let (left, right) = (binary.left.get_type(schema), binary.right.get_type(schema));
            right.is_ok_and(|right| read(&mut binary.left, &right))
                || left.is_ok_and(|left| read(&mut binary.right, &left))
        }
        Expr::Between(between) => between.expr.get_type(schema).is_ok_and(|of| {
            let low = read(&mut between.low, &of);
            read(&mut between.high, &of) || low
        }),
        Expr::InList(list) => list.expr.get_type(schema).is_ok_and(|of| {
            let changed: usize = list.list.iter_mut().map(|value| usize::from(read(value, &of))).sum();
            changed > 0
        }),
        Expr::Cast(cast) => {
            let wanted = Arc::clone(&cast.field);
            match cast.expr.as_mut() {
                Expr::Placeholder(placeholder) if placeholder.field.is_none() => {
                    placeholder.field = Some(wanted);
                    true
                }
                inner => read(inner, wanted.data_type()),
            }
        }
        _ => false,
    };
    if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}

/// A text as the value that it is read as.
fn literal(text: &str, wanted: &DataType, zone: Option<Tz>) -> Option<ScalarValue> {
    let written = || {
        let zone = zone?;
        Some((instant::parse(text, instant::local(instant::now(), zone))?, zone))
    };
    match wanted {
        DataType::Boolean => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "on" | "yes" | "y" | "1" => Some(ScalarValue::Boolean(Some(true))),
            "f" | "false" | "off" | "no" | "n" | "0" => Some(ScalarValue::Boolean(Some(false))),
            _ => None,
        },
        DataType::Date32 => {
            let read = written().map(|(written, _)| ScalarValue::Date32(Some(written.local.date().to_epoch_days())));
            read.or_else(|| parameters::date(text).map(|days| ScalarValue::Date32(Some(days))))
        }
        DataType::Timestamp(_, named) => {
            let (written, zone) = written()?;
            // A zone beside a time that has none is passed over, as Postgres does.
            let at = if named.is_some() { written.at(zone)? } else { written.local };
            ScalarValue::TimestampMicrosecond(Some(at.and_utc().timestamp_micros()), named.clone()).cast_to(wanted).ok()
        }
        DataType::List(_) => parameters::list_as(text, wanted),
        _ => None,
    }
}

/// A moment or a function as text is what the client would be sent, not what Arrow displays.
fn as_text(expr: Expr, schema: &DFSchema, writers: Option<&Writers>) -> Expr {
    let (Expr::Cast(cast), Some(writers)) = (&expr, writers) else { return expr };
    if !cast.field.data_type().is_string() {
        return expr;
    }
    let Ok((_, field)) = cast.expr.to_field(schema) else { return expr };
    let writer = match field.data_type() {
        DataType::Int64 if column_type(&field) == Type::REGPROC => &writers.proc,
        _ if is_shown_otherwise(&field) => &writers.shown,
        _ => return expr,
    };
    writer.call(vec![cast.expr.as_ref().clone()])
}

/// `2.5::int` is 3: a cast of a number to whole numbers rounds, where Arrow's cuts off. A float's half goes to the even one.
fn rounded(mut expr: Expr, schema: &DFSchema, writers: Option<&Writers>) -> Transformed<Expr> {
    let is_float = |expr: &Expr| expr.get_type(schema).is_ok_and(|of| of.is_floating());
    match &mut expr {
        Expr::Cast(cast) if cast.field.data_type().is_integer() => {
            let inner = cast.expr.as_ref().clone();
            if inner.get_type(schema).is_ok_and(|of| of.is_decimal()) {
                *cast.expr = round(vec![inner]);
                return Transformed::yes(expr);
            }
            match writers.filter(|_| is_float(&inner)) {
                Some(writers) => *cast.expr = writers.even.call(vec![inner]),
                None => return Transformed::no(expr),
            }
            Transformed::yes(expr)
        }
        Expr::ScalarFunction(function) if function.func.name() == "round" => match function.args.as_slice() {
            [value] if is_float(value) => {
                let value = value.clone();
                match writers {
                    Some(writers) => Transformed::yes(writers.even.call(vec![value])),
                    None => Transformed::no(expr),
                }
            }
            _ => Transformed::no(expr),
        },
        _ => Transformed::no(expr),
    }
}

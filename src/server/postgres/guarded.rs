//! Functions of DataFusion's that answer what Postgres refuses: their arguments are looked at first.
//!
//! Invariant: what passes is answered by the function itself, unchanged.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Float64Type, Int64Type};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry as _;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::prelude::SessionContext;

use super::{refuse, sizes};

/// What a function's arguments must pass.
pub(super) type Check = fn(&Arguments<'_>) -> Result<()>;

const CHECKS: &[(&str, Check)] = &[
    ("ln", logarithm),
    ("log", logarithm),
    ("log2", logarithm),
    ("log10", logarithm),
    ("acos", cosine),
    ("asin", cosine),
    ("chr", character),
    ("substr", length),
];

/// Puts its check before each of the functions.
pub(super) fn attach(context: &mut SessionContext) -> Result<()> {
    for (name, check) in CHECKS.iter().chain(sizes::CHECKS) {
        let inner = context.udf(name)?;
        SessionContext::register_udf(context, ScalarUDF::from(Guarded { inner, check: *check }));
    }
    Ok(())
}

/// The arguments of one call: constants once, columns by row.
pub(super) struct Arguments<'a> {
    given: &'a [ColumnarValue],
    /// One, if all are constant.
    pub(super) rows: usize,
}

impl<'a> Arguments<'a> {
    fn new(given: &'a ScalarFunctionArgs) -> Self {
        let is_constant = given.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        Self { given: &given.args, rows: if is_constant { 1 } else { given.number_rows } }
    }

    pub(super) fn count(&self) -> usize {
        self.given.len()
    }

    /// An argument as it is; none behind the last.
    pub(super) fn raw(&self, place: usize) -> Result<Option<Argument>> {
        Ok(match self.given.get(place) {
            None => None,
            Some(ColumnarValue::Scalar(value)) => Some(Argument { values: value.to_array()?, is_constant: true }),
            Some(ColumnarValue::Array(values)) => Some(Argument { values: Arc::clone(values), is_constant: false }),
        })
    }

    /// An argument as another type; none behind the last, nor of one that is no such type.
    fn of(&self, place: usize, wanted: &DataType) -> Result<Option<Argument>> {
        let Some(raw) = self.raw(place)? else { return Ok(None) };
        Ok(cast(&raw.values, wanted).ok().map(|values| Argument { values, ..raw }))
    }

    pub(super) fn texts(&self, place: usize) -> Result<Option<Argument>> {
        self.of(place, &DataType::Utf8View)
    }

    pub(super) fn integers(&self, place: usize) -> Result<Option<Argument>> {
        self.of(place, &DataType::Int64)
    }

    fn floats(&self, place: usize) -> Result<Option<Argument>> {
        self.of(place, &DataType::Float64)
    }
}

/// One argument's values.
pub(super) struct Argument {
    pub(super) values: ArrayRef,
    is_constant: bool,
}

impl Argument {
    /// Where a row's value stands; none if it is null.
    pub(super) fn place(&self, row: usize) -> Option<usize> {
        let place = if self.is_constant { 0 } else { row };
        self.values.is_valid(place).then_some(place)
    }

    pub(super) fn text(&self, row: usize) -> Option<&str> {
        let place = self.place(row)?;
        self.values.as_string_view_opt().map(|texts| texts.value(place))
    }

    pub(super) fn integer(&self, row: usize) -> Option<i64> {
        let place = self.place(row)?;
        self.values.as_primitive_opt::<Int64Type>().map(|numbers| numbers.value(place))
    }

    fn float(&self, row: usize) -> Option<f64> {
        let place = self.place(row)?;
        self.values.as_primitive_opt::<Float64Type>().map(|numbers| numbers.value(place))
    }
}

/// Of the number, and of the base before it.
fn logarithm(arguments: &Arguments<'_>) -> Result<()> {
    for place in 0..arguments.count() {
        let Some(numbers) = arguments.floats(place)? else { continue };
        for number in (0..arguments.rows).filter_map(|row| numbers.float(row)) {
            if number == 0.0 {
                return refuse("2201E", "cannot take logarithm of zero");
            } else if number < 0.0 {
                return refuse("2201E", "cannot take logarithm of a negative number");
            }
        }
    }
    Ok(())
}

fn cosine(arguments: &Arguments<'_>) -> Result<()> {
    let Some(numbers) = arguments.floats(0)? else { return Ok(()) };
    match (0..arguments.rows).filter_map(|row| numbers.float(row)).find(|number| number.abs() > 1.0) {
        Some(_) => refuse("22003", "input is out of range"),
        None => Ok(()),
    }
}

fn character(arguments: &Arguments<'_>) -> Result<()> {
    let Some(codes) = arguments.integers(0)? else { return Ok(()) };
    for code in (0..arguments.rows).filter_map(|row| codes.integer(row)) {
        if code == 0 {
            return refuse("54000", "null character not permitted");
        } else if u32::try_from(code).ok().and_then(char::from_u32).is_none() {
            return refuse("54000", format!("requested character not valid for encoding: {code}"));
        }
    }
    Ok(())
}

fn length(arguments: &Arguments<'_>) -> Result<()> {
    let Some(lengths) = arguments.integers(2)? else { return Ok(()) };
    match (0..arguments.rows).filter_map(|row| lengths.integer(row)).find(|length| *length < 0) {
        Some(_) => refuse("22011", "negative substring length not allowed"),
        None => Ok(()),
    }
}

struct Guarded {
    inner: Arc<ScalarUDF>,
    check: Check,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("inner", &self.inner.name()).finish_non_exhaustive()
    }
}

impl PartialEq for Guarded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Guarded {}

impl Hash for Guarded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Guarded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if arguments.number_rows > 0 {
            (self.check)(&Arguments::new(&arguments))?;
        }
        self.inner.invoke_with_args(arguments)
    }

    fn simplify(&self, arguments: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(arguments, info)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(arguments)
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(input)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

//! `round_half_even(amount, places)`: a half of the last place goes to the even one.
//!
//! Owns how amounts are rounded: canonical ones are, wherever a source keeps more places (`12.345` is `12.34`, `12.355` is
//! `12.36`), so that sums of many do not drift. Invariants: decimals in and out, never a float; nothing overflows, whatever the
//! digits. `round` stays what Postgres makes of it, which is away from zero.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowNativeTypeOp, DataType, Decimal128Type, Decimal256Type, DecimalType, Field, FieldRef, i256,
};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use crate::engine::layout::AMOUNT;

const NAME: &str = "round_half_even";
/// Places that a decimal can have.
const PLACES_MAX: i8 = 38;

/// Registers the function.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    registry.register_udf(Arc::new(function())).map(drop)
}

/// A call of the function.
pub(crate) fn round_half_even(amount: Expr, places: i8) -> Expr {
    function().call(vec![amount, lit(i64::from(places))])
}

/// Whether a value of that type has more places than `places`.
pub(crate) fn is_finer(kind: &DataType, places: i8) -> bool {
    matches!(kind, DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) if *scale > places)
}

fn function() -> ScalarUDF {
    ScalarUDF::from(RoundHalfEven { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RoundHalfEven {
    signature: Signature,
}

impl ScalarUDFImpl for RoundHalfEven {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let [amount, places] = kinds else {
            return plan_err!("{NAME} takes an amount and places: {NAME}(amount, 2)");
        };
        if !places.is_integer() {
            return plan_err!("{NAME}: places are a whole number, not {places}: {NAME}(amount, 2)");
        }
        let amount = match amount {
            DataType::Decimal128(..) | DataType::Decimal256(..) => amount.clone(),
            kind if kind.is_integer() => DataType::Decimal128(20, 0),
            DataType::Null => AMOUNT.data_type(),
            other => {
                return plan_err!(
                    "{NAME} rounds decimals, not {other}; hint: cast first, {NAME}(cast(amount as decimal(24, 6)), 2)"
                );
            }
        };
        // As it is written: a cast around it would be no literal any more, and the type depends on it.
        Ok(vec![amount, places.clone()])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("{NAME}: its type depends on its places")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let [amount, _] = arguments.arg_fields else { return plan_err!("{NAME}: an argument is missing") };
        let places = places(arguments.scalar_arguments.get(1).copied().flatten())?;
        Ok(Arc::new(Field::new(NAME, rounded_type(amount.data_type(), places), true)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [amount, ColumnarValue::Scalar(given)] = arguments.args.as_slice() else {
            return plan_err!("{NAME}: an argument is missing, or its places are no literal");
        };
        let places = places(Some(given))?;
        match amount {
            ColumnarValue::Scalar(one) => {
                let rounded = rounded(&one.to_array()?, places)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&rounded, 0)?))
            }
            ColumnarValue::Array(many) => Ok(ColumnarValue::Array(rounded(many, places)?)),
        }
    }
}

fn places(argument: Option<&ScalarValue>) -> Result<i8> {
    let given = argument.map(|given| given.cast_to(&DataType::Int64)).transpose()?;
    let Some(ScalarValue::Int64(Some(places))) = given else {
        return plan_err!("{NAME}: places must be a literal, such as {NAME}(amount, 2)");
    };
    match i8::try_from(places) {
        Ok(places) if (0..=PLACES_MAX).contains(&places) => Ok(places),
        _ => plan_err!("{NAME}: places are from 0 to {PLACES_MAX}, not {places}"),
    }
}

/// The type of what is rounded: fewer places, and one more digit in front of them for 9.5, which becomes 10.
fn rounded_type(kind: &DataType, places: i8) -> DataType {
    let precision = |precision: u8, scale: i8| precision.saturating_sub(scale.abs_diff(places)).saturating_add(1);
    match kind {
        DataType::Decimal128(digits, scale) if is_finer(kind, places) => {
            DataType::Decimal128(precision(*digits, *scale), places)
        }
        DataType::Decimal256(digits, scale) if is_finer(kind, places) => {
            DataType::Decimal256(precision(*digits, *scale), places)
        }
        other => other.clone(),
    }
}

fn rounded(amounts: &ArrayRef, places: i8) -> Result<ArrayRef> {
    let kind = rounded_type(amounts.data_type(), places);
    Ok(match amounts.data_type() {
        DataType::Decimal128(_, scale) if *scale > places => {
            let amounts = amounts.as_primitive::<Decimal128Type>();
            Arc::new(without::<Decimal128Type>(amounts, 10, scale.abs_diff(places))?.with_data_type(kind))
        }
        DataType::Decimal256(_, scale) if *scale > places => {
            let amounts = amounts.as_primitive::<Decimal256Type>();
            let ten = i256::from_i128(10);
            Arc::new(without::<Decimal256Type>(amounts, ten, scale.abs_diff(places))?.with_data_type(kind))
        }
        _ => Arc::clone(amounts),
    })
}

/// The amounts without that many of their last digits.
fn without<T: DecimalType>(amounts: &PrimitiveArray<T>, ten: T::Native, digits: u8) -> Result<PrimitiveArray<T>>
where
    T::Native: ArrowNativeTypeOp,
{
    // Both fit: no decimal has more places than digits that its integers hold.
    let unit = ten.pow_checked(u32::from(digits))?;
    let half = unit.div_checked(T::Native::ONE.add_wrapping(T::Native::ONE))?;
    Ok(amounts.unary(|amount| half_even(amount, unit, half)))
}

fn half_even<N: ArrowNativeTypeOp>(amount: N, unit: N, half: N) -> N {
    let (whole, rest) = (amount.div_wrapping(unit), amount.mod_wrapping(unit));
    let is_negative = rest.is_lt(N::ZERO);
    let size = if is_negative { rest.neg_wrapping() } else { rest };
    let is_odd = !whole.mod_wrapping(N::ONE.add_wrapping(N::ONE)).is_zero();
    if size.is_lt(half) || size.is_eq(half) && !is_odd {
        whole
    } else if is_negative {
        whole.sub_wrapping(N::ONE)
    } else {
        whole.add_wrapping(N::ONE)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Decimal256Array};
    use datafusion::prelude::SessionContext;

    use super::*;

    fn of(values: Vec<Option<i128>>, precision: u8, scale: i8, places: i8) -> (Vec<Option<i128>>, DataType) {
        let array = Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap();
        let array: ArrayRef = Arc::new(array);
        let found = rounded(&array, places).unwrap();
        let kind = found.data_type().clone();
        (found.as_primitive::<Decimal128Type>().iter().collect(), kind)
    }

    #[test]
    fn a_half_goes_to_the_even_place_on_both_sides_of_zero() {
        let halves = [12_345, 12_355, -12_345, -12_355, 5, -5, 15, -15, 12_344, 12_346, -12_346, 9_995, 0];
        let values = halves.map(Some).into_iter().chain([None]).collect();
        let (found, kind) = of(values, 10, 3, 2);
        let right = [1_234, 1_236, -1_234, -1_236, 0, 0, 2, -2, 1_234, 1_235, -1_235, 1_000, 0];
        assert_eq!(found, right.map(Some).into_iter().chain([None]).collect::<Vec<_>>());
        assert_eq!(kind, DataType::Decimal128(10, 2));
        // What is beside the half by the last of many digits is no half.
        let (found, _) = of(vec![Some(5_000_001), Some(4_999_999), Some(5_000_000)], 20, 9, 2);
        assert_eq!(found, [Some(1), Some(0), Some(0)]);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let most = 10_i128.pow(38) - 1;
        let (found, kind) = of(vec![Some(most), Some(-most)], 38, 1, 0);
        assert_eq!((found, kind), (vec![Some(10_i128.pow(37)), Some(-10_i128.pow(37))], DataType::Decimal128(38, 0)));
        let (found, _) = of(vec![Some(most), Some(5 * 10_i128.pow(37)), Some(-5 * 10_i128.pow(37) - 1)], 38, 38, 0);
        assert_eq!(found, [Some(1), Some(0), Some(-1)]);
        assert_eq!(of(vec![Some(most)], 38, 0, 2), (vec![Some(most)], DataType::Decimal128(38, 0)));
        let digits = "9".repeat(75) + "5";
        let array = Decimal256Array::from(vec![i256::from_string(&digits)]).with_precision_and_scale(76, 1).unwrap();
        let found = rounded(&(Arc::new(array) as ArrayRef), 0).unwrap();
        assert_eq!(
            found.as_primitive::<Decimal256Type>().value(0),
            i256::from_string(&format!("1{}", "0".repeat(75))).unwrap()
        );
    }

    #[tokio::test]
    async fn a_statement_rounds_decimals_and_refuses_floats() {
        let mut options = datafusion::prelude::SessionConfig::new();
        options.options_mut().sql_parser.parse_float_as_decimal = true;
        let mut context = SessionContext::new_with_config(options);
        register(&mut context).unwrap();
        let query = "select arrow_cast(round_half_even(x, 2), 'Utf8') as a, arrow_typeof(round_half_even(x, 2)) as b, \
                     arrow_cast(round_half_even(7, 2), 'Utf8') as c, round_half_even(null, 2) is null as d \
                     from (values (2.345), (-0.005), (2.355)) as v (x)";
        let rows = context.sql(query).await.unwrap().collect().await.unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
        for part in ["| 2.34 ", "| 0.00 ", "| 2.36 ", "Decimal128(4, 2)", "| 7 ", "| true "] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        for (query, says) in [
            ("select round_half_even(cast(1.5 as double), 0)", "rounds decimals, not Float64"),
            ("select round_half_even(1.5, 0.5)", "places are a whole number"),
            ("select round_half_even(1.5, -1)", "from 0 to 38, not -1"),
            ("select round_half_even(1.5, x) from (values (1)) as v (x)", "must be a literal"),
            ("select round_half_even(1.5)", "takes an amount and places"),
        ] {
            let failed = match context.sql(query).await {
                Ok(frame) => frame.collect().await.unwrap_err(),
                Err(error) => error,
            };
            assert!(failed.to_string().contains(says), "{query}: {failed}");
        }
    }
}

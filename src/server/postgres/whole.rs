//! Sums, differences and products of whole numbers that say so when they leave their type: DataFusion's start again at the
//! other end of it.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Datum};
use datafusion::arrow::compute::kernels::numeric::{add, mul, sub};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast,
};
use datafusion::physical_expr_common::datum::apply;

use super::refuse;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    name: &'static str,
    operator: Operator,
    signature: Signature,
}

pub(crate) const NAMES: [&str; 3] = ["tieout_plus", "tieout_minus", "tieout_times"];

/// By [`NAMES`]; each takes two numbers of one type and answers another of it.
pub(super) fn functions() -> impl Iterator<Item = ScalarUDF> {
    let operators = [Operator::Plus, Operator::Minus, Operator::Multiply];
    NAMES.into_iter().zip(operators).map(|(name, operator)| {
        ScalarUDF::from(Whole { name, operator, signature: Signature::any(2, Volatility::Immutable) })
    })
}

/// An operation on whole numbers as one that notices when it overflows.
pub(crate) fn checked(expr: Expr, schema: &DFSchema, functions: &[Arc<ScalarUDF>]) -> Expr {
    let Expr::BinaryExpr(binary) = &expr else { return expr };
    let (Ok(left), Ok(right)) = (binary.left.get_type(schema), binary.right.get_type(schema)) else { return expr };
    let Some(common) =
        rank(&left).zip(rank(&right)).map(|(one, other)| if one >= other { left.clone() } else { right.clone() })
    else {
        return expr;
    };
    let is_it = |function: &&Arc<ScalarUDF>| {
        function.inner().downcast_ref::<Whole>().is_some_and(|whole| whole.operator == binary.op)
    };
    let Some(function) = functions.iter().find(is_it) else { return expr };
    let side =
        |side: &Expr, of: &DataType| if *of == common { side.clone() } else { cast(side.clone(), common.clone()) };
    function.call(vec![side(&binary.left, &left), side(&binary.right, &right)])
}

/// The place of a whole number's type among those with a sign.
fn rank(of: &DataType) -> Option<usize> {
    [DataType::Int8, DataType::Int16, DataType::Int32, DataType::Int64].iter().position(|known| known == of)
}

impl ScalarUDFImpl for Whole {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Int64))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let of = arguments.arg_fields.first().map_or(DataType::Int64, |field| field.data_type().clone());
        let is_nullable = arguments.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name, of, is_nullable)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = arguments.args.as_slice() else {
            return refuse("42883", format!("{} takes two numbers", self.name));
        };
        let operation = |left: &dyn Datum, right: &dyn Datum| -> std::result::Result<ArrayRef, ArrowError> {
            match self.operator {
                Operator::Minus => sub(left, right),
                Operator::Multiply => mul(left, right),
                _ => add(left, right),
            }
        };
        let out_of_range = match arguments.return_field.data_type() {
            DataType::Int64 => "bigint out of range",
            DataType::Int32 => "integer out of range",
            _ => "smallint out of range",
        };
        apply(left, right, operation).or_else(|_| refuse("22003", out_of_range))
    }
}

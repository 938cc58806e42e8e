//! `jaro_winkler_similarity(one, other)`: how alike two texts are, from 0 to 1.
//!
//! Owns how the measure that `link.suggestions` weighs words by is asked for in SQL. Invariants: as the texts are, so that case
//! and blanks count; null for null. Which pairs are worth comparing is the statement's business.

use std::sync::Arc;

use arrow::array::{AsArray, Float64Array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use tieout_matching::jaro_winkler;

const NAME: &str = "jaro_winkler_similarity";

/// Registers the function.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let signature = TypeSignature::Exact(vec![DataType::Utf8, DataType::Utf8]);
    let function = JaroWinkler { signature: Signature::new(signature, Volatility::Immutable) };
    registry.register_udf(Arc::new(ScalarUDF::from(function))).map(drop)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JaroWinkler {
    signature: Signature,
}

impl ScalarUDFImpl for JaroWinkler {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [one, other] = arguments.args.as_slice() else {
            return plan_err!("{NAME} compares two texts: {NAME}(pm.name, erp.name)");
        };
        let (one, other) = (one.to_array(arguments.number_rows)?, other.to_array(arguments.number_rows)?);
        let pairs = one.as_string::<i32>().iter().zip(other.as_string::<i32>());
        let alike: Float64Array = pairs.map(|(one, other)| Some(jaro_winkler(one?, other?))).collect();
        Ok(ColumnarValue::Array(Arc::new(alike)))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::engine::tests::ask;

    /// The pairs of Winkler's report of 1990, its table of comparisons.
    #[tokio::test]
    async fn texts_are_as_alike_as_published() {
        let mut session = SessionContext::new();
        register(&mut session).unwrap();
        let pairs = "(values ('MARTHA', 'MARHTA'), ('DWAYNE', 'DUANE'), ('DIXON', 'DICKSONX'), ('x', 'y'), ('', ''), ('x', null))";
        let alike =
            format!("select round({NAME}(one, other) * 1000) as thousandths from {pairs} as pairs (one, other)");
        let told = ask(&session, &alike).await;
        assert_eq!(told, "| 961.0 |\n| 840.0 |\n| 813.0 |\n| 0.0 |\n| 1000.0 |\n| |");
    }
}

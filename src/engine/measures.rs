//! `measures`: counts that a commit keeps because nobody could count them later without reading that day again.
//!
//! A view of `queries/` with `kind: measure` has the columns `field`, `side`, `value`, `of_value`, `amount`, `of_amount`;
//! every commit that judges stores its rows under the view's name. Invariant: where it could not look, one row says so and
//! why, and there are no numbers.

use crate::engine::cells::{Cell, Row, rows_of};
use crate::engine::checks::Evaluator;
use crate::engine::footing::Standing;
use crate::engine::layout::system_columns;
use crate::engine::queries::QueryFile;

/// The rows of one measure at the commit that is judged.
pub(crate) fn rows(evaluator: &Evaluator<'_>, query: &QueryFile, standing: &Standing) -> Vec<Row> {
    let (verdict, reason, found) = match evaluator.measured(query, standing) {
        Ok((gap, batches)) => match rows_of(batches, &system_columns("measures")) {
            Ok(rows) => (if gap.is_some() { "partial" } else { "measured" }, gap, rows),
            Err(error) => ("not_evaluated", Some(error.to_string()), vec![Row::default()]),
        },
        Err((verdict, reason)) => (verdict, Some(reason), vec![Row::default()]),
    };
    let number = i64::try_from(evaluator.number).unwrap_or(i64::MAX);
    let told = |mut row: Row| {
        row.extend([
            ("commit_number", Cell::Integer(number)),
            ("measure", Cell::text(Some(&query.name.1))),
            ("entity", Cell::text(query.header.entity.as_deref())),
            ("verdict", Cell::text(Some(verdict))),
            ("reason", Cell::text(reason.as_deref())),
        ]);
        row
    };
    found.into_iter().map(told).collect()
}

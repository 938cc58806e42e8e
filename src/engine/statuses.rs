//! `record_statuses`: when commits saw records become approved, for systems that do not say.
//!
//! A record that is approved when first seen has the basis `unknown` and a date that bounds its age from below. One that
//! becomes approved later has the basis `observed` and the end of the interval in which it happened. That end is the
//! `observed_at` of the first commit that saw it approved, or the record's own `updated_at` at that sight, whichever is
//! earlier: an approval changes the record, so it was approved by then.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;

use crate::engine::cells::{Cell, Row, rows_of};
use crate::engine::header::Side;
use crate::engine::layout::system_columns;
use crate::engine::parallel::side_by_side;
use crate::engine::repeated::Repeated;
use crate::engine::{Engine, Error};
use crate::warehouse::rows::ColumnType;

/// Entity, source, record.
type Key = (String, String, String);

/// What is asked of each entity that has it.
const COLUMNS: [(&str, ColumnType); 4] = [
    ("source", ColumnType::Text),
    ("record_id", ColumnType::Text),
    ("approval_status", ColumnType::Text),
    ("updated_at", ColumnType::Timestamp),
];

/// The rows of `record_statuses` for a prepared commit, from those before it and the canonical model as it is now.
pub(crate) async fn rows(
    session: &SessionContext,
    engine: &Engine,
    previous: &[Row],
    observed_at: DateTime<Utc>,
) -> Result<Vec<Row>, Error> {
    let blueprint = &engine.blueprint;
    let mut before: BTreeMap<Key, &Row> = previous.iter().filter_map(|row| Some((key(row)?, row))).collect();
    let mut pieces = Vec::new();
    for entity in blueprint.entities.iter().filter(|it| it.has("approved_at") && it.has("approval_status")) {
        for side in Side::BOTH {
            let name = (side.schema().to_owned(), entity.name.clone());
            if blueprint.mappings.get(&name).is_none_or(Vec::is_empty) {
                continue;
            }
            // A view that cannot be planned is told by every check that reads it.
            let columns: Vec<_> = COLUMNS.into_iter().filter(|(name, _)| entity.has(name)).collect();
            let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
            let Ok(question) = engine.reader.question(&name, &names).await else { continue };
            pieces.push(current(session.clone(), entity.name.clone(), question, columns));
        }
    }
    let mut rows = Vec::new();
    for found in side_by_side(pieces.into_iter()).await {
        for row in found.map_err(|reason| DataFusionError::Execution(format!("read approval statuses: {reason}")))? {
            let Some(key) = key(&row) else { continue };
            rows.push(next(row, before.remove(&key), observed_at));
        }
    }
    // What can no longer be read is kept: its dates cannot be observed a second time.
    rows.extend(before.into_values().cloned());
    Ok(rows)
}

async fn current(
    session: SessionContext,
    entity: String,
    question: Arc<Repeated>,
    columns: Vec<(&'static str, ColumnType)>,
) -> Result<Vec<Row>, String> {
    let batches = question.execute(&session.state()).await.map_err(|error| error.strip_backtrace())?;
    let typed: Vec<(String, ColumnType)> = columns.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
    let mut rows = rows_of(&batches, &typed).map_err(|error| error.to_string())?;
    for row in &mut rows {
        row.insert("entity".to_owned(), Cell::Text(entity.clone()));
    }
    Ok(rows)
}

fn key(row: &Row) -> Option<Key> {
    let text = |name: &str| row.get(name)?.as_text().map(str::to_owned);
    Some((text("entity")?, text("source")?, text("record_id")?))
}

fn next(mut row: Row, before: Option<&Row>, observed_at: DateTime<Utc>) -> Row {
    let status = |row: &Row| row.get("approval_status").and_then(Cell::as_text).unwrap_or("pending").to_owned();
    let approved = |status: &str| matches!(status, "approved" | "closed");
    let now = status(&row);
    let changed_at = match row.remove("updated_at") {
        Some(Cell::Moment(at)) => at.min(observed_at),
        _ => observed_at,
    };
    let old = |name: &str| before.and_then(|row| row.get(name)).cloned().unwrap_or(Cell::Null);
    let (at, basis) = match before {
        None if approved(&now) => (Cell::Moment(changed_at), Cell::text(Some("unknown"))),
        Some(before) if approved(&now) && old("approved_at") == Cell::Null && !approved(&status(before)) => {
            (Cell::Moment(changed_at), Cell::text(Some("observed")))
        }
        // A void record was approved once; one that is back in work will be approved anew.
        Some(_) if approved(&now) || now == "void" => (old("approved_at"), old("approved_at_basis")),
        _ => (Cell::Null, Cell::Null),
    };
    row.insert("approved_at".to_owned(), at);
    row.insert("approved_at_basis".to_owned(), basis);
    let first_seen = if before.is_some() { old("first_seen_at") } else { Cell::Moment(observed_at) };
    row.insert("first_seen_at".to_owned(), first_seen);
    debug_assert!(system_columns("record_statuses").iter().all(|(name, _)| row.contains_key(name)));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: &str) -> Row {
        ["entity", "source", "record_id"]
            .iter()
            .map(|name| ((*name).to_owned(), Cell::text(Some("x"))))
            .chain([("approval_status".to_owned(), Cell::text(Some(status)))])
            .collect()
    }

    #[test]
    fn an_approval_is_dated_once_and_anew_after_rework() {
        let at = |hour: i64| DateTime::from_timestamp(hour * 3600, 0).unwrap();
        let pending = next(row("pending"), None, at(1));
        assert_eq!(pending["approved_at"], Cell::Null);
        let approved = next(row("approved"), Some(&pending), at(2));
        assert_eq!(
            (&approved["approved_at"], approved["approved_at_basis"].as_text()),
            (&Cell::Moment(at(2)), Some("observed"))
        );
        let later = next(row("approved"), Some(&approved), at(3));
        assert_eq!((&later["approved_at"], &later["first_seen_at"]), (&Cell::Moment(at(2)), &Cell::Moment(at(1))));
        let rework = next(row("rejected"), Some(&later), at(4));
        assert_eq!(next(row("approved"), Some(&rework), at(5))["approved_at"], Cell::Moment(at(5)));
        assert_eq!(next(row("closed"), None, at(6))["approved_at_basis"].as_text(), Some("unknown"));
        // It was approved by the time it was last changed; a clock that runs ahead proves nothing.
        let changed =
            |hour| row("approved").into_iter().chain([("updated_at".to_owned(), Cell::Moment(at(hour)))]).collect();
        assert_eq!(next(changed(4), None, at(6))["approved_at"], Cell::Moment(at(4)));
        assert_eq!(next(changed(9), Some(&pending), at(6))["approved_at"], Cell::Moment(at(6)));
    }
}

//! `record_statuses`: when commits saw records become approved, for systems that do not say.
//!
//! A record that is approved when first seen has the basis `unknown` and a date that bounds its age from below. One that
//! becomes approved later has the basis `observed` and the end of the interval in which it happened. That end is the
//! `observed_at` of the first commit that saw it approved, or the record's own `updated_at` at that sight, whichever is
//! earlier: an approval changes the record, so it was approved by then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use futures::TryStreamExt as _;

use crate::engine::cells::{BATCH_ROWS, Cell, Row, SystemInput, rows_of};
use crate::engine::header::Side;
use crate::engine::held::{Held, Room};
use crate::engine::layout::system_columns;
use crate::engine::parallel::side_by_side;
use crate::engine::repeated::Repeated;
use crate::engine::{Engine, Error};
use crate::warehouse::commit::Head;
use crate::warehouse::rows::{ColumnType, SYSTEM_SOURCE, TableInput};

const TABLE: &str = "record_statuses";
const KEY: [&str; 3] = ["entity", "source", "record_id"];
/// Bytes of records as they are now that are held in memory: those of a large firm wait in files.
const HELD_BYTES: usize = 32 << 20;

/// What an earlier commit said of a record. There are as many as records, so they are kept small.
struct Known {
    status: Option<Arc<str>>,
    approved_at: Option<DateTime<Utc>>,
    basis: Option<Arc<str>>,
    first_seen_at: Option<DateTime<Utc>>,
}

/// By entity, source and record.
type Before = HashMap<Arc<str>, HashMap<Arc<str>, HashMap<Box<str>, Known>>>;

/// What is asked of each entity that has it.
const COLUMNS: [(&str, ColumnType); 4] = [
    ("source", ColumnType::Text),
    ("record_id", ColumnType::Text),
    ("approval_status", ColumnType::Text),
    ("updated_at", ColumnType::Timestamp),
];

/// `record_statuses` of a prepared commit, from the rows at commit `number` of its chain and the canonical model as it is now.
pub(crate) async fn input(
    session: &SessionContext,
    engine: &Engine,
    (head, number): (&Head, u64),
    observed_at: DateTime<Utc>,
) -> Result<TableInput, Error> {
    let mut before = before(engine, head, number).await?;
    let blueprint = &engine.blueprint;
    let (mut pieces, room) = (Vec::new(), Arc::new(Room::of(HELD_BYTES)));
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
            pieces.push(current(session.clone(), entity.name.clone(), question, columns, Arc::clone(&room)));
        }
    }
    let mut input = SystemInput::new(TABLE, &KEY, observed_at);
    for found in side_by_side(pieces.into_iter()).await {
        let found = found.map_err(|reason| DataFusionError::Execution(format!("read approval statuses: {reason}")))?;
        let mut batches = found.held.stream();
        while let Some(batch) = batches.try_next().await? {
            for first in (0..batch.num_rows()).step_by(BATCH_ROWS) {
                let piece = batch.slice(first, BATCH_ROWS.min(batch.num_rows() - first));
                let mut rows = rows_of(&[piece], &found.columns)?;
                rows.retain_mut(|row| {
                    row.insert("entity", Cell::Text(found.entity.clone()));
                    let Some(known) = take(&mut before, row) else { return false };
                    next(row, known.as_ref(), observed_at);
                    true
                });
                input.add(&rows)?;
            }
        }
    }
    // What can no longer be read is kept: its dates cannot be observed a second time.
    let mut kept = Vec::new();
    for (entity, sources) in &before {
        for (source, records) in sources {
            for (record, known) in records {
                kept.push(known.row(entity, source, record));
                if kept.len() == BATCH_ROWS {
                    input.add(&std::mem::take(&mut kept))?;
                }
            }
        }
    }
    input.add(&kept)?;
    input.finish()
}

/// What a commit said of every record.
async fn before(engine: &Engine, head: &Head, number: u64) -> Result<Before, Error> {
    let columns = system_columns(TABLE);
    let wanted: HashSet<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let wanted = move |name: &str| wanted.contains(name);
    let mut rows = engine.warehouse.stream_state(head, number, SYSTEM_SOURCE, TABLE, columns.clone(), wanted);
    let (mut before, mut words) = (Before::new(), HashSet::new());
    while let Some(batch) = rows.try_next().await? {
        for row in rows_of(&[batch], &columns)? {
            let Some((entity, source, record)) = key(&row) else { continue };
            let known = Known::of(&row, &mut words);
            let sources = before.entry(word(&mut words, entity)).or_default();
            sources.entry(word(&mut words, source)).or_default().insert(record.into(), known);
        }
    }
    Ok(before)
}

/// The same text once.
fn word(words: &mut HashSet<Arc<str>>, text: &str) -> Arc<str> {
    if let Some(word) = words.get(text) {
        return Arc::clone(word);
    }
    let word: Arc<str> = text.into();
    words.insert(Arc::clone(&word));
    word
}

/// Takes out what was known of a row's record; the outer none if the row is none of a record.
#[expect(clippy::option_option, reason = "no record, or a record that nothing is known of")]
fn take(before: &mut Before, row: &Row) -> Option<Option<Known>> {
    let (entity, source, record) = key(row)?;
    let records = before.get_mut(entity).and_then(|sources| sources.get_mut(source));
    Some(records.and_then(|records| records.remove(record)))
}

impl Known {
    fn of(row: &Row, words: &mut HashSet<Arc<str>>) -> Self {
        let moment = |name: &str| row.get(name).and_then(Cell::as_moment);
        let mut text = |name: &str| row.get(name).and_then(Cell::as_text).map(|text| word(words, text));
        Self {
            status: text("approval_status"),
            basis: text("approved_at_basis"),
            approved_at: moment("approved_at"),
            first_seen_at: moment("first_seen_at"),
        }
    }

    fn row(&self, entity: &str, source: &str, record: &str) -> Row {
        let cells = [
            ("entity", Cell::text(Some(entity))),
            ("source", Cell::text(Some(source))),
            ("record_id", Cell::text(Some(record))),
            ("approval_status", Cell::text(self.status.as_deref())),
            ("approved_at", Cell::moment(self.approved_at)),
            ("approved_at_basis", Cell::text(self.basis.as_deref())),
            ("first_seen_at", Cell::moment(self.first_seen_at)),
        ];
        cells.into_iter().collect()
    }
}

/// An entity's records on one side as they are now.
struct Current {
    entity: String,
    columns: Vec<(String, ColumnType)>,
    held: Held,
}

async fn current(
    session: SessionContext,
    entity: String,
    question: Arc<Repeated>,
    columns: Vec<(&'static str, ColumnType)>,
    room: Arc<Room>,
) -> Result<Current, String> {
    let schema = Arc::clone(question.plan().schema().inner());
    let held = question.hold(&session.state(), &schema, &room).await.map_err(|error| error.strip_backtrace())?;
    let columns = columns.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
    Ok(Current { entity, columns, held })
}

/// Entity, source, record.
fn key(row: &Row) -> Option<(&str, &str, &str)> {
    let text = |name: &str| row.get(name)?.as_text();
    Some((text("entity")?, text("source")?, text("record_id")?))
}

/// Adds to a record as it is now what commits saw of it.
fn next(row: &mut Row, before: Option<&Known>, observed_at: DateTime<Utc>) {
    let is_approved = |status: &str| matches!(status, "approved" | "closed");
    let now = row.get("approval_status").and_then(Cell::as_text).unwrap_or("pending");
    let changed_at = match row.get("updated_at") {
        Some(Cell::Moment(at)) => (*at).min(observed_at),
        _ => observed_at,
    };
    let (at, basis) = match before {
        None if is_approved(now) => (Some(changed_at), Some("unknown")),
        Some(before)
            if is_approved(now)
                && before.approved_at.is_none()
                && !is_approved(before.status.as_deref().unwrap_or("pending")) =>
        {
            (Some(changed_at), Some("observed"))
        }
        // A void record was approved once; one that is back in work will be approved anew.
        Some(before) if is_approved(now) || now == "void" => (before.approved_at, before.basis.as_deref()),
        _ => (None, None),
    };
    let first_seen_at = before.map_or(Some(observed_at), |before| before.first_seen_at);
    row.remove("updated_at");
    row.insert("approved_at", Cell::moment(at));
    row.insert("approved_at_basis", Cell::text(basis));
    row.insert("first_seen_at", Cell::moment(first_seen_at));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: &str, updated_at: Option<DateTime<Utc>>) -> Row {
        let texts = KEY.iter().map(|name| (*name, Cell::text(Some("x"))));
        let status = [("approval_status", Cell::text(Some(status)))];
        let updated = updated_at.map(|at| ("updated_at", Cell::Moment(at)));
        texts.chain(status).chain(updated).collect()
    }

    #[test]
    fn an_approval_is_dated_once_and_anew_after_rework() {
        let at = |hour: i64| DateTime::from_timestamp(hour * 3600, 0).unwrap();
        let seen = |mut row: Row, before: Option<&Known>, observed_at| {
            next(&mut row, before, observed_at);
            let known = Known::of(&row, &mut HashSet::new());
            assert_eq!(known.row("x", "x", "x"), row, "what is kept gives the row again");
            known
        };
        let pending = seen(row("pending", None), None, at(1));
        assert_eq!(pending.approved_at, None);
        let approved = seen(row("approved", None), Some(&pending), at(2));
        assert_eq!((approved.approved_at, approved.basis.as_deref()), (Some(at(2)), Some("observed")));
        let later = seen(row("approved", None), Some(&approved), at(3));
        assert_eq!((later.approved_at, later.first_seen_at), (Some(at(2)), Some(at(1))));
        let rework = seen(row("rejected", None), Some(&later), at(4));
        assert_eq!(seen(row("approved", None), Some(&rework), at(5)).approved_at, Some(at(5)));
        assert_eq!(seen(row("closed", None), None, at(6)).basis.as_deref(), Some("unknown"));
        // It was approved by the time it was last changed; a clock that runs ahead proves nothing.
        let changed = |hour| row("approved", Some(at(hour)));
        assert_eq!(seen(changed(4), None, at(6)).approved_at, Some(at(4)));
        assert_eq!(seen(changed(9), Some(&pending), at(6)).approved_at, Some(at(6)));
    }
}

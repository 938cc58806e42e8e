//! Cursors: `FETCH` and `MOVE`, forward over a running query, or to and fro over the rows of one that was declared to scroll.
//!
//! Invariant: a cursor that scrolls answers from the rows of its first run, which are kept in memory and bounded; one that
//! does not scroll keeps none.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, UInt64Array};
use datafusion::arrow::compute::{concat_batches, take_record_batch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;

use super::connection::Connection;
use super::failure::{Failure, SYNTAX};
use super::query::{Formats, Interrupt, Rows, describe};
use super::session::{Body, no_cursor};

/// What the rows of a cursor that scrolls may take.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Where a `FETCH` or `MOVE` goes, by rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward(u64),
    ForwardAll,
    Backward(u64),
    BackwardAll,
    /// From before the first row; from behind the last one if negative.
    Absolute(i64),
    Relative(i64),
}

impl Direction {
    /// The words between `FETCH` and the cursor's name.
    pub(crate) fn read(words: &str) -> Result<Self, Failure> {
        let upper = words.to_ascii_uppercase();
        let words: Vec<&str> = upper.split_whitespace().collect();
        let wrong = || Failure::new(SYNTAX, format!("syntax error: \"{upper}\" is no direction of a cursor"));
        let number = |text: &str| text.parse::<i64>().map_err(|_| wrong());
        Ok(match words.as_slice() {
            [] | ["NEXT" | "FORWARD"] => Self::Forward(1),
            ["PRIOR" | "BACKWARD"] => Self::Backward(1),
            ["FIRST"] => Self::Absolute(1),
            ["LAST"] => Self::Absolute(-1),
            ["ALL"] | ["FORWARD", "ALL"] => Self::ForwardAll,
            ["BACKWARD", "ALL"] => Self::BackwardAll,
            ["ABSOLUTE", count] => Self::Absolute(number(count)?),
            ["RELATIVE", count] => Self::Relative(number(count)?),
            ["BACKWARD", count] => Self::by(number(count)?.checked_neg().ok_or_else(wrong)?),
            [count] | ["FORWARD", count] => Self::by(number(count)?),
            _ => return Err(wrong()),
        })
    }

    fn by(count: i64) -> Self {
        if count < 0 { Self::Backward(count.unsigned_abs()) } else { Self::Forward(count.unsigned_abs()) }
    }

    /// The rows that it passes of so many, from a place: the first of them, how many, whether backward, and the place after it.
    /// Places are counted from 1; 0 is before the first row.
    fn reach(self, at: u64, total: u64) -> (u64, u64, bool, u64) {
        let one = |place: u64| match place {
            0 => (0, 0, false, 0),
            place if place > total => (0, 0, false, total.saturating_add(1)),
            place => (place, 1, false, place),
        };
        match self {
            Self::Forward(0) | Self::Backward(0) | Self::Relative(0) => one(at),
            Self::Forward(count) => {
                let next = at.saturating_add(count).min(total.saturating_add(1));
                (at.saturating_add(1), next.min(total).saturating_sub(at), false, next)
            }
            Self::ForwardAll => (at.saturating_add(1), total.saturating_sub(at), false, total.saturating_add(1)),
            Self::Backward(count) => {
                let next = at.saturating_sub(count);
                let first = at.saturating_sub(1);
                (first, first.saturating_sub(next.max(1).saturating_sub(1)), true, next)
            }
            Self::BackwardAll => (at.saturating_sub(1), at.saturating_sub(1), true, 0),
            Self::Absolute(place) if place < 0 => one(total.saturating_add(1).saturating_sub(place.unsigned_abs())),
            Self::Absolute(place) => one(place.unsigned_abs()),
            Self::Relative(by) => one(at.saturating_add_signed(by)),
        }
    }
}

/// A cursor and how far it has come.
pub(crate) struct Cursor {
    state: State,
    scrolls: bool,
    /// Rows that it is past, the one that it stands on among them; one more than all behind the last.
    at: u64,
}

enum State {
    Planned(Box<LogicalPlan>),
    Running(Rows),
    Finished(SchemaRef),
    /// All rows, of a cursor that scrolls.
    Kept(RecordBatch),
}

impl Cursor {
    pub(crate) fn new(plan: Box<LogicalPlan>, scrolls: bool) -> Self {
        Self { state: State::Planned(plan), scrolls, at: 0 }
    }

    /// Over rows of which some may have been given.
    pub(crate) fn running(rows: Rows) -> Self {
        Self { at: rows.given(), state: State::Running(rows), scrolls: false }
    }

    /// Behind its last row.
    pub(crate) fn finished(schema: SchemaRef) -> Self {
        Self { state: State::Finished(schema), scrolls: false, at: u64::MAX }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        match &self.state {
            State::Planned(plan) => Arc::clone(plan.schema().inner()),
            State::Running(rows) => Arc::clone(rows.schema()),
            State::Finished(schema) => Arc::clone(schema),
            State::Kept(rows) => rows.schema(),
        }
    }
}

/// A `FETCH` or `MOVE`.
pub(crate) struct Fetch {
    pub(crate) name: String,
    pub(crate) direction: Direction,
    /// Passes over the rows, and sends none.
    pub(crate) moves: bool,
}

impl Connection {
    /// Carries out a `FETCH` or `MOVE`; the cursor stays open after its last row.
    pub(crate) async fn fetch(
        &mut self,
        fetch: Fetch,
        formats: &Formats,
        described: bool,
        interrupt: &mut Interrupt,
    ) -> Result<(), Failure> {
        let Fetch { name, direction, moves } = fetch;
        let mut portal = self.session.portals.remove(&name).ok_or_else(|| no_cursor(&name))?;
        let mut cursor = match portal.body {
            Body::Cursor(cursor) => cursor,
            Body::Planned(plan, _) => Box::new(Cursor::new(plan, false)),
            Body::Running(rows, _) => Box::new(Cursor::running(rows)),
            Body::Finished(schema, _) => Box::new(Cursor::finished(schema)),
            Body::Empty | Body::Command(_) | Body::Copy(..) => return Err(no_cursor(&name)),
        };
        // A binary cursor decides itself; else the format is that of the FETCH.
        let formats = if portal.formats.0.is_empty() { formats.clone() } else { portal.formats.clone() };
        if let State::Planned(plan) = cursor.state {
            let rows = self.session.start(*plan).await?;
            cursor.state =
                if cursor.scrolls { State::Kept(kept(rows, interrupt).await?) } else { State::Running(rows) };
        }
        if described && !moves {
            self.wire.description(describe(&cursor.schema(), &formats)).await?;
        }
        let passed = self.pass(&mut cursor, direction, moves, &formats, interrupt).await;
        portal.body = Body::Cursor(cursor);
        self.session.portals.insert(name, portal);
        self.wire.complete(format!("{} {}", if moves { "MOVE" } else { "FETCH" }, passed?)).await
    }

    /// Sends the rows that a direction reaches, or passes over them; how many there were.
    async fn pass(
        &mut self,
        cursor: &mut Cursor,
        direction: Direction,
        moves: bool,
        formats: &Formats,
        interrupt: &mut Interrupt,
    ) -> Result<u64, Failure> {
        let zone = self.session.with_settings(|settings| settings.zone());
        if let State::Kept(all) = &cursor.state {
            let total = u64::try_from(all.num_rows()).unwrap_or(u64::MAX);
            let (first, count, backward, at) = direction.reach(cursor.at, total);
            cursor.at = at;
            if !moves && count > 0 {
                let place = |step: u64| {
                    first.saturating_sub(1).saturating_add_signed(if backward {
                        -step.cast_signed()
                    } else {
                        step.cast_signed()
                    })
                };
                let places: UInt64Array = (0..count).map(place).collect();
                let mut rows = Rows::of(&take_record_batch(all, &places)?)?;
                self.wire.rows(&mut rows, None, formats, zone, interrupt).await?;
            }
            return Ok(count);
        }
        let (skipped, wanted) = ahead(direction, cursor.at)?;
        let State::Running(rows) = &mut cursor.state else { return Ok(0) };
        let before = rows.skip(skipped, interrupt).await?;
        cursor.at += before;
        let (count, last) = match (before == skipped, moves) {
            (false, _) => (0, true),
            (true, false) => self.wire.rows(rows, wanted, formats, zone, interrupt).await?,
            (true, true) => {
                let passed = rows.skip(wanted.unwrap_or(u64::MAX), interrupt).await?;
                (passed, wanted.is_none_or(|wanted| passed < wanted))
            }
        };
        cursor.at += count;
        if last {
            cursor.at += 1;
            cursor.state = State::Finished(cursor.schema());
        }
        Ok(count)
    }
}

/// How many rows a direction skips and how many it takes, all if none, from a place that there is no way back to.
fn ahead(direction: Direction, at: u64) -> Result<(u64, Option<u64>), Failure> {
    let back = || {
        Failure::new("55000", "cursor can only scan forward")
            .hint("declare it with SCROLL option to enable backward scan")
    };
    Ok(match direction {
        Direction::Forward(0) | Direction::Backward(0) | Direction::Relative(0) if at == 0 => (0, Some(0)),
        Direction::Forward(count) if count > 0 => (0, Some(count)),
        Direction::ForwardAll => (0, None),
        Direction::Relative(by) if by > 0 => (by.unsigned_abs() - 1, Some(1)),
        Direction::Absolute(place) if place > 0 && place.unsigned_abs() > at => {
            (place.unsigned_abs() - at - 1, Some(1))
        }
        _ => return Err(back()),
    })
}

/// All rows of a query.
async fn kept(mut rows: Rows, interrupt: &mut Interrupt) -> Result<RecordBatch, Failure> {
    let (mut batches, mut bytes) = (Vec::new(), 0);
    while let Some(batch) = rows.batch(interrupt).await? {
        bytes += batch.get_array_memory_size();
        if bytes > KEPT_BYTES_MAX {
            let text = format!("the rows of a cursor that scrolls take more than {} MB", KEPT_BYTES_MAX >> 20);
            return Err(Failure::new("53200", text).hint("declare it without SCROLL, or select less"));
        }
        batches.push(batch);
    }
    Ok(concat_batches(rows.schema(), &batches)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_read() {
        for (words, expected) in [
            ("", Direction::Forward(1)),
            ("prior", Direction::Backward(1)),
            ("last", Direction::Absolute(-1)),
            ("-3", Direction::Backward(3)),
            ("backward -3", Direction::Forward(3)),
            ("all", Direction::ForwardAll),
            ("absolute 7", Direction::Absolute(7)),
            ("relative -2", Direction::Relative(-2)),
        ] {
            assert_eq!(Direction::read(words).unwrap(), expected, "{words}");
        }
        assert_eq!(Direction::read("sideways 3").unwrap_err().code, SYNTAX);
    }

    /// As PostgreSQL 15 answers over five rows: first row, count, backward, place after.
    #[test]
    fn directions_reach_what_postgres_reaches() {
        for (direction, at, expected) in [
            (Direction::Forward(2), 0, (1, 2, false, 2)),
            (Direction::Forward(9), 3, (4, 2, false, 6)),
            (Direction::Forward(1), 6, (7, 0, false, 6)),
            (Direction::Forward(0), 3, (3, 1, false, 3)),
            (Direction::ForwardAll, 2, (3, 3, false, 6)),
            (Direction::Backward(1), 6, (5, 1, true, 5)),
            (Direction::Backward(2), 3, (2, 2, true, 1)),
            (Direction::Backward(3), 3, (2, 2, true, 0)),
            (Direction::BackwardAll, 6, (5, 5, true, 0)),
            (Direction::Absolute(3), 5, (3, 1, false, 3)),
            (Direction::Absolute(-1), 0, (5, 1, false, 5)),
            (Direction::Absolute(-6), 2, (0, 0, false, 0)),
            (Direction::Absolute(9), 2, (0, 0, false, 6)),
            (Direction::Relative(-1), 3, (2, 1, false, 2)),
            (Direction::Relative(-9), 3, (0, 0, false, 0)),
        ] {
            assert_eq!(direction.reach(at, 5), expected, "{direction:?} from {at}");
        }
    }

    #[test]
    fn there_is_no_way_back_without_scroll() {
        assert_eq!(ahead(Direction::Absolute(5), 2).unwrap(), (2, Some(1)));
        assert_eq!(ahead(Direction::Relative(2), 2).unwrap(), (1, Some(1)));
        for direction in
            [Direction::Backward(1), Direction::Absolute(2), Direction::Absolute(-1), Direction::Forward(0)]
        {
            assert_eq!(ahead(direction, 2).unwrap_err().code, "55000");
        }
    }
}

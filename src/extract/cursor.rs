//! Cursors of incremental reads: pure functions of what was read and when.
//!
//! A cursor is a moment by the *source's* clock, never past the start of the run that wrote it, and moves only when the
//! whole table was read: a failed scope would otherwise lose its changes for ever. The overlap is subtracted when
//! reading, so that a record saved while the last run was listing is read again.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde::Deserialize;

/// How an incremental read asks for what changed.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The source's field.
    pub field: String,
    /// The query parameter, or the field of the body.
    pub parameter: String,
    /// How the moment is written.
    pub format: CursorFormat,
    /// Of the format `template`: the parameter's value, with `{from}` where the moment stands.
    #[serde(default)]
    pub template: Option<String>,
    /// How the template's moment is written, by the letters of strftime; none takes RFC 3339 in UTC.
    #[serde(default)]
    pub moment: Option<String>,
    /// How far to reach back behind the last run's start.
    #[serde(default)]
    pub overlap_seconds: u32,
    /// Fields that tell of a change as well: a record that was never changed may have no time of change.
    #[serde(default)]
    pub also: Vec<String>,
    /// The field of the body that joins filters by their numbers.
    #[serde(default)]
    pub expression: Option<String>,
    /// Days that a whole read goes back: a history has no beginning that anybody needs.
    #[serde(default)]
    pub days: Option<u32>,
}

/// How a cursor is written into the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CursorFormat {
    /// `from...to`.
    Range,
    /// `field ge datetimeoffset'from'`, joined to an existing filter by `and`.
    OdataGe,
    /// The cursor's own text (a finder with a name and an attribute: `selectByDate;auditDate={from}`).
    Template,
    /// `{"$gte": {field: from}}` in a list of filters in the body, which an expression joins.
    FilterList,
}

impl CursorFormat {
    /// Whether it can ask for what changed or is open.
    pub(crate) fn knows_or(self) -> bool {
        matches!(self, Self::OdataGe | Self::FilterList)
    }
}

/// Where the moment stands in a cursor's own text.
pub(crate) const FROM: &str = "{from}";

/// The cursor to keep after a run: the run's start by the source's clock if everything was read, else the old one.
pub(crate) fn next(previous: Option<&str>, is_complete: bool, started_at: DateTime<Utc>) -> Option<String> {
    if is_complete { Some(format(started_at)) } else { previous.map(str::to_owned) }
}

/// The cursor of a column that only grows: the greatest value that was ever seen, moved only when everything was read.
pub(crate) fn next_number(previous: Option<&str>, is_complete: bool, greatest: Option<i64>) -> Option<String> {
    let before = previous.and_then(|text| text.parse::<i64>().ok());
    let now = if is_complete { before.max(greatest) } else { before };
    now.map(|number| number.to_string())
}

/// The query parameter's value for a read that starts at `cursor`.
pub(crate) fn parameter(cursor: &Cursor, value: &str, started_at: DateTime<Utc>) -> Option<String> {
    let from = from(cursor, value)?;
    Some(match cursor.format {
        // The upper end lies ahead: the window is closed by the answer, not by us.
        CursorFormat::Range => format!("{from}...{}", format(started_at + Duration::days(1))),
        CursorFormat::OdataGe => format!("{} ge datetimeoffset'{from}'", cursor.field),
        CursorFormat::FilterList => from,
        CursorFormat::Template => {
            let moment = moment_from(cursor, value)?;
            let moment =
                cursor.moment.as_ref().map_or_else(|| format(moment), |letters| moment.format(letters).to_string());
            cursor.template.as_ref()?.replace(FROM, &moment)
        }
    })
}

/// The moment from which on changes are asked for.
fn from(cursor: &Cursor, value: &str) -> Option<String> {
    moment_from(cursor, value).map(format)
}

fn moment_from(cursor: &Cursor, value: &str) -> Option<DateTime<Utc>> {
    Some(parse(value)? - Duration::seconds(i64::from(cursor.overlap_seconds)))
}

/// The moment from which on a whole read asks for records, if it does not ask for all.
pub(crate) fn window(cursor: &Cursor, started_at: DateTime<Utc>) -> Option<String> {
    cursor.days.map(|days| format(started_at - Duration::days(i64::from(days))))
}

fn parse(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc))
}

fn format(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(parameter: &str, overlap_seconds: u32) -> Cursor {
        Cursor {
            field: "f".into(),
            parameter: parameter.into(),
            format: CursorFormat::Range,
            template: None,
            moment: None,
            overlap_seconds,
            also: Vec::new(),
            expression: None,
            days: Some(30),
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn an_incomplete_read_keeps_the_old_cursor() {
        assert_eq!(next(Some("2026-01-01T00:00:00Z"), false, at(2_000_000_000)), Some("2026-01-01T00:00:00Z".into()));
        assert_eq!(next(None, false, at(0)), None);
    }

    #[test]
    fn a_growing_column_never_falls_back() {
        assert_eq!(next_number(Some("9"), true, Some(5)).as_deref(), Some("9"));
        assert_eq!(next_number(Some("9"), true, Some(12)).as_deref(), Some("12"));
        assert_eq!(next_number(Some("9"), false, Some(12)).as_deref(), Some("9"));
        assert_eq!(next_number(None, true, None), None);
    }

    #[test]
    fn the_parameter_overlaps() {
        let mut cursor = Cursor { field: "LastModifiedDateTime".into(), ..of("x", 900) };
        let run = at(1_767_312_000);
        let text = parameter(&cursor, "2026-01-01T00:00:00Z", run);
        assert_eq!(text.as_deref(), Some("2025-12-31T23:45:00Z...2026-01-03T00:00:00Z"));
        cursor.format = CursorFormat::OdataGe;
        let text = parameter(&cursor, "2026-01-01T00:00:00Z", run);
        assert_eq!(text.as_deref(), Some("LastModifiedDateTime ge datetimeoffset'2025-12-31T23:45:00Z'"));
        assert_eq!(parameter(&cursor, "nonsense", run), None);
        cursor.format = CursorFormat::FilterList;
        assert_eq!(parameter(&cursor, "2026-01-01T00:00:00Z", run).as_deref(), Some("2025-12-31T23:45:00Z"));
        assert_eq!(window(&cursor, run).as_deref(), Some("2025-12-03T00:00:00Z"));
        cursor.format = CursorFormat::Template;
        assert_eq!(parameter(&cursor, "2026-01-01T00:00:00Z", run), None, "a template without its text");
        cursor.template = Some("selectByDate;auditDate={from}".into());
        let text = parameter(&cursor, "2026-01-01T00:00:00Z", run);
        assert_eq!(text.as_deref(), Some("selectByDate;auditDate=2025-12-31T23:45:00Z"));
        cursor.moment = Some("%Y-%m-%dT%H:%M:%S%z".into());
        let text = parameter(&cursor, "2026-01-01T00:00:00Z", run);
        assert_eq!(text.as_deref(), Some("selectByDate;auditDate=2025-12-31T23:45:00+0000"));
    }

    proptest! {
        #[test]
        fn never_past_the_start_of_the_run(before in 0_i64..4_000_000_000, start in 0_i64..4_000_000_000, complete: bool) {
            let previous = format(at(before));
            let kept = next(Some(&previous), complete, at(start)).unwrap();
            if complete {
                prop_assert!(parse(&kept).unwrap() <= at(start));
            } else {
                prop_assert_eq!(kept, previous);
            }
        }

        #[test]
        fn what_changed_after_the_last_start_is_read_again(before in 0_i64..2_000_000_000, after in 0_i64..1_000_000, overlap in 0_u32..10_000) {
            let cursor = of("p", overlap);
            let kept = next(None, true, at(before)).unwrap();
            let text = parameter(&cursor, &kept, at(before + after)).unwrap();
            let (from, to) = text.split_once("...").unwrap();
            prop_assert!(parse(from).unwrap() <= at(before) && parse(to).unwrap() > at(before + after));
        }
    }
}

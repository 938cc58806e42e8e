//! Cursors of incremental reads: pure functions of what was read and when.
//!
//! A cursor is a moment by the *source's* clock, never past the start of the run that wrote it, and moves only when the
//! whole table was read: a failed scope would otherwise lose its changes for ever. The overlap is subtracted when
//! reading, so that a record saved while the last run was listing is read again.

use chrono::{DateTime, Duration, SecondsFormat, Utc};

use super::manifest::{Cursor, CursorFormat};

/// Where the moment stands in a cursor's own text.
pub(crate) const FROM: &str = "{from}";

/// The cursor to keep after a run: the run's start by the source's clock if everything was read, else the old one.
pub(crate) fn next(previous: Option<&str>, is_complete: bool, started_at: DateTime<Utc>) -> Option<String> {
    if is_complete { Some(format(started_at)) } else { previous.map(str::to_owned) }
}

/// The query parameter's value for a read that starts at `cursor`.
pub(crate) fn parameter(cursor: &Cursor, value: &str, started_at: DateTime<Utc>) -> Option<String> {
    let from = parse(value)? - Duration::seconds(i64::from(cursor.overlap_seconds));
    Some(match cursor.format {
        // The upper end lies ahead: the window is closed by the answer, not by us.
        CursorFormat::Range => format!("{}...{}", format(from), format(started_at + Duration::days(1))),
        CursorFormat::OdataGe => format!("{} ge datetimeoffset'{}'", cursor.field, format(from)),
        CursorFormat::Template => {
            let moment =
                cursor.moment.as_ref().map_or_else(|| format(from), |letters| from.format(letters).to_string());
            cursor.template.as_ref()?.replace(FROM, &moment)
        }
    })
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

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn an_incomplete_read_keeps_the_old_cursor() {
        assert_eq!(next(Some("2026-01-01T00:00:00Z"), false, at(2_000_000_000)), Some("2026-01-01T00:00:00Z".into()));
        assert_eq!(next(None, false, at(0)), None);
    }

    #[test]
    fn the_parameter_overlaps() {
        let mut cursor = Cursor {
            field: "LastModifiedDateTime".into(),
            parameter: "x".into(),
            format: CursorFormat::Range,
            overlap_seconds: 900,
            template: None,
            moment: None,
        };
        let run = at(1_767_312_000);
        let text = parameter(&cursor, "2026-01-01T00:00:00Z", run);
        assert_eq!(text.as_deref(), Some("2025-12-31T23:45:00Z...2026-01-03T00:00:00Z"));
        cursor.format = CursorFormat::OdataGe;
        let text = parameter(&cursor, "2026-01-01T00:00:00Z", run);
        assert_eq!(text.as_deref(), Some("LastModifiedDateTime ge datetimeoffset'2025-12-31T23:45:00Z'"));
        assert_eq!(parameter(&cursor, "nonsense", run), None);
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
            let cursor = Cursor { field: "f".into(), parameter: "p".into(), format: CursorFormat::Range, overlap_seconds: overlap, template: None, moment: None };
            let kept = next(None, true, at(before)).unwrap();
            let text = parameter(&cursor, &kept, at(before + after)).unwrap();
            let (from, to) = text.split_once("...").unwrap();
            prop_assert!(parse(from).unwrap() <= at(before) && parse(to).unwrap() > at(before + after));
        }
    }
}

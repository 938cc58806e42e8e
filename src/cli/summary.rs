//! The reconciliation summary and the trend, for a terminal.

use std::fmt::Write;

use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};
use datafusion::prelude::SessionContext;

use crate::report::values::{grouped, query};

/// What the summary shows, and the heading it shows it under. Numbers are set to the right.
const COLUMNS: [(&str, &str, bool); 8] = [
    ("check_id", "check", false),
    ("title", "what disagrees", false),
    ("verdict", "verdict", false),
    ("open_count", "open", true),
    ("in_flight_count", "in flight", true),
    ("amount_at_risk", "amount at risk", true),
    ("oldest_age_days", "oldest", true),
    ("change_since_last_month", "since last month", true),
];
/// Months that the trend shows: a year, and the month before it to compare with.
const MONTHS: usize = 13;
/// The longest bar of the trend.
const BAR_WIDTH: usize = 40;

/// Verdicts that are told by the checks' names, and what stands before them. A clean check with something in flight has a
/// line too.
const QUIET: [(&str, &str); 2] =
    [("clean", "Clean"), ("not_applicable", "Nothing to compare here (recon.check_runs says why)")];

/// Checks that looked, and say that something was not theirs to compare: what no connector sends, or lines that nobody gave.
const PARTS: &str = "select check_id from recon.check_runs where is_latest and project_id is null and reason is not null \
                     and verdict in ('clean', 'exceptions') order by check_id";
/// Projects that nobody could look into, and of which no verdict depends.
const IDLE: &str = "select count(distinct own.project_id) from recon.check_runs as own \
                    inner join recon.check_runs as whole on whole.check_id = own.check_id \
                    where own.is_latest and own.project_id is not null and own.verdict = 'not_evaluated' \
                    and whole.is_latest and whole.project_id is null and whole.verdict in ('clean', 'exceptions')";
const NEWEST: &str = "select commit_number, date_trunc('second', observed_at) from meta.commits \
                      order by commit_number desc limit 1";
const TOTALS: &str = "select \
    coalesce(cast(sum(open_count) as bigint), 0), \
    cast(count(*) filter (where open_count > 0) as bigint), \
    case when count(*) filter (where open_count > 0 and amount_at_risk is null) = 0 and min(currency) = max(currency) \
         then sum(amount_at_risk) end, \
    min(currency), \
    cast(count(*) filter (where verdict = 'clean') as bigint), \
    cast(count(*) filter (where verdict in ('partial', 'not_evaluated')) as bigint) \
    from recon.summary";
const TREND: &str = "select month, cast(sum(open_count) as bigint), sum(amount_at_risk), \
    cast(count(*) filter (where verdict in ('partial', 'not_evaluated')) as bigint) \
    from trend.exceptions_by_month group by month order by month";

/// `recon.summary` as a table with a sentence on the whole, then open exceptions by month.
///
/// # Errors
/// A view that does not plan or run.
pub(super) async fn render(session: &SessionContext) -> Result<String> {
    let newest = query(session, NEWEST).await?;
    let Some([commit, observed_at]) = newest.first().map(Vec::as_slice) else {
        return Ok("Nothing was extracted yet: `tieout extract` makes the first snapshot.\n".to_owned());
    };
    let mut out = format!("As of {} (commit {commit})\n\n", moment(observed_at));
    writeln!(out, "{}\n", table(session).await?)?;
    let quiet = QUIET.map(|(verdict, heading)| {
        (format!("select check_id from recon.summary where verdict = '{verdict}' order by check_id"), heading)
    });
    for (sql, heading) in quiet
        .into_iter()
        .chain([(PARTS.to_owned(), "Judged, but not all of it can be compared here (recon.check_runs says what)")])
    {
        let checks = query(session, &sql).await?.concat();
        if !checks.is_empty() {
            writeln!(out, "{heading}: {}\n", checks.join(" "))?;
        }
    }
    let idle = query(session, IDLE).await?.concat().concat();
    if idle != "0" {
        let what = "Projects that are bid for, lost or put away, that the ERP does not know, and that show nothing";
        writeln!(out, "{what}: {idle}, left out (recon.check_runs says which)\n")?;
    }
    writeln!(out, "{}", sentence(query(session, TOTALS).await?.first().map_or(&[], Vec::as_slice)))?;
    let months = query(session, TREND).await?;
    if months.len() > 1 {
        writeln!(out, "\n{}", trend(&months))?;
    }
    Ok(out)
}

async fn table(session: &SessionContext) -> Result<Table> {
    let names = COLUMNS.map(|(name, _, _)| name).join(", ");
    let of_interest = "verdict not in ('clean', 'not_applicable') or in_flight_count > 0 or waived_count > 0";
    let rows =
        query(session, &format!("select {names} from recon.summary where {of_interest} order by check_id")).await?;
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    for line in [TableComponent::HorizontalLines, TableComponent::MiddleIntersections] {
        table.remove_style(line);
    }
    table.set_header(COLUMNS.map(|(_, heading, _)| heading));
    for (index, (_, _, is_number)) in COLUMNS.iter().enumerate() {
        if let (true, Some(column)) = (*is_number, table.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in rows {
        table.add_row(row.iter().zip(COLUMNS).map(|(value, (name, _, _))| display(name, value)));
    }
    Ok(table)
}

/// The whole in a sentence: what is open, what it is worth, what is clean, and above all what could not be looked at.
fn sentence(totals: &[String]) -> String {
    let [open, checks, amount, currency, clean, silent] = totals else { return String::new() };
    let plural = |count: &str, one: &str, many: &str| format!("{count} {}", if count == "1" { one } else { many });
    let mut out = match open.as_str() {
        "0" => "No open exception".to_owned(),
        _ => format!("{} in {}", plural(open, "open exception", "open exceptions"), plural(checks, "check", "checks")),
    };
    if open != "0" && !amount.is_empty() {
        let _ = write!(out, ", {} {currency} at risk", grouped(amount));
    }
    let _ = write!(out, "; {} clean", plural(clean, "check is", "checks are"));
    if silent != "0" {
        let who = plural(silent, "check", "checks");
        let _ = write!(out, "; {who} could not look everywhere: recon.check_runs says why");
    }
    out.push('.');
    out
}

/// A bar a month: how many were open at its end, and the money at risk.
fn trend(months: &[Vec<String>]) -> String {
    let shown = months.get(months.len().saturating_sub(MONTHS)..).unwrap_or(months);
    let count = |row: &[String]| row.get(1).and_then(|count| count.parse::<usize>().ok());
    let most = shown.iter().filter_map(|row| count(row)).max().unwrap_or(0).max(1);
    let digits = most.to_string().len();
    let width = shown.iter().filter_map(|row| row.get(2)).map(|amount| grouped(amount).len()).max().unwrap_or(0);
    let mut out = String::from("Open exceptions and the amount at risk, at each month's end and now\n");
    let mut is_marked = false;
    for row in shown {
        let [date, _, amount, silent] = row.as_slice() else { continue };
        let bar = "█".repeat(count(row).map_or(0, |count| (count * BAR_WIDTH).div_ceil(most)));
        let number = count(row).map_or_else(|| "–".to_owned(), |count| count.to_string());
        let amount = if amount.is_empty() { "–".to_owned() } else { grouped(amount) };
        let mark = match silent.as_str() {
            "0" => "",
            _ if bar.is_empty() => "*",
            _ => " *",
        };
        is_marked |= silent != "0";
        let _ = write!(out, "\n{} {number:>digits$} {amount:>width$} {bar}{mark}", month(date));
    }
    if is_marked {
        out.push_str("\n\n* not every check could look: the bar may be too short");
    }
    if shown.len() < months.len() {
        let _ = write!(out, "\n\ntrend.exceptions_by_month has all {} months.", months.len());
    }
    out
}

/// A moment as people write it.
pub(super) fn moment(text: &str) -> String {
    text.replacen('T', " ", 1).replace('Z', " UTC")
}

/// The month of a date, as people write it.
fn month(date: &str) -> &str {
    date.get(..7).unwrap_or(date)
}

/// A value for people: a dash where nothing could be said, thousands apart, a sign before a change.
fn display(column: &str, value: &str) -> String {
    match column {
        _ if value.is_empty() => "–".to_owned(),
        "amount_at_risk" => grouped(value),
        "oldest_age_days" if value == "1" => "1 day".to_owned(),
        "oldest_age_days" => format!("{value} days"),
        "change_since_last_month" if !value.starts_with('-') && value != "0" => format!("+{value}"),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_evaluated_is_a_dash_and_never_a_zero() {
        assert_eq!(display("open_count", ""), "–");
        assert_eq!(display("open_count", "0"), "0");
        assert_eq!(display("change_since_last_month", "3"), "+3");
        let month = |count: &str, silent: &str| ["2026-01-01", count, "", silent].map(str::to_owned).to_vec();
        let text = trend(&[month("", "9"), month("2", "0")]);
        assert!(text.contains("2026-01 – – *\n"), "{text}");
        assert!(!trend(&[month("1", "0"), month("2", "0")]).contains('*'), "nothing to compare is no gap");
        assert!(text.ends_with("* not every check could look: the bar may be too short"), "{text}");
    }

    #[test]
    fn the_sentence_names_what_could_not_be_looked_at() {
        let totals = |texts: [&str; 6]| sentence(&texts.map(str::to_owned));
        assert_eq!(totals(["0", "0", "", "USD", "9", "0"]), "No open exception; 9 checks are clean.");
        assert_eq!(
            totals(["1200", "2", "1234.50", "USD", "1", "6"]),
            "1200 open exceptions in 2 checks, 1,234.50 USD at risk; 1 check is clean; 6 checks could not look \
             everywhere: recon.check_runs says why."
        );
    }
}

//! The reconciliation summary and the trend, for a terminal.

use std::fmt::Write;

use anyhow::{Context, Result};
use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use datafusion::prelude::SessionContext;

/// What the summary shows, and the heading it shows it under. Numbers are set to the right.
const COLUMNS: [(&str, &str, bool); 8] = [
    ("check_id", "check", false),
    ("title", "what disagrees", false),
    ("verdict", "verdict", false),
    ("open_count", "open", true),
    ("in_flight_count", "in flight", true),
    ("amount_at_risk", "amount at risk", true),
    ("oldest_age_days", "oldest (days)", true),
    ("change_since_last_month", "since last month", true),
];

/// `recon.summary` as a table, then open exceptions by month as a chart.
///
/// # Errors
/// A view that does not plan or run.
pub(super) async fn render(session: &SessionContext) -> Result<String> {
    let mut out = String::new();
    let names = COLUMNS.map(|(name, _, _)| name).join(", ");
    let rows = query(session, &format!("select {names} from recon.summary order by check_id")).await?;
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(COLUMNS.map(|(_, heading, _)| heading));
    for (index, (_, _, is_number)) in COLUMNS.iter().enumerate() {
        if let (true, Some(column)) = (*is_number, table.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in rows {
        table.add_row(row.iter().zip(COLUMNS).map(|(value, (name, _, _))| display(name, value)));
    }
    writeln!(out, "{table}")?;
    if let Some(chart) = trend(session).await? {
        writeln!(out, "\n{chart}\n")?;
    }
    Ok(out)
}

async fn trend(session: &SessionContext) -> Result<Option<String>> {
    let sql = "select month, cast(sum(open_count) as bigint) as open from trend.exceptions_by_month group by month order by month";
    let rows = query(session, sql).await?;
    let months: Vec<&str> = rows.iter().filter_map(|row| row.first()).map(String::as_str).collect();
    let open: Vec<f64> = rows.iter().filter_map(|row| row.get(1)?.parse::<i32>().ok()).map(f64::from).collect();
    let (Some(first), Some(last)) = (months.first(), months.last()) else { return Ok(None) };
    if open.len() < 2 {
        return Ok(None);
    }
    let config = rasciigraph::Config::default().with_height(8).with_width(72).with_caption(format!(
        "open exceptions at each month's end, {} to {}",
        month(first),
        month(last)
    ));
    Ok(Some(rasciigraph::plot(open, config)))
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
        "change_since_last_month" if !value.starts_with('-') && value != "0" => format!("+{value}"),
        _ => value.to_owned(),
    }
}

/// `1234567.80` → `1,234,567.80`.
fn grouped(amount: &str) -> String {
    let (sign, digits) = amount.strip_prefix('-').map_or(("", amount), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if fraction.is_empty() { format!("{sign}{out}") } else { format!("{sign}{out}.{fraction}") }
}

/// Runs a query and formats every value as text; null becomes empty.
async fn query(session: &SessionContext, sql: &str) -> Result<Vec<Vec<String>>> {
    let batches = session.sql(sql).await.with_context(|| format!("plan {sql}"))?.collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        rows.extend(text_rows(batch)?);
    }
    Ok(rows)
}

fn text_rows(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::default();
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<_, _>>()?;
    let row = |index: usize| {
        let cell = |(column, formatter): (&std::sync::Arc<dyn Array>, &ArrayFormatter<'_>)| {
            if column.is_null(index) { String::new() } else { formatter.value(index).to_string() }
        };
        batch.columns().iter().zip(&columns).map(cell).collect()
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped_by_thousands() {
        assert_eq!(grouped("1234567.80"), "1,234,567.80");
        assert_eq!(grouped("-999.00"), "-999.00");
        assert_eq!(grouped("1000"), "1,000");
        assert_eq!(grouped("0.00"), "0.00");
    }

    #[test]
    fn what_was_not_evaluated_is_a_dash_and_never_a_zero() {
        assert_eq!(display("open_count", ""), "–");
        assert_eq!(display("open_count", "0"), "0");
        assert_eq!(display("change_since_last_month", "3"), "+3");
    }
}

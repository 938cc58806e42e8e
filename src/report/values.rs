//! Rows as texts, and texts as people write them.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use datafusion::prelude::SessionContext;

/// Runs a query and formats every value as text; null becomes empty.
///
/// # Errors
/// A query that does not plan or run.
pub(crate) async fn query(session: &SessionContext, sql: &str) -> Result<Vec<Vec<String>>> {
    let batches = session.sql(sql).await.with_context(|| format!("plan {sql}"))?.collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        rows.extend(text_rows(batch)?);
    }
    Ok(rows)
}

/// [`query`], each row with as many values as it is read with.
pub(crate) async fn rows<const N: usize>(session: &SessionContext, sql: &str) -> Result<Vec<[String; N]>> {
    let of_width = |row: Vec<String>| {
        let found = row.len();
        row.try_into().map_err(|_| anyhow::anyhow!("{N} columns are read and {found} came: {sql}"))
    };
    query(session, sql).await?.into_iter().map(of_width).collect()
}

fn text_rows(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::default();
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<_, _>>()?;
    let row = |index: usize| {
        let cell = |(column, formatter): (&Arc<dyn Array>, &ArrayFormatter<'_>)| {
            if column.is_null(index) { String::new() } else { formatter.value(index).to_string() }
        };
        batch.columns().iter().zip(&columns).map(cell).collect()
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

/// `1234567.80` → `1,234,567.80`.
pub(crate) fn grouped(amount: &str) -> String {
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

/// An amount with its currency, a dash where nothing could be said.
pub(crate) fn money(amount: &str, currency: &str) -> String {
    match (amount, currency) {
        ("", _) => "–".to_owned(),
        (amount, "") => grouped(amount),
        (amount, currency) => format!("{} {currency}", grouped(amount)),
    }
}

/// A count, a dash where nothing could be said: never a zero.
pub(crate) fn count(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { grouped(text) }
}

/// A moment in UTC, as the firm's clocks show it.
pub(crate) fn moment(text: &str, zone: Tz) -> String {
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) => at.with_timezone(&zone).format("%Y-%m-%d %H:%M %Z").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// The day of a moment in UTC, by the firm's clocks.
pub(crate) fn day(text: &str, zone: Tz) -> String {
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) => at.with_timezone(&zone).date_naive().to_string(),
        Err(_) => text.to_owned(),
    }
}

/// `2026-10-01` → `October 2026`.
pub(crate) fn month(text: &str) -> String {
    text.parse::<NaiveDate>().map_or_else(|_| text.to_owned(), |day| day.format("%B %Y").to_string())
}

/// `1 exception`, `2 exceptions`.
pub(crate) fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(&count.to_string()), if count == 1 { one } else { many })
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
    fn moments_are_the_firms() {
        let zone = chrono_tz::America::Denver;
        assert_eq!(moment("2026-11-01T05:59:00Z", zone), "2026-10-31 23:59 MDT");
        assert_eq!(day("2026-11-01T05:59:00Z", zone), "2026-10-31");
        assert_eq!(month("2026-10-01"), "October 2026");
        assert_eq!((count(""), money("", "USD")), ("–".to_owned(), "–".to_owned()));
    }
}

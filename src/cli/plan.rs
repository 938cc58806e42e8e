//! `tieout extract --plan`: what a run will cost, and what reading incrementally saves. Nothing is stored.

use std::fmt::Write as _;
use std::io::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::previous::previous_tables;
use super::workspace::Workspace;
use super::{Failure, trouble};
use crate::clock::Clock;
use crate::extract::{Plan, SourceSettings};
use crate::warehouse::rows::ReadMode;

/// Prints the plan of each source; `tables` are those asked for, all if empty.
pub(super) async fn run(
    workspace: &Workspace,
    sources: &[SourceSettings],
    tables: &[String],
    clock: &Clock,
) -> Result<u8, Failure> {
    let head = workspace.warehouse.head().await.map_err(Failure::warehouse)?;
    let mut failures = Vec::new();
    for source in sources {
        let previous = previous_tables(&workspace.warehouse, &head, source, ReadMode::Incremental).await;
        let previous = previous.map_err(Failure::warehouse)?;
        let wanted = (!tables.is_empty()).then(|| super::extract::tables_of(source, tables));
        match crate::extract::plan(source, wanted.as_deref(), &previous, clock).await {
            Ok(plan) => {
                let text = format!("{}\n{}\n{}", source.name, table(&plan), summary(source, &plan));
                writeln!(std::io::stdout(), "{text}").map_err(Failure::usage)?;
            }
            Err(error) => failures.push(anyhow::Error::from(error)),
        }
    }
    if failures.is_empty() { Ok(0) } else { Err(Failure::source(trouble::gather(&failures))) }
}

fn table(plan: &Plan) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["table", "lists", "rows last time", "requests", "incremental"]);
    for row in &plan.tables {
        let count = |count: u64| count.to_string();
        table.add_row([row.table.clone(), count(row.lists), count(row.rows), count(row.full), count(row.incremental)]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The sums in words: minutes only if a limit is known.
fn summary(source: &SourceSettings, plan: &Plan) -> String {
    let (full, incremental) = (plan.full(), plan.incremental());
    let at_least = if plan.is_first { "at least " } else { "" };
    let minutes = |requests: u64| match plan.minutes(requests) {
        Some(minutes) => format!(", about {minutes} min"),
        None => String::new(),
    };
    let mut text = format!("{at_least}{full} requests{}", minutes(full));
    // A String takes whatever is written.
    let _ = match plan.requests_per_hour {
        Some(per_hour) => write!(text, " at {per_hour} an hour"),
        None => write!(text, "; no rate limit is known"),
    };
    if let Some(share) = source.quota.share.filter(|share| *share < 1000) {
        let _ = write!(text, " ({}.{} % of the limit)", share / 10, share % 10);
    }
    if let Some(month) = plan.requests_per_month {
        let daily = u64::from(month) / 30;
        let _ = write!(
            text,
            "\nthe subscription holds {month} a month: {daily} a day; meta.monthly_requests has what was used"
        );
    }
    if !plan.is_first {
        let saved = full.saturating_sub(incremental);
        let _ = write!(text, "\n--incremental: {incremental} requests{}, saves {saved}", minutes(incremental));
    }
    let _ = match (plan.is_first, plan.requests) {
        (true, asked) => write!(text, "\nnothing was read yet: asked for totals with {asked} requests"),
        (false, _) => write!(text, "\nfrom what earlier runs read; nothing was asked for"),
    };
    text
}

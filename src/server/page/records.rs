//! Both records of an exception side by side: in the shape in which they are compared, and as they were received.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::Value;

use super::super::http::{Asking, Table};
use super::super::{DENIED, Failure};
use crate::report::html::heading;

/// Columns of records that say how they are stored.
const OWN: [&str; 2] = ["record_id", "source"];
/// What a record as received is cut to.
const RECORD_CHARS_MAX: usize = 20_000;

/// One side.
struct Side {
    name: &'static str,
    id: String,
    record: Table,
    /// Why there is none.
    absent: Option<String>,
    /// The record as received, and its table.
    received: Option<(String, String)>,
}

pub(super) async fn view(asking: &mut Asking, now: &Table) -> Result<Markup, Failure> {
    let entity = now.first("entity").to_owned();
    let is_name = !entity.is_empty() && entity.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_');
    if now.rows.is_empty() || !is_name {
        return Ok(html! {});
    }
    let pm = side(asking, ("pm", "Project management"), &entity, now.first("pm_id")).await?;
    let erp = side(asking, ("erp", "The ERP"), &entity, now.first("erp_id")).await?;
    let reads_records = asking.reads_records();
    Ok(html! {
        section aria-labelledby="records" {
            h2 id="records" { "Both records" }
            (compared(&entity, &pm, &erp))
            h3 { "As received" }
            @if reads_records {
                div.beside {
                    @for side in [&pm, &erp] {
                        div {
                            h4 { (side.name) }
                            @match &side.received {
                                Some((table, record)) => { p.faint { (table) } pre.record tabindex="0" { code { (record) } } }
                                None => { p.faint { @if side.id.is_empty() { "There is no record on this side." } @else { "No table of this side has a row of this key alone: it is made of several, or of a part of one." } } }
                            }
                        }
                    }
                }
            } @else {
                p.notice role="note" { "Records as they were received are shown to roles with " code { "sensitive = true" } "." }
            }
        }
    })
}

async fn side(
    asking: &mut Asking,
    (schema, name): (&str, &'static str),
    entity: &str,
    id: &str,
) -> Result<Side, Failure> {
    let mut side = Side { name, id: id.to_owned(), record: Table::default(), absent: None, received: None };
    if id.is_empty() {
        side.absent = Some("no record".to_owned());
        return Ok(side);
    }
    let sql = format!("select * from {schema}.{entity} where record_id = $1 limit 1");
    match asking.table(&sql, &[id]).await {
        Ok(record) if record.rows.is_empty() => side.absent = Some("not there at this moment".to_owned()),
        Ok(record) => side.record = record,
        Err(failure) if failure.code == DENIED => side.absent = Some(failure.message),
        // An exception may be about what is no entity of the model.
        Err(failure) if failure.code == "42P01" => side.absent = Some("no record of its own".to_owned()),
        Err(failure) => return Err(failure),
    }
    if asking.reads_records() {
        side.received = received(asking, side.record.first("source"), id).await?;
    }
    Ok(side)
}

/// The record as received whose key is the record's id, where one table of the source has it.
async fn received(asking: &mut Asking, source: &str, id: &str) -> Result<Option<(String, String)>, Failure> {
    if source.is_empty() {
        return Ok(None);
    }
    for table in asking.raw_tables(source).await? {
        let sql = format!("select _raw from {}.{} where _key = $1 limit 1", quoted(source), quoted(&table));
        match asking.rows::<1>(&sql, &[id]).await {
            Ok(mut rows) => {
                if let Some([record]) = rows.pop() {
                    return Ok(Some((format!("{source}.{table}"), pretty(&record))));
                }
            }
            Err(failure) if failure.code == DENIED => return Ok(None),
            Err(failure) => return Err(failure),
        }
    }
    Ok(None)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A record with a line for each field.
fn pretty(record: &str) -> String {
    let value = serde_json::from_str::<Value>(record).ok();
    let text = value.map_or_else(|| record.to_owned(), |value| format!("{value:#}"));
    match text.char_indices().nth(RECORD_CHARS_MAX) {
        Some((end, _)) => format!("{}\n… (longer)", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Field by field, the shape in which they are compared.
fn compared(entity: &str, pm: &Side, erp: &Side) -> Markup {
    let columns: Vec<&String> = {
        let mut seen = BTreeSet::new();
        let all = pm.record.columns.iter().chain(&erp.record.columns);
        all.filter(|column| !column.starts_with('_') && seen.insert(*column)).collect()
    };
    let told = |side: &Side, column: &str| side.record.first(column).to_owned();
    let rows: Vec<(&String, String, String)> = columns
        .into_iter()
        .map(|column| (column, told(pm, column), told(erp, column)))
        .filter(|(_, pm, erp)| !(pm.is_empty() && erp.is_empty()))
        .collect();
    let are_both = !pm.record.rows.is_empty() && !erp.record.rows.is_empty();
    html! {
        div.wide tabindex="0" role="region" aria-labelledby="compared" {
            table.compared {
                caption id="compared" { (entity.replace('_', " ")) ", in the shape in which both sides are compared" }
                thead { tr { (heading("field")) (heading(pm.name)) (heading(erp.name)) @if are_both { (heading("alike")) } } }
                tbody {
                    tr { th scope="row" { "record" } @for side in [pm, erp] { td { code { (side.id) } @if let Some(why) = &side.absent { " " span.faint { (why) } } } } @if are_both { td {} } }
                    @for (column, pm, erp) in rows.iter().filter(|(column, ..)| !OWN.contains(&column.as_str()) || *column == "source") {
                        tr {
                            th scope="row" { (column.replace('_', " ")) }
                            td { (pm) }
                            td { (erp) }
                            @if are_both { td { @if pm == erp { "yes" } @else if pm.is_empty() || erp.is_empty() { "one side only" } @else { b { "no" } } } }
                        }
                    }
                }
            }
        }
    }
}

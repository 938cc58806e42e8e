//! `tieout diff N M [TABLE]`: what changed between two moments: tables by their counts, or one table's rows and fields.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context, anyhow};
use clap::Args;
use datafusion::execution::context::SessionContext;
use serde_json::{Map, Value, json};

use super::chain::{Chain, Format, csv_line};
use super::paint::{Ink, Paint, printable};
use super::workspace::{Workspace, engine_failure};
use super::{Failure, Global};
use crate::engine::{Error as EngineError, SessionRequest, similar};
use crate::warehouse::commit::Commit;
use crate::warehouse::rows::{KEY, SYSTEM_SOURCE};

/// What a row is called by: the first of its key columns that it has, then what people call it.
const KEYS: [&str; 3] = [KEY, "exception_key", "record_id"];
const LABELS: [&str; 6] = ["number", "code", "name", "title", "label", "detail"];

/// Arguments of `diff`.
#[derive(Args, Debug)]
pub(super) struct DiffArguments {
    /// The earlier moment: a commit's number, a day, a moment, or a pin
    #[arg(value_name = "N")]
    from: String,
    /// The later moment
    #[arg(value_name = "M")]
    to: String,
    /// A table or view, as pm.vendors; without one, every table that changed is counted
    #[arg(value_name = "TABLE")]
    table: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// A row that differs.
struct Change {
    op: String,
    key: String,
    label: String,
    /// Field, before, after.
    fields: Vec<(String, Value, Value)>,
}

pub(super) async fn run(global: &Global, arguments: &DiffArguments) -> Result<u8, Failure> {
    let chain = Chain::open(global).await?;
    let (from, to) = (chain.commit(&arguments.from)?, chain.commit(&arguments.to)?);
    let engine = Workspace::open_existing(global).await?.engine().await?;
    let session = engine.session(&SessionRequest::default()).await.map_err(engine_failure)?;
    let between = Between { session: &session, from: &arguments.from, to: &arguments.to };
    let text = if let Some(table) = &arguments.table {
        let changes = between.changes(table).await.map_err(failed)?;
        match arguments.format {
            Format::Text => rows_text(&chain, table, [&from, &to], &changes, Paint::stdout(global.color)),
            Format::Csv => rows_csv(table, &changes),
            Format::Json => rows_json(table, &changes),
        }
    } else {
        let tables = touched(&chain, &from, &to);
        let mut counted = Vec::new();
        for table in tables {
            let counts = between.counts(&table).await.map_err(failed)?;
            counted.push((table, counts));
        }
        counted.retain(|(_, counts)| *counts != [0, 0, 0]);
        match arguments.format {
            Format::Text => tables_text(&chain, [&from, &to], &counted, Paint::stdout(global.color)),
            Format::Csv => tables_csv(&counted),
            Format::Json => tables_json(&counted),
        }
    };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::usage)?;
    Ok(0)
}

/// A mistake in the words is the user's; snapshots that cannot be read are the warehouse's.
fn failed(error: anyhow::Error) -> Failure {
    match error.downcast::<EngineError>() {
        Ok(error) => engine_failure(error),
        Err(other) => Failure::usage(other),
    }
}

/// Tables of sources that a commit between the two changed, and the exceptions.
fn touched(chain: &Chain, from: &Commit, to: &Commit) -> Vec<String> {
    let (first, last) = (from.number.min(to.number), from.number.max(to.number));
    let between = chain.head.commits.iter().filter(|commit| commit.number > first && commit.number <= last);
    let tables = between.flat_map(|commit| &commit.tables);
    let changed = tables.filter(|table| table.source != SYSTEM_SOURCE && !table.changes.is_empty());
    let names: BTreeSet<String> =
        changed.map(|table| format!("{}.{}", quoted(&table.source), quoted(&table.table))).collect();
    names.into_iter().chain(["recon.exceptions".to_owned()]).collect()
}

/// A name as SQL writes it: in quotes only where it needs them.
fn quoted(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

struct Between<'a> {
    session: &'a SessionContext,
    from: &'a str,
    to: &'a str,
}

impl Between<'_> {
    fn call(&self, table: &str) -> String {
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        format!("changes({}, {}, {})", text(table), text(self.from), text(self.to))
    }

    /// Rows added, changed, removed.
    async fn counts(&self, table: &str) -> anyhow::Result<[u64; 3]> {
        let sql = format!("select _op, count(*) as row_count from {} group by _op", self.call(table));
        let mut counts = [0; 3];
        for row in self.rows(&sql).await? {
            let count = row.get("row_count").and_then(Value::as_u64).unwrap_or(0);
            match row.get("_op").and_then(Value::as_str) {
                Some("I") => counts[0] = count,
                Some("U") => counts[1] = count,
                _ => counts[2] = count,
            }
        }
        Ok(counts)
    }

    async fn changes(&self, table: &str) -> anyhow::Result<Vec<Change>> {
        let rows = self.rows(&format!("select * from {}", self.call(table))).await?;
        let mut changes = rows.into_iter().map(change).collect::<anyhow::Result<Vec<_>>>()?;
        changes.sort_by(|one, other| (&one.key, &one.label).cmp(&(&other.key, &other.label)));
        Ok(changes)
    }

    /// Rows as objects; JSON keeps every digit of an amount.
    async fn rows(&self, sql: &str) -> anyhow::Result<Vec<Map<String, Value>>> {
        let batches = async { self.session.sql(sql).await?.collect().await };
        let batches = batches.await.map_err(|error| {
            let error = anyhow::Error::from(EngineError::of(error));
            match similar::hint(self.session, &format!("{error:#}")) {
                Some(hint) => anyhow!("{error:#}\nhint: {hint}"),
                None => error,
            }
        })?;
        let mut bytes = Vec::new();
        let mut writer = arrow::json::LineDelimitedWriter::new(&mut bytes);
        for batch in &batches {
            writer.write(batch)?;
        }
        writer.finish()?;
        drop(writer);
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).context("read a row back")).collect()
    }
}

fn change(mut row: Map<String, Value>) -> anyhow::Result<Change> {
    let op = row.get("_op").and_then(Value::as_str).unwrap_or_default().to_owned();
    let text = |name: &str| row.get(name).map(shown).filter(|text| !text.is_empty());
    let key = KEYS.iter().find_map(|name| text(name));
    let label =
        LABELS.iter().find_map(|name| text(name)).filter(|label| Some(label) != key.as_ref()).unwrap_or_default();
    // A row without a key is its own key.
    let key = key.unwrap_or_else(|| {
        let values = row.iter().filter(|(name, _)| !name.starts_with('_')).map(|(_, value)| shown(value));
        values.collect::<Vec<_>>().join(" ")
    });
    let changed = row.remove("_changed").and_then(|text| text.as_str().map(ToOwned::to_owned));
    let fields = if op == "U" {
        let changed: Map<String, Value> = serde_json::from_str(changed.as_deref().unwrap_or("{}"))?;
        let side = |change: &Value, name: &str| change.get(name).cloned().unwrap_or(Value::Null);
        changed.iter().map(|(name, change)| (name.clone(), side(change, "from"), side(change, "to"))).collect()
    } else {
        let values = row.into_iter().filter(|(name, value)| !name.starts_with('_') && !value.is_null());
        let sides = |value: Value| if op == "I" { (Value::Null, value) } else { (value, Value::Null) };
        values
            .map(|(name, value)| {
                let (from, to) = sides(value);
                (name, from, to)
            })
            .collect()
    };
    Ok(Change { op, key, label, fields })
}

/// A value without the quotes of JSON; null is empty.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value for people: what is not there says so.
fn told(value: &Value) -> String {
    if value.is_null() { "(none)".to_owned() } else { printable(&shown(value)).into_owned() }
}

fn title(chain: &Chain, what: &str, [from, to]: [&Commit; 2], paint: Paint) -> String {
    let end = |commit: &Commit| format!("commit {} ({})", commit.number, chain.moment(commit.committed_at));
    paint.ink(Ink::Title, format!("{what}{} → {}", end(from), end(to)))
}

fn summary([added, changed, removed]: [usize; 3]) -> String {
    format!("{added} added, {changed} changed, {removed} removed")
}

fn rows_text(chain: &Chain, table: &str, ends: [&Commit; 2], changes: &[Change], paint: Paint) -> String {
    let mut out = title(chain, &format!("{table}: "), ends, paint) + "\n";
    for change in changes {
        let name =
            if change.label.is_empty() { change.key.clone() } else { format!("{}  {}", change.key, change.label) };
        let (ink, sign) = match change.op.as_str() {
            "I" => (Ink::Added, '+'),
            "D" => (Ink::Removed, '-'),
            _ => (Ink::Changed, '~'),
        };
        let _ = writeln!(out, "{}", paint.ink(ink, format!("{sign} {}", printable(&name))));
        if change.op == "U" {
            for (field, from, to) in &change.fields {
                let (from, to) = (paint.ink(Ink::Removed, told(from)), paint.ink(Ink::Added, told(to)));
                let _ = writeln!(out, "    {field}: {from} → {to}");
            }
        }
    }
    let count = |op: &str| changes.iter().filter(|change| change.op == op).count();
    let _ = writeln!(out, "{}", summary([count("I"), count("U"), count("D")]));
    out
}

fn rows_csv(table: &str, changes: &[Change]) -> String {
    let mut out = "table,op,key,field,from,to\n".to_owned();
    for change in changes {
        for (field, from, to) in &change.fields {
            let (from, to) = (shown(from), shown(to));
            let _ = writeln!(out, "{}", csv_line([table, &change.op, &change.key, field, &from, &to]));
        }
    }
    out
}

fn rows_json(table: &str, changes: &[Change]) -> String {
    let object = |change: &Change| {
        let fields = change.fields.iter().map(|(name, from, to)| (name.clone(), json!({ "from": from, "to": to })));
        json!({ "table": table, "op": change.op, "key": change.key, "fields": fields.collect::<Map<_, _>>() })
    };
    format!("{:#}\n", Value::Array(changes.iter().map(object).collect()))
}

type Counted = (String, [u64; 3]);

fn tables_text(chain: &Chain, ends: [&Commit; 2], counted: &[Counted], paint: Paint) -> String {
    let mut out = title(chain, "", ends, paint) + "\n";
    let width = counted.iter().map(|(table, _)| table.len()).max().unwrap_or(0);
    for (table, [added, changed, removed]) in counted {
        let count = |ink, sign: char, count: &u64| {
            paint.ink(if *count == 0 { Ink::Faint } else { ink }, format!("{:>7}", format!("{sign}{count}")))
        };
        let _ = writeln!(
            out,
            "  {table:<width$} {} {} {}",
            count(Ink::Added, '+', added),
            count(Ink::Changed, '~', changed),
            count(Ink::Removed, '-', removed)
        );
    }
    let tables =
        if counted.len() == 1 { "1 table differs".to_owned() } else { format!("{} tables differ", counted.len()) };
    let _ = writeln!(out, "{tables}");
    out
}

fn tables_csv(counted: &[Counted]) -> String {
    let mut out = "table,added,changed,removed\n".to_owned();
    for (table, counts) in counted {
        let [added, changed, removed] = counts.map(|count| count.to_string());
        let _ = writeln!(out, "{}", csv_line([table.as_str(), &added, &changed, &removed]));
    }
    out
}

fn tables_json(counted: &[Counted]) -> String {
    let object = |(table, [added, changed, removed]): &Counted| json!({ "table": table, "added": added, "changed": changed, "removed": removed });
    format!("{:#}\n", Value::Array(counted.iter().map(object).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(row: Value) -> Change {
        let Value::Object(row) = row else { panic!("an object") };
        change(row).unwrap()
    }

    #[test]
    fn rows_are_told_by_key_and_fields() {
        let updated = json!({
            "record_id": "7", "name": "Acme \"Inc\"", "_op": "U", "_from_commit": 1,
            "_changed": "{\"amount\":{\"from\":1.10,\"to\":null}}",
        });
        let added = json!({ "record_id": "8", "name": "Bolt", "amount": null, "_op": "I", "_changed": null });
        let gone = json!({ "pm_id": "1", "erp_id": "a", "_op": "D" });
        let changes = [changed(updated), changed(added), changed(gone)];
        assert_eq!((changes[0].key.as_str(), changes[0].label.as_str()), ("7", "Acme \"Inc\""));
        assert_eq!(changes[2].key, "1 a");
        assert_eq!(
            rows_csv("pm.vendors", &changes),
            "table,op,key,field,from,to\n\
             pm.vendors,U,7,amount,1.10,\n\
             pm.vendors,I,8,record_id,,8\npm.vendors,I,8,name,,Bolt\n\
             pm.vendors,D,1 a,pm_id,1,\npm.vendors,D,1 a,erp_id,a,\n"
        );
        let json: Value = serde_json::from_str(&rows_json("pm.vendors", &changes)).unwrap();
        assert_eq!(json[0]["fields"]["amount"]["from"].to_string(), "1.10");
        assert_eq!(quoted("my-source"), "\"my-source\"");
    }
}

//! Every shipped view as a role of one project sees it, against what is of that project in the view of everything.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::SessionContext;
use tieout::definitions::Definitions;
use tieout::engine::{Access, Engine, EngineSettings, SessionRequest, SourceBinding};
use tieout::warehouse::Warehouse;

use crate::views::extract;

/// Planning in a debug build needs more stack than a test thread has.
const STACK_BYTES: usize = 64 << 20;
/// What speaks of no record is everybody's.
const EVERYBODYS: [&str; 8] = [
    "meta.clock",
    "meta.pins",
    "meta.months",
    "meta.checks",
    "meta.columns",
    "recon.ownership",
    "trend.months",
    "trend.days",
];

#[test]
fn a_role_sees_of_every_view_what_is_of_its_project() {
    let work = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).thread_stack_size(STACK_BYTES).enable_all().build().unwrap();
        runtime.block_on(compare());
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).unwrap().join().unwrap();
}

async fn compare() {
    let folder = tempfile::tempdir().unwrap();
    extract(folder.path()).await;
    let source = |name: &str| SourceBinding { name: name.to_owned(), system: name.to_owned() };
    let settings = EngineSettings {
        sources: vec![source("procore"), source("acumatica")],
        partitions: Some(1),
        ..EngineSettings::default()
    };
    let warehouse = Warehouse::open(folder.path().join("warehouse").to_str().unwrap()).await.unwrap();
    let engine = Engine::open(warehouse, Definitions::shipped(), settings).await.unwrap();
    let boss = engine.session(&SessionRequest::default()).await.unwrap();
    let linked = "select l.pm_id, l.erp_id, p.number from link.projects l join pm.projects p on p.record_id = l.pm_id order by 1";
    let linked = rows(&read(&boss, linked).await);
    let (pm, rest) = linked.first().unwrap().split_once('\t').unwrap();
    let (erp, number) = rest.split_once('\t').unwrap();
    assert!(linked.len() > 1, "{linked:?}");
    let access = Access {
        role: "site".to_owned(),
        projects: Some([number.to_owned()].into()),
        sensitive: true,
        ..Access::default()
    };
    let request = SessionRequest { access: Some(Arc::new(access)), ..SessionRequest::default() };
    let site = engine.session(&request).await.unwrap();

    let (mut seen, mut hidden, mut wrong) = (0, 0, Vec::new());
    for schema in ["recon", "link", "pm", "erp", "procore", "trend", "audit"] {
        for table in boss.catalog("tieout").unwrap().schema(schema).unwrap().table_names() {
            let (name, sql) = (format!("{schema}.{table}"), format!("select * from {schema}.{table}"));
            let (all, own) = (read(&boss, &sql).await, rows(&read(&site, &sql).await));
            let ids: &[&str] = if matches!(schema, "erp" | "acumatica") { &[erp] } else { &[pm] };
            let Some(expected) = of_project(&name, &all, ids) else { continue };
            if own != expected {
                wrong.push(format!("{name}: {} rows, {} expected", own.len(), expected.len()));
            }
            seen += own.len();
            hidden += all.iter().map(RecordBatch::num_rows).sum::<usize>() - own.len();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 100 && hidden > 100, "{seen} {hidden}");
}

async fn read(session: &SessionContext, sql: &str) -> Vec<RecordBatch> {
    session.sql(sql).await.unwrap().collect().await.unwrap()
}

/// The rows as text, in an order of their own.
fn rows(batches: &[RecordBatch]) -> Vec<String> {
    picked(batches, |_, _| true)
}

fn picked(batches: &[RecordBatch], is_picked: impl Fn(&RecordBatch, usize) -> bool) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        let picked = (0..batch.num_rows()).filter(|row| is_picked(batch, *row));
        rows.extend(
            picked.map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("\t")),
        );
    }
    rows.sort();
    rows
}

/// What of a table a role of one project sees; none where a test would only say again what the program says.
fn of_project(name: &str, all: &[RecordBatch], ids: &[&str]) -> Option<Vec<String>> {
    if EVERYBODYS.contains(&name) {
        return Some(rows(all));
    }
    let column = match name {
        "pm.projects" | "erp.projects" => "record_id",
        "procore.projects" | "link.projects" | "acumatica.projects" => return None,
        _ => "project_id",
    };
    let has_column = all.first().is_some_and(|batch| batch.column_by_name(column).is_some());
    if !has_column {
        let is_result = ["recon.", "trend.", "link.", "audit."].iter().any(|schema| name.starts_with(schema));
        return (is_result && !all.is_empty()).then(Vec::new);
    }
    Some(picked(all, |batch, row| {
        let values = batch.column_by_name(column).unwrap();
        let values = arrow::compute::cast(values, &arrow::datatypes::DataType::Utf8).unwrap();
        let values = values.as_string::<i32>();
        values.is_valid(row) && ids.contains(&values.value(row).trim())
    }))
}

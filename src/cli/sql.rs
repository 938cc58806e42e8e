//! `tieout sql`: one query, its rows on stdout.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use arrow::array::RecordBatch;
use clap::{Args, ValueEnum};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;

use super::workspace::Workspace;
use super::{Failure, Global};
use crate::engine::{Error as EngineError, SessionRequest};

/// Arguments of `sql`.
#[derive(Args, Debug)]
pub(super) struct SqlArguments {
    /// The query
    #[arg(required_unless_present = "file")]
    query: Option<String>,
    /// Read the query from a file
    #[arg(short, long, conflicts_with = "query")]
    file: Option<PathBuf>,
    /// What we knew then: a moment, a day, commit:N, or a pin
    #[arg(long, value_name = "T")]
    as_of: Option<String>,
    /// The business date
    #[arg(long, value_name = "D")]
    accounting_date: Option<String>,
    /// How rows are written
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write to a file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// RFC 4180 with a header line.
    Csv,
    /// An array of objects.
    Json,
}

pub(super) async fn run(global: &Global, arguments: &SqlArguments) -> Result<u8, Failure> {
    let query = match (&arguments.query, &arguments.file) {
        (Some(query), _) => query.clone(),
        (None, Some(file)) => std::fs::read_to_string(file)
            .with_context(|| format!("read query {}", file.display()))
            .map_err(Failure::usage)?,
        (None, None) => return Err(Failure::usage(anyhow::anyhow!("no query given"))),
    };
    let workspace = Workspace::open(global).await?;
    let engine = workspace.engine().await?;
    let request = SessionRequest {
        as_of: arguments.as_of.clone(),
        accounting_date: arguments.accounting_date.clone(),
        time_zone: None,
    };
    let session = engine.session(&request).await.map_err(Failure::usage)?;
    let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = session.sql_with_options(&query, read_only).await.map_err(query_failure)?;
    let schema = std::sync::Arc::clone(frame.schema().inner());
    let mut batches = frame.collect().await.map_err(query_failure)?;
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema));
    }
    let text = render(&batches, arguments.format).map_err(Failure::usage)?;
    match &arguments.output {
        Some(path) => std::fs::write(path, text).with_context(|| format!("write {}", path.display())),
        None => std::io::stdout().lock().write_all(&text).context("write to stdout"),
    }
    .map_err(Failure::usage)?;
    Ok(0)
}

/// A query's error, without the planner's layers around what the warehouse said.
fn query_failure(error: DataFusionError) -> Failure {
    Failure::usage(EngineError::of(error))
}

fn render(batches: &[RecordBatch], format: Format) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    match format {
        Format::Table => writeln!(out, "{}", arrow::util::pretty::pretty_format_batches(batches)?)?,
        Format::Csv => {
            let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(&mut out);
            for batch in batches {
                writer.write(batch)?;
            }
        }
        Format::Json => {
            let mut writer = arrow::json::WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, arrow::json::writer::JsonArray>(&mut out);
            for batch in batches {
                writer.write(batch)?;
            }
            writer.finish()?;
            drop(writer);
            if out.is_empty() {
                out.extend_from_slice(b"[]");
            }
            out.push(b'\n');
        }
    }
    Ok(out)
}

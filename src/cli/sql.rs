//! `tieout sql`: one query, its rows on stdout or in a file.
//!
//! The query is read as the server reads it. Rows are written as they come, except in a table, whose columns are as wide
//! as their widest value. A file appears whole or not at all.

use std::io::{BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, anyhow, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::json::writer::{JsonArray, Writer as JsonWriter};
use clap::{Args, ValueEnum};
use futures::StreamExt as _;
use parquet::arrow::ArrowWriter;

use super::paint::printable;
use super::whole::Whole;
use super::workspace::{Workspace, engine_failure};
use super::{Failure, Global, evidence, serve};
use crate::engine::SessionRequest;
use crate::evidence::Wanted;
use crate::server::{LocalQuery, QueryError};

/// Arguments of `sql`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tieout sql \"select check_id, title, open_count, amount_at_risk from recon.summary\"
  tieout sql \"select * from recon.exceptions\" --format csv -o exceptions.csv
  tieout sql --as-of 2025-12-31 \"select * from recon.summary\"      what we knew at the end of that day
  tieout sql --as-of FY2025 --definitions pinned \"select * from recon.summary\"   by the rules of that day, too
  tieout sql --as-of FY2025 --evidence ap.zip \"select * from pm.vendors\"        with what proves it")]
pub(super) struct SqlArguments {
    /// The query; `-` reads it from standard input
    #[arg(required_unless_present = "file")]
    query: Option<String>,
    /// Read the query from a file
    #[arg(short, long, conflicts_with = "query")]
    file: Option<PathBuf>,
    /// What we knew then: a moment, a day, commit:N, or a pin
    #[arg(long, value_name = "T")]
    as_of: Option<String>,
    /// The business date, YYYY-MM-DD
    #[arg(long, value_name = "D")]
    accounting_date: Option<String>,
    /// By which manifests, views and settings: today's, or those of the commit that --as-of names
    #[arg(long, value_name = "SET", value_parser = ["current", "pinned"])]
    definitions: Option<String>,
    /// How rows are written
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write to a file instead of stdout; one that is there is replaced
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the rows with what proves them to a folder that is not there yet, or to a .zip file (`tieout evidence --help`)
    #[arg(long, value_name = "DIR|ZIP", conflicts_with_all = ["output", "format"])]
    evidence: Option<PathBuf>,
    /// Let these workers carry out parts of a large query
    #[cfg(feature = "workers")]
    #[arg(long, value_name = "URL", value_delimiter = ',', conflicts_with = "evidence")]
    workers: Vec<String>,
    #[command(flatten)]
    samples: evidence::SampleArguments,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// RFC 4180 with a header line.
    Csv,
    /// An array of objects.
    Json,
    /// Apache Parquet, types and all.
    Parquet,
}

pub(super) async fn run(global: &Global, arguments: &SqlArguments) -> Result<u8, Failure> {
    let text = query_text(arguments).map_err(Failure::usage)?;
    if let Some(target) = &arguments.evidence {
        return to_evidence(global, arguments, text, target).await;
    }
    if !arguments.samples.is_empty() {
        let hint = "hint: --evidence DIR keeps the rows, the sample and how it was drawn";
        return Err(Failure::usage(anyhow!("a sample is drawn from rows that are kept with it\n{hint}")));
    }
    let workspace = Workspace::open_existing(global).await?;
    let engine = workspace.engine().await?;
    #[cfg(feature = "workers")]
    if !arguments.workers.is_empty() {
        super::worker::employ(&engine, &workspace.setup.config, &arguments.workers).await?;
    }
    workspace.warn_if_empty().await?;
    let request = SessionRequest {
        as_of: arguments.as_of.clone(),
        accounting_date: arguments.accounting_date.clone(),
        definitions: arguments.definitions.clone(),
        time_zone: None,
        access: None,
    };
    let session = engine.session(&request).await.map_err(engine_failure)?;
    let descriptions = serve::descriptions(&engine);
    let query = LocalQuery::plan(&session, "tieout", &text, Some(descriptions)).await.map_err(failed)?;
    match &arguments.output {
        Some(path) => to_file(query, arguments.format, path).await,
        None if arguments.format == Format::Parquet && std::io::stdout().is_terminal() => {
            Err(Failure::usage(anyhow!("Parquet is nothing for a terminal\nhint: name a file with -o FILE")))
        }
        None => to_stdout(query, arguments.format).await,
    }?;
    Ok(0)
}

/// The query's rows as a package of evidence. Unlike a query's, its definitions are those of its moment unless today's are asked for.
async fn to_evidence(global: &Global, arguments: &SqlArguments, text: String, target: &Path) -> Result<u8, Failure> {
    let order = evidence::Order {
        as_of: arguments.as_of.as_deref().unwrap_or("latest"),
        accounting_date: arguments.accounting_date.clone(),
        definitions: arguments.definitions.as_deref().unwrap_or("pinned"),
        wanted: Wanted::Query(text),
        samples: &arguments.samples,
        target: target.to_owned(),
    };
    evidence::write(global, order).await
}

/// A mistake in the query is the user's; snapshots that cannot be read are the warehouse's.
fn failed(error: QueryError) -> Failure {
    if error.is_store { Failure::warehouse(error) } else { Failure::usage(error) }
}

fn query_text(arguments: &SqlArguments) -> Result<String> {
    match (&arguments.query, &arguments.file) {
        (Some(query), _) if query == "-" => {
            std::io::read_to_string(std::io::stdin()).context("read the query from standard input")
        }
        (Some(query), _) => Ok(query.clone()),
        (None, Some(file)) => std::fs::read_to_string(file).with_context(|| format!("read query {}", file.display())),
        (None, None) => bail!("no query given"),
    }
}

/// Writes until the reader has seen enough: `| head` is success.
async fn to_stdout(query: LocalQuery, format: Format) -> Result<(), Failure> {
    let is_closed = Arc::new(AtomicBool::new(false));
    let out = BufWriter::new(Pipe { is_closed: Arc::clone(&is_closed) });
    let written = write(query, format, out).await.map(drop);
    if is_closed.load(Ordering::Relaxed) { Ok(()) } else { written }
}

/// Standard output that remembers whether its reader left: the writers of rows keep only an error's text.
struct Pipe {
    is_closed: Arc<AtomicBool>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = std::io::stdout().write(bytes);
        self.note(&written);
        written
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = std::io::stdout().flush();
        self.note(&flushed);
        flushed
    }
}

impl Pipe {
    fn note<T>(&self, result: &std::io::Result<T>) {
        if result.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            self.is_closed.store(true, Ordering::Relaxed);
        }
    }
}

/// Writes a file, whole or not at all.
async fn to_file(query: LocalQuery, format: Format, path: &Path) -> Result<(), Failure> {
    let (whole, part) = Whole::create(path)?;
    let written = write(query, format, BufWriter::new(part)).await.and_then(|writer| {
        let part = writer.into_inner().map_err(|error| Failure::usage(anyhow::Error::from(error.into_error())))?;
        whole.finish(&part)
    });
    written.map_err(|failure| whole.failed(failure))
}

async fn write<W: Write + Send>(query: LocalQuery, format: Format, out: W) -> Result<W, Failure> {
    let schema = query.schema();
    let mut rows = std::pin::pin!(query.rows().map_err(failed)?);
    let mut writer = Writer::new(format, &schema, out).map_err(Failure::usage)?;
    while let Some(batch) = rows.next().await {
        writer.write(batch.map_err(failed)?).map_err(Failure::usage)?;
    }
    writer.finish(&schema).map_err(Failure::usage)
}

/// Rows on their way out.
enum Writer<W: Write + Send> {
    Table(Vec<RecordBatch>, W),
    Csv(Box<arrow::csv::Writer<W>>),
    Json(Box<JsonWriter<W, JsonArray>>),
    Parquet(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> Writer<W> {
    fn new(format: Format, schema: &SchemaRef, out: W) -> Result<Self> {
        Ok(match format {
            Format::Table => Self::Table(Vec::new(), out),
            Format::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(out);
                // The header, also when there are no rows.
                writer.write(&RecordBatch::new_empty(SchemaRef::clone(schema)))?;
                Self::Csv(Box::new(writer))
            }
            Format::Json => {
                Self::Json(Box::new(arrow::json::WriterBuilder::new().with_explicit_nulls(true).build(out)))
            }
            Format::Parquet => Self::Parquet(Box::new(ArrowWriter::try_new(out, SchemaRef::clone(schema), None)?)),
        })
    }

    fn write(&mut self, batch: RecordBatch) -> Result<()> {
        match self {
            Self::Table(batches, _) => batches.push(batch),
            Self::Csv(writer) => writer.write(&batch)?,
            Self::Json(writer) => writer.write(&batch)?,
            Self::Parquet(writer) => writer.write(&batch)?,
        }
        Ok(())
    }

    fn finish(self, schema: &SchemaRef) -> Result<W> {
        let mut out = match self {
            Self::Table(mut batches, mut out) => {
                if batches.is_empty() {
                    batches.push(RecordBatch::new_empty(SchemaRef::clone(schema)));
                }
                let text = arrow::util::pretty::pretty_format_batches(&batches)?.to_string();
                writeln!(out, "{}", printable(&text))?;
                out
            }
            Self::Csv(writer) => writer.into_inner(),
            Self::Json(mut writer) => {
                writer.finish()?;
                let mut out = writer.into_inner();
                writeln!(out)?;
                out
            }
            Self::Parquet(writer) => writer.into_inner()?,
        };
        out.flush()?;
        Ok(out)
    }
}

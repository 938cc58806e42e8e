//! Evidence: results with what proves them, as files that need no tieout to be read or checked.
//!
//! Owns what a package holds (`docs/evidence.md`), how it is written, and how it is checked offline.
//!
//! Invariants:
//! - A package appears whole or not at all, and replaces nothing.
//! - The same commit, definitions, dates, results and seed give the same bytes: rows are in a total order, files carry no time of
//!   their own.
//! - A result that could not look, or only in part, says so wherever it is read: in the name of its file, on its cover, in the index.
//! - What is counted and summed is the text that stands in the CSV file, and checking counts it anew.
//!
//! Leaves out: who may read what (the command line is the operator's, as `tieout sql` is), and whether the books are right.

mod amount;
mod grounds;
mod index;
mod items;
mod moment;
mod rows;
mod sample;
mod sheet;
mod target;
mod verify;
mod wanted;
mod words;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use datafusion::prelude::SessionContext;
use sha2::{Digest as _, Sha256};

use crate::definitions::Definitions;
use crate::engine::{self, Engine};
use crate::server::{LocalQuery, QueryError};
use crate::warehouse;
use items::{Plan, PlanKind};
use target::Target;
use words::Context;

pub use index::{Amounts, FORMAT, Index};
pub use verify::{Checked, Finding, Kept, verify};
pub use wanted::{MethodWanted, Request, SampleWanted, Wanted};

/// The digests of all other files.
const SUMS: &str = "SHA256SUMS";
/// What a package says of itself.
const INDEX: &str = "index.json";

/// Why there is no package, or why it cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for cannot be done: a mistake, told with what to try.
    #[error("{0}")]
    Asked(String),
    /// The package cannot be written.
    #[error(
        "write {}: {source}\nhint: nothing was left behind; make room or name another place with -o, and run it again",
        place.display()
    )]
    Write {
        /// The file.
        place: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A package cannot be read.
    #[error("read {}: {source}", place.display())]
    Read {
        /// The file.
        place: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A result cannot be read, because the snapshots cannot.
    #[error("read {item}: {error}")]
    Result {
        /// The result.
        item: String,
        /// Why.
        error: QueryError,
    },
    /// The engine could not open the moment.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The warehouse failed.
    #[error(transparent)]
    Warehouse(#[from] warehouse::Error),
}

/// A package that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// SHA-256 of its `SHA256SUMS`, which stands for every byte of it.
    pub digest: String,
    /// Results, and the rows in them.
    pub items: usize,
    /// Rows in all results.
    pub rows: u64,
    /// Samples drawn.
    pub samples: usize,
    /// Results that were looked at in part or not at all: name, verdict, reason.
    pub silent: Vec<(String, String, String)>,
}

/// Writes a package. `progress` is told which result comes next: how many are done, of how many, its name.
///
/// # Errors
/// A moment, a result or a sample that there is not; a place that is taken or cannot be written; snapshots that cannot be read.
pub async fn write(
    engine: &Engine,
    request: &Request,
    progress: &(dyn Fn(usize, usize, &str) + Send + Sync),
) -> Result<Written, Error> {
    let target = Target::begin(&request.target)?;
    let opened = moment::open(engine, request).await?;
    let plans = items::plans(&opened.definitions, &request.wanted)?;
    let samples = request.samples_by_plan(&plans)?;
    let grounds = grounds::Grounds::read(&opened.session).await;
    let grounds = grounds.map_err(|error| Error::Result { item: "the verdicts".to_owned(), error })?;
    let mut package = Package {
        target,
        context: opened.context,
        session: opened.session,
        definitions: opened.definitions,
        made_at: opened.committed_at,
        grounds,
    };
    let (mut items, mut drawn) = (Vec::new(), Vec::new());
    for (place, plan) in plans.iter().enumerate() {
        progress(place, plans.len(), &plan.name);
        let item = package.item(plan).await?;
        for wanted in samples.iter().filter(|(of, _)| *of == place).map(|(_, wanted)| *wanted) {
            drawn.push(package.sample(&item, wanted, request.seed, drawn.len() + 1)?);
        }
        items.push(item);
    }
    package.chain(engine, &opened.definitions_json).await?;
    package.seal(items, drawn)
}

/// A package that is being filled.
struct Package {
    target: Target,
    context: Context,
    session: SessionContext,
    definitions: Definitions,
    made_at: DateTime<Utc>,
    grounds: grounds::Grounds,
}

impl Package {
    /// Runs a result and writes its files. A view that cannot be used is an item that says so.
    async fn item(&mut self, plan: &Plan) -> Result<index::Item, Error> {
        let logic = items::logic(&self.definitions, &plan.logic);
        let mut item = index::Item {
            name: plan.name.clone(),
            kind: plan.kind.word().to_owned(),
            title: plan.header.title.clone().unwrap_or_default(),
            question: plan.header.question.clone().unwrap_or_default(),
            grain: plan.header.grain.clone().unwrap_or_default(),
            parameters: plan.header.parameters.clone().unwrap_or_default(),
            query: plan.query.clone(),
            logic,
            verdict: grounds::unstated(),
            columns: Vec::new(),
            row_count: 0,
            control_totals: Vec::new(),
            sql: format!("{}.sql", plan.name),
            csv: None,
            xlsx: None,
        };
        let csv = format!("{}.csv", plan.name);
        match self.run(plan, &csv).await? {
            Ok(written) => {
                item.verdict = match &plan.kind {
                    PlanKind::Audit(view) => self.grounds.schedule(view, &written.statuses),
                    PlanKind::Check(id) => self.grounds.check(id),
                    PlanKind::Grounds | PlanKind::View | PlanKind::Query => grounds::unstated(),
                };
                item.columns = written.columns;
                item.row_count = written.row_count;
                item.control_totals = written.control_totals;
                let stem = if item.verdict.is_silent() {
                    format!("{}.{}", plan.name, item.verdict.verdict)
                } else {
                    plan.name.clone()
                };
                let named = format!("{stem}.csv");
                if named != csv {
                    self.target.rename(&csv, &named)?;
                }
                let cover = words::cover(&self.context, &item);
                let workbook = self.workbook(&item, (&named, &item.columns, item.row_count), &cover, &stem)?;
                item.csv = Some(named);
                item.xlsx = Some(workbook);
            }
            Err(reason) => {
                self.target.remove(&csv);
                if plan.kind == PlanKind::Query || matches!(plan.kind, PlanKind::View) {
                    return Err(Error::Asked(reason));
                }
                item.verdict = grounds::failed(reason);
            }
        }
        let sql = words::sql(&self.context, &item, &self.texts(&item));
        self.target.put(&item.sql, sql.as_bytes())?;
        Ok(item)
    }

    /// The rows of a result, or why its query cannot be run.
    async fn run(&mut self, plan: &Plan, csv: &str) -> Result<Result<rows::Written, String>, Error> {
        let store = |error| Error::Result { item: plan.name.clone(), error };
        let query = match LocalQuery::plan_in_order(&self.session, "tieout", &plan.query).await {
            Ok(query) => query,
            Err(error) if error.is_store => return Err(store(error)),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let mut file = self.target.create(csv)?;
        match rows::write(query, &mut file).await {
            Ok(written) => {
                self.target.finish(csv, file)?;
                Ok(Ok(written))
            }
            Err(rows::Trouble::File(source)) => Err(self.target.failed(csv, source)),
            Err(rows::Trouble::Query(error)) if error.is_store => Err(store(error)),
            Err(rows::Trouble::Query(error)) => Ok(Err(error.to_string())),
            Err(rows::Trouble::Sum(reason)) => Ok(Err(reason)),
        }
    }

    /// The texts that a result follows from.
    fn texts(&self, item: &index::Item) -> Vec<(String, String)> {
        let text = |logic: &index::Logic| Some((logic.path.clone(), self.definitions.get(&logic.path)?.to_owned()));
        item.logic.iter().filter_map(text).collect()
    }

    fn workbook(
        &mut self,
        item: &index::Item,
        (csv, columns, row_count): (&str, &[index::Column], u64),
        cover: &[(String, String)],
        stem: &str,
    ) -> Result<index::Workbook, Error> {
        let path = format!("{stem}.xlsx");
        let place = self.target.place_for(&path)?;
        let mut logic = vec![("the query".to_owned(), format!("{};", item.query))];
        logic.extend(self.texts(item));
        let book = sheet::Book {
            csv: &self.target.file(csv),
            columns,
            row_count,
            cover,
            logic: &logic,
            empty: &words::no_rows(item),
            made_at: self.made_at,
            scratch: self.target.scratch(),
        };
        let failed = |error: sheet::Error| self.target.failed(&path, std::io::Error::other(error));
        let cut_texts = sheet::write(&book, &place).map_err(failed)?;
        Ok(index::Workbook { path, rows: row_count.min(sheet::ROWS_MAX), cut_texts })
    }

    /// Draws a sample from a result that was written.
    fn sample(
        &mut self,
        item: &index::Item,
        wanted: &SampleWanted,
        seed: u64,
        number: usize,
    ) -> Result<index::Sample, Error> {
        let refused = |reason: String| Error::Asked(format!("sample {}: {reason}", item.name));
        let Some(population) = &item.csv else {
            let reason = item.verdict.reason.clone().unwrap_or_default();
            return Err(refused(format!("it has no rows, because its query failed: {reason}")));
        };
        let method = wanted.method(&item.columns).map_err(refused)?;
        let word = if matches!(method, index::Method::Random { .. }) { "random" } else { "monetary_unit" };
        let stem = format!("samples/{number}_{}_{word}", item.name.rsplit('/').next().unwrap_or_default());
        let csv = format!("{stem}.csv");
        let from = self.target.file(population);
        let open = move || Ok(Box::new(File::open(&from)?) as Box<dyn Read>);
        let mut out = self.target.create(&csv)?;
        let population = sample::Population { open: &open, columns: &item.columns };
        let drawn = sample::draw(&population, &method, seed, &mut out).map_err(|error| match error {
            sample::Error::Asked(reason) => refused(reason),
            sample::Error::Csv(error) => self.target.failed(&csv, std::io::Error::other(error)),
            sample::Error::File(source) => self.target.failed(&csv, source),
        })?;
        self.target.finish(&csv, out)?;
        let mut sample = index::Sample { item: item.name.clone(), csv: csv.clone(), ..drawn };
        let columns = sample::columns(&method, &item.columns).map_err(|error| refused(error.to_string()))?;
        let cover = words::sample_cover(&self.context, item, &sample);
        sample.xlsx = Some(self.workbook(item, (&csv, &columns, sample.drawn_count), &cover, &stem)?);
        Ok(sample)
    }

    /// The manifests up to the commit that is read, and on to the one that pins it, as they are stored; and the definitions.
    async fn chain(&mut self, engine: &Engine, definitions: &str) -> Result<(), Error> {
        let as_of = &self.context.as_of;
        let last = as_of.pin.as_ref().map_or(as_of.commit, |pin| pin.commit.max(as_of.commit));
        let (path, bytes) = engine.warehouse().identity().await?;
        self.target.put(&format!("chain/{path}"), &bytes)?;
        for number in 1..=last {
            let (path, bytes) = engine.warehouse().manifest(number).await?;
            self.target.put(&format!("chain/{path}"), &bytes)?;
        }
        let path = format!("chain/definitions/{}.json", self.context.definitions.hash);
        self.target.put(&path, definitions.as_bytes())
    }

    /// Writes what stands for all of it, and puts it in its place.
    fn seal(mut self, items: Vec<index::Item>, samples: Vec<index::Sample>) -> Result<Written, Error> {
        let Context { warehouse_id, firm, as_of, definitions, sources, .. } = self.context;
        let mut index = Index {
            format: FORMAT,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            warehouse_id,
            firm,
            as_of,
            definitions,
            sources,
            items,
            samples,
            files: Vec::new(),
        };
        self.target.put("README.txt", words::readme(&index).as_bytes())?;
        index.files = self.target.files()?;
        let text = serde_json::to_string_pretty(&index).map_err(|error| self.target.failed(INDEX, error.into()))?;
        self.target.put(INDEX, format!("{text}\n").as_bytes())?;
        let mut sums = String::new();
        for file in self.target.files()? {
            sums.extend([file.sha256.as_str(), "  ", file.path.as_str(), "\n"]);
        }
        self.target.put(SUMS, sums.as_bytes())?;
        self.target.publish()?;
        let silent = index.items.iter().filter(|item| item.verdict.is_silent()).map(|item| {
            let reason = item.verdict.reason.clone().unwrap_or_default();
            (item.name.clone(), item.verdict.verdict.clone(), reason)
        });
        Ok(Written {
            digest: sha256(sums.as_bytes()),
            items: index.items.len(),
            rows: index.items.iter().map(|item| item.row_count).sum(),
            samples: index.samples.len(),
            silent: silent.collect(),
        })
    }
}

/// SHA-256, hex.
fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

//! Registers what a session can name: raw tables, our own results, history, `meta`, the canonical model, the views.
//!
//! Invariant: a view that cannot be planned is left out with its reason, and so is every view that reads it: no view ever
//! answers from a part of what it claims to read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::memory::MemorySchemaProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::common::internal_datafusion_err;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;

use crate::engine::blueprint::Blueprint;
use crate::engine::cached::CachedView;
use crate::engine::header::{Scope, Side};
use crate::engine::layout::{column_type, system_tables};
use crate::engine::marks::MarkTable;
use crate::engine::moments::MomentTable;
use crate::engine::queries::{self, Name};
use crate::engine::snapshot::{ChangesTable, SnapshotTable};
use crate::engine::{CATALOG, Error, canonical};
use crate::warehouse::Warehouse;
use crate::warehouse::commit::Head;
use crate::warehouse::rows::{ColumnType, SYSTEM_SOURCE};

/// Views that could not be planned or executed, with the reason.
pub(crate) type Broken = BTreeMap<Name, String>;

/// How much is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Up to the canonical model.
    Canonical,
    /// Everything, as views.
    Views,
    /// What checks read, with the canonical model and the links executed once and kept in memory.
    Materialized,
}

/// Schemas that exist whether or not anything is in them.
const SCHEMAS: [&str; 11] =
    ["recon", "pm", "erp", "link", "trend", "audit", "meta", "system", "history", "_mapped", "_changes"];
/// Schemas that exist only while views are planned.
const SCRATCH: [&str; 2] = ["_mapped", "_changes"];

struct Registrar<'a> {
    session: &'a SessionContext,
    warehouse: &'a Warehouse,
    blueprint: &'a Blueprint,
    catalog: Arc<dyn CatalogProvider>,
}

/// Registers everything of `extent` in the session's catalog.
pub(crate) async fn register(
    session: &SessionContext,
    warehouse: &Warehouse,
    blueprint: &Blueprint,
    head: &Head,
    extent: Extent,
) -> Result<Broken, Error> {
    let catalog = session.catalog(CATALOG).ok_or_else(|| internal_datafusion_err!("there is no catalog {CATALOG}"))?;
    let registrar = Registrar { session, warehouse, blueprint, catalog };
    let sources = blueprint.layouts.keys().map(String::as_str);
    for schema in SCHEMAS.into_iter().chain(sources) {
        if registrar.catalog.schema(schema).is_none() {
            registrar.catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
        }
    }
    registrar.meta()?;
    registrar.system().await?;
    registrar.raw(head).await?;
    registrar.crosswalks()?;
    registrar.checks()?;
    let needed = (extent == Extent::Materialized).then(|| needed_by_checks(blueprint));
    let mut broken = Broken::new();
    registrar.canonical(needed.as_ref(), &mut broken).await?;
    if extent != Extent::Canonical {
        registrar.queries(needed.as_ref(), &mut broken).await?;
    }
    for schema in SCRATCH {
        registrar.catalog.deregister_schema(schema, true)?;
    }
    registrar.problems(&broken)?;
    Ok(broken)
}

fn needed_by_checks(blueprint: &Blueprint) -> BTreeSet<Name> {
    let checks = blueprint.queries.values().filter(|query| query.header.check.is_some());
    checks.flat_map(|query| blueprint.closure(&query.name)).chain([("pm".to_owned(), "projects".to_owned())]).collect()
}

impl Registrar<'_> {
    fn add(&self, schema: &str, name: &str, table: Arc<dyn TableProvider>) -> Result<(), Error> {
        self.session.register_table(TableReference::full(CATALOG, schema, name), table)?;
        Ok(())
    }

    fn meta(&self) -> Result<(), Error> {
        self.add("meta", "clock", Arc::new(MomentTable::Clock))?;
        self.add("meta", "commits", Arc::new(MomentTable::Commits))?;
        self.add("meta", "runs", Arc::new(MomentTable::Runs))?;
        MarkTable::ALL.into_iter().try_for_each(|(name, table)| self.add("meta", name, Arc::new(table)))
    }

    async fn system(&self) -> Result<(), Error> {
        for table in system_tables() {
            if table.append {
                let name = table.name;
                self.add("_changes", name, Arc::new(ChangesTable::new(SYSTEM_SOURCE, name, &table.columns)))?;
                let columns: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
                let sql = format!("select {}, _commit, _extracted_at from _changes.{name}", columns.join(", "));
                self.view("system", name, &sql).await?;
            } else {
                let snapshot = SnapshotTable::new(self.warehouse.clone(), SYSTEM_SOURCE, table.name, &table.columns);
                self.add("system", table.name, Arc::new(snapshot))?;
                self.history(SYSTEM_SOURCE, table.name, &table.columns).await?;
            }
        }
        for name in ["coverage", "rejects", "drift", "requests"] {
            if !self.blueprint.queries.contains_key(&("meta".to_owned(), name.to_owned())) {
                self.view("meta", name, &format!("select * from system.{name}")).await?;
            }
        }
        Ok(())
    }

    /// Tables that manifests declare, and those that commits hold although no manifest declares them any more.
    async fn raw(&self, head: &Head) -> Result<(), Error> {
        let mut tables: BTreeMap<Name, Vec<(String, ColumnType)>> = BTreeMap::new();
        let newest = head.commits.last().map_or(0, |commit| commit.number);
        for (source, table) in head.tables() {
            let Some(snapshot) = head.snapshot(newest, &source, &table).filter(|_| source != SYSTEM_SOURCE) else {
                continue;
            };
            let typed = |(name, word): (String, String)| Some((name, column_type(&word)?));
            tables.insert((source, table), snapshot.columns.into_iter().filter_map(typed).collect());
        }
        for (source, layout) in &self.blueprint.layouts {
            for table in &layout.tables {
                tables.insert((source.clone(), table.name.clone()), table.columns.clone());
            }
        }
        for ((source, table), columns) in tables {
            if self.catalog.schema(&source).is_none() {
                self.catalog.register_schema(&source, Arc::new(MemorySchemaProvider::new()))?;
            }
            let snapshot = SnapshotTable::new(self.warehouse.clone(), &source, &table, &columns);
            self.add(&source, &table, Arc::new(snapshot))?;
            self.history(&source, &table, &columns).await?;
        }
        Ok(())
    }

    /// Every version of every row. A deletion is a version of no length: it ends the one before it and is never current.
    /// Rows that were only projected anew are no versions: the source did not change them.
    async fn history(&self, source: &str, table: &str, columns: &[(String, ColumnType)]) -> Result<(), Error> {
        let name = format!("{source}_{table}");
        self.add("_changes", &name, Arc::new(ChangesTable::new(source, table, columns)))?;
        let sql = format!(
            "select changes.*, commits.committed_at as valid_from, case when changes._op = 'D' then commits.committed_at \
             else lead(commits.committed_at) over (partition by changes._key order by changes._commit) end as valid_to \
             from _changes.{} as changes inner join meta.commits as commits on commits.commit_number = changes._commit \
             where changes._op <> 'P'",
            quoted(&name),
        );
        self.view("history", &name, &sql).await
    }

    async fn view(&self, schema: &str, name: &str, sql: &str) -> Result<(), Error> {
        let plan = self.session.state().create_logical_plan(sql).await?;
        self.add(schema, name, Arc::new(ViewTable::new(plan, Some(sql.to_owned()))))
    }

    /// `crosswalks/<entity>.csv` with the columns `pm_id` and `erp_id`; others are the firm's own notes.
    fn crosswalks(&self) -> Result<(), Error> {
        let (mut entities, mut pm_ids, mut erp_ids) = (Vec::new(), Vec::new(), Vec::new());
        for (path, text) in &self.blueprint.definitions.files {
            let Some(entity) = path.strip_prefix("crosswalks/").and_then(|rest| rest.strip_suffix(".csv")) else {
                continue;
            };
            for (pm_id, erp_id) in crosswalk(path, text)? {
                entities.push(entity.to_owned());
                pm_ids.push(pm_id);
                erp_ids.push(erp_id);
            }
        }
        self.texts("link", "crosswalk", vec![("entity", entities), ("pm_id", pm_ids), ("erp_id", erp_ids)])
    }

    fn texts(&self, schema: &str, name: &str, columns: Vec<(&str, Vec<String>)>) -> Result<(), Error> {
        let text = |values: Vec<String>| -> ArrayRef {
            // What a header does not say is null, not an empty text.
            Arc::new(values.into_iter().map(|value| (!value.is_empty()).then_some(value)).collect::<StringArray>())
        };
        self.batch(schema, name, columns.into_iter().map(|(column, values)| (column, text(values))).collect())
    }

    fn batch(&self, schema: &str, name: &str, columns: Vec<(&str, ArrayRef)>) -> Result<(), Error> {
        let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
        let fields = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let batch = RecordBatch::try_new(Arc::clone(&fields), columns.into_iter().map(|(_, array)| array).collect())?;
        self.add(schema, name, Arc::new(MemTable::try_new(fields, vec![vec![batch]])?))
    }

    async fn canonical(&self, needed: Option<&BTreeSet<Name>>, broken: &mut Broken) -> Result<(), Error> {
        for entity in &self.blueprint.entities {
            for side in Side::BOTH {
                let name = (side.schema().to_owned(), entity.name.clone());
                if needed.is_some_and(|needed| !needed.contains(&name)) {
                    continue;
                }
                let mappings = self.blueprint.mappings.get(&name).map(Vec::as_slice).unwrap_or_default();
                let (plan, problems) = canonical::plan(self.session, entity, mappings).await?;
                match problems.first().or_else(|| self.blueprint.unmapped.get(&name)) {
                    Some(problem) => drop(broken.insert(name, format!("{}: {}", problem.path, problem.reason))),
                    None => self.keep(&name, plan, None, needed.is_some(), broken).await?,
                }
            }
        }
        Ok(())
    }

    async fn queries(&self, needed: Option<&BTreeSet<Name>>, broken: &mut Broken) -> Result<(), Error> {
        let reads = self.blueprint.queries.iter().map(|(name, query)| (name.clone(), query.reads.clone())).collect();
        let (order, circles) = queries::ordered(&reads);
        broken.extend(circles);
        for name in order {
            let Some(query) = self.blueprint.queries.get(&name) else { continue };
            let is_needed = needed.is_none_or(|needed| needed.contains(&name) || query.header.check.is_some());
            if !is_needed {
                continue;
            }
            if let Some((read, reason)) = query.reads.iter().find_map(|read| broken.get_key_value(read)) {
                let reason = format!("it reads {}.{}, which cannot be read: {reason}", read.0, read.1);
                broken.insert(name, reason);
                continue;
            }
            match self.session.state().statement_to_plan(query.statement.clone()).await {
                Ok(plan) => {
                    let once = needed.is_some() && name.0 == "link";
                    self.keep(&name, plan, Some(query.sql.clone()), once, broken).await?;
                }
                Err(error) => drop(broken.insert(name, error.strip_backtrace())),
            }
        }
        Ok(())
    }

    /// Registers a planned view; `once` executes it now and keeps the rows.
    async fn keep(
        &self,
        name: &Name,
        plan: LogicalPlan,
        sql: Option<String>,
        once: bool,
        broken: &mut Broken,
    ) -> Result<(), Error> {
        if !once {
            return self.add(&name.0, &name.1, view(name, plan, sql));
        }
        let schema = Arc::new(plan.schema().as_arrow().clone());
        match DataFrame::new(self.session.state(), plan).collect_partitioned().await {
            Ok(partitions) => {
                let schema = partitions.iter().flatten().next().map_or(schema, RecordBatch::schema);
                self.add(&name.0, &name.1, Arc::new(MemTable::try_new(schema, partitions)?))
            }
            Err(error) => {
                broken.insert(name.clone(), error.strip_backtrace());
                Ok(())
            }
        }
    }

    /// What the definitions say of themselves: `meta.checks`, `meta.columns`.
    fn checks(&self) -> Result<(), Error> {
        let checks: Vec<_> = self.blueprint.queries.values().filter(|query| query.header.check.is_some()).collect();
        let text = |value: fn(&queries::QueryFile) -> Option<String>| -> ArrayRef {
            Arc::new(checks.iter().map(|query| value(query)).collect::<StringArray>())
        };
        let disabled = |query: &&queries::QueryFile| {
            Some(query.header.entity.as_ref().is_some_and(|entity| self.blueprint.settings.disabled.contains(entity)))
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("check_id", text(|query| query.header.check.clone())),
            ("check_version", Arc::new(checks.iter().map(|query| query.header.version).collect::<Int64Array>())),
            ("view_name", text(|query| Some(query.name.1.clone()))),
            ("title", text(|query| query.header.title.clone())),
            ("entity", text(|query| query.header.entity.clone())),
            (
                "scope",
                text(|query| Some(if query.header.scope == Scope::Project { "project" } else { "firm" }.to_owned())),
            ),
            ("kind", text(|query| Some(query.header.kind.clone().unwrap_or_else(|| "check".to_owned())))),
            ("fix_side", text(|query| query.header.fix_side.clone())),
            ("record_owner", text(|query| query.header.record_owner.clone())),
            ("missing_on", text(|query| query.header.missing_on.map(|side| side.schema().to_owned()))),
            ("grace_hours", Arc::new(checks.iter().map(|query| query.header.grace_hours).collect::<Int64Array>())),
            ("risk", text(|query| query.header.risk.clone())),
            ("question", text(|query| query.header.question.clone())),
            ("grain", text(|query| query.header.grain.clone())),
            ("parameters", text(|query| query.header.parameters.clone())),
            ("fix", text(|query| query.header.fix.clone())),
            ("is_disabled", Arc::new(checks.iter().map(disabled).collect::<arrow::array::BooleanArray>())),
        ];
        self.batch("meta", "checks", columns)?;
        let described: Vec<(&Name, (&String, &String))> = self
            .blueprint
            .descriptions
            .iter()
            .flat_map(|(name, view)| view.columns.iter().map(move |column| (name, column)))
            .collect();
        self.texts(
            "meta",
            "columns",
            vec![
                ("schema_name", described.iter().map(|(name, _)| name.0.clone()).collect()),
                ("view_name", described.iter().map(|(name, _)| name.1.clone()).collect()),
                ("column_name", described.iter().map(|(_, (column, _))| (*column).clone()).collect()),
                ("description", described.iter().map(|(_, (_, text))| (*text).clone()).collect()),
            ],
        )
    }

    /// `meta.problems`: files that could not be used.
    fn problems(&self, broken: &Broken) -> Result<(), Error> {
        let problems = self.blueprint.problems(broken);
        self.texts(
            "meta",
            "problems",
            vec![
                ("path", problems.iter().map(|problem| problem.path.clone()).collect()),
                ("reason", problems.iter().map(|problem| problem.reason.clone()).collect()),
            ],
        )
    }
}

/// A planned view: those of `link` keep their rows, all others are read anew by every query.
pub(crate) fn view(name: &Name, plan: LogicalPlan, sql: Option<String>) -> Arc<dyn TableProvider> {
    if name.0 == "link" { Arc::new(CachedView::new(plan, sql)) } else { Arc::new(ViewTable::new(plan, sql)) }
}

fn crosswalk(path: &str, text: &str) -> Result<Vec<(String, String)>, Error> {
    let failed = |reason: String| Error::Manifest { path: path.to_owned(), reason };
    let text = text.trim_start_matches('\u{feff}');
    let names: Vec<&str> =
        text.lines().next().unwrap_or_default().split(',').map(|name| name.trim().trim_matches('"')).collect();
    let column = |wanted: &str| names.iter().position(|name| *name == wanted);
    let (Some(pm), Some(erp)) = (column("pm_id"), column("erp_id")) else {
        return Err(failed("its first line must name the columns pm_id and erp_id".to_owned()));
    };
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    let reader = ReaderBuilder::new(Arc::new(Schema::new(fields))).with_header(true).with_projection(vec![pm, erp]);
    let mut pairs = Vec::new();
    for batch in reader.build(Cursor::new(text)).map_err(|error| failed(error.to_string()))? {
        let batch = batch.map_err(|error| failed(error.to_string()))?;
        // The reader gives projected columns in the order of the projection.
        let texts =
            |index: usize| batch.columns().get(index).and_then(|column| column.as_any().downcast_ref::<StringArray>());
        if let (Some(pm_ids), Some(erp_ids)) = (texts(0), texts(1)) {
            pairs.extend(
                pm_ids
                    .iter()
                    .zip(erp_ids)
                    .filter_map(|(pm_id, erp_id)| Some((pm_id?.trim().to_owned(), erp_id?.trim().to_owned()))),
            );
        }
    }
    Ok(pairs)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

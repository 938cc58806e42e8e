//! Registers what a session can name: raw tables, our own results, history, `meta`, the canonical model, the views.
//!
//! Leaves out planning: a view is only its recipe here. Invariant: what is registered holds no rows of the warehouse and no
//! commit, so that a new commit needs no new registration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::SessionState;

use crate::engine::blueprint::Blueprint;
use crate::engine::header::{Scope, Side};
use crate::engine::hot::HotColumns;
use crate::engine::layout::{column_type, system_tables};
use crate::engine::marks::MarkTable;
use crate::engine::moments::MomentTable;
use crate::engine::planner::{Keep, LazySchema, Planner, Recipe};
use crate::engine::queries::{Name, QueryFile};
use crate::engine::scheduled::ScheduledRuns;
use crate::engine::snapshot::{ChangesTable, SnapshotTable};
use crate::engine::{CATALOG, Error};
use crate::warehouse::Warehouse;
use crate::warehouse::commit::Head;
use crate::warehouse::rows::{ColumnType, SYSTEM_SOURCE};

/// The schemas in which a firm's own views may stand, whether or not anything is in them yet.
const SCHEMAS: [&str; 9] = ["recon", "pm", "erp", "link", "trend", "audit", "meta", "system", "history"];
/// The catalog of tables that only views read, and its one schema: every change of every table.
const HIDDEN: &str = "hidden";
const CHANGES: &str = "changes";

/// What is registered, before it is put in a catalog.
struct Registrar<'a> {
    warehouse: &'a Warehouse,
    blueprint: &'a Arc<Blueprint>,
    hot: Option<Arc<HotColumns>>,
    tables: BTreeMap<String, BTreeMap<String, Arc<dyn TableProvider>>>,
    views: BTreeMap<String, BTreeMap<String, Recipe>>,
    changes: BTreeMap<String, Arc<dyn TableProvider>>,
}

/// Puts everything that the blueprint and the chain up to a commit name into a catalog of `state`, and gives what plans its
/// views. Nothing is planned yet. Whoever reads a commit once needs no columns in memory.
pub(crate) fn register(
    state: SessionState,
    warehouse: &Warehouse,
    blueprint: &Arc<Blueprint>,
    (head, newest): (&Head, u64),
    keep: Keep,
    hot: Option<Arc<HotColumns>>,
) -> Result<Arc<Planner>, Error> {
    let mut registrar = Registrar {
        warehouse,
        blueprint,
        hot,
        tables: BTreeMap::new(),
        views: BTreeMap::new(),
        changes: BTreeMap::new(),
    };
    registrar.meta();
    registrar.system();
    registrar.raw(head, newest);
    registrar.crosswalks()?;
    registrar.checks()?;
    registrar.models();
    registrar.into_planner(state, keep)
}

impl Registrar<'_> {
    fn add(&mut self, schema: &str, name: &str, table: Arc<dyn TableProvider>) {
        self.tables.entry(schema.to_owned()).or_default().insert(name.to_owned(), table);
    }

    fn view(&mut self, schema: &str, name: &str, recipe: Recipe) {
        self.views.entry(schema.to_owned()).or_default().insert(name.to_owned(), recipe);
    }

    fn meta(&mut self) {
        self.add("meta", "clock", Arc::new(MomentTable::Clock));
        self.add("meta", "commits", Arc::new(MomentTable::Commits));
        self.add("meta", "runs", Arc::new(MomentTable::Runs));
        let workspace = self.blueprint.settings.workspace.clone();
        self.add("meta", "scheduled_runs", Arc::new(ScheduledRuns { workspace }));
        for (name, table) in MarkTable::ALL {
            self.add("meta", name, Arc::new(table));
        }
    }

    fn system(&mut self) {
        for table in system_tables() {
            if table.append {
                let name = table.name;
                self.change(SYSTEM_SOURCE, name, name, &table.columns);
                let columns: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
                let columns = columns.join(", ");
                let sql = format!("select {columns}, _commit, _extracted_at from {HIDDEN}.{CHANGES}.{name}");
                self.view("system", name, Recipe::Sql(sql));
            } else {
                let snapshot = self.snapshot(SYSTEM_SOURCE, table.name, &table.columns);
                self.add("system", table.name, snapshot);
                self.history(SYSTEM_SOURCE, table.name, &table.columns);
            }
        }
        self.view("meta", "problems", Recipe::Problems);
        self.view("meta", "readings", Recipe::Readings(self.warehouse.clone()));
        for name in ["coverage", "rejects", "drift", "requests", "rate_limits"] {
            self.view("meta", name, Recipe::Sql(format!("select * from system.{name}")));
        }
    }

    fn snapshot(&self, source: &str, table: &str, columns: &[(String, ColumnType)]) -> Arc<dyn TableProvider> {
        let (warehouse, edition) = (self.warehouse.clone(), &self.blueprint.hash);
        Arc::new(SnapshotTable::new(warehouse, edition, (source, table), columns, self.hot.as_ref()))
    }

    fn change(&mut self, source: &str, table: &str, name: &str, columns: &[(String, ColumnType)]) {
        let changes = ChangesTable::new(self.warehouse.clone(), &self.blueprint.hash, (source, table), columns);
        self.changes.insert(name.to_owned(), Arc::new(changes));
    }

    /// Tables that manifests declare, and those that commits hold although no manifest declares them any more.
    fn raw(&mut self, head: &Head, newest: u64) {
        let mut tables: BTreeMap<Name, Vec<(String, ColumnType)>> = BTreeMap::new();
        for (source, table) in head.tables() {
            let Some(snapshot) = head.snapshot(newest, &source, &table).filter(|_| source != SYSTEM_SOURCE) else {
                continue;
            };
            let typed = |(name, word): (String, String)| Some((name, column_type(&word)?));
            tables.insert((source, table), snapshot.columns.into_iter().filter_map(typed).collect());
        }
        for (source, layout) in &self.blueprint.layouts {
            self.tables.entry(source.clone()).or_default();
            for table in &layout.tables {
                tables.insert((source.clone(), table.name.clone()), table.columns.clone());
            }
        }
        for ((source, table), columns) in tables {
            let snapshot = self.snapshot(&source, &table, &columns);
            self.add(&source, &table, snapshot);
            self.history(&source, &table, &columns);
        }
    }

    /// Every version of every row. A deletion is a version of no length: it ends the one before it and is never current.
    /// Rows that were only projected anew are no versions: the source did not change them.
    fn history(&mut self, source: &str, table: &str, columns: &[(String, ColumnType)]) {
        let name = format!("{source}_{table}");
        self.change(source, table, &name, columns);
        let sql = format!(
            "select changes.*, commits.committed_at as valid_from, case when changes._op = 'D' then commits.committed_at \
             else lead(commits.committed_at) over (partition by changes._key order by changes._commit) end as valid_to \
             from {HIDDEN}.{CHANGES}.{} as changes \
             inner join meta.commits as commits on commits.commit_number = changes._commit \
             where changes._op <> 'P'",
            quoted(&name),
        );
        self.view("history", &name, Recipe::Sql(sql));
    }

    /// The canonical model, and the views of `queries/`, which may stand in the place of ours.
    fn models(&mut self) {
        let blueprint = self.blueprint;
        for entity in &blueprint.entities {
            for side in Side::BOTH {
                self.view(side.schema(), &entity.name, Recipe::Canonical);
            }
        }
        for (schema, name) in blueprint.queries.keys() {
            self.view(schema, name, Recipe::Query);
        }
    }

    fn into_planner(mut self, state: SessionState, keep: Keep) -> Result<Arc<Planner>, Error> {
        let catalog = Arc::new(MemoryCatalogProvider::new());
        let mut schemas = BTreeMap::new();
        let always = SCHEMAS.iter().map(|name| (*name).to_owned());
        let names: BTreeSet<String> = always.chain(self.tables.keys().chain(self.views.keys()).cloned()).collect();
        for name in names {
            let tables = self.tables.remove(&name).unwrap_or_default();
            let schema = Arc::new(LazySchema::new(&name, tables, self.views.remove(&name).unwrap_or_default()));
            catalog.register_schema(&name, Arc::clone(&schema) as Arc<dyn SchemaProvider>)?;
            schemas.insert(name, schema);
        }
        let hidden = Arc::new(MemoryCatalogProvider::new());
        let changes = LazySchema::new(CHANGES, self.changes, BTreeMap::new());
        hidden.register_schema(CHANGES, Arc::new(changes))?;
        state.catalog_list().register_catalog(CATALOG.to_owned(), catalog);
        state.catalog_list().register_catalog(HIDDEN.to_owned(), hidden);
        Ok(Planner::new(Arc::clone(self.blueprint), state, keep, schemas))
    }

    /// The firm's own pairs.
    fn crosswalks(&mut self) -> Result<(), Error> {
        let (mut entities, mut pm_ids, mut erp_ids) = (Vec::new(), Vec::new(), Vec::new());
        for (entity, pairs) in &self.blueprint.crosswalks {
            for (pm_id, erp_id) in pairs {
                entities.push(entity.clone());
                pm_ids.push(pm_id.clone());
                erp_ids.push(erp_id.clone());
            }
        }
        self.texts("link", "crosswalk", vec![("entity", entities), ("pm_id", pm_ids), ("erp_id", erp_ids)])
    }

    fn texts(&mut self, schema: &str, name: &str, columns: Vec<(&str, Vec<String>)>) -> Result<(), Error> {
        let text = |values: Vec<String>| -> ArrayRef {
            // What a header does not say is null, not an empty text.
            Arc::new(values.into_iter().map(|value| (!value.is_empty()).then_some(value)).collect::<StringArray>())
        };
        self.batch(schema, name, columns.into_iter().map(|(column, values)| (column, text(values))).collect())
    }

    fn batch(&mut self, schema: &str, name: &str, columns: Vec<(&str, ArrayRef)>) -> Result<(), Error> {
        let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
        let fields = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let batch = RecordBatch::try_new(Arc::clone(&fields), columns.into_iter().map(|(_, array)| array).collect())?;
        self.add(schema, name, Arc::new(MemTable::try_new(fields, vec![vec![batch]])?));
        Ok(())
    }

    /// What the definitions say of themselves: `meta.checks`, `meta.columns`.
    fn checks(&mut self) -> Result<(), Error> {
        let blueprint = self.blueprint;
        let checks: Vec<_> = blueprint.queries.values().filter(|query| query.header.check.is_some()).collect();
        let text = |value: fn(&QueryFile) -> Option<String>| -> ArrayRef {
            Arc::new(checks.iter().map(|query| value(query)).collect::<StringArray>())
        };
        let disabled = |query: &&QueryFile| {
            Some(query.header.entity.as_ref().is_some_and(|entity| blueprint.settings.disabled.contains(entity)))
        };
        let told = |value: &dyn Fn(&QueryFile) -> Option<String>| -> ArrayRef {
            Arc::new(checks.iter().map(|query| value(query)).collect::<StringArray>())
        };
        let not_comparable = |query: &QueryFile| {
            let fields = blueprint.not_comparable(query);
            (!fields.is_empty()).then(|| fields.join(", "))
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
            ("compares", told(&|query| (!query.header.compares.is_empty()).then(|| query.header.compares.join(", ")))),
            ("not_comparable", told(&not_comparable)),
            ("not_applicable", told(&|query| blueprint.not_applicable(query))),
            ("is_disabled", Arc::new(checks.iter().map(disabled).collect::<BooleanArray>())),
        ];
        self.batch("meta", "checks", columns)?;
        let described: Vec<(&Name, (&String, &String))> = blueprint
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
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

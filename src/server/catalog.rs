//! `pg_catalog` as clients expect it, made of the session's own tables at the moment of asking.
//!
//! Invariants: a relation's oid is a hash of its name, the same in every process; views are of kind `v`, tables `r`;
//! the session's own catalogue is never changed, only wrapped.

mod activity;
mod constraints;
mod dependencies;
mod functions;
mod information;
mod keywords;
mod named;
mod own;
pub(crate) mod procs;
mod rows;
mod tables;
mod types;
mod watching;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, MemTable, SchemaProvider, TableProvider};
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::TableType;
use datafusion::prelude::SessionContext;

use self::constraints::Constraint;
pub(crate) use self::functions::quoted;
pub(crate) use self::information::INFORMATION_SCHEMA;
use super::databases::{Catalogs, Databases};
use super::postgres;
use super::sessions::{Live, Sessions};
use super::settings::Settings;
use crate::engine::TableKeys;

pub(crate) const SCHEMA: &str = "pg_catalog";
/// The functions that look names up among the relations.
pub(crate) const NAMING: &[&str] = &[
    "to_regclass",
    "to_regnamespace",
    RELATION,
    RELATION_NAME,
    NAMESPACE,
    "has_table_privilege",
    "has_any_column_privilege",
    "has_column_privilege",
    "has_schema_privilege",
    "obj_description",
    "col_description",
    "pg_table_is_visible",
    "pg_get_viewdef",
    "pg_get_constraintdef",
    "pg_get_indexdef",
];
/// Functions of ours behind casts to `regclass`, `regtype`, `regnamespace`.
pub(crate) const RELATION: &str = "tieout_relation";
pub(crate) const RELATION_NAME: &str = "tieout_relation_name";
pub(crate) const TYPE: &str = "tieout_type";
pub(crate) const NAMESPACE: &str = "tieout_namespace";
/// Functions of ours behind `generate_subscripts`, `_pg_expandarray` and `LIKE … ESCAPE`.
pub(crate) const SUBSCRIPTS: &str = "tieout_subscripts";
pub(crate) const EXPANDED: &str = "tieout_expanded";
pub(crate) const NO_OIDS: &str = "tieout_no_oids";
/// What stands behind `aclexplode`: nobody grants anything here.
pub(crate) const GRANTS: &str = "tieout_grants";
/// Writes a value as the client is sent it.
pub(crate) const SHOWN: &str = "tieout_shown";
pub(crate) const PATTERN: &str = "tieout_like_pattern";
/// Functions of ours behind casts to `regproc`.
pub(crate) const PROC: &str = "to_regproc";
pub(crate) const PROC_NAME: &str = "tieout_proc_name";
pub(crate) const TYPE_NAME: &str = "tieout_type_name";
pub(crate) const TYPE_NAMES: &str = "tieout_type_names";
pub(crate) const SCHEMA_NAME: &str = "tieout_schema_name";

/// Whether an unqualified name means a table of `pg_catalog`.
pub(crate) fn is_catalog_table(name: &str) -> bool {
    tables::all().any(|table| table.0.eq_ignore_ascii_case(name))
}

/// Whether a catalogue table never has rows.
pub(crate) fn is_empty_table(name: &str) -> bool {
    tables::EMPTY.iter().chain(watching::EMPTY).any(|table| table.0.eq_ignore_ascii_case(name))
}

/// Whether the subscripts of a catalogue table's column start at zero, as those of Postgres' vectors do.
pub(crate) fn counts_from_zero(table: &str, column: &str) -> bool {
    let vectors = ["indkey", "indoption", "indclass", "indcollation"];
    table.eq_ignore_ascii_case("pg_index") && vectors.iter().any(|vector| column.eq_ignore_ascii_case(vector))
}

/// Whether a column of a catalogue table is a list: all of these are null in every row.
pub(crate) fn is_null_column(table: &str, column: &str) -> bool {
    let columns = tables::all().find(|known| known.0.eq_ignore_ascii_case(table)).map_or("", |known| known.1);
    columns
        .split_whitespace()
        .filter_map(|column| column.strip_suffix(":l"))
        .any(|name| name.eq_ignore_ascii_case(column))
}

/// What a relation or one of its columns is about; without a relation's name, what its schema is about.
pub type Descriptions = Arc<dyn Fn(&str, &str, Option<&str>) -> Option<String> + Send + Sync>;

/// The keys of a table, by its schema and name.
pub type TableKeysOf = Arc<dyn Fn(&str, &str) -> Option<TableKeys> + Send + Sync>;

/// Who asks, and what the answers are made of.
pub(crate) struct Asker {
    pub(crate) user: String,
    pub(crate) databases: Arc<Databases>,
    pub(crate) settings: Arc<Mutex<Settings>>,
    pub(crate) descriptions: Option<Descriptions>,
    keys: Option<TableKeysOf>,
    inner: Arc<dyn CatalogProvider>,
    /// The relations as last listed: functions are asked after the tables of the same statement.
    listed: RwLock<Arc<Listed>>,
    /// The server's sessions, and the number of this one.
    connected: OnceLock<(Arc<Sessions>, i32)>,
}

/// The relations at a moment, with their constraints.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) relations: Vec<Relation>,
    constraints: Vec<Constraint>,
    /// Tables of the catalogue that follow from the relations alone, once they were asked for.
    tables: Mutex<HashMap<&'static str, RecordBatch>>,
}

/// What [`Listed`] may keep.
const FOLLOWING: &[&str] = &[
    "pg_attribute",
    "pg_class",
    "pg_constraint",
    "pg_depend",
    "pg_index",
    "pg_indexes",
    "pg_proc",
    "pg_rewrite",
    "pg_type",
];

impl Listed {
    /// A table of the catalogue, made once.
    fn kept(&self, name: &'static str, make: impl FnOnce() -> Result<RecordBatch>) -> Result<RecordBatch> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = tables.get(name) {
            return Ok(kept.clone());
        }
        let batch = make()?;
        tables.insert(name, batch.clone());
        Ok(batch)
    }

    /// The relation of that oid, the catalogue's own among them.
    fn relation(&self, oid: i64) -> Option<&Relation> {
        self.relations.iter().chain(own::RELATIONS.iter()).find(|relation| relation.oid() == oid)
    }
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A table or view.
#[derive(Debug, PartialEq)]
pub(crate) struct Relation {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) is_view: bool,
    pub(crate) columns: SchemaRef,
    pub(crate) definition: Option<String>,
    pub(crate) keys: Option<TableKeys>,
}

impl Relation {
    pub(crate) fn oid(&self) -> i64 {
        if self.schema == SCHEMA { table_oid(&self.name) } else { oid(&format!("{}.{}", self.schema, self.name)) }
    }
}

/// A number for a name, above those that Postgres itself uses (FNV-1a).
pub(crate) fn oid(name: &str) -> i64 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    16_384 + i64::from(hash % 2_000_000_000)
}

/// What Postgres has in every table, unseen; here they stand last.
const SYSTEM_COLUMNS: &[&str] = &["tableoid:i", "xmin:i"];

/// Whether two columns have one name.
fn is_same(one: &str, other: &str) -> bool {
    one.split(':').next() == other.split(':').next()
}

/// The oid of a table of the catalogue: Postgres' own where clients know it by heart.
pub(crate) fn table_oid(name: &str) -> i64 {
    match name {
        "pg_class" => 1259,
        "pg_namespace" => 2615,
        "pg_type" => 1247,
        "pg_attribute" => 1249,
        "pg_proc" => 1255,
        "pg_constraint" => 2606,
        "pg_index" => 2610,
        "pg_rewrite" => 2618,
        "pg_depend" => 2608,
        "pg_description" => 2609,
        "pg_database" => 1262,
        "pg_roles" => 1260,
        name => oid(name),
    }
}

/// The oid of a schema; `pg_catalog` has Postgres' own.
pub(crate) fn schema_oid(name: &str) -> i64 {
    if name == SCHEMA { 11 } else { oid(name) }
}

impl Asker {
    /// Tells which of the server's sessions this is.
    pub(crate) fn connect(&self, sessions: &Arc<Sessions>, pid: i32) {
        // A session has one connection.
        let _ = self.connected.set((Arc::clone(sessions), pid));
    }

    /// The number of this session; 0 of one that came over no connection.
    pub(crate) fn pid(&self) -> i32 {
        self.connected.get().map_or(0, |connected| connected.1)
    }

    /// The sessions of the role that asks.
    pub(crate) fn sessions(&self) -> Vec<Arc<Live>> {
        self.connected.get().map(|connected| connected.0.of_role(&self.user)).unwrap_or_default()
    }

    /// Ends what a session of the same role does, or the session.
    pub(crate) fn stop(&self, pid: i64, with_session: bool) -> bool {
        self.connected.get().is_some_and(|connected| connected.0.stop(&self.user, pid, with_session))
    }

    /// The relations as last listed.
    pub(crate) fn listed(&self) -> Arc<Listed> {
        Arc::clone(&self.listed.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn schemas(&self) -> Vec<String> {
        let mut names = self.inner.schema_names();
        names.retain(|name| name != SCHEMA && name != INFORMATION_SCHEMA);
        names.sort();
        names
    }

    /// The schemas that a name without one is looked for in, of those that there are.
    pub(crate) fn search_path(&self) -> Vec<String> {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let path = settings.get("search_path").unwrap_or_default();
        let there = self.inner.schema_names();
        let names = path.split(',').map(|name| name.trim().trim_matches('"').to_owned());
        names.filter(|name| name == SCHEMA || there.contains(name)).collect()
    }

    /// Lists the relations anew. The functions of a statement look names up in what was listed last.
    pub(crate) async fn list(&self) -> Result<()> {
        let mut relations = Vec::new();
        for schema in self.schemas() {
            let Some(provider) = self.inner.schema(&schema) else { continue };
            let mut names = provider.table_names();
            names.sort();
            for name in names {
                // A view that cannot be read is in meta.problems; it must not hide all others.
                let Ok(Some(table)) = provider.table(&name).await else { continue };
                relations.push(Relation {
                    schema: schema.clone(),
                    keys: self.keys.as_ref().and_then(|keys| keys(&schema, &name)),
                    name,
                    is_view: table.table_type() == TableType::View,
                    columns: table.schema(),
                    definition: table.get_table_definition().map(str::to_owned),
                });
            }
        }
        if self.listed().relations != relations {
            let constraints = constraints::of(&relations);
            let listed = Listed { relations, constraints, tables: Mutex::default() };
            *self.listed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(listed);
        }
        Ok(())
    }
}

/// The session with `pg_catalog` and its functions. `beside` adds what only the server can tell.
pub(crate) fn attach(
    made: &SessionContext,
    user: &str,
    database: &str,
    settings: Arc<Mutex<Settings>>,
    (descriptions, keys): (Option<Descriptions>, Option<TableKeysOf>),
    beside: &dyn Fn(Arc<dyn CatalogProvider>) -> Arc<dyn CatalogProvider>,
) -> (SessionContext, Option<Arc<Asker>>) {
    let state = made.state();
    let name = state.config_options().catalog.default_catalog.clone();
    let Some(inner) = state.catalog_list().catalog(&name) else { return (made.clone(), None) };
    let inner = beside(inner);
    let databases = Arc::new(Databases::new(made, database));
    let asker = Arc::new(Asker {
        user: user.to_owned(),
        databases: Arc::clone(&databases),
        settings,
        descriptions,
        keys,
        inner,
        listed: RwLock::default(),
        connected: OnceLock::new(),
    });
    let catalogs = Catalogs::new(databases, Arc::new(Wrapped(Arc::clone(&asker))));
    let config = state.config().clone().with_information_schema(false).with_create_default_catalog_and_schema(false);
    // A subquery that became a join may be null where its plan said that it is not: rows carry their own nulls.
    let config = config.set_bool("datafusion.execution.skip_physical_aggregate_schema_check", true);
    let state =
        SessionStateBuilder::new_from_existing(state).with_config(config).with_catalog_list(Arc::new(catalogs)).build();
    let mut context = SessionContext::new_with_state(state);
    // Names and arities of our own: nothing of the session's can be in their way.
    postgres::attach(&mut context).expect("functions of Postgres' are registered");
    context.register_udtf("pg_get_keywords", Arc::new(keywords::Keywords));
    for function in functions::all(&asker) {
        context.register_udf(function);
    }
    (context, Some(asker))
}

/// The session's catalogue with one schema more.
#[derive(Debug)]
struct Wrapped(Arc<Asker>);

impl CatalogProvider for Wrapped {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.0.schemas();
        names.extend([SCHEMA.to_owned(), INFORMATION_SCHEMA.to_owned()]);
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let asker = || Arc::clone(&self.0);
        match name {
            SCHEMA => Some(Arc::new(PgCatalog(asker()))),
            INFORMATION_SCHEMA => Some(Arc::new(InformationSchema(asker()))),
            other => self.0.inner.schema(other),
        }
    }
}

/// The schema `information_schema`.
#[derive(Debug)]
struct InformationSchema(Arc<Asker>);

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        information::TABLES.iter().map(|table| table.0.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some((name, columns)) = information::TABLES.iter().find(|table| table.0 == name) else { return Ok(None) };
        self.0.list().await?;
        let batch = rows::batch(&information::rows(&self.0, name), columns, 0)?;
        Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        information::TABLES.iter().any(|table| table.0 == name)
    }
}

/// The schema `pg_catalog`.
#[derive(Debug)]
struct PgCatalog(Arc<Asker>);

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        tables::all().map(|table| table.0.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some((name, columns)) = tables::all().find(|table| table.0 == name) else {
            return Ok(None);
        };
        // Also for an empty table: the statement's functions look names up in the list.
        self.0.list().await?;
        self.0.databases.refresh().await?;
        let unseen =
            SYSTEM_COLUMNS.iter().filter(|column| !columns.split_whitespace().any(|known| is_same(known, column)));
        let columns = columns.split_whitespace().chain(unseen.copied()).collect::<Vec<_>>().join(" ");
        let listed = self.0.listed();
        let made = || rows::batch(&rows::rows(&self.0, &listed, name), &columns, table_oid(name));
        let batch = if FOLLOWING.contains(name) { listed.kept(name, made)? } else { made()? };
        Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        is_catalog_table(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oids_are_stable_and_apart() {
        assert_eq!(oid("recon.vendors"), oid("recon.vendors"));
        assert_ne!(oid("recon.vendors"), oid("recon.vendor"));
        assert!(oid("x") >= 16_384 && oid("x") < i64::from(i32::MAX));
        assert_eq!(schema_oid("pg_catalog"), 11);
    }
}

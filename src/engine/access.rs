//! What a role may read: schemas, projects, rows of the firm as a whole, sensitive columns, one moment.
//!
//! Owns the rights and the catalog that a role's sessions name tables in. Invariants:
//! - Views are planned over tables that no right narrows: a result is computed of everything and narrowed as a whole, so
//!   that hiding a record never makes its partner look missing.
//! - Nothing of a client's own statement runs below the narrowing, is told about it or quotes what it hides; see `guarded`.
//! - What a right does not speak of it does not give: a table that names no project is the firm's.
//!
//! Leaves out who the role is and how it proved that, which the server knows.

mod allowed;
mod guarded;
mod masks;
mod rules;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::TableType;

use crate::engine::Error;
use crate::engine::access::allowed::AllowedProjects;
use crate::engine::access::guarded::GuardedTable;
use crate::engine::blueprint::Blueprint;
use crate::engine::editions::Edition;

#[cfg(feature = "workers")]
pub(crate) use guarded::{GuardedScan, Veil, shown_record};

/// What one role may read. The default reads nothing but what speaks of no project and no firm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The role's name, for messages.
    pub role: String,
    /// The schemas that it may read; all if none are named.
    pub schemas: Option<BTreeSet<String>>,
    /// The projects that it may read, by PM's id or number, or the ERP's where PM has none; all if none are named.
    pub projects: Option<BTreeSet<String>>,
    /// Whether it may read what belongs to no project: vendors, ledgers, totals over all projects.
    pub firm: bool,
    /// Whether it may read sensitive columns: tax ids, ways to reach a person, records as received.
    pub sensitive: bool,
    /// The one moment that it reads; nothing that became known later is shown.
    pub as_of: Option<String>,
}

impl Access {
    /// Whether a schema may be read.
    pub fn may_read(&self, schema: &str) -> bool {
        self.schemas.as_ref().is_none_or(|schemas| schemas.contains(schema))
    }

    /// Refuses a schema that it may not read.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn require(&self, schema: &str) -> Result<()> {
        if self.may_read(schema) { Ok(()) } else { Err(self.refused(schema)) }
    }

    /// Whether some rows are hidden.
    fn narrows_rows(&self) -> bool {
        self.projects.is_some() || !self.firm
    }

    /// The refusal of a schema.
    fn refused(&self, schema: &str) -> DataFusionError {
        let may = self.schemas.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ");
        denied(
            format!("permission denied for schema {schema}"),
            format!("role {} may read {may}; [[roles]] schemas in tieout.toml says so", self.role),
        )
    }

    /// The refusal of a moment.
    pub(crate) fn refused_moment(&self, asked: &dyn fmt::Display) -> DataFusionError {
        let as_of = self.as_of.as_deref().unwrap_or_default();
        denied(
            format!("permission denied for as of {asked}: role {} reads as of {as_of} only", self.role),
            format!(
                "as_of('…', …) and changes('…', …) take moments up to {as_of}; [[roles]] as_of in tieout.toml says so"
            ),
        )
    }
}

/// The table of which a role sees a part; a table that is seen whole is itself.
pub(crate) fn behind_guard(table: &dyn TableProvider) -> &dyn TableProvider {
    table.downcast_ref::<GuardedTable>().map_or(table, |guarded| guarded.inner.as_ref())
}

/// What a session's role may not do.
fn denied(reason: String, hint: String) -> DataFusionError {
    DataFusionError::External(Box::new(Error::Denied { reason, hint }))
}

/// One session's rights, and what it found out to keep them.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) access: Arc<Access>,
    allowed: AllowedProjects,
}

impl Guard {
    pub(crate) fn new(access: Arc<Access>) -> Arc<Self> {
        Arc::new(Self { access, allowed: AllowedProjects::default() })
    }

    /// The catalog of a set of definitions as the role sees it.
    pub(crate) fn catalog(self: &Arc<Self>, edition: &Arc<Edition>) -> Result<Arc<dyn CatalogProvider>> {
        Ok(Arc::new(GuardedCatalog {
            guard: Arc::clone(self),
            edition: Arc::clone(edition),
            inner: edition.catalog()?,
        }))
    }
}

/// A catalog without what a role may not read.
#[derive(Debug)]
struct GuardedCatalog {
    guard: Arc<Guard>,
    edition: Arc<Edition>,
    inner: Arc<dyn CatalogProvider>,
}

impl CatalogProvider for GuardedCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.inner.schema_names();
        names.retain(|name| self.guard.access.may_read(name));
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let inner = self.inner.schema(name)?;
        if !self.guard.access.may_read(name) {
            return Some(Arc::new(RefusedSchema { access: Arc::clone(&self.guard.access), name: name.to_owned() }));
        }
        Some(Arc::new(GuardedSchema {
            guard: Arc::clone(&self.guard),
            edition: Arc::clone(&self.edition),
            name: name.to_owned(),
            inner,
        }))
    }
}

/// A schema that is not listed, and refused when it is named.
#[derive(Debug)]
struct RefusedSchema {
    access: Arc<Access>,
    name: String,
}

#[async_trait]
impl SchemaProvider for RefusedSchema {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, _: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        // Whatever the table's name: which tables there are is not told either.
        Err(self.access.refused(&self.name))
    }

    fn table_exist(&self, _: &str) -> bool {
        false
    }
}

/// A schema whose tables show what the role may read.
#[derive(Debug)]
struct GuardedSchema {
    guard: Arc<Guard>,
    edition: Arc<Edition>,
    name: String,
    inner: Arc<dyn SchemaProvider>,
}

impl GuardedSchema {
    fn blueprint(&self) -> &Blueprint {
        self.edition.blueprint()
    }
}

#[async_trait]
impl SchemaProvider for GuardedSchema {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(table) = self.inner.table(name).await? else { return Ok(None) };
        let access = &self.guard.access;
        let masks = if access.sensitive { Vec::new() } else { masks::of(&table.schema()) };
        let rows = if access.narrows_rows() {
            rules::of(self.blueprint(), &self.edition, &self.name, name, &table.schema()).await?
        } else {
            rules::Rows::Everybodys
        };
        // A view may rest on schemas that are not the role's: what it is made of is hidden with them.
        let is_open = access.schemas.is_none() || table.table_type() != TableType::View;
        if is_open && masks.is_empty() && matches!(rows, rules::Rows::Everybodys) {
            return Ok(Some(table));
        }
        let full = format!("{}.{name}", self.name);
        let (guard, edition) = (Arc::clone(&self.guard), Arc::clone(&self.edition));
        Ok(Some(Arc::new(GuardedTable { name: full, inner: table, rows, masks, guard, edition })))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        self.inner.table_type(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}

//! Tables and catalogs read at a moment of their own, whatever the session's is.
//!
//! Invariants: only the moment differs, so that a view's views, cached ones too, are read there with it; both moments of
//! one query are looked up in the same chain; a business date that the session set explicitly stays; where a session reads
//! by pinned definitions, a moment of its own is read by its own commit's, but one told relative to the session by the
//! session's: who compares two years wants one rule.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::NaiveDate;
use datafusion::catalog::{CatalogProvider, SchemaProvider, Session, TableProvider};
use datafusion::common::{DataFusionError, Result, TableReference, config_err, internal_err};
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use crate::engine::Error;
use crate::engine::editions::Edition;
use crate::engine::options::{Moment, TieoutOptions};
use crate::engine::snapshot::memory;
use crate::warehouse::AsOf;

/// Which moment a part of a query names.
#[derive(Clone, Debug)]
pub(crate) enum Which {
    /// That one.
    At(AsOf),
    /// The pin of the last period before the session's business date, with that period's end: no rows where there is none.
    PreviousPin,
    /// That period's end, as the session's own moment knows it.
    PreviousPeriod,
}

impl Which {
    /// What a text says in words; none if it is for [`AsOf::parse`].
    pub(crate) fn in_words(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "previous pin" => Some(Self::PreviousPin),
            "previous period" => Some(Self::PreviousPeriod),
            _ => None,
        }
    }

    /// What names a moment whatever the session's is.
    pub(crate) fn absolute(&self) -> Option<&AsOf> {
        match self {
            Self::At(as_of) => Some(as_of),
            Self::PreviousPin | Self::PreviousPeriod => None,
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(as_of) => as_of.fmt(formatter),
            Self::PreviousPin => formatter.write_str("previous pin"),
            Self::PreviousPeriod => formatter.write_str("previous period"),
        }
    }
}

/// A moment that a part of a query asks for.
#[derive(Clone, Debug)]
pub(crate) struct When {
    pub(crate) which: Which,
    /// The business date there; the moment's own if none.
    pub(crate) accounting_date: Option<NaiveDate>,
    /// The definitions to read by; the session's if none.
    pub(crate) edition: Option<Arc<Edition>>,
}

impl When {
    /// The session as it would be if this were its moment; none where it asks for a pin that nobody made.
    async fn enter(&self, session: &dyn Session) -> Result<Option<SessionState>> {
        let Some(state) = session.as_any().downcast_ref::<SessionState>() else {
            return internal_err!("a moment of its own needs a whole session");
        };
        let Some(options) = session.config_options().extensions.get::<TieoutOptions>() else {
            return config_err!("this session was not opened by the engine");
        };
        let outer = TieoutOptions::moment(session).await?;
        let options = self.edition.as_ref().map_or_else(|| options.clone(), |edition| options.under(edition));
        let moment = match &self.which {
            Which::At(as_of) => options.moment_at(&outer.head, as_of, self.accounting_date)?,
            relative => {
                let Some((pin, ends_on)) = outer.previous_pin(options.settings().time_zone) else { return Ok(None) };
                let date = Some(self.accounting_date.unwrap_or(ends_on));
                match relative {
                    Which::PreviousPin => options.moment_at(&outer.head, &AsOf::Pin(pin), date)?,
                    _ => Moment { accounting_date: date, pin: None, ..Moment::clone(&outer) },
                }
            }
        };
        let named = moment.commit.as_ref().map(|commit| commit.definitions.as_str());
        if self.edition.as_ref().is_some_and(|edition| named.is_some_and(|named| *edition.hash != *named)) {
            // `latest` moved on to other definitions since the statement was planned.
            return Err(DataFusionError::External(Box::new(Error::OtherDefinitions)));
        }
        let options = options.fixed_at(moment);
        let mut state = state.clone();
        state.config_mut().options_mut().extensions.insert(options);
        Ok(Some(state))
    }
}

/// A table or view read at a moment of its own.
#[derive(Debug)]
pub(crate) struct PinnedTable {
    inner: Arc<dyn TableProvider>,
    when: When,
}

impl PinnedTable {
    pub(crate) fn new(inner: Arc<dyn TableProvider>, when: When) -> Self {
        Self { inner, when }
    }
}

/// A scan of a table at a moment, under a name that nothing else in a query has unless it is the same rows.
///
/// Plans are compared by the names in them: two scans of one name are one to the optimizer, which would answer the second
/// reading with the rows of the first.
pub(crate) fn scan(
    reference: &TableReference,
    inner: &Arc<dyn TableProvider>,
    when: When,
) -> Result<(TableReference, LogicalPlanBuilder)> {
    let date = when.accounting_date.map(|date| format!(", dated {date}")).unwrap_or_default();
    let name = TableReference::bare(format!("{reference} as of {}{date}", when.which));
    let source = provider_as_source(Arc::new(PinnedTable::new(Arc::clone(inner), when)));
    let plan = LogicalPlanBuilder::scan(name.clone(), source, None)?;
    Ok((name, plan))
}

#[async_trait]
impl TableProvider for PinnedTable {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    fn get_table_definition(&self) -> Option<&str> {
        self.inner.get_table_definition()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.inner.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match self.when.enter(session).await? {
            Some(state) => self.inner.scan(&state, projection, filters, limit).await,
            None => memory(&self.inner.schema(), &[], projection, limit),
        }
    }
}

/// A catalog whose every table is read at one moment: what `"tieout@FY2025".recon.summary` names.
#[derive(Debug)]
pub struct PinnedCatalog {
    inner: Arc<dyn CatalogProvider>,
    options: TieoutOptions,
    as_of: AsOf,
}

impl PinnedCatalog {
    /// The catalog as of a moment, which need not exist before a table is read there.
    ///
    /// # Errors
    /// A text that is no moment.
    pub fn new(inner: Arc<dyn CatalogProvider>, options: &TieoutOptions, as_of: &str) -> Result<Self> {
        Ok(Self { inner, as_of: options.parse(as_of)?, options: options.clone() })
    }
}

impl CatalogProvider for PinnedCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.inner.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let inner = self.inner.schema(name);
        // Old definitions may have schemas that today's lack; which, is known when a table is asked for.
        if inner.is_none() && !self.options.reading().is_some_and(|reading| reading.is_pinned()) {
            return None;
        }
        let (options, as_of, name) = (self.options.clone(), self.as_of.clone(), name.to_owned());
        Some(Arc::new(PinnedSchema { inner, options, as_of, name }))
    }
}

#[derive(Debug)]
struct PinnedSchema {
    inner: Option<Arc<dyn SchemaProvider>>,
    options: TieoutOptions,
    as_of: AsOf,
    name: String,
}

#[async_trait]
impl SchemaProvider for PinnedSchema {
    fn table_names(&self) -> Vec<String> {
        self.inner.as_ref().map(|inner| inner.table_names()).unwrap_or_default()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let edition = self.options.edition_at(&self.as_of).await?;
        let schema = match &edition {
            Some(edition) => self.options.catalog(edition)?.schema(&self.name),
            None => self.inner.as_ref().map(Arc::clone),
        };
        let Some(schema) = schema else { return Ok(None) };
        let when = When { which: Which::At(self.as_of.clone()), accounting_date: None, edition };
        let found = schema.table(name).await?;
        Ok(found.map(|inner| Arc::new(PinnedTable::new(inner, when)) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.as_ref().is_some_and(|inner| inner.table_exist(name))
    }
}

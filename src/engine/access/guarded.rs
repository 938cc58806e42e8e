//! A table as one role sees it: fewer rows, sensitive columns null, and nothing else of it.
//!
//! Invariants: a client's predicates, limits and joins stay above, so that they meet only rows that the role may see, and
//! neither an error nor the time that a predicate takes tells of others; plans and their measurements end here, because
//! they count and name what is hidden; an error from below is told without what it quotes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray as _, StringArray};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, JoinType, Result, ScalarValue, internal_datafusion_err};
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::functions::expr_fn::{btrim, right, strpos};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, Volatility, cast, create_udf, lit, when,
};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt as _;

use crate::engine::access::allowed::Projects;
use crate::engine::access::masks::{self, Mask, When};
use crate::engine::access::rules::{self, ByColumn, Ids, Parent, Rows};
use crate::engine::access::{Access, Guard};
use crate::engine::editions::Edition;
use crate::engine::folded::announced;
use crate::engine::{Error, damage};
use crate::warehouse::Error as WarehouseError;

/// A table, and what of it a role may see.
#[derive(Debug)]
pub(super) struct GuardedTable {
    pub(super) name: String,
    pub(super) inner: Arc<dyn TableProvider>,
    pub(super) rows: Rows,
    pub(super) masks: Vec<Mask>,
    pub(super) guard: Arc<Guard>,
    pub(super) edition: Arc<Edition>,
}

#[async_trait]
impl TableProvider for GuardedTable {
    fn schema(&self) -> SchemaRef {
        let schema = self.inner.schema();
        let may_be_null = |field: &FieldRef| {
            let is_masked = self.masks.iter().any(|mask| mask.column == *field.name());
            field.as_ref().clone().with_nullable(field.is_nullable() || is_masked)
        };
        Arc::new(Schema::new(schema.fields().iter().map(may_be_null).collect::<Vec<_>>()))
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    fn get_table_definition(&self) -> Option<&str> {
        self.inner.get_table_definition()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let veil = Veil { table: self.name.as_str().into(), role: self.guard.access.role.as_str().into() };
        let schema = match projection {
            Some(places) => Arc::new(self.schema().project(places)?),
            None => self.schema(),
        };
        let scan = self.narrowed(session, projection, limit).await;
        Ok(Arc::new(GuardedScan::new(scan.map_err(|error| veil.over(error))?, schema, veil)))
    }
}

impl GuardedTable {
    async fn narrowed(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let access = &self.guard.access;
        let projects = if needs_projects(&self.rows, access) {
            Some(self.guard.allowed.at(session, access, &self.edition).await?)
        } else {
            None
        };
        let source = provider_as_source(Arc::clone(&self.inner));
        let plan = LogicalPlanBuilder::scan("guarded", source, None)?;
        let plan = kept(plan, "guarded", &self.rows, access, projects.as_deref())?;
        let schema = self.inner.schema();
        let places = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let column = |place: &usize| -> Result<Expr> {
            let field = schema.fields().get(*place).ok_or_else(|| internal_datafusion_err!("no column {place}"))?;
            let value = named("guarded", field.name());
            match self.masks.iter().find(|mask| mask.column == *field.name()) {
                None => Ok(value),
                Some(mask) => Ok(masked(mask, value, &ScalarValue::try_from(field.data_type())?)?.alias(field.name())),
            }
        };
        let mut columns = places.iter().map(column).collect::<Result<Vec<_>>>()?;
        if columns.is_empty() {
            // Who only counts wants no column, but a plan has one.
            columns.push(lit(true));
        }
        let plan = plan.project(columns)?;
        let plan = match limit {
            Some(limit) => plan.limit(0, Some(limit))?,
            None => plan,
        };
        session.create_physical_plan(&plan.build()?).await
    }
}

/// Whether the role's own projects decide about the rows.
fn needs_projects(rows: &Rows, access: &Access) -> bool {
    match rows {
        Rows::Everybodys | Rows::Firms => false,
        Rows::Project(ByColumn { ids: Ids::Raw(_), .. }) => true,
        Rows::Project(_) => access.projects.is_some(),
        Rows::Parent(parent) => needs_projects(&parent.rows, access),
    }
}

fn named(relation: &str, column: &str) -> Expr {
    Expr::Column(Column::new(Some(relation.to_owned()), column))
}

/// The rows that the role may see.
fn kept(
    plan: LogicalPlanBuilder,
    relation: &str,
    rows: &Rows,
    access: &Access,
    projects: Option<&Projects>,
) -> Result<LogicalPlanBuilder> {
    match rows {
        Rows::Everybodys => Ok(plan),
        Rows::Firms if access.firm => Ok(plan),
        Rows::Firms => plan.filter(lit(false)),
        Rows::Project(by) => {
            let filter = of_projects(plan.plan(), relation, by, access, projects)?;
            plan.filter(filter)
        }
        Rows::Parent(parent) => below(plan, relation, parent, access, projects),
    }
}

/// The rows whose parent the role may see.
fn below(
    plan: LogicalPlanBuilder,
    relation: &str,
    parent: &Parent,
    access: &Access,
    projects: Option<&Projects>,
) -> Result<LogicalPlanBuilder> {
    let above = format!("{relation} of {}", parent.name);
    let source = provider_as_source(Arc::clone(&parent.table));
    let parents = LogicalPlanBuilder::scan(above.as_str(), source, None)?;
    let parents = kept(parents, &above, &parent.rows, access, projects)?.build()?;
    let columns = |relation: &str, names: &[String]| {
        names.iter().map(|name| Column::new(Some(relation.to_owned()), name)).collect::<Vec<_>>()
    };
    let own = columns(relation, &parent.reference.columns);
    let theirs = columns(&above, &parent.reference.referenced);
    plan.join(parents, JoinType::LeftSemi, (own, theirs), None)
}

/// Whether a row's project is one of the role's.
fn of_projects(
    plan: &LogicalPlan,
    relation: &str,
    by: &ByColumn,
    access: &Access,
    projects: Option<&Projects>,
) -> Result<Expr> {
    let column = named(relation, &by.column);
    let field = plan.schema().field_with_qualified_name(&relation.into(), &by.column)?;
    let is_plain = rules::is_plain(by.ids, field.data_type());
    let text = || btrim(vec![cast(column.clone(), DataType::Utf8)]);
    let firms = if is_plain { column.clone().is_null() } else { column.clone().is_null().or(text().eq(lit(""))) };
    let theirs = match projects {
        Some(projects) => {
            let listed = |ids: &BTreeSet<String>, source: Option<&str>| {
                let ids = ids.iter().filter_map(|id| projects.own_id(source, id)).map(lit).collect::<Vec<_>>();
                // No list at all is no predicate.
                match (ids.is_empty(), is_plain) {
                    (true, _) => lit(false),
                    (false, true) => column.clone().in_list(ids, false),
                    (false, false) => text().in_list(ids, false),
                }
            };
            match by.ids {
                Ids::Of(side) | Ids::Raw(side) => listed(projects.of(side), by.source.as_deref()),
                Ids::Results => listed(&projects.results, None),
                // One connection's project 7 is not another's.
                Ids::OfItsSource => {
                    let is_its = |source: &str| named(relation, rules::SOURCE_COLUMN).eq(lit(source));
                    let of_each = projects
                        .sources
                        .iter()
                        .map(|(source, side)| is_its(source).and(listed(projects.of(*side), Some(source))));
                    of_each.reduce(Expr::or).unwrap_or_else(|| lit(false))
                }
            }
        }
        // Every project, but what belongs to none.
        None => firms.clone().is_false(),
    };
    Ok(if access.firm { firms.or(theirs) } else { theirs })
}

/// A column's value, or null where it is sensitive.
fn masked(mask: &Mask, column: Expr, null: &ScalarValue) -> Result<Expr> {
    let null = Expr::Literal(null.clone(), None);
    let fields = || masks::fields().into_iter();
    match &mask.when {
        When::Always => Ok(null),
        When::Record => Ok(shown_record().call(vec![column])),
        When::Field(field) => {
            let field = named("guarded", field);
            when(field.in_list(fields().map(lit).collect(), false), null).otherwise(column)
        }
        When::Key(key) => {
            let key = named("guarded", key);
            let ends = |name: &'static str| {
                let end = format!(":{name}");
                let length = i64::try_from(end.len()).unwrap_or_default();
                // A key may go on behind the field: `V3:1:2:email:2`.
                let within = strpos(key.clone(), lit(format!(":{name}:"))).gt(lit(0));
                right(key.clone(), lit(length)).eq(lit(end)).or(within)
            };
            let is_sensitive = fields().map(ends).reduce(Expr::or).unwrap_or_else(|| lit(false));
            when(is_sensitive, null).otherwise(column)
        }
    }
}

/// What is shown of a record: one function, so that two calls of it are known to be the same.
pub(crate) fn shown_record() -> ScalarUDF {
    static SHOWN: LazyLock<ScalarUDF> = LazyLock::new(make_shown_record);
    SHOWN.clone()
}

fn make_shown_record() -> ScalarUDF {
    let shown = |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let records = arrays.first().and_then(|records| records.as_string_opt::<i32>());
        let records = records.ok_or_else(|| internal_datafusion_err!("a record is no text"))?;
        let shown: StringArray = records.iter().map(|record| record.and_then(masks::shown)).collect();
        Ok(ColumnarValue::Array(Arc::new(shown)))
    };
    create_udf("shown_record", vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(shown))
}

/// Keeps an error from quoting what a role may not see.
#[derive(Clone, Debug)]
pub(crate) struct Veil {
    pub(crate) table: Arc<str>,
    pub(crate) role: Arc<str>,
}

impl Veil {
    /// The error as the role may be told it. What the warehouse itself says names files, and too little memory only sizes.
    fn over(&self, error: DataFusionError) -> DataFusionError {
        let quotes_nothing = match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => true,
            DataFusionError::External(inner) => match inner.downcast_ref::<WarehouseError>() {
                Some(own) => !matches!(own, WarehouseError::Arrow { .. } | WarehouseError::Input { .. }),
                None => inner.is::<Error>(),
            },
            _ => damage(&error).is_some(),
        };
        if quotes_nothing {
            return error;
        }
        tracing::error!(table = %self.table, role = %self.role, %error, "read a table of which the role sees a part");
        DataFusionError::Execution(format!(
            "{} cannot be read: a record that this role may not see stands in the way\nhint: the server's log says what \
             is wrong with it",
            self.table
        ))
    }
}

/// The rows as the role sees them. What it is made of is nobody's business: plans show no more than this.
#[derive(Debug)]
pub(crate) struct GuardedScan {
    pub(crate) inner: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    pub(crate) veil: Veil,
    properties: Arc<PlanProperties>,
}

impl GuardedScan {
    pub(crate) fn new(inner: Arc<dyn ExecutionPlan>, schema: SchemaRef, veil: Veil) -> Self {
        let below = inner.properties();
        let partitions = below.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions),
            below.emission_type,
            below.boundedness,
        );
        Self { inner, schema, veil, properties: Arc::new(properties) }
    }
}

impl DisplayAs for GuardedScan {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "GuardedScan: {}", self.veil.table)
    }
}

impl ExecutionPlan for GuardedScan {
    fn name(&self) -> &'static str {
        "GuardedScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let anew = Arc::clone(&self.inner).transform_up(|node| node.reset_state().map(Transformed::yes))?;
        Ok(Arc::new(Self::new(anew.data, Arc::clone(&self.schema), self.veil.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let veil = self.veil.clone();
        let rows = self.inner.execute(partition, context).map_err(|error| veil.over(error))?;
        let schema = Arc::clone(&self.schema);
        let rows = rows.map(move |batch| announced(&schema, &batch.map_err(|error| veil.over(error))?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }
}

//! `meta.readings`: what was read well enough to be believed, entity by entity, at the session's moment.
//!
//! For views that are no checks and have no verdict of their own: the same rules by which checks fall silent (`coverage`)
//! answer for the tables below each entity of the canonical model. Invariants: an entity that no source maps has a row that
//! says so, so that "nothing there" and "nobody looked" never look alike; the raw tables are looked up in the planner's
//! catalog, because a role may read a schedule and not the records below it.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, config_err, internal_datafusion_err};
use datafusion::datasource::TableType;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use crate::engine::blueprint::Blueprint;
use crate::engine::canonical::Entity;
use crate::engine::checks::{Project, Verdict};
use crate::engine::coverage::{Ledger, Part};
use crate::engine::evaluate;
use crate::engine::header::Side;
use crate::engine::moments::{moments, optional_texts, texts};
use crate::engine::options::{Moment, TieoutOptions};
use crate::engine::planner::Planner;
use crate::engine::queries::Name;
use crate::engine::snapshot::memory;
use crate::warehouse::Warehouse;
use crate::warehouse::rows::timestamp_type;

/// The word of an entity that can be believed.
const READ: &str = "read";

/// The table.
#[derive(Debug)]
pub(crate) struct ReadingsTable {
    planner: Weak<Planner>,
    warehouse: Warehouse,
}

/// What is said of an entity, as a whole or in a project.
struct Reading {
    side: Side,
    entity: String,
    project: Option<String>,
    status: &'static str,
    reason: Option<String>,
    observed_at: Option<DateTime<Utc>>,
}

impl ReadingsTable {
    pub(crate) fn new(planner: &Arc<Planner>, warehouse: Warehouse) -> Self {
        Self { planner: Arc::downgrade(planner), warehouse }
    }

    async fn readings(&self, session: &dyn Session) -> Result<Vec<Reading>> {
        let planner = self.planner.upgrade().ok_or_else(|| internal_datafusion_err!("the engine was closed"))?;
        let moment = TieoutOptions::moment(session).await?;
        let Some(commit) = &moment.commit else { return Ok(Vec::new()) };
        let context = at(&planner, session, &moment)?;
        let head = (moment.head.as_ref(), commit.number);
        let ledger = Ledger::load(&self.warehouse, planner.blueprint(), &context, head, commit.observed_at);
        let failed = |error: crate::engine::Error| DataFusionError::External(Box::new(error));
        let ledger = ledger.await.map_err(failed)?;
        let projects = evaluate::projects(&context, planner.blueprint()).await.map_err(failed)?;
        let mut readings = Vec::new();
        for entity in &planner.blueprint().entities {
            for side in Side::BOTH {
                readings.extend(of_entity(planner.blueprint(), &ledger, &projects, entity, side));
            }
        }
        Ok(readings)
    }
}

/// The catalog of the planner, read at the session's moment.
fn at(planner: &Planner, session: &dyn Session, moment: &Moment) -> Result<SessionContext> {
    let mut config = session.config().clone();
    let Some(options) = config.options().extensions.get::<TieoutOptions>() else {
        return config_err!("this session was not opened by the engine");
    };
    let options = options.fixed_at(moment.clone());
    config.options_mut().extensions.insert(options);
    let state = SessionStateBuilder::new_from_existing(planner.state().clone()).with_config(config).build();
    Ok(SessionContext::new_with_state(state))
}

fn of_entity(
    blueprint: &Blueprint,
    ledger: &Ledger<'_>,
    projects: &[Project],
    entity: &Entity,
    side: Side,
) -> Vec<Reading> {
    let name: Name = (side.schema().to_owned(), entity.name.clone());
    let is_mapped = blueprint.mappings.get(&name).is_some_and(|mappings| !mappings.is_empty());
    let tables = blueprint.raw_tables(&name, side);
    let left_out = tables.iter().find_map(|table| blueprint.left_out(table));
    let firm_part = if side == Side::Erp { Part::All } else { Part::Company };
    let (status, reason) = if !is_mapped {
        (Verdict::NotApplicable.as_str(), Some(format!("no {} source maps {}", side.schema(), entity.name)))
    } else if let Some(reason) = left_out {
        (Verdict::NotApplicable.as_str(), Some(reason))
    } else if let Some(gap) = ledger.first_gap(&tables, side, firm_part) {
        (Verdict::NotEvaluated.as_str(), Some(gap))
    } else {
        (READ, None)
    };
    let reading = |project: Option<String>, status, reason, observed_at| Reading {
        side,
        entity: entity.name.clone(),
        project,
        status,
        reason,
        observed_at,
    };
    let mut readings = vec![reading(None, status, reason, ledger.observed_at(&tables, firm_part))];
    // A bid that nobody won has nothing to be read.
    for project in projects.iter().filter(|project| side == Side::Pm && status == READ && !project.is_idle) {
        let part = Part::Project(&project.key);
        let is_own = |table: &&Name| project.source.as_ref().is_none_or(|source| *source == table.0);
        let own: BTreeSet<Name> = tables.iter().filter(is_own).cloned().collect();
        if let Some(gap) = ledger.first_gap(&own, side, part) {
            let (id, status) = (Some(project.id.clone()), Verdict::NotEvaluated.as_str());
            readings.push(reading(id, status, Some(gap), ledger.observed_at(&own, part)));
        }
    }
    readings
}

#[async_trait]
impl TableProvider for ReadingsTable {
    fn schema(&self) -> SchemaRef {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let mut fields = ["side", "entity", "project_id", "status", "reason"].map(text).to_vec();
        fields.push(Field::new("observed_at", timestamp_type(), true));
        Arc::new(Schema::new(fields))
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let readings = self.readings(session).await?;
        let columns = vec![
            texts(readings.iter().map(|reading| reading.side.schema().to_owned())),
            texts(readings.iter().map(|reading| reading.entity.clone())),
            optional_texts(readings.iter().map(|reading| reading.project.clone())),
            texts(readings.iter().map(|reading| reading.status.to_owned())),
            optional_texts(readings.iter().map(|reading| reading.reason.clone())),
            moments(readings.iter().map(|reading| reading.observed_at)),
        ];
        let schema = self.schema();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        memory(&schema, &[batch], projection, limit)
    }
}

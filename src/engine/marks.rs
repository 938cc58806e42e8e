//! `meta.pins`, `meta.signoffs`, `meta.months`: what the chain says of its own commits.
//!
//! Invariant: like every table they answer as of the session's moment, so that a pin is not listed before it was made.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::NaiveDate;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, config_err};
use datafusion::datasource::TableType;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use crate::engine::moments::{integers, moments, optional_texts, texts};
use crate::engine::options::{Moment, TieoutOptions};
use crate::engine::snapshot::memory;
use crate::warehouse::commit::{CommitKind, Head};
use crate::warehouse::rows::{SYSTEM_SOURCE, timestamp_type};

/// Which of the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MarkTable {
    Pins,
    Signoffs,
    Months,
}

impl MarkTable {
    /// All of them, by their names in `meta`.
    pub(crate) const ALL: [(&str, Self); 3] =
        [("pins", Self::Pins), ("signoffs", Self::Signoffs), ("months", Self::Months)];
}

#[async_trait]
impl TableProvider for MarkTable {
    fn schema(&self) -> SchemaRef {
        let (text, number, date) = (DataType::Utf8, DataType::Int64, DataType::Date32);
        let fields: Vec<(&str, DataType)> = match self {
            Self::Pins => vec![
                ("name", text.clone()),
                ("commit_number", number.clone()),
                ("committed_at", timestamp_type()),
                ("period_end", date),
                ("pinned_commit", number),
                ("pinned_at", timestamp_type()),
                ("manifest", text),
            ],
            Self::Signoffs => vec![
                ("month", date),
                ("signed_by", text.clone()),
                ("signed_at", timestamp_type()),
                ("signoff_commit", number.clone()),
                ("commit_number", number.clone()),
                ("observed_at", timestamp_type()),
                ("open_count", number.clone()),
                ("unevaluated_count", number),
                ("manifest", text),
            ],
            Self::Months => vec![
                ("month", date),
                ("commit_number", number.clone()),
                ("evaluated_commit", number),
                ("is_closed", DataType::Boolean),
                ("pin", text),
            ],
        };
        Arc::new(Schema::new(fields.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect::<Vec<_>>()))
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let moment = TieoutOptions::moment(session).await?;
        let Some(options) = session.config_options().extensions.get::<TieoutOptions>() else {
            return config_err!("this session was not opened by the engine");
        };
        let columns = match self {
            Self::Pins => pins(&moment),
            Self::Signoffs => signoffs(&moment),
            Self::Months => months(&moment, options),
        };
        let schema = self.schema();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        memory(&schema, &[batch], projection, limit)
    }
}

fn upto(moment: &Moment) -> u64 {
    moment.commit.as_ref().map_or(0, |commit| commit.number)
}

fn pins(moment: &Moment) -> Vec<ArrayRef> {
    let head = &moment.head;
    let pins: Vec<_> = head.pins(upto(moment)).collect();
    vec![
        texts(pins.iter().map(|(_, pin)| pin.name.clone())),
        integers(pins.iter().map(|(_, pin)| Some(pin.commit))),
        moments(pins.iter().map(|(_, pin)| head.commit(pin.commit).map(|commit| commit.committed_at))),
        dates(pins.iter().map(|(_, pin)| pin.period_end)),
        integers(pins.iter().map(|(commit, _)| Some(commit.number))),
        moments(pins.iter().map(|(commit, _)| Some(commit.committed_at))),
        texts(pins.iter().map(|(_, pin)| pin.manifest.clone())),
    ]
}

fn signoffs(moment: &Moment) -> Vec<ArrayRef> {
    let head = &moment.head;
    let signoffs: Vec<_> = head.signoffs(upto(moment)).collect();
    vec![
        dates(signoffs.iter().map(|(_, signoff)| Some(signoff.month))),
        texts(signoffs.iter().map(|(_, signoff)| signoff.by.clone())),
        moments(signoffs.iter().map(|(commit, _)| Some(commit.committed_at))),
        integers(signoffs.iter().map(|(commit, _)| Some(commit.number))),
        integers(signoffs.iter().map(|(_, signoff)| Some(signoff.commit))),
        moments(signoffs.iter().map(|(_, signoff)| head.commit(signoff.commit).map(|commit| commit.observed_at))),
        integers(signoffs.iter().map(|(_, signoff)| Some(signoff.open_exceptions))),
        integers(signoffs.iter().map(|(_, signoff)| Some(signoff.unevaluated_checks))),
        texts(signoffs.iter().map(|(_, signoff)| signoff.manifest.clone())),
    ]
}

fn months(moment: &Moment, options: &TieoutOptions) -> Vec<ArrayRef> {
    let months = moment.head.months(upto(moment), options.settings().time_zone);
    vec![
        dates(months.iter().map(|month| Some(month.month))),
        integers(months.iter().map(|month| month.commit)),
        integers(months.iter().map(|month| evaluated(&moment.head, month.commit?))),
        Arc::new(months.iter().map(|month| Some(month.is_closed)).collect::<BooleanArray>()),
        optional_texts(months.iter().map(|month| month.pin.clone())),
    ]
}

/// The newest commit up to this one in which checks ran.
fn evaluated(head: &Head, upto: u64) -> Option<u64> {
    let is_run = |table: &crate::warehouse::commit::TableCommit| {
        table.table == "check_runs" && table.source == SYSTEM_SOURCE && table.rows > 0
    };
    let older = head.commits.iter().rev().skip_while(|commit| commit.number > upto);
    // A recheck's runs are those of the commits that it judged.
    let older = older.filter(|commit| commit.kind != CommitKind::Recheck);
    older.filter(|commit| commit.tables.iter().any(is_run)).map(|commit| commit.number).next()
}

fn dates(values: impl IntoIterator<Item = Option<NaiveDate>>) -> ArrayRef {
    let days = values.into_iter().map(|value| value.map(Date32Type::from_naive_date));
    Arc::new(days.collect::<Date32Array>())
}

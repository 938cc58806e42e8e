//! `meta.statements`: the newest lines of the audit log, for those who may see what others ask.
//!
//! Only a role that reads the firm as a whole, at every moment, sees it: statements name projects, and are later than any
//! pin. What others typed is shown only to those who may read sensitive columns: a literal may be one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, MemTable, SchemaProvider, Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::Line;
use crate::engine::Access;

/// So many lines are kept.
const LINES_MAX: usize = 5_000;
/// And of a statement so much text.
const TEXT_BYTES_MAX: usize = 4_000;
const SCHEMA: &str = "meta";
const TABLE: &str = "statements";

/// The newest lines, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<VecDeque<Arc<Line>>>);

impl Recent {
    pub(super) fn put(&self, line: &Arc<Line>) {
        let kept = match &line.sql {
            Some(sql) if sql.len() > TEXT_BYTES_MAX => {
                let end = (0..=TEXT_BYTES_MAX).rev().find(|end| sql.is_char_boundary(*end)).unwrap_or_default();
                let sql = format!("{}…", sql.get(..end).unwrap_or_default());
                Arc::new(Line { sql: Some(sql.into()), ..line.as_ref().clone() })
            }
            _ => Arc::clone(line),
        };
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(kept);
    }

    fn rows(&self, may_see: impl Fn(&Line) -> bool) -> Result<RecordBatch> {
        let lines: Vec<Arc<Line>> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Arc::clone).collect();
        let text = |value: &dyn Fn(&Line) -> Option<String>| -> ArrayRef {
            Arc::new(lines.iter().map(|line| value(line)).collect::<StringArray>())
        };
        let number = |value: &dyn Fn(&Line) -> Option<u64>| -> ArrayRef {
            let value = |line: &Arc<Line>| value(line).and_then(|value| i64::try_from(value).ok());
            Arc::new(lines.iter().map(value).collect::<Int64Array>())
        };
        let at = lines.iter().map(|line| Some(line.at.timestamp_micros())).collect::<TimestampMicrosecondArray>();
        let typed = |value: &dyn Fn(&Line) -> Option<String>| text(&|line| value(line).filter(|_| may_see(line)));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("started_at", Arc::new(at.with_timezone("+00:00"))),
            ("event", text(&|line| Some(line.event.name().to_owned()))),
            ("session_id", number(&|line| Some(line.who.session))),
            ("role", text(&|line| Some(line.who.role.clone()))),
            ("address", text(&|line| Some(line.who.address.to_string()))),
            ("database", text(&|line| Some(line.who.database.clone()))),
            ("application_name", text(&|line| Some(line.application_name.clone()))),
            ("as_of", text(&|line| Some(line.as_of.clone()))),
            ("commit_number", number(&|line| line.commit)),
            ("sql", typed(&|line| line.sql.as_deref().map(str::to_owned))),
            ("row_count", number(&|line| Some(line.rows))),
            ("byte_count", number(&|line| Some(line.bytes))),
            ("milliseconds", number(&|line| Some(line.milliseconds))),
            ("outcome", text(&|line| Some(line.outcome.to_owned()))),
            ("message", typed(&|line| line.message.clone())),
        ];
        Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))?)
    }
}

/// Whether a role may see the statements of all.
fn may_see(access: Option<&Access>) -> bool {
    access.is_none_or(|access| {
        access.firm && access.projects.is_none() && access.as_of.is_none() && access.may_read(SCHEMA)
    })
}

/// The session's catalog with `meta.statements`, if its role may see that.
pub(crate) fn with_statements(
    inner: Arc<dyn CatalogProvider>,
    recent: &Arc<Recent>,
    user: &str,
    access: Option<Arc<Access>>,
) -> Arc<dyn CatalogProvider> {
    if !may_see(access.as_deref()) {
        return inner;
    }
    let sees_all = access.is_none_or(|access| access.sensitive);
    Arc::new(Told { inner, recent: Arc::clone(recent), user: user.to_owned(), sees_all })
}

/// A catalog whose `meta` has one table more.
#[derive(Debug)]
struct Told {
    inner: Arc<dyn CatalogProvider>,
    recent: Arc<Recent>,
    user: String,
    sees_all: bool,
}

impl CatalogProvider for Told {
    fn schema_names(&self) -> Vec<String> {
        self.inner.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let inner = self.inner.schema(name)?;
        if name != SCHEMA {
            return Some(inner);
        }
        Some(Arc::new(Meta {
            inner,
            recent: Arc::clone(&self.recent),
            user: self.user.clone(),
            sees_all: self.sees_all,
        }))
    }
}

#[derive(Debug)]
struct Meta {
    inner: Arc<dyn SchemaProvider>,
    recent: Arc<Recent>,
    user: String,
    sees_all: bool,
}

#[async_trait]
impl SchemaProvider for Meta {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.inner.table_names();
        names.push(TABLE.to_owned());
        names.sort();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if name != TABLE {
            return self.inner.table(name).await;
        }
        let (recent, user) = (Arc::clone(&self.recent), self.user.clone());
        let schema = recent.rows(|_| false)?.schema();
        Ok(Some(Arc::new(Statements { recent, user, sees_all: self.sees_all, schema })))
    }

    fn table_exist(&self, name: &str) -> bool {
        name == TABLE || self.inner.table_exist(name)
    }
}

/// The lines when they are asked for, not when the question was planned.
#[derive(Debug)]
struct Statements {
    recent: Arc<Recent>,
    user: String,
    sees_all: bool,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for Statements {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.recent.rows(|line| self.sees_all || line.who.role == self.user)?;
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
        table.scan(session, projection, filters, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::DESCRIBED_TABLES;

    #[test]
    fn its_columns_are_described() {
        let described = &DESCRIBED_TABLES[&(SCHEMA.to_owned(), TABLE.to_owned())].columns;
        let schema = Recent::default().rows(|_| true).unwrap().schema();
        let mut names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, described.keys().map(String::as_str).collect::<Vec<_>>());
    }
}

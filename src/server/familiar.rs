//! Statements that a session has sent before, found by their texts.
//!
//! Reports and dashboards send the same text again and again without preparing it: what was read and planned then is what
//! would be now. Invariants:
//! - The text is the very same, and so are the types that its placeholders were said to have.
//! - The session uses what is found only while its names and its clock mean what they did then.
//! - Nothing that only this moment means is kept: no function of the clock, of settings or of names, and no text such as
//!   `today`, which is read when a statement is planned.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{Statement, ValueWithSpan, Visitor};

use super::failure::Failure;
use super::plans;
use super::postgres::instant;
use super::session::{Prepared, Session, plan};
use super::statement::Command;
use crate::engine;
use crate::engine::walk::walk;

/// Texts of a session that are remembered.
const TEXTS_MAX: usize = 16;
/// A longer text is read anew.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// A session's texts, the latest first.
#[derive(Default)]
pub(crate) struct Familiar(VecDeque<Text>);

struct Text {
    sql: Arc<str>,
    oids: Vec<u32>,
    statement: Arc<Prepared>,
}

impl Familiar {
    /// The statement of a text whose placeholders have these types.
    pub(crate) fn find(&mut self, sql: &str, oids: &[u32]) -> Option<Arc<Prepared>> {
        let place = self.0.iter().position(|text| *text.sql == *sql && text.oids == oids)?;
        let text = self.0.remove(place)?;
        let statement = Arc::clone(&text.statement);
        self.0.push_front(text);
        Some(statement)
    }

    /// Remembers the statement of a text, if it may be.
    pub(crate) fn keep(&mut self, sql: &str, oids: &[u32], statement: &Arc<Prepared>) {
        let (Some(Command::Query(query)), Some(plan)) = (&statement.command, &statement.plan) else { return };
        self.0.retain(|text| *text.sql != *sql || text.oids != oids);
        if sql.len() > TEXT_BYTES_MAX || !is_lasting(query, plan) {
            return;
        }
        self.0.push_front(Text { sql: sql.into(), oids: oids.to_vec(), statement: Arc::clone(statement) });
        self.0.truncate(TEXTS_MAX);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Session {
    /// The statement that the client sent by the same text before, if it would be read and planned in the same way now.
    pub(crate) async fn recalled(&mut self, sql: &str, oids: &[u32]) -> Result<Option<Arc<Prepared>>, Failure> {
        match self.familiar.find(sql, oids) {
            Some(known) if self.is_current(&known).await? => Ok(Some(known)),
            _ => Ok(None),
        }
    }

    /// Whether a statement's names and clock mean what they did when it was planned.
    pub(crate) async fn is_current(&self, prepared: &Prepared) -> Result<bool, Failure> {
        if self.get("tieout.definitions").is_ok_and(|value| value == "pinned") {
            return Ok(false);
        }
        // They may have been others until now.
        engine::follow(&self.context).await?;
        let is_same = prepared.edition == engine::followed(&self.context);
        Ok(is_same && prepared.surroundings == self.surroundings()?)
    }

    /// The plan of a query that is all of the text `whole`, which is remembered if it may be.
    pub(crate) async fn noted(
        &mut self,
        query: Statement,
        whole: &str,
        piece: &Arc<str>,
    ) -> Result<LogicalPlan, Failure> {
        let (context, catalog) = (self.context.clone(), self.catalog.clone());
        let is_short = whole.len() <= TEXT_BYTES_MAX;
        // Whatever walks through a statement does so on the threads that have the stack for it.
        let planned = async move {
            let copy = query.clone();
            let plan = Box::pin(plan(&context, catalog.as_deref(), query, &[])).await?;
            let copy = (is_short && is_lasting(&copy, &plan)).then_some(copy);
            Ok((plan, copy))
        };
        let (plan, copy) = self.threads.run(planned).await?;
        if let Some(query) = copy {
            let command = Some(Command::Query(Box::new(query)));
            let statement = Arc::new(self.as_prepared(command, Some(plan.clone()), Vec::new(), piece)?);
            self.familiar.keep(whole, &[], &statement);
        }
        Ok(plan)
    }
}

/// Whether a query's plan is the same for as long as its names and its zone mean the same.
fn is_lasting(query: &Statement, plan: &LogicalPlan) -> bool {
    plans::reads_kept_rows(plan) && plans::is_shallow(plan) && plans::is_steady(plan) && !is_of_today(query)
}

/// Whether a text in a statement may be read as a time that the clock decides.
fn is_of_today(statement: &Statement) -> bool {
    struct Texts;
    impl Visitor for Texts {
        type Break = ();

        fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
            let text = value.value.clone().into_string();
            if text.is_some_and(|text| instant::is_of_today(&text)) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    walk(statement, &mut Texts).is_break()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::statement;

    #[test]
    fn what_the_clock_decides_is_told() {
        let asked = |text: &str| {
            let command = statement::parse(text).unwrap().pop().unwrap();
            let Command::Query(query) = command else { panic!("{command:?}") };
            is_of_today(&query)
        };
        assert!(asked("select 1 from t where day >= 'Today'"));
        assert!(asked("select date ' yesterday '"));
        assert!(asked("select * from (select 'now'::timestamptz) t"));
        assert!(asked("select 1 from t where day in ('2026-01-01', e'to\\u0064ay')"));
        assert!(!asked("select 'todays', 'epoch', '2026-01-01', 12, 'it is now' from t"));
    }
}

//! The engine over a warehouse in a temporary folder: verdicts, carrying, in flight, as-of, history.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::execution::context::SessionContext;

use super::*;
use crate::clock::{Clock, SharedClock};
use crate::engine::cells::Cell;
use crate::warehouse::commit::{Commit, CommitKind, StateAddress};
use crate::warehouse::rows::{
    ColumnType, Coverage, CoverageStatus, HASH, HASH_BEFORE, ReadMode, TableInput, input_schema, timestamp_type,
};
use crate::warehouse::{CommitHeader, Limits};

pub(crate) const PM: &str = r#"
[system]
name = "pmx"
side = "pm"
[[table]]
name = "projects"
[table.columns]
id = "text"
[[table]]
name = "orders"
parent = "projects"
[table.columns]
id = "text"
project = { type = "text", parent = "id" }
amount = "decimal(24,6)"
status = "text"
[[table]]
name = "order_lines"
parent = "orders"
[table.columns]
id = "text"
"#;
const ERP: &str = r#"
[system]
name = "erpx"
side = "erp"
[[table]]
name = "orders"
[table.columns]
id = "text"
amount = "decimal(24,6)"
"#;
pub(crate) const CANONICAL: &str = r#"
[common]
columns = { source = "text", record_id = "text" }
[projects]
grain = "one job"
columns = { number = "text" }
[change_orders]
grain = "one change order"
columns = { project_id = "text", amount = "amount", approval_status = "text", approved_at = "timestamp", approved_at_basis = "text" }
"#;
const MISSING: &str = "\
-- title:    Approved, not in the ERP
-- check:    O1
-- entity:   change_orders
-- fix_side: pm
-- version:  1
-- scope:    project
-- missing_on: erp
-- grace:    24 hours

select
    'O1:' || pm_orders.record_id as exception_key,
    pm_orders.project_id,
    pm_orders.record_id as pm_id,
    pm_orders.amount as amount_at_risk,
    pm_orders.approved_at as occurred_at
from pm.change_orders as pm_orders
left anti join link.change_orders on change_orders.pm_id = pm_orders.record_id
where pm_orders.approval_status = 'approved'
";
const LINK: &str = "\
-- title: Linked orders

select pm_orders.record_id as pm_id, erp_orders.record_id as erp_id
from pm.change_orders as pm_orders
inner join erp.change_orders as erp_orders on erp_orders.record_id = pm_orders.record_id
";

pub(crate) fn definitions(more: &[(&str, &str)]) -> Definitions {
    let files = [
        ("extractors/pmx/manifest.toml", PM),
        ("extractors/erpx/manifest.toml", ERP),
        ("queries/canonical.toml", CANONICAL),
        ("extractors/pmx/canonical/projects.sql", "select id as record_id, 'N' || id as number from source.projects"),
        (
            "extractors/pmx/canonical/change_orders.sql",
            "select orders.id as record_id, orders.project as project_id, orders.amount, orders.status as approval_status \
             from source.orders left join source.order_lines on false",
        ),
        ("extractors/erpx/canonical/change_orders.sql", "select id as record_id, amount from source.orders"),
        ("queries/link/change_orders.sql", LINK),
        ("queries/recon/change_order_stuck.sql", MISSING),
    ];
    Definitions {
        files: files.iter().chain(more).map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect(),
    }
}

pub(crate) fn settings() -> EngineSettings {
    let binding = |name: &str, system: &str| SourceBinding { name: name.to_owned(), system: system.to_owned() };
    EngineSettings { sources: vec![binding("pm1", "pmx"), binding("erp1", "erpx")], ..EngineSettings::default() }
}

fn start() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-03-02T06:00:00Z").unwrap().to_utc()
}

/// A warehouse that is extracted once a day.
pub(crate) struct Firm {
    _folder: tempfile::TempDir,
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: SharedClock,
    at: DateTime<Utc>,
    /// Another source and its projects, none of which has an order.
    other: Option<(&'static str, &'static [&'static str])>,
    /// Whether the lines of orders are not read, as in an incremental run.
    pub(crate) lines_rest: bool,
}

pub(crate) type Scoped<'a> = (&'a str, CoverageStatus);

impl Firm {
    pub(crate) async fn new(definitions: Definitions, settings: EngineSettings) -> Self {
        Self::with_limits(definitions, settings, Limits::default()).await
    }

    pub(crate) async fn with_limits(definitions: Definitions, settings: EngineSettings, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open_or_create(folder.path().to_str().unwrap()).await.unwrap().with_limits(limits);
        let engine = Engine::open(warehouse, definitions, settings).await.unwrap();
        Self { _folder: folder, engine, clock: SharedClock::new(start()), at: start(), other: None, lines_rest: false }
    }

    pub(crate) fn also(&mut self, source: &'static str, projects: &'static [&'static str]) {
        self.other = Some((source, projects));
    }

    /// One day: PM orders as (id, project, cents, status), ERP orders by id, how the orders of each project were read.
    pub(crate) async fn day(
        &mut self,
        orders: &[(&str, &str, i128, &str)],
        erp: &[&str],
        scopes: &[Scoped<'_>],
    ) -> Evaluation {
        self.at += TimeDelta::hours(24);
        self.clock.advance_to(self.at);
        let clock = Clock::Shared(self.clock.clone());
        let header = CommitHeader {
            kind: CommitKind::Extract,
            clock: &clock,
            definitions: self.engine.definitions().hash(),
            runs: Vec::new(),
            observed_at: self.at,
        };
        let mut prepared = self.engine.warehouse().prepare(header).await.unwrap();
        let text = |value: &str| Cell::text(Some(value));
        let projects = scopes.iter().map(|(id, _)| (*id, "", vec![text(id)])).collect::<Vec<_>>();
        prepared.add(self.input("pm1", "projects", &projects, &[("", CoverageStatus::Ok)])).await.unwrap();
        let rows = orders.iter().map(|(id, project, cents, status)| {
            (*id, *project, vec![text(id), text(project), Cell::Amount(cents * 10_000), text(status)])
        });
        prepared.add(self.input("pm1", "orders", &rows.collect::<Vec<_>>(), scopes)).await.unwrap();
        let lines: Vec<String> = orders.iter().map(|(id, project, ..)| format!("{project}/{id}")).collect();
        let lines: Vec<Scoped<'_>> =
            lines.iter().map(|scope| (scope.as_str(), CoverageStatus::EmptyVerified)).collect();
        if !self.lines_rest {
            prepared.add(self.input("pm1", "order_lines", &[], &lines)).await.unwrap();
        }
        if let Some((source, projects)) = self.other {
            let rows = projects.iter().map(|id| (*id, "", vec![text(id)])).collect::<Vec<_>>();
            prepared.add(self.input(source, "projects", &rows, &[("", CoverageStatus::Ok)])).await.unwrap();
            let scopes: Vec<Scoped<'_>> = projects.iter().map(|id| (*id, CoverageStatus::EmptyVerified)).collect();
            prepared.add(self.input(source, "orders", &[], &scopes)).await.unwrap();
        }
        let rows = erp.iter().map(|id| (*id, "", vec![text(id), Cell::Amount(0)])).collect::<Vec<_>>();
        prepared.add(self.input("erp1", "orders", &rows, &[("", CoverageStatus::Ok)])).await.unwrap();
        self.engine.record_coverage(&mut prepared).await.unwrap();
        let evaluation = self.engine.evaluate(&mut prepared).await.unwrap();
        self.engine.warehouse().publish(prepared).await.unwrap();
        evaluation
    }

    /// A run that reads the orders of project 1 under another key for hashed fields.
    pub(crate) async fn rekeyed_day(&mut self, orders: &[(&str, i128)]) {
        self.at += TimeDelta::hours(24);
        self.clock.advance_to(self.at);
        let clock = Clock::Shared(self.clock.clone());
        let header = CommitHeader {
            kind: CommitKind::Extract,
            clock: &clock,
            definitions: self.engine.definitions().hash(),
            runs: Vec::new(),
            observed_at: self.at,
        };
        let text = |value: &str| Cell::text(Some(value));
        let rows = orders
            .iter()
            .map(|(id, cents)| (*id, "1", vec![text(id), text("1"), Cell::Amount(cents * 10_000), text("approved")]));
        let mut input = self.input("pm1", "orders", &rows.collect::<Vec<_>>(), &[("1", CoverageStatus::Ok)]);
        for batch in &mut input.batches {
            let schema = batch.schema();
            let place = schema.index_of(HASH).unwrap();
            let mut arrays = batch.columns().to_vec();
            let before = Arc::clone(&arrays[place]);
            let anew = before.as_string::<i32>().iter().map(|hash| hash.map(|hash| format!("anew {hash}")));
            arrays[place] = Arc::new(anew.collect::<StringArray>());
            arrays.push(before);
            let mut fields = schema.fields().to_vec();
            fields.push(Arc::new(Field::new(HASH_BEFORE, DataType::Utf8, true)));
            *batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        }
        let mut prepared = self.engine.warehouse().prepare(header).await.unwrap();
        prepared.add(input).await.unwrap();
        self.engine.warehouse().publish(prepared).await.unwrap();
    }

    fn input(&self, source: &str, table: &str, rows: &[(&str, &str, Vec<Cell>)], scopes: &[Scoped<'_>]) -> TableInput {
        let columns = self.engine.blueprint.raw_table(&(source.to_owned(), table.to_owned())).unwrap().columns.clone();
        let texts = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let mut arrays =
            vec![texts(rows.iter().map(|row| row.0).collect()), texts(rows.iter().map(|row| row.1).collect())];
        for (index, (_, kind)) in columns.iter().enumerate() {
            arrays.push(match kind {
                ColumnType::Decimal(precision, scale) => {
                    let values =
                        rows.iter().map(|row| row.2[index].as_amount()).collect::<arrow::array::Decimal128Array>();
                    Arc::new(values.with_precision_and_scale(*precision, *scale).unwrap())
                }
                _ => Arc::new(rows.iter().map(|row| row.2[index].as_text()).collect::<StringArray>()),
            });
        }
        let contents: Vec<String> = rows.iter().map(|row| format!("{:?}", row.2)).collect();
        arrays.push(texts(contents.iter().map(String::as_str).collect()));
        arrays.push(texts(contents.iter().map(String::as_str).collect()));
        let seen = TimestampMicrosecondArray::from(vec![self.at.timestamp_micros(); rows.len()]);
        arrays.push(Arc::new(seen.with_data_type(timestamp_type())));
        let coverage = scopes.iter().map(|(scope, status)| Coverage {
            scope: (*scope).to_owned(),
            project: scope.split('/').next().filter(|project| !project.is_empty()).map(str::to_owned),
            status: *status,
            rows: rows.iter().filter(|row| row.1 == *scope).count() as u64,
            expected_rows: None,
            observed_at: self.at,
            error: None,
        });
        TableInput {
            source: source.to_owned(),
            table: table.to_owned(),
            above: Vec::new(),
            spooled: None,
            batches: vec![RecordBatch::try_new(input_schema(&columns), arrays).unwrap()],
            columns,
            mode: ReadMode::Full,
            coverage: coverage.collect(),
            rejects: Vec::new(),
            drift: Vec::new(),
            cursor: None,
            accept_deletes: true,
            owners: std::collections::BTreeSet::new(),
        }
    }

    pub(crate) async fn session(&self) -> SessionContext {
        self.engine.session(&SessionRequest::default()).await.unwrap()
    }
}

pub(crate) async fn ask(session: &SessionContext, sql: &str) -> String {
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    let table = pretty_format_batches(&batches).unwrap().to_string();
    let rows = table.lines().skip(3).filter(|line| !line.starts_with('+'));
    rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n")
}

pub(crate) const OK: CoverageStatus = CoverageStatus::Ok;
const FORBIDDEN: CoverageStatus = CoverageStatus::Forbidden;

#[tokio::test]
async fn a_missing_record_is_in_flight_then_open_then_gone() {
    let mut firm = Firm::new(definitions(&[]), settings()).await;
    assert_eq!(firm.engine.problems().await, []);
    let pending = [("a", "1", 500, "pending")];
    let approved = [("a", "1", 500, "approved")];
    let check = |evaluation: Evaluation| evaluation.checks.into_iter().next().unwrap();
    let first = check(firm.day(&pending, &[], &[("1", OK)]).await);
    assert_eq!((first.verdict, first.error), (Verdict::Clean, None));
    let second = check(firm.day(&approved, &[], &[("1", OK)]).await);
    assert_eq!((second.verdict, second.in_flight, second.exceptions), (Verdict::Clean, 1, 0));
    let third = check(firm.day(&approved, &[], &[("1", OK)]).await);
    assert_eq!((third.verdict, third.exceptions, third.amount_at_risk), (Verdict::Exceptions, 1, 500));
    let session = firm.session().await;
    let state = "select state, opened_commit, amount_at_risk, fix_side, first_seen_at from system.exceptions";
    assert_eq!(ask(&session, state).await, "| open | 2 | 5.00 | pm | 2026-03-04T06:00:00Z |");
    let fourth = check(firm.day(&approved, &["a"], &[("1", OK)]).await);
    assert_eq!(fourth.verdict, Verdict::Clean);
    let session = firm.session().await;
    assert_eq!(ask(&session, state).await, "");
    let runs = "select commit_number, project_id, project_number, verdict, in_flight_count, rows_read \
                from system.check_runs where project_id is not null order by commit_number";
    let rows = ask(&session, runs).await;
    assert!(
        rows.starts_with("| 1 | 1 | N1 | clean | 0 |") && rows.contains("| 3 | 1 | N1 | exceptions | 0 |"),
        "{rows}"
    );
    let history = "select exception_key, state, _op, _commit, valid_from, valid_to from history.tieout_exceptions \
                   order by _commit";
    assert_eq!(
        ask(&session, history).await,
        "| O1:a | in_flight | I | 2 | 2026-03-04T06:00:00Z | 2026-03-05T06:00:00Z |\n\
         | O1:a | open | U | 3 | 2026-03-05T06:00:00Z | 2026-03-06T06:00:00Z |\n\
         | O1:a | open | D | 4 | 2026-03-06T06:00:00Z | 2026-03-06T06:00:00Z |"
    );
    session.sql("set tieout.as_of = 'commit:3'").await.unwrap();
    assert_eq!(ask(&session, "select count(*) from recon.change_order_stuck").await, "| 1 |");
    assert_eq!(ask(&session, "select commit_number, accounting_date from meta.clock").await, "| 3 | 2026-03-05 |");
    session.sql("set tieout.as_of = '2026-03-02'").await.unwrap();
    let before = session.sql("select count(*) from pm.change_orders").await.unwrap().collect().await.unwrap_err();
    assert!(before.to_string().contains("nothing was known yet"), "{before}");
    session.sql("set tieout.as_of = 'latest'").await.unwrap();
    assert_eq!(ask(&session, "select approved_at_basis from pm.change_orders").await, "| observed |");
    assert!(session.sql("set tieout.as_off = 'x'").await.is_err());
    assert!(session.sql("set tieout.as_of = 'yesterday evening'").await.is_err());
}

#[tokio::test]
async fn a_project_that_was_not_read_keeps_its_exceptions() {
    let mut firm = Firm::new(definitions(&[]), settings()).await;
    let orders = [("a", "1", 500, "approved"), ("b", "2", 700, "approved")];
    firm.day(&orders, &[], &[("1", OK), ("2", OK)]).await;
    firm.day(&orders, &[], &[("1", OK), ("2", OK)]).await;
    // Both reach the ERP, but the orders of project 2 could not be read.
    let evaluation = firm.day(&orders, &["a", "b"], &[("1", OK), ("2", FORBIDDEN)]).await;
    let check = &evaluation.checks[0];
    assert_eq!((check.verdict, check.exceptions, check.amount_at_risk), (Verdict::Partial, 1, 700));
    let session = firm.session().await;
    let runs =
        "select project_id, verdict, exception_count from system.check_runs where _commit = 3 order by project_id";
    assert_eq!(ask(&session, runs).await, "| 1 | clean | 0 |\n| 2 | not_evaluated | 1 |\n| | partial | 1 |");
    assert_eq!(ask(&session, "select pm_id, opened_commit from system.exceptions").await, "| b | 1 |");
    let healed = firm.day(&orders, &["a", "b"], &[("1", OK), ("2", OK)]).await;
    assert_eq!(healed.checks[0].verdict, Verdict::Clean);
}

#[tokio::test]
async fn a_failing_check_stops_nothing_and_a_disabled_one_says_so() {
    let failing = "-- check: X1\n-- entity: change_orders\n\nselect 'X1' as exception_key, 1 / (length(record_id) - 1) as n \
                   from pm.change_orders";
    let twice = "-- check: X2\n-- entity: change_orders\n\nselect 'X2' as exception_key from pm.change_orders";
    let unknown = "-- check: X3\n-- entity: change_orders\n\nselect 'X3' as exception_key from pm.nowhere";
    let other = "-- check: X4\n-- entity: projects\n\nselect 'X4' as exception_key from erp.projects";
    let more = [
        ("queries/recon/x1.sql", failing),
        ("queries/recon/x2.sql", twice),
        ("queries/recon/x3.sql", unknown),
        ("queries/recon/x4.sql", other),
    ];
    let mut firm = Firm::new(definitions(&more), settings()).await;
    assert_eq!(
        firm.engine.problems().await.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(),
        ["queries/recon/x3.sql"]
    );
    let orders = [("a", "1", 500, "approved"), ("b", "1", 700, "approved")];
    let evaluation = firm.day(&orders, &[], &[("1", OK)]).await;
    let verdicts: Vec<(&str, Verdict)> =
        evaluation.checks.iter().map(|check| (check.check.as_str(), check.verdict)).collect();
    assert_eq!(
        verdicts,
        [
            ("O1", Verdict::Clean),
            ("X1", Verdict::NotEvaluated),
            ("X2", Verdict::NotEvaluated),
            ("X3", Verdict::NotEvaluated),
            ("X4", Verdict::NotApplicable),
        ]
    );
    assert!(evaluation.checks[2].error.as_deref().is_some_and(|error| error.contains("twice")));
    assert!(evaluation.checks[3].error.as_deref().is_some_and(|error| error.contains("nowhere")));
}

#[tokio::test]
async fn settings_answer_by_session() {
    let view = "select setting_integer('unpaid_days') as days, setting_decimal('amount_tolerance') as tolerance, \
                normalize_number('CO-007') as number, end_of_day(date '2026-03-02') as ends, 0.1 + 0.2 as sum";
    let firm = Firm::new(definitions(&[("queries/recon/limits.sql", view)]), settings()).await;
    let (one, other) = (firm.session().await, firm.session().await);
    one.sql("set tieout.unpaid_days = 45").await.unwrap();
    let row = |days| format!("| {days} | 0.01 | CO7 | 2026-03-02T23:59:59.999999Z | 0.3 |");
    assert_eq!(ask(&one, "select * from recon.limits").await, row(45));
    assert_eq!(ask(&other, "select * from limits").await, row(60));
    assert!(one.sql("set tieout.unpaid_days = 'many'").await.is_err());
    assert!(other.sql("select setting_integer('nothing')").await.unwrap().collect().await.is_err());
    assert_eq!(ask(&one, "select count(*) from meta.checks").await, "| 1 |");
    assert_eq!(ask(&one, "select '{\"a\": 1}' ->> 'a'").await, "| 1 |");
}

#[tokio::test]
async fn what_ran_is_refused_where_there_is_no_workspace() {
    let firm = Firm::new(definitions(&[]), settings()).await;
    let runs = firm.session().await.sql("select * from meta.scheduled_runs").await.unwrap();
    let error = runs.collect().await.unwrap_err().to_string();
    assert!(error.contains("meta.scheduled_runs: ") && error.contains("no workspace"), "{error}");
}

/// The chain with one more commit, after which the states that commits 2 and 3 wrote of the PM's orders are gone.
fn without_states(head: &Head) -> Arc<Head> {
    let gone = |commit| StateAddress { source: "pm1".to_owned(), table: "orders".to_owned(), commit };
    let last = head.last().unwrap();
    let commit = Commit {
        number: last.number + 1,
        kind: CommitKind::Vacuum,
        tables: Vec::new(),
        dropped_states: vec![gone(2), gone(3)],
        ..Commit::clone(last)
    };
    let mut thin = Head::clone(head);
    thin.push(Arc::new(commit), String::new());
    Arc::new(thin)
}

#[tokio::test]
async fn a_day_between_states_reads_as_if_its_state_were_there() {
    let mut firm = Firm::new(definitions(&[]), settings()).await;
    firm.day(&[("a", "1", 1, "x"), ("b", "1", 2, "x"), ("c", "1", 3, "x"), ("e", "1", 9, "x")], &[], &[("1", OK)])
        .await;
    firm.day(&[("a", "1", 5, "x"), ("b", "1", 2, "x"), ("e", "1", 9, "x")], &[], &[("1", OK)]).await;
    firm.day(&[("a", "1", 6, "x"), ("b", "1", 7, "y"), ("d", "1", 4, "x"), ("e", "1", 9, "x")], &[], &[("1", OK)])
        .await;
    let head = firm.engine.refresh().await.unwrap();
    let thin = without_states(&head);
    assert!(thin.snapshot(4, "pm1", "orders").unwrap().changes.len() == 2);
    let between = firm.engine.prepared_session(&firm.engine.reader, thin);
    let whole = firm.session().await;
    // Also from columns in memory, once they were asked for.
    let from_memory = "explain select id, amount, status from pm1.orders";
    let filtered = ask(&between, from_memory).await;
    assert!(filtered.contains("stands("), "{filtered}");
    for (sql, rows) in [
        ("select * from pm1.orders order by _key", 4),
        ("select id, status from pm1.orders where _key = 'b'", 1),
        ("select amount from pm1.orders where amount > 0.03 order by amount", 4),
        ("select _key, amount from pm1.orders where status = 'x' order by 1 limit 2", 2),
        ("select count(*), sum(amount) from pm1.orders", 1),
        ("select count(*) from pm1.orders", 1),
        ("select orders.id, projects.id from pm1.orders join pm1.projects on project = projects.id order by 1", 4),
    ] {
        let expected = ask(&whole, sql).await;
        assert_eq!(expected.lines().count(), rows, "{sql}\n{expected}");
        for turn in 0..4 {
            assert_eq!(ask(&between, sql).await, expected, "{sql}, turn {turn}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    for _ in 0..500 {
        let plan = ask(&between, from_memory).await;
        if !plan.contains("stands(") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is filtered still");
}

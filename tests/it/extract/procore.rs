//! The shipped Procore manifest and canonical SQL against the simulated firm, from HTTP to `pm.*`: every document with its
//! lines, lines that add up to their headers, and what a tool that may not be read leaves behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::util::pretty::pretty_format_batches;
use tieout::clock::{Clock, SharedClock};
use tieout::definitions::Definitions;
use tieout::engine::{Engine, EngineSettings, SessionRequest, SourceBinding};
use tieout::extract::{Manifest, Secret, Setting, SourceOutcome, SourceSettings, run};
use tieout::simulator::Trouble;
use tieout::simulator::{RateLimits, Simulator, SimulatorOptions};
use tieout::warehouse::commit::CommitKind;
use tieout::warehouse::rows::CoverageStatus;
use tieout::warehouse::{CommitHeader, Warehouse};

use super::server::{SYSTEM, ok, options, serve, source as toy, token};
use super::*;

const NOW: &str = "2026-07-15T11:00:00Z";

/// Two projects after some months, without waiting for limits.
async fn firm() -> (Simulator, SharedClock) {
    let clock = SharedClock::new("2026-03-01T00:00:00Z".parse().unwrap());
    let mut options = SimulatorOptions::new(11, clock.clone());
    options.firm.first_month = (2026, 3);
    options.firm.months = 5;
    options.firm.projects = 2;
    options.procore_limits = RateLimits { hour: u32::MAX, spike: u32::MAX, spike_seconds: 10 };
    let simulator = Simulator::start(options).await.unwrap();
    simulator.advance_to(NOW.parse().unwrap());
    (simulator, clock)
}

fn procore(simulator: &Simulator, more: &[(&str, &str)]) -> SourceSettings {
    let definitions = Definitions::shipped();
    let path = "extractors/procore/manifest.toml";
    let endpoint = simulator.procore();
    let plain = [("company_id", endpoint.company_id.as_str()), ("login_url", endpoint.login_url.as_str())];
    let plain = plain.iter().chain(more).map(|(name, value)| ((*name).to_owned(), Setting::Plain((*value).to_owned())));
    let secret = [("client_id", &endpoint.client_id), ("client_secret", &endpoint.client_secret)];
    let secret = secret.map(|(name, value)| (name.to_owned(), Setting::Secret(Secret::new(value.as_str()))));
    let source = SourceSettings {
        name: "procore".into(),
        manifest: Manifest::parse(path, definitions.get(path).unwrap()).unwrap(),
        base_url: Some(endpoint.base_url),
        values: plain.chain(secret).collect::<BTreeMap<_, _>>(),
        redaction_key: Some(b"a key of the firm's".to_vec()),
        redaction_key_before: None,
        quota: tieout::extract::Quota::default(),
        rules: tieout::extract::SourceRules::default(),
    };
    source.with_defaults().unwrap()
}

async fn open(folder: &Path) -> Arc<Engine> {
    let settings = EngineSettings {
        sources: vec![SourceBinding { name: "procore".into(), system: "procore".into() }],
        ..EngineSettings::default()
    };
    let warehouse = Warehouse::open_or_create(folder.to_str().unwrap()).await.unwrap();
    Engine::open(warehouse, Definitions::shipped(), settings).await.unwrap()
}

async fn commit(engine: &Engine, clock: &SharedClock, outcome: SourceOutcome) {
    let clock = Clock::Shared(clock.clone());
    let header = CommitHeader {
        kind: CommitKind::Extract,
        clock: &clock,
        definitions: engine.definitions().hash(),
        runs: vec![outcome.run],
        observed_at: clock.now(),
    };
    let mut prepared = engine.warehouse().prepare(header).await.unwrap();
    for table in outcome.tables {
        prepared.add(table).await.unwrap();
    }
    engine.warehouse().publish(prepared).await.unwrap();
}

async fn ask(engine: &Engine, sql: &str) -> Vec<String> {
    let session = engine.session(&SessionRequest::default()).await.unwrap();
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    let table = pretty_format_batches(&batches).unwrap().to_string();
    let rows = table.lines().skip(3).filter(|line| !line.starts_with('+'));
    rows.map(|row| row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" "))
        .collect()
}

/// Tables of lines and of what is new beside them: name, and how many records the firm's Procore holds.
fn held(simulator: &Simulator) -> Vec<(&'static str, usize)> {
    let firm = simulator.firm();
    let pm = &firm.procore;
    let is_job = |project: &i64| pm.projects.get(project).is_some_and(|project| !project.is_demo);
    let live = || pm.commitments.values().filter(|one| one.deleted_at.is_none() && is_job(&one.project_id));
    let commitment_lines = live().map(|one| one.lines.len()).sum();
    vec![
        ("work_order_lines union all select _key from procore.purchase_order_lines", commitment_lines),
        ("prime_contract_lines", pm.prime_contracts.values().map(|one| one.lines.len()).sum()),
        (
            "commitment_change_order_lines union all select _key from procore.prime_change_order_lines",
            pm.change_orders.values().map(|one| one.lines.len()).sum(),
        ),
        ("potential_change_orders", pm.change_orders.len()),
        ("requisition_items", pm.requisitions.values().map(|one| one.items.len()).sum()),
        ("payment_application_lines", pm.payment_applications.values().map(|one| one.g703.len()).sum()),
        ("billing_periods", pm.billing_periods.len()),
        ("budget_rows", pm.budget_lines.len()),
        ("budget_changes", pm.budget_changes.len()),
        ("budget_change_lines", pm.budget_changes.values().map(|one| one.adjustments.len()).sum()),
        ("direct_costs", pm.direct_costs.len()),
        ("direct_cost_lines", pm.direct_costs.values().map(|one| one.lines.len()).sum()),
        ("wbs_codes", pm.budget_lines.len()),
        ("tax_codes", 2),
    ]
}

/// Each selects what does not tie.
const TIES: [(&str, &str); 9] = [
    (
        "schedules of values",
        "select number from pm.commitments left join (select commitment_id, sum(amount) as total from pm.commitment_lines \
         group by 1) as lines on record_id = commitment_id where total is distinct from original_amount",
    ),
    (
        "change orders",
        "select number from pm.change_orders left join (select change_order_id, sum(amount) as total from \
         pm.change_order_lines group by 1) as lines on record_id = change_order_id where total is distinct from amount",
    ),
    (
        "vendor invoices",
        "select number from pm.vendor_invoices as invoices left join (select invoice_id, sum(amount) as gross, \
         sum(retainage_amount) as retained from pm.vendor_invoice_lines group by 1) as lines on record_id = invoice_id \
         where (gross is distinct from gross_amount) or (retained is distinct from invoices.retainage_amount)",
    ),
    (
        "G703 and G702",
        "select number from pm.owner_invoices as invoices left join (select invoice_id, sum(completed_and_stored) as done, \
         sum(retainage) as retained, sum(scheduled_value) as scheduled from pm.owner_invoice_lines group by 1) as lines \
         on record_id = invoice_id where (done is distinct from completed_and_stored) or \
         (retained is distinct from total_retainage)",
    ),
    (
        "each line of a G703",
        "select record_id from pm.owner_invoice_lines where \
         (completed_and_stored is distinct from from_previous + this_period + materials_stored) or \
         (balance_to_finish is distinct from scheduled_value - completed_and_stored)",
    ),
    (
        "direct costs",
        "select costs.id from procore.direct_costs as costs left join (select direct_cost_id, sum(amount) as total from \
         procore.direct_cost_lines group by 1) as lines on costs.id = direct_cost_id \
         where total is null or (costs.amount is not null and total <> costs.amount)",
    ),
    (
        "budget changes",
        "select budget.id from procore.budget_rows as budget left join (select wbs_code_id, sum(amount) as total from \
         procore.budget_change_lines where budget_change_status = 'approved' group by 1) as moved \
         on budget.wbs_code_id = moved.wbs_code_id where budget_modifications <> coalesce(total, 0)",
    ),
    (
        "committed cost of the budget",
        "select budget.record_id from pm.budget_lines as budget left join (select project_id, cost_code, cost_type, \
         sum(amount) as total from (select project_id, cost_code, cost_type, lines.amount from pm.commitment_lines as lines \
         join pm.commitments as contracts on commitment_id = contracts.record_id where approval_status = 'approved' \
         union all select project_id, cost_code, cost_type, lines.amount from pm.change_order_lines as lines \
         join pm.change_orders as orders on change_order_id = orders.record_id \
         where kind = 'commitment' and approval_status = 'approved') as committed group by 1, 2, 3) as committed \
         on budget.project_id = committed.project_id and budget.cost_code = committed.cost_code and \
         budget.cost_type = committed.cost_type where committed_amount <> coalesce(total, 0)",
    ),
    (
        "codes and types of lines",
        "select record_id from pm.commitment_lines where cost_code not in (select code from pm.cost_codes) or \
         cost_type not in (select code from pm.cost_types) or cost_code is null or cost_type is null \
         union all select record_id from pm.change_order_lines where cost_code not in (select code from pm.cost_codes) or \
         cost_type not in (select code from pm.cost_types) or cost_code is null or cost_type is null \
         union all select record_id from pm.vendor_invoice_lines where cost_code not in (select code from pm.cost_codes) or \
         cost_type not in (select code from pm.cost_types) or cost_code is null or cost_type is null \
         union all select record_id from pm.job_costs where cost_code not in (select code from pm.cost_codes) or \
         cost_type not in (select code from pm.cost_types) or cost_code is null or cost_type is null",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_document_of_procore_comes_with_its_lines() {
    let (simulator, clock) = firm().await;
    let settings = [("erp_requests", "yes"), ("three_tiers", "yes"), ("budget_view", "standard budget")];
    let source = procore(&simulator, &settings);
    let outcome = run(&source, &options(&clock)).await.unwrap();
    let requests: BTreeMap<&str, u64> =
        outcome.requests.iter().map(|table| (table.table.as_str(), table.requests)).collect();
    let (applications, orders) = {
        let firm = simulator.firm();
        (firm.procore.payment_applications.len() as u64, firm.procore.change_orders.len() as u64)
    };
    assert_eq!(requests["payment_application_details"], applications, "one for each");
    assert_eq!(
        requests["commitment_change_order_lines"] + requests["prime_change_order_lines"],
        orders,
        "one for each"
    );
    for table in &outcome.tables {
        assert!(table.rejects.is_empty(), "{}: {:?}", table.table, table.rejects.first());
        let is_gap = |status| {
            !matches!(status, CoverageStatus::Ok | CoverageStatus::EmptyVerified | CoverageStatus::EmptyUnverified)
        };
        let gap = table.coverage.iter().find(|coverage| is_gap(coverage.status));
        assert!(gap.is_none(), "{}: {gap:?}", table.table);
    }

    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    commit(&engine, &clock, outcome).await;
    let held = held(&simulator);
    for (table, count) in &held {
        let sql = format!("select count(distinct _key), count(*) from (select _key from procore.{table}) as all_of_it");
        assert!(*count > 0, "the firm has no {table}");
        assert_eq!(ask(&engine, &sql).await, [format!("{count} {count}")], "{table}");
    }
    for (what, sql) in TIES {
        assert_eq!(ask(&engine, sql).await, [""; 0], "{what}");
    }
    for entity in [
        "commitment_lines",
        "change_order_lines",
        "vendor_invoice_lines",
        "owner_invoice_lines",
        "budget_lines",
        "job_costs",
    ] {
        let sql = format!(
            "select count(*) > 0, count(*) = count(distinct record_id), count(*) = count(currency) from pm.{entity}"
        );
        assert_eq!(ask(&engine, &sql).await, ["true true true"], "{entity}");
    }
    let events = "select count(*) > 0, count(*) filter (where status = 'success') > 0, count(entity) = count(*), \
                  count(*) filter (where sync_status = 'synced' and synced_at is null) from pm.sync_events";
    assert_eq!(ask(&engine, events).await, ["true true true 0"]);
    let linked = "select count(*) > 0 from pm.sync_events as events join pm.vendor_invoices as invoices \
                  on events.record_id = invoices.record_id where events.entity = 'vendor_invoices'";
    assert_eq!(ask(&engine, linked).await, ["true"]);

    // Nothing happened since: nothing is new.
    let again = run(&source, &options(&clock)).await.unwrap();
    commit(&engine, &clock, again).await;
    for name in source.manifest.tables.iter().map(|table| table.name.as_str()) {
        let sql = format!(
            "select (select count(*) from history.procore_{name}) - (select count(*) from procore.{name}) as more"
        );
        assert_eq!(ask(&engine, &sql).await, ["0"], "{name} changed although nothing happened");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_may_not_be_read_leaves_a_gap_and_no_lie() {
    let (simulator, clock) = firm().await;
    let projects: Vec<String> = {
        let firm = simulator.firm();
        let jobs = firm.procore.projects.values().filter(|project| !project.is_demo);
        jobs.map(|project| project.id.to_string()).collect()
    };
    let [hidden, forbidden] = projects.as_slice() else { panic!("two projects: {projects:?}") };
    let tools = ["direct_costs", "direct_costs/line_items", "budget_views", "payment_applications/show", "wbs_codes"];
    for tool in tools {
        simulator.interference().procore(tool, forbidden, Trouble::Forbidden);
    }
    for tool in
        ["direct_costs", "direct_costs/line_items", "work_order_contracts/line_items", "change_orders/line_items"]
    {
        simulator.interference().procore(tool, hidden, Trouble::SilentEmpty);
    }
    let outcome = run(&procore(&simulator, &[]), &options(&clock)).await.unwrap();
    let of = |name: &str, project: &str, below: bool| -> Vec<CoverageStatus> {
        let coverage = table(&outcome, name).coverage.iter();
        // A line for the list of parents stands beside those of the lists below each.
        let wanted = coverage.filter(|one| one.project.as_deref() == Some(project) && one.scope.contains('/') == below);
        wanted.map(|one| one.status).collect()
    };
    let (of_project, below) = (|name, project| of(name, project, false), |name, project| of(name, project, true));
    for name in ["direct_costs", "direct_cost_lines", "budget_views", "wbs_codes"] {
        assert_eq!(of_project(name, forbidden), [CoverageStatus::Forbidden], "{name}");
    }
    assert_eq!(of_project("budget_rows", forbidden), [CoverageStatus::Forbidden], "nobody knows which views there are");
    let lines = below("payment_application_lines", forbidden);
    assert!(!lines.is_empty() && lines.iter().all(|status| *status == CoverageStatus::Forbidden), "{lines:?}");
    assert_eq!(of_project("payment_applications", forbidden), [CoverageStatus::Ok], "the headers are there");
    for name in ["direct_costs", "direct_cost_lines"] {
        assert_eq!(of_project(name, hidden), [CoverageStatus::EmptyUnverified], "{name}");
    }
    for name in ["work_order_lines", "commitment_change_order_lines", "prime_change_order_lines"] {
        let gaps = below(name, hidden);
        let unproven = gaps.iter().filter(|status| **status == CoverageStatus::EmptyUnverified).count();
        assert!(unproven > 0, "{name}: sums are not zero, so the lists are not empty: {gaps:?}");
        assert!(!gaps.contains(&CoverageStatus::Ok), "{name}: {gaps:?}");
    }
    assert_eq!(below("budget_rows", hidden), [CoverageStatus::Ok], "other tools are read");
    let unread = ["erp_request_details", "change_order_requests"];
    assert!(outcome.tables.iter().all(|table| !unread.contains(&table.table.as_str())), "read only where set");
}

const VIEWS: &str = r#"
[settings.optional]
chosen = ""
extra = ""
[[table]]
name = "views"
parent = "projects"
path = "/views"
query = { project_id = "{parent.id}" }
key = ["id"]
empty = "verified"
[table.columns]
id = "int64"
name = "text"
[[table]]
name = "lines"
parent = "views"
under = { name = "chosen" }
path = "/lines/{parent.id}"
key = ["id"]
empty = "verified"
[table.columns]
id = "int64"
[[table]]
name = "extras"
needs = "extra"
path = "/extras"
key = ["id"]
[table.columns]
id = "int64"
"#;

#[tokio::test]
async fn only_the_chosen_record_is_looked_under_and_the_others_are_let_go() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1},{"id":2}]"#),
        "/views" if seen.query.contains("project_id=1") => {
            ok(r#"[{"id":11,"name":"Field"},{"id":12,"name":"Office"}]"#)
        }
        "/views" => ok(r#"[{"id":21,"name":"Field"}]"#),
        "/extras" => ok(r#"[{"id":1}]"#),
        path if path.starts_with("/lines/") => ok(&format!(r#"[{{"id":{}0}}]"#, path.trim_start_matches("/lines/"))),
        _ => token(seen).unwrap(),
    })
    .await;
    let manifest = format!("{SYSTEM}{VIEWS}");
    let mut source = toy(&server, &manifest);
    let asked = || -> Vec<String> {
        let mut log = server.log.lock().unwrap();
        let paths = log.drain(..).map(|line| line.split('?').next().unwrap().to_owned());
        let mut paths: Vec<String> = paths.filter(|path| path.starts_with("/lines") || path == "/extras").collect();
        paths.sort();
        paths
    };
    let without = run(&source, &options(&clock())).await.unwrap();
    assert_eq!(asked(), ["/lines/11", "/lines/21"], "the first of each project");
    assert!(without.tables.iter().all(|table| table.table != "extras"));

    source.values.insert("chosen".to_owned(), Setting::Plain("office".to_owned()));
    source.values.insert("extra".to_owned(), Setting::Plain("yes".to_owned()));
    let mut options = options(&clock());
    let before = PreviousTable { scopes: ["1/11".to_owned(), "2/21".to_owned()].into(), ..PreviousTable::default() };
    options.previous.tables.insert("lines".to_owned(), before);
    let outcome = run(&source, &options).await.unwrap();
    assert_eq!(asked(), ["/extras", "/lines/12"]);
    assert_eq!(coverage(&outcome, "lines", "1/11").status, CoverageStatus::EmptyVerified, "its rows are closed");
    assert_eq!(coverage(&outcome, "lines", "2/21").status, CoverageStatus::EmptyVerified);
    assert_eq!(rows(&outcome, "lines"), 1);

    source.values.remove("extra");
    options.tables = Some(vec!["extras".to_owned()]);
    let error = run(&source, &options).await.unwrap_err().to_string();
    assert!(error.contains("read only if `extra` is set"), "{error}");
}

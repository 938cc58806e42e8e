//! The shipped ProjectSight manifest and canonical SQL against the simulated firm, from HTTP to `pm.*`: every record once, by
//! pages and through refusals, lines that add up to their headers, the firm's own words, and what may not be read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::util::pretty::pretty_format_batches;
use tieout::clock::{Clock, SharedClock};
use tieout::definitions::Definitions;
use tieout::engine::{Engine, EngineSettings, SessionRequest, SourceBinding};
use tieout::extract::{Manifest, Secret, Setting, SourceOutcome, SourceSettings, run};
use tieout::simulator::firm::model::{ChangeOrderKind, CommitmentKind, Rate};
use tieout::simulator::{ProjectSightOptions, Simulator, SimulatorOptions, System, Trouble, WorkflowStates};
use tieout::warehouse::commit::CommitKind;
use tieout::warehouse::rows::CoverageStatus;
use tieout::warehouse::{CommitHeader, Warehouse};

use super::server::options;

const NOW: &str = "2026-07-15T11:00:00Z";

/// Two projects after some months.
async fn firm() -> (Simulator, SharedClock) {
    let clock = SharedClock::new("2026-03-01T00:00:00Z".parse().unwrap());
    let mut options = SimulatorOptions::new(11, clock.clone());
    options.firm.first_month = (2026, 3);
    options.firm.months = 5;
    options.firm.projects = 2;
    let simulator = Simulator::start(options).await.unwrap();
    simulator.advance_to(NOW.parse().unwrap());
    (simulator, clock)
}

async fn projectsight(simulator: &Simulator, with: ProjectSightOptions) -> SourceSettings {
    let definitions = Definitions::shipped();
    let path = "extractors/projectsight/manifest.toml";
    let at = simulator.serve_projectsight(with).await.unwrap();
    let plain = [("application", &at.scope), ("login_url", &at.login_url)];
    let plain = plain.map(|(name, value)| (name.to_owned(), Setting::Plain(value.clone())));
    let secret = [("client_id", &at.client_id), ("client_secret", &at.client_secret)];
    let secret = secret.map(|(name, value)| (name.to_owned(), Setting::Secret(Secret::new(value.as_str()))));
    let source = SourceSettings {
        name: "projectsight".into(),
        manifest: Manifest::parse(path, definitions.get(path).unwrap()).unwrap(),
        base_url: Some(at.base_url),
        values: plain.into_iter().chain(secret).collect::<BTreeMap<_, _>>(),
        redaction_key: Some(b"a key of the firm's".to_vec()),
        redaction_key_before: None,
        quota: tieout::extract::Quota::default(),
        rules: tieout::extract::SourceRules::default(),
    };
    source.with_defaults().unwrap()
}

async fn open(folder: &Path) -> Arc<Engine> {
    let sources = vec![SourceBinding { name: "projectsight".into(), system: "projectsight".into() }];
    let settings = EngineSettings { sources, ..EngineSettings::default() };
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
    let cells = |row: &str| -> String {
        row.split(" | ").map(|cell| cell.trim_matches(['|', ' ']).to_owned()).collect::<Vec<_>>().join(" ")
    };
    rows.map(cells).collect()
}

/// How many records the firm has of what ProjectSight lists.
fn held(simulator: &Simulator) -> Vec<(&'static str, usize)> {
    let firm = simulator.firm();
    let pm = &firm.procore;
    let is_job = |project: &i64| pm.projects.get(project).is_some_and(|project| !project.is_demo);
    let commitments = pm.commitments.values().filter(|one| is_job(&one.project_id)).count();
    let orders = |kind| pm.change_orders.values().filter(move |one| one.kind == kind);
    vec![
        ("projects", pm.projects.keys().filter(|id| is_job(id)).count()),
        ("companies", pm.vendors.len() + 1),
        ("contracts", commitments + pm.prime_contracts.len()),
        ("subcontract_change_orders", orders(ChangeOrderKind::Commitment).count()),
        ("subcontract_change_order_items", orders(ChangeOrderKind::Commitment).map(|one| one.lines.len()).sum()),
        ("prime_contract_change_orders", orders(ChangeOrderKind::Prime).count()),
        ("contract_invoices", pm.requisitions.len()),
        ("contract_invoice_items", pm.requisitions.values().map(|one| one.items.len()).sum()),
        ("applications_for_payment", pm.payment_applications.len()),
        ("application_for_payment_items", pm.payment_applications.values().map(|one| one.g703.len()).sum()),
        ("job_costs", pm.direct_costs.values().filter(|one| one.status == "approved").count()),
    ]
}

/// Each selects what does not tie.
const TIES: [(&str, &str); 6] = [
    (
        "change orders of subcontracts",
        "select number from pm.change_orders left join (select change_order_id, sum(amount) as total from \
         pm.change_order_lines group by 1) as lines on record_id = change_order_id \
         where kind = 'commitment' and (total is distinct from amount)",
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
         sum(retainage) as retained from pm.owner_invoice_lines group by 1) as lines on record_id = invoice_id \
         where (done is distinct from completed_and_stored) or (retained is distinct from total_retainage) or \
         (total_retainage is distinct from retainage_work + retainage_materials)",
    ),
    (
        "each line of a G703",
        "select record_id from pm.owner_invoice_lines where \
         completed_and_stored is distinct from (from_previous + this_period + materials_stored)",
    ),
    (
        "codes and types of lines",
        "select record_id from pm.change_order_lines where cost_code not in (select code from pm.cost_codes) or \
         cost_type not in (select code from pm.cost_types) or cost_code is null or cost_type is null \
         union all select record_id from pm.vendor_invoice_lines where cost_code not in (select code from pm.cost_codes) or \
         cost_type not in (select code from pm.cost_types) or cost_code is null or cost_type is null \
         union all select record_id from pm.job_costs where cost_code not in (select code from pm.cost_codes) or \
         cost_type not in (select code from pm.cost_types) or cost_code is null or cost_type is null",
    ),
    (
        "parties: no document is with the firm itself",
        "select record_id from pm.commitments where vendor_id not in (select record_id from pm.vendors) \
         union all select record_id from pm.vendor_invoices where vendor_id not in (select record_id from pm.vendors) \
         union all select record_id from pm.prime_contracts where customer_id not in (select record_id from pm.customers) \
         union all select record_id from pm.customers where record_id not in (select record_id from pm.vendors)",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_of_projectsight_comes_once_through_pages_and_refusals() {
    let (simulator, clock) = firm().await;
    // A page of five, and more requests than are allowed in a minute.
    let with = ProjectSightOptions { requests_per_minute: Some(40), page_max: 5, ..ProjectSightOptions::default() };
    let source = projectsight(&simulator, with).await;
    let outcome = run(&source, &options(&clock)).await.unwrap();
    assert!(outcome.run.retries > 0 && outcome.run.waited_seconds > 0, "{:?}", outcome.run);
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
    for (table, count) in held(&simulator) {
        let sql = format!("select count(distinct _key), count(*) from projectsight.{table}");
        assert!(count > 0, "the firm has no {table}");
        assert_eq!(ask(&engine, &sql).await, [format!("{count} {count}")], "{table}");
    }
    for (what, sql) in TIES {
        assert_eq!(ask(&engine, sql).await, [""; 0], "{what}");
    }
    // Money is what the firm has, to the cent, whatever tails its doubles had.
    let firm_total: i64 = {
        let firm = simulator.firm();
        let live = |one: &&tieout::simulator::firm::model::Commitment| one.deleted_at.is_none();
        let is_job = |project| firm.procore.projects.get(&project).is_some_and(|project| !project.is_demo);
        let commitments = firm.procore.commitments.values().filter(live).filter(|one| is_job(one.project_id));
        commitments.map(|one| one.revised_contract.0).sum()
    };
    let sql = "select cast(sum(revised_amount) * 100 as bigint) from pm.commitments";
    assert_eq!(ask(&engine, sql).await, [firm_total.to_string()]);

    // Nothing happened since: nothing is new.
    let again = run(&source, &options(&clock)).await.unwrap();
    commit(&engine, &clock, again).await;
    for name in source.manifest.tables.iter().map(|table| table.name.as_str()) {
        let sql = format!(
            "select (select count(*) from history.projectsight_{name}) - (select count(*) from projectsight.{name})"
        );
        assert_eq!(ask(&engine, &sql).await, ["0"], "{name} changed although nothing happened");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purchase_orders_stand_beside_contracts_of_the_same_number() {
    let (simulator, clock) = firm().await;
    {
        let mut firm = simulator.firm_mut();
        let orders = firm.procore.commitments.values_mut().filter(|one| one.kind == CommitmentKind::PurchaseOrder);
        orders.for_each(|one| one.retainage_percent = Rate(0));
    }
    let with = ProjectSightOptions { requests_per_minute: None, ..ProjectSightOptions::default() };
    let source = projectsight(&simulator, with).await;
    let outcome = run(&source, &options(&clock)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    commit(&engine, &clock, outcome).await;
    let sql = "select count(*) > 0, count(*) = count(distinct record_id), count(distinct kind) from pm.commitments";
    assert_eq!(ask(&engine, sql).await, ["true true 2"]);
    let both =
        "select count(*) > 0 from projectsight.contracts join projectsight.purchase_orders on contract_id = po_id";
    assert_eq!(ask(&engine, both).await, ["true"], "ids are counted apart");
    let items = "select number from pm.commitments left join (select commitment_id, sum(amount) as total from \
                 pm.commitment_lines group by 1) as lines on record_id = commitment_id \
                 where kind = 'purchase_order' and (total is distinct from revised_amount)";
    assert_eq!(ask(&engine, items).await, [""; 0]);
    let invoices = "select count(*) > 0, count(*) = count(commitments.record_id), sum(retainage_amount) = 0 from \
                    pm.vendor_invoices as invoices left join pm.commitments as commitments \
                    on commitments.record_id = invoices.commitment_id and commitments.kind = 'purchase_order' \
                    where invoices.record_id like '%|G%'";
    assert_eq!(ask(&engine, invoices).await, ["true true true"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_counts_in_the_budget_is_approved_whatever_it_is_called() {
    let (simulator, clock) = firm().await;
    let states = WorkflowStates::default().calling("approved", "Released to Field");
    let with = ProjectSightOptions { requests_per_minute: None, states, ..ProjectSightOptions::default() };
    let source = projectsight(&simulator, with).await;
    let outcome = run(&source, &options(&clock)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    commit(&engine, &clock, outcome).await;
    let approved = "select count(*) filter (where approval_status = 'approved') > 0 from pm";
    for (entity, is_told) in [("commitments", "true"), ("vendor_invoices", "true"), ("owner_invoices", "false")] {
        // Applications for payment tell no such flag: their word is not known, and they are pending.
        assert_eq!(ask(&engine, &format!("{approved}.{entity}")).await, [is_told], "{entity}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_moves_is_read_again_and_one_that_is_refused_leaves_a_gap() {
    let (simulator, clock) = firm().await;
    let with = ProjectSightOptions { requests_per_minute: None, page_max: 5, ..ProjectSightOptions::default() };
    let source = projectsight(&simulator, with).await;
    let interference = simulator.interference();
    interference.burst(System::ProjectSight, "contractInvoices", Trouble::MidScanDelete, 1);
    interference.burst(System::ProjectSight, "budgets", Trouble::Truncated, 1);
    interference.burst(System::ProjectSight, "applicationsForPayment", Trouble::Forbidden, 1);
    let outcome = run(&source, &options(&clock)).await.unwrap();
    let table = |name: &str| outcome.tables.iter().find(|table| table.table == name).unwrap();
    let statuses = |name: &str| table(name).coverage.iter().map(|coverage| coverage.status).collect::<Vec<_>>();
    assert!(statuses("applications_for_payment").contains(&CoverageStatus::Forbidden));
    let is_whole = |name: &str| {
        let is_read = |status: &CoverageStatus| !matches!(status, CoverageStatus::Partial | CoverageStatus::Failed);
        statuses(name).iter().all(is_read)
    };
    assert!(is_whole("contract_invoices") && is_whole("budgets"));
    let rows: u64 = table("contract_invoices").coverage.iter().map(|coverage| coverage.rows).sum();
    assert_eq!(rows, simulator.firm().procore.requisitions.len() as u64);
}

//! Every table and view of every schema is planned, logically and physically, and read: over a warehouse that holds
//! nothing and over one that holds two snapshots of both systems, with one partition and with two.
//!
//! The planner's rules differ by the number of partitions, so a view that a laptop reads may fail on a server.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use tieout::clock::{Clock, SharedClock};
use tieout::definitions::Definitions;
use tieout::engine::{Engine, EngineSettings, SessionRequest, SourceBinding};
use tieout::simulator::{RateLimits, Simulator, SimulatorOptions};
use tieout::warehouse::commit::CommitKind;
use tieout::warehouse::{CommitHeader, Warehouse};

use super::truth::write_workspace;

const MOMENTS: [&str; 2] = ["2026-04-01T11:00:00Z", "2026-05-01T11:00:00Z"];
const PARTITIONS: [usize; 2] = [1, 2];
/// Planning in a debug build needs more stack than a test thread has.
const STACK_BYTES: usize = 64 << 20;
/// The schemas that people are told of; a source's own tables are in the schema of its name.
const SCHEMAS: [&str; 10] = ["acumatica", "audit", "erp", "history", "link", "meta", "pm", "procore", "recon", "trend"];
/// The schemas whose views are more than a scan, and are sorted too.
const VIEWS: [&str; 6] = ["audit", "erp", "link", "pm", "recon", "trend"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_is_planned_and_read_whatever_the_partitions() {
    let (empty, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    extract(full.path()).await;
    Warehouse::open_or_create(empty.path().to_str().unwrap()).await.unwrap();
    let folders = [(empty.path().to_path_buf(), false), (full.path().join("warehouse"), true)];
    let threads = PARTITIONS.map(|partitions| {
        let folders = folders.clone();
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut failures = Vec::new();
                for (folder, is_full) in &folders {
                    failures.extend(read_all(folder, *is_full, partitions).await);
                }
                failures
            })
        };
        std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).unwrap()
    });
    let failures: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Two snapshots, by the real program.
pub(super) async fn extract(folder: &Path) {
    let mut options = SimulatorOptions::new(5, SharedClock::new("2026-03-01T00:00:00Z".parse().unwrap()));
    options.firm.first_month = (2026, 3);
    options.firm.months = 2;
    options.firm.projects = 2;
    options.procore_limits = RateLimits { hour: u32::MAX, spike: u32::MAX, spike_seconds: 10 };
    options.acumatica_licence.requests_per_minute = None;
    let simulator = Simulator::start(options).await.unwrap();
    write_workspace(folder, &simulator);
    for moment in MOMENTS {
        simulator.advance_to(moment.parse().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_tieout"));
        let output = command.current_dir(folder).args(["extract", "--no-progress", "--now", moment]).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 5)), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What could not be read of one warehouse.
async fn read_all(folder: &Path, is_full: bool, partitions: usize) -> Vec<String> {
    let source = |name: &str| SourceBinding { name: name.to_owned(), system: name.to_owned() };
    let settings = EngineSettings {
        sources: vec![source("procore"), source("acumatica")],
        partitions: Some(partitions),
        workspace: Some(folder.to_owned()),
        ..EngineSettings::default()
    };
    let warehouse = Warehouse::open(folder.to_str().unwrap()).await.unwrap();
    let engine = Engine::open(warehouse, Definitions::shipped(), settings).await.unwrap();
    let session = engine.session(&SessionRequest::default()).await.unwrap();
    assert_eq!(session.state().config().target_partitions(), partitions);
    let catalog = session.catalog("tieout").unwrap();
    let schemas = catalog.schema_names();
    assert!(SCHEMAS.iter().all(|name| schemas.iter().any(|found| found == name)), "{schemas:?}");

    let mut failures = Vec::new();
    for schema in schemas {
        let tables = catalog.schema(&schema).unwrap().table_names();
        assert!(!tables.is_empty() || !SCHEMAS.contains(&schema.as_str()), "{schema} is empty");
        for table in tables {
            let name = format!("{schema}.{table}");
            // The empty one is read as it stands.
            let query = if VIEWS.contains(&schema.as_str()) && is_full {
                format!("select distinct * from {name} order by 1 desc limit 3")
            } else {
                format!("select * from {name}")
            };
            if let Err(error) = read(&session, &query).await {
                failures.push(format!("{} in {partitions} partitions: {query}: {error}", folder.display()));
            }
        }
    }
    failures.extend(judge(&engine).await.into_iter().map(|error| format!("{partitions} partitions: {error}")));
    failures
}

async fn read(session: &SessionContext, query: &str) -> Result<(), String> {
    let state = session.state();
    let failed = |step: &'static str| move |error| format!("{step}: {error}");
    let plan = state.create_logical_plan(query).await.map_err(failed("plan"))?;
    let plan = state.optimize(&plan).map_err(failed("optimise"))?;
    let plan = state.create_physical_plan(&plan).await.map_err(failed("plan physically"))?;
    collect(plan, session.task_ctx()).await.map_err(failed("execute")).map(drop)
}

/// Checks read kept parts of the model, so their plans are not those of a person's query.
async fn judge(engine: &Arc<Engine>) -> Vec<String> {
    let clock = Clock::given(MOMENTS[1].parse().unwrap());
    let header = CommitHeader {
        kind: CommitKind::Extract,
        clock: &clock,
        definitions: engine.definitions().hash(),
        runs: Vec::new(),
        observed_at: clock.now(),
    };
    let mut prepared = engine.warehouse().prepare(header).await.unwrap();
    engine.record_coverage(&mut prepared).await.unwrap();
    let checks = engine.evaluate(&mut prepared).await.unwrap().checks;
    assert!(!checks.is_empty());
    let failed = |check: tieout::engine::CheckResult| check.error.map(|error| format!("{}: {error}", check.check));
    checks.into_iter().filter_map(failed).collect()
}

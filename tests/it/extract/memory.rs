//! Tables that are larger than what a run holds in memory: their rows wait on the disk, and nothing of them is lost.

use tieout::warehouse::commit::CommitKind;
use tieout::warehouse::{CommitHeader, Warehouse};

use super::*;

/// Of each record: some seventy of them are more than a run holds of a table.
const NOTE_BYTES: usize = 128 << 10;
const PROJECTS: usize = 5;
const EACH: usize = 24;

/// The contracts of a project, each with a long note: 0.25 to 23.25.
fn contracts(project: usize) -> String {
    let record = |place: usize| {
        let note = format!("{project}/{place} ").repeat(NOTE_BYTES / 5);
        format!("{{\"id\":{project}{place:03},\"total\":\"{place}.25\",\"note\":\"{note}\"}}")
    };
    format!("[{}]", (0..EACH).map(record).collect::<Vec<_>>().join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_beyond_a_few_megabytes_wait_on_the_disk_and_are_committed() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => {
            ok(&format!("[{}]", (1..=PROJECTS).map(|id| format!("{{\"id\":{id}}}")).collect::<Vec<_>>().join(",")))
        }
        "/contracts" => {
            let project = seen.query.split("project_id=").nth(1).unwrap().split('&').next().unwrap();
            ok(&contracts(project.parse().unwrap()))
        }
        _ => token(seen).unwrap(),
    })
    .await;
    let outcome = extract(&server, &format!("{SYSTEM}{CONTRACTS}")).await;
    let input = table(&outcome, "contracts");
    let spooled = input.spooled.as_ref().expect("rows on the disk");
    let held: usize = input.batches.iter().map(arrow::array::RecordBatch::get_array_memory_size).sum();
    assert!(spooled.rows() > 0 && held < 9 << 20, "{} rows on the disk, {held} bytes held", spooled.rows());
    assert_eq!(rows(&outcome, "contracts"), PROJECTS * EACH);

    let folder = tempfile::tempdir().unwrap();
    let warehouse = Warehouse::open_or_create(folder.path().to_str().unwrap()).await.unwrap();
    // Twice, as a run does before which another one committed.
    for _ in 0..2 {
        let clock = Clock::Shared(clock());
        let header = CommitHeader {
            kind: CommitKind::Extract,
            clock: &clock,
            definitions: String::new(),
            runs: vec![outcome.run.clone()],
            observed_at: outcome.run.observed_at,
        };
        let mut prepared = warehouse.prepare(header).await.unwrap();
        prepared.add_all(outcome.tables.iter().cloned()).await.unwrap();
        let published = warehouse.publish(prepared).await.unwrap();
        let commit = published.last().unwrap();
        let contracts = commit.tables.iter().find(|table| table.table == "contracts").unwrap();
        assert_eq!(contracts.rows, (PROJECTS * EACH) as u64);
        assert_eq!(contracts.control_totals["total"], "1410.00");
    }
}

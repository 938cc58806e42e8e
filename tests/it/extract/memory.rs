//! Tables that are larger than what a run holds in memory: their rows wait on the disk, and nothing of them is lost.

use tieout::extract::{RunOptions, StagingPlace};
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

const BILLS: &str = r#"
[system]
name = "toy"
side = "erp"
protocol = "rest"
[settings]
required = ["client_id", "client_secret"]
secret = ["client_id", "client_secret"]
[rest]
auth = [{ kind = "oauth2_client_credentials", token_url = "/oauth/token", client_id = "{client_id}", client_secret = "{client_secret}" }]
[[table]]
name = "bills"
path = "/bills"
key = ["id"]
ignore = ["lines"]
paging = { kind = "link_header", per_page = 20 }
[table.columns]
id = "int64"
status = "text"
[[table]]
name = "bill_lines"
embedded = { table = "bills", path = "lines" }
key = ["bill", "line"]
[table.columns]
bill = { type = "int64", parent = "id" }
line = { type = "int64", position = true }
amount = "decimal(18,2)"
"#;

/// Bills of a list that is packed several times over.
const LONG: usize = 150;
const PER_PAGE: usize = 20;

/// A bill whose lines' amounts tell its version.
fn bill(id: usize, version: usize, lines: usize) -> String {
    let note = format!("{id}/{version} ").repeat(NOTE_BYTES / 5);
    let lines: Vec<String> = (1..=lines).map(|line| format!("{{\"amount\":\"{id}.{version}{line}\"}}")).collect();
    format!(r#"{{"id":{id},"status":"v{version}","note":"{note}","lines":[{}]}}"#, lines.join(","))
}

/// Page by page; the first bill comes once more on the last page, changed meanwhile, with a line less.
fn page_of_bills(query: &str) -> axum::response::Response {
    let page: usize = query.split("page=").nth(1).and_then(|rest| rest.split('&').next()?.parse().ok()).unwrap();
    let ids = 1 + (page - 1) * PER_PAGE..=(page * PER_PAGE).min(LONG);
    let is_last = *ids.end() == LONG;
    let mut bills: Vec<String> = ids.map(|id| bill(id, 1, 2)).collect();
    if is_last {
        bills.push(bill(1, 2, 1));
    }
    let next = format!("</bills?page={}>; rel=\"next\"", page + 1);
    answer(
        200,
        &[("link", if is_last { "</bills?page=1>; rel=\"first\"" } else { &next })],
        &format!("[{}]", bills.join(",")),
    )
}

/// Key and typed columns of all rows of a table, in order.
fn cells(outcome: &SourceOutcome, name: &str) -> Vec<String> {
    let input = table(outcome, name);
    let spooled = input.spooled.iter().flat_map(|rows| rows.read(|_| true).unwrap()).map(Result::unwrap);
    let mut rows = Vec::new();
    for batch in spooled.chain(input.batches.iter().cloned()) {
        let names = batch.schema();
        let wanted = names
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| field.name() == "_key" || !field.name().starts_with('_'));
        let wanted: Vec<usize> = wanted.map(|(place, _)| place).collect();
        let shown = arrow::util::pretty::pretty_format_batches(&[batch.project(&wanted).unwrap()]).unwrap();
        rows.extend(shown.to_string().lines().filter(|line| line.starts_with("| ")).skip(1).map(str::to_owned));
    }
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_too_long_to_be_held_as_it_is_gives_what_a_short_one_gives() {
    let server = serve(|seen| match seen.path.as_str() {
        "/bills" => page_of_bills(&seen.query),
        _ => token(seen).unwrap(),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let staging = StagingPlace {
        path: StagingPlace::path(folder.path(), "toy", "w1"),
        base: "w1 7".to_owned(),
        bytes_max: 1 << 30,
        resumes: true,
    };
    let options = RunOptions { staging: Some(staging), ..options(&clock()) };
    let source = source(&server, BILLS);
    let first = run(&source, &options).await.unwrap();
    assert!(first.run.incomplete_tables.is_empty(), "{:?}", first.tables);
    let (bills, lines) = (cells(&first, "bills"), cells(&first, "bill_lines"));
    // The later version of the first bill stands for it, with its lines and without those of the earlier one.
    assert_eq!((bills.len(), lines.len()), (LONG, 2 * LONG - 1));
    let of_first: Vec<&String> =
        bills.iter().chain(&lines).filter(|row| row.starts_with("| 1 ") || row.starts_with("| 1|")).collect();
    assert!(of_first.len() == 2 && of_first[0].contains("v2") && of_first[1].contains("1.21"), "{of_first:?}");
    assert_eq!(bills.iter().filter(|row| row.contains("v1")).count(), LONG - 1);
    assert_eq!(coverage(&first, "bill_lines", "").status, CoverageStatus::Ok);

    // A run that goes on where the first was before its commit asks for nothing.
    server.log.lock().unwrap().clear();
    let resumed = run(&source, &options).await.unwrap();
    assert_eq!(resumed.resumed, 1);
    assert!(!server.log.lock().unwrap().iter().any(|line| line.starts_with("/bills")));
    assert_eq!((cells(&resumed, "bills"), cells(&resumed, "bill_lines")), (bills, lines));
}

//! Sage Intacct as the ERP of the simulated firm, by the real binary over real HTTP.
//!
//! The checks find what went wrong and nothing else; what the interface leaves open is read the same either way; what may not be
//! read makes checks silent, never clean. `TIEOUT_PAIR_SEEDS=1,2,…` gives other firms.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use tieout::simulator::{IntacctEndpoint, IntacctOptions, Simulator};

use crate::pairs::{self, Pair, tieout};

/// Firms that together show most failure modes.
const SEEDS: &str = "2,8";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checks_find_with_sage_intacct_what_was_injected_and_nothing_else() {
    let seeds = env::var("TIEOUT_PAIR_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let (mut shown, mut differences) = (BTreeSet::new(), String::new());
    for seed in seeds.split(',') {
        let seed: u64 = seed.trim().parse().unwrap();
        let simulator = Simulator::start(pairs::options(seed, 7, 4)).await.unwrap();
        let endpoint = simulator.serve_intacct(IntacctOptions::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_workspace(folder.path(), &simulator, &endpoint);
        let pair = Pair::PROCORE_SAGE_INTACCT;
        let (checks, text) = pairs::compare_at_moments(pair, &simulator, folder.path(), &format!("seed {seed}")).await;
        shown.extend(checks);
        if !text.is_empty() {
            writeln!(differences, "{text}seed {seed}: see {}", folder.keep().display()).unwrap();
        }
    }
    assert!(shown.len() > 40, "the seeds {seeds} show only {shown:?}");
    assert!(differences.is_empty(), "found and injected differ:\n{differences}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_interface_leaves_open_is_read_the_same_either_way() {
    let refused = [("accounts-payable/bill-line", "dimensions.costType.id"), ("purchasing/document", "entity.id")];
    let other = IntacctOptions {
        is_nested: true,
        has_plain_errors: true,
        page_max: Some(37),
        refused: refused.map(|(object, field)| (object.to_owned(), field.to_owned())).to_vec(),
        forbidden: vec!["company-config/audit-history".to_owned()],
        ..IntacctOptions::default()
    };
    let simulator = Simulator::start(pairs::options(3, 3, 2)).await.unwrap();
    simulator.advance_to("2026-10-01T11:00:00Z".parse().unwrap());
    let mut read = Vec::new();
    for options in [IntacctOptions::default(), other] {
        let endpoint = simulator.serve_intacct(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_workspace(folder.path(), &simulator, &endpoint);
        let before = endpoint.transactions();
        tieout(folder.path(), &["extract", "--now", "2026-10-01T11:00:00Z", "--no-progress"]);
        let counts = "select 'bills' as what, count(*) as records, sum(gross_amount) as amount from erp.vendor_invoices \
             union all select 'orders', count(*), sum(revised_amount) from erp.commitments \
             union all select 'changes', count(*), sum(amount) from erp.change_orders \
             union all select 'costs ' || coalesce(cost_type, '?'), count(*), sum(amount) from erp.job_costs group by cost_type \
             union all select 'balances', count(*), sum(closing) from erp.account_balances order by 1";
        read.push(query(folder.path(), counts));
        let held =
            query(folder.path(), "select source, percent_used, allowance, request_count from meta.monthly_requests");
        let intacct = held.iter().find(|row| row["source"] == "sage_intacct").unwrap();
        assert_eq!(intacct["allowance"], 100_000, "{held:?}");
        // Signing in is a request too, but no transaction.
        let asked = endpoint.transactions() - before;
        assert_eq!(intacct["request_count"].as_u64().unwrap(), asked + 1);
    }
    assert!(read[0].len() > 6 && read[0].iter().all(|row| row["records"].as_u64().unwrap() > 0), "{:?}", read[0]);
    assert_eq!(read[0], read[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_read_makes_no_check_clean() {
    let forbidden = vec!["accounts-payable/bill".to_owned(), "purchasing/document".to_owned()];
    let simulator = Simulator::start(pairs::options(3, 3, 2)).await.unwrap();
    simulator.advance_to("2026-10-01T11:00:00Z".parse().unwrap());
    let endpoint = simulator.serve_intacct(IntacctOptions { forbidden, ..IntacctOptions::default() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_workspace(folder.path(), &simulator, &endpoint);
    tieout(folder.path(), &["extract", "--now", "2026-10-01T11:00:00Z", "--no-progress"]);
    let verdicts = query(
        folder.path(),
        "select check_id, verdict from recon.check_runs where is_latest and project_id is null and check_id in ('M1', 'I2', 'I4', 'T1')",
    );
    assert_eq!(verdicts.len(), 4);
    for row in verdicts {
        assert_eq!(row["verdict"], "not_evaluated", "{row}");
    }
    let told = query(folder.path(), "select status, error from meta.coverage where table_name = 'bills'");
    assert_eq!(told[0]["status"], "forbidden");
    assert!(told[0]["error"].as_str().unwrap().contains("PL04000005"), "{told:?}");
}

fn query(folder: &Path, sql: &str) -> Vec<Value> {
    serde_json::from_slice(&tieout(folder, &["sql", "--format", "json", "--", sql])).unwrap()
}

/// Procore and Sage Intacct. The accounts of retainage are told by no object until retainage is released.
fn write_workspace(folder: &Path, simulator: &Simulator, endpoint: &IntacctEndpoint) {
    let (procore, files) = pairs::procore(simulator);
    let intacct = format!(
        "[sources.sage_intacct]\nkind = \"sage_intacct\"\nbase_url = \"{}\"\nclient_id = \"{}\"\n\
         client_secret = {{ file = \"intacct_secret\" }}\nusername = \"{}\"\n\n[accounts]\nretainage_payable = [\"20100\"]\n",
        endpoint.base_url, endpoint.client_id, endpoint.username
    );
    let files = files.iter().map(|(name, text)| (*name, text.as_str()));
    let files: Vec<(&str, &str)> = files.chain([("intacct_secret", endpoint.client_secret.as_str())]).collect();
    pairs::write_workspace_of(folder, &[procore, intacct], &files);
}

//! What the checks find against what the simulated firm knows went wrong, by the real binary over real HTTP.
//!
//! Both ways: nothing that is wrong is missed, nothing else is reported, and what is reported costs what the fault costs. What
//! is within a check's grace may be in flight. `TIEOUT_TRUTH_SEEDS=1,2,…` gives other firms than those that always run,
//! `TIEOUT_TRUTH_PROJECTS` larger ones, `TIEOUT_TRUTH_MONTHS` older ones, whose projects end.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::path::Path;

use tieout::simulator::Simulator;
use tokio::task::JoinSet;

pub(crate) use crate::pairs::tieout;
use crate::pairs::{self, CHECKS, Pair};

/// Firms that together show every failure mode.
const SEEDS: &str = "2,3,8";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checks_find_what_was_injected_and_nothing_else() {
    let seeds = env::var("TIEOUT_TRUTH_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let mut firms = JoinSet::new();
    for seed in seeds.split(',') {
        firms.spawn(compare_firm(seed.trim().parse().unwrap()));
    }
    let (mut shown, mut differences) = (BTreeSet::new(), String::new());
    while let Some(done) = firms.join_next().await {
        let (checks, text) = done.unwrap();
        shown.extend(checks);
        differences += &text;
    }
    let missing: Vec<&&str> = CHECKS.iter().filter(|check| !shown.contains(**check)).collect();
    // What befalls other firms than these is chance.
    if seeds == SEEDS && !missing.is_empty() {
        writeln!(differences, "the seeds {seeds} do not show {missing:?}").unwrap();
    }
    assert!(differences.is_empty(), "found and injected differ:\n{differences}");
}

/// Lets a firm live, compares at each moment, and returns the checks that had something to find, and the differences.
async fn compare_firm(seed: u64) -> (BTreeSet<String>, String) {
    let given = |name: &str, usual: u32| env::var(name).map_or(usual, |text| text.parse().unwrap());
    let (months, projects) = (given("TIEOUT_TRUTH_MONTHS", 7), given("TIEOUT_TRUTH_PROJECTS", 4));
    let simulator = Simulator::start(pairs::options(seed, months, projects)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_workspace(folder.path(), &simulator);
    ask_for_erp_requests(folder.path());
    let place = format!("seed {seed}");
    let pair = Pair::PROCORE_ACUMATICA;
    let (shown, mut differences) = pairs::compare_at_moments(pair, &simulator, folder.path(), &place).await;
    if !differences.is_empty() {
        writeln!(differences, "seed {seed}: see {}", folder.keep().display()).unwrap();
    }
    (shown, differences)
}

pub(crate) fn write_workspace(folder: &Path, simulator: &Simulator) {
    let (procore, acumatica) = (simulator.procore(), simulator.acumatica());
    let settings = format!(
        "[firm]\nname = \"Truth Builders\"\ntimezone = \"America/Chicago\"\n\n\
         [sources.procore]\nkind = \"procore\"\nbase_url = \"{}\"\nlogin_url = \"{}\"\ncompany_id = \"{}\"\n\
         client_id = {{ file = \"procore_id\" }}\nclient_secret = {{ file = \"procore_secret\" }}\n\n\
         [sources.acumatica]\nkind = \"acumatica\"\nbase_url = \"{}\"\ntenant = \"{}\"\n\
         username = {{ file = \"acumatica_user\" }}\npassword = {{ file = \"acumatica_password\" }}\n",
        procore.base_url, procore.login_url, procore.company_id, acumatica.base_url, acumatica.tenant
    );
    for (name, text) in [
        ("tieout.toml", settings),
        ("procore_id", procore.client_id),
        ("procore_secret", procore.client_secret),
        ("acumatica_user", acumatica.username),
        ("acumatica_password", acumatica.password),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// Here the service user may read the connector's requests.
fn ask_for_erp_requests(folder: &Path) {
    let path = folder.join("tieout.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let told = text.replacen("kind = \"procore\"\n", "kind = \"procore\"\nerp_requests = \"yes\"\n", 1);
    assert_ne!(text, told);
    std::fs::write(path, told).unwrap();
}

/// The firm's own one-to-many links, as a person would keep them.
pub(crate) fn write_crosswalk(folder: &Path, simulator: &Simulator) {
    pairs::write_crosswalks(folder, simulator.firm().crosswalk());
}

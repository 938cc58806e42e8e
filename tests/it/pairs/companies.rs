//! Two PM companies with one ERP: the simulated firm's projects are shared out between two Procore companies, and its books are one.
//!
//! Both companies have the same directory and the same ids, which mean the same thing to nobody but us: the second one's carry its name.
//! What the firm knows went wrong on a project must be found once, by the company that has it; what concerns vendors and codes may be found by
//! both. Amounts at risk of those are of each company's own documents, and add up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use tieout::simulator::{Firm, Simulator};

use super::{
    CHECKS, Crossing, Expected, Expecting, Found, MOMENTS, Pair, SELDOM, asked, compare, conserved, options, run,
    verdicts,
};

/// The second company, whose name stands in front of its keys.
const SECOND: &str = "second_procore";
/// Checks of what both companies have a record of: vendors, customers, codes, and what is stored on them. Here the two are one company by two
/// names, whose list of the connector's requests (S1, S2) is read for both.
const SHARED: [&str; 18] =
    ["V1", "V2", "V3", "V4", "V5", "C1", "C2", "C3", "C4", "C5", "K1", "R1", "R2", "R3", "W1", "W2", "S1", "S2"];
/// Of three records that are late each company may have two: then no connector is known to be dead.
const LEFT_OUT: [&str; 1] = ["L2"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: .ci/long"]
async fn two_pm_companies_with_one_erp_tell_what_went_wrong_in_both() {
    let seeds = std::env::var("TIEOUT_PAIR_SEEDS").unwrap_or_else(|_| "2".to_owned());
    for seed in seeds.split(',') {
        compare_firm(seed.trim().parse().unwrap()).await;
    }
}

async fn compare_firm(seed: u64) {
    let simulator = Simulator::start(options(seed, 7, 4)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::PROCORE_ACUMATICA;
    let (mut expecting, mut differences) = (Expecting::new(pair), String::new());
    for moment in MOMENTS {
        let now: DateTime<Utc> = moment.parse().unwrap();
        simulator.advance_to(now);
        write_workspace(folder.path(), &simulator, Some(SECOND));
        super::write_crosswalks(folder.path(), &crossings(&simulator.firm()));
        run(folder.path(), &["extract", "--now", moment, "--no-progress"]).await;
        let place = format!("seed {seed} {moment}");
        let found = of_both(&mut differences, &place, super::found(folder.path()).await);
        let expected: BTreeMap<String, Expected> = expecting.look(&simulator.firm(), now);
        for check in CHECKS.iter().chain(&SELDOM).filter(|check| !LEFT_OUT.contains(check)) {
            compare(&mut differences, &place, check, &found, expected.get(*check).unwrap_or(&Expected::default()));
        }
        assert!(
            expected.values().map(|of_check| of_check.all.len()).sum::<usize>() > 20,
            "{place}: too little went wrong"
        );
        for (source, count) in projects_read(folder.path()).await {
            if count == 0 {
                writeln!(differences, "{place}: {source} has no project").unwrap();
            }
        }
        conserved(&mut differences, &place, folder.path()).await;
        verdicts(&mut differences, &place, folder.path(), pair, Some(&moment) == MOMENTS.last()).await;
    }
    let kept = (!differences.is_empty()).then(|| folder.keep());
    assert!(kept.is_none(), "found and injected differ, see {kept:?}:\n{differences}");
}

/// What either company found, under the firm's own keys.
fn of_both(differences: &mut String, place: &str, found: Vec<Found>) -> Vec<Found> {
    let mut by_key: BTreeMap<(String, String), Found> = BTreeMap::new();
    let prefix = format!("{SECOND}:");
    for row in found {
        let key = row.key.replace(&prefix, "");
        let Some(known) = by_key.get_mut(&(row.check.clone(), key.clone())) else {
            by_key.insert((row.check.clone(), key.clone()), Found { key, ..row });
            continue;
        };
        if !SHARED.contains(&row.check.as_str()) {
            writeln!(differences, "{place} {}: both companies found {key}", row.check).unwrap();
        }
        known.is_open |= row.is_open;
        known.at_risk_cents = known.at_risk_cents.zip(row.at_risk_cents).map(|(one, other)| one + other);
    }
    by_key.into_values().collect()
}

/// Whether the second company has a project: every other one is its.
fn is_seconds(firm: &Firm, project: &str) -> bool {
    let place = firm.procore.projects.keys().position(|id| id.to_string() == project);
    place.is_some_and(|place| place % 2 == 1)
}

/// The firm's own pairs in the keys of the company that has the record.
fn crossings(firm: &Firm) -> Vec<Crossing> {
    let own = (Pair::PROCORE_ACUMATICA.crossings)(firm).into_iter();
    let keyed = |(entity, pm_id, erp_id): Crossing| {
        assert_eq!(entity, "vendor_invoices");
        let requisition = firm.procore.requisitions.values().find(|one| one.id.to_string() == pm_id).unwrap();
        let seconds = is_seconds(firm, &requisition.project_id.to_string());
        (entity, if seconds { format!("{SECOND}:{pm_id}") } else { pm_id }, erp_id)
    };
    own.map(keyed).collect()
}

async fn projects_read(folder: &Path) -> Vec<(String, i64)> {
    let query = "select source, count(distinct record_id) as projects from pm.projects group by source";
    let rows = asked(folder, query).await;
    let sources: BTreeSet<&str> = rows.iter().filter_map(|row| row["source"].as_str()).collect();
    assert_eq!(sources, BTreeSet::from(["procore", SECOND]));
    let read =
        |row: &serde_json::Value| (row["source"].as_str().unwrap().to_owned(), row["projects"].as_i64().unwrap());
    rows.iter().map(read).collect()
}

/// Each company is asked for its own projects alone.
fn write_workspace(folder: &Path, simulator: &Simulator, second: Option<&str>) {
    crate::truth::write_workspace(folder, simulator);
    let firm = simulator.firm();
    let ids = |seconds: bool| {
        let ids = firm.procore.projects.keys().map(ToString::to_string).filter(|id| is_seconds(&firm, id) == seconds);
        format!("erp_requests = \"yes\"\nprojects = [{}]\n", ids.collect::<Vec<_>>().join(", "))
    };
    let path = folder.join("tieout.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    let mut told = settings.replacen("kind = \"procore\"\n", &format!("kind = \"procore\"\n{}", ids(false)), 1);
    assert_ne!(told, settings);
    if let Some(second) = second {
        let (section, _) = super::procore(simulator);
        let section = section.replacen("[sources.procore]", &format!("\n[sources.{second}]"), 1);
        told += &section.replacen("erp_requests = \"yes\"\n", &ids(true), 1);
    }
    std::fs::write(path, told).unwrap();
}

/// Keys that people, crosswalks and waivers know are those of the company that was read first, whatever the next one is called.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_company_that_comes_first_by_name_renames_nothing() {
    let simulator = Simulator::start(options(2, 5, 2)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let open = "select exception_key from recon.exceptions where opened_commit = 1 and check_id in ('O1', 'O3', 'I2', 'I4', 'M1', 'M2', 'P1', 'T1') \
                order by 1";
    let projects = "select record_id from pm.projects where source = 'procore' order by 1";
    simulator.advance_to("2026-10-01T11:00:00Z".parse().unwrap());
    write_workspace(folder.path(), &simulator, None);
    run(folder.path(), &["extract", "--now", "2026-10-01T11:00:00Z", "--no-progress"]).await;
    let before = (asked(folder.path(), open).await, asked(folder.path(), projects).await);
    assert!(before.0.len() > 3 && before.1.len() == 1, "{before:?}");
    write_workspace(folder.path(), &simulator, Some("another_procore"));
    run(folder.path(), &["extract", "--now", "2026-10-01T12:00:00Z", "--no-progress"]).await;
    assert_eq!((asked(folder.path(), open).await, asked(folder.path(), projects).await), before);
    let others = "select record_id from pm.projects where source = 'another_procore'";
    let others = asked(folder.path(), others).await;
    assert_eq!(others.len(), 1);
    assert!(others[0]["record_id"].as_str().unwrap().starts_with("another_procore:"), "{others:?}");
    // Nor in a look at what was known before it came.
    let then = projects.replace("pm.projects", "as_of('pm.projects', 'commit:1')");
    assert_eq!(asked(folder.path(), &then).await, before.1);
}

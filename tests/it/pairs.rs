//! Pairs of systems in front of the simulated firm: what the checks find against what the firm knows went wrong.
//!
//! Owns the comparison, both ways, for any two systems. The firm keeps its books as Procore and Acumatica have them; another
//! system shows the same records under keys of its own, tells less, or tells it otherwise. That is a [`Pair`]. Invariant: what a
//! pair cannot show is named, and its check then says `not_applicable` or `not_evaluated`: silence is never a clean bill.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use serde_json::Value;
use tieout::clock::SharedClock;
use tieout::simulator::{Fault, Firm, RateLimits, Simulator, SimulatorOptions};
use tokio::task::spawn_blocking;

mod buildertrend;
mod cmic;
mod companies;
mod databases;
mod decoys;
mod expected;
mod foundation;
mod keys;
mod projectsight;
mod projectsight_vista;
mod sage_300;
mod sage_intacct;
mod several;
mod vista;

use expected::{Expected, Expecting};

/// Every check that two such systems can show. V0, L1 and D1 to D4 are measures, I7 sums up what others find.
pub(crate) const CHECKS: [&str; 53] = [
    "V1", "V2", "V3", "V4", "V5", "C1", "C2", "C3", "C4", "C5", "O1", "O2", "O3", "O4", "O5", "M1", "M2", "M3", "M4",
    "M5", "M6", "I1", "I2", "I3", "I4", "I5", "I6", "I8", "I9", "I10", "I11", "P0", "P1", "P2", "P3", "P4", "R1", "R2",
    "R3", "S1", "S2", "L2", "B1", "B2", "B3", "J1", "K1", "T1", "T2", "T3", "T4", "W1", "W2",
];
/// Found where it is, though no firm need have it.
const SELDOM: [&str; 1] = ["W3"];
/// When both systems are read, each a while after the one before, so that faults open and heal in between.
pub(crate) const MOMENTS: [&str; 3] = ["2026-07-01T11:00:00Z", "2026-09-01T11:00:00Z", "2026-10-01T11:00:00Z"];
/// The month after the last moment's life.
const END: (i32, u32) = (2026, 10);

/// A record of one side and the other's, as a person pairs them in a crosswalk file: entity, PM's id, the ERP's id.
pub(crate) type Crossing = (String, String, String);

/// Two systems, and how they tell what the firm knows.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    /// For messages.
    pub(crate) name: &'static str,
    /// Checks that the two have no records for: they must say `not_applicable` or `not_evaluated`, and find nothing.
    pub(crate) silent: &'static [&'static str],
    /// How the two show a fault of the firm's: record ids as these systems spell them, another check where it shows there,
    /// nothing where they have no records of it. Called with the firm as it is now.
    pub(crate) told: fn(&Firm, Fault) -> Vec<Fault>,
    /// Checks whose differences these systems do not date: they are in flight until their grace is over after their first sight.
    pub(crate) undated: &'static [&'static str],
    /// What the firm's people pair by hand, in these systems' record ids.
    pub(crate) crossings: fn(&Firm) -> Vec<Crossing>,
    /// When both are read.
    pub(crate) moments: &'static [&'static str],
}

impl Pair {
    /// Procore and Acumatica, whose keys are the firm's own.
    pub(crate) const PROCORE_ACUMATICA: Self = Self {
        name: "procore and acumatica",
        silent: &[],
        told: |_, fault| vec![fault],
        undated: &[],
        crossings: |firm| firm.crosswalk().to_vec(),
        moments: &MOMENTS,
    };
}

/// One exception, as far as it is compared.
struct Found {
    check: String,
    key: String,
    is_open: bool,
    at_risk_cents: Option<i64>,
    owner: (String, String),
    cause: String,
}

/// A firm in which much goes wrong, and whose systems make nobody wait.
pub(crate) fn options(seed: u64, months: u32, projects: u32) -> SimulatorOptions {
    let start = NaiveDate::from_ymd_opt(END.0, END.1, 1).unwrap() - Months::new(months);
    let clock = SharedClock::new(start.and_time(NaiveTime::MIN).and_utc());
    let mut options = SimulatorOptions::new(seed, clock);
    options.firm.first_month = (start.year(), start.month());
    options.firm.months = months;
    options.firm.projects = projects;
    // Few projects must show every failure mode; the waiting is another test's concern.
    options.firm.faults = options.firm.faults.scaled(200);
    options.firm.faults.mishaps = 450;
    options.procore_limits = RateLimits { hour: u32::MAX, spike: u32::MAX, spike_seconds: 10 };
    options.acumatica_licence.requests_per_minute = None;
    options
}

/// Reads both systems at each moment by the workspace in `folder`, and compares. Returns the checks that had something to find,
/// and the differences.
pub(crate) async fn compare_at_moments(
    pair: Pair,
    simulator: &Simulator,
    folder: &Path,
    place: &str,
) -> (BTreeSet<String>, String) {
    compare_at_moments_after(pair, simulator, folder, place, |_, _| {}).await
}

/// The same, where somebody does something with the firm as it is at each moment before it is read.
pub(crate) async fn compare_at_moments_after(
    pair: Pair,
    simulator: &Simulator,
    folder: &Path,
    place: &str,
    before: impl Fn(&Firm, &str),
) -> (BTreeSet<String>, String) {
    let (mut shown, mut differences) = (BTreeSet::new(), String::new());
    let mut expecting = Expecting::new(pair);
    for moment in pair.moments {
        let now: DateTime<Utc> = moment.parse().unwrap();
        simulator.advance_to(now);
        write_crosswalks(folder, &(pair.crossings)(&simulator.firm()));
        before(&simulator.firm(), moment);
        run(folder, &["extract", "--now", moment, "--no-progress"]).await;
        let found = found(folder).await;
        let place = format!("{place} ({}) {moment}", pair.name);
        let expected = expecting.look(&simulator.firm(), now);
        for check in CHECKS.iter().chain(&SELDOM) {
            let none = Expected::default();
            let expected = expected.get(*check).unwrap_or(&none);
            if !expected.all.is_empty() {
                shown.insert((*check).to_owned());
            }
            compare(&mut differences, &place, check, &found, expected);
        }
        expecting.injected_are_there(&mut differences, &place, &simulator.firm(), &expected);
        conserved(&mut differences, &place, folder).await;
        verdicts(&mut differences, &place, folder, pair, Some(moment) == pair.moments.last()).await;
    }
    (shown, differences)
}

/// Notes what was not found, what was found only in flight though it is late, what was found beyond, and at other amounts.
fn compare(differences: &mut String, place: &str, check: &str, found: &[Found], expected: &Expected) {
    let of_check = || found.iter().filter(|row| row.check == check);
    let seen: BTreeSet<String> = of_check().map(|row| row.key.clone()).collect();
    let open: BTreeSet<String> = of_check().filter(|row| row.is_open).map(|row| row.key.clone()).collect();
    // Of O2 the late ones are those that must be there; what is still on its way leaves B3's figures alone.
    let must = if matches!(check, "O2" | "B3") { &expected.late } else { &expected.all };
    let missed = must - &seen;
    let early = &(&expected.late & &seen) - &open;
    for (word, list) in [("missed", missed), ("late yet in flight", early), ("extra", &open - &expected.all)] {
        if !list.is_empty() {
            writeln!(differences, "{place} {check} {word} ({} of {}): {list:?}", list.len(), expected.all.len())
                .unwrap();
        }
    }
    for row in of_check().filter(|row| row.is_open && expected.all.contains(&row.key)) {
        let (owner, fix_side) = (row.owner.0.as_str(), row.owner.1.as_str());
        if keys::owner(check).is_some_and(|right| right != (owner, fix_side)) {
            writeln!(differences, "{place} {check} {}: owned by {owner}, to be fixed by {fix_side}", row.key).unwrap();
        }
        if let Some(cause) = expected.causes.get(&row.key).filter(|cause| **cause != row.cause) {
            writeln!(differences, "{place} {check} {}: {} is its cause, not {}", row.key, cause, row.cause).unwrap();
        }
        let Some(cents) = expected.cents.get(&row.key) else { continue };
        if check == "B3" && !expected.late.contains(&row.key) {
            continue;
        }
        if row.at_risk_cents != Some(cents.abs()) {
            let at_risk = row.at_risk_cents;
            writeln!(differences, "{place} {check} {}: {at_risk:?} cents at risk, {cents} injected", row.key).unwrap();
        }
    }
}

/// Notes which sums of differences are not the difference of the sums.
async fn conserved(differences: &mut String, place: &str, folder: &Path) {
    let rows = asked(folder, include_str!("pairs/conservation.sql")).await;
    assert_eq!(rows.len(), 6, "{rows:?}");
    for row in rows.iter().filter(|row| row["found"] != row["expected"]) {
        writeln!(differences, "{place} is not conserved: {row}").unwrap();
    }
}

/// Notes which checks speak though these systems have no records for them and, at the last moment, which keep silent though
/// nobody said that they would: a check that nobody misses may be silent for ever.
async fn verdicts(differences: &mut String, place: &str, folder: &Path, pair: Pair, is_last: bool) {
    let query = "select check_id, verdict, reason, error from recon.check_runs where is_latest and project_id is null";
    let rows = asked(folder, query).await;
    for check in CHECKS {
        let run = rows.iter().find(|row| row["check_id"] == check);
        let verdict = run.and_then(|run| run["verdict"].as_str()).unwrap_or("no verdict");
        let reason = run.map_or(&Value::Null, |run| &run["reason"]);
        let is_unable = matches!(verdict, "not_applicable" | "not_evaluated");
        let is_silent = pair.silent.contains(&check);
        if (is_silent && !is_unable) || (!is_silent && is_last && (is_unable || run.is_none())) {
            writeln!(differences, "{place} {check}: its verdict is {verdict} ({reason})").unwrap();
        }
    }
    for run in rows.iter().filter(|run| !run["error"].is_null()) {
        writeln!(differences, "{place} {}: {}", run["check_id"], run["error"]).unwrap();
    }
}

async fn found(folder: &Path) -> Vec<Found> {
    let query = "select check_id, exception_key, erp_id, entity, state, detail, is_carried, record_owner, fix_side, cause, \
                 cast(amount_at_risk * 100 as bigint) as at_risk_cents from recon.exceptions";
    let rows = asked(folder, query).await;
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let of_row = |row: &Value| {
        let check = text(row, "check_id");
        assert_eq!(row["is_carried"], Value::Bool(false), "{row}");
        // Moves of what documents say follow from how they are billed and paid, day by day: those of vendors are compared.
        if check.starts_with('W') && row["entity"] != "vendors" {
            return None;
        }
        let mut key = text(row, "exception_key").split_once(':')?.1.to_owned();
        if check == "C4" {
            key = text(row, "erp_id");
        }
        if check == "P0" {
            let verdict = text(row, "detail").rsplit("the ERP says ").next().unwrap_or_default().to_owned();
            key = format!("{key} {verdict}");
        }
        if check == "W3" {
            // The commit that first shows it stands last.
            key.truncate(key.rfind(':')?);
        }
        let is_open = text(row, "state") == "open";
        let owner = (text(row, "record_owner"), text(row, "fix_side"));
        let cause = text(row, "cause");
        Some(Found { check, key, is_open, at_risk_cents: row["at_risk_cents"].as_i64(), owner, cause })
    };
    rows.iter().filter_map(of_row).collect()
}

/// The rows of a query, as JSON.
async fn asked(folder: &Path, query: &str) -> Vec<Value> {
    serde_json::from_slice(&run(folder, &["sql", "--format", "json", "--", query]).await).unwrap()
}

/// Runs the program beside the simulator that it reads.
async fn run(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let (folder, arguments) =
        (PathBuf::from(folder), arguments.iter().map(|&word| word.to_owned()).collect::<Vec<String>>());
    let told = spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        tieout(&folder, &arguments)
    });
    told.await.unwrap()
}

/// Runs the program and returns what it printed.
pub(crate) fn tieout(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_tieout")).current_dir(folder).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    // 5: committed, but an empty list of a young project is not yet proof that nothing is there.
    assert!(matches!(output.status.code(), Some(0 | 5)), "tieout {arguments:?}: {}\n{error}", output.status);
    output.stdout
}

/// Writes `tieout.toml` for the sections of the two sources, and the files that they name.
pub(crate) fn write_workspace_of(folder: &Path, sources: &[String], files: &[(&str, &str)]) {
    let firm = "[firm]\nname = \"Truth Builders\"\ntimezone = \"America/Chicago\"\n".to_owned();
    let sections: Vec<String> = [firm].into_iter().chain(sources.iter().cloned()).collect();
    std::fs::write(folder.join("tieout.toml"), sections.join("\n")).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// Procore as a source of that name, and the files with its secrets. Its service user may read the connector's requests.
pub(crate) fn procore(simulator: &Simulator) -> (String, [(&'static str, String); 2]) {
    let procore = simulator.procore();
    let section = format!(
        "[sources.procore]\nkind = \"procore\"\nerp_requests = \"yes\"\nbase_url = \"{}\"\nlogin_url = \"{}\"\n\
         company_id = \"{}\"\nclient_id = {{ file = \"procore_id\" }}\nclient_secret = {{ file = \"procore_secret\" }}\n",
        procore.base_url, procore.login_url, procore.company_id
    );
    (section, [("procore_id", procore.client_id), ("procore_secret", procore.client_secret)])
}

/// The firm's own links, as a person would keep them: a file for each entity that has some, and one of vendor invoices always.
pub(crate) fn write_crosswalks(folder: &Path, crossings: &[Crossing]) {
    std::fs::create_dir_all(folder.join("crosswalks")).unwrap();
    let entities: BTreeSet<&str> =
        crossings.iter().map(|(entity, ..)| entity.as_str()).chain(["vendor_invoices"]).collect();
    for entity in entities {
        let mut text = "pm_id,erp_id,note\n".to_owned();
        for (_, pm_id, erp_id) in crossings.iter().filter(|(of, ..)| of == entity) {
            writeln!(text, "{pm_id},{erp_id},by hand").unwrap();
        }
        std::fs::write(folder.join(format!("crosswalks/{entity}.csv")), text).unwrap();
    }
}

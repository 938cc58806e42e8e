//! What looks wrong and is not, in front of a pair: firms without faults and with every kind of decoy.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tieout::clock::SharedClock;
use tieout::simulator::firm::model::ProcoreId;
use tieout::simulator::{DecoyKind, DecoyRates, FaultRates, Firm, RateLimits, Simulator, SimulatorOptions};

use super::expected::unpaid;
use super::{Pair, asked, run, write_crosswalks};

/// The firm whose decoys are always shown; `TIEOUT_DECOY_SEEDS=1,2,…` gives others.
pub(super) const SEEDS: &str = "3";
/// Mornings after a month's end: what happens in time has crossed over.
const MOMENTS: [&str; 3] = ["2026-05-01T11:00:00Z", "2026-07-01T11:00:00Z", "2026-11-01T11:00:00Z"];

/// What the books have as a document of its own and some ERPs have not: a release of retainage, which is paid on the invoice that retained.
pub(crate) const SHOWN_OTHERWISE: [DecoyKind; 1] = [DecoyKind::RetainageReleasedInBoth];

/// A firm in which nothing goes wrong and everything may look so.
pub(crate) fn options(seed: u64) -> SimulatorOptions {
    let clock = SharedClock::new("2026-03-01T00:00:00Z".parse().unwrap());
    let mut options = SimulatorOptions::new(seed, clock);
    options.firm.first_month = (2026, 3);
    options.firm.months = 8;
    options.firm.projects = 4;
    options.firm.faults = FaultRates::none();
    options.firm.decoys = DecoyRates::every();
    options.procore_limits = RateLimits { hour: u32::MAX, spike: u32::MAX, spike_seconds: 10 };
    options.acumatica_licence.requests_per_minute = None;
    options
}

/// Reads both systems at each moment, and returns every open exception but what the firm's natural timing makes.
pub(crate) async fn false_alarms(pair: Pair, simulator: &Simulator, folder: &Path) -> String {
    false_alarms_loaded(pair, simulator, folder, &|_| {}).await
}

/// The same of a system that does not live beside the firm: `load` shows it the firm as it is at each moment.
pub(crate) async fn false_alarms_loaded(
    pair: Pair,
    simulator: &Simulator,
    folder: &Path,
    load: &(dyn Fn(&Firm) + Sync),
) -> String {
    let mut alarms = String::new();
    for moment in MOMENTS {
        let now: DateTime<Utc> = moment.parse().unwrap();
        simulator.advance_to(now);
        write_crosswalks(folder, &(pair.crossings)(&simulator.firm()));
        load(&simulator.firm());
        run(folder, &["extract", "--now", moment, "--no-progress"]).await;
        let natural = natural(pair, &simulator.firm(), now);
        let query = "select check_id, pm_id, erp_id, detail from recon.exceptions where state = 'open'";
        for row in asked(folder, query).await {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (check, pm_id, erp_id) = (text("check_id"), text("pm_id"), text("erp_id"));
            if !natural.contains(&(check.clone(), pm_id.clone())) && !natural.contains(&(check.clone(), erp_id.clone()))
            {
                writeln!(alarms, "{moment} {check} {pm_id} {erp_id}: {}", text("detail")).unwrap();
            }
        }
        let failed = asked(folder, "select check_id, error from recon.check_runs where error is not null").await;
        assert!(failed.is_empty(), "{failed:?}");
    }
    alarms
}

/// Without what is told of decoys of such kinds: beside an ERP that shows them otherwise than the books they are differences. An
/// invoice's are those of its vendor and of the others of its commitment too.
pub(crate) fn without(alarms: &str, firm: &Firm, kinds: &[DecoyKind]) -> String {
    let of_kind = firm.decoys().iter().filter(|decoy| kinds.contains(&decoy.kind));
    let own: BTreeSet<&String> = of_kind.flat_map(|decoy| &decoy.pm_ids).collect();
    let requisitions = || firm.procore.requisitions.values();
    let theirs = requisitions().filter(|one| own.contains(&one.id.to_string()));
    let commitments: BTreeSet<i64> = theirs.clone().map(|one| one.commitment_id).collect();
    let vendors = theirs.map(|one| one.vendor_id.to_string());
    let others = requisitions().filter(|one| commitments.contains(&one.commitment_id)).map(|one| one.id.to_string());
    let known: BTreeSet<String> = own.iter().map(|id| (*id).clone()).chain(vendors).chain(others).collect();
    let is_other = |line: &&str| line.split(' ').nth(2).is_none_or(|id| !known.contains(id));
    alarms.lines().filter(is_other).fold(String::new(), |text, line| text + line + "\n")
}

/// Without what decoys of some kinds are beside these systems: a difference of one check on the decoy's last record of PM, and of what is
/// open to its vendor. It has to be told, and all else of the two is none. `key` spells an entity's id as PM does.
pub(crate) fn told_as(
    alarms: &str,
    firm: &Firm,
    kinds: &[(DecoyKind, &str)],
    key: impl Fn(&str, ProcoreId) -> Option<String>,
) -> String {
    let last: DateTime<Utc> = MOMENTS.last().unwrap().parse().unwrap();
    let (mut known, mut missing) = (Vec::new(), String::new());
    for (kind, check) in kinds {
        for decoy in firm.decoys().iter().filter(|decoy| decoy.kind == *kind) {
            let id = decoy.pm_ids.last().and_then(|id| id.parse().ok()).unwrap();
            let invoice = firm.procore.requisitions.get(&id).unwrap();
            let own = format!(" {check} {} ", key("vendor_invoices", id).unwrap());
            // It is paid after three weeks.
            if decoy.at + TimeDelta::days(30) < last && !alarms.contains(&own) {
                writeln!(missing, "{kind:?} is not told as{own}").unwrap();
            }
            known.extend([own, format!(" I7 {} ", key("vendors", invoice.vendor_id).unwrap())]);
        }
    }
    let others = alarms.lines().filter(|line| !known.iter().any(|own| line.contains(own)));
    others.fold(missing, |text, line| text + line + "\n")
}

/// What was left unpaid for too long, or billed beyond a commitment from which a change order took money back: check and record.
fn natural(pair: Pair, firm: &Firm, now: DateTime<Utc>) -> BTreeSet<(String, String)> {
    let unpaid = unpaid(firm, now).into_iter();
    let told = firm.standing().into_iter().chain(unpaid).flat_map(|fault| (pair.told)(firm, fault));
    let mut natural = BTreeSet::new();
    for fault in told {
        for id in fault.pm_id.into_iter().chain(fault.erp_id) {
            natural.insert((fault.check.clone(), id));
        }
    }
    natural
}

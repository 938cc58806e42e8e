//! Two firms' systems in one warehouse, as after a merger: Procore and Acumatica beside another Procore and Sage Intacct.
//!
//! Both firms number everything alike: each key of one is a key of the other and means something else. What is found must be what went
//! wrong in each, and nothing may be joined across. What is summed up (T1 to T3, L2) is summed up for each.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use tieout::simulator::{IntacctOptions, Simulator};

use super::{
    CHECKS, Crossing, Expected, Expecting, Found, MOMENTS, Pair, SELDOM, asked, conserved, options, run, verdicts,
};

/// The second connection of each side, whose name stands in front of its keys.
const SECOND: [&str; 2] = ["second_procore:", "sage_intacct:"];
/// Links of the one firm's PM to the other's ERP.
const ACROSS: &str = "select entity, pm_id, erp_id from link.pairs \
                      where starts_with(pm_id, 'second_procore:') <> starts_with(erp_id, 'sage_intacct:')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: .ci/long"]
async fn two_firms_in_one_warehouse_tell_what_went_wrong_in_each() {
    let first = Simulator::start(options(2, 7, 3)).await.unwrap();
    let second = Simulator::start(options(3, 7, 3)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_workspace(folder.path(), &first, &second).await;
    let firms = [(Pair::PROCORE_ACUMATICA, &first, false), (Pair::PROCORE_SAGE_INTACCT, &second, true)];
    let mut expecting = firms.map(|(pair, ..)| Expecting::new(pair));
    let mut differences = String::new();
    for moment in MOMENTS {
        let now: DateTime<Utc> = moment.parse().unwrap();
        let mut crossings: Vec<Crossing> = Vec::new();
        for (pair, simulator, is_second) in firms {
            simulator.advance_to(now);
            let own = (pair.crossings)(&simulator.firm()).into_iter();
            crossings.extend(own.map(|(entity, pm_id, erp_id)| {
                let [pm, erp] = if is_second { SECOND } else { [""; 2] };
                (entity, format!("{pm}{pm_id}"), format!("{erp}{erp_id}"))
            }));
        }
        super::write_crosswalks(folder.path(), &crossings);
        run(folder.path(), &["extract", "--now", moment, "--no-progress"]).await;
        let across = asked(folder.path(), ACROSS).await;
        if !across.is_empty() {
            writeln!(differences, "{moment} is linked across: {across:?}").unwrap();
        }
        let (of_second, of_first): (Vec<Found>, Vec<Found>) = super::found(folder.path())
            .await
            .into_iter()
            .partition(|row| SECOND.iter().any(|name| row.key.contains(name)));
        let of_second = of_second.into_iter().map(|row| {
            let key = SECOND.iter().fold(row.key.clone(), |key, name| key.replace(name, ""));
            Found { key, ..row }
        });
        for ((expecting, found), (pair, simulator, _)) in
            expecting.iter_mut().zip([of_first, of_second.collect()]).zip(firms)
        {
            let place = format!("{moment} ({})", pair.name);
            let expected: BTreeMap<String, Expected> = expecting.look(&simulator.firm(), now);
            for check in CHECKS.iter().chain(&SELDOM) {
                let none = Expected::default();
                super::compare(&mut differences, &place, check, &found, expected.get(*check).unwrap_or(&none));
            }
        }
        conserved(&mut differences, moment, folder.path()).await;
        verdicts(&mut differences, moment, folder.path(), Pair::PROCORE_ACUMATICA, Some(&moment) == MOMENTS.last())
            .await;
    }
    let kept = (!differences.is_empty()).then(|| folder.keep());
    assert!(kept.is_none(), "found and injected differ, see {kept:?}:\n{differences}");
}

/// Four sources. Each Procore names the ERP whose keys it stores.
async fn write_workspace(folder: &std::path::Path, first: &Simulator, second: &Simulator) {
    crate::truth::write_workspace(folder, first);
    let settings = std::fs::read_to_string(folder.join("tieout.toml")).unwrap();
    let settings = settings.replacen(
        "kind = \"procore\"\n",
        "kind = \"procore\"\nerp_requests = \"yes\"\nerp = \"acumatica\"\n",
        1,
    );
    let (procore, secrets) = super::procore(second);
    let mut procore = procore.replacen("[sources.procore]\n", "[sources.second_procore]\nerp = \"sage_intacct\"\n", 1);
    for (name, text) in secrets {
        procore = procore.replace(&format!("\"{name}\""), &format!("\"second_{name}\""));
        std::fs::write(folder.join(format!("second_{name}")), text).unwrap();
    }
    let intacct = second.serve_intacct(IntacctOptions::default()).await.unwrap();
    let intacct_section = format!(
        "[sources.sage_intacct]\nkind = \"sage_intacct\"\nbase_url = \"{}\"\nclient_id = \"{}\"\n\
         client_secret = {{ file = \"intacct_secret\" }}\nusername = \"{}\"\n\n[accounts]\nretainage_payable = [\"20100\"]\n",
        intacct.base_url, intacct.client_id, intacct.username
    );
    std::fs::write(folder.join("intacct_secret"), intacct.client_secret).unwrap();
    std::fs::write(folder.join("tieout.toml"), [settings, procore, intacct_section].join("\n")).unwrap();
}

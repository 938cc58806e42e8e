//! The schedule on the page and in the metrics: what failed and what was missed first, to those who read the whole firm.

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::StatusCode;
use tieout::clock::Clock;
use tieout::server::{HttpOptions, Watch};

use super::firm::Firm;
use super::page::{options, shown, users, visitor};
use super::watching::measured;

const NOW: &str = "2026-11-04T15:00:00Z";

/// What became of it: a nightly run that timed out and was skipped after, a proof that went well, a report that was never begun.
const LEDGER: &str = r#"
{"line":"known","entry":"nightly","cron":"30 2 * * *","at":"2026-10-01T00:00:00Z"}
{"line":"known","entry":"proof","cron":"0 6 * * 1","at":"2026-10-01T00:00:00Z"}
{"line":"known","entry":"weekly","cron":"0 7 * * 3","at":"2026-10-29T00:00:00Z"}
{"line":"began","run":"a","entry":"nightly","command":"extract","scheduled_for":"2026-11-02T09:30:00Z","is_caught_up":false,"started_at":"2026-11-02T09:30:00Z"}
{"line":"ended","run":"a","ended_at":"2026-11-02T09:50:00Z","outcome":"succeeded","exit_code":0,"error":null}
{"line":"began","run":"b","entry":"nightly","command":"extract","scheduled_for":"2026-11-03T09:30:00Z","is_caught_up":false,"started_at":"2026-11-03T09:30:00Z"}
{"line":"ended","run":"b","ended_at":"2026-11-03T21:30:00Z","outcome":"timed_out","exit_code":143,"error":"it took longer than <b>12</b> h and was ended\nerror: interrupted"}
{"line":"began","run":"c","entry":"nightly","command":"extract","scheduled_for":"2026-11-04T09:30:00Z","is_caught_up":false,"started_at":"2026-11-04T09:31:00Z"}
{"line":"ended","run":"c","ended_at":"2026-11-04T09:31:00Z","outcome":"skipped","exit_code":null,"error":"the run before had not ended"}
{"line":"began","run":"d","entry":"proof","command":"verify","scheduled_for":"2026-11-02T13:00:00Z","is_caught_up":false,"started_at":"2026-11-02T13:00:00Z"}
{"line":"ended","run":"d","ended_at":"2026-11-02T13:10:00Z","outcome":"succeeded","exit_code":0,"error":null}
{"line":"began","run":"e","entry":null,"command":"extract","scheduled_for":null,"is_caught_up":false,"started_at":"2026-11-04T10:00:00Z"}
{"line":"ended","run":"e","ended_at":"2026-11-04T10:10:00Z","outcome":"failed","exit_code":3,"error":"by hand"}
"#;

/// A page that shows it.
fn watched(folder: &Path) -> HttpOptions {
    std::fs::create_dir(folder.join("schedule")).unwrap();
    std::fs::write(folder.join("schedule/runs.jsonl"), LEDGER.trim_start()).unwrap();
    let zone = chrono_tz::America::Denver;
    let entries = [
        ("nightly", "extract", "30 2 * * *"),
        ("proof", "verify", "0 6 * * 1"),
        ("weekly", "report -o {day}.html", "0 7 * * 3"),
        ("never", "verify", "0 0 31 2 *"),
    ];
    let start = Watch::new(folder.to_owned(), Clock::given(NOW.parse().unwrap()), zone);
    let watch = entries.iter().fold(start, |watch, (name, command, cron)| watch.entry(name, command, cron).unwrap());
    HttpOptions { zone, schedule: Some(watch), ..options() }
}

/// The cells of each entry, without markup.
fn entries(page: &str) -> BTreeMap<String, Vec<String>> {
    let table = page.split("id=\"schedule-caption\"").nth(1).unwrap().split("</table>").next().unwrap();
    let plain = |cell: &str| {
        let texts = cell.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text));
        texts.collect::<Vec<_>>().join("").trim().to_owned()
    };
    let rows = table.split("<tbody>").nth(1).unwrap().split("<tr>").skip(1);
    rows.map(|row| {
        let mut cells: Vec<String> = row.split("</t").map(plain).collect();
        (cells.remove(0), cells)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_runs_by_itself() {
    let firm = Firm::within(users(), watched).await;
    let page = shown(&firm, &visitor(&firm, "boss").await, "/").await;
    let alarms = page.split("id=\"unscheduled\"").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(page.find("id=\"unscheduled\"") < page.find("id=\"figures\""), "{page}");
    for text in [
        "No server carries the schedule out now",
        "<b>nightly</b> timed out on 2026-11-03 02:30 MST (exit code 143): it took longer than &lt;b&gt;12&lt;/b&gt; h and was ended",
        "<b>weekly</b> was due on 2026-11-04 07:00 MST and has not begun",
    ] {
        assert!(alarms.contains(text), "{text}: {alarms}");
    }
    assert!(!alarms.contains("proof") && !alarms.contains("<b>never") && !alarms.contains("by hand"), "{alarms}");

    let told = entries(&page);
    let cell = |entry: &str, place: usize| told[entry][place].as_str();
    assert_eq!(told.keys().collect::<Vec<_>>(), ["never", "nightly", "proof", "weekly"]);
    // Command, when, next, last run, outcome, last success.
    assert_eq!(told["nightly"][..4], ["extract", "30 2 * * *", "2026-11-05 02:30 MST", "2026-11-04 02:31 MST"]);
    assert!(cell("nightly", 4).starts_with("skipped"), "{told:?}");
    assert_eq!((cell("nightly", 5), cell("proof", 5)), ("2026-11-02 02:50 MST", "2026-11-02 06:10 MST"));
    assert_eq!((cell("proof", 2), cell("proof", 4)), ("2026-11-09 06:00 MST", "succeeded"));
    assert_eq!(told["weekly"][2..6], ["2026-11-11 07:00 MST", "not yet", "–", "–"]);
    assert_eq!(cell("never", 2), "never");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_a_part_of_the_firm_is_told_nothing_of_the_schedule() {
    let firm = Firm::within(users(), watched).await;
    for name in ["ada", "crew", "auditor"] {
        let page = shown(&firm, &visitor(&firm, name).await, "/").await;
        for hidden in ["id=\"schedule\"", "id=\"unscheduled\"", "nightly", "timed out"] {
            assert!(!page.contains(hidden), "{name} is shown {hidden}: {page}");
        }
        let told = measured(&firm, Some(name)).await;
        assert!(!told.keys().any(|sample| sample.starts_with("tieout_schedule")), "{name}: {told:#?}");
    }
    // Who may not read its table is told so.
    let desk = shown(&firm, &visitor(&firm, "desk").await, "/").await;
    let section = desk.split("id=\"schedule\"").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(section.contains("permission denied for schema meta") && !desk.contains("nightly"), "{section}");
    // Of the past there is nothing that comes next.
    let boss = visitor(&firm, "boss").await;
    assert!(!shown(&firm, &boss, "/?as_of=DAY1").await.contains("id=\"schedule\""));
    // Without a schedule there is no word of it.
    let firm = Firm::judged(users(), options()).await;
    let page = shown(&firm, &visitor(&firm, "boss").await, "/").await;
    assert!(!page.contains("id=\"schedule\"") && !page.contains("id=\"unscheduled\""), "{page}");
    assert!(!measured(&firm, None).await.keys().any(|sample| sample.starts_with("tieout_schedule")));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_how_each_entry_ended_last() {
    let firm = Firm::within(users(), watched).await;
    for role in [None, Some("boss")] {
        let told = measured(&firm, role).await;
        assert_eq!(told["tieout_schedule_carried_out"], "0");
        for (entry, outcome) in
            [("nightly", "timed_out"), ("proof", "succeeded"), ("weekly", "none"), ("never", "none")]
        {
            let name = format!("tieout_schedule_last_outcome{{entry=\"{entry}\",outcome=\"{outcome}\"}}");
            assert_eq!(told.get(&name).map(String::as_str), Some("1"), "{told:#?}");
        }
        // By the schedule's clock, that was given.
        let age = told["tieout_schedule_last_success_age_seconds{entry=\"nightly\"}"].parse::<i64>().unwrap();
        assert!((191_400..191_700).contains(&age), "{age}");
        assert!(!told.contains_key("tieout_schedule_last_success_age_seconds{entry=\"weekly\"}"));
        assert_eq!(told["tieout_schedule_overdue_seconds{entry=\"proof\"}"], "0");
        let overdue = told["tieout_schedule_overdue_seconds{entry=\"weekly\"}"].parse::<i64>().unwrap();
        assert!((3_600..3_900).contains(&overdue), "{overdue}");
    }
    // It is of no commit: what happens now is told now.
    let line = "{\"line\":\"ended\",\"run\":\"b\",\"ended_at\":\"2026-11-04T14:00:00Z\",\"outcome\":\"succeeded\",\"exit_code\":0,\"error\":null}\n";
    let path = firm.folder.path().join("schedule/runs.jsonl");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, before + line).unwrap();
    let told = measured(&firm, None).await;
    assert_eq!(told["tieout_schedule_last_outcome{entry=\"nightly\",outcome=\"succeeded\"}"], "1");
    // A ledger that cannot be read costs the rest nothing.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let told = measured(&firm, Some("boss")).await;
    assert!(
        told.contains_key("tieout_commit_number") && !told.contains_key("tieout_schedule_carried_out"),
        "{told:#?}"
    );
    let answer = visitor(&firm, "boss").await.get(firm.page()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.unwrap().contains("Not shown: "));
}

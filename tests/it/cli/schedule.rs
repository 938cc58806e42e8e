//! `serve --schedule`, `schedule` and `month-end`: what runs by itself, what is caught up, and what ends it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::lives::{CHECK, LARGE, projects};
use super::toy::{Page, Toy, ended, signal};

/// How long something may take on a slow machine.
const PATIENCE: Duration = Duration::from_mins(5);

const KNOWN: &str =
    "{\"line\":\"known\",\"entry\":\"nightly\",\"cron\":\"0 2 * * *\",\"at\":\"2026-10-01T00:00:00Z\"}\n";
const NIGHTLY: &str = "[schedule]\nnightly = { cron = \"0 2 * * *\", run = \"extract\" }\n";

/// A workspace whose nightly extract has been known for a while.
async fn scheduled(page: Page, schedule: &str) -> Toy {
    let toy = Toy::start(page).await;
    toy.write(CHECK, LARGE);
    toy.write("tieout.toml", &(toy.settings() + schedule));
    toy.write("schedule/runs.jsonl", KNOWN);
    toy
}

/// Starts the server at a moment, and waits until it serves.
async fn serve(toy: &Toy, now: &str) -> Child {
    let mut server = toy.spawn(&["serve", "--listen", "127.0.0.1:0", "--schedule", "--now", now]);
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let ready = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the server ended before it served");
            if line.contains("serving on") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.unwrap();
    // What it says later must not fill the pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    server
}

/// Runs in the ledger, each as its entry, outcome and whether it was caught up.
fn runs(toy: &Toy) -> Vec<Value> {
    let text = std::fs::read_to_string(toy.folder().join("schedule/runs.jsonl")).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
    let ended = |run: &Value| lines.iter().find(|line| line["line"] == "ended" && line["run"] == run["run"]);
    let told = |run: &Value| {
        let outcome = ended(run).map_or(Value::Null, |line| line["outcome"].clone());
        serde_json::json!([run["entry"], outcome, run["is_caught_up"]])
    };
    lines.iter().filter(|line| line["line"] == "began").map(told).collect()
}

/// Waits until the ledger says so many runs, all ended.
async fn ended_runs(toy: &Toy, count: usize) -> Vec<Value> {
    let wait = async {
        loop {
            let runs = runs(toy);
            if runs.len() >= count && runs.iter().all(|run| !run[1].is_null()) {
                return runs;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let ended = tokio::time::timeout(PATIENCE, wait).await;
    assert!(ended.is_ok(), "{:?}", runs(toy));
    ended.unwrap()
}

async fn stopped(server: Child) {
    signal(&server, "TERM").await;
    assert_eq!(tokio::time::timeout(PATIENCE, ended(server)).await.unwrap().code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_nights_are_caught_up_once() {
    let toy = scheduled(projects(&[(1, "250.00")]), NIGHTLY).await;
    // 34 nights were missed.
    let server = serve(&toy, "2026-11-04T09:00:00Z").await;
    let second = toy.run(&["serve", "--listen", "127.0.0.1:0", "--schedule"]).await;
    second.says(2, &["another server carries the schedule", "hint:"]);
    assert_eq!(ended_runs(&toy, 1).await, [serde_json::json!(["nightly", "succeeded", true])]);
    stopped(server).await;
    assert_eq!(toy.commits(), 1);
    // An hour later nothing is missed.
    let server = serve(&toy, "2026-11-04T10:00:00Z").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    stopped(server).await;
    assert_eq!((toy.commits(), runs(&toy).len()), (1, 1));
    let shown = "select concat(entry, ' ', outcome, ' ', exit_code, ' ', date_trunc('minute', scheduled_for)) from meta.scheduled_runs";
    assert_eq!(toy.value(shown).await, "nightly succeeded 0 2026-11-04 02:00:00+00");
    let listed = toy.run(&["schedule", "--now", "2026-11-04T10:00:00Z"]).await;
    for text in ["nightly: extract", "Thu 2026-11-05 02:00 UTC", "succeeded", "nobody carries it out now"] {
        assert!(listed.out.contains(text), "{text}: {}", listed.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_when_the_server_ends_is_ended_and_caught_up() {
    let toy = scheduled(Page::Hang, NIGHTLY).await;
    let server = serve(&toy, "2026-11-04T09:00:00Z").await;
    toy.asked().await;
    stopped(server).await;
    assert_eq!(runs(&toy), [serde_json::json!(["nightly", "stopped", true])]);
    assert_eq!((toy.commits(), toy.open_sessions()), (0, 0));

    // Killed: its run ends by itself, and is known to be lost.
    let mut server = serve(&toy, "2026-11-04T09:10:00Z").await;
    toy.asked().await;
    server.kill().await.unwrap();
    let closed = async {
        while toy.open_sessions() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.unwrap();
    toy.answer(projects(&[(1, "250.00")])).await;
    let server = serve(&toy, "2026-11-05T09:20:00Z").await;
    let all = ended_runs(&toy, 3).await;
    stopped(server).await;
    let outcomes: Vec<&Value> = all.iter().map(|run| &run[1]).collect();
    assert_eq!(outcomes, ["stopped", "lost", "succeeded"]);
    assert_eq!(toy.commits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_wants_settings_read_anew_ends_nothing() {
    let toy = scheduled(Page::Hang, NIGHTLY).await;
    let server = serve(&toy, "2026-11-04T09:00:00Z").await;
    toy.asked().await;
    signal(&server, "HUP").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(toy.open_sessions(), 1, "its run goes on");
    stopped(server).await;
    assert_eq!(runs(&toy), [serde_json::json!(["nightly", "stopped", true])]);
}

/// Of a terminal, whose end it means, the same signal ends the server as SIGTERM does.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_is_closed_ends_the_server_well() {
    let toy = scheduled(Page::Hang, NIGHTLY).await;
    let serve = "serve --listen 127.0.0.1:0 --schedule --now 2026-11-04T09:00:00Z";
    let line = format!("exec '{}' {serve}", env!("CARGO_BIN_EXE_tieout"));
    let mut terminal = Command::new("script");
    terminal.args(["-q", "-c", &line, "/dev/null"]).current_dir(toy.folder()).env_remove("TIEOUT_LOG");
    terminal.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut terminal = terminal.spawn().unwrap();
    tokio::time::timeout(PATIENCE, toy.asked()).await.unwrap();
    terminal.kill().await.unwrap();
    assert_eq!(ended_runs(&toy, 1).await, [serde_json::json!(["nightly", "stopped", true])]);
    assert_eq!((toy.commits(), toy.open_sessions()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_ended() {
    let toy = scheduled(Page::Hang, &format!("{NIGHTLY}limit = \"40s\"\n")).await;
    let server = serve(&toy, "2026-11-04T09:00:00Z").await;
    toy.asked().await;
    assert_eq!(ended_runs(&toy, 1).await, [serde_json::json!(["nightly", "timed_out", true])]);
    assert_eq!((toy.commits(), toy.open_sessions()), (0, 0), "it ended well, and closed its session");
    stopped(server).await;
    let doctor = toy.run(&["doctor"]).await;
    assert!(
        doctor.out.contains("nightly failed last") && doctor.out.contains("it took longer than 40 s"),
        "{}",
        doctor.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_pinned_when_all_was_read_and_stays_where_it_is() {
    let toy = Toy::start(projects(&[(1, "250.00")])).await;
    toy.write(CHECK, LARGE);
    toy.run(&["extract", "--now", "2026-10-31T06:00:00Z"]).await.says(0, &[]);
    let attempt = ["month-end", "2026-10", "--now", "2026-11-03T06:00:00Z"];
    toy.run(&attempt).await.says(
        5,
        &["2026-10 is not pinned: toy was last read at 2026-10-31 06:00 UTC, before the month ended", "hint:"],
    );
    // Half of the list: not read to its end.
    toy.answer(Page::Text("[{\"id\":null,\"amount\":\"1.00\"},{\"id\":2,\"amount\":\"20000.00\"}]".to_owned())).await;
    toy.run(&["extract", "--now", "2026-11-03T05:00:00Z"]).await.says(5, &[]);
    toy.run(&attempt).await.says(5, &["did not read to their end: projects"]);
    toy.answer(Page::Unavailable).await;
    toy.run(&["extract", "--now", "2026-11-03T05:30:00Z"]).await.says(3, &[]);
    toy.run(&attempt).await.says(5, &["the last extract of 2026-11-03 05:30 UTC failed"]);
    assert!(!toy.folder().join("reports").exists(), "nothing was written");

    toy.answer(projects(&[(1, "250.00"), (2, "20000.00")])).await;
    toy.run(&["extract", "--now", "2026-11-03T05:40:00Z"]).await.says(0, &[]);
    toy.run(&["month-end", "2026-10", "--now", "2026-11-06T06:00:00Z"])
        .await
        .says(5, &["more than 36 hours ago (freshness_hours)"]);
    toy.run(&["month-end", "2026-11", "--now", "2026-11-03T06:00:00Z"])
        .await
        .says(5, &["has not ended yet, it does on 2026-11-30 23:59 UTC", "`tieout extract` after its end"]);
    toy.run(&["pin", "October", "--period-end", "2026-10-31", "--as-of", "commit:1"]).await.says(0, &[]);
    toy.run(&attempt).await.says(0, &["pinned M2026-10: commit 3", "note: October pins the same month at commit 1"]);
    let report = |ending: &str| std::fs::read(toy.folder().join(format!("reports/2026-10.{ending}"))).unwrap();
    let first = (report("html"), report("xlsx"));
    assert!(String::from_utf8_lossy(&first.0).contains("October 2026"));

    toy.answer(projects(&[(1, "250.00")])).await;
    toy.run(&["extract", "--now", "2026-11-03T07:00:00Z"]).await.says(0, &[]);
    toy.run(&["month-end", "2026-10", "--now", "2026-11-03T08:00:00Z"]).await.says(0, &["is pinned already"]);
    assert_eq!(toy.value("select commit_number from meta.pins where name = 'M2026-10'").await, "3");
    assert!(first == (report("html"), report("xlsx")), "a report that is there stays");
    std::fs::remove_file(toy.folder().join("reports/2026-10.html")).unwrap();
    toy.run(&["month-end", "2026-10", "--now", "2026-11-03T08:00:00Z"]).await.says(0, &[]);
    assert!(first.0 == report("html"), "it is of the pin, whatever came later");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_not_pinned_on_the_half_that_a_failed_run_committed() {
    let toy = Toy::start(projects(&[(1, "250.00")])).await;
    let settings = toy.settings();
    let (source, roles) = settings.split_at(settings.find("[[roles]]").unwrap());
    let other = source.replace("[sources.toy]", "[sources.other]");
    toy.write("tieout.toml", &format!("{source}{other}{roles}"));
    toy.run(&["extract", "--now", "2026-11-02T05:00:00Z"]).await.says(0, &[]);
    let (_, from_url) = other.split_once("base_url = \"").unwrap();
    let (url, _) = from_url.split_once('"').unwrap();
    let down = other.replace(url, "http://127.0.0.1:1");
    toy.write("tieout.toml", &format!("{source}{down}{roles}"));
    toy.run(&["extract", "--now", "2026-11-03T05:00:00Z"]).await.says(3, &["cannot connect"]);
    assert_eq!(toy.commits(), 2, "what one source gave is kept");
    // A commit that reads nothing makes up for nothing.
    toy.run(&["pin", "HALF", "--as-of", "commit:2", "--now", "2026-11-03T05:10:00Z"]).await.says(0, &[]);
    let attempt = ["month-end", "2026-10", "--now", "2026-11-03T06:00:00Z"];
    toy.run(&attempt).await.says(5, &["the last extract of 2026-11-03 05:00 UTC failed"]);
    toy.write("tieout.toml", &format!("{source}{other}{roles}"));
    toy.run(&["extract", "--now", "2026-11-03T05:20:00Z"]).await.says(0, &[]);
    toy.run(&attempt).await.says(0, &["pinned M2026-10: commit 4"]);
    let long_before = ["month-end", "2026-08", "--now", "2026-11-03T06:00:00Z"];
    let refused = toy.run(&long_before).await;
    assert!(!refused.err.contains("extract"), "no extraction helps: {}", refused.err);
    refused.says(5, &["months begin with that of the first commit", "`tieout log`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_end_that_is_not_ready_is_tried_again_after_the_next_extract() {
    let schedule = format!("{NIGHTLY}[schedule.month_end]\nday = 3\ntime = \"01:00\"\n");
    let toy = scheduled(projects(&[(1, "250.00")]), &schedule).await;
    let known = "{\"line\":\"known\",\"entry\":\"month_end\",\"cron\":\"day 3 of the next month at 01:00\",\"at\":\"2026-10-04T00:00:00Z\"}\n";
    toy.write("schedule/runs.jsonl", &(KNOWN.to_owned() + known));
    toy.run(&["extract", "--now", "2026-10-31T06:00:00Z"]).await.says(0, &[]);
    // Both are missed: whichever is first, the month is pinned after the extract.
    let server = serve(&toy, "2026-11-03T09:00:00Z").await;
    let pinned = async {
        loop {
            if runs(&toy).iter().any(|run| run[0] == "month_end" && run[1] == "succeeded") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    tokio::time::timeout(PATIENCE, pinned).await.unwrap_or_else(|_| panic!("{:?}", runs(&toy)));
    stopped(server).await;
    assert!(toy.folder().join("reports/2026-10.xlsx").exists());
    assert_eq!(toy.value("select count(*) from meta.pins where name = 'M2026-10'").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_by_itself_is_refused_at_the_start() {
    let toy = Toy::start(projects(&[])).await;
    for (schedule, expected) in [
        ("", "has no [schedule]"),
        (
            "[schedule]\nx = { cron = \"0 2 * * *\", run = \"demo\" }",
            "[schedule] x: run: `demo` does not run by itself",
        ),
        ("[schedule]\nx = { cron = \"0 2 * *\", run = \"extract\" }", "it has 4 fields, not 5"),
        ("[schedule]\nx = { cron = \"0 2 * * *\", run = \"report\" }", "nobody would read it"),
    ] {
        toy.write("tieout.toml", &(toy.settings() + schedule));
        toy.run(&["serve", "--listen", "127.0.0.1:0", "--schedule"]).await.says(2, &[expected, "hint:"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_finds_what_is_wrong_and_changes_nothing() {
    let toy = Toy::start(projects(&[(1, "250.00")])).await;
    toy.run(&["extract"]).await.says(0, &[]);
    toy.run(&["verify"]).await.says(0, &[]);
    let settings = toy.settings() + "[server]\nlisten = \"127.0.0.1:0\"\n[firm]\ntimezone = \"America/Denver\"\n";
    toy.write("tieout.toml", &settings);
    let files = || {
        let mut found: Vec<String> = Vec::new();
        let mut folders = vec![toy.folder().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let (path, about) = (entry.path(), entry.metadata().unwrap());
                found.push(format!("{} {:?}", path.display(), about.is_file().then(|| about.modified().unwrap())));
                if about.is_dir() {
                    folders.push(path);
                }
            }
        }
        found.sort();
        found
    };
    let before = files();
    let fine = toy.run(&["doctor", "--sources"]).await;
    assert_eq!(fine.code, 0, "{}{}", fine.out, fine.err);
    for text in [
        "all views can be planned",
        "1 commits can be read",
        "answers: 1 tables can be read",
        "`verify` of",
        "0 problems",
    ] {
        assert!(fine.out.contains(text), "{text}: {}", fine.out);
    }
    assert_eq!(before, files(), "nothing was changed");

    let bad = settings.replace("file = \"password\" }\n[[roles", "env = \"TIEOUT_NOT_SET_B\" }\n[[roles");
    toy.write("tieout.toml", &format!("{bad}[alerts.webhook]\nurl = {{ file = \"hook\" }}\nformat = \"slack\"\n"));
    toy.write("hook", "http://127.0.0.1:1/secret-path");
    toy.answer(Page::Unavailable).await;
    let json = toy.run(&["doctor", "--json"]).await;
    assert_eq!(json.code, 2, "{}{}", json.out, json.err);
    let told: Value = serde_json::from_str(&json.out).unwrap();
    let problems: Vec<&Value> =
        told["findings"].as_array().unwrap().iter().filter(|finding| finding["state"] == "problem").collect();
    let says = problems.iter().map(|finding| finding["says"].as_str().unwrap()).collect::<Vec<_>>().join("\n");
    assert!(says.contains("TIEOUT_NOT_SET_B is not set") && says.contains("127.0.0.1:1 cannot be reached"), "{says}");
    assert!(problems.iter().all(|finding| finding["hint"].is_string()), "{problems:?}");
    assert!(!json.out.contains("secret-path") && !json.out.contains(super::toy::PASSWORD));
    toy.write("tieout.toml", "[firm]\ntimezone = \"Chicago\"");
    assert_eq!(toy.run(&["doctor"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_tells_what_was_missed_and_what_failed_at_the_months_end() {
    let toy = Toy::start(projects(&[(1, "250.00")])).await;
    toy.write("tieout.toml", &(toy.settings() + NIGHTLY + "[schedule.month_end]\nworking_day = 3\n"));
    let begun =
        "\"scheduled_for\":\"2020-11-04T06:00:00Z\",\"is_caught_up\":false,\"started_at\":\"2020-11-14T06:00:00Z\"";
    let lines = [
        "{\"line\":\"known\",\"entry\":\"nightly\",\"cron\":\"0 2 * * *\",\"at\":\"2020-10-01T00:00:00Z\"}",
        &format!(
            "{{\"line\":\"began\",\"run\":\"a\",\"entry\":\"month_end\",\"command\":\"month-end 2020-10\",{begun}}}"
        ),
        "{\"line\":\"ended\",\"run\":\"a\",\"ended_at\":\"2020-11-14T06:00:00Z\",\"outcome\":\"given_up\",\"exit_code\":null,\"error\":\"toy is old\"}",
    ];
    toy.write("schedule/runs.jsonl", &(lines.join("\n") + "\n"));
    let told = toy.run(&["doctor"]).await.out;
    assert!(!told.contains("hint:"), "each finding has what to do below it: {told}");
    for text in [
        "there is no such warehouse",
        "month_end runs next ",
        "month_end failed last: ",
        "given up: toy is old",
        "nightly was due ",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
}

//! Bad luck, one kind after the other: each says what, where, why and what to try, with its exit code; nothing is
//! committed by halves and nothing dropped in silence.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio_postgres::NoTls;

use super::toy::{Page, Toy, ended, run, signal};

const GOOD: &str = r#"[{"id": 1, "amount": "10.00"}, {"id": 2, "amount": 20.5}]"#;
const COUNT: &str = "select count(*) from toy.projects";

fn text(text: &str) -> Page {
    Page::Text(text.to_owned())
}

async fn extract(toy: &Toy) -> super::toy::Ended {
    toy.run(&["extract", "--no-progress"]).await
}

/// A first commit with two rows.
async fn extracted() -> Toy {
    let toy = Toy::start(text(GOOD)).await;
    let ended = extract(&toy).await;
    // 5: the checks miss an ERP.
    assert!(matches!(ended.code, 0 | 5), "{}", ended.err);
    assert_eq!((toy.commits(), toy.open_sessions()), (1, 0));
    toy.asked().await;
    toy
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_does_wrong_is_told_and_nothing_is_lost() {
    let toy = extracted().await;

    toy.write("password", "wrong-horse");
    extract(&toy).await.says(3, &["source toy: POST", "/login: sign in: 401", "nothing was committed", "hint:"]);
    toy.run(&["check"]).await.says(3, &["sign in: 401", "hint:"]);
    let ended = toy.run(&["extract", "--no-progress", "--log-format", "json"]).await;
    let lines = ended.err.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect(line));
    let lines: Vec<_> = lines.collect();
    let last = lines.last().unwrap();
    assert_eq!((ended.code, &last["level"], &last["fields"]["exit_code"]), (3, &"ERROR".into(), &3.into()), "{last}");
    assert!(last["fields"]["message"].as_str().is_some_and(|told| told.contains("sign in: 401")), "{last}");
    toy.write("password", super::toy::PASSWORD);
    assert_eq!(toy.commits(), 1);

    extract(&toy).await.says(0, &["commit 2: 0 records changed"]);
    toy.run(&["extract", "--table", "project"]).await.says(2, &["did you mean `projects`?", "hint: toy: projects"]);
    toy.run(&["extract", "--accept-deletes", "projets"]).await.says(2, &["--accept-deletes projets", "`projects`"]);
    toy.run(&["extract", "--source", "toi"]).await.says(2, &["did you mean `toy`?"]);

    // A page that is no JSON says nothing about the records that were there.
    toy.answer(text("[{\"id\": 1, \"amo")).await;
    extract(&toy)
        .await
        .says(3, &["/projects: 200 OK, but the answer is no valid JSON", "nothing was committed", "hint:"]);
    assert_eq!((toy.commits(), toy.value(COUNT).await.as_str()), (2, "2"));

    let rejects = r#"[{"id": 1, "amount": "10.00"}, {"id": null, "amount": "1"}, {"id": 3, "amount": "ten"}]"#;
    toy.answer(text(rejects)).await;
    extract(&toy).await.says(
        5,
        &[
            "incomplete: toy.projects: partial: 1 records and 1 values could not be read; the first: ",
            "hint: meta.rejects",
        ],
    );
    assert_eq!(toy.value(COUNT).await, "3", "a bad value takes no row with it");
    assert_eq!(toy.value("select amount is null from toy.projects where id = 3").await, "true");
    let told = "select key, field, value, raw is null from meta.rejects where field = 'amount'";
    assert_eq!(toy.value(told).await, "3,amount,\"\"\"ten\"\"\",true");
    let ended = toy.run(&["sql", "--format", "csv", "select reason, raw from meta.rejects order by reason"]).await;
    for told in ["id", "amount", "null"] {
        assert!(ended.out.contains(told), "{}", ended.out);
    }
    assert_eq!(ended.out.lines().count(), 3, "{}", ended.out);
    assert_eq!(toy.open_sessions(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_signs_out_and_commits_nothing() {
    let toy = extracted().await;
    toy.answer(Page::Hang).await;
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let child = toy.spawn(&["extract"]);
        toy.asked().await;
        // While it runs nobody else may extract the source, and everybody may read.
        toy.run(&["extract"]).await.says(6, &["lock source toy: process", "hint:"]);
        assert_eq!(toy.value(COUNT).await, "2");
        assert_eq!(toy.open_sessions(), 1);
        signal(&child, name).await;
        ended(child).await.says(code, &["interrupted", "nothing of this run was committed", "hint: run again"]);
        assert_eq!((toy.commits(), toy.open_sessions()), (1, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_check_signs_out_and_ends_at_once() {
    let toy = extracted().await;
    toy.answer(Page::Hang).await;
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let child = toy.spawn(&["check"]);
        toy.asked().await;
        signal(&child, name).await;
        let ended = tokio::time::timeout(Duration::from_secs(1), ended(child)).await.expect("it ends at once");
        ended.says(code, &["interrupted: "]);
        assert_eq!(toy.open_sessions(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_under_maintenance_is_told_once_and_what_to_try() {
    let toy = extracted().await;
    toy.answer(Page::Unavailable).await;
    let texts = [
        "/login: sign in: 503",
        "maintenance until 6",
        "tried ",
        "nothing was committed",
        "hint: the source itself fails",
    ];
    for (arguments, texts) in [(["extract", "--no-progress"], &texts[..]), (["check", "-q"], &texts[..2])] {
        let ended = toy.run(&arguments).await;
        ended.says(3, texts);
        // It never let us in, so no session can have stayed open.
        assert!(!ended.err.contains("sign out"), "{}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_leaves_the_old_or_the_new() {
    let toy = extracted().await;
    toy.answer(Page::Hang).await;
    let mut child = toy.spawn(&["extract"]);
    toy.asked().await;
    child.kill().await.unwrap();
    assert_eq!(toy.commits(), 1);

    let mut rows = 2;
    for (round, milliseconds) in [900_u64, 1_500, 2_200, 3_000, 4_500].into_iter().enumerate() {
        let new = rows + 1;
        let records: Vec<String> = (1..=new).map(|id| format!("{{\"id\": {id}, \"amount\": {round}}}")).collect();
        toy.answer(text(&format!("[{}]", records.join(",")))).await;
        let mut child = toy.spawn(&["extract", "--no-progress"]);
        // Not to wait for anything: the moment at which it dies is what differs between rounds.
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        child.kill().await.unwrap();
        let found: usize = toy.value(COUNT).await.parse().unwrap();
        assert!(found == rows || found == new, "round {round}: {found} rows, neither {rows} nor {new}");
        let amounts = toy.value("select count(distinct amount) from toy.projects").await;
        assert!(amounts == "1" || found == 2, "round {round}: two snapshots in one");
        rows = found;
    }
    let ended = extract(&toy).await;
    assert!(matches!(ended.code, 0 | 5), "{}", ended.err);
    assert_eq!(toy.value("select count(distinct amount) from toy.projects").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reads_the_warehouse_says_what_is_wrong_with_it() {
    let toy = extracted().await;
    let note = "holds no snapshot yet";
    let empty = toy.folder().join("empty");
    let warehouse = empty.to_str().unwrap();
    // A run that failed has made the warehouse, and nothing in it.
    toy.answer(text("{")).await;
    toy.write("password", "wrong-horse");
    toy.run(&["--warehouse", warehouse, "extract"]).await.says(3, &[]);
    let ended = toy.run(&["--warehouse", warehouse, "sql", "select verdict from recon.summary"]).await;
    ended.says(0, &[note, "hint: `tieout extract`"]);
    assert!(ended.out.contains("not_evaluated") && !ended.out.contains("clean"), "{}", ended.out);

    for (query, code, texts) in [
        (
            "select * from toy.project",
            2,
            &["table 'tieout.toy.project' not found", "hint: did you mean toy.projects?"][..],
        ),
        ("select 1; select 2", 2, &["more than one statement"]),
        ("drop view recon.summary", 2, &["read only"]),
        ("copy (select 1) to '/tmp/x'", 2, &["read only"]),
        ("set tieout.as_of = '2026-01-01'", 2, &["only a query"]),
        ("", 2, &["no query"]),
        ("select 1 / (count(*) - count(*)) from toy.projects", 2, &["division by zero"]),
    ] {
        let ended = toy.run(&["sql", query]).await;
        ended.says(code, texts);
        assert!(ended.out.is_empty(), "{}", ended.out);
    }
    toy.run(&["sql", "--as-of", "yesterday", "select 1"]).await.says(2, &["yesterday", "hint:"]);

    let state = toy.value("select min(commit_number) from meta.commits").await;
    assert_eq!(state, "1");
    let commit = std::fs::read_dir(toy.folder().join("warehouse/commits")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(commit, "{").unwrap();
    toy.run(&["sql", "select 1"]).await.says(4, &["commits/00000000000000000001.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_written_as_they_were_asked_for() {
    let toy = extracted().await;
    let query = "select id, amount, id = 1, count(*) over (), null as nothing from toy.projects order by id";
    let ended = toy.run(&["sql", query]).await;
    insta::assert_snapshot!(ended.out, @r"
    +----+--------+----------+-------+---------+
    | id | amount | ?column? | count | nothing |
    +----+--------+----------+-------+---------+
    | 1  | 10.00  | true     | 2     |         |
    | 2  | 20.50  | false    | 2     |         |
    +----+--------+----------+-------+---------+
    ");
    let ended = toy.run(&["sql", "--format", "csv", query]).await;
    assert_eq!(ended.out, "id,amount,?column?,count,nothing\n1,10.00,true,2,\n2,20.50,false,2,\n");
    toy.write("query.sql", "select id, amount from toy.projects where id > 7;\n");
    let ended = toy.run(&["sql", "--format", "csv", "-f", "query.sql"]).await;
    assert_eq!(ended.out, "id,amount\n", "a header also without rows: {}", ended.err);
    assert_eq!(toy.run(&["sql", "--format", "json", "-f", "query.sql"]).await.out, "[]\n");
    let ended = toy.run(&["sql", "--format", "json", "select id, amount from toy.projects order by id"]).await;
    let rows: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(rows[1]["amount"].to_string().trim_matches('"'), "20.50", "{rows}");

    toy.run(&["sql", "--format", "parquet", "-o", "x.parquet", query]).await.says(0, &[]);
    assert!(std::fs::read(toy.folder().join("x.parquet")).unwrap().starts_with(b"PAR1"));
    toy.run(&["sql", "-o", "none/x", query]).await.says(2, &["write none/x", "make its folder first"]);
    let failing = "select 1 / (id - 2) from toy.projects";
    toy.run(&["sql", "-o", "half", failing]).await.says(2, &["division by zero", "write half"]);
    assert!(!toy.folder().join("half").exists() && !toy.folder().join("half.part").exists());

    let program = env!("CARGO_BIN_EXE_tieout");
    for format in ["table", "csv", "json"] {
        let piped = format!(
            "set -o pipefail; {program} sql --format {format} 'select * from generate_series(1, 200000)' | head -1"
        );
        let output = tokio::process::Command::new("bash").current_dir(toy.folder()).args(["-c", &piped]).output();
        let output = output.await.unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{format}: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_ends_its_queries_and_itself() {
    let toy = extracted().await;
    for name in ["TERM", "INT"] {
        let mut child = toy.spawn(&["serve", "--listen", "127.0.0.1:0"]);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap().unwrap();
        let port = first.rsplit(':').next().and_then(|rest| rest.split(',').next()).unwrap();
        let target = format!("host=127.0.0.1 port={port} user=ada password={} dbname=tieout", super::toy::PASSWORD);
        let (client, connection) = tokio_postgres::connect(&target, NoTls).await.unwrap();
        tokio::spawn(connection);
        let runaway = "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b, \
                       generate_series(1, 1000) c where a + b + c = -1";
        let (query, stopped) = tokio::join!(client.batch_execute(runaway), async {
            // A new connection answers while the query runs.
            let (other, connection) = tokio_postgres::connect(&target, NoTls).await.unwrap();
            tokio::spawn(connection);
            other.batch_execute("select 1").await.unwrap();
            signal(&child, name).await;
            tokio::time::timeout(Duration::from_secs(20), child.wait()).await.expect("it ends soon").unwrap()
        });
        assert_eq!(query.unwrap_err().code().map(|code| code.code().to_owned()).as_deref(), Some("57P01"));
        assert_eq!(stopped.code(), Some(0));
        assert!(tokio_postgres::connect(&target, NoTls).await.is_err());
    }
}

/// A small file system of its own, taken away at the end.
struct Disk(std::path::PathBuf);

impl Disk {
    /// None where this account may not mount.
    fn new(path: std::path::PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }

    fn grow(&self, size: &str) {
        let options = format!("remount,size={size}");
        let grown = std::process::Command::new("mount").args(["-o", options.as_str()]).arg(&self.0).status();
        assert!(grown.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_the_next_run_goes_on() {
    let toy = extracted().await;
    let Some(disk) = Disk::new(toy.folder().join("disk"), "160k") else {
        // Only the administrator may mount a disk that is small enough; the store's own tests fail it everywhere.
        return;
    };
    let warehouse = "disk/warehouse";
    let ended = toy.run(&["--warehouse", warehouse, "extract", "--no-progress"]).await;
    ended.says(4, &["hint: the disk is full"]);
    let commits = toy.folder().join(warehouse).join("commits");
    assert_eq!(std::fs::read_dir(&commits).map_or(0, Iterator::count), 0, "no half commit");
    disk.grow("64m");
    let ended = toy.run(&["--warehouse", warehouse, "extract", "--no-progress"]).await;
    assert!(matches!(ended.code, 0 | 5), "{}", ended.err);
    let ended = run(toy.folder(), &["--warehouse", warehouse, "sql", "--format", "csv", COUNT]).await;
    assert_eq!(ended.out, "count\n2\n", "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_host_is_told_with_its_address() {
    let toy = extracted().await;
    // A port that was just free: nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = toy.settings();
    let url = settings.split('"').find(|part| part.starts_with("http://")).unwrap();
    toy.write("tieout.toml", &settings.replace(url, &format!("http://{free}")));
    let place = format!("POST http://{free}/login: cannot connect");
    extract(&toy).await.says(3, &[&place, "nothing was committed", "hint: check base_url, the network and the proxy"]);
    toy.run(&["check"]).await.says(3, &[&place]);
    assert_eq!(toy.commits(), 1);
}

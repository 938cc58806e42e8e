//! `recon`, `waive`, `unwaive`, `recheck`, and a check of the firm's own beside files that cannot be used.

use super::toy::{Page, Toy};

pub(super) const LARGE: &str = "\
-- title:    Projects above a hundred
-- check:    X1
-- entity:   projects
-- fix_side: pm
-- version:  1

select
    'X1:' || cast(id as varchar) as exception_key,
    cast(id as varchar) as pm_id,
    'project ' || cast(id as varchar) as label,
    'project ' || cast(id as varchar) || ' is worth ' || cast(amount as varchar) as detail,
    cast(amount as decimal(18,2)) as amount_at_risk,
    'unknown' as cause
from toy.projects
where amount > 100
";
pub(super) const CHECK: &str = "queries/recon/project_large.sql";
const MORNING: &str = "2026-11-02T06:00:00Z";
const NEXT: &str = "2026-11-03T06:00:00Z";
const LATER: &str = "2026-11-04T06:00:00Z";

pub(super) fn projects(amounts: &[(u32, &str)]) -> Page {
    let rows: Vec<String> =
        amounts.iter().map(|(id, amount)| format!("{{\"id\":{id},\"amount\":\"{amount}\"}}")).collect();
    Page::Text(format!("[{}]", rows.join(",")))
}

async fn extracted(amounts: &[(u32, &str)]) -> Toy {
    let toy = Toy::start(projects(amounts)).await;
    toy.write(CHECK, LARGE);
    toy.run(&["extract", "--now", MORNING]).await.says(0, &[]);
    toy
}

#[tokio::test(flavor = "multi_thread")]
async fn recon_tells_the_verdicts_and_its_exit_code_tells_the_worst() {
    let toy = extracted(&[(1, "250.00"), (2, "20000.00"), (3, "5.00")]).await;
    let ended = toy.run(&["recon", "X1"]).await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    for text in ["X1", "exceptions", "2 open, 20,250.00 USD", "X1:2", "high", "project 1 is worth 250.00"] {
        assert!(ended.out.contains(text), "{text}: {}", ended.out);
    }
    assert!(!ended.out.contains('\u{1b}'), "a pipe gets no colours: {}", ended.out);
    assert!(toy.run(&["recon", "X1", "--color", "always"]).await.out.contains('\u{1b}'));
    for (arguments, code) in [
        (&["recon", "x1", "--fail-on", "high"][..], 1),
        (&["recon", "project_large", "--fail-on", "low"], 1),
        (&["recon", "V1", "--fail-on", "low"], 0),
    ] {
        toy.run(arguments).await.says(code, &[]);
    }
    toy.run(&["recon", "X11"]).await.says(2, &["recon X11: no such check", "did you mean `I11`?", "hint: there are "]);
    let json: serde_json::Value =
        serde_json::from_str(&toy.run(&["recon", "X1", "--format", "json"]).await.out).unwrap();
    assert_eq!(json["checks"][0]["verdict"], "exceptions");
    assert_eq!(json["exceptions"][0]["amount_at_risk"], "20000.00");
    let csv = toy.run(&["recon", "--format", "csv"]).await.out;
    assert!(csv.starts_with("check_id,exception_key,state,severity,") && csv.lines().count() == 3, "{csv}");

    // A check that could not look says so, and says it by the exit code unless something worse is certain.
    // A record without a key is none of the rows: the list is partial.
    toy.answer(Page::Text("[{\"id\":null,\"amount\":\"250.00\"}]".to_owned())).await;
    toy.run(&["extract", "--now", NEXT]).await.says(5, &["X1"]);
    let ended = toy.run(&["recon", "X1"]).await;
    assert!(ended.code == 5 && ended.out.contains("not_evaluated"), "{}{}", ended.code, ended.out);
    toy.run(&["recon", "X1", "--fail-on", "high"]).await.says(1, &[]);
    toy.run(&["recon", "X1", "--format", "csv"]).await.says(5, &["not evaluated: X1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiver_is_a_commit_that_log_show_and_verify_know() {
    let toy = extracted(&[(1, "250.00")]).await;
    let waive = |more: &'static [&'static str]| [&["waive", "X1:1", "--now", MORNING, "--by", "Ada"], more].concat();
    let good = waive(&["--reason", "agreed", "--until", "2026-12-31", "--up-to", "300"]);
    for (arguments, texts) in [
        (waive(&["--until", "2026-12-31"]), &["--reason <TEXT>"][..]),
        (waive(&["--reason", " ", "--until", "2026-12-31"]), &["says why and who decided", "hint:"]),
        (waive(&["--reason", "x", "--until", "31.12.2026"]), &["--until 31.12.2026 is no day", "hint:"]),
        (waive(&["--reason", "x", "--until", "2026-11-01"]), &["2026-11-01 is past: today is 2026-11-02"]),
        (waive(&["--reason", "x", "--until", "2026-12-31", "--up-to", "1,5"]), &["--up-to 1,5 is no amount"]),
        (vec!["waive", "X1:3", "--by", "A", "--reason", "x", "--until", "2999-12-31"], &["did you mean `X1:1`?"]),
        (vec!["unwaive", "X1:1"], &["no waiver of this key is active"]),
    ] {
        toy.run(&arguments).await.says(2, texts);
    }
    let ended = toy.run(&good).await;
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (0, "waived X1:1 by Ada until 2026-12-31, 250.00 at risk, up to 300.00 (in commit 2)\n"),
        "{}",
        ended.err
    );
    toy.run(&good).await.says(2, &["it is waived already, by Ada until 2026-12-31"]);
    let ended = toy.run(&["recon", "X1", "--fail-on", "low"]).await;
    assert!(ended.code == 0 && ended.out.contains("0 open") && ended.out.contains("1 waived"), "{}", ended.out);
    let summary = "select verdict, open_count, waived_count, amount_at_risk from recon.summary where check_id = 'X1'";
    assert_eq!(toy.value(summary).await, "exceptions,0,1,0.00");
    assert!(toy.run(&["log"]).await.out.contains("waiver      X1:1 waived by Ada until 2026-12-31"));
    let shown = toy.run(&["show", "2", "--format", "json"]).await.out;
    assert!(shown.contains("\"exception_key\": \"X1:1\"") && shown.contains("\"up_to\": \"300.00\""), "{shown}");
    toy.run(&["extract", "--now", NEXT]).await.says(0, &[]);
    assert_eq!(
        toy.value("select exception_count, waived_count from recon.check_runs where check_id = 'X1' and is_latest")
            .await,
        "0,1"
    );
    assert_eq!(toy.run(&["unwaive", "X1:1", "--by", "Bob", "--now", NEXT]).await.code, 0);
    assert_eq!(toy.value("select state, ended_by from recon.waivers").await, "taken_back,Bob");
    toy.run(&["verify", "--deep"]).await.says(0, &[]);
    toy.run(&["recon", "X1", "--fail-on", "low"]).await.says(1, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_is_shown_on_the_past_before_it_is_kept() {
    let toy = extracted(&[(1, "250.00"), (2, "20000.00")]).await;
    toy.run(&["extract", "--now", NEXT]).await.says(0, &[]);
    toy.write(CHECK, &LARGE.replace("amount > 100", "amount > 1000").replace("version:  1", "version:  2"));
    let since = ["recheck", "--since", "2026-11-01"];
    let ended = toy.run(&since).await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    insta::assert_snapshot!(ended.out, @r"
    2 commits from 1 to 2 judged again by the present rules

    month    check   opened   closed  changed   at risk before    at risk now
    2026-11  X1            0        1        0        20,250.00      20,000.00

    nothing was kept; --keep keeps it as a commit
    ");
    assert_eq!(toy.commits(), 2);
    let ended = toy.run(&[&since[..], &["--keep", "--now", LATER]].concat()).await;
    assert!(ended.code == 0 && ended.out.ends_with("\nkept as commit 3\n"), "{}{}", ended.out, ended.err);
    let open = "select count(*) from trend.exceptions_by_day as days where check_id = 'X1' and open_count = 1";
    assert_eq!(toy.value(open).await, "2");
    assert!(toy.run(&["log"]).await.out.contains("recheck"));
    assert!(toy.run(&["show", "3"]).await.out.contains("1 open, 0 in flight, 20000.00 at risk"));
    toy.run(&["verify", "--deep"]).await.says(0, &[]);
    toy.run(&["recheck", "--since", "2027-01-01"]).await.says(2, &["no commit since 2027-01-01 was judged"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_firms_own_that_cannot_be_used_stops_nothing_else() {
    let toy = Toy::start(projects(&[(1, "250.00")])).await;
    toy.write(CHECK, LARGE);
    toy.write("queries/recon/mistyped.sql", "-- title: x\n-- chek: X2\nselect 1 as one\n");
    toy.write("queries/recon/unfinished.sql", "-- title: x\n\nselect\n    1 as one,\nfrom toy.projects where (\n");
    toy.write("queries/recon/failing.sql", &LARGE.replace("X1", "X3").replace("toy.projects", "toy.project"));
    toy.write("queries/trend/worth.sql", "-- title: Worth\n\nselect sum(amount) as worth from toy.projects\n");
    toy.write("crosswalks/vendors.csv", "pm_id;erp_id\n1;2\n");
    toy.write("crosswalks/projects.csv", "pm_id,erp_id,note\n1,P1,ours\n2,P2\n");
    let ended = toy.run(&["extract", "--now", MORNING]).await;
    // What a broken check could not say is told; the data is committed all the same.
    ended.says(5, &["X3"]);
    assert_eq!(toy.value("select verdict from recon.summary where check_id = 'X1'").await, "exceptions");
    assert_eq!(toy.value("select verdict from recon.summary where check_id = 'X3'").await, "not_evaluated");
    assert_eq!(toy.value("select count(*) from recon.exceptions where check_id = 'X1'").await, "1");
    let trend = "select open_count from trend.exceptions_by_month where check_id = 'X1' order by month desc";
    assert_eq!(toy.value(trend).await, "1");
    assert_eq!(toy.value("select worth from trend.worth").await, "250.00");
    let problems =
        toy.run(&["sql", "--format", "csv", "select path, reason from meta.problems order by path"]).await.out;
    for text in [
        "crosswalks/vendors.csv,\"line 1: ",
        "crosswalks/projects.csv,\"line 3: ",
        "mistyped.sql: line 2: unknown key `chek` (did you mean `check`?)",
        "queries/recon/unfinished.sql,",
        "queries/recon/failing.sql,",
    ] {
        assert!(problems.contains(text), "{text}: {problems}");
    }
    assert!(problems.contains("Line: 5") || problems.contains("Line: 6"), "{problems}");
}

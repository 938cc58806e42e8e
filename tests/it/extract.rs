//! The extractor against a small server over real HTTP: what goes wrong in the field, once each.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod acumatica;
mod belief;
mod cmic;
mod drift;
mod memory;
mod parts;
mod privacy;
mod procore;
mod projectsight;
mod protocols;
mod queries;
mod quota;
mod recheck;
mod server;
mod staging;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tieout::clock::Clock;
use tieout::extract::{Error, Manifest, PreviousTable, SourceOutcome, check, run};
use tieout::warehouse::rows::{CoverageStatus, ReadMode};
use tokio_util::sync::CancellationToken;

use self::server::*;

#[tokio::test]
async fn a_rate_limit_in_the_middle_costs_virtual_time_only() {
    let server = serve(|seen| {
        let date = ("date", "Tue, 14 Nov 2023 22:13:20 GMT");
        match (seen.path.as_str(), seen.count) {
            ("/oauth/token", _) => token(seen).unwrap(),
            ("/projects", _) => ok(r#"[{"id":1},{"id":2}]"#),
            ("/contracts", 1) if seen.query.contains("project_id=2") => answer(
                429,
                &[date, ("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "1700003600")],
                "You have surpassed the max number of requests for an hour.",
            ),
            _ => ok(&format!(
                r#"[{{"id":"{}","total":"1.50"}}]"#,
                if seen.query.contains("project_id=2") { 12 } else { 11 }
            )),
        }
    })
    .await;
    let clock = clock();
    let (before, began) = (clock.now(), std::time::Instant::now());
    let outcome = run(&source(&server, &format!("{SYSTEM}{CONTRACTS}")), &options(&clock)).await.unwrap();
    assert_eq!(rows(&outcome, "contracts"), 2);
    assert!(clock.now() - before >= chrono::TimeDelta::seconds(3600), "{}", clock.now() - before);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(outcome.run.retries == 1 && outcome.run.waited_seconds >= 3600, "{:?}", outcome.run);
    assert!(outcome.run.incomplete_tables.is_empty());
}

#[tokio::test]
async fn overload_and_cut_off_answers_are_tried_again() {
    let server = serve(|seen| match (seen.path.as_str(), seen.count) {
        ("/oauth/token", _) => token(seen).unwrap(),
        ("/projects", 1) => answer(503, &[("retry-after", "30")], "busy"),
        ("/projects", 2) => ok(r#"[{"id":1},{"id""#),
        _ => ok(r#"[{"id":1}]"#),
    })
    .await;
    let clock = clock();
    let before = clock.now();
    let outcome = run(&source(&server, SYSTEM), &options(&clock)).await.unwrap();
    assert_eq!((rows(&outcome, "projects"), outcome.run.retries), (1, 2));
    assert!(clock.now() - before >= chrono::TimeDelta::seconds(30));
}

#[tokio::test]
async fn truncated_json_for_ever_is_a_failure_not_an_empty_list() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1}]"#),
        "/contracts" => ok(r#"[{"id":1,"total":"#),
        _ => token(seen).unwrap(),
    })
    .await;
    let outcome = extract(&server, &format!("{SYSTEM}{CONTRACTS}")).await;
    let coverage = coverage(&outcome, "contracts", "1");
    assert_eq!(coverage.status, CoverageStatus::Failed);
    assert!(coverage.error.as_ref().unwrap().contains("no valid JSON"), "{coverage:?}");
    assert_eq!(coverage.project.as_deref(), Some("1"));
}

#[tokio::test]
async fn values_that_are_none_and_records_that_are_no_rows_are_told() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1}]"#),
        "/contracts" => ok(r#"[{"id":1,"total":"12abc"},{"id":null,"total":"1"},{"id":3,"total":7.10}]"#),
        _ => token(seen).unwrap(),
    })
    .await;
    let outcome = extract(&server, &format!("{SYSTEM}{CONTRACTS}")).await;
    let contracts = table(&outcome, "contracts");
    let told: Vec<_> = contracts
        .rejects
        .iter()
        .map(|it| (it.key.as_deref(), it.field.as_deref(), it.value.as_deref(), it.reason.as_str(), it.raw.as_str()))
        .collect();
    let bad_value = (Some("1"), Some("total"), Some("\"12abc\""), "column `total`: \"12abc\" is no decimal(18,2)", "");
    let no_key = (None, Some("id"), None, "key column `id` is null or empty", r#"{"id":null,"total":"1"}"#);
    assert_eq!(told, [bad_value, no_key]);
    assert_eq!(
        (rows(&outcome, "contracts"), coverage(&outcome, "contracts", "1").status),
        (2, CoverageStatus::Partial),
        "a row whose value is none stays"
    );
}

#[tokio::test]
async fn an_empty_list_needs_a_reason_to_be_believed() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1},{"id":2}]"#),
        "/contracts" if seen.query.contains("project_id=1") => ok(r#"[{"id":1,"total":"5"}]"#),
        "/contracts" => ok(r#"[{"id":2,"total":"0.00"}]"#),
        "/invoices" => ok("[]"),
        _ => token(seen).unwrap(),
    })
    .await;
    let invoices = |more: &str| {
        let head = "[[table]]\nname = \"invoices\"\nparent = \"projects\"\npath = \"/invoices\"\nkey = [\"id\"]";
        let tail = "query = { p = \"{parent.id}\" }\n[table.columns]\nid = \"int64\"\n";
        format!("{SYSTEM}{CONTRACTS}{head}\n{more}\n{tail}")
    };
    let of = |outcome: &SourceOutcome| ["1", "2"].map(|scope| coverage(outcome, "invoices", scope).status);
    let (yes, no) = (CoverageStatus::EmptyVerified, CoverageStatus::EmptyUnverified);
    assert_eq!(of(&extract(&server, &invoices("")).await), [no, no]);
    assert_eq!(of(&extract(&server, &invoices("empty = \"verified\"")).await), [yes, yes]);
    assert_eq!(of(&extract(&server, &invoices("witness = [\"contracts.total\"]")).await), [no, yes]);
    assert_eq!(of(&extract(&server, &invoices("companions = [\"contracts\"]")).await), [yes, yes]);
    let source = source(&server, &invoices("empty = \"verified\""));
    let mut options = options(&clock());
    let before = PreviousTable { scopes: BTreeSet::from(["1".to_owned()]), ..PreviousTable::default() };
    options.previous.tables.insert("invoices".into(), before);
    assert_eq!(of(&run(&source, &options).await.unwrap()), [no, yes], "there were records before");
}

#[tokio::test]
async fn one_forbidden_project_does_not_stop_the_others() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1},{"id":2},{"id":3}]"#),
        "/contracts" if seen.query.contains("project_id=2") => {
            answer(403, &[], r#"{"errors":["insufficient access"]}"#)
        }
        "/contracts" if seen.query.contains("project_id=3") => answer(404, &[], "<html>no</html>"),
        "/contracts" => ok(r#"[{"id":1,"total":"5"}]"#),
        _ => token(seen).unwrap(),
    })
    .await;
    let outcome = extract(&server, &format!("{SYSTEM}{CONTRACTS}")).await;
    let status = |scope| coverage(&outcome, "contracts", scope).status;
    let expected = (CoverageStatus::Ok, CoverageStatus::Forbidden, CoverageStatus::NotFound);
    assert_eq!((status("1"), status("2"), status("3")), expected);
    let error = coverage(&outcome, "contracts", "2").error.clone().unwrap();
    assert!(error.contains("/contracts?project_id=2") && error.contains("403") && error.contains("hint: "), "{error}");
    assert_eq!(outcome.run.incomplete_tables, ["contracts"]);
}

#[tokio::test]
async fn links_are_followed_on_our_host_only_and_totals_compared() {
    let server = serve(|seen| {
        let page = |n: u32| format!("<https://evil.example/projects?page={n}&per_page=2>; rel=\"next\"");
        let total = ("Total", "5");
        match seen.path.as_str() {
            // The server caps the page at 2 whatever was asked for.
            "/projects" if seen.query.contains("page=1&") => {
                answer(200, &[("Link", &page(2)), total], r#"[{"id":1},{"id":2}]"#)
            }
            "/projects" if seen.query.contains("page=2&") => {
                answer(200, &[("Link", &page(3)), total], r#"[{"id":3},{"id":4}]"#)
            }
            "/projects" => {
                answer(200, &[("Link", "<https://x/projects?page=1>; rel=\"first\""), total], r#"[{"id":5}]"#)
            }
            "/contracts" => {
                answer(200, &[("Total", "3"), ("Link", "<https://x/c>; rel=\"first\"")], r#"[{"id":9,"total":null}]"#)
            }
            _ => token(seen).unwrap(),
        }
    })
    .await;
    let outcome = extract(&server, SYSTEM).await;
    assert_eq!(rows(&outcome, "projects"), 5);
    assert_eq!(coverage(&outcome, "projects", "").expected_rows, Some(5));
    assert!(server.log.lock().unwrap().contains(&"/projects?page=1&per_page=100".to_owned()));
    let outcome = extract(&server, &format!("{SYSTEM}{CONTRACTS}")).await;
    assert_eq!(coverage(&outcome, "contracts", "1").status, CoverageStatus::Partial, "3 told, 1 given");
}

#[tokio::test]
async fn a_second_page_that_repeats_the_first_ends_the_list() {
    let many: Vec<String> = (0..100).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    let body = format!("[{}]", many.join(","));
    let server = serve(move |seen| token(seen).unwrap_or_else(|| ok(&body))).await;
    let outcome = extract(&server, SYSTEM).await;
    assert_eq!((rows(&outcome, "projects"), coverage(&outcome, "projects", "").status), (100, CoverageStatus::Ok));
    assert_eq!(server.log.lock().unwrap().len(), 3, "token, page 1, page 2");
}

#[tokio::test]
async fn a_source_that_ignores_the_offset_is_noticed_in_spite_of_volatile_ids() {
    let server = serve(|seen| match seen.path.as_str() {
        "/login" | "/logout" => answer(204, &[], ""),
        _ => ok(&format!(
            r#"[{{"id":"{0}","Type":{{"value":"Bill"}},"ReferenceNbr":{{"value":"1"}}}},{{"id":"x{0}","Type":{{"value":"Bill"}},"ReferenceNbr":{{"value":"2"}}}}]"#,
            seen.query.len() + seen.count
        )),
    })
    .await;
    let outcome = extract(&server, COOKIES).await;
    assert_eq!((rows(&outcome, "bills"), coverage(&outcome, "bills", "").status), (2, CoverageStatus::Partial));
    assert_eq!(server.log.lock().unwrap().len(), 4, "sign in, two pages, sign out");
}

#[tokio::test]
async fn an_expired_token_is_renewed_once() {
    let server = serve(|seen| match seen.path.as_str() {
        "/oauth/token" => token(seen).unwrap(),
        _ if seen.token != "Bearer tok2" => answer(401, &[], r#"{"errors":"Unauthorized"}"#),
        _ => ok(r#"[{"id":1}]"#),
    })
    .await;
    assert_eq!(rows(&extract(&server, SYSTEM).await, "projects"), 1);
    assert_eq!(server.log.lock().unwrap().iter().filter(|line| line.starts_with("/oauth")).count(), 2);
}

#[tokio::test]
async fn a_wrong_secret_is_an_error_without_the_secret() {
    let echo = format!(r#"{{"error":"invalid_client","got":"{SECRET}"}}"#);
    let server = serve(move |_| answer(401, &[], &echo)).await;
    let source = source(&server, SYSTEM);
    let error = run(&source, &options(&clock())).await.unwrap_err();
    let text = format!("{error} {error:?} {source:?}");
    assert!(matches!(error, Error::Denied { .. }), "{text}");
    assert!(text.contains("/oauth/token: sign in: 401") && text.contains("hint: check client_id"), "{text}");
    assert!(!text.contains("s3cr3t"), "{text}");
}

#[tokio::test]
async fn an_unreachable_host_is_an_error_that_names_it() {
    let server = Server { url: "http://127.0.0.1:9".into(), log: Arc::default() };
    let error = run(&source(&server, SYSTEM), &options(&clock())).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("http://127.0.0.1:9/oauth/token: cannot connect"), "{error}");
}

#[tokio::test]
async fn a_cookie_session_pages_by_offset_and_always_signs_out() {
    let server = serve(|seen| match seen.path.as_str() {
        "/login" if seen.count == 1 => answer(500, &[], r#"{"message":"API Login Limit"}"#),
        "/login" => {
            assert!(seen.body.contains(SECRET));
            answer(204, &[("set-cookie", "session=1; path=/")], "")
        }
        "/logout" => answer(204, &[], ""),
        _ if seen.query.contains("skip=0") => ok(
            r#"[{"id":"a","Type":{"value":"Bill"},"ReferenceNbr":{"value":"1 "},"Date":{"value":"2026-01-05T00:00:00-05:00"},"Tax":{"value":"99"},"Details":[{"Amount":{"value":1.10}},{"Amount":{}}]},
                {"id":"b","Type":{"value":"Bill"},"ReferenceNbr":{"value":"2"},"Date":{},"Details":[]}]"#,
        ),
        // The second page begins with the last record of the first.
        _ => ok(&format!(
            r#"[{}{{"Type":{{"value":"Bill"}},"ReferenceNbr":{{"value":"3"}},"Date":{{}},"Details":[{{"Amount":{{"value":-3}}}}]}}]"#,
            if seen.query.contains("skip=1") {
                r#"{"Type":{"value":"Bill"},"ReferenceNbr":{"value":"2"},"Date":{},"Details":[]},"#
            } else {
                ""
            }
        )),
    })
    .await;
    let outcome = extract(&server, COOKIES).await;
    assert_eq!((rows(&outcome, "bills"), rows(&outcome, "bill_lines")), (3, 3));
    assert!(outcome.run.incomplete_tables.is_empty(), "{:?}", outcome.tables);
    let shown = format!("{:?}", table(&outcome, "bills").batches);
    assert!(
        shown.contains("Bill|1") && shown.contains("2026-01-05") && !shown.contains("\"99\"") && !shown.contains("Tax"),
        "{shown}"
    );
    assert_eq!(server.log.lock().unwrap().last().unwrap(), "/logout?");
}

#[tokio::test]
async fn a_cancelled_run_signs_out_too() {
    let cancel = CancellationToken::new();
    let trigger = cancel.clone();
    let server = serve(move |seen| match seen.path.as_str() {
        "/login" | "/logout" => answer(204, &[], ""),
        _ => {
            trigger.cancel();
            answer(503, &[], "")
        }
    })
    .await;
    let mut options = options(&clock());
    options.cancel = cancel;
    let error = run(&source(&server, COOKIES), &options).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    assert_eq!(server.log.lock().unwrap().last().unwrap(), "/logout?");
}

#[tokio::test]
async fn a_project_that_is_hidden_takes_nothing_with_it() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1}]"#),
        "/contracts" => ok(r#"[{"id":7,"total":"5"}]"#),
        _ => token(seen).unwrap(),
    })
    .await;
    let mut options = options(&clock());
    let keys = BTreeMap::from([(String::new(), BTreeSet::from(["1".to_owned(), "2".to_owned()]))]);
    options.previous.tables.insert("projects".into(), PreviousTable { keys, ..PreviousTable::default() });
    let source = source(&server, &format!("{SYSTEM}{CONTRACTS}"));
    let outcome = run(&source, &options).await.unwrap();
    assert_eq!(coverage(&outcome, "contracts", "2").status, CoverageStatus::NotFound);
    assert_eq!(coverage(&outcome, "contracts", "2").project.as_deref(), Some("2"));
    assert_eq!(table(&outcome, "projects").mode, ReadMode::Incremental, "absence closes nothing");
    options.accept_deletes = vec!["projects".into(), "contracts".into()];
    let outcome = run(&source, &options).await.unwrap();
    assert_eq!(coverage(&outcome, "contracts", "2").status, CoverageStatus::EmptyVerified);
    assert_eq!(table(&outcome, "projects").mode, ReadMode::Full);
}

#[tokio::test]
async fn a_failed_list_of_parents_fails_what_hangs_on_it() {
    let calls = AtomicUsize::new(0);
    let server = serve(move |seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1}]"#),
        "/contracts" => {
            calls.fetch_add(1, Ordering::Relaxed);
            answer(200, &[("content-type", "text/html")], "<html>maintenance</html>")
        }
        "/lines" => ok("[]"),
        _ => token(seen).unwrap(),
    })
    .await;
    let lines = "[[table]]\nname = \"lines\"\nparent = \"contracts\"\npath = \"/lines/{projects.id}/{parent.id}\"\nkey = [\"id\"]\n[table.columns]\nid = \"int64\"\n";
    let mut options = options(&clock());
    let keys = BTreeMap::from([("1".to_owned(), BTreeSet::from(["7".to_owned()]))]);
    options.previous.tables.insert("contracts".into(), PreviousTable { keys, ..PreviousTable::default() });
    let outcome = run(&source(&server, &format!("{SYSTEM}{CONTRACTS}{lines}")), &options).await.unwrap();
    assert_eq!(coverage(&outcome, "contracts", "1").status, CoverageStatus::Failed);
    assert!(coverage(&outcome, "contracts", "1").error.as_ref().unwrap().contains("web page"));
    assert_eq!(coverage(&outcome, "lines", "1").status, CoverageStatus::Failed);
    assert_eq!(coverage(&outcome, "lines", "1/7").status, CoverageStatus::Failed);
    assert_eq!(coverage(&outcome, "lines", "1/7").project.as_deref(), Some("1"));
}

#[tokio::test]
async fn an_incremental_read_asks_from_the_cursor_and_keeps_it_on_failure() {
    let server = serve(|seen| match seen.path.as_str() {
        "/oauth/token" => {
            let date = [("date", "Sat, 31 Jan 2026 21:00:00 GMT")];
            answer(200, &date, r#"{"access_token":"t","expires_in":"5400"}"#)
        }
        "/projects" => ok(r#"[{"id":1}]"#),
        "/contracts" if seen.query.contains("updated_at") => ok("[]"),
        "/contracts" if seen.query.contains("per_page=1&") || seen.query.ends_with("per_page=1") => {
            ok(r#"[{"id":7,"total":"5"}]"#)
        }
        _ => answer(400, &[], "{}"),
    })
    .await;
    let cursor = r#"cursor = { field = "updated_at", parameter = "filters[updated_at]", format = "range", overlap_seconds = 900 }"#;
    let contracts = CONTRACTS.replace("key = [\"id\"]", &format!("key = [\"id\"]\n{cursor}"));
    let source = source(&server, &format!("{SYSTEM}{contracts}"));
    let mut options = options(&clock());
    options.mode = ReadMode::Incremental;
    let scopes = BTreeSet::from(["1".to_owned()]);
    let previous = PreviousTable { cursor: Some("2026-01-30T00:00:00Z".into()), scopes, ..PreviousTable::default() };
    options.previous.tables.insert("contracts".into(), previous);
    let outcome = run(&source, &options).await.unwrap();
    assert_eq!(
        coverage(&outcome, "contracts", "1").status,
        CoverageStatus::Ok,
        "a record without the cursor is proof enough"
    );
    assert_eq!(table(&outcome, "contracts").cursor.as_deref(), Some("2026-01-31T21:00:00Z"), "the server's clock");
    assert_eq!(table(&outcome, "contracts").mode, ReadMode::Incremental);
    let asked = server.log.lock().unwrap().iter().any(|line| line.contains("2026-01-29T23%3A45%3A00Z..."));
    assert!(asked, "{:?}", server.log.lock().unwrap());
    options.mode = ReadMode::Full;
    let outcome = run(&source, &options).await.unwrap();
    assert_eq!(table(&outcome, "contracts").cursor.as_deref(), Some("2026-01-30T00:00:00Z"), "the read failed");
}

#[tokio::test]
async fn check_tries_each_table_once() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1,"name":"x"}]"#),
        "/contracts" => answer(403, &[], "{}"),
        _ => token(seen).unwrap(),
    })
    .await;
    let checks = check(&source(&server, &format!("{SYSTEM}{CONTRACTS}")), &Clock::Machine, &CancellationToken::new())
        .await
        .unwrap();
    let status: Vec<_> = checks.iter().map(|check| (check.table.as_str(), check.status)).collect();
    assert_eq!(status, [("projects", CoverageStatus::Ok), ("contracts", CoverageStatus::Forbidden)]);
    assert_eq!(checks[0].drift[0].field, "name");
}

/// A project that was just entered has no contract yet: the next ones are tried before a table is called empty.
#[tokio::test]
async fn check_looks_under_other_projects_where_one_is_empty() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1},{"id":2},{"id":3}]"#),
        "/contracts" if seen.query.contains("=2") => ok(r#"[{"id":20,"project_id":2}]"#),
        "/contracts" | "/contracts/20/lines" => ok("[]"),
        _ => token(seen).unwrap(),
    })
    .await;
    let below = |table: &str, parent: &str| {
        let text = CONTRACTS.replacen("contracts", table, 1).replacen("\"projects\"", &format!("\"{parent}\""), 1);
        text.replacen("path = \"/contracts\"", &format!("path = \"/{parent}/{{parent.id}}/lines\""), 1)
    };
    let manifest = format!("{SYSTEM}{CONTRACTS}{}{}", below("lines", "contracts"), below("sublines", "lines"));
    let checks = check(&source(&server, &manifest), &Clock::Machine, &CancellationToken::new()).await.unwrap();
    let status: Vec<_> = checks.iter().map(|check| (check.table.as_str(), check.status)).collect();
    let empty = CoverageStatus::EmptyUnverified;
    assert_eq!(
        status,
        [("projects", CoverageStatus::Ok), ("contracts", CoverageStatus::Ok), ("lines", empty), ("sublines", empty)]
    );
    assert!(checks[1].sample.as_ref().unwrap().contains("\"id\":20"));
    assert_eq!(checks[3].problem.as_deref(), Some("not tried: no record of lines was found"));
}

#[test]
fn a_bad_manifest_says_where_and_what_was_meant() {
    let error = |text: &str| Manifest::parse("m.toml", text).unwrap_err().to_string();
    let typo = error(&SYSTEM.replace("may_hide", "may_hid"));
    assert!(typo.starts_with("read manifest m.toml: line ") && typo.contains("did you mean `may_hide`?"), "{typo}");
    let parent = error(&format!("{SYSTEM}{}", CONTRACTS.replace("parent = \"projects\"", "parent = \"project\"")));
    assert!(parent.contains("unknown table `project` (did you mean `projects`?)"), "{parent}");
    let key = error(&SYSTEM.replace("key = [\"id\"]", "key = [\"idd\"]"));
    assert!(key.contains("key column `idd` is not declared"), "{key}");
    let placeholder = error(&format!("{SYSTEM}{}", CONTRACTS.replace("{parent.id}", "{parent.number}")));
    assert!(placeholder.contains("table `projects` has no such column"), "{placeholder}");
    let leak = error(&SYSTEM.replace("path = \"/projects\"", "path = \"/projects/{client_secret}\""));
    assert!(leak.contains("is a secret"), "{leak}");
    let cycle = error(&SYSTEM.replace("may_hide = true", "parent = \"projects\""));
    assert!(cycle.contains("cycle"), "{cycle}");
}

#[test]
fn every_shipped_manifest_is_sound() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("extractors");
    for system in std::fs::read_dir(folder).unwrap() {
        let path = system.unwrap().path().join("manifest.toml");
        if let Ok(text) = std::fs::read_to_string(&path) {
            Manifest::parse(&path.display().to_string(), &text).unwrap();
        }
    }
}

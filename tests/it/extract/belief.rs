//! What an extract believes: empty lists, lists that move, deleted records, projects never seen.

use std::collections::BTreeSet;

use tieout::extract::{PreviousTable, Setting, SourceOutcome, run};
use tieout::warehouse::rows::{CoverageStatus, ReadMode};

use super::server::*;

#[tokio::test]
async fn neither_a_null_nor_another_tool_makes_an_empty_list_believable() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1},{"id":2}]"#),
        "/contracts" if seen.query.contains("project_id=1") => ok(r#"[{"id":1,"total":null}]"#),
        "/contracts" => ok(r#"[{"id":2,"total":"9","deleted_at":"2026-01-01T00:00:00Z"},{"id":3,"total":0}]"#),
        "/invoices" => ok("[]"),
        _ => token(seen).unwrap(),
    })
    .await;
    let invoices = "[[table]]\nname = \"invoices\"\nparent = \"projects\"\npath = \"/invoices\"\nkey = [\"id\"]
        witness = [\"contracts.total\"]\nquery = { p = \"{parent.id}\" }\n[table.columns]\nid = \"int64\"\n";
    let mut source = source(&server, &format!("{SYSTEM}{}{invoices}", deletable_contracts()));
    let outcome = run(&source, &options(&clock())).await.unwrap();
    let of = |outcome: &SourceOutcome| ["1", "2"].map(|scope| coverage(outcome, "invoices", scope).status);
    let (yes, no) = (CoverageStatus::EmptyVerified, CoverageStatus::EmptyUnverified);
    assert_eq!(of(&outcome), [no, yes], "a null is unknown; what a deleted contract says counts for nothing");
    let error = coverage(&outcome, "invoices", "1").error.clone().unwrap();
    assert!(error.contains("trust_empty"), "{error}");
    source.values.insert("trust_empty".into(), Setting::Plain("invoices".into()));
    assert_eq!(of(&run(&source, &options(&clock())).await.unwrap()), [yes, yes], "a person knows");
    let mut options = options(&clock());
    let before = PreviousTable { scopes: BTreeSet::from(["1".to_owned()]), ..PreviousTable::default() };
    options.previous.tables.insert("invoices".into(), before);
    assert_eq!(of(&run(&source, &options).await.unwrap()), [no, yes], "but there were records before");
    source.values.insert("trust_empty".into(), Setting::Plain("invoice".into()));
    let error = source.with_defaults().unwrap_err().to_string();
    assert!(error.contains("unknown table `invoice` (did you mean `invoices`?)"), "{error}");
}

#[tokio::test]
async fn a_table_that_a_person_calls_absent_may_be_refused() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1}]"#),
        "/contracts" => answer(403, &[], r#"{"message":"Feature is disabled"}"#),
        _ => token(seen).unwrap(),
    })
    .await;
    let lines = "[[table]]\nname = \"lines\"\nparent = \"contracts\"\npath = \"/lines/{parent.id}\"\nkey = [\"id\"]\n[table.columns]\nid = \"int64\"\n";
    let mut source = source(&server, &format!("{SYSTEM}{}{lines}", deletable_contracts()));
    let of = |outcome: &SourceOutcome| ["contracts", "lines"].map(|table| coverage(outcome, table, "1").status);
    let (no, yes) = (CoverageStatus::Forbidden, CoverageStatus::EmptyVerified);
    assert_eq!(of(&run(&source, &options(&clock())).await.unwrap()), [no, no]);
    source.values.insert("absent".into(), Setting::Plain("contracts".into()));
    assert_eq!(of(&run(&source, &options(&clock())).await.unwrap()), [yes, yes]);
    let mut options = options(&clock());
    let before = PreviousTable { scopes: BTreeSet::from(["1".to_owned()]), ..PreviousTable::default() };
    options.previous.tables.insert("contracts".into(), before);
    assert_eq!(of(&run(&source, &options).await.unwrap())[0], no, "but there were records before");
    source.values.insert("absent".into(), Setting::Plain("contract".into()));
    let error = source.with_defaults().unwrap_err().to_string();
    assert!(error.contains("absent: unknown table `contract` (did you mean `contracts`?)"), "{error}");
}

#[tokio::test]
async fn what_hangs_on_a_deleted_record_is_gone_with_it() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1,"demo":false},{"id":2,"demo":true}]"#),
        "/contracts" => ok(r#"[{"id":7,"total":"5","deleted_at":"2026-01-01T00:00:00Z"},{"id":8,"total":"5"}]"#),
        "/lines/8" => ok(r#"[{"id":80}]"#),
        "/lines/7" => answer(404, &[], r#"{"message":"Item not found"}"#),
        _ => token(seen).unwrap(),
    })
    .await;
    let lines = "[[table]]\nname = \"lines\"\nparent = \"contracts\"\npath = \"/lines/{parent.id}\"\nkey = [\"id\"]\n[table.columns]\nid = \"int64\"\n";
    let system = SYSTEM.replace("may_hide = true", "may_hide = true\nchildless = \"demo\"");
    let system = system.replace("id = \"int64\"", "id = \"int64\"\ndemo = \"bool\"");
    let outcome = extract(&server, &format!("{system}{}{lines}", deletable_contracts())).await;
    assert_eq!(coverage(&outcome, "lines", "1/7").status, CoverageStatus::EmptyVerified);
    assert_eq!(coverage(&outcome, "lines", "1/8").status, CoverageStatus::Ok);
    assert!(outcome.run.incomplete_tables.is_empty(), "{:?}", outcome.run);
    let asked = server.log.lock().unwrap().iter().any(|line| line.contains("project_id=2"));
    assert!(!asked, "nothing is listed under a demo project");
}

#[tokio::test]
async fn a_list_that_moves_between_its_pages_is_read_again() {
    let server = serve(|seen| {
        let next = ("Link", r#"<https://x/projects?page=2&per_page=2>; rel="next""#);
        let last = ("Link", r#"<https://x/projects?page=1&per_page=2>; rel="first""#);
        match (seen.path.as_str(), seen.query.contains("page=2&"), seen.count) {
            ("/oauth/token", ..) => token(seen).unwrap(),
            // Record 1 is deleted after the first page: record 3 slips onto it, and page 2 begins with 4.
            (_, false, 1) => answer(200, &[next, ("Total", "4")], r#"[{"id":1},{"id":2}]"#),
            (_, false, _) => answer(200, &[next, ("Total", "3")], r#"[{"id":2},{"id":3}]"#),
            (_, true, _) => answer(200, &[last, ("Total", "3")], r#"[{"id":4}]"#),
        }
    })
    .await;
    let outcome = extract(&server, SYSTEM).await;
    assert_eq!((rows(&outcome, "projects"), coverage(&outcome, "projects", "").status), (3, CoverageStatus::Ok));
    assert_eq!(server.log.lock().unwrap().len(), 5, "token, two pages twice");
}

#[tokio::test]
async fn a_cap_that_only_the_page_size_header_tells_is_followed() {
    let server = serve(|seen| match seen.path.as_str() {
        "/oauth/token" => token(seen).unwrap(),
        _ if seen.query.contains("page=1&") => answer(200, &[("Per-Page", "2")], r#"[{"id":1},{"id":2}]"#),
        _ => answer(200, &[("Per-Page", "2")], r#"{"data":[{"id":3}]}"#),
    })
    .await;
    let system = SYSTEM.replace("total_header = \"Total\"", "total_header = \"Total\", size_header = \"Per-Page\"");
    let system = system.replace("[rest]", "[rest]\nenvelope = \"data\"");
    let outcome = extract(&server, &system).await;
    assert_eq!((rows(&outcome, "projects"), coverage(&outcome, "projects", "").status), (3, CoverageStatus::Ok));
}

#[tokio::test]
async fn an_incremental_read_takes_in_a_project_it_never_saw() {
    let server = serve(|seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1},{"id":2}]"#),
        "/contracts" if seen.query.contains("updated_at") => ok("[]"),
        "/contracts" if seen.query.contains("project_id=2") => ok(r#"[{"id":8,"total":"5"}]"#),
        "/contracts" => ok(r#"[{"id":7,"total":"5"}]"#),
        _ => token(seen).unwrap(),
    })
    .await;
    let cursor = r#"cursor = { field = "updated_at", parameter = "filters[updated_at]", format = "range" }"#;
    let contracts = CONTRACTS.replace("key = [\"id\"]", &format!("key = [\"id\"]\n{cursor}"));
    let mut options = options(&clock());
    options.mode = ReadMode::Incremental;
    let (cursor, scopes) = (Some("2026-01-30T00:00:00Z".into()), BTreeSet::from(["1".to_owned()]));
    let previous = PreviousTable { cursor, scopes, ..PreviousTable::default() };
    options.previous.tables.insert("contracts".into(), previous);
    let outcome = run(&source(&server, &format!("{SYSTEM}{contracts}")), &options).await.unwrap();
    assert_eq!((rows(&outcome, "contracts"), coverage(&outcome, "contracts", "2").rows), (1, 1));
    assert_eq!(table(&outcome, "contracts").mode, ReadMode::Incremental);
}

#[tokio::test]
async fn tokens_come_from_where_the_source_says() {
    let server = serve(|seen| match seen.path.as_str() {
        "/elsewhere" => ok(r#"{"access_token":"t"}"#),
        "/projects" => ok(r#"[{"id":1}]"#),
        _ => answer(404, &[], ""),
    })
    .await;
    let mut source = source(&server, SYSTEM);
    source.values.insert("token_url".into(), Setting::Plain(format!("{}/elsewhere", server.url)));
    let source = source.with_defaults().unwrap();
    assert_eq!(rows(&run(&source, &options(&clock())).await.unwrap(), "projects"), 1);
}

/// Contracts that tell when they were deleted.
fn deletable_contracts() -> String {
    let contracts = CONTRACTS.replace("key = [\"id\"]", "key = [\"id\"]\ndeleted = \"deleted_at\"");
    contracts.replace("[table.columns]", "[table.columns]\ndeleted_at = \"timestamp\"")
}

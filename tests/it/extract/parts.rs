//! Lists that refuse a part of their records, leave it out, or move while they are read.

use tieout::extract::{Error, run};
use tieout::warehouse::rows::CoverageStatus;

use super::server::*;

/// [`COOKIES`] with a part that lists expand and one that they name as a custom field.
fn manifest() -> String {
    COOKIES
        .replace("retry_text", "final_text = [\"CannotOptimize\", \"wrong user\"]\nparts = { \"$expand\" = \"\", \"$custom\" = \"custom.\" }\nretry_text")
        .replace("ignore = [\"**.id\", \"Details\"]", "query = { \"$expand\" = \"Details\", \"$custom\" = \"V.Retainage\" }")
        .replace("day = {", "retainage = { type = \"decimal(18,2)\", path = \"custom.V.Retainage\" }\nday = {")
}

fn bill(number: u32, details: Option<&str>, has_custom: bool) -> String {
    let details = details.map_or_else(String::new, |details| format!(r#","Details":{details}"#));
    let custom = if has_custom { r#""V":{"Retainage":{"type":"CustomDecimalField","value":7.5}}"# } else { "" };
    format!(r#"{{"Type":{{"value":"Bill"}},"ReferenceNbr":{{"value":"{number} "}},"custom":{{{custom}}}{details}}}"#)
}

const LINE: &str = r#"[{"Amount":{"value":1.10}}]"#;
const REFUSAL: &str = r#"{"exceptionType":"CannotOptimizeException"}"#;

fn count(server: &Server, what: &str) -> usize {
    server.log.lock().unwrap().iter().filter(|line| line.contains(what)).count()
}

#[tokio::test]
async fn a_part_that_lists_refuse_is_asked_for_by_key() {
    let server = serve(|seen| match seen.path.as_str() {
        "/login" | "/logout" => answer(204, &[], ""),
        "/bills" if seen.query.contains("expand") => answer(500, &[], REFUSAL),
        "/bills" => ok(&format!("[{}]", bill(1, None, seen.query.contains("custom")))),
        "/bills/Bill/1" => ok(&bill(1, Some(LINE), false)),
        _ => answer(404, &[], ""),
    })
    .await;
    let outcome = extract(&server, &manifest()).await;
    assert_eq!((rows(&outcome, "bills"), rows(&outcome, "bill_lines")), (1, 1));
    assert!(outcome.run.incomplete_tables.is_empty(), "{:?}", outcome.tables);
    assert_eq!(outcome.run.retries, 0, "a final refusal is not tried again");
    let shown = format!("{:?}", table(&outcome, "bills").batches);
    assert!(shown.contains("  750,\n"), "what the list gave stays, in hundredths: {shown}");
    assert_eq!(count(&server, "/bills/Bill/1?%24expand=Details"), 1);
}

#[tokio::test]
async fn a_part_that_some_records_lack_is_asked_for_by_key() {
    let server = serve(|seen| match seen.path.as_str() {
        "/login" | "/logout" => answer(204, &[], ""),
        "/bills" if seen.query.contains("skip=0") => {
            ok(&format!("[{},{}]", bill(1, Some("[]"), true), bill(3, None, true)))
        }
        "/bills" => ok(&format!("[{}]", bill(3, None, true))),
        "/bills/Bill/3" => ok(&bill(3, Some(LINE), false)),
        _ => answer(404, &[], ""),
    })
    .await;
    let outcome = extract(&server, &manifest()).await;
    assert_eq!((rows(&outcome, "bills"), rows(&outcome, "bill_lines")), (2, 1));
    assert_eq!(count(&server, "/bills/Bill/"), 1, "the other bill has an empty list, which is no lack");
    assert!(outcome.run.incomplete_tables.is_empty(), "{:?}", outcome.tables);
}

#[tokio::test]
async fn what_neither_list_nor_key_gives_is_told() {
    let server = serve(|seen| match seen.path.as_str() {
        "/login" | "/logout" => answer(204, &[], ""),
        path if path.starts_with("/bills") && seen.query.contains("custom") => answer(400, &[], "no such field"),
        "/bills" => ok(&format!("[{}]", bill(1, Some(LINE), false))),
        "/bills/Bill/1" => ok(&bill(1, Some(LINE), false)),
        _ => answer(404, &[], ""),
    })
    .await;
    let outcome = extract(&server, &manifest()).await;
    let coverage = coverage(&outcome, "bills", "");
    assert_eq!((coverage.status, coverage.rows), (CoverageStatus::Ok, 1));
    let note = coverage.error.as_deref().unwrap();
    assert!(note.contains("read without `custom.V.Retainage`") && note.contains("no such field"), "{note}");
}

#[tokio::test]
async fn a_list_that_is_refused_even_without_parts_has_failed() {
    let server = serve(|seen| match seen.path.as_str() {
        "/login" | "/logout" => answer(204, &[], ""),
        _ => answer(500, &[], REFUSAL),
    })
    .await;
    let error = run(&source(&server, &manifest()), &options(&clock())).await.unwrap_err();
    assert!(error.to_string().contains("/bills?") && error.to_string().contains("CannotOptimize"), "{error}");
    assert_eq!(count(&server, "/bills"), 2, "the list, and one record of it without parts");
}

#[tokio::test]
async fn a_record_without_the_list_that_others_have_makes_the_lines_partial() {
    let server = serve(|seen| match seen.path.as_str() {
        "/login" | "/logout" => answer(204, &[], ""),
        "/bills" if seen.query.contains("skip=0") => {
            ok(&format!("[{},{}]", bill(1, Some(LINE), true), bill(2, None, true)))
        }
        "/bills" => ok(&format!("[{}]", bill(2, None, true))),
        _ => answer(404, &[], "gone"),
    })
    .await;
    let outcome = extract(&server, &manifest()).await;
    let coverage = coverage(&outcome, "bill_lines", "");
    assert_eq!(coverage.status, CoverageStatus::Partial);
    assert_eq!(coverage.error.as_deref(), Some("1 of 2 records of bills came without `Details`"));
}

#[tokio::test]
async fn a_list_that_moves_is_read_again() {
    let page = |numbers: &[u32]| {
        let bills: Vec<String> = numbers.iter().map(|number| bill(*number, Some(LINE), true)).collect();
        ok(&format!("[{}]", bills.join(",")))
    };
    let server = serve(move |seen| match (seen.path.as_str(), seen.query.split("skip=").nth(1), seen.count) {
        ("/login" | "/logout", ..) => answer(204, &[], ""),
        (_, Some("0"), 1) => page(&[1, 2]),
        // Bill 1 is deleted meanwhile: 3 moves up, across the boundary.
        (_, Some("1"), 1) => page(&[4]),
        (_, Some("0"), _) => page(&[2, 3]),
        (_, Some("1"), _) => page(&[3, 4]),
        _ => page(&[4]),
    })
    .await;
    let outcome = extract(&server, &manifest()).await;
    assert_eq!(rows(&outcome, "bills"), 3);
    assert!(outcome.run.incomplete_tables.is_empty(), "{:?}", outcome.tables);
}

#[tokio::test]
async fn a_list_that_never_stands_still_is_partial() {
    let server = serve(|seen| match seen.path.as_str() {
        "/login" | "/logout" => answer(204, &[], ""),
        _ if seen.query.contains("skip=0") => {
            ok(&format!("[{},{}]", bill(1, Some(LINE), true), bill(2, Some(LINE), true)))
        }
        _ => ok(&format!("[{}]", bill(3, Some(LINE), true))),
    })
    .await;
    let outcome = extract(&server, &manifest()).await;
    let coverage = coverage(&outcome, "bills", "");
    assert_eq!(coverage.status, CoverageStatus::Partial);
    assert!(coverage.error.as_ref().unwrap().contains("records moved between its pages"), "{coverage:?}");
}

#[tokio::test]
async fn a_refused_session_is_closed_before_the_next_is_opened() {
    let server = serve(|seen| match (seen.path.as_str(), seen.count) {
        ("/login" | "/logout", _) => answer(204, &[], ""),
        (_, 1) => answer(401, &[], ""),
        _ => ok("[]"),
    })
    .await;
    extract(&server, &manifest()).await;
    let log: Vec<String> =
        server.log.lock().unwrap().iter().map(|line| line.split('?').next().unwrap().into()).collect();
    assert_eq!(log, ["/login", "/bills", "/logout", "/login", "/bills", "/logout"]);
}

#[tokio::test]
async fn a_wrong_user_is_asked_for_once_and_not_signed_out() {
    let server = serve(|_| answer(500, &[], "wrong user")).await;
    let error = run(&source(&server, &manifest()), &options(&clock())).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(error.to_string().contains("wrong passwords can lock the account"), "{error}");
    assert_eq!(*server.log.lock().unwrap(), ["/login?"]);
}

const LINE_OF_VIEW: &str =
    r#"[{"Amount":{"value":1.10},"custom":{"V":{"Retainage":{"type":"CustomDecimalField","value":7.5}}}}]"#;

#[tokio::test]
async fn a_field_of_the_lines_is_looked_for_in_the_lines() {
    for does_list_give_it in [true, false] {
        let server = serve(move |seen| match seen.path.as_str() {
            "/login" | "/logout" => answer(204, &[], ""),
            "/bills" => ok(&format!("[{}]", bill(1, Some(if does_list_give_it { LINE_OF_VIEW } else { LINE }), false))),
            "/bills/Bill/1" => ok(&bill(1, Some(LINE_OF_VIEW), false)),
            _ => answer(404, &[], ""),
        })
        .await;
        let outcome = extract(&server, &manifest()).await;
        assert!(outcome.run.incomplete_tables.is_empty(), "{:?}", outcome.tables);
        assert_eq!(count(&server, "/bills/Bill/"), usize::from(!does_list_give_it));
        let shown = format!("{:?}", table(&outcome, "bill_lines").batches);
        assert!(shown.contains("7.5"), "{shown}");
    }
}

#[tokio::test]
async fn parts_that_long_lists_give_one_by_one_come_together() {
    // Some of the records are packed by then, and the second list has another order.
    const BILLS: u32 = 60;
    let long = |number: u32, query: &str| {
        let bill = bill(number, query.contains("expand").then_some(LINE), query.contains("custom"));
        format!("{},\"Note\":{{\"value\":\"{}\"}}}}", bill.strip_suffix('}').unwrap(), "note ".repeat(32 << 10))
    };
    let server = serve(move |seen| match seen.path.as_str() {
        "/login" | "/logout" => answer(204, &[], ""),
        "/bills" if seen.query.contains("expand") && seen.query.contains("custom") => answer(500, &[], REFUSAL),
        "/bills" => {
            let number = |name: &str| -> u32 {
                seen.query.split(name).nth(1).unwrap().split('&').next().unwrap().parse().unwrap()
            };
            let places = number("skip=")..(number("skip=") + number("top=")).min(BILLS);
            let is_second = seen.query.contains("custom");
            let numbers = places.map(|place| if is_second { BILLS - place } else { place + 1 });
            ok(&format!("[{}]", numbers.map(|number| long(number, &seen.query)).collect::<Vec<_>>().join(",")))
        }
        _ => answer(404, &[], ""),
    })
    .await;
    let outcome = extract(&server, &manifest().replace("top = 2", "top = 20")).await;
    let bills = usize::try_from(BILLS).unwrap();
    assert_eq!((rows(&outcome, "bills"), rows(&outcome, "bill_lines")), (bills, bills));
    assert!(outcome.run.incomplete_tables.is_empty(), "{:?}", outcome.run);
    assert_eq!(count(&server, "/bills/Bill/"), 0, "the lists gave everything");
    let input = table(&outcome, "bills");
    let spooled = input.spooled.iter().flat_map(|rows| rows.read(|_| true).unwrap()).map(Result::unwrap);
    let retained = spooled.chain(input.batches.iter().cloned()).map(|batch| {
        let column = batch.column_by_name("retainage").unwrap();
        column.len() - column.null_count()
    });
    assert_eq!(retained.sum::<usize>(), bills);
}

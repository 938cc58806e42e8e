//! Lists that the body of a request asks for: its fields, its page, what changed; and what such a source refuses.

use serde_json::{Value, json};
use tieout::extract::PreviousRead;

use super::*;

const QUERIES: &str = r#"
[system]
name = "toy"
side = "erp"
protocol = "rest"
[settings]
required = ["client_id", "client_secret"]
secret = ["client_id", "client_secret"]
[rest]
auth = [ { kind = "oauth2_client_credentials", token_url = "/oauth/token", client_id = "{client_id}", client_secret = "{client_secret}", username = "reader@firm" } ]
rate = { kind = "none", wait_headers = ["X-Minute", "X-Hour"] }
denied_text = ["no right to"]
errors = { at = ["result.error", "error"], message = "message", code = "id", field = "info.FIELD" }
unauthorized_hint = "a user of its own"
[defaults]
path = "/query"
method = "POST"
records = "result"
fields = "fields"
body = { orderBy = [{ key = "asc" }] }
paging = { kind = "body", size = "size", start = "start", first = 1, per_page = 3, total = "meta.total", next = "meta.next" }
empty = "verified"
cursor = { field = "changed", also = ["entered"], parameter = "filters", expression = "joined", format = "filter_list", overlap_seconds = 7200 }
[[table]]
name = "bills"
body = { object = "bill", filters = [{ "$eq" = { kind = "a" } }] }
key = ["key"]
refresh = "open"
closed = { state = ["paid"] }
optional = ["code"]
[table.columns]
text = ["key", "state"]
vendor = { type = "text", path = "vendor.id" }
code = { type = "text", path = "dimensions.code.id" }
changed = "timestamp"
"#;

fn asked(seen: &Seen) -> Value {
    serde_json::from_str(&seen.body).unwrap()
}

fn bill(number: u64) -> Value {
    json!({"key": number.to_string(), "state": "open", "vendor.id": format!("V{number}"), "dimensions.code.id": null,
        "changed": "2026-01-01T00:00:00Z", "alias": number})
}

/// A page of `count` bills.
fn page(body: &Value, count: u64) -> axum::response::Response {
    let (start, size) = (body["start"].as_u64().unwrap(), body["size"].as_u64().unwrap());
    let end = (start + size).min(count + 1);
    let records: Vec<Value> = (start..end).map(bill).collect();
    let next = (end <= count).then_some(end);
    ok(&json!({"result": records, "meta": {"total": count, "next": next}}).to_string())
}

#[tokio::test]
async fn a_query_names_its_fields_and_its_page_in_the_body() {
    let server = serve(|seen| {
        if seen.path == "/oauth/token" {
            assert!(seen.body.ends_with("username=reader%40firm"), "{}", seen.body);
            return token(seen).unwrap();
        }
        let body = asked(seen);
        assert_eq!(body["fields"], json!(["changed", "dimensions.code.id", "key", "state", "vendor.id"]));
        assert_eq!(
            (&body["object"], &body["orderBy"], &body["size"]),
            (&json!("bill"), &json!([{"key": "asc"}]), &json!(3))
        );
        assert_eq!(body["filters"], json!([{"$eq": {"kind": "a"}}]));
        page(&body, 8)
    })
    .await;
    let outcome = extract(&server, QUERIES).await;
    assert_eq!((rows(&outcome, "bills"), coverage(&outcome, "bills", "").status), (8, CoverageStatus::Ok));
    // 1-3, 3-5, 5-7, 7-8: each page begins with the last record of the one before.
    assert_eq!(server.log.lock().unwrap().len(), 1 + 4);
    assert_eq!(coverage(&outcome, "bills", "").expected_rows, Some(8));
}

#[tokio::test]
async fn a_total_that_is_not_reached_makes_a_list_partial() {
    let server = serve(|seen| {
        token(seen).unwrap_or_else(|| {
            let records: Vec<Value> = (1..=2).map(bill).collect();
            ok(&json!({"result": records, "meta": {"total": 5, "next": null}}).to_string())
        })
    })
    .await;
    let outcome = extract(&server, QUERIES).await;
    let coverage = coverage(&outcome, "bills", "");
    assert_eq!(coverage.status, CoverageStatus::Partial);
    assert!(coverage.error.as_ref().unwrap().contains("5 records and gave 2"), "{coverage:?}");
}

/// Refuses fields by name, one an answer, with an error inside the result.
fn refusing(seen: &Seen, refused: &[&str], status: u16) -> axum::response::Response {
    let body = asked(seen);
    let found = refused
        .iter()
        .find(|name| body.get("fields").and_then(Value::as_array).unwrap().iter().any(|field| field == **name));
    let Some(name) = found else { return page(&body, 2) };
    let error = json!({"message": format!("the {name} field cannot be used"), "id": "E-1106", "info": {"FIELD": name}});
    answer(status, &[], &json!({"result": {"error": error}, "meta": {"total": 1}}).to_string())
}

#[tokio::test]
async fn a_refused_field_is_left_out_and_told() {
    for status in [400, 200] {
        let server =
            serve(move |seen| token(seen).unwrap_or_else(|| refusing(seen, &["dimensions.code.id"], status))).await;
        let outcome = extract(&server, QUERIES).await;
        let told = coverage(&outcome, "bills", "");
        assert_eq!((rows(&outcome, "bills"), told.status), (2, CoverageStatus::Ok), "{told:?}");
        let text = told.error.as_ref().unwrap();
        assert!(text.contains("read without `dimensions.code.id`") && text.contains("(E-1106)"), "{text}");
        assert_eq!(server.log.lock().unwrap().len(), 3, "one more request, and none is repeated");
    }
    // Amounts and states are no trimmings: what is read without them is not the whole.
    let server =
        serve(|seen| token(seen).unwrap_or_else(|| refusing(seen, &["dimensions.code.id", "state"], 400))).await;
    let outcome = extract(&server, QUERIES).await;
    let told = coverage(&outcome, "bills", "");
    assert_eq!((rows(&outcome, "bills"), told.status), (2, CoverageStatus::Partial), "{told:?}");
    assert!(told.error.as_ref().unwrap().contains("read without `state`"), "{told:?}");
    let server = serve(|seen| token(seen).unwrap_or_else(|| refusing(seen, &["key"], 400))).await;
    let error = run(&source(&server, QUERIES), &options(&clock())).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "nothing can be kept without its key: {error}");
}

#[tokio::test]
async fn a_missing_right_is_told_by_its_words() {
    let server = serve(|seen| {
        token(seen).unwrap_or_else(|| answer(400, &[], r#"{"error":{"message":"no right to read bill"}}"#))
    })
    .await;
    let error = run(&source(&server, QUERIES), &options(&clock())).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(
        error.to_string().contains("no right to read bill") && error.to_string().contains("read permission"),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_that_somebody_else_ended_is_renewed_once_and_then_explained() {
    let server = serve(|seen| match token(seen) {
        Some(token) => token,
        // The second page of the first token: somebody signed in elsewhere.
        None if seen.token == "Bearer tok1" && asked(seen)["start"] != 1 => {
            answer(401, &[], r#"{"error":{"message":"no token"}}"#)
        }
        None => page(&asked(seen), 5),
    })
    .await;
    let outcome = extract(&server, QUERIES).await;
    assert_eq!((rows(&outcome, "bills"), coverage(&outcome, "bills", "").status), (5, CoverageStatus::Ok));
    let server =
        serve(|seen| token(seen).unwrap_or_else(|| answer(401, &[], r#"{"error":{"message":"no token"}}"#))).await;
    let error = run(&source(&server, QUERIES), &options(&clock())).await.unwrap_err();
    assert!(error.to_string().contains("hint: a user of its own"), "{error}");
    assert_eq!(server.log.lock().unwrap().iter().filter(|line| line.starts_with("/oauth")).count(), 2);
}

#[tokio::test]
async fn the_longest_wait_that_a_refusal_names_is_kept() {
    let server = serve(|seen| match token(seen) {
        Some(token) => token,
        None if seen.count == 1 => answer(429, &[("X-Minute", "30"), ("X-Hour", "600")], r#"{"code":"limit"}"#),
        None => page(&asked(seen), 2),
    })
    .await;
    let clock = clock();
    let before = clock.now();
    let outcome = run(&source(&server, QUERIES), &options(&clock)).await.unwrap();
    assert_eq!(rows(&outcome, "bills"), 2);
    assert!(clock.now() - before >= chrono::TimeDelta::seconds(600), "{}", clock.now() - before);
}

#[tokio::test]
async fn what_changed_or_is_open_is_asked_for_by_filters_and_the_rest_by_key() {
    let server = serve(|seen| {
        let Some(token) = token(seen) else {
            let body = asked(seen);
            let filters = body["filters"].as_array().unwrap();
            if filters.iter().any(|filter| filter.get("$in").is_some()) {
                assert_eq!(filters[1], json!({"$in": {"key": ["8", "9"]}}));
                let record = json!({"key": "8", "state": "paid", "vendor.id": "V8", "changed": null});
                return ok(&json!({"result": [record], "meta": {"total": 1, "next": null}}).to_string());
            }
            assert_eq!(body["joined"], "1 and (2 or 3 or 4)");
            assert_eq!(
                filters[1..],
                [
                    json!({"$gte": {"changed": "2026-01-29T22:00:00Z"}}),
                    json!({"$gte": {"entered": "2026-01-29T22:00:00Z"}}),
                    json!({"$notIn": {"state": ["paid"]}}),
                ]
            );
            return page(&body, 2);
        };
        token
    })
    .await;
    let mut options = options(&clock());
    options.mode = ReadMode::Incremental;
    let read = PreviousRead { is_complete: true, is_answered: true, swept_at: Some(clock().now()) };
    let previous = PreviousTable {
        cursor: Some("2026-01-30T00:00:00Z".into()),
        scopes: BTreeSet::from([String::new()]),
        rows: BTreeMap::from([(String::new(), 900)]),
        reads: BTreeMap::from([(String::new(), read)]),
        open: BTreeMap::from([(String::new(), ["1", "8", "9"].map(str::to_owned).into())]),
        ..PreviousTable::default()
    };
    options.previous.tables.insert("bills".into(), previous);
    let outcome = run(&source(&server, QUERIES), &options).await.unwrap();
    assert_eq!((rows(&outcome, "bills"), coverage(&outcome, "bills", "").status), (3, CoverageStatus::Ok));
    assert_eq!(server.log.lock().unwrap().len(), 3);
}

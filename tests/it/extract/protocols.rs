//! Ways to sign in and to page that other systems have.

use super::*;

/// Records by `limit` and `offset`, as Oracle ADF answers them, never more than three at once.
fn adf(seen: &Seen, count: usize) -> axum::response::Response {
    let number = |name: &str| -> usize {
        let pair = seen.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.unwrap().parse().unwrap()
    };
    let (limit, offset) = (number("limit").min(3), number("offset"));
    let end = (offset + limit).min(count);
    let items: Vec<String> = (offset..end).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    let more = end < count;
    let total =
        if seen.query.contains("totalResults=true") { format!(r#","totalResults":{count}"#) } else { String::new() };
    ok(&format!(
        r#"{{"items":[{}],"count":{},"hasMore":{more},"limit":{limit}{total}}}"#,
        items.join(","),
        end - offset
    ))
}

fn with_auth(auth: &str) -> String {
    let (before, rest) = SYSTEM.split_once("auth = [").unwrap();
    let (_, after) = rest.split_once("]\n").unwrap();
    format!("{before}auth = [ {auth} ]\n{after}")
}

const ADF: &str =
    r#"paging = { kind = "offset", top_parameter = "limit", skip_parameter = "offset", top = 500, more = "hasMore" }"#;

#[tokio::test]
async fn a_user_and_a_password_go_with_each_request() {
    let server = serve(|seen| {
        // the-client:s3cr3t/+value
        assert_eq!(seen.token, "Basic dGhlLWNsaWVudDpzM2NyM3QvK3ZhbHVl");
        adf(seen, 8)
    })
    .await;
    let auth = r#"{ kind = "basic", username = "{client_id}", password = "{client_secret}" }"#;
    let paging = r#"paging = { kind = "link_header", per_page = 100, total_header = "Total" }"#;
    let manifest = with_auth(auth).replace(paging, &format!("records = \"items\"\n{ADF}"));
    let outcome = extract(&server, &manifest).await;
    assert_eq!((rows(&outcome, "projects"), coverage(&outcome, "projects", "").status), (8, CoverageStatus::Ok));
    // Each page begins with the last record of the one before: 0-2, 2-4, 4-6, 6-7.
    assert_eq!(server.log.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_again() {
    let server = serve(|_| answer(401, &[], "")).await;
    let auth = r#"{ kind = "basic", username = "{client_id}", password = "{client_secret}" }"#;
    let error = run(&source(&server, &with_auth(auth)), &options(&clock())).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }) && error.to_string().contains("check the credentials"), "{error}");
    assert_eq!(server.log.lock().unwrap().len(), 1, "wrong passwords lock accounts");
}

#[tokio::test]
async fn an_application_may_tell_its_secret_in_a_header() {
    let server = serve(|seen| {
        if seen.path == "/oauth/token" {
            assert_eq!(seen.token, "Basic dGhlLWNsaWVudDpzM2NyM3QvK3ZhbHVl");
            assert_eq!(seen.body, "grant_type=client_credentials&scope=the-app");
            return ok(r#"{"access_token":"tok","expires_in":3600}"#);
        }
        assert_eq!(seen.token, "Bearer tok");
        ok(r#"[{"id":1}]"#)
    })
    .await;
    let auth = r#"{ kind = "oauth2_client_credentials", token_url = "/oauth/token", client_id = "{client_id}", client_secret = "{client_secret}", scope = "the-app", in_header = true }"#;
    assert_eq!(rows(&extract(&server, &with_auth(auth)).await, "projects"), 1);
}

/// A list of which the last page is lost on the way, though nothing says so.
#[tokio::test]
async fn a_total_in_the_answer_that_is_not_reached_makes_the_list_partial() {
    let server = serve(|seen| {
        if seen.query.contains("offset=4") {
            ok(r#"{"items":[{"id":4}],"hasMore":false,"totalResults":8}"#)
        } else {
            adf(seen, 8)
        }
    })
    .await;
    let auth = r#"{ kind = "basic", username = "{client_id}", password = "{client_secret}" }"#;
    let paging = r#"paging = { kind = "link_header", per_page = 100, total_header = "Total" }"#;
    let with_total = ADF.replace('}', r#", total = "totalResults" }"#);
    let manifest = with_auth(auth)
        .replace(paging, &format!("records = \"items\"\nquery = {{ totalResults = \"true\" }}\n{with_total}"));
    let outcome = extract(&server, &manifest).await;
    let read = coverage(&outcome, "projects", "");
    assert_eq!((read.status, read.expected_rows), (CoverageStatus::Partial, Some(8)));
}

#[test]
fn a_cursor_in_words_of_its_own_must_hold_the_moment() {
    let paging = r#"paging = { kind = "link_header", per_page = 100, total_header = "Total" }"#;
    let with = |cursor: &str| Manifest::parse("x", &SYSTEM.replacen(paging, &format!("{paging}\n{cursor}"), 1));
    let finder =
        r#"cursor = { field = "changed", parameter = "finder", format = "template", template = "byDate;from={from}""#;
    assert!(with(&format!("{finder} }}")).is_ok());
    assert!(with(&format!(r#"{finder}, moment = "%Y-%m-%dT%H:%M:%S%z" }}"#)).is_ok());
    for (cursor, wrong) in [
        (format!(r#"{finder}, moment = "%Q" }}"#), "strftime"),
        (finder.replace("{from}", "{since}") + " }", "`{from}`"),
        (finder.replace("template\", template", "range\", template") + " }", "need the format `template`"),
    ] {
        let error = with(&cursor).unwrap_err().to_string();
        assert!(error.contains(wrong), "{error}");
    }
}

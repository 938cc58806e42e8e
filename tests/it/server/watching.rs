//! `/healthz`, `/readyz` and `/metrics`: for programs that watch, equal to what SQL says.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use tieout::server::{HttpOptions, ServerOptions, Tls, serve};
use tokio_util::sync::CancellationToken;

use super::firm::Firm;
use super::page::{browser, options, users};
use crate::moments::ask;

async fn get(firm: &Firm, path: &str) -> Response {
    browser().get(format!("{}{path}", firm.page())).send().await.unwrap()
}

/// The samples by their names with labels.
fn samples(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(super) async fn measured(firm: &Firm, role: Option<&str>) -> BTreeMap<String, String> {
    let request = browser().get(format!("{}/metrics", firm.page()));
    let request = role.map_or_else(
        || browser().get(format!("{}/metrics", firm.page())),
        |role| request.basic_auth(role, Some("secret")),
    );
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    // Every sample belongs to a family that says what it is.
    for name in samples(&text).keys() {
        let family = name.split('{').next().unwrap();
        let bare = ["_bucket", "_sum", "_count"].iter().find_map(|end| family.strip_suffix(end)).unwrap_or(family);
        assert!(
            text.contains(&format!("# TYPE {family} ")) || text.contains(&format!("# TYPE {bare} histogram")),
            "{name}"
        );
    }
    samples(&text)
}

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_the_warehouse() {
    let firm = Firm::judged(users(), options()).await;
    let answer = get(&firm, "/readyz").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.unwrap().contains("commit 3"));
    let (warehouse, elsewhere) = (firm.folder.path().join("warehouse"), firm.folder.path().join("elsewhere"));
    std::fs::rename(&warehouse, &elsewhere).unwrap();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let answer = get(&firm, "/readyz").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let reason = answer.text().await.unwrap();
    assert!(reason.starts_with("not ready: the warehouse cannot be read: ") && reason.len() > 60, "{reason}");
    assert_eq!(get(&firm, "/healthz").await.status(), StatusCode::OK);
    let told = measured(&firm, None).await;
    assert_eq!(told["tieout_warehouse_readable"], "0");
    assert!(!told.keys().any(|name| name.starts_with("tieout_exceptions")), "{told:?}");
    std::fs::rename(&elsewhere, &warehouse).unwrap();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(get(&firm, "/readyz").await.status(), StatusCode::OK);
    let empty = Firm::unread(users(), options()).await;
    assert!(get(&empty, "/readyz").await.text().await.unwrap().contains("no commit yet"));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_what_sql_says() {
    let firm = Firm::judged(users(), options()).await;
    let sql = firm.connect("boss").await;
    let (told, open) = (measured(&firm, Some("boss")).await, measured(&firm, None).await);
    for (name, query) in [
        ("tieout_commit_number", "select commit_number from meta.clock"),
        (
            "tieout_checks{verdict=\"not_evaluated\"}",
            "select count(*) from recon.summary where verdict = 'not_evaluated'",
        ),
        ("tieout_checks{verdict=\"partial\"}", "select count(*) from recon.summary where verdict = 'partial'"),
        ("tieout_checks{verdict=\"exceptions\"}", "select count(*) from recon.summary where verdict = 'exceptions'"),
        (
            "tieout_exceptions{check=\"O1\",severity=\"high\",state=\"open\"}",
            "select count(*) from recon.exceptions where check_id = 'O1' and severity = 'high' and state = 'open'",
        ),
        (
            "tieout_exceptions{check=\"O1\",severity=\"low\",state=\"open\"}",
            "select count(*) from recon.exceptions where check_id = 'O1' and severity = 'low' and state = 'open'",
        ),
        (
            "tieout_source_lists{source=\"office\",state=\"incomplete\"}",
            "select count(*) from meta.coverage where source = 'office' and status <> 'ok'",
        ),
    ] {
        let expected = ask(&sql, query).await;
        assert_eq!((told.get(name), open.get(name)), (Some(&expected), Some(&expected)), "{name}: {told:#?}");
    }
    let amount = "tieout_amount_at_risk{check=\"O1\",severity=\"high\",currency=\"USD\"}";
    let high = "select sum(amount_at_risk) from recon.exceptions where check_id = 'O1' and severity = 'high'";
    assert_eq!(told[amount].parse::<f64>().unwrap().to_bits(), ask(&sql, high).await.parse::<f64>().unwrap().to_bits());
    // Without a role no money is told, whose age everybody may know.
    assert!(!open.keys().any(|name| name.contains("amount")), "{open:#?}");
    assert!(open["tieout_source_age_seconds{source=\"office\"}"].parse::<i64>().is_ok());
    assert!(told["tieout_memory_bytes"].parse::<u64>().unwrap() > 1 << 20);
    // A role is told its own.
    let ada = measured(&firm, Some("ada")).await;
    let total = |told: &BTreeMap<String, String>| -> u64 {
        told.iter()
            .filter(|(name, _)| name.starts_with("tieout_exceptions"))
            .map(|(_, count)| count.parse::<u64>().unwrap())
            .sum()
    };
    let ada_sql = firm.connect("ada").await;
    assert_eq!(total(&ada).to_string(), ask(&ada_sql, "select count(*) from recon.exceptions").await);
    assert!(total(&told) > total(&ada) && !ada.keys().any(|name| name.starts_with("tieout_checks")), "{ada:#?}");
    let desk = measured(&firm, Some("desk")).await;
    assert_eq!(desk["tieout_figures_refused{figures=\"sources\"}"], "1");

    let wrong =
        browser().get(format!("{}/metrics", firm.page())).basic_auth("boss", Some("wrong")).send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    sql.batch_execute("select nothing").await.unwrap_err();
    let after = measured(&firm, None).await;
    assert_eq!(after["tieout_failed_logins_total"], "1");
    assert_eq!(after["tieout_statements_total{outcome=\"42703\"}"], "1");
    let count = |told: &BTreeMap<String, String>| told["tieout_statement_seconds_count"].parse::<u64>().unwrap();
    assert!(count(&after) > count(&open));
    assert_eq!(after["tieout_sessions{listener=\"sql\"}"], "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_can_be_kept_to_roles() {
    let firm = Firm::judged(users(), HttpOptions { open_metrics: false, ..options() }).await;
    let answer = get(&firm, "/metrics").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic realm="));
    assert!(measured(&firm, Some("boss")).await.contains_key("tieout_commit_number"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_are_spoken_to_in_tls_alone() {
    let firm = Firm::judged(users(), options()).await;
    let engine = Arc::clone(&firm.engine);
    let serving = |listen: &str, tls: Option<Tls>| ServerOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        next_free_port: false,
        tls,
        users: users(),
        max_connections: 5,
        statement_timeout: None,
        sessions: {
            let engine = Arc::clone(&engine);
            Arc::new(move |request| {
                let engine = Arc::clone(&engine);
                Box::pin(async move { engine.session(&request).await.map_err(anyhow::Error::from) })
            })
        },
        descriptions: None,
        keys: None,
        audit: None,
        http: Some(HttpOptions::at(listen.parse().unwrap())),
    };
    let stop = CancellationToken::new();
    let refused = format!("{:#}", serve(serving("0.0.0.0:0", None), stop.clone()).await.unwrap_err());
    assert!(
        refused.contains("serve the page") && refused.contains("in clear") && refused.contains("hint:"),
        "{refused}"
    );

    let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name);
    let tls = Tls::read(&file("server.crt"), &file("server.key"), None).unwrap();
    let server = serve(serving("127.0.0.1:0", Some(tls)), stop.clone()).await.unwrap();
    let port = server.page_address().unwrap().port();
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let url = format!("https://localhost:{port}");
    let fields = [("name", "boss"), ("password", "secret")];
    let answer = client.post(format!("{url}/log-in")).form(&fields).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-tieout=") && cookie.contains("; Secure"), "{cookie}");
    assert!(answer.headers().contains_key("strict-transport-security"));
    let pair = cookie.split(';').next().unwrap();
    let page = client.get(&url).header("cookie", pair).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    // In clear nobody answers.
    browser().get(format!("http://localhost:{port}/healthz")).send().await.unwrap_err();
    stop.cancel();
    server.stopped().await;
}

//! The page shows each role what SQL shows it, no more and no less, to nobody who has not logged in, and changes nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode};
use tieout::server::{HttpOptions, User};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::firm::{Firm, HOSTILE, MANY, role, with};
use crate::moments::{ask, connect};

pub(super) fn users() -> Vec<User> {
    let boss = with(role("boss", None), |access, _| access.sensitive = true);
    let crew = with(role("crew", None), |access, _| access.firm = false);
    let desk = with(role("desk", None), |access, _| access.schemas = Some(["recon".to_owned()].into()));
    let auditor = with(role("auditor", None), |access, _| access.as_of = Some("DAY1".to_owned()));
    let (ada, clerk) = (with(role("ada", Some(&["A-1"])), |_, _| {}), with(role("clerk", None), |_, _| {}));
    vec![ada, boss, clerk, crew, desk, auditor]
}

pub(super) fn options() -> HttpOptions {
    HttpOptions {
        sources: vec!["office".to_owned(), "books".to_owned()],
        ..HttpOptions::at("127.0.0.1:0".parse().unwrap())
    }
}

/// A browser that follows nothing by itself.
pub(super) fn browser() -> Client {
    // Another test may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().cookie_store(true).redirect(Policy::none()).build().unwrap()
}

async fn log_in(firm: &Firm, name: &str, password: &str) -> (Client, Response) {
    let client = browser();
    let fields = [("name", name), ("password", password), ("next", "/exceptions")];
    let answer = client.post(format!("{}/log-in", firm.page())).form(&fields).send().await.unwrap();
    (client, answer)
}

/// Somebody who is logged in.
pub(super) async fn visitor(firm: &Firm, name: &str) -> Client {
    let (client, answer) = log_in(firm, name, "secret").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{name}");
    client
}

/// What is shown at an address.
pub(super) async fn shown(firm: &Firm, client: &Client, path: &str) -> String {
    let answer = client.get(format!("{}{path}", firm.page())).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    text
}

/// The keys of the exceptions that a page links to.
fn keys(page: &str) -> BTreeSet<String> {
    let links = page.split("href=\"/exception?").skip(1).filter_map(|rest| rest.split('"').next());
    let key = |link: &str| {
        let query = link.replace("&amp;", "&");
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(name, _)| name == "key").map(|(_, key)| key.into_owned())
    };
    links.filter_map(key).collect()
}

fn total(page: &str) -> usize {
    let text = page.split("id=\"total\">").nth(1).unwrap().split('<').next().unwrap();
    text.replace(',', "").parse().unwrap()
}

/// The keys on all pieces of a list.
async fn listed(firm: &Firm, client: &Client, query: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut count = 0;
    let join = if query.is_empty() { "" } else { "&" };
    for page in 1.. {
        let text = shown(firm, client, &format!("/exceptions?{query}{join}size=50&page={page}")).await;
        let total = total(&text);
        let here = keys(&text);
        assert!(here.len() <= 50, "{page}");
        count += here.len();
        found.extend(here);
        if page * 50 >= total {
            assert_eq!(count, total, "{query}");
            break;
        }
    }
    assert_eq!(found.len(), count, "no row stands on two pieces: {query}");
    found
}

async fn asked(client: &tokio_postgres::Client, sql: &str) -> BTreeSet<String> {
    ask(client, sql).await.lines().map(str::to_owned).collect()
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_anything_without_a_password() {
    let mut firm = Firm::judged(users(), options()).await;
    let stranger = browser();
    for path in ["/", "/exceptions?check=O1", "/exception?key=O1:o1", "/trends", "/coverage", "/nowhere"] {
        let answer = stranger.get(format!("{}{path}", firm.page())).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        assert!(value(answer.headers(), "location").starts_with("/log-in?next=%2F"), "{path}");
        assert!(answer.text().await.unwrap().lines().count() < 3, "{path}");
    }
    let began = Instant::now();
    for (name, password) in [("boss", "wrong"), ("nobody", "secret"), ("boss", "")] {
        let (client, answer) = log_in(&firm, name, password).await;
        assert_eq!((answer.status(), answer.headers().get(SET_COOKIE)), (StatusCode::UNAUTHORIZED, None), "{name}");
        assert!(answer.text().await.unwrap().contains("Name or password is wrong"));
        let answer = client.get(firm.page()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    }
    // A quarter of a second, a half, a whole one.
    assert!(began.elapsed() >= Duration::from_millis(1_750), "{:?}", began.elapsed());

    let (client, answer) = log_in(&firm, "boss", "secret").await;
    assert_eq!((answer.status(), value(answer.headers(), LOCATION.as_str())), (StatusCode::SEE_OTHER, "/exceptions"));
    let cookie = value(answer.headers(), SET_COOKIE.as_str()).to_owned();
    for part in ["tieout=", "; Path=/", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");
    assert!(shown(&firm, &client, "/").await.contains("Role <b>boss</b>"));
    // Logging out ends what the cookie opened, for whoever kept a copy.
    let answer = client.post(format!("{}/log-out", firm.page())).send().await.unwrap();
    assert!(value(answer.headers(), SET_COOKIE.as_str()).contains("Max-Age=0"));
    let kept = cookie.split(';').next().unwrap().to_owned();
    let answer = stranger.get(firm.page()).header("cookie", kept).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);

    firm.stop().await;
    let log = std::fs::read_to_string(firm.log()).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of =
        |event: &str| lines.iter().filter(|line| line["event"] == event && line["application_name"] == "http").count();
    assert_eq!((of("login_failed"), of("login"), of("logout")), (3, 1, 1), "{log}");
    let statement = lines.iter().find(|line| line["event"] == "statement").unwrap();
    assert_eq!((&statement["role"], &statement["application_name"]), (&"boss".into(), &"http".into()));
    assert!(statement["sql"].is_string() && statement["outcome"] == "00000");
    assert!(!log.contains("wrong") && !log.contains("secret\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_sees_what_sql_shows_it() {
    let firm = Firm::judged(users(), options()).await;
    let all = "select exception_key from recon.exceptions";
    let mut counts = Vec::new();
    for name in ["boss", "clerk", "crew", "ada", "auditor", "desk"] {
        let (client, sql) = (visitor(&firm, name).await, firm.connect(name).await);
        let expected = asked(&sql, all).await;
        assert_eq!(listed(&firm, &client, "state=all").await, expected, "{name}");
        counts.push(expected.len());
    }
    // All; all; not the vendor's; of project 1; of the first day with the vendor's; the desk's.
    assert_eq!(counts, [MANY + 5, MANY + 5, MANY + 4, 3, 3, MANY + 5]);

    let ada = visitor(&firm, "ada").await;
    for path in ["/", "/exceptions?state=all&size=200", "/trends", "/coverage?status=all", "/exception?key=O1:o1"] {
        let text = shown(&firm, &ada, path).await;
        for hidden in ["O1:o3", "B-2", "secret-17", "Acme", "pay@acme.test", "hash-of-a-tax-id"] {
            assert!(!text.contains(hidden), "{path} shows {hidden}: {text}");
        }
    }
    for path in ["/exception?key=O1:o3", "/exception?key=V3:v1:email", "/exception?key=none", "/exception", "/nowhere"]
    {
        let answer = ada.get(format!("{}{path}", firm.page())).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    // What a role may not read is named.
    let desk = shown(&firm, &visitor(&firm, "desk").await, "/").await;
    assert!(desk.contains("permission denied for schema meta") && desk.contains("may not read which commit"), "{desk}");
    // A role without the firm's rows is told so: an empty summary would read as an all-clear.
    let status = shown(&firm, &ada, "/").await;
    assert!(status.contains("Not the whole firm") && status.contains("not shown"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sensitive_columns_and_records_are_shown_to_few() {
    let firm = Firm::judged(users(), options()).await;
    let (boss, clerk) = (visitor(&firm, "boss").await, visitor(&firm, "clerk").await);
    let secret = "pay@acme.test";
    for path in ["/exceptions?check=V3", "/exception?check=V3&key=V3:v1:email"] {
        assert!(shown(&firm, &boss, path).await.contains(secret), "{path}");
        let text = shown(&firm, &clerk, path).await;
        assert!(!text.contains(secret) && text.contains("Acme Inc"), "{path}: {text}");
    }
    // Nor does a filter tell what a column holds.
    assert_eq!(listed(&firm, &boss, "text=pay%40acme").await.len(), 1);
    assert!(listed(&firm, &clerk, "text=pay%40acme").await.is_empty());
    let order = "/exception?check=O1&key=O1:o1";
    let (full, short) = (shown(&firm, &boss, order).await, shown(&firm, &clerk, order).await);
    assert!(full.contains("office.orders") && full.contains("project_id&quot;: &quot;1&quot;"), "{full}");
    assert!(!short.contains("office.orders") && short.contains("sensitive = true"), "{short}");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_pieces_and_sums_are_those_of_sql() {
    let firm = Firm::judged(users(), options()).await;
    let (boss, sql) = (visitor(&firm, "boss").await, firm.connect("boss").await);
    let from = "select exception_key from recon.exceptions where";
    for (query, condition) in [
        ("", "state = 'open'"),
        ("state=all", "true"),
        ("state=in_flight", "state = 'in_flight'"),
        ("state=waived", "state = 'waived'"),
        ("check=V3", "check_id = 'V3' and state = 'open'"),
        ("project=A-1", "project_number = 'A-1' and state = 'open'"),
        ("project=2", "project_id = '2' and state = 'open'"),
        ("side=erp", "fix_side = 'erp' and state = 'open'"),
        ("side=none&state=all", "fix_side is null"),
        ("severity=high", "severity = 'high' and state = 'open'"),
        ("severity=low&project=B-2", "severity = 'low' and project_id = '2' and state = 'open'"),
        ("text=NOTE+8", "detail ilike '%note%' and detail like '%8%' and state = 'open'"),
        ("text=100%25", "false"),
        ("text=%27+or+1%3D1+--", "false"),
        ("person=nobody", "false"),
        ("check=O1&order=project&severity=medium", "check_id = 'O1' and severity = 'medium' and state = 'open'"),
    ] {
        let expected = asked(&sql, &format!("{from} {condition}")).await;
        assert_eq!(listed(&firm, &boss, query).await, expected, "{query}");
    }
    // The test could tell.
    assert!(listed(&firm, &boss, "severity=high").await.len() == 1);
    assert!(listed(&firm, &boss, "").await.len() > 100);
    let amount = "select sum(amount_at_risk) from recon.exceptions where state = 'open' and project_id = '2'";
    let page = shown(&firm, &boss, "/exceptions?project=B-2").await;
    let money = page.split("id=\"sums\">").nth(1).unwrap().split("</p>").next().unwrap().replace(',', "");
    assert!(money.contains(&format!("{} USD at risk", ask(&sql, amount).await)), "{money}");
    // The dearest first; a piece beyond the last is the last.
    let first = shown(&firm, &boss, "/exceptions?check=O1").await;
    assert!(first.split("<tbody>").nth(1).unwrap().split("</tr>").next().unwrap().contains("O1%3Ao4"), "{first}");
    assert!(shown(&firm, &boss, "/exceptions?page=9999").await.contains("Page 3 of 3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_says_as_of_when() {
    let firm = Firm::judged(users(), options()).await;
    let boss = visitor(&firm, "boss").await;
    for as_of in ["DAY1", "commit:1"] {
        let sql = connect(&firm.config("boss", &format!("tieout@{as_of}"))).await.unwrap();
        let expected = asked(&sql, "select exception_key from recon.exceptions").await;
        assert_eq!(listed(&firm, &boss, &format!("state=all&as_of={as_of}")).await, expected, "{as_of}");
        assert_eq!(expected.len(), 3);
        let page = shown(&firm, &boss, &format!("/exceptions?as_of={as_of}")).await;
        assert!(page.contains(&format!("Not the present: as of {as_of}")) && page.contains("commit 1"), "{page}");
        // Every link keeps the moment.
        assert!(page.contains(&format!("href=\"/trends?as_of={}\"", as_of.replace(':', "%3A"))), "{page}");
    }
    assert!(shown(&firm, &boss, "/").await.contains("<option value=\"DAY1\">"));
    for (as_of, status) in [("NOPIN", 400), ("commit:99", 400), ("1999-01-01", 400)] {
        let answer = boss.get(format!("{}/?as_of={as_of}", firm.page())).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{as_of}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("This cannot be shown") && text.contains("Show the present"), "{text}");
    }
    // Who reads one moment reads no other by an address either.
    let auditor = visitor(&firm, "auditor").await;
    let page = shown(&firm, &auditor, "/").await;
    assert!(
        page.contains("as of DAY1") && page.contains("reads no other moment") && !page.contains("id=\"as-of\""),
        "{page}"
    );
    for as_of in ["latest", "commit:2"] {
        let answer = auditor.get(format!("{}/?as_of={as_of}", firm.page())).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{as_of}");
    }
    assert_eq!(listed(&firm, &auditor, "state=all&as_of=DAY1").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_wrote_is_text_and_nothing_else() {
    let firm = Firm::judged(users(), options()).await;
    let boss = visitor(&firm, "boss").await;
    let key = format!("O1:{HOSTILE}");
    assert!(listed(&firm, &boss, "text=alert").await.contains(&key));
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("key", &key).finish();
    for path in [
        "/exceptions?text=alert".to_owned(),
        format!("/exception?{query}"),
        format!("/exceptions?{}", query.replace("key=", "text=")),
    ] {
        let text = shown(&firm, &boss, &path).await;
        assert!(!text.contains("<script>alert"), "{path}: {text}");
        assert_eq!(text.matches("<script").count(), 1, "{path}: ours alone");
        assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{path}: {text}");
    }
    // As one word to the shell that it is copied to.
    let one = shown(&firm, &boss, &format!("/exception?{query}")).await;
    let command = "tieout waive 'O1:o&lt;script&gt;alert(1)&lt;/script&gt;'\\''&quot;&amp;$(id)`id`' --reason '…' --by 'boss' --until ";
    assert!(one.contains(command), "{one}");
    assert!(one.contains("\\&quot;&amp;\\$(id)\\`id\\`"), "{one}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_looked_is_no_all_clear() {
    let firm = Firm::unread(users(), options()).await;
    let boss = visitor(&firm, "boss").await;
    let status = shown(&firm, &boss, "/").await;
    assert!(status.contains("Nothing was looked at yet") && status.contains("nobody looked"), "{status}");
    assert!(!status.contains("class=\"verdict clean\"") && !status.contains("<dt>Open</dt>"), "{status}");
    assert!(status.contains("class=\"verdict not_evaluated\""), "{status}");
    let list = shown(&firm, &boss, "/exceptions").await;
    assert!(list.contains("no all-clear") && !list.contains("None of this kind"), "{list}");
    assert!(shown(&firm, &boss, "/trends").await.contains("nobody looked"));
    assert!(shown(&firm, &visitor(&firm, "ada").await, "/").await.contains("Nothing was looked at yet"));

    let firm = Firm::judged(users(), options()).await;
    for name in ["boss", "crew"] {
        let (client, sql) = (visitor(&firm, name).await, firm.connect(name).await);
        let status = shown(&firm, &client, "/").await;
        let silent = "select check_id from recon.check_runs where is_latest and verdict in ('partial', 'not_evaluated') group by 1";
        let silent = asked(&sql, silent).await;
        assert!(silent.contains("O2"), "{silent:?}");
        let heading = format!("{} of 3 checks could not look everywhere", silent.len());
        let (before, after) = (status.find(&heading), status.find("id=\"figures\""));
        assert!(before.is_some() && before < after, "{name}: {heading}: {status}");
        assert!(status.contains("empty list") || status.contains("forbidden"), "the reason: {status}");
        let list = shown(&firm, &client, "/exceptions").await;
        assert!(list.contains("what they would have found is not listed"), "{list}");
        let none = shown(&firm, &client, "/exceptions?check=O2").await;
        assert!(
            none.contains("O2 could not look everywhere") && none.contains("as far as anybody could look"),
            "{none}"
        );
    }
    // Sources that were not read for too long, and lists that were refused.
    let status = shown(&firm, &visitor(&firm, "boss").await, "/").await;
    assert!(status.contains("Not everything is fresh") && status.contains("stale: "), "{status}");
    assert!(status.contains("1 of ") && status.contains("Which of office"), "{status}");
    let coverage = shown(&firm, &visitor(&firm, "boss").await, "/coverage?source=office").await;
    assert!(coverage.contains("order_lines") && coverage.contains("forbidden"), "{coverage}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_or_taken_from_elsewhere() {
    let firm = Firm::judged(users(), options()).await;
    let boss = visitor(&firm, "boss").await;
    for path in ["/", "/exceptions", "/style.css", "/healthz", "/metrics", "/nowhere"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
            let request =
                boss.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{}{path}", firm.page()));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(value(answer.headers(), "allow"), "GET, HEAD", "{method} {path}");
        }
        let answer = boss.head(format!("{}{path}", firm.page())).send().await.unwrap();
        assert!(answer.status() != StatusCode::METHOD_NOT_ALLOWED, "{path}");
        for (name, expected) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(value(answer.headers(), name), expected, "{path}");
        }
        let policy = value(answer.headers(), "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(answer.text().await.unwrap().is_empty());
    }
    // What a page of somebody else's would send.
    let post = || browser().post(format!("{}/log-in", firm.page())).form(&[("name", "boss"), ("password", "secret")]);
    for (name, bad) in [("origin", "http://evil.test"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        assert_eq!(post().header(name, bad).send().await.unwrap().status(), StatusCode::FORBIDDEN, "{name} {bad}");
    }
    assert_eq!(post().header("origin", firm.page()).send().await.unwrap().status(), StatusCode::SEE_OTHER);
    let renamed = boss.get(firm.page()).header("host", "evil.test").send().await.unwrap();
    assert_eq!(renamed.status(), StatusCode::MISDIRECTED_REQUEST);
    // A link in somebody else's page comes without the cookie: the same address is asked for once more, from here.
    let answer =
        browser().get(format!("{}/trends", firm.page())).header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.unwrap().contains("content=\"0; url=/trends\""));
    // Nothing on a page is loaded from elsewhere.
    let text = shown(&firm, &boss, "/").await;
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("style=\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_bounded() {
    let quick = HttpOptions { head_timeout: Duration::from_millis(300), ..options() };
    let firm = Firm::judged(users(), quick).await;
    let boss = visitor(&firm, "boss").await;
    let long = "x".repeat(40_000);
    let answer = boss.get(format!("{}/?text={long}", firm.page())).send().await.unwrap();
    assert!([414, 431].contains(&answer.status().as_u16()), "{}", answer.status());
    let answer = boss.get(firm.page()).header("x-long", &long).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let fields = [("name", long.as_str())];
    let answer = browser().post(format!("{}/log-in", firm.page())).form(&fields).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    // Who sends half a head is hung up on.
    let mut socket = tokio::net::TcpStream::connect(firm.page().trim_start_matches("http://")).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer)).await;
    assert!(ended.is_ok() && !String::from_utf8_lossy(&answer).contains("200 OK"), "{answer:?}");

    let hurried = HttpOptions { request_timeout: Duration::from_millis(700), ..options() };
    let slow = with(role("slow", None), |_, user| user.limits.statement_timeout = Some(Duration::from_millis(1)));
    let mut all = users();
    all.push(slow);
    let firm = Firm::judged(all, hurried).await;
    // By the role's own limit, as over SQL.
    let slow = visitor(&firm, "slow").await;
    let answer = slow.get(firm.page()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(answer.text().await.unwrap().contains("it could not look"));
    // Failed log-ins in a row wait longer than a request may take.
    for _ in 0..2 {
        log_in(&firm, "boss", "wrong").await;
    }
    assert_eq!(log_in(&firm, "boss", "wrong").await.1.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_nothing_is_logged_out() {
    let brief = HttpOptions { idle: Duration::from_millis(1_500), ..options() };
    let firm = Firm::judged(users(), brief).await;
    let boss = visitor(&firm, "boss").await;
    shown(&firm, &boss, "/coverage").await;
    tokio::time::sleep(Duration::from_millis(1_700)).await;
    let answer = boss.get(firm.page()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
}

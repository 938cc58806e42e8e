//! A server in trouble: each kind of it at some list, once, while all others answer well. What is read is what the server
//! holds, and nothing is asked for more often than the trouble made necessary.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tieout::extract::run;
use tieout::warehouse::rows::CoverageStatus;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::server::*;

const PROJECTS: usize = 24;

/// What goes wrong with the first answer to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Nothing.
    None,
    /// The connection is closed without an answer.
    Reset,
    /// It is closed in the middle of the body.
    Cut,
    /// The body is whole by its length, and half a list.
    Truncated,
    /// It comes letter by letter: no trouble, if one waits.
    Slow,
    /// A status with a header.
    Status(u16, &'static str),
}

const TROUBLES: [Trouble; 12] = [
    Trouble::None,
    Trouble::Reset,
    Trouble::Cut,
    Trouble::Truncated,
    Trouble::Slow,
    Trouble::Status(408, "x-none: 0"),
    Trouble::Status(500, "x-none: 0"),
    Trouble::Status(502, "x-none: 0"),
    Trouble::Status(503, "retry-after: 30"),
    // The short window, then the long one.
    Trouble::Status(429, "x-rate-limit-limit: 25\r\nx-rate-limit-remaining: 0\r\nx-rate-limit-reset: 1700000010"),
    Trouble::Status(429, "x-rate-limit-limit: 3600\r\nx-rate-limit-remaining: 0\r\nx-rate-limit-reset: 1700003000"),
    Trouble::Status(401, "x-none: 0"),
];

impl Trouble {
    /// Requests that it costs beside the one that works.
    fn costs(self) -> u64 {
        match self {
            Self::None | Self::Slow => 0,
            // The refused request, and a new token.
            Self::Status(401, _) => 2,
            _ => 1,
        }
    }
}

type Counts = Arc<Mutex<BTreeMap<String, usize>>>;

/// One connection, one request.
async fn serve_one(mut stream: TcpStream, counts: Counts, is_troubled: bool) {
    let mut head = Vec::new();
    let mut byte = [0_u8; 1];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let length =
        text.to_lowercase().split("content-length: ").nth(1).map(|rest| rest.split("\r\n").next().unwrap().to_owned());
    let mut body = vec![0_u8; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    let target = text.split_whitespace().nth(1).unwrap().to_owned();
    let count = {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(target.clone()).or_default();
        *count += 1;
        *count
    };
    let project =
        target.split("project_id=").nth(1).map(|rest| rest.split('&').next().unwrap().parse::<usize>().unwrap());
    let answer = match project {
        _ if target == "/oauth/token" => format!(r#"{{"access_token":"tok{count}","expires_in":5400}}"#),
        None => format!("[{}]", (1..=PROJECTS).map(|id| format!("{{\"id\":{id}}}")).collect::<Vec<_>>().join(",")),
        Some(project) => format!(r#"[{{"id":{project}1,"total":"1.50"}},{{"id":{project}2,"total":"2.25"}}]"#),
    };
    let trouble = match project {
        Some(project) if is_troubled && count == 1 => *TROUBLES.get(project % TROUBLES.len()).unwrap(),
        _ => Trouble::None,
    };
    let date = "date: Tue, 14 Nov 2023 22:13:20 GMT\r\ncontent-type: application/json\r\nconnection: close";
    let whole = format!("HTTP/1.1 200 OK\r\n{date}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
    match trouble {
        Trouble::Reset => {}
        Trouble::Cut => drop(stream.write_all(whole.as_bytes().get(..whole.len() - 9).unwrap()).await),
        Trouble::Truncated => {
            let half = &answer[..answer.len() / 2];
            let text = format!("HTTP/1.1 200 OK\r\n{date}\r\ncontent-length: {}\r\n\r\n{half}", half.len());
            drop(stream.write_all(text.as_bytes()).await);
        }
        Trouble::Slow => {
            for letter in whole.as_bytes() {
                drop(stream.write_all(&[*letter]).await);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Trouble::Status(status, header) => {
            let text = format!("HTTP/1.1 {status} No\r\n{date}\r\n{header}\r\ncontent-length: 2\r\n\r\n{{}}");
            drop(stream.write_all(text.as_bytes()).await);
        }
        Trouble::None => drop(stream.write_all(whole.as_bytes()).await),
    }
    drop(stream.shutdown().await);
}

async fn start(is_troubled: bool) -> (Server, Counts) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server { url: format!("http://{}", listener.local_addr().unwrap()), log: Arc::default() };
    let counts = Counts::default();
    let counted = Arc::clone(&counts);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_one(stream, Arc::clone(&counted), is_troubled));
        }
    });
    (server, counts)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_trouble_requests_are_the_fewest_possible() {
    let (server, counts) = start(false).await;
    let outcome = extract(&server, &format!("{SYSTEM}{CONTRACTS}")).await;
    // A token, the projects, one list under each.
    let fewest = 2 + PROJECTS as u64;
    assert_eq!(outcome.run.requests - fewest, 0, "requests over the fewest possible");
    assert!(counts.lock().unwrap().values().all(|count| *count == 1), "nothing is asked for twice");
    assert_eq!((rows(&outcome, "contracts"), outcome.run.retries), (2 * PROJECTS, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trouble_once_costs_what_it_must_and_no_row() {
    let (server, counts) = start(true).await;
    let clock = clock();
    let before = clock.now();
    let outcome = run(&source(&server, &format!("{SYSTEM}{CONTRACTS}")), &options(&clock)).await.unwrap();
    assert_eq!(rows(&outcome, "contracts"), 2 * PROJECTS);
    for project in 1..=PROJECTS {
        let coverage = coverage(&outcome, "contracts", &project.to_string());
        let trouble = *TROUBLES.get(project % TROUBLES.len()).unwrap();
        assert_eq!((coverage.status, coverage.rows), (CoverageStatus::Ok, 2), "{trouble:?}: {:?}", coverage.error);
    }
    let counts = counts.lock().unwrap();
    for project in 1..=PROJECTS {
        let trouble = *TROUBLES.get(project % TROUBLES.len()).unwrap();
        let list = counts.iter().find(|(path, _)| path.contains(&format!("project_id={project}&"))).unwrap();
        let expected = 1 + usize::from(trouble.costs() > 0);
        assert_eq!(*list.1, expected, "{trouble:?} at {}", list.0);
    }
    let troubles: u64 = (1..=PROJECTS).map(|project| TROUBLES.get(project % TROUBLES.len()).unwrap().costs()).sum();
    let least = 2 + PROJECTS as u64 + troubles;
    // Two requests whose token was refused at once share the new one.
    assert!((least - 1..=least).contains(&outcome.run.requests), "{} requests, {least} at least", outcome.run.requests);
    assert!(clock.now() - before >= chrono::TimeDelta::seconds(3000), "the long window was waited for");
    assert!(outcome.run.incomplete_tables.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_that_stays_is_told_of_its_list_alone() {
    for (status, body) in [(502, "{}"), (200, "<html>sign in</html>"), (200, "[{\"id\":1,"), (204, "")] {
        let server = serve(move |seen| match seen.path.as_str() {
            "/projects" => ok(r#"[{"id":1},{"id":2}]"#),
            "/contracts" if seen.query.contains("project_id=2") => answer(status, &[], body),
            "/contracts" => ok(r#"[{"id":1,"total":"5"}]"#),
            _ => token(seen).unwrap(),
        })
        .await;
        let outcome = extract(&server, &format!("{SYSTEM}{CONTRACTS}")).await;
        assert_eq!(coverage(&outcome, "contracts", "1").status, CoverageStatus::Ok, "{status} {body}");
        let failed = coverage(&outcome, "contracts", "2");
        assert_eq!(failed.status, CoverageStatus::Failed, "{status} {body}");
        assert!(failed.error.as_deref().is_some_and(|error| error.contains("/contracts?project_id=2")), "{failed:?}");
    }
}

//! Runs that are killed, stopped, or out of time, and the next one: nothing that was read is asked for twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::toy::{Ended, ended, run, signal, spawn};

const PROJECTS: usize = 12;

/// A system with contracts under projects that stops answering at one of them.
struct Site {
    state: Arc<Answers>,
    folder: TempDir,
}

#[derive(Default)]
struct Answers {
    /// How often each list was asked for.
    asked: Mutex<BTreeMap<String, usize>>,
    /// The list that is never answered.
    hangs_at: Mutex<Option<String>>,
    hangs: Notify,
    /// What every amount is above its first value.
    raised: AtomicUsize,
}

const MANIFEST: &str = r#"
[system]
name = "site"
side = "pm"
protocol = "rest"
[rest]
concurrency = 1
[defaults]
empty = "verified"
[[table]]
name = "projects"
path = "/projects"
key = ["id"]
[table.columns]
id = "int64"
[[table]]
name = "contracts"
parent = "projects"
path = "/projects/{parent.id}/contracts"
key = ["id"]
[table.columns]
id = "int64"
amount = "decimal(18,2)"
"#;

async fn answer(State(state): State<Arc<Answers>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    *state.asked.lock().unwrap().entry(path.clone()).or_default() += 1;
    if state.hangs_at.lock().unwrap().as_ref() == Some(&path) {
        state.hangs.notify_one();
        return std::future::pending().await;
    }
    let list: Vec<String> = match path.split('/').nth(2) {
        None => (1..=PROJECTS).map(|id| format!("{{\"id\":{id}}}")).collect(),
        Some(project) => {
            let raised = state.raised.load(Ordering::Relaxed);
            let amount = |n| n + raised;
            (0..3).map(|n| format!("{{\"id\":{project}{n},\"amount\":\"{}.25\"}}", amount(n))).collect()
        }
    };
    ([("content-type", "application/json")], format!("[{}]", list.join(","))).into_response()
}

fn contracts(project: usize) -> String {
    format!("/projects/{project}/contracts")
}

impl Site {
    async fn start() -> Self {
        let state = Arc::<Answers>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("extractors/site/manifest.toml", MANIFEST);
        write("tieout.toml", &format!("[sources.site]\nkind = \"site\"\nbase_url = \"{url}\"\n"));
        Self { state, folder }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn hang_at(&self, project: Option<usize>) {
        *self.state.hangs_at.lock().unwrap() = project.map(contracts);
    }

    async fn extract(&self, more: &[&str]) -> Ended {
        run(self.folder(), &[&["extract", "--no-progress"], more].concat()).await
    }

    fn asked(&self, path: &str) -> usize {
        self.state.asked.lock().unwrap().get(path).copied().unwrap_or_default()
    }

    fn staged(&self) -> usize {
        std::fs::read_dir(self.folder().join("staging")).map_or(0, Iterator::count)
    }

    fn commits(&self) -> usize {
        std::fs::read_dir(self.folder().join("warehouse/commits")).map_or(0, Iterator::count)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_repeats_no_list_that_it_had_finished() {
    let site = Site::start().await;
    // Killed at the fifth and at the ninth project, stopped by a person at the eleventh: each goes on where the last one was.
    for (project, name) in [(5, "KILL"), (9, "KILL"), (11, "INT")] {
        site.hang_at(Some(project));
        let child = spawn(site.folder(), &["extract", "--no-progress"]);
        site.state.hangs.notified().await;
        signal(&child, name).await;
        let ended = ended(child).await;
        assert_eq!((site.commits(), site.staged()), (0, 1), "{}", ended.err);
        if name == "INT" {
            ended.says(130, &["interrupted", "nothing of this run was committed", "goes on with what was read"]);
        }
    }
    site.hang_at(None);
    let ended = site.extract(&[]).await;
    assert!(matches!(ended.code, 0 | 5), "{}", ended.err);
    assert!(ended.err.contains("lists were read before"), "{}", ended.err);
    assert_eq!((site.commits(), site.staged()), (1, 0), "what is committed waits no more");
    assert_eq!(site.asked("/projects"), 1);
    for project in 1..=PROJECTS {
        // The list at which it was killed was not finished.
        let expected = if [5, 9, 11].contains(&project) { 2 } else { 1 };
        assert_eq!(site.asked(&contracts(project)), expected, "project {project}");
    }
    let query = "select count(*) || ' ' || sum(amount) from site.contracts";
    let ended = run(site.folder(), &["sql", "--format", "csv", query]).await;
    assert_eq!(ended.out.lines().nth(1), Some("36 45.00"), "{}{}", ended.out, ended.err);

    let ended = site.extract(&["--plan"]).await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    for told in [
        "contracts",
        "14 requests; no rate limit is known",
        "--incremental: 14 requests, saves 0",
        "nothing was asked for",
    ] {
        assert!(ended.out.contains(told), "`{told}` is not in:\n{}", ended.out);
    }
    assert_eq!((site.asked("/projects"), site.asked(&contracts(1))), (1, 1), "a plan asks for nothing");

    site.extract(&[]).await;
    assert_eq!((site.asked("/projects"), site.asked(&contracts(1))), (2, 2), "the next run reads everything");
    let query = "select path || ' ' || requests || ' ' || (p50_ms <= p99_ms) from meta.requests where table_name = 'projects' and _commit = 2";
    let ended = run(site.folder(), &["sql", "--format", "csv", query]).await;
    assert_eq!(ended.out.lines().nth(1), Some("/projects 1 true"), "{}{}", ended.out, ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_out_of_time_says_so_and_the_next_one_goes_on() {
    let site = Site::start().await;
    let ended = site.extract(&["--plan"]).await;
    assert!(ended.out.contains("at least 2 requests") && ended.out.contains("nothing was read yet"), "{}", ended.out);
    site.hang_at(Some(7));
    let ended = site.extract(&["--window", "1s"]).await;
    ended.says(5, &["the window is over", "nothing of this run was committed yet", "hint: run again within 12 hours"]);
    assert_eq!((site.commits(), site.staged()), (0, 1));
    site.hang_at(None);
    site.extract(&["--anew", "--table", "projects"]).await;
    assert_eq!((site.asked("/projects"), site.commits(), site.staged()), (2, 1, 0));

    site.hang_at(Some(3));
    let settings = site.folder().join("tieout.toml");
    let text = std::fs::read_to_string(&settings).unwrap() + "window = \"1s\"\nquota = 0.8\n";
    std::fs::write(&settings, text).unwrap();
    site.extract(&[]).await.says(5, &["the window is over"]);
    site.hang_at(None);
    let ended = site.extract(&["--window", "10m"]).await;
    assert!(matches!(ended.code, 0 | 5) && site.commits() == 2, "{}", ended.err);
    assert_eq!((site.asked("/projects"), site.asked(&contracts(2))), (3, 2));
    site.extract(&["--window", "soon"]).await.says(2, &["`soon` is no span of time", "for example 30m"]);
    std::fs::write(&settings, "[sources.site]\nkind = \"site\"\nquota = 1.5\n").unwrap();
    site.extract(&[]).await.says(2, &["1.5 is no share of a quota", "for example 0.8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_run_read_is_gone_on_with_for_twelve_hours_and_not_after() {
    // The lists of projects 1 to 4 were read in the morning, with the old amounts: three less a project than the new ones.
    for (later, repeated, sum) in [("2026-11-02T17:59:00Z", 1, "69.00"), ("2026-11-02T18:05:00Z", 2, "81.00")] {
        let site = Site::start().await;
        site.hang_at(Some(5));
        let child = spawn(site.folder(), &["extract", "--no-progress", "--now", "2026-11-02T06:00:00Z"]);
        site.state.hangs.notified().await;
        signal(&child, "KILL").await;
        ended(child).await;
        assert_eq!((site.commits(), site.staged()), (0, 1));
        site.hang_at(None);
        site.state.raised.store(1, Ordering::Relaxed);
        let ended = site.extract(&["--now", later]).await;
        assert!(matches!(ended.code, 0 | 5), "{}", ended.err);
        assert_eq!(ended.err.contains("lists were read before"), repeated == 1, "{later}: {}", ended.err);
        for project in 1..=4 {
            assert_eq!(site.asked(&contracts(project)), repeated, "{later}: project {project}");
        }
        assert_eq!(site.staged(), 0, "what is too old is cleaned away");
        let query = "select count(*) || ' ' || sum(amount) from site.contracts";
        let ended = run(site.folder(), &["sql", "--format", "csv", query]).await;
        // Twelve projects of three contracts: 0.25, 1.25 and 2.25, and each a unit more where it was read later.
        assert_eq!(ended.out.lines().nth(1), Some(format!("36 {sum}").as_str()), "{later}: {}{}", ended.out, ended.err);
    }
}

//! A system of one table that answers as a test wants, and a workspace on it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, RwLock};

/// How the list is answered.
#[derive(Clone)]
pub(super) enum Page {
    /// This text.
    Text(String),
    /// Never.
    Hang,
    /// Sign-ins included, as a system under maintenance does.
    Unavailable,
}

pub(super) struct Toy {
    state: Arc<Answers>,
    url: String,
    folder: TempDir,
}

struct Answers {
    page: RwLock<Page>,
    /// A list was asked for.
    asked: Notify,
    open_sessions: AtomicUsize,
}

const MANIFEST: &str = r#"
[system]
name = "toy"
side = "pm"
protocol = "rest"
[settings]
required = ["username", "password"]
secret = ["password"]
[rest]
base_url = "http://127.0.0.1:1"
retry = { attempts = 2 }
auth = [ { kind = "cookie_session", login_path = "/login", logout_path = "/logout", body = { name = "{username}", password = "{password}" } } ]
[[table]]
name = "projects"
path = "/projects"
key = ["id"]
empty = "verified"
paging = { kind = "none" }
[table.columns]
id = "int64"
amount = "decimal(18,2)"
"#;

pub(super) const PASSWORD: &str = "correct-horse";

impl Toy {
    pub(super) async fn start(page: Page) -> Self {
        let state =
            Arc::new(Answers { page: RwLock::new(page), asked: Notify::new(), open_sessions: AtomicUsize::new(0) });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let toy = Self { state, url, folder: tempfile::tempdir().unwrap() };
        toy.write("extractors/toy/manifest.toml", MANIFEST);
        toy.write("password", PASSWORD);
        toy.write("tieout.toml", &toy.settings());
        toy
    }

    pub(super) fn settings(&self) -> String {
        format!(
            "[sources.toy]\nkind = \"toy\"\nbase_url = \"{}\"\nusername = \"reader\"\npassword = {{ file = \"password\" }}\n\
             [[roles]]\nname = \"ada\"\npassword = {{ file = \"password\" }}\n",
            self.url
        )
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) async fn answer(&self, page: Page) {
        *self.state.page.write().await = page;
    }

    /// Waits until a list is asked for.
    pub(super) async fn asked(&self) {
        self.state.asked.notified().await;
    }

    pub(super) fn open_sessions(&self) -> usize {
        self.state.open_sessions.load(Ordering::SeqCst)
    }

    pub(super) fn commits(&self) -> usize {
        std::fs::read_dir(self.folder().join("warehouse/commits")).map_or(0, Iterator::count)
    }

    pub(super) async fn run(&self, arguments: &[&str]) -> Ended {
        run(self.folder(), arguments).await
    }

    pub(super) fn spawn(&self, arguments: &[&str]) -> Child {
        spawn(self.folder(), arguments)
    }

    /// The one value that a query gives.
    pub(super) async fn value(&self, query: &str) -> String {
        let ended = self.run(&["sql", "--format", "csv", query]).await;
        assert_eq!(ended.code, 0, "{}", ended.err);
        ended.out.lines().nth(1).unwrap_or_default().to_owned()
    }
}

async fn answer(State(state): State<Arc<Answers>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let is_signed_in = request.headers().get("cookie").is_some_and(|cookie| cookie.as_bytes().starts_with(b"session="));
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let is_closed = matches!(*state.page.read().await, Page::Unavailable);
    match path.as_str() {
        _ if is_closed => (StatusCode::SERVICE_UNAVAILABLE, "maintenance until 6").into_response(),
        "/login" if String::from_utf8_lossy(&body).contains(PASSWORD) => {
            state.open_sessions.fetch_add(1, Ordering::SeqCst);
            ([("set-cookie", "session=1; path=/")], StatusCode::NO_CONTENT).into_response()
        }
        "/login" => StatusCode::UNAUTHORIZED.into_response(),
        "/logout" => {
            // Who was refused signs out as well, to be sure.
            if is_signed_in {
                state.open_sessions.fetch_sub(1, Ordering::SeqCst);
            }
            StatusCode::NO_CONTENT.into_response()
        }
        _ => {
            state.asked.notify_one();
            let page = state.page.read().await.clone();
            match page {
                Page::Text(text) => ([("content-type", "application/json")], text).into_response(),
                Page::Hang => std::future::pending().await,
                Page::Unavailable => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            }
        }
    }
}

/// How a run of the program ended.
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Ended {
    /// Asserts the code, and that stderr says all of `texts`.
    pub(super) fn says(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, code, "{}", self.err);
        for text in texts {
            assert!(self.err.contains(text), "`{text}` is not in:\n{}", self.err);
        }
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_tieout")));
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("TIEOUT_LOG").kill_on_drop(true);
    command
}

pub(super) fn spawn(folder: &Path, arguments: &[&str]) -> Child {
    command(folder, arguments).spawn().unwrap()
}

pub(super) async fn run(folder: &Path, arguments: &[&str]) -> Ended {
    ended(command(folder, arguments).spawn().unwrap()).await
}

/// Waits for the end.
pub(super) async fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Sends a signal by its name.
pub(super) async fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().unwrap().to_string()]).status().await.unwrap();
    assert!(sent.success());
}

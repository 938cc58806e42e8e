//! `docs/add-a-system.md`, followed word by word: its files, its answers, its commands.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::toy::run;

const DOCUMENT: &str = include_str!("../../../docs/add-a-system.md");

/// The document's blocks by what stands behind their language: a file's path, or a request.
fn blocks() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open: Option<(String, String)> = None;
    for line in DOCUMENT.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = info.split_once(' ').map(|(_, name)| (name.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

async fn answer(State(answers): State<Arc<BTreeMap<String, String>>>, request: Request) -> Response {
    // reader:open-sesame
    let wanted = "Basic cmVhZGVyOm9wZW4tc2VzYW1l";
    if request.headers().get("authorization").is_none_or(|given| given != wanted) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match answers.get(&format!("GET {}", request.uri().path())) {
        Some(text) => ([("content-type", "application/json")], text.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_adds_a_system() {
    let (answers, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
        blocks().into_iter().partition(|(name, _)| name.starts_with("GET "));
    assert_eq!((answers.len(), files.len()), (4, 5), "{files:?}");
    let router = Router::new().fallback(answer).with_state(Arc::new(answers));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("jobbook_password", "open-sesame\n");
    for (name, text) in &files {
        write(name, &text.replace("https://jobbook.example", &url));
    }
    let lint = run(folder.path(), &["manifest", "lint"]).await;
    assert_eq!(lint.code, 0, "{}{}", lint.out, lint.err);
    assert!(lint.out.contains("jobbook: ok") && lint.out.contains("3 tables"), "{}", lint.out);
    let check = run(folder.path(), &["check"]).await;
    assert_eq!(check.code, 0, "{}{}", check.out, check.err);
    let extract = run(folder.path(), &["extract", "--no-progress"]).await;
    assert_eq!(extract.code, 0, "{}{}", extract.out, extract.err);
    let query = "select number, title, approval_status, original_amount, vendor_id, project_id from pm.commitments order by number";
    let rows = run(folder.path(), &["sql", "--format", "csv", query]).await;
    assert_eq!(
        rows.out,
        "number,title,approval_status,original_amount,vendor_id,project_id\n\
         SC-01,Drywall,approved,125000.00,31,7\nSC-02,Paint,draft,8400.50,31,7\n",
        "{}",
        rows.err
    );
    let kept = run(folder.path(), &["sql", "--format", "csv", "select tax_id_hash, _raw from jobbook.companies"]).await;
    assert!(!kept.out.contains("12-3456789") && kept.out.contains("Acme Drywall"), "{}", kept.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lint_says_what_is_wrong_and_where() {
    let files = blocks();
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(place("extractors/jobbook/canonical")).unwrap();
    let manifest = &files["extractors/jobbook/manifest.toml"];
    std::fs::write(place("extractors/jobbook/manifest.toml"), manifest).unwrap();
    let projects = &files["extractors/jobbook/canonical/projects.sql"];
    let mapping = place("extractors/jobbook/canonical/projects.sql");
    for (wrong, told) in [
        (projects.replace("    name,\n", "    nmae,\n"), "nmae"),
        (projects.replace("as is_active", "as is_activ"), "is_activ"),
        (projects.replace("source.jobs", "source.job"), "job"),
        (projects.replace("select\n", "selec\n"), "canonical/projects.sql"),
    ] {
        std::fs::write(&mapping, wrong).unwrap();
        let lint = run(folder.path(), &["manifest", "lint", "extractors/jobbook"]).await;
        assert!(
            lint.code == 2 && lint.out.contains("projects.sql") && lint.out.contains(told),
            "{}{}",
            lint.out,
            lint.err
        );
    }
    std::fs::rename(&mapping, place("extractors/jobbook/canonical/project.sql")).unwrap();
    let lint = run(folder.path(), &["manifest", "lint", "extractors/jobbook/manifest.toml"]).await;
    assert!(lint.code == 2 && lint.out.contains("no entity `project` (did you mean `projects`?)"), "{}", lint.out);
    let wrong = manifest.replace("side     = \"pm\"", "sid = \"pm\"");
    std::fs::write(place("extractors/jobbook/manifest.toml"), wrong).unwrap();
    let lint = run(folder.path(), &["manifest", "lint"]).await;
    assert!(lint.code == 2 && lint.out.contains("sid"), "{}{}", lint.out, lint.err);
    let none = run(tempfile::tempdir().unwrap().path(), &["manifest", "lint"]).await;
    none.says(2, &["holds no system's folder", "docs/add-a-system.md"]);
}

//! The part of Google's XML interface that a warehouse uses, preconditions on generations included, in memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};

type Objects = Arc<Mutex<BTreeMap<String, (u64, Bytes)>>>;
const MODIFIED: &str = "Tue, 24 Nov 2026 00:00:00 GMT";

/// Serves a bucket named `books`; gives back its address.
pub(crate) async fn serve() -> String {
    let router = Router::new()
        .route("/books", axum::routing::get(list))
        .route("/books/{*name}", axum::routing::any(object))
        .with_state(Objects::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn list(State(objects): State<Objects>, Query(query): Query<BTreeMap<String, String>>) -> String {
    let part = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (prefix, after, delimiter) = (part("prefix"), part("start-after"), part("delimiter"));
    let (mut files, mut folders) = (String::new(), std::collections::BTreeSet::new());
    for (name, (generation, bytes)) in objects.lock().unwrap().iter() {
        let Some(rest) = name.strip_prefix(&prefix).filter(|_| *name > after) else { continue };
        if let Some((folder, _)) = rest.split_once('/').filter(|_| !delimiter.is_empty()) {
            folders.insert(format!("{prefix}{folder}/"));
            continue;
        }
        let size = bytes.len();
        write!(
            files,
            "<Contents><Key>{name}</Key><LastModified>2026-11-24T00:00:00.000Z</LastModified>\
             <ETag>\"{generation}\"</ETag><Size>{size}</Size></Contents>"
        )
        .unwrap();
    }
    for folder in folders {
        write!(files, "<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>").unwrap();
    }
    format!("<?xml version=\"1.0\"?><ListBucketResult>{files}</ListBucketResult>")
}

async fn object(
    State(objects): State<Objects>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut objects = objects.lock().unwrap();
    let known = objects.get(&name).cloned();
    let tags = |generation: u64| {
        let generation = generation.to_string();
        [
            ("etag", format!("\"{generation}\"")),
            ("x-goog-generation", generation),
            ("last-modified", MODIFIED.to_owned()),
        ]
    };
    match method {
        Method::PUT => {
            let generation = known.map_or(0, |(generation, _)| generation);
            let wanted = headers.get("x-goog-if-generation-match").map(|value| value.to_str().unwrap().parse::<u64>());
            if wanted.is_some_and(|wanted| wanted.unwrap() != generation) {
                return StatusCode::PRECONDITION_FAILED.into_response();
            }
            objects.insert(name, (generation + 1, body));
            tags(generation + 1).into_response()
        }
        Method::DELETE => {
            objects.remove(&name);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => match known {
            None => StatusCode::NOT_FOUND.into_response(),
            Some((generation, bytes)) => (tags(generation), bytes).into_response(),
        },
    }
}

//! `/healthz`: the process lives. `/readyz`: the warehouse can be read.
//!
//! Invariant: whoever asks, and however often, the warehouse is asked by one of them at a time, at most once in a while.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Response, StatusCode};
use tokio::sync::Mutex;

use super::asking::Asking;
use super::{Site, answers};
use crate::server::audit::Who;
use crate::server::failure::Failure;
use crate::server::{DATABASE, tls};

/// How long an answer is good for.
const GOOD_FOR: Duration = Duration::from_secs(2);
/// How long the warehouse may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Whose statements are the server's own, in the audit log; no role may be called so.
const SERVER: &str = "tieout";
/// Reads the chain, and rows of what the newest commit says of itself.
const PROBE: &str = "select cast(max(clock.commit_number) as varchar), cast(count(distinct runs.verdict) as varchar) \
                     from meta.clock left join system.check_runs as runs on runs.commit_number = clock.commit_number";

/// What the warehouse said last.
#[derive(Debug, Default)]
pub(crate) struct Health {
    last: Mutex<Option<(Instant, Result<String, Failure>)>>,
}

/// The server itself, as the audit log has it.
pub(super) fn server(site: &Site, address: IpAddr) -> Arc<Who> {
    let session = site.shared.audit.session();
    Arc::new(Who { session, role: SERVER.to_owned(), address, database: DATABASE.to_owned() })
}

/// The newest commit's number, empty before the first; or why the warehouse cannot be read.
async fn probed(site: &Arc<Site>, address: IpAddr) -> Result<String, Failure> {
    let mut last = site.health.last.lock().await;
    if let Some((_, told)) = last.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR) {
        return told.clone();
    }
    let asked = async {
        let mut asking = Asking::open(&site.shared, &server(site, address), None, true, site.gone.clone()).await?;
        let row = asking.rows::<2>(PROBE, &[]).await?.pop();
        Ok(row.map(|[commit, _]| commit).unwrap_or_default())
    };
    let told = tokio::time::timeout(LIMIT, Box::pin(asked)).await;
    let late = || Failure::new("58030", format!("the warehouse did not answer within {} s", LIMIT.as_secs()));
    let told = told.unwrap_or_else(|_| Err(late()));
    *last = Some((Instant::now(), told.clone()));
    told
}

/// `/readyz`
pub(super) async fn ready(site: &Arc<Site>, address: IpAddr) -> Response<Body> {
    match Box::pin(probed(site, address)).await {
        Ok(commit) if commit.is_empty() => {
            answers::plain(StatusCode::OK, "ready: the warehouse can be read, it has no commit yet\n")
        }
        Ok(commit) => answers::plain(StatusCode::OK, format!("ready: the warehouse can be read, commit {commit}\n")),
        Err(failure) => {
            tracing::warn!(code = failure.code, "the warehouse cannot be read: {}", failure.message);
            // What the reason names (paths, addresses) is for this machine; others are told its code.
            let reason = if tls::is_local(address) {
                format!(
                    "{} ({}){}\n",
                    failure.message,
                    failure.code,
                    failure.hint.iter().fold(String::new(), |text, hint| text + "\nhint: " + hint)
                )
            } else {
                format!("({}); the server's log says more\n", failure.code)
            };
            let text = format!("not ready: the warehouse cannot be read: {reason}");
            answers::later(answers::plain(StatusCode::SERVICE_UNAVAILABLE, text))
        }
    }
}

//! `/metrics`: how fresh the data is, what the checks could say, what is open, what the server does, for programs that watch.
//!
//! A role (by HTTP Basic) is told what it may read, amounts too. Without one, programs on this machine are told of the whole
//! firm without amounts, unless the settings keep it to roles. Invariants: what a check could not look at is absent, never 0;
//! figures are read once for each commit, however often somebody asks.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Response, StatusCode};
use chrono::{DateTime, Utc};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;

use super::asking::Asking;
use super::door::{Door, line};
use super::scheduled::Scheduled;
use super::{Site, answers, health};
use crate::server::audit::{Event, Who};
use crate::server::failure::{DENIED, Failure};
use crate::server::tally::Label;
use crate::server::{tls, users};

type Answer = Response<Body>;
type Numbers<const N: usize> = Family<[Label; N], Gauge>;
/// Amounts are what programs draw and compare with a limit; Prometheus knows no other numbers.
type Amounts<const N: usize> = Family<[Label; N], Gauge<f64, std::sync::atomic::AtomicU64>>;

const CLOCK: &str =
    "select commit_number, date_trunc('second', committed_at), date_trunc('second', observed_at) from meta.clock";
const SOURCES: &str = "select source, count(case when status in ('ok', 'empty_verified') then 1 end), \
    count(case when status in ('ok', 'empty_verified') then null else 1 end), date_trunc('second', max(observed_at)), \
    date_trunc('second', min(complete_at)) from meta.coverage group by source order by source";
const RUNS: &str = "with newest as (select source, max(commit_number) as commit_number from meta.runs group by source) \
    select runs.source, date_trunc('second', max(runs.finished_at)), max(runs.incomplete_tables) from meta.runs as runs \
    inner join newest on newest.source = runs.source and newest.commit_number = runs.commit_number group by runs.source order by 1";
const VERDICTS: &str = "select check_id, verdict from recon.summary order by check_id";
const EXCEPTIONS: &str = "with open_keys as (select distinct exception_key from recon.exceptions where state = 'open') \
    select e.check_id, e.severity, e.state, coalesce(e.currency, setting_text('currency')), count(*), \
    sum(case when e.state = 'open' and open_keys.exception_key is null then e.amount_at_risk end) \
    from recon.exceptions as e left join open_keys on open_keys.exception_key = e.explained_by \
    group by 1, 2, 3, 4 order by 1, 2, 3, 4";

/// What a commit says to a role.
#[derive(Debug, Default)]
struct Figures {
    sources: Vec<[String; 5]>,
    runs: Vec<[String; 3]>,
    verdicts: Vec<[String; 2]>,
    exceptions: Vec<[String; 6]>,
    /// What the role may not read.
    refused: Vec<&'static str>,
}

/// The figures of the commits that were asked for last, by role.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<HashMap<String, (String, Arc<Figures>)>>);

/// `/metrics`
pub(super) async fn answer(site: &Arc<Site>, headers: &HeaderMap, address: IpAddr) -> Answer {
    let (who, is_role) = match basic(headers) {
        Some((name, password)) => {
            let Ok(_permit) = site.porch.try_acquire() else {
                return answers::later(answers::plain(StatusCode::SERVICE_UNAVAILABLE, "too many log-ins at once\n"));
            };
            match Door::prove(&site.shared, &name, &password, address).await {
                Ok(who) => (who, true),
                Err(_) => return asked("name or password is wrong\n"),
            }
        }
        None if site.options.open_metrics && tls::is_local(address) => (health::server(site, address), false),
        None => return asked("log in by HTTP Basic, with the name and password of a role\n"),
    };
    if is_role {
        site.shared.audit.put(line(Event::Login, &who));
    }
    let told = Box::pin(told(site, &who, is_role)).await;
    if is_role {
        site.shared.audit.put(line(Event::Logout, &who));
    }
    let mut registry = Registry::with_prefix("tieout");
    server(&mut registry, site);
    match told {
        Ok((clock, figures, planned)) => {
            readable(&mut registry, true);
            moment(&mut registry, &clock);
            fill(&mut registry, &figures, is_role);
            if let Some(planned) = planned {
                schedule(&mut registry, &planned);
            }
        }
        Err(failure) => {
            tracing::warn!(code = failure.code, "metrics without figures: {}", failure.message);
            readable(&mut registry, false);
        }
    }
    let mut text = String::new();
    match prometheus_text::encode(&mut text, &registry) {
        Ok(()) => answers::of(StatusCode::OK, prometheus_text::CONTENT_TYPE, text),
        Err(error) => answers::plain(StatusCode::INTERNAL_SERVER_ERROR, format!("write the metrics: {error}\n")),
    }
}

fn asked(text: &'static str) -> Answer {
    let mut answer = answers::plain(StatusCode::UNAUTHORIZED, text);
    answer
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"tieout metrics\", charset=\"UTF-8\""));
    answer
}

/// Name and password, if they are given.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let given = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = given.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(users::base64(credentials.trim())?).ok()?;
    text.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
}

/// The clock, the figures and the schedule, as far as a role is told.
async fn told(
    site: &Arc<Site>,
    who: &Arc<Who>,
    is_role: bool,
) -> Result<([String; 3], Arc<Figures>, Option<Scheduled>), Failure> {
    let _permit = site.room.acquire().await.map_err(|_| Failure::new("57P01", "the server is shutting down"))?;
    let mut asking = Asking::open(&site.shared, who, None, !is_role, site.gone.clone()).await?;
    let clock = match asking.rows::<3>(CLOCK, &[]).await {
        Ok(mut rows) => rows.pop().unwrap_or_default(),
        Err(failure) if failure.code == DENIED => <[String; 3]>::default(),
        Err(failure) => return Err(failure),
    };
    // Not of a commit: read each time.
    let planned = Scheduled::read(&asking, &site.options).await.unwrap_or_else(|failure| {
        if failure.code != DENIED {
            tracing::warn!(code = failure.code, "metrics without the schedule: {}", failure.message);
        }
        None
    });
    let mut known = site.metrics.0.lock().await;
    let key = if is_role { who.role.clone() } else { String::new() };
    if let Some((commit, figures)) = known.get(&key).filter(|(commit, _)| !commit.is_empty() && *commit == clock[0]) {
        tracing::trace!(commit, "figures of before");
        return Ok((clock, Arc::clone(figures), planned));
    }
    if !clock[0].is_empty() {
        asking.stay_at_unless_forced(&clock[0])?;
    }
    let mut refused = Vec::new();
    let figures = Figures {
        sources: part(&mut asking, "sources", SOURCES, &mut refused).await?,
        runs: part(&mut asking, "runs", RUNS, &mut refused).await?,
        verdicts: part(&mut asking, "verdicts", VERDICTS, &mut refused).await?,
        exceptions: part(&mut asking, "exceptions", EXCEPTIONS, &mut refused).await?,
        refused,
    };
    let figures = Arc::new(figures);
    known.insert(key, (clock[0].clone(), Arc::clone(&figures)));
    Ok((clock, figures, planned))
}

/// Rows that a role may read, or the name of what it may not.
async fn part<const N: usize>(
    asking: &mut Asking,
    name: &'static str,
    sql: &str,
    refused: &mut Vec<&'static str>,
) -> Result<Vec<[String; N]>, Failure> {
    match asking.rows(sql, &[]).await {
        Err(failure) if failure.code == DENIED => {
            refused.push(name);
            Ok(Vec::new())
        }
        told => told,
    }
}

fn readable(registry: &mut Registry, is_readable: bool) {
    let help = "Whether the figures could be read: 0 is no all-clear, the figures are absent then";
    registry.register("warehouse_readable", help, ConstGauge::new(i64::from(is_readable)));
}

fn moment(registry: &mut Registry, [commit, committed_at, observed_at]: &[String; 3]) {
    let Ok(number) = commit.parse::<i64>() else { return };
    registry.register("commit_number", "The commit that is read", ConstGauge::new(number));
    for (name, help, at) in [
        ("commit_age_seconds", "Since the commit was made", committed_at),
        ("observed_age_seconds", "Since the sources were read for the commit", observed_at),
    ] {
        if let Some(age) = age(at) {
            registry.register(name, help, ConstGauge::new(age));
        }
    }
}

/// Seconds since a moment.
fn age(at: &str) -> Option<i64> {
    let at = DateTime::parse_from_rfc3339(at).ok()?;
    Some((Utc::now() - at.to_utc()).num_seconds())
}

fn label(name: &'static str, value: &str) -> Label {
    (name, value.to_owned())
}

fn fill(registry: &mut Registry, figures: &Figures, with_amounts: bool) {
    let refused: Numbers<1> = Family::default();
    for part in &figures.refused {
        refused.get_or_create(&[label("figures", part)]).set(1);
    }
    registry.register("figures_refused", "Figures that the role may not read: absent, not 0", refused);
    sources(registry, figures);
    checks(registry, figures);
    if with_amounts {
        let amounts: Amounts<3> = Family::default();
        let mut sums: BTreeMap<(&str, &str, &str), f64> = BTreeMap::new();
        for [check, severity, _, currency, _, amount] in &figures.exceptions {
            if let Ok(amount) = amount.parse::<f64>() {
                sums.insert((check, severity, currency), amount);
            }
        }
        for ((check, severity, currency), amount) in sums {
            let labels = [label("check", check), label("severity", severity), label("currency", currency)];
            amounts.get_or_create(&labels).set(amount);
        }
        let help = "Money of open exceptions that no other open one explains";
        registry.register("amount_at_risk", help, amounts);
    }
}

fn sources(registry: &mut Registry, figures: &Figures) {
    let (ages, oldest): (Numbers<1>, Numbers<1>) = Default::default();
    let lists: Numbers<2> = Family::default();
    for [source, complete, incomplete, read_at, complete_at] in &figures.sources {
        if let Some(age) = age(read_at) {
            ages.get_or_create(&[label("source", source)]).set(age);
        }
        if let Some(age) = age(complete_at) {
            oldest.get_or_create(&[label("source", source)]).set(age);
        }
        for (state, count) in [("complete", complete), ("incomplete", incomplete)] {
            let count = count.parse().unwrap_or(0);
            lists.get_or_create(&[label("source", source), label("state", state)]).set(count);
        }
    }
    registry.register("source_age_seconds", "Since the source was read last", ages);
    registry.register(
        "source_oldest_complete_age_seconds",
        "Since its list that was read completely longest ago",
        oldest,
    );
    registry.register("source_lists", "Lists of the source by whether their last read was complete", lists);
    let (ended, complete): (Numbers<1>, Numbers<1>) = Default::default();
    for [source, finished_at, incomplete] in &figures.runs {
        if let Some(age) = age(finished_at) {
            ended.get_or_create(&[label("source", source)]).set(age);
        }
        complete.get_or_create(&[label("source", source)]).set(i64::from(incomplete.is_empty()));
    }
    registry.register("last_run_age_seconds", "Since the source's last run ended", ended);
    registry.register("last_run_complete", "Whether the source's last run read every table completely", complete);
}

fn schedule(registry: &mut Registry, planned: &Scheduled) {
    let (succeeded, overdue): (Numbers<1>, Numbers<1>) = Default::default();
    let outcomes: Numbers<2> = Family::default();
    for entry in &planned.entries {
        let name = [label("entry", &entry.name)];
        outcomes.get_or_create(&[label("entry", &entry.name), label("outcome", entry.outcome())]).set(1);
        let since = |at: DateTime<Utc>| (planned.now - at).num_seconds().max(0);
        if let Some(at) = entry.succeeded.as_ref().and_then(|run| run.ended_at) {
            succeeded.get_or_create(&name).set(since(at));
        }
        let since = entry.missed.map_or(0, since);
        overdue.get_or_create(&name).set(since);
    }
    let help = "Whether a server carries the schedule out";
    registry.register("schedule_carried_out", help, ConstGauge::new(i64::from(planned.is_carried_out)));
    let help = "Since a run of the entry went well; absent if none ever did";
    registry.register("schedule_last_success_age_seconds", help, succeeded);
    let help = "1 for how the entry's newest run ended that ended by itself; none before the first";
    registry.register("schedule_last_outcome", help, outcomes);
    registry.register("schedule_overdue_seconds", "Since the entry should have begun; 0 if it did", overdue);
}

fn checks(registry: &mut Registry, figures: &Figures) {
    let verdicts: Numbers<1> = Family::default();
    for verdict in ["clean", "exceptions", "partial", "not_evaluated", "not_applicable"] {
        // Who is told of no check is told of no count either.
        if !figures.verdicts.is_empty() {
            verdicts.get_or_create(&[label("verdict", verdict)]).set(0);
        }
    }
    let each: Numbers<2> = Family::default();
    let found: Numbers<3> = Family::default();
    for [check, verdict] in &figures.verdicts {
        verdicts.get_or_create(&[label("verdict", verdict)]).inc();
        each.get_or_create(&[label("check", check), label("verdict", verdict)]).set(1);
        if matches!(verdict.as_str(), "clean" | "exceptions" | "partial") {
            for severity in ["high", "medium", "low"] {
                found
                    .get_or_create(&[label("check", check), label("severity", severity), label("state", "open")])
                    .set(0);
            }
        }
    }
    for [check, severity, state, _, count, _] in &figures.exceptions {
        let labels = [label("check", check), label("severity", severity), label("state", state)];
        found.get_or_create(&labels).inc_by(count.parse().unwrap_or(0));
    }
    registry.register("checks", "Checks by what they could say", verdicts);
    registry.register("check_verdict", "1 for what the check could say", each);
    registry.register("exceptions", "Exceptions; absent where the check could not look", found);
}

/// What the server itself does.
fn server(registry: &mut Registry, site: &Site) {
    let sessions: Numbers<1> = Family::default();
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    sessions.get_or_create(&[label("listener", "sql")]).set(count(site.shared.sessions.count()));
    sessions.get_or_create(&[label("listener", "http")]).set(count(site.door.count()));
    registry.register("sessions", "Sessions that are open", sessions);
    let tally = &site.shared.audit.tally;
    registry.register(
        "statements",
        "Statements since the start, by the SQLSTATE that they ended with",
        tally.statements.clone(),
    );
    registry.register("failed_logins", "Log-ins that failed since the start", tally.failed_logins.clone());
    registry.register("statement_seconds", "How long statements took", tally.seconds.clone());
    if let Some(bytes) = resident_bytes() {
        registry.register("memory_bytes", "Memory that the process holds", ConstGauge::new(bytes));
    }
}

/// What the process holds in memory, where the system tells it.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_password_are_read_as_basic_has_them() {
        let read = |given: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(given));
            basic(&headers)
        };
        assert_eq!(read("Basic YWRhOnNlOmNyZXQ="), Some(("ada".to_owned(), "se:cret".to_owned())));
        assert_eq!(["Bearer YWRhOnNlY3JldA==", "Basic ???", "Basic YWRh"].map(read), [None, None, None]);
    }

    #[test]
    fn what_could_not_look_is_absent_and_no_zero() {
        let text = |text: &str| text.to_owned();
        let figures = Figures {
            verdicts: vec![
                [text("A1"), text("clean")],
                [text("B1"), text("not_evaluated")],
                [text("C1"), text("exceptions")],
            ],
            exceptions: vec![["C1", "high", "open", "USD", "3", "12.50"].map(str::to_owned)],
            ..Figures::default()
        };
        let shown = |with_amounts| {
            let mut registry = Registry::with_prefix("tieout");
            fill(&mut registry, &figures, with_amounts);
            let mut text = String::new();
            prometheus_text::encode(&mut text, &registry).unwrap();
            text
        };
        let told = shown(false);
        assert!(told.contains("tieout_exceptions{check=\"A1\",severity=\"high\",state=\"open\"} 0"), "{told}");
        assert!(told.contains("tieout_exceptions{check=\"C1\",severity=\"high\",state=\"open\"} 3"), "{told}");
        assert!(!told.contains("tieout_exceptions{check=\"B1\"") && !told.contains("amount"), "{told}");
        assert!(told.contains("tieout_checks{verdict=\"not_evaluated\"} 1"), "{told}");
        let told = shown(true);
        assert!(told.contains("tieout_amount_at_risk{check=\"C1\",severity=\"high\",currency=\"USD\"} 12.5"), "{told}");
    }
}

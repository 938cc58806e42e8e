//! Runs that were stopped and go on: what was read is not asked for again, what is damaged, old or of other settings is.

use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use sha2::{Digest as _, Sha256};
use tieout::clock::SharedClock;
use tieout::extract::{Error, RunOptions, SourceOutcome, SourceSettings, StagingPlace, remove_staged, remove_stale};
use tieout::warehouse::rows::TableInput;
use tokio_util::sync::CancellationToken;

use super::*;

const PROJECTS: usize = 6;
const TAX_ID: &str = "98-7654321";

const VENDORS: &str = r#"
[[table]]
name = "vendors"
parent = "projects"
path = "/vendors"
query = { project_id = "{parent.id}" }
key = ["id"]
sensitive = { "tax.number" = "hash", "bank" = "drop" }
[table.columns]
id = "int64"
tax_id = { type = "text", path = "tax.number" }
project_id = { type = "int64", parent = "id" }
"#;

fn manifest() -> String {
    let contracts =
        CONTRACTS.replace("paging = { kind = \"link_header\", per_page = 100, total_header = \"Total\" }\n", "");
    format!("{SYSTEM}{contracts}{VENDORS}").replace("[rest]", "[rest]\nconcurrency = 1")
}

fn place(folder: &Path) -> StagingPlace {
    StagingPlace {
        path: StagingPlace::path(folder, "toy", "w1"),
        base: "w1 7".to_owned(),
        bytes_max: 1 << 20,
        resumes: true,
    }
}

/// Stops the run when the vendors of the fourth project are asked for, once.
async fn stopping(cancel: CancellationToken) -> Server {
    serve(move |seen| {
        let project = seen.query.rsplit('=').next().unwrap_or_default().to_owned();
        match seen.path.as_str() {
            "/projects" => {
                let all: Vec<String> = (1..=PROJECTS).map(|id| format!("{{\"id\":{id}}}")).collect();
                ok(&format!("[{}]", all.join(",")))
            }
            "/contracts" => ok(&format!(r#"[{{"id":1{project},"total":"{project}.50"}}]"#)),
            "/vendors" => {
                if project == "4" && seen.count == 1 {
                    cancel.cancel();
                }
                ok(&format!(r#"[{{"id":2{project},"tax":{{"number":"{TAX_ID}"}},"bank":"DE0012345678"}}]"#))
            }
            _ => token(seen).unwrap(),
        }
    })
    .await
}

struct Stopped {
    folder: tempfile::TempDir,
    server: Server,
    source: SourceSettings,
    clock: SharedClock,
}

impl Stopped {
    /// A run that was stopped with the vendors of three projects read.
    async fn new() -> Self {
        let cancel = CancellationToken::new();
        let server = stopping(cancel.clone()).await;
        let source = SourceSettings { redaction_key: Some(b"firm".to_vec()), ..source(&server, &manifest()) };
        let stopped = Self { folder: tempfile::tempdir().unwrap(), server, source, clock: clock() };
        let options = RunOptions { cancel, ..stopped.options() };
        let error = run(&stopped.source, &options).await.unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }), "{error}");
        stopped
    }

    fn options(&self) -> RunOptions {
        RunOptions { staging: Some(place(self.folder.path())), ..options(&self.clock) }
    }

    fn file(&self) -> PathBuf {
        place(self.folder.path()).path
    }

    /// Which lists a run asks for; it ends with everything, however much of it was read before.
    async fn asks(&self, source: &SourceSettings, options: &RunOptions) -> (Vec<String>, SourceOutcome) {
        self.server.log.lock().unwrap().clear();
        let outcome = run(source, options).await.unwrap();
        for name in ["projects", "contracts", "vendors"] {
            assert_eq!(rows(&outcome, name), PROJECTS, "{name}");
        }
        assert!(outcome.run.incomplete_tables.is_empty(), "{:?}", outcome.run);
        let asked = self.server.log.lock().unwrap().clone();
        (asked.into_iter().filter(|line| !line.starts_with("/oauth")).collect(), outcome)
    }

    async fn asks_as_before(&self) -> Vec<String> {
        self.asks(&self.source, &self.options()).await.0
    }
}

const LISTS: usize = 1 + 2 * PROJECTS;

#[tokio::test]
async fn a_stopped_run_goes_on_and_ends_as_one_that_was_not() {
    let stopped = Stopped::new().await;
    let began_at = stopped.clock.now();
    stopped.clock.advance(Duration::from_hours(1));
    let (asked, outcome) = stopped.asks(&stopped.source, &stopped.options()).await;
    let rest: Vec<String> = (4..=PROJECTS).map(|id| format!("/vendors?project_id={id}")).collect();
    assert_eq!(asked, rest, "only what was not read to its end");
    assert_eq!(usize::try_from(outcome.resumed).unwrap(), LISTS - rest.len());
    // True as of the oldest page, and never newer than that for the next run.
    assert!(outcome.run.started_at <= began_at && outcome.run.observed_at <= began_at, "{:?}", outcome.run);

    let anew = RunOptions { staging: None, ..stopped.options() };
    let (_, other) = stopped.asks(&stopped.source, &anew).await;
    for (resumed, read) in outcome.tables.iter().zip(&other.tables) {
        assert_eq!(resumed.columns, read.columns);
        for (left, right) in resumed.batches.iter().zip(&read.batches) {
            for column in left.schema().fields().iter().filter(|field| field.name() != "_extracted_at") {
                assert_eq!(
                    left.column_by_name(column.name()),
                    right.column_by_name(column.name()),
                    "{}",
                    column.name()
                );
            }
        }
        let statuses = |input: &TableInput| -> Vec<_> {
            input.coverage.iter().map(|it| (it.scope.clone(), it.project.clone(), it.status, it.rows)).collect()
        };
        assert_eq!((statuses(resumed), &resumed.drift), (statuses(read), &read.drift));
    }
}

#[tokio::test]
async fn damage_is_noticed_wherever_it_is() {
    let stopped = Stopped::new().await;
    let whole = std::fs::read(stopped.file()).unwrap();
    for at in (0..whole.len()).step_by(61).chain([whole.len() - 1]) {
        let mut altered = whole.clone();
        altered[at] ^= 0x10;
        let mut torn = whole.clone();
        torn.truncate(at);
        for bytes in [altered, torn] {
            std::fs::write(stopped.file(), bytes).unwrap();
            let asked = stopped.asks_as_before().await;
            assert!(asked.len() > PROJECTS - 3 && asked.len() <= LISTS, "byte {at}: {asked:?}");
            assert!(asked.iter().any(|line| line == "/vendors?project_id=3"), "what comes last is read again");
        }
    }
    // A damaged end is cut off: what is appended after it is found again.
    std::fs::write(stopped.file(), &whole[..whole.len() - 7]).unwrap();
    stopped.asks_as_before().await;
    assert_eq!(stopped.asks_as_before().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_was_read_under_something_else_is_read_again() {
    let stopped = Stopped::new().await;
    let whole = std::fs::read(stopped.file()).unwrap();
    let all = |asked: Vec<String>| assert_eq!(asked.len(), LISTS, "{asked:?}");
    let restore = || std::fs::write(stopped.file(), &whole).unwrap();

    let mut manifest = stopped.source.clone();
    manifest.manifest =
        Manifest::parse("toy", &self::manifest().replace("bank\" = \"drop", "bank\" = \"hash")).unwrap();
    all(stopped.asks(&manifest, &stopped.options()).await.0);
    restore();
    let key = SourceSettings { redaction_key: Some(b"other".to_vec()), ..stopped.source.clone() };
    all(stopped.asks(&key, &stopped.options()).await.0);
    restore();
    let mut password = stopped.source.clone();
    password
        .values
        .insert("client_secret".into(), tieout::extract::Setting::Secret(tieout::extract::Secret::new("new")));
    all(stopped.asks(&password, &stopped.options()).await.0);
    restore();
    let mut committed = stopped.options();
    committed.staging.as_mut().unwrap().base = "w1 8".to_owned();
    all(stopped.asks(&stopped.source, &committed).await.0);
    restore();
    let mut anew = stopped.options();
    anew.staging.as_mut().unwrap().resumes = false;
    all(stopped.asks(&stopped.source, &anew).await.0);
    restore();
    stopped.clock.advance(Duration::from_hours(12));
    all(stopped.asks_as_before().await);
}

/// The file with every list's moment moved: at 32 of a frame's body that of the run's clock, at 40 the machine's.
fn moved(file: &[u8], at: usize, by: TimeDelta) -> Vec<u8> {
    let (mut rest, mut moved, mut is_first) = (file, Vec::new(), true);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (_, after) = after.split_at(32);
        let (body, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        let mut body = body.to_vec();
        if !std::mem::take(&mut is_first) {
            let place = body.split_at_mut(at).1.first_chunk_mut::<8>().unwrap();
            *place = (i64::from_le_bytes(*place) + by.num_microseconds().unwrap()).to_le_bytes();
        }
        moved.extend(length);
        moved.extend(Sha256::digest(&body));
        moved.extend(body);
        rest = after;
    }
    moved
}

#[tokio::test]
async fn twelve_hours_are_counted_by_the_runs_clock_and_by_the_machines() {
    let stopped = Stopped::new().await;
    let whole = std::fs::read(stopped.file()).unwrap();
    assert_eq!(moved(&whole, 32, TimeDelta::zero()), whole);
    let minutes = |hours: i64, minutes: i64| TimeDelta::minutes(hours * 60 + minutes);
    for place in [32, 40] {
        for (by, asked) in [(minutes(-12, 2), PROJECTS - 3), (minutes(-12, 0), LISTS), (minutes(0, 2), LISTS)] {
            std::fs::write(stopped.file(), moved(&whole, place, by)).unwrap();
            let lists = stopped.asks_as_before().await;
            assert_eq!(lists.len(), asked, "moved by {by} at {place}: {lists:?}");
        }
    }
}

#[tokio::test]
async fn staged_lists_hold_no_secret_have_a_largest_size_and_go() {
    let stopped = Stopped::new().await;
    let path = stopped.file();
    let bytes = std::fs::read(&path).unwrap();
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    let mut rest = bytes.as_slice();
    while rest.len() > 36 {
        let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        let (frame, after) = rest[36..].split_at(length);
        if let Some(packed) = frame.get(52..).and_then(|packed| zstd::decode_all(packed).ok()) {
            text.push_str(&String::from_utf8(packed).unwrap());
        }
        rest = after;
    }
    assert!(text.contains("4.50"), "the rows are there");
    let digits: String = TAX_ID.chars().filter(char::is_ascii_digit).collect();
    for planted in [TAX_ID, digits.as_str(), "DE0012345678", SECRET, "the-client", "tok1"] {
        assert!(!text.contains(planted), "{planted}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    remove_stale(stopped.folder.path());
    assert!(path.exists(), "not old enough");
    let old = std::time::SystemTime::now() - TimeDelta::hours(13).to_std().unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    remove_stale(stopped.folder.path());
    assert!(!path.parent().unwrap().exists());
    remove_staged(&path);

    let mut small = stopped.options();
    small.staging.as_mut().unwrap().bytes_max = 2000;
    stopped.asks(&stopped.source, &small).await;
    assert!(std::fs::metadata(&path).unwrap().len() <= 2000);
    assert!(stopped.asks(&stopped.source, &small).await.0.len() < LISTS, "what fits is kept");
}

#[tokio::test]
async fn what_failed_or_was_refused_is_asked_for_again() {
    let server = serve(|seen| match (seen.path.as_str(), seen.count) {
        ("/projects", _) => ok(r#"[{"id":1},{"id":2},{"id":3}]"#),
        ("/contracts", 1) if seen.query.contains("project_id=1") => answer(403, &[], "no"),
        ("/contracts", 1..=6) if seen.query.contains("project_id=2") => answer(503, &[], "busy"),
        ("/contracts", _) => ok(&format!(
            r#"[{{"id":{},"total":"1"}}]"#,
            seen.query.split("project_id=").nth(1).unwrap().split('&').next().unwrap()
        )),
        _ => token(seen).unwrap(),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let source = source(&server, &format!("{SYSTEM}{CONTRACTS}"));
    let options = RunOptions { staging: Some(place(folder.path())), ..options(&clock()) };
    let first = run(&source, &options).await.unwrap();
    assert_eq!(rows(&first, "contracts"), 1);
    let second = run(&source, &options).await.unwrap();
    assert_eq!((rows(&second, "contracts"), second.resumed), (3, 2), "projects, and the contracts of the third");
}

#[tokio::test]
async fn what_is_left_may_be_refused_but_not_out_of_reach() {
    let status = Arc::new(AtomicUsize::new(403));
    let told = Arc::clone(&status);
    let server = serve(move |seen| match seen.path.as_str() {
        "/projects" => ok(r#"[{"id":1},{"id":2}]"#),
        "/contracts" if seen.query.contains("project_id=2") => {
            answer(u16::try_from(told.load(Ordering::Relaxed)).unwrap(), &[], "no")
        }
        "/contracts" => ok(r#"[{"id":1,"total":"1"}]"#),
        _ => token(seen).unwrap(),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let source = source(&server, &format!("{SYSTEM}{CONTRACTS}"));
    let options = RunOptions { staging: Some(place(folder.path())), ..options(&clock()) };
    run(&source, &options).await.unwrap();
    status.store(503, Ordering::Relaxed);
    let error = run(&source, &options).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    status.store(403, Ordering::Relaxed);
    let outcome = run(&source, &options).await.unwrap();
    assert_eq!((rows(&outcome, "contracts"), outcome.resumed), (1, 2));
    assert_eq!(coverage(&outcome, "contracts", "2").status, CoverageStatus::Forbidden);
}

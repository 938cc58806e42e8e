//! How long opening a warehouse takes by its number of commits, with and without a checkpoint, on a local disk and on a store
//! that answers every request after 30 ms: `cargo bench --bench open`.
#![expect(clippy::indexing_slicing, reason = "JSON that the benchmark made itself")]

#[path = "../tests/it/warehouse/years.rs"]
mod years;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tieout::clock::Clock;
use tieout::warehouse::commit::{CommitKind, FORMAT};
use tieout::warehouse::{CommitHeader, Error, Warehouse};

const TABLES: u64 = 40;
const COMMITS: [u64; 3] = [100, 1000, 3650];
const LATENCY: Duration = Duration::from_millis(30);
/// Reported is the median.
const RUNS: usize = 5;
/// Heads held at once to learn what one takes.
const HEADS: u64 = 3;

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(measure())
}

async fn measure() -> Result<(), Error> {
    say(&format!("opening a warehouse of {TABLES} tables, median of {RUNS} runs, ms"));
    say("commits   checkpoint      local   30 ms a request   checkpoint MB   head MB");
    for commits in COMMITS {
        let folder = tempfile::tempdir().expect("a folder");
        let local: Arc<dyn ObjectStore> =
            Arc::new(LocalFileSystem::new_with_prefix(folder.path()).expect("the folder opens"));
        let distant: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for objects in [&local, &distant] {
            fill(objects, commits).await?;
        }
        let late = ThrottledStore::new(Arc::clone(&distant), throttle());
        let late: Arc<dyn ObjectStore> = Arc::new(late);
        let kept = kept(&distant).await;
        let held = memory(&local).await?;
        let bytes: u64 = kept.iter().map(|object| object.size).sum();
        for with in [true, false] {
            if !with {
                remove(&local).await;
                remove(&distant).await;
            }
            let (near, far) = (time(&local).await?, time(&late).await?);
            let word = if with { "with" } else { "without" };
            let size =
                if with { format!("{}.{}", bytes >> 20, (bytes >> 10) % 1024 * 10 / 1024) } else { "–".to_owned() };
            say(&format!("{commits:>7}   {word:<10} {near:>10} {far:>17}   {size:>13}   {held:>7}"));
        }
    }
    Ok(())
}

fn throttle() -> ThrottleConfig {
    ThrottleConfig {
        wait_get_per_call: LATENCY,
        wait_list_per_call: LATENCY,
        wait_list_with_delimiter_per_call: LATENCY,
        wait_put_per_call: LATENCY,
        ..ThrottleConfig::default()
    }
}

/// A chain that ends nine commits after a checkpoint, as an ordinary day's does.
async fn fill(objects: &Arc<dyn ObjectStore>, commits: u64) -> Result<(), Error> {
    let warehouse = Warehouse::open_or_create_in(Arc::clone(objects), "bench").await?;
    let years = years::Years { format: FORMAT, warehouse_id: warehouse.id(), tables: TABLES };
    years.write(objects.as_ref(), commits - commits % 20 - 1).await;
    for _ in 0..10 {
        let (kind, definitions) = (CommitKind::Extract, String::new());
        let header =
            CommitHeader { kind, clock: &Clock::Machine, definitions, runs: Vec::new(), observed_at: Utc::now() };
        let prepared = warehouse.prepare(header).await?;
        warehouse.publish(prepared).await?;
    }
    Ok(())
}

async fn kept(objects: &Arc<dyn ObjectStore>) -> Vec<ObjectMeta> {
    objects.list(Some(&Path::from("checkpoints"))).try_collect().await.expect("checkpoints are listed")
}

async fn remove(objects: &Arc<dyn ObjectStore>) {
    for object in kept(objects).await {
        objects.delete(&object.location).await.expect("a checkpoint is removed");
    }
}

async fn time(objects: &Arc<dyn ObjectStore>) -> Result<u128, Error> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        let warehouse = Warehouse::open_or_create_in(Arc::clone(objects), "bench").await?;
        let head = warehouse.head().await?;
        times.push(start.elapsed().as_millis());
        assert!(head.number() > 0, "the chain was read");
    }
    times.sort_unstable();
    Ok(times.get(RUNS / 2).copied().unwrap_or_default())
}

/// Megabytes that one open head holds: the mean of several, held at once.
async fn memory(objects: &Arc<dyn ObjectStore>) -> Result<u64, Error> {
    let mut heads = Vec::new();
    let mut before = 0;
    for held in 0..=HEADS {
        let warehouse = Warehouse::open_or_create_in(Arc::clone(objects), "bench").await?;
        heads.push(warehouse.head().await?);
        // The first one leaves behind what the next ones use again.
        if held == 0 {
            before = resident();
        }
    }
    Ok((resident().saturating_sub(before) / HEADS) >> 10)
}

/// Kilobytes in memory; 0 where the system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn say(line: &str) {
    // A closed pipe ends the benchmark's use, not the benchmark.
    let _ = writeln!(std::io::stdout(), "{line}");
}

//! Where things lie: the warehouse, its disk, its locks, the workspace.

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use indicatif::HumanBytes;

use super::Findings;
use crate::config::Config;
use crate::warehouse::Warehouse;

/// Less than this, and the next run may not end.
const BYTES_MIN: u64 = 1 << 30;
/// Files that a run may well make.
const FILES_MIN: u64 = 1_000;
/// Less than this is worth a word.
const BYTES_FEW: u64 = 5 << 30;

/// The folder of a warehouse on a disk.
fn folder(url: &str) -> Option<PathBuf> {
    match url.strip_prefix("file://") {
        Some(path) => Some(PathBuf::from(path)),
        None => (!url.contains("://")).then(|| PathBuf::from(url)),
    }
}

/// What is there of a path: itself, or the nearest folder above it.
fn nearest(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|path| path.exists()).map(Path::to_path_buf)
}

/// Space, and the right to write.
pub(super) fn disk(url: &str, findings: &mut Findings) {
    let Some(folder) = folder(url) else {
        findings.ok("disk", format!("{url} is a bucket: writing is not tried, since that would change it"));
        return;
    };
    let Some(place) = nearest(&folder) else {
        findings.problem(4, "disk", format!("{} is on no disk", folder.display()), "[warehouse] url");
        return;
    };
    space("disk", &place, findings);
    writable("warehouse", &place, 4, findings);
}

/// The folders beside the settings that are written to.
pub(super) fn workspace(config: &Config, findings: &mut Findings) {
    for path in [PathBuf::from("schedule"), PathBuf::from("staging"), config.server.audit_log.clone()] {
        if let Some(place) = nearest(&config.directory.join(path)) {
            writable("workspace", &place, 2, findings);
        }
    }
    findings.0.dedup_by(|one, other| one.about == other.about && one.says == other.says);
}

#[cfg(unix)]
fn space(about: &str, place: &Path, findings: &mut Findings) {
    match rustix::fs::statvfs(place) {
        Ok(told) => {
            let free = told.f_bavail.saturating_mul(told.f_frsize);
            let says = format!("{} free at {}", HumanBytes(free), place.display());
            let hint = "free space; `tieout vacuum --dry-run` says what can go";
            match free {
                _ if told.f_files > 0 && told.f_favail < FILES_MIN => {
                    findings.problem(4, about, format!("{} has no room for more files", place.display()), hint);
                }
                free if free < BYTES_MIN => findings.problem(4, about, says, hint),
                free if free < BYTES_FEW => findings.warn(about, says, hint),
                _ => findings.ok(about, says),
            }
        }
        Err(error) => {
            findings.warn(about, format!("ask for the space at {}: {error}", place.display()), "look yourself");
        }
    }
}

#[cfg(not(unix))]
fn space(_: &str, _: &Path, _: &mut Findings) {}

#[cfg(unix)]
fn writable(about: &str, place: &Path, code: u8, findings: &mut Findings) {
    match rustix::fs::access(place, rustix::fs::Access::WRITE_OK) {
        Ok(()) => findings.ok(about, format!("{} can be written", place.display())),
        Err(error) => {
            let user = "run doctor as the user of the service, or give it the folder";
            findings.problem(code, about, format!("{} cannot be written: {error}", place.display()), user);
        }
    }
}

#[cfg(not(unix))]
fn writable(_: &str, _: &Path, _: u8, _: &mut Findings) {}

/// The chain, and how old each source's last read is.
pub(super) async fn warehouse(warehouse: &Warehouse, config: &Config, now: DateTime<Utc>, findings: &mut Findings) {
    let head = match warehouse.head().await {
        Ok(head) => head,
        Err(error) => return findings.error(4, "warehouse", &error.into()),
    };
    findings.ok("warehouse", format!("{}: {} commits can be read", warehouse.location(), head.number()));
    if let Some(last) = head.last().filter(|last| last.committed_at > now + TimeDelta::seconds(1)) {
        let says = format!("this machine's clock is behind the newest commit, of {}", last.committed_at);
        findings.problem(2, "clock", says, "set the clock (NTP); docs/operate.md");
    }
    let stale = TimeDelta::hours(config.checks.freshness_hours);
    for source in config.sources.keys() {
        let runs = head.commits.iter().rev().flat_map(|commit| &commit.runs);
        match runs.into_iter().find(|run| run.source == *source) {
            None => findings.warn(source, "was never read", "`tieout extract`"),
            Some(run) => {
                let age = now - run.observed_at;
                let says =
                    format!("last read {} hours ago, at {}", age.num_hours(), run.observed_at.format("%F %H:%M UTC"));
                let unread = run.unread();
                if age > stale {
                    let hint = "what the checks said is as old; `tieout extract`, and look why nobody did";
                    findings.warn(source, says, hint);
                } else if unread.is_empty() {
                    findings.ok(source, says);
                } else {
                    let says = format!("{says}; not to their end: {}", unread.join(", "));
                    findings.warn(source, says, "`tieout show` says why");
                }
            }
        }
    }
}

/// Who holds the sources' locks. On a disk a lock goes with its process, so that a dead one holds none; in a bucket it ends by
/// itself.
pub(super) fn locks(url: &str, config: &Config, findings: &mut Findings) {
    let Some(folder) = folder(url) else { return };
    for source in config.sources.keys() {
        let path = folder.join("locks").join(format!("{source}.lock"));
        let Some(id) = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<i32>().ok()) else {
            continue;
        };
        match name(id) {
            Some(name) if name.contains("tieout") => {
                findings.ok(source, format!("process {id} may be extracting it now"));
            }
            _ => findings.ok(source, "nobody is extracting it"),
        }
    }
}

/// The name of a process that lives.
fn name(process: i32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{process}/comm")).ok()
}

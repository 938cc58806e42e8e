//! `tieout log`: the commits, newest first, one line each.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::Args;
use serde_json::json;

use super::chain::{Chain, Format, counts, csv_line, incomplete, subject};
use super::paint::{Ink, Paint};
use super::{Failure, Global};
use crate::warehouse::commit::{Commit, CommitKind};

/// Arguments of `log`.
#[derive(Args, Debug)]
pub(super) struct LogArguments {
    /// At most so many, the newest
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    /// Only commits that read this source
    #[arg(long, value_name = "S")]
    source: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) async fn run(global: &Global, arguments: &LogArguments) -> Result<u8, Failure> {
    let chain = Chain::open(global).await?;
    let of_source = |commit: &&std::sync::Arc<Commit>| {
        arguments.source.as_ref().is_none_or(|source| commit.runs.iter().any(|run| run.source == *source))
    };
    let commits = chain.head.commits.iter().rev().filter(of_source);
    let commits: Vec<&Commit> = commits.take(arguments.limit.unwrap_or(usize::MAX)).map(AsRef::as_ref).collect();
    let text = match arguments.format {
        Format::Text => lines(&chain, &commits, Paint::stdout(global.color)),
        Format::Csv => csv(&commits),
        Format::Json => json(&chain, &commits),
    };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::usage)?;
    Ok(0)
}

fn lines(chain: &Chain, commits: &[&Commit], paint: Paint) -> String {
    let names = chain.names();
    let width = commits.iter().map(|commit| commit.number.to_string().len()).max().unwrap_or(1);
    let mut out = String::new();
    for commit in commits {
        let number = paint.ink(Ink::Changed, format!("{:>width$}", commit.number));
        let at = paint.ink(Ink::Faint, chain.moment(commit.committed_at));
        let mut line = format!("{number}  {at}  {:<11} {}", commit.kind.as_str(), subject(commit));
        if commit.kind == CommitKind::Extract {
            let (inserted, updated, deleted) = counts(commit);
            let count = |ink, sign: &str, count: u64| {
                paint.ink(if count == 0 { Ink::Faint } else { ink }, format!("{sign}{count}"))
            };
            let _ = write!(
                line,
                "  {} {} {}",
                count(Ink::Added, "+", inserted),
                count(Ink::Changed, "~", updated),
                count(Ink::Removed, "-", deleted)
            );
        }
        let (unread, answered) = incomplete(commit);
        for (tables, ink, what) in [(unread, Ink::Removed, "not read"), (answered, Ink::Faint, "unverified")] {
            if !tables.is_empty() {
                let word = if tables.len() == 1 { "table" } else { "tables" };
                let _ = write!(line, "  {}", paint.ink(ink, format!("{} {word} {what}", tables.len())));
            }
        }
        if let Some(names) = names.get(&commit.number) {
            let _ = write!(line, "  {}", paint.ink(Ink::Title, format!("({})", names.join(", "))));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

fn csv(commits: &[&Commit]) -> String {
    let mut out =
        "commit,committed_at,observed_at,kind,subject,inserted,updated,deleted,unread,unverified\n".to_owned();
    for commit in commits {
        let (inserted, updated, deleted) = counts(commit);
        let (unread, unverified) = incomplete(commit);
        let values = [
            commit.number.to_string(),
            commit.committed_at.to_rfc3339(),
            commit.observed_at.to_rfc3339(),
            commit.kind.as_str().to_owned(),
            subject(commit),
            inserted.to_string(),
            updated.to_string(),
            deleted.to_string(),
            unread.join(" "),
            unverified.join(" "),
        ];
        let _ = writeln!(out, "{}", csv_line(values.iter().map(String::as_str)));
    }
    out
}

fn json(chain: &Chain, commits: &[&Commit]) -> String {
    let names = chain.names();
    let object = |commit: &&Commit| {
        let (inserted, updated, deleted) = counts(commit);
        let (unread, unverified) = incomplete(commit);
        json!({
            "commit": commit.number,
            "committed_at": commit.committed_at,
            "observed_at": commit.observed_at,
            "kind": commit.kind.as_str(),
            "subject": subject(commit),
            "names": names.get(&commit.number).cloned().unwrap_or_default(),
            "inserted": inserted,
            "updated": updated,
            "deleted": deleted,
            "unread": unread,
            "unverified": unverified,
        })
    };
    format!("{:#}\n", serde_json::Value::Array(commits.iter().map(object).collect()))
}

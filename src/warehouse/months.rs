//! The commit of a month: one definition for trends, reports, sign-offs and kept states.
//!
//! It is the month's pin (the newest one whose period ends with the month); else the first commit as of which every table
//! had been read to its end after the month ended in the firm's zone. Lists that stayed empty, refused or hidden are
//! answers: the checks' verdicts speak of them, and no later read would say more. Tables that nobody looked at since the
//! month began do not count: their source was switched off. A commit once found stays the month's, whatever is committed later,
//! unless a pin names another.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use super::as_of::end_of_day;
use super::commit::{Commit, Head, SourceRun};
use super::rows::SYSTEM_SOURCE;

/// How long after a month's end a commit still shows it, where no complete read does.
const GRACE_DAYS: i64 = 3;

/// A month and the commit that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthCommit {
    /// The month's first day.
    pub month: NaiveDate,
    /// The commit that stands for it; none if nothing was committed near it.
    pub commit: Option<u64>,
    /// Whether that is the month's commit as defined. If not, it is the first one within three days of the month's end,
    /// else the last one within the month: not everything was read, or the month still runs.
    pub is_closed: bool,
    /// The pin that makes it so.
    pub pin: Option<String>,
}

/// A month that waits for its commit.
struct Waiting {
    month: NaiveDate,
    starts_after: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    closed_by: Option<u64>,
    within: Option<u64>,
    after_end: Option<u64>,
}

/// When a table was last looked at, and last read completely.
#[derive(Clone, Copy)]
struct Reads {
    looked: DateTime<Utc>,
    complete: Option<DateTime<Utc>>,
}

impl Head {
    /// Every month from the first commit's to the newest one's, as known at commit `upto`, in the firm's zone.
    pub fn months(&self, upto: u64, zone: Tz) -> Vec<MonthCommit> {
        let commits = self.commits.iter().take_while(|commit| commit.number <= upto);
        let read: Vec<&Commit> = commits.map(AsRef::as_ref).filter(|commit| !commit.runs.is_empty()).collect();
        let mut months = span(&read, zone);
        let mut tables: BTreeMap<(&str, &str), Reads> = BTreeMap::new();
        for commit in read {
            note(&mut tables, commit);
            for month in &mut months {
                month.see(commit, &tables);
            }
        }
        let pins: BTreeMap<NaiveDate, _> =
            self.pins(upto).filter_map(|(_, pin)| Some((month_ending(pin.period_end?)?, pin))).collect();
        let told = |waiting: Waiting| {
            let pin = pins.get(&waiting.month);
            MonthCommit {
                month: waiting.month,
                commit: pin.map(|pin| pin.commit).or(waiting.closed_by).or(waiting.after_end).or(waiting.within),
                is_closed: pin.is_some() || waiting.closed_by.is_some(),
                pin: pin.map(|pin| pin.name.clone()),
            }
        };
        // A month before the first commit's own, which that commit came too late for, is no month of ours.
        months.into_iter().map(told).skip_while(|month| month.commit.is_none()).collect()
    }
}

impl Waiting {
    fn new(month: NaiveDate, zone: Tz) -> Option<Self> {
        let starts_after = end_of_day(month.checked_sub_days(Days::new(1))?, zone)?;
        let ends_at = end_of_day(last_day(month)?, zone)?;
        Some(Self { month, starts_after, ends_at, closed_by: None, within: None, after_end: None })
    }

    fn see(&mut self, commit: &Commit, tables: &BTreeMap<(&str, &str), Reads>) {
        let at = commit.observed_at;
        if at > self.starts_after && at <= self.ends_at {
            self.within = Some(commit.number);
        }
        if at > self.ends_at && at <= self.ends_at + TimeDelta::days(GRACE_DAYS) && self.after_end.is_none() {
            self.after_end = Some(commit.number);
        }
        // Only a read after the month's end can close it.
        let is_late = |run: &SourceRun| run.observed_at > self.ends_at;
        if self.closed_by.is_some() || !commit.runs.iter().any(is_late) {
            return;
        }
        let mut counting = tables.values().filter(|reads| reads.looked > self.starts_after).peekable();
        let is_read = |reads: &Reads| reads.complete.is_some_and(|complete| complete > self.ends_at);
        if counting.peek().is_some() && counting.all(is_read) {
            self.closed_by = Some(commit.number);
        }
    }
}

/// The months that commits were made in, and the one before if the first came soon after its end.
fn span(commits: &[&Commit], zone: Tz) -> Vec<Waiting> {
    let moments = || commits.iter().map(|commit| commit.observed_at);
    let day = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
    let (Some(first), Some(last)) = (moments().min(), moments().max()) else { return Vec::new() };
    let first = day(first.checked_sub_signed(TimeDelta::days(GRACE_DAYS)).unwrap_or(first));
    let months = std::iter::successors(first.with_day(1), |month| month.checked_add_months(Months::new(1)));
    months.take_while(|month| *month <= day(last)).filter_map(|month| Waiting::new(month, zone)).collect()
}

/// What a commit read of each table, and whether all of it.
fn note<'a>(tables: &mut BTreeMap<(&'a str, &'a str), Reads>, commit: &'a Commit) {
    for run in &commit.runs {
        let own = commit.tables.iter().filter(|table| table.source == run.source && table.source != SYSTEM_SOURCE);
        for table in own {
            let is_complete = table.held_back.is_none() && !run.unread().contains(&table.table);
            let complete = is_complete.then_some(run.observed_at);
            match tables.entry((&table.source, &table.table)) {
                Entry::Vacant(place) => drop(place.insert(Reads { looked: run.observed_at, complete })),
                Entry::Occupied(mut place) => {
                    let reads = place.get_mut();
                    reads.looked = reads.looked.max(run.observed_at);
                    reads.complete = reads.complete.max(complete);
                }
            }
        }
    }
}

fn last_day(month: NaiveDate) -> Option<NaiveDate> {
    month.checked_add_months(Months::new(1))?.pred_opt()
}

/// The month that ends on that day, if one does.
fn month_ending(day: NaiveDate) -> Option<NaiveDate> {
    let month = day.with_day(1)?;
    (last_day(month) == Some(day)).then_some(month)
}

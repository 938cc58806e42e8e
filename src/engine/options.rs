//! The session's clocks and limits: `SET tieout.as_of`, `tieout.accounting_date`, `tieout.<limit>`.
//!
//! Owns how a session's options become a [`Moment`]: one head, one commit, one accounting date. Invariant: all scans of
//! one query see the same moment, even if a commit is published between two of them. Leaves out what is read there.

#[cfg(feature = "workers")]
mod carried;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use datafusion::catalog::{CatalogProvider, Session};
use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::common::{DataFusionError, Result, config_err};
use tokio::sync::Mutex;

use crate::engine::Error;
use crate::engine::access::Access;
use crate::engine::blueprint::Blueprint;
use crate::engine::editions::{Edition, Editions, Reading};
use crate::engine::settings::{EngineSettings, Setting};
use crate::warehouse::commit::{Commit, Head};
use crate::warehouse::{AsOf, Warehouse};

#[cfg(feature = "workers")]
pub(crate) use carried::Carried;

/// How long a head may be used without asking the warehouse for a newer one.
const HEAD_AGE_MAX: Duration = Duration::from_secs(1);
/// How many running queries of one session keep their moment.
const MOMENTS_MAX: usize = 16;

/// What one query reads: the chain, the commit in it, the business date.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The chain up to the newest commit.
    pub head: Arc<Head>,
    /// The commit that `tieout.as_of` names; none before the first.
    pub commit: Option<Arc<Commit>>,
    /// The business date; none before the first commit unless it was set.
    pub accounting_date: Option<NaiveDate>,
    /// The pin by whose name the commit was asked for.
    pub pin: Option<String>,
}

impl Moment {
    /// The pin of the last period that ended before the business date, and that end; of several the one of the newest commit.
    /// A pin made later counts too, if what it names was there: firms pin last year when they close this one.
    pub(crate) fn previous_pin(&self, zone: Tz) -> Option<(String, NaiveDate)> {
        let (date, commit) = (self.accounting_date?, self.commit.as_ref()?);
        let day = |number| Some(self.head.commit(number)?.observed_at.with_timezone(&zone).date_naive());
        let pins = self.head.pins(self.head.number()).map(|(_, pin)| pin).filter(|pin| pin.commit <= commit.number);
        let ended = pins.filter_map(|pin| Some((pin.period_end.or_else(|| day(pin.commit))?, pin)));
        let last = ended.filter(|(end, _)| *end < date).max_by_key(|(end, pin)| (*end, pin.commit));
        last.map(|(end, pin)| (pin.name.clone(), end))
    }
}

/// Everything that a session's answers depend on, beside its statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MomentKey {
    /// Of a prepared commit, whose number may come to mean another; 0 for what is published.
    pub(crate) generation: u64,
    /// The commit that is read.
    pub(crate) commit: u64,
    /// The newest one: pins made since the moment tell which period came before it.
    pub(crate) newest: u64,
    pub(crate) accounting_date: Option<NaiveDate>,
    pub(crate) pin: Option<String>,
    /// The session's own settings.
    pub(crate) limits: BTreeMap<String, i64>,
}

/// Where a session takes the chain from.
#[derive(Debug)]
pub(crate) enum Heads {
    /// The newest published one, asked for at most once a second.
    Newest { warehouse: Warehouse, seen: Mutex<Option<(Instant, Arc<Head>)>> },
    /// A prepared commit that nobody else can see yet. Its number may come to mean another commit: the generation does not.
    Prepared { head: Arc<Head>, generation: u64 },
}

impl Heads {
    pub(crate) fn newest(warehouse: Warehouse) -> Self {
        Self::Newest { warehouse, seen: Mutex::new(None) }
    }

    /// The chain; `fresh` asks the warehouse whatever the age of the last answer.
    pub(crate) async fn get(&self, fresh: bool) -> Result<Arc<Head>> {
        match self {
            Self::Prepared { head, .. } => Ok(Arc::clone(head)),
            Self::Newest { warehouse, seen } => {
                let mut seen = seen.lock().await;
                if let Some((at, head)) = seen.as_ref().filter(|(at, _)| !fresh && at.elapsed() < HEAD_AGE_MAX) {
                    tracing::trace!(age = ?at.elapsed(), "head from memory");
                    return Ok(Arc::clone(head));
                }
                let head = warehouse.head().await.map_err(external)?;
                *seen = Some((Instant::now(), Arc::clone(&head)));
                Ok(head)
            }
        }
    }
}

/// A running query by its start, and what it reads.
type Started = (DateTime<Utc>, Arc<Moment>);

/// The extension behind `SET tieout.…`. Options live in the session, so two connections never see each other's.
#[derive(Clone, Debug)]
pub struct TieoutOptions {
    as_of: String,
    accounting_date: Option<NaiveDate>,
    limits: BTreeMap<String, i64>,
    /// Under `pinned` the definitions of the commit that `as_of` names answer, else today's.
    is_pinned: bool,
    /// The definitions whose settings these are, as [`crate::engine::follow`] left it.
    edition: Arc<str>,
    settings: Arc<EngineSettings>,
    /// Moments are read in the zone of today's settings: whose those of the past are is not known before.
    zone: Tz,
    heads: Arc<Heads>,
    /// None where only one set of definitions is asked.
    reading: Option<Arc<Reading>>,
    moments: Arc<Mutex<Vec<Started>>>,
    /// Set where a part of a query reads another moment than its session.
    fixed: Option<Arc<Moment>>,
}

impl TieoutOptions {
    pub(crate) fn new(blueprint: &Blueprint, heads: Arc<Heads>) -> Self {
        Self {
            as_of: String::new(),
            accounting_date: None,
            limits: BTreeMap::new(),
            is_pinned: false,
            edition: Arc::clone(&blueprint.hash),
            settings: Arc::clone(&blueprint.settings),
            zone: blueprint.settings.time_zone,
            heads,
            reading: None,
            moments: Arc::default(),
            fixed: None,
        }
    }

    /// These options for a session that may read by old definitions.
    pub(crate) fn reading_by(self, reading: Arc<Reading>) -> Self {
        Self { reading: Some(reading), ..self }
    }

    /// These options under another set of definitions.
    pub(crate) fn under(&self, edition: &Edition) -> Self {
        Self { edition: Arc::clone(&edition.hash), settings: Arc::clone(&edition.settings), ..self.clone() }
    }

    pub(crate) fn is_under(&self, edition: &Edition) -> bool {
        self.edition == edition.hash
    }

    /// The SHA-256 of the definitions that the session reads by.
    pub(crate) fn edition_hash(&self) -> Arc<str> {
        Arc::clone(&self.edition)
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.is_pinned
    }

    pub(crate) fn reading(&self) -> Option<Arc<Reading>> {
        self.reading.as_ref().map(Arc::clone)
    }

    /// The catalog of a set of definitions as the session may see it.
    pub(crate) fn catalog(&self, edition: &Arc<Edition>) -> Result<Arc<dyn CatalogProvider>> {
        match &self.reading {
            Some(reading) => reading.catalog(edition),
            None => edition.catalog(),
        }
    }

    /// The one moment that the session's role reads.
    fn forced(&self) -> Option<(&AsOf, &Access)> {
        self.reading.as_ref()?.forced()
    }

    /// The pins by whose names the session may read.
    pub async fn pin_names(&self) -> Result<Vec<String>> {
        let head = self.head().await?;
        Ok(match self.forced() {
            Some((AsOf::Pin(name), _)) => vec![name.clone()],
            Some(_) => Vec::new(),
            None => head.pins(head.number()).map(|(_, pin)| pin.name.clone()).collect(),
        })
    }

    /// The definitions that the options name now.
    pub(crate) async fn edition(&self, editions: &Editions) -> Result<Arc<Edition>> {
        if self.is_pinned { editions.of(&self.resolve().await?).await } else { Ok(Arc::clone(&editions.current)) }
    }

    /// The definitions of a moment of its own; none if the session reads every moment by the same.
    pub(crate) async fn edition_at(&self, as_of: &AsOf) -> Result<Option<Arc<Edition>>> {
        let Some(reading) = self.reading.as_ref().filter(|reading| reading.is_pinned()) else { return Ok(None) };
        let moment = match self.moment_at(&self.heads.get(false).await?, as_of, None) {
            Ok(moment) => moment,
            Err(_) => self.moment_at(&self.heads.get(true).await?, as_of, None)?,
        };
        reading.editions.of(&moment).await.map(Some)
    }

    /// Refuses to read rows of a table under other definitions than the table's own.
    pub(crate) fn check_edition(session: &dyn Session, edition: &Arc<str>) -> Result<()> {
        match session.config_options().extensions.get::<Self>() {
            Some(options) if options.edition != *edition => Err(stale()),
            _ => Ok(()),
        }
    }

    /// Whether the settings are those that the moment is to be read by.
    fn check_moment(&self, moment: &Moment) -> Result<()> {
        let Some(reading) = &self.reading else { return Ok(()) };
        let commit = moment.commit.as_ref().filter(|_| self.is_pinned);
        let wanted = commit.map_or(&*reading.editions.current.hash, |commit| commit.definitions.as_str());
        if *self.edition == *wanted { Ok(()) } else { Err(stale()) }
    }

    /// These options at a moment of their own, whatever `tieout.as_of` says.
    pub(crate) fn fixed_at(&self, moment: Moment) -> Self {
        Self { fixed: Some(Arc::new(moment)), ..self.clone() }
    }

    /// The settings of the workspace.
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// An integer setting: the session's own value, else the workspace's.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.limits.get(name).copied().or_else(|| self.settings.integer(name))
    }

    /// The moment that the session's next query would read.
    pub async fn moment(session: &dyn Session) -> Result<Arc<Moment>> {
        let Some(options) = session.config_options().extensions.get::<Self>() else { return Err(unopened()) };
        if let Some(moment) = &options.fixed {
            return Ok(Arc::clone(moment));
        }
        let started = session.execution_props().query_execution_start_time;
        let mut moments = options.moments.lock().await;
        if let Some((_, moment)) = moments.iter().find(|(at, _)| Some(*at) == started) {
            return Ok(Arc::clone(moment));
        }
        let moment = Arc::new(options.resolve().await?);
        options.check_moment(&moment)?;
        if let Some(started) = started {
            remember(&mut moments, (started, Arc::clone(&moment)));
        }
        Ok(moment)
    }

    /// The commit that the session's last query read, if it began after `since`.
    pub(crate) async fn commit_read_since(&self, since: DateTime<Utc>) -> Option<u64> {
        let moments = self.moments.lock().await;
        let (_, moment) = moments.last().filter(|(at, _)| *at >= since)?;
        moment.commit.as_ref().map(|commit| commit.number)
    }

    /// Everything that the rows of a view depend on, in the session's next query.
    pub(crate) async fn key(session: &dyn Session) -> Result<MomentKey> {
        let moment = Self::moment(session).await?;
        let Some(options) = session.config_options().extensions.get::<Self>() else { return Err(unopened()) };
        Ok(options.key_of(&moment))
    }

    /// The same; none under definitions that follow the moment.
    pub(crate) async fn lasting_key(session: &dyn Session) -> Result<Option<MomentKey>> {
        match session.config_options().extensions.get::<Self>() {
            Some(options) if !options.is_pinned => Self::key(session).await.map(Some),
            _ => Ok(None),
        }
    }

    /// The same of what is answered now without a query, which [`Self::commit_read_since`] then knows of.
    pub(crate) async fn key_now(&self) -> Result<Option<MomentKey>> {
        if self.is_pinned {
            return Ok(None);
        }
        let moment = Arc::new(self.resolve().await?);
        self.check_moment(&moment)?;
        let key = self.key_of(&moment);
        remember(&mut *self.moments.lock().await, (Utc::now(), moment));
        Ok(Some(key))
    }

    fn key_of(&self, moment: &Moment) -> MomentKey {
        let generation = match self.heads.as_ref() {
            Heads::Prepared { generation, .. } => *generation,
            Heads::Newest { .. } => 0,
        };
        MomentKey {
            generation,
            commit: moment.commit.as_ref().map_or(0, |commit| commit.number),
            newest: moment.head.number(),
            accounting_date: moment.accounting_date,
            pin: moment.pin.clone(),
            limits: self.limits.clone(),
        }
    }

    /// The moment that the options name now; the warehouse is asked anew before something is called unknown.
    pub(crate) async fn resolve(&self) -> Result<Moment> {
        let as_of = self.parse(&self.as_of)?;
        let head = self.heads.get(false).await?;
        match self.own_moment(&head, &as_of) {
            Ok(moment) => Ok(moment),
            Err(_) => self.own_moment(&self.heads.get(true).await?, &as_of),
        }
    }

    /// The session's own moment, which its role may have fixed.
    fn own_moment(&self, head: &Arc<Head>, as_of: &AsOf) -> Result<Moment> {
        if let Some((forced, access)) = self.forced().filter(|_| !self.as_of.is_empty()) {
            let only = head.at(forced).map_err(external)?;
            if matches!(as_of, AsOf::Latest) || head.at(as_of).map_err(external)?.number != only.number {
                return Err(access.refused_moment(as_of));
            }
        }
        self.moment_at(head, as_of, None)
    }

    /// Whether an option could be set now: the moment that the session then reads is there, and so are its definitions.
    pub async fn check(&self, option: &str, text: &str) -> Result<()> {
        let mut trial = self.clone();
        trial.set(option, text)?;
        match &self.reading {
            Some(reading) if trial.is_pinned => trial.edition(&reading.editions).await.map(drop),
            _ => trial.resolve().await.map(drop),
        }
    }

    /// The chain as it stands now.
    pub async fn head(&self) -> Result<Arc<Head>> {
        self.heads.get(false).await
    }

    /// A text as a moment, days ending in the firm's zone.
    pub(crate) fn parse(&self, text: &str) -> Result<AsOf> {
        AsOf::parse(text, self.zone).map_err(external)
    }

    /// A moment that the session's role may read: its latest one is that of the role.
    fn within<'a>(&'a self, head: &Arc<Head>, as_of: &'a AsOf) -> Result<&'a AsOf> {
        let Some((forced, access)) = self.forced() else { return Ok(as_of) };
        if matches!(as_of, AsOf::Latest) {
            return Ok(forced);
        }
        let (asked, last) = (head.at(as_of).map_err(external)?, head.at(forced).map_err(external)?);
        if asked.number <= last.number { Ok(as_of) } else { Err(access.refused_moment(as_of)) }
    }

    /// The moment that `as_of` means on a chain. An empty warehouse answers with no rows, as long as nothing is asked of
    /// its past.
    pub(crate) fn moment_at(&self, head: &Arc<Head>, as_of: &AsOf, date: Option<NaiveDate>) -> Result<Moment> {
        let as_of = self.within(head, as_of)?;
        let commit = match as_of {
            AsOf::Latest => head.last().map(Arc::clone),
            other => Some(head.at(other).map_err(external)?),
        };
        let pin = match as_of {
            AsOf::Pin(name) => Some(head.pin(name).map_err(external)?),
            _ => None,
        };
        let day = |commit: &Arc<Commit>| commit.observed_at.with_timezone(&self.settings.time_zone).date_naive();
        let accounting_date = date
            .or(self.accounting_date)
            .or_else(|| pin.and_then(|pin| pin.period_end))
            .or_else(|| commit.as_ref().map(day));
        Ok(Moment { head: Arc::clone(head), commit, accounting_date, pin: pin.map(|pin| pin.name.clone()) })
    }
}

/// Keeps the moment of a query, and lets go of the oldest.
fn remember(moments: &mut Vec<Started>, started: Started) {
    if moments.len() >= MOMENTS_MAX {
        moments.remove(0);
    }
    moments.push(started);
}

fn unopened() -> DataFusionError {
    DataFusionError::Configuration("this session was not opened by the engine".to_owned())
}

fn stale() -> DataFusionError {
    DataFusionError::External(Box::new(Error::OtherDefinitions))
}

fn external(error: crate::warehouse::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

impl ConfigExtension for TieoutOptions {
    const PREFIX: &'static str = "tieout";
}

impl ExtensionOptions for TieoutOptions {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "as_of" => {
                self.parse(value)?;
                value.trim().clone_into(&mut self.as_of);
                if self.as_of.is_empty()
                    && let Some((_, access)) = self.forced()
                {
                    self.as_of = access.as_of.clone().unwrap_or_default();
                }
            }
            "accounting_date" if value.trim().is_empty() => self.accounting_date = None,
            "accounting_date" => match NaiveDate::parse_from_str(value.trim(), "%Y-%m-%d") {
                Ok(date) => self.accounting_date = Some(date),
                Err(error) => return config_err!("tieout.accounting_date `{value}` is no date (YYYY-MM-DD): {error}"),
            },
            "definitions" => match value.trim().to_ascii_lowercase().as_str() {
                "" | "current" => self.is_pinned = false,
                "pinned" if self.reading.is_some() => self.is_pinned = true,
                "pinned" => return config_err!("tieout.definitions `{value}`: only today's are read here"),
                _ => {
                    return config_err!(
                        "tieout.definitions `{value}` is unknown; hint: `current` are today's, `pinned` those of the \
                         commit that tieout.as_of names"
                    );
                }
            },
            limit if matches!(self.settings.values.get(limit), Some(Setting::Integer(_))) => match value.trim().parse()
            {
                Ok(number) => drop(self.limits.insert(limit.to_owned(), number)),
                Err(_) => return config_err!("tieout.{limit} `{value}` is no whole number"),
            },
            unknown => {
                let names = self.entries().into_iter().map(|entry| entry.key).collect::<Vec<_>>().join(", ");
                return config_err!("unknown option tieout.{unknown}; hint: known are {names}");
            }
        }
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        let entry = |key: &str, value: Option<String>, description| ConfigEntry {
            key: format!("{}.{key}", Self::PREFIX),
            value,
            description,
        };
        let definitions = if self.is_pinned { "pinned" } else { "current" };
        let mut entries = vec![
            entry("as_of", Some(self.as_of.clone()), "what we knew: latest, a moment, a day, commit:N, a pin"),
            entry("accounting_date", self.accounting_date.map(|date| date.to_string()), "the business date"),
            entry("definitions", Some(definitions.to_owned()), "which answer: current, or pinned: those of the commit"),
        ];
        let integers = self.settings.values.iter().filter(|(_, setting)| matches!(setting, Setting::Integer(_)));
        entries.extend(integers.map(|(name, _)| {
            entry(
                name,
                self.integer(name).map(|value| value.to_string()),
                "a limit of the wide views, for this session",
            )
        }));
        entries
    }
}

/// The last microsecond of a day in a zone. Where the clock is set forward over midnight the day ends at the gap.
pub(crate) fn end_of_day(day: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    let midnight = day.succ_opt()?.and_time(NaiveTime::MIN);
    let first = |at| zone.from_local_datetime(&at).earliest();
    let next = first(midnight).or_else(|| first(midnight.checked_add_signed(TimeDelta::hours(1))?))?;
    next.with_timezone(&Utc).checked_sub_signed(TimeDelta::microseconds(1))
}

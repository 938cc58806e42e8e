//! What moment is shown, and which others there are.

use chrono::{DateTime, Utc};

use super::super::http::{Asking, HttpOptions};
use super::super::{DENIED, Failure};
use super::wish::AS_OF;
use crate::report::values;

/// So many months are offered.
const MONTHS_MAX: usize = 24;

/// The moment of a view.
#[derive(Debug, Default)]
pub(crate) struct Moment {
    /// The commit that is read; empty before the first, and where the role may not know.
    pub(crate) commit: String,
    /// When the sources were read.
    pub(crate) observed_at: Option<DateTime<Utc>>,
    /// The same by the firm's clocks.
    pub(crate) read_at: String,
    /// The business date.
    pub(crate) accounting_date: String,
    /// Whether the role may know which commit it reads.
    pub(crate) is_told: bool,
    /// Whether it is the newest one, that moves with every commit.
    pub(crate) is_present: bool,
    /// The one moment that the role reads, if it reads only one.
    pub(crate) forced: Option<String>,
    /// What may be asked for: a value, and what it means.
    pub(crate) others: Vec<(String, String)>,
}

impl Moment {
    /// Asks the session's clock, and has it stand still while the view is made.
    pub(crate) async fn read(asking: &mut Asking, options: &HttpOptions) -> Result<Self, Failure> {
        let forced = asking.access().and_then(|access| access.as_of.clone());
        let asked = asking.as_of()?;
        let is_present = forced.is_none() && (asked.is_empty() || asked.eq_ignore_ascii_case("latest"));
        let clock = "select commit_number, date_trunc('second', observed_at), accounting_date from meta.clock";
        let row = match asking.rows::<3>(clock, &[]).await {
            Ok(mut rows) => rows.pop().unwrap_or_default(),
            Err(failure) if failure.code == DENIED => return Ok(Self { is_present, forced, ..Self::default() }),
            Err(failure) => return Err(failure),
        };
        let [commit, observed_at, accounting_date] = row;
        if is_present && !commit.is_empty() {
            asking.stay_at(&commit)?;
        }
        let others = if forced.is_some() { Vec::new() } else { others(asking).await? };
        Ok(Self {
            observed_at: DateTime::parse_from_rfc3339(&observed_at).ok().map(|at| at.with_timezone(&Utc)),
            read_at: values::moment(&observed_at, options.zone),
            commit,
            accounting_date,
            is_told: true,
            is_present,
            forced,
            others,
        })
    }

    /// Whether anything was committed, as far as the role may know.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_told && self.commit.is_empty()
    }
}

/// Pins and the ends of months.
async fn others(asking: &mut Asking) -> Result<Vec<(String, String)>, Failure> {
    let pins = "select name, commit_number from meta.pins order by commit_number desc, name limit 100";
    let pins = asking.rows::<2>(pins, &[]).await?;
    let mut found: Vec<(String, String)> =
        pins.into_iter().map(|[name, commit]| (name, format!("pin, commit {commit}"))).collect();
    let months = format!(
        "select month, commit_number from meta.months where is_closed and commit_number is not null \
         order by month desc limit {MONTHS_MAX}"
    );
    let months = asking.rows::<2>(&months, &[]).await?;
    found.extend(
        months
            .into_iter()
            .map(|[month, commit]| (format!("commit:{commit}"), format!("end of {}", values::month(&month)))),
    );
    Ok(found)
}

/// The name of the field that asks for a moment.
pub(crate) const FIELD: &str = AS_OF;

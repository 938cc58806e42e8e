//! Makes and takes back waivers: commits of kind `waiver` that set one exception's state.
//!
//! Invariant: what a person is shown as waived is what the commit says, however many others commit at the same time: on
//! another head the exception is looked up again. Leaves out how a waiver ends by itself (`waivers`).

use std::sync::Arc;

use chrono::NaiveDate;

use crate::clock::Clock;
use crate::engine::cells::{Cell, Row, system_input};
use crate::engine::evaluate::{EXCEPTION_KEY, state};
use crate::engine::waivers::{amount, decimal_text, end, is_active, text};
use crate::engine::{Engine, Error};
use crate::warehouse::commit::{Commit, CommitKind, Waiver, WaiverAction};
use crate::warehouse::{CommitHeader, Error as WarehouseError, Prepared};

/// How often it is tried again because another commit came first.
const ATTEMPTS: usize = 20;
/// Columns of an exception that its waiver keeps.
const KEPT: [&str; 8] =
    ["check_id", "check_version", "exception_key", "entity", "project_id", "project_number", "label", "currency"];

/// What a person lets stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWaiver {
    /// The exception's key.
    pub key: String,
    /// Why.
    pub reason: String,
    /// Who decides.
    pub by: String,
    /// The last day on which it holds.
    pub until: NaiveDate,
    /// Up to what amount at risk, in hundredths; without it the amount may not move.
    pub up_to: Option<i128>,
}

/// What a person does not let stand any longer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unwaive {
    /// The exception's key.
    pub key: String,
    /// Why, if it was said.
    pub reason: String,
    /// Who decides, if it was said.
    pub by: String,
}

/// One of the two, with the rows that it is decided on.
enum Decision<'a> {
    Waive(&'a NewWaiver),
    Unwaive(&'a Unwaive),
}

/// What a commit is to say.
struct Decided {
    waiver: Waiver,
    exceptions: Vec<Row>,
    waivers: Vec<Row>,
}

impl Engine {
    /// Lets an open exception stand.
    pub async fn waive(&self, new: &NewWaiver, clock: &Clock) -> Result<Arc<Commit>, Error> {
        let refuse = |reason: String| refused("waive", &new.key, reason);
        if new.reason.trim().is_empty() || new.by.trim().is_empty() {
            return Err(refuse("a waiver says why and who decided\nhint: --reason TEXT --by NAME".to_owned()));
        }
        let today = clock.now().with_timezone(&self.blueprint.settings.time_zone).date_naive();
        if new.until < today {
            return Err(refuse(format!(
                "{} is past: today is {today}\nhint: --until a day that is still to come",
                new.until
            )));
        }
        self.decide(&Decision::Waive(new), clock).await
    }

    /// Takes a waiver back.
    pub async fn unwaive(&self, asked: &Unwaive, clock: &Clock) -> Result<Arc<Commit>, Error> {
        self.decide(&Decision::Unwaive(asked), clock).await
    }

    async fn decide(&self, decision: &Decision<'_>, clock: &Clock) -> Result<Arc<Commit>, Error> {
        let mut conflict = WarehouseError::Conflict { number: 0 };
        for _ in 0..ATTEMPTS {
            let head = self.warehouse.head().await?;
            let Some(last) = head.last().map(Arc::clone) else {
                let (verb, key) = decision.names();
                let reason = "the warehouse has no commit yet\nhint: `tieout extract` makes the first one".to_owned();
                return Err(refused(verb, key, reason));
            };
            // Nothing was looked at: the data is as old as it was, under the definitions that it was judged by.
            let header = CommitHeader {
                kind: CommitKind::Waiver,
                clock,
                definitions: last.definitions.clone(),
                runs: Vec::new(),
                observed_at: last.observed_at,
            };
            let mut prepared = self.warehouse.prepare(header).await?;
            if prepared.base().number() != head.number() {
                continue;
            }
            let decided = self.decided(decision, &prepared).await?;
            let at = last.observed_at;
            prepared.add(system_input("exceptions", &EXCEPTION_KEY, &decided.exceptions, at)?).await?;
            prepared.add(system_input("waivers", &["waiver_commit"], &decided.waivers, at)?).await?;
            prepared.set_waiver(decided.waiver);
            let number = prepared.number();
            match self.warehouse.publish(prepared).await {
                Ok(head) => {
                    let newest = head.number();
                    let made = head.commit(number).map(Arc::clone);
                    return made.ok_or(Error::Warehouse(WarehouseError::UnknownCommit { number, newest }));
                }
                Err(error @ WarehouseError::Conflict { .. }) => conflict = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(conflict.into())
    }

    async fn decided(&self, decision: &Decision<'_>, prepared: &Prepared) -> Result<Decided, Error> {
        let base = prepared.base();
        let exceptions = state(self, base, base.number(), "exceptions").await?;
        let waivers = state(self, base, base.number(), "waivers").await?;
        let seen = (base.number(), base.digest.clone());
        match decision {
            Decision::Waive(new) => waived(new, seen, prepared.number(), exceptions, waivers),
            Decision::Unwaive(asked) => unwaived(asked, seen, prepared.number(), exceptions, waivers),
        }
    }
}

impl Decision<'_> {
    fn names(&self) -> (&'static str, &str) {
        match self {
            Self::Waive(new) => ("waive", &new.key),
            Self::Unwaive(asked) => ("unwaive", &asked.key),
        }
    }
}

fn waived(
    new: &NewWaiver,
    (commit, manifest): (u64, String),
    number: u64,
    mut exceptions: Vec<Row>,
    mut waivers: Vec<Row>,
) -> Result<Decided, Error> {
    let refuse = |reason: String| refused("waive", &new.key, reason);
    let exception = only(&mut exceptions, &new.key).map_err(|problem| match problem {
        Missing::Unknown(guess) => refuse(format!(
            "no exception of this key is open{guess}\nhint: recon.exceptions lists the open ones with their exception_key"
        )),
        Missing::Several(checks) => refuse(format!("checks {checks} use this key: it cannot be waived")),
    })?;
    match text(exception, "state") {
        Some("waived") => {
            let known = waivers.iter().rfind(|row| is_active(row) && text(row, "exception_key") == Some(&new.key));
            let told = |name| known.and_then(|row| text(row, name)).unwrap_or("somebody").to_owned();
            return Err(refuse(format!(
                "it is waived already, by {} until {}\nhint: `tieout unwaive` first, to decide anew",
                told("waived_by"),
                told("until")
            )));
        }
        Some("in_flight") => {
            return Err(refuse(
                "it is in flight, younger than its check's grace: there is nothing to waive yet\nhint: once it is open"
                    .to_owned(),
            ));
        }
        _ => {}
    }
    let now = amount(exception, "amount_at_risk");
    if let Some(most) = new.up_to.filter(|most| *most < now.unwrap_or_default()) {
        return Err(refuse(format!(
            "its amount at risk is {}, above --up-to {}\nhint: a larger amount, or none: then it may not move at all",
            decimal_text(now.unwrap_or_default()),
            decimal_text(most)
        )));
    }
    exception.insert("state", Cell::text(Some("waived")));
    let mut row: Row = KEPT.iter().filter_map(|name| Some((*name, exception.get(name)?.clone()))).collect();
    let until = new.until.to_string();
    row.extend([
        ("waiver_commit", Cell::Integer(i64::try_from(number).unwrap_or(i64::MAX))),
        ("reason", Cell::text(Some(new.reason.trim()))),
        ("waived_by", Cell::text(Some(new.by.trim()))),
        ("until", Cell::text(Some(&until))),
        ("waived_amount", now.map_or(Cell::Null, Cell::Amount)),
        ("up_to_amount", new.up_to.map_or(Cell::Null, Cell::Amount)),
        ("state", Cell::text(Some("active"))),
    ]);
    let waiver = Waiver {
        action: WaiverAction::Waive,
        check: text(&row, "check_id").unwrap_or_default().to_owned(),
        check_version: row.get("check_version").and_then(Cell::as_integer).unwrap_or_default(),
        exception_key: new.key.clone(),
        reason: new.reason.trim().to_owned(),
        by: new.by.trim().to_owned(),
        until: Some(new.until),
        amount: now.map(decimal_text),
        up_to: new.up_to.map(decimal_text),
        commit,
        manifest,
    };
    waivers.push(row);
    Ok(Decided { waiver, exceptions, waivers })
}

fn unwaived(
    asked: &Unwaive,
    (commit, manifest): (u64, String),
    number: u64,
    mut exceptions: Vec<Row>,
    mut waivers: Vec<Row>,
) -> Result<Decided, Error> {
    let keys: Vec<String> = waivers
        .iter()
        .filter(|row| is_active(row))
        .filter_map(|row| text(row, "exception_key"))
        .map(str::to_owned)
        .collect();
    let found = waivers.iter_mut().rfind(|row| is_active(row) && text(row, "exception_key") == Some(&asked.key));
    let Some(row) = found else {
        let guess = did_you_mean(&asked.key, keys.iter().map(String::as_str));
        let hint = "hint: recon.waivers lists the waivers; those with the state active can be taken back";
        return Err(refused("unwaive", &asked.key, format!("no waiver of this key is active{guess}\n{hint}")));
    };
    let (by, reason) = (asked.by.trim(), asked.reason.trim());
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    end(row, "taken_back", number, said(by).as_deref(), said(reason).as_deref());
    let waiver = Waiver {
        action: WaiverAction::Unwaive,
        check: text(row, "check_id").unwrap_or_default().to_owned(),
        check_version: row.get("check_version").and_then(Cell::as_integer).unwrap_or_default(),
        exception_key: asked.key.clone(),
        reason: reason.to_owned(),
        by: by.to_owned(),
        until: None,
        amount: None,
        up_to: None,
        commit,
        manifest,
    };
    // The exception may be gone by now: then only its waiver ends.
    for exception in exceptions.iter_mut().filter(|row| text(row, "exception_key") == Some(&asked.key)) {
        if text(exception, "state") == Some("waived") {
            exception.insert("state", Cell::text(Some("open")));
        }
    }
    Ok(Decided { waiver, exceptions, waivers })
}

/// Why there is not exactly one exception of a key.
enum Missing {
    Unknown(String),
    Several(String),
}

fn only<'a>(exceptions: &'a mut [Row], key: &str) -> Result<&'a mut Row, Missing> {
    let is_it = |row: &&Row| text(row, "exception_key") == Some(key);
    let checks: Vec<&str> = exceptions.iter().filter(is_it).filter_map(|row| text(row, "check_id")).collect();
    if checks.len() > 1 {
        return Err(Missing::Several(checks.join(", ")));
    }
    if checks.is_empty() {
        let keys = exceptions.iter().filter_map(|row| text(row, "exception_key"));
        return Err(Missing::Unknown(did_you_mean(key, keys)));
    }
    let found = exceptions.iter_mut().find(|row| text(row, "exception_key") == Some(key));
    found.ok_or(Missing::Unknown(String::new()))
}

/// The nearest of the keys, if it is near.
fn did_you_mean<'a>(key: &str, keys: impl Iterator<Item = &'a str>) -> String {
    let distance = |known: &&str| strsim::damerau_levenshtein(&known.to_lowercase(), &key.to_lowercase());
    let most = (key.len() / 4).max(2);
    let nearest = keys.min_by_key(distance).filter(|known| distance(known) <= most);
    nearest.map(|known| format!(" (did you mean `{known}`?)")).unwrap_or_default()
}

fn refused(verb: &'static str, key: &str, reason: String) -> Error {
    Error::Waiver { verb, key: key.to_owned(), reason }
}

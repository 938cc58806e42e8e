//! Pins and sign-offs: commits that change no rows but say something of an earlier commit.
//!
//! Invariants: a pin's name is never re-used, whatever became of the pin; both name the SHA-256 of the manifest that they
//! are about, so that they are bound to what stood there and not to a number. Leaves out: which results a month has
//! (`engine`), who may sign.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::commit::{Commit, CommitKind, Head};
use super::error::Error;
use super::prepare::{CommitHeader, Prepared};
use super::{AsOf, Warehouse};
use crate::clock::Clock;

/// How often a mark is tried again because another commit came first.
const ATTEMPTS: usize = 20;
const NAME_LENGTH_MAX: usize = 40;
/// Words that mean a moment already, or that people will read as one.
const RESERVED: [&str; 7] = ["latest", "head", "now", "today", "yesterday", "current", "none"];

/// A name for a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The name, as `FY2025`.
    pub name: String,
    /// The commit that it names.
    pub commit: u64,
    /// SHA-256, hex, of that commit's manifest.
    pub manifest: String,
    /// The accounting date at the pin; the day of the commit if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_end: Option<NaiveDate>,
}

/// A month signed off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signoff {
    /// The first day of the month.
    pub month: NaiveDate,
    /// Who signed.
    pub by: String,
    /// The commit whose results were seen.
    pub commit: u64,
    /// SHA-256, hex, of that commit's manifest, which names the SHA-256 of every file that holds its results.
    pub manifest: String,
    /// Exceptions open at that commit.
    pub open_exceptions: u64,
    /// Checks that could not speak, or only in part, at that commit.
    pub unevaluated_checks: u64,
}

/// What can be wrong with a moment, a pin or a sign-off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    /// No pin has that name.
    #[error("as of `{name}`: there is no pin of that name\nhint: {hint}")]
    UnknownPin {
        /// The name as given.
        name: String,
        /// The nearest name, or how to list them.
        hint: String,
    },
    /// The moment lies before the first commit.
    #[error(
        "as of {at}: nothing was known yet, the first commit was made at {first}\nhint: `tieout log` lists the commits"
    )]
    BeforeFirst {
        /// The moment asked for.
        at: DateTime<Utc>,
        /// The first commit's.
        first: DateTime<Utc>,
    },
    /// There is no commit at all.
    #[error("as of {as_of}: the warehouse has no commit yet\nhint: `tieout extract` makes the first one")]
    Empty {
        /// The moment asked for.
        as_of: String,
    },
    /// A pin that cannot be made.
    #[error("pin {name}: {reason}")]
    Pin {
        /// The name as given.
        name: String,
        /// Why not, and what to do instead.
        reason: String,
    },
    /// A month that cannot be signed.
    #[error("sign off {month}: {reason}")]
    Signoff {
        /// The month, as `2026-10`.
        month: String,
        /// Why not, and what to do instead.
        reason: String,
    },
}

/// What a person asks to be pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPin {
    /// Its name.
    pub name: String,
    /// The moment it names.
    pub as_of: AsOf,
    /// Its accounting date.
    pub period_end: Option<NaiveDate>,
}

impl Head {
    /// The pins that commits up to `upto` made, oldest first, each with the commit that made it.
    pub fn pins(&self, upto: u64) -> impl DoubleEndedIterator<Item = (&Arc<Commit>, &Pin)> {
        let made = self.commits.iter().filter(move |commit| commit.number <= upto);
        made.filter_map(|commit| Some((commit, commit.pin.as_ref()?)))
    }

    /// The sign-offs that commits up to `upto` made, oldest first, each with the commit that made it.
    pub fn signoffs(&self, upto: u64) -> impl DoubleEndedIterator<Item = (&Arc<Commit>, &Signoff)> {
        let made = self.commits.iter().filter(move |commit| commit.number <= upto);
        made.filter_map(|commit| Some((commit, commit.signoff.as_ref()?)))
    }

    /// The pin of that name.
    pub fn pin(&self, name: &str) -> Result<&Pin, Error> {
        let all = || self.pins(self.number()).map(|(_, pin)| pin);
        all().find(|pin| pin.name == name).ok_or_else(|| {
            let distance = |pin: &&Pin| strsim::damerau_levenshtein(&pin.name.to_lowercase(), &name.to_lowercase());
            let nearest = all().min_by_key(distance).filter(|pin| distance(pin) <= 3);
            let hint = match nearest {
                Some(pin) => format!("did you mean `{}`?", pin.name),
                None if all().next().is_none() => "there are no pins; `tieout pin NAME` makes one".to_owned(),
                None => "meta.pins lists them".to_owned(),
            };
            Error::Moment(MomentError::UnknownPin { name: name.to_owned(), hint })
        })
    }

    /// SHA-256, hex, of a commit's manifest.
    pub fn manifest_digest(&self, number: u64) -> Option<&str> {
        if number == self.number() {
            return (!self.digest.is_empty()).then_some(self.digest.as_str());
        }
        self.commit(number + 1).map(|next| next.parent.as_str())
    }

    /// The commit that `as_of` means, or why there is none.
    pub fn at(&self, as_of: &AsOf) -> Result<Arc<Commit>, Error> {
        let found = self.resolve(as_of)?;
        found.ok_or_else(|| {
            Error::Moment(match (as_of, self.commits.first()) {
                (AsOf::At(at), Some(first)) => MomentError::BeforeFirst { at: *at, first: first.committed_at },
                _ => MomentError::Empty { as_of: as_of.to_string() },
            })
        })
    }

    /// The newest commit up to `upto` that could change a result: a pin of a pin names what that one stands on.
    fn data_commit(&self, upto: u64) -> Option<&Arc<Commit>> {
        let is_data =
            |commit: &&Arc<Commit>| !matches!(commit.kind, CommitKind::Pin | CommitKind::Signoff | CommitKind::Vacuum);
        self.commits.iter().rev().filter(|commit| commit.number <= upto).find(is_data)
    }
}

impl Warehouse {
    /// Names a commit. The name is new, and nothing about the commit changes.
    pub async fn pin(&self, new: &NewPin, clock: &Clock) -> Result<Arc<Commit>, Error> {
        let refuse = |reason: String| Error::Moment(MomentError::Pin { name: new.name.clone(), reason });
        check_name(&new.name).map_err(refuse)?;
        self.mark(CommitKind::Pin, clock, |prepared, base| {
            if let Some((commit, pin)) = base.pins(base.number()).find(|(_, pin)| pin.name.eq_ignore_ascii_case(&new.name)) {
                return Err(refuse(format!(
                    "the name is taken: `{}` names commit {} since {}\nhint: a pin's name is never re-used; choose another",
                    pin.name, pin.commit, commit.committed_at
                )));
            }
            let found = base.at(&new.as_of)?;
            let target = base.data_commit(found.number).map_or(found.number, |commit| commit.number);
            let manifest = base.manifest_digest(target).unwrap_or_default().to_owned();
            let pin = Pin { name: new.name.clone(), commit: target, manifest, period_end: new.period_end };
            prepared.set_pin(pin);
            Ok(())
        })
        .await
    }

    /// Signs a month off, bound to the results of the commit that `sign` gives for the chain that it is shown.
    pub async fn sign_off(
        &self,
        clock: &Clock,
        sign: impl Fn(&Head) -> Result<Signoff, Error>,
    ) -> Result<Arc<Commit>, Error> {
        self.mark(CommitKind::Signoff, clock, |prepared, base| {
            let signoff = sign(base)?;
            prepared.set_signoff(signoff);
            Ok(())
        })
        .await
    }

    /// A commit without rows; on the newest chain, however many others commit at the same time.
    async fn mark(
        &self,
        kind: CommitKind,
        clock: &Clock,
        set: impl Fn(&mut Prepared, &Head) -> Result<(), Error>,
    ) -> Result<Arc<Commit>, Error> {
        let mut conflict = Error::Conflict { number: 0 };
        for _ in 0..ATTEMPTS {
            let head = self.head().await?;
            // Nothing was looked at: the data is as old as it was, under the definitions that it was judged by.
            let last = head.last().map(Arc::clone);
            let (definitions, observed_at) =
                last.map_or_else(|| (String::new(), clock.now()), |last| (last.definitions.clone(), last.observed_at));
            let header = CommitHeader { kind, clock, definitions, runs: Vec::new(), observed_at };
            let mut prepared = self.prepare(header).await?;
            if prepared.base().number() != head.number() {
                continue;
            }
            set(&mut prepared, &head)?;
            if let Some(pinned) = prepared.commit().pin.as_ref().map(|pin| pin.commit) {
                prepared.rebuild_states(pinned).await?;
            }
            let number = prepared.number();
            match self.publish(prepared).await {
                Ok(head) => {
                    let made = head.commit(number).map(Arc::clone);
                    return made.ok_or(Error::UnknownCommit { number, newest: head.number() });
                }
                Err(error @ Error::Conflict { .. }) => conflict = error,
                Err(error) => return Err(error),
            }
        }
        Err(conflict)
    }
}

/// Whether a text can be the name of a pin; else why not.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.bytes().all(plain) {
        return Err(format!("a pin's name has 1 to {NAME_LENGTH_MAX} letters, digits, `_` and `-`, such as FY2025"));
    }
    if RESERVED.iter().any(|word| name.eq_ignore_ascii_case(word)) {
        return Err("the word means a moment already\nhint: a name such as FY2025 or OCT2026-final".to_owned());
    }
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'_'));
    if is_number || name.replace('_', "").parse::<f64>().is_ok() {
        return Err("a pin's name is no number and no date\nhint: a name such as FY2025 or OCT2026-final".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_pin_may_have() {
        for name in ["FY2025", "a", "OCT2026-final", "x_1", &"n".repeat(40)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let refused =
            ["", "2025-12-31", "2025-12", "2025", "42", "-1", "1e5", "inf", "Latest", "a b", "a.b", "commit:1", "ü"];
        for name in refused.into_iter().chain([&*"n".repeat(41)]) {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}

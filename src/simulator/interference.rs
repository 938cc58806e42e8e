//! Trouble on the way between a system and who reads it, switched on from outside.
//!
//! Owns: the rules in force and how often each still applies. Invariant: interference changes what a reader is told, never
//! what the firm did, so [`truth`](super::Simulator::truth) stays the truth. Leaves out: faults of the records themselves.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Which simulated system a rule applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// The project-management system.
    Procore,
    /// The ERP.
    Acumatica,
    /// The other project-management system.
    ProjectSight,
    /// CMiC, in front of the same books.
    Cmic,
    /// Another ERP before the same firm.
    Intacct,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// 403: the tool is disabled or the permission is missing.
    Forbidden,
    /// 404 with the system's own body, as a system that hides what a caller may not see.
    NotFound,
    /// 200 and an empty list although there are records.
    SilentEmpty,
    /// 429, without using up the quota.
    TooManyRequests,
    /// 503 with `Retry-After`.
    Unavailable {
        /// The seconds in `Retry-After`.
        retry_after_seconds: u32,
    },
    /// 502 with a page for people.
    BadGateway,
    /// 408: the list is too large.
    Timeout,
    /// 401 although the token is good.
    Unauthorized,
    /// 200 whose JSON stops in the middle.
    Truncated,
    /// The right answer after so many milliseconds of real time.
    Slow {
        /// Milliseconds of real time.
        milliseconds: u32,
    },
    /// A record comes into being between the first and a later page: the first page lacks the list's first record.
    MidScanInsert,
    /// A record goes between the first and a later page: later pages no longer count the list's first record.
    MidScanDelete,
}

/// One switch: where, what, how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The system.
    pub system: System,
    /// The table as its route names it (`work_order_contracts`, `prime_contracts/line_items`, `Bill`, `oauth/token`);
    /// `*` for all.
    pub table: String,
    /// Only requests about this project (Procore's project id).
    pub project: Option<String>,
    /// What goes wrong.
    pub trouble: Trouble,
    /// How many requests it still applies to; `None` until removed. Mid-scan rules count scans.
    pub times: Option<u32>,
}

/// The rules in force.
#[derive(Debug, Default)]
pub struct Interference(Mutex<Rules>);

#[derive(Debug, Default)]
struct Rules {
    next: u64,
    active: Vec<(u64, Rule)>,
}

impl Interference {
    /// Adds a rule; the number removes it again.
    pub fn add(&self, rule: Rule) -> u64 {
        let mut rules = self.lock();
        rules.next += 1;
        let number = rules.next;
        rules.active.push((number, rule));
        number
    }

    /// Adds a rule for a table of Procore in one project, in force until removed.
    pub fn procore(&self, table: &str, project: &str, trouble: Trouble) -> u64 {
        let project = Some(project.to_owned());
        self.add(Rule { system: System::Procore, table: table.to_owned(), project, trouble, times: None })
    }

    /// Adds a rule for the next `times` requests to a table (`*`: any) of a system.
    pub fn burst(&self, system: System, table: &str, trouble: Trouble, times: u32) -> u64 {
        self.add(Rule { system, table: table.to_owned(), project: None, trouble, times: Some(times) })
    }

    /// Removes a rule; whether it was still there.
    pub fn remove(&self, number: u64) -> bool {
        let mut rules = self.lock();
        let before = rules.active.len();
        rules.active.retain(|(other, _)| *other != number);
        rules.active.len() != before
    }

    /// Removes every rule.
    pub fn clear(&self) {
        self.lock().active.clear();
    }

    /// The rules that still apply, oldest first.
    pub fn rules(&self) -> Vec<Rule> {
        self.lock().active.iter().map(|(_, rule)| rule.clone()).collect()
    }

    /// What befalls a request: the oldest matching rule that is no mid-scan rule. Counts.
    pub(super) fn strike(&self, system: System, table: &str, project: Option<&str>) -> Option<Trouble> {
        self.take(system, table, project, |trouble| !matches!(trouble, Trouble::MidScanInsert | Trouble::MidScanDelete))
    }

    /// What befalls page `page` of a list: the first page only looks, a later one counts the rule down.
    pub(super) fn strike_scan(
        &self,
        system: System,
        table: &str,
        project: Option<&str>,
        page: usize,
    ) -> Option<Trouble> {
        let mid_scan = |trouble: Trouble| matches!(trouble, Trouble::MidScanInsert | Trouble::MidScanDelete);
        if page <= 1 {
            let rules = self.lock();
            let rule =
                rules.active.iter().find(|(_, rule)| rule.matches(system, table, project) && mid_scan(rule.trouble));
            return rule.map(|(_, rule)| rule.trouble);
        }
        self.take(system, table, project, mid_scan)
    }

    fn take(
        &self,
        system: System,
        table: &str,
        project: Option<&str>,
        kind: impl Fn(Trouble) -> bool,
    ) -> Option<Trouble> {
        let mut rules = self.lock();
        let (number, rule) =
            rules.active.iter_mut().find(|(_, rule)| rule.matches(system, table, project) && kind(rule.trouble))?;
        let (number, trouble) = (*number, rule.trouble);
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                rules.active.retain(|(other, _)| *other != number);
            }
        }
        Some(trouble)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Rules> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule {
    fn matches(&self, system: System, table: &str, project: Option<&str>) -> bool {
        self.times != Some(0)
            && self.system == system
            && (self.table == "*" || self.table == table)
            && (self.project.is_none() || self.project.as_deref() == project)
    }
}

impl Trouble {
    /// The real time that a reply waits.
    pub(super) fn delay(self) -> Duration {
        match self {
            Self::Slow { milliseconds } => Duration::from_millis(u64::from(milliseconds)),
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_ends_and_a_rule_stays() {
        let interference = Interference::default();
        let rule = interference.procore("requisitions", "7", Trouble::Forbidden);
        interference.burst(System::Procore, "*", Trouble::BadGateway, 2);
        let strike = |table, project| interference.strike(System::Procore, table, project);
        assert_eq!(strike("requisitions", Some("7")), Some(Trouble::Forbidden));
        assert_eq!(strike("requisitions", Some("8")), Some(Trouble::BadGateway));
        assert_eq!(strike("vendors", None), Some(Trouble::BadGateway));
        assert_eq!(strike("vendors", None), None);
        assert_eq!(interference.strike(System::Acumatica, "*", None), None);
        assert!(interference.remove(rule) && !interference.remove(rule));
        assert_eq!(strike("requisitions", Some("7")), None);
    }
}

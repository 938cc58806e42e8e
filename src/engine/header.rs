//! The header of a query file: `-- key: value` lines above the SQL.
//!
//! Owns the keys there are; strict, so that a misspelt key is an error and not a silent default. Invariant: what the
//! header says is all that `meta.checks`, `\d+` and the reports know of a view.

use std::collections::BTreeMap;

use crate::engine::Error;

const KEYS: [&str; 24] = [
    "title",
    "check",
    "entity",
    "fix_side",
    "record_owner",
    "version",
    "risk",
    "question",
    "grain",
    "scope",
    "missing_on",
    "grace",
    "parameters",
    "fix",
    "columns",
    "kind",
    "splits",
    "statuses",
    "requires",
    "compares",
    "by_entity",
    "optional",
    "stands_in",
    "sources",
];

const KINDS: [&str; 6] = ["summary", "check", "view", "links", "suggestions", "measure"];

/// Which systems an exception says something about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Evaluated for the whole firm at once.
    #[default]
    Firm,
    /// Evaluated project by project.
    Project,
}

/// A side of the reconciliation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Project management.
    Pm,
    /// Accounting.
    Erp,
}

/// What a query file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// One line for people.
    pub title: Option<String>,
    /// The check's id; none for a view that is no check.
    pub check: Option<String>,
    /// The canonical entity that it is about.
    pub entity: Option<String>,
    /// Which side must act.
    pub fix_side: Option<String>,
    /// Which side is right by the matrix.
    pub record_owner: Option<String>,
    /// Raised when the meaning changes.
    pub version: i64,
    /// What the amount at risk is.
    pub risk: Option<String>,
    /// The question that it answers.
    pub question: Option<String>,
    /// What one row is.
    pub grain: Option<String>,
    /// Firm or project.
    pub scope: Scope,
    /// For missing-record checks: the side on which the record is missing.
    pub missing_on: Option<Side>,
    /// Hours after `occurred_at` within which a missing record is in flight.
    pub grace_hours: Option<i64>,
    /// Settings that change its answer, as written.
    pub parameters: Option<String>,
    /// What to do about an exception.
    pub fix: Option<String>,
    /// `summary` for a view that counts and raises no exception; `links` for one whose SQL lists records to be linked;
    /// `measure` for one whose rows every commit keeps.
    pub kind: Option<String>,
    /// Of a link view: several ERP documents that store one PM id are one group.
    pub splits: bool,
    /// What must be mapped, or the check is not applicable: `erp.job_costs`, `pm.owner_invoices.total_retainage`,
    /// `accounts.ap` (the ERP or the settings say which accounts control payables); of names joined by a bar one will do.
    pub requires: Vec<String>,
    /// Columns of the entity that are compared on both sides; one that a side does not map is not comparable.
    pub compares: Vec<String>,
    /// Entities whose rows rest on nothing but their own records and links, so that each is judged, or not, by itself. A
    /// row's column `entity` says whose it is.
    pub by_entity: Vec<String>,
    /// Views and entities that tell more where a source is asked for them, and without which there is still something to
    /// say: `pm.sync_events`.
    pub optional: Vec<String>,
    /// Columns of other entities that tell enough of the check's own entity where a side does not map that:
    /// `erp.vendor_invoices.paid_amount` for payments.
    pub stands_in: Vec<String>,
    /// Where its formulas come from: standards, forms, practice.
    pub sources: Option<String>,
    /// Descriptions by column, in order.
    pub columns: Vec<(String, String)>,
}

impl Header {
    /// Whether the view's SQL lists the records of both sides, and its rows are the pairs among them.
    pub fn is_links(&self) -> bool {
        self.kind.as_deref() == Some("links")
    }

    /// Whether the view's SQL lists the companies of both sides, and its rows are those that may be the same.
    pub fn is_suggestions(&self) -> bool {
        self.kind.as_deref() == Some("suggestions")
    }
}

/// Parses the header of `text`; `path` is for messages.
pub fn parse(path: &str, text: &str) -> Result<Header, Error> {
    let failed = |reason: String| Error::Header { path: path.to_owned(), reason };
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    let mut columns: Vec<(String, String)> = Vec::new();
    let mut current: Option<&str> = None;
    let lines = text.lines().map_while(|line| line.trim_end().strip_prefix("--"));
    for (number, line) in (1..).zip(lines) {
        if let Some((key, value)) = key_value(line) {
            let Some(key) = KEYS.into_iter().find(|known| *known == key) else {
                return Err(failed(format!("line {number}: unknown key `{key}`{}", did_you_mean(key))));
            };
            let (value, parameters) = split_parameters(value);
            if values.insert(key, value.to_owned()).is_some() {
                return Err(failed(format!("line {number}: `{key}` is given twice")));
            }
            if let Some(parameters) = parameters {
                values.insert("parameters", parameters.to_owned());
            }
            current = Some(key);
        } else if current == Some("columns") && depth(line) < 3 && !line.trim().is_empty() {
            // Prose below the columns: what stands in it is none.
            current = None;
        } else {
            continue_value(line, current, &mut values, &mut columns);
        }
    }
    header(values, columns).map_err(|reason| failed(at_line(text, &reason)))
}

/// A key stands one space after the dashes; what stands deeper continues the line before.
fn key_value(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix(' ')?;
    let (key, value) = line.split_once(':')?;
    let is_key = !key.is_empty() && key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    is_key.then_some((key, value.trim()))
}

/// `grace: 24 hours    parameters: change_order_days = 30` holds two keys in one line.
fn split_parameters(value: &str) -> (&str, Option<&str>) {
    match value.split_once("  parameters:") {
        Some((value, parameters)) => (value.trim(), Some(parameters.trim())),
        None => (value, None),
    }
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn continue_value(
    line: &str,
    current: Option<&str>,
    values: &mut BTreeMap<&str, String>,
    columns: &mut Vec<(String, String)>,
) {
    let text = line.trim();
    let Some(key) = current.filter(|_| !text.is_empty()) else { return };
    if key != "columns" {
        if let Some(value) = values.get_mut(key) {
            value.push(' ');
            value.push_str(text);
        }
        return;
    }
    // A column stands three spaces deep, its description after at least one more; what stands deeper continues it.
    match columns.last_mut() {
        Some((_, description)) if depth(line) > 4 => {
            description.push(' ');
            description.push_str(text);
        }
        _ => {
            let (name, description) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            columns.push((name.to_owned(), description.trim().to_owned()));
        }
    }
}

fn header(mut values: BTreeMap<&str, String>, columns: Vec<(String, String)>) -> Result<Header, String> {
    let mut take = |key: &str| values.remove(key).filter(|value| !value.is_empty());
    let word = |value: String| value.split_whitespace().next().unwrap_or_default().to_owned();
    let version = match take("version") {
        Some(text) => text.parse().map_err(|_| format!("version `{text}` is no whole number"))?,
        None => 1,
    };
    let scope = match take("scope").map(word).as_deref() {
        None | Some("firm") => Scope::Firm,
        Some("project") => Scope::Project,
        Some(other) => return Err(format!("scope `{other}` is neither firm nor project")),
    };
    let missing_on = match take("missing_on").map(word).as_deref() {
        None => None,
        Some("pm") => Some(Side::Pm),
        Some("erp") => Some(Side::Erp),
        Some(other) => return Err(format!("missing_on `{other}` is neither pm nor erp")),
    };
    let grace_hours = match take("grace").map(word) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| format!("grace `{text}` is no number of hours"))?),
    };
    let kind = take("kind").map(word);
    if let Some(other) = kind.as_deref().filter(|kind| !KINDS.contains(kind)) {
        return Err(format!("kind `{other}` is none of {}", KINDS.join(", ")));
    }
    let splits = match take("splits").map(word).as_deref() {
        None => false,
        Some("erp") => true,
        Some(other) => return Err(format!("splits `{other}` is not erp")),
    };
    let list = |value: Option<String>| -> Vec<String> {
        let words = value.iter().flat_map(|text| text.split([',', ' '])).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let requires = list(take("requires"));
    let is_named = |name: &str| {
        let parts: Vec<&str> = name.split('.').collect();
        matches!(parts.as_slice(), ["pm" | "erp" | "accounts", _] | ["pm" | "erp", _, _])
    };
    if let Some(other) = requires.iter().find(|names| !names.split('|').all(is_named)) {
        return Err(format!(
            "requires `{other}` is no pm.<entity>, erp.<entity>, column of one, or accounts.<control>"
        ));
    }
    let stands_in = list(take("stands_in"));
    let is_column = |name: &&String| matches!(name.split('.').collect::<Vec<_>>().as_slice(), ["pm" | "erp", _, _]);
    if let Some(other) = stands_in.iter().find(|name| !is_column(name)) {
        return Err(format!("stands_in `{other}` is no column: pm.<entity>.<column> or erp.<entity>.<column>"));
    }
    let parsed = Header {
        title: take("title"),
        check: take("check").map(word),
        entity: take("entity").map(word),
        fix_side: take("fix_side").map(word),
        record_owner: take("record_owner").map(word),
        version,
        risk: take("risk"),
        question: take("question"),
        grain: take("grain"),
        scope,
        missing_on,
        grace_hours,
        parameters: take("parameters"),
        fix: take("fix"),
        kind,
        splits,
        requires,
        compares: list(take("compares")),
        by_entity: list(take("by_entity")),
        optional: list(take("optional")),
        stands_in,
        sources: take("sources"),
        columns,
    };
    match (&parsed.check, &parsed.entity) {
        (Some(check), None) => Err(format!("check {check} names no entity")),
        (None, None) if parsed.kind.as_deref() == Some("measure") => Err("a measure names no entity".to_owned()),
        (None, None) if parsed.is_links() => Err("a view of links names no entity".to_owned()),
        _ => Ok(parsed),
    }
}

/// What is wrong with a value, with the line of its key: the first word of the reason.
fn at_line(text: &str, reason: &str) -> String {
    let key = reason.split_whitespace().next().unwrap_or_default();
    let is_it = |line: &str| line.strip_prefix("--").and_then(key_value).is_some_and(|(found, _)| found == key);
    let place = text.lines().position(is_it);
    place.map_or_else(|| reason.to_owned(), |place| format!("line {}: {reason}", place + 1))
}

fn did_you_mean(key: &str) -> String {
    let nearest = KEYS.into_iter().min_by_key(|known| strsim::levenshtein(known, key));
    nearest.map(|known| format!(" (did you mean `{known}`?)")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
-- title:    Change orders approved in PM with no ERP record
-- check:    O1
-- entity:   change_orders
-- fix_side: pm                      (missing on the mirror: the record owner resends)
-- version:  2
-- scope:    project
-- missing_on: erp
-- grace:    24 hours                parameters: change_order_days = 30
-- requires: erp.change_orders, pm.commitments.vendor_id|pm.commitments.title
-- compares: amount, title
-- stands_in: erp.commitments.approved_change_amount
-- fix:      Procore: ERP Integrations > Ready to Export;
--           else enter it in the ERP.
-- columns:
--   pm_id              PM's record id
--   approved_at        when PM approved it,
--                      UTC
-- A word on it:
--   two columns, no more
-- sources:  practice

select 1
-- not: part of it
";

    #[test]
    fn reads_every_key() {
        let header = parse("o1.sql", TEXT).unwrap();
        assert_eq!(header.check.as_deref(), Some("O1"));
        assert_eq!((header.version, header.scope, header.missing_on), (2, Scope::Project, Some(Side::Erp)));
        assert_eq!((header.grace_hours, header.fix_side.as_deref()), (Some(24), Some("pm")));
        assert_eq!(header.parameters.as_deref(), Some("change_order_days = 30"));
        assert_eq!(header.requires, ["erp.change_orders", "pm.commitments.vendor_id|pm.commitments.title"]);
        assert_eq!(header.compares, ["amount", "title"]);
        assert_eq!(header.stands_in, ["erp.commitments.approved_change_amount"]);
        assert_eq!(header.sources.as_deref(), Some("practice"));
        assert_eq!(
            header.fix.as_deref(),
            Some("Procore: ERP Integrations > Ready to Export; else enter it in the ERP.")
        );
        let columns: Vec<_> = header.columns.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(columns, [("pm_id", "PM's record id"), ("approved_at", "when PM approved it, UTC")]);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let error = parse("x.sql", "-- titel: x\nselect 1").unwrap_err().to_string();
        assert!(error.contains("x.sql") && error.contains("did you mean `title`"), "{error}");
        let error = parse("x.sql", "-- title: x\n-- version: two\n").unwrap_err().to_string();
        assert!(error.contains("line 2: version `two`"), "{error}");
        assert!(parse("x.sql", "-- scope: team\n").is_err());
        assert!(parse("x.sql", "-- requires: job_costs\n").is_err(), "of which side?");
        assert!(parse("x.sql", "-- stands_in: erp.vendor_invoices\n").is_err(), "which of its columns?");
        assert!(parse("x.sql", "-- check: V1\n").is_err(), "a check without entity");
    }
}

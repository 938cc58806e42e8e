//! The audit history, as far as it tells of deletions: what was there at one look and is gone at the next.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::objects::{Row, moment, record_number};

/// The object of the history.
pub(super) const OBJECT: &str = "company-config/audit-history";
/// Objects whose deletions it shows, by the record type that it calls them.
const TYPES: [(&str, &str); 4] = [
    ("accounts-payable/vendor", "vendor"),
    ("accounts-payable/bill", "apbill"),
    ("accounts-receivable/invoice", "arinvoice"),
    ("purchasing/document", "podocument"),
];
/// These objects.
pub(super) const WATCHED: [&str; 4] = [TYPES[0].0, TYPES[1].0, TYPES[2].0, TYPES[3].0];

/// What is gone, and what was there.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    known: BTreeMap<String, BTreeSet<String>>,
    gone: Vec<(String, String, DateTime<Utc>)>,
}

impl Deletions {
    /// Takes note of what is there.
    pub(super) fn look(&mut self, object: &str, rows: &[Row<'_>], now: DateTime<Utc>) {
        // Vendors and documents are named by their ids there, bills and invoices by their record numbers.
        let name = |row: &Row<'_>| match object {
            "accounts-payable/bill" | "accounts-receivable/invoice" => row.key.clone(),
            _ => row.render().get("id").and_then(|id| id.as_str()).unwrap_or_default().to_owned(),
        };
        let there: BTreeSet<String> = rows.iter().map(name).collect();
        let before = self.known.insert(object.to_owned(), there.clone()).unwrap_or_default();
        for id in before.difference(&there) {
            self.gone.push((object.to_owned(), id.clone(), now));
        }
    }

    /// Its records. A bill's number comes with a mark behind it as often as not.
    pub(super) fn history(&self) -> Vec<Row<'static>> {
        let rows = self.gone.iter().enumerate().map(|(place, (object, id, at))| {
            let kind = TYPES.iter().find(|(of, _)| of == object).map_or("", |(_, kind)| *kind);
            let id = if kind == "apbill" && place % 2 == 0 { format!("{id}--REC") } else { id.clone() };
            let key = record_number(OBJECT, &format!("{object}|{id}|{at}"));
            let record = json!({
                "key": key, "id": key, "changeDetails.objectName": kind, "changeDetails.objectId": id,
                "changeSource.accessDateTime": moment(*at), "changeSource.actionPerformed": "delete",
                "changeSource.completedBy": "kmiller", "changeSource.source": "ui",
            });
            Row::of(key, record)
        });
        rows.collect()
    }
}

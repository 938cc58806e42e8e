//! How a Procore list is filtered and cut into pages. Pure: records in, a page out.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde_json::Value;

use crate::http::Request;

/// What a list understands. The defaults are those of a v1 list with declared paging and no filters.
#[expect(clippy::struct_excessive_bools, reason = "each is one filter that a list has or has not, in any combination")]
#[derive(Clone, Copy, Debug)]
pub(super) struct ListRules {
    /// Records on a page when the caller does not say.
    pub(super) default: usize,
    /// The most records on a page, whatever the caller says.
    pub(super) cap: usize,
    /// `filters[updated_at]`.
    pub(super) updated_at: bool,
    /// `filters[include_deleted]`.
    pub(super) deleted: bool,
    /// `filters[origin_id]`.
    pub(super) origin_id: bool,
    /// `filters[status]`.
    pub(super) status: bool,
}

/// One page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) records: Vec<Value>,
    pub(super) total: usize,
    /// How many records the server puts on a page, whatever was asked.
    pub(super) size: usize,
    /// `first`, `prev`, `last`, `next` with the page each leads to; none when everything fits one page.
    pub(super) links: Vec<(&'static str, usize)>,
}

impl ListRules {
    pub(super) const PLAIN: Self =
        Self { default: 100, cap: 1_000, updated_at: false, deleted: false, origin_id: false, status: false };
    /// A list whose paging is not declared and that still never returns more than 100 records.
    pub(super) const UNDECLARED: Self = Self { cap: 100, ..Self::PLAIN };

    pub(super) const fn paged(self, default: usize, cap: usize) -> Self {
        Self { default, cap, ..self }
    }

    pub(super) const fn updated_at(self) -> Self {
        Self { updated_at: true, ..self }
    }

    pub(super) const fn deleted(self) -> Self {
        Self { deleted: true, ..self }
    }

    pub(super) const fn origin_id(self) -> Self {
        Self { origin_id: true, ..self }
    }

    pub(super) const fn status(self) -> Self {
        Self { status: true, ..self }
    }
}

/// Keeps what the request's filters let through, or says which filter is malformed.
pub(super) fn filter(records: &mut Vec<Value>, request: &Request, rules: ListRules) -> Result<(), String> {
    let deleted = request.query("filters[include_deleted]").filter(|_| rules.deleted);
    records.retain(|record| match deleted {
        Some("only") => is_deleted(record),
        Some("with" | "true") => true,
        _ => !is_deleted(record),
    });
    keep_any(records, &values(request, "filters[id]"), "id");
    if rules.origin_id {
        keep_any(records, &values(request, "filters[origin_id]"), "origin_id");
    }
    if rules.status {
        keep_any(records, &values(request, "filters[status]"), "status");
    }
    let by_field =
        ["contract_id", "commitment_id", "period_id", "vendor_id", "legacy_package_id", "direct_cost_id", "item_id"];
    for name in by_field {
        keep_any(records, &values(request, &format!("filters[{name}]")), name);
    }
    if let Some(range) = request.query("filters[updated_at]").filter(|_| rules.updated_at) {
        let (from, to) = parse_range(range).ok_or_else(|| format!("filters[updated_at] is invalid: {range}"))?;
        records.retain(|record| {
            let updated = record.get("updated_at").and_then(Value::as_str).and_then(|text| parse_moment(text, false));
            updated.is_some_and(|updated| from <= updated && updated <= to)
        });
    }
    Ok(())
}

/// Cuts the page that the request asks for.
pub(super) fn paginate(mut records: Vec<Value>, request: &Request, rules: ListRules) -> Page {
    let number = |name| request.query(name).and_then(|text| text.parse::<usize>().ok()).filter(|value| *value > 0);
    let per_page = number("per_page").unwrap_or(rules.default).min(rules.cap);
    let page = page_number(request);
    let total = records.len();
    let last = total.div_ceil(per_page).max(1);
    let records: Vec<Value> = records.drain(..).skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
    let mut links = Vec::new();
    if last > 1 {
        if page > 1 {
            links.push(("first", 1));
            links.push(("prev", (page - 1).min(last)));
        }
        if page < last {
            links.push(("last", last));
            links.push(("next", page + 1));
        }
    }
    Page { records, total, size: per_page, links }
}

/// The page asked for, from 1.
pub(super) fn page_number(request: &Request) -> usize {
    request.query("page").and_then(|text| text.parse().ok()).filter(|page| *page > 0).unwrap_or(1)
}

/// `a...b`, in double quotes or not; a single moment is a lower bound.
fn parse_range(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let text = text.trim().trim_matches('"');
    let (from, to) = text.split_once("...").unwrap_or((text, ""));
    let from = if from.is_empty() { DateTime::<Utc>::MIN_UTC } else { parse_moment(from, false)? };
    let to = if to.is_empty() { DateTime::<Utc>::MAX_UTC } else { parse_moment(to, true)? };
    Some((from, to))
}

fn parse_moment(text: &str, end_of_day: bool) -> Option<DateTime<Utc>> {
    let text = text.trim().trim_matches('"');
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.to_utc());
    }
    let date: NaiveDate = text.parse().ok()?;
    let date = if end_of_day { date.checked_add_days(Days::new(1))? } else { date };
    Some(date.and_time(NaiveTime::MIN).and_utc())
}

fn is_deleted(record: &Value) -> bool {
    record.get("deleted_at").is_some_and(|at| !at.is_null())
}

/// The values of `name`, `name[]`, and of a comma list or JSON array in one of them.
fn values(request: &Request, name: &str) -> Vec<String> {
    let array = format!("{name}[]");
    let given = request.query.iter().filter(|(key, _)| key == name || *key == array);
    given
        .flat_map(|(_, value)| value.trim_matches(['[', ']']).split(','))
        .map(|value| value.trim().trim_matches('"').to_owned())
        .filter(|value| !value.is_empty())
        .collect()
}

fn keep_any(records: &mut Vec<Value>, wanted: &[String], field: &str) {
    if wanted.is_empty() {
        return;
    }
    records.retain(|record| match record.get(field) {
        Some(Value::String(text)) => wanted.contains(text),
        Some(Value::Number(number)) => wanted.contains(&number.to_string()),
        _ => false,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use axum::http::{HeaderMap, Method};
    use serde_json::json;

    fn request(query: &[(&str, &str)]) -> Request {
        let query = query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Request { method: Method::GET, segments: Vec::new(), query, headers, body }
    }

    fn filtered(query: &[(&str, &str)], rules: ListRules) -> Vec<i64> {
        let mut records = vec![
            json!({"id": 1, "origin_id": "A", "status": "Approved", "updated_at": "2026-01-31T23:59:59Z"}),
            json!({"id": 2, "origin_id": null, "status": "Draft", "updated_at": "2026-02-01T00:00:00Z"}),
            json!({"id": 3, "origin_id": "B", "deleted_at": "2026-02-02T00:00:00Z", "updated_at": "2026-02-02T00:00:00Z"}),
        ];
        filter(&mut records, &request(query), rules).unwrap();
        records.iter().filter_map(|record| record["id"].as_i64()).collect()
    }

    #[test]
    fn filters_are_anded_and_only_where_the_list_has_them() {
        let rules = ListRules::PLAIN.updated_at().deleted().origin_id().status();
        assert_eq!(filtered(&[], rules), [1, 2]);
        assert_eq!(filtered(&[("filters[include_deleted]", "with")], rules), [1, 2, 3]);
        assert_eq!(filtered(&[("filters[include_deleted]", "only")], rules), [3]);
        assert_eq!(filtered(&[("filters[include_deleted]", "with")], ListRules::PLAIN), [1, 2]);
        assert_eq!(filtered(&[("filters[origin_id]", "A")], rules), [1]);
        assert_eq!(filtered(&[("filters[origin_id]", "A")], ListRules::PLAIN), [1, 2]);
        assert_eq!(filtered(&[("filters[id][]", "2"), ("filters[id][]", "3")], rules), [2]);
        assert_eq!(filtered(&[("filters[status]", "Draft")], rules), [2]);
        let range = |text| filtered(&[("filters[updated_at]", text)], rules);
        assert_eq!(range("2026-02-01T00:00:00Z...2026-03-01T00:00:00Z"), [2]);
        assert_eq!(range("\"2026-01-31...2026-01-31\""), [1, 2]);
        assert_eq!(range("\"2026-01-31T00:00:00Z...2026-01-31T23:59:59Z\""), [1]);
        let malformed = filter(&mut Vec::new(), &request(&[("filters[updated_at]", "soon...")]), rules);
        assert!(malformed.is_err());
    }

    #[test]
    fn pages_are_capped_and_linked() {
        let records: Vec<Value> = (0..250).map(|id| json!({"id": id})).collect();
        let page = |query: &[(&str, &str)]| paginate(records.clone(), &request(query), ListRules::UNDECLARED);
        let first = page(&[("per_page", "2000")]);
        assert_eq!((first.records.len(), first.size, first.total), (100, 100, 250));
        assert_eq!(first.links, [("last", 3), ("next", 2)]);
        assert_eq!(page(&[("page", "2")]).links, [("first", 1), ("prev", 1), ("last", 3), ("next", 3)]);
        let last = page(&[("page", "3")]);
        assert_eq!((last.records.len(), last.links), (50, vec![("first", 1), ("prev", 2)]));
        assert!(page(&[("page", "9")]).records.is_empty());
        assert!(paginate(Vec::new(), &request(&[]), ListRules::PLAIN).links.is_empty());
    }
}

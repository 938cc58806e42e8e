//! One query: what is asked for, and the page that answers it.

use serde_json::{Map, Value, json};

use super::filter::{Filters, compare, plain};
use super::objects::{Record, Row, nested, record_number};

/// The most records that a page may be asked to have.
pub(super) const SIZE_MAX: usize = 4000;
/// Records of a page that says nothing of its size.
const SIZE: usize = 100;

/// What a query asks for.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) object: String,
    pub(super) fields: Vec<String>,
    pub(super) filters: Filters,
    pub(super) order: Vec<(String, bool)>,
    pub(super) start: usize,
    pub(super) size: usize,
    includes_private: bool,
}

impl Query {
    /// Reads a body.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let body: Map<String, Value> =
            serde_json::from_slice(body).map_err(|error| format!("the body is no JSON object: {error}"))?;
        let object = body.get("object").and_then(Value::as_str).ok_or("object is missing")?.to_owned();
        let fields = body.get("fields").and_then(Value::as_array).ok_or("fields must be a list")?;
        let fields: Vec<String> = fields.iter().map(plain).collect();
        if fields.is_empty() || fields.iter().any(|field| field == "*") {
            return Err("fields must be named one by one".to_owned());
        }
        let number = |name: &str, usual: usize| match body.get(name) {
            None | Some(Value::Null) => Ok(usual),
            Some(value) => value.to_string().parse::<usize>().map_err(|_| format!("{name} must be a whole number")),
        };
        let orders = match body.get("orderBy") {
            None | Some(Value::Null) => &Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => return Err("orderBy must be a list".to_owned()),
        };
        let mut order = Vec::new();
        for one in orders {
            let one = one.as_object().filter(|one| one.len() == 1).and_then(|one| one.iter().next());
            let (field, direction) = one.ok_or("orderBy holds objects with one field")?;
            order.push((field.clone(), direction == "desc"));
        }
        let flag = |name: &str| body.get("filterParameters").and_then(|all| all.get(name)) == Some(&Value::Bool(true));
        Ok(Self {
            filters: Filters::read(body.get("filters"), body.get("filterExpression").and_then(Value::as_str))?,
            includes_private: flag("includePrivate"),
            start: number("start", 1)?,
            size: number("size", SIZE)?,
            object,
            fields,
            order,
        })
    }

    /// The page. Without an order it has none: not the records' own, and not that of the page before.
    pub(super) fn answer(&self, rows: &[Row<'_>], page_max: usize, hides_first: bool, is_nested: bool) -> Value {
        let mut chosen: Vec<&Row<'_>> = rows.iter().filter(|row| self.includes_private || !row.is_private).collect();
        if !self.filters.is_empty() {
            chosen.retain(|row| self.filters.hold(&row.render()));
        }
        match self.order.as_slice() {
            [] => chosen.sort_by_cached_key(|row| record_number("no order", &row.key)),
            [(field, is_last_first)] if field == "key" => {
                chosen.sort_by(|one, other| compare(&one.key, &other.key));
                if *is_last_first {
                    chosen.reverse();
                }
            }
            order => {
                let mut keyed: Vec<(Vec<String>, &Row<'_>)> = chosen
                    .into_iter()
                    .map(|row| {
                        let record = row.render();
                        (order.iter().map(|(field, _)| record.get(field).map(plain).unwrap_or_default()).collect(), row)
                    })
                    .collect();
                keyed.sort_by(|(one, _), (other, _)| {
                    let places = one.iter().zip(other).zip(order);
                    let compared = places.map(|((one, other), (_, is_last_first))| {
                        let compared = compare(one, other);
                        if *is_last_first { compared.reverse() } else { compared }
                    });
                    compared.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
                });
                chosen = keyed.into_iter().map(|(_, row)| row).collect();
            }
        }
        if hides_first && !chosen.is_empty() {
            chosen.remove(0);
        }
        let (total, size) = (chosen.len(), self.size.min(page_max));
        let page: Vec<Value> =
            chosen.iter().skip(self.start - 1).take(size).map(|row| self.shown(row, is_nested)).collect();
        let end = self.start + page.len();
        let next = if end <= total && !page.is_empty() { json!(end) } else { Value::Null };
        let previous = if self.start > 1 { json!(self.start.saturating_sub(size).max(1)) } else { Value::Null };
        json!({
            "ia::result": page,
            "ia::meta": {
                "totalCount": total, "start": self.start, "pageSize": size, "next": next, "previous": previous,
            },
        })
    }

    /// A record's wanted fields, and now and then one that nobody asked for.
    fn shown(&self, row: &Row<'_>, is_nested: bool) -> Value {
        let record = row.render();
        let mut shown = Record::new();
        for field in &self.fields {
            shown.insert(field.clone(), record.get(field).cloned().unwrap_or(Value::Null));
        }
        if row.key.bytes().map(u32::from).sum::<u32>() % 5 == 0 {
            shown.insert("API_QUERY_ALIAS__25".to_owned(), json!(row.key.len()));
        }
        if is_nested { nested(&shown) } else { Value::Object(shown) }
    }
}

//! The grammar of a list's request: `finder=name;attribute=value,…`, `fields=A,B`, `orderBy=A:asc,B:desc`.
//!
//! Finders and their attributes are spelled differently from resource to resource, and the case of a name counts. Without
//! `orderBy` rows come in an order that means nothing.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::super::http::Request;
use super::records::uuid_of;

type Row = Map<String, Value>;

/// Resource, finder, attribute of the moment, and where a row has it: its last change, else its creation.
const FINDERS: [(&str, &str, &str, &[&str]); 5] = [
    ("apvendor", "selectByDate", "auditDate", &["BpvenIuUpdateDate", "BpvenIuCreateDate"]),
    ("glcompany", "selectByDate", "auditDate", &["CompIuUpdateDate", "CompIuCreateDate"]),
    ("scmast", "selectByPostDate", "AuditDate", &["ScmstPostDate"]),
    ("pmproject", "selectByPmProjInfo", "pmprojectDate", &["GrpmpIuUpdateDate", "GrpmpIuCreateDate"]),
    ("apinvoutstanding", "selectByDate", "AuditDate", &["PostedDate"]),
];

/// The rows that a request wants, ordered and cut to its fields. Errors are the text of the 400.
pub(super) fn chosen(request: &Request, resource: &str, rows: Vec<Row>) -> Result<Vec<Row>, String> {
    let mut rows = match request.query("finder") {
        Some(finder) => found(finder, resource, rows)?,
        None => rows,
    };
    if request.query("q").is_some() {
        return Err("q is not supported by this resource".to_owned());
    }
    // Of the same rows always the same order, and no key's.
    rows.sort_by_cached_key(|row| uuid_of(row).chars().rev().collect::<String>());
    for part in request.query("orderBy").unwrap_or_default().split(',').filter(|part| !part.is_empty()).rev() {
        let (name, direction) = part.split_once(':').unwrap_or((part, "asc"));
        if rows.first().is_some_and(|row| !row.contains_key(name)) {
            return Err(format!("Attribute {name} of orderBy is not defined"));
        }
        rows.sort_by(|one, other| compare(one.get(name), other.get(name)));
        match direction {
            "asc" => {}
            "desc" => rows.reverse(),
            other => return Err(format!("{other} is neither asc nor desc")),
        }
    }
    let Some(fields) = request.query("fields") else { return Ok(rows) };
    let wanted: Vec<&str> = fields.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let unknown = |row: &Row| wanted.iter().find(|name| !row.contains_key(**name)).map(|name| (*name).to_owned());
    if let Some(name) = rows.first().and_then(unknown) {
        return Err(format!("Attribute {name} is not defined in {resource}"));
    }
    let cut = |row: Row| row.into_iter().filter(|(name, _)| wanted.contains(&name.as_str())).collect();
    Ok(rows.into_iter().map(cut).collect())
}

/// The rows that a finder finds: those changed at its moment or later, and where attributes name a key, those with that key.
fn found(finder: &str, resource: &str, rows: Vec<Row>) -> Result<Vec<Row>, String> {
    let (name, attributes) = finder.split_once(';').unwrap_or((finder, ""));
    let known = FINDERS.iter().find(|(of, known, ..)| *of == resource && *known == name);
    let Some((_, _, moment, places)) = known else {
        return Err(format!("Row finder {name} is not defined in {resource}"));
    };
    let mut rows = rows;
    for pair in attributes.split(',').filter(|pair| !pair.is_empty()) {
        let Some((attribute, value)) = pair.split_once('=') else {
            return Err(format!("{pair} is no attribute of a finder"));
        };
        if attribute != *moment {
            return Err(format!("Attribute {attribute} is not defined in row finder {name}"));
        }
        let Some(from) = moment_of(value) else { return Err(format!("{value} is no date")) };
        let told = |row: &Row| places.iter().find_map(|place| moment_of(row.get(*place)?.as_str()?));
        rows.retain(|row| told(row).is_some_and(|at| at >= from));
    }
    Ok(rows)
}

fn moment_of(text: &str) -> Option<DateTime<Utc>> {
    let parsed = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%z").or_else(|_| DateTime::parse_from_rfc3339(text));
    parsed.ok().map(|at| at.with_timezone(&Utc))
}

fn compare(one: Option<&Value>, other: Option<&Value>) -> std::cmp::Ordering {
    let number = |value: Option<&Value>| value.and_then(Value::as_i64);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    number(one).cmp(&number(other)).then_with(|| text(one).cmp(&text(other)))
}

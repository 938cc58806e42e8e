//! Lists that are asked for by the body of a request: the fields wanted, filters for what changed, the page.
//!
//! Fields are those of the declared columns: a source that takes no `*` is asked for each by its path. What else comes is
//! dropped, and a name with dots (`"vendor.id": 7`) becomes the path that it spells, so that columns, redaction and content
//! hash see one record whichever way a source writes it. A field that the source refuses by name is left out and told.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tieout_json::{Json, Kind, Node, look_up};

use super::client::{Answer, Body, Meter, Request};
use super::cursor;
use super::failure::{Failure, FailureKind};
use super::manifest::{ColumnFrom, CursorFormat, Paging, Refresh, Table};
use super::scope::{Job, Pages, Reader};

/// Keys that one filter names.
pub(super) const KEYS_MAX: usize = 500;

/// The request for a page.
pub(super) fn paged(first: &Request, table: &Table, parameters: Vec<(String, String)>) -> Request {
    let mut request = first.clone();
    match (&table.paging, &mut request.body) {
        (Paging::Body { .. }, Body::Json(Value::Object(body))) => {
            for (name, value) in parameters {
                let number = value.parse::<u64>().map_or_else(|_| Value::from(value.as_str()), Value::from);
                body.insert(name, number);
            }
        }
        _ => request.query.extend(parameters),
    }
    request
}

/// A whole number that an answer tells.
pub(super) fn number_at(body: Node<'_>, path: Option<&str>) -> Option<u64> {
    look_up(body, path?, None).ok().flatten()?.letters().trim().parse().ok()
}

/// Whether something stands at a path; none where the answer does not speak of it.
pub(super) fn is_told(body: Node<'_>, path: &str) -> Option<bool> {
    let (around, name) = path
        .rsplit_once('.')
        .map_or((Some(body), path), |(around, name)| (look_up(body, around, None).ok().flatten(), name));
    around?.get(name).map(|value| value.kind() != Kind::Null)
}

/// The field by whose values single records of a table can be asked for.
pub(super) fn by_filter(table: &Table) -> Option<&str> {
    let is_by_filter = table.cursor.as_ref().is_some_and(|cursor| cursor.format == CursorFormat::FilterList);
    match (is_by_filter, table.key.as_slice()) {
        (true, [key]) => match &table.column(key)?.from {
            ColumnFrom::Path(path) => Some(path),
            ColumnFrom::Parent(_) | ColumnFrom::Position => None,
        },
        _ => None,
    }
}

/// The request for records with these values of a field.
pub(super) fn filtered(table: &Table, first: &Request, field: &str, values: &[&str]) -> Request {
    let mut request = first.clone();
    if let (Some(cursor), Body::Json(Value::Object(body))) = (&table.cursor, &mut request.body) {
        list_in(body, &cursor.parameter).push(json!({ "$in": { field: values } }));
    }
    request
}

fn list_in<'b>(body: &'b mut Map<String, Value>, name: &str) -> &'b mut Vec<Value> {
    let list = body.entry(name.to_owned()).or_insert_with(|| Value::Array(Vec::new()));
    if !list.is_array() {
        *list = Value::Array(Vec::new());
    }
    list.as_array_mut().expect("it was made a list")
}

/// The paths of a table's columns, each once, and that of its cursor.
fn wanted(table: &Table) -> BTreeSet<&str> {
    let paths = table.columns.iter().filter_map(|(_, column)| match &column.from {
        ColumnFrom::Path(path) => Some(path.as_str()),
        ColumnFrom::Parent(_) | ColumnFrom::Position => None,
    });
    paths.chain(table.cursor.as_ref().map(|cursor| cursor.field.as_str())).collect()
}

/// The paths that a refused name stands for: itself, what lies below it, or the last steps of longer ones.
fn named<'p>(paths: impl Iterator<Item = &'p str>, name: &str) -> Vec<String> {
    let (below, end, inside) = (format!("{name}."), format!(".{name}"), format!(".{name}."));
    let all: Vec<&str> = paths.collect();
    let found = |is_named: &dyn Fn(&str) -> bool| -> Vec<String> {
        all.iter().filter(|path| is_named(path)).map(|path| (*path).to_owned()).collect()
    };
    let exact = found(&|path| path == name || path.starts_with(&below));
    if exact.is_empty() { found(&|path| path.ends_with(&end) || path.contains(&inside)) } else { exact }
}

impl<'a> Reader<'a> {
    /// A body with what a list is asked for.
    pub(super) fn asking(&self, job: &Job<'a>, body: Value) -> Result<Value, String> {
        let table = job.table;
        let Value::Object(mut body) = body else { return Ok(body) };
        if let Some(name) = &table.fields {
            body.insert(name.clone(), wanted(table).into_iter().map(Value::from).collect());
        }
        let Some(cursor) = table.cursor.as_ref().filter(|cursor| cursor.format == CursorFormat::FilterList) else {
            return Ok(Value::Object(body));
        };
        let no_moment = |from: &str| format!("the stored cursor `{from}` is no moment");
        let from = match job.cursor {
            Some(from) => Some(cursor::parameter(cursor, from, self.started_at).ok_or_else(|| no_moment(from))?),
            None => cursor::window(cursor, self.started_at),
        };
        let Some(from) = from else { return Ok(Value::Object(body)) };
        let list = list_in(&mut body, &cursor.parameter);
        let before = list.len();
        let fields = std::iter::once(&cursor.field).chain(&cursor.also);
        list.extend(fields.map(|field| json!({ "$gte": { field: from } })));
        if job.cursor.is_some() && table.refresh == Refresh::Open {
            let closed = table.closed.iter().filter_map(|(name, words)| match &table.column(name)?.from {
                ColumnFrom::Path(path) => Some(json!({ "$notIn": { path: words } })),
                ColumnFrom::Parent(_) | ColumnFrom::Position => None,
            });
            list.extend(closed);
        }
        let after = list.len();
        if let Some(name) = cursor.expression.as_ref().filter(|_| after - before > 1) {
            let numbers = |from: usize, to: usize, word: &str| {
                (from + 1..=to).map(|number| number.to_string()).collect::<Vec<_>>().join(word)
            };
            let any = numbers(before, after, " or ");
            let text = if before == 0 { any } else { format!("{} and ({any})", numbers(0, before, " and ")) };
            body.insert(name.clone(), Value::from(text));
        }
        Ok(Value::Object(body))
    }

    /// The records of a list, without the fields that the source refuses.
    pub(super) async fn without_refused(&self, job: &Job<'a>, mut first: Request, meter: &Meter) -> Pages {
        let (mut notes, mut lacks) = (Vec::new(), Vec::new());
        loop {
            let mut pages = self.pages(job, first.clone(), meter).await;
            let refused = pages.failure.as_ref().filter(|_| pages.count == 0);
            let left_out = refused.map(|failure| leave_out(&mut first, job.table, failure)).unwrap_or_default();
            if left_out.is_empty() {
                pages.notes.append(&mut notes);
                if pages.failure.is_none() && !lacks.is_empty() {
                    pages.broken = pages.broken.or(Some(lacks.join("; ")));
                }
                return pages;
            }
            for path in left_out {
                let said = pages.failure.as_ref().map(|failure| failure.what.clone()).unwrap_or_default();
                let note = format!("read without `{path}`, which the source refuses: {said}");
                let is_optional = |name: &String| {
                    job.table.column(name).is_some_and(|column| column.from == ColumnFrom::Path(path.clone()))
                };
                tracing::info!(table = job.table.name, path, "a field is refused");
                if job.table.optional.iter().any(is_optional) { notes.push(note) } else { lacks.push(note) }
            }
        }
    }
}

/// Takes the field that a failure names out of a request; nothing where it names none, or one of the key.
fn leave_out(request: &mut Request, table: &Table, failure: &Failure) -> Vec<String> {
    let Body::Json(Value::Object(body)) = &mut request.body else { return Vec::new() };
    let list = table.fields.as_ref().and_then(|name| body.get_mut(name)).and_then(Value::as_array_mut);
    let (Some(list), Some(refused)) = (list, failure.field.as_deref()) else { return Vec::new() };
    let keys: Vec<&str> = table
        .key
        .iter()
        .filter_map(|key| match &table.column(key)?.from {
            ColumnFrom::Path(path) => Some(path.as_str()),
            ColumnFrom::Parent(_) | ColumnFrom::Position => None,
        })
        .collect();
    let left_out = named(list.iter().filter_map(Value::as_str).filter(|path| !keys.contains(path)), refused);
    list.retain(|path| path.as_str().is_none_or(|path| !left_out.iter().any(|other| other == path)));
    left_out
}

/// A record's wanted fields at their paths.
fn narrow(record: Node<'_>, paths: &BTreeSet<&str>) -> String {
    let mut whole = Map::new();
    for path in paths {
        let flat = record.get(path);
        let found = flat.or_else(|| path.split('.').try_fold(record, Node::get));
        let Some(value) = found.and_then(|value| serde_json::from_str::<Value>(value.raw()).ok()) else { continue };
        put(&mut whole, path, value);
    }
    Value::Object(whole).to_string()
}

fn put(whole: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        whole.insert(path.to_owned(), value);
        return;
    };
    let inner = whole.entry(first.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    if let Value::Object(inner) = inner {
        put(inner, rest, value);
    }
}

/// An answer whose records hold what was asked for and nothing else, each field at its path.
pub(super) fn narrowed(table: &Table, answer: Answer) -> Result<Answer, Failure> {
    let Some(place) = table.fields.as_ref().and(table.records.as_deref()) else { return Ok(answer) };
    let Ok(Some(list)) = look_up(answer.body.root(), place, None) else { return Ok(answer) };
    if list.kind() != Kind::List {
        return Ok(answer);
    }
    let paths = wanted(table);
    let mut text = String::from("[");
    for record in list.items() {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&narrow(record, &paths));
    }
    text.push(']');
    let whole = place.rsplit('.').fold(text, |inner, name| format!("{{{}:{inner}}}", Value::from(name)));
    let body = Json::read(whole.as_bytes()).map_err(|error| Failure {
        kind: FailureKind::Other,
        request: answer.request.clone(),
        what: format!("its records cannot be read: {error}"),
        hint: None,
        field: None,
    })?;
    Ok(Answer { body, ..answer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_what_was_asked_for_whichever_way_it_is_written() {
        let paths = BTreeSet::from(["id", "vendor.id", "vendor.name", "total"]);
        for text in [
            r#"{"id":"7","vendor.id":"V1","vendor.name":null,"total":"1.10","ALIAS__25":3}"#,
            r#"{"total":"1.10","vendor":{"key":"9","id":"V1","name":null},"id":"7"}"#,
        ] {
            let record = Json::read(text.as_bytes()).unwrap();
            let narrow = narrow(record.root(), &paths);
            assert_eq!(narrow, r#"{"id":"7","total":"1.10","vendor":{"id":"V1","name":null}}"#);
        }
        let exact = Json::read(br#"{"id":7,"total":10.100}"#).unwrap();
        assert_eq!(narrow(exact.root(), &paths), r#"{"id":7,"total":10.100}"#, "digits stay");
    }

    #[test]
    fn a_refused_name_is_a_path_what_lies_below_it_or_its_end() {
        let paths = ["key", "state", "dimensions.task.id", "dimensions.costType.id", "costType.id"];
        let found = |name: &str| named(paths.into_iter(), name);
        assert_eq!(found("state"), ["state"]);
        assert_eq!(found("dimensions"), ["dimensions.task.id", "dimensions.costType.id"]);
        assert_eq!(found("dimensions.task"), ["dimensions.task.id"]);
        assert_eq!(found("task"), ["dimensions.task.id"]);
        assert_eq!(found("costType"), ["costType.id"], "the nearest");
        assert_eq!(found("nothing"), Vec::<String>::new());
    }

    #[test]
    fn an_answer_tells_of_more_or_says_nothing() {
        let body = Json::read(br#"{"meta":{"next":null,"total":"12","more":5}}"#).unwrap();
        assert_eq!(is_told(body.root(), "meta.next"), Some(false));
        assert_eq!(is_told(body.root(), "meta.more"), Some(true));
        assert_eq!(is_told(body.root(), "meta.other"), None);
        assert_eq!(is_told(body.root(), "other.next"), None);
        assert_eq!(number_at(body.root(), Some("meta.total")), Some(12));
    }
}

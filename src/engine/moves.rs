//! `field_moves`: which owned field of a linked record moved between two commits, on which side, from what to what; and
//! `stored_id_moves`: which record stored another key of the other side before.
//!
//! The canonical rows of a commit are read beside those of the commit before it, for entities whose tables changed and
//! fields that `recon.ownership` gives an owner; only what moved is kept. From it follow the ownership violations (W1 to W3)
//! and who moved last. Invariants: a field counts only if both sides map it; a record that was not there before did not
//! move; a difference in case, spaces or punctuation is no move.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use chrono::DateTime;
use datafusion::catalog::TableProvider as _;
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;

use crate::engine::canonical::Entity;
use crate::engine::cells::{Cell, Row, rows_of};
use crate::engine::contact::{normalize_address, normalize_phone, normalize_postal_code};
use crate::engine::evaluate::compute_views;
use crate::engine::header::Side;
use crate::engine::normalize::normalize_name;
use crate::engine::queries::Name;
use crate::engine::{Engine, Error};
use crate::warehouse::Prepared;
use crate::warehouse::commit::Commit;
use crate::warehouse::rows::{ColumnType, timestamp_type};

/// Columns that the rule `*` of an entity does not mean: keys and what is only read in its own system, and sums that follow
/// from other documents.
const NOT_OWNED: [&str; 13] = [
    "source",
    "record_id",
    "code",
    "number",
    "external_reference",
    "kind",
    "currency",
    "approval_status",
    "approved_at_basis",
    "budget_is_locked",
    "invoiced_amount",
    "paid_amount",
    "open_balance",
];
const NOT_OWNED_ENDINGS: [&str; 3] = ["_id", "_key", "_at"];
/// Columns that say which record it is, the first that an entity has.
const LABELS: [&str; 2] = ["name", "number"];

/// Some columns of an entity on one side at one commit, as text.
struct Sheet {
    columns: Vec<StringArray>,
    moved_at: Option<ArrayRef>,
    /// Row by record.
    places: HashMap<String, usize>,
}

/// What moved between the commit before and a prepared one.
#[derive(Default)]
pub(crate) struct Moves {
    /// Rows of `field_moves`.
    pub(crate) fields: Vec<Row>,
    /// Rows of `stored_id_moves`.
    pub(crate) stored_ids: Vec<Row>,
}

/// An entity whose moves are looked for.
struct Watched<'a> {
    entity: &'a Entity,
    /// Field and owner.
    fields: Vec<(String, String)>,
    label: Option<&'static str>,
    has_project: bool,
    stores_ids: bool,
}

/// What a prepared commit moved; `now` reads it, from the model that its checks will read.
pub(crate) async fn found(engine: &Engine, prepared: &Prepared, now: &SessionContext) -> Result<Moves, Error> {
    let Some(last) = prepared.base().last().map(Arc::clone) else { return Ok(Moves::default()) };
    let judged = engine.judged.lock().unwrap_or_else(PoisonError::into_inner).take();
    let kept = judged.and_then(|judged| judged.generation_of(&last));
    let generation = kept.unwrap_or_else(|| engine.next_generation());
    let before = engine.replayed_session_of(&engine.judge, prepared.base(), &last, generation);
    let owners = owners(now).await;
    let mut moved: Vec<(Watched<'_>, Vec<Side>)> = Vec::new();
    for watched in linked(engine).filter_map(|entity| watched(entity, &owners)) {
        let is_changed = |side: &Side| is_changed(engine, prepared.commit(), watched.entity, *side);
        let changed: Vec<Side> = Side::BOTH.into_iter().filter(is_changed).collect();
        if !changed.is_empty() {
            moved.push((watched, changed));
        }
    }
    let views = moved.iter().flat_map(|(watched, sides)| sides.iter().map(|side| watched.view(*side)));
    compute_views(engine, &before, views.collect::<Vec<_>>()).await;
    let mut all = Moves::default();
    for (watched, changed) in moved {
        let entity = watched.entity;
        // What cannot be planned is told by every check that reads it.
        match moves(engine, (now, &before), &watched, &changed, prepared.number()).await {
            Ok(found) => {
                all.fields.extend(found.fields);
                all.stored_ids.extend(found.stored_ids);
            }
            Err(error) => tracing::warn!(entity = entity.name, %error, "moves of fields are not recorded"),
        }
    }
    Ok(all)
}

/// The views of which the next commit reads the rows of this one.
pub(crate) fn views(engine: &Engine) -> BTreeSet<Name> {
    linked(engine).flat_map(|entity| Side::BOTH.map(|side| (side.schema().to_owned(), entity.name.clone()))).collect()
}

/// Entities whose records are linked one by one: of the others, lines and postings, nobody can say which of them moved.
fn linked(engine: &Engine) -> impl Iterator<Item = &Entity> {
    let is_linked = |entity: &&Entity| engine.blueprint.queries.contains_key(&link(entity));
    engine.blueprint.entities.iter().filter(is_linked)
}

/// The view of an entity's links.
fn link(entity: &Entity) -> Name {
    ("link".to_owned(), entity.name.clone())
}

/// Owner by entity and field, as `recon.ownership` says.
async fn owners(session: &SessionContext) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut owners: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let names = ["entity", "field", "record_owner"];
    let asked = async {
        let table = session.table(TableReference::partial("recon", "ownership")).await?;
        table.select_columns(&names)?.collect().await
    };
    let Ok(batches) = asked.await else { return owners };
    let typed = names.map(|name| (name.to_owned(), ColumnType::Text));
    for row in rows_of(&batches, &typed).unwrap_or_default() {
        let [entity, field, owner] = names.map(|name| row.get(name).and_then(Cell::as_text).map(str::to_owned));
        if let (Some(entity), Some(field), Some(owner)) = (entity, field, owner) {
            owners.entry(entity).or_default().insert(field, owner);
        }
    }
    owners
}

fn watched<'a>(entity: &'a Entity, owners: &BTreeMap<String, BTreeMap<String, String>>) -> Option<Watched<'a>> {
    let owners = owners.get(&entity.name)?;
    let is_side = |owner: &&String| matches!(owner.as_str(), "pm" | "erp");
    let owner = |(name, kind): &(String, DataType)| {
        let is_foreign = NOT_OWNED_ENDINGS.iter().any(|ending| name.ends_with(ending));
        let is_general = !is_foreign
            && !NOT_OWNED.contains(&name.as_str())
            && !name.starts_with("sync")
            && !matches!(name.as_str(), "created_by" | "approved_by");
        let own = owners.get(name).filter(|_| !name.ends_with("_id"));
        let owner = own.or_else(|| owners.get("*").filter(|_| is_general)).filter(is_side)?;
        let is_told = !matches!(kind, DataType::Timestamp(..)) || own.is_some();
        is_told.then(|| (name.clone(), owner.clone()))
    };
    let fields: Vec<(String, String)> = entity.columns.iter().filter_map(owner).collect();
    let label = LABELS.into_iter().find(|label| entity.has(label));
    (!fields.is_empty()).then(|| Watched {
        entity,
        fields,
        label,
        has_project: entity.has("project_id"),
        stores_ids: entity.has("linked_id"),
    })
}

/// Whether a commit changed a row of a table that the entity is read from.
fn is_changed(engine: &Engine, commit: &Commit, entity: &Entity, side: Side) -> bool {
    let name = (side.schema().to_owned(), entity.name.clone());
    let tables: BTreeSet<Name> = engine.blueprint.raw_tables(&name, side);
    let changed = commit.tables.iter().filter(|table| table.inserted + table.updated + table.deleted > 0);
    let mut changed = changed.map(|table| (table.source.clone(), table.table.clone()));
    changed.any(|table| tables.contains(&table))
}

async fn moves(
    engine: &Engine,
    (now, before): (&SessionContext, &SessionContext),
    watched: &Watched<'_>,
    changed: &[Side],
    number: u64,
) -> Result<Moves, String> {
    let Some(view) = engine.judge.cached(&link(watched.entity)).await else { return Ok(Moves::default()) };
    let links = view.rows(&now.state()).await.map_err(|error| error.strip_backtrace())?;
    let batches = links.read(&["pm_id", "erp_id"]).await.map_err(|error| error.strip_backtrace())?;
    let pairs = pairs(&batches, &engine.blueprint.settings.prefixes);
    let mut sheets: BTreeMap<&str, Sheet> = BTreeMap::new();
    let mut found: Vec<(Side, String, String)> = Vec::new();
    let mut stored_ids = Vec::new();
    for side in changed {
        let old = sheet(engine, before, watched, *side).await?;
        let new = sheet(engine, now, watched, *side).await?;
        stored_ids.extend(watched.stored_id_moves(*side, &old, &new, number));
        for (pm_id, erp_id) in &pairs {
            let id = if *side == Side::Pm { pm_id } else { erp_id };
            let (Some(was), Some(is)) = (old.places.get(id), new.places.get(id)) else { continue };
            let moved = |place: usize| {
                let field = watched.fields.get(place).map_or("", |(field, _)| field);
                key(field, old.text(place, *was)) != key(field, new.text(place, *is))
            };
            if (0..watched.fields.len()).any(moved) {
                found.push((*side, pm_id.clone(), erp_id.clone()));
            }
        }
        sheets.insert(side.schema(), new);
        sheets.insert(if *side == Side::Pm { "pm before" } else { "erp before" }, old);
    }
    let mut fields = Vec::new();
    if found.is_empty() {
        return Ok(Moves { fields, stored_ids });
    }
    for side in Side::BOTH {
        if !sheets.contains_key(side.schema()) {
            sheets.insert(side.schema(), sheet(engine, now, watched, side).await?);
        }
    }
    for (side, pm_id, erp_id) in found {
        let (own, other, past) = match side {
            Side::Pm => (sheets.get("pm"), sheets.get("erp"), sheets.get("pm before")),
            Side::Erp => (sheets.get("erp"), sheets.get("pm"), sheets.get("erp before")),
        };
        let (Some(own), Some(other), Some(past)) = (own, other, past) else { continue };
        let pair = Pair { side, pm_id: &pm_id, erp_id: &erp_id, number };
        fields.extend(pair.moves(watched, past, own, other));
    }
    Ok(Moves { fields, stored_ids })
}

/// A linked pair of which a side moved.
struct Pair<'a> {
    side: Side,
    pm_id: &'a str,
    erp_id: &'a str,
    number: u64,
}

impl Pair<'_> {
    fn moves(&self, watched: &Watched<'_>, past: &Sheet, own: &Sheet, other: &Sheet) -> Vec<Row> {
        let (id, other_id) = match self.side {
            Side::Pm => (self.pm_id, self.erp_id),
            Side::Erp => (self.erp_id, self.pm_id),
        };
        let (Some(was), Some(is)) = (past.places.get(id), own.places.get(id)) else { return Vec::new() };
        let Some(there) = other.places.get(other_id) else { return Vec::new() };
        let extra = watched.fields.len();
        let mut rows = Vec::new();
        for (place, (field, owner)) in watched.fields.iter().enumerate() {
            let (old, new, mirrored) = (past.text(place, *was), own.text(place, *is), other.text(place, *there));
            let (old_key, new_key) = (key(field, old), key(field, new));
            if old_key == new_key || !own.is_mapped(place) || !other.is_mapped(place) {
                continue;
            }
            rows.push(
                [
                    ("commit_number", Cell::Integer(i64::try_from(self.number).unwrap_or(i64::MAX))),
                    ("entity", Cell::text(Some(&watched.entity.name))),
                    ("field", Cell::text(Some(field))),
                    ("record_owner", Cell::text(Some(owner))),
                    ("side", Cell::text(Some(self.side.schema()))),
                    ("record_id", Cell::text(Some(id))),
                    ("source", Cell::text(own.text(extra, *is))),
                    ("pm_id", Cell::text(Some(self.pm_id))),
                    ("erp_id", Cell::text(Some(self.erp_id))),
                    ("label", Cell::text(watched.label.and_then(|_| own.text(extra + 1, *is)).or(Some(id)))),
                    ("project_id", Cell::text(watched.project(own, *is))),
                    ("old_value", Cell::text(old)),
                    ("new_value", Cell::text(new)),
                    ("old_key", Cell::text(old_key.as_deref())),
                    ("new_key", Cell::text(new_key.as_deref())),
                    ("other_value", Cell::text(mirrored)),
                    ("other_key", Cell::text(key(field, mirrored).as_deref())),
                    ("moved_at", own.moved_at(*is)),
                    ("moved_by", Cell::Null),
                ]
                .into_iter()
                .collect(),
            );
        }
        rows
    }
}

impl Watched<'_> {
    /// The view of the entity on one side.
    fn view(&self, side: Side) -> Name {
        (side.schema().to_owned(), self.entity.name.clone())
    }

    fn columns(&self) -> Vec<&str> {
        let fields = self.fields.iter().map(|(field, _)| field.as_str());
        let mut columns: Vec<&str> = fields.chain(["source"]).collect();
        columns.push(self.label.unwrap_or("record_id"));
        columns.push(if self.has_project { "project_id" } else { "record_id" });
        columns.push(if self.stores_ids { "linked_id" } else { "record_id" });
        columns
    }

    /// The rows of `stored_id_moves`: records that stored one key and now store another, or none.
    fn stored_id_moves(&self, side: Side, old: &Sheet, new: &Sheet, number: u64) -> Vec<Row> {
        let extra = self.fields.len();
        let key = |sheet: &Sheet, row: usize| {
            let stored = sheet.text(extra + 3, row).filter(|_| self.stores_ids)?.trim();
            (!stored.is_empty()).then(|| stored.to_owned())
        };
        let moved = old.places.iter().filter_map(|(id, was)| {
            let (is, before) = new.places.get(id).copied().zip(key(old, *was))?;
            let after = key(new, is);
            let stays = after.as_ref().is_some_and(|after| after.eq_ignore_ascii_case(&before));
            (!stays).then_some((id, is, before, after))
        });
        let mut moved: Vec<_> = moved.collect();
        moved.sort_unstable();
        let row = |(id, is, before, after): (&String, usize, String, Option<String>)| {
            [
                ("commit_number", Cell::Integer(i64::try_from(number).unwrap_or(i64::MAX))),
                ("entity", Cell::text(Some(&self.entity.name))),
                ("side", Cell::text(Some(side.schema()))),
                ("source", Cell::text(new.text(extra, is))),
                ("record_id", Cell::text(Some(id))),
                ("project_id", Cell::text(self.project(new, is))),
                ("old_id", Cell::text(Some(&before))),
                ("new_id", Cell::text(after.as_deref())),
            ]
            .into_iter()
            .collect()
        };
        moved.into_iter().map(row).collect()
    }

    fn project<'a>(&self, sheet: &'a Sheet, row: usize) -> Option<&'a str> {
        if self.entity.name == "projects" {
            return None;
        }
        self.has_project.then(|| sheet.text(self.fields.len() + 2, row)).flatten()
    }
}

/// Pairs that stand alone: of several records on one side nobody can say which of them moved from what. A vendor that each of several
/// connections has for itself stands alone in each: `prefixes` tell whose a key is.
fn pairs(batches: &[RecordBatch], prefixes: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let typed = ["pm_id", "erp_id"].map(|name| (name.to_owned(), ColumnType::Text));
    let text = |row: &Row, name: &str| row.get(name).and_then(Cell::as_text).map(str::to_owned);
    let rows = rows_of(batches, &typed).unwrap_or_default();
    let pairs: Vec<(String, String)> =
        rows.iter().filter_map(|row| Some((text(row, "pm_id")?, text(row, "erp_id")?))).collect();
    let whose = |id: &str| prefixes.values().find(|prefix| id.starts_with(prefix.as_str())).map(String::as_str);
    let mut uses: HashMap<(bool, &str, Option<&str>), usize> = HashMap::new();
    for (pm_id, erp_id) in &pairs {
        *uses.entry((true, pm_id.as_str(), whose(erp_id))).or_default() += 1;
        *uses.entry((false, erp_id.as_str(), whose(pm_id))).or_default() += 1;
    }
    let is_alone = |(pm_id, erp_id): &&(String, String)| {
        uses.get(&(true, pm_id.as_str(), whose(erp_id))) == Some(&1)
            && uses.get(&(false, erp_id.as_str(), whose(pm_id))) == Some(&1)
    };
    pairs.iter().filter(is_alone).cloned().collect()
}

async fn sheet(engine: &Engine, session: &SessionContext, watched: &Watched<'_>, side: Side) -> Result<Sheet, String> {
    let wanted = watched.columns();
    let view = engine.judge.cached(&watched.view(side)).await.ok_or("it cannot be read")?;
    let failed = |error: DataFusionError| error.strip_backtrace();
    let held = view.rows(&session.state()).await.map_err(failed)?;
    let schema = view.schema();
    let read: BTreeSet<&str> = wanted.iter().copied().chain(["record_id", "updated_at"]).collect();
    let read: Vec<&str> = read.into_iter().filter(|column| schema.index_of(column).is_ok()).collect();
    let schema = schema.project(&read.iter().flat_map(|column| schema.index_of(column)).collect::<Vec<_>>());
    let schema = Arc::new(schema.map_err(|error| error.to_string())?);
    let batches = held.read(&read).await.map_err(failed)?;
    let rows = concat_batches(&schema, batches.iter()).map_err(|error| error.to_string())?;
    let column = |name: &str, kind: &DataType| -> Result<ArrayRef, String> {
        let found = rows.column_by_name(name).ok_or_else(|| format!("it has no column {name}"))?;
        cast(found, kind).map_err(|error| error.to_string())
    };
    let texts = |name: &&str| Ok(column(name, &DataType::Utf8)?.as_string::<i32>().clone());
    let columns = wanted.iter().map(texts).collect::<Result<Vec<StringArray>, String>>()?;
    let ids = column("record_id", &DataType::Utf8)?;
    let ids = ids.as_string::<i32>().iter().enumerate();
    let places = ids.filter_map(|(row, id)| Some((id?.to_owned(), row))).collect();
    Ok(Sheet { columns, moved_at: column("updated_at", &timestamp_type()).ok(), places })
}

impl Sheet {
    fn text(&self, column: usize, row: usize) -> Option<&str> {
        let column = self.columns.get(column)?;
        column.is_valid(row).then(|| column.value(row))
    }

    /// Whether the side tells the field of any record.
    fn is_mapped(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.null_count() < column.len())
    }

    fn moved_at(&self, row: usize) -> Cell {
        let moments = self.moved_at.as_ref().and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
        let micros = moments.filter(|moments| moments.is_valid(row)).map(|moments| moments.value(row));
        Cell::moment(micros.and_then(DateTime::from_timestamp_micros))
    }
}

/// A value as the checks compare it.
fn key(field: &str, value: Option<&str>) -> Option<String> {
    let value = value?.trim();
    let key = match field {
        "name" | "legal_name" => normalize_name(value)?,
        "address_line" => normalize_address(value)?,
        "postal_code" => normalize_postal_code(value)?,
        "phone" => normalize_phone(value)?,
        _ => value.to_uppercase(),
    };
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_it_otherwise_is_no_move() {
        let same = |field: &str, one: &str, other: &str| key(field, Some(one)) == key(field, Some(other));
        assert!(same("name", "Acme, Inc.", "ACME Inc") && same("phone", "(555) 010-1234", "5550101234"));
        assert!(same("city", " Austin ", "AUSTIN") && key("city", Some(" ")).is_none());
        assert!(!same("city", "Austin", "Dallas") && !same("is_active", "true", "false"));
    }

    #[test]
    fn groups_of_several_are_left_out() {
        let texts = |texts: &[&str]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let columns = [("pm_id", texts(&["a", "b", "b"])), ("erp_id", texts(&["1", "2", "3"]))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!(pairs(&[batch], &BTreeMap::new()), [("a".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn a_record_of_each_connection_stands_alone_in_each() {
        let texts = |texts: &[&str]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let pm_ids = ["a", "east:a", "b", "east:b", "east:c"];
        let columns = [("pm_id", texts(&pm_ids)), ("erp_id", texts(&["1", "1", "2", "2", "2"]))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let prefixes = BTreeMap::from([("east".to_owned(), "east:".to_owned())]);
        let found: Vec<String> = pairs(&[batch], &prefixes).into_iter().map(|(pm_id, _)| pm_id).collect();
        assert_eq!(found, ["a", "east:a", "b"]);
    }
}

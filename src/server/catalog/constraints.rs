//! Keys as Postgres shows them: constraints and the indexes behind them.
//!
//! Invariants: names and oids follow from the tables' names alone, the same in every process; a key of which a column is
//! missing is not shown. Nothing is enforced: references are marked as not validated, as Postgres marks what it did not
//! check.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::Field;
use datafusion::common::ScalarValue;

use super::dependencies::Object;
use super::functions::quoted;
use super::rows::{OWNER_OID, Row, column_row, int, no, numbers, small_numbers, text, yes};
use super::{Relation, oid, schema_oid};

/// A constraint of one table.
#[derive(Debug)]
pub(super) struct Constraint {
    pub(super) oid: i64,
    pub(super) name: String,
    /// `p`, `u` or `f`.
    pub(super) kind: &'static str,
    pub(super) schema: String,
    pub(super) table: String,
    relation: i64,
    /// Names and numbers of its columns.
    pub(super) columns: Vec<(String, i16)>,
    /// The index behind it, or behind what it points to.
    index: i64,
    /// What it points to.
    pub(super) target: Option<Target>,
    /// The columns' types, for an index.
    fields: Vec<Arc<Field>>,
}

/// What a foreign key points to.
#[derive(Debug)]
pub(super) struct Target {
    relation: i64,
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) columns: Vec<(String, i16)>,
    /// The name of the key that has these columns.
    pub(super) key: String,
}

/// The constraints of all relations, each table's primary key first.
pub(super) fn of(relations: &[Relation]) -> Vec<Constraint> {
    let names: Vec<Constraint> = relations.iter().flat_map(naming).collect();
    let by_table: HashMap<(&str, &str), &Relation> =
        relations.iter().map(|relation| ((relation.schema.as_str(), relation.name.as_str()), relation)).collect();
    let mut foreign = Vec::new();
    for relation in relations {
        for reference in relation.keys.iter().flat_map(|keys| &keys.references) {
            let there = by_table.get(&(reference.schema.as_str(), reference.table.as_str()));
            let Some((columns, there)) = placed(relation, &reference.columns).zip(there.copied()) else { continue };
            let Some(referenced) = placed(there, &reference.referenced) else { continue };
            let is_target = |key: &&Constraint| key.relation == there.oid() && key.columns == referenced;
            let Some(key) = names.iter().find(is_target) else { continue };
            let target = Target {
                relation: there.oid(),
                schema: there.schema.clone(),
                table: there.name.clone(),
                columns: referenced,
                key: key.name.clone(),
            };
            let name = format!("{}_{}_fkey", relation.name, joined(&columns, "_", Clone::clone));
            foreign.push(Constraint { target: Some(target), ..constraint(relation, name, "f", columns, key.index) });
        }
    }
    names.into_iter().chain(foreign).collect()
}

/// What names the rows of a relation.
fn naming(relation: &Relation) -> Vec<Constraint> {
    let Some(keys) = &relation.keys else { return Vec::new() };
    let key = |name: String, kind, columns| {
        let index = oid(&format!("{}.{name}", relation.schema));
        constraint(relation, name, kind, columns, index)
    };
    let primary = placed(relation, &keys.primary).map(|columns| key(format!("{}_pkey", relation.name), "p", columns));
    let unique = keys.unique.iter().filter_map(|columns| {
        let columns = placed(relation, columns)?;
        let name = format!("{}_{}_key", relation.name, joined(&columns, "_", Clone::clone));
        Some(key(name, "u", columns))
    });
    primary.into_iter().chain(unique).collect()
}

fn constraint(
    relation: &Relation,
    name: String,
    kind: &'static str,
    columns: Vec<(String, i16)>,
    index: i64,
) -> Constraint {
    let place = |number: i16| usize::try_from(number).ok()?.checked_sub(1);
    let field = |(_, number): &(String, i16)| relation.columns.fields().get(place(*number)?).map(Arc::clone);
    Constraint {
        oid: oid(&format!("constraint {}.{}.{name}", relation.schema, relation.name)),
        fields: columns.iter().filter_map(field).collect(),
        name,
        kind,
        schema: relation.schema.clone(),
        table: relation.name.clone(),
        relation: relation.oid(),
        columns,
        index,
        target: None,
    }
}

/// Columns with their numbers; none if one is missing or there are none.
fn placed(relation: &Relation, columns: &[String]) -> Option<Vec<(String, i16)>> {
    let number = |column: &String| {
        let place = relation.columns.fields().iter().position(|field| field.name() == column)?;
        Some((column.clone(), i16::try_from(place + 1).ok()?))
    };
    let placed: Option<Vec<_>> = columns.iter().map(number).collect();
    placed.filter(|placed| !placed.is_empty())
}

fn joined(columns: &[(String, i16)], separator: &str, write: fn(&String) -> String) -> String {
    columns.iter().map(|(name, _)| write(name)).collect::<Vec<_>>().join(separator)
}

fn listed(columns: &[(String, i16)]) -> String {
    joined(columns, ", ", |name| quoted(name))
}

impl Constraint {
    /// Whether an index stands behind it.
    pub(super) fn is_index(&self) -> bool {
        self.target.is_none()
    }

    pub(super) fn index_oid(&self) -> i64 {
        self.index
    }

    pub(super) fn relation(&self) -> i64 {
        self.relation
    }

    /// The relations that a reference goes from and to.
    pub(super) fn referring(&self) -> impl Iterator<Item = i64> {
        self.target.iter().flat_map(|target| [self.relation, target.relation])
    }

    /// What hangs on what: the key on its columns, its index on the key, a reference on the columns and the index it points to.
    pub(super) fn dependencies(&self) -> Vec<(Object, Object, &'static str)> {
        let own = Object("pg_constraint", self.oid, 0);
        let index = Object("pg_class", self.index, 0);
        let columns = |relation: i64, columns: &[(String, i16)], kind: &'static str| {
            let on = |(_, number): &(String, i16)| (own, Object("pg_class", relation, i64::from(*number)), kind);
            columns.iter().map(on).collect::<Vec<_>>()
        };
        let mut all = columns(self.relation, &self.columns, "a");
        match &self.target {
            Some(target) => {
                all.extend(columns(target.relation, &target.columns, "n"));
                all.push((own, index, "n"));
            }
            None => all.push((index, own, "i")),
        }
        all
    }

    /// As `pg_get_constraintdef` writes it.
    pub(super) fn definition(&self) -> String {
        let own = listed(&self.columns);
        match &self.target {
            Some(target) => format!(
                "FOREIGN KEY ({own}) REFERENCES {}.{}({}) NOT VALID",
                quoted(&target.schema),
                quoted(&target.table),
                listed(&target.columns)
            ),
            None if self.kind == "p" => format!("PRIMARY KEY ({own})"),
            None => format!("UNIQUE ({own})"),
        }
    }

    /// As `pg_get_indexdef` writes it; one column of it by its place from 1.
    pub(super) fn index_definition(&self, column: usize) -> String {
        if let Some(place) = column.checked_sub(1) {
            return self.columns.get(place).map(|(name, _)| quoted(name)).unwrap_or_default();
        }
        format!(
            "CREATE UNIQUE INDEX {} ON {}.{} USING btree ({})",
            quoted(&self.name),
            quoted(&self.schema),
            quoted(&self.table),
            listed(&self.columns)
        )
    }

    /// Its row in `pg_constraint`.
    pub(super) fn row(&self) -> Row {
        let numbers_of = |columns: &[(String, i16)]| small_numbers(columns.iter().map(|(_, number)| *number));
        let mut row = Row::from([
            ("oid", int(self.oid)),
            ("conname", text(self.name.clone())),
            ("connamespace", int(schema_oid(&self.schema))),
            ("contype", text(self.kind)),
            ("condeferrable", no()),
            ("condeferred", no()),
            ("convalidated", if self.target.is_some() { no() } else { yes() }),
            ("conrelid", int(self.relation)),
            ("contypid", int(0)),
            ("conindid", int(self.index)),
            ("conparentid", int(0)),
            ("confrelid", int(self.target.as_ref().map_or(0, |target| target.relation))),
            ("confupdtype", text(if self.target.is_some() { "a" } else { " " })),
            ("confdeltype", text(if self.target.is_some() { "a" } else { " " })),
            ("confmatchtype", text(if self.target.is_some() { "s" } else { " " })),
            ("conislocal", yes()),
            ("coninhcount", int(0)),
            ("connoinherit", yes()),
            ("conkey", numbers_of(&self.columns)),
        ]);
        if let Some(target) = &self.target {
            row.insert("confkey", numbers_of(&target.columns));
        }
        row
    }

    /// The row in `pg_index` of the index behind it.
    pub(super) fn index_row(&self) -> Row {
        let count = int(i64::try_from(self.columns.len()).unwrap_or(0));
        let zeros = || self.columns.iter().map(|_| 0);
        Row::from([
            ("indexrelid", int(self.index)),
            ("indrelid", int(self.relation)),
            ("indnatts", count.clone()),
            ("indnkeyatts", count),
            ("indisunique", yes()),
            ("indisprimary", ScalarValue::Boolean(Some(self.kind == "p"))),
            ("indisexclusion", no()),
            ("indimmediate", yes()),
            ("indisclustered", no()),
            ("indisvalid", yes()),
            ("indcheckxmin", no()),
            ("indisready", yes()),
            ("indislive", yes()),
            ("indisreplident", no()),
            ("indnullsnotdistinct", no()),
            ("indkey", small_numbers(self.columns.iter().map(|(_, number)| *number))),
            ("indcollation", numbers(zeros())),
            ("indclass", numbers(zeros())),
            ("indoption", small_numbers(self.columns.iter().map(|_| 0))),
        ])
    }

    /// The row in `pg_class` of the index behind it.
    pub(super) fn class_row(&self) -> Row {
        let mut row = super::rows::class_row(self.index, &self.name, &self.schema, "i", self.columns.len());
        row.insert("relam", int(403));
        row
    }

    /// The rows in `pg_attribute` of the index behind it.
    pub(super) fn attribute_rows(&self) -> impl Iterator<Item = Row> {
        self.fields.iter().enumerate().map(|(place, field)| column_row(self.index, place, field, false))
    }

    /// Its row in `pg_indexes`.
    pub(super) fn listed_row(&self) -> Row {
        Row::from([
            ("schemaname", text(self.schema.clone())),
            ("tablename", text(self.table.clone())),
            ("indexname", text(self.name.clone())),
            ("indexdef", text(self.index_definition(0))),
            ("indexowner", int(OWNER_OID)),
        ])
    }
}

//! Which columns name a row, and which point to another table's row: what clients are shown as constraints.
//!
//! Nothing is enforced by them, and nothing is planned by them. Invariant: a primary key is one by construction (the
//! warehouse keeps one row a key, a view's grain says so); a reference is the source's word, which may point to a record
//! that is gone, or that its source never gave.

use std::collections::BTreeMap;

use crate::engine::canonical::Entity;
use crate::engine::header::Side;
use crate::engine::layout::{RawTable, SystemLayout, system_tables};
use crate::engine::queries::{Name, QueryFile};

/// The keys of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableKeys {
    /// What names a row; empty if nothing does.
    pub primary: Vec<String>,
    /// Other columns that name a row.
    pub unique: Vec<Vec<String>>,
    /// Columns that point to other tables.
    pub references: Vec<Reference>,
}

/// Columns that point to the row of a table with the same values in its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The columns that point.
    pub columns: Vec<String>,
    /// The schema pointed to.
    pub schema: String,
    /// The table pointed to.
    pub table: String,
    /// Its columns.
    pub referenced: Vec<String>,
}

/// Keys by schema and table.
pub type Keys = BTreeMap<(String, String), TableKeys>;

/// Canonical columns that hold the `record_id` of one other entity: the column, the entity that has it (any, if none is
/// named) and the entity pointed to. What may be of two entities, such as a payment's invoice, points to none.
const CANONICAL: &[(&str, Option<&str>, &str)] = &[
    ("project_id", None, "projects"),
    ("vendor_id", None, "vendors"),
    ("customer_id", None, "customers"),
    ("commitment_id", None, "commitments"),
    ("change_order_id", None, "change_orders"),
    ("payment_id", None, "payments"),
    ("contract_id", Some("owner_invoices"), "prime_contracts"),
    ("invoice_id", Some("owner_invoice_lines"), "owner_invoices"),
    ("invoice_id", Some("vendor_invoice_lines"), "vendor_invoices"),
];

/// Views of ours, by their grain.
const VIEWS: &[(&str, &str, &[&str])] =
    &[("recon", "summary", &["check_id"]), ("recon", "exceptions", &["check_id", "exception_key"])];

/// All keys of a warehouse.
pub(crate) fn keys(
    layouts: &BTreeMap<String, SystemLayout>,
    entities: &[Entity],
    queries: &BTreeMap<Name, QueryFile>,
) -> Keys {
    let mut keys = Keys::new();
    for (source, layout) in layouts {
        for table in &layout.tables {
            keys.insert((source.clone(), table.name.clone()), raw(source, table, &layout.tables));
        }
    }
    for table in system_tables().iter().filter(|table| !table.append) {
        keys.insert(("system".to_owned(), table.name.to_owned()), TableKeys { primary: own(), ..TableKeys::default() });
    }
    for side in Side::BOTH {
        for entity in entities {
            keys.insert((side.schema().to_owned(), entity.name.clone()), canonical(side, entity, entities));
        }
    }
    for (schema, view, columns) in VIEWS {
        let name = ((*schema).to_owned(), (*view).to_owned());
        let primary = columns.iter().map(|column| (*column).to_owned()).collect();
        if queries.contains_key(&name) {
            keys.insert(name, TableKeys { primary, ..TableKeys::default() });
        }
    }
    let check = ["check_id".to_owned()];
    if let Some(exceptions) = keys.get_mut(&("recon".to_owned(), "exceptions".to_owned())) {
        exceptions.references.push(Reference {
            columns: check.to_vec(),
            schema: "recon".to_owned(),
            table: "summary".to_owned(),
            referenced: check.to_vec(),
        });
    }
    keys
}

/// The column that holds a record's key.
fn own() -> Vec<String> {
    vec!["_key".to_owned()]
}

/// `_key` and what it is made of; the columns that a parent's row gave, where these are the parent's key.
fn raw(source: &str, table: &RawTable, tables: &[RawTable]) -> TableKeys {
    let is_column = |name: &String| table.columns.iter().any(|(column, _)| column == name);
    let unique = Some(table.key.clone()).filter(|key| !key.is_empty() && key.iter().all(is_column));
    let parent = match table.parents.as_slice() {
        [only] => tables.iter().find(|parent| parent.name == *only),
        _ => None,
    };
    let reference = parent.and_then(|parent| {
        let from = |column: &String| table.from_parent.iter().find(|(_, of)| of == column).map(|(own, _)| own.clone());
        let columns: Option<Vec<String>> = parent.key.iter().map(from).collect();
        Some(Reference {
            columns: columns.filter(|columns| !columns.is_empty())?,
            schema: source.to_owned(),
            table: parent.name.clone(),
            referenced: parent.key.clone(),
        })
    });
    TableKeys { primary: own(), unique: unique.into_iter().collect(), references: reference.into_iter().collect() }
}

fn canonical(side: Side, entity: &Entity, entities: &[Entity]) -> TableKeys {
    let source = || "source".to_owned();
    let applies = |(column, of, target): &&(&str, Option<&str>, &str)| {
        of.is_none_or(|of| of == entity.name)
            && entity.has(column)
            && *target != entity.name
            && entities.iter().any(|known| known.name == *target)
    };
    let reference = |(column, _, target): &(&str, Option<&str>, &str)| Reference {
        columns: vec![source(), (*column).to_owned()],
        schema: side.schema().to_owned(),
        table: (*target).to_owned(),
        referenced: vec![source(), "record_id".to_owned()],
    };
    TableKeys {
        primary: vec![source(), "record_id".to_owned()],
        unique: Vec::new(),
        references: CANONICAL.iter().filter(applies).map(reference).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;
    use crate::engine::canonical::entities;
    use crate::engine::layout::system_layout;

    #[test]
    fn the_shipped_definitions_have_their_keys() {
        let definitions = std::sync::Arc::new(Definitions::shipped());
        let layouts = ["procore", "acumatica"]
            .map(|system| (system.to_owned(), system_layout(&definitions, system).unwrap()))
            .into();
        let (queries, _) = crate::engine::queries::load(&definitions);
        let keys = keys(&layouts, &entities(&definitions).unwrap(), &queries);
        let of = |schema: &str, table: &str| keys.get(&(schema.to_owned(), table.to_owned())).unwrap();
        assert_eq!(of("procore", "vendors").primary, ["_key"]);
        assert_eq!(of("procore", "vendors").unique, [["id"]]);
        let lines = of("acumatica", "purchase_order_lines");
        assert_eq!(lines.unique, [["type", "order_nbr", "position"]]);
        assert_eq!(lines.references[0].table, "purchase_orders");
        assert_eq!(lines.references[0].columns, ["type", "order_nbr"]);
        assert_eq!(of("recon", "exceptions").primary, ["check_id", "exception_key"]);
        let invoices = of("erp", "owner_invoices");
        let targets: Vec<&str> = invoices.references.iter().map(|reference| reference.table.as_str()).collect();
        assert_eq!(targets, ["projects", "prime_contracts"]);
        assert!(of("pm", "payment_applications").references.iter().all(|reference| reference.table == "payments"));
        // Each points to columns that name a row there.
        for (name, own) in &keys {
            for reference in &own.references {
                let there = of(&reference.schema, &reference.table);
                let names = std::iter::once(&there.primary).chain(&there.unique);
                assert!(names.into_iter().any(|key| *key == reference.referenced), "{name:?}: {reference:?}");
            }
        }
    }
}

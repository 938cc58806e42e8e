//! The catalogue's own relations, as it shows itself.
//!
//! They stand beside the firm's in `pg_class` and `pg_attribute` alone: `information_schema` and lists for people leave them out.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::Schema;

use super::rows::field;
use super::{INFORMATION_SCHEMA, Relation, SCHEMA, information, tables};

/// Relations of `pg_catalog` that are views in Postgres.
const VIEWS: &[&str] = &[
    "pg_available_extensions",
    "pg_group",
    "pg_indexes",
    "pg_locks",
    "pg_matviews",
    "pg_policies",
    "pg_prepared_xacts",
    "pg_replication_slots",
    "pg_roles",
    "pg_rules",
    "pg_seclabels",
    "pg_sequences",
    "pg_settings",
    "pg_shadow",
    "pg_tables",
    "pg_user",
    "pg_user_mappings",
    "pg_views",
];

/// All of them.
pub(super) static RELATIONS: LazyLock<Vec<Relation>> = LazyLock::new(|| {
    let relation = |schema: &str, (name, columns): &(&str, &str), is_view| Relation {
        schema: schema.to_owned(),
        name: (*name).to_owned(),
        is_view,
        columns: Arc::new(Schema::new(columns.split_whitespace().filter_map(field).collect::<Vec<_>>())),
        definition: None,
        keys: None,
    };
    let is_view = |name: &str| VIEWS.contains(&name) || name.starts_with("pg_stat");
    let catalog = tables::all().map(|table| relation(SCHEMA, table, is_view(table.0)));
    catalog.chain(information::TABLES.iter().map(|table| relation(INFORMATION_SCHEMA, table, true))).collect()
});

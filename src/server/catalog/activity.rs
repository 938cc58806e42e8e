//! The rows of the views by which clients watch a server: who is connected, and what each relation was asked for.
//!
//! Nothing is counted here: what Postgres would have counted is null, which is not the same as none.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;

use super::constraints::Constraint;
use super::rows::{Row, int, no, text};
use super::{Asker, Listed, Relation, oid};
use crate::server::sessions::Live;

/// The rows of a view; none of one that has none.
pub(super) fn rows(asker: &Asker, listed: &Listed, view: &str) -> Vec<Row> {
    match view {
        "pg_stat_activity" => sessions(asker),
        "pg_stat_gssapi" => vec![Row::from([
            ("pid", int(asker.pid().into())),
            ("gss_authenticated", no()),
            ("encrypted", no()),
            ("credentials_delegated", no()),
        ])],
        "pg_stat_database" => asker.databases.names().into_iter().map(|name| database(asker, name)).collect(),
        "pg_stat_all_tables" | "pg_stat_user_tables" | "pg_statio_all_tables" | "pg_statio_user_tables" => {
            let tables = listed.relations.iter().filter(|relation| !relation.is_view);
            let table = |relation: &Relation| {
                Row::from([
                    ("relid", int(relation.oid())),
                    ("schemaname", text(relation.schema.clone())),
                    ("relname", text(relation.name.clone())),
                ])
            };
            tables.map(table).collect()
        }
        "pg_stat_all_indexes" | "pg_stat_user_indexes" | "pg_statio_all_indexes" => {
            let indexes = listed.constraints.iter().filter(|constraint| constraint.is_index());
            let index = |constraint: &Constraint| {
                Row::from([
                    ("relid", int(constraint.relation())),
                    ("indexrelid", int(constraint.index_oid())),
                    ("schemaname", text(constraint.schema.clone())),
                    ("relname", text(constraint.table.clone())),
                    ("indexrelname", text(constraint.name.clone())),
                ])
            };
            indexes.map(index).collect()
        }
        _ => Vec::new(),
    }
}

/// The sessions of the role that asks.
fn sessions(asker: &Asker) -> Vec<Row> {
    let row = |live: &Arc<Live>| {
        let doing = live.doing();
        let mut row = Row::from([
            ("datid", int(oid(&live.database))),
            ("datname", text(live.database.clone())),
            ("pid", int(live.pid.into())),
            ("usesysid", int(oid(&live.role))),
            ("usename", text(live.role.clone())),
            ("application_name", text(live.application_name())),
            ("client_addr", text(live.address.ip().to_string())),
            ("client_port", int(live.address.port().into())),
            ("backend_start", moment(live.began_at)),
            ("query_start", moment(doing.began_at)),
            ("state_change", moment(doing.changed_at)),
            ("state", text(doing.state)),
            ("query", text(doing.text.as_ref())),
            ("backend_type", text("client backend")),
        ]);
        if doing.state == "active" {
            row.insert("xact_start", moment(doing.began_at));
        }
        row
    };
    asker.sessions().iter().map(row).collect()
}

fn database(asker: &Asker, name: String) -> Row {
    let connected = asker.sessions().iter().filter(|live| live.database == name).count();
    Row::from([
        ("datid", int(oid(&name))),
        ("datname", text(name)),
        ("numbackends", int(i64::try_from(connected).unwrap_or(i64::MAX))),
    ])
}

fn moment(at: DateTime<Utc>) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), Some("UTC".into()))
}

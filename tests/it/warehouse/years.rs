//! Years of manifests as daily runs would leave them, without the data files, which opening does not read.

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What the manifests of a chain are like.
pub(crate) struct Years {
    pub(crate) format: u32,
    pub(crate) warehouse_id: String,
    pub(crate) tables: u64,
}

impl Years {
    /// Writes commits 1 to `commits`.
    pub(crate) async fn write(&self, objects: &dyn ObjectStore, commits: u64) {
        let mut parent = String::new();
        for number in 1..=commits {
            let at = i64::try_from(number)
                .ok()
                .and_then(|day| chrono::DateTime::from_timestamp(1_400_000_000 + day * 86_400, 0));
            let tables: Vec<Value> = (0..self.tables).map(|table| Self::table(number, table)).collect();
            let manifest = json!({
                "format": self.format, "warehouse_id": self.warehouse_id, "number": number, "parent": parent,
                "kind": "extract", "committed_at": at, "observed_at": at, "clock_is_given": false,
                "tool_version": "0.1.0", "definitions": digest("definitions"), "runs": [], "tables": tables,
            });
            let bytes = manifest.to_string();
            parent = digest(&bytes);
            let place = Path::from(format!("commits/{number:020}.json"));
            objects.put(&place, bytes.into()).await.expect("a manifest is written");
        }
    }

    /// Every other table changes on a day.
    fn table(number: u64, table: u64) -> Value {
        let name = if table == 0 { "bills".to_owned() } else { format!("table_{table}") };
        let mut found = json!({
            "source": "procore", "table": name, "schema_fingerprint": digest(&name), "inserted": 0, "updated": 0,
            "deleted": 0, "rows": 1000 + table, "control_totals": { "amount": "1234567.89", "retainage": "23456.78" },
        });
        if number == 1 {
            found["columns"] = json!([["amount", "decimal(18,2)"], ["retainage", "decimal(18,2)"]]);
        }
        if (number + table).is_multiple_of(2) || number == 1 {
            let file = |what: &str| {
                let sha256 = digest(&format!("{number} {table} {what}"));
                json!({
                    "path": format!("data/procore/{name}/{what}/{number:020}-{}.parquet", &sha256[..8]),
                    "sha256": sha256, "bytes": 10_000 + number, "rows": 3 + number % 7,
                })
            };
            found["updated"] = json!(3 + number % 7);
            found["changes"] = file("changes");
            found["state"] = file("state");
        }
        found
    }
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

//! A payment that is made while the run is between the contracts and their payments.

use super::*;

const PAYMENTS: &str = r#"
[[table]]
name = "payments"
parent = "contracts"
path = "/payments"
query = { contract_id = "{parent.id}" }
key = ["id"]
witness = ["contracts.total"]
changed = "updated_at"
[table.columns]
id = "int64"
updated_at = "timestamp"
"#;

#[tokio::test]
async fn a_sum_that_is_older_than_its_parts_is_read_again() {
    let server = serve(|seen| match (seen.path.as_str(), seen.count) {
        ("/projects", _) => ok(r#"[{"id":1},{"id":2}]"#),
        ("/contracts", 1) if seen.query.contains("project_id=1") => {
            ok(r#"[{"id":11,"total":"5"},{"id":12,"total":"0"}]"#)
        }
        // While it is read again another contract has come, whose payments nobody has looked at.
        ("/contracts", _) if seen.query.contains("project_id=1") => {
            ok(r#"[{"id":11,"total":"9"},{"id":12,"total":"0"},{"id":13,"total":"1"}]"#)
        }
        ("/contracts", 1) => ok(r#"[{"id":21,"total":"7"}]"#),
        ("/payments", _) if seen.query.contains("contract_id=11") => {
            ok(r#"[{"id":1,"updated_at":"2026-01-31T22:00:01Z"},{"id":2,"updated_at":"2025-01-01T00:00:00Z"}]"#)
        }
        ("/payments", _) if seen.query.contains("contract_id=21") => {
            ok(r#"[{"id":3,"updated_at":"2026-01-31T21:00:00Z"}]"#)
        }
        ("/payments", _) => ok("[]"),
        // The source's clock stands where ours does.
        _ => answer(200, &[("date", "Sat, 31 Jan 2026 22:00:00 GMT")], r#"{"access_token":"t","expires_in":5400}"#),
    })
    .await;
    let outcome = extract(&server, &format!("{SYSTEM}{CONTRACTS}{PAYMENTS}")).await;
    let asked = |project: &str| {
        let log = server.log.lock().unwrap();
        log.iter().filter(|line| line.starts_with("/contracts") && line.contains(project)).count()
    };
    assert_eq!((asked("project_id=1"), asked("project_id=2")), (2, 1));
    let batches = &table(&outcome, "contracts").batches;
    let mut totals: Vec<String> = Vec::new();
    for batch in batches {
        let (keys, raw) = (batch.column_by_name("_key").unwrap(), batch.column_by_name("_raw").unwrap());
        let text =
            |column: &arrow::array::ArrayRef, row| arrow::util::display::array_value_to_string(column, row).unwrap();
        totals.extend((0..batch.num_rows()).map(|row| text(keys, row) + &text(raw, row)));
    }
    assert_eq!(
        totals,
        [r#"11{"id":11,"total":"9"}"#, r#"12{"id":12,"total":"0"}"#, r#"21{"id":21,"total":"7"}"#],
        "the new sum, and nothing whose lists were not read"
    );
    assert_eq!(coverage(&outcome, "contracts", "1").rows, 2);
}

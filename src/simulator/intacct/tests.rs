//! Sage Intacct's interface, asked as a reader would ask it.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::objects;
use super::tokens::TOKEN_SECONDS;
use crate::{FirmOptions, IntacctEndpoint, IntacctOptions, SharedClock, Simulator, SimulatorOptions, System, Trouble};

/// Somebody who reads a small firm of half a year.
struct Reader {
    simulator: Simulator,
    endpoint: IntacctEndpoint,
    client: Client,
    token: String,
}

impl Reader {
    async fn new(options: IntacctOptions) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = SharedClock::new("2026-07-01T11:00:00Z".parse().unwrap());
        let firm = FirmOptions { first_month: (2026, 1), months: 6, projects: 3, ..FirmOptions::default() };
        let options_of_firm = SimulatorOptions { firm, ..SimulatorOptions::new(5, clock) };
        let simulator = Simulator::start(options_of_firm).await.unwrap();
        let endpoint = simulator.serve_intacct(options).await.unwrap();
        let client = Client::new();
        let mut reader = Self { simulator, endpoint, client, token: String::new() };
        reader.token = reader.sign_in().await;
        reader
    }

    async fn sign_in(&self) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.endpoint.client_id.as_str()),
            ("client_secret", self.endpoint.client_secret.as_str()),
            ("username", self.endpoint.username.as_str()),
        ];
        let url = format!("{}/oauth2/token", self.endpoint.base_url);
        let reply: Value = self.client.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        assert_eq!((&reply["expires_in"], &reply["token_type"]), (&json!(TOKEN_SECONDS), &json!("Bearer")));
        reply["access_token"].as_str().unwrap().to_owned()
    }

    async fn ask(&self, body: &Value) -> Response {
        let url = format!("{}/services/core/query", self.endpoint.base_url);
        self.client.post(url).bearer_auth(&self.token).json(body).send().await.unwrap()
    }

    async fn query(&self, body: &Value) -> Value {
        let reply = self.ask(body).await;
        let status = reply.status();
        let text = reply.text().await.unwrap();
        assert_eq!(status, 200, "{body}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// All records of an object, by its key.
    async fn all(&self, object: &str, fields: &[&str]) -> Vec<Value> {
        let body = json!({
            "object": object, "fields": fields, "orderBy": [{"key": "asc"}], "size": 4000,
            "filterParameters": {"includePrivate": true},
        });
        self.query(&body).await["ia::result"].as_array().unwrap().clone()
    }
}

fn text<'v>(record: &'v Value, name: &str) -> &'v str {
    record[name].as_str().unwrap_or_default()
}

/// Cents of a decimal string, whatever zeros it ends with.
fn cents(record: &Value, name: &str) -> i64 {
    let text = record[name].as_str().unwrap_or_else(|| panic!("{name} is a string in {record}"));
    let (whole, fraction) = text.split_once('.').unwrap();
    assert!(fraction.len() >= 2 && fraction[2..].chars().all(|digit| digit == '0'));
    format!("{whole}{}", &fraction[..2]).parse().unwrap()
}

#[tokio::test]
async fn pages_are_counted_from_one_and_have_no_order_of_their_own() {
    let reader = Reader::new(IntacctOptions::default()).await;
    let body = |start: usize, order: &Value| json!({"object": "projects/task", "fields": ["key", "id", "project.id"], "start": start, "size": 10, "orderBy": order});
    let first = reader.query(&body(1, &json!([]))).await;
    let meta = &first["ia::meta"];
    assert_eq!(
        (&meta["start"], &meta["pageSize"], &meta["next"], &meta["previous"]),
        (&json!(1), &json!(10), &json!(11), &Value::Null)
    );
    let total = usize::try_from(meta["totalCount"].as_u64().unwrap()).unwrap();
    let keys = |answer: &Value| -> Vec<String> {
        answer["ia::result"].as_array().unwrap().iter().map(|record| text(record, "key").to_owned()).collect()
    };
    let mut sorted = keys(&first);
    sorted.sort();
    assert_ne!(keys(&first), sorted);
    let (mut walked, mut start) = (Vec::new(), 1);
    loop {
        let page = reader.query(&body(start, &json!([{"key": "asc"}]))).await;
        walked.extend(keys(&page));
        let Some(next) = page["ia::meta"]["next"].as_u64() else { break };
        start = usize::try_from(next).unwrap();
    }
    assert_eq!((walked.len(), walked.iter().collect::<BTreeSet<_>>().len()), (total, total));
    assert!(walked.is_sorted());
    let usual = reader.query(&json!({"object": "projects/task", "fields": ["key"]})).await;
    assert_eq!(usual["ia::meta"]["pageSize"], 100);
}

#[tokio::test]
async fn what_cannot_be_asked_is_an_error_inside_the_result() {
    let refused = vec![("accounts-payable/bill".to_owned(), "description".to_owned())];
    let reader = Reader::new(IntacctOptions { refused, ..IntacctOptions::default() }).await;
    for (fields, field) in [(json!(["key", "nonsense"]), "nonsense"), (json!(["key", "description"]), "description")] {
        let reply = reader.ask(&json!({"object": "accounts-payable/bill", "fields": fields})).await;
        assert_eq!(reply.status(), 400);
        let body: Value = reply.json().await.unwrap();
        let error = &body["ia::result"]["ia::error"];
        assert_eq!(
            (&error["errorId"], &error["additionalInfo"]["placeholders"]["FIELD"]),
            (&json!("REST-1106"), &json!(field))
        );
        assert_eq!(body["ia::meta"]["totalError"], 1);
    }
    let bad = [
        json!({"object": "accounts-payable/bill", "fields": ["key"], "size": 4001}),
        json!({"object": "accounts-payable/bill", "fields": ["key"], "start": 0}),
        json!({"object": "accounts-payable/bill", "fields": ["*"]}),
        json!({"object": "accounts-payable/bill", "fields": ["key"], "orderBy": [{"href": "asc"}]}),
        json!({"object": "accounts-payable/bill", "fields": ["key"], "filters": [{"$like": {"state": "x"}}]}),
        json!({"object": "accounts-payable/bill", "fields": ["key"], "filters": [{"$eq": {"state": "x"}}], "filterExpression": "1 and 2"}),
    ];
    for body in bad {
        assert_eq!(reader.ask(&body).await.status(), 400, "{body}");
    }
    assert_eq!(reader.ask(&json!({"object": "nothing/here", "fields": ["key"]})).await.status(), 404);
    let plain = Reader::new(IntacctOptions { has_plain_errors: true, ..IntacctOptions::default() }).await;
    let body: Value = plain.ask(&json!({"object": "projects/task", "fields": ["x"]})).await.json().await.unwrap();
    assert_eq!(body["ia::error"]["errorId"], "REST-1106");
}

#[tokio::test]
async fn filters_are_joined_by_their_numbers() {
    let reader = Reader::new(IntacctOptions::default()).await;
    let count = |filters: Value, expression: &'static str| {
        let body = json!({
            "object": "accounts-payable/bill", "fields": ["key", "state"], "filters": filters,
            "filterExpression": expression, "size": 4000, "orderBy": [{"key": "asc"}],
        });
        let reader = &reader;
        async move { reader.query(&body).await["ia::meta"]["totalCount"].as_u64().unwrap() }
    };
    let all = count(json!([]), "").await;
    let paid = count(json!([{"$eq": {"state": "paid"}}]), "").await;
    let unpaid = count(json!([{"$notIn": {"state": ["paid"]}}]), "").await;
    assert!(paid > 0 && unpaid > 0 && paid + unpaid == all);
    let late = json!([{"$eq": {"state": "paid"}}, {"$gte": {"audit.createdDateTime": "2026-05-01T00:00:00Z"}}, {"$lt": {"createdDate": "2026-03-01"}}]);
    let [both, either, joined] = [
        count(late.clone(), "1 and 2").await,
        count(late.clone(), "2 or 3").await,
        count(late, "1 and (2 or 3)").await,
    ];
    assert!(both < joined && joined < either, "{both} {joined} {either}");
    let vendors = json!({"object": "accounts-payable/vendor", "fields": ["id", "entity.id"], "size": 4000});
    let seen = reader.query(&vendors).await["ia::meta"]["totalCount"].as_u64().unwrap();
    assert!(
        usize::try_from(seen).unwrap() < reader.simulator.firm().acumatica.vendors.len(),
        "what is an entity's own is hidden"
    );
    assert_eq!(
        reader.all("accounts-payable/vendor", &["id"]).await.len(),
        reader.simulator.firm().acumatica.vendors.len()
    );
}

#[tokio::test]
async fn a_new_token_ends_the_one_before_and_each_lives_half_a_day() {
    let mut reader = Reader::new(IntacctOptions::default()).await;
    let body = json!({"object": "projects/project", "fields": ["key"]});
    let second = reader.sign_in().await;
    let reply = reader.ask(&body).await;
    assert_eq!(reply.status(), 401);
    assert_eq!(reply.json::<Value>().await.unwrap()["error"]["errorId"], "REST-2102");
    reader.token = second;
    assert_eq!(reader.ask(&body).await.status(), 200);
    reader.simulator.clock().advance(std::time::Duration::from_secs(u64::try_from(TOKEN_SECONDS).unwrap()));
    assert_eq!(reader.ask(&body).await.status(), 401);
    let before = reader.endpoint.transactions();
    reader.token = reader.sign_in().await;
    reader.ask(&body).await;
    assert_eq!(reader.endpoint.transactions(), before + 1, "a call of records is one, a token none");
    reader.simulator.interference().burst(System::Intacct, "projects/project", Trouble::TooManyRequests, 1);
    let reply = reader.ask(&body).await;
    assert_eq!(
        (reply.status().as_u16(), reply.headers()["x-ia-throttle-limit-retryafter"].to_str().unwrap()),
        (429, "30")
    );
}

#[tokio::test]
async fn what_is_deleted_stands_in_the_audit_history_of_who_may_read_it() {
    let history = "company-config/audit-history";
    let reader = Reader::new(IntacctOptions::default()).await;
    let fields = ["changeDetails.objectName", "changeDetails.objectId", "changeSource.actionPerformed"];
    assert!(reader.all(history, &fields).await.is_empty());
    reader.all("accounts-payable/bill", &["key"]).await;
    let (vendor, bill) = {
        let mut firm = reader.simulator.firm_mut();
        let vendor = firm.acumatica.vendors.keys().next().unwrap().clone();
        let bill = firm.acumatica.bills.keys().find(|key| key.starts_with("Bill|")).unwrap().clone();
        firm.acumatica.vendors.remove(&vendor);
        firm.acumatica.bills.remove(&bill);
        (vendor, bill)
    };
    let told: BTreeMap<String, String> = reader
        .all(history, &fields)
        .await
        .iter()
        .map(|record| {
            (text(record, "changeDetails.objectName").to_owned(), text(record, "changeDetails.objectId").to_owned())
        })
        .collect();
    assert_eq!(told["vendor"], vendor);
    assert_eq!(told["apbill"].trim_end_matches("--REC"), bill.split('|').nth(1).unwrap());
    let blind = Reader::new(IntacctOptions { forbidden: vec![history.to_owned()], ..IntacctOptions::default() }).await;
    let reply = blind.ask(&json!({"object": history, "fields": fields})).await;
    assert_eq!(reply.status(), 403);
    assert!(reply.text().await.unwrap().contains("PL04000005"));
}

#[tokio::test]
async fn amounts_add_up_in_every_shape_that_a_document_has() {
    let reader = Reader::new(IntacctOptions::default()).await;
    let money = "documentTotals.txnTotals";
    let names = ["originalAmount", "postedChangesAmount", "revisedAmount"].map(|name| format!("{money}.{name}"));
    let mut fields: Vec<&str> = names.iter().map(String::as_str).collect();
    fields.extend([
        "primaryDocument.key",
        "invoiceTotals.txnTotals.totalAmountInvoiced",
        "retainageTotals.txnTotals.heldAmount",
    ]);
    let summaries = reader.all("construction/primary-document-summary", &fields).await;
    let changed = summaries.iter().filter(|one| cents(one, &names[1]) != 0).count();
    assert!(
        changed > 0
            && summaries.iter().all(|one| cents(one, &names[0]) + cents(one, &names[1]) == cents(one, &names[2]))
    );
    let fields = ["documentHeader.key", "extendedPriceInTxnCurrency", "relatedDocument.key", "dimensions.task.id"];
    let mut lines: BTreeMap<String, i64> = BTreeMap::new();
    for line in reader.all("purchasing/document-line", &fields).await {
        *lines.entry(text(&line, "documentHeader.key").to_owned()).or_default() +=
            cents(&line, "extendedPriceInTxnCurrency");
    }
    let documents =
        reader.all("purchasing/document", &["key", "total", "txnDefinition.id", "relatedDocumentNumber"]).await;
    assert!(documents.iter().any(|one| !one["relatedDocumentNumber"].is_null()));
    for one in &documents {
        assert_eq!(lines.get(text(one, "key")).copied().unwrap_or_default(), cents(one, "total"), "{one}");
    }
    let bills =
        reader.all("accounts-payable/bill", &["key", "totalTxnAmount", "retainage.totalTxnAmountRetained"]).await;
    let mut billed: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for line in
        reader.all("accounts-payable/bill-line", &["bill.key", "txnAmount", "retainage.txnAmountRetained"]).await
    {
        let of_bill = billed.entry(text(&line, "bill.key").to_owned()).or_default();
        of_bill.0 += cents(&line, "txnAmount");
        of_bill.1 +=
            line["retainage.txnAmountRetained"].as_str().map_or(0, |_| cents(&line, "retainage.txnAmountRetained"));
    }
    for bill in &bills {
        let both = (cents(bill, "totalTxnAmount"), cents(bill, "retainage.totalTxnAmountRetained"));
        assert_eq!(billed[text(bill, "key")], both, "{bill}");
    }
    let mut balance: BTreeMap<String, i64> = BTreeMap::new();
    for line in reader.all("general-ledger/journal-entry-line", &["journalEntry.key", "txnType", "txnAmount"]).await {
        let sign = if text(&line, "txnType") == "debit" { 1 } else { -1 };
        *balance.entry(text(&line, "journalEntry.key").to_owned()).or_default() += sign * cents(&line, "txnAmount");
    }
    assert!(!balance.is_empty() && balance.values().all(|rest| *rest == 0));
    let total = |name: &str| format!("billingTotals.{name}");
    let names = [
        "completedToDateAmount",
        "retainage.balanceToDateAmount",
        "retainage.totalEarnedLessAmount",
        "lessPreviousBillingAmount",
        "currentDueAmount",
    ];
    let names: Vec<String> = names.iter().map(|name| total(name)).collect();
    let summaries = reader
        .all(
            "construction/project-contract-billing-invoice-summary",
            &names.iter().map(String::as_str).collect::<Vec<_>>(),
        )
        .await;
    assert!(!summaries.is_empty());
    for one in &summaries {
        let [done, held, earned, previous, due] = [0, 1, 2, 3, 4].map(|place: usize| cents(one, &names[place]));
        assert_eq!((done - held, earned - previous), (earned, due), "{one}");
    }
}

#[tokio::test]
async fn every_object_shows_only_fields_that_it_has() {
    let reader = Reader::new(IntacctOptions::default()).await;
    let firm = reader.simulator.firm();
    let mut keys: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for object in objects::names().filter(|object| *object != super::audit::OBJECT) {
        let rows = objects::rows(&firm.acumatica, object).unwrap_or_else(|| panic!("{object} has no records"));
        for row in &rows {
            for name in row.render().keys() {
                assert!(objects::has_field(object, name), "{object} has no {name}");
            }
            assert!(keys.entry(object).or_default().insert(row.key.clone()), "{object} {} is there twice", row.key);
        }
    }
}

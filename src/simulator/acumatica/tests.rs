//! The interface as a reader meets it, over HTTP.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Client, Response};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::firm::model::{Cents, ErpCommitment, ErpCommitmentLine, ErpContact, ErpVendor, Rate};
use crate::http;

struct Reader {
    client: Client,
    base: String,
    clock: SharedClock,
    interference: Arc<Interference>,
    server: Arc<Server<Box<AcumaticaDatabase>>>,
    _shutdown: DropGuard,
}

impl Reader {
    async fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = SharedClock::new("2026-03-01T12:00:00Z".parse().unwrap());
        let interference = Arc::new(Interference::default());
        let mut settings = Settings {
            tenant: "Firm".to_owned(),
            username: "user".to_owned(),
            password: "password".to_owned(),
            client_id: "client".to_owned(),
            client_secret: "secret".to_owned(),
            max_sessions: 2,
            login_limit_status: 429,
            requests_per_minute: None,
            not_optimizable: Vec::new(),
        };
        change(&mut settings);
        let firm = Arc::new(RwLock::new(Box::new(database())));
        let server = Arc::new(Server::new(settings, clock.clone(), Arc::clone(&interference), firm));
        let shutdown = CancellationToken::new();
        let answering = Arc::clone(&server);
        let answer: http::Answer = Arc::new(move |request| answering.answer(request));
        let address = http::serve(http::any_port(), answer, clock.clone(), shutdown.clone()).await.unwrap();
        let client = Client::builder().cookie_store(true).build().unwrap();
        let base = format!("http://{address}");
        Self { client, base, clock, interference, server, _shutdown: shutdown.drop_guard() }
    }

    async fn signed_in(change: impl FnOnce(&mut Settings)) -> Self {
        let reader = Self::new(change).await;
        assert_eq!(reader.login(&reader.client, "password").await.status(), 204);
        reader
    }

    async fn login(&self, client: &Client, password: &str) -> Response {
        let body = json!({"name": "user", "password": password, "tenant": "Firm"});
        client.post(format!("{}/entity/auth/login", self.base)).json(&body).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}/entity/Default/24.200.001/{path}", self.base)).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status(), 200, "{path}");
        reply.json().await.unwrap()
    }

    async fn vendors(&self, query: &str) -> Vec<String> {
        let found = self.json(&format!("Vendor?{query}")).await;
        let id = |record: &Value| record["VendorID"]["value"].as_str().unwrap().to_owned();
        found.as_array().unwrap().iter().map(id).collect()
    }
}

fn database() -> AcumaticaDatabase {
    let mut database = AcumaticaDatabase { tenant: "Firm".to_owned(), ..Default::default() };
    for number in 0..25 {
        let one = vendor(number);
        database.vendors.insert(one.vendor_id.clone(), one);
    }
    let order = subcontract();
    database.subcontracts.insert(order.order_nbr.clone(), order.clone());
    database.purchase_orders.insert("Normal|PO000001".to_owned(), ErpCommitment { order_type: "Normal", ..order });
    database
}

fn vendor(number: i64) -> ErpVendor {
    let at = "2026-02-01T08:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(number);
    let address_line1 = Some(format!("{number} Main Street"));
    ErpVendor {
        vendor_id: format!("V{number:05}"),
        vendor_name: format!("Vendor {number}"),
        legal_name: None,
        vendor_class: "SUB",
        status: if number % 2 == 0 { "Active" } else { "Inactive" },
        account_ref: None,
        terms: "30D",
        payment_method: "CHECK",
        currency_id: "USD",
        f1099_vendor: false,
        f1099_box: None,
        tax_registration_id: None,
        main_contact: ErpContact { address_line1, ..ErpContact::default() },
        remittance_contact: ErpContact::default(),
        note_id: uuid::Uuid::new_v4().to_string(),
        created_at: at,
        last_modified_at: at,
    }
}

fn subcontract() -> ErpCommitment {
    let date = "2026-01-15".parse().unwrap();
    let at = "2026-01-15T15:30:00Z".parse().unwrap();
    let line = ErpCommitmentLine {
        line_nbr: 1,
        project: "P1".to_owned(),
        task: "01".to_owned(),
        cost_code: "03-100".to_owned(),
        account: "50000".to_owned(),
        inventory_id: None,
        line_description: "Concrete".to_owned(),
        uom: None,
        order_qty: 1,
        unit_cost: Cents(123_450),
        extended_cost: Cents(123_450),
        retainage_pct: Rate(1_000),
        retainage_amount: Cents(12_345),
        amount: Cents(123_450),
        closed: false,
        completed: false,
        canceled: false,
    };
    ErpCommitment {
        order_type: "Subcontract",
        order_nbr: "SC000001".to_owned(),
        status: "Open",
        hold: false,
        date,
        description: "Concrete".to_owned(),
        vendor_id: "V00001".to_owned(),
        vendor_ref: None,
        terms: "30D",
        currency_id: "USD",
        line_total: Cents(123_450),
        tax_total: Cents(0),
        retainage_total: Cents(12_345),
        order_total: Cents(123_450),
        apply_retainage: true,
        retainage_pct: Rate(1_000),
        details: vec![line],
        note_id: uuid::Uuid::new_v4().to_string(),
        created_at: at,
        last_modified_at: at,
    }
}

#[tokio::test]
async fn fields_are_wrapped_and_nothing_expands_unasked() {
    let reader = Reader::signed_in(|_| {}).await;
    let order = reader.json("Subcontract").await[0].clone();
    assert_eq!(order["Date"], json!({"value": "2026-01-15T00:00:00+00:00"}));
    assert_eq!(order["LastModifiedDateTime"]["value"], "2026-01-15T15:30:00+00:00");
    assert_eq!((&order["VendorRef"], &order["Printed"], &order["custom"]), (&json!({}), &json!({}), &json!({})));
    assert!(order["SubcontractTotal"]["value"].is_number() && order.get("Details").is_none());
    assert_eq!(order["rowNumber"], 1);
    let path = "Subcontract/SC000001?$expand=Details&$custom=CurrentDocument.CuryRetainageTotal,Document.Unknown";
    let [first, second] = [reader.json(path).await, reader.json(path).await];
    assert_eq!(first["id"], order["id"]);
    assert_ne!(first["Details"][0]["id"], second["Details"][0]["id"]);
    assert_eq!((&first["Details"][0]["LineNbr"], &first["Details"][0]["rowNumber"]), (&json!({"value": 1}), &json!(1)));
    let custom = &first["custom"]["CurrentDocument"]["CuryRetainageTotal"];
    assert_eq!((&custom["type"], custom["value"].to_string().as_str()), (&json!("CustomDecimalField"), "123.45"));
    let by_id = format!("Subcontract/{}", order["id"].as_str().unwrap());
    assert_eq!(reader.json(&by_id).await["SubcontractNbr"]["value"], "SC000001");
    let vendor =
        &reader.json("Vendor?$expand=MainContact,MainContact/Address&$top=1&$select=VendorID,MainContact").await[0];
    assert_eq!(vendor["MainContact"]["Address"]["AddressLine1"]["value"], "0 Main Street");
    assert!(vendor.get("VendorName").is_none());
    let vendor = &reader.json("Vendor?$expand=MainContact&$top=1").await[0];
    assert!(vendor["MainContact"].get("Address").is_none());
    let lines =
        reader.json("PurchaseOrder/Normal/PO000001?$expand=Details&$custom=Transactions.CuryRetainageAmt").await;
    assert_eq!(lines["Details"][0]["custom"]["Transactions"]["CuryRetainageAmt"]["value"].to_string(), "123.45");
}

#[tokio::test]
async fn lists_are_cut_and_filtered() {
    let reader = Reader::signed_in(|_| {}).await;
    let mut walked = Vec::new();
    for skip in (0..40).step_by(10) {
        walked.extend(reader.vendors(&format!("$top=10&$skip={skip}")).await);
    }
    assert_eq!(walked, database().vendors.into_keys().collect::<Vec<_>>());
    assert_eq!(reader.vendors("").await.len(), 25);
    let since = "$filter=LastModifiedDateTime gt datetimeoffset'2026-02-02T09:00:00%2B02:00'";
    assert_eq!(reader.vendors(since).await, ["V00024"]);
    let both = "$filter=Status eq 'Active' and (VendorID lt 'V00003' or VendorID ge 'V00023')&$skip=1&$top=1";
    assert_eq!(reader.vendors(both).await, ["V00002"]);
    let message = |reply: Value| reply["exceptionMessage"].as_str().unwrap().to_owned();
    let reply = reader.get("Vendor?$select=Nonsense").await;
    assert_eq!(reply.status(), 500);
    assert!(message(reply.json().await.unwrap()).contains("Nonsense"));
    assert_eq!(reader.get("Vendor?$filter=Status is 'x'").await.status(), 400);
    assert_eq!(reader.get("Vendor/V99999").await.status(), 404);
    assert_eq!(reader.get("Nonsense").await.status(), 404);
    let old = format!("{}/entity/Default/22.200.001/Subcontract", reader.base);
    assert_eq!(reader.client.get(old).send().await.unwrap().status(), 404);
    let endpoints: Value =
        reader.client.get(format!("{}/entity", reader.base)).send().await.unwrap().json().await.unwrap();
    assert_eq!(endpoints["endpoints"][3]["version"], "24.200.001");
}

#[tokio::test]
async fn a_record_that_comes_into_being_mid_scan_shifts_the_pages() {
    let reader = Reader::signed_in(|_| {}).await;
    reader.interference.burst(System::Acumatica, "Vendor", Trouble::MidScanInsert, 1);
    let first = reader.vendors("$top=20").await;
    let second = reader.vendors("$top=20&$skip=20").await;
    assert_eq!(
        (first.first(), first.last(), second.first()),
        (Some(&"V00001".to_owned()), second.first(), first.last())
    );
    assert_eq!(reader.vendors("$top=20").await.first(), Some(&"V00000".to_owned()));
    reader.interference.burst(System::Acumatica, "Vendor", Trouble::SilentEmpty, 1);
    assert!(reader.vendors("").await.is_empty());
    let server = &reader.server;
    server.end_sessions();
    assert_eq!(reader.get("Vendor").await.status(), 401);
}

#[tokio::test]
async fn sessions_are_scarce_until_somebody_signs_out() {
    let reader = Reader::new(|_| {}).await;
    assert_eq!(reader.get("Vendor").await.status(), 401);
    assert_eq!(reader.login(&reader.client, "wrong").await.status(), 401);
    let others: Vec<Client> = (0..3).map(|_| Client::builder().cookie_store(true).build().unwrap()).collect();
    assert_eq!(reader.login(&others[0], "password").await.status(), 204);
    assert_eq!(reader.login(&others[1], "password").await.status(), 204);
    let refused = reader.login(&others[2], "password").await;
    assert_eq!(refused.status(), 429);
    assert!(refused.text().await.unwrap().contains("API Login Limit"));
    let logout = others[0].post(format!("{}/entity/auth/logout", reader.base)).send().await.unwrap();
    assert_eq!((logout.status().as_u16(), reader.server.open_sessions()), (204, 1));
    assert_eq!(reader.login(&others[2], "password").await.status(), 204);
    reader.clock.advance(Duration::from_mins(20));
    assert_eq!(reader.server.open_sessions(), 0);
}

#[tokio::test]
async fn tokens_take_a_seat_when_used() {
    let reader = Reader::new(|settings| settings.max_sessions = 1).await;
    let ask = |password: &str, secret: &str| {
        let form = [
            ("grant_type", "password"),
            ("client_id", "client"),
            ("client_secret", secret),
            ("username", "user"),
            ("password", password),
            ("scope", "api"),
        ];
        reader.client.post(format!("{}/identity/connect/token", reader.base)).form(&form).send()
    };
    assert_eq!(ask("password", "wrong").await.unwrap().status(), 401);
    assert_eq!(ask("wrong", "secret").await.unwrap().status(), 400);
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let reply: Value = ask("password", "secret").await.unwrap().json().await.unwrap();
        assert_eq!(reply["expires_in"], 3600);
        tokens.push(reply["access_token"].as_str().unwrap().to_owned());
    }
    let url = format!("{}/entity/Default/24.200.001/Vendor", reader.base);
    let get = |token: &str| reader.client.get(&url).bearer_auth(token).send();
    assert_eq!(get(&tokens[0]).await.unwrap().status(), 200);
    assert_eq!(get(&tokens[1]).await.unwrap().status(), 429);
    reader.clock.advance(Duration::from_hours(1));
    assert_eq!(get(&tokens[0]).await.unwrap().status(), 401);
}

#[tokio::test]
async fn what_the_server_cannot_do_fails_loudly() {
    let bound = [("Subcontract", "Details"), ("Vendor", "Status")].map(|(of, field)| (of.to_owned(), field.to_owned()));
    let reader = Reader::signed_in(|settings| {
        settings.not_optimizable = bound.to_vec();
        settings.requests_per_minute = Some(5);
    })
    .await;
    let reply = reader.get("Subcontract?$expand=Details").await;
    assert_eq!(reply.status(), 500);
    let body: Value = reply.json().await.unwrap();
    assert!(body["exceptionType"].as_str().unwrap().contains("CannotOptimizeException"));
    assert_eq!(reader.get("Subcontract/SC000001?$expand=Details").await.status(), 200);
    assert_eq!(reader.get("Vendor").await.status(), 500);
    assert_eq!(reader.get("Vendor?$select=VendorID").await.status(), 200);
    assert_eq!(reader.get("Subcontract").await.status(), 200);
    assert_eq!(reader.get("Subcontract").await.status(), 429);
    reader.clock.advance(Duration::from_mins(1));
    reader.interference.burst(System::Acumatica, "Subcontract", Trouble::Forbidden, 1);
    assert_eq!(reader.get("Subcontract").await.status(), 403);
    assert_eq!(reader.get("Subcontract").await.status(), 200);
}

/// Rendered names that the contract does not have, which its shape would lose without a word.
pub(crate) fn unknown_names(database: &AcumaticaDatabase) -> BTreeSet<String> {
    fn collect(record: &Value, type_name: &str, unknown: &mut BTreeSet<String>) {
        let fields = shape::fields(type_name).unwrap_or_else(|| panic!("{type_name} is not in the schema"));
        for (name, value) in record.as_object().unwrap() {
            if name == entities::GUID || name == entities::CUSTOM {
                continue;
            }
            let Some(field) = fields.get(name) else {
                unknown.insert(format!("{type_name}.{name}"));
                continue;
            };
            match value {
                Value::Array(rows) => rows.iter().for_each(|row| collect(row, field.trim_end_matches("[]"), unknown)),
                Value::Object(_) => collect(value, field, unknown),
                _ => {}
            }
        }
    }
    let mut unknown = BTreeSet::new();
    for entity in [
        "Vendor",
        "Customer",
        "Project",
        "ProjectTask",
        "ProjectBudget",
        "CostCode",
        "AccountGroup",
        "Account",
        "Subcontract",
        "PurchaseOrder",
        "ChangeOrder",
        "Bill",
        "Check",
        "Invoice",
        "Payment",
        "ProFormaInvoice",
        "ProjectTransaction",
        "JournalTransaction",
        "FinancialPeriod",
    ] {
        let rows = entities::rows(database, entity).unwrap();
        for row in rows {
            collect(&row.render(), entity, &mut unknown);
        }
    }
    unknown
}

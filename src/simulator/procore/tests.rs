//! The interface as a reader meets it, over HTTP.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use reqwest::{Client, Response};
use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::firm::model::{
    BudgetAdjustment, BudgetChange, Cents, ChangeOrder, ChangeOrderKind, Commitment, CommitmentKind, Company,
    ContractPayment, DirectCost, DirectCostLine, ProcoreId, Project, Rate, Vendor,
};
use crate::http;

const BASE: ProcoreId = 562_949_953_421_312;
const COMPANY: ProcoreId = BASE + 1;
const PROJECT: ProcoreId = BASE + 10;
const CLOSED: ProcoreId = BASE + 11;
const CONTRACT: ProcoreId = BASE + 5_000;

struct Reader {
    client: Client,
    base: String,
    token: String,
    clock: SharedClock,
    interference: Arc<Interference>,
    _shutdown: DropGuard,
}

impl Reader {
    async fn new(database: ProcoreDatabase, limits: RateLimits) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = SharedClock::new("2026-03-01T12:00:00Z".parse().unwrap());
        let interference = Arc::new(Interference::default());
        let settings = Settings { client_id: "id".to_owned(), client_secret: "secret".to_owned(), limits };
        let firm = Arc::new(RwLock::new(Box::new(database)));
        let server = Arc::new(Server::new(settings, clock.clone(), Arc::clone(&interference), firm));
        let shutdown = CancellationToken::new();
        let answer: http::Answer = Arc::new(move |request| server.answer(request));
        let address = http::serve(http::any_port(), answer, clock.clone(), shutdown.clone()).await.unwrap();
        let (client, base) = (Client::new(), format!("http://{address}"));
        let body = json!({"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret"});
        let reply = client.post(format!("{base}/oauth/token")).json(&body).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let reply: Value = reply.json().await.unwrap();
        assert_eq!((&reply["expires_in"], &reply["token_type"]), (&json!(5400), &json!("bearer")));
        let token = reply["access_token"].as_str().unwrap().to_owned();
        Self { client, base, token, clock, interference, _shutdown: shutdown.drop_guard() }
    }

    async fn of(database: ProcoreDatabase) -> Self {
        Self::new(database, RateLimits { hour: 10_000, spike: 10_000, spike_seconds: 10 }).await
    }

    async fn get(&self, path: &str) -> Response {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let request = self.client.get(url).bearer_auth(&self.token).header("Procore-Company-Id", COMPANY);
        request.send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status(), 200, "{path}");
        reply.json().await.unwrap()
    }

    async fn ids(&self, path: &str) -> Vec<ProcoreId> {
        self.json(path).await.as_array().unwrap().iter().map(|record| record["id"].as_i64().unwrap()).collect()
    }

    /// Follows `next` to the last page.
    async fn walk(&self, path: &str) -> Vec<ProcoreId> {
        let (mut ids, mut next) = (Vec::new(), Some(path.to_owned()));
        while let Some(path) = next {
            let reply = self.get(&path).await;
            next = reply.headers().get("Link").and_then(|link| {
                let link = link.to_str().unwrap().split(", ").find(|part| part.ends_with("rel=\"next\""))?;
                Some(link[1..link.find('>').unwrap()].to_owned())
            });
            let page: Value = reply.json().await.unwrap();
            ids.extend(page.as_array().unwrap().iter().map(|record| record["id"].as_i64().unwrap()));
        }
        ids
    }
}

fn moment() -> DateTime<Utc> {
    "2026-02-01T08:00:00Z".parse().unwrap()
}

fn database() -> ProcoreDatabase {
    let mut database =
        ProcoreDatabase { company: Company { id: COMPANY, name: "Firm".to_owned() }, ..Default::default() };
    for number in 0..250 {
        let id = BASE + 1_000 + number;
        database.vendors.insert(id, vendor(id, number));
        let order = change_order(BASE + 3_000 + number, number);
        database.change_orders.insert(order.id, order);
    }
    for (id, active) in [(PROJECT, true), (CLOSED, false)] {
        database.projects.insert(id, project(id, active));
    }
    for number in 0..3 {
        let one = commitment(CONTRACT + number, number);
        database.commitments.insert(one.id, one);
    }
    let payment = payment(BASE + 7_000);
    database.contract_payments.insert(payment.id, payment);
    database
}

fn vendor(id: ProcoreId, number: i64) -> Vendor {
    Vendor {
        id,
        name: format!("Vendor {number}"),
        legal_name: None,
        trade_name: None,
        abbreviated_name: None,
        is_active: number % 50 != 0,
        synced_to_erp: number % 2 == 0,
        origin_id: (number % 2 == 0).then(|| format!("V{number:05}")),
        origin_code: None,
        tax_identifier: None,
        license_number: None,
        address: None,
        city: None,
        state_code: None,
        zip: None,
        country_code: None,
        email_address: None,
        business_phone: None,
        project_ids: vec![PROJECT],
        created_at: moment(),
        updated_at: moment() + TimeDelta::hours(number),
    }
}

fn project(id: ProcoreId, active: bool) -> Project {
    Project {
        id,
        name: format!("Project {id}"),
        project_number: Some("24-001".to_owned()),
        accounting_project_number: None,
        active,
        is_demo: false,
        is_template: false,
        stage: "Course of Construction",
        origin_id: None,
        origin_code: None,
        total_value: Cents(100_000_000),
        start_date: None,
        completion_date: None,
        address: None,
        city: None,
        state_code: None,
        zip: None,
        time_zone: "America/New_York",
        project_manager: None,
        budget_locked: true,
        created_at: moment(),
        updated_at: moment(),
    }
}

fn commitment(id: ProcoreId, number: i64) -> Commitment {
    Commitment {
        id,
        kind: if number == 1 { CommitmentKind::PurchaseOrder } else { CommitmentKind::WorkOrder },
        project_id: PROJECT,
        vendor_id: (number == 0).then_some(BASE + 1_001),
        number: format!("SC-{number}"),
        title: "Concrete".to_owned(),
        status: "Approved",
        executed: true,
        grand_total: Cents(25_000),
        approved_change_orders: Cents(0),
        pending_change_orders: Cents(0),
        draft_change_orders_amount: Cents(0),
        revised_contract: Cents(25_000),
        pending_revised_contract: Cents(25_000),
        retainage_percent: Rate(1_000),
        total_requisitions_amount: Cents(10_050),
        total_payments: Cents(0),
        percentage_paid: Rate(0),
        remaining_balance_outstanding: Cents(25_000),
        origin_id: None,
        origin_code: None,
        contract_date: None,
        execution_date: None,
        signed_contract_received_date: None,
        delivery_date: None,
        payment_terms: None,
        lines: Vec::new(),
        created_at: moment(),
        updated_at: moment(),
        deleted_at: (number == 2).then(moment),
    }
}

fn change_order(id: ProcoreId, number: i64) -> ChangeOrder {
    ChangeOrder {
        id,
        kind: ChangeOrderKind::Commitment,
        project_id: PROJECT,
        contract_id: CONTRACT,
        legacy_package_id: Some(id + 1_000),
        number: number.to_string(),
        title: "Change".to_owned(),
        status: "approved",
        executed: true,
        paid: false,
        private: true,
        grand_total: Cents(number * 100),
        schedule_impact_amount: None,
        due_date: None,
        invoiced_date: None,
        paid_date: None,
        reviewed_at: None,
        revision: 0,
        created_by: "Somebody".to_owned(),
        lines: Vec::new(),
        created_at: moment(),
        updated_at: moment(),
    }
}

fn payment(id: ProcoreId) -> ContractPayment {
    ContractPayment {
        id,
        project_id: PROJECT,
        contract_id: CONTRACT,
        requisition_id: None,
        amount: Cents(5_000),
        date: moment().date_naive(),
        check_number: "1".to_owned(),
        invoice_number: "1".to_owned(),
        payment_number: 1,
        draw_request_number: None,
        notes: None,
        status: "paid",
        origin_id: None,
        origin_code: None,
        created_at: moment(),
        updated_at: moment(),
    }
}

#[tokio::test]
async fn a_walk_over_the_pages_is_the_database() {
    let reader = Reader::of(database()).await;
    let expected = database();
    let active: Vec<_> = expected.vendors.values().filter(|vendor| vendor.is_active).map(|vendor| vendor.id).collect();
    assert_eq!(reader.walk(&format!("/rest/v1.0/vendors?company_id={COMPANY}&per_page=7")).await, active);
    let inactive = format!("/rest/v1.0/companies/{COMPANY}/vendors/inactive");
    assert_eq!(reader.walk(&inactive).await.len(), 5);
    // Paging is not declared here, and still no more than 100 come at a time.
    let orders = format!("/rest/v1.0/projects/{PROJECT}/commitment_change_orders");
    let first = reader.get(&format!("{orders}?per_page=2000")).await;
    let header = |name| first.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((header("Total"), header("Per-Page")), ("250".to_owned(), "100".to_owned()));
    assert!(header("Link").contains(&reader.base) && header("date").starts_with("Sun, 01 Mar 2026 12:00:00"));
    assert_eq!(reader.walk(&orders).await, expected.change_orders.into_keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn filters_and_shapes() {
    let reader = Reader::of(database()).await;
    let vendors = |query: &str| format!("/rest/v1.0/vendors?company_id={COMPANY}&per_page=1000&{query}");
    assert_eq!(reader.ids(&vendors("filters[origin_id]=V00002")).await, [BASE + 1_002]);
    let range = "filters%5Bupdated_at%5D=%222026-02-01T09:00:00Z...2026-02-01T10:00:00Z%22";
    assert_eq!(reader.ids(&vendors(range)).await, [BASE + 1_001, BASE + 1_002]);
    let projects = |query: &str| format!("/rest/v1.1/projects?company_id={COMPANY}{query}");
    assert_eq!(reader.ids(&projects("")).await, [PROJECT]);
    assert_eq!(reader.ids(&projects("&filters[by_status]=All")).await, [PROJECT, CLOSED]);
    let contracts = |query: &str| format!("/rest/v1.0/work_order_contracts?project_id={PROJECT}{query}");
    assert_eq!(reader.ids(&contracts("")).await, [CONTRACT]);
    assert_eq!(reader.ids(&contracts("&filters[include_deleted]=with")).await, [CONTRACT, CONTRACT + 2]);
    assert_eq!(reader.ids(&contracts("&filters[include_deleted]=only")).await, [CONTRACT + 2]);
    let contract = &reader.json(&contracts("")).await[0];
    assert_eq!((&contract["grand_total"], &contract["total_requisitions_amount"]), (&json!("250"), &json!("100.5")));
    let v2 = reader.json(&format!("/rest/v2.0/companies/{COMPANY}/projects/{PROJECT}/commitment_contracts")).await;
    assert_eq!(v2["data"][0]["id"], CONTRACT.to_string());
    assert!(v2["data"][0].get("vendor").is_some() && v2["data"][1].get("vendor").is_none());
    let show = reader.json(&format!("/rest/v1.0/work_order_contracts/{CONTRACT}?project_id={PROJECT}")).await;
    assert_eq!(show["payments_issued"][0]["amount"], "50.0");
    let payments = format!("/rest/v1.0/contract_payments?project_id={PROJECT}");
    assert_eq!(reader.ids(&format!("{payments}&contract_id={CONTRACT}")).await, [BASE + 7_000]);
    assert_eq!(reader.get(&payments).await.status(), 400);
}

#[tokio::test]
async fn costs_and_budget_changes_have_habits_of_their_own() {
    let mut database = database();
    let line = DirectCostLine {
        id: BASE + 8_001,
        position: 1,
        description: "Payroll".to_owned(),
        amount: Cents(12_345),
        cost_code_id: BASE + 1,
        cost_code: "01-500".to_owned(),
        line_item_type_id: BASE + 2,
        cost_type: "L",
        wbs_code_id: BASE + 3,
        origin_id: Some("77".to_owned()),
        created_at: moment(),
        updated_at: moment(),
    };
    let cost = DirectCost {
        id: BASE + 8_000,
        project_id: PROJECT,
        direct_cost_type: "payroll",
        status: "approved",
        amount: None,
        direct_cost_date: moment().date_naive(),
        description: "Payroll".to_owned(),
        origin_id: None,
        lines: vec![line],
        created_at: moment(),
        updated_at: moment(),
    };
    database.direct_costs.insert(cost.id, cost);
    let adjustment = |id, amount| BudgetAdjustment {
        id,
        adjustment_number: 1,
        wbs_code_id: BASE + 3,
        amount: Cents(amount),
        description: String::new(),
    };
    let change = BudgetChange {
        id: BASE + 8_100,
        project_id: PROJECT,
        number: 1,
        status: "approved",
        title: "Transfer".to_owned(),
        erp_status: "synced",
        adjustments: vec![adjustment(BASE + 8_101, -1_050), adjustment(BASE + 8_102, 1_050)],
    };
    database.budget_changes.insert(change.id, change);
    let reader = Reader::of(database).await;
    let costs = reader.json(&format!("/rest/v1.1/projects/{PROJECT}/direct_costs")).await;
    assert_eq!((&costs[0]["amount"], &costs[0]["grand_total"]), (&Value::Null, &Value::Null));
    let lines = reader.json(&format!("/rest/v1.0/projects/{PROJECT}/direct_costs/line_items")).await;
    assert_eq!((&lines[0]["amount"], &lines[0]["holder"]["id"]), (&json!("123.45"), &costs[0]["id"]));
    let changes = reader.json(&format!("/rest/v1.0/projects/{PROJECT}/budget_changes")).await;
    assert!(changes["data"][0]["amount"].is_number(), "wrapped although of version 1, and a number: {changes}");
    let path = format!("/rest/v2.0/companies/{COMPANY}/projects/{PROJECT}/budget_changes/adjustment_line_items");
    let moved = reader.json(&path).await;
    assert_eq!(moved["data"][0]["amount"].to_string(), "-10.50");
    assert_eq!(moved["data"][1]["budget_change_id"], json!((BASE + 8_100).to_string()));
    assert!(reader.json(&format!("/rest/v1.0/tax_codes?company_id={COMPANY}")).await[0]["rate1"].is_number());
    let tiers = reader.json(&format!("/rest/v1.0/potential_change_orders?project_id={PROJECT}&per_page=5")).await;
    assert_eq!((tiers.as_array().unwrap().len(), &tiers[0]["change_order_tiers"]), (5, &json!(1)));
    let requests = format!("/rest/v1.0/change_order_requests?project_id={PROJECT}");
    assert_eq!(reader.get(&requests).await.status(), 400, "the contract is required");
    assert_eq!(reader.json(&format!("{requests}&contract_id={CONTRACT}")).await, json!([]));
}

#[tokio::test]
async fn who_may_not_look_is_told() {
    let reader = Reader::of(database()).await;
    let token = |secret: &str| {
        let form = [("grant_type", "client_credentials"), ("client_id", "id"), ("client_secret", secret)];
        reader.client.post(format!("{}/oauth/token", reader.base)).form(&form).send()
    };
    assert_eq!(token("wrong").await.unwrap().status(), 401);
    assert_eq!(token("secret").await.unwrap().status(), 200);
    let url = format!("{}/rest/v1.0/vendors?company_id={COMPANY}", reader.base);
    let bad = reader.client.get(&url).bearer_auth("x").header("Procore-Company-Id", COMPANY).send().await.unwrap();
    assert_eq!(bad.status(), 401);
    assert_eq!(bad.json::<Value>().await.unwrap(), json!({"errors": "Unauthorized"}));
    let headerless = reader.client.get(&url).bearer_auth(&reader.token).send().await.unwrap();
    assert_eq!(headerless.status(), 404);
    assert_eq!(headerless.json::<Value>().await.unwrap(), json!({"message": "Item not found"}));
    let companies = reader.client.get(format!("{}/rest/v1.0/companies", reader.base)).bearer_auth(&reader.token);
    assert_eq!(companies.send().await.unwrap().status(), 200);
    assert_eq!(reader.get("/rest/v1.0/vendors?company_id=7").await.status(), 403);
    assert_eq!(reader.get("/rest/v1.1/projects/7").await.status(), 404);
    assert_eq!(reader.get("/rest/v1.0/work_order_contracts?project_id=7").await.status(), 404);
    reader.clock.advance(Duration::from_mins(90));
    assert_eq!(reader.get("/rest/v1.0/vendors").await.status(), 401);
}

#[tokio::test]
async fn the_nearer_window_shows_and_refuses() {
    let reader = Reader::new(database(), RateLimits { hour: 5, spike: 2, spike_seconds: 10 }).await;
    let limits = |reply: &Response| {
        ["X-Rate-Limit-Limit", "X-Rate-Limit-Remaining"].map(|name| reply.headers()[name].to_str().unwrap().to_owned())
    };
    assert_eq!(limits(&reader.get("/rest/v1.0/vendors").await), ["2", "1"]);
    // A refusal for want of a record costs as much as an answer.
    assert_eq!(limits(&reader.get("/rest/v1.0/vendors/7").await), ["2", "0"]);
    let refused = reader.get("/rest/v1.0/vendors").await;
    assert_eq!((refused.status().as_u16(), limits(&refused)), (429, ["2", "0"].map(str::to_owned)));
    let reset: i64 = refused.headers()["X-Rate-Limit-Reset"].to_str().unwrap().parse().unwrap();
    assert!(refused.text().await.unwrap().starts_with("You have surpassed the max number of requests for an hour."));
    reader.clock.advance_to(DateTime::from_timestamp(reset, 0).unwrap());
    assert_eq!(reader.get("/rest/v1.0/vendors").await.status(), 200);
}

#[tokio::test]
async fn interference_strikes_where_it_was_told() {
    let reader = Reader::of(database()).await;
    let orders = format!("/rest/v1.0/projects/{PROJECT}/commitment_change_orders");
    let contracts = format!("/rest/v1.0/work_order_contracts?project_id={PROJECT}");
    let project = PROJECT.to_string();
    let rule = reader.interference.procore("commitment_change_orders", &project, Trouble::SilentEmpty);
    assert_eq!(reader.json(&orders).await, json!([]));
    reader.interference.remove(rule);
    reader.interference.procore("work_order_contracts", &project, Trouble::Forbidden);
    assert_eq!(reader.get(&contracts).await.status(), 403);
    reader.interference.clear();
    reader.interference.burst(System::Procore, "*", Trouble::Unavailable { retry_after_seconds: 7 }, 1);
    let reply = reader.get(&contracts).await;
    assert_eq!((reply.status().as_u16(), &reply.headers()["Retry-After"]), (503, &"7".parse().unwrap()));
    reader.interference.burst(System::Procore, "*", Trouble::Truncated, 1);
    let reply = reader.get(&contracts).await;
    assert_eq!(reply.status(), 200);
    assert!(serde_json::from_str::<Value>(&reply.text().await.unwrap()).is_err());
    reader.interference.burst(System::Procore, "commitment_change_orders", Trouble::MidScanInsert, 1);
    let seen = reader.walk(&orders).await;
    let first = BASE + 3_000;
    assert_eq!((seen.len(), seen.contains(&first)), (250, false));
    assert_eq!(seen.iter().filter(|id| **id == first + 100).count(), 2);
    assert_eq!(reader.walk(&orders).await.len(), 250);
    assert!(reader.interference.rules().is_empty());
}

//! The interface as a reader meets it, over HTTP.

use std::collections::BTreeSet;

use reqwest::{Client, Response};
use serde_json::Value;

use super::*;
use crate::{Simulator, SimulatorOptions};

struct Reader {
    client: Client,
    simulator: Simulator,
    endpoint: CmicEndpoint,
}

impl Reader {
    async fn new(limits: CmicLimits) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = SharedClock::new("2026-03-01T00:00:00Z".parse().unwrap());
        let mut options = SimulatorOptions::new(4, clock);
        (options.firm.first_month, options.firm.months, options.firm.projects) = ((2026, 3), 3, 2);
        let simulator = Simulator::start(options).await.unwrap();
        simulator.advance_to("2026-06-01T11:00:00Z".parse().unwrap());
        let endpoint = simulator.serve_cmic(limits).await.unwrap();
        Self { client: Client::new(), simulator, endpoint }
    }

    async fn get(&self, path: &str) -> Response {
        let user = format!("{}||{}", self.endpoint.client, self.endpoint.username);
        let url = format!("{}/{}/{path}", self.endpoint.base_url, self.endpoint.environment);
        self.client.get(url).basic_auth(user, Some(&self.endpoint.password)).send().await.unwrap()
    }

    /// The items of a list, and the whole answer.
    async fn list(&self, path: &str) -> (Vec<Value>, Value) {
        let answer: Value = self.get(path).await.json().await.unwrap();
        (answer["items"].as_array().unwrap().clone(), answer)
    }
}

const UNLIMITED: CmicLimits = CmicLimits { concurrent: 100, per_second: 1_000, milliseconds: 0 };
const VOUCHERS: &str = "ap-rest-api/rest/1/apallvouchers";
const CONTRACTS: &str = "pm-rest-api/rest/1/scmast";

#[tokio::test]
async fn a_user_of_the_client_or_a_token_may_read() {
    let reader = Reader::new(UNLIMITED).await;
    assert_eq!(reader.get(VOUCHERS).await.status(), 200);
    let endpoint = &reader.endpoint;
    let url = format!("{}/{}/{VOUCHERS}", endpoint.base_url, endpoint.environment);
    let alone = reader.client.get(&url).basic_auth(&endpoint.username, Some(&endpoint.password)).send().await.unwrap();
    assert_eq!(alone.status(), 401, "the client is part of the name");
    assert_eq!(reader.client.get(&url).send().await.unwrap().status(), 401);
    let form = |scope: &str| {
        vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", endpoint.client_id.clone()),
            ("client_secret", endpoint.client_secret.clone()),
            ("scope", scope.to_owned()),
        ]
    };
    let refused = reader.client.post(&endpoint.token_url).form(&form("api://other/.default")).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    let scope = format!("api://{}/.default", endpoint.client_id);
    let given: Value =
        reader.client.post(&endpoint.token_url).form(&form(&scope)).send().await.unwrap().json().await.unwrap();
    let token = given["access_token"].as_str().unwrap();
    assert_eq!(reader.client.get(&url).bearer_auth(token).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn pages_say_whether_there_are_more_and_rows_come_in_no_order() {
    let reader = Reader::new(UNLIMITED).await;
    let (all, answer) = reader.list(&format!("{VOUCHERS}?limit=100000&totalResults=true")).await;
    assert_eq!((answer["hasMore"].clone(), answer["totalResults"].clone()), (json!(false), json!(all.len())));
    let numbers = |rows: &[Value]| rows.iter().map(|row| row["VouNum"].as_u64().unwrap()).collect::<Vec<_>>();
    assert!(!numbers(&all).is_sorted());
    let mut read = Vec::new();
    loop {
        let path = format!("{VOUCHERS}?limit=7&offset={}&orderBy=VouNum:asc&fields=VouNum,VouInvAmt", read.len());
        let (rows, answer) = reader.list(&path).await;
        assert_eq!(rows[0].as_object().unwrap().len(), 2);
        read.extend(numbers(&rows));
        if answer["hasMore"] == false {
            break;
        }
        assert_eq!(rows.len(), 7);
    }
    assert!(read.is_sorted());
    assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), numbers(&all).into_iter().collect());
}

#[tokio::test]
async fn wrong_requests_are_refused_by_name() {
    let reader = Reader::new(UNLIMITED).await;
    for path in ["ap-rest-api/rest/1/apcheques", "ap-rest-api/rest/v1/apvendor", "gl-rest-api/rest/1/glcompany"] {
        assert_eq!(reader.get(path).await.status(), 404, "{path}");
    }
    for query in [
        "fields=VouNumber",
        "orderBy=VouNumber:asc",
        "orderBy=VouNum:up",
        "finder=selectByDate;auditDate=2026-01-01T00:00:00Z",
        "limit=many",
    ] {
        assert_eq!(reader.get(&format!("{VOUCHERS}?{query}")).await.status(), 400, "{query}");
    }
    // Attributes of finders are spelled differently from resource to resource.
    let vendors = "ap-rest-api/rest/1/apvendor?finder=selectByDate;";
    assert_eq!(reader.get(&format!("{vendors}AuditDate=2026-01-01T00:00:00%2B0000")).await.status(), 400);
    assert_eq!(reader.get(&format!("{vendors}auditDate=2026-01-01T00:00:00%2B0000")).await.status(), 200);
}

#[tokio::test]
async fn a_finder_finds_what_changed_and_what_never_did() {
    let reader = Reader::new(UNLIMITED).await;
    let path = "ap-rest-api/rest/1/apvendor?limit=1000";
    let (all, _) = reader.list(path).await;
    assert!(all.iter().any(|row| row["BpvenIuUpdateDate"].is_null()), "what never changed has no date");
    let moment = |row: &Value| {
        let text = row["BpvenIuUpdateDate"].as_str().or(row["BpvenIuCreateDate"].as_str()).unwrap().to_owned();
        DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%z").unwrap()
    };
    let latest = all.iter().map(moment).max().unwrap();
    let from = latest.format("%Y-%m-%dT%H:%M:%S%%2B0000");
    let (found, _) = reader.list(&format!("{path}&finder=selectByDate;auditDate={from}")).await;
    let expected = all.iter().filter(|row| moment(row) >= latest).count();
    assert_eq!((found.len(), expected > 0), (expected, true), "the boundary is included");
}

#[tokio::test]
async fn more_than_five_at_once_and_more_than_fifteen_a_second_are_refused_at_once() {
    let reader = Reader::new(CmicLimits { concurrent: 5, per_second: 1_000, milliseconds: 400 }).await;
    let path = format!("{VOUCHERS}?limit=1");
    let all = futures(&reader, &path, 9).await;
    assert_eq!((all.iter().filter(|status| **status == 200).count(), all.len()), (5, 9), "{all:?}");
    let reader = Reader::new(CmicLimits { concurrent: 100, per_second: 15, milliseconds: 0 }).await;
    let all = futures(&reader, &path, 20).await;
    assert_eq!(all.iter().filter(|status| **status == 200).count(), 15, "{all:?}");
    reader.simulator.clock().advance(Duration::from_secs(2));
    assert_eq!(reader.get(&path).await.status(), 200);
}

/// The statuses of so many requests sent at once.
async fn futures(reader: &Reader, path: &str, count: usize) -> Vec<u16> {
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..count {
        let user = format!("{}||{}", reader.endpoint.client, reader.endpoint.username);
        let url = format!("{}/{}/{path}", reader.endpoint.base_url, reader.endpoint.environment);
        let request = reader.client.get(url).basic_auth(user, Some(&reader.endpoint.password));
        sent.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    sent.join_all().await
}

#[tokio::test]
async fn a_contract_is_its_first_row_and_its_posted_changes() {
    let reader = Reader::new(UNLIMITED).await;
    let (rows, _) = reader.list(&format!("{CONTRACTS}?limit=1000")).await;
    assert!(rows.iter().any(|row| row["ScmstCompCode"] == "ZZ"), "the demo company is among them");
    let firm = reader.simulator.firm();
    let books = &firm.acumatica;
    let cents = |row: &Value| {
        let text = row["ScmstContAmt"].to_string();
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        format!("{whole}{part:0<2}").parse::<i64>().unwrap()
    };
    let mut compared = 0;
    for order in books.subcontracts.values().chain(books.purchase_orders.values()) {
        let own = |row: &&Value| row["ScmstContCode"] == order.order_nbr.as_str() && row["ScmstCompCode"] == "001";
        let of_order: Vec<&Value> = rows.iter().filter(own).collect();
        let first = of_order.iter().filter(|row| row["ScmstChgCode"] == "000").count();
        assert_eq!(first, 1, "{}", order.order_nbr);
        let posted = of_order.iter().filter(|row| row["ScmstChgCode"] == "000" || !row["ScmstPostDate"].is_null());
        let sum: i64 = posted.map(|row| cents(row)).sum();
        let lines = order.details.iter().filter(|line| !line.canceled);
        assert_eq!(sum, lines.map(|line| line.extended_cost.0).sum::<i64>(), "{}", order.order_nbr);
        compared += of_order.len();
    }
    assert!(compared > books.subcontracts.len(), "changes are among them");
}

#[tokio::test]
async fn a_voucher_is_gross_of_what_is_held_back() {
    let reader = Reader::new(UNLIMITED).await;
    let number = reader.simulator.firm().acumatica.bills.keys().next().unwrap().rsplit('|').next().unwrap().to_owned();
    let number: u64 = number.parse().unwrap();
    let voucher: Value = reader.get(&format!("{VOUCHERS}/{number}")).await.json().await.unwrap();
    let bill = reader.simulator.firm().acumatica.bills.values().next().unwrap().clone();
    let cents = |name: &str| {
        let text = voucher[name].to_string();
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        format!("{whole}{part:0<2}").parse::<i64>().unwrap()
    };
    assert_eq!(cents("VouInvAmt") - cents("VouHldbkAmt"), bill.amount.0 - bill.tax_total.0);
    assert_eq!(cents("VouInvOutstandAmt"), bill.balance.0);
    reader.simulator.interference().burst(System::Cmic, "apallvouchers", Trouble::SilentEmpty, 1);
    assert_eq!(reader.list(VOUCHERS).await.0.len(), 0);
    assert_ne!(reader.list(VOUCHERS).await.0.len(), 0);
}

#[test]
fn names_and_passwords_are_written_in_base64() {
    for (text, written) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("a||b:c", "YXx8YjpjIA==")] {
        let text = if text.len() == 6 { format!("{text} ") } else { text.to_owned() };
        assert_eq!(base64(text.as_bytes()), written);
    }
}

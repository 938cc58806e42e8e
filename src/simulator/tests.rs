//! A whole firm read through both interfaces, compared with its databases.

use std::collections::BTreeMap;

use reqwest::Client;
use serde_json::{Value, json};

use super::*;

const MONTHS: u32 = 4;

struct Reader {
    client: Client,
    simulator: Simulator,
    token: String,
}

impl Reader {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = SharedClock::new("2024-01-01T00:00:00Z".parse().unwrap());
        let firm = FirmOptions { first_month: (2024, 1), months: MONTHS, projects: 3, ..FirmOptions::default() };
        let unlimited = RateLimits { hour: u32::MAX, spike: u32::MAX, spike_seconds: 10 };
        let licence = AcumaticaLicence { requests_per_minute: None, ..AcumaticaLicence::default() };
        let options = SimulatorOptions {
            firm,
            procore_limits: unlimited,
            acumatica_licence: licence,
            ..SimulatorOptions::new(7, clock)
        };
        let simulator = Simulator::start(options).await.unwrap();
        simulator.advance_to("2024-06-01T06:00:00Z".parse().unwrap());
        let client = Client::builder().cookie_store(true).build().unwrap();
        let endpoint = simulator.procore();
        let (id, secret) = (&endpoint.client_id, &endpoint.client_secret);
        let body = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret});
        let reply = client.post(format!("{}/oauth/token", endpoint.login_url)).json(&body).send().await.unwrap();
        let token = reply.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned();
        Self { client, simulator, token }
    }

    /// All pages of a Procore list, by the records' ids.
    async fn procore(&self, path: &str) -> BTreeMap<String, Value> {
        let endpoint = self.simulator.procore();
        let mut records = BTreeMap::new();
        for page in 1.. {
            let joint = if path.contains('?') { '&' } else { '?' };
            let url = format!("{}{path}{joint}page={page}&per_page=20", endpoint.base_url);
            let request =
                self.client.get(url).bearer_auth(&self.token).header("Procore-Company-Id", &endpoint.company_id);
            let reply = request.send().await.unwrap();
            assert_eq!(reply.status(), 200, "{path}");
            let more = reply.headers().get("Link").is_some_and(|link| link.to_str().unwrap().contains("\"next\""));
            let body: Value = reply.json().await.unwrap();
            for record in body.get("data").unwrap_or(&body).as_array().unwrap() {
                let id = record["id"].as_str().map_or_else(|| record["id"].to_string(), str::to_owned);
                assert!(records.insert(id, record.clone()).is_none(), "{path}: a record twice");
            }
            if !more {
                break;
            }
        }
        records
    }

    async fn acumatica(&self, entity: &str, query: &str) -> Vec<Value> {
        let base = self.simulator.acumatica().base_url;
        let mut records = Vec::new();
        loop {
            let skip = records.len();
            let url = format!("{base}/entity/Default/24.200.001/{entity}?$top=50&$skip={skip}{query}");
            let reply = self.client.get(url).send().await.unwrap();
            assert_eq!(reply.status(), 200, "{entity}");
            let page: Vec<Value> = reply.json().await.unwrap();
            if page.is_empty() {
                return records;
            }
            records.extend(page);
        }
    }
}

#[tokio::test]
async fn procore_shows_what_the_firm_stores() {
    let reader = Reader::new().await;
    let database = reader.simulator.firm().procore.clone();
    let company = database.company.id;
    assert!(database.requisitions.len() > 10 && database.change_orders.len() > 3);
    let projects = reader.procore(&format!("/rest/v1.1/projects?company_id={company}&filters[by_status]=All")).await;
    assert_eq!(projects.len(), database.projects.len());
    let active = reader.procore(&format!("/rest/v1.0/vendors?company_id={company}")).await;
    let inactive = reader.procore(&format!("/rest/v1.0/companies/{company}/vendors/inactive")).await;
    assert_eq!(active.len() + inactive.len(), database.vendors.len());
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for project in database.projects.keys() {
        for (table, path) in [
            ("cost_codes", format!("/rest/v1.0/cost_codes?project_id={project}")),
            (
                "commitments",
                format!("/rest/v1.0/work_order_contracts?project_id={project}&filters[include_deleted]=with"),
            ),
            (
                "commitments",
                format!("/rest/v1.0/purchase_order_contracts?project_id={project}&filters[include_deleted]=with"),
            ),
            ("prime_contracts", format!("/rest/v1.0/prime_contracts?project_id={project}")),
            ("change_orders", format!("/rest/v1.0/projects/{project}/commitment_change_orders")),
            ("change_orders", format!("/rest/v1.0/projects/{project}/prime_change_orders")),
            (
                "packages",
                format!("/rest/v1.0/change_order_packages?project_id={project}&filters[include_deleted]=with"),
            ),
            ("requisitions", format!("/rest/v1.1/requisitions?project_id={project}&view=extended")),
            ("payment_applications", format!("/rest/v1.0/payment_applications?project_id={project}")),
            ("billing_periods", format!("/rest/v1.0/projects/{project}/billing_periods")),
        ] {
            *found.entry(table).or_default() += reader.procore(&path).await.len();
        }
        let views = reader.procore(&format!("/rest/v1.0/budget_views?project_id={project}")).await;
        for view in views.keys() {
            let rows =
                reader.procore(&format!("/rest/v1.0/budget_views/{view}/detail_rows?project_id={project}")).await;
            *found.entry("budget_lines").or_default() += rows.len();
        }
    }
    let contracts = database.commitments.values().map(|one| (one.id, one.project_id));
    let primes = database.prime_contracts.values().map(|one| (one.id, one.project_id));
    for (contract, project) in contracts.chain(primes) {
        let path = format!("/rest/v1.0/contract_payments?project_id={project}&contract_id={contract}");
        *found.entry("contract_payments").or_default() += reader.procore(&path).await.len();
    }
    let expected = [
        ("billing_periods", database.billing_periods.len()),
        ("budget_lines", database.budget_lines.len()),
        ("change_orders", database.change_orders.len()),
        ("commitments", database.commitments.len()),
        ("contract_payments", database.contract_payments.len()),
        ("cost_codes", database.cost_codes.values().filter(|code| code.deleted_at.is_none()).count()),
        ("packages", database.change_order_packages.len()),
        ("payment_applications", database.payment_applications.len()),
        ("prime_contracts", database.prime_contracts.values().filter(|one| one.deleted_at.is_none()).count()),
        ("requisitions", database.requisitions.values().filter(|one| one.deleted_at.is_none()).count()),
    ];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn acumatica_shows_what_the_firm_stores() {
    let reader = Reader::new().await;
    let endpoint = reader.simulator.acumatica();
    let body = json!({"name": endpoint.username, "password": endpoint.password, "tenant": endpoint.tenant});
    let login = format!("{}/entity/auth/login", endpoint.base_url);
    assert_eq!(reader.client.post(login).json(&body).send().await.unwrap().status(), 204);
    let database = reader.simulator.firm().acumatica.clone();
    for (entity, expand, expected) in [
        ("Vendor", "MainContact,MainContact/Address,RemittanceContact", database.vendors.len()),
        ("Customer", "MainContact", database.customers.len()),
        ("Project", "ProjectProperties,Retainage", database.projects.len()),
        ("ProjectTask", "", database.project_tasks.len()),
        ("ProjectBudget", "", database.project_budgets.len()),
        ("CostCode", "", database.cost_codes.len()),
        ("AccountGroup", "", database.account_groups.len()),
        ("Account", "", database.accounts.len()),
        ("Subcontract", "Details", database.subcontracts.len()),
        ("PurchaseOrder", "Details", database.purchase_orders.len()),
        ("ChangeOrder", "Commitments,CostBudget,RevenueBudget", database.change_orders.len()),
        ("Bill", "Details,Applications", database.bills.len()),
        ("Check", "History", database.checks.len()),
        ("Invoice", "Details,ApplicationsDefault", database.invoices.len()),
        ("Payment", "ApplicationHistory", database.payments.len()),
        ("ProFormaInvoice", "ProgressBilling,FinancialDetails", database.pro_formas.len()),
        ("ProjectTransaction", "Details", database.project_transactions.len()),
        ("JournalTransaction", "Details", database.journal_transactions.len()),
    ] {
        let records = reader.acumatica(entity, &format!("&$expand={expand}")).await;
        assert_eq!(records.len(), expected, "{entity}");
    }
    let bills = reader.acumatica("Bill", "&$filter=Balance gt 0&$custom=CurrentDocument.CuryRetainageTotal").await;
    assert_eq!(bills.len(), database.bills.values().filter(|bill| bill.balance.0 > 0).count());
    assert!(bills.iter().all(|bill| bill["custom"]["CurrentDocument"]["CuryRetainageTotal"]["value"].is_number()));
    assert_eq!(reader.simulator.acumatica_sessions(), 1);
    let records = acumatica::unknown_names(&database);
    assert!(records.is_empty(), "not in the contract: {records:?}");
}

#[tokio::test]
async fn only_advancing_makes_the_firm_live_on() {
    let reader = Reader::new().await;
    let before = reader.simulator.firm().procore.clone();
    let clock = reader.simulator.clock();
    clock.advance(std::time::Duration::from_hours(24));
    assert!(before == reader.simulator.firm().procore);
    reader.simulator.advance_to("2024-07-01T06:00:00Z".parse().unwrap());
    assert!(before != reader.simulator.firm().procore);
    assert!(clock.now() >= reader.simulator.firm().now());
    reader.simulator.sign_everybody_out();
    let url = format!("{}/rest/v1.0/companies", reader.simulator.procore().base_url);
    assert_eq!(reader.client.get(url).bearer_auth(&reader.token).send().await.unwrap().status(), 401);
}

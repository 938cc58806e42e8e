//! The interface as a reader meets it, over HTTP, and a whole firm read through it, compared with its database.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Client, Response};
use serde_json::Value;

use super::*;
use crate::firm::model::{ChangeOrderKind, Rate};
use crate::{
    FirmOptions, ProjectSightEndpoint, ProjectSightKind as Kind, SharedClock, Simulator, SimulatorOptions,
    WorkflowStates,
};

struct Reader {
    client: Client,
    simulator: Simulator,
    at: ProjectSightEndpoint,
    token: String,
}

impl Reader {
    async fn new(options: ProjectSightOptions) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = SharedClock::new("2024-01-01T00:00:00Z".parse().unwrap());
        let firm = FirmOptions { first_month: (2024, 1), months: 4, projects: 3, ..FirmOptions::default() };
        let simulator = Simulator::start(SimulatorOptions { firm, ..SimulatorOptions::new(7, clock) }).await.unwrap();
        simulator.advance_to("2024-06-01T06:00:00Z".parse().unwrap());
        let at = simulator.serve_projectsight(options).await.unwrap();
        let client = Client::new();
        let reply = sign_in(&client, &at, &at.scope, "client_credentials").await;
        assert_eq!(reply.status(), 200);
        let reply: Value = reply.json().await.unwrap();
        assert_eq!((&reply["expires_in"], &reply["token_type"]), (&json!(3600), &json!("bearer")));
        let token = reply["access_token"].as_str().unwrap().to_owned();
        Self { client, simulator, at, token }
    }

    async fn unlimited() -> Self {
        Self::new(ProjectSightOptions { requests_per_minute: None, ..ProjectSightOptions::default() }).await
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.at.base_url)).bearer_auth(&self.token).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status(), 200, "{path}");
        reply.json().await.unwrap()
    }

    /// All pages of a list of the portfolio.
    async fn list(&self, path: &str) -> Vec<Value> {
        let mut records = Vec::new();
        loop {
            let url = format!("/{}/{path}?offset={}&limit=500", self.at.portfolio_guid, records.len());
            let page = self.json(&url).await;
            let page = page.as_array().unwrap();
            if page.is_empty() {
                return records;
            }
            assert!(page.len() <= 50, "{path}: more than the server gives");
            records.extend(page.iter().cloned());
        }
    }

    async fn projects(&self) -> Vec<Value> {
        self.json(&format!("/{}/projects", self.at.portfolio_guid)).await.as_array().unwrap().clone()
    }

    /// A list of every project, with the ids of `field`, none twice in a project.
    async fn all(&self, entity: &str, field: &str) -> BTreeMap<i64, Value> {
        let mut all = BTreeMap::new();
        for project in self.projects().await {
            for record in self.list(&format!("{}/{entity}", project["ProjectID"])).await {
                assert_eq!(record["ProjectID"], project["ProjectID"]);
                assert!(record["LastModified"].is_string() && record["GUID"].is_string(), "{record}");
                let id = record[field].as_i64().unwrap();
                assert!(all.insert(id, record).is_none(), "{entity}: {id} twice");
            }
        }
        all
    }
}

async fn sign_in(client: &Client, at: &ProjectSightEndpoint, scope: &str, grant: &str) -> Response {
    let form = [("grant_type", grant), ("scope", scope)];
    let request =
        client.post(format!("{}/oauth/token", at.login_url)).basic_auth(&at.client_id, Some(&at.client_secret));
    request.form(&form).send().await.unwrap()
}

#[tokio::test]
async fn a_token_needs_the_header_the_grant_and_the_scope() {
    let reader = Reader::unlimited().await;
    let (client, at) = (&reader.client, &reader.at);
    assert_eq!(sign_in(client, at, "AnotherApplication", "client_credentials").await.status(), 400);
    assert_eq!(sign_in(client, at, &at.scope, "password").await.status(), 400);
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", at.scope.as_str()),
        ("client_id", at.client_id.as_str()),
        ("client_secret", at.client_secret.as_str()),
    ];
    let reply = client.post(format!("{}/oauth/token", at.login_url)).form(&form).send().await.unwrap();
    assert_eq!(reply.status(), 401, "credentials belong in the header");
    let reply = client.get(format!("{}/portfolios", at.base_url)).send().await.unwrap();
    assert_eq!(reply.status(), 401);
}

#[tokio::test]
async fn a_request_too_many_says_when_to_come_again() {
    let options = ProjectSightOptions { requests_per_minute: Some(2), ..ProjectSightOptions::default() };
    let reader = Reader::new(options).await;
    let statuses =
        [reader.get("/portfolios").await, reader.get("/portfolios").await].map(|reply| reply.status().as_u16());
    assert_eq!(statuses, [200, 200]);
    let refused = reader.get("/portfolios").await;
    assert_eq!(refused.status(), 429);
    let seconds: i64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let clock = reader.simulator.clock();
    clock.advance_to(clock.now() + TimeDelta::seconds(seconds));
    assert_eq!(reader.get("/portfolios").await.status(), 200);
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let reader = Reader::unlimited().await;
    let guid = &reader.at.portfolio_guid;
    let project = &reader.projects().await[0]["ProjectID"];
    for (path, status) in [
        ("/00000000-0000-0000-0000-000000000000/projects".to_owned(), 404),
        (format!("/{guid}/999/contracts"), 404),
        (format!("/{guid}/{project}/contracts/999"), 404),
        (format!("/{guid}/{project}/nothing"), 404),
        (format!("/{guid}/{project}/contracts?offset=-1"), 400),
        (format!("/{guid}/{project}/CONTRACTS"), 200),
    ] {
        assert_eq!(reader.get(&path).await.status(), status, "{path}");
    }
    let interference = reader.simulator.interference();
    interference.burst(System::ProjectSight, "contracts", Trouble::Forbidden, 1);
    assert_eq!(reader.get(&format!("/{guid}/{project}/contracts")).await.status(), 403);
}

#[tokio::test]
async fn the_firm_is_there_record_for_record() {
    let reader = Reader::unlimited().await;
    let pm = reader.simulator.firm().procore.clone();
    let jobs: BTreeSet<i64> = pm.projects.values().filter(|one| !one.is_demo).map(|one| one.id).collect();
    assert_eq!(reader.projects().await.len(), jobs.len());
    let of_jobs = |project: i64| jobs.contains(&project);

    let contracts = reader.all("contracts", "ContractID").await;
    let is_commit = |record: &&Value| record["IsCommit"] == Value::Bool(true);
    let commitments = pm.commitments.values().filter(|one| of_jobs(one.project_id)).count();
    assert!(commitments > 10);
    assert_eq!(contracts.values().filter(is_commit).count(), commitments);
    assert_eq!(contracts.len() - commitments, pm.prime_contracts.len());
    for one in pm.commitments.values().filter(|one| of_jobs(one.project_id)) {
        let id = i64::from(reader.simulator.projectsight_ids().id(Kind::Contract, one.id));
        let record = &contracts[&id];
        assert_eq!((&record["ContractNumber"], &record["ERPCode"]), (&json!(one.number), &json!(one.origin_code)));
        assert_eq!(record["Deleted"], json!(one.deleted_at.is_some()));
        let revised: f64 = record["RevisedValue"].to_string().parse().unwrap();
        assert_eq!(format!("{revised:.2}"), one.revised_contract.to_string());
    }
    let of_kind = |kind| pm.change_orders.values().filter(move |one| one.kind == kind).count();
    let subcontract = reader.all("SubContractCOs", "ChangeOrderID").await;
    let prime = reader.all("primeContractCOs", "ChangeOrderID").await;
    assert_eq!(subcontract.len(), of_kind(ChangeOrderKind::Commitment));
    assert_eq!(prime.len(), of_kind(ChangeOrderKind::Prime));
    assert!(subcontract.contains_key(&1) && prime.contains_key(&1), "each kind counts for itself");
    assert_eq!(reader.all("PotentialCOs", "PCOID").await.len(), pm.change_orders.len());
    assert_eq!(reader.all("applicationsForPayment", "ApplicationForPayID").await.len(), pm.payment_applications.len());
    let invoices = reader.all("contractInvoices", "ContractInvoiceID").await;
    assert_eq!(invoices.len(), pm.requisitions.len());
    for one in pm.requisitions.values() {
        let record = &invoices[&i64::from(reader.simulator.projectsight_ids().id(Kind::ContractInvoice, one.id))];
        let items = record["ContractInvoiceItems"].as_array().unwrap();
        let value = |item: &Value, name: &str| item[name].to_string().parse::<f64>().unwrap();
        let gross: f64 = items
            .iter()
            .map(|item| {
                value(item, "WorkThisInvoiceValue")
                    + value(item, "MatInstallThisInvoiceValue")
                    + value(item, "StoredMaterialValue")
                    - value(item, "PrevStoredMaterialValue")
            })
            .sum();
        assert_eq!(format!("{gross:.2}"), one.total_claimed_amount.to_string());
    }
    let costs = reader.all("jobCosts", "JobCostID").await;
    assert_eq!(costs.len(), pm.direct_costs.values().filter(|one| one.status == "approved").count());
    let companies = reader.list("Companies").await;
    assert_eq!(companies.len(), pm.vendors.len() + 1);
}

#[tokio::test]
async fn each_budget_code_has_one_row_and_its_segments() {
    let reader = Reader::unlimited().await;
    let budgets = reader.all("budgets", "BdgtCodeID").await;
    let codes: BTreeSet<String> =
        budgets.values().map(|row| format!("{}/{}", row["ProjectID"], row["BdgtCode"])).collect();
    assert_eq!(codes.len(), budgets.len());
    for row in budgets.values() {
        let segments: Vec<&str> = ["Group1", "Group2", "Group3"].iter().filter_map(|name| row[name].as_str()).collect();
        let code = row["BdgtCode"].as_str().unwrap();
        assert_eq!(code.replace('.', "-"), segments.join("-"));
    }
    let used = reader.all("contractInvoices", "ContractInvoiceID").await;
    for item in used.values().flat_map(|one| one["ContractInvoiceItems"].as_array().unwrap()) {
        assert_eq!(budgets[&item["BdgtCodeID"].as_i64().unwrap()]["BdgtCode"], item["BdgtCode"]);
    }
}

#[tokio::test]
async fn what_is_bought_without_retainage_is_a_purchase_order() {
    let reader = Reader::unlimited().await;
    let bought = {
        let mut firm = reader.simulator.firm_mut();
        let billed: BTreeSet<i64> = firm.procore.requisitions.values().map(|one| one.commitment_id).collect();
        let mut orders = firm.procore.commitments.values_mut();
        let order = orders
            .find(|one| one.kind == crate::firm::model::CommitmentKind::PurchaseOrder && billed.contains(&one.id));
        let order = order.unwrap();
        order.retainage_percent = Rate(0);
        order.clone()
    };
    let orders = reader.all("purchaseOrders", "POID").await;
    let order = orders.values().next().unwrap();
    assert_eq!((orders.len(), &order["PONumber"]), (1, &json!(bought.number)));
    let invoices = reader.all("generalInvoices", "GenInvID").await;
    assert!(!invoices.is_empty() && invoices.values().all(|one| one["POID"] == order["POID"]));
    let contracts = reader.all("contracts", "ContractID").await;
    assert!(contracts.values().all(|one| one["ContractNumber"] != json!(bought.number)));
}

#[tokio::test]
async fn the_firm_names_its_states_itself() {
    let states = WorkflowStates::default().calling("approved", "Released to Field");
    let options = ProjectSightOptions { requests_per_minute: None, states, ..ProjectSightOptions::default() };
    let reader = Reader::new(options).await;
    let contracts = reader.all("contracts", "ContractID").await;
    let released = |record: &&Value| record["WorkflowStateName"] == json!("Released to Field");
    let released: Vec<&Value> = contracts.values().filter(released).collect();
    assert!(!released.is_empty());
    assert!(released.iter().all(|record| record["IsApprovedForBudget"] == Value::Bool(true)));
    assert!(contracts.values().all(|record| record["WorkflowStateName"] != json!("Approved")));
}

#[tokio::test]
async fn the_mirrors_link_to_the_erp() {
    let reader = Reader::unlimited().await;
    let account = reader.json("/portfolios").await[0]["AccountID"].clone();
    let mirror = reader.json(&format!("/accounts/{account}/erpProjects")).await;
    let codes: BTreeMap<i64, Value> =
        mirror.as_array().unwrap().iter().map(|one| (one["Id"].as_i64().unwrap(), one["ErpCode"].clone())).collect();
    let pm = reader.simulator.firm().procore.clone();
    for project in reader.projects().await {
        let own = pm.projects.values().find(|one| one.project_number.as_deref() == project["Number"].as_str()).unwrap();
        let code = project["ERPProjectId"].as_i64().map(|id| codes[&id].clone());
        assert_eq!(code, own.origin_id.as_ref().map(|key| json!(key)));
    }
    let parties = reader.json(&format!("/accounts/{account}/erpCustomersAndVendors")).await;
    let erp = &reader.simulator.firm().acumatica.clone();
    assert_eq!(parties.as_array().unwrap().len(), erp.vendors.len() + erp.customers.len());
    assert_eq!(reader.get("/accounts/0/erpProjects").await.status(), 404);
}

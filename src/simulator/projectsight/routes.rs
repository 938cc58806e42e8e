//! Which path is which table. Paths are told without regard to capitals, as its framework does.

use serde_json::{Value, json};

use super::render::{Look, billing, budget, changes, contracts, costs, directory, erp};

/// What a table answers before pages.
#[derive(Debug)]
pub(super) enum Found {
    /// A list that has pages.
    Records(Vec<Value>),
    /// A list that knows no pages: offset and limit mean nothing there.
    Whole(Vec<Value>),
    /// One record.
    One(Value),
    /// 404.
    Missing,
}

type List = fn(&Look<'_>, i64) -> Vec<Value>;

/// A path understood.
pub(super) struct Route {
    /// The table, as interference rules name it.
    pub(super) table: &'static str,
    /// The project of the path.
    pub(super) project: Option<String>,
    kind: Kind,
}

enum Kind {
    Portfolios,
    Portfolio(String),
    Mirror(String, fn(&Look<'_>) -> Vec<Value>),
    OfPortfolio(String, List, bool, Option<String>),
    OfProject(String, List, Option<String>),
    Structure(String),
}

impl Route {
    /// The route of a path below the interface's folder; `None` when the path is wrong.
    pub(super) fn of(path: &[&str]) -> Option<Self> {
        let lower: Vec<String> = path.iter().map(|part| part.to_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let plain = |table, kind| Some(Self { table, project: None, kind });
        match lower.as_slice() {
            ["portfolios"] => plain("portfolios", Kind::Portfolios),
            ["portfolios", guid] => plain("portfolios/show", Kind::Portfolio((*guid).to_owned())),
            ["accounts", account, mirror] => {
                let (table, list): (_, fn(&Look<'_>) -> Vec<Value>) = match *mirror {
                    "erpcompanies" => ("erpCompanies", erp::companies),
                    "erpprojects" => ("erpProjects", erp::projects),
                    "erpcustomersandvendors" => ("erpCustomersAndVendors", erp::customers_and_vendors),
                    _ => return None,
                };
                plain(table, Kind::Mirror((*account).to_owned(), list))
            }
            [guid, "projects", rest @ ..] if rest.len() < 2 => {
                let kind = Kind::OfPortfolio((*guid).to_owned(), directory::projects, false, one(rest));
                plain("projects", kind)
            }
            [guid, "companies", rest @ ..] if rest.len() < 2 => {
                let kind = Kind::OfPortfolio((*guid).to_owned(), directory::companies, true, one(rest));
                plain("Companies", kind)
            }
            [guid, project, "budgetcodestructure"] => Some(Self {
                table: "budgetcodestructure",
                project: Some((*project).to_owned()),
                kind: Kind::Structure((*guid).to_owned()),
            }),
            [guid, project, entity, rest @ ..] if rest.len() < 2 => {
                let (table, list) = entity_list(entity)?;
                let kind = Kind::OfProject((*guid).to_owned(), list, one(rest));
                Some(Self { table, project: Some((*project).to_owned()), kind })
            }
            _ => None,
        }
    }

    /// What the table answers.
    pub(super) fn fetch(&self, look: &Look<'_>) -> Found {
        match &self.kind {
            Kind::Portfolios => Found::Whole(vec![directory::portfolio(look)]),
            Kind::Portfolio(guid) if *guid == look.portfolio() => Found::One(directory::portfolio(look)),
            Kind::Mirror(account, list) if *account == look.account().to_string() => Found::Whole(list(look)),
            Kind::OfPortfolio(guid, list, is_paged, wanted) if *guid == look.portfolio() => match (wanted, is_paged) {
                (Some(id), _) => show(list(look, 0), id),
                (None, true) => Found::Records(list(look, 0)),
                (None, false) => Found::Whole(list(look, 0)),
            },
            Kind::OfProject(guid, list, wanted) if *guid == look.portfolio() => {
                let Some(project) = self.project.as_deref().and_then(|id| look.project_of(id)) else {
                    return Found::Missing;
                };
                match wanted.as_deref() {
                    Some("workflowstates") => Found::Whole(states(list(look, project))),
                    Some(id) => show(list(look, project), id),
                    None => Found::Records(list(look, project)),
                }
            }
            Kind::Structure(guid) if *guid == look.portfolio() => {
                let project = self.project.as_deref().and_then(|id| look.project_of(id));
                project.map_or(Found::Missing, |project| Found::Whole(budget::structure(look, project)))
            }
            _ => Found::Missing,
        }
    }
}

fn one(rest: &[&str]) -> Option<String> {
    rest.first().map(|id| (*id).to_owned())
}

/// The states that records are in, by the two fields of theirs that name them.
fn states(records: Vec<Value>) -> Vec<Value> {
    let mut states = Vec::new();
    for record in records {
        let state = json!({
            "WorkflowState": record.get("WorkflowState"), "WorkflowStateName": record.get("WorkflowStateName"),
        });
        if !states.contains(&state) {
            states.push(state);
        }
    }
    states
}

/// The record whose own id, the first of its fields that ends in `ID`, is `id`.
fn show(records: Vec<Value>, id: &str) -> Found {
    let own = |record: &Value| {
        let fields = record.as_object()?;
        fields.iter().find(|(name, _)| name.ends_with("ID")).map(|(_, value)| value.to_string())
    };
    records.into_iter().find(|record| own(record).as_deref() == Some(id)).map_or(Found::Missing, Found::One)
}

fn entity_list(entity: &str) -> Option<(&'static str, List)> {
    let found: (&'static str, List) = match entity {
        "budgets" => ("budgets", budget::budgets),
        "contracts" => ("contracts", contracts::contracts),
        "purchaseorders" => ("purchaseOrders", contracts::purchase_orders),
        "potentialcos" => ("PotentialCOs", changes::potential),
        "changeorderrequests" => ("changeOrderRequests", changes::requests),
        "primecontractcos" => ("primeContractCOs", changes::prime),
        "subcontractcos" => ("SubContractCOs", changes::subcontract),
        "contractinvoices" => ("contractInvoices", billing::contract_invoices),
        "generalinvoices" => ("generalInvoices", billing::general_invoices),
        "applicationsforpayment" => ("applicationsForPayment", billing::applications),
        "jobcosts" => ("jobCosts", costs::job_costs),
        _ => return None,
    };
    Some(found)
}

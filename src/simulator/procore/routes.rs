//! Which path is which table, and what each list understands.

use serde_json::{Value, json};

use super::lists::ListRules;
use super::render::{billing, budget, changes, codes, contracts, costs, directory, tiers};
use crate::firm::model::{ChangeOrderKind, CommitmentKind, ProcoreDatabase, ProcoreId};
use crate::http::Request;

/// What a request is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// `v1.0`, `v1.1`, `v2.0`.
    pub(super) version: String,
    pub(super) company: Option<String>,
    pub(super) project: Option<ProcoreId>,
    /// The record named in the path; `Some(0)`, which no record has, when it is no number.
    pub(super) id: Option<ProcoreId>,
    /// `contract_id` of the query.
    pub(super) contract: Option<ProcoreId>,
    pub(super) view: Option<String>,
    pub(super) by_status: Option<String>,
}

/// What a table answers before filters and pages.
#[derive(Debug)]
pub(super) enum Found {
    Records(Vec<Value>),
    One(Value),
    /// The soft 404.
    Missing,
    /// 400: a parameter is missing.
    Bad(&'static str),
}

type Fetch = fn(&ProcoreDatabase, &Scope) -> Found;

/// A path understood.
pub(super) struct Route {
    pub(super) table: &'static str,
    pub(super) rules: ListRules,
    pub(super) scope: Scope,
    pub(super) needs_company: bool,
    needs_project: bool,
    fetch: Fetch,
}

const PLAIN: ListRules = ListRules::PLAIN;
const CONTRACTS: ListRules = PLAIN.updated_at().deleted().origin_id().status();
const CHANGE_ORDERS: ListRules = ListRules::UNDECLARED.updated_at().status();
const REQUISITIONS: ListRules = PLAIN.paged(30, 1_000).updated_at().origin_id().status();
const V2: ListRules = PLAIN.paged(10, 100);

impl Route {
    /// The route of a path; `None` when the path is wrong.
    pub(super) fn of(segments: &[&str], request: &Request) -> Option<Self> {
        if request.method != axum::http::Method::GET {
            return None;
        }
        let (version, path) = match segments {
            ["rest", version @ ("v1.0" | "v1.1" | "v2.0"), path @ ..] => (*version, path),
            _ => return None,
        };
        let number = |name| request.query(name).and_then(|text| text.parse().ok());
        let text = |name| request.query(name).map(str::to_owned);
        let mut scope = Scope {
            version: version.to_owned(),
            company: text("company_id"),
            project: number("project_id"),
            id: None,
            contract: number("contract_id"),
            view: text("view").or_else(|| text("serializer_view")),
            by_status: text("filters[by_status]"),
        };
        let id = |text: &str| Some(text.parse().unwrap_or(0));
        let path = match path {
            ["companies", company, rest @ ..] if !rest.is_empty() => {
                scope.company = Some((*company).to_owned());
                rest
            }
            path => path,
        };
        let path = match path {
            ["projects", project, rest @ ..] if !rest.is_empty() => {
                scope.project = id(project);
                rest
            }
            path => path,
        };
        let in_company_path = scope.company.is_some() && segments.get(2) == Some(&"companies");
        let (needs_project, (table, rules, fetch)) = match company_table(version, path, in_company_path) {
            Some(found) => (false, found),
            None => (true, project_table(version, path)?),
        };
        scope.id = match path {
            ["vendors", "inactive"] | ["budget_views", _, "budget_detail_columns"] => None,
            ["budget_views" | "prime_contracts", parent, _] => id(parent),
            [_, one] | [_, one, _] => id(one),
            _ => None,
        };
        Some(Self { table, rules, needs_company: !matches!(table, "companies" | "me"), needs_project, scope, fetch })
    }

    /// What the table answers.
    pub(super) fn fetch(&self, database: &ProcoreDatabase) -> Found {
        if self.needs_project {
            match self.scope.project {
                None => return Found::Bad("project_id is required"),
                Some(project) if !database.projects.contains_key(&project) => return Found::Missing,
                Some(_) => {}
            }
        }
        (self.fetch)(database, &self.scope)
    }

    /// A v2 answer lies in `data`, a v1 answer is bare, but for one list.
    pub(super) fn envelope(&self, value: Value) -> Value {
        if self.scope.version == "v2.0" || self.table == "budget_changes" { json!({"data": value}) } else { value }
    }
}

type Table = (&'static str, ListRules, Fetch);

/// Tables that belong to the company.
fn company_table(version: &str, path: &[&str], in_company_path: bool) -> Option<Table> {
    let first: Table = match (version, path) {
        ("v1.0", ["companies"]) => ("companies", PLAIN, directory::companies),
        ("v1.0", ["me"]) => ("me", PLAIN, directory::me),
        ("v1.0", ["vendors"]) => ("vendors", PLAIN.updated_at().origin_id(), directory::vendors),
        ("v1.0", ["vendors", "inactive"]) => ("vendors/inactive", PLAIN, directory::inactive_vendors),
        ("v1.0", ["vendors", _]) => ("vendors/show", PLAIN, directory::vendor),
        ("v1.0", ["projects"]) if in_company_path => ("companies/projects", PLAIN, directory::company_projects),
        ("v1.0", ["projects"]) => ("projects", PLAIN.updated_at().origin_id(), directory::projects),
        ("v1.1", ["projects"]) => ("projects", PLAIN.paged(100, 300).updated_at().origin_id(), directory::projects),
        ("v1.0", ["projects", _]) => ("projects/show", PLAIN, directory::project),
        ("v1.0", ["standard_cost_codes"]) => ("standard_cost_codes", PLAIN.origin_id(), directory::standard_cost_codes),
        ("v1.0", ["line_item_types"]) => ("line_item_types", PLAIN.origin_id(), directory::line_item_types),
        ("v1.0", ["tax_codes"]) => ("tax_codes", PLAIN.paged(100, 100), codes::tax_codes),
        ("v1.0", ["erp_request_details"]) => ("erp_request_details", PLAIN, costs::erp_request_details),
        ("v1.0", ["tax_types"]) => ("tax_types", PLAIN.paged(100, 100), directory::none),
        _ => return None,
    };
    Some(first)
}

/// Tables that belong to a project.
fn project_table(version: &str, path: &[&str]) -> Option<Table> {
    let first: Table = match (version, path) {
        ("v1.0" | "v1.1", ["vendors"]) => ("project_vendors", PLAIN, directory::project_vendors),
        ("v1.0", ["cost_codes"]) => ("cost_codes", PLAIN.origin_id(), directory::cost_codes),
        ("v1.0", ["sub_jobs"]) => ("sub_jobs", PLAIN, directory::none),
        ("v1.0", ["work_breakdown_structure", "wbs_codes"]) => ("wbs_codes", PLAIN.updated_at(), codes::wbs_codes),
        ("v1.0", ["budget_modifications"]) => ("budget_modifications", PLAIN, directory::none),
        ("v1.0", ["budget_changes"]) => ("budget_changes", ListRules::UNDECLARED, costs::budget_changes),
        ("v2.0", ["budget_changes", "adjustment_line_items"]) => {
            ("budget_changes/adjustment_line_items", V2, costs::adjustments)
        }
        ("v1.0", ["potential_change_orders"]) => {
            ("potential_change_orders", PLAIN.updated_at().deleted().origin_id(), tiers::potential_change_orders)
        }
        ("v1.0", ["change_order_requests"]) => {
            ("change_order_requests", PLAIN.updated_at().status(), tiers::change_order_requests)
        }
        ("v1.0", ["budget"]) => ("budget", PLAIN, budget::lock),
        ("v1.0", ["budget_views"]) => ("budget_views", PLAIN, budget::views),
        ("v1.0", ["budget_views", _, "detail_rows"]) => ("budget_views/detail_rows", PLAIN, budget::detail_rows),
        ("v1.0", ["budget_views", _, "budget_detail_columns"]) => {
            ("budget_views/budget_detail_columns", PLAIN, budget::columns)
        }
        ("v1.0", ["work_order_contracts", ..]) => {
            return contract_table("work_order_contracts", path, |database, scope| {
                contracts::commitments(database, scope, CommitmentKind::WorkOrder)
            });
        }
        ("v1.0", ["purchase_order_contracts", ..]) => {
            return contract_table("purchase_order_contracts", path, |database, scope| {
                contracts::commitments(database, scope, CommitmentKind::PurchaseOrder)
            });
        }
        ("v2.0", ["commitment_contracts"]) => {
            ("commitment_contracts", V2.updated_at().deleted().status(), contracts::unified)
        }
        ("v1.0", ["prime_contracts"]) => ("prime_contracts", PLAIN.updated_at(), contracts::prime_contracts),
        ("v1.0", ["prime_contract", _]) => ("prime_contract/show", PLAIN, contracts::prime_contract),
        ("v1.0", ["prime_contracts", _, "line_items"]) => {
            ("prime_contracts/line_items", PLAIN.updated_at(), contracts::prime_lines)
        }
        ("v1.0", ["commitment_change_orders"]) => ("commitment_change_orders", CHANGE_ORDERS, |database, scope| {
            changes::change_orders(database, scope, ChangeOrderKind::Commitment)
        }),
        ("v1.0", ["prime_change_orders"]) => ("prime_change_orders", CHANGE_ORDERS, |database, scope| {
            changes::change_orders(database, scope, ChangeOrderKind::Prime)
        }),
        ("v2.0", ["commitment_change_orders" | "prime_change_orders", _, "line_items"]) => {
            ("change_orders/line_items", V2, changes::change_order_lines)
        }
        ("v1.0", ["change_order_packages"]) => {
            ("change_order_packages", PLAIN.updated_at().deleted().status(), changes::packages)
        }
        ("v1.0", ["change_order_packages", _]) => ("change_order_packages/show", PLAIN, changes::package),
        ("v1.0" | "v1.1", ["requisitions"]) => ("requisitions", REQUISITIONS, billing::requisitions),
        ("v1.0" | "v1.1", ["requisitions", _]) => ("requisitions/show", PLAIN, billing::requisition),
        ("v1.0", ["requisitions", _, "detail"]) => ("requisitions/detail", PLAIN, billing::requisition_detail),
        ("v1.0", ["payment_applications"]) => ("payment_applications", PLAIN, billing::payment_applications),
        ("v1.0", ["payment_applications", _]) => ("payment_applications/show", PLAIN, billing::payment_application),
        ("v1.0", ["prime_contracts", _, "payment_applications"]) => {
            ("prime_contracts/payment_applications", PLAIN.paged(30, 1_000), billing::payment_applications)
        }
        ("v1.0", ["contract_payments"]) => ("contract_payments", PLAIN, billing::contract_payments),
        ("v1.0", ["billing_periods"]) => ("billing_periods", PLAIN.updated_at(), billing::billing_periods),
        ("v1.0" | "v1.1", ["direct_costs"]) => {
            ("direct_costs", PLAIN.updated_at().origin_id().status(), costs::direct_costs)
        }
        ("v1.0", ["direct_costs", "line_items"]) => {
            ("direct_costs/line_items", PLAIN.updated_at(), costs::direct_cost_lines)
        }
        _ => return None,
    };
    Some(first)
}

/// The list, one record and the lines of a kind of commitment.
fn contract_table(table: &'static str, path: &[&str], list: Fetch) -> Option<Table> {
    let lines = if table == "work_order_contracts" {
        "work_order_contracts/line_items"
    } else {
        "purchase_order_contracts/line_items"
    };
    let show =
        if table == "work_order_contracts" { "work_order_contracts/show" } else { "purchase_order_contracts/show" };
    match path {
        [_] => Some((table, CONTRACTS, list)),
        [_, _] => Some((show, PLAIN, contracts::commitment)),
        [_, _, "line_items"] => Some((lines, PLAIN.updated_at(), contracts::commitment_lines)),
        _ => None,
    }
}

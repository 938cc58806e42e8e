//! The fewest requests that a source of the simulated firm can be read with, worked out from the firm's own records.
//!
//! A list costs a request for each page that the manifests ask for (Procore 100 records; Acumatica 500, and a full page does not
//! say that it is the last), and one when it is empty. Where the fact sheets know no list of many parents, each parent costs a
//! list. What an incremental run need not look at, and what it must:
//! - a list with a filter for changes costs the pages of what changed or is open, and never less than one request;
//! - without a filter, a list is read whole: parents do not move when what lies below them does;
//! - below a record that is closed and is what it was, nothing is asked for.
//!
//! Signing in and out, and the look whether a list without changes is there at all, are no part of it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use tieout::simulator::Firm;
use tieout::simulator::firm::model::{BudgetLine, ChangeOrderKind, CommitmentKind, ProcoreDatabase, ProcoreId};

const PROCORE_PAGE: usize = 100;
const ACUMATICA_PAGE: usize = 500;

/// What came before: the firm as it was when it was last read, and when that was.
#[derive(Clone, Copy)]
pub(crate) struct Before<'a> {
    pub(crate) firm: &'a Firm,
    pub(crate) at: DateTime<Utc>,
    pub(crate) is_incremental: bool,
}

/// Requests by source and table.
pub(crate) type Requests = BTreeMap<(&'static str, String), u64>;

/// The fewest requests of a run.
pub(crate) fn least(firm: &Firm, before: Option<Before<'_>>) -> Requests {
    let mut least = Least { before, requests: Requests::new() };
    procore(&mut least, &firm.procore);
    acumatica(&mut least, firm);
    least.requests
}

struct Least<'a> {
    before: Option<Before<'a>>,
    requests: Requests,
}

impl Least<'_> {
    fn is_incremental(&self) -> bool {
        self.before.is_some_and(|before| before.is_incremental)
    }

    fn since(&self, at: DateTime<Utc>) -> bool {
        self.before.is_none_or(|before| at >= before.at)
    }

    /// Whether there was a record and it was the same.
    fn is_as_before<K: Ord, T: PartialEq>(&self, of: fn(&Firm) -> &BTreeMap<K, T>, key: &K, record: &T) -> bool {
        self.before.is_some_and(|before| of(before.firm).get(key) == Some(record))
    }

    fn add(&mut self, source: &'static str, table: &str, requests: u64) {
        *self.requests.entry((source, table.to_owned())).or_default() += requests;
    }

    /// A list of Procore's: its records, and those that a filter gives in an incremental run.
    fn list(&mut self, table: &str, rows: usize, changed: Option<usize>) {
        let rows = changed.filter(|_| self.is_incremental()).unwrap_or(rows);
        self.add("procore", table, rows.div_ceil(PROCORE_PAGE).max(1) as u64);
    }

    /// A list of Acumatica's: when each record was changed, and whether it is open.
    fn entity(&mut self, table: &str, records: impl Iterator<Item = (DateTime<Utc>, bool)>) {
        let wanted = |(at, is_open): &(DateTime<Utc>, bool)| !self.is_incremental() || *is_open || self.since(*at);
        let rows = records.filter(wanted).count();
        self.add("acumatica", table, (rows / ACUMATICA_PAGE + 1) as u64);
    }
}

fn procore(least: &mut Least<'_>, now: &ProcoreDatabase) {
    let active = now.vendors.values().filter(|vendor| vendor.is_active);
    let changed = active.clone().filter(|vendor| least.since(vendor.updated_at)).count();
    least.list("vendors", active.count(), Some(changed));
    least.list("inactive_vendors", now.vendors.values().filter(|vendor| !vendor.is_active).count(), None);
    let changed = now.projects.values().filter(|project| least.since(project.updated_at)).count();
    least.list("projects", now.projects.len(), Some(changed));
    least.list("line_item_types", now.cost_types.len(), None);
    least.list("tax_codes", 2, None);
    for (id, project) in now.projects.iter().filter(|(_, project)| !project.is_demo) {
        let rests = !project.active && least.is_as_before(|firm| &firm.procore.projects, id, project);
        if !(least.is_incremental() && rests) {
            of_project(least, now, *id);
        }
    }
}

fn of_project(least: &mut Least<'_>, now: &ProcoreDatabase, project: ProcoreId) {
    let budget: Vec<_> = now.budget_lines.values().filter(|line| line.project_id == project).collect();
    let codes = |lines: &[&BudgetLine]| lines.iter().map(|line| line.wbs_code_id).collect::<BTreeSet<_>>().len();
    let moved: Vec<_> = budget.iter().copied().filter(|line| least.since(line.updated_at)).collect();
    least.list("cost_codes", now.cost_codes.values().filter(|code| code.project_id == project).count(), None);
    least.list("sub_jobs", 0, None);
    least.list("wbs_codes", codes(&budget), Some(codes(&moved)));
    least.list("budget_locks", 1, None);
    least.list("budget_views", 1, None);
    least.list("budget_rows", budget.len(), None);
    least.list("budget_modifications", 0, None);
    let transfers = now.budget_changes.values().filter(|change| change.project_id == project);
    least.list("budget_changes", transfers.clone().count(), None);
    least.list("budget_change_lines", transfers.map(|change| change.adjustments.len()).sum(), None);

    let mut contracts = Vec::new();
    for (kind, table, lines) in [
        (CommitmentKind::WorkOrder, "work_order_contracts", "work_order_lines"),
        (CommitmentKind::PurchaseOrder, "purchase_order_contracts", "purchase_order_lines"),
    ] {
        let all = || now.commitments.values().filter(move |one| one.kind == kind && one.project_id == project);
        let changed = all().filter(|one| least.since(one.updated_at)).count();
        least.list(table, all().count(), Some(changed));
        let living = all().filter(|one| one.deleted_at.is_none());
        contracts.extend(living.map(|one| (one.id, lines, one.lines.len())));
    }
    let primes = || now.prime_contracts.values().filter(|one| one.project_id == project && one.deleted_at.is_none());
    let changed = primes().filter(|one| least.since(one.updated_at)).count();
    least.list("prime_contracts", primes().count(), Some(changed));
    contracts.extend(primes().map(|one| (one.id, "prime_contract_lines", one.lines.len())));
    for (id, table, lines) in contracts {
        least.list(table, lines, None);
        let payments = now.contract_payments.values().filter(|payment| payment.contract_id == id);
        least.list("contract_payments", payments.count(), None);
    }
    change_orders(least, now, project);
    billing(least, now, project);
}

fn change_orders(least: &mut Least<'_>, now: &ProcoreDatabase, project: ProcoreId) {
    for (kind, table, lines) in [
        (ChangeOrderKind::Commitment, "commitment_change_orders", "commitment_change_order_lines"),
        (ChangeOrderKind::Prime, "prime_change_orders", "prime_change_order_lines"),
    ] {
        let all = || now.change_orders.values().filter(move |one| one.kind == kind && one.project_id == project);
        let changed = all().filter(|one| least.since(one.updated_at)).count();
        least.list(table, all().count(), Some(changed));
        for one in all() {
            let is_decided = matches!(one.status, "approved" | "rejected" | "void" | "no_charge");
            let rests = is_decided && least.is_as_before(|firm| &firm.procore.change_orders, &one.id, one);
            if !(least.is_incremental() && rests) {
                least.list(lines, one.lines.len(), None);
            }
        }
    }
    let all = || now.change_orders.values().filter(|one| one.project_id == project);
    let changed = all().filter(|one| least.since(one.updated_at)).count();
    least.list("potential_change_orders", all().count(), Some(changed));
    let packages = || now.change_order_packages.values().filter(|one| one.project_id == project);
    let changed = packages().filter(|one| least.since(one.updated_at)).count();
    least.list("change_order_packages", packages().count(), Some(changed));
}

fn billing(least: &mut Least<'_>, now: &ProcoreDatabase, project: ProcoreId) {
    let applications = || now.payment_applications.values().filter(|one| one.project_id == project);
    least.list("payment_applications", applications().count(), None);
    for one in applications() {
        let rests =
            one.status == "approved" && least.is_as_before(|firm| &firm.procore.payment_applications, &one.id, one);
        if !(least.is_incremental() && rests) {
            least.list("payment_application_details", 1, None);
        }
    }
    let periods = || now.billing_periods.values().filter(|one| one.project_id == project);
    let changed = periods().filter(|one| least.since(one.updated_at)).count();
    least.list("billing_periods", periods().count(), Some(changed));
    let requisitions = || now.requisitions.values().filter(|one| one.project_id == project && one.deleted_at.is_none());
    let changed = requisitions().filter(|one| least.since(one.updated_at)).count();
    least.list("requisitions", requisitions().count(), Some(changed));
    let costs = || now.direct_costs.values().filter(|one| one.project_id == project);
    let moved = || costs().filter(|one| least.since(one.updated_at));
    let lines = moved().map(|one| one.lines.len()).sum();
    let moved = moved().count();
    least.list("direct_costs", costs().count(), Some(moved));
    least.list("direct_cost_lines", costs().map(|one| one.lines.len()).sum(), Some(lines));
}

fn acumatica(least: &mut Least<'_>, firm: &Firm) {
    let now = &firm.acumatica;
    let is_open = |status: &str, closed: &[&str]| !closed.contains(&status);
    least.entity("vendors", now.vendors.values().map(|one| (one.last_modified_at, false)));
    least.entity("customers", now.customers.values().map(|one| (one.last_modified_at, false)));
    least.entity("projects", now.projects.values().map(|one| (one.last_modified_at, false)));
    least.entity("project_tasks", now.project_tasks.values().map(|one| (one.last_modified_at, false)));
    // Balances move without a word: read whole.
    least.entity("project_budgets", now.project_budgets.values().map(|one| (one.last_modified_at, true)));
    least.entity("cost_codes", now.cost_codes.values().map(|one| (one.last_modified_at, false)));
    least.entity("account_groups", now.account_groups.values().map(|one| (one.last_modified_at, false)));
    least.entity("accounts", now.accounts.values().map(|one| (one.last_modified_at, false)));
    let orders = ["Closed", "Canceled", "Rejected"];
    for (table, records) in [("subcontracts", &now.subcontracts), ("purchase_orders", &now.purchase_orders)] {
        least.entity(table, records.values().map(|one| (one.last_modified_at, is_open(one.status, &orders))));
    }
    let changes = now.change_orders.values();
    least.entity("change_orders", changes.map(|one| (one.last_modified_at, is_open(one.status, &orders))));
    let paid = ["Closed", "Voided", "Rejected"];
    least.entity("bills", now.bills.values().map(|one| (one.last_modified_at, is_open(one.status, &paid))));
    least.entity("checks", now.checks.values().map(|one| (one.last_modified_at, is_open(one.status, &paid))));
    let billed = ["Closed", "Canceled", "Voided"];
    least.entity("invoices", now.invoices.values().map(|one| (one.last_modified_at, is_open(one.status, &billed))));
    let drafts = ["Closed", "Rejected"];
    let pro_formas = now.pro_formas.values();
    least.entity("pro_forma_invoices", pro_formas.map(|one| (one.last_modified_at, is_open(one.status, &drafts))));
    let received = ["Closed", "Voided"];
    least.entity("payments", now.payments.values().map(|one| (one.last_modified_at, is_open(one.status, &received))));
    least.entity("project_transactions", now.project_transactions.values().map(|one| (one.last_modified_at, false)));
    least.entity("journal_transactions", now.journal_transactions.values().map(|one| (one.last_modified_at, false)));
    least.entity("financial_years", now.financial_years.values().map(|one| (one.last_modified_at, false)));
    // The trial balance of a period to which nothing is posted any more is read once.
    let periods = |firm: &Firm| -> BTreeMap<String, &'static str> {
        let all = firm.acumatica.financial_years.values().flat_map(|year| &year.periods);
        all.map(|period| (period.period_id.clone(), period.status)).collect()
    };
    let known = least.before.map(|before| periods(before.firm)).unwrap_or_default();
    let asked = periods(firm).into_iter().filter(|(id, status)| *status == "Open" || known.get(id) != Some(status));
    least.add("acumatica", "trial_balances", asked.count() as u64);
}

//! ProjectSight beside Acumatica: what such a pair can tell of the same firm.
//!
//! ProjectSight's invoices bear no key of the ERP's, its payments have no amount, its budgets no lock that is told; addresses of
//! companies and billing periods are not known by name. What the firm knows is put into those words here. `TIEOUT_PAIR_SEEDS=1,2,…`
//! gives other firms than the one that always runs.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use tieout::simulator::firm::model::{Cents, ChangeOrderKind, ProcoreId, Requisition};
use tieout::simulator::{
    Fault, Firm, ProjectSightIds, ProjectSightKind as Kind, ProjectSightOptions, Simulator, projectsight_paid_on,
    projectsight_portfolio,
};

use super::{Crossing, MOMENTS, Pair};

/// The firm that always runs.
const SEEDS: &str = "5";
/// Lists that may be empty in a project: here the service user may surely read them.
const LISTS: &str = "contracts, purchase_orders, potential_change_orders, change_order_requests, \
    prime_contract_change_orders, subcontract_change_orders, contract_invoices, general_invoices, \
    applications_for_payment, job_costs, budgets, budget_code_levels";
/// Fields of companies that ProjectSight is known to tell.
const COMPANY_FIELDS: [&str; 2] = ["name", "tax_id"];

thread_local! {
    /// The ids that the simulated ProjectSight of this test's thread gave out: a pair's functions know the firm alone.
    static IDS: RefCell<ProjectSightIds> = RefCell::default();
}

impl Pair {
    /// ProjectSight and Acumatica.
    pub(crate) const PROJECTSIGHT_ACUMATICA: Self = Self {
        name: "projectsight and acumatica",
        // A period's end and a check's number are told by no field.
        silent: &["I5", "P3"],
        told,
        crossings: |firm| firm.crosswalk().iter().map(|one| crossing(firm, one)).collect(),
        undated: &[],
        moments: &MOMENTS,
    };
}

/// Starts ProjectSight in front of the firm; the section of the source, and the files with its secrets.
pub(super) async fn projectsight(simulator: &Simulator) -> (String, [(&'static str, String); 2]) {
    let options = ProjectSightOptions { requests_per_minute: None, ..ProjectSightOptions::default() };
    let at = simulator.serve_projectsight(options).await.unwrap();
    IDS.set(simulator.projectsight_ids());
    let section = format!(
        "[sources.projectsight]\nkind = \"projectsight\"\nbase_url = \"{}\"\nlogin_url = \"{}\"\napplication = \"{}\"\n\
         requests_per_minute = 60000\ntrust_empty = \"{LISTS}\"\nclient_id = {{ file = \"projectsight_id\" }}\n\
         client_secret = {{ file = \"projectsight_secret\" }}\n",
        at.base_url, at.login_url, at.scope
    );
    (section, [("projectsight_id", at.client_id), ("projectsight_secret", at.client_secret)])
}

fn id(kind: Kind, id: ProcoreId) -> i32 {
    IDS.with_borrow(|ids| ids.id(kind, id))
}

fn project_key(firm: &Firm, project: ProcoreId) -> String {
    format!("{}|{}", projectsight_portfolio(firm), id(Kind::Project, project))
}

/// The key of a record in ProjectSight, by the firm's entity and Procore's id.
pub(super) fn key(firm: &Firm, entity: &str, record: ProcoreId) -> Option<String> {
    let pm = &firm.procore;
    let below = |project: ProcoreId, letter: &str, kind: Kind| {
        format!("{}|{letter}{}", project_key(firm, project), id(kind, record))
    };
    Some(match entity {
        "vendors" | "customers" => format!("{}|V{}", projectsight_portfolio(firm), id(Kind::Company, record)),
        "projects" => project_key(firm, record),
        "cost_codes" => {
            let code = pm.cost_codes.get(&record)?;
            format!("{}|K{}", project_key(firm, code.project_id), code.full_code)
        }
        "commitments" => below(pm.commitments.get(&record)?.project_id, "C", Kind::Contract),
        "change_orders" => {
            let order = pm.change_orders.get(&record)?;
            match order.kind {
                ChangeOrderKind::Commitment => below(order.project_id, "S", Kind::SubcontractChangeOrder),
                ChangeOrderKind::Prime => below(order.project_id, "P", Kind::PrimeChangeOrder),
            }
        }
        "owner_invoices" => below(pm.payment_applications.get(&record)?.project_id, "A", Kind::Application),
        "vendor_invoices" => below(pm.requisitions.get(&record)?.project_id, "I", Kind::ContractInvoice),
        _ => return None,
    })
}

pub(super) fn crossing(firm: &Firm, (entity, pm_id, erp_id): &Crossing) -> Crossing {
    let pm_key = key(firm, entity, pm_id.parse().unwrap()).unwrap();
    (entity.clone(), pm_key, erp_id.clone())
}

/// The ERP's bills that bear a requisition's number, where there are several: then nobody can tell which one it is, for
/// ProjectSight keeps no key. What people paired by hand is known.
fn alike(firm: &Firm, requisition: &Requisition) -> Vec<String> {
    let is_paired = firm.crosswalk().iter().any(|(_, pm_id, _)| *pm_id == requisition.id.to_string());
    let vendor = firm.procore.vendors.get(&requisition.vendor_id).and_then(|vendor| vendor.origin_id.as_ref());
    let number = |text: &str| text.trim().to_lowercase();
    let own = requisition.invoice_number.as_deref().map(number);
    let bills = firm.acumatica.bills.iter().filter(|(_, bill)| {
        bill.doc_type == "Bill"
            && Some(&bill.vendor) == vendor
            && bill.vendor_ref.as_deref().map(number) == own
            && bill.status != "Voided"
    });
    let keys: Vec<String> = bills.map(|(key, _)| key.clone()).collect();
    if keys.len() > 1 && !is_paired { keys } else { Vec::new() }
}

/// Whose bills an ERP bill is alike with.
pub(super) fn alike_of_bill<'a>(firm: &'a Firm, bill: &str) -> Option<(&'a Requisition, Vec<String>)> {
    firm.procore
        .requisitions
        .values()
        .map(|one| (one, alike(firm, one)))
        .find(|(_, keys)| keys.iter().any(|key| key == bill))
}

fn requisition_of<'a>(firm: &'a Firm, fault: &Fault) -> Option<&'a Requisition> {
    let id: ProcoreId = fault.pm_id.as_deref()?.parse().ok()?;
    let payment = firm.procore.contract_payments.get(&id).and_then(|payment| payment.requisition_id);
    firm.procore.requisitions.get(&payment.unwrap_or(id))
}

/// A fault in ProjectSight's words, with the ERP's ids as the firm has them.
pub(super) fn told(firm: &Firm, fault: Fault) -> Vec<Fault> {
    let mut all = ambiguous(firm, &fault);
    all.extend(of_retired(firm, &fault));
    all.extend(told_alone(firm, fault));
    all
}

/// An order that only the ERP has, on a vendor that ProjectSight deleted with its retirement: nobody there is its vendor.
fn of_retired(firm: &Firm, fault: &Fault) -> Option<Fault> {
    let (books, pm) = (&firm.acumatica, &firm.procore);
    let key = fault.erp_id.as_ref().filter(|_| fault.check == "M6")?;
    let order = books.subcontracts.get(key).or_else(|| books.purchase_orders.get(key))?;
    let company = pm.vendors.values().find(|vendor| vendor.origin_id.as_ref() == Some(&order.vendor_id))?;
    let is_named = pm.commitments.values().any(|one| one.vendor_id == Some(company.id))
        || pm.prime_contracts.values().any(|one| one.vendor_id == Some(company.id))
        || pm.requisitions.values().any(|one| one.vendor_id == company.id);
    let amount = Some(order.order_total - order.tax_total);
    let entity = "commitments".to_owned();
    (!company.is_active && !is_named).then(|| Fault { check: "V5".to_owned(), entity, amount, ..fault.clone() })
}

/// Whether it shows that the import of payments is dead: three in two weeks had the time to come, and none did. Parts do not count.
fn is_import_dead(firm: &Firm, now: DateTime<Utc>) -> bool {
    let books = &firm.acumatica;
    let mut payments = Vec::new();
    for check in books.checks.values().filter(|check| check.doc_type == "Check" && check.status != "Voided") {
        let bills = check.history.iter().map(|line| format!("{}|{}", line.doc_type, line.reference_nbr));
        let paid = bills.filter(|key| books.bills.get(key).is_some_and(|bill| bill.balance.is_zero()));
        let invoices = paid.filter_map(|key| firm.procore.requisitions.get(&firm.requisition_of(&key)?));
        let invoices: Vec<_> = invoices.filter(|one| alike(firm, one).is_empty()).collect();
        let age =
            now - ((check.application_date + Days::new(1)).and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(5));
        if !invoices.is_empty() && age <= TimeDelta::days(14) {
            let is_told = invoices.iter().all(|one| projectsight_paid_on(firm, one.id).is_some());
            payments.push((age > TimeDelta::hours(36), is_told));
        }
    }
    payments.iter().filter(|(is_late, _)| *is_late).count() >= 3 && payments.iter().all(|(_, is_told)| !is_told)
}

/// Of two bills of one number ProjectSight tells nothing but that there are two: neither is the requisition's.
fn ambiguous(firm: &Firm, fault: &Fault) -> Vec<Fault> {
    let of_bill = fault.erp_id.as_ref().filter(|_| fault.check == "I11").and_then(|bill| alike_of_bill(firm, bill));
    let Some((requisition, bills)) = of_bill else { return Vec::new() };
    let pm_id = key(firm, "vendor_invoices", requisition.id);
    let unknown = Fault { amount: None, note: String::new(), entity: "vendor_invoices".to_owned(), ..fault.clone() };
    let of_requisition =
        |check: &str| Fault { check: check.to_owned(), pm_id: pm_id.clone(), erp_id: None, ..unknown.clone() };
    let mut all = vec![of_requisition("R2"), of_requisition("I2")];
    if projectsight_paid_on(firm, requisition.id).is_some() {
        all.push(Fault { entity: "payments".to_owned(), ..of_requisition("P4") });
    }
    let others = bills.into_iter().filter(|bill| Some(bill) != fault.erp_id.as_ref());
    all.extend(others.map(|bill| Fault { erp_id: Some(bill), ..unknown.clone() }));
    all
}

fn told_alone(firm: &Firm, fault: Fault) -> Vec<Fault> {
    let field = fault.field.clone().unwrap_or_default();
    let of_company = ["V3", "K1", "W1", "W2", "W3"].contains(&fault.check.as_str());
    if of_company && !COMPANY_FIELDS.contains(&field.as_str()) {
        return Vec::new();
    }
    let is_ambiguous = requisition_of(firm, &fault).is_some_and(|one| !alike(firm, one).is_empty());
    let of_one_bill = ["I4", "I6", "P1", "P3", "P4"].contains(&fault.check.as_str());
    if is_ambiguous && of_one_bill {
        return Vec::new();
    }
    let amount = |amount| Fault { amount, ..fault.clone() };
    let known = match fault.check.as_str() {
        // No field of an invoice tells what the integration said, nor which bill it became.
        "S1" if fault.entity == "vendor_invoices" => return Vec::new(),
        "S2" if fault.entity == "vendor_invoices" && fault.erp_id.is_none() => return Vec::new(),
        "R1" | "R3" if fault.entity.ends_with("invoices") => return Vec::new(),
        // It stands since two weeks before now.
        "L2" if fault.entity == "payments" && !is_import_dead(firm, fault.occurred_at + TimeDelta::days(14)) => {
            return Vec::new();
        }
        // Neither period nor amount of a payment is told.
        "I5" | "P2" => return Vec::new(),
        "P0" => {
            let Some(requisition) = requisition_of(firm, &fault) else { return Vec::new() };
            if projectsight_paid_on(firm, requisition.id).is_some() {
                return Vec::new();
            }
            let verdict = if is_ambiguous { Some("no record".to_owned()) } else { fault.field.clone() };
            Fault { field: verdict, ..amount(Some(requisition.summary.current_payment_due)) }
        }
        "P1" | "P3" | "P4" => return payments(firm, &fault),
        "V5" if fault.entity == "payments" => {
            let requisition = requisition_of(firm, &fault).filter(|one| projectsight_paid_on(firm, one.id).is_some());
            let invoice = requisition.and_then(|one| key(firm, "vendor_invoices", one.id));
            let payment = |invoice| Fault { pm_id: Some(format!("{invoice}|paid")), ..amount(None) };
            return invoice.map(payment).into_iter().collect();
        }
        _ => fault,
    };
    let pm_id = known.pm_id.as_deref().and_then(|id| id.parse().ok());
    let entity = match known.check.as_str() {
        "B1" | "B2" | "B3" => "projects",
        _ => known.entity.as_str(),
    };
    match pm_id {
        None => vec![known],
        Some(record) => {
            let pm_id = key(firm, entity, record);
            pm_id.map(|pm_id| Fault { pm_id: Some(pm_id), ..known }).into_iter().collect()
        }
    }
}

/// What is wrong with a requisition's payments, as one sees it who knows only the day on which it was paid.
fn payments(firm: &Firm, fault: &Fault) -> Vec<Fault> {
    let Some(requisition) = requisition_of(firm, fault) else { return Vec::new() };
    let is_paid = projectsight_paid_on(firm, requisition.id).is_some();
    let Some(bill) = fault.erp_id.as_ref().and_then(|key| firm.acumatica.bills.get(key)) else {
        return Vec::new();
    };
    let applied = bill.applications.iter().filter(|one| one.doc_type.ends_with("Check"));
    let in_erp: Cents = applied.map(|one| one.amount_paid).sum();
    let check = match (is_paid, in_erp.is_zero(), bill.balance.is_zero()) {
        (false, false, true) => "P1",
        (true, true, _) => "P4",
        _ => return Vec::new(),
    };
    let pm_id = key(firm, "vendor_invoices", requisition.id);
    vec![Fault { check: check.to_owned(), entity: "payments".to_owned(), pm_id, amount: None, ..fault.clone() }]
}

fn acumatica(simulator: &Simulator) -> (String, [(&'static str, String); 2]) {
    let acumatica = simulator.acumatica();
    let section = format!(
        "[sources.acumatica]\nkind = \"acumatica\"\nbase_url = \"{}\"\ntenant = \"{}\"\n\
         username = {{ file = \"acumatica_user\" }}\npassword = {{ file = \"acumatica_password\" }}\n",
        acumatica.base_url, acumatica.tenant
    );
    (section, [("acumatica_user", acumatica.username), ("acumatica_password", acumatica.password)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: .ci/long"]
async fn projectsight_and_acumatica_tell_what_was_injected_and_nothing_else() {
    let seeds = std::env::var("TIEOUT_PAIR_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let (mut shown, mut differences) = (BTreeSet::new(), String::new());
    for seed in seeds.split(',') {
        let simulator = Simulator::start(super::options(seed.trim().parse().unwrap(), 7, 3)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (section, secrets) = projectsight(&simulator).await;
        let (acumatica, acumatica_secrets) = acumatica(&simulator);
        let files: Vec<(&str, &str)> =
            secrets.iter().chain(&acumatica_secrets).map(|(name, text)| (*name, text.as_str())).collect();
        super::write_workspace_of(folder.path(), &[section, acumatica], &files);
        let pair = Pair::PROJECTSIGHT_ACUMATICA;
        let (checks, told) = super::compare_at_moments(pair, &simulator, folder.path(), &format!("seed {seed}")).await;
        shown.extend(checks);
        if !told.is_empty() {
            writeln!(differences, "{told}seed {seed}: see {}", folder.keep().display()).unwrap();
        }
    }
    assert!(differences.is_empty(), "found and injected differ:\n{differences}");
    assert!(shown.len() > 20, "{shown:?}");
}

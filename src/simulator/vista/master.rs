//! Companies and their settings, vendors, customers, jobs with their phases, contracts with their items.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::{
    COMPANY, COST_TYPES, GROUP, RETAINAGE_PAY_TYPE, SISTER, account, contract, cost_type, day, first_of, item, job,
    money, month, number, party, phase, row_id, yes,
};
use crate::firm::model::{AcumaticaDatabase, Cents, ErpBudget, ErpProject, Rate};
use crate::firm::{PAYABLE, RECEIVABLE};
use crate::sql::SqlSchema;

/// Retainage payable and receivable.
const RETAINAGE: [&str; 2] = ["20100", "11100"];

/// Companies, the parameters of their modules, input masks, pay types, receivable types, terms, status codes.
pub(super) fn companies(tables: &mut SqlSchema, books: &AcumaticaDatabase) {
    let closed = last_closed(books);
    for (company, name) in [(COMPANY, "Queen City Builders"), (SISTER, "Queen City Leasing")] {
        let key = |table: &str| row_id(table, &company.to_string());
        tables.insert(
            "bHQCO",
            &json!({
                "HQCo": company, "Name": name, "VendorGroup": GROUP, "MatlGroup": GROUP, "PhaseGroup": GROUP, "CustGroup": GROUP,
                "TaxGroup": GROUP, "EMGroup": GROUP, "FedTaxId": "56-0000001", "DefaultCountry": "US", "KeyID": key("bHQCO"),
            }),
        );
        tables.insert(
            "bGLCO",
            &json!({
                "GLCo": company, "LastMthSubClsd": closed, "LastMthGLClsd": closed, "LastMthAPClsd": closed,
                "LastMthARClsd": closed, "MaxOpen": 12, "CashAccrual": "A", "KeyID": key("bGLCO"),
            }),
        );
        tables.insert(
            "bAPCO",
            &json!({
                "APCo": company, "GLCo": company, "CMCo": company, "CMAcct": 1, "JCCo": company, "ExpPayType": 1,
                "JobPayType": 2, "SubPayType": 3, "RetPayType": RETAINAGE_PAY_TYPE, "RetHoldCode": "RET", "AuditTrans": "Y",
                "AuditVendors": "Y", "PayCategoryYN": "N", "KeyID": key("bAPCO"),
            }),
        );
        for (pay_type, text, control) in [
            (1, "Expense", PAYABLE),
            (2, "Job", PAYABLE),
            (3, "Subcontract", PAYABLE),
            (RETAINAGE_PAY_TYPE, "Retainage", RETAINAGE[0]),
        ] {
            let id = row_id("bAPPT", &format!("{company}|{pay_type}"));
            tables.insert(
                "bAPPT",
                &json!({"APCo": company, "PayType": pay_type, "Description": text, "GLCo": company, "GLAcct": account(control), "KeyID": id}),
            );
        }
        tables.insert("bARCO", &json!({"ARCo": company, "GLCo": company, "CMCo": company, "JCCo": company, "RecType": 1, "KeyID": key("bARCO")}));
        tables.insert(
            "bARRT",
            &json!({
                "ARCo": company, "RecType": 1, "Description": "Contracts", "GLCo": company, "GLARAcct": account(RECEIVABLE),
                "GLRetainAcct": account(RETAINAGE[1]), "GLRevAcct": account("40000"), "KeyID": key("bARRT"),
            }),
        );
        tables.insert(
            "bJCCO",
            &json!({
                "JCCo": company, "ValidPhaseChars": 7, "ARCo": company, "GLCo": company, "DefaultBillType": "P",
                "AuditJobs": "Y", "KeyID": key("bJCCO"),
            }),
        );
        tables.insert(
            "bPMCO",
            &json!({
                "PMCo": company, "APCo": company, "PhaseGroup": GROUP, "VendorGroup": GROUP, "SLNo": "P", "PONo": "P",
                "BeginStatus": "OPEN", "FinalStatus": "FINAL", "KeyID": key("bPMCO"),
            }),
        );
    }
    for (name, mask) in [
        ("bJob", "5R-3R-3RN"),
        ("bProject", "5R-3R-3RN"),
        ("bContract", "6R-3RN"),
        ("bPhase", "3R-3R-3R"),
        ("bGLAcct", "5R-3RN"),
        ("bContractItem", "16R"),
        ("bSL", "30L"),
    ] {
        tables.insert("vDDDTc", &json!({"Datatype": name, "InputMask": mask}));
    }
    for (status, text, kind) in [("OPEN", "Open", "B"), ("REVIEW", "Under review", "I"), ("FINAL", "Final", "F")] {
        tables.insert(
            "bPMSC",
            &json!({"Status": status, "Description": text, "CodeType": kind, "KeyID": row_id("bPMSC", status)}),
        );
    }
    tables.insert(
        "bHQPT",
        &json!({"PayTerms": "30D", "Description": "Net 30", "DaysTillDue": 30, "KeyID": row_id("bHQPT", "30D")}),
    );
}

/// The last month whose subledgers are closed.
fn last_closed(books: &AcumaticaDatabase) -> String {
    let periods = books.financial_years.values().flat_map(|year| &year.periods);
    let closed = periods.filter(|period| period.status == "Closed").map(|period| month(&period.period_id)).max();
    closed.unwrap_or_else(|| "2000-01-01".to_owned())
}

/// Vendors and customers.
pub(super) fn parties(tables: &mut SqlSchema, books: &AcumaticaDatabase) {
    for one in books.vendors.values() {
        let contact = &one.main_contact;
        let (form, place) = one.f1099_box.filter(|_| one.f1099_vendor).and_then(|text| text.split_once('-')).unzip();
        let sort: String = one.vendor_name.to_uppercase().chars().filter(char::is_ascii_alphanumeric).take(9).collect();
        tables.insert(
            "bAPVM",
            &json!({
                "VendorGroup": GROUP, "Vendor": party(&one.vendor_id), "SortName": format!("{sort}{}", party(&one.vendor_id)),
                "Name": one.vendor_name, "Type": "R", "Phone": contact.phone1, "EMail": contact.email, "Address": contact.address_line1,
                "City": contact.city, "State": contact.state, "Zip": contact.postal_code, "Country": contact.country,
                "POAddress": one.remittance_contact.address_line1, "POCity": one.remittance_contact.city, "PayTerms": one.terms,
                "V1099YN": yes(one.f1099_vendor), "V1099Type": form, "V1099Box": place.map(number), "GLCo": COMPANY,
                "TaxId": one.tax_registration_id, "ActiveYN": yes(one.status != "Inactive"), "EFT": "N", "RoutingId": "053000219",
                "BankAcct": format!("77{}", party(&one.vendor_id)), "PayMethod": if one.payment_method == "CHECK" { "C" } else { "E" },
                "TempYN": yes(one.status == "One-Time"), "KeyID": row_id("bAPVM", &one.vendor_id),
            }),
        );
    }
    // Of another group: another firm's vendors, under the same numbers.
    if let Some(one) = books.vendors.values().next() {
        let sort = "OTHERGROUP";
        tables.insert("bAPVM", &json!({"VendorGroup": GROUP + 1, "Vendor": party(&one.vendor_id), "SortName": sort, "Name": "Other Group Co",
            "Type": "R", "ActiveYN": "Y", "PayMethod": "C", "KeyID": row_id("bAPVM", sort)}));
    }
    for one in books.customers.values() {
        let contact = &one.main_contact;
        let status = match one.status {
            "Inactive" => "I",
            "Credit Hold" => "H",
            _ => "A",
        };
        tables.insert(
            "bARCM",
            &json!({
                "CustGroup": GROUP, "Customer": party(&one.customer_id), "Name": one.customer_name, "SortName": one.customer_id,
                "Phone": contact.phone1, "EMail": contact.email, "Address": contact.address_line1, "City": contact.city,
                "State": contact.state, "Zip": contact.postal_code, "Country": contact.country, "Status": status,
                "PayTerms": one.terms, "RecType": 1, "KeyID": row_id("bARCM", &one.customer_id),
            }),
        );
    }
}

/// A project that is a job: what was called off was deleted.
pub(super) fn projects(books: &AcumaticaDatabase) -> impl Iterator<Item = &ErpProject> {
    books.projects.values().filter(|project| project.status != "Canceled" && project.project_id != super::NO_PROJECT)
}

/// Jobs, their phases and cost types with their budgets, contracts and their items.
pub(super) fn jobs(tables: &mut SqlSchema, books: &AcumaticaDatabase) {
    for (number, letter, title) in COST_TYPES {
        let id = row_id("bJCCT", letter);
        tables.insert("bJCCT", &json!({"PhaseGroup": GROUP, "CostType": number, "Description": title, "Abbreviation": letter, "KeyID": id}));
    }
    for code in books.cost_codes.values() {
        let phase = phase(Some(&code.cost_code_id));
        tables.insert("bJCPM", &json!({"PhaseGroup": GROUP, "Phase": phase, "Description": code.description, "KeyID": row_id("bJCPM", &phase)}));
        for (number, ..) in COST_TYPES {
            tables.insert(
                "bJCPC",
                &json!({"PhaseGroup": GROUP, "Phase": phase, "CostType": number, "BillFlag": "C", "UM": "LS"}),
            );
        }
    }
    let managers: BTreeSet<&str> = books.projects.values().filter_map(|one| one.project_manager.as_deref()).collect();
    let managers: BTreeMap<&str, usize> = managers.into_iter().zip(1..).collect();
    for (name, number) in &managers {
        tables.insert(
            "bJCMP",
            &json!({"JCCo": COMPANY, "ProjectMgr": number, "Name": name, "KeyID": row_id("bJCMP", name)}),
        );
    }
    for project in projects(books) {
        let id = &project.project_id;
        let status = match project.status {
            "Planned" => 0,
            "Completed" => 2,
            _ => 1,
        };
        tables.insert(
            "bJCJM",
            &json!({
                "JCCo": COMPANY, "Job": job(id), "Description": project.description, "Contract": contract(id), "JobStatus": status,
                "LockPhases": "N", "ProjectMgr": project.project_manager.as_deref().and_then(|name| managers.get(name)),
                "TaxGroup": GROUP, "VendorGroup": GROUP, "PCVisibleInJC": "Y", "KeyID": row_id("bJCJM", id),
            }),
        );
        write_contract(tables, books, project, status);
        write_phases(tables, books, project);
    }
    let prospect = json!({"JCCo": COMPANY, "Job": job("99-001"), "Description": "Prospect", "JobStatus": 0, "TaxGroup": GROUP,
        "PCVisibleInJC": "N", "KeyID": row_id("bJCJM", "prospect")});
    tables.insert("bJCJM", &prospect);
    let sister = json!({"JCCo": SISTER, "Job": job("26-101"), "Description": "Yard", "Contract": contract("26-101"), "JobStatus": 1,
        "TaxGroup": GROUP, "PCVisibleInJC": "Y", "KeyID": row_id("bJCJM", "sister")});
    tables.insert("bJCJM", &sister);
}

/// The rows of a project's price, item by item.
pub(super) fn revenue<'a>(books: &'a AcumaticaDatabase, project: &'a str) -> impl Iterator<Item = &'a ErpBudget> {
    books.project_budgets.values().filter(move |row| row.project_id == project && row.budget_type == "Income")
}

fn write_contract(tables: &mut SqlSchema, books: &AcumaticaDatabase, project: &ErpProject, status: u8) {
    let Some(customer) = project.customer.as_deref() else { return };
    let id = &project.project_id;
    let sum = |of: fn(&ErpBudget) -> Cents| revenue(books, id).map(of).sum::<Cents>();
    let started = project.start_date.map_or(Value::Null, first_of);
    tables.insert(
        "bJCCM",
        &json!({
            "JCCo": COMPANY, "Contract": contract(id), "Description": project.description, "Department": "10",
            "ContractStatus": status, "StartMonth": started, "CustGroup": GROUP, "Customer": party(customer), "PayTerms": "30D",
            "RetainagePCT": share(project.retainage_pct), "DefaultBillType": "P",
            "OrigContractAmt": money(sum(|row| row.original_budgeted_amount)),
            "ContractAmt": money(sum(|row| row.revised_budgeted_amount)),
            "StartDate": project.start_date.map_or(Value::Null, day), "RecType": 1, "KeyID": row_id("bJCCM", id),
            "ProjCloseDate": project.end_date.map_or(Value::Null, day),
        }),
    );
    for row in revenue(books, id) {
        tables.insert(
            "bJCCI",
            &json!({
                "JCCo": COMPANY, "Contract": contract(id), "Item": item(&row.cost_code), "Description": row.description, "Department": "10",
                "UM": "LS", "RetainPCT": "0.1000", "OrigContractAmt": money(row.original_budgeted_amount),
                "ContractAmt": money(row.revised_budgeted_amount), "StartMonth": started,
                "KeyID": row_id("bJCCI", &format!("{id}|{}", row.cost_code)),
            }),
        );
    }
}

/// The cost rows of a project's budget.
fn costs<'a>(books: &'a AcumaticaDatabase, project: &'a str) -> impl Iterator<Item = &'a ErpBudget> {
    let of_project = move |row: &&ErpBudget| row.project_id == project && row.budget_type == "Expense";
    books.project_budgets.values().filter(of_project).filter(|row| !row.cost_code.is_empty())
}

/// Job phases, and each cost type's budget: what was estimated first, and what internal change orders moved since.
fn write_phases(tables: &mut SqlSchema, books: &AcumaticaDatabase, project: &ErpProject) {
    let id = &project.project_id;
    let job = job(id);
    let codes: BTreeMap<&str, &str> =
        costs(books, id).map(|row| (row.cost_code.as_str(), row.description.as_str())).collect();
    for (code, title) in codes {
        let title = books.cost_codes.get(code).map_or(title, |code| code.description.as_str());
        tables.insert(
            "bJCJP",
            &json!({
                "JCCo": COMPANY, "Job": job, "PhaseGroup": GROUP, "Phase": phase(Some(code)), "Description": title,
                "Contract": contract(id), "Item": item(code), "ActiveYN": "Y",
                "KeyID": row_id("bJCJP", &format!("{id}|{code}")),
            }),
        );
    }
    let started = project.start_date.map_or_else(|| "2000-01-01".to_owned(), month_of);
    let mut has_moves = false;
    let mut months = posted(books, id);
    for row in costs(books, id) {
        let place = format!("{id}|{}|{}", row.cost_code, row.account_group);
        let (phase, kind) = (phase(Some(&row.cost_code)), cost_type(&row.account_group));
        let moved = row.revised_budgeted_amount - row.original_budgeted_amount;
        tables.insert(
            "bJCCH",
            &json!({
                "JCCo": COMPANY, "Job": job, "PhaseGroup": GROUP, "Phase": phase, "CostType": kind, "UM": "LS", "BillFlag": "C",
                "ActiveYN": "Y", "OrigCost": money(row.original_budgeted_amount), "SourceStatus": "I", "KeyID": row_id("bJCCH", &place),
            }),
        );
        let later = row.last_modified_at.date_naive();
        let of_row = (phase.clone(), kind);
        let first = months.entry((of_row.clone(), started.clone())).or_default();
        first.original += row.original_budgeted_amount;
        first.current += row.original_budgeted_amount;
        first.committed += row.revised_committed_amount;
        months.entry((of_row, month_of(later))).or_default().current += moved;
        if !moved.is_zero() {
            has_moves = true;
            tables.insert(
                "bJCOD",
                &json!({
                    "JCCo": COMPANY, "Job": job, "ACO": "       INT", "ACOItem": "         1", "PhaseGroup": GROUP, "Phase": phase,
                    "CostType": kind, "MonthAdded": first_of(later), "UM": "LS", "EstCost": money(moved), "KeyID": row_id("bJCOD", &place),
                }),
            );
        }
    }
    if has_moves {
        // Budget transfers are internal change orders: nothing that the owner sees.
        tables.insert(
            "bJCOH",
            &json!({"JCCo": COMPANY, "Job": job, "ACO": "       INT", "Contract": contract(id), "Description": "Budget transfers",
                "ApprovalDate": started, "IntExt": "I", "KeyID": row_id("bJCOH", &format!("{id}|INT"))}),
        );
        tables.insert(
            "bJCOI",
            &json!({"JCCo": COMPANY, "Job": job, "ACO": "       INT", "ACOItem": "         1", "Contract": contract(id), "Item": item("1"),
                "Description": "Transfers", "ApprovedMonth": started, "ContractAmt": "0.00", "KeyID": row_id("bJCOI", &format!("{id}|INT"))}),
        );
    }
    for (((phase, kind), mth), sums) in months {
        tables.insert(
            "bJCCP",
            &json!({
                "JCCo": COMPANY, "Job": job, "PhaseGroup": GROUP, "Phase": phase, "CostType": kind, "Mth": mth,
                "OrigEstCost": money(sums.original), "CurrEstCost": money(sums.current), "ActualCost": money(sums.actual),
                "TotalCmtdCost": money(sums.committed), "RemainCmtdCost": money(sums.committed),
            }),
        );
    }
}

/// What a month has of a phase and cost type.
#[derive(Clone, Copy, Debug, Default)]
struct MonthSums {
    original: Cents,
    current: Cents,
    actual: Cents,
    committed: Cents,
}

/// Phase, cost type and month.
type MonthKey = ((String, u8), String);

/// The actual cost of a job by phase, cost type and month.
fn posted(books: &AcumaticaDatabase, project: &str) -> BTreeMap<MonthKey, MonthSums> {
    let mut months: BTreeMap<MonthKey, MonthSums> = BTreeMap::new();
    let headers = books.project_transactions.values().filter(|one| one.module != "AR");
    for line in headers.flat_map(|one| &one.details).filter(|line| line.project == project) {
        let key = ((phase(line.cost_code.as_deref()), cost_type(&line.account_group)), month(&line.fin_period));
        months.entry(key).or_default().actual += line.amount;
    }
    months
}

/// Ten percent is 0.1000.
pub(super) fn share(rate: Rate) -> String {
    format!("{}.{:04}", rate.0 / 10_000, rate.0 % 10_000)
}

fn month_of(date: NaiveDate) -> String {
    date.format("%Y-%m-01").to_string()
}

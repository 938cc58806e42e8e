//! Subcontracts and purchase orders, and their changes: what project management has, and what was interfaced to accounting.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::master::share;
use super::{
    COMPANY, GROUP, NO_PROJECT, account, change_number, contract, cost_type_of_account, day, find_order,
    firm_order_key, first_of, is_change, is_there, item, job, money, order_number, party, phase, row_id, serial, yes,
};
use crate::firm::model::{
    AcumaticaDatabase, Cents, ErpBill, ErpChangeOrder, ErpChangeOrderCommitment, ErpCommitment, ErpCommitmentLine,
};
use crate::sql::SqlSchema;

/// All tables of orders and changes.
pub(super) fn write(tables: &mut SqlSchema, books: &AcumaticaDatabase) {
    let mut sequences: BTreeMap<String, i64> = BTreeMap::new();
    let orders = books.subcontracts.values().chain(books.purchase_orders.values());
    for order in orders.filter(|order| is_there(order)) {
        write_order(tables, books, order, &mut sequences);
    }
    for change in books.change_orders.values().filter(|change| is_change(change)) {
        // What moves cost alone is internal.
        if !change.revenue_budget.is_empty() || (change.commitments.is_empty() && change.cost_budget.is_empty()) {
            write_owner_change(tables, change);
        }
        if !change.commitments.is_empty() {
            write_commitment_change(tables, books, change, &mut sequences);
        }
    }
}

fn is_subcontract(order: &ErpCommitment) -> bool {
    order.order_type == "Subcontract"
}

/// The project of an order: its first line's.
fn project(order: &ErpCommitment) -> &str {
    order.details.first().map_or(NO_PROJECT, |line| line.project.as_str())
}

/// The next row of a project's list of order lines.
fn next(sequences: &mut BTreeMap<String, i64>, list: &str, project: &str) -> i64 {
    let place = sequences.entry(format!("{list}|{project}")).or_default();
    *place += 1;
    *place
}

/// What posted changes added to a line.
fn added(books: &AcumaticaDatabase, order: &ErpCommitment, line: &ErpCommitmentLine) -> Cents {
    let posted = books.change_orders.values().filter(|change| change.status == "Closed");
    let lines = posted.flat_map(|change| &change.commitments);
    let of_line = |one: &&ErpChangeOrderCommitment| {
        one.po_type == order.order_type && one.po_nbr == order.order_nbr && one.po_line_nbr == line.line_nbr
    };
    lines.filter(of_line).map(|one| one.amount).sum()
}

/// What posted bills bill of a line.
fn billed(books: &AcumaticaDatabase, order: &ErpCommitment, line: &ErpCommitmentLine) -> Cents {
    let posted = books.bills.values().filter(|bill| super::payables::is_posted(bill) && !bill.is_retainage_document);
    let amounts = posted.flat_map(|bill| {
        let of_line = bill.details.iter().filter(|one| {
            one.po_order_type == Some(order.order_type)
                && one.po_order_nbr.as_ref() == Some(&order.order_nbr)
                && one.po_line == Some(line.line_nbr)
        });
        of_line.map(move |one| sign(bill, one.amount))
    });
    amounts.sum()
}

/// A vendor's credit takes away.
pub(super) fn sign(bill: &ErpBill, amount: Cents) -> Cents {
    if bill.doc_type == "Debit Adj." { -amount } else { amount }
}

fn write_order(
    tables: &mut SqlSchema,
    books: &AcumaticaDatabase,
    order: &ErpCommitment,
    sequences: &mut BTreeMap<String, i64>,
) {
    let name = order_number(books, order);
    // What was changed or billed is in accounting, though it was set back to pending.
    let is_known =
        order.details.iter().any(|line| !added(books, order, line).is_zero() || !billed(books, order, line).is_zero());
    let is_open = !matches!(order.status, "On Hold" | "Pending Approval" | "Rejected");
    let is_pending = !is_open && !is_known;
    let status = match order.status {
        "Completed" => 1,
        "Closed" => 2,
        "On Hold" | "Pending Approval" | "Rejected" => 3,
        _ => 0,
    };
    let vendor = party(&order.vendor_id);
    let common = json!({
        "VendorGroup": GROUP, "Vendor": vendor, "Description": order.description, "PayTerms": order.terms, "Status": status,
        "Approved": yes(is_open), "JCCo": COMPANY, "Job": job(project(order)),
        "MthClosed": (status == 2).then(|| first_of(order.last_modified_at.date_naive())),
    });
    let (table, own) = if is_subcontract(order) {
        (
            "bSLHD",
            json!({"SLCo": COMPANY, "SL": name, "OrigDate": day(order.date), "MaxRetgOpt": "N", "KeyID": row_id("bSLHD", &name)}),
        )
    } else {
        ("bPOHD", json!({"POCo": COMPANY, "PO": name, "OrderDate": day(order.date), "KeyID": row_id("bPOHD", &name)}))
    };
    tables.insert(table, &joined(common, own));
    for line in &order.details {
        let added = if is_pending { Cents::ZERO } else { added(books, order, line) };
        let original = line.extended_cost - added;
        let is_change = original.is_zero() && !added.is_zero();
        if !is_change {
            planned(tables, order, line, original, &name, is_pending, sequences);
        }
        if is_pending {
            continue;
        }
        let invoiced = billed(books, order, line);
        let kind = cost_type_of_account(books, &line.account);
        let id = format!("{name}|{}", line.line_nbr);
        let common = json!({
            "PhaseGroup": GROUP, "Phase": phase(Some(&line.cost_code)), "JCCType": kind, "Job": job(&line.project), "JCCo": COMPANY,
            "Description": line.line_description, "UM": "LS", "GLCo": COMPANY, "GLAcct": account(&line.account),
            "OrigCost": money(original), "CurCost": money(line.extended_cost), "InvCost": money(invoiced),
        });
        if is_subcontract(order) {
            let own = json!({
                "SLCo": COMPANY, "SL": name, "SLItem": line.line_nbr, "ItemType": if is_change { 2 } else { 1 }, "VendorGroup": GROUP,
                "WCRetPct": share(line.retainage_pct), "SMRetPct": share(line.retainage_pct), "KeyID": row_id("bSLIT", &id),
            });
            tables.insert("bSLIT", &joined(common, own));
        } else {
            let left = line.extended_cost - invoiced;
            let own = json!({
                "POCo": COMPANY, "PO": name, "POItem": line.line_nbr, "ItemType": 1, "MatlGroup": GROUP, "PostToCo": COMPANY,
                "RemCost": money(left), "TotalCost": money(line.extended_cost), "PostedDate": day(order.date), "KeyID": row_id("bPOIT", &id),
            });
            tables.insert("bPOIT", &joined(common.clone(), own));
            let own = json!({
                "POCo": COMPANY, "PO": name, "POItem": line.line_nbr, "POItemLine": 1, "ItemType": 1, "PostToCo": COMPANY,
                "RemCost": money(left), "TotalCost": money(line.extended_cost), "PostedDate": day(order.date),
                "POITKeyID": row_id("bPOIT", &id), "KeyID": row_id("vPOItemLine", &id),
            });
            let Value::Object(mut row) = joined(common, own) else { continue };
            row.retain(|name, _| name != "Description" && name != "UM");
            tables.insert("vPOItemLine", &Value::Object(row));
        }
    }
}

/// An order's line as project management has it: interfaced, or not yet.
fn planned(
    tables: &mut SqlSchema,
    order: &ErpCommitment,
    line: &ErpCommitmentLine,
    amount: Cents,
    name: &str,
    is_pending: bool,
    sequences: &mut BTreeMap<String, i64>,
) {
    let project = project(order);
    let interfaced = (!is_pending).then(|| day(order.date));
    let vendor = party(&order.vendor_id);
    let common = json!({
        "PMCo": COMPANY, "Project": job(project), "RecordType": "O", "PhaseGroup": GROUP, "Phase": phase(Some(&line.cost_code)),
        "VendorGroup": GROUP, "Vendor": vendor, "UM": "LS", "Amount": money(amount), "SendFlag": "Y", "InterfaceDate": interfaced,
    });
    if is_subcontract(order) {
        let place = next(sequences, "PMSL", project);
        let own = json!({
            "Seq": place, "SLCo": COMPANY, "SL": name, "SLItem": line.line_nbr, "SLItemType": 1, "CostType": 3,
            "SLItemDescription": line.line_description, "WCRetgPct": share(line.retainage_pct),
            "KeyID": row_id("bPMSL", &format!("{project}|{place}")),
        });
        tables.insert("bPMSL", &joined(common, own));
    } else {
        let place = next(sequences, "PMMF", project);
        let own = json!({
            "Seq": place, "POCo": COMPANY, "PO": name, "POItem": line.line_nbr, "CostType": 2, "MaterialOption": "P", "ECM": "E",
            "MtlDescription": line.line_description, "KeyID": row_id("bPMMF", &format!("{project}|{place}")),
        });
        tables.insert("bPMMF", &joined(common, own));
    }
}

/// A change of orders: project management's change order of each, its lines, and what was posted of it.
fn write_commitment_change(
    tables: &mut SqlSchema,
    books: &AcumaticaDatabase,
    change: &ErpChangeOrder,
    sequences: &mut BTreeMap<String, i64>,
) {
    let place = change_number(change);
    let mut orders: BTreeMap<String, Vec<&ErpChangeOrderCommitment>> = BTreeMap::new();
    for line in &change.commitments {
        orders.entry(firm_order_key(line.po_type, &line.po_nbr)).or_default().push(line);
    }
    let (is_posted, is_ready) = (change.status == "Closed", matches!(change.status, "Closed" | "Open"));
    let approved = is_ready.then(|| day(change.approval_date.unwrap_or(change.change_date)));
    let status = match change.status {
        "Closed" | "Open" | "Rejected" => "FINAL",
        "On Hold" => "OPEN",
        _ => "REVIEW",
    };
    for (key, lines) in orders {
        let Some(order) = find_order(books, &key).filter(|order| is_there(order)) else { continue };
        let name = order_number(books, order);
        let project = change.project_id.as_str();
        let id = format!("{name}|{place}");
        let common = json!({
            "PMCo": COMPANY, "Project": job(project), "Description": change.description, "Date": day(change.change_date),
            "Status": status, "Reference": change.external_ref_nbr, "ReadyForAcctg": yes(is_ready), "DateApproved": approved,
        });
        let (table, own) = if is_subcontract(order) {
            (
                "vPMSubcontractCO",
                json!({"SLCo": COMPANY, "SL": name, "SubCO": place, "KeyID": row_id("vPMSubcontractCO", &id)}),
            )
        } else {
            ("vPMPOCO", json!({"POCo": COMPANY, "PO": name, "POCONum": place, "KeyID": row_id("vPMPOCO", &id)}))
        };
        tables.insert(table, &joined(common, own));
        for (part, line) in lines.into_iter().enumerate() {
            let list = if is_subcontract(order) { "PMSL" } else { "PMMF" };
            let seq = next(sequences, list, project);
            let kind = cost_type_of_account(books, &line.account);
            let row = row_id(list, &format!("{project}|{seq}"));
            let common = json!({
                "PMCo": COMPANY, "Project": job(project), "Seq": seq, "RecordType": "C", "PhaseGroup": GROUP,
                "Phase": phase(Some(&line.cost_code)), "CostType": kind, "VendorGroup": GROUP, "Vendor": party(&line.vendor), "UM": "LS",
                "Amount": money(line.amount), "SendFlag": yes(is_ready), "InterfaceDate": approved.as_ref().filter(|_| is_posted),
                "KeyID": row,
            });
            let id = format!("{id}|{part}");
            let mth = first_of(change.change_date);
            let item = posted_item(order, line);
            if is_subcontract(order) {
                let own = json!({"SLCo": COMPANY, "SL": name, "SLItem": item, "SLItemType": 2, "SubCO": place,
                    "SLItemDescription": line.description});
                tables.insert("bPMSL", &joined(common, own));
                if is_posted {
                    let row = json!({
                        "SLCo": COMPANY, "Mth": mth, "SLTrans": serial(&id), "SL": name, "SLItem": item,
                        "SLChangeOrder": place, "AppChangeOrder": change.external_ref_nbr, "ActDate": day(change.change_date),
                        "Description": line.description, "UM": "LS", "ChangeCurCost": money(line.amount),
                        "PostedDate": day(change.change_date), "KeyID": row_id("bSLCD", &id),
                    });
                    tables.insert("bSLCD", &row);
                }
            } else {
                let own = json!({"POCo": COMPANY, "PO": name, "POItem": item, "POCONum": place, "MaterialOption": "P", "ECM": "E",
                    "MtlDescription": line.description});
                tables.insert("bPMMF", &joined(common, own));
                if is_posted {
                    let row = json!({
                        "POCo": COMPANY, "Mth": mth, "POTrans": serial(&id), "PO": name, "POItem": item, "Seq": 1,
                        "ChangeOrder": change.external_ref_nbr, "POCONum": place, "ActDate": day(change.change_date),
                        "Description": line.description, "UM": "LS", "ChangeCurCost": money(line.amount),
                        "ChgTotCost": money(line.amount), "PostedDate": day(change.change_date), "KeyID": row_id("bPOCD", &id),
                    });
                    tables.insert("bPOCD", &row);
                }
            }
        }
    }
}

/// The order's line that a change adds or changes.
fn posted_item(order: &ErpCommitment, line: &ErpChangeOrderCommitment) -> i32 {
    let known = order.details.iter().any(|one| one.line_nbr == line.po_line_nbr);
    if known { line.po_line_nbr } else { order.details.iter().map(|one| one.line_nbr).max().unwrap_or(0) + 1 }
}

/// A change of the owner's contract: pending in project management, approved there, and posted to job cost.
fn write_owner_change(tables: &mut SqlSchema, change: &ErpChangeOrder) {
    let place = change_number(change);
    let (aco, pco) = (format!("{place:>10}"), change.external_ref_nbr.clone().unwrap_or_else(|| place.to_string()));
    let project = change.project_id.as_str();
    let (is_posted, is_approved) = (change.status == "Closed", matches!(change.status, "Closed" | "Open"));
    let date = change.approval_date.unwrap_or(change.change_date);
    let pending = match change.status {
        "Closed" | "Open" => 2,
        "Rejected" => 3,
        _ => 0,
    };
    let id = format!("{project}|{place}");
    let common = json!({"Description": change.description, "Contract": contract(project), "IntExt": "E"});
    let own = json!({
        "PMCo": COMPANY, "Project": job(project), "PCOType": "PCO", "PCO": pco, "PendingStatus": pending, "Status": "OPEN",
        "ApprovalDate": is_approved.then(|| day(date)), "DateCreated": day(change.change_date), "KeyID": row_id("bPMOP", &id),
    });
    tables.insert("bPMOP", &joined(common.clone(), own));
    if is_approved {
        let own = json!({
            "PMCo": COMPANY, "Project": job(project), "ACO": aco, "ApprovalDate": day(date), "ApprovedBy": "Maria Alvarez",
            "ChangeDays": change.contract_time_change_days, "ReadyForAcctg": "Y", "KeyID": row_id("bPMOH", &id),
        });
        tables.insert("bPMOH", &joined(common.clone(), own));
    }
    if is_posted {
        let own = json!({
            "JCCo": COMPANY, "Job": job(project), "ACO": aco, "ApprovedBy": "Maria Alvarez", "ApprovalDate": day(date),
            "ChangeDays": change.contract_time_change_days, "KeyID": row_id("bJCOH", &id),
        });
        tables.insert("bJCOH", &joined(common, own));
    }
    // A change of time alone has an item over nothing.
    let lines: Vec<(String, Cents, &str)> = change
        .revenue_budget
        .iter()
        .map(|line| (item(&line.cost_code), line.amount, line.description.as_str()))
        .collect();
    let lines = if lines.is_empty() { vec![(item("1"), Cents::ZERO, change.description.as_str())] } else { lines };
    for (part, (item, amount, text)) in lines.into_iter().enumerate() {
        let part = format!("{:>10}", part + 1);
        let id = row_id("bPMOI", &format!("{id}|{part}"));
        tables.insert(
            "bPMOI",
            &json!({
                "PMCo": COMPANY, "Project": job(project), "PCOType": "PCO", "PCO": pco, "PCOItem": part,
                "ACO": is_approved.then_some(&aco), "ACOItem": is_approved.then_some(&part), "Description": text,
                "Status": if is_approved { "FINAL" } else { "OPEN" }, "UM": "LS", "PendingAmount": money(amount),
                "ApprovedAmt": is_approved.then(|| money(amount)), "ApprovedDate": is_approved.then(|| day(date)),
                "Contract": contract(project), "ContractItem": item, "Approved": yes(is_approved),
                "InterfacedDate": is_posted.then(|| day(date)), "KeyID": id,
            }),
        );
        if is_posted {
            tables.insert(
                "bJCOI",
                &json!({
                    "JCCo": COMPANY, "Job": job(project), "ACO": aco, "ACOItem": part, "Contract": contract(project), "Item": item,
                    "Description": text, "ApprovedMonth": first_of(date), "ContractAmt": money(amount),
                    "ChangeDays": change.contract_time_change_days, "KeyID": id,
                }),
            );
        }
    }
}

/// Two objects as one.
pub(super) fn joined(common: Value, own: Value) -> Value {
    match (common, own) {
        (Value::Object(mut common), Value::Object(own)) => {
            common.extend(own);
            Value::Object(common)
        }
        (common, _) => common,
    }
}

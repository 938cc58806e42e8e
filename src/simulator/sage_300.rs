//! Sage 300 Construction and Real Estate as its SQL Replicator copies it, before the same books.
//!
//! Follows the fact sheet: tables and columns under their standard names; money is a float with noise in its last digits and, where a
//! rate made it, half cents; '' and 1900-01-01 stand for nothing; what belongs to closed jobs lies in HISTORY tables; one vendor's
//! invoice number stands once, so that people add a letter; a receivable is known by its status key, its invoice number may be blank;
//! enumerations come as words or as the codes behind them. Several data folders share the database. Leaves out what waits unposted:
//! that is in tables that nobody copies.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::firm::Firm;
use crate::firm::model::{AcumaticaDatabase, Cents, ProcoreDatabase};
use crate::integrator::procore_beside;
use crate::sql::SqlSchema;

mod job_cost;
mod keys;
mod master;
mod payables;
mod receivables;

pub use keys::{change_key, commitment_key, cost_key, invoice_key, receivable_key};

/// The schema that the Replicator writes to.
pub const SCHEMA: &str = "dbo";
/// The firm's data folder.
pub const DATA_FOLDER: &str = "1";
/// Another company's folder in the same database.
const OTHER_FOLDER: &str = "2";
/// The non-project code of the books.
const NO_PROJECT: &str = "X";
/// What the Replicator and Sage itself keep of each record.
const STAMPS: &str = "Operator_Stamp:varchar(20)!=ADMIN Date_Stamp:date Time_Stamp:time!=12:00:00 Data_Folder_Id:varchar(10)! \
                      Row_ID:uniqueidentifier! Row_Version:varchar(20)!";

const TABLES: &str = "
APM_MASTER__VENDOR: Data_Folder_Id Vendor
    Vendor:varchar(10)! Name:varchar(60)! Address_1:varchar(33)! Address_2:varchar(33)! City:varchar(15)! State:varchar(4)!
    ZIP:varchar(10)! Telephone:varchar(30)! Contact_1_Telephone:varchar(30)! E_Mail_Address:varchar(60)! Type:varchar(20)!
    Default_Payment_Type:varchar(20)! Form_Type_1099:varchar(20)! Discount_Percentage:float! Payment_Days:int! STAMPS
ARM_MASTER__CUSTOMER: Data_Folder_Id Customer
    Customer:varchar(10)! Name:varchar(60)! Telephone:varchar(30)! GL_Prefix:varchar(10)! Date_Established:date STAMPS
JCM_MASTER__JOB: Data_Folder_Id Job
    Job:varchar(10)! Description:varchar(60)! Status:varchar(20)! Job_Type:varchar(20)! AR_Customer:varchar(10)!
    Customer_Name:varchar(60)! Contract_Date:date Original_Contract_Amount:float! JTD_Aprvd_Contract_Chgs:float!
    Revised_Contract_Amount:float! Extras_JTD_Aprvd_Cntrc_Chgs:float! Extras_Revised_Contract_Amt:float! Retainage_Percent:float!
    Contract_Retainage_Percent:float! JTD_Cost:float! Job_Complete:bit! Cost_Account_Prefix:varchar(10)! STAMPS
JCM_MASTER__CATEGORY: Data_Folder_Id Job Extra Cost_Code Category
    Job:varchar(10)! Extra:varchar(10)! Cost_Code:varchar(12)! Category:varchar(3)! Description:varchar(30)! Status:varchar(20)!
    Accumulate_As:varchar(20)! Cost_Account:varchar(25)! Original_Estimate:float! Pending_Estimate_Changes:float!
    Approved_Estimate_Changes:float! Total_Estimate:float! Original_Commitment:float! Approved_Commitment_Changes:float!
    Revised_Commitment:float! Commitment_Invoiced:float! JTD_Cost:float! STAMPS
JCM_MASTER__COMMITMENT: Data_Folder_Id Commitment
    Commitment:varchar(12)! Commitment_Type:varchar(20)! Vendor:varchar(10)! Job:varchar(10)! Description:varchar(30)! Closed:bit!
    Amount_Invoiced:float! STAMPS
JCM_MASTER__COMMITMENT_ITEM: Data_Folder_Id Commitment Item_Number
    Commitment:varchar(12)! Item_Number:numeric(10,0)! Description:varchar(30)! Job:varchar(10)! Extra:varchar(10)!
    Cost_Code:varchar(12)! Category:varchar(3)! Units:float! Unit_Cost:float! Amount:float! Tax:float! Amount_Invoiced:float!
    Approved_Commitment_CO_Tax_Amount:float! STAMPS
JCM_MASTER__COMMITMENT_CO: Data_Folder_Id Commitment Commitment_CO
    Commitment:varchar(12)! Commitment_CO:varchar(10)! STAMPS
APM_MASTER__INVOICE: Data_Folder_Id Vendor Invoice
    Vendor:varchar(10)! Invoice:varchar(15)! Description:varchar(30)! Status:varchar(20)! Amount:float! Tax:float!
    Discount_Offered:float! Retainage:float! Misc_Deduction:float! Amount_Paid:float! Discount_Taken:float! Retainage_Held:float!
    Retainage_Paid:float! Misc_Deduction_Applied:float! Invoice_Date:date Date_Received:date Discount_Date:date Payment_Date:date
    Accounting_Date:date Appl_of_Origin:varchar(3)! Batch:varchar(10)! Pending_Invoice:bit! Onhold_Status:tinyint! STAMPS
APM_MASTER__DISTRIBUTION: Data_Folder_Id Vendor Invoice Dist_Seq
    Vendor:varchar(10)! Invoice:varchar(15)! Dist_Seq:numeric(5,0)! Description:varchar(30)! Status:varchar(20)! Amount:float!
    Tax:float! Retainage:float! Expense_Account:varchar(25)! Accounts_Payable_Account:varchar(25)!
    Retainage_Payable_Account:varchar(25)! Job:varchar(10)! Extra:varchar(10)! Cost_Code:varchar(12)! Category:varchar(3)!
    Commitment:varchar(12)! Commitment_Line_Item:numeric(10,0)! Onhold_Status:tinyint! STAMPS
APM_MASTER__INVOICE_PAYMENT: Data_Folder_Id Vendor Invoice Payment_ID
    Vendor:varchar(10)! Invoice:varchar(15)! Payment_ID:float! Description:varchar(30)! Payment_Type:varchar(20)!
    Bank_Account:varchar(10)! Check:numeric(10,0)! Amount_Paid:float! Tax_Paid:float! Discount_Taken:float! Retainage_Held:float!
    Retainage_Paid:float! STAMPS
APT_CURRENT__TRANSACTION: Data_Folder_Id Vendor Invoice Dist_Seq Run_Number Sequence_Number
    Vendor:varchar(10)! Invoice:varchar(15)! Dist_Seq:numeric(5,0)! Run_Number:numeric(10,0)! Sequence_Number:numeric(10,0)!
    Amount:float! Retainage:float! Accounting_Date:date Transaction_Date:date Payment_ID:float! Payment_Type:varchar(20)!
    Bank_Account:varchar(10)! Check:numeric(10,0)! Transaction_Type:varchar(20)! STAMPS
ART_CURRENT__TRANSACTION: Data_Folder_Id Customer Transaction_Date Run Sequence
    Customer:varchar(10)! Transaction_Date:date! Run:numeric(10,0)! Sequence:numeric(10,0)! Transaction_Type:varchar(20)!
    Amount_Type:varchar(20)! Invoice:varchar(15)! Draw:varchar(15)! Reference_Date:date Due_Date:date Cash_Receipt:varchar(15)!
    Bank_Account:varchar(10)! Deposit_Date:date Contract:varchar(10)! Job:varchar(10)! Extra:varchar(10)! Cost_Code:varchar(12)!
    Accounting_Date:date Amount:float! Retainage:float! Status_Type:varchar(20)! Status_Date:date! Status_Seq:numeric(5,0)! STAMPS
JCT_CURRENT__TRANSACTION: Data_Folder_Id Job Extra Cost_Code Category Transaction_Type Run Sequence
    Job:varchar(10)! Extra:varchar(10)! Cost_Code:varchar(12)! Category:varchar(3)! Transaction_Type:varchar(20)! Run:numeric(10,0)!
    Sequence:numeric(10,0)! Transaction_Date:date Accounting_Date:date Description:varchar(30)! Units:float! Unit_Cost:float!
    Amount:float! Debit_Account:varchar(25)! Application_of_Origin:varchar(3)! Batch:varchar(10)! Vendor:varchar(10)!
    Invoice:varchar(15)! Commitment:varchar(12)! Commitment_CO:varchar(10)! Retainage:float! STAMPS
GLM_MASTER__ACCOUNT: Data_Folder_Id Account
    Account:varchar(25)! Account_Title:varchar(30)! Account_Type:varchar(20)! STAMPS
";
/// Files whose records of closed jobs, or of months long closed, are moved.
const MOVED: [&str; 3] = ["APT", "ART", "JCT"];

/// The firm's books as they are now.
///
/// # Errors
/// Tables that are declared wrongly.
pub fn tables(firm: &Firm) -> anyhow::Result<SqlSchema> {
    let mut text = TABLES.replace("STAMPS", STAMPS);
    for file in MOVED {
        let first = format!("{file}_CURRENT__TRANSACTION");
        let lines = text.lines().skip_while(|line| !line.starts_with(&first));
        let own: Vec<&str> = lines
            .enumerate()
            .take_while(|(at, line)| *at == 0 || line.starts_with(' '))
            .map(|(_, line)| line)
            .collect();
        let history = own.join("\n").replace("_CURRENT__", "_HISTORY__");
        text = format!("{text}\n{history}\n");
    }
    let mut folder = Folder { schema: SqlSchema::parse(SCHEMA, &text)?, version: 0 };
    master::insert(&mut folder, firm);
    payables::insert(&mut folder, firm);
    receivables::insert(&mut folder, firm);
    job_cost::insert(&mut folder, firm);
    Ok(folder.schema)
}

/// Procore's records with the ids that an integrator of Sage 300 stored: the codes that make up Sage's keys.
#[must_use]
pub fn procore(firm: &Firm) -> ProcoreDatabase {
    procore_beside(firm, record_key)
}

/// What Sage calls a record of the books, by the canonical entity and the books' key; nothing for one that it does not have. A cost code of
/// the books belongs to a project: that stands in front of its own key.
#[must_use]
pub fn record_key(firm: &Firm, entity: &str, key: &str) -> Option<String> {
    match entity {
        "commitments" => commitment_key(firm, key),
        "change_orders" => change_key(firm, key),
        "vendor_invoices" => invoice_key(&firm.acumatica, key),
        "owner_invoices" => receivable_key(&firm.acumatica, key),
        "job_costs" => cost_key(&firm.acumatica, key),
        "cost_codes" => Some(format!("{}|{key}", key.split('|').next().unwrap_or_default())),
        _ => Some(key.to_uppercase()),
    }
}

/// The tables while they are filled.
struct Folder {
    schema: SqlSchema,
    version: u64,
}

impl Folder {
    /// A row of the firm's folder. Its row id is the same as long as its key is.
    fn insert(&mut self, table: &str, row: &Value) {
        self.put(table, DATA_FOLDER, row);
    }

    /// A row of the firm's folder, and one that looks like it in another company's.
    fn insert_in_both(&mut self, table: &str, row: &Value) {
        self.put(table, DATA_FOLDER, row);
        self.put(table, OTHER_FOLDER, row);
    }

    fn put(&mut self, table: &str, folder: &str, row: &Value) {
        let Value::Object(fields) = row else { return };
        let key = self.schema.table(table).map(|table| table.key.clone()).unwrap_or_default();
        let named: Vec<String> = key.iter().filter_map(|name| Some(fields.get(name)?.to_string())).collect();
        self.version += 1;
        let mut fields: Map<String, Value> = fields.clone();
        fields.insert("Data_Folder_Id".to_owned(), json!(folder));
        fields.insert("Row_ID".to_owned(), json!(guid(&format!("{folder} {table} {}", named.join("|")))));
        fields.insert("Row_Version".to_owned(), json!(self.version.to_string()));
        self.schema.insert(table, &Value::Object(fields));
    }
}

fn guid(text: &str) -> String {
    let digest = hex(&Sha256::digest(text));
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Money as a float: now and then with noise that sums and conversions leave, by chance of `seed`.
fn float(amount: Cents, seed: i64) -> Value {
    let text = amount.to_string();
    let noisy = match seed.rem_euclid(7) {
        1 if !amount.is_zero() => format!("{text}0000000004"),
        3 if !amount.is_zero() => format!("{text}3"),
        5 if !amount.is_zero() => {
            let sign = if amount < Cents::ZERO { "-" } else { "" };
            format!("{sign}{}99999999", amount.abs() - Cents(1))
        }
        _ => text,
    };
    json!(noisy)
}

/// Money that a rate made: half a cent beyond it, which nobody rounded.
fn half_cent(amount: Cents) -> Value {
    json!(if amount.is_zero() { amount.to_string() } else { format!("{amount}5") })
}

/// A number at the end of a key.
fn digits(key: &str) -> i64 {
    let digits: String = key.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

/// The category that posts to an account.
fn category<'a>(books: &'a AcumaticaDatabase, account: &str) -> &'a str {
    let mut groups = books.account_groups.values();
    let found =
        groups.find(|group| group.default_account_id.as_deref() == Some(account) && group.group_type == "Expense");
    found.map_or("", |group| group.account_group_id.as_str())
}

#[cfg(test)]
mod tests;

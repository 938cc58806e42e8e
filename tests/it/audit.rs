//! The year-end schedules at two pins against what the simulated firm knows, by the real binary over real HTTP.
//!
//! What is owed, retained, spent, billed and paid at a date is added up here from the firm's own documents, in another way
//! than the views do it: a vendor's balance is all bills less all checks, whatever was applied to what.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use tieout::clock::SharedClock;
use tieout::definitions::Definitions;
use tieout::engine::{Engine, EngineSettings, SessionRequest, SourceBinding};
use tieout::simulator::firm::model::{Cents, ChangeOrder, Commitment, ErpBill, ProcoreId};
use tieout::simulator::{Firm, RateLimits, Simulator, SimulatorOptions, Trouble};
use tieout::warehouse::Warehouse;
use tokio::task::spawn_blocking;

use super::truth::{tieout, write_crosswalk, write_workspace};

/// A pin, when both systems are read for it, and the end of its period.
const PINS: [(&str, &str, &str); 2] =
    [("Q2", "2026-07-04T11:00:00Z", "2026-06-30"), ("Q3", "2026-10-05T11:00:00Z", "2026-09-30")];
/// Read once more, and not all of it.
const LAST: &str = "2026-10-06T11:00:00Z";

/// Planning in a debug build needs more stack than a test thread has.
const STACK_BYTES: usize = 64 << 20;

/// Cents by what they are of; what comes to nothing is left out.
type Sums = BTreeMap<String, i64>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: .ci/long"]
async fn the_schedules_of_a_pin_are_what_the_firm_knows() {
    let simulator = simulator().await;
    let folder = tempfile::tempdir().unwrap();
    write_workspace(folder.path(), &simulator);
    let mut firms = Vec::new();
    for (pin, moment, ends_on) in PINS {
        simulator.advance_to(moment.parse().unwrap());
        write_crosswalk(folder.path(), &simulator);
        run(folder.path(), &["extract", "--now", moment, "--no-progress"]).await;
        run(folder.path(), &["pin", pin, "--period-end", ends_on]).await;
        firms.push(Firm::clone(&simulator.firm()));
    }
    // One project's contract may not be read any more.
    simulator.advance_to(LAST.parse().unwrap());
    let project = simulator.firm().procore.prime_contracts.values().next().unwrap().project_id.to_string();
    simulator.interference().procore("prime_contracts", &project, Trouble::Forbidden);
    run(folder.path(), &["extract", "--now", LAST, "--no-progress"]).await;
    let workspace = folder.path().to_path_buf();
    let read = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let reader = Reader::open(&workspace).await;
            for ((pin, _, ends_on), firm) in PINS.iter().zip(&firms) {
                balances(&reader, pin, firm, ends_on.parse().unwrap()).await;
            }
            since_the_previous_pin(&reader, &firms).await;
            beliefs(&reader).await;
            without_permission(&reader, &project).await;
            let differences = reader.1.into_inner();
            assert!(differences.is_empty(), "found and known differ:\n{differences}");
        });
    };
    let reading = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(read).unwrap();
    if let Err(panic) = spawn_blocking(|| reading.join()).await.unwrap() {
        std::panic::resume_unwind(panic);
    }
}

/// The warehouse, read as the program reads it, and what is not as the firm knows it: all of it is told at once.
struct Reader(Arc<Engine>, RefCell<String>);

impl Reader {
    async fn open(folder: &Path) -> Self {
        let warehouse = Warehouse::open(folder.join("warehouse").to_str().unwrap()).await.unwrap();
        let definitions = Definitions::shipped().overlay(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let definitions = definitions.overlay(folder).unwrap();
        let source = |name: &str| SourceBinding { name: name.to_owned(), system: name.to_owned() };
        let settings = EngineSettings {
            sources: vec![source("procore"), source("acumatica")],
            time_zone: chrono_tz::America::Chicago,
            ..EngineSettings::default()
        };
        Self(Engine::open(warehouse, definitions, settings).await.unwrap(), RefCell::default())
    }

    fn compare(&self, place: &str, found: &Sums, expected: &Sums) {
        let keys: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
        for key in keys.into_iter().filter(|key| found.get(*key) != expected.get(*key)) {
            let (found, expected) = (found.get(key), expected.get(key));
            writeln!(self.1.borrow_mut(), "{place}, {key}: found {found:?}, expected {expected:?}").unwrap();
        }
    }

    /// A query's `amount` in cents, by its `key`, at a moment.
    async fn sums(&self, as_of: &str, date: Option<&str>, query: &str) -> Sums {
        let request = SessionRequest {
            as_of: Some(as_of.to_owned()),
            accounting_date: date.map(str::to_owned),
            ..SessionRequest::default()
        };
        let session = self.0.session(&request).await.unwrap();
        let query = format!(
            "select coalesce(key, 'none') as key, cast(amount * 100 as bigint) as cents from ({query}) as asked where amount <> 0"
        );
        let batches = session.sql(&query).await.unwrap().collect().await.unwrap();
        summed(batches.iter().flat_map(|batch| {
            let keys = cast(batch.column(0), &DataType::Utf8).unwrap();
            let cents = batch.column(1).as_primitive::<Int64Type>().iter();
            keys.as_string::<i32>()
                .iter()
                .zip(cents)
                .map(|(key, cents)| (key.unwrap().to_owned(), Cents(cents.unwrap())))
                .collect::<Vec<_>>()
        }))
    }
}

/// Eight months of a firm in which much goes wrong.
async fn simulator() -> Simulator {
    let start: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
    let mut options = SimulatorOptions::new(8, SharedClock::new(start));
    options.firm.first_month = (2026, 3);
    options.firm.months = 7;
    options.firm.projects = 4;
    options.firm.faults = options.firm.faults.scaled(200);
    options.firm.faults.mishaps = 450;
    options.procore_limits = RateLimits { hour: u32::MAX, spike: u32::MAX, spike_seconds: 10 };
    options.acumatica_licence.requests_per_minute = None;
    Simulator::start(options).await.unwrap()
}

/// What is open, retained, spent, billed and paid at the end of the period.
async fn balances(reader: &Reader, pin: &str, firm: &Firm, ends_on: NaiveDate) {
    let found = async |query: &str| reader.sums(pin, None, query).await;
    let place = |what: &str| format!("{what} at {pin}");
    let open = "select vendor_id as key, sum(open_amount) as amount from audit.ap_aging group by 1";
    reader.compare(&place("payables"), &found(open).await, &payables(firm, ends_on));
    let retained = "select vendor_id as key, sum(closing_amount) as amount from audit.retainage_payable group by 1";
    reader.compare(&place("retainage payable"), &found(retained).await, &retainage(firm, ends_on));
    let open = "select 'all' as key, sum(open_amount) as amount from audit.ar_aging";
    reader.compare(&place("receivables"), &found(open).await, &receivables(firm, ends_on));
    let cost = "select project_id as key, sum(job_cost) as amount from link.job_cost_documents group by 1";
    reader.compare(&place("job cost"), &found(cost).await, &job_cost(firm, ends_on));
    let billed = "select jobs.erp_id as key, sum(figures.billed_to_date) as amount from link.wip_figures as figures \
                  inner join link.erp_projects as jobs on jobs.project_id = figures.project_id group by 1";
    reader.compare(&place("billed"), &found(billed).await, &billed_to_date(firm, ends_on));
    let agreed =
        "select project_number as key, contract_amount as amount from audit.wip_schedule where contract_source = 'pm'";
    reader.compare(&place("contracts"), &found(agreed).await, &contracts(firm, ends_on));
    let agreed = "select commitment_number as key, pm_revised_amount as amount from audit.open_commitments";
    reader.compare(&place("commitments"), &found(agreed).await, &commitments(firm, ends_on));
    let posted = "select project_number as key, coalesce(difference, 999) as amount from audit.billing_to_gl where status <> 'not_applicable'";
    reader.compare(&place("billing in the ledger"), &found(posted).await, &Sums::new());
    let reported = "select vendor_codes as key, reportable_amount as amount from audit.form_1099";
    reader.compare(&place("form 1099"), &found(reported).await, &reportable(firm, ends_on));
    // What a schedule lacks was posted past it, by hand or in a batch that waits, and nothing else.
    let left = "select control as key, coalesce(unexplained_amount, 999) as amount from audit.control_tie_out";
    reader.compare(&place("control accounts"), &found(left).await, &Sums::new());
    let identities = "select 'earned' as key, sum(earned_revenue - billed_to_date - underbilled_amount + overbilled_amount) as amount \
                      from audit.wip_schedule union all \
                      select 'backlog', sum(contract_amount - earned_revenue - backlog_amount) from audit.wip_schedule union all \
                      select 'cost', sum(cost_to_date) - (select sum(job_cost) from audit.job_cost_to_gl) from audit.wip_schedule union all \
                      select 'ageing', sum(open_amount - current_amount - days_1_30 - days_31_60 - days_61_90 - over_90_days) from audit.ap_aging union all \
                      select 'roll', sum(opening_amount + withheld_amount - released_amount - closing_amount) from audit.retainage_payable union all \
                      select 'disbursed', sum(difference) from audit.form_1099_tie_out union all \
                      select 'receivable by contract', sum(receivable_amount) - (select sum(open_amount) from audit.ar_aging where project_number is not null) \
                      from audit.contract_balances union all \
                      select 'net by contract', sum(contract_asset - contract_liability - earned_revenue + billed_to_date - retainage_amount) \
                      from audit.contract_balances";
    reader.compare(&place("identities"), &found(identities).await, &Sums::new());
    let told = "select 'not pinned' as key, count(*) * 1.00 as amount from audit.wip_schedule where pin <> '";
    reader.compare(&place("the pin's name"), &found(&format!("{told}{pin}'")).await, &Sums::new());
}

/// Gain and fade, and what happened to the second quarter after it was pinned.
async fn since_the_previous_pin(reader: &Reader, firms: &[Firm]) {
    let [before, now]: &[Firm; 2] = firms.try_into().ok().unwrap();
    let ends_on: NaiveDate = PINS[0].2.parse().unwrap();
    let found = async |pin: &str, query: &str| reader.sums(pin, None, query).await;
    let margin = |column: &str| format!("select project_number as key, {column} as amount from audit.wip_schedule");
    let then = found("Q2", &margin("profit_at_completion")).await;
    reader.compare("margin at the pin before", &found("Q3", &margin("previous_profit_at_completion")).await, &then);
    reader.compare("fade with no pin before", &found("Q2", &margin("gain_fade")).await, &Sums::new());
    let moved = margin("profit_at_completion - previous_profit_at_completion - gain_fade");
    reader.compare("gain and fade", &found("Q3", &moved).await, &Sums::new());

    let late = "select record_id as key, difference as amount from audit.late_changes \
                where closed_as = 'Q2' and side = 'erp' and entity = 'vendor_invoices'";
    let counted = |firm: &Firm| counted_bills(firm, ends_on);
    let mut expected = counted(now);
    for (key, cents) in counted(before) {
        *expected.entry(key).or_default() -= cents;
    }
    expected.retain(|_, cents| *cents != 0);
    assert!(!expected.is_empty(), "nothing changed the second quarter after its pin: take another firm");
    reader.compare("late changes", &found("Q3", late).await, &expected);

    let restated = "select figure as key, difference as amount from audit.restatements";
    let all = |sums: &Sums| sums.values().sum::<i64>();
    let payables = all(&payables(now, ends_on)) - all(&payables(before, ends_on));
    let cost = all(&job_cost(now, ends_on)) - all(&job_cost(before, ends_on));
    let restated = found("Q3", &format!("{restated} where figure in ('payables', 'cost_to_date')")).await;
    let expected =
        [("payables", payables), ("cost_to_date", cost)].map(|(name, cents)| (name.to_owned(), Cents(cents)));
    reader.compare("restatements", &restated, &summed(expected));
    let unpinned = "select status as key, 1.00 as amount from audit.restatements";
    let none = Sums::from([("not_evaluated".to_owned(), 100)]);
    reader.compare("restatements with no pin before", &found("Q2", unpinned).await, &none);
}

/// What was believed at one moment about another date, in one query.
async fn beliefs(reader: &Reader) {
    let query = "select then.figure as key, then.amount - own.amount as amount \
                 from as_of('audit.key_figures', 'Q3', '2026-06-30') as then \
                 inner join audit.key_figures as own on own.figure = then.figure and own.currency = then.currency";
    reader.compare("beliefs", &reader.sums("Q3", Some("2026-06-30"), query).await, &Sums::new());
    let query = "select then.figure as key, then.amount as amount from as_of('audit.key_figures', 'Q2') as then";
    let believed = "select figure as key, believed_amount as amount from audit.restatements";
    let (then, believed) = (reader.sums("latest", None, query).await, reader.sums("Q3", None, believed).await);
    reader.compare("what the pin believed", &believed, &then);
}

/// The line of the project says that it was not read, the others stand.
async fn without_permission(reader: &Reader, project: &str) {
    let query = "select case when projects.record_id is null then 'another' else 'this one' end || ' ' || schedule.status as key, \
                 count(*) * 0.01 as amount from audit.wip_schedule as schedule left join pm.projects as projects \
                 on projects.number = schedule.project_number and projects.record_id = '";
    let found = reader.sums("latest", None, &format!("{query}{project}' group by 1")).await;
    assert_eq!(found.get("this one not_evaluated"), Some(&1), "{found:?}");
    assert!(!found.contains_key("another not_evaluated"), "{found:?}");
    let query = "select pin || ' ' || status || ' ' || coalesce(reason, '') as key, count(*) * 0.01 as amount from audit.readiness \
                 where view_name = 'wip_schedule' group by 1";
    let found: Vec<String> = reader.sums("latest", None, query).await.into_keys().collect();
    assert!(found.iter().any(|key| key.starts_with("not pinned partial")), "{found:?}");
    assert!(found.iter().any(|key| key.contains("not_evaluated") && key.contains("prime_contracts")), "{found:?}");
}

fn is_released(status: &str) -> bool {
    matches!(status, "Open" | "Closed")
}

fn sign(doc_type: &str) -> i64 {
    if matches!(doc_type, "Debit Adj." | "Credit Memo") { -1 } else { 1 }
}

fn counted_cents(bill: &ErpBill, ends_on: NaiveDate) -> i64 {
    if is_released(bill.status) && bill.date <= ends_on { bill.amount.0 * sign(bill.doc_type) } else { 0 }
}

fn counted_bills(firm: &Firm, ends_on: NaiveDate) -> Sums {
    let bills = firm.acumatica.bills.iter();
    summed(bills.map(|(key, bill)| (key.clone(), Cents(counted_cents(bill, ends_on)))))
}

fn summed(parts: impl IntoIterator<Item = (String, Cents)>) -> Sums {
    let mut sums = Sums::new();
    for (key, amount) in parts {
        *sums.entry(key).or_default() += amount.0;
    }
    sums.retain(|_, cents| *cents != 0);
    sums
}

/// All bills less all checks, by vendor; a void is a check of a negative amount.
fn payables(firm: &Firm, ends_on: NaiveDate) -> Sums {
    let bills = firm.acumatica.bills.values();
    let bills = bills.map(|bill| (bill.vendor.clone(), Cents(counted_cents(bill, ends_on))));
    let checks = firm.acumatica.checks.values().filter(|check| check.application_date <= ends_on);
    let checks = checks.filter(|check| is_released(check.status) || check.status == "Voided");
    let paid = checks.map(|check| {
        let discounts: Cents = check.history.iter().map(|paid| paid.cash_discount_taken).sum();
        (check.vendor.clone(), -(check.payment_amount + discounts))
    });
    summed(bills.chain(paid))
}

fn retainage(firm: &Firm, ends_on: NaiveDate) -> Sums {
    let bills = firm.acumatica.bills.values().filter(|bill| is_released(bill.status) && bill.date <= ends_on);
    summed(bills.map(|bill| {
        let retained = bill.amount_with_retainage - bill.amount;
        let cents = if bill.is_retainage_document { -bill.amount } else { retained };
        (bill.vendor.clone(), Cents(cents.0 * sign(bill.doc_type)))
    }))
}

fn receivables(firm: &Firm, ends_on: NaiveDate) -> Sums {
    let invoices = firm.acumatica.invoices.values().filter(|it| is_released(it.status) && it.date <= ends_on);
    let invoices = invoices.map(|invoice| Cents(invoice.amount.0 * sign(invoice.doc_type)));
    let receipts = firm.acumatica.payments.values().filter(|it| it.application_date <= ends_on);
    let receipts = receipts.filter(|it| is_released(it.status) || it.status == "Voided");
    let received = receipts.map(|receipt| -receipt.payment_amount);
    summed(invoices.chain(received).map(|amount| ("all".to_owned(), amount)))
}

fn job_cost(firm: &Firm, ends_on: NaiveDate) -> Sums {
    let lines = firm.acumatica.project_transactions.values().flat_map(|transaction| &transaction.details);
    let lines = lines.filter(|line| line.released && line.date <= ends_on && line.account_group != "REV");
    summed(lines.filter(|line| line.project != "X").map(|line| (line.project.clone(), line.amount)))
}

fn billed_to_date(firm: &Firm, ends_on: NaiveDate) -> Sums {
    let invoices = firm.acumatica.invoices.values().filter(|it| is_released(it.status) && it.date <= ends_on);
    let own = invoices.filter(|it| !it.is_retainage_document);
    summed(own.filter_map(|invoice| {
        let gross = invoice.amount_with_retainage - invoice.tax_total;
        Some((invoice.project.clone().filter(|project| project != "X")?, Cents(gross.0 * sign(invoice.doc_type))))
    }))
}

/// What was paid in the year to vendors that the form is for, without checks that were voided since.
fn reportable(firm: &Firm, ends_on: NaiveDate) -> Sums {
    let checks = firm.acumatica.checks.values();
    let in_year = checks.filter(|it| it.application_date <= ends_on && it.application_date.year() == ends_on.year());
    let paid = in_year.filter(|it| is_released(it.status) && !it.doc_type.starts_with("Void"));
    let own = paid.filter(|it| firm.acumatica.vendors.get(&it.vendor).is_some_and(|vendor| vendor.f1099_vendor));
    summed(own.map(|check| (check.vendor.clone(), check.payment_amount)))
}

/// PM's contract with each owner: what was agreed first and the change orders that were approved by the date.
fn contracts(firm: &Firm, ends_on: NaiveDate) -> Sums {
    let number = |id: &ProcoreId| firm.procore.projects.get(id)?.project_number.clone();
    let signed =
        firm.procore.prime_contracts.values().filter(|it| is_agreed(it.status) && day(it.created_at) <= ends_on);
    let signed: Vec<_> = signed.filter(|it| it.deleted_at.is_none()).collect();
    let ids: BTreeSet<ProcoreId> = signed.iter().map(|contract| contract.id).collect();
    let orders = approved_orders(firm, ends_on).filter(|order| ids.contains(&order.contract_id));
    let changes = orders.filter_map(|order| Some((number(&order.project_id)?, order.grand_total)));
    let original = signed.iter().filter_map(|contract| Some((number(&contract.project_id)?, contract.grand_total)));
    summed(original.chain(changes))
}

/// The same of subcontracts and purchase orders, by their numbers.
fn commitments(firm: &Firm, ends_on: NaiveDate) -> Sums {
    let agreed = |it: &&Commitment| is_agreed(it.status) && it.deleted_at.is_none();
    let signed = firm.procore.commitments.values().filter(agreed);
    let signed = signed.filter(|it| it.execution_date.unwrap_or_else(|| day(it.created_at)) <= ends_on);
    let numbers: BTreeMap<ProcoreId, String> = signed.clone().map(|it| (it.id, it.number.clone())).collect();
    let orders = approved_orders(firm, ends_on);
    let changes = orders.filter_map(|order| Some((numbers.get(&order.contract_id)?.clone(), order.grand_total)));
    summed(signed.map(|it| (it.number.clone(), it.grand_total)).chain(changes))
}

fn approved_orders(firm: &Firm, ends_on: NaiveDate) -> impl Iterator<Item = &ChangeOrder> {
    let approved = firm.procore.change_orders.values().filter(|order| order.status == "approved");
    approved.filter(move |order| order.reviewed_at.is_none_or(|at| day(at) <= ends_on))
}

fn is_agreed(status: &str) -> bool {
    matches!(status, "Approved" | "Complete" | "Closed" | "Terminated")
}

/// The firm's day.
fn day(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&chrono_tz::America::Chicago).date_naive()
}

async fn run(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let folder = PathBuf::from(folder);
    let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    let told = spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        tieout(&folder, &arguments)
    });
    told.await.unwrap()
}

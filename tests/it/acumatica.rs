//! The simulated firm's ERP read through the real binary: every table, both ways to sign in, old and new endpoint versions.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tieout::clock::SharedClock;
use tieout::simulator::{FaultRates, Rule, Simulator, SimulatorOptions, System, Trouble};

const NOW: &str = "2026-08-20T11:00:00Z";

/// A firm in which nothing goes wrong, after half a year, and a workspace on its ERP alone.
struct Office {
    simulator: Simulator,
    folder: tempfile::TempDir,
}

impl Office {
    async fn new(settings: &str) -> Self {
        let mut options = SimulatorOptions::new(4, SharedClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
        options.firm.first_month = (2026, 1);
        options.firm.months = 6;
        options.firm.projects = 3;
        options.firm.faults = FaultRates::none();
        let simulator = Simulator::start(options).await.unwrap();
        simulator.advance_to(NOW.parse().unwrap());
        let office = Self { simulator, folder: tempfile::tempdir().unwrap() };
        office.write(settings);
        office
    }

    fn write(&self, settings: &str) {
        let acumatica = self.simulator.acumatica();
        let text = format!(
            "[firm]\nname = \"Builders\"\ntimezone = \"UTC\"\n\n[sources.acumatica]\nkind = \"acumatica\"\n\
             base_url = \"{}\"\ntenant = \"{}\"\nusername = {{ file = \"user\" }}\npassword = {{ file = \"word\" }}\n{settings}\n",
            acumatica.base_url, acumatica.tenant
        );
        let secrets = [
            ("tieout.toml", text),
            ("user", acumatica.username),
            ("word", acumatica.password),
            ("id", acumatica.client_id),
            ("secret", acumatica.client_secret),
        ];
        for (name, text) in secrets {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }
    }

    /// Extracts; gives the exit code and what was said.
    fn extract(&self, more: &[&str]) -> (i32, String) {
        let arguments = [&["extract", "--now", NOW, "--no-progress"], more].concat();
        let (code, out, said) = tieout(self.folder.path(), &arguments);
        assert_eq!(self.simulator.acumatica_sessions(), self.seats_left(), "{said}");
        (code, out + &said)
    }

    /// A token's seat ends with the token; a session is signed out.
    fn seats_left(&self) -> usize {
        usize::from(std::fs::read_to_string(self.folder.path().join("tieout.toml")).unwrap().contains("client_id"))
    }

    fn rows(&self, query: &str) -> Vec<Value> {
        let (code, out, said) = tieout(self.folder.path(), &["sql", "--format", "json", query]);
        assert_eq!(code, 0, "{query}: {said}");
        serde_json::from_str(&out).unwrap()
    }

    /// The one number that a query gives.
    fn count(&self, query: &str) -> i64 {
        let rows = self.rows(query);
        let value = rows.first().unwrap().as_object().unwrap().values().next().unwrap().clone();
        value.as_i64().or_else(|| value.as_str()?.parse().ok()).ok_or_else(|| format!("{query}: {value}")).unwrap()
    }

    /// That a query which looks for what is wrong finds nothing.
    fn none(&self, query: &str) {
        let rows = self.rows(query);
        assert!(rows.is_empty(), "{query}: {} rows, the first {}", rows.len(), rows.first().unwrap());
    }
}

fn tieout(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tieout")).current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// How many requests a run says that it took.
fn requests(said: &str) -> i64 {
    let words: Vec<&str> = said.split_whitespace().collect();
    let at = words.iter().position(|word| word.starts_with("requests")).unwrap();
    words.get(at - 1).unwrap().parse().unwrap()
}

/// Every entity of the model that Acumatica has.
const ENTITIES: [&str; 23] = [
    "account_balances",
    "budget_lines",
    "change_order_lines",
    "change_orders",
    "commitment_lines",
    "commitments",
    "cost_codes",
    "cost_types",
    "customers",
    "fiscal_periods",
    "gl_accounts",
    "gl_transactions",
    "job_costs",
    "owner_invoice_lines",
    "owner_invoices",
    "payment_applications",
    "payments",
    "prime_contracts",
    "projects",
    "unposted_transactions",
    "vendor_invoice_lines",
    "vendor_invoices",
    "vendors",
];

/// A batch is posted or waits, line by line, and never both.
fn every_journal_line_is_posted_or_waits(office: &Office) {
    assert!(office.count("select count(*) as n from erp.unposted_transactions") > 0);
    office.none(
        "select coalesce(posted.record_id, waiting.record_id) as record_id from erp.gl_transactions as posted \
         full join erp.unposted_transactions as waiting on waiting.record_id = posted.record_id \
         full join acumatica.journal_lines as lines on concat(trim(lines.module), '|', trim(lines.batch_nbr), '|', \
         cast(coalesce(lines.line_nbr, lines.position) as varchar)) = coalesce(posted.record_id, waiting.record_id) \
         where (posted.record_id is null) = (waiting.record_id is null) or lines.batch_nbr is null",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: .ci/long"]
async fn the_books_add_up_from_lines_to_the_trial_balance() {
    let office = Office::new("").await;
    let (code, said) = office.extract(&[]);
    assert_eq!(code, 0, "{said}");
    for entity in ENTITIES {
        let keys = format!("select count(*) - count(distinct record_id) as n from erp.{entity}");
        assert_eq!(office.count(&keys), 0, "{entity}: a record_id that is null or there twice");
        assert!(office.count(&format!("select count(*) as n from erp.{entity}")) > 0, "{entity} is empty");
    }
    // Lines and headers.
    for (header, amount, line, parent, sum) in [
        ("commitments", "revised_amount", "commitment_lines", "commitment_id", "amount"),
        ("change_orders", "amount", "change_order_lines", "change_order_id", "amount"),
        ("vendor_invoices", "gross_amount", "vendor_invoice_lines", "invoice_id", "amount"),
        ("vendor_invoices", "retainage_amount", "vendor_invoice_lines", "invoice_id", "retainage_amount"),
        (
            "owner_invoices",
            "gross_amount",
            "owner_invoice_lines",
            "invoice_id",
            "this_period + coalesce(materials_stored, 0)",
        ),
    ] {
        office.none(&format!(
            "select headers.record_id, headers.{amount} as header, lines.total from erp.{header} as headers left join \
             (select {parent} as id, sum({sum}) as total from erp.{line} group by 1) as lines on headers.record_id = lines.id \
             where headers.{amount} is distinct from coalesce(lines.total, 0)"
        ));
        office.none(&format!(
            "select {parent} from erp.{line} left anti join erp.{header} as headers on {parent} = headers.record_id"
        ));
    }
    office.none(
        "select record_id from erp.owner_invoice_lines where scheduled_value is not null and \
         (completed_and_stored <> from_previous + this_period + materials_stored or \
         balance_to_finish <> scheduled_value - completed_and_stored)",
    );
    // The ledger and its trial balance. Retained earnings take over past results without an entry.
    office.none(
        "select split_part(record_id, '|', 2) as batch from erp.gl_transactions group by document_type, 1 having sum(debit) <> sum(credit)",
    );
    let moved =
        "select account, period, sum(debit) as debit, sum(credit) as credit from erp.gl_transactions group by 1, 2";
    office.none(&format!(
        "select moved.* from ({moved}) as moved left join erp.account_balances as balances using (account, period) \
         where (balances.debit is distinct from moved.debit) or (balances.credit is distinct from moved.credit)"
    ));
    office.none("select record_id from erp.account_balances where closing <> opening + debit - credit");
    office.none("select period from erp.account_balances group by period having sum(closing) <> 0");
    // Documents and control accounts.
    let last = "(select max(right(period, 4) || left(period, 2)) from erp.account_balances)";
    for (control, documents) in [
        ("ap", "select -sum(open_balance) as total from erp.vendor_invoices"),
        ("ar", "select sum(open_balance) as total from erp.owner_invoices"),
    ] {
        office.none(&format!(
            "select * from ({documents}) as documents, (select sum(balances.closing) as total from erp.account_balances as balances \
             inner join erp.gl_accounts as accounts on balances.account = accounts.account where accounts.control_of = '{control}' \
             and right(period, 4) || left(period, 2) = {last}) as ledger where documents.total is distinct from ledger.total"
        ));
    }
    let controls = office.rows("select account, control_of from erp.gl_accounts where control_of <> 'none' order by 1");
    let controls: Vec<&str> = controls.iter().map(|row| row["control_of"].as_str().unwrap()).collect();
    assert_eq!(controls, ["ar", "retainage_receivable", "ap", "retainage_payable"]);
    // Budgets against what was posted and committed.
    office.none(
        "select lines.record_id from erp.budget_lines as lines left join (select project_id, coalesce(cost_code, '') as cost_code, \
         cost_type, sum(amount) as amount from erp.job_costs group by 1, 2, 3) as costs on lines.project_id = costs.project_id and \
         coalesce(lines.cost_code, '') = costs.cost_code and lines.cost_type = costs.cost_type \
         where lines.budget_type = 'cost' and lines.actual_amount <> coalesce(costs.amount, 0)",
    );
    office.none(
        "select orders.total, budgets.total from (select sum(amount) as total from erp.commitment_lines) as orders, \
         (select sum(committed_amount) as total from erp.budget_lines) as budgets where orders.total <> budgets.total",
    );
    office.none(
        "select record_id from erp.prime_contracts where revised_amount <> original_amount + approved_change_amount",
    );
    assert!(office.count("select count(*) as n from erp.prime_contracts where approved_change_amount <> 0") > 0);
    // What is not released owes nothing and is posted nowhere; approvals come with their date.
    assert!(
        office
            .count("select count(*) as n from erp.owner_invoices where approval_status = 'draft' and open_balance = 0")
            > 0
    );
    assert!(office.count("select count(*) as n from erp.vendor_invoices where tax_amount > 0 and net_amount > 0") > 0);
    assert!(office.count("select count(*) as n from acumatica.journal_transactions where status = 'Unposted'") > 0);
    every_journal_line_is_posted_or_waits(&office);
    office.none(
        "select record_id from erp.change_orders where approval_status = 'closed' and (approved_at is null or \
         approved_at_basis <> 'source' or approved_by is null)",
    );
    assert!(office.count("select count(*) as n from erp.owner_invoices where approved_at_basis = 'source'") > 0);
    let open = office.count("select count(*) as n from acumatica.financial_periods where status = 'Open'");
    assert_eq!(open, 6, "five months and the next");

    // Nothing happened since: nothing changes, and periods that settled are not asked for again.
    let (code, again) = office.extract(&[]);
    assert_eq!(code, 0, "{again}");
    assert!(again.contains("commit 2: 0 records changed"), "{again}");
    let settled = office.count("select count(*) as n from acumatica.financial_periods where status <> 'Open'");
    assert_eq!((requests(&said), settled), (requests(&again) + settled, 24 - open), "two years of periods");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_screen_is_a_gap_and_a_lost_session_is_none() {
    let oauth = "client_id = { file = \"id\" }\nclient_secret = { file = \"secret\" }";
    let office = Office::new(oauth).await;
    let refused = |entity: &str| Rule {
        system: System::Acumatica,
        table: entity.to_owned(),
        project: None,
        trouble: Trouble::Forbidden,
        times: None,
    };
    let rules =
        ["ProjectBudget", "AccountSummaryInquiry"].map(|entity| office.simulator.interference().add(refused(entity)));
    let (code, said) = office.extract(&[]);
    assert_eq!(code, 5, "{said}");
    let gaps = office.rows(
        "select table_name, status from meta.coverage where status not in ('ok', 'empty_verified') group by 1, 2 order by 1",
    );
    let gaps: Vec<String> = gaps.iter().map(|row| format!("{} {}", row["table_name"], row["status"])).collect();
    assert!(gaps.contains(&"\"project_budgets\" \"forbidden\"".to_owned()), "{gaps:?}");
    assert!(gaps.iter().all(|gap| gap.contains("project_budgets") || gap.contains("trial_balance")), "{gaps:?}");
    assert!(office.count("select count(*) as n from erp.vendor_invoices") > 0);
    assert_eq!(office.count("select count(*) as n from erp.budget_lines"), 0);

    // With cookies, and a session that ends in the middle: signed in again, everything read, and signed out.
    for rule in rules {
        office.simulator.interference().remove(rule);
    }
    office.simulator.sign_everybody_out();
    office.write("");
    office.simulator.interference().burst(System::Acumatica, "Bill", Trouble::Unauthorized, 1);
    let (code, said) = office.extract(&[]);
    assert_eq!(code, 0, "{said}");
    assert!(office.count("select count(*) as n from erp.budget_lines") > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_versions_differ_and_are_read_alike() {
    let office = Office::new("endpoint_version = \"25.200.001\"").await;
    let (code, said) = office.extract(&[]);
    assert_eq!(code, 0, "{said}");
    let documents =
        "select count(*) as n from erp.vendor_invoices where invoice_date is not null and due_date > invoice_date";
    let newest = office.count(documents);
    assert_eq!(newest, i64::try_from(office.simulator.firm().acumatica.bills.len()).unwrap());

    let older = Office::new("endpoint_version = \"22.200.001\"").await;
    let (code, said) = older.extract(&[]);
    assert_eq!(code, 5, "{said}");
    let gaps = older
        .rows("select distinct table_name from meta.coverage where status not in ('ok', 'empty_verified') order by 1");
    let gaps: Vec<&str> = gaps.iter().map(|row| row["table_name"].as_str().unwrap()).collect();
    assert_eq!(gaps, ["subcontract_lines", "subcontracts"], "no such entity before 23");
    assert_eq!(older.count(documents), newest);
    assert!(older.count("select count(*) as n from erp.projects") > 0);
    assert_eq!(older.count("select count(retainage_pct) as n from acumatica.projects"), 0, "nor this field");
}

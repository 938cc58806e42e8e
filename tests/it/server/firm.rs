//! A firm of two projects in two small systems, and a server for whoever a test lets in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use sha2::{Digest as _, Sha256};
use tieout::clock::{Clock, SharedClock};
use tieout::definitions::Definitions;
use tieout::engine::{Access, Engine, EngineSettings, Reopen, SourceBinding};
use tieout::server::{AuditOptions, BoundServer, HttpOptions, ServerOptions, SessionFactory, User, serve};
use tieout::warehouse::commit::CommitKind;
use tieout::warehouse::rows::{
    ColumnType, Coverage, CoverageStatus, ReadMode, TableInput, input_schema, timestamp_type,
};
use tieout::warehouse::{AsOf, CommitHeader, NewPin, Projections, Warehouse};
use tokio_postgres::{Client, Config};
use tokio_util::sync::CancellationToken;

use crate::moments::{connect, start};

const PM: &str = r#"
[system]
name = "pmx"
side = "pm"
[[table]]
name = "projects"
key = ["id"]
[table.columns]
id = "text"
number = "text"
[[table]]
name = "vendors"
key = ["id"]
[table.columns]
id = "text"
name = "text"
email = "text"
tax_id_hash = "text"
[[table]]
name = "orders"
parent = "projects"
key = ["id"]
[table.columns]
id = "text"
project_id = { type = "text", parent = "id" }
note = "text"
[[table]]
name = "order_lines"
parent = "orders"
key = ["id"]
[table.columns]
id = "text"
order_id = { type = "text", parent = "id" }
"#;
const ERP: &str = r#"
[system]
name = "erpx"
side = "erp"
[[table]]
name = "projects"
key = ["project_id"]
[table.columns]
project_id = "text"
number = "text"
[[table]]
name = "orders"
key = ["id"]
[table.columns]
id = "text"
project = "text"
"#;
const CANONICAL: &str = r#"
[common]
columns = { source = "text", record_id = "text" }
[projects]
grain = "one job"
columns = { number = "text" }
[vendors]
grain = "one vendor"
columns = { name = "text", email = "text", tax_id_hash = "text" }
[change_orders]
grain = "one change order"
columns = { project_id = "text", note = "text", approval_status = "text", approved_at = "timestamp", approved_at_basis = "text" }
[change_order_lines]
grain = "one line"
columns = { change_order_id = "text" }
"#;
const MISSING: &str = "\
-- title:    Approved, not in the ERP
-- check:    O1
-- entity:   change_orders
-- fix_side: pm
-- version:  1
-- scope:    project
-- missing_on: erp

select
    'O1:' || pm_orders.record_id as exception_key,
    pm_orders.project_id,
    pm_orders.record_id as pm_id,
    cast(1 as decimal(18,2)) as amount_at_risk
from pm.change_orders as pm_orders
left anti join link.change_orders on change_orders.pm_id = pm_orders.record_id
";
const LINKED: &str = "\
-- title: Linked orders

select pm_side.record_id as pm_id, erp_side.record_id as erp_id
from pm.change_orders as pm_side
inner join erp.change_orders as erp_side on erp_side.record_id = pm_side.record_id
";
const JOBS: &str = "\
-- title: Linked projects

select pm_side.record_id as pm_id, erp_side.record_id as erp_id
from pm.projects as pm_side
inner join erp.projects as erp_side on erp_side.number = pm_side.number
";
/// Of every project's note: one is no number, and reading it fails whoever asks.
const TOTALS: &str = "\
-- title: Notes added up

select project_id, sum(cast(note as bigint)) over () as total from pm.change_orders
";
const COUNTS: &str = "-- title: Orders in all\n\nselect count(*) as order_count from pm.change_orders\n";
const FIELDS: &str = "\
-- title: Fields that differ

select 'V3:' || record_id || ':email' as exception_key, cast(null as varchar) as project_id, email as pm_value, name as label \
from pm.vendors
";

/// What is approved and not in the ERP, with amounts, ages and texts to filter by.
const JUDGED: &str = "\
-- title:    Approved, not in the ERP
-- question: Which orders has the ERP never received?
-- check:    O1
-- entity:   change_orders
-- fix_side: pm
-- version:  1
-- scope:    project
-- missing_on: erp
-- fix:      Send it again.

select
    'O1:' || pm_orders.record_id as exception_key,
    pm_orders.project_id,
    projects.number as project_number,
    pm_orders.record_id as pm_id,
    'Order ' || pm_orders.record_id as label,
    'order ' || pm_orders.record_id || ' with note ' || pm_orders.note || ' never arrived' as detail,
    pm_orders.note as pm_value,
    cast(case when pm_orders.note = '8' then 250000.10 when pm_orders.record_id like 'o1%' then 3000 else 1 end as decimal(18,2)) as amount_at_risk
from pm.change_orders as pm_orders
left join pm.projects as projects on projects.record_id = pm_orders.project_id
left anti join link.change_orders on change_orders.pm_id = pm_orders.record_id
";
/// Of the firm as a whole, about a field that is sensitive.
const MASKED: &str = "\
-- title:    Fields that differ
-- check:    V3
-- entity:   vendors
-- fix_side: erp
-- version:  1
-- scope:    firm

select 'V3:' || record_id || ':email' as exception_key, cast(null as varchar) as project_id, record_id as pm_id, email as pm_value,
    'email ' || email as detail, name as label, cast(0.50 as decimal(18,2)) as amount_at_risk
from pm.vendors
";
/// Reads lists of which one was refused.
const UNSEEN: &str = "\
-- title:    Lines that are not there
-- check:    O2
-- entity:   change_orders
-- fix_side: pm
-- version:  1
-- scope:    project

select 'O2:' || lines.record_id as exception_key, orders.project_id, orders.record_id as pm_id, cast(1 as decimal(18,2)) as amount_at_risk
from pm.change_order_lines as lines
inner join pm.change_orders as orders on orders.record_id = lines.change_order_id
where lines.record_id = 'none'
";
/// What people who write names should not be able to do to a page.
pub(crate) const HOSTILE: &str = "o<script>alert(1)</script>'\"&$(id)`id`";
/// Orders of project 2 that the ERP never got, beside the small firm's own.
pub(crate) const MANY: usize = 137;

fn definitions() -> Definitions {
    let files = [
        ("extractors/pmx/manifest.toml", PM),
        ("extractors/erpx/manifest.toml", ERP),
        ("queries/canonical.toml", CANONICAL),
        ("extractors/pmx/canonical/projects.sql", "select id as record_id, number from source.projects"),
        (
            "extractors/pmx/canonical/vendors.sql",
            "select id as record_id, name, email, tax_id_hash from source.vendors",
        ),
        (
            "extractors/pmx/canonical/change_orders.sql",
            "select id as record_id, project_id, note, 'approved' as approval_status from source.orders",
        ),
        (
            "extractors/pmx/canonical/change_order_lines.sql",
            "select id as record_id, order_id as change_order_id from source.order_lines",
        ),
        ("extractors/erpx/canonical/projects.sql", "select project_id as record_id, number from source.projects"),
        (
            "extractors/erpx/canonical/change_orders.sql",
            "select id as record_id, trim(project) as project_id from source.orders",
        ),
        ("queries/link/change_orders.sql", LINKED),
        ("queries/link/projects.sql", JOBS),
        ("queries/recon/change_order_stuck.sql", MISSING),
        ("queries/recon/totals.sql", TOTALS),
        ("queries/recon/counts.sql", COUNTS),
        ("queries/recon/fields.sql", FIELDS),
    ];
    Definitions { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
}

fn settings(folder: &Path) -> EngineSettings {
    let binding = |name: &str, system: &str| SourceBinding { name: name.to_owned(), system: system.to_owned() };
    let sources = vec![binding("office", "pmx"), binding("books", "erpx")];
    EngineSettings { sources, workspace: Some(folder.to_owned()), ..EngineSettings::default() }
}

async fn engine(warehouse: &Warehouse, definitions: Definitions, folder: &Path) -> Arc<Engine> {
    let (own, past) = (settings(folder), settings(folder));
    let reopen: Reopen = Arc::new(move |_| Ok((past.clone(), Projections::default())));
    Engine::open_with_past(warehouse.clone(), definitions, own, reopen).await.unwrap()
}

/// The small firm's, with three checks and the views that show what they found.
fn judged() -> Definitions {
    let mut definitions = definitions();
    let shipped = Definitions::shipped();
    let shown = |path: &String| {
        let recon = "exceptions check_runs summary exception_history exception_intervals exception_attribution waivers";
        let trend = "days months exceptions_by_month exceptions_by_project exception_ages time_to_heal open_by_month moves_by_month";
        [("recon", recon), ("trend", trend), ("shared", "exceptions_by_month")]
            .iter()
            .any(|(folder, names)| names.split(' ').any(|name| *path == format!("queries/{folder}/{name}.sql")))
    };
    definitions.files.extend(shipped.files.into_iter().filter(|(path, _)| shown(path)));
    for (path, text) in [
        ("queries/recon/change_order_stuck.sql", JUDGED),
        ("queries/recon/vendor_field_mismatch.sql", MASKED),
        ("queries/recon/change_order_pending.sql", UNSEEN),
    ] {
        definitions.files.insert(path.to_owned(), text.to_owned());
    }
    definitions
}

/// The firm, and its server.
pub(crate) struct Firm {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) warehouse: Warehouse,
    pub(crate) engine: Arc<Engine>,
    clock: SharedClock,
    server: Option<BoundServer>,
    stop: CancellationToken,
    /// Whether its checks find much, and one of them cannot look everywhere.
    is_judged: bool,
}

/// A table's rows by their key, the first column; the scope is the second where a table has a parent.
pub(crate) type Rows<'a> = &'a [&'a [&'a str]];

impl Firm {
    /// Day 1: project 1 (A-1) has the orders o1, which the ERP never got, and o2, which it has under project B-2; project 2
    /// (B-2) has o3, which the ERP never got. Day 2: another order of project 1, another name of the vendor. A pin, `DAY1`.
    pub(crate) async fn new(users: Vec<User>) -> Self {
        let mut firm = Self::empty(definitions(), false).await;
        firm.live().await;
        firm.serve(users, None).await;
        firm
    }

    /// The same with many exceptions, one of a hostile name, one about a sensitive field, and a check that cannot look
    /// everywhere; and with a page.
    pub(crate) async fn judged(users: Vec<User>, http: HttpOptions) -> Self {
        Self::within(users, |_| http).await
    }

    /// The same with a page that depends on its folder.
    pub(crate) async fn within(users: Vec<User>, http: impl FnOnce(&Path) -> HttpOptions) -> Self {
        let mut firm = Self::empty(judged(), true).await;
        firm.live().await;
        let http = http(firm.folder.path());
        firm.serve(users, Some(http)).await;
        firm
    }

    /// A firm of which nothing was committed, with a page.
    pub(crate) async fn unread(users: Vec<User>, http: HttpOptions) -> Self {
        let mut firm = Self::empty(judged(), true).await;
        firm.serve(users, Some(http)).await;
        firm
    }

    async fn empty(definitions: Definitions, is_judged: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("warehouse");
        let warehouse = Warehouse::open_or_create(path.to_str().unwrap()).await.unwrap();
        warehouse.put_definitions(&definitions.to_json()).await.unwrap();
        let engine = engine(&warehouse, definitions, folder.path()).await;
        #[cfg(feature = "workers")]
        crate::workers::employ_if_asked(&engine).await;
        let clock = SharedClock::new(start());
        let stop = CancellationToken::new();
        Self { folder, warehouse, engine, clock, server: None, stop, is_judged }
    }

    /// Its two days.
    async fn live(&mut self) {
        let firm = self;
        firm.day("Acme", &[&["o1", "1", "7"], &["o2", "1", "7"], &["o3", "2", "secret-17"]]).await;
        let pin = NewPin { name: "DAY1".to_owned(), as_of: AsOf::Commit(1), period_end: None };
        firm.warehouse.pin(&pin, &Clock::Shared(firm.clock.clone())).await.unwrap();
        let second: Rows<'_> = &[&["o1", "1", "7"], &["o2", "1", "7"], &["o3", "2", "secret-17"], &["o4", "1", "8"]];
        let many: Vec<String> = (0..MANY).map(|number| format!("o{}", 100 + number)).collect();
        let mut all: Vec<[&str; 3]> = many.iter().map(|id| [id.as_str(), "2", "9"]).collect();
        all.push([HOSTILE, "1", "9"]);
        let mut rows = second.to_vec();
        if firm.is_judged {
            rows.extend(all.iter().map(<[&str; 3]>::as_slice));
            // A scope's rows come together.
            rows.sort_by_key(|row| row.get(1).copied());
        }
        firm.day("Acme Inc", &rows).await;
    }

    async fn serve(&mut self, users: Vec<User>, http: Option<HttpOptions>) {
        let engine = Arc::clone(&self.engine);
        let sessions: SessionFactory = Arc::new(move |request| {
            let engine = Arc::clone(&engine);
            Box::pin(async move { engine.session(&request).await.map_err(anyhow::Error::from) })
        });
        let options = ServerOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            next_free_port: false,
            tls: None,
            users,
            max_connections: 20,
            statement_timeout: None,
            sessions,
            descriptions: None,
            keys: None,
            audit: Some(AuditOptions { path: self.log(), bytes_max: 1 << 20, files: 1 }),
            http,
        };
        self.server = Some(serve(options, self.stop.clone()).await.unwrap());
    }

    /// Another engine over its warehouse.
    #[cfg(feature = "workers")]
    pub(crate) async fn opened_again(&self) -> Arc<Engine> {
        let definitions = if self.is_judged { judged() } else { definitions() };
        engine(&self.warehouse, definitions, self.folder.path()).await
    }

    /// Where statements are told of.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("logs/statements.jsonl")
    }

    /// Stops the server and waits for its last word.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        self.server.take().unwrap().stopped().await;
    }

    /// Where the page is.
    pub(crate) fn page(&self) -> String {
        format!("http://{}", self.server.as_ref().unwrap().page_address().unwrap())
    }

    pub(crate) fn config(&self, user: &str, database: &str) -> Config {
        let port = self.server.as_ref().unwrap().address().port();
        let mut config = Config::new();
        config.host("127.0.0.1").port(port).user(user).password("secret").dbname(database);
        config
    }

    pub(crate) async fn connect(&self, user: &str) -> Client {
        connect(&self.config(user, "tieout")).await.unwrap()
    }

    pub(crate) async fn day(&mut self, vendor: &str, orders: Rows<'_>) {
        self.clock.advance(Duration::from_hours(24));
        let clock = Clock::Shared(self.clock.clone());
        let now = self.clock.now();
        let definitions = self.engine.definitions().hash();
        let header =
            CommitHeader { kind: CommitKind::Extract, clock: &clock, definitions, runs: Vec::new(), observed_at: now };
        let mut prepared = self.warehouse.prepare(header).await.unwrap();
        let vendors: Rows<'_> = &[&["v1", vendor, "pay@acme.test", "hash-of-a-tax-id"]];
        let lines: Rows<'_> = &[&["l1", "o1"], &["l3", "o3"]];
        let tables: [(&str, &str, &str, Rows<'_>); 6] = [
            ("office", "projects", "id number", &[&["1", "A-1"], &["2", "B-2"]]),
            ("office", "vendors", "id name email tax_id_hash", vendors),
            ("office", "orders", "id project_id note", orders),
            ("office", "order_lines", "id order_id", lines),
            ("books", "projects", "project_id number", &[&["JOB-A", "A-1"], &["JOB-B", "B-2"]]),
            ("books", "orders", "id project", &[&["o2", "JOB-B "], &["o9", "X"]]),
        ];
        for (source, table, columns, rows) in tables {
            prepared.add(self.input(source, table, columns, rows)).await.unwrap();
        }
        self.engine.record_coverage(&mut prepared).await.unwrap();
        self.engine.evaluate(&mut prepared).await.unwrap();
        self.warehouse.publish(prepared).await.unwrap();
    }

    fn input(&self, source: &str, table: &str, columns: &str, rows: Rows<'_>) -> TableInput {
        let columns: Vec<(String, ColumnType)> =
            columns.split(' ').map(|name| (name.to_owned(), ColumnType::Text)).collect();
        let column = |get: &dyn Fn(&[&str]) -> String| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(get(row))).collect::<StringArray>())
        };
        // Orders are listed project by project, lines order by order.
        let scope = |row: &[&str]| match table {
            "orders" if source == "office" => row.get(1).unwrap().to_string(),
            "order_lines" => {
                let order = row.get(1).unwrap();
                format!("{}/{order}", if *order == "o3" { 2 } else { 1 })
            }
            _ => String::new(),
        };
        let mut arrays = vec![column(&|row| row.first().unwrap().to_string()), column(&scope)];
        arrays.extend((0..columns.len()).map(|place| column(&|row| row.get(place).unwrap().to_string())));
        let record = |row: &[&str]| {
            let fields: BTreeMap<&str, &str> =
                columns.iter().zip(row).map(|((name, _), value)| (name.as_str(), *value)).collect();
            serde_json::to_string(&fields).unwrap()
        };
        let hash = |row: &[&str]| hex::encode(Sha256::digest(record(row)));
        arrays.extend([column(&record), column(&hash)]);
        let seen = TimestampMicrosecondArray::from(vec![self.clock.now().timestamp_micros(); rows.len()]);
        arrays.push(Arc::new(seen.with_data_type(timestamp_type())));
        let mut scopes: Vec<String> = rows.iter().map(|row| scope(row)).collect();
        scopes.dedup();
        let coverage = scopes.iter().map(|own| Coverage {
            scope: own.clone(),
            project: own.split('/').next().filter(|project| !project.is_empty()).map(str::to_owned),
            status: if self.is_judged && own.starts_with("2/") {
                CoverageStatus::Forbidden
            } else {
                CoverageStatus::Ok
            },
            rows: rows.iter().filter(|row| scope(row) == *own).count() as u64,
            expected_rows: None,
            observed_at: self.clock.now(),
            error: None,
        });
        TableInput {
            source: source.to_owned(),
            table: table.to_owned(),
            above: Vec::new(),
            spooled: None,
            batches: vec![RecordBatch::try_new(input_schema(&columns), arrays).unwrap()],
            coverage: coverage.collect(),
            columns,
            mode: ReadMode::Full,
            rejects: Vec::new(),
            drift: Vec::new(),
            cursor: None,
            accept_deletes: false,
            owners: std::collections::BTreeSet::new(),
        }
    }
}

/// A role that may read these projects, or everything of the firm's if none are named.
pub(crate) fn role(name: &str, projects: Option<&[&str]>) -> (Access, User) {
    let access = Access {
        role: name.to_owned(),
        projects: projects.map(|all| all.iter().map(|project| (*project).to_owned()).collect()),
        firm: projects.is_none(),
        ..Access::default()
    };
    (access, User::new(name, "secret"))
}

/// The user with its rights.
pub(crate) fn with((access, user): (Access, User), change: impl FnOnce(&mut Access, &mut User)) -> User {
    let (mut access, mut user) = (access, user);
    change(&mut access, &mut user);
    user.access = Some(Arc::new(access));
    user
}

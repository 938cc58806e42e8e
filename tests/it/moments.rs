//! Time travel over the wire: databases by the name of a moment, start-up options, `SET`, and what is refused how.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tieout::clock::{Clock, SharedClock};
use tieout::definitions::Definitions;
use tieout::engine::{Engine, EngineSettings, SourceBinding};
use tieout::server::{BoundServer, ServerOptions, SessionFactory, User, serve};
use tieout::warehouse::commit::{CommitKind, SourceRun};
use tieout::warehouse::rows::{Coverage, CoverageStatus, ReadMode, TableInput, input_schema, timestamp_type};
use tieout::warehouse::{AsOf, CommitHeader, NewPin, Warehouse};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

const MANIFEST: &str = "
[system]
name = \"books\"
side = \"erp\"
[[table]]
name = \"vendors\"
[table.columns]
name = \"text\"
";

/// Vendors' names on three mornings: 1 September, 1 October, 2 October; a pin on the first.
struct Firm {
    _folder: tempfile::TempDir,
    server: BoundServer,
    warehouse: Warehouse,
    clock: SharedClock,
    _stop: CancellationToken,
}

pub(super) fn start() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-09-01T11:00:00Z").unwrap().to_utc()
}

impl Firm {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open_or_create(folder.path().to_str().unwrap()).await.unwrap();
        let clock = SharedClock::new(start());
        for (days, name) in [(0, "Acme"), (30, "Acme Inc"), (31, "Acme Corp")] {
            clock.advance_to(start() + TimeDelta::days(days));
            commit(&warehouse, &clock, name, "").await;
        }
        let new = NewPin {
            name: "AUG2026".to_owned(),
            as_of: AsOf::Commit(1),
            period_end: NaiveDate::from_ymd_opt(2026, 8, 31),
        };
        warehouse.pin(&new, &Clock::Shared(clock.clone())).await.unwrap();
        let definitions =
            Definitions { files: [("extractors/books/manifest.toml".to_owned(), MANIFEST.to_owned())].into() };
        let settings = EngineSettings {
            sources: vec![SourceBinding { name: "books".to_owned(), system: "books".to_owned() }],
            time_zone: chrono_tz::America::Chicago,
            ..EngineSettings::default()
        };
        let engine = Engine::open(warehouse.clone(), definitions, settings).await.unwrap();
        let sessions: SessionFactory = Arc::new(move |request| {
            let engine = Arc::clone(&engine);
            Box::pin(async move { engine.session(&request).await.map_err(anyhow::Error::from) })
        });
        let options = ServerOptions {
            tls: None,
            listen: "127.0.0.1:0".parse().unwrap(),
            next_free_port: false,
            users: vec![User::new("ada", "secret")],
            max_connections: 20,
            statement_timeout: None,
            sessions,
            descriptions: None,
            keys: None,
            audit: None,
            http: None,
        };
        let stop = CancellationToken::new();
        let server = serve(options, stop.clone()).await.unwrap();
        Self { _folder: folder, server, warehouse, clock, _stop: stop }
    }

    fn config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.server.address().port()).user("ada").password("secret").dbname(database);
        config
    }

    async fn connect(&self, database: &str) -> Client {
        connect(&self.config(database)).await.unwrap()
    }
}

/// A full read of one vendor, under the definitions of that hash.
pub(super) async fn commit(warehouse: &Warehouse, clock: &SharedClock, name: &str, definitions: &str) {
    let now = clock.now();
    let run = SourceRun {
        source: "books".to_owned(),
        system: "books".to_owned(),
        started_at: now,
        finished_at: now,
        observed_at: now,
        requests: 1,
        retries: 0,
        waited_seconds: 0,
        incomplete_tables: Vec::new(),
        unread_tables: None,
        hash_key_mark: None,
    };
    let clock = Clock::Shared(clock.clone());
    let (kind, definitions) = (CommitKind::Extract, definitions.to_owned());
    let header = CommitHeader { kind, clock: &clock, definitions, runs: vec![run], observed_at: now };
    let mut prepared = warehouse.prepare(header).await.unwrap();
    let columns = vec![("name".to_owned(), tieout::warehouse::rows::ColumnType::Text)];
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let seen = TimestampMicrosecondArray::from(vec![now.timestamp_micros()]).with_data_type(timestamp_type());
    let arrays = vec![text("v1"), text(""), text(name), text("{}"), text(name), Arc::new(seen) as ArrayRef];
    let coverage = Coverage {
        scope: String::new(),
        project: None,
        status: CoverageStatus::Ok,
        rows: 1,
        expected_rows: None,
        observed_at: now,
        error: None,
    };
    let input = TableInput {
        source: "books".to_owned(),
        table: "vendors".to_owned(),
        above: Vec::new(),
        spooled: None,
        batches: vec![RecordBatch::try_new(input_schema(&columns), arrays).unwrap()],
        columns,
        mode: ReadMode::Full,
        coverage: vec![coverage],
        rejects: Vec::new(),
        drift: Vec::new(),
        cursor: None,
        accept_deletes: false,
        owners: std::collections::BTreeSet::new(),
    };
    prepared.add(input).await.unwrap();
    warehouse.publish(prepared).await.unwrap();
}

pub(super) async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Rows as lines, values by spaces.
pub(super) async fn ask(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap();
    let lines = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("-")).collect::<Vec<_>>().join(" "))
        }
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Code, message and hint.
pub(super) fn refusal(error: &tokio_postgres::Error) -> String {
    let Some(told) = error.as_db_error() else { return error.to_string() };
    let code = error.code().map_or("", SqlState::code);
    format!("{code} {} | {}", told.message(), told.hint().unwrap_or_default())
}

const NAME: &str = "select name from books.vendors";

#[tokio::test(flavor = "multi_thread")]
async fn a_databases_name_is_a_moment() {
    let firm = Firm::new().await;
    for (database, expected) in [
        ("tieout", "Acme Corp"),
        ("tieout@", "Acme Corp"),
        ("tieout@latest", "Acme Corp"),
        ("tieout@AUG2026", "Acme"),
        ("\"tieout@AUG2026\"", "Acme"),
        ("tieout@commit:2", "Acme Inc"),
        ("tieout@2", "Acme Inc"),
        // 1 October 11:00 UTC is within the day in Chicago, 30 September's end before it.
        ("tieout@2026-10-01", "Acme Inc"),
        ("tieout@2026-09-30", "Acme"),
        ("tieout@2026-10-01T11:00:00Z", "Acme Inc"),
        ("tieout@2026-10-01 05:59", "Acme"),
    ] {
        let client = firm.connect(database).await;
        assert_eq!(ask(&client, NAME).await, expected, "{database}");
        let name = database.trim_matches('"');
        let own = "select current_database(), (select distinct table_catalog from information_schema.tables)";
        assert_eq!(ask(&client, own).await, format!("{name} {name}"));
        assert_eq!(ask(&client, &format!("select name from \"{name}\".books.vendors")).await, expected, "{database}");
    }
    let client = firm.connect("tieout@AUG2026").await;
    assert_eq!(ask(&client, "select accounting_date, pin from meta.clock").await, "2026-08-31 AUG2026");
    let databases = "select datname from pg_database order by 1";
    assert_eq!(ask(&client, databases).await, "tieout\ntieout@AUG2026");
    // Other moments by three-part names, beside the session's own.
    let names = "select own.name, later.name, tomorrow.name from books.vendors as own, \"tieout@commit:2\".books.vendors as later, \
                 \"tieout@latest\".books.vendors as tomorrow";
    assert_eq!(ask(&client, names).await, "Acme Acme Inc Acme Corp");
    let functions = "select then.name, _op, _changed from as_of('books.vendors', 2) as then, \
                     changes('books.vendors', 'AUG2026', 'latest')";
    assert_eq!(ask(&client, functions).await, "Acme Inc U {\"name\":{\"from\":\"Acme\",\"to\":\"Acme Corp\"}}");
    // A pin made while the server runs is a database at once.
    let new = NewPin { name: "SEP2026".to_owned(), as_of: AsOf::Commit(2), period_end: None };
    firm.warehouse.pin(&new, &Clock::Shared(firm.clock.clone())).await.unwrap();
    assert_eq!(ask(&firm.connect("tieout@SEP2026").await, NAME).await, "Acme Inc");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_and_set_choose_the_moment() {
    let firm = Firm::new().await;
    let client = connect(firm.config("tieout").options("-c tieout.as_of=AUG2026 -c tieout.accounting_date=2026-07-31"))
        .await
        .unwrap();
    let clock = "select commit_number, accounting_date from meta.clock";
    assert_eq!(ask(&client, clock).await, "1 2026-07-31");
    client.batch_execute("set tieout.as_of = 'commit:2'").await.unwrap();
    assert_eq!(ask(&client, NAME).await, "Acme Inc");
    assert_eq!(ask(&client, "show tieout.as_of").await, "commit:2");
    client.batch_execute("reset tieout.as_of; reset tieout.accounting_date").await.unwrap();
    assert_eq!(ask(&client, clock).await, "1 2026-07-31");
    client.batch_execute("begin; set local tieout.as_of = ''").await.unwrap();
    assert_eq!(ask(&client, NAME).await, "Acme Corp");
    client.batch_execute("commit").await.unwrap();
    assert_eq!(ask(&client, NAME).await, "Acme");
    let prepared = client.prepare("select name from as_of('books.vendors', '2026-10-01')").await.unwrap();
    assert_eq!(client.query_one(&prepared, &[]).await.unwrap().get::<_, String>(0), "Acme Inc");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_moment_is_refused_with_its_reason() {
    let firm = Firm::new().await;
    for (database, expected) in [
        (
            "tieout@AUG2025",
            "3D000 database \"tieout@AUG2025\" does not exist: as of `AUG2025`: there is no pin of that name | did you mean `AUG2026`?",
        ),
        (
            "tieout@commit:9",
            "3D000 database \"tieout@commit:9\" does not exist: commit 9 does not exist: the newest is 4 | `tieout log`",
        ),
        (
            "tieout@2020-01-01",
            "3D000 database \"tieout@2020-01-01\" does not exist: as of 2020-01-02 05:59:59.999999 UTC: nothing was known yet",
        ),
        ("tieout@31.12.2025", "3D000 database \"tieout@31.12.2025\" does not exist: as of `31.12.2025`: it is no date"),
        ("other@AUG2026", "3D000 database \"other@AUG2026\" does not exist |"),
    ] {
        let error = connect(&firm.config(database)).await.err().unwrap();
        assert!(refusal(&error).starts_with(expected), "{database}: {}", refusal(&error));
    }
    let conflict = connect(firm.config("tieout@AUG2026").options("-c tieout.as_of=latest")).await.err().unwrap();
    assert!(
        refusal(&conflict).starts_with("22023 the database's name says as of \"AUG2026\""),
        "{}",
        refusal(&conflict)
    );
    let unknown = connect(firm.config("tieout").options("-c tieout.as_of=nowhere")).await.err().unwrap();
    assert!(refusal(&unknown).starts_with("22023 as of `nowhere`: there is no pin"), "{}", refusal(&unknown));

    let client = firm.connect("tieout").await;
    for (sql, expected) in [
        ("set tieout.as_of = 'AUG26'", "22023 as of `AUG26`: there is no pin of that name | did you mean `AUG2026`?"),
        ("set tieout.as_of = '2020-01-01'", "22023 as of 2020-01-02"),
        (
            "set tieout.as_of = 'commit:0'",
            "22023 as of `commit:0`: a commit is a whole number from 1 | latest, 2025-12-31",
        ),
        ("set tieout.accounting_date = 'soon'", "22023 "),
        ("select * from as_of('books.vendors', 'AUG26')", "22023 as of `AUG26`"),
        ("select * from as_of('books.vendor', 1)", "42P01 "),
        ("select * from \"tieout@AUG26\".books.vendors", "22023 as of `AUG26`"),
        ("select * from elsewhere.books.vendors", "42P01 "),
    ] {
        let error = client.batch_execute(sql).await.unwrap_err();
        assert!(refusal(&error).starts_with(expected), "{sql}: {}", refusal(&error));
    }
    assert_eq!(ask(&client, NAME).await, "Acme Corp");
}

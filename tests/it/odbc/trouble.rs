//! What goes wrong between us and a database, and what is said and believed of it.

use std::sync::Arc;
use std::time::Duration;

use super::{Ledger, NOW, Postgres};

const TABLES: &str = r#"
[[table]]
name = "jobs"
view = "JCJM"
key  = ["job"]
[table.columns]
text = ["Job", "Description"]

[[table]]
name = "secrets"
view = "SECRET"
key  = ["id"]
[table.columns]
int64 = ["Id"]

[[table]]
name = "orders"
key  = ["po_number"]
[table.columns]
text            = ["po_number"]
"decimal(12,2)" = ["amount"]

[[table]]
name = "phases"
view = "JCJP"
key  = ["phase"]
optional = ["note"]
[table.columns]
text = ["Phase", "Note", "Contract"]
"#;

const TABLES_SQL: &str = r#"
create table "JCJM" ("Job" varchar(10), "Description" varchar(60)); insert into "JCJM" values (' 1-', 'One');
create table "SECRET" ("Id" integer); insert into "SECRET" values (1);
create table po_orders (po_number varchar(10), amount_total numeric(12,2)); insert into po_orders values ('P1', 12.5);
create table "JCJP" ("Phase" varchar(20), "Contrct" varchar(10)); insert into "JCJP" values ('01', 'C');
grant select on "JCJM", po_orders, "JCJP" to reader;
"#;

#[test]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
fn a_view_that_is_refused_or_missing_is_no_empty_table() {
    let server = Postgres::start();
    server.run(TABLES_SQL);
    let ledger = Ledger::new(&server.connection(), TABLES, "");
    let (code, told) = ledger.extract(NOW, &[]);
    assert_eq!(code, Some(5), "{told}");
    let coverage =
        "select table_name, status, row_count from meta.coverage where source = 'ledger' order by table_name";
    assert_eq!(ledger.texts(coverage), ["jobs ok 1", "orders not_found 0", "phases partial 1", "secrets forbidden 0"]);
    let why = ledger.texts("select error from meta.coverage where status <> 'ok' order by table_name");
    assert!(why[0].contains("mapping file of [sources.ledger]"), "{why:?}");
    assert!(why[1].contains("no column `Contract`") && why[1].contains("[phases.columns]"), "{why:?}");
    assert!(why[2].contains("permission denied") && why[2].contains("let the login reader read it"), "{why:?}");
    let drift =
        ledger.texts("select field from meta.drift where table_name = 'phases' and kind = 'missing' order by field");
    assert_eq!(drift, ["Contract", "Note"]);

    let check = ledger.tieout(&["check"]);
    let told = String::from_utf8_lossy(&check.stdout).into_owned();
    assert_eq!(check.status.code(), Some(3), "{told}");
    for line in
        ["[orders]", "view = \"po_orders\"", "amount = \"amount_total\"", "[phases.columns]", "contract = \"Contrct\""]
    {
        assert!(told.contains(line), "{line} in {told}");
    }
    let mapping = "[orders]\nview = \"po_orders\"\n[orders.columns]\namount = \"amount_total\"\n[phases.columns]\ncontract = \"Contrct\"\n";
    std::fs::write(ledger.folder.path().join("map.toml"), mapping).unwrap();
    server.run("grant select on \"SECRET\" to reader");
    ledger.set("mapping = \"map.toml\"");
    let (code, told) = ledger.extract("2026-03-11T08:00:00Z", &[]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(ledger.texts(coverage), ["jobs ok 1", "orders ok 1", "phases ok 1", "secrets ok 1"]);
    assert_eq!(
        ledger.texts("select cast(amount as text), _raw from ledger.orders"),
        ["12.50 {\"po_number\":\"P1\",\"amount\":12.50}"]
    );

    // Refused later, it keeps its rows.
    server.run("revoke select on \"JCJM\" from reader");
    let (code, told) = ledger.extract("2026-03-12T08:00:00Z", &[]);
    assert_eq!(code, Some(5), "{told}");
    assert_eq!(ledger.texts("select job from ledger.jobs"), [" 1-"]);

    std::fs::write(ledger.folder.path().join("map.toml"), "[order]\nview = \"x\"\n").unwrap();
    let (code, told) = ledger.extract("2026-03-13T08:00:00Z", &[]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("map.toml") && told.contains("no such table (did you mean `orders`?)"), "{told}");
}

const JOBS: &str = "[[table]]\nname = \"jobs\"\nview = \"JCJM\"\nkey = [\"job\"]\n[table.columns]\ntext = [\"Job\"]\n";

#[test]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
fn a_database_that_cannot_be_opened_says_why() {
    let server = Postgres::start();
    let settings = |driver: &str, user: &str, port: u16| {
        format!(
            "driver = \"{driver}\"\nserver = \"127.0.0.1\"\nport = \"{port}\"\ndatabase = \"postgres\"\nusername = \"{user}\"\n\
             password = {{ env = \"LEDGER_PASSWORD\" }}"
        )
    };
    let ledger = Ledger::new("", JOBS, &settings("Nobody's Driver", "reader", server.port));
    let (code, told) = ledger.extract(NOW, &[]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("installed drivers are: ") && told.contains("PostgreSQL Unicode"), "{told}");

    ledger.set(&settings("PostgreSQL Unicode", "nobody", server.port));
    let (code, told) = ledger.extract(NOW, &[]);
    assert_eq!(code, Some(3), "{told}");
    assert!(
        told.contains("authentication failed") && told.contains("check user name, password and database"),
        "{told}"
    );

    ledger.set(&format!("{}\nsslmode = \"x\"", settings("PostgreSQL Unicode", "reader", server.port)));
    let (code, told) = ledger.extract(NOW, &[]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("unknown key `sslmode`"), "{told}");

    let secured = Ledger::new(&format!("{};SSLmode=verify-full", server.connection()), JOBS, "");
    let (code, told) = secured.extract(NOW, &[]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("SSL") && told.contains("docs/odbc.md"), "{told}");

    server.control(false);
    ledger.set(&settings("PostgreSQL Unicode", "reader", server.port));
    let (code, told) = ledger.extract(NOW, &[]);
    server.control(true);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("127.0.0.1") && told.contains("check server name and port"), "{told}");
    let in_clear = "[sources.ledger]\nkind = \"ledger\"\nconnection = \"Server=x;PWD=y\"\n";
    std::fs::write(ledger.folder.path().join("tieout.toml"), in_clear).unwrap();
    let (code, told) = ledger.extract(NOW, &[]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("must not stand in the settings"), "{told}");
}

#[test]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
fn a_connection_lost_in_the_middle_is_read_again_from_the_beginning() {
    let server = Postgres::start();
    // Counting does not wait.
    server.run(
        "create function slowly(i bigint) returns text language plpgsql volatile as $$ begin if i = 15000 then perform pg_sleep(3); end if; \
         return 'J' || i; end $$; \
         create view \"JCJM\" as select slowly(i) as \"Job\" from generate_series(1, 20000) i; grant select on \"JCJM\" to reader",
    );
    let ledger = Ledger::new(&server.connection(), JOBS, "");
    let server = Arc::new(server);
    let killer = Arc::clone(&server);
    let watcher = std::thread::spawn(move || {
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reader' and wait_event = 'PgSleep'";
        while killer.run(kill).is_empty() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let (code, told) = ledger.extract(NOW, &[]);
    assert_eq!(code, Some(0), "{told}");
    watcher.join().unwrap();
    assert_eq!(ledger.texts("select count(*), count(distinct job) from ledger.jobs"), ["20000 20000"]);
    let retries = ledger.texts("select retries from meta.requests where table_name = 'jobs'");
    assert_eq!(retries, ["1"]);
}

#[test]
#[ignore = "needs PostgreSQL and psqlODBC: .ci/odbc"]
fn a_list_whose_count_never_agrees_is_not_complete() {
    let server = Postgres::start();
    server.run(
        "create view \"JCJM\" as select 'J' || i as \"Job\" from generate_series(1, 1000 + (random() * 50000)::int) i; \
         grant select on \"JCJM\" to reader",
    );
    let ledger = Ledger::new(&server.connection(), JOBS, "");
    let (code, told) = ledger.extract(NOW, &[]);
    assert_eq!(code, Some(5), "{told}");
    let coverage = ledger.texts("select status, error from meta.coverage where table_name = 'jobs'");
    assert!(
        coverage[0].starts_with("partial") && coverage[0].contains("each of the 3 times it was read"),
        "{coverage:?}"
    );

    // A lock that is given back in time is waited for; a run is never a table half read.
    server.run("drop view \"JCJM\"; create table \"JCJM\" as select 'J' || i as \"Job\" from generate_series(1, 10) i; grant select on \"JCJM\" to reader");
    let server = Arc::new(server);
    let holder = Arc::clone(&server);
    let held = std::thread::spawn(move || {
        holder.run("begin; lock table \"JCJM\" in access exclusive mode; select pg_sleep(3); commit")
    });
    std::thread::sleep(Duration::from_millis(500));
    let ledger = Ledger::new(&server.connection(), JOBS, "");
    let (code, told) = ledger.extract(NOW, &[]);
    held.join().unwrap();
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(ledger.texts("select status, row_count from meta.coverage where table_name = 'jobs'"), ["ok 10"]);
}

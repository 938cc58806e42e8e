//! Old commits read by the definitions that they were judged by: over the wire, and by `tieout sql`.

use std::collections::BTreeMap;
use std::sync::Arc;

use tieout::clock::SharedClock;
use tieout::definitions::Definitions;
use tieout::engine::{Engine, EngineSettings, Reopen, Setting, SourceBinding};
use tieout::server::{BoundServer, ServerOptions, SessionFactory, User, serve};
use tieout::warehouse::{Projections, Warehouse};
use tokio_postgres::{Client, Config};
use tokio_util::sync::CancellationToken;

use super::moments::{ask, commit, connect, refusal, start};

/// A manifest whose vendors have more columns, or none more; a view of it by a rule; the tolerance in force.
fn definitions(rule: &str, column: Option<&str>, tolerance: &str) -> Definitions {
    let manifest =
        "[system]\nname = \"books\"\nside = \"erp\"\n[[table]]\nname = \"vendors\"\n[table.columns]\nname = \"text\"\n";
    let (declared, shown) = match column {
        Some(column) => (format!("{column} = \"text\"\n"), format!(", {column}")),
        None => (String::new(), String::new()),
    };
    let view = format!(
        "-- title: Vendors by a rule\n\nselect name, '{rule}' as rule, setting_decimal('amount_tolerance') as tolerance{shown} \
         from books.vendors\n"
    );
    let files = BTreeMap::from([
        ("extractors/books/manifest.toml".to_owned(), format!("{manifest}{declared}")),
        ("queries/recon/named.sql".to_owned(), view),
        ("settings.json".to_owned(), format!("{{\"cents\": {tolerance}}}")),
    ]);
    Definitions { files }
}

/// Settings as the test's definitions store them.
fn settings(definitions: &Definitions) -> Result<EngineSettings, serde_json::Error> {
    let stored: serde_json::Value = serde_json::from_str(definitions.get("settings.json").unwrap_or_default())?;
    let mut settings = EngineSettings {
        sources: vec![SourceBinding { name: "books".to_owned(), system: "books".to_owned() }],
        ..EngineSettings::default()
    };
    let cents = stored.get("cents").and_then(serde_json::Value::as_i64).unwrap_or_default();
    settings.values.insert("amount_tolerance".to_owned(), Setting::Hundredths(cents.into()));
    Ok(settings)
}

/// Commit 1 under an old rule, 2 under today's with one column more, 3 under definitions that nobody kept, 4 under some that
/// are none, 5 under today's again.
struct Firm {
    folder: tempfile::TempDir,
    server: BoundServer,
    warehouse: Warehouse,
    clock: SharedClock,
    _stop: CancellationToken,
}

impl Firm {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open_or_create(folder.path().to_str().unwrap()).await.unwrap();
        let clock = SharedClock::new(start());
        let today = definitions("new", Some("city"), "50");
        let mut firm = (warehouse.clone(), clock.clone());
        for (name, set) in [
            ("Acme", definitions("old", None, "1").to_json()),
            ("Acme Inc", today.to_json()),
            ("Acme Ltd", String::new()),
            ("Acme GmbH", "[]".to_owned()),
            ("Acme Corp", today.to_json()),
        ] {
            let hash = if set.is_empty() { "0".repeat(64) } else { warehouse.put_definitions(&set).await.unwrap() };
            day(&mut firm, name, &hash).await;
        }
        let reopen: Reopen = Arc::new(|definitions| Ok((settings(definitions)?, Projections::default())));
        let engine =
            Engine::open_with_past(warehouse.clone(), today.clone(), settings(&today).unwrap(), reopen).await.unwrap();
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
        Self { folder, server, warehouse, clock, _stop: stop }
    }

    fn config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.server.address().port()).user("ada").password("secret").dbname(database);
        config
    }

    async fn connect(&self, database: &str, options: &str) -> Client {
        connect(self.config(database).options(options)).await.unwrap()
    }
}

async fn day((warehouse, clock): &mut (Warehouse, SharedClock), name: &str, definitions: &str) {
    clock.advance(std::time::Duration::from_hours(24));
    commit(warehouse, clock, name, definitions).await;
}

const NAMED: &str = "select * from recon.named";
const COLUMNS: &str = "select string_agg(column_name, ' ' order by column_name) from information_schema.columns \
                       where table_schema = 'books' and table_name = 'vendors' and column_name not like '\\_%'";
const PINNED: &str = "-c tieout.definitions=pinned";

#[tokio::test(flavor = "multi_thread")]
async fn an_old_commit_is_read_by_its_own_rules_when_asked_to() {
    let firm = Firm::new().await;
    let client = firm.connect("tieout", "").await;
    client.batch_execute("set tieout.as_of = 1").await.unwrap();
    assert_eq!(ask(&client, NAMED).await, "Acme new 0.50 -");
    assert_eq!(ask(&client, COLUMNS).await, "city name");
    client.batch_execute("set tieout.definitions = 'pinned'").await.unwrap();
    assert_eq!(ask(&client, "show tieout.definitions").await, "pinned");
    assert_eq!(ask(&client, NAMED).await, "Acme old 0.01");
    assert_eq!(ask(&client, COLUMNS).await, "name");
    let declared = "select column_name from information_schema.columns where table_name = 'named' order by 1";
    assert_eq!(ask(&client, declared).await, "name\nrule\ntolerance");
    // The past is looked at from one connection, the present from another.
    assert_eq!(ask(&firm.connect("tieout", "").await, NAMED).await, "Acme Corp new 0.50 -");
    client.batch_execute("begin; set local tieout.definitions = current").await.unwrap();
    assert_eq!(ask(&client, NAMED).await, "Acme new 0.50 -");
    client.batch_execute("commit").await.unwrap();
    assert_eq!(ask(&client, NAMED).await, "Acme old 0.01");
    client.batch_execute("reset tieout.definitions").await.unwrap();
    assert_eq!(ask(&client, "show tieout.definitions").await, "current");
    assert_eq!(ask(&client, NAMED).await, "Acme new 0.50 -");
    // A prepared statement too, whichever was read last.
    let rule = client.prepare("select rule from recon.named").await.unwrap();
    for (definitions, rules) in [("pinned", "old"), ("current", "new"), ("pinned", "old"), ("current", "new")] {
        client.batch_execute(&format!("set tieout.definitions = {definitions}")).await.unwrap();
        for _ in 0..3 {
            assert_eq!(client.query_one(&rule, &[]).await.unwrap().get::<_, &str>(0), rules);
        }
    }
    // At the start, with a database's name, and back to it.
    let named = firm.connect("tieout@1", PINNED).await;
    assert_eq!(ask(&named, NAMED).await, "Acme old 0.01");
    assert_eq!(ask(&named, "select rule from \"tieout@1\".recon.named").await, "old");
    named.batch_execute("set tieout.definitions = current; reset all").await.unwrap();
    assert_eq!(ask(&named, NAMED).await, "Acme old 0.01");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_moment_of_a_query_is_read_by_its_own_definitions() {
    let firm = Firm::new().await;
    let client = firm.connect("tieout", PINNED).await;
    let moments = "select own.rule, own.tolerance, then.rule, then.tolerance, named.rule from recon.named as own, \
                   as_of('recon.named', 1) as then, \"tieout@1\".recon.named as named";
    assert_eq!(ask(&client, moments).await, "new 0.50 old 0.01 old");
    let other = "select own.rule, later.rule, later.city is null from recon.named as own, \
                 as_of('recon.named', 'commit:2') as later";
    client.batch_execute("set tieout.as_of = 1").await.unwrap();
    assert_eq!(ask(&client, other).await, "old new t");
    // A comparison has one rule for both sides: what it tells is what changed at the source.
    let changes = "select _op, name, rule, tolerance from changes('recon.named', 1, 2) order by 1";
    assert_eq!(ask(&client, changes).await, "D Acme old 0.01\nI Acme Inc old 0.01");
    // Without it everything is read by today's.
    client.batch_execute("set tieout.definitions = current; set tieout.as_of = latest").await.unwrap();
    assert_eq!(ask(&client, moments).await, "new 0.50 new 0.50 new");
    // The present moves on to other definitions while the session stands.
    client.batch_execute("set tieout.definitions = pinned").await.unwrap();
    assert_eq!(ask(&client, NAMED).await, "Acme Corp new 0.50 -");
    let before = definitions("old", None, "1").to_json();
    let hash = firm.warehouse.put_definitions(&before).await.unwrap();
    day(&mut (firm.warehouse.clone(), firm.clock.clone()), "Acme & Sons", &hash).await;
    // Whoever connects asks for the newest commit at once.
    drop(firm.connect("tieout", "").await);
    assert_eq!(ask(&client, NAMED).await, "Acme & Sons old 0.01");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_follows_the_definitions_or_says_that_it_cannot() {
    let firm = Firm::new().await;
    let client = firm.connect("tieout", PINNED).await;
    let rule = client.prepare("select rule from recon.named where name > $1").await.unwrap();
    let all = client.prepare(NAMED).await.unwrap();
    let then = client.prepare("select rule from as_of('recon.named', 1)").await.unwrap();
    let text = async |statement, parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)]| {
        client.query_one(statement, parameters).await.unwrap().get::<_, String>("rule")
    };
    for (set, expected) in [
        ("set tieout.as_of = latest", "new"),
        ("set tieout.as_of = 1", "old"),
        ("set tieout.definitions = current", "new"),
        ("set tieout.definitions = pinned", "old"),
    ] {
        client.batch_execute(set).await.unwrap();
        assert_eq!(text(&rule, &[&"A"]).await, expected, "{set}");
    }
    assert_eq!(text(&then, &[]).await, "old");
    let refused = client.query_one(&all, &[]).await.unwrap_err();
    assert!(refusal(&refused).starts_with("0A000 cached plan must not change result type"), "{}", refusal(&refused));
    client.batch_execute("set tieout.as_of = 2").await.unwrap();
    assert_eq!(text(&all, &[]).await, "new");
    client.batch_execute("prepare named as select rule from recon.named").await.unwrap();
    client.batch_execute("set tieout.as_of = 1").await.unwrap();
    assert_eq!(ask(&client, "execute named").await, "old");
    // A cursor was opened under other definitions than the session's by now: no row of it is right.
    client.batch_execute("declare named cursor with hold for select rule from recon.named").await.unwrap();
    client.batch_execute("set tieout.as_of = 2").await.unwrap();
    assert_eq!(ask(&client, "select rule from recon.named").await, "new");
    let stale = client.batch_execute("fetch all from named").await.unwrap_err();
    assert!(refusal(&stale).starts_with("55000 the definitions changed since"), "{}", refusal(&stale));
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_cannot_be_loaded_are_no_answer() {
    let firm = Firm::new().await;
    let client = firm.connect("tieout", "").await;
    client.batch_execute("set tieout.as_of = 3").await.unwrap();
    let pin = "set tieout.definitions = pinned";
    for (commit, code, told) in [
        (3, "XX001 read the definitions of commit 3 (000000000000): ", "definitions/000000"),
        (4, "55000 read the definitions of commit 4 (", "read stored definitions"),
    ] {
        client.batch_execute(&format!("set tieout.as_of = {commit}")).await.unwrap();
        let refused = refusal(&client.batch_execute(pin).await.unwrap_err());
        assert!(refused.starts_with(code) && refused.contains(told), "{refused}");
        assert!(refused.ends_with("SET tieout.definitions = 'current' reads it by today's"), "{refused}");
        assert_eq!(ask(&client, "show tieout.definitions").await, "current");
        let at_start = connect(firm.config(&format!("tieout@{commit}")).options(PINNED)).await.err().unwrap();
        assert!(refusal(&at_start).starts_with(code), "{}", refusal(&at_start));
    }
    client.batch_execute("set tieout.as_of = latest; set tieout.definitions = PINNED").await.unwrap();
    for sql in
        ["set tieout.as_of = 3", "select * from as_of('recon.named', 3)", "select * from \"tieout@3\".recon.named"]
    {
        let refused = refusal(&client.batch_execute(sql).await.unwrap_err());
        assert!(refused.starts_with("XX001 read the definitions of commit 3"), "{sql}: {refused}");
    }
    assert_eq!(ask(&client, NAMED).await, "Acme Corp new 0.50 -");
    let unknown = refusal(&client.batch_execute("set tieout.definitions = 'then'").await.unwrap_err());
    assert!(unknown.starts_with("22023 ") && unknown.contains("`pinned` those of the commit"), "{unknown}");
    // A set that was changed on the disk is not believed.
    let hash = definitions("old", None, "1").hash();
    let path = firm.folder.path().join(format!("definitions/{hash}.json"));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("'old'", "'bad'")).unwrap();
    let refused = refusal(&client.batch_execute("set tieout.as_of = 1").await.unwrap_err());
    assert!(refused.starts_with("XX001 read the definitions of commit 1") && refused.contains("SHA-256"), "{refused}");
}

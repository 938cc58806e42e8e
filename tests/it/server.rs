//! The Postgres wire with a real client: logins, values, portals, cancel, and that nothing writes.

mod audit;
pub(crate) mod firm;
mod hostile;
mod limits;
mod page;
mod planned;
mod repeated;
mod roles;
mod views;
mod watching;

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array,
};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{StreamExt as _, TryStreamExt as _};
use tieout::server::{BoundServer, ServerOptions, SessionFactory, User, serve};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

/// A server over one table with every type and one of a hundred thousand rows.
async fn start(options: impl FnOnce(&mut ServerOptions)) -> (BoundServer, CancellationToken) {
    let sessions: SessionFactory = Arc::new(|request| {
        Box::pin(async move {
            anyhow::ensure!(request.as_of.as_deref() != Some("never"), "no such moment `never`");
            let config =
                SessionConfig::new().with_default_catalog_and_schema("tieout", "recon").with_target_partitions(2);
            let context = SessionContext::new_with_config(config);
            context.register_batch("every_type", every_type()?)?;
            let numbers = Int64Array::from_iter_values(0..100_000);
            let numbers = RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef)])?;
            context.register_batch("numbers", numbers)?;
            let as_of = StringArray::from(vec![request.as_of.unwrap_or_else(|| "latest".to_owned())]);
            context.register_batch("clock", RecordBatch::try_from_iter([("as_of", Arc::new(as_of) as ArrayRef)])?)?;
            context.sql("create view evens as select n from numbers where n % 2 = 0").await?;
            Ok(context)
        })
    });
    let mut wanted = ServerOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        next_free_port: false,
        tls: None,
        users: vec![User::new("ada", "secret")],
        max_connections: 20,
        statement_timeout: None,
        sessions,
        descriptions: None,
        keys: None,
        audit: None,
        http: None,
    };
    options(&mut wanted);
    let stop = CancellationToken::new();
    (serve(wanted, stop.clone()).await.unwrap(), stop)
}

fn every_type() -> anyhow::Result<RecordBatch> {
    let widest = Decimal128Array::from(vec![Some(i128::from(u64::MAX)), None]).with_precision_and_scale(38, 2)?;
    let at = || TimestampMicrosecondArray::from(vec![Some(1_704_067_200_120_000), None]);
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None, Some(3)]), None]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("tiny", Arc::new(Int8Array::from(vec![Some(1), None]))),
        ("tiny_unsigned", Arc::new(UInt8Array::from(vec![Some(255), None]))),
        ("small", Arc::new(Int16Array::from(vec![Some(-2), None]))),
        ("medium", Arc::new(Int32Array::from(vec![Some(-3), None]))),
        ("big", Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
        ("yes", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("single", Arc::new(Float32Array::from(vec![Some(1.5), None]))),
        ("double", Arc::new(Float64Array::from(vec![Some(-0.25), None]))),
        ("amount", Arc::new(widest)),
        ("word", Arc::new(StringArray::from(vec![Some("Zoë, \"x\""), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(10_957), None]))),
        ("local", Arc::new(at())),
        ("moment", Arc::new(at().with_timezone("UTC"))),
        ("raw", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None]))),
        ("list", Arc::new(list)),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))?)
}

fn config(server: &BoundServer) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1").port(server.address().port()).user("ada").password("secret").dbname("tieout");
    config
}

async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn simple(client: &Client, text: &str) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
    let messages = client.simple_query(text).await?;
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|place| row.get(place).map(str::to_owned)).collect()),
        _ => None,
    };
    Ok(messages.iter().filter_map(row).collect())
}

async fn one(client: &Client, text: &str) -> String {
    simple(client, text).await.unwrap().remove(0).remove(0).unwrap()
}

fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("no code", SqlState::code)
}

/// The bytes of a value as they came.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_checked() {
    let (server, _stop) = start(|options| options.max_connections = 2).await;
    for (user, password) in [("ada", "wrong"), ("nobody", "secret")] {
        let error = connect(config(&server).user(user).password(password)).await.err().unwrap();
        assert_eq!(code(&error), "28P01", "{error}");
    }
    let error = connect(config(&server).dbname("other")).await.err().unwrap();
    assert_eq!(code(&error), "3D000");
    let error = connect(config(&server).dbname("tieout@never")).await.err().unwrap();
    assert_eq!(code(&error), "22023");

    let client =
        connect(config(&server).dbname("tieout@2025-12-31").options("-c statement_timeout=77s")).await.unwrap();
    assert_eq!(one(&client, "select as_of from clock").await, "2025-12-31");
    assert_eq!(one(&client, "show statement_timeout").await, "77s");
    let _second = connect(&config(&server)).await.unwrap();
    let error = connect(&config(&server)).await.err().unwrap();
    assert_eq!(code(&error), "53300");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_in_text_and_binary() {
    let (server, _stop) = start(|_| {}).await;
    let client = connect(&config(&server)).await.unwrap();
    client.simple_query("set time zone 'America/Chicago'").await.unwrap();
    let rows = simple(&client, "select * from every_type").await.unwrap();
    let expected = [
        "1",
        "255",
        "-2",
        "-3",
        "9223372036854775807",
        "t",
        "1.5",
        "-0.25",
        "184467440737095516.15",
        "Zoë, \"x\"",
        "2000-01-01",
        "2024-01-01 00:00:00.12",
        "2023-12-31 18:00:00.12-06",
        "\\x00ff",
        "{1,NULL,3}",
    ];
    assert_eq!(rows[0], expected.map(|text| Some(text.to_owned())));
    assert!(rows[1].iter().all(Option::is_none));

    let rows = client.query("select * from every_type", &[]).await.unwrap();
    let row = &rows[0];
    assert_eq!(row.get::<_, i16>("tiny"), 1);
    assert_eq!(row.get::<_, i16>("tiny_unsigned"), 255);
    assert_eq!(row.get::<_, i16>("small"), -2);
    assert_eq!(row.get::<_, i32>("medium"), -3);
    assert_eq!(row.get::<_, i64>("big"), i64::MAX);
    assert!(row.get::<_, bool>("yes"));
    assert_eq!(row.get::<_, f32>("single").to_bits(), 1.5_f32.to_bits());
    assert_eq!(row.get::<_, f64>("double").to_bits(), (-0.25_f64).to_bits());
    assert_eq!(row.get::<_, &str>("word"), "Zoë, \"x\"");
    assert_eq!(row.get::<_, Vec<u8>>("raw"), b"\x00\xff");
    assert_eq!(row.get::<_, Vec<Option<i32>>>("list"), [Some(1), None, Some(3)]);
    assert_eq!(row.get::<_, Raw>("day").0, 0_i32.to_be_bytes());
    assert_eq!(row.get::<_, Raw>("moment").0, (1_704_067_200_120_000_i64 - 946_684_800_000_000).to_be_bytes());
    let numeric = [6_i16, 4, 0, 2, 18, 4467, 4407, 3709, 5516, 1500];
    assert_eq!(row.get::<_, Raw>("amount").0, numeric.map(i16::to_be_bytes).concat());
    assert_eq!(row.get::<_, Option<i64>>("big").is_none(), rows[1].get::<_, Option<i64>>("big").is_some());
    assert!(rows[1].get::<_, Option<Raw>>("amount").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_inferred_and_sent() {
    let (server, _stop) = start(|_| {}).await;
    let client = connect(&config(&server)).await.unwrap();
    let statement = client.prepare("select n from numbers where n between $1 and $2 order by n").await.unwrap();
    assert_eq!(statement.params(), [Type::INT8, Type::INT8]);
    let rows = client.query(&statement, &[&5_i64, &7_i64]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>(), [5, 6, 7]);
    let row = client.query_one("select word from every_type where word = $1", &[&"Zoë, \"x\""]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "Zoë, \"x\"");
    let row = client.query_one("select $1", &[&"text by default"]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "text by default");
    let rows = client.query("select n from numbers order by n limit $1", &[&3_i64]).await.unwrap();
    assert_eq!(rows.len(), 3);
    client.batch_execute("prepare p as select n + $1 from numbers where n = $2").await.unwrap();
    assert_eq!(one(&client, "execute p(40, 2)").await, "42");
    client.batch_execute("deallocate p").await.unwrap();
    assert_eq!(code(&client.batch_execute("execute p(1, 2)").await.unwrap_err()), "26000");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transaction_sets_ends_with_it() {
    let (server, _stop) = start(|_| {}).await;
    let client = connect(&config(&server)).await.unwrap();
    let show = || one(&client, "show timezone");
    client.batch_execute("begin; set timezone = 'Asia/Tokyo'; rollback").await.unwrap();
    assert_eq!(show().await, "UTC");
    client
        .batch_execute("begin; set timezone = 'Asia/Tokyo'; savepoint s; set timezone = 'Europe/Paris'")
        .await
        .unwrap();
    client.batch_execute("rollback to s").await.unwrap();
    assert_eq!(show().await, "Asia/Tokyo");
    client.batch_execute("set local timezone = 'Europe/Paris'; commit").await.unwrap();
    assert_eq!(show().await, "Asia/Tokyo");
    client.batch_execute("begin; set local timezone = 'UTC'; set timezone = 'Europe/Rome'; commit").await.unwrap();
    assert_eq!(show().await, "Europe/Rome");
    client.batch_execute("begin; set timezone = 'UTC'").await.unwrap();
    client.batch_execute("select 1 / 0").await.unwrap_err();
    client.batch_execute("commit").await.unwrap();
    assert_eq!(show().await, "Europe/Rome");
    // A statement that was prepared before goes by the new clock.
    let hour = client.prepare("select extract(hour from timestamptz '2024-07-01 12:00+00')::text").await.unwrap();
    assert_eq!(client.query_one(&hour, &[]).await.unwrap().get::<_, &str>(0), "14");
    client.batch_execute("set timezone = 'Asia/Tokyo'").await.unwrap();
    assert_eq!(client.query_one(&hour, &[]).await.unwrap().get::<_, &str>(0), "21");
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_parameters_are_planned_as_what_they_are() {
    let (server, _stop) = start(|_| {}).await;
    let client = connect(&config(&server)).await.unwrap();
    let statement = client.prepare_typed("select (date '2024-01-05' - $1)::text", &[Type::INT4]).await.unwrap();
    assert_eq!(client.query_one(&statement, &[&5_i32]).await.unwrap().get::<_, &str>(0), "2023-12-31");
    let statement =
        client.prepare_typed("select $1, n from numbers limit $2", &[Type::INT4, Type::INT8]).await.unwrap();
    assert_eq!(statement.columns()[0].name(), "?column?");
    assert_eq!(client.query(&statement, &[&5_i32, &2_i64]).await.unwrap().len(), 2);
    assert_eq!(client.prepare("select $1::oid[]").await.unwrap().params(), [Type::OID_ARRAY]);
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_and_cursors_give_rows_in_pieces() {
    let (server, _stop) = start(|_| {}).await;
    let mut client = connect(&config(&server)).await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("select n from numbers order by n", &[]).await.unwrap();
    for from in [0_i64, 10, 20] {
        let rows = transaction.query_portal(&portal, 10).await.unwrap();
        assert_eq!(rows.len(), 10);
        assert_eq!(rows[0].get::<_, i64>(0), from);
    }
    assert_eq!(transaction.query_portal(&portal, i32::MAX).await.unwrap().len(), 100_000 - 30);
    transaction.commit().await.unwrap();

    client.batch_execute("begin; declare c cursor for select n from evens order by n").await.unwrap();
    let rows = simple(&client, "fetch 3 from c").await.unwrap();
    assert_eq!(rows.iter().map(|row| row[0].clone().unwrap()).collect::<Vec<_>>(), ["0", "2", "4"]);
    // A count that no memory holds is only a count.
    assert_eq!(simple(&client, "fetch 2000000000 from c").await.unwrap().len(), 49_997);
    assert!(simple(&client, "fetch next from c").await.unwrap().is_empty());
    client.batch_execute("close c; commit").await.unwrap();
    assert_eq!(code(&client.batch_execute("fetch 1 from c").await.unwrap_err()), "34000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_points_to_its_place() {
    let (server, _stop) = start(|_| {}).await;
    let client = connect(&config(&server)).await.unwrap();
    for (text, code, place) in [
        ("select nowhere from numbers", "42703", Some(8)),
        ("select 'Zo\u{eb}';\nselect n\nfrom nowhere", "42P01", Some(29)),
        ("select 1; select nowhere(1) from numbers", "42883", Some(18)),
        ("select n from numbers wher n = 1", "42601", Some(28)),
        ("select 1 / 0", "22012", None),
    ] {
        let error = client.simple_query(text).await.unwrap_err();
        let position = error.as_db_error().unwrap().position().map(|position| match position {
            tokio_postgres::error::ErrorPosition::Original(place) => *place,
            tokio_postgres::error::ErrorPosition::Internal { .. } => 0,
        });
        assert_eq!((error.code().unwrap().code(), position), (code, place), "{text}");
    }
    let error = client.prepare("select n, s.nowhere from numbers s").await.unwrap_err();
    assert_eq!(
        error.as_db_error().unwrap().position(),
        Some(&tokio_postgres::error::ErrorPosition::Original(11)),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runaway_query_can_be_stopped() {
    const RUNAWAY: &str = "select count(*) from numbers a, numbers b, numbers c where a.n + b.n + c.n = -1";
    let (server, _stop) = start(|_| {}).await;
    let client = connect(&config(&server)).await.unwrap();
    let cancel = client.cancel_token();
    let started = Instant::now();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel_query(NoTls).await.unwrap();
    });
    assert_eq!(code(&client.batch_execute(RUNAWAY).await.unwrap_err()), "57014");
    client.batch_execute("set statement_timeout = '200ms'").await.unwrap();
    assert_eq!(code(&client.query(RUNAWAY, &[]).await.unwrap_err()), "57014");
    client.batch_execute("set statement_timeout = 0").await.unwrap();
    assert_eq!(one(&client, "select 1").await, "1");

    // Two more that nobody waits for must not keep others out.
    for _ in 0..2 {
        let left = connect(&config(&server)).await.unwrap();
        let query = tokio::spawn(async move { left.batch_execute(RUNAWAY).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        query.abort();
    }
    let other = connect(&config(&server)).await.unwrap();
    assert_eq!(one(&other, "select count(*) from numbers").await, "100000");
    assert!(started.elapsed() < Duration::from_mins(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_writes() {
    let (server, _stop) = start(|_| {}).await;
    let client = connect(&config(&server)).await.unwrap();
    let target = std::env::temp_dir().join("tieout-must-not-exist.parquet");
    for text in [
        "insert into numbers values (1)".to_owned(),
        "update numbers set n = 1".to_owned(),
        "delete from numbers".to_owned(),
        "create table t as select 1".to_owned(),
        "create view v as select 1".to_owned(),
        "create schema s".to_owned(),
        "drop table numbers".to_owned(),
        "drop view evens".to_owned(),
        "truncate numbers".to_owned(),
        format!("copy numbers to '{}'", target.display()),
        format!("explain analyze copy numbers to '{}'", target.display()),
        "with w as (insert into numbers values (1) returning n) select * from w".to_owned(),
        "select n into t from numbers".to_owned(),
    ] {
        let error = client.batch_execute(&text).await.unwrap_err();
        assert!(["25006", "42601"].contains(&code(&error)), "{text}: {error}");
        let error = client.prepare(&text).await.err().unwrap();
        assert!(["25006", "42601"].contains(&code(&error)), "{text}: {error}");
    }
    assert!(!target.exists());
    for (text, expected) in [
        ("select * from nowhere", "42P01"),
        ("select nothing from numbers", "42703"),
        ("selec 1", "42601"),
        ("select 1 / (n - n) from numbers", "22012"),
        ("select nonsense(1)", "42883"),
        ("set nonsense = 1", "42704"),
        ("set datafusion.execution.target_partitions = 1", "42704"),
        ("show nonsense", "42704"),
    ] {
        let error = client.batch_execute(text).await.unwrap_err();
        assert_eq!(code(&error), expected, "{text}: {error}");
    }
    client.batch_execute("begin").await.unwrap();
    client.batch_execute("select nothing").await.unwrap_err();
    assert_eq!(code(&client.batch_execute("select 1").await.unwrap_err()), "25P02");
    client.batch_execute("rollback; select 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_out_and_settings() {
    let (server, _stop) = start(|_| {}).await;
    let client = connect(&config(&server)).await.unwrap();
    let stream = client.copy_out("copy (select word, big from every_type) to stdout with (format csv, header)").await;
    let bytes = stream.unwrap().try_fold(Vec::new(), |mut all, piece| async move {
        all.extend_from_slice(&piece);
        Ok(all)
    });
    let text = String::from_utf8(bytes.await.unwrap()).unwrap();
    assert_eq!(text, "word,big\n\"Zoë, \"\"x\"\"\",9223372036854775807\n,\n");
    let mut stream = Box::pin(client.copy_out("copy numbers to stdout").await.unwrap());
    let mut lines = 0;
    while let Some(piece) = stream.next().await {
        lines += piece.unwrap().split(|byte| *byte == b'\n').count() - 1;
    }
    assert_eq!(lines, 100_000);

    client.batch_execute("begin; set local statement_timeout = 5").await.unwrap();
    assert_eq!(one(&client, "show statement_timeout").await, "5");
    client.batch_execute("commit; set application_name = 'x'; discard all").await.unwrap();
    assert_eq!(one(&client, "show statement_timeout").await, "0");
    assert_eq!(one(&client, "select relkind from pg_class where oid = 'evens'::regclass").await, "v");
    assert_eq!(one(&client, "select 1; select 2").await, "1");
    assert_eq!(one(&client, "select current_user").await, "ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_expression_does_not_end_the_server() {
    let (server, _stop) = start(|_| {}).await;
    let client = connect(&config(&server)).await.unwrap();
    for chain in [
        format!("select 1{}", "+1".repeat(4_900)),
        format!("select 1{}", " union all select 1".repeat(1_600)),
        format!("select true{}", " or n = 1".repeat(1_600)) + " from numbers",
        format!("select 1{}", "::int".repeat(2_400)),
        format!("select 1 from numbers{}", ", numbers a".repeat(2_400)),
        format!("select {}1{}", "(".repeat(2_400), ")".repeat(2_400)),
        format!("select {}1{}", "abs(".repeat(1_600), ")".repeat(1_600)),
        format!("select {}1", "- ".repeat(4_900)),
    ] {
        // Refused or answered, but the server lives.
        let _ = client.batch_execute(&chain).await;
        assert_eq!(one(&client, "select 1").await, "1");
    }
    // As deep as it may be.
    for chain in [
        format!("select 1{}", "+1".repeat(490)),
        format!("select true{}", " or n = 1".repeat(240)) + " from numbers",
        format!("select 1{}", " union all select 1".repeat(140)),
    ] {
        client.batch_execute(&chain).await.unwrap();
    }
    let huge = format!("select 1{}", "+1".repeat(100_000));
    assert_eq!(code(&client.batch_execute(&huge).await.unwrap_err()), "54000");
    let list = format!("select count(*) from numbers where n in (0{})", ",1".repeat(20_000));
    assert_eq!(one(&client, &list).await, "2");
    let other = connect(&config(&server)).await.unwrap();
    assert_eq!(one(&other, "select 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_when_told() {
    let (server, stop) = start(|_| {}).await;
    let client = connect(&config(&server)).await.unwrap();
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), server.stopped()).await.unwrap();
    assert!(client.batch_execute("select 1").await.is_err());
}

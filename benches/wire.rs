//! Rows and statements over the Postgres wire, served by tieout and by PostgreSQL, asked by the same client in one run.
//!
//! `benches/peers/postgres cargo bench --bench wire -- [ROWS] [SECONDS]` (default 500,000 rows, 5 seconds for each number of
//! clients) starts a PostgreSQL server of its own and names it in `PEER`. Without that only tieout is measured.
//!
//! Export: a table of invoices, as text, binary and COPY, in wall time and in the server's own time of the processor, which
//! other work on the machine disturbs less. Statements: the summary of a simulated firm, and its exceptions of one project;
//! PostgreSQL has the answers as indexed tables, for it has no checks. Every pair of answers is compared.

#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    clippy::panic,
    reason = "a bench prints times, and stops where it is wrong"
)]

#[expect(dead_code, reason = "this table does not change")]
mod rows;

use std::env;
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use rows::{Table, input, warehouse_in};
use sha2::{Digest as _, Sha256};
use tieout::clock::{Clock, SharedClock};
use tieout::warehouse::CommitHeader;
use tieout::warehouse::commit::CommitKind;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

const EXPORT: &str = "select _key, number, vendor_id, status, amount, updated_at, _hash from procore.invoices";
const TRIES: usize = 3;
const CLIENTS: [usize; 3] = [1, 8, 64];
/// What clients ask for, with one parameter each.
const STATEMENTS: [(&str, &str); 2] = [
    ("summary", "select check_id, verdict, open_count, amount_at_risk from recon.summary where check_id <> $1"),
    (
        "exceptions of a project",
        "select exception_key, check_id, severity, amount_at_risk, detail from recon.exceptions where project_number = $1",
    ),
];

#[tokio::main]
async fn main() {
    let mut numbers = env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (rows, seconds) = (numbers.next().unwrap_or(500_000), numbers.next().unwrap_or(5));
    let peer = env::var("PEER").ok().map(|peer| peer.parse::<Config>().expect("PEER is a connection string"));
    let folder = tempfile::tempdir().expect("a folder");
    export(folder.path(), rows, peer.as_ref()).await;
    statements(folder.path(), Duration::from_secs(seconds), peer.as_ref()).await;
}

/// A server: how it is reached, and whose time of the processor is its.
struct Server {
    name: &'static str,
    config: Config,
    /// The whole process, else the one that serves the connection.
    process: Option<u32>,
}

impl Server {
    async fn connect(&self) -> Client {
        let (client, connection) = self.config.connect(NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }

    async fn process(&self, client: &Client) -> u32 {
        if let Some(process) = self.process {
            return process;
        }
        let row = client.query_one("select pg_backend_pid()", &[]).await.expect("a process");
        u32::try_from(row.get::<_, i32>(0)).expect("a process id")
    }
}

/// User and system time of a process, in hundredths of a second (`/proc`; Linux only).
fn processor_time(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<u64>().ok()).expect("ticks");
    ticks(11) + ticks(12)
}

/// `tieout serve` over a workspace, until it is dropped.
async fn serve(settings: &Path) -> (Child, Server) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieout"));
    command.arg("--config").arg(settings).args(["serve", "--listen", "127.0.0.1:0"]);
    let mut child =
        command.env("BENCH_PASSWORD", "bench").stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("tieout");
    let mut lines = BufReader::new(child.stderr.take().expect("its words")).lines();
    let mut said = String::new();
    let port = loop {
        let Some(line) = lines.next_line().await.expect("a line") else { panic!("tieout does not serve: {said}") };
        said.push_str(&line);
        if let Some((_, address)) = line.split_once("serving on ") {
            let address = address.split(',').next().unwrap_or_default();
            break address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user("bench").password("bench").dbname("tieout");
    let process = child.id();
    (child, Server { name: "tieout", config, process })
}

const ROLE: &str = "[[roles]]\nname = \"bench\"\npassword = { env = \"BENCH_PASSWORD\" }\n";

/// How fast a table comes.
async fn export(folder: &Path, rows: u64, peer: Option<&Config>) {
    let clock = SharedClock::new(chrono::DateTime::from_timestamp(1_700_000_000, 0).expect("a moment"));
    let warehouse = warehouse_in(&folder.join("warehouse")).await;
    let header = CommitHeader {
        kind: CommitKind::Extract,
        clock: &Clock::Shared(clock.clone()),
        definitions: String::new(),
        runs: Vec::new(),
        observed_at: clock.now(),
    };
    let mut prepared = warehouse.prepare(header).await.expect("a commit begun");
    prepared.add_rows(input(), Table::new(rows).batches()).await.expect("a table added");
    warehouse.publish(prepared).await.expect("a commit published");
    let settings = folder.join("tieout.toml");
    std::fs::write(&settings, format!("[warehouse]\nurl = \"./warehouse\"\n{ROLE}")).expect("settings");
    let (_child, own) = serve(&settings).await;
    let mut servers = vec![own];
    if let Some(peer) = peer {
        let there = Server { name: "postgres", config: peer.clone(), process: None };
        copy_over(&servers[0], &there, EXPORT, "procore", "invoices").await;
        there.connect().await.batch_execute("vacuum analyze procore.invoices").await.expect("a vacuum");
        servers.push(there);
    }
    println!(
        "{rows} rows of 7 columns; best of {TRIES}, thousand rows a second: by the clock, by the server's processor"
    );
    for how in ["text", "binary", "copy"] {
        let mut digests = Vec::new();
        for server in &servers {
            let (mut clock, mut processor) = (f64::MAX, f64::MAX);
            for _ in 0..TRIES {
                let client = server.connect().await;
                let process = server.process(&client).await;
                let (began, before) = (Instant::now(), processor_time(process));
                let (count, digest) = drain(&client, how).await;
                clock = clock.min(began.elapsed().as_secs_f64());
                // A tick is a hundredth of a second.
                processor = processor.min(Duration::from_millis((processor_time(process) - before) * 10).as_secs_f64());
                assert_eq!(count, rows, "{} lost rows as {how}", server.name);
                digests.push(digest);
            }
            let thousands = |seconds: f64| rows as f64 / 1000.0 / seconds;
            println!("{how:<10}{:<10}{:>10.0}{:>10.0}", server.name, thousands(clock), thousands(processor));
        }
        assert!(digests.windows(2).all(|pair| pair.first() == pair.last()), "other rows as {how}");
    }
}

/// Reads all rows; their number, and a digest that does not depend on their order.
async fn drain(client: &Client, how: &str) -> (u64, [u8; 8]) {
    let (mut count, mut digest) = (0, [0_u8; 8]);
    let mut add = |text: &str| {
        let own = Sha256::digest(text.as_bytes());
        digest.iter_mut().zip(own).for_each(|(sum, own)| *sum ^= own);
        count += 1;
    };
    match how {
        "text" => {
            let mut rows = pin!(client.simple_query_raw(EXPORT).await.expect("an answer"));
            while let Some(message) = rows.next().await {
                if let SimpleQueryMessage::Row(row) = message.expect("a row") {
                    add(row.get(0).expect("a key"));
                }
            }
        }
        "binary" => {
            let none: [&(dyn tokio_postgres::types::ToSql + Sync); 0] = [];
            let mut rows = pin!(client.query_raw(EXPORT, none).await.expect("an answer"));
            while let Some(row) = rows.next().await {
                add(row.expect("a row").get(0));
            }
        }
        _ => {
            let mut parts = pin!(client.copy_out(&format!("copy ({EXPORT}) to stdout")).await.expect("an answer"));
            while let Some(part) = parts.next().await {
                let part = part.expect("a part");
                for line in part.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    let key = line.split(|byte| *byte == b'\t').next().unwrap_or_default();
                    add(std::str::from_utf8(key).expect("text"));
                }
            }
        }
    }
    (count, digest)
}

/// Gives a server what a query answers on another, as a table.
async fn copy_over(from: &Server, to: &Server, query: &str, schema: &str, table: &str) {
    let (from, to) = (from.connect().await, to.connect().await);
    let statement = from.prepare(query).await.expect("a query");
    let columns = statement.columns().iter().map(|column| format!("\"{}\" {}", column.name(), column.type_().name()));
    let columns = columns.collect::<Vec<_>>().join(", ");
    let create = format!(
        "create schema if not exists {schema}; drop table if exists {schema}.{table}; create table {schema}.{table} ({columns})"
    );
    to.batch_execute(&create).await.expect("a table");
    let mut parts = pin!(from.copy_out(&format!("copy ({query}) to stdout")).await.expect("rows"));
    let mut sink = pin!(to.copy_in(&format!("copy {schema}.{table} from stdin")).await.expect("a table"));
    while let Some(part) = parts.next().await {
        sink.send(part.expect("rows")).await.expect("rows taken");
    }
    sink.close().await.expect("a table");
}

/// How fast small statements are answered.
async fn statements(folder: &Path, lasts: Duration, peer: Option<&Config>) {
    let workspace = folder.join("firm");
    let made = Command::new(env!("CARGO_BIN_EXE_tieout"))
        .args(["demo", "--exit", "--no-progress", "--months", "6", "--projects", "8", "--dir"])
        .arg(&workspace)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    made.await.expect("a firm");
    let settings = workspace.join("tieout.toml");
    let text = std::fs::read_to_string(&settings).expect("settings");
    std::fs::write(&settings, format!("{text}\n{ROLE}")).expect("settings");
    let (_child, own) = serve(&settings).await;
    let mut servers = vec![own];
    if let Some(peer) = peer {
        let there = Server { name: "postgres", config: peer.clone(), process: None };
        for table in ["summary", "exceptions"] {
            copy_over(&servers[0], &there, &format!("select * from recon.{table}"), "recon", table).await;
        }
        let indexes = "create index on recon.exceptions (project_number); create index on recon.summary (check_id); \
                       analyze recon.exceptions; analyze recon.summary";
        there.connect().await.batch_execute(indexes).await.expect("indexes");
        servers.push(there);
    }
    let project = servers[0].connect().await.query_one("select min(project_number) from recon.exceptions", &[]).await;
    let project: String = project.expect("a project").get(0);
    println!(
        "\nstatements of {} s; milliseconds at the median and at the 99th percentile, statements a second",
        lasts.as_secs()
    );
    for (title, sql) in STATEMENTS {
        let parameter = if title == "summary" { "none" } else { project.as_str() };
        for prepared in [true, false] {
            for clients in CLIENTS {
                let mut answers = Vec::new();
                for server in &servers {
                    let (rows, mut times) = ask(server, sql, parameter, prepared, clients, lasts).await;
                    answers.push(rows);
                    times.sort_unstable();
                    let at = |hundredths: usize| times[(times.len() * hundredths / 100).min(times.len() - 1)];
                    let rate = times.len() as f64 / lasts.as_secs_f64();
                    let how = if prepared { "prepared" } else { "simple" };
                    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
                    println!(
                        "{title:<26}{how:<10}{clients:>4} clients  {:<10}{:>9.2}{:>9.2}{rate:>9.0}",
                        server.name,
                        millis(at(50)),
                        millis(at(99))
                    );
                }
                assert!(answers.windows(2).all(|pair| pair.first() == pair.last()), "other answers: {answers:?}");
            }
        }
    }
    let mut times = Vec::new();
    for server in &servers {
        for _ in 0..20 {
            let began = Instant::now();
            drop(server.connect().await);
            times.push(began.elapsed());
        }
        times.sort_unstable();
        println!("connect   {:<10}{:>9.2} ms", server.name, times[times.len() / 2].as_secs_f64() * 1000.0);
        times.clear();
    }
}

/// Rows of one answer, and how long each answer took.
async fn ask(
    server: &Server,
    sql: &'static str,
    parameter: &str,
    prepared: bool,
    clients: usize,
    lasts: Duration,
) -> (usize, Vec<Duration>) {
    let tasks = (0..clients).map(|_| async move {
        let client = server.connect().await;
        let statement = client.prepare(sql).await.expect("a statement");
        let text = sql.replace("$1", &format!("'{parameter}'"));
        let (mut times, mut rows) = (Vec::new(), 0);
        let began = Instant::now();
        while began.elapsed() < lasts {
            let asked = Instant::now();
            rows = if prepared {
                client.query(&statement, &[&parameter]).await.expect("an answer").len()
            } else {
                let messages = client.simple_query(&text).await.expect("an answer");
                messages.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count()
            };
            times.push(asked.elapsed());
        }
        (rows, times)
    });
    let all = futures::future::join_all(tasks).await;
    let rows = all.first().map(|(rows, _)| *rows).expect("a client");
    (rows, all.into_iter().flat_map(|(_, times)| times).collect())
}

//! Clients that mean no good or are gone: garbage, silence, a crowd, a question that memory does not suffice for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use tieout::server::AuditOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{code, config, connect, one, start};

/// A generator of numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[3]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_before_the_login_harms_nobody() {
    let (server, _stop) = start(|options| options.max_connections = 300).await;
    let mut numbers = Numbers(0x5eed);
    let startup = [&[0, 0, 0, 41, 0, 3, 0, 0][..], b"user\0ada\0database\0tieout\0\0\0\0\0\0\0\0"].concat();
    for round in 0..120_usize {
        let mut bytes: Vec<u8> = match round % 3 {
            0 => (0..round).map(|_| numbers.byte()).collect(),
            1 => startup.clone(),
            _ => [&startup[..], b"p\x00\x00\x00", &[numbers.byte()], &[numbers.byte(); 9]].concat(),
        };
        if let Some(place) = usize::try_from(numbers.number()).unwrap().checked_rem(bytes.len()) {
            bytes[place] = numbers.byte();
        }
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        // The server may have hung up already.
        let _ = socket.write_all(&bytes).await;
        let _ = socket.shutdown().await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "round {round} hangs");
        assert!(answer.len() < 10_000);
    }
    let client = connect(&config(&server)).await.unwrap();
    assert_eq!(one(&client, "select 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_a_session_that_said_so() {
    let (server, _stop) = start(|_| {}).await;
    let idle = connect(&config(&server)).await.unwrap();
    idle.batch_execute("set idle_session_timeout = '200ms'").await.unwrap();
    let inside = connect(&config(&server)).await.unwrap();
    inside.batch_execute("set idle_in_transaction_session_timeout = '200ms'").await.unwrap();
    // Outside of a transaction the second limit means nothing.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(one(&inside, "select 1").await, "1");
    inside.batch_execute("begin").await.unwrap();
    let started = Instant::now();
    while !(idle.is_closed() && inside.is_closed()) {
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let error = inside.batch_execute("set idle_session_timeout = 'soon'").await.unwrap_err();
    assert!(error.is_closed());
    let other = connect(&config(&server)).await.unwrap();
    assert_eq!(code(&other.batch_execute("set idle_session_timeout = 'soon'").await.unwrap_err()), "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_waits_and_the_next_one_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let audit = AuditOptions { path: log.clone(), bytes_max: 1 << 20, files: 1 };
    let (server, _stop) = start(|options| {
        options.max_connections = 201;
        options.audit = Some(audit);
    })
    .await;
    let config = config(&server);
    let crowd = futures::future::join_all((0..200).map(|_| connect(&config))).await;
    assert!(crowd.iter().all(Result::is_ok));
    let last = connect(&config).await.unwrap();
    assert_eq!(one(&last, "select count(*) from numbers").await, "100000");
    assert_eq!(code(&connect(&config).await.err().unwrap()), "53300");
    let started = Instant::now();
    while !std::fs::read_to_string(&log).unwrap().contains(r#""outcome":"53300""#) {
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_memory_does_not_suffice_for_goes_to_the_disk() {
    let (server, _stop) = start(|options| {
        options.sessions = Arc::new(|_| {
            Box::pin(async {
                let mut config =
                    SessionConfig::new().with_default_catalog_and_schema("tieout", "recon").with_target_partitions(1);
                config.options_mut().execution.sort_spill_reservation_bytes = 256 << 10;
                let pool = Arc::new(FairSpillPool::new(24 << 20));
                let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc()?;
                let context = SessionContext::new_with_config_rt(config, runtime);
                let count = 600_000;
                let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..count).map(|n| n * 7 % count)));
                let words = (0..count).map(|n| format!("a word of more than forty letters: {n:010}"));
                let words: ArrayRef = Arc::new(StringArray::from_iter_values(words));
                let batch = RecordBatch::try_from_iter([("n", numbers), ("word", words)])?;
                let pieces = (0..count).step_by(1_000).map(|from| {
                    let from = usize::try_from(from).unwrap_or(0);
                    batch.slice(from, 1_000.min(batch.num_rows() - from))
                });
                let table = datafusion::datasource::MemTable::try_new(batch.schema(), vec![pieces.collect()])?;
                context.register_table("words", Arc::new(table))?;
                Ok(context)
            })
        });
    })
    .await;
    let client = connect(&config(&server)).await.unwrap();
    let text = "select count(*) from (select a.n, max(a.word || b.word) as word from words a join words b on a.n = b.n \
                and a.word <= b.word group by a.n) t where word is not null";
    // Grouping spills by itself; the join would not.
    assert_eq!(one(&client, text).await, "600000");
    // A nested loop over what does not fit would go on for hours.
    let text = "select count(*) from words a join words b on a.word || b.word = 'never'";
    assert_eq!(code(&client.query(text, &[]).await.unwrap_err()), "53200");
    assert_eq!(one(&client, "select count(*) from words").await, "600000");
}

//! How much of the server a role may take, and how it proves who it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tieout::server::{Password, RoleLimits, Tls, User, Verifier};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::firm::{Firm, role, with};
use super::{code, config, connect, one, start};

/// Of the password `secret`, as PostgreSQL stores it.
const VERIFIER: &str = "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$\
                        bpSY5Ze9NUH+I35LC3gVq+DpBfK46iXBxvhAKqVu9pE=:VpYlBuxyzeCI1KnctrefdljpB1mk3Gp7sBI/t11+NkQ=";

fn limited(limits: RoleLimits) -> Vec<User> {
    vec![User { limits, ..User::new("ada", "secret") }]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_takes_no_more_than_its_share() {
    let limits = RoleLimits {
        connections: Some(2),
        statement_timeout: Some(Duration::from_secs(2)),
        rows: Some(10),
        memory_bytes: None,
    };
    let (server, _stop) = start(|options| options.users = limited(limits)).await;
    let client = connect(&config(&server)).await.unwrap();
    let second = connect(&config(&server)).await.unwrap();
    let refused = connect(&config(&server)).await.err().unwrap();
    assert_eq!(code(&refused), "53300");
    assert!(refused.as_db_error().unwrap().message().contains("role \"ada\""), "{refused}");
    drop(second);

    assert_eq!(one(&client, "select count(*) from numbers").await, "100000");
    client.batch_execute("select n from numbers limit 10").await.unwrap();
    for sql in [
        "select n from numbers limit 11",
        "copy numbers to stdout",
        "begin; declare c cursor for select n from numbers",
    ] {
        let end = if sql.starts_with("copy") {
            match client.copy_out(sql).await {
                Ok(rows) => futures::TryStreamExt::try_collect::<Vec<_>>(rows).await.map(drop),
                Err(error) => Err(error),
            }
        } else {
            client.batch_execute(sql).await
        };
        if sql.starts_with("begin") {
            end.unwrap();
            continue;
        }
        assert_eq!(code(&end.unwrap_err()), "54000", "{sql}");
    }
    // In pieces it is no more.
    client.batch_execute("fetch 6 from c").await.unwrap();
    assert_eq!(code(&client.batch_execute("fetch 6 from c").await.unwrap_err()), "54000");
    client.batch_execute("rollback").await.unwrap();

    assert_eq!(one(&client, "show statement_timeout").await, "2000");
    for sql in ["set statement_timeout = 0", "set statement_timeout = '3s'"] {
        assert_eq!(code(&client.batch_execute(sql).await.unwrap_err()), "42501", "{sql}");
    }
    let runaway = "select count(*) from numbers a, numbers b, numbers c where a.n + b.n + c.n = -1";
    assert_eq!(code(&client.batch_execute(runaway).await.unwrap_err()), "57014");
    assert_eq!(one(&client, "select 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roles_queries_share_its_memory() {
    let limits = RoleLimits { memory_bytes: Some(100_000), ..RoleLimits::default() };
    let users = || limited(limits).into_iter().chain([User::new("bob", "secret")]).collect();
    let (server, _stop) = start(|options| options.users = users()).await;
    let client = connect(&config(&server)).await.unwrap();
    let greedy = "select count(distinct n), count(distinct n + 1), count(distinct -n) from numbers";
    let refused = client.batch_execute(greedy).await.unwrap_err();
    assert_eq!(code(&refused), "53200", "{refused}");
    connect(config(&server).user("bob")).await.unwrap().batch_execute(greedy).await.unwrap();
    assert_eq!(one(&client, "select 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_verifier_lets_in_who_knows_the_password() {
    let users = || {
        let password = Password::Verifier(Verifier::parse(VERIFIER).unwrap());
        vec![User { password, ..User::new("ada", "") }]
    };
    let (server, _stop) = start(|options| options.users = users()).await;
    let client = connect(&config(&server)).await.unwrap();
    assert_eq!(one(&client, "select current_user").await, "ada");
    assert_eq!(code(&connect(config(&server).password("Secret")).await.err().unwrap()), "28P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_a_password_does_not_start() {
    let user = with(role("ada", None), |_, user| user.password = Password::Plain(String::new()));
    let stop = tokio_util::sync::CancellationToken::new();
    let firm = Firm::new(Vec::new()).await;
    let engine = Arc::clone(&firm.engine);
    let options = tieout::server::ServerOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        next_free_port: false,
        tls: None,
        users: vec![user],
        max_connections: 1,
        statement_timeout: None,
        sessions: Arc::new(move |request| {
            let engine = Arc::clone(&engine);
            Box::pin(async move { engine.session(&request).await.map_err(anyhow::Error::from) })
        }),
        descriptions: None,
        keys: None,
        audit: None,
        http: None,
    };
    let refused = tieout::server::serve(options, stop).await.unwrap_err().to_string();
    assert!(refused.contains("role ada has an empty password"), "{refused}");
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// What the server says first to a client with this certificate, after the TLS handshake; nothing if it hangs up.
async fn greeting(port: u16, certificate: Option<&str>) -> Option<u8> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("authority.crt")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match certificate {
        Some(name) => {
            let chain = vec![CertificateDer::from_pem_file(file(&format!("{name}.crt"))).unwrap()];
            let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.unwrap();
    assert_eq!(socket.read_u8().await.unwrap(), b'S');
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let mut socket = connector.connect(name, socket).await.ok()?;
    let parameters = b"user\0ada\0database\0tieout\0\0";
    let length = u32::try_from(8 + parameters.len()).unwrap();
    socket.write_u32(length).await.ok()?;
    socket.write_u32(196_608).await.ok()?;
    socket.write_all(parameters).await.ok()?;
    socket.flush().await.ok()?;
    socket.read_u8().await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_needs_a_certificate_where_an_authority_is_named() {
    let tls = |client_ca: Option<&Path>| Tls::read(&file("server.crt"), &file("server.key"), client_ca).unwrap();
    let authority = file("authority.crt");
    let (server, _stop) = start(|options| options.tls = Some(tls(Some(&authority)))).await;
    let port = server.address().port();
    assert_eq!(greeting(port, Some("client")).await, Some(b'R'));
    assert_eq!(greeting(port, None).await, None);
    assert_eq!(greeting(port, Some("stranger")).await, None);
    // Also from this machine nobody comes in without.
    let refused = connect(&config(&server)).await.err().unwrap();
    assert_eq!(code(&refused), "28000");
    let (server, _stop) = start(|options| options.tls = Some(tls(None))).await;
    assert_eq!(greeting(server.address().port(), None).await, Some(b'R'));
    connect(&config(&server)).await.unwrap();
    // What cannot vouch for anybody is told at the start, not at the first login.
    for wrong in ["server.key", "gone.crt"] {
        let refused = Tls::read(&file("server.crt"), &file("server.key"), Some(&file(wrong))).unwrap_err();
        assert!(format!("{refused:#}").contains("client_ca"), "{refused:#}");
    }
}

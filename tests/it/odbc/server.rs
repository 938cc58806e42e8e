//! A PostgreSQL of the test's own, read through psqlODBC, in the place of a SQL Server; and a workspace whose ledger it is.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The folder of PostgreSQL's programs; set, they have to be there.
const PROGRAMS: &str = "TIEOUT_TEST_POSTGRES";

/// The password of the login that reads: with every letter that ends a value in a connection string.
pub(crate) const PASSWORD: &str = "pa;s}s=w{ord";

pub(crate) struct Postgres {
    programs: PathBuf,
    folder: tempfile::TempDir,
    pub(crate) port: u16,
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.starts_with(b"0\n")
}

/// PostgreSQL does not run as root.
fn program(path: &Path, arguments: &[&str]) -> Command {
    if !is_root() {
        let mut command = Command::new(path);
        command.args(arguments);
        return command;
    }
    let quoted = arguments.iter().map(|argument| format!("'{}'", argument.replace('\'', "'\\''")));
    let line = [path.display().to_string()].into_iter().chain(quoted).collect::<Vec<_>>().join(" ");
    let mut command = Command::new("su");
    command.args(["postgres", "-c", &line]);
    command
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let programs = std::env::var(PROGRAMS).expect("TIEOUT_TEST_POSTGRES is set by .ci/odbc");
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            let changed = Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap();
            assert!(changed.success());
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { programs: programs.into(), folder, port };
        let data = server.data();
        let made =
            program(&server.programs.join("initdb"), &["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]);
        let made = { made }.output().unwrap();
        assert!(made.status.success(), "{}", told(&made));
        // Whoever reads has to know the password.
        let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(server.folder.path().join("data/pg_hba.conf"), rules).unwrap();
        server.control(true);
        let secret = PASSWORD.replace('\'', "''");
        server.run(&format!("create role reader login password '{secret}'"));
        server
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// Starts or stops the server.
    pub(crate) fn control(&self, starts: bool) {
        let (data, socket) = (self.data(), self.folder.path().display().to_string());
        let options = format!("-p {} -k {socket} -c listen_addresses=127.0.0.1 -c fsync=off", self.port);
        let log = self.folder.path().join("log").display().to_string();
        let arguments: Vec<&str> = if starts {
            vec!["-D", &data, "-o", &options, "-l", &log, "-w", "start"]
        } else {
            vec!["-D", &data, "-m", "immediate", "-w", "stop"]
        };
        let mut command = program(&self.programs.join("pg_ctl"), &arguments);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "pg_ctl {arguments:?}: {}", std::fs::read_to_string(&log).unwrap_or_default());
    }

    /// Runs statements as the owner, and gives what they answer.
    pub(crate) fn run(&self, statements: &str) -> String {
        let (port, socket) = (self.port.to_string(), self.folder.path().display().to_string());
        let arguments = [
            "-X",
            "-q",
            "-At",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            &socket,
            "-p",
            &port,
            "-U",
            "postgres",
            "-c",
            statements,
        ];
        let output = program(&self.programs.join("psql"), &arguments).output().unwrap();
        assert!(output.status.success(), "{statements}: {}", told(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs a script as the owner: one with rows in it, which no argument may hold.
    pub(crate) fn load(&self, script: &str) {
        let (port, socket) = (self.port.to_string(), self.folder.path().display().to_string());
        let arguments = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", &socket, "-p", &port, "-U", "postgres", "-f", "-"];
        let mut command = program(&self.programs.join("psql"), &arguments);
        let mut psql = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        psql.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(psql.wait().unwrap().success(), "psql refuses the script");
    }

    /// The connection string of whoever reads.
    pub(crate) fn connection(&self) -> String {
        format!(
            "Driver=PostgreSQL Unicode;Server=127.0.0.1;Port={};Database=postgres;UID=reader;PWD={{{}}}",
            self.port,
            PASSWORD.replace('}', "}}")
        )
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        let mut command = program(&self.programs.join("pg_ctl"), &["-D", &data, "-m", "immediate", "-w", "stop"]);
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// A workspace whose only source is a ledger in a database.
pub(crate) struct Ledger {
    pub(crate) folder: tempfile::TempDir,
    connection: String,
}

impl Ledger {
    /// Declared tables beside the head of every manifest here, and more settings of the source.
    pub(crate) fn new(connection: &str, tables: &str, settings: &str) -> Self {
        let ledger = Self { folder: tempfile::tempdir().unwrap(), connection: connection.to_owned() };
        ledger.declare(tables);
        ledger.set(settings);
        ledger
    }

    pub(crate) fn declare(&self, tables: &str) {
        let extractor = self.folder.path().join("extractors/ledger");
        std::fs::create_dir_all(&extractor).unwrap();
        std::fs::write(extractor.join("manifest.toml"), format!("{}{tables}", include_str!("head.toml"))).unwrap();
    }

    pub(crate) fn set(&self, settings: &str) {
        let text = format!(
            "[firm]\ntax_id_key = {{ env = \"LEDGER_KEY\" }}\n[sources.ledger]\nkind = \"ledger\"\ndialect = \"ansi\"\nschema = \"public\"\n{settings}"
        );
        let connection = if settings.contains("server =") { "" } else { "connection = { env = \"LEDGER\" }\n" };
        std::fs::write(self.folder.path().join("tieout.toml"), format!("{text}\n{connection}")).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tieout"));
        command.current_dir(self.folder.path()).args(arguments);
        command
            .env("LEDGER", &self.connection)
            .env("LEDGER_PASSWORD", PASSWORD)
            .env("LEDGER_KEY", "a key of thirty-two letters or more");
        command
    }

    pub(crate) fn tieout(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Extracts at a moment, and gives the exit code and all that was told.
    pub(crate) fn extract(&self, now: &str, more: &[&str]) -> (Option<i32>, String) {
        let arguments = ["extract", "--no-progress", "--now", now];
        let output = self.tieout(&arguments.into_iter().chain(more.iter().copied()).collect::<Vec<_>>());
        let text = told(&output);
        assert!(!text.contains(PASSWORD) && !text.contains("ss=w"), "the password is told: {text}");
        (output.status.code(), text)
    }

    pub(crate) fn rows(&self, query: &str) -> Vec<Value> {
        let output = self.tieout(&["sql", "--format", "json", "--", query]);
        assert!(output.status.success(), "{query}: {}", told(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The rows as texts, columns joined by blanks.
    pub(crate) fn texts(&self, query: &str) -> Vec<String> {
        let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let row = |row: Value| row.as_object().unwrap().values().map(cell).collect::<Vec<_>>().join(" ");
        self.rows(query).into_iter().map(row).collect()
    }
}

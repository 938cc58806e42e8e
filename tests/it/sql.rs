//! `tests/sql/**/*.slt`: the shipped views over rows that a file inserts.
//!
//! Each file runs on a workbench of its own: empty tables of full width, the views that its queries read planned on top. Those below
//! `profiles/<name>/` run under that connector profile, those below `unmapped/<name>/` where no source maps what is named.
//! With `TIEOUT_WORKERS=3` and the feature `workers`, so many workers carry out parts of every query, and answer the same.
//! `TIEOUT_SQL=recon/vendor` runs those whose path contains it; with `TIEOUT_SQL_UPDATE=1` they take what is answered, to be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use sqllogictest::{AsyncDB, ColumnType, DBOutput, Runner};
use tieout::definitions::Definitions;
use tieout::engine::{self, Engine, EngineSettings, Setting, Workbench};
use tieout::warehouse::Warehouse;

const ROOT: &str = "tests/sql";
/// Planning a check in a debug build needs more stack than a test thread has.
const STACK_BYTES: usize = 64 << 20;
const THREADS: usize = 2;

#[test]
fn every_file_of_tests_sql_passes() {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(ROOT), &mut files);
    let wanted = std::env::var("TIEOUT_SQL").unwrap_or_default();
    files.retain(|file| file.to_string_lossy().contains(&wanted));
    files.sort();
    assert!(!files.is_empty(), "no .slt file below {ROOT}");
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            std::thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, || work(&files, &next, &failures))
                .unwrap();
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(failures.is_empty(), "{} of {} files failed:\n\n{}", failures.len(), files.len(), failures.join("\n\n"));
    #[cfg(feature = "workers")]
    crate::workers::assert_employed(files.len());
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            files.push(path);
        }
    }
}

/// Takes files until there are none left. Both threads stand on an empty warehouse of their own.
fn work(files: &[PathBuf], next: &AtomicUsize, failures: &Mutex<Vec<String>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut engines: BTreeMap<(&str, &str), Arc<Engine>> = BTreeMap::new();
    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
        let shown = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_str().unwrap();
        let script = std::fs::read_to_string(file).unwrap();
        let place = (below(shown, "/profiles/"), below(shown, "/unmapped/"));
        let known = engines.entry(place);
        let engine = known.or_insert_with(|| {
            let folder = folder.path().join(place.0).join(place.1);
            runtime.block_on(engine(&folder, place.0, place.1))
        });
        let mut runner = Runner::new(|| async { Ok(Connection(engine.workbench().await?)) });
        runner.with_column_validator(kinds_match);
        if std::env::var("TIEOUT_SQL_UPDATE").is_ok() {
            runtime
                .block_on(runner.update_test_file(
                    file,
                    " ",
                    sqllogictest::default_validator,
                    sqllogictest::default_normalizer,
                    kinds_match,
                ))
                .unwrap();
            continue;
        }
        if let Err(error) = runtime.block_on(runner.run_script_with_name_async(&script, shown)) {
            failures.lock().unwrap().push(error.to_string());
        }
    }
}

/// What the folder right below `folder` is called: the connector profile that a file runs under, or what nobody maps.
fn below<'a>(shown: &'a str, folder: &str) -> &'a str {
    shown.split_once(folder).and_then(|(_, below)| below.split('/').next()).unwrap_or_default()
}

async fn engine(folder: &Path, profile: &str, unmapped: &str) -> Arc<Engine> {
    let warehouse = Warehouse::open_or_create(folder.to_str().unwrap()).await.unwrap();
    // As they stand on the disk: a changed view is tried without building anything.
    let definitions = Definitions::shipped().overlay(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut settings = EngineSettings::default();
    settings.values.insert("connector_profile".to_owned(), Setting::Text(profile.to_owned()));
    settings.values.insert("not_mapped".to_owned(), Setting::List(vec![unmapped.to_owned()]));
    // The second connections of these tests: of the ERP, and of PM.
    settings.prefixes = ["intacct", "sight"].map(|source| (source.to_owned(), format!("{source}:"))).into();
    let engine = Engine::open(warehouse, definitions, settings).await.unwrap();
    #[cfg(feature = "workers")]
    crate::workers::employ_if_asked(&engine).await;
    if std::env::var("TIEOUT_SQL").is_ok() {
        return engine;
    }
    let problems = engine.problems().await;
    assert!(problems.is_empty(), "shipped files that cannot be used: {problems:#?}");
    engine
}

struct Connection<'a>(Workbench<'a>);

#[async_trait]
impl AsyncDB for Connection<'_> {
    type Error = engine::Error;
    type ColumnType = Kind;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<Kind>, engine::Error> {
        let (schema, batches) = self.0.run(sql).await?;
        if sql.trim_start().to_lowercase().starts_with("insert") {
            return Ok(DBOutput::StatementComplete(0));
        }
        Ok(DBOutput::Rows { types: kinds(&schema), rows: batches.iter().flat_map(rows).collect() })
    }

    async fn shutdown(&mut self) {}
}

/// What a file's `query` line says of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Decimal,
    Boolean,
}

impl ColumnType for Kind {
    fn from_char(value: char) -> Option<Self> {
        match value {
            'T' => Some(Self::Text),
            'I' => Some(Self::Integer),
            'R' => Some(Self::Decimal),
            'B' => Some(Self::Boolean),
            _ => None,
        }
    }

    fn to_char(&self) -> char {
        match self {
            Self::Text => 'T',
            Self::Integer => 'I',
            Self::Decimal => 'R',
            Self::Boolean => 'B',
        }
    }
}

fn kinds(schema: &Schema) -> Vec<Kind> {
    let kind = |kind: &DataType| match kind {
        DataType::Boolean => Kind::Boolean,
        DataType::Decimal128(..) => Kind::Decimal,
        kind if kind.is_integer() => Kind::Integer,
        _ => Kind::Text,
    };
    schema.fields().iter().map(|field| kind(field.data_type())).collect()
}

/// As many columns as declared, each of its kind; `T` only says that the text is compared.
#[expect(clippy::ptr_arg, reason = "the runner's signature")]
fn kinds_match(actual: &Vec<Kind>, declared: &Vec<Kind>) -> bool {
    let is_one = |(actual, declared): (&Kind, &Kind)| *declared == Kind::Text || actual == declared;
    actual.len() == declared.len() && actual.iter().zip(declared).all(is_one)
}

fn rows(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| shown(column.value(row).to_string())).collect())
        .collect()
}

/// The runner ignores white space; a text that has nothing else would leave no trace in its line.
fn shown(text: String) -> String {
    match (text.is_empty(), text.trim().is_empty()) {
        (true, _) => "(empty)".to_owned(),
        (_, true) => "(blank)".to_owned(),
        _ => text,
    }
}

//! SQL tables of a system's database, as a script for `psql`.
//!
//! Owns: columns with SQL Server's types and PostgreSQL's for them, rows by column name, and the script that replaces a schema by
//! what the firm is now, in one transaction, so that a reader sees all of it or what was before. Invariants: names stand as the
//! system spells them; a row names only columns that are there; no key comes twice. Leaves out: the connection, and whatever
//! `psql` says of the script.
//!
//! Tables are declared in text: a line for the table and its key, below it its columns. `!` marks a column that is never null,
//! `=` what stands in it where a row says nothing (else 0, or a blank).
//!
//! ```text
//! bAPTH: APCo Mth APTrans
//!     APCo:tinyint! Mth:smalldatetime! APTrans:int! APRef:varchar(15) OpenYN:char(1)!=Y
//! ```

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Map, Value};

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlColumn {
    /// The name, as the system spells it.
    pub name: String,
    /// The type, as SQL Server names it: `numeric(12,2)`.
    pub kind: String,
    /// Whether it may be null.
    pub is_nullable: bool,
    /// What stands in it where a row says nothing.
    pub default: Option<String>,
}

/// A table and its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlTable {
    /// The columns, in the table's order.
    pub columns: Vec<SqlColumn>,
    /// The columns that are the key; none where the system has none.
    pub key: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    keys: HashSet<Vec<Option<String>>>,
}

/// The tables of one schema, and the views over them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlSchema {
    name: String,
    tables: BTreeMap<String, SqlTable>,
    views: Vec<(String, String)>,
    mistakes: Vec<String>,
}

impl SqlSchema {
    /// A schema whose tables are declared in `text`, without rows.
    ///
    /// # Errors
    /// A line that is none, a type that PostgreSQL has no match for, a key of a column that is not there.
    pub fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let mut schema = Self { name: name.to_owned(), ..Self::default() };
        let mut table = None;
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            if line.starts_with(' ') {
                let Some(columns) = table.as_ref().and_then(|name| schema.tables.get_mut(name)) else {
                    bail!("columns before a table: {line}");
                };
                let declared = line.split_whitespace().map(column).collect::<anyhow::Result<Vec<_>>>();
                columns.columns.extend(declared.with_context(|| format!("declare {line}"))?);
            } else {
                let (name, key) = line.split_once(':').with_context(|| format!("no table in {line}"))?;
                let key = key.split_whitespace().map(str::to_owned).collect();
                schema.tables.insert(name.to_owned(), SqlTable { key, ..SqlTable::default() });
                table = Some(name.to_owned());
            }
        }
        for (name, table) in &schema.tables {
            let has = |wanted: &String| table.columns.iter().any(|column| column.name == *wanted);
            ensure!(table.key.iter().all(has), "{name} has no column for its key {:?}", table.key);
        }
        Ok(schema)
    }

    /// Adds a row: an object with a value for each column that has one. A text that is longer than its column is cut there, as
    /// the system's forms do. What is wrong with a row is told by [`Self::script`].
    pub fn insert(&mut self, table: &str, row: &Value) {
        let told = match (self.tables.get_mut(table), row) {
            (Some(of), Value::Object(row)) => of.insert(row).err(),
            _ => Some(anyhow::anyhow!("no such table")),
        };
        self.mistakes.extend(told.map(|told| format!("{table}: {told}")));
    }

    /// Adds a view; `query` is what it shows.
    pub fn view(&mut self, name: &str, query: &str) {
        self.views.push((name.to_owned(), query.to_owned()));
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&SqlTable> {
        self.tables.get(name)
    }

    /// The tables by their names.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &SqlTable)> {
        self.tables.iter().map(|(name, table)| (name.as_str(), table))
    }

    /// A script for `psql` that puts the schema in place of one of that name, for everybody to read.
    ///
    /// # Errors
    /// The first mistakes in its rows.
    pub fn script(&self) -> anyhow::Result<String> {
        let first: Vec<&String> = self.mistakes.iter().take(5).collect();
        ensure!(first.is_empty(), "{} rows are wrong, such as {first:#?}", self.mistakes.len());
        let schema = quoted(&self.name);
        let mut script = "\\set ON_ERROR_STOP on\nset client_min_messages = warning;\nbegin;\n".to_owned();
        writeln!(script, "drop schema if exists {schema} cascade;\ncreate schema {schema};")?;
        for (name, table) in &self.tables {
            table.write(&mut script, &format!("{schema}.{}", quoted(name)))?;
        }
        for (name, query) in &self.views {
            writeln!(script, "create view {schema}.{} as {query};", quoted(name))?;
        }
        writeln!(script, "grant usage on schema {schema} to public;")?;
        writeln!(script, "grant select on all tables in schema {schema} to public;\ncommit;\nanalyze;")?;
        Ok(script)
    }
}

impl SqlTable {
    /// The rows, each with a text or null for each column.
    pub fn rows(&self) -> &[Vec<Option<String>>] {
        &self.rows
    }

    /// The values of a column by its name, a row each.
    pub fn values(&self, column: &str) -> Option<impl Iterator<Item = Option<&str>>> {
        let place = self.columns.iter().position(|one| one.name == column)?;
        Some(self.rows.iter().map(move |row| row.get(place).and_then(|value| value.as_deref())))
    }

    fn insert(&mut self, row: &Map<String, Value>) -> anyhow::Result<()> {
        let stray = row.keys().find(|name| self.columns.iter().all(|column| column.name != **name));
        ensure!(stray.is_none(), "there is no column {}", stray.map_or("", String::as_str));
        let values: Vec<Option<String>> =
            self.columns.iter().map(|column| column.value(row.get(&column.name))).collect();
        let place = |name: &String| self.columns.iter().position(|column| column.name == *name);
        let key: Vec<Option<String>> = self.key.iter().filter_map(|name| values.get(place(name)?).cloned()).collect();
        ensure!(self.key.is_empty() || self.keys.insert(key.clone()), "the key {key:?} comes twice");
        self.rows.push(values);
        Ok(())
    }

    fn write(&self, script: &mut String, name: &str) -> anyhow::Result<()> {
        let columns: Vec<String> = self.columns.iter().map(SqlColumn::declared).collect();
        let names: Vec<String> = self.columns.iter().map(|column| quoted(&column.name)).collect();
        writeln!(script, "create table {name} (\n    {}", columns.join(",\n    "))?;
        if !self.key.is_empty() {
            let key: Vec<String> = self.key.iter().map(|name| quoted(name)).collect();
            writeln!(script, "    , unique ({})", key.join(", "))?;
        }
        writeln!(script, ");\ncopy {name} ({}) from stdin;", names.join(", "))?;
        for row in &self.rows {
            let values: Vec<String> =
                row.iter().map(|value| value.as_deref().map_or("\\N".to_owned(), copied)).collect();
            writeln!(script, "{}", values.join("\t"))?;
        }
        writeln!(script, "\\.")?;
        Ok(())
    }
}

impl SqlColumn {
    fn declared(&self) -> String {
        let kind = postgres(&self.kind).unwrap_or_else(|| "text".to_owned());
        format!("{} {kind}{}", quoted(&self.name), if self.is_nullable { "" } else { " not null" })
    }

    /// A value as PostgreSQL reads it: null, what stands there where nothing is said, or the text within the column's width.
    fn value(&self, given: Option<&Value>) -> Option<String> {
        let text = match given {
            None | Some(Value::Null) if self.is_nullable => return self.default.clone(),
            None | Some(Value::Null) => return Some(self.default.clone().unwrap_or_else(|| self.nothing())),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(truth)) => i32::from(*truth).to_string(),
            Some(other) => other.to_string(),
        };
        let width = self.width().unwrap_or(usize::MAX);
        Some(if text.chars().count() > width { text.chars().take(width).collect() } else { text })
    }

    /// How many letters fit.
    fn width(&self) -> Option<usize> {
        let (name, size) = self.kind.split_once('(')?;
        if name.ends_with("char") { size.trim_end_matches(')').parse().ok() } else { None }
    }

    fn nothing(&self) -> String {
        let is_text = self.kind.contains("char") || self.kind == "text";
        let is_moment = self.kind.contains("date");
        match (is_text, is_moment) {
            (true, _) => String::new(),
            (_, true) => "1900-01-01".to_owned(),
            _ => "0".to_owned(),
        }
    }
}

/// `APCo:tinyint!=1`.
fn column(text: &str) -> anyhow::Result<SqlColumn> {
    let (name, kind) = text.split_once(':').with_context(|| format!("no type in {text}"))?;
    let (kind, default) = kind.split_once('=').map_or((kind, None), |(kind, value)| (kind, Some(value.to_owned())));
    let is_nullable = !kind.ends_with('!');
    let kind = kind.trim_end_matches('!').to_owned();
    ensure!(postgres(&kind).is_some(), "{name} has the type {kind}, which is unknown");
    Ok(SqlColumn { name: name.to_owned(), kind, is_nullable, default })
}

/// PostgreSQL's type for one of SQL Server's.
fn postgres(kind: &str) -> Option<String> {
    let (name, size) = kind.split_once('(').map_or((kind, ""), |(name, size)| (name, size.trim_end_matches(')')));
    Some(match name {
        "tinyint" | "smallint" | "bit" => "smallint".to_owned(),
        "int" => "integer".to_owned(),
        "bigint" => "bigint".to_owned(),
        "numeric" | "decimal" if size.is_empty() => "numeric(18,0)".to_owned(),
        "numeric" | "decimal" => format!("numeric({size})"),
        "money" => "numeric(19,4)".to_owned(),
        "smallmoney" => "numeric(10,4)".to_owned(),
        "float" => "double precision".to_owned(),
        "real" => "real".to_owned(),
        "char" | "nchar" => format!("character({})", if size.is_empty() { "1" } else { size }),
        "varchar" | "nvarchar" if size != "max" && !size.is_empty() => format!("character varying({size})"),
        "varchar" | "nvarchar" | "text" | "ntext" | "xml" => "text".to_owned(),
        "date" => "date".to_owned(),
        "smalldatetime" => "timestamp(0)".to_owned(),
        "datetime" => "timestamp(3)".to_owned(),
        "datetime2" => "timestamp(6)".to_owned(),
        "time" => "time".to_owned(),
        "uniqueidentifier" => "uuid".to_owned(),
        "varbinary" | "binary" | "image" | "timestamp" | "rowversion" => "bytea".to_owned(),
        _ => return None,
    })
}

/// A name as it is spelt.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in the rows of a `copy`.
fn copied(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TABLES: &str = "# two\nbAPTH: APCo Mth\n    APCo:tinyint! Mth:smalldatetime! Ref:varchar(5)\n    OpenYN:char(1)!=Y\nT:\n  A:int\n";

    #[test]
    fn rows_are_read_by_name_and_stand_in_the_script() {
        let mut schema = SqlSchema::parse("dbo", TABLES).unwrap();
        schema.insert("bAPTH", &json!({"APCo": 1, "Mth": "2026-07-01", "Ref": "12345678"}));
        schema.insert("bAPTH", &json!({"APCo": 1, "Mth": "2026-08-01", "Ref": "a\tb", "OpenYN": "N"}));
        schema.view("APTH", "select * from \"dbo\".\"bAPTH\"");
        let script = schema.script().unwrap();
        assert!(script.contains("\"Mth\" timestamp(0) not null"), "{script}");
        assert!(script.contains("1\t2026-07-01\t12345\tY\n1\t2026-08-01\ta\\tb\tN\n\\.\n"), "{script}");
        assert!(script.contains("create view \"dbo\".\"APTH\""), "{script}");
        let open: Vec<_> = schema.table("bAPTH").unwrap().values("OpenYN").unwrap().collect();
        assert_eq!(open, [Some("Y"), Some("N")]);
    }

    #[test]
    fn a_wrong_row_is_told() {
        for (table, row, word) in [
            ("bAPTH", json!({"APCO": 1}), "no column APCO"),
            ("APTH", json!({}), "no such table"),
            ("bAPTH", json!({"APCo": 1, "Mth": "2026-07-01"}), "comes twice"),
        ] {
            let mut schema = SqlSchema::parse("dbo", TABLES).unwrap();
            schema.insert("bAPTH", &json!({"APCo": 1, "Mth": "2026-07-01"}));
            assert!(schema.script().is_ok());
            schema.insert(table, &row);
            assert!(schema.script().unwrap_err().to_string().contains(word));
        }
        assert!(SqlSchema::parse("dbo", "T: A\n  B:int\n").is_err());
        assert!(SqlSchema::parse("dbo", "T:\n  B:integer8\n").is_err());
    }
}

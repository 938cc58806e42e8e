//! How a manifest declares a database and tables that are read from its views, and what can be wrong with that.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use super::dialect::Dialect;
use super::names::folded;
use super::select::{Token, tokens};
use crate::extract::lint::did_you_mean;
use crate::extract::manifest::{ColumnFrom, ColumnKind, Manifest, Table};
use crate::extract::template::{Piece, pieces};
use crate::warehouse::rows::ColumnType;

/// The field of a record that names the view which it came from.
pub(crate) const SOURCE_VIEW: &str = "source_view";

/// The field of a record that numbers rows which are alike in the rest of the key, from 1: of tables in which nothing tells them apart.
pub(crate) const ROW_NUMBER: &str = "row_number";

/// The table of the months of another one: its name's end.
const OF_MONTHS: &str = "_months";

/// The month of rows that have none.
pub(super) const NO_MONTH: &str = "none";

/// `[odbc]` of a manifest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Odbc {
    /// The parts of a connection string; one whose placeholder is unset is left out.
    pub connection: String,
    /// How statements are written.
    pub dialect: Dialect,
    /// The schema of all views; none leaves it to the login.
    pub schema: Option<String>,
    /// Whether texts lose blanks at their end.
    pub trim: bool,
    /// The zone of moments that say none, as IANA names it.
    pub time_zone: Option<String>,
    /// Seconds that one statement may take.
    pub timeout_seconds: u32,
    /// How often a table is tried, the first time included.
    pub attempts: u32,
}

impl Default for Odbc {
    fn default() -> Self {
        Self {
            connection: String::new(),
            dialect: Dialect::default(),
            schema: None,
            trim: false,
            time_zone: None,
            timeout_seconds: 600,
            attempts: 4,
        }
    }
}

/// How a table is read month by month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Months {
    /// The source's column of days.
    pub column: String,
    /// A date column as `table.column`: months up to its earliest value are closed.
    pub closed_through: Option<String>,
    /// Months that ended so many months ago are closed.
    pub closed_after: Option<u32>,
    /// Source's columns whose sums tell, beside the count, that a month is what it was.
    pub sums: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongMonths {
    column: String,
    closed_through: Option<String>,
    closed_after: Option<u32>,
    #[serde(default)]
    sums: Vec<String>,
}

impl<'de> Deserialize<'de> for Months {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MonthsVisitor;
        impl<'de> Visitor<'de> for MonthsVisitor {
            type Value = Months;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column's name, or { column = …, closed_through = …, closed_after = …, sums = … }")
            }
            fn visit_str<E: de::Error>(self, column: &str) -> Result<Months, E> {
                Ok(Months { column: column.to_owned(), closed_through: None, closed_after: None, sums: Vec::new() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Months, A::Error> {
                let long = LongMonths::deserialize(MapAccessDeserializer::new(map))?;
                let LongMonths { column, closed_through, closed_after, sums } = long;
                Ok(Months { column, closed_through, closed_after, sums })
            }
        }
        deserializer.deserialize_any(MonthsVisitor)
    }
}

/// The columns of a table of months.
const MONTH_COLUMNS: &str = r#"
key = ["month"]
empty = "verified"
closed = { is_closed = ["true"] }
[columns]
month = "text"
first_day = "date"
row_count = "int64"
is_closed = "bool"
sums = "json"
"#;

/// The table of the months of another one.
pub(crate) fn months_of(table: &str) -> Table {
    let text = format!("name = \"{table}{OF_MONTHS}\"\n{MONTH_COLUMNS}");
    let months: Table = toml::from_str(&text).expect("names of tables are plain, and the rest stands above");
    Table { months_of: Some(table.to_owned()), ..months }
}

/// Gives each table that is read month by month the table of its months, whose records its lists hang on.
pub(crate) fn fill_in(tables: &mut Vec<Table>) {
    let mut all = Vec::with_capacity(tables.len());
    for mut table in tables.drain(..) {
        if table.months.is_some() && table.parent.is_empty() {
            let months = Table { needs: table.needs.clone(), informs: table.informs, ..months_of(&table.name) };
            table.parent = vec![months.name.clone()];
            all.push(months);
        }
        all.push(table);
    }
    *tables = all;
}

/// What is wrong with `[odbc]`.
pub(crate) fn section_problems(manifest: &Manifest, found: &mut Vec<String>) {
    let odbc = &manifest.odbc;
    if odbc.attempts == 0 || odbc.timeout_seconds == 0 {
        found.push("[odbc]: attempts and timeout_seconds must be at least 1".into());
    }
    let texts = [Some(&odbc.connection), odbc.schema.as_ref(), odbc.time_zone.as_ref()];
    for piece in texts.into_iter().flatten().flat_map(|text| pieces(text)) {
        match piece {
            Piece::Setting(name) => found.extend(setting_problem(manifest, "[odbc]", name)),
            Piece::Column(table, column) => {
                found.push(format!("[odbc]: `{{{table}.{column}}}` has no meaning outside a table"));
            }
            Piece::Text(_) => {}
        }
    }
    let secrets = |name: &&str| manifest.settings.secret.iter().any(|secret| secret == name);
    let spliced = [odbc.schema.as_ref(), odbc.time_zone.as_ref()].into_iter().flatten().flat_map(|text| pieces(text));
    let settings = spliced.filter_map(|piece| if let Piece::Setting(name) = piece { Some(name) } else { None });
    found.extend(
        settings
            .filter(secrets)
            .map(|name| format!("[odbc]: `{{{name}}}` is a secret: it may stand in the connection only")),
    );
}

fn setting_problem(manifest: &Manifest, place: &str, name: &str) -> Option<String> {
    let settings = &manifest.settings;
    let known = || settings.required.iter().chain(settings.optional.keys()).map(String::as_str);
    let is_known = known().any(|known| known == name);
    (!is_known).then(|| format!("{place}: unknown placeholder `{{{name}}}`{}", did_you_mean(name, known())))
}

/// What is wrong with a table of such a manifest, each with its place.
pub(crate) fn problems(manifest: &Manifest, table: &Table, found: &mut Vec<String>) {
    if table.months_of.is_some() {
        return;
    }
    let is_listed = table.path.is_some() || table.embedded.is_some() || table.cursor.is_some() || table.sheet.is_some();
    if is_listed {
        found.push("a table of a database has no `path`, `embedded`, `cursor` or `sheet`: it has a `view`".into());
    }
    if table.name.ends_with(OF_MONTHS) && manifest.tables.iter().any(|other| other.parent.contains(&table.name)) {
        found.push(format!("names that end in `{OF_MONTHS}` are those of tables of months"));
    }
    for view in table.optional_views.iter().filter(|view| !table.view.contains(view)) {
        let known = table.view.iter().map(String::as_str);
        found.push(format!("optional_views: `{view}` is none of its views{}", did_you_mean(view, known)));
    }
    for parent in table.parent.iter().filter(|name| manifest.table(name).is_none()) {
        found.push(format!("parent: unknown table `{parent}`"));
    }
    if table.parent.len() > 1 {
        found.push("a table of a database has one `parent` at most".into());
    }
    if let Some(months) = &table.months {
        self::months(manifest, table, months, found);
    }
    let declared = || table.columns.iter().map(|(name, _)| name.as_str());
    if let Some(after) = &table.after {
        let kind = table.column(after).map(|column| column.kind);
        if kind != Some(ColumnKind::Plain(ColumnType::Int64)) {
            found.push(format!("after: `{after}` is no int64 column{}", did_you_mean(after, declared())));
        }
    }
    for name in table.optional.iter().filter(|name| table.column(name).is_none() || table.key.contains(name)) {
        found.push(format!("optional: `{name}` is no column, or one of the key"));
    }
    conditions(manifest, table, found);
    let mut paths: BTreeSet<String> = BTreeSet::new();
    for (name, column) in &table.columns {
        match &column.from {
            ColumnFrom::Path(path) if path.contains('.') => {
                found.push(format!("column `{name}`: a view has no structure, so no path `{path}`"));
            }
            ColumnFrom::Path(path) if !paths.insert(folded(path)) => {
                found.push(format!("column `{name}`: `{path}` is another column already"));
            }
            ColumnFrom::Position => found.push(format!("column `{name}`: rows of a view have no place")),
            ColumnFrom::Path(_) | ColumnFrom::Parent(_) => {}
        }
    }
}

fn months(manifest: &Manifest, table: &Table, months: &Months, found: &mut Vec<String>) {
    let own = format!("{}{OF_MONTHS}", table.name);
    if table.parent != [own] {
        found.push("months: such a table has no other `parent`".into());
    }
    if table.after.is_some() {
        found.push("only one of `months` and `after` can be given".into());
    }
    if months.closed_after.is_some() && months.closed_through.is_some() {
        found.push("months: only one of `closed_after` and `closed_through` can be given".into());
    }
    if table.settles && months.closed_after.is_none() && months.closed_through.is_none() {
        found.push("`settles` needs months that close: `closed_through` or `closed_after`".into());
    }
    if let Some(through) = &months.closed_through {
        let named = through.split_once('.');
        let place = |name: &str| manifest.tables.iter().position(|table| table.name == name);
        let kind = named.and_then(|(name, column)| Some(manifest.table(name)?.column(column)?.kind));
        let is_day = kind == Some(ColumnKind::Plain(ColumnType::Date));
        let is_before = named.is_some_and(|(name, _)| place(name) < place(&table.name));
        let is_whole = named.and_then(|(name, _)| manifest.table(name)).is_some_and(|table| table.parent.is_empty());
        if !is_day || !is_before || !is_whole {
            found.push(format!(
                "months.closed_through: `{through}` must name a date column of a table without parent that is declared before"
            ));
        }
    }
}

fn conditions(manifest: &Manifest, table: &Table, found: &mut Vec<String>) {
    for condition in &table.conditions {
        if let Err(problem) = tokens(condition) {
            found.push(format!("where: {problem}"));
            continue;
        }
        for token in tokens(condition).into_iter().flatten() {
            match token {
                Token::Setting(name) => {
                    found.extend(setting_problem(manifest, "where", name));
                    if manifest.settings.secret.iter().any(|secret| secret == name) {
                        found.push(format!("where: `{{{name}}}` is a secret: it may stand in the connection only"));
                    }
                }
                Token::Column(owner, column) => {
                    let parent = table.parent.first().filter(|parent| owner == "parent" || owner == parent.as_str());
                    let has = |parent: &String| manifest.table(parent).is_some_and(|it| it.column(column).is_some());
                    if !parent.is_some_and(has) {
                        found.push(format!("where: `{{{owner}.{column}}}` is no column of a parent of this table"));
                    }
                }
                Token::Text(_) | Token::Name(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"
        [system]
        name = "test"
        side = "erp"
        protocol = "odbc"
        [settings]
        required = ["server"]
        optional = { company = "", password = "" }
        secret = ["password"]
    "#;

    fn problems_of(rest: &str) -> String {
        let parsed = Manifest::parse("test", &format!("{HEAD}{rest}"));
        parsed.err().map(|error| error.problems.join("\n")).unwrap_or_default()
    }

    fn table(rest: &str) -> String {
        let first = "name = \"t\"\nview = \"T\"\nkey = [\"a\"]\n";
        let table = if rest.contains("[table.columns]") {
            rest.to_owned()
        } else {
            format!("{rest}\n[table.columns]\ntext = [\"A\"]")
        };
        problems_of(&format!("[odbc]\nconnection = \"Server={{server}}\"\n[[table]]\n{first}{table}"))
    }

    #[test]
    fn a_table_by_months_hangs_on_the_table_of_its_months() {
        let tables = "[[table]]\nname = \"t\"\nview = \"T\"\nkey = [\"a\"]\nmonths = { column = \"Mth\", closed_after = 3 }\nsettles = true\n\
                      [table.columns]\ntext = [\"A\"]";
        let manifest = Manifest::parse("test", &format!("{HEAD}[odbc]\n{tables}")).unwrap();
        let names: Vec<&str> = manifest.tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["t_months", "t"]);
        let [months, table] = manifest.tables.as_slice() else { panic!("{names:?}") };
        assert_eq!(
            (table.parent.as_slice(), months.months_of.as_deref()),
            (["t_months".to_owned()].as_slice(), Some("t"))
        );
        assert_eq!(manifest.parent_tables(), ["t_months"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        assert_eq!(table("where = \"[B] in ({company})\""), "");
        for (rest, problem) in [
            ("where = \"[B] = {compny}\"", "where: unknown placeholder `{compny}` (did you mean `company`?)"),
            ("where = \"[B] = {password}\"", "where: `{password}` is a secret"),
            ("where = \"[B] = {parent.b}\"", "where: `{parent.b}` is no column of a parent"),
            ("where = [\"[B] = 1\", \"1 = 1; drop table x\"]", "where: `;` has no place in"),
            ("optional_views = [\"U\"]", "optional_views: `U` is none of its views (did you mean `T`?)"),
            (
                "months = { column = \"M\", closed_through = \"t.a\" }",
                "months.closed_through: `t.a` must name a date column",
            ),
            ("months = \"M\"\nsettles = true", "`settles` needs months that close"),
            ("after = \"a\"", "after: `a` is no int64 column"),
            ("path = \"/x\"", "a table of a database has no `path`"),
            ("[table.columns]\ntext = [\"A\", \"B.C\"]", "column `c`: a view has no structure"),
            (
                "[table.columns]\ntext = [\"A\"]\nb = { type = \"text\", path = \"_a\" }",
                "column `b`: `_a` is another column already",
            ),
        ] {
            let found = table(rest);
            assert!(found.contains(problem), "{rest}: {found}");
        }
    }

    #[test]
    fn the_section_belongs_to_the_protocol() {
        assert!(problems_of("").contains("missing field `odbc`"));
        assert!(problems_of("[rest]\nbase_url = \"x\"\n[odbc]").contains("[rest]: the protocol is `odbc`"));
        assert!(problems_of("[odbc]\nconnection = \"UID={user}\"").contains("[odbc]: unknown placeholder `{user}`"));
        assert!(problems_of("[odbc]\nschema = \"{password}\"").contains("is a secret"));
        assert!(problems_of("[odbc]\ndialect = \"mysql\"").contains("mysql"));
    }
}

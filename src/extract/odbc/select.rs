//! Statements as text with parameters: pure. Every statement that a run sends to a database is written here or in `dialect`.
//!
//! Invariants: names are quoted, values are parameters; nothing that a setting or a record holds becomes SQL. No statement but
//! `select` is written here, and none with a lock hint.

use chrono::NaiveDate;

use super::declared::ROW_NUMBER;
use super::dialect::Dialect;

/// A value that is bound to a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Day(NaiveDate),
}

/// A piece of a condition as a manifest writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// SQL as it stands.
    Text(&'a str),
    /// `[Name]`: a column of the view.
    Name(&'a str),
    /// `{name}`: a setting.
    Setting(&'a str),
    /// `{table.column}`: a column of the parent row.
    Column(&'a str, &'a str),
}

/// What a condition may not hold: statements' ends, comments, parameters and names of its own.
const REFUSED: [&str; 5] = [";", "--", "/*", "?", "\""];

/// Splits a condition. Names and placeholders inside of texts stay text.
pub(super) fn tokens(condition: &str) -> Result<Vec<Token<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = condition;
    while !rest.is_empty() {
        let end = rest.find(['\'', '[', '{']).unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        if let Some(refused) = REFUSED.iter().find(|refused| text.contains(**refused)) {
            return Err(format!("`{refused}` has no place in `{condition}`"));
        }
        if !text.is_empty() {
            found.push(Token::Text(text));
        }
        let (open, close) = match after.chars().next() {
            None => break,
            Some('\'') => ('\'', '\''),
            Some('[') => ('[', ']'),
            Some(_) => ('{', '}'),
        };
        let inner = after.get(1..).unwrap_or_default();
        let length = inner.find(close).ok_or_else(|| format!("`{open}` without `{close}` in `{condition}`"))?;
        let (name, whole) = (inner.get(..length).unwrap_or_default(), after.get(..length + 2).unwrap_or_default());
        rest = after.get(length + 2..).unwrap_or_default();
        found.push(match open {
            '\'' => Token::Text(whole),
            '[' => Token::Name(name),
            _ => name.split_once('.').map_or(Token::Setting(name), |(table, column)| Token::Column(table, column)),
        });
    }
    Ok(found)
}

/// A condition with its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// With a `?` for each value.
    pub sql: String,
    pub values: Vec<Value>,
}

impl Condition {
    /// A condition as a manifest writes it; none where a setting in it is unset. `value` tells a placeholder's text, `name` the
    /// database's name of a column.
    pub(super) fn filled(
        condition: &str,
        dialect: Dialect,
        name: &dyn Fn(&str) -> String,
        value: &dyn Fn(Token<'_>) -> Option<Value>,
    ) -> Result<Option<Self>, String> {
        let mut filled = Self::default();
        for token in tokens(condition)? {
            match token {
                Token::Text(text) => filled.sql.push_str(text),
                Token::Name(column) => filled.sql.push_str(&dialect.quoted(&name(column))),
                Token::Setting(_) | Token::Column(..) => {
                    let Some(value) = value(token) else { return Ok(None) };
                    let is_list = filled.sql.trim_end().strip_suffix('(').is_some_and(ends_with_in);
                    match value {
                        Value::Text(text) if is_list => {
                            let all: Vec<&str> = text.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
                            filled.sql.push_str(&vec!["?"; all.len().max(1)].join(", "));
                            let all = if all.is_empty() { vec![text.as_str()] } else { all };
                            filled.values.extend(all.into_iter().map(|text| Value::Text(text.to_owned())));
                        }
                        value => {
                            filled.sql.push('?');
                            filled.values.push(value);
                        }
                    }
                }
            }
        }
        Ok(Some(filled))
    }

    /// That a column lies in a month, or in none.
    pub(super) fn in_month(column: &str, month: Option<(NaiveDate, NaiveDate)>) -> Self {
        match month {
            Some((first, next)) => Self {
                sql: format!("{column} >= ? and {column} < ?"),
                values: vec![Value::Day(first), Value::Day(next)],
            },
            None => Self { sql: format!("{column} is null"), values: Vec::new() },
        }
    }

    /// That a column is greater than what was seen.
    pub(super) fn after(column: &str, last: i64) -> Self {
        Self { sql: format!("{column} > ?"), values: vec![Value::Integer(last)] }
    }
}

fn ends_with_in(text: &str) -> bool {
    let text = text.trim_end().to_ascii_lowercase();
    text.strip_suffix("in").is_some_and(|before| before.ends_with([' ', ']', ')']))
}

/// Rows of one view.
#[derive(Clone, Debug)]
pub(super) struct Select {
    pub dialect: Dialect,
    pub schema: Option<String>,
    /// The database's name of the view.
    pub view: String,
    /// The database's names of the columns.
    pub columns: Vec<String>,
    pub conditions: Vec<Condition>,
    /// The database's names of the columns by which they come.
    pub order: Vec<String>,
    /// Whether rows that are alike in `order` are numbered, after all columns.
    pub is_numbered: bool,
    /// Only so many of them.
    pub first: Option<u32>,
}

/// A statement and its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub sql: String,
    pub values: Vec<Value>,
}

impl Statement {
    pub(super) fn plain(sql: &str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }
}

/// The view's full name.
pub(super) fn full_name(dialect: Dialect, schema: Option<&str>, view: &str) -> String {
    let schema = schema.map(|schema| format!("{}.", dialect.quoted(schema))).unwrap_or_default();
    format!("{schema}{}", dialect.quoted(view))
}

/// A query whose result has the view's columns and no row.
pub(super) fn describe(dialect: Dialect, schema: Option<&str>, view: &str) -> Statement {
    Statement::plain(&format!("select * from {} where 1 = 0", full_name(dialect, schema, view)))
}

impl Select {
    fn from(&self) -> String {
        let mut sql = format!(" from {}", full_name(self.dialect, self.schema.as_deref(), &self.view));
        for (place, condition) in self.conditions.iter().enumerate() {
            sql.push_str(if place == 0 { " where (" } else { " and (" });
            sql.push_str(&condition.sql);
            sql.push(')');
        }
        sql
    }

    fn statement(&self, sql: String) -> Statement {
        let values = self.conditions.iter().flat_map(|condition| condition.values.iter().cloned());
        Statement { sql, values: values.collect() }
    }

    fn names(&self, columns: &[String]) -> String {
        columns.iter().map(|column| self.dialect.quoted(column)).collect::<Vec<_>>().join(", ")
    }

    /// The rows, in the order of their key.
    pub(super) fn rows(&self) -> Statement {
        let [before, after] = self.first.map(|count| self.dialect.first_rows(count)).unwrap_or_default();
        let order =
            if self.order.is_empty() { String::new() } else { format!(" order by {}", self.names(&self.order)) };
        let (columns, number) = (self.names(&self.columns), self.number());
        self.statement(format!("select {before}{columns}{number}{}{order}{after}", self.from()))
    }

    /// The place of a row among those that are alike in the key: by all that is read, so that it is the same each time.
    fn number(&self) -> String {
        if !self.is_numbered {
            return String::new();
        }
        let key = self.names(&self.order);
        let alike = if key.is_empty() { String::new() } else { format!("partition by {key} ") };
        let name = self.dialect.quoted(ROW_NUMBER);
        format!(", row_number() over ({alike}order by {}) as {name}", self.names(&self.columns))
    }

    /// How many rows there are.
    pub(super) fn count(&self) -> Statement {
        self.statement(format!("select {}{}", self.dialect.count(), self.from()))
    }

    /// Year, month, rows and sums of each month of a column.
    pub(super) fn months(&self, column: &str, sums: &[String]) -> Statement {
        let [year, month] = self.dialect.month_of(&self.dialect.quoted(column));
        // A sum of what it adds up to whatever the order, and that no 32 bits hold.
        let sums = sums.iter().map(|sum| format!(", sum(cast({} as decimal(38, 6)))", self.dialect.quoted(sum)));
        let (sums, count, from) = (sums.collect::<String>(), self.dialect.count(), self.from());
        self.statement(format!("select {year}, {month}, {count}{sums}{from} group by {year}, {month}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn select(dialect: Dialect) -> Select {
        let value = |token: Token<'_>| match token {
            Token::Setting("company") => Some(Value::Text("1, 2".to_owned())),
            Token::Column("parent", "co") => Some(Value::Text("7".to_owned())),
            _ => None,
        };
        let name = |name: &str| if name == "APCo" { "ApCo".to_owned() } else { name.to_owned() };
        let filled = |text: &str| Condition::filled(text, dialect, &name, &value).unwrap();
        let conditions = ["[APCo] in ({company})", "[OpenYN] = '[{x}]' and [JCCo] = {parent.co}", "[A] = {unset}"];
        let mut conditions: Vec<Condition> = conditions.into_iter().filter_map(filled).collect();
        conditions.push(Condition::in_month(&dialect.quoted("Mth"), Some((day("2026-01-01"), day("2026-02-01")))));
        Select {
            dialect,
            schema: Some("dbo".to_owned()),
            view: "AP]TH".to_owned(),
            columns: vec!["ApCo".to_owned(), "Na\"me".to_owned()],
            conditions,
            order: vec!["ApCo".to_owned(), "Mth".to_owned()],
            is_numbered: false,
            first: None,
        }
    }

    #[test]
    fn rows_that_nothing_tells_apart_are_numbered() {
        let select = Select {
            is_numbered: true,
            columns: vec!["voucher_no".to_owned(), "cash_amount".to_owned()],
            conditions: Vec::new(),
            order: vec!["voucher_no".to_owned()],
            ..select(Dialect::SqlServer)
        };
        assert_eq!(
            select.rows().sql,
            "select [voucher_no], [cash_amount], row_number() over (partition by [voucher_no] order by [voucher_no], [cash_amount]) \
             as [row_number] from [dbo].[AP]]TH] order by [voucher_no]"
        );
    }

    #[test]
    fn statements_for_sql_server() {
        let select = select(Dialect::SqlServer);
        let rows = select.rows();
        assert_eq!(
            rows.sql,
            "select [ApCo], [Na\"me] from [dbo].[AP]]TH] where ([ApCo] in (?, ?)) and ([OpenYN] = '[{x}]' and [JCCo] = ?) \
             and ([Mth] >= ? and [Mth] < ?) order by [ApCo], [Mth]"
        );
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(
            rows.values,
            [text("1"), text("2"), text("7"), Value::Day(day("2026-01-01")), Value::Day(day("2026-02-01"))]
        );
        let from = rows.sql.split_once(" from ").unwrap().1.split(" order by ").next().unwrap();
        assert_eq!(
            select.count(),
            Statement { sql: format!("select count_big(*) from {from}"), values: rows.values.clone() }
        );
        assert_eq!(
            select.months("Mth", &["InvTotal".to_owned()]).sql,
            format!(
                "select year([Mth]), month([Mth]), count_big(*), sum(cast([InvTotal] as decimal(38, 6))) from {from} \
                 group by year([Mth]), month([Mth])"
            )
        );
        let first = Select { first: Some(1), conditions: Vec::new(), ..select };
        assert_eq!(first.rows().sql, "select top (1) [ApCo], [Na\"me] from [dbo].[AP]]TH] order by [ApCo], [Mth]");
        let described = describe(Dialect::SqlServer, None, "APTH").sql;
        assert_eq!(described, "select * from [APTH] where 1 = 0");
    }

    #[test]
    fn statements_for_others() {
        let select = select(Dialect::Ansi);
        assert_eq!(
            select.rows().sql,
            "select \"ApCo\", \"Na\"\"me\" from \"dbo\".\"AP]TH\" where (\"ApCo\" in (?, ?)) and (\"OpenYN\" = '[{x}]' and \
             \"JCCo\" = ?) and (\"Mth\" >= ? and \"Mth\" < ?) order by \"ApCo\", \"Mth\""
        );
        let first = Select { first: Some(1), conditions: vec![Condition::in_month("\"Mth\"", None)], ..select };
        assert!(
            first.rows().sql.ends_with("where (\"Mth\" is null) order by \"ApCo\", \"Mth\" fetch first 1 rows only")
        );
        assert!(
            first
                .months("Mth", &[])
                .sql
                .starts_with("select extract(year from \"Mth\"), extract(month from \"Mth\"), count(*) ")
        );
    }

    #[test]
    fn no_lock_hint_and_no_second_statement() {
        for refused in ["[A] = 1; drop table x", "[A] = ?", "[A] = 1 -- x", "[A] = \"b\"", "[A] /* x */ = 1"] {
            assert!(tokens(refused).is_err(), "{refused}");
        }
        assert!(tokens("[A] = 'it''s; -- fine'").is_ok());
        assert!(tokens("[A = 1").unwrap_err().contains("`[` without `]`"));
        assert!(tokens("[A] = 'x").is_err());
    }

    #[test]
    fn only_lists_are_split() {
        for (text, is_list) in
            [("[A] in ", true), ("[A]in", true), ("x not in", true), ("[min", false), ("coalesce", false)]
        {
            assert_eq!(ends_with_in(text), is_list, "{text}");
        }
    }
}

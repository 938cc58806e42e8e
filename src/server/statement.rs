//! Which statements the server carries out: the first of two lines that keep it read only.
//!
//! Invariant: a list of what is allowed. Whatever is not named here is refused with 25006, also inside a query (a
//! common table expression that inserts, `SELECT INTO`, `FOR UPDATE`). The second line looks at the plan; see `session`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CloseCursor, CopyLegacyCsvOption, CopyLegacyOption, CopyOption, CopySource, CopyTarget, DeclareType, DiscardObject,
    Expr, Ident, ObjectName, Query, Reset, Select, Set, SetSessionAuthorizationParamKind, Statement, TableFactor,
    TransactionAccessMode, TransactionMode, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use super::copy::CopyOptions;
use super::cursors::Direction;
use super::failure::{Failure, READ_ONLY, SYNTAX, UNSUPPORTED};
use super::rewrite::folded;
use super::{grammar, nesting};
use crate::engine::walk::walk;

/// A statement that the server carries out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    /// A query, or the explanation of one.
    Query(Box<Statement>),
    /// `None` sets the default.
    Set {
        name: String,
        value: Option<String>,
        local: bool,
    },
    /// Accepted without effect; the text is the answer's tag.
    Nothing(&'static str),
    Show(String),
    ShowAll,
    Reset(Option<String>),
    /// With its tag: `BEGIN` or `START TRANSACTION`.
    Begin(&'static str),
    Commit,
    Rollback,
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    Prepare {
        name: String,
        command: Box<Command>,
    },
    Execute {
        name: String,
        arguments: Vec<Expr>,
    },
    Deallocate(Option<String>),
    Declare {
        name: String,
        query: Box<Statement>,
        binary: bool,
        hold: bool,
        scrolls: bool,
    },
    Fetch {
        name: String,
        direction: Direction,
        /// `MOVE`: no rows are sent.
        moves: bool,
    },
    Close(Option<String>),
    CopyOut {
        query: Box<Statement>,
        options: CopyOptions,
    },
    DiscardAll,
}

/// The statements of a text, in order.
pub(crate) fn parse(text: &str) -> Result<Vec<Command>, Failure> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| Failure::new(SYNTAX, format!("syntax error: {error}")).placed(text))?;
    nesting::bound(tokens.iter().map(|token| &token.token))?;
    let statements = Parser::new(&dialect)
        .with_tokens_with_locations(grammar::read(tokens)?)
        .parse_statements()
        .map_err(|error| Failure::from(error).placed(text))?;
    statements.into_iter().map(command).collect()
}

/// What a statement asks for, or its refusal.
fn command(statement: Statement) -> Result<Command, Failure> {
    Ok(match statement {
        Statement::Query(_) => Command::Query(Box::new(reading(statement)?)),
        Statement::Explain { statement: inner, .. } if !matches!(inner.as_ref(), Statement::Query(_)) => {
            return Err(refusal(&inner));
        }
        Statement::Explain { statement: ref inner, .. } => {
            reading(inner.as_ref().clone())?;
            Command::Query(Box::new(statement))
        }
        Statement::Set(set) => setting(set)?,
        Statement::ShowVariable { variable } => show(&variable),
        Statement::Reset(reset) => match reset.reset {
            Reset::ALL => Command::Reset(None),
            Reset::ConfigurationParameter(name) => Command::Reset(Some(name_text(&name))),
        },
        Statement::StartTransaction { modes, statements, begin, .. } if statements.is_empty() => {
            readable(&modes)?;
            Command::Begin(if begin { "BEGIN" } else { "START TRANSACTION" })
        }
        Statement::Commit { .. } => Command::Commit,
        Statement::Rollback { savepoint: None, .. } => Command::Rollback,
        Statement::Rollback { savepoint: Some(name), .. } => Command::RollbackTo(folded(&name)),
        Statement::Savepoint { name } => Command::Savepoint(folded(&name)),
        Statement::ReleaseSavepoint { name } => Command::Release(folded(&name)),
        // Nobody listens: nothing is ever told.
        Statement::UNLISTEN { .. } => Command::Nothing("UNLISTEN"),
        Statement::Prepare { name, statement, .. } => {
            Command::Prepare { name: folded(&name), command: Box::new(command(*statement)?) }
        }
        Statement::Execute { name: Some(name), parameters, immediate: false, .. } => {
            Command::Execute { name: folded_text(&name), arguments: parameters }
        }
        Statement::Deallocate { name, .. } => Command::Deallocate(all_or_name(&name)),
        Statement::Declare { stmts } => declare(stmts)?,
        // The grammar's own words for every FETCH and MOVE.
        Statement::Fetch { name, into: Some(words), .. } => {
            let words = name_text(&words);
            let (word, direction) = words.split_once(' ').unwrap_or((&words, ""));
            Command::Fetch { name: name.value, direction: Direction::read(direction)?, moves: word == grammar::MOVE }
        }
        Statement::Close { cursor: CloseCursor::All } => Command::Close(None),
        Statement::Close { cursor: CloseCursor::Specific { name } } => Command::Close(Some(folded(&name))),
        Statement::Discard { object_type: DiscardObject::ALL } => Command::DiscardAll,
        Statement::Discard { .. } => Command::Nothing("DISCARD"),
        Statement::Copy { source, to: true, target: CopyTarget::Stdout, options, legacy_options, .. } => {
            Command::CopyOut { query: Box::new(copied(source)?), options: copy_options(options, legacy_options)? }
        }
        other => return Err(refusal(&other)),
    })
}

/// The refusal of a statement, by its first word.
fn refusal(statement: &Statement) -> Failure {
    let text = statement.to_string();
    let word = text.split_whitespace().next().unwrap_or("the statement").to_ascii_uppercase();
    Failure::new(READ_ONLY, format!("cannot execute {word}: the server is read only"))
}

/// Refuses what writes or locks inside of a query.
fn reading(query: Statement) -> Result<Statement, Failure> {
    struct Writes {
        depth: usize,
        tables: usize,
    }
    impl Visitor for Writes {
        type Break = Failure;

        fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Failure> {
            self.depth += 1;
            if self.depth > 1 || !matches!(statement, Statement::Query(_)) {
                return ControlFlow::Break(refusal(statement));
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Failure> {
            if query.locks.is_empty() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(Failure::new(READ_ONLY, "cannot execute SELECT FOR UPDATE: the server is read only"))
            }
        }

        // DataFusion would pass over both without a word.
        fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Failure> {
            match table {
                TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                    let failure = Failure::new(UNSUPPORTED, "TABLESAMPLE is not supported");
                    ControlFlow::Break(failure.hint("order by random() and limit"))
                }
                // Of a list DataFusion refuses it itself; clients ask it of lists that are empty by construction.
                TableFactor::Table { name, with_ordinality: true, .. }
                    if name_text(name).ends_with("generate_series") =>
                {
                    let failure = Failure::new(UNSUPPORTED, "WITH ORDINALITY is not supported");
                    ControlFlow::Break(failure.hint("row_number() over () counts rows"))
                }
                _ => ControlFlow::Continue(()),
            }
        }

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Failure> {
            self.tables += select.from.len();
            if self.tables > nesting::TABLES_MAX {
                return ControlFlow::Break(nesting::too_deep());
            }
            if select.into.is_none() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(Failure::new(READ_ONLY, "cannot execute SELECT INTO: the server is read only"))
            }
        }
    }
    match walk(&query, &mut Writes { depth: 0, tables: 0 }) {
        ControlFlow::Break(failure) => Err(failure),
        ControlFlow::Continue(()) => Ok(query),
    }
}

/// Refuses a transaction that wants to write.
fn readable(modes: &[TransactionMode]) -> Result<(), Failure> {
    if modes.contains(&TransactionMode::AccessMode(TransactionAccessMode::ReadWrite)) {
        return Err(Failure::new(READ_ONLY, "the server is read only: a transaction cannot be set read-write"));
    }
    Ok(())
}

fn setting(set: Set) -> Result<Command, Failure> {
    use datafusion::sql::sqlparser::ast::ContextModifier;
    let local = |scope: &Option<ContextModifier>| matches!(scope, Some(ContextModifier::Local));
    Ok(match set {
        Set::SingleAssignment { scope, variable, values, .. } => {
            Command::Set { name: name_text(&variable), value: values_text(&values), local: local(&scope) }
        }
        Set::SetTimeZone { local, value } => {
            Command::Set { name: "TimeZone".to_owned(), value: values_text(&[value]), local }
        }
        Set::SetTransaction { modes, session, .. } => {
            readable(&modes)?;
            let level = modes.iter().rev().find_map(|mode| match mode {
                TransactionMode::IsolationLevel(level) => Some(level.to_string().to_ascii_lowercase()),
                TransactionMode::AccessMode(_) => None,
            });
            match level {
                Some(level) => {
                    Command::Set { name: "transaction_isolation".to_owned(), value: Some(level), local: !session }
                }
                None => Command::Nothing("SET"),
            }
        }
        Set::SetNames { charset_name, .. } => {
            Command::Set { name: "client_encoding".to_owned(), value: Some(charset_name.value), local: false }
        }
        Set::SetNamesDefault {} => Command::Set { name: "client_encoding".to_owned(), value: None, local: false },
        Set::SetRole { role_name, context_modifier } => Command::Set {
            name: "role".to_owned(),
            value: role_name.map(|name| name.value),
            local: local(&context_modifier),
        },
        Set::SetSessionAuthorization(who) if matches!(who.kind, SetSessionAuthorizationParamKind::Default) => {
            Command::Nothing("SET")
        }
        other => return Err(Failure::new(UNSUPPORTED, format!("SET {other} is not supported"))),
    })
}

/// The words of an assignment, joined as `search_path` has them; `DEFAULT` alone is none.
fn values_text(values: &[Expr]) -> Option<String> {
    if let [Expr::Identifier(Ident { value, quote_style: None, .. })] = values
        && value.eq_ignore_ascii_case("default")
    {
        return None;
    }
    let text = |value: &Expr| match value {
        Expr::Value(value) => value.value.clone().into_string().unwrap_or_else(|| value.to_string()),
        Expr::Identifier(name) => name.value.clone(),
        other => other.to_string(),
    };
    Some(values.iter().map(text).collect::<Vec<_>>().join(", "))
}

fn show(variable: &[Ident]) -> Command {
    let words: Vec<&str> = variable.iter().map(|ident| ident.value.as_str()).collect();
    let is = |expected: &[&str]| {
        words.len() == expected.len()
            && words.iter().zip(expected).all(|(word, other)| word.eq_ignore_ascii_case(other))
    };
    if is(&["all"]) {
        Command::ShowAll
    } else if is(&["time", "zone"]) {
        Command::Show("TimeZone".to_owned())
    } else if is(&["transaction", "isolation", "level"]) {
        Command::Show("transaction_isolation".to_owned())
    } else if is(&["session", "authorization"]) {
        Command::Show("session_authorization".to_owned())
    } else {
        Command::Show(words.join("."))
    }
}

fn declare(mut declarations: Vec<datafusion::sql::sqlparser::ast::Declare>) -> Result<Command, Failure> {
    let unsupported = || Failure::new(UNSUPPORTED, "DECLARE is supported for one cursor over a query");
    let declaration = declarations.pop().filter(|_| declarations.is_empty()).ok_or_else(unsupported)?;
    let (Some(DeclareType::Cursor), Some(query), [name]) =
        (declaration.declare_type, declaration.for_query, declaration.names.as_slice())
    else {
        return Err(unsupported());
    };
    Ok(Command::Declare {
        name: folded(name),
        query: Box::new(reading(Statement::Query(query))?),
        binary: declaration.binary == Some(true),
        hold: declaration.hold == Some(true),
        scrolls: declaration.scroll == Some(true),
    })
}

/// What `COPY … TO STDOUT` reads.
fn copied(source: CopySource) -> Result<Statement, Failure> {
    let text = match source {
        CopySource::Query(query) => return reading(Statement::Query(query)),
        CopySource::Table { table_name, columns } if columns.is_empty() => format!("SELECT * FROM {table_name}"),
        CopySource::Table { table_name, columns } => {
            let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
            format!("SELECT {} FROM {table_name}", columns.join(", "))
        }
    };
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, &text)?;
    statements.pop().ok_or_else(|| Failure::new(SYNTAX, "COPY names no table"))
}

fn copy_options(options: Vec<CopyOption>, legacy: Vec<CopyLegacyOption>) -> Result<CopyOptions, Failure> {
    let mut found = CopyOptions::default();
    for option in options {
        match option {
            CopyOption::Format(name) => found.set_format(&name.value)?,
            CopyOption::Delimiter(delimiter) => found.delimiter = Some(delimiter),
            CopyOption::Null(null) => found.null = Some(null),
            CopyOption::Header(header) => found.header = header,
            CopyOption::Quote(quote) => found.quote = quote,
            CopyOption::Escape(escape) => found.escape = Some(escape),
            CopyOption::ForceQuote(columns) => {
                found.force_quote = columns.into_iter().map(|column| column.value).collect();
            }
            CopyOption::Encoding(name) if name.eq_ignore_ascii_case("utf8") => {}
            other => return Err(Failure::new(UNSUPPORTED, format!("COPY option {other} is not supported"))),
        }
    }
    for option in legacy {
        match option {
            CopyLegacyOption::Delimiter(delimiter) => found.delimiter = Some(delimiter),
            CopyLegacyOption::Null(null) => found.null = Some(null),
            CopyLegacyOption::Header => found.header = true,
            CopyLegacyOption::Binary => found.binary = true,
            CopyLegacyOption::Csv(options) => {
                found.set_format("csv")?;
                for option in options {
                    legacy_csv(&mut found, option);
                }
            }
            other => return Err(Failure::new(UNSUPPORTED, format!("COPY option {other} is not supported"))),
        }
    }
    found.checked()
}

fn legacy_csv(found: &mut CopyOptions, option: CopyLegacyCsvOption) {
    match option {
        CopyLegacyCsvOption::Header => found.header = true,
        CopyLegacyCsvOption::Quote(quote) => found.quote = quote,
        CopyLegacyCsvOption::Escape(escape) => found.escape = Some(escape),
        CopyLegacyCsvOption::ForceQuote(columns) => {
            found.force_quote = columns.into_iter().map(|column| column.value).collect();
        }
        CopyLegacyCsvOption::ForceNotNull(_) => {}
    }
}

fn all_or_name(name: &Ident) -> Option<String> {
    let all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
    (!all).then(|| folded(name))
}

/// The last part of a name as it is kept.
fn folded_text(name: &ObjectName) -> String {
    let last = name.0.last().and_then(datafusion::sql::sqlparser::ast::ObjectNamePart::as_ident);
    last.map_or_else(|| name_text(name), folded)
}

/// A dotted name as written, without quotes.
fn name_text(name: &ObjectName) -> String {
    let part = |part: &datafusion::sql::sqlparser::ast::ObjectNamePart| {
        part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.clone())
    };
    name.0.iter().map(part).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Command, Failure> {
        parse(text).map(|mut commands| commands.pop().unwrap())
    }

    #[test]
    fn whatever_writes_is_refused() {
        for text in [
            "insert into t values (1)",
            "update t set a = 1",
            "delete from t",
            "truncate t",
            "create table t (a int)",
            "create table t as select 1",
            "create view v as select 1",
            "create schema s",
            "create external table t stored as parquet location '/x'",
            "drop table t",
            "drop view v",
            "alter table t add column a int",
            "copy t to '/tmp/x.parquet'",
            "copy (select 1) to program 'sh'",
            "copy t from stdin",
            "explain insert into t values (1)",
            "explain analyze copy t to '/tmp/x'",
            "with w as (insert into t values (1) returning a) select * from w",
            "with w as (delete from t returning a) select * from w",
            "select 1 into t",
            "select * from t for update",
            "select (select a from t for share)",
            "begin read write",
            "set transaction read write",
            "prepare p as insert into t values (1)",
            "grant select on t to u",
            "call p()",
            "merge into t using s on true when matched then delete",
            "vacuum",
            "comment on table t is 'x'",
            "lock table t",
        ] {
            match one(text) {
                Err(failure) => assert!(["25006", "42601"].contains(&failure.code), "{text}: {failure}"),
                Ok(command) => panic!("{text} is carried out as {command:?}"),
            }
        }
    }

    #[test]
    fn whatever_reads_is_carried_out() {
        assert_eq!(parse("select 1; ; select 2;").unwrap().len(), 2);
        assert!(matches!(one("explain analyze select 1").unwrap(), Command::Query(_)));
        let set = |name: &str, value: Option<&str>| Command::Set {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            local: false,
        };
        assert_eq!(one("set tieout.as_of = '2025-12-31'").unwrap(), set("tieout.as_of", Some("2025-12-31")));
        assert_eq!(one("set time zone 'UTC'").unwrap(), set("TimeZone", Some("UTC")));
        assert_eq!(one("set search_path to pm, \"$user\"").unwrap(), set("search_path", Some("pm, $user")));
        assert_eq!(one("set statement_timeout to default").unwrap(), set("statement_timeout", None));
        assert_eq!(one("show tieout.as_of").unwrap(), Command::Show("tieout.as_of".to_owned()));
        let fetch = |direction, moves| Command::Fetch { name: "c".to_owned(), direction, moves };
        assert_eq!(one("fetch forward 20 from C").unwrap(), fetch(Direction::Forward(20), false));
        assert_eq!(one("fetch all in c").unwrap(), fetch(Direction::ForwardAll, false));
        assert_eq!(one("fetch c; select 1").unwrap(), one("select 1").unwrap());
        assert_eq!(one("fetch from c").unwrap(), fetch(Direction::Forward(1), false));
        assert_eq!(one("fetch -2 c").unwrap(), fetch(Direction::Backward(2), false));
        assert_eq!(one("move absolute -1 in \"c\"").unwrap(), fetch(Direction::Absolute(-1), true));
        assert_eq!(one("move").unwrap_err().code, "42601");
        assert_eq!(one("fetch next from c into x").unwrap_err().code, "42601");
        assert!(matches!(one("declare c cursor with hold for select 1").unwrap(), Command::Declare { hold: true, .. }));
        assert_eq!(one("discard all").unwrap(), Command::DiscardAll);
        assert_eq!(one("deallocate all").unwrap(), Command::Deallocate(None));
        assert_eq!(one("begin isolation level repeatable read read only").unwrap(), Command::Begin("BEGIN"));
        let Command::CopyOut { options, .. } = one("copy t (a, b) to stdout with (format csv, header)").unwrap() else {
            panic!("no copy");
        };
        assert!(options.header && options.csv);
        assert!(matches!(one("copy (select 1) to stdout csv header").unwrap(), Command::CopyOut { .. }));
        assert_eq!(one("selec 1").unwrap_err().code, "42601");
    }
}

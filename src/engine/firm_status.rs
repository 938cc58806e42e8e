//! `firm_status('<raw table>', <word>)` in canonical SQL: the approval status that the firm says a source's word has.
//!
//! No function that runs: when a mapping is bound to its source it becomes a `case` over the firm's words, or null where
//! there are none, so that a mapping reads `coalesce(firm_status('bills', status), <what the system means>)`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::engine::settings::FirmWords;
use crate::engine::walk::walk_mut;

/// The name by which mappings ask.
pub(crate) const NAME: &str = "firm_status";

/// Puts the firm's words in the place of every call; gives the raw tables that are asked for.
pub(crate) fn bind(statement: &mut Statement, words: &FirmWords) -> Result<BTreeSet<String>, String> {
    let Statement::Statement(statement) = statement else { return Ok(BTreeSet::new()) };
    let mut binder = Binder { words, asked: BTreeSet::new() };
    match walk_mut(statement, &mut binder) {
        ControlFlow::Continue(()) => Ok(binder.asked),
        ControlFlow::Break(reason) => Err(reason),
    }
}

struct Binder<'a> {
    words: &'a FirmWords,
    asked: BTreeSet<String>,
}

impl VisitorMut for Binder<'_> {
    type Break = String;

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<String> {
        let Expr::Function(function) = expression else { return ControlFlow::Continue(()) };
        if !function.name.to_string().eq_ignore_ascii_case(NAME) {
            return ControlFlow::Continue(());
        }
        let Some((table, word)) = arguments(function) else {
            return ControlFlow::Break(format!("{function}: write {NAME}('<raw table>', <column with its words>)"));
        };
        match said(&self.words.of(table), word) {
            Ok(said) => {
                self.asked.insert(table.to_owned());
                *expression = said;
                ControlFlow::Continue(())
            }
            Err(reason) => ControlFlow::Break(reason),
        }
    }
}

fn arguments(function: &Function) -> Option<(&str, &Expr)> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(table))),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(word)),
    ] = list.args.as_slice()
    else {
        return None;
    };
    match &table.value {
        Value::SingleQuotedString(table) => Some((table, word)),
        _ => None,
    }
}

fn said(words: &BTreeMap<&str, &str>, word: &Expr) -> Result<Expr, String> {
    let mut text = "arrow_cast(null, 'Utf8')".to_owned();
    if !words.is_empty() {
        text = format!("case lower(trim({word}))");
        for (word, status) in words {
            // A string takes whatever is written to it.
            let _ = write!(text, " when '{}' then '{}'", word.replace('\'', "''"), status.replace('\'', "''"));
        }
        text.push_str(" end");
    }
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(&text);
    parser.and_then(|mut parser| parser.parse_expr()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;
    use crate::engine::canonical::spelt_out;
    use crate::engine::queries::{parse_select, relations, selected};

    fn bound(sql: &str) -> Result<(String, Vec<String>), String> {
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(word, status)| ((*word).to_owned(), (*status).to_owned())).collect()
        };
        let words = FirmWords {
            everywhere: pairs(&[("open", "closed"), ("payé l'an", "closed")]),
            tables: BTreeMap::from([("bills".to_owned(), pairs(&[("open", "pending")]))]),
        };
        let mut statement = parse_select(sql).unwrap();
        let asked = bind(&mut statement, &words)?;
        Ok((statement.to_string(), asked.into_iter().collect()))
    }

    #[test]
    fn a_tables_own_words_go_before_those_of_the_source() {
        let sql = "with a as (select firm_status('bills', x.status) as s from x) \
                   select coalesce(s, firm_status('checks', status)) from a";
        let (text, asked) = bound(sql).unwrap();
        assert!(text.contains("CASE lower(TRIM(x.status)) WHEN 'open' THEN 'pending' WHEN 'payé l''an'"), "{text}");
        assert!(text.contains("CASE lower(TRIM(status)) WHEN 'open' THEN 'closed'"), "{text}");
        assert!(!text.contains(NAME), "{text}");
        assert_eq!(asked, ["bills", "checks"]);
    }

    /// A mapping that does not ask would leave the firm's words without effect.
    #[test]
    fn every_shipped_mapping_of_an_approval_status_asks_the_firm() {
        // What is in these was posted: the system has no word for it, at most a flag that it is closed.
        const WORDLESS: [&str; 7] = [
            "sage_300_cre/canonical/commitments",
            "sage_300_cre/canonical/owner_invoices",
            "sage_300_cre_files/canonical/commitments",
            "sage_300_cre_files/canonical/owner_invoices",
            "foundation/canonical/vendor_invoices",
            "foundation/canonical/owner_invoices",
            "vista/canonical/vendor_invoices",
        ];
        let wordless = WORDLESS.map(|mapping| format!("extractors/{mapping}.sql"));
        let mut count = 0;
        let definitions = Definitions::shipped();
        for path in definitions.files.keys().filter(|path| path.contains("/canonical/")) {
            let mut statement = spelt_out(&definitions, path).unwrap();
            if !selected(&statement).is_some_and(|columns| columns.contains("approval_status")) {
                continue;
            }
            let asked = bind(&mut statement, &FirmWords::default()).unwrap();
            let reads = relations(&statement).unwrap();
            let is_read = |table: &String| reads.contains(&("source".to_owned(), table.clone()));
            assert!(asked.iter().all(is_read) && asked.is_empty() == wordless.contains(path), "{path}: {asked:?}");
            count += 1;
        }
        assert_eq!(count, 58);
    }

    #[test]
    fn a_call_that_names_no_table_is_refused() {
        let refusal = bound("select firm_status(status) from x").unwrap_err();
        assert!(refusal.contains("firm_status('<raw table>'"), "{refusal}");
        assert!(bound("select firm_status(kind, status) from x").is_err());
    }
}

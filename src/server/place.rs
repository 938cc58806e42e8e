//! Where in a statement a refusal points to, as clients draw it below the line.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// The place in a statement that a message tells of, in characters from 1: by line and column, else by a name.
pub(crate) fn place(message: &str, statement: &str) -> Option<usize> {
    let by_name = || first(named(message)?, statement);
    written(message, statement).or_else(by_name).or_else(|| literal(valued(message)?, statement))
}

/// The place that the parser wrote into its message.
fn written(message: &str, statement: &str) -> Option<usize> {
    let (_, place) = message.rsplit_once("Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    let digits = column.find(|c: char| !c.is_ascii_digit()).unwrap_or(column.len());
    characters(statement, Location::new(line.parse().ok()?, column.get(..digits)?.parse().ok()?))
}

fn characters(statement: &str, at: Location) -> Option<usize> {
    let (line, column) = (usize::try_from(at.line).ok()?, usize::try_from(at.column).ok()?);
    let before: usize = statement.split('\n').take(line.checked_sub(1)?).map(|line| line.chars().count() + 1).sum();
    Some(before + column)
}

/// What DataFusion says is not there: the last part of its name.
fn named(message: &str) -> Option<&str> {
    let between = |before: &str, after: &str| Some(message.split_once(before)?.1.split_once(after)?.0);
    let name = message
        .strip_prefix("No field named ")
        .and_then(|rest| rest.split(". ").next())
        .map(|name| name.trim_end_matches('.'))
        .or_else(|| between("table '", "' not found"))
        .or_else(|| between("Invalid function '", "'"))?;
    match name.strip_suffix('"') {
        Some(quoted) => quoted.rsplit('"').next(),
        None => name.rsplit('.').next(),
    }
}

/// The text that a message says is no value of its type.
fn valued(message: &str) -> Option<&str> {
    let end = |start: &str| message.split_once(start)?.1.strip_suffix('"');
    let out_of_range = || message.strip_prefix("value \"")?.split_once("\" is out of range").map(|(value, _)| value);
    end(": \"").or_else(out_of_range)
}

/// Where a statement first has a text as a literal.
fn literal(value: &str, statement: &str) -> Option<usize> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, statement).tokenize_with_location().ok()?;
    let is_it = |token: &&TokenWithSpan| matches!(&token.token, Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) if text == value);
    characters(statement, tokens.iter().find(is_it)?.span.start)
}

/// Where a statement first has a name, with what stands before its point.
fn first(name: &str, statement: &str) -> Option<usize> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, statement).tokenize_with_location().ok()?;
    let is_name = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) if word.quote_style.is_some() => word.value == name,
        Token::Word(word) => word.value.eq_ignore_ascii_case(name),
        _ => false,
    };
    let mut at = tokens.iter().position(is_name)?;
    while let Some([before, point]) = at.checked_sub(2).and_then(|start| tokens.get(start..at)) {
        if !matches!((&before.token, &point.token), (Token::Word(_), Token::Period)) {
            break;
        }
        at -= 2;
    }
    characters(statement, tokens.get(at)?.span.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_says_where() {
        let message = "Expected: x, found: y at Line: 2, Column: 3";
        assert_eq!(place(message, "ab\ncde"), Some(6));
        assert_eq!(place("no place", "ab"), None);
    }

    #[test]
    fn a_text_that_is_no_value_is_found() {
        let message = "invalid input syntax for type integer: \"x\"";
        assert_eq!(place(message, "select 'y', 'x'::int"), Some(13));
        assert_eq!(place(message, "select x"), None);
        assert_eq!(place("value \"99\" is out of range for type smallint", "select '99'"), Some(8));
    }

    #[test]
    fn a_name_that_is_not_there_is_found() {
        let nowhere = "No field named nowhere. Did you mean 'a.b'?";
        assert_eq!(place(nowhere, "select 'nowhere',\n  NoWhere from t"), Some(21));
        assert_eq!(place("No field named s.nowhere.", "select s.nowhere from t s"), Some(8));
        assert_eq!(place("No field named \"No Where\".", "select \"No Where\" from t"), Some(8));
        assert_eq!(place("No field named \"No Where\".", "select \"no where\" from t"), None);
        assert_eq!(place("table 'tieout.pm.nowhere' not found", "select 'é', 1 from pm.nowhere"), Some(20));
        assert_eq!(place("Invalid function 'nowhere'.\nDid you mean", "select nowhere(1)"), Some(8));
    }
}

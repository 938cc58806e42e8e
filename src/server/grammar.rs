//! Words that Postgres' grammar has and the parser's has not, by the statement's tokens.
//!
//! Pure. Invariant: only what stands where the grammar has it is changed: the first word of a statement, the modes of a
//! transaction. A word of a query is never one of them.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::catalog;
use super::failure::{Failure, READ_ONLY, SYNTAX};

/// Statements that write or serve those who do, which the parser does not know.
const WRITES: &[&str] = &["CHECKPOINT", "CLUSTER", "DO", "IMPORT", "REASSIGN", "REFRESH", "REINDEX", "SECURITY"];

/// Functions with a grammar of their own, which the parser knows without a schema alone.
const SPECIAL: &[&str] = &["CEIL", "EXTRACT", "FLOOR", "OVERLAY", "POSITION", "SUBSTRING", "TRIM"];

/// The tokens as the parser reads them, or the refusal of a statement by its first word.
pub(crate) fn read(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, Failure> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let (mut starts, mut in_modes) = (true, false);
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let word = match &token.token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
            Token::Whitespace(_) => {
                out.push(token);
                continue;
            }
            Token::SemiColon => {
                (starts, in_modes) = (true, false);
                out.push(token);
                continue;
            }
            _ => String::new(),
        };
        if starts {
            starts = false;
            in_modes = ["BEGIN", "START"].contains(&word.as_str());
            if WRITES.contains(&word.as_str()) {
                return Err(Failure::new(READ_ONLY, format!("cannot execute {word}: the server is read only")));
            }
            match word.as_str() {
                FETCH | MOVE => {
                    let is_more = |token: &TokenWithSpan| !matches!(token.token, Token::SemiColon | Token::EOF);
                    let rest: Vec<TokenWithSpan> = std::iter::from_fn(|| tokens.next_if(is_more)).collect();
                    out.extend(spelled(&fetch(&word, &rest)?, &token));
                }
                "ABORT" => out.extend(spelled("ROLLBACK", &token)),
                "TABLE" => out.extend(spelled("SELECT * FROM ", &token)),
                _ => out.push(token),
            }
            continue;
        }
        if in_modes && token.token == Token::Comma {
            // The parser needs none between modes, and one beside a mode that was passed over would be one too many.
            continue;
        }
        if in_modes && word == "DEFERRABLE" {
            // Whether a reader may wait is all one to a reader that never does.
            while matches!(&out.last().map(|last| &last.token), Some(Token::Whitespace(_))) {
                out.pop();
            }
            let is_not = |last: &TokenWithSpan| matches!(&last.token, Token::Word(word) if word.value.eq_ignore_ascii_case("not"));
            if out.last().is_some_and(is_not) {
                out.pop();
            }
            continue;
        }
        if SPECIAL.contains(&word.as_str())
            && let [.., schema, dot] = out.as_slice()
            && dot.token == Token::Period
            && matches!(&schema.token, Token::Word(schema) if schema.value.eq_ignore_ascii_case(catalog::SCHEMA))
        {
            out.truncate(out.len() - 2);
        }
        out.push(token);
    }
    Ok(out)
}

pub(crate) const MOVE: &str = "MOVE";
const FETCH: &str = "FETCH";

/// `MOVE 5 c` in words that the parser has: where it goes stands behind `INTO`, which no statement has of its own.
fn fetch(word: &str, rest: &[TokenWithSpan]) -> Result<String, Failure> {
    let wrong = |what: &str| Failure::new(SYNTAX, format!("syntax error: {word} {what}"));
    let mut words = rest.iter().map(|token| &token.token).filter(|token| !matches!(token, Token::Whitespace(_)));
    let Some(Token::Word(name)) = words.next_back() else { return Err(wrong("names no cursor")) };
    let name = if name.quote_style.is_some() { name.value.clone() } else { name.value.to_ascii_lowercase() };
    let mut direction = String::new();
    while let Some(token) = words.next() {
        match token {
            Token::Word(from) if ["FROM", "IN"].contains(&from.value.to_ascii_uppercase().as_str()) => {
                if words.next().is_some() {
                    return Err(wrong("has words behind its cursor"));
                }
            }
            Token::Word(other) => direction.extend([other.value.as_str(), " "]),
            Token::Number(number, _) => direction.extend([number.as_str(), " "]),
            Token::Minus => direction.push('-'),
            Token::Plus => {}
            other => return Err(wrong(&format!("cannot have \"{other}\""))),
        }
    }
    Ok(format!("FETCH NEXT FROM \"{}\" INTO \"{word} {}\"", name.replace('"', "\"\""), direction.trim_end()))
}

/// The tokens of a text, in the place of another one.
fn spelled(text: &str, place: &TokenWithSpan) -> Vec<TokenWithSpan> {
    let tokens = datafusion::sql::sqlparser::tokenizer::Tokenizer::new(&PostgreSqlDialect {}, text).tokenize();
    tokens.unwrap_or_default().into_iter().map(|token| TokenWithSpan::new(token, place.span)).collect()
}

#[cfg(test)]
mod tests {
    use crate::server::statement::{Command, parse};

    #[test]
    fn words_of_the_grammar_are_known() {
        assert_eq!(
            parse("abort; begin not deferrable; begin deferrable, read only; start transaction read only, deferrable")
                .unwrap(),
            [Command::Rollback, Command::Begin("BEGIN"), Command::Begin("BEGIN"), Command::Begin("START TRANSACTION")]
        );
        assert_eq!(parse("table t").unwrap(), parse("select * from t").unwrap());
        assert_eq!(parse("select pg_catalog.substring(a, 1)").unwrap(), parse("select substring(a, 1)").unwrap());
        assert_eq!(parse("select abort from t where deferrable").unwrap().len(), 1);
        for text in [
            "reindex table t",
            "refresh materialized view m",
            "do $$ begin end $$",
            "checkpoint",
            "select 1; cluster t",
        ] {
            assert_eq!(parse(text).unwrap_err().code, "25006", "{text}");
        }
    }
}

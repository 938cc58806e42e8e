//! The texts of the statements that a client sent in one message.

use std::sync::Arc;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

/// The text of each of so many statements; of each the whole text, where they cannot be told apart.
pub(crate) fn pieces(text: &str, count: usize) -> Vec<Arc<str>> {
    let whole = || vec![Arc::from(text); count];
    if count < 2 {
        return whole();
    }
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location() else { return whole() };
    let lines: Vec<&str> = text.split('\n').collect();
    let starts: Vec<usize> = lines
        .iter()
        .scan(0, |next, line| {
            let start = *next;
            *next += line.len() + 1;
            Some(start)
        })
        .collect();
    let offset = |at: Location| -> Option<usize> {
        let line = usize::try_from(at.line).ok()?.checked_sub(1)?;
        let before = usize::try_from(at.column).ok()?.checked_sub(1)?;
        let within = lines.get(line)?.char_indices().nth(before).map(|(place, _)| place)?;
        Some(starts.get(line)? + within)
    };
    let (mut found, mut start, mut is_empty) = (Vec::new(), 0, true);
    for token in &tokens {
        match token.token {
            Token::SemiColon => {
                let Some(end) = offset(token.span.start) else { return whole() };
                if !is_empty {
                    found.push(text.get(start..end).unwrap_or_default().trim().into());
                }
                (start, is_empty) = (end + 1, true);
            }
            Token::Whitespace(_) | Token::EOF => {}
            _ => is_empty = false,
        }
    }
    if !is_empty {
        found.push(text.get(start..).unwrap_or_default().trim().into());
    }
    if found.len() == count { found } else { whole() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart_as_they_were_written() {
        let texts = |text: &str, count| pieces(text, count).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts("select 1;", 1), ["select 1;"]);
        assert_eq!(
            texts("select ';' ;\n /* ; */ ;select 'é', 2 ; set a = 1", 3),
            ["select ';'", "select 'é', 2", "set a = 1"]
        );
        assert_eq!(texts("select 1; select 2", 3), ["select 1; select 2"; 3]);
    }
}

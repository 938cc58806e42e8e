//! How long and how deep a statement may be: the threads that plan recurse as deep as it nests.
//!
//! Invariant: what is over the bounds is refused before it is parsed. A table list is counted again after parsing, in
//! `statement`.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::failure::Failure;

/// More than any client writes.
const TOKENS_MAX: usize = 200_000;
/// The same without literals and commas, so that long `IN` lists pass.
const WORDS_MAX: usize = 5_000;
/// How deep an expression, and how long a chain of tables and selects may be: a thread that plans recurses as deep, and
/// planning takes the square of it. The tests of the wire try it.
const DEPTH_MAX: usize = 500;
pub(crate) const TABLES_MAX: usize = 150;

/// Refuses a text that is too long or nests too deeply.
pub(crate) fn bound<'a>(tokens: impl Iterator<Item = &'a Token> + Clone) -> Result<(), Failure> {
    let (mut literals, mut words) = (0, 0);
    for token in tokens.clone() {
        match token {
            Token::Whitespace(_) => {}
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Comma => literals += 1,
            _ => words += 1,
        }
    }
    if words > WORDS_MAX || literals > TOKENS_MAX {
        return Err(Failure::new("54000", "the statement is too long")
            .hint(format!("at most {WORDS_MAX} words and signs, and {TOKENS_MAX} literals and commas")));
    }
    let (depth, selects) = depth(tokens);
    if depth > DEPTH_MAX || selects > TABLES_MAX {
        return Err(too_deep());
    }
    Ok(())
}

/// The refusal of what nests too deeply.
pub(crate) fn too_deep() -> Failure {
    Failure::new("54001", "the statement is nested too deeply")
        .hint(format!("at most {DEPTH_MAX} operators and parentheses deep, and {TABLES_MAX} tables or selects"))
}

/// At most how deep the expressions of a text nest, and how many selects and joins its longest statement has.
///
/// Operators chain to trees as deep as they are many; what a comma or a parenthesis parts does not.
fn depth<'a>(tokens: impl Iterator<Item = &'a Token>) -> (usize, usize) {
    const POSTFIX: [Keyword; 18] = [
        Keyword::AND,
        Keyword::OR,
        Keyword::XOR,
        Keyword::NOT,
        Keyword::IS,
        Keyword::NOTNULL,
        Keyword::IN,
        Keyword::LIKE,
        Keyword::ILIKE,
        Keyword::RLIKE,
        Keyword::REGEXP,
        Keyword::SIMILAR,
        Keyword::BETWEEN,
        Keyword::COLLATE,
        Keyword::AT,
        Keyword::OVERLAPS,
        Keyword::OPERATOR,
        Keyword::CASE,
    ];
    const CHAINS: [Keyword; 4] = [Keyword::SELECT, Keyword::JOIN, Keyword::VALUES, Keyword::TABLE];
    // Per open parenthesis, the operators in front of it and those so far in it.
    let (mut open, mut around, mut here) = (Vec::new(), 0, 0_usize);
    let (mut deepest, mut selects, mut most) = (0, 0, 0);
    for token in tokens {
        match token {
            Token::LParen => {
                open.push(here);
                around += here + 1;
                here = 0;
            }
            Token::RParen => {
                if let Some(before) = open.pop() {
                    around -= before + 1;
                    // Calls of calls chain as operators do.
                    here = before + 1;
                }
            }
            Token::Comma => here = 0,
            Token::SemiColon => {
                open.clear();
                (around, here, selects) = (0, 0, 0);
            }
            Token::Word(word) if CHAINS.contains(&word.keyword) => selects += 1,
            Token::Word(word) if POSTFIX.contains(&word.keyword) => here += 1,
            Token::Whitespace(_)
            | Token::Word(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Period
            | Token::EOF => {}
            _ => here += 1,
        }
        deepest = deepest.max(around + here);
        most = most.max(selects);
    }
    (deepest, most)
}

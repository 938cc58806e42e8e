//! `a is distinct from b and c`, read as Postgres reads it: `(a is distinct from b) and c`.
//!
//! The parser takes all that follows for the second operand, `and c` included: a filter that answers, and answers wrongly.
//! Pure. Invariants: a statement without such an operand is not touched, and parentheses that somebody wrote stand.

use std::mem;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Statement, UnaryOperator, Value, VisitorMut};

use crate::engine::walk::{expressions, walk_mut};

/// Puts every operand of `is [not] distinct from` back to where it ends.
pub(crate) fn correct(statement: &mut Statement) {
    let found: ControlFlow<()> = expressions(statement, |expression| match expression {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) if is_logic(right) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if found.is_break() {
        // It never breaks.
        let _ = walk_mut(statement, &mut Corrector);
    }
}

struct Corrector;

impl VisitorMut for Corrector {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if is_logic(expression) || matches!(expression, Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..)) {
            let mut words = Vec::new();
            flatten(mem::replace(expression, Expr::value(Value::Null)), &mut words);
            *expression = alternatives(words);
        }
        ControlFlow::Continue(())
    }
}

/// What binds less than `is distinct from`.
fn is_logic(expression: &Expr) -> bool {
    match expression {
        Expr::BinaryOp { op, .. } => matches!(op, BinaryOperator::And | BinaryOperator::Or),
        Expr::UnaryOp { op, .. } => *op == UnaryOperator::Not,
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => is_logic(right),
        _ => false,
    }
}

/// A condition as it was written, from left to right.
enum Word {
    Operand(Box<Expr>),
    Not,
    And,
    Or,
}

fn flatten(expression: Expr, words: &mut Vec<Word>) {
    match expression {
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            flatten(*left, words);
            words.push(if op == BinaryOperator::And { Word::And } else { Word::Or });
            flatten(*right, words);
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
            words.push(Word::Not);
            flatten(*expr, words);
        }
        Expr::IsDistinctFrom(left, right) => flatten_comparison(left, *right, Expr::IsDistinctFrom, words),
        Expr::IsNotDistinctFrom(left, right) => flatten_comparison(left, *right, Expr::IsNotDistinctFrom, words),
        other => words.push(Word::Operand(Box::new(other))),
    }
}

/// The first word of what was taken for the right side is the right side.
fn flatten_comparison(left: Box<Expr>, right: Expr, make: fn(Box<Expr>, Box<Expr>) -> Expr, words: &mut Vec<Word>) {
    let mut rest = Vec::new();
    flatten(right, &mut rest);
    let mut rest = rest.into_iter().peekable();
    let mut negations = 0;
    while rest.next_if(|word| matches!(word, Word::Not)).is_some() {
        negations += 1;
    }
    if let Some(Word::Operand(operand)) = rest.next() {
        words.push(Word::Operand(Box::new(make(left, Box::new(negated(*operand, negations))))));
    }
    words.extend(rest);
}

/// `or` of what stands between the `or`s.
fn alternatives(words: Vec<Word>) -> Expr {
    let (mut any, mut all, mut negations) = (None, None, 0);
    for word in words {
        match word {
            Word::Operand(operand) => {
                all = joined(all, BinaryOperator::And, Some(negated(*operand, mem::take(&mut negations))));
            }
            Word::Not => negations += 1,
            Word::And => {}
            Word::Or => any = joined(any, BinaryOperator::Or, all.take()),
        }
    }
    joined(any, BinaryOperator::Or, all).unwrap_or_else(|| Expr::value(Value::Null))
}

fn joined(left: Option<Expr>, op: BinaryOperator, right: Option<Expr>) -> Option<Expr> {
    match (left, right) {
        (Some(left), Some(right)) => Some(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }),
        (left, right) => left.or(right),
    }
}

fn negated(operand: Expr, negations: usize) -> Expr {
    (0..negations).fold(operand, |expr, _| Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    struct Bare;

    impl VisitorMut for Bare {
        type Break = ();

        fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
            while let Expr::Nested(inner) = expression {
                *expression = mem::replace(inner, Expr::value(Value::Null));
            }
            ControlFlow::Continue(())
        }
    }

    fn parsed(condition: &str) -> Statement {
        Parser::parse_sql(&PostgreSqlDialect {}, &format!("select {condition} from t where {condition}"))
            .unwrap()
            .pop()
            .unwrap()
    }

    /// The tree of a condition, without the parentheses that made it.
    fn bare(mut statement: Statement) -> Statement {
        let _ = walk_mut(&mut statement, &mut Bare);
        statement
    }

    #[test]
    fn an_operand_ends_where_postgres_ends_it() {
        for (written, meant) in [
            ("a is distinct from 'x' and b", "(a is distinct from 'x') and b"),
            ("a is not distinct from b or c", "(a is not distinct from b) or c"),
            ("p and a is distinct from b or c and d", "(p and (a is distinct from b)) or (c and d)"),
            ("not a is distinct from b and c", "(not (a is distinct from b)) and c"),
            (
                "a is distinct from b and c is distinct from d or e",
                "((a is distinct from b) and (c is distinct from d)) or e",
            ),
            ("a is distinct from b and not c", "(a is distinct from b) and (not c)"),
            (
                "case when a is distinct from b and c then 1 end = f(a is distinct from b or c)",
                "case when (a is distinct from b) and c then 1 end = f((a is distinct from b) or c)",
            ),
            (
                "a in (select b from u where c is distinct from d and e)",
                "a in (select b from u where (c is distinct from d) and e)",
            ),
            ("(p or a is distinct from b and c) and d", "(p or ((a is distinct from b) and c)) and d"),
        ] {
            let mut corrected = parsed(written);
            correct(&mut corrected);
            assert_eq!(bare(corrected), bare(parsed(meant)), "{written}");
        }
    }

    #[test]
    fn what_is_right_stays_as_it_is() {
        for written in [
            "a is distinct from (b and c)",
            "(a is distinct from b) and c",
            "a is distinct from b + 1",
            "a and b or not c and d is null",
            "a is distinct from b",
        ] {
            let mut corrected = parsed(written);
            correct(&mut corrected);
            assert_eq!(corrected, parsed(written), "{written}");
        }
    }
}

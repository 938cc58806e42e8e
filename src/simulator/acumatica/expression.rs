//! `$filter`: the part of `OData` 3 that Acumatica's contract interface understands. Pure.

use std::cmp::Ordering;

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde_json::Value;

/// A condition on one record.
#[derive(Debug, PartialEq)]
pub(super) enum Expression {
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Compare(String, Operator, Literal),
    /// `substringof('x', Field)`, `startswith(Field,'x')`, `endswith(Field,'x')`.
    Text(TextTest, String, String),
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A test of a part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextTest {
    Contains,
    Starts,
    Ends,
}

/// What a field is compared with.
#[derive(Debug, PartialEq)]
pub(super) enum Literal {
    Null,
    Boolean(bool),
    Text(String),
    Number(String),
    Moment(DateTime<Utc>),
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Open,
    Close,
    Comma,
}

impl Expression {
    /// Reads a filter.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut tokens = tokens(text)?;
        tokens.reverse();
        let expression = disjunction(&mut tokens)?;
        if let Some(token) = tokens.last() {
            bail!("unexpected {token:?} in filter");
        }
        Ok(expression)
    }

    /// Whether the condition holds, given how to read a field.
    pub(super) fn holds(&self, field: &dyn Fn(&str) -> Value) -> bool {
        match self {
            Self::And(left, right) => left.holds(field) && right.holds(field),
            Self::Or(left, right) => left.holds(field) || right.holds(field),
            Self::Compare(name, operator, literal) => compare(&field(name), *operator, literal),
            Self::Text(test, name, part) => {
                let value = field(name);
                let (value, part) = (value.as_str().unwrap_or_default().to_lowercase(), part.to_lowercase());
                match test {
                    TextTest::Contains => value.contains(&part),
                    TextTest::Starts => value.starts_with(&part),
                    TextTest::Ends => value.ends_with(&part),
                }
            }
        }
    }

    /// The fields that it names.
    pub(super) fn fields(&self) -> Vec<&str> {
        match self {
            Self::And(left, right) | Self::Or(left, right) => [left.fields(), right.fields()].concat(),
            Self::Compare(name, ..) | Self::Text(_, name, _) => vec![name],
        }
    }
}

fn disjunction(tokens: &mut Vec<Token>) -> anyhow::Result<Expression> {
    let mut left = conjunction(tokens)?;
    while take_word(tokens, "or") {
        left = Expression::Or(Box::new(left), Box::new(conjunction(tokens)?));
    }
    Ok(left)
}

fn conjunction(tokens: &mut Vec<Token>) -> anyhow::Result<Expression> {
    let mut left = condition(tokens)?;
    while take_word(tokens, "and") {
        left = Expression::And(Box::new(left), Box::new(condition(tokens)?));
    }
    Ok(left)
}

fn condition(tokens: &mut Vec<Token>) -> anyhow::Result<Expression> {
    let word = match tokens.pop().context("filter ends too early")? {
        Token::Open => {
            let inner = disjunction(tokens)?;
            expect(tokens, &Token::Close)?;
            return Ok(inner);
        }
        Token::Word(word) => word,
        other => bail!("unexpected {other:?} in filter"),
    };
    let test = match word.as_str() {
        "substringof" => Some(TextTest::Contains),
        "startswith" => Some(TextTest::Starts),
        "endswith" => Some(TextTest::Ends),
        _ => None,
    };
    if let Some(test) = test {
        expect(tokens, &Token::Open)?;
        let first = tokens.pop();
        expect(tokens, &Token::Comma)?;
        let second = tokens.pop();
        expect(tokens, &Token::Close)?;
        let (Some(Token::Word(name)), Some(Token::Quoted(part))) =
            (if test == TextTest::Contains { (second, first) } else { (first, second) })
        else {
            bail!("{word} wants a field and a text");
        };
        if take_word(tokens, "eq") && !take_word(tokens, "true") {
            bail!("{word} can only be compared with true");
        }
        return Ok(Expression::Text(test, name, part));
    }
    let name = if word.starts_with("cf.") {
        expect(tokens, &Token::Open)?;
        let (Some(Token::Word(f)), Some(Token::Quoted(name))) = (tokens.pop(), tokens.pop()) else {
            bail!("{word} wants f='View.Field'");
        };
        anyhow::ensure!(f == "f=", "{word} wants f='View.Field'");
        expect(tokens, &Token::Close)?;
        name
    } else {
        word
    };
    let operator = match tokens.pop() {
        Some(Token::Word(word)) => operator(&word)?,
        other => bail!("expected an operator after {name}, found {other:?}"),
    };
    Ok(Expression::Compare(name, operator, literal(tokens)?))
}

fn operator(word: &str) -> anyhow::Result<Operator> {
    Ok(match word {
        "eq" => Operator::Equal,
        "ne" => Operator::NotEqual,
        "gt" => Operator::Greater,
        "ge" => Operator::GreaterOrEqual,
        "lt" => Operator::Less,
        "le" => Operator::LessOrEqual,
        other => bail!("unknown operator {other}"),
    })
}

fn literal(tokens: &mut Vec<Token>) -> anyhow::Result<Literal> {
    let word = match tokens.pop() {
        Some(Token::Quoted(text)) => return Ok(Literal::Text(text)),
        Some(Token::Word(word)) => word,
        other => bail!("expected a value, found {other:?}"),
    };
    Ok(match word.as_str() {
        "null" => Literal::Null,
        "true" => Literal::Boolean(true),
        "false" => Literal::Boolean(false),
        "datetimeoffset" | "date" | "datetime" => match tokens.pop() {
            Some(Token::Quoted(text)) => Literal::Moment(moment(&text).with_context(|| format!("bad date {text}"))?),
            other => bail!("expected a quoted date, found {other:?}"),
        },
        "guid" => match tokens.pop() {
            Some(Token::Quoted(text)) => Literal::Text(text),
            other => bail!("expected a quoted guid, found {other:?}"),
        },
        number => {
            let number = number.trim_end_matches(['m', 'M', 'd', 'L']);
            decimal(number).with_context(|| format!("expected a value, found {number}"))?;
            Literal::Number(number.to_owned())
        }
    })
}

fn compare(value: &Value, operator: Operator, literal: &Literal) -> bool {
    if *literal == Literal::Null || value.is_null() {
        let equal = *literal == Literal::Null && value.is_null();
        return match operator {
            Operator::Equal => equal,
            Operator::NotEqual => !equal,
            _ => false,
        };
    }
    let ordering = match (value, literal) {
        (Value::String(value), Literal::Moment(literal)) => moment(value).map(|value| value.cmp(literal)),
        (Value::String(value), Literal::Text(literal)) => {
            Some(value.to_lowercase().trim_end().cmp(literal.to_lowercase().trim_end()))
        }
        (Value::Number(value), Literal::Number(literal)) => order_decimals(&value.to_string(), literal),
        (Value::Bool(value), Literal::Boolean(literal)) => Some(value.cmp(literal)),
        _ => None,
    };
    ordering.is_some_and(|ordering| match operator {
        Operator::Equal => ordering == Ordering::Equal,
        Operator::NotEqual => ordering != Ordering::Equal,
        Operator::Greater => ordering == Ordering::Greater,
        Operator::GreaterOrEqual => ordering != Ordering::Less,
        Operator::Less => ordering == Ordering::Less,
        Operator::LessOrEqual => ordering != Ordering::Greater,
    })
}

fn order_decimals(left: &str, right: &str) -> Option<Ordering> {
    Some(decimal(left)?.cmp(&decimal(right)?))
}

/// A decimal text in units of 10⁻⁶.
fn decimal(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = format!("{:0<6}", fraction.get(..6).unwrap_or(fraction));
    Some(sign * (whole.parse::<i128>().ok()? * 1_000_000 + fraction.parse::<i128>().ok()?))
}

fn moment(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.to_utc());
    }
    let naive = text.parse().ok().or_else(|| text.parse().ok().map(|day: NaiveDate| day.and_time(NaiveTime::MIN)));
    naive.map(|naive: chrono::NaiveDateTime| naive.and_utc())
}

fn take_word(tokens: &mut Vec<Token>, word: &str) -> bool {
    let found = matches!(tokens.last(), Some(Token::Word(next)) if next == word);
    if found {
        tokens.pop();
    }
    found
}

fn expect(tokens: &mut Vec<Token>, wanted: &Token) -> anyhow::Result<()> {
    let found = tokens.pop();
    anyhow::ensure!(found.as_ref() == Some(wanted), "expected {wanted:?} in filter, found {found:?}");
    Ok(())
}

fn tokens(text: &str) -> anyhow::Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ' ' => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            ',' => tokens.push(Token::Comma),
            '\'' => {
                let mut quoted = String::new();
                loop {
                    match characters.next().context("a text in the filter is not closed")? {
                        '\'' if characters.peek() == Some(&'\'') => quoted.extend(characters.next()),
                        '\'' => break,
                        other => quoted.push(other),
                    }
                }
                tokens.push(Token::Quoted(quoted));
            }
            first => {
                let mut word = String::from(first);
                while let Some(next) = characters.next_if(|next| !" (),'".contains(*next)) {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(filter: &str) -> bool {
        let record = json!({
            "Type": "Bill", "ReferenceNbr": "000123", "Amount": 1250, "Hold": false, "VendorRef": null,
            "Name": "O'Brien", "LastModifiedDateTime": "2024-07-15T07:31:28.402+00:00",
            "MainContact": {"Email": "a@b.c"}, "Document.UsrX": "y",
        });
        let field =
            |name: &str| record.get(name).or_else(|| record.pointer(&format!("/{name}"))).cloned().unwrap_or_default();
        Expression::parse(filter).unwrap().holds(&field)
    }

    #[test]
    fn conditions_hold_as_in_odata() {
        assert!(holds("Type eq 'bill' and ReferenceNbr gt '000122'"));
        assert!(!holds("Type eq 'Bill' and ReferenceNbr gt '000123'"));
        assert!(holds("Type eq 'X' or Type eq 'Bill' and Hold eq false"));
        assert!(!holds("(Type eq 'X' or Type eq 'Bill') and Hold eq true"));
        assert!(holds("Amount ge 1250.00 and Amount lt 1250.01 and Amount ne -1"));
        assert!(holds("VendorRef eq null and VendorRef ne 'x' and Type ne null"));
        assert!(!holds("VendorRef gt 'a'"));
        assert!(holds("Name eq 'O''Brien' and MainContact/Email eq 'a@b.c'"));
        assert!(holds("LastModifiedDateTime eq datetimeoffset'2024-07-15T10:31:28.402+03:00'"));
        assert!(!holds("LastModifiedDateTime gt datetimeoffset'2024-07-15T10:31:28.402+03:00'"));
        assert!(holds("substringof('brie', Name) and startswith(Name,'O') and endswith(Name,'n') eq true"));
        assert!(holds("cf.String(f='Document.UsrX') eq 'y'"));
    }

    #[test]
    fn malformed_filters_are_refused() {
        for filter in
            ["", "Type", "Type is 'x'", "Type eq", "(Type eq 'x'", "Type eq 'x", "Type eq 'x' Hold eq true", "a eq b"]
        {
            assert!(Expression::parse(filter).is_err(), "{filter}");
        }
    }
}

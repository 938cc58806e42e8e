//! Filters of a query: `{"$gte": {"field": value}}`, and the expression that joins them by their numbers.

use std::cmp::Ordering;

use serde_json::Value;

use super::objects::Record;

/// The filters of a query and how they are joined.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters {
    all: Vec<Filter>,
    joined: Option<Expression>,
}

#[derive(Clone, Debug)]
struct Filter {
    operator: String,
    field: String,
    value: Value,
}

/// What joins filters.
#[derive(Clone, Debug)]
enum Expression {
    Number(usize),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

/// Values that `$in` takes.
const IN_MAX: usize = 1000;

impl Filters {
    /// Reads the `filters` and `filterExpression` of a query's body.
    pub(super) fn read(filters: Option<&Value>, expression: Option<&str>) -> Result<Self, String> {
        let list = match filters {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err("filters must be a list".to_owned()),
        };
        let all: Vec<Filter> = list.iter().map(Filter::read).collect::<Result<_, _>>()?;
        let joined = match expression.map(str::trim) {
            None | Some("" | "and") => None,
            Some("or") => Some(Expression::Any((1..=all.len()).map(Expression::Number).collect())),
            Some(text) => Some(Expression::parse(text, all.len())?),
        };
        Ok(Self { all, joined })
    }

    /// The fields that it names.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> + Clone {
        self.all.iter().map(|filter| filter.field.as_str())
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether a record passes.
    pub(super) fn hold(&self, record: &Record) -> bool {
        match &self.joined {
            None => self.all.iter().all(|filter| filter.holds(record)),
            Some(expression) => {
                expression.holds(&|number| self.all.get(number - 1).is_some_and(|one| one.holds(record)))
            }
        }
    }
}

impl Filter {
    fn read(value: &Value) -> Result<Self, String> {
        let one = |value: &Value| -> Option<(String, Value)> {
            let fields = value.as_object().filter(|fields| fields.len() == 1)?;
            fields.iter().next().map(|(name, value)| (name.clone(), value.clone()))
        };
        let (operator, inner) = one(value).ok_or("a filter is an object with one operator")?;
        let (field, value) = one(&inner).ok_or("a filter's operator holds one field")?;
        let known = [
            "$eq",
            "$ne",
            "$lt",
            "$lte",
            "$gt",
            "$gte",
            "$in",
            "$notIn",
            "$between",
            "$contains",
            "$startsWith",
            "$endsWith",
        ];
        if !known.contains(&operator.as_str()) {
            return Err(format!("unknown operator {operator}"));
        }
        let is_list = matches!(operator.as_str(), "$in" | "$notIn" | "$between");
        if is_list != value.is_array() || value.as_array().is_some_and(|list| list.is_empty() || list.len() > IN_MAX) {
            return Err(format!("the value of {operator} does not fit it"));
        }
        Ok(Self { operator, field, value })
    }

    fn holds(&self, record: &Record) -> bool {
        let found = record.get(&self.field).unwrap_or(&Value::Null);
        // Nothing is neither equal to anything nor unequal, but to nothing itself.
        if found.is_null() || self.value.is_null() {
            return match self.operator.as_str() {
                "$eq" => found.is_null() && self.value.is_null(),
                "$ne" => self.value.is_null() && !found.is_null(),
                _ => false,
            };
        }
        let (text, wanted) = (plain(found), plain(&self.value));
        let list = || self.value.as_array().into_iter().flatten();
        match self.operator.as_str() {
            "$eq" => compare(&text, &wanted) == Ordering::Equal,
            "$ne" => compare(&text, &wanted) != Ordering::Equal,
            "$lt" => compare(&text, &wanted) == Ordering::Less,
            "$lte" => compare(&text, &wanted) != Ordering::Greater,
            "$gt" => compare(&text, &wanted) == Ordering::Greater,
            "$gte" => compare(&text, &wanted) != Ordering::Less,
            "$in" => list().any(|one| compare(&text, &plain(one)) == Ordering::Equal),
            "$notIn" => list().all(|one| compare(&text, &plain(one)) != Ordering::Equal),
            "$between" => {
                let ends: Vec<String> = list().map(plain).collect();
                matches!(ends.as_slice(), [from, to] if compare(&text, from) != Ordering::Less && compare(&text, to) != Ordering::Greater)
            }
            "$contains" => text.contains(&wanted),
            "$startsWith" => text.starts_with(&wanted),
            _ => text.ends_with(&wanted),
        }
    }
}

/// A value's letters.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Whole numbers by size, anything else by its letters.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    match (left.parse::<i128>(), right.parse::<i128>()) {
        (Ok(one), Ok(other)) => one.cmp(&other),
        _ => left.cmp(right),
    }
}

impl Expression {
    fn parse(text: &str, count: usize) -> Result<Self, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").to_lowercase();
        let mut words = spaced.split_whitespace().peekable();
        let expression = Self::alternatives(&mut words, count)?;
        words.next().map_or(Ok(expression), |word| Err(format!("the filter expression ends before {word}")))
    }

    fn alternatives<'t>(
        words: &mut std::iter::Peekable<impl Iterator<Item = &'t str>>,
        count: usize,
    ) -> Result<Self, String> {
        let mut all = vec![Self::both(words, count)?];
        while words.next_if_eq(&"or").is_some() {
            all.push(Self::both(words, count)?);
        }
        Ok(Self::Any(all))
    }

    fn both<'t>(words: &mut std::iter::Peekable<impl Iterator<Item = &'t str>>, count: usize) -> Result<Self, String> {
        let mut all = vec![Self::part(words, count)?];
        while words.next_if_eq(&"and").is_some() {
            all.push(Self::part(words, count)?);
        }
        Ok(Self::All(all))
    }

    fn part<'t>(words: &mut std::iter::Peekable<impl Iterator<Item = &'t str>>, count: usize) -> Result<Self, String> {
        let word = words.next().ok_or("the filter expression ends too early")?;
        if word == "(" {
            let mut inner: Vec<&str> = Vec::new();
            let mut depth = 1;
            for word in words.by_ref() {
                depth += i32::from(word == "(") - i32::from(word == ")");
                if depth == 0 {
                    break;
                }
                inner.push(word);
            }
            if depth != 0 {
                return Err("the filter expression lacks a bracket".to_owned());
            }
            return Self::parse(&inner.join(" "), count);
        }
        let number = word.parse::<usize>().ok().filter(|number| (1..=count).contains(number));
        number.map(Self::Number).ok_or_else(|| format!("the filter expression names no filter by {word}"))
    }

    fn holds(&self, filter: &impl Fn(usize) -> bool) -> bool {
        match self {
            Self::Number(number) => filter(*number),
            Self::All(parts) => parts.iter().all(|part| part.holds(filter)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(filter)),
        }
    }
}

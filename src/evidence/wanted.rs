//! What a package is asked to hold.

use std::path::PathBuf;
use std::str::FromStr;

use super::Error;
use super::index::{Amounts, Column, Kind, Method};
use super::items::Plan;
use crate::warehouse::AsOf;

/// What a package is to hold, and where it goes.
#[derive(Clone, Debug)]
pub struct Request {
    /// The moment that is read.
    pub as_of: AsOf,
    /// The business date; the moment's own if none.
    pub accounting_date: Option<String>,
    /// `pinned` or `current`.
    pub definitions: String,
    /// The results.
    pub wanted: Wanted,
    /// The samples drawn from them.
    pub samples: Vec<SampleWanted>,
    /// Decides which rows are drawn.
    pub seed: u64,
    /// A folder that is not there yet, or a file that ends in `.zip`.
    pub target: PathBuf,
}

/// Which results.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Every schedule and every check.
    All,
    /// These: schedules, checks by their ids or views, other tables as `schema.name`.
    Views(Vec<String>),
    /// The rows of a query.
    Query(String),
}

/// A sample: `[VIEW=]random:N` or `[VIEW=]mus:N[:COLUMN[:absolute]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleWanted {
    /// The result that it is drawn from; the only one if none is named.
    pub of: Option<String>,
    /// How.
    pub method: MethodWanted,
}

/// How a sample is to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodWanted {
    /// So many rows.
    Random(u64),
    /// One row in every interval of an amount.
    MonetaryUnit {
        /// Intervals.
        size: u64,
        /// The column of the amount; the only one if none is named.
        column: Option<String>,
        /// Which amounts count.
        amounts: Amounts,
    },
}

impl FromStr for SampleWanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: &str| format!("{reason}: [VIEW=]random:N or [VIEW=]mus:N[:COLUMN[:absolute]]");
        let (of, method) =
            text.split_once('=').map_or((None, text), |(of, method)| (Some(of.trim().to_owned()), method));
        let mut parts = method.split(':').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let size = parts.next().and_then(|size| size.parse().ok()).filter(|size| *size > 0);
        let size: u64 = size.ok_or_else(|| refuse("the size is missing, or no whole number above zero"))?;
        let rest: Vec<&str> = parts.collect();
        let method = match (kind, rest.as_slice()) {
            ("random", []) => MethodWanted::Random(size),
            ("mus", []) => MethodWanted::MonetaryUnit { size, column: None, amounts: Amounts::Positive },
            ("mus", [column]) if !column.is_empty() => {
                MethodWanted::MonetaryUnit { size, column: Some((*column).to_owned()), amounts: Amounts::Positive }
            }
            ("mus", [column, "absolute"]) => {
                let column = (!column.is_empty()).then(|| (*column).to_owned());
                MethodWanted::MonetaryUnit { size, column, amounts: Amounts::Absolute }
            }
            _ => return Err(refuse("no such sample")),
        };
        Ok(Self { of: of.filter(|of| !of.is_empty()), method })
    }
}

impl SampleWanted {
    /// The method, its column named.
    pub(super) fn method(&self, columns: &[Column]) -> Result<Method, String> {
        let MethodWanted::MonetaryUnit { size, column, amounts } = &self.method else {
            let MethodWanted::Random(size) = self.method else { return Err("no such method".to_owned()) };
            return Ok(Method::Random { size });
        };
        let amounts_of =
            || columns.iter().filter(|column| column.kind == Kind::Decimal).map(|column| column.name.as_str());
        let column = match (column, amounts_of().collect::<Vec<_>>().as_slice()) {
            (Some(column), _) => column.clone(),
            (None, [only]) => (*only).to_owned(),
            (None, []) => return Err("it has no column of amounts".to_owned()),
            (None, several) => {
                return Err(format!("which amount?\nhint: mus:{size}:COLUMN, where it has {}", several.join(", ")));
            }
        };
        Ok(Method::MonetaryUnit { size: *size, column, amounts: *amounts })
    }
}

impl Request {
    /// The samples with the place of the result that each is drawn from.
    pub(super) fn samples_by_plan(&self, plans: &[Plan]) -> Result<Vec<(usize, &SampleWanted)>, Error> {
        let place = |sample: &SampleWanted| -> Result<usize, Error> {
            let own: Vec<usize> = (0..plans.len()).filter(|place| !is_grounds(plans, *place)).collect();
            match (&sample.of, own.as_slice()) {
                (None, [only]) => Ok(*only),
                (None, _) => Err(Error::Asked(
                    "a sample of which result?\nhint: VIEW=random:25, for example audit.ap_aging=mus:40:open_amount"
                        .to_owned(),
                )),
                (Some(of), _) => plans.iter().position(|plan| is_named(plan, of)).ok_or_else(|| {
                    Error::Asked(format!(
                        "a sample of `{of}`: there is no such result in the package\n\
                         hint: a view of audit, a check by its id or its view; --view NAME adds another table"
                    ))
                }),
            }
        };
        self.samples.iter().map(|sample| Ok((place(sample)?, sample))).collect()
    }
}

fn is_grounds(plans: &[Plan], place: usize) -> bool {
    plans.get(place).is_some_and(|plan| plan.name.starts_with("grounds/"))
}

/// Whether a result goes by a name: its own, that of its view with or without the schema, that of its check.
fn is_named(plan: &Plan, name: &str) -> bool {
    let short = plan.name.rsplit('/').next().unwrap_or_default();
    let check = plan.header.check.as_deref();
    let is_check = || {
        let view = check.and_then(|id| short.strip_prefix(id)).and_then(|rest| rest.strip_prefix('_'));
        check.is_some_and(|id| id.eq_ignore_ascii_case(name)) || view == Some(name)
    };
    plan.name == name || short == name || plan.name.replace('/', ".") == name || is_check()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_said_in_few_words() {
        let parsed = |text: &str| text.parse::<SampleWanted>();
        let money = |size, column: Option<&str>, amounts| MethodWanted::MonetaryUnit {
            size,
            column: column.map(str::to_owned),
            amounts,
        };
        let of = Some("audit.ap_aging".to_owned());
        assert_eq!(parsed("random:25"), Ok(SampleWanted { of: None, method: MethodWanted::Random(25) }));
        assert_eq!(
            parsed("audit.ap_aging=mus:40"),
            Ok(SampleWanted { of, method: money(40, None, Amounts::Positive) })
        );
        assert_eq!(parsed("mus:4:paid").unwrap().method, money(4, Some("paid"), Amounts::Positive));
        assert_eq!(parsed("mus:4:paid:absolute").unwrap().method, money(4, Some("paid"), Amounts::Absolute));
        for wrong in
            ["", "random", "random:0", "random:-1", "random:x", "mus:", "stratified:5", "mus:4:a:b", "random:5:a"]
        {
            assert!(parsed(wrong).unwrap_err().contains("random:N or"), "{wrong}");
        }
    }

    #[test]
    fn the_amount_is_the_only_one_or_named() {
        let columns = |names: &[&str]| -> Vec<Column> {
            let column = |name: &&str| Column { name: (*name).to_owned(), kind: Kind::Decimal, scale: Some(2) };
            names.iter().map(column).collect()
        };
        let wanted: SampleWanted = "mus:3".parse().unwrap();
        assert!(matches!(wanted.method(&columns(&["a"])), Ok(Method::MonetaryUnit { column, .. }) if column == "a"));
        assert!(wanted.method(&columns(&["a", "b"])).unwrap_err().contains("a, b"));
        assert!(wanted.method(&[]).unwrap_err().contains("no column of amounts"));
    }
}

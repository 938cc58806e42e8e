//! The firm's records in the shapes of Procore's interface.
//!
//! Owns the small habits of the interface: money as text of varying scale, dates, moments in whole seconds, ids as
//! numbers in v1 and as text in v2. Leaves out: which records a caller asked for beyond project and parent.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::firm::model::{Cents, Rate};

pub(super) mod billing;
pub(super) mod budget;
pub(super) mod changes;
pub(super) mod codes;
pub(super) mod contracts;
pub(super) mod costs;
pub(super) mod directory;
pub(super) mod tiers;

/// Money as Procore writes it: text whose scale varies (`1022452.50`, `250.0`, `250`, `0.0`) but never its value.
pub(super) fn money(amount: Cents) -> Value {
    let two_digits = amount.to_string();
    let shorter = |digits: usize| two_digits.get(..two_digits.len() - digits).unwrap_or(&two_digits).to_owned();
    let units = amount.0 / 100;
    Value::String(match (amount.0 % 100, amount.0 % 10) {
        (0, _) if units % 3 == 0 => shorter(1),
        (0, _) if units % 3 == 1 => shorter(3),
        (_, 0) if units % 2 == 0 => shorter(1),
        _ => two_digits,
    })
}

/// A percentage as text: `10.00`.
pub(super) fn percent(rate: Rate) -> Value {
    Value::String(rate.to_string())
}

/// A moment in whole seconds, UTC.
pub(super) fn moment(at: DateTime<Utc>) -> Value {
    Value::String(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// A moment or null.
pub(super) fn moment_or_null(at: Option<DateTime<Utc>>) -> Value {
    at.map_or(Value::Null, moment)
}

/// A calendar date or null.
pub(super) fn date(day: Option<NaiveDate>) -> Value {
    day.map_or(Value::Null, |day| Value::String(day.to_string()))
}

/// The currency block of contracts and invoices.
pub(super) fn currency() -> Value {
    json!({"currency_iso_code": "USD", "currency_exchange_rate": "1.0", "base_currency_iso_code": "USD"})
}

/// The fields of both objects; those of `second` win.
pub(super) fn merged(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut first), Value::Object(second)) => {
            first.extend(second);
            Value::Object(first)
        }
        (first, _) => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn money_has_many_scales() {
        let text = |cents| money(Cents(cents)).as_str().unwrap().to_owned();
        assert_eq!([text(0), text(25_200), text(25_000), text(25_100)], ["0.0", "252.0", "250", "251.00"]);
        assert_eq!([text(20_050), text(-150), text(-7), text(102_245_250)], ["200.5", "-1.50", "-0.07", "1022452.5"]);
    }

    proptest! {
        #[test]
        fn money_keeps_its_value(cents in -1_000_000_000_000i64..1_000_000_000_000) {
            let text = money(Cents(cents)).as_str().unwrap().to_owned();
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            let digits = format!("{whole}{fraction:0<2}");
            prop_assert_eq!(digits.parse::<i64>().unwrap(), cents);
        }
    }
}

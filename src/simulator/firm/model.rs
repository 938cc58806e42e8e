//! What the two systems of the simulated firm store: their databases as plain records.
//!
//! Owns the shapes only. Field names are the systems' own (fact sheets `procore`, `acumatica`), in snake case. Invariants:
//! money is whole cents, never a float; Procore ids have 15 digits (more than 2^49); Acumatica records lie under their
//! natural key, composite keys joined by `|`. Leaves out how records come to be (`life`, `connector`) and how they are shown
//! (the HTTP interfaces).

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

mod acumatica;
mod acumatica_calendar;
mod acumatica_documents;
mod procore;
mod procore_billing;
mod procore_costs;

pub use acumatica::*;
pub use acumatica_calendar::*;
pub use acumatica_documents::*;
pub use procore::*;
pub use procore_billing::*;
pub use procore_costs::*;

/// A Procore id: 15 digits, greater than 2^49.
pub type ProcoreId = i64;

/// Money in whole cents. Displays as a plain decimal with two digits: `-1234.50`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cents(pub i64);

/// A rate in hundredths of a percent. Displays as a percentage with two digits: `10.00`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub i64);

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// This amount at `rate`, rounded half away from zero to the cent.
    #[must_use]
    pub fn at(self, rate: Rate) -> Self {
        self.share(rate.0, 10_000)
    }

    /// `numerator / denominator` of this amount, rounded half away from zero to the cent; zero for a zero denominator.
    #[must_use]
    pub fn share(self, numerator: i64, denominator: i64) -> Self {
        if denominator == 0 {
            return Self::ZERO;
        }
        let doubled = 2 * i128::from(self.0) * i128::from(numerator);
        let divisor = i128::from(denominator);
        let half = if (doubled < 0) == (divisor < 0) { divisor } else { -divisor };
        Self(i64::try_from((doubled + half) / (2 * divisor)).unwrap_or(i64::MAX))
    }

    /// What share of `whole` this is, as a rate; zero of nothing.
    #[must_use]
    pub fn percent_of(self, whole: Self) -> Rate {
        Rate(Self(10_000).share(self.0, whole.0).0)
    }

    /// The amount without its sign.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// Whether it is exactly zero.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", self.0.unsigned_abs() / 100, self.0.unsigned_abs() % 100)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Cents(self.0).fmt(f)
    }
}

impl Add for Cents {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Cents {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Cents {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Cents {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Cents {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Sum for Cents {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        Self(iter.map(|cents| cents.0).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_show_two_digits_and_their_sign() {
        assert_eq!(Cents(-5).to_string(), "-0.05");
        assert_eq!(Cents(123_450).to_string(), "1234.50");
        assert_eq!(Rate(1_000).to_string(), "10.00");
    }

    #[test]
    fn rates_round_half_away_from_zero() {
        assert_eq!(Cents(5).at(Rate(1_000)), Cents(1));
        assert_eq!(Cents(-5).at(Rate(1_000)), Cents(-1));
        assert_eq!(Cents(4).at(Rate(1_000)), Cents(0));
        assert_eq!(Cents(7).share(1, 0), Cents::ZERO);
    }
}

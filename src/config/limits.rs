//! How much of a source a run may take: a share of its quota, and a span of time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

/// `quota = 0.8`: the share of a source's rate limit that a run takes, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(pub u32);

/// `window = "30m"`: the time that a run takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(pub Duration);

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text} is no share of a quota: more than 0, at most 1, for example 0.8");
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(refuse());
        }
        let thousandths = format!("{whole}{:0<3}", fraction.chars().take(3).collect::<String>());
        let share = thousandths.parse().map_err(|_| refuse())?;
        if (1..=1000).contains(&share) { Ok(Self(share)) } else { Err(refuse()) }
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is no span of time\nhint: for example 30m, 2h or 1h30m");
        let mut seconds = 0_u64;
        let mut rest = text.trim();
        while !rest.is_empty() {
            let digits = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(refuse)?;
            let (number, after) = rest.split_at(digits);
            let unit = match after.chars().next() {
                Some('s') => 1,
                Some('m') => 60,
                Some('h') => 3600,
                _ => return Err(refuse()),
            };
            let number: u64 = number.parse().map_err(|_| refuse())?;
            seconds = number.checked_mul(unit).and_then(|more| seconds.checked_add(more)).ok_or_else(refuse)?;
            rest = after.get(1..).unwrap_or_default();
        }
        if seconds == 0 { Err(refuse()) } else { Ok(Self(Duration::from_secs(seconds))) }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Share;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share such as 0.8")
            }
            // Its digits are what the person wrote: no arithmetic is done on it.
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Share, E> {
                value.to_string().parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Share, E> {
                value.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Number)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_written() {
        let share = |text: &str| text.parse().ok().map(|Share(thousandths)| thousandths);
        assert_eq!(["0.8", "1", "1.0", "0.333333", "0.001"].map(share), [800, 1000, 1000, 333, 1].map(Some));
        assert_eq!(["0", "1.1", "-0.5", "80%", "", "1e-1", "0.0001"].map(share), [None; 7]);
    }

    #[test]
    fn spans_add_up() {
        let window = |text: &str| text.parse().ok().map(|Window(span)| span.as_secs());
        assert_eq!(["30m", "90s", "2h", "1h30m"].map(window), [1800, 90, 7200, 5400].map(Some));
        assert_eq!(["30", "m", "", "0m", "1d", "1h30"].map(window), [None; 6]);
    }
}

//! Decimal text as whole units of its last place, and back: sums are exact, and no float takes part.

/// A decimal text in units of `10^-scale`; none if it is no decimal, has more places, or does not fit.
pub(super) fn units(text: &str, scale: u32) -> Option<i128> {
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let places = usize::try_from(scale).ok()?;
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > places || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let units: i128 = format!("{whole}{fraction:0<places$}").parse().ok()?;
    Some(if is_negative { -units } else { units })
}

/// Units of `10^-scale` as decimal text.
pub(super) fn text(units: i128, scale: u32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let places = usize::try_from(scale).unwrap_or_default();
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_units_are_the_same_amount() {
        for (given, scale, expected) in [
            ("0.00", 2, 0),
            ("-0.05", 2, -5),
            ("12", 2, 1200),
            ("12.3", 2, 1230),
            ("-1234567890123456789012345678.901234", 6, -1_234_567_890_123_456_789_012_345_678_901_234),
            ("7", 0, 7),
        ] {
            assert_eq!(units(given, scale), Some(expected), "{given}");
            assert_eq!(units(&text(expected, scale), scale), Some(expected), "{given}");
        }
        assert_eq!((text(-5, 2), text(1200, 2), text(7, 0)), ("-0.05".into(), "12.00".into(), "7".into()));
        for given in ["", "-", ".5", "1.234", "1e3", "1,000.00", "--1", "99999999999999999999999999999999999999999"] {
            assert_eq!(units(given, 2), None, "{given}");
        }
    }
}

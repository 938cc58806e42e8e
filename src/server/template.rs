//! `to_char` as Postgres writes it: dates and numbers by a template.
//!
//! Pure. Invariant: a template that is not understood is refused by name, never copied to the answer as if it were one.

use chrono::{Datelike as _, NaiveDateTime, Timelike as _};

/// The words of a date's template; the longest that fits is taken.
const WORDS: &[&str] = &[
    "YYYY", "HH24", "HH12", "Month", "MONTH", "month", "Day", "DAY", "day", "IYYY", "SSSS", "DDD", "Mon", "MON", "mon",
    "YYY", "Dy", "DY", "dy", "HH", "MI", "SS", "MS", "US", "AM", "PM", "am", "pm", "YY", "MM", "DD", "ID", "IW", "WW",
    "CC", "TZ", "tz", "OF", "FM", "TM", "th", "TH", "D", "W", "Q", "Y", "J",
];

/// A moment by a template; `zone` is the name and the offset shown by `TZ` and `OF`.
pub(crate) fn moment(at: NaiveDateTime, template: &str, zone: (&str, &str)) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    let mut fills = true;
    let mut number = None;
    while let Some(letter) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            out.push_str(text);
            rest = after;
            continue;
        }
        // Words are read without case, but for those whose case is the answer's.
        let is_next = |word: &&&str| rest.starts_with(**word) || starts_as_upper(rest, word);
        let Some(word) = WORDS.iter().find(is_next) else {
            if letter.is_ascii_alphabetic() && letter != 'T' {
                return Err(format!("\"{letter}\" in the template \"{template}\" is not supported"));
            }
            out.push(letter);
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
            continue;
        };
        rest = rest.get(word.len()..).unwrap_or_default();
        match *word {
            "FM" => {
                fills = false;
                continue;
            }
            "TM" => continue,
            "th" | "TH" => {
                let ordinal = ordinal(number.unwrap_or(0));
                out.push_str(&if *word == "TH" { ordinal.to_uppercase() } else { ordinal.to_owned() });
                continue;
            }
            _ => {}
        }
        let (text, value) = part(at, word, zone, fills);
        number = value;
        out.push_str(&text);
        fills = true;
    }
    Ok(out)
}

/// Whether a text starts with a word of capitals, written in any case.
fn starts_as_upper(text: &str, word: &str) -> bool {
    word.chars().all(|letter| !letter.is_ascii_lowercase())
        && !matches!(word, "MONTH" | "DAY" | "MON" | "DY" | "AM" | "PM" | "TZ" | "TH")
        && text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn part(at: NaiveDateTime, word: &str, (zone, offset): (&str, &str), fills: bool) -> (String, Option<u32>) {
    let padded =
        |value: u32, width: usize| (if fills { format!("{value:0width$}") } else { value.to_string() }, Some(value));
    let year = u32::try_from(at.year()).unwrap_or(0);
    let hour = match at.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let week_year = u32::try_from(at.iso_week().year()).unwrap_or(0);
    let named = |format: &str, width: usize| {
        let name = at.format(format).to_string();
        (if fills { format!("{name:width$}") } else { name }, None)
    };
    let cased = |(name, value): (String, Option<u32>), upper: bool| {
        (if upper { name.to_uppercase() } else { name.to_lowercase() }, value)
    };
    let half = |am: &str, pm: &str| ((if at.hour() < 12 { am } else { pm }).to_owned(), None);
    match word {
        "YYYY" => padded(year, 4),
        "YYY" => padded(year % 1000, 3),
        "YY" => padded(year % 100, 2),
        "Y" => padded(year % 10, 1),
        "IYYY" => padded(week_year, 4),
        "MM" => padded(at.month(), 2),
        "DD" => padded(at.day(), 2),
        "DDD" => padded(at.ordinal(), 3),
        "D" => padded(at.weekday().number_from_sunday(), 1),
        "ID" => padded(at.weekday().number_from_monday(), 1),
        "IW" => padded(at.iso_week().week(), 2),
        "WW" => padded((at.ordinal() - 1) / 7 + 1, 2),
        "W" => padded((at.day() - 1) / 7 + 1, 1),
        "Q" => padded(at.month0() / 3 + 1, 1),
        "CC" => padded(year.div_ceil(100), 2),
        "J" => padded(u32::try_from(at.num_days_from_ce() + 1_721_425).unwrap_or(0), 1),
        "HH24" => padded(at.hour(), 2),
        "HH12" | "HH" => padded(hour, 2),
        "MI" => padded(at.minute(), 2),
        "SS" => padded(at.second(), 2),
        "SSSS" => padded(at.num_seconds_from_midnight(), 1),
        "MS" => padded(at.nanosecond() / 1_000_000, 3),
        "US" => padded(at.nanosecond() / 1_000, 6),
        "AM" | "PM" => half("AM", "PM"),
        "am" | "pm" => half("am", "pm"),
        "Month" => named("%B", 9),
        "MONTH" => cased(named("%B", 9), true),
        "month" => cased(named("%B", 9), false),
        "Mon" => named("%b", 3),
        "MON" => cased(named("%b", 3), true),
        "mon" => cased(named("%b", 3), false),
        "Day" => named("%A", 9),
        "DAY" => cased(named("%A", 9), true),
        "day" => cased(named("%A", 9), false),
        "Dy" => named("%a", 3),
        "DY" => cased(named("%a", 3), true),
        "dy" => cased(named("%a", 3), false),
        "TZ" => (zone.to_uppercase(), None),
        "tz" => (zone.to_lowercase(), None),
        _ => (offset.to_owned(), None),
    }
}

fn ordinal(number: u32) -> &'static str {
    match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

/// A number's decimal text by a template of `9 0 . , D G S MI $ L % FM` and other signs.
pub(crate) fn number(digits: &str, template: &str) -> Result<String, String> {
    let (template, fills) = match template.strip_prefix("FM").or_else(|| template.strip_prefix("fm")) {
        Some(rest) => (rest, false),
        None => (template, true),
    };
    let upper = template.to_ascii_uppercase();
    if let Some(letter) = upper.chars().find(|c| c.is_ascii_alphabetic() && !"DGSLMI".contains(*c)) {
        return Err(format!("\"{letter}\" in the template \"{template}\" is not supported"));
    }
    let signs = upper.contains('S') || upper.contains("MI");
    let (whole_places, part_places) = match upper.split_once(['.', 'D']) {
        Some((whole, part)) => (whole, part),
        None => (upper.as_str(), ""),
    };
    let places = |text: &str| text.chars().filter(|c| matches!(c, '9' | '0')).count();
    let (negative, plain) = digits.strip_prefix('-').map_or((false, digits), |plain| (true, plain));
    let (whole, part) = rounded(plain, places(part_places));
    let negative = negative && (whole.bytes().chain(part.bytes()).any(|digit| digit != b'0'));
    let count = places(whole_places);
    let whole = whole.trim_start_matches('0');
    let overflows = whole.len() > count;
    let mut out = String::new();
    // From how many places on a zero is written, counted from the point.
    let forced = whole_places.find('0').map_or(0, |at| places(whole_places.get(at..).unwrap_or_default()));
    let shown = whole.len().max(forced).max(usize::from(part_places.is_empty()));
    let (mut left, mut started) = (count, false);
    let sign = if negative { "-" } else { " " };
    for sign_or_place in whole_places.chars() {
        match sign_or_place {
            '9' | '0' => {
                if left <= shown && !started {
                    started = true;
                    if !signs && (fills || negative) {
                        out.push_str(sign);
                    }
                }
                let digit = whole.len().checked_sub(left).and_then(|at| whole.chars().nth(at));
                match digit {
                    _ if overflows => out.push('#'),
                    Some(digit) => out.push(digit),
                    None if left <= shown => out.push('0'),
                    None if fills => out.push(' '),
                    None => {}
                }
                left -= 1;
            }
            ',' | 'G' if started => out.push(','),
            'M' if negative => out.push('-'),
            ',' | 'G' | 'M' if fills => out.push(' '),
            ',' | 'G' | 'M' | 'I' => {}
            'S' => out.push(if negative { '-' } else { '+' }),
            'L' => out.push('$'),
            other => out.push(other),
        }
    }
    if !started && !signs && (fills || negative) {
        out.push_str(sign);
    }
    if upper.contains(['.', 'D']) {
        out.push('.');
        // What is not forced ends with its last digit.
        let kept = part_places.rfind('0').map_or(0, |at| places(part_places.get(..=at).unwrap_or_default()));
        let part = if fills {
            part.as_str()
        } else {
            let trimmed = part.trim_end_matches('0').len().max(kept);
            part.get(..trimmed).unwrap_or(&part)
        };
        let mut digits = part.chars();
        for sign_or_place in part_places.chars() {
            match sign_or_place {
                '9' | '0' if overflows => out.push('#'),
                '9' | '0' => out.extend(digits.next()),
                'S' => out.push(if negative { '-' } else { '+' }),
                'M' if negative => out.push('-'),
                'M' if fills => out.push(' '),
                ',' | 'G' | 'M' | 'I' => {}
                'L' => out.push('$'),
                other => out.push(other),
            }
        }
    }
    Ok(out)
}

/// Decimal text rounded half up to so many places: its whole digits and its part.
fn rounded(plain: &str, places: usize) -> (String, String) {
    let (whole, part) = plain.split_once('.').unwrap_or((plain, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(part.bytes().chain(std::iter::repeat(b'0')).take(places)).collect();
    if part.as_bytes().get(places).is_some_and(|next| *next >= b'5') {
        let mut carries = true;
        for digit in digits.iter_mut().rev() {
            if !carries {
                break;
            }
            carries = *digit == b'9';
            *digit = if carries { b'0' } else { *digit + 1 };
        }
        if carries {
            digits.insert(0, b'1');
        }
    }
    let split = digits.len() - places;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (whole, part) = digits.split_at(split);
    (text(whole), text(part))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn dates_as_postgres_writes_them() {
        let at = NaiveDate::from_ymd_opt(2024, 2, 3).unwrap().and_hms_micro_opt(15, 4, 5, 60_000).unwrap();
        for (template, expected) in [
            ("YYYY-MM-DD HH24:MI:SS", "2024-02-03 15:04:05"),
            ("yyyy-mm-dd hh24:mi", "2024-02-03 15:04"),
            ("Mon YYYY", "Feb 2024"),
            ("Month", "February "),
            ("FMMonth FMDD, YYYY", "February 3, 2024"),
            ("DAY", "SATURDAY "),
            ("Dy DDth HH12:MI AM", "Sat 03rd 03:04 PM"),
            ("YYYY-\"Q\"Q", "2024-Q1"),
            ("IYYY-IW", "2024-05"),
            ("MS US", "060 060000"),
            ("YYYY-MM-DD\"T\"HH24:MI:SSOF", "2024-02-03T15:04:05+00"),
            ("DDD WW W D ID CC J", "034 05 1 7 6 21 2460344"),
        ] {
            assert_eq!(moment(at, template, ("utc", "+00")).unwrap(), expected, "{template}");
        }
        // What is meant for another language is not answered with its own text.
        assert!(moment(at, "%Y-%m", ("utc", "+00")).is_err());
        assert!(moment(at, "xyz", ("utc", "+00")).is_err());
    }

    #[test]
    fn numbers_as_postgres_writes_them() {
        for (digits, template, expected) in [
            ("1234567.891", "FM999,999,990.00", "1,234,567.89"),
            ("12345", "999", " ###"),
            ("0.5", "9.99", "  .50"),
            ("234", "9,999", "   234"),
            ("-234", "FM9,999MI", "234-"),
            ("234", "S999", "+234"),
            ("1234567.891", "FM9,999,990.00", "1,234,567.89"),
            ("0.5", "FM999,990.00", "0.50"),
            ("-1234.5", "FM999,990.00", "-1,234.50"),
            ("1234.5", "999,990.00", "   1,234.50"),
            ("-12", "9999", "  -12"),
            ("12", "0000", " 0012"),
            ("12.345", "FM999.99", "12.35"),
            ("12", "FM999.99", "12."),
            ("0", "9", " 0"),
            ("5", "FM$990.00", "$5.00"),
            ("0.25", "FM990.9%", "0.3%"),
            ("-0.001", "FM990.00", "0.00"),
            ("9.99", "FM990.0", "10.0"),
        ] {
            assert_eq!(number(digits, template).unwrap(), expected, "{digits} {template}");
        }
        assert!(number("1", "RN").is_err());
    }
}

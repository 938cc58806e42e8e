//! Cells as sheets write them, one by one and at random.

use proptest::prelude::*;

use super::*;

fn us(text: &str) -> Result<Option<String>, Unfit> {
    amount(text, '.')
}

fn day(text: &str) -> Option<String> {
    moment(text, DateOrder::Mdy).ok().flatten().map(|found| found.date.to_string())
}

#[test]
fn amounts_as_sheets_write_them() {
    for (text, plain) in [
        ("$1,234.50", "1234.50"),
        ("(1,234.50)", "-1234.50"),
        ("($1,234.50)", "-1234.50"),
        ("$(0.10)", "-0.10"),
        ("1,234.50-", "-1234.50"),
        ("-$5", "-5"),
        ("1,234.50 CR", "-1234.50"),
        ("7.00 dr", "7.00"),
        ("USD 12,345,678", "12345678"),
        ("1 234.50", "1234.50"),
        ("\u{a0}.5 ", "0.5"),
        ("1234567.891", "1234567.891"),
        ("10%", "10"),
        ("$ -", "0"),
        ("(0.00)", "0.00"),
        ("1.5E+03", "1.5E+03"),
    ] {
        assert_eq!(us(text), Ok(Some(plain.to_owned())), "{text}");
    }
    for text in ["", " - ", "—", "N/A"] {
        assert_eq!(us(text), Ok(None), "{text}");
    }
    for text in ["1.234,56", "12,34", "1,2345", "0,500", "1,234,56", "(-5)", "--5", "5 5", "abc", "1-2", "$", "1.2.3"] {
        assert_eq!(us(text), Err(Unfit), "{text}");
    }
}

#[test]
fn a_comma_before_the_fraction_is_read_where_the_bundle_says_so() {
    for (text, plain) in [("1.234,56", "1234.56"), ("€ 12,5", "12.5"), ("(1.234.567)", "-1234567")] {
        assert_eq!(amount(text, ','), Ok(Some(plain.to_owned())), "{text}");
    }
    assert_eq!(amount("1,234.56", ','), Err(Unfit));
}

#[test]
fn days_as_sheets_write_them() {
    for text in [
        "2026-01-05",
        "1/5/2026",
        "01/05/26",
        "1-5-2026",
        "20260105",
        "Jan 5, 2026",
        "5-Jan-2026",
        "January 5 2026",
        "46027",
        "1/5/2026 3:45 PM",
        "2026-01-05T23:30:00",
        "2026/01/05",
        "5 Jan 26",
    ] {
        assert_eq!(day(text).as_deref(), Some("2026-01-05"), "{text}");
    }
    assert_eq!(day("Sept 9, 2026").as_deref(), Some("2026-09-09"));
    assert_eq!(day("Oct 9, 2026").as_deref(), Some("2026-10-09"));
    for text in ["13/02/2026", "2026-02-30", "soon", "5/2026", "Jan Feb 2026", "123"] {
        assert_eq!(moment(text, DateOrder::Mdy), Err(Unfit), "{text}");
    }
    assert_eq!(moment("00/00/0000", DateOrder::Mdy), Ok(None));
    let found = moment("13/02/2026", DateOrder::Dmy).ok().flatten().map(|found| found.date.to_string());
    assert_eq!(found.as_deref(), Some("2026-02-13"));
}

#[test]
fn day_numbers_know_the_day_that_was_none() {
    let found = |text: &str| serial(text).map(|found| found.date.to_string());
    assert_eq!(found("1").as_deref(), Some("1900-01-01"));
    assert_eq!(found("59").as_deref(), Some("1900-02-28"));
    assert_eq!(found("61").as_deref(), Some("1900-03-01"));
    assert_eq!(serial("46027.5").and_then(|found| found.time), NaiveTime::from_hms_opt(12, 0, 0));
    assert_eq!(found("46027.9999999999").as_deref(), Some("2026-01-06"));
}

#[test]
fn moments_are_of_the_bundles_zone() {
    let forms = Forms { decimal: '.', dates: DateOrder::Mdy, zone: chrono_tz::America::Chicago };
    let kind = ColumnKind::Plain(ColumnType::Timestamp);
    let told = |text: &str| Value::Text(text.to_owned()).plain(kind, forms);
    assert_eq!(told("1/5/2026 3:45 PM"), Plain::Of("2026-01-05T21:45:00Z".to_owned()));
    assert_eq!(told("2026-01-05T03:45:00+01:00"), Plain::Of("2026-01-05T02:45:00Z".to_owned()));
    // Passed over in the zone, and come twice.
    assert_eq!(told("3/8/2026 2:30 AM"), Plain::Of("2026-03-08T08:30:00Z".to_owned()));
    assert_eq!(told("11/1/2026 1:30 AM"), Plain::Of("2026-11-01T06:30:00Z".to_owned()));
}

#[test]
fn text_keeps_its_zeros_and_numbers_in_it_have_no_point() {
    let forms = Forms { decimal: '.', dates: DateOrder::Mdy, zone: Tz::UTC };
    let kind = ColumnKind::Plain(ColumnType::Text);
    assert_eq!(Value::Text(" 00420 ".to_owned()).plain(kind, forms), Plain::Of("00420".to_owned()));
    assert_eq!(Value::Number("420".to_owned()).plain(kind, forms), Plain::Of("420".to_owned()));
}

#[test]
fn an_amount_is_the_same_as_text_and_as_a_float() {
    let forms = Forms { decimal: '.', dates: DateOrder::Mdy, zone: Tz::UTC };
    let kind = ColumnKind::Plain(ColumnType::Decimal(24, 6));
    for (text, number) in
        [("$1,200.50", "1200.5"), ("100.00", "100"), ("(0.10)", "-0.1"), ("1,000", "1000"), ("0.00", "0")]
    {
        let plain = Value::Text(text.to_owned()).plain(kind, forms);
        assert_eq!(plain, Value::Number(number.to_owned()).plain(kind, forms));
        assert_eq!(plain, Plain::Of(number.to_owned()));
    }
}

/// Cents with groups, a sign in one of its forms, and a currency or none.
fn sheet(cents: i64, style: u8) -> String {
    let digits = cents.unsigned_abs().to_string();
    let padded = format!("{digits:0>3}");
    let (whole, fraction) = padded.split_at(padded.len() - 2);
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 && style & 1 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let currency = if style & 2 == 0 { "$" } else { "" };
    let plain = format!("{currency}{grouped}.{fraction}");
    match (cents < 0, style >> 2) {
        (false, _) => plain,
        (true, 0) => format!("({plain})"),
        (true, 1) => format!("-{plain}"),
        (true, 2) => format!("{plain}-"),
        (true, _) => format!("{plain} CR"),
    }
}

proptest! {
    #[test]
    fn every_amount_comes_back_to_the_cent(cents in -9_000_000_000_000_i64..9_000_000_000_000, style in 0_u8..16) {
        let text = sheet(cents, style);
        let sign = if cents < 0 { "-" } else { "" };
        let plain = format!("{sign}{}.{:02}", cents.unsigned_abs() / 100, cents.unsigned_abs() % 100);
        prop_assert_eq!(us(&text), Ok(Some(plain)), "{}", text);
    }

    #[test]
    fn every_day_comes_back(days in -20_000_i32..60_000) {
        let date = NaiveDate::from_epoch_days(days).unwrap();
        for form in ["%Y-%m-%d", "%m/%d/%Y", "%-m/%-d/%Y", "%b %-d, %Y", "%d-%b-%Y", "%Y%m%d", "%-m/%-d/%Y 11:59 PM"] {
            let text = date.format(form).to_string();
            prop_assert_eq!(day(&text), Some(date.to_string()), "{}", text);
        }
    }

    #[test]
    fn nothing_ends_in_a_panic(text in "\\PC{0,20}") {
        let _ = (us(&text), amount(&text, ','), moment(&text, DateOrder::Mdy), moment(&text, DateOrder::Dmy));
    }
}

//! What each type looks like as text and in binary.

use datafusion::arrow::array::{Int8Array, UInt8Array, UInt64Array};
use datafusion::arrow::datatypes::{Int32Type, i256};

use super::*;

fn utc() -> Tz {
    "UTC".parse().unwrap()
}

fn text(array: impl Array + 'static, row: usize) -> String {
    let cells = Cells::new(&(Arc::new(array) as ArrayRef)).unwrap();
    let mut out = BytesMut::new();
    cells.text(row, utc(), &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn binary(array: impl Array + 'static, row: usize) -> Vec<u8> {
    let cells = Cells::new(&(Arc::new(array) as ArrayRef)).unwrap();
    let mut out = BytesMut::new();
    cells.binary(row, &mut out);
    out.to_vec()
}

#[test]
fn small_integers_are_widened() {
    assert_eq!(binary(Int8Array::from(vec![1, -1]), 1), (-1_i16).to_be_bytes());
    assert_eq!(binary(UInt8Array::from(vec![255]), 0), 255_i16.to_be_bytes());
    assert_eq!(text(UInt64Array::from(vec![u64::MAX]), 0), "18446744073709551615");
}

#[test]
fn numeric_keeps_every_digit() {
    let widest = Decimal128Array::from(vec![99_999_999_999_999_999_999_999_999_999_999_999_999_i128, -5])
        .with_precision_and_scale(38, 2)
        .unwrap();
    assert_eq!(text(widest.clone(), 0), "999999999999999999999999999999999999.99");
    assert_eq!(text(widest, 1), "-0.05");
    let wide = Decimal256Array::from(vec![i256::from_string("1234567890123456789012345678901234567890123").unwrap()])
        .with_precision_and_scale(76, 3)
        .unwrap();
    assert_eq!(text(wide, 0), "1234567890123456789012345678901234567890.123");
}

#[test]
fn lists_are_arrays() {
    let list = || ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), Some(vec![])]);
    assert_eq!(text(list(), 0), "{1,NULL}");
    assert_eq!(text(list(), 1), "{}");
    let expected = [1, 1, 23, 2, 1, 4, 1, -1].map(i32::to_be_bytes).concat();
    assert_eq!(binary(list(), 0), expected);
    assert_eq!(binary(list(), 1), [0, 0, 23].map(i32::to_be_bytes).concat());
}

#[test]
fn a_modifier_tells_precision_and_scale() {
    assert_eq!(type_modifier(&DataType::Decimal128(18, 2)), (18 << 16 | 2) + 4);
    assert_eq!(type_modifier(&DataType::Utf8), -1);
}

#[test]
fn floats_are_written_as_postgres_writes_them() {
    let shown = |value: f64| text(Float64Array::from(vec![value]), 0);
    for (value, expected) in [
        (1.0, "1"),
        (-0.25, "-0.25"),
        (1e14, "100000000000000"),
        (1e15, "1e+15"),
        (1e-4, "0.0001"),
        (1.5e-7, "1.5e-07"),
        (1234.5678, "1234.5678"),
        (0.0, "0"),
        (f64::NEG_INFINITY, "-Infinity"),
        (f64::NAN, "NaN"),
    ] {
        assert_eq!(shown(value), expected);
    }
    assert_eq!(text(Float32Array::from(vec![1_234_567.0_f32]), 0), "1.234567e+06");
}

#[test]
fn intervals_and_rows_have_both_forms() {
    let between = DurationMicrosecondArray::from(vec![90_000_000_000]);
    assert_eq!(text(between.clone(), 0), "1 day 01:00:00");
    assert_eq!(binary(between, 0), [3_600_000_000_i64.to_be_bytes().to_vec(), vec![0, 0, 0, 1, 0, 0, 0, 0]].concat());
    let row = StructArray::from(vec![
        (Arc::new(Field::new("a", DataType::Int16, true)), Arc::new(Int16Array::from(vec![7])) as ArrayRef),
        (Arc::new(Field::new("b", DataType::Utf8, true)), Arc::new(StringArray::from(vec!["two \"words\""]))),
        (Arc::new(Field::new("c", DataType::Utf8, true)), Arc::new(StringArray::from(vec![None::<&str>]))),
    ]);
    assert_eq!(text(row.clone(), 0), "(7,\"two \"\"words\"\"\",)");
    let expected = [0, 0, 0, 3, 0, 0, 0, 21, 0, 0, 0, 2, 0, 7, 0, 0, 0, 25, 0, 0, 0, 11];
    let found = binary(row, 0);
    assert_eq!(found[..expected.len()], expected);
    assert_eq!(found[expected.len() + 11..], [0, 0, 0, 25, 255, 255, 255, 255]);
}

#[test]
fn a_mark_tells_what_a_text_is() {
    let array: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let field = |mark: &str| {
        Field::new("c", DataType::Utf8, true).with_metadata([(SHOWN_AS.to_owned(), mark.to_owned())].into())
    };
    let written = |mark: &str| {
        let mut out = BytesMut::new();
        Cells::of(&array, &field(mark)).unwrap().binary(0, &mut out);
        (column_type(&field(mark)), out.to_vec())
    };
    assert_eq!(written("json"), (Type::JSON, b"1".to_vec()));
    assert_eq!(written("jsonb"), (Type::JSONB, b"\x011".to_vec()));
    assert_eq!(
        column_type(&Field::new("c", DataType::Int64, true).with_metadata(field("json").metadata().clone())),
        Type::INT8
    );
}

#[test]
fn more_digits_than_there_are_is_an_error() {
    let most = 99_999_999_999_999_999_999_999_999_999_999_999_999_i128;
    // As arithmetic leaves it: nobody looked at how many digits there are.
    let array = |value: i128| {
        Arc::new(Decimal128Array::from(vec![value]).with_data_type(DataType::Decimal128(38, 0))) as ArrayRef
    };
    assert!(Cells::new(&array(most)).is_ok());
    assert!(Cells::new(&array(most + 1)).is_err());
}

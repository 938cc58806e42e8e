//! Rows of several values as text.

use bytes::{BufMut as _, BytesMut};
use datafusion::arrow::array::timezone::Tz;
use pgwire::api::Type;

use super::Cells;

/// `(1,"two words",)`: a row's values, null as nothing.
pub(super) fn text(columns: &[(Cells, Type)], row: usize, zone: Tz, out: &mut BytesMut) {
    out.put_u8(b'(');
    for (place, (column, _)) in columns.iter().enumerate() {
        if place > 0 {
            out.put_u8(b',');
        }
        if column.is_null(row) {
            continue;
        }
        let mut text = BytesMut::new();
        column.text(row, zone, &mut text);
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | b',' | b'(' | b')') || byte.is_ascii_whitespace();
        if !text.is_empty() && !text.iter().any(is_special) {
            out.put_slice(&text);
            continue;
        }
        out.put_u8(b'"');
        for byte in text {
            if matches!(byte, b'"' | b'\\') {
                out.put_u8(byte);
            }
            out.put_u8(byte);
        }
        out.put_u8(b'"');
    }
    out.put_u8(b')');
}

//! The functions that read and write Postgres' types: clients join `pg_type` to them to tell arrays from other types.

/// Their oids and names, as every Postgres has them.
#[rustfmt::skip]
const PROCS: &[(i64, &str)] = &[
    (31, "byteaout"), (33, "charout"), (34, "namein"), (35, "nameout"),
    (38, "int2in"), (39, "int2out"), (40, "int2vectorin"), (41, "int2vectorout"),
    (42, "int4in"), (43, "int4out"), (44, "regprocin"), (45, "regprocout"),
    (46, "textin"), (47, "textout"), (54, "oidvectorin"), (55, "oidvectorout"),
    (109, "unknownin"), (110, "unknownout"), (200, "float4in"), (201, "float4out"),
    (214, "float8in"), (215, "float8out"), (321, "json_in"), (322, "json_out"),
    (323, "json_recv"), (324, "json_send"), (460, "int8in"), (461, "int8out"),
    (750, "array_in"), (751, "array_out"), (1044, "bpcharin"), (1045, "bpcharout"),
    (1046, "varcharin"), (1047, "varcharout"), (1084, "date_in"), (1085, "date_out"),
    (1143, "time_in"), (1144, "time_out"), (1150, "timestamptz_in"), (1151, "timestamptz_out"),
    (1160, "interval_in"), (1161, "interval_out"), (1242, "boolin"), (1243, "boolout"),
    (1244, "byteain"), (1245, "charin"), (1312, "timestamp_in"), (1313, "timestamp_out"),
    (1701, "numeric_in"), (1702, "numeric_out"), (1798, "oidin"), (1799, "oidout"),
    (2400, "array_recv"), (2401, "array_send"), (2404, "int2recv"), (2405, "int2send"),
    (2406, "int4recv"), (2407, "int4send"), (2408, "int8recv"), (2409, "int8send"),
    (2410, "int2vectorrecv"), (2411, "int2vectorsend"), (2412, "bytearecv"), (2413, "byteasend"),
    (2414, "textrecv"), (2415, "textsend"), (2416, "unknownrecv"), (2417, "unknownsend"),
    (2418, "oidrecv"), (2419, "oidsend"), (2420, "oidvectorrecv"), (2421, "oidvectorsend"),
    (2422, "namerecv"), (2423, "namesend"), (2424, "float4recv"), (2425, "float4send"),
    (2426, "float8recv"), (2427, "float8send"), (2430, "bpcharrecv"), (2431, "bpcharsend"),
    (2432, "varcharrecv"), (2433, "varcharsend"), (2434, "charrecv"), (2435, "charsend"),
    (2436, "boolrecv"), (2437, "boolsend"), (2444, "regprocrecv"), (2445, "regprocsend"),
    (2460, "numeric_recv"), (2461, "numeric_send"), (2468, "date_recv"), (2469, "date_send"),
    (2470, "time_recv"), (2471, "time_send"), (2474, "timestamp_recv"), (2475, "timestamp_send"),
    (2476, "timestamptz_recv"), (2477, "timestamptz_send"), (2478, "interval_recv"), (2479, "interval_send"),
    (2952, "uuid_in"), (2953, "uuid_out"), (2961, "uuid_recv"), (2962, "uuid_send"),
    (3803, "jsonb_send"), (3804, "jsonb_out"), (3805, "jsonb_recv"), (3806, "jsonb_in"),
];

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = (i64, &'static str)> {
    PROCS.iter().copied()
}

/// The name of one; a number that nobody knows stands for itself, 0 for none.
pub(crate) fn name(oid: i64) -> String {
    let known = PROCS.iter().find(|known| known.0 == oid);
    known.map_or_else(|| if oid == 0 { "-".to_owned() } else { oid.to_string() }, |known| known.1.to_owned())
}

/// The number of one; 0 for none.
pub(crate) fn oid(name: &str) -> Option<i64> {
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    let known = PROCS.iter().find(|known| known.1 == name).map(|known| known.0);
    known.or_else(|| if name == "-" { Some(0) } else { name.parse().ok() })
}

/// The functions of a type of that name: input, output, receive, send.
pub(crate) fn of_type(name: &str) -> [i64; 4] {
    let stem = if name.starts_with('_') { "array" } else { name };
    ["in", "out", "recv", "send"]
        .map(|word| oid(&format!("{stem}{word}")).or_else(|| oid(&format!("{stem}_{word}"))).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_functions() {
        assert_eq!(of_type("bool"), [1242, 1243, 2436, 2437]);
        assert_eq!(of_type("_text"), [750, 751, 2400, 2401]);
        assert_eq!(of_type("timestamptz"), [1150, 1151, 2476, 2477]);
        assert_eq!(
            (name(2400), name(0), oid("pg_catalog.array_in"), oid("-")),
            ("array_recv".into(), "-".into(), Some(750), Some(0))
        );
    }
}

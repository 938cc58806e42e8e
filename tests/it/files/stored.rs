//! Bundles in object stores, and bundles of Parquet files: read as one of text on a disk is.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::Int32Type;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::task::spawn_blocking;

use super::{changed, extract, rows, texts, workspace, write_bundle};
use crate::warehouse::google;

const VENDORS: &str = "Company,Email,Active\nPainters,p@example.com,Yes\nLumber Yard,,No\n";
const ORDERS: &str = "PO #,Job,Assigned to,Cost code,Amount,Approval status,Created date\n\
                      0042,Miller Residence,Lumber Yard,06-100 Framing,\"1,000.10\",Approved,11/3/2026\n\
                      7,Old Mill,Painters,,(250.00),Draft,\n";

/// Puts a bundle's files below `http://…/bucket/folder`, its manifest last, under names that need escaping.
fn put(folder: &str, as_of: &str, orders: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let files: [(&str, &str, &[u8]); 2] =
        [("vendors", "subs & vendors.csv", VENDORS.as_bytes()), ("POs", "purchase orders.csv", orders.as_bytes())];
    write_bundle(scratch.path(), as_of, &files);
    for name in ["subs & vendors.csv", "purchase orders.csv", "bundle.json"] {
        let bytes = std::fs::read(scratch.path().join(name)).unwrap();
        put_object(&format!("{folder}/{}", name.replace(' ', "%20")), &bytes);
    }
}

/// One request, to a server that lets anybody write.
fn put_object(url: &str, bytes: &[u8]) {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut server = TcpStream::connect(host).unwrap();
    // Whoever may write it may write it again.
    let head = format!(
        "PUT /{path} HTTP/1.1\r\nHost: {host}\r\nx-amz-acl: public-read-write\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        bytes.len()
    );
    server.write_all(&[head.as_bytes(), bytes].concat()).unwrap();
    let mut answer = String::new();
    server.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{url}: {answer}");
}

async fn run(folder: &Path, now: &'static str) -> (Option<i32>, String) {
    let folder = folder.to_path_buf();
    spawn_blocking(move || extract(&folder, now)).await.unwrap()
}

/// A bundle at `address` of tieout.toml, whose objects are put below `url`.
async fn in_a_bucket(address: &str, url: &str) {
    let folder = workspace();
    let settings = format!(
        "[firm]\ntimezone = \"America/Chicago\"\n[sources.buildertrend]\nkind = \"buildertrend\"\nbundle = \"{address}\"\n"
    );
    std::fs::write(folder.path().join("tieout.toml"), settings).unwrap();
    let (code, told) = run(folder.path(), "2026-11-20T07:00:00Z").await;
    assert!(code == Some(3) && told.contains("there is no such file, nor any other of a bundle"), "{code:?} {told}");

    // The newest of the folders there.
    put(
        &format!("{url}/2026-10"),
        "2026-10-20T06:00:00Z",
        "PO #,Job,Assigned to,Amount,Approval status\n1,A,B,1,Draft\n",
    );
    put(&format!("{url}/2026-11"), "2026-11-20T06:00:00Z", ORDERS);
    run(folder.path(), "2026-11-20T07:00:00Z").await;
    let query = "select po_number, job, cost_code, amount, created_date, _raw from buildertrend.purchase_orders order by po_number";
    let (place, disk) = (folder.path().to_path_buf(), workspace());
    let in_bucket = spawn_blocking(move || rows(&place, query)).await.unwrap();
    let files: [(&str, &str, &[u8]); 2] =
        [("vendors", "v.csv", VENDORS.as_bytes()), ("POs", "p.csv", ORDERS.as_bytes())];
    write_bundle(&disk.path().join("exports"), "2026-11-20T06:00:00Z", &files);
    run(disk.path(), "2026-11-20T07:00:00Z").await;
    assert_eq!(in_bucket, rows(disk.path(), query));
    assert_eq!(in_bucket.len(), 2);

    // Overwritten after its manifest was written: refused by its own address, and nothing is lost.
    put(&format!("{url}/2026-12"), "2026-12-01T06:00:00Z", ORDERS);
    put_object(&format!("{url}/2026-12/purchase%20orders.csv"), ORDERS.as_bytes().get(..90).unwrap());
    let (_, told) = run(folder.path(), "2026-12-01T07:00:00Z").await;
    let file = format!("{}/2026-12/purchase orders.csv", address.split('?').next().unwrap());
    assert!(told.contains(&file) && told.contains("sha256 is not the manifest's"), "{file}\n{told}");
    assert_eq!(rows(folder.path(), query), in_bucket);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_in_a_bucket_is_read_as_on_a_disk() {
    let server = google::serve().await;
    in_a_bucket(&format!("gs://books/exports?endpoint={server}"), &format!("{server}/books/exports")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs an S3 server that lets anybody write: TIEOUT_TEST_S3=s3://bucket/folder?endpoint=http://127.0.0.1:5000"]
async fn a_bundle_in_s3_is_read_as_on_a_disk() {
    let place = std::env::var("TIEOUT_TEST_S3").unwrap_or_else(|_| panic!("TIEOUT_TEST_S3 says where the server is"));
    let (bucket, endpoint) = place.trim_start_matches("s3://").split_once("?endpoint=").unwrap();
    let below = format!("{bucket}/exports-{}", uuid::Uuid::new_v4());
    in_a_bucket(&format!("s3://{below}?endpoint={endpoint}"), &format!("{endpoint}/{below}")).await;
}

fn parquet(columns: Vec<(&str, ArrayRef)>, compression: Compression) -> Vec<u8> {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let mut bytes = Vec::new();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// What a data lake writes: typed columns, whatever wrote them.
#[test]
fn typed_files_hold_the_same_records_as_text() {
    let folder = workspace();
    let exports = folder.path().join("exports");
    let files: [(&str, &str, &[u8]); 2] =
        [("vendors", "v.csv", VENDORS.as_bytes()), ("POs", "p.csv", ORDERS.as_bytes())];
    write_bundle(&exports, "2026-11-20T06:00:00Z", &files);
    extract(folder.path(), "2026-11-20T07:00:00Z");
    let query = "select po_number, job, vendor, cost_code, amount, status, created_date from buildertrend.purchase_orders order by po_number";
    let as_text = rows(folder.path(), query);
    let text = |values: [Option<&str>; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let named: DictionaryArray<Int32Type> = ["Approved", "Draft"].into_iter().collect();
    let cents = Decimal128Array::from(vec![100_010, -25_000]).with_precision_and_scale(18, 2).unwrap();
    // 3 November 2026 is day 20,760.
    let day = 20_760;
    let midnight = TimestampNanosecondArray::from(vec![Some(i64::from(day) * 86_400_000_000_000), None]);
    let floats = Float64Array::from(vec![1000.1, -250.0]);
    let amounts: [ArrayRef; 2] = [Arc::new(cents), Arc::new(floats)];
    let days: [ArrayRef; 2] = [Arc::new(Date32Array::from(vec![Some(day), None])), Arc::new(midnight)];
    let compressions = [Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())];
    for ((amount, created), compression) in amounts.into_iter().zip(days).zip(compressions) {
        let orders = parquet(
            vec![
                ("PO #", text([Some("0042"), Some("7")])),
                ("Job", text([Some("Miller Residence"), Some("Old Mill")])),
                ("Assigned to", text([Some("Lumber Yard"), Some("Painters")])),
                ("Cost code", text([Some("06-100 Framing"), None])),
                ("Amount", amount),
                ("Approval status", Arc::new(named.clone())),
                ("Created date", created),
            ],
            compression,
        );
        let flags = Arc::new(BooleanArray::from(vec![true, false])) as ArrayRef;
        let vendors = parquet(
            vec![
                ("company", text([Some("Painters"), Some("Lumber Yard")])),
                ("email", text([Some("p@example.com"), None])),
                ("active", flags),
                ("legacy id", Arc::new(Int64Array::from(vec![1, 2]))),
            ],
            compression,
        );
        write_bundle(
            &exports,
            "2026-11-21T06:00:00Z",
            &[("vendors", "v.parquet", &vendors), ("POs", "p.parquet", &orders)],
        );
        let (_, told) = extract(folder.path(), "2026-11-21T07:00:00Z");
        assert_eq!(rows(folder.path(), query), as_text, "{compression:?}");
        assert!(changed(&told).is_some_and(|count| count <= 2), "orders are as they were: {told}");
        let active =
            texts(folder.path(), "select name || ' ' || cast(is_active as varchar) from pm.vendors order by 1");
        assert_eq!(active, ["Lumber Yard false", "Painters true"]);
        let status =
            texts(folder.path(), "select status from meta.coverage where table_name in ('vendors', 'purchase_orders')");
        assert_eq!(status, ["ok", "ok"]);
        // Cut in the middle, it is none.
        write_bundle(&exports, "2026-11-21T06:00:00Z", &[("POs", "p.parquet", &orders[..orders.len() / 2])]);
        let (_, told) = extract(folder.path(), "2026-11-21T08:00:00Z");
        assert!(
            told.contains("buildertrend.purchase_orders: failed") && told.contains("no whole Parquet file"),
            "{told}"
        );
        assert_eq!(rows(folder.path(), query), as_text);
    }
}

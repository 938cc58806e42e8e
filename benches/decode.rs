//! How fast pages of requisitions become typed values, raw text and content hashes, on one core:
//! `cargo bench -p tieout-json --bench decode`.
//!
//! A page is as Procore gives it (`view=extended`): a header of some forty fields, a summary, and items, each a row of its own.
//! What is measured is all that an extraction does to a page's bytes: find the records, redact them, type their columns,
//! hash them, and the same for the items. Time is that of the processor where the system tells it (Linux), so that others on
//! the machine cost nothing. Aim: 100 MB/s.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use tieout_json::{Form, Json, Kind, Pattern, Plan, Rules, Sensitive, Slice, Space, Tape, look_up};

const MONEY: Form = Form::Decimal(24, 6);

/// How long is measured.
const MEASURED: Duration = Duration::from_secs(3);

fn item(id: usize) -> String {
    format!(
        r#"{{"id":{id},"line_item_id":{},"item_type":"contract_item","cost_code_id":{},"description":"Furnish and install \"Type X\" board, level {}","scheduled_value":"{}.50","work_completed_from_previous_application":"{}.00","work_completed_this_period":"1250.25","materials_presently_stored":"0.0","total_completed_and_stored_to_date":"{}.25","total_completed_and_stored_to_date_percent":"96.36","work_completed_retainage_retained_this_period":"125.03","subcontractor_claimed_amount":"1250.25","net_amount":"1125.22","gross_amount":"1250.25","ssr_manual_override":false,"status":"approved","comment":null,"position":{},"uom":"ls","taxes":[]}}"#,
        562_949_953_421_312 + id,
        562_949_953_400_000 + id % 200,
        id % 30,
        id % 90_000,
        id % 60_000,
        id % 70_000,
        id % 40,
    )
}

fn requisition(id: usize) -> String {
    let items: Vec<String> = (0..25).map(|place| item(id * 25 + place)).collect();
    let summary: String = [
        "original_contract_sum",
        "net_change_by_change_orders",
        "contract_sum_to_date",
        "total_completed_and_stored_to_date",
        "completed_work_retainage_amount",
        "stored_materials_retainage_amount",
        "total_retainage",
        "total_earned_less_retainage",
        "less_previous_certificates_for_payment",
        "current_payment_due",
        "balance_to_finish_including_retainage",
        "tax_applicable_to_this_payment",
    ]
    .iter()
    .fold(String::new(), |mut text, name| {
        let _ = write!(
            text,
            "{}\"{name}\":\"{}.{:02}\"",
            if text.is_empty() { "" } else { "," },
            id * 17 % 99_999,
            id % 100
        );
        text
    });
    format!(
        r#"{{"id":{id},"project_id":5629499534,"commitment_id":{},"commitment_type":"WorkOrderContract","contract_name":"SC-{id:04} Drywall & framing","vendor_id":77123,"vendor_name":"Société du Plâtre","number":{},"invoice_number":"INV-{id:06}","invoice_type":"progress","contract_invoicing_method":"progressive","status":"approved","erp_status":"synced","final":false,"period_id":991,"requisition_start":"2026-01-01","requisition_end":"2026-01-31","billing_date":"2026-01-31","submitted_at":"2026-02-01T15:04:05Z","payment_date":null,"percent_complete":"96.36%","total_claimed_amount":"{}.25","previous_requisition_id":null,"origin_id":null,"origin_data":null,"comment":null,"payment_summary":{{}},"summary":{{{summary}}},"currency_configuration":{{"currency_iso_code":"USD","base_currency_iso_code":"USD","exchange_rate":1.0}},"tax_summary":[],"custom_fields":{{"custom_field_123":{{"data_type":"string","value":"Phase 2"}}}},"created_by":{{"id":9,"login":"jo@firm.example","name":"Jo"}},"created_at":"2026-01-31T10:00:00Z","updated_at":"2026-02-03T11:12:13Z","attachments":[{{"id":5,"url":"https://storage.example/f/a.pdf?X-Amz-Signature=abcdef","filename":"a.pdf"}}],"items":[{}]}}"#,
        id % 400,
        id % 24,
        id % 80_000,
        items.join(",")
    )
}

fn columns(of: &[(&str, Form)]) -> Vec<Option<(String, Form)>> {
    of.iter().map(|(path, form)| Some(((*path).to_owned(), *form))).collect()
}

fn headers() -> Plan {
    let (int, text, date, at) = (Form::Int64, Form::Text, Form::Date, Form::Timestamp);
    let sensitive = vec![(Pattern::parse("attachments"), Sensitive::Drop)];
    let columns = columns(&[
        ("id", int),
        ("commitment_id", int),
        ("commitment_type", text),
        ("vendor_id", int),
        ("number", int),
        ("invoice_number", text),
        ("invoice_type", text),
        ("status", text),
        ("erp_status", text),
        ("final", Form::Bool),
        ("period_id", int),
        ("requisition_start", date),
        ("requisition_end", date),
        ("billing_date", date),
        ("submitted_at", at),
        ("payment_date", date),
        ("percent_complete", text),
        ("total_claimed_amount", MONEY),
        ("summary.contract_sum_to_date", MONEY),
        ("summary.total_completed_and_stored_to_date", MONEY),
        ("summary.total_retainage", MONEY),
        ("summary.current_payment_due", MONEY),
        ("summary.tax_applicable_to_this_payment", MONEY),
        ("currency_configuration.currency_iso_code", text),
        ("origin_id", text),
        ("created_at", at),
        ("updated_at", at),
    ]);
    Plan { columns, rules: Rules { sensitive, ..Rules::default() }, ..Plan::default() }
}

fn items() -> Plan {
    let columns = columns(&[
        ("id", Form::Int64),
        ("line_item_id", Form::Int64),
        ("item_type", Form::Text),
        ("cost_code_id", Form::Int64),
        ("description", Form::Text),
        ("scheduled_value", MONEY),
        ("work_completed_this_period", MONEY),
        ("materials_presently_stored", MONEY),
        ("total_completed_and_stored_to_date", MONEY),
        ("work_completed_retainage_retained_this_period", MONEY),
        ("net_amount", MONEY),
        ("gross_amount", MONEY),
        ("status", Form::Text),
        ("position", Form::Int64),
    ]);
    Plan { columns, ..Plan::default() }
}

/// Headers and items of a page.
fn decode(page: &[u8], headers: &Plan, items: &Plan, spaces: &mut [Space; 2]) -> usize {
    let [space, inner] = spaces;
    let page = Json::read(page).unwrap();
    let records: Vec<Slice> = page.root().items().map(|record| page.slice(record)).collect();
    let (mut rows, mut tape) = (0, Tape::default());
    for record in &records {
        let record = headers.redact(record, None, space, |_| {}).unwrap();
        black_box((headers.read(&record, space, |_| {}).unwrap(), record.as_str().to_owned()));
        rows += 1;
        let list = look_up(tape.read(record.as_str()).unwrap(), "items", None).unwrap().unwrap();
        assert!(list.kind() == Kind::List, "a requisition has its items");
        for item in list.items().map(|item| record.of(item)) {
            black_box((items.read(&item, inner, |_| {}).unwrap(), item.as_str().to_owned()));
            rows += 1;
        }
    }
    rows
}

/// Time that this process has had on a processor; else time that went by.
fn spent() -> Duration {
    static BEGAN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/self/schedstat").ok();
    let nanos = told.and_then(|text| text.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| BEGAN.elapsed(), Duration::from_nanos)
}

fn main() {
    let page = format!("[{}]", (1..=100).map(requisition).collect::<Vec<_>>().join(","));
    let (headers, items, mut space) = (headers(), items(), [Space::default(), Space::default()]);
    let rows = decode(page.as_bytes(), &headers, &items, &mut space);
    let mut stages = Vec::new();
    let wanted = std::env::args().nth(1).filter(|word| !word.starts_with("--"));
    let mut measure = |name: &'static str, work: &mut dyn FnMut()| {
        if wanted.as_ref().is_some_and(|word| !name.contains(word.as_str())) {
            return;
        }
        let (began, mut pages) = (spent(), 0_u128);
        while spent().saturating_sub(began) < MEASURED {
            work();
            pages += 1;
        }
        let micros = spent().saturating_sub(began).as_micros().max(1);
        // Bytes per microsecond are megabytes per second.
        stages.push((name, page.len() as u128 * pages / micros));
    };
    measure("find the values", &mut || drop(black_box(Json::read(page.as_bytes()).unwrap())));
    let json = Json::read(page.as_bytes()).unwrap();
    let records: Vec<Slice> = json.root().items().map(|record| json.slice(record)).collect();
    measure("redact", &mut || {
        for record in &records {
            black_box(headers.redact(record, None, &mut space[0], |_| {}).unwrap());
        }
    });
    measure("hash", &mut || {
        for record in &records {
            black_box(headers.hash(record, &mut space[0]).unwrap());
        }
    });
    measure("all of it", &mut || {
        black_box(decode(page.as_bytes(), &headers, &items, &mut space));
    });
    println!("a page of 100 requisitions: {} kB, {rows} rows", page.len() / 1000);
    for (name, speed) in stages {
        println!("{name:16} {speed:>5} MB/s on one core");
    }
}

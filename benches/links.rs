//! Automatic links on a labelled set of vendors: how many are true, how many true pairs are linked, how long it takes.
//!
//! `cargo bench --profile dev --bench links -- [COMPANIES]` (default 50,000 on each side). The companies are those of the bench
//! `suggestions`, seven in ten on both sides, here with legal forms, capitals and punctuation as each side's clerk writes them.
//! PM stores the ERP's id of four in ten; it knows the tax id of half of them, the ERP of eight in ten. What is measured is the
//! view `link.vendors` with the shipped rules, from names as written.

#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "a bench prints, and measures"
)]
#![expect(clippy::cast_precision_loss, reason = "shares of counts")]

mod companies;

use std::collections::BTreeMap;
use std::env;
use std::time::Instant;

use arrow::array::{AsArray as _, RecordBatch};
use companies::{company, otherwise};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tieout::definitions::Definitions;
use tieout::engine::{Engine, EngineSettings, Workbench};
use tieout::warehouse::Warehouse;

const FORMS: [&str; 8] = ["", ", Inc.", " Inc", " LLC", ", L.L.C.", " Co.", " Corp", " Company"];

/// Rows of one `insert`.
const ROWS: usize = 2_000;

#[tokio::main]
async fn main() {
    let companies = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(50_000);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let all: Vec<_> = (0..companies * 13 / 10).map(|_| company(&mut rng)).collect();
    // The first seven in ten stand on both sides, then come those of the ERP alone, then those of PM alone.
    let both = companies * 7 / 10;
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let tax_id = |number: usize, share: f64, rng: &mut ChaCha8Rng| {
        if rng.random_bool(share) { format!("'hash {number}'") } else { "null".to_owned() }
    };
    let mut erp_rows = Vec::new();
    for (number, company) in all[..companies].iter().enumerate() {
        let name = quoted(&written(&company.name, &mut rng));
        erp_rows
            .push(format!("('E{number}', null, {name}, normalize_name({name}), {})", tax_id(number, 0.8, &mut rng)));
    }
    let mut pm_rows = Vec::new();
    for (number, company) in all.iter().enumerate().filter(|(number, _)| *number < both || *number >= companies) {
        let name = quoted(&written(&otherwise(company, &mut rng).name, &mut rng));
        let stored = if number < both && rng.random_bool(0.4) { format!("'E{number}'") } else { "null".to_owned() };
        pm_rows.push(format!(
            "('P{number}', {stored}, {name}, normalize_name({name}), {})",
            tax_id(number, 0.5, &mut rng)
        ));
    }

    let folder = tempfile::tempdir().expect("a folder");
    let warehouse = Warehouse::open_or_create(folder.path().to_str().expect("a path")).await.expect("a warehouse");
    let engine = Engine::open(warehouse, Definitions::shipped(), EngineSettings::default()).await.expect("an engine");
    let mut bench = engine.workbench().await.expect("a workbench");
    for (side, rows) in [("pm", &pm_rows), ("erp", &erp_rows)] {
        for rows in rows.chunks(ROWS) {
            insert(&mut bench, side, rows).await;
        }
    }
    let started = Instant::now();
    let (_, batches) = bench.run("select pm_id, erp_id, method from link.vendors").await.expect("links");
    let took = started.elapsed();

    let mut by_method: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (pm, erp, method) in batches.iter().flat_map(pairs) {
        let counts = by_method.entry(method).or_default();
        counts.0 += 1;
        counts.1 += usize::from(pm[1..] == erp[1..]);
    }
    println!("{} x {} vendors, {both} true pairs, linked in {} ms", pm_rows.len(), erp_rows.len(), took.as_millis());
    let concluded = by_method.iter().filter(|(method, _)| *method != "explicit");
    let of = |counts: &mut dyn Iterator<Item = &(usize, usize)>| {
        counts.fold((0, 0), |(links, right), counts| (links + counts.0, right + counts.1))
    };
    for (method, counts) in &by_method {
        println!("{method:<12}{:>8} links, precision {:.4}", counts.0, share(counts.1, counts.0));
    }
    let guessed = of(&mut concluded.map(|(_, counts)| counts));
    println!("{:<12}{:>8} links, precision {:.4}", "concluded", guessed.0, share(guessed.1, guessed.0));
    let whole = of(&mut by_method.values());
    let (precision, recall) = (share(whole.1, whole.0), share(whole.1, both));
    let f1 = 2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE);
    println!("{:<12}{:>8} links, precision {precision:.4}, recall {recall:.4}, F1 {f1:.4}", "all", whole.0);
}

fn share(part: usize, of: usize) -> f64 {
    part as f64 / of.max(1) as f64
}

/// A name as a clerk writes it: a legal form, capitals, `&` for `and`.
fn written(name: &str, rng: &mut ChaCha8Rng) -> String {
    let mut text = name.to_owned();
    if rng.random_bool(0.6) {
        text = text.split(' ').map(capitalised).collect::<Vec<_>>().join(" ");
    }
    if rng.random_bool(0.1) {
        text = text.to_uppercase();
    }
    if rng.random_bool(0.05) {
        text = format!("The {text}");
    }
    text.push_str(FORMS.choose(rng).copied().unwrap_or_default());
    text
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

async fn insert(bench: &mut Workbench<'_>, side: &str, rows: &[String]) {
    let columns = "record_id, linked_id, name, name_key, tax_id_hash";
    let sql = format!("insert into {side}.vendors ({columns}) values {}", rows.join(", "));
    bench.run(&sql).await.expect("rows");
}

/// PM's id, the ERP's, and the method of each link.
fn pairs(batch: &RecordBatch) -> Vec<(String, String, String)> {
    let column = |name: &str| {
        let texts = batch.column_by_name(name).expect("a column").as_string::<i32>();
        texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let (pm, erp, method) = (column("pm_id"), column("erp_id"), column("method"));
    pm.into_iter().zip(erp).zip(method).map(|((pm, erp), method)| (pm, erp, method)).collect()
}

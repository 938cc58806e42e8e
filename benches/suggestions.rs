//! Suggestions on a labelled set: how many true pairs are found, how many suggestions are true, how long it takes.
//!
//! `cargo bench -p tieout-matching -- [COMPANIES]` (default 50,000 on each side). The set is made here: companies named as
//! construction firms are (a family or a place, a trade, a legal form left out), of which seven in ten stand on both sides.
//! The other side's clerk misspells, abbreviates, swaps and drops words, and knows telephone, e-mail and address of some. Many
//! firms share their words: that is what makes it hard. Times are of one run on one core; the figures are in `README.md`.

#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "a bench prints, and measures"
)]
#![expect(clippy::cast_precision_loss, reason = "shares of counts")]

mod companies;

use std::env;
use std::time::Instant;

use companies::{Company, company, otherwise};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tieout_matching::{Party, Suggestion, suggest};

fn main() {
    let companies = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(50_000);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let all: Vec<Company> = (0..companies * 13 / 10).map(|_| company(&mut rng)).collect();
    // The first seven in ten stand on both sides, then come those of the ERP alone, then those of PM alone.
    let both = companies * 7 / 10;
    let erp = &all[..companies];
    let pm: Vec<Company> =
        all[..both].iter().chain(&all[companies..]).map(|company| otherwise(company, &mut rng)).collect();
    let erp_parties: Vec<Party<'_>> = erp.iter().map(party).collect();
    let pm_parties: Vec<Party<'_>> = pm.iter().map(party).collect();
    let started = Instant::now();
    let found = suggest(&pm_parties, &erp_parties);
    let took = started.elapsed();
    println!(
        "{} x {} companies, {both} true pairs: {} suggestions in {} ms",
        pm.len(),
        erp.len(),
        found.len(),
        took.as_millis()
    );
    // Company n of the one side is company n of the other, as far as it stands on both.
    let is_true = |suggestion: &&Suggestion| suggestion.pm == suggestion.erp && suggestion.pm < both;
    let in_three = found.iter().filter(is_true).count();
    println!("among the three: recall {:.3}", share(in_three, both));
    for floor in [55, 65, 75, 85, 95] {
        let first = || found.iter().filter(|suggestion| suggestion.place == 1 && suggestion.score >= floor);
        let (told, right) = (first().count(), first().filter(is_true).count());
        let (precision, recall) = (share(right, told), share(right, both));
        let f1 = 2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE);
        println!("first of score {floor} and more: precision {precision:.3}, recall {recall:.3}, F1 {f1:.3}");
    }
}

fn share(part: usize, of: usize) -> f64 {
    part as f64 / of.max(1) as f64
}

fn party(company: &Company) -> Party<'_> {
    Party {
        name: &company.name,
        phone: company.phone.as_deref(),
        email: company.email.as_deref(),
        address: company.address.as_deref(),
        postal_code: company.postal_code.as_deref(),
        tax_id: None,
    }
}

//! Samples: worked through by hand, and conserved over many seeds.

use super::*;

fn columns_of(names: &[(&str, Kind)]) -> Vec<Column> {
    let scale = |kind: Kind| (kind == Kind::Decimal).then_some(2);
    names.iter().map(|(name, kind)| Column { name: (*name).to_owned(), kind: *kind, scale: scale(*kind) }).collect()
}

fn drawn(csv: &str, method: &Method, seed: u64) -> Result<(Sample, Vec<Vec<String>>), Error> {
    let text = csv.to_owned();
    let open = move || Ok(Box::new(std::io::Cursor::new(text.clone().into_bytes())) as Box<dyn Read>);
    let columns = columns_of(&[("id", Kind::Text), ("amount", Kind::Decimal), ("currency", Kind::Text)]);
    let mut out = Vec::new();
    let sample = draw(&Population { open: &open, columns: &columns }, method, seed, &mut out)?;
    let mut records = csv::Reader::from_reader(out.as_slice());
    let rows = records.records().map(|record| record.unwrap().iter().map(str::to_owned).collect());
    Ok((sample, rows.collect()))
}

fn by_money(size: u64, amounts: Amounts) -> Method {
    Method::MonetaryUnit { size, column: "amount".to_owned(), amounts }
}

const BOOK: &str = "id,amount,currency\n\
                    a,10.00,USD\nb,-4.00,USD\nc,500.00,USD\nd,0.00,USD\ne,,USD\nf,90.00,USD\n";

#[test]
fn money_draws_in_proportion_and_says_what_it_leaves_out() {
    let (sample, rows) = drawn(BOOK, &by_money(6, Amounts::Positive), 7).unwrap();
    assert_eq!((sample.row_count, sample.population_count, sample.population_total.as_deref()), (6, 3, Some("600.00")));
    assert_eq!(sample.interval.as_deref(), Some("100.00"));
    let told: Vec<_> = sample.left_out.iter().map(|out| (out.reason.as_str(), out.count, out.total.as_str())).collect();
    assert_eq!(told, [("negative", 1, "-4.00"), ("null", 1, "0.00"), ("zero", 1, "0.00")]);
    // 500.00 holds five intervals whatever the start; six units are drawn in all.
    let c = rows.iter().find(|row| row[5] == "c").unwrap();
    assert_eq!((c[0].as_str(), c[1].as_str(), c[2].as_str(), c[4].as_str()), ("3", "500.00", "510.00", "true"));
    let hits: u64 = rows.iter().map(|row| row[3].parse::<u64>().unwrap()).sum();
    assert_eq!(hits, 6);
    assert_eq!(sample.drawn_count, rows.len() as u64);

    let (sample, _) = drawn(BOOK, &by_money(6, Amounts::Absolute), 7).unwrap();
    assert_eq!((sample.population_count, sample.population_total.as_deref()), (4, Some("604.00")));
    assert_eq!(sample.interval.as_deref(), Some("100.67"));
}

#[test]
fn what_is_drawn_is_as_written_down() {
    // Computed apart, from the description alone: the first draws of the generator by seed 7, below 10.00 in cents.
    let mut generator = Generator::new(7);
    let first: Vec<u128> = (0..4).map(|_| generator.below(1000)).collect();
    assert_eq!(first, [311, 896, 172, 327]);
}

#[test]
fn a_random_sample_has_its_size_and_no_row_twice() {
    let lines: Vec<String> = (1..=40).map(|id| format!("{id},{id}.00,USD")).collect();
    let lines = lines.join("\n");
    let csv = format!("id,amount,currency\n{lines}");
    let mut times = [0_u32; 41];
    for seed in 0..400 {
        let (sample, rows) = drawn(&csv, &Method::Random { size: 10 }, seed).unwrap();
        assert_eq!((sample.drawn_count, rows.len(), sample.row_count), (10, 10, 40));
        let mut ids: Vec<usize> = rows.iter().map(|row| row[1].parse().unwrap()).collect();
        assert!(rows.iter().all(|row| row[0] == row[1]) && ids.is_sorted());
        for id in &ids {
            times[*id] += 1;
        }
        ids.dedup();
        assert_eq!(ids.len(), 10);
    }
    // A hundred times each is expected; five standard deviations are 43.
    assert!(times[1..].iter().all(|times| (57..=143).contains(times)), "{times:?}");
    let (sample, rows) = drawn(&csv, &Method::Random { size: 100 }, 1).unwrap();
    assert_eq!((sample.drawn_count, rows.len()), (40, 40), "there are no more than all");
}

#[test]
fn every_unit_is_as_likely_as_any_other() {
    // 30.00 of 60.00 in one row of six: half of 300 samples of one.
    let csv = "id,amount,currency\na,30.00,USD\nb,10.00,USD\nc,20.00,USD\n";
    let is_a = |seed| drawn(csv, &by_money(1, Amounts::Positive), seed).unwrap().1[0][5] == "a";
    let count = (0..300).filter(|seed| is_a(*seed)).count();
    assert!((107..=193).contains(&count), "{count}");
}

#[test]
fn what_cannot_be_drawn_from_is_refused_in_words() {
    let refused = |csv: &str, method: &Method| drawn(csv, method, 1).unwrap_err().to_string();
    let none = "id,amount,currency\n";
    assert!(refused(none, &Method::Random { size: 3 }).contains("no row"));
    assert!(refused(none, &by_money(3, Amounts::Positive)).contains("no amount"));
    assert!(refused(BOOK, &by_money(0, Amounts::Positive)).contains("no rows"));
    let two = "id,amount,currency\na,1.00,USD\nb,1.00,CAD\n";
    assert!(refused(two, &by_money(1, Amounts::Positive)).contains("several currencies (CAD, USD)"));
    let other = Method::MonetaryUnit { size: 1, column: "id".to_owned(), amounts: Amounts::Positive };
    assert!(refused(BOOK, &other).contains("named `id`\nhint: it has amount"));
}

//! Which records are linked, and which are not, method by method.

use super::*;

fn record(side: &str, id: &str, number: &str) -> Record {
    Record {
        is_pm: side == "pm",
        id: id.to_owned(),
        number: Some(number.to_uppercase()),
        number_key: Some(number.to_owned()),
        parent: Some(String::new()),
        ..Record::default()
    }
}

fn ids(records: &[Record], crosswalk: &[(&str, &str)], splits: bool) -> Vec<String> {
    let known: Vec<(String, String)> =
        crosswalk.iter().map(|(pm_id, erp_id)| ((*pm_id).to_owned(), (*erp_id).to_owned())).collect();
    let links = Links::new(records);
    let pairs = links.pairs(&known, splits);
    pairs.iter().map(|it| format!("{}:{}-{} {}", it.group_id, it.pm_id, it.erp_id, it.step.method())).collect()
}

#[test]
fn a_stored_id_names_the_record_and_not_the_contract_in_its_key() {
    let of_kind = |record: Record, kind: &str, contract: Option<&str>| Record {
        kind: Some(kind.to_owned()),
        contract_id: contract.map(str::to_owned),
        ..record
    };
    let stored = |record: Record, id: &str| Record { stored_id: Some(id.to_owned()), ..record };
    let records = [
        stored(of_kind(record("pm", "1", "pco-1"), "prime", None), "3"),
        of_kind(record("pm", "2", "cco-1"), "commitment", Some("normal|3")),
        stored(of_kind(record("pm", "3", "pco-2"), "prime", None), "5"),
        stored(of_kind(record("pm", "4", "cco-2"), "commitment", Some("normal|8")), "5"),
        stored(of_kind(record("pm", "5", "cco-3"), "commitment", Some("normal|9")), "9"),
        of_kind(record("erp", "3|prime", "3"), "prime", None),
        Record {
            reference_key: Some("cco-1".to_owned()),
            ..of_kind(record("erp", "4|commitment|normal|3", "4"), "commitment", Some("normal|3"))
        },
        of_kind(record("erp", "5|prime", "5"), "prime", None),
        of_kind(record("erp", "5|commitment|normal|8", "5"), "commitment", Some("normal|8")),
        of_kind(record("erp", "5|commitment|normal|9", "5"), "commitment", Some("normal|9")),
    ];
    let expected = [
        "1:1-3|prime explicit",
        "2:2-4|commitment|normal|3 number",
        "3:3-5|prime explicit",
        "4:4-5|commitment|normal|8 explicit",
    ];
    assert_eq!(ids(&records, &[], false), expected);
}

#[test]
fn a_stored_id_wins_and_an_orphan_guesses_nothing() {
    let stored = |record: Record, id: &str| Record { stored_id: Some(id.to_owned()), ..record };
    let records = [
        stored(record("pm", "1", "a"), "BILL|9"),
        stored(record("pm", "2", "b"), "GONE"),
        record("erp", "Bill|9", "b"),
        record("erp", "Bill|8", "a"),
    ];
    assert_eq!(ids(&records, &[], false), ["1:1-Bill|9 explicit"]);
}

#[test]
fn two_candidates_link_nothing_unless_they_split_one_record() {
    let records = [record("pm", "1", "a"), record("erp", "x", "a"), record("erp", "y", "a")];
    assert!(ids(&records, &[], true).is_empty());
    let split: Vec<Record> =
        records.iter().map(|it| Record { stored_id: (!it.is_pm).then(|| "1".to_owned()), ..it.clone() }).collect();
    assert_eq!(ids(&split, &[], true), ["1:1-x explicit", "1:1-y explicit"]);
    assert!(ids(&split, &[], false).is_empty());
}

#[test]
fn a_void_number_gives_way_and_contracts_must_agree() {
    let void = |record: Record| Record { is_void: true, ..record };
    let on = |record: Record, contract: &str| Record { contract_id: Some(contract.to_owned()), ..record };
    let records = [
        void(record("pm", "1", "a")),
        record("pm", "2", "a"),
        record("erp", "x", "a"),
        on(record("pm", "3", "b"), "c1"),
        on(record("erp", "y", "b"), "c2"),
    ];
    assert_eq!(ids(&records, &[], false), ["2:2-x number"]);
}

#[test]
fn the_crosswalk_may_mean_many_and_chains_are_one_group() {
    let records = [record("pm", "1", "a"), record("pm", "2", "b"), record("erp", "x", "c"), record("erp", "y", "a")];
    let lines = [("2", "x"), ("1", "x"), ("2", "y"), ("2", "unknown")];
    assert_eq!(ids(&records, &lines, false), ["1:1-x crosswalk", "1:2-x crosswalk", "1:2-y crosswalk"]);
}

#[test]
fn a_company_code_serves_each_project_once() {
    let at = |record: Record, place: &str| Record { place: Some(place.to_owned()), ..record };
    let records = [at(record("pm", "1", "a"), "p1"), at(record("pm", "2", "a"), "p2"), record("erp", "x", "a")];
    assert_eq!(ids(&records, &[], false), ["1:1-x number", "2:2-x number"]);
    let twice = [records.as_slice(), &[at(record("pm", "3", "a"), "p2")]].concat();
    assert_eq!(ids(&twice, &[], false), ["1:1-x number"]);
}

#[test]
fn one_id_of_a_void_and_a_living_record_is_the_livings() {
    let stored = |record: Record, id: &str| Record { stored_id: Some(id.to_owned()), ..record };
    let void = |record: Record| Record { is_void: true, ..record };
    let records = [
        void(stored(record("pm", "1", "a"), "V9")),
        stored(record("pm", "2", "b"), "V9"),
        // Alone, a void record keeps its link; two of the living have none.
        void(stored(record("pm", "3", "c"), "V8")),
        stored(record("pm", "4", "d"), "V7"),
        stored(record("pm", "5", "e"), "V7"),
        record("erp", "V9", "v9"),
        record("erp", "V8", "v8"),
        record("erp", "V7", "v7"),
    ];
    assert_eq!(ids(&records, &[], false), ["2:2-V9 explicit", "3:3-V8 explicit"]);
}

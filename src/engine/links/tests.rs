//! Which records are linked, and which are not, method by method.

use super::*;

/// A row of a link view.
#[derive(Clone, Debug, Default)]
struct Record {
    is_pm: bool,
    id: String,
    source: Option<String>,
    partner_source: Option<String>,
    reach: Reach,
    label_key: Option<String>,
    stored_id: Option<String>,
    number: Option<String>,
    parent: Option<String>,
    kind: Option<String>,
    contract_id: Option<String>,
    number_key: Option<String>,
    reference_key: Option<String>,
    name_key: Option<String>,
    place: Option<String>,
    is_void: bool,
}

impl Record {
    /// What stands in a column of the view.
    fn cell(&self, column: &str) -> Option<&str> {
        let is = |holds: bool| Some(if holds { "true" } else { "false" });
        match column {
            "side" => Some(if self.is_pm { "pm" } else { "erp" }),
            "record_id" => Some(&self.id),
            "source" => self.source.as_deref(),
            "partner_source" => self.partner_source.as_deref(),
            "is_shared" => is(self.reach == Reach::Each),
            "is_company" => is(self.reach == Reach::EachByName),
            "label_key" => self.label_key.as_deref(),
            "stored_id" => self.stored_id.as_deref(),
            "number" => self.number.as_deref(),
            "parent" => self.parent.as_deref(),
            "kind" => self.kind.as_deref(),
            "contract_id" => self.contract_id.as_deref(),
            "number_key" => self.number_key.as_deref(),
            "reference_key" => self.reference_key.as_deref(),
            "name_key" => self.name_key.as_deref(),
            "place" => self.place.as_deref(),
            "is_void" => is(self.is_void),
            _ => None,
        }
    }
}

fn listed(records: &[Record]) -> Listed {
    let column = |name: &&'static str| {
        let cells: ArrayRef = Arc::new(records.iter().map(|record| record.cell(name)).collect::<StringArray>());
        (*name, cells, true)
    };
    let batch = RecordBatch::try_from_iter_with_nullable(COLUMNS.iter().map(column)).unwrap();
    Listed::new(&batch).unwrap()
}

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
    let listed = [listed(records)];
    let links = Links::new(&listed);
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

/// Of a connection of its side, whose name stands in front of its key where it is not the first.
fn from(source: &str, record: Record) -> Record {
    Record { source: Some(source.to_owned()), ..record }
}

#[test]
fn a_key_of_one_connection_says_nothing_of_another() {
    let stored = |record: Record, id: &str| Record { stored_id: Some(id.to_owned()), ..record };
    let of = |record: Record, partner: &str| Record { partner_source: Some(partner.to_owned()), ..record };
    let records = [
        of(stored(from("pm", record("pm", "1", "a")), "77"), "east"),
        of(stored(from("pm", record("pm", "2", "b")), "77"), "west"),
        // Which of the two is meant, nobody says.
        stored(from("pm", record("pm", "3", "c")), "78"),
        // Its project is in the east, and there it is an orphan, whatever the west has.
        of(stored(from("pm", record("pm", "4", "d")), "79"), "east"),
        from("east", record("erp", "77", "x")),
        from("west", record("erp", "west:77", "y")),
        from("east", record("erp", "78", "z")),
        from("west", record("erp", "west:78", "z")),
        from("west", record("erp", "west:79", "d")),
    ];
    assert_eq!(ids(&records, &[], false), ["1:1-77 explicit", "2:2-west:77 explicit"]);
}

#[test]
fn a_company_has_a_counterpart_in_each_connection_by_name() {
    let company = |source: &str, side: &str, id: &str, number: &str, name: &str| {
        let record = Record { name_key: Some(name.to_owned()), reach: Reach::EachByName, ..record(side, id, number) };
        from(source, record)
    };
    let stored = |record: Record, id: &str| Record { stored_id: Some(id.to_owned()), ..record };
    let records = [
        stored(company("pm", "pm", "1", "a", "acme"), "V1"),
        stored(company("pm", "pm", "2", "b", "baker"), "V2"),
        company("pm", "pm", "3", "v3", "cole"),
        company("east", "erp", "V1", "v1", "acme"),
        company("west", "erp", "west:V1", "v1", "smith"),
        company("west", "erp", "west:V9", "v9", "acme"),
        company("east", "erp", "V2", "v2", "jones"),
        company("west", "erp", "west:V2", "v2", "moss"),
        company("west", "erp", "west:V3", "v3", "dunn"),
    ];
    assert_eq!(ids(&records, &[], false), ["1:1-V1 explicit", "1:1-west:V9 name"]);
    // The firm says whose keys PM stores: then the key and the number are enough.
    let east = |record: &Record| {
        let partner_source = record.is_pm.then(|| "east".to_owned());
        Record { partner_source, ..record.clone() }
    };
    let settled: Vec<Record> = records.iter().map(east).collect();
    assert_eq!(ids(&settled, &[], false), ["1:1-V1 explicit", "2:2-V2 explicit"]);
}

#[test]
fn a_number_of_several_connections_is_that_of_the_same_name() {
    let named = |record: Record, label: &str| Record { label_key: Some(label.to_owned()), ..record };
    let records = [
        named(from("pm", record("pm", "1", "a")), "mill"),
        named(from("pm", record("pm", "2", "b")), "dock"),
        named(from("pm", record("pm", "3", "c")), "barn"),
        named(from("east", record("erp", "a", "a")), "mill"),
        named(from("west", record("erp", "west:a", "a")), "quay"),
        named(from("east", record("erp", "b", "b")), "silo"),
        named(from("west", record("erp", "west:b", "b")), "pier"),
        named(from("west", record("erp", "west:c", "c")), "shed"),
    ];
    assert_eq!(ids(&records, &[], false), ["1:1-a number", "3:3-west:c number"]);
}

#[test]
fn ids_of_which_none_names_anything_are_no_keys_of_the_other_side() {
    let stored = |id: &str, number: &str| Record { stored_id: Some(format!("GUID-{id}")), ..record("pm", id, number) };
    let mut records: Vec<Record> = ["1", "2", "3", "4", "5"].iter().map(|id| stored(id, &format!("n{id}"))).collect();
    records.push(record("erp", "x", "n1"));
    assert_eq!(ids(&records, &[], false), ["1:1-x number"]);
    let four = [&records[..4], &records[5..]].concat();
    assert!(ids(&four, &[], false).is_empty(), "four prove nothing");
    // One that names something makes the others orphans.
    records.push(record("erp", "GUID-5", "y"));
    assert_eq!(ids(&records, &[], false), ["5:5-GUID-5 explicit"]);
}

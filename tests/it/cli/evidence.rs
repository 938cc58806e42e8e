//! `tieout evidence`, `sql --evidence` and `verify --evidence`: what a package holds, that it is the same twice, and that nobody
//! changes it unseen.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "what is not there fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use calamine::{Data, Reader as _};
use serde_json::Value;

use super::lives::{CHECK, LARGE, projects};
use super::toy::{Ended, Page, Toy, run};

/// Every file of a package with its bytes, by path.
fn files(place: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    if place.is_file() {
        let mut archive = zip::ZipArchive::new(fs::File::open(place).unwrap()).unwrap();
        for entry in 0..archive.len() {
            let mut file = archive.by_index(entry).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            found.insert(file.name().unwrap().into_owned(), bytes);
        }
        return found;
    }
    let mut folders = vec![place.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(place).unwrap().to_string_lossy().into_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn index(files: &BTreeMap<String, Vec<u8>>) -> Value {
    serde_json::from_slice(&files["index.json"]).unwrap()
}

/// Whether a cell of a workbook is the value of the CSV file, as far as a sheet can hold it.
fn is_same(cell: &Data, value: &str) -> bool {
    match cell {
        Data::Empty => value.is_empty(),
        Data::Float(number) => value.parse::<f64>().unwrap().to_string() == number.to_string(),
        Data::Int(number) => value.parse::<f64>().unwrap().to_string() == number.to_string(),
        Data::Bool(truth) => value == truth.to_string(),
        Data::DateTime(at) => {
            let shown = at.as_datetime().unwrap().to_string();
            let value = value.trim_end_matches('Z').replace('T', " ");
            shown == value || shown.trim_end_matches(" 00:00:00") == value || value.starts_with(&shown)
        }
        Data::String(text) => text == value,
        other => panic!("{other:?} in a workbook, {value} in its CSV file"),
    }
}

/// The rows of a workbook are those of the CSV file; how many cells were compared.
fn compare(files: &BTreeMap<String, Vec<u8>>, item: &Value) -> usize {
    let name = item["name"].as_str().unwrap();
    let bytes = files[item["xlsx"]["path"].as_str().unwrap()].clone();
    let mut book: calamine::Xlsx<_> = calamine::open_workbook_from_rs(std::io::Cursor::new(bytes)).unwrap();
    assert_eq!(book.sheet_names(), ["Cover", "Rows", "Logic"], "{name}");
    let cover = book.worksheet_range("Cover").unwrap();
    let said = |key: &str| cover.rows().find(|row| row[0] == *key).map(|row| row[1].to_string());
    assert_eq!(said("Verdict").as_deref(), item["verdict"]["verdict"].as_str(), "{name}");
    assert_eq!(said("Rows"), Some(item["row_count"].to_string()), "{name}");
    let sheet = book.worksheet_range("Rows").unwrap();
    let mut cells = sheet.rows();
    let mut records = csv::Reader::from_reader(files[item["csv"].as_str().unwrap()].as_slice());
    let header = cells.next().unwrap();
    assert!(records.headers().unwrap().iter().zip(header).all(|(name, cell)| *cell == *name), "{name}");
    let mut compared = 0;
    for record in records.records() {
        let (record, row) = (record.unwrap(), cells.next().unwrap());
        for (place, value) in record.iter().enumerate() {
            let cell = row.get(place).unwrap_or(&Data::Empty);
            assert!(is_same(cell, value), "{name}: {cell:?} and {value} in {record:?}");
            compared += 1;
        }
    }
    if item["row_count"] == 0 {
        let told = cells.next().unwrap()[0].to_string();
        assert!(told.contains(item["verdict"]["verdict"].as_str().unwrap()), "{name}: {told}");
    }
    assert!(cells.next().is_none(), "{name} has more rows than its CSV file");
    compared
}

fn digest(ended: &Ended) -> String {
    ended.out.lines().find_map(|line| line.strip_prefix("digest ")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: .ci/long"]
async fn a_simulated_firm_is_proven_whole_and_the_same_twice() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let demo = ["demo", "--exit", "--no-progress", "--months", "1", "--projects", "2", "--dir", "firm"];
    let ended = run(at, &demo).await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    let firm = at.join("firm");
    run(&firm, &["pin", "FY2025"]).await.says(0, &[]);

    let samples = ["--sample", "dated_facts=mus:5:amount", "--sample", "dated_facts=random:4", "--sample-seed", "11"];
    let evidence = ["evidence", "--as-of", "FY2025", "--no-progress"];
    let one = run(&firm, &[&evidence[..], &samples].concat()).await;
    assert!(matches!(one.code, 0 | 5), "{}", one.err);
    let place = firm.join("evidence-FY2025");
    let made = files(&place);
    let index = index(&made);

    // Another run, packed, holds the same bytes; and what is packed twice is the same file.
    let two = run(&firm, &[&evidence[..], &samples, &["-o", "two.zip"]].concat()).await;
    assert_eq!((two.code, digest(&two)), (one.code, digest(&one)));
    assert!(files(&firm.join("two.zip")) == made, "two runs differ");
    for name in ["three.zip", "four.zip"] {
        let ended = run(&firm, &[&evidence[..], &["--view", "ap_aging,V1", "-o", name]].concat()).await;
        assert!(matches!(ended.code, 0 | 5), "{}", ended.err);
    }
    assert!(fs::read(firm.join("three.zip")).unwrap() == fs::read(firm.join("four.zip")).unwrap());

    // Everything is there, and says the same in each of its forms.
    let items = index["items"].as_array().unwrap();
    let count = |kind: &str| items.iter().filter(|item| item["kind"] == kind).count();
    assert!(count("audit") >= 22 && count("check") >= 50 && count("grounds") == 4, "{}", items.len());
    let compared: usize = items.iter().map(|item| compare(&made, item)).sum();
    assert!(compared > 5_000, "{compared}");
    let item = |name: &str| items.iter().find(|item| item["name"] == name).unwrap();
    let open =
        run(&firm, &["sql", "--as-of", "FY2025", "--format", "csv", "select sum(open_amount) from audit.ap_aging"])
            .await;
    let total = item("audit/ap_aging")["control_totals"].as_array().unwrap();
    let total = total.iter().find(|total| total["column"] == "open_amount").unwrap();
    assert_eq!(open.out.lines().nth(1), total["total"].as_str());
    let sql = String::from_utf8(made["audit/ap_aging.sql"].clone()).unwrap();
    assert!(sql.contains("select * from audit.ap_aging;") && sql.contains("-- queries/audit/ap_aging.sql"));
    let pin = &index["as_of"]["pin"];
    let last = format!("chain/commits/{:020}.json", pin["commit"].as_u64().unwrap());
    assert!(pin["name"] == "FY2025" && made.contains_key(&last));

    // Anybody can check it, with tieout from any folder or without.
    let elsewhere = tempfile::tempdir().unwrap();
    for name in ["evidence-FY2025", "two.zip"] {
        let place = firm.join(name);
        let verify = ["verify", "--evidence", place.to_str().unwrap(), "--digest", &digest(&one)];
        let verified = run(elsewhere.path(), &verify).await;
        verified.says(0, &[]);
        assert!(verified.out.ends_with("\nok") || verified.out.ends_with("\nok\n"), "{}", verified.out);
        assert!(verified.out.contains("drawn again: 2 samples"), "{}", verified.out);
    }
    let head = run(&firm, &["verify"]).await;
    let head = head.out.lines().find_map(|line| line.strip_prefix("head: ")).unwrap().to_owned();
    run(&firm, &["verify", "--evidence", "two.zip", "--head", &head]).await.says(0, &[]);
    let sums =
        tokio::process::Command::new("sha256sum").args(["--quiet", "-c", "SHA256SUMS"]).current_dir(&place).status();
    // Not every machine has it.
    assert!(sums.await.is_ok_and(|status| status.success()) || cfg!(not(target_os = "linux")));
    tampered(&firm, &place, &made).await;
}

/// What is changed, taken away or added is told by name.
async fn tampered(firm: &Path, place: &Path, made: &BTreeMap<String, Vec<u8>>) {
    let verify = async |texts: &[&str]| {
        let ended = run(firm, &["verify", "--evidence", place.to_str().unwrap()]).await;
        ended.says(4, &["does not verify", "hint:"]);
        for text in texts {
            assert!(ended.out.contains(text), "`{text}` is not in:\n{}", ended.out);
        }
    };
    let change = |name: &str, from: &str, to: &str| {
        let text = String::from_utf8(made[name].clone()).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        fs::write(place.join(name), text.replacen(from, to, 1)).unwrap();
    };
    let back = |name: &str| fs::write(place.join(name), &made[name]).unwrap();
    let first = "chain/commits/00000000000000000001.json";
    for name in ["grounds/freshness.csv", "audit/ap_aging.sql", "README.txt", first] {
        fs::write(place.join(name), [made[name].as_slice(), b"\n"].concat()).unwrap();
        verify(&[&format!("{name}: it was changed")]).await;
        fs::remove_file(place.join(name)).unwrap();
        verify(&[&format!("{name}: it is missing")]).await;
        back(name);
    }
    fs::write(place.join("audit/more.csv"), "a\n").unwrap();
    verify(&["audit/more.csv: it was added"]).await;
    fs::remove_file(place.join("audit/more.csv")).unwrap();

    // Who changes the digests too is found by the figures, the links, and whoever kept the digest.
    change("index.json", "\"row_count\": ", "\"row_count\": 1");
    verify(&["rows, the index says 1"]).await;
    back("index.json");
    let sums = String::from_utf8(made["SHA256SUMS"].clone()).unwrap();
    let without: String = sums.lines().filter(|line| !line.ends_with(first)).flat_map(|line| [line, "\n"]).collect();
    fs::write(place.join("SHA256SUMS"), without).unwrap();
    change(first, "\"number\"", " \"number\"");
    verify(&["00002.json: it names", "as the manifest before it"]).await;
    back(first);
    let kept = "0".repeat(64);
    let ended = run(firm, &["verify", "--evidence", place.to_str().unwrap(), "--digest", &kept]).await;
    assert!(ended.code == 4 && ended.out.contains("this is another package"), "{}", ended.out);
    back("SHA256SUMS");
    let head = format!("2:{kept}");
    let ended = run(firm, &["verify", "--evidence", place.to_str().unwrap(), "--head", &head]).await;
    assert!(ended.code == 4 && ended.out.contains("the head that was kept"), "{}", ended.out);
    run(firm, &["verify", "--evidence", place.to_str().unwrap()]).await.says(0, &[]);
}

const PAGE: &str = r#"[{"id": 1, "amount": "100.00"}, {"id": 2, "amount": "-7.25"}, {"id": 3, "amount": null}, {"id": 4, "amount": "900.00"}]"#;

async fn toy() -> Toy {
    let toy = Toy::start(Page::Text(PAGE.to_owned())).await;
    let ended = toy.run(&["extract", "--no-progress"]).await;
    // 5: the checks miss an ERP.
    assert!(matches!(ended.code, 0 | 5), "{}", ended.err);
    toy
}

#[tokio::test(flavor = "multi_thread")]
async fn any_query_is_proven_and_sampled() {
    let toy = toy().await;
    let query = "select id, amount from toy.projects order by id desc;";
    let arguments = ["sql", query, "--evidence", "q", "--sample", "mus:2:amount:absolute", "--sample-seed", "3"];
    let ended = toy.run(&arguments).await;
    ended.says(0, &[]);
    let made = files(&toy.folder().join("q"));
    assert_eq!(String::from_utf8_lossy(&made["query/query.csv"]), "id,amount\n4,900.00\n3,\n2,-7.25\n1,100.00\n");
    let index = index(&made);
    let total = &index["items"][0]["control_totals"][0];
    assert_eq!((&total["column"], &total["total"], &total["values"]), (&"amount".into(), &"992.75".into(), &3.into()));
    let sample = &index["samples"][0];
    assert_eq!((&sample["seed"], &sample["population_total"]), (&3.into(), &"1007.25".into()));
    assert_eq!((&sample["interval"], &sample["left_out"][0]["reason"]), (&"503.63".into(), &"null".into()));
    let drawn = String::from_utf8_lossy(&made[sample["csv"].as_str().unwrap()]).into_owned();
    assert!(drawn.contains("\n1,900.00,900.00,") && drawn.contains(",true,4,900.00\n"), "{drawn}");
    toy.run(&["verify", "--evidence", "q"]).await.says(0, &[]);

    // The population is under the digests, and the sample is drawn from it again.
    let csv = toy.folder().join("q").join(sample["csv"].as_str().unwrap());
    fs::write(&csv, drawn.lines().next().unwrap()).unwrap();
    let ended = toy.run(&["verify", "--evidence", "q", "--json"]).await;
    let told: Value = serde_json::from_str(&ended.out).unwrap();
    let details: Vec<&str> =
        told["findings"].as_array().unwrap().iter().map(|finding| finding["detail"].as_str().unwrap()).collect();
    assert!(ended.code == 4 && details.contains(&"drawn again it has other rows"), "{}", ended.out);

    for (query, code, says) in [
        ("select * from toy.project", 2, "toy.project"),
        ("explain select 1", 2, "an explanation has no rows"),
        ("select 1; select 2", 2, "more than one statement"),
    ] {
        toy.run(&["sql", query, "--evidence", "none"]).await.says(code, &[says, "hint:"]);
    }
    toy.run(&["sql", "select 1", "--evidence", "none", "--sample", "random:1"]).await.says(2, &["--sample-seed"]);
    let refused = ["sql", "select 1", "--evidence", "none", "--sample", "mus:1", "--sample-seed", "1"];
    toy.run(&refused).await.says(2, &["no column of amounts"]);
    assert!(!toy.folder().join("none").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_look_never_looks_clean() {
    let toy = Toy::start(projects(&[(1, "250.00")])).await;
    toy.write(CHECK, LARGE);
    toy.run(&["extract", "--now", "2026-11-02T06:00:00Z"]).await.says(0, &[]);
    // A record without a key is none of the rows: the list is partial.
    toy.answer(Page::Text("[{\"id\":null,\"amount\":\"250.00\"}]".to_owned())).await;
    toy.run(&["extract", "--now", "2026-11-03T06:00:00Z"]).await.says(5, &["X1"]);
    let ended = toy.run(&["evidence", "--as-of", "latest", "--view", "X1,ap_aging", "-o", "e.zip"]).await;
    ended.says(5, &["note: checks/X1_project_large is not_evaluated"]);
    let made = files(&toy.folder().join("e.zip"));
    for name in ["checks/X1_project_large.not_evaluated.csv", "checks/X1_project_large.not_evaluated.xlsx"] {
        assert!(made.contains_key(name), "{:?}", made.keys());
    }
    let readme = String::from_utf8_lossy(&made["README.txt"]).into_owned();
    assert!(readme.contains("  checks/X1_project_large  not_evaluated: "), "{readme}");
    let verified = toy.run(&["verify", "--evidence", "e.zip"]).await;
    verified.says(0, &[]);
    assert!(verified.out.contains("checks/X1_project_large is not_evaluated: no all-clear"), "{}", verified.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_and_bad_nights_leave_nothing_behind() {
    let toy = toy().await;
    toy.run(&["pin", "FY2025"]).await.says(0, &[]);
    let before = names(&toy);
    for (arguments, code, says) in [
        (&["--as-of", "FY2026"][..], 2, &["FY2026", "did you mean `FY2025`?"][..]),
        (&["--as-of", "commit:99"], 2, &["99"]),
        (&["--as-of", "1999-01-01"], 2, &["1999-01-01"]),
        (&["--as-of", "FY2025", "--view", "ap_agin"], 2, &["did you mean `ap_aging`?", "hint:"]),
        (&["--as-of", "FY2025", "--accounting-date", "soon"], 2, &["soon"]),
        (&["--as-of", "FY2025", "--sample", "ap_aging=stratified:5", "--sample-seed", "1"], 2, &["random:N"]),
        (
            &["--as-of", "FY2025", "--sample", "x=random:5", "--sample-seed", "1"],
            2,
            &["`x`", "no such result", "hint:"],
        ),
        (&["--as-of", "FY2025", "-o", "gone/e"], 2, &["write gone/e: No such file", "hint: nothing was left behind"]),
        (
            &["--as-of", "FY2025", "-o", "tieout.toml"],
            2,
            &["write evidence to tieout.toml: there is something already"],
        ),
    ] {
        toy.run(&[&["evidence", "--no-progress"], arguments].concat()).await.says(code, says);
        assert_eq!(names(&toy), before, "{arguments:?}");
    }
    // A file that grows no further: as a disk that is full.
    for place in ["e", "e.zip"] {
        let line =
            format!("ulimit -f 64; trap '' XFSZ; exec \"$0\" evidence --as-of FY2025 --view ap_aging -o {place}");
        let full = tokio::process::Command::new("sh")
            .args(["-c", &line, env!("CARGO_BIN_EXE_tieout")])
            .current_dir(toy.folder())
            .output()
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&full.stderr).into_owned();
        assert_eq!(full.status.code(), Some(2), "{told}");
        assert!(told.contains(&format!("write {place}")) && told.contains("hint: nothing was left behind"), "{told}");
        assert!(!told.contains("panicked"), "{told}");
        assert_eq!(names(&toy), before);
    }
    toy.run(&["verify", "--evidence", "nowhere"]).await.says(2, &["nowhere", "No such file", "hint:"]);
    toy.run(&["verify", "--evidence", "tieout.toml"]).await.says(2, &["neither a folder nor a ZIP file", "hint:"]);
    let ended = toy.run(&["verify", "--evidence", "warehouse"]).await;
    ended.says(4, &["does not verify"]);
    assert!(ended.out.contains("this is no package of evidence"), "{}", ended.out);
    assert!(!ended.out.contains("digest:"), "there is none: {}", ended.out);
    assert!(!ended.out.contains("was added"), "each file of any folder is told: {}", ended.out);
    let digest = ["verify", "--evidence", "warehouse", "--digest", "abc"];
    toy.run(&digest).await.says(2, &["--digest", "64 hex digits"]);
}

fn names(toy: &Toy) -> Vec<String> {
    let entries = fs::read_dir(toy.folder()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

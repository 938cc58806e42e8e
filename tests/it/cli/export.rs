//! `tieout export`: what it publishes, what it says, what it refuses.

use serde_json::Value;

use super::toy::{Page, Toy, run};

async fn extracted(pages: &[&str]) -> Toy {
    let toy = Toy::start(Page::Text(String::new())).await;
    for page in pages {
        toy.answer(Page::Text((*page).to_owned())).await;
        let ended = toy.run(&["extract", "--no-progress"]).await;
        assert!(matches!(ended.code, 0 | 5), "{}", ended.err);
    }
    toy
}

const ONE: &str = r#"[{"id": 1, "amount": "10.00"}, {"id": 2, "amount": 20.5}]"#;
const TWO: &str = r#"[{"id": 1, "amount": "10.00"}, {"id": 2, "amount": "-3.25"}, {"id": 3, "amount": null}]"#;

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_published_once_and_then_kept_current() {
    let toy = extracted(&[ONE]).await;
    let root = toy.folder().join("warehouse/data/toy/projects/state").canonicalize().unwrap();
    let published = toy.run(&["export", "--format", "delta", "--no-progress"]).await;
    assert_eq!((published.code, published.err.as_str()), (0, ""));
    assert_eq!(published.out, format!("toy.projects  +1  version 0 is commit 1  {}\n", root.display()));

    // From then on the end of an extract does it.
    toy.answer(Page::Text(TWO.to_owned())).await;
    toy.run(&["extract", "--no-progress"]).await;
    let again = toy.run(&["export", "--format", "delta", "--json"]).await;
    let told: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!((&told[0]["added"], &told[0]["version"], &told[0]["commit"]), (&0.into(), &1.into(), &2.into()));
    let entry = std::fs::read_to_string(root.join("_delta_log/00000000000000000001.json")).unwrap();
    let add = entry.lines().find(|line| line.starts_with("{\"add\"")).unwrap();
    let add: Value = serde_json::from_str(add).unwrap();
    let stats: Value = serde_json::from_str(add["add"]["stats"].as_str().unwrap()).unwrap();
    assert_eq!(stats["numRecords"], 3);
    assert_eq!(stats["minValues"]["amount"].to_string(), "-3.25");
    assert_eq!(stats["nullCount"]["amount"], 1);

    toy.run(&["vacuum", "--keep-days", "0", "--safety-hours", "0"]).await.says(0, &[]);
    toy.run(&["verify", "--deep", "--no-progress"]).await.says(0, &[]);
    assert_eq!(toy.value("select sum(amount) from toy.projects").await, "6.75");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_published_is_told_with_what_to_try() {
    let toy = extracted(&[ONE]).await;
    let export = async |arguments: &[&str]| {
        let fixed = ["export", "--format", "delta", "--no-progress"];
        toy.run(&[&fixed[..], arguments].concat()).await
    };
    toy.run(&["export"]).await.says(2, &["--format"]);
    toy.run(&["export", "--format", "iceberg"]).await.says(2, &["iceberg", "delta"]);
    export(&["--table", "project"]).await.says(2, &["no such table", "did you mean `projects`?", "hint:"]);
    export(&["--table", "tieout.check_runs"]).await.says(2, &["only grows", "hint:"]);
    export(&["--warehouse", "nowhere"]).await.says(4, &["nowhere", "no such warehouse"]);
    export(&["--warehouse", "."]).await.says(4, &["other files", "nothing was changed"]);
    export(&["--to", "ftp://x/y"]).await.says(2, &["ftp://", "hint:"]);
    export(&["--to", "warehouse"]).await.says(2, &["it is a warehouse", "hint:"]);
    export(&["--to", "extractors"]).await.says(2, &["it has other files (toy, …)", "hint:"]);
    assert!(!toy.folder().join("warehouse/exports").exists(), "nothing was published");

    let lake = export(&["--to", "lake", "--table", "toy.projects,tieout.exceptions"]).await;
    lake.says(0, &["tieout.exceptions has had no row yet"]);
    assert!(toy.folder().join("lake/toy/projects/_delta_log/00000000000000000000.json").exists());
    let other = extracted(&[ONE]).await;
    let lake = toy.folder().join("lake");
    let refused = other.run(&["export", "--format", "delta", "--to", lake.to_str().unwrap()]).await;
    refused.says(2, &["tables of another warehouse", "hint:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_warehouse_has_nothing_to_publish_and_says_so() {
    let toy = Toy::start(Page::Text("[]".to_owned())).await;
    std::fs::create_dir(toy.folder().join("warehouse")).unwrap();
    let ended = run(toy.folder(), &["export", "--format", "delta"]).await;
    ended.says(4, &["no such warehouse"]);
    // A failed first run leaves a warehouse without commits.
    toy.answer(Page::Text("[{".to_owned())).await;
    toy.run(&["extract", "--no-progress"]).await.says(3, &[]);
    let ended = run(toy.folder(), &["export", "--format", "delta"]).await;
    ended.says(0, &["holds no snapshot yet", "tieout extract"]);
    assert!(ended.out.is_empty() && !toy.folder().join("warehouse/exports").exists());
}

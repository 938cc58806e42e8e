//! `tieout sql --definitions pinned`: the manifest, the rules and the settings of the commit that is read.

use super::toy::{Page, Toy};

const RULE: &str = "queries/recon/large.sql";

fn rule(limit: &str) -> String {
    format!(
        "-- title: Large projects\n\nselect id, amount, setting_decimal('amount_tolerance') as tolerance from toy.projects \
         where amount > {limit}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_then_answer_when_asked_for() {
    let toy = Toy::start(Page::Text(r#"[{"id": 1, "amount": "10.00", "town": "Bonn"}]"#.to_owned())).await;
    let extract = async |number: usize| {
        let ended = toy.run(&["extract", "--no-progress"]).await;
        assert!(matches!(ended.code, 0 | 5), "{}", ended.err);
        assert_eq!(toy.commits(), number);
    };
    toy.write(RULE, &rule("5"));
    extract(1).await;
    toy.write(RULE, &rule("50"));
    toy.write("tieout.toml", &format!("{}[tolerance]\namount = \"0.75\"\n", toy.settings()));
    let manifest = std::fs::read_to_string(toy.folder().join("extractors/toy/manifest.toml")).unwrap();
    toy.write("extractors/toy/manifest.toml", &format!("{manifest}town = \"text\"\n"));
    extract(2).await;

    let sql = async |arguments: &[&str], query: &str| {
        let ended = toy.run(&[&["sql", "--format", "csv"], arguments, &[query]].concat()).await;
        assert_eq!(ended.code, 0, "{}", ended.err);
        ended.out
    };
    let (large, projects) = ("select * from recon.large", "select id, town from toy.projects");
    let pinned = ["--as-of", "1", "--definitions", "pinned"];
    assert_eq!(sql(&pinned, large).await, "id,amount,tolerance\n1,10.00,0.01\n");
    assert_eq!(sql(&["--as-of", "1"], large).await, "id,amount,tolerance\n");
    assert_eq!(sql(&["--definitions", "pinned"], large).await, "id,amount,tolerance\n");
    // Today's manifest reads a town out of the old record; that of then knows of none.
    assert_eq!(sql(&["--as-of", "1"], projects).await, "id,town\n1,Bonn\n");
    toy.run(&[&["sql"], &pinned[..], &[projects]].concat()).await.says(2, &["town"]);
    // Every version in history, too.
    assert_eq!(sql(&[], "select _op, town from history.toy_projects").await, "_op,town\nI,Bonn\n");

    let hash = sql(&[], "select definitions from meta.commits where commit_number = 1").await;
    let hash = hash.lines().nth(1).unwrap();
    std::fs::remove_file(toy.folder().join(format!("warehouse/definitions/{hash}.json"))).unwrap();
    let told = ["read the definitions of commit 1", "hint:"];
    toy.run(&[&["sql"], &pinned[..], &[large]].concat()).await.says(4, &told);
    assert_eq!(sql(&["--as-of", "1"], large).await, "id,amount,tolerance\n");
}

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

#[tokio::test(flavor = "multi_thread")]
async fn what_the_firm_says_of_a_word_goes_before_the_mapping_and_stays_with_the_commit() {
    let records = |first: &str| {
        Page::Text(format!(
            r#"[{{"id": 1, "status": "{first}"}}, {{"id": 2, "status": "Open"}}, {{"id": 3, "status": null}}]"#
        ))
    };
    let toy = Toy::start(records("Frobbed")).await;
    let manifest = std::fs::read_to_string(toy.folder().join("extractors/toy/manifest.toml")).unwrap();
    toy.write("extractors/toy/manifest.toml", &format!("{manifest}status = \"text\"\n"));
    let mapping = "-- title: Toy projects\n-- grain: one project\n-- statuses: Open\n\nselect cast(id as varchar) as record_id, \
                   coalesce(firm_status('projects', status), case lower(trim(status)) when 'open' then 'approved' \
                   else 'pending' end) as approval_status from source.projects\n";
    toy.write("extractors/toy/canonical/projects.sql", mapping);
    let extract = async || {
        let ended = toy.run(&["extract", "--no-progress"]).await;
        assert!(matches!(ended.code, 0 | 5), "{}", ended.err);
    };
    extract().await;
    let told = "select string_agg(detail, '; ' order by detail) from meta.drift where kind = 'word'";
    assert!(toy.value(told).await.contains("the status `Frobbed`"), "before the firm says it");
    let statuses = "select string_agg(approval_status, ' ' order by record_id) from pm.projects";
    assert_eq!(toy.value(statuses).await, "pending approved pending");

    let say = |words: &str| toy.write("tieout.toml", &format!("{}{words}", toy.settings()));
    say("[status.toy.project]\nfrobbed = \"void\"\n");
    toy.run(&["extract"])
        .await
        .says(2, &["[status.toy.project]: no approval status is read", "did you mean `projects`?"]);
    say("[status.toy]\n\"open\" = \"draft\"\n[status.toy.projects]\n\" FROBBED\" = \"void\"\nMangled = \"rejected\"\n");
    assert_eq!(toy.value(statuses).await, "void draft pending");
    toy.answer(records("Mangled ")).await;
    extract().await;
    assert_eq!(toy.value(statuses).await, "rejected draft pending");
    toy.answer(records("Bent")).await;
    extract().await;
    let told = toy.value(told).await;
    assert!(told.contains("`Bent`") && !told.contains("Mangled"), "{told}");

    say("");
    for (moment, rules, said) in [
        ("1", "current", "pending approved pending"),
        ("2", "current", "pending approved pending"),
        ("1", "pinned", "pending approved pending"),
        ("2", "pinned", "rejected draft pending"),
    ] {
        let asked = ["sql", "--format", "csv", "--as-of", moment, "--definitions", rules, statuses];
        let ended = toy.run(&asked).await;
        assert_eq!((ended.code, ended.out.lines().nth(1)), (0, Some(said)), "{moment} {rules}: {}", ended.err);
    }
}

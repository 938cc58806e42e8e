//! The key of hashed fields changes for all sources in one commit, or for none.

use super::toy::{Page, Toy};

const ROW: &str = r#"[{"id":1,"amount":"250.00"}]"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_changes_by_a_word_and_for_all_at_once() {
    let toy = Toy::start(Page::Text(ROW.to_owned())).await;
    toy.write("first", "the key of the first year");
    toy.write("second", "the key of the second year");
    let settings = toy.settings();
    let (source, roles) = settings.split_at(settings.find("[[roles]]").unwrap());
    let other = source.replace("[sources.toy]", "[sources.other]");
    let configure =
        |keys: &str, other: &str| toy.write("tieout.toml", &format!("[firm]\n{keys}{source}{other}{roles}"));
    let first = "tax_id_key = { file = \"first\" }\n";
    let second = "tax_id_key = { file = \"second\" }\n";
    let changing = format!("{second}tax_id_key_before = {{ file = \"first\" }}\n");

    configure(first, &other);
    toy.run(&["extract", "--source", "toy"]).await.says(0, &[]);
    toy.run(&["extract"]).await.says(0, &[]);
    configure(second, &other);
    let mistaken = toy.run(&["extract"]).await;
    mistaken.says(
        2,
        &["firm.tax_id_key is another key than that of commit 2", "tax_id_key_before", "put the old one back"],
    );
    configure(&format!("{second}tax_id_key_before = {{ file = \"password\" }}\n"), &other);
    toy.run(&["extract"]).await.says(2, &["is another key than that of commit 2"]);

    configure(&changing, &other);
    for arguments in
        [&["extract", "--source", "toy"][..], &["extract", "--incremental"], &["extract", "--table", "projects"]]
    {
        toy.run(arguments).await.says(2, &["changes for all sources and tables at once", "tieout extract --full"]);
    }
    toy.run(&["extract", "--source", "toy"]).await.says(2, &["leaves other out"]);
    let (_, from_url) = other.split_once("base_url = \"").unwrap();
    let (url, _) = from_url.split_once('"').unwrap();
    configure(&changing, &other.replace(url, "http://127.0.0.1:1"));
    toy.run(&["extract"]).await.says(3, &["not all was read: nothing was committed", "cannot connect"]);
    configure(&changing, &other);
    // What a source gave the run before waits on the disk, so it is the other one that is half now.
    toy.answer(Page::Text(r#"[{"id":null,"amount":"250.00"}]"#.to_owned())).await;
    toy.run(&["extract"]).await.says(5, &["nothing was committed", "not read to their end: other.projects"]);
    assert_eq!(toy.commits(), 2, "half of a change is none");

    toy.answer(Page::Text(ROW.to_owned())).await;
    toy.run(&["extract", "--full"]).await.says(0, &["commit 3: 0 records changed"]);
    configure(second, &other);
    toy.run(&["extract", "--source", "other"]).await.says(0, &["commit 4"]);
    configure(first, &other);
    toy.run(&["extract"]).await.says(2, &["is another key than that of commit 4"]);
}

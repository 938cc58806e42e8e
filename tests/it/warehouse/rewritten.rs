//! A chain written anew by somebody who knows the format: every digest in it fits, and yet what was kept of it before tells.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};
use tieout::clock::Clock;
use tieout::warehouse::{AsOf, Fault, Finding, NewPin, VerifyOptions, Warehouse};

use super::commit;

async fn with_commits(folder: &Path, count: i64) -> Warehouse {
    let warehouse = Warehouse::open_or_create(folder.to_str().unwrap()).await.unwrap();
    for amount in 1..=count {
        commit(&warehouse, amount).await.unwrap();
    }
    warehouse
}

async fn findings(warehouse: &Warehouse) -> Vec<Finding> {
    warehouse.verify(&VerifyOptions::new(true)).await.unwrap().findings
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Says of a commit that another version made it, and writes all after it anew so that the chain holds together.
fn rewrite(folder: &Path, from: u64, to: u64) {
    let place = |number: u64| folder.join(format!("commits/{number:020}.json"));
    let mut text = fs::read_to_string(place(from)).unwrap();
    let mut before = digest(text.as_bytes());
    text = text.replacen("\"tool_version\":\"", "\"tool_version\":\"9", 1);
    for number in from..=to {
        fs::write(place(number), &text).unwrap();
        let now = digest(text.as_bytes());
        if number < to {
            let next = fs::read_to_string(place(number + 1)).unwrap();
            text = next.replacen(&format!("\"parent\":\"{before}\""), &format!("\"parent\":\"{now}\""), 1);
            assert_ne!(text, next);
            before = digest(next.as_bytes());
        }
    }
}

#[tokio::test]
async fn a_kept_head_knows_and_the_chain_alone_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_commits(folder.path(), 4).await;
    let kept = warehouse.verify(&VerifyOptions::new(false)).await.unwrap().head_text().unwrap();
    rewrite(folder.path(), 2, 4);
    assert_eq!(findings(&warehouse).await, []);
    let options = VerifyOptions { kept: Some(kept.parse().unwrap()), ..VerifyOptions::new(false) };
    let found = warehouse.verify(&options).await.unwrap().findings;
    assert_eq!(
        found.iter().map(|it| (it.fault, it.commit)).collect::<Vec<_>>(),
        [(Fault::Head, Some(4))],
        "{found:#?}"
    );
    assert!(found[0].detail.contains("rewritten"), "{found:#?}");
}

#[tokio::test]
async fn a_pin_knows_what_it_named() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_commits(folder.path(), 3).await;
    let pin = NewPin { name: "FY2025".to_owned(), as_of: AsOf::Commit(2), period_end: None };
    warehouse.pin(&pin, &Clock::Machine).await.unwrap();
    commit(&warehouse, 9).await.unwrap();
    assert_eq!(findings(&warehouse).await, []);
    rewrite(folder.path(), 1, 5);
    let found = findings(&warehouse).await;
    assert_eq!(
        found.iter().map(|it| (it.fault, it.commit)).collect::<Vec<_>>(),
        [(Fault::Edited, Some(2))],
        "{found:#?}"
    );
    assert!(found[0].detail.contains("when commit 4 pinned it"), "{found:#?}");
}

#[tokio::test]
async fn a_checkpoint_knows_the_manifests_that_it_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_commits(folder.path(), 21).await;
    let checkpoint = fs::read_dir(folder.path().join("checkpoints")).unwrap().next().unwrap().unwrap().path();
    rewrite(folder.path(), 7, 21);
    let found = findings(&warehouse).await;
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((finding.fault, finding.commit), (Fault::Edited, Some(20)));
    assert!(checkpoint.ends_with(&finding.file) && finding.detail.contains("manifest of commit 7"), "{finding:#?}");

    // Put in order too, it fits again; one that lacks a manifest does not, whatever its name says.
    let manifests = |from: u64| -> Vec<u8> {
        (from..=20)
            .flat_map(|number| {
                let bytes = fs::read(folder.path().join(format!("commits/{number:020}.json"))).unwrap();
                [bytes, b"\n".to_vec()].concat()
            })
            .collect()
    };
    let put = |lines: &[u8]| {
        fs::remove_dir_all(folder.path().join("checkpoints")).unwrap();
        fs::create_dir(folder.path().join("checkpoints")).unwrap();
        let packed = zstd::bulk::compress(lines, 3).unwrap();
        fs::write(folder.path().join(format!("checkpoints/{:020}-{}.jsonl.zst", 20, digest(&packed))), packed).unwrap();
    };
    put(&manifests(1));
    assert_eq!(findings(&warehouse).await, []);
    put(&manifests(2));
    let found = findings(&warehouse).await;
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((finding.fault, finding.commit), (Fault::Figures, Some(20)));
    assert!(finding.detail.contains("it has 19 manifests, its name says 20"), "{finding:#?}");
}

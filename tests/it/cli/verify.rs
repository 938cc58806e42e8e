//! `tieout verify` and `tieout vacuum` as people and schedulers run them: what is said, and what they exit with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::toy::{Ended, Page, Toy, run};

/// A warehouse of three commits on days in the middle of a month, each of which changed a row.
async fn three_commits() -> Toy {
    let toy = Toy::start(rows("1.00")).await;
    for (day, amount) in [(13, "1.00"), (14, "2.00"), (15, "3.00")] {
        toy.answer(rows(amount)).await;
        let now = format!("2025-06-{day}T12:00:00Z");
        let ended = toy.run(&["extract", "--no-progress", "--now", &now]).await;
        // 5: the checks miss an ERP.
        assert!(matches!(ended.code, 0 | 5), "{}", ended.err);
    }
    assert_eq!(toy.commits(), 3);
    toy
}

fn rows(amount: &str) -> Page {
    Page::Text(format!(r#"[{{"id": 1, "amount": "{amount}"}}, {{"id": 2, "amount": "20.50"}}]"#))
}

/// Every file of the warehouse with its bytes.
fn tree(toy: &Toy) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![toy.folder().join("warehouse")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    found
}

/// The files below `folder` of the warehouse, in order.
fn files(toy: &Toy, folder: &str) -> Vec<PathBuf> {
    let below = toy.folder().join("warehouse").join(folder);
    tree(toy).into_keys().filter(|path| path.starts_with(&below)).collect()
}

/// A file as `tieout` names it.
fn name(toy: &Toy, path: &Path) -> String {
    path.strip_prefix(toy.folder().join("warehouse")).unwrap().to_string_lossy().into_owned()
}

fn line<'a>(ended: &'a Ended, begins: &str) -> Option<&'a str> {
    ended.out.lines().find_map(|line| line.strip_prefix(begins))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_nobody_touched_verifies_and_its_head_can_be_kept() {
    let toy = three_commits().await;
    let before = tree(&toy);
    let verified = toy.run(&["verify"]).await;
    verified.says(0, &[]);
    assert!(verified.err.is_empty() && verified.out.ends_with("\nok\n"), "{}{}", verified.out, verified.err);
    assert!(verified.out.contains("read: 3 commits, ") && !verified.out.contains("proven"), "{}", verified.out);
    let head = line(&verified, "head: ").unwrap().to_owned();
    assert!(head.starts_with("3:") && head.len() == 66, "{head}");

    let deep = toy.run(&["verify", "--deep", "--head", &head]).await;
    deep.says(0, &[]);
    assert!(line(&deep, "proven: ").is_some_and(|proven| !proven.starts_with('0')), "{}", deep.out);
    assert!(deep.out.contains("the head that was kept is commit 3 of this chain"), "{}", deep.out);

    let json = toy.run(&["verify", "--json"]).await;
    let told: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, &told["head"][0], &told["findings"]), (0, &3.into(), &serde_json::json!([])));

    // An auditor has a copy of the warehouse and the digest, no settings.
    let elsewhere = tempfile::tempdir().unwrap();
    let warehouse = toy.folder().join("warehouse");
    let arguments = ["verify", "--warehouse", warehouse.to_str().unwrap(), "--head", &head];
    run(elsewhere.path(), &arguments).await.says(0, &[]);
    assert_eq!(tree(&toy), before, "verifying writes nothing");

    // A head stays good when history goes on.
    toy.answer(rows("4.00")).await;
    toy.run(&["extract", "--no-progress"]).await;
    let later = toy.run(&["verify", "--head", &head]).await;
    later.says(0, &[]);
    assert!(line(&later, "head: ").unwrap().starts_with("4:") && later.out.contains("commit 3 of this chain"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_tampered_with_is_named_and_ends_with_4() {
    let toy = three_commits().await;
    let head = line(&toy.run(&["verify"]).await, "head: ").unwrap().to_owned();

    for (mistake, says) in [("zz", "64 hex digits"), ("3:zz", "64 hex digits"), ("x:aa", "`x` is no commit")] {
        toy.run(&["verify", "--head", mistake]).await.says(2, &["--head", says]);
    }
    let other = format!("2:{}", "a".repeat(64));
    let refused = toy.run(&["verify", "--head", &other]).await;
    refused.says(4, &["does not verify: 1 thing differs", "hint: "]);
    assert!(
        refused.out.contains("commit 2: ") && refused.out.contains("not the head that was kept"),
        "{}",
        refused.out
    );

    let state = files(&toy, "data/toy/projects/state").pop().unwrap();
    let kept = fs::read(&state).unwrap();
    let mut edited = kept.clone();
    edited[kept.len() / 2] ^= 1;
    for (bytes, word) in [(edited.as_slice(), "edited"), (&kept[..kept.len() - 1], "truncated")] {
        fs::write(&state, bytes).unwrap();
        let ended = toy.run(&["verify"]).await;
        ended.says(4, &["does not verify: 1 thing differs", "hint: keep it as it is"]);
        let told = format!("commit 3: {}: {word}: ", name(&toy, &state));
        assert!(ended.out.contains(&told) && ended.out.ends_with("\ndoes not verify\n"), "{}", ended.out);
    }
    // Nothing is given back by a warehouse that does not verify.
    fs::write(&state, &kept).unwrap();
    let manifest = toy.folder().join("warehouse/commits/00000000000000000002.json");
    let second = fs::read(&manifest).unwrap();
    fs::write(&manifest, [second.as_slice(), b" "].concat()).unwrap();
    let before = tree(&toy);
    toy.run(&["vacuum", "--keep-days", "0", "--safety-hours", "0"]).await.says(4, &["00003.json", "parent"]);
    assert_eq!(tree(&toy), before);
    let ended = toy.run(&["verify", "--json"]).await;
    let told: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let finding = &told["findings"][0];
    assert_eq!((ended.code, &finding["commit"], &finding["fault"]), (4, &2.into(), &"edited".into()), "{told}");

    // One manifest gone: that one is named, not all that follows from it.
    fs::remove_file(&manifest).unwrap();
    let ended = toy.run(&["verify", "--deep"]).await;
    ended.says(4, &["does not verify: 1 thing differs"]);
    assert!(ended.out.starts_with("commit 2: commits/00000000000000000002.json: missing: "), "{}", ended.out);
    assert!(!ended.out.contains("vacuum"), "{}", ended.out);
    fs::write(&manifest, second).unwrap();

    // The newest commit gone: only who kept the head can tell.
    fs::remove_file(toy.folder().join("warehouse/commits/00000000000000000003.json")).unwrap();
    toy.run(&["verify"]).await.says(0, &[]);
    let ended = toy.run(&["verify", "--head", &head]).await;
    ended.says(4, &[]);
    assert!(ended.out.contains("later commits were removed"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_a_vacuum_then_does() {
    let toy = three_commits().await;
    let before = tree(&toy);
    let states = files(&toy, "data/toy/projects/state");
    assert_eq!(states.len(), 3);

    // All of them are younger than a week.
    let ended = toy.run(&["vacuum", "--dry-run"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (0, "nothing to do\n"), "{}", ended.err);

    let dry = toy.run(&["vacuum", "--dry-run", "--keep-days", "0", "--safety-hours", "0"]).await;
    dry.says(0, &[]);
    let would = |path: &PathBuf| {
        dry.out.lines().any(|line| line.starts_with("would drop") && line.ends_with(&name(&toy, path)))
    };
    assert_eq!(states.iter().map(would).collect::<Vec<_>>(), [true, true, false], "{}", dry.out);
    assert!(!dry.out.contains("/changes/"), "{}", dry.out);
    assert_eq!(tree(&toy), before, "a dry run touches nothing");
    let json = toy.run(&["vacuum", "--dry-run", "--keep-days", "0", "--json"]).await;
    let told: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let dropped: Vec<&str> =
        told["dropped"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();

    // First they are dropped: readers pass them over, and the files stay for the safety age.
    let real = toy.run(&["vacuum", "--keep-days", "0"]).await;
    real.says(0, &[]);
    assert!(real.out.contains("dropped: ") && real.out.contains("commit 4"), "{}", real.out);
    let after = tree(&toy);
    assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)), "files went before their time");
    let waiting = toy.run(&["vacuum", "--keep-days", "0"]).await;
    assert!(waiting.out.contains("waiting: ") && !waiting.out.contains("removed: "), "{}", waiting.out);

    // Then exactly they go, and what they held is still known.
    let real = toy.run(&["vacuum", "--keep-days", "0", "--safety-hours", "0"]).await;
    real.says(0, &[]);
    let after = tree(&toy);
    let mut gone: Vec<String> =
        before.keys().filter(|path| !after.contains_key(*path)).map(|path| name(&toy, path)).collect();
    let mut expected: Vec<String> = dropped.iter().map(|path| (*path).to_owned()).collect();
    gone.sort();
    expected.sort();
    assert_eq!(gone, expected);
    let verified = toy.run(&["verify", "--deep"]).await;
    verified.says(0, &[]);
    assert!(verified.out.contains("dropped states"), "{}", verified.out);
    for (commit, amount) in [(1, "1.00"), (2, "2.00"), (3, "3.00")] {
        let as_of = format!("commit:{commit}");
        let query = "select amount from toy.projects where id = 1";
        let ended = toy.run(&["sql", "--format", "csv", "--as-of", &as_of, query]).await;
        assert_eq!(ended.out.lines().nth(1), Some(amount), "{}{}", ended.out, ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_or_cut_is_named_by_whoever_reads_it() {
    let toy = three_commits().await;
    let state = files(&toy, "data/toy/projects/state").pop().unwrap();
    let kept = fs::read(&state).unwrap();
    let named = name(&toy, &state);
    let readers: [&[&str]; 2] = [&["sql", "select * from toy.projects"], &["diff", "2", "3"]];
    fs::write(&state, &kept[..kept.len() / 2]).unwrap();
    for arguments in readers {
        toy.run(arguments).await.says(4, &[&named, "the file is cut off or damaged", "hint: "]);
    }
    fs::remove_file(&state).unwrap();
    for arguments in readers {
        toy.run(arguments).await.says(4, &[&named, "the file is missing, though a commit lists it", "hint: "]);
    }
    toy.answer(rows("4.00")).await;
    toy.run(&["extract", "--no-progress"]).await.says(4, &[&named, "the file is missing", "hint: "]);
    assert_eq!(toy.commits(), 3);
    fs::write(&state, kept).unwrap();
    toy.run(&["verify", "--deep"]).await.says(0, &[]);
}

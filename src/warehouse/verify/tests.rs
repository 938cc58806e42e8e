//! Each kind of tampering is found and named: by commit, by file, by what differs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use tempfile::TempDir;

use super::{Fault, Verification, VerifyOptions};
use crate::warehouse::commit::{Commit, CommitKind, DataFile};
use crate::warehouse::files::{Disk, Limits, Target, Writer};
use crate::warehouse::rows::{ReadMode, TableInput, state_schema};
use crate::warehouse::store::digest;
use crate::warehouse::testing::{Plain, at, batch, clock, columns, input};
use crate::warehouse::tests::empty;
use crate::warehouse::{CommitHeader, Warehouse, chain};

/// Rows as (key, scope, cents, commit).
type Row<'a> = (&'a str, &'a str, i128, i64);

/// Four commits of a keyed table and of one that grows, under one set of definitions.
async fn history() -> (TempDir, Warehouse) {
    let (folder, warehouse) = empty().await;
    let rows: [&[Plain<'_>]; 4] = [
        &[("a", "1", 100), ("b", "1", 200)],
        &[("a", "1", 150), ("b", "1", 200), ("c", "1", 300)],
        &[("a", "1", 150), ("c", "1", 300)],
        &[("a", "1", 150), ("b", "1", 250), ("c", "1", 300)],
    ];
    for rows in rows {
        let definitions = warehouse.put_definitions("{\"rules\":1}").await.unwrap();
        let clock = clock();
        let header = CommitHeader {
            kind: CommitKind::Extract,
            clock: &clock,
            definitions,
            runs: Vec::new(),
            observed_at: at(0),
        };
        let mut prepared = warehouse.prepare(header).await.unwrap();
        prepared.add(input(rows, &["1"])).await.unwrap();
        let log = TableInput { table: "log".to_owned(), mode: ReadMode::Append, ..input(&rows[..1], &[]) };
        prepared.add(log).await.unwrap();
        warehouse.publish(prepared).await.unwrap();
    }
    (folder, warehouse)
}

async fn verify(folder: &Path, deep: bool, kept: Option<&str>) -> Verification {
    let warehouse = Warehouse::open(folder.to_str().unwrap()).await.unwrap();
    let options = VerifyOptions { kept: kept.map(|kept| kept.parse().unwrap()), ..VerifyOptions::new(deep) };
    warehouse.verify(&options).await.unwrap()
}

/// Fault, commit, file and detail of each finding.
fn told(verification: &Verification) -> Vec<(Fault, Option<u64>, &str, &str)> {
    verification.findings.iter().map(|it| (it.fault, it.commit, it.file.as_str(), it.detail.as_str())).collect()
}

async fn one_finding(folder: &Path, deep: bool) -> (Fault, Option<u64>, String, String) {
    let found = verify(folder, deep, None).await;
    let [finding] = found.findings.as_slice() else { unreachable!("{:#?}", found.findings) };
    (finding.fault, finding.commit, finding.file.clone(), finding.detail.clone())
}

async fn files(warehouse: &Warehouse, number: usize, table: usize) -> (DataFile, Option<DataFile>) {
    let head = warehouse.head().await.unwrap();
    let table = &head.commits[number - 1].tables[table];
    (table.changes[0].clone(), table.state.first().cloned())
}

fn manifest(folder: &TempDir, number: u64) -> PathBuf {
    folder.path().join(chain::path(number))
}

/// Changes a manifest; the file's own text, so that nothing else of it moves.
fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[tokio::test]
async fn what_nobody_touched_verifies() {
    let (folder, warehouse) = history().await;
    let shallow = verify(folder.path(), false, None).await;
    assert_eq!((told(&shallow), shallow.commits, shallow.files, shallow.proven_states), (vec![], 4, 13, 0));
    let deep = verify(folder.path(), true, None).await;
    assert_eq!((told(&deep), deep.proven_states, deep.orphans), (vec![], 4, 0));
    assert_eq!(deep.head_text().unwrap(), format!("4:{}", warehouse.head().await.unwrap().digest));
    // An empty warehouse has nothing to hide.
    let (empty, _) = empty().await;
    assert_eq!(verify(empty.path(), true, None).await.head_text(), None);
}

#[tokio::test]
async fn files_that_were_edited_cut_swapped_or_removed() {
    let (folder, warehouse) = history().await;
    let (changes, state) = files(&warehouse, 2, 0).await;
    let state = state.unwrap();
    let path = folder.path().join(&state.path);
    let kept = std::fs::read(&path).unwrap();

    let mut edited = kept.clone();
    edited[kept.len() / 2] ^= 1;
    std::fs::write(&path, edited).unwrap();
    let (fault, commit, file, detail) = one_finding(folder.path(), true).await;
    assert_eq!((fault, commit, &file), (Fault::Edited, Some(2), &state.path));
    assert!(detail.contains(&state.sha256), "{detail}");

    std::fs::write(&path, &kept[..kept.len() - 1]).unwrap();
    let (fault, commit, file, detail) = one_finding(folder.path(), true).await;
    assert_eq!((fault, commit, &file), (Fault::Truncated, Some(2), &state.path));
    assert!(detail.contains(&format!("{} bytes", kept.len() - 1)), "{detail}");

    std::fs::remove_file(&path).unwrap();
    assert_eq!(one_finding(folder.path(), true).await.0, Fault::Missing);

    let other = folder.path().join(&changes.path);
    std::fs::write(&path, std::fs::read(&other).unwrap()).unwrap();
    std::fs::write(&other, kept).unwrap();
    let found = verify(folder.path(), true, None).await;
    let expected = [(changes.path.as_str(), &state.path), (state.path.as_str(), &changes.path)];
    for ((fault, commit, file, detail), (path, held)) in told(&found).into_iter().zip(expected) {
        assert_eq!((fault, commit, file), (Fault::Swapped, Some(2), path));
        assert!(detail.contains(held.as_str()), "{detail}");
    }
    assert_eq!(found.findings.len(), 2);
}

#[tokio::test]
async fn files_that_the_disk_does_not_give_hide_no_others() {
    let (folder, warehouse) = history().await;
    let changes = files(&warehouse, 3, 0).await.0;
    // A file where the folder of states was: opening what lay below it fails, which is not "there is none".
    let states = folder.path().join("data/procore/bills/state");
    std::fs::remove_dir_all(&states).unwrap();
    std::fs::write(&states, "").unwrap();
    std::fs::write(folder.path().join(&changes.path), "").unwrap();
    let found = verify(folder.path(), true, None).await;
    let unread = told(&found).into_iter().filter(|it| it.0 == Fault::Unreadable && it.2.contains("/state/")).count();
    let cut = told(&found).into_iter().filter(|it| (it.0, it.2) == (Fault::Truncated, changes.path.as_str())).count();
    assert_eq!((unread, cut, found.findings.len()), (4, 1, 5), "{found:#?}");
}

#[tokio::test]
async fn commits_that_were_edited_removed_or_moved() {
    let (folder, _) = history().await;
    let read = |number| std::fs::read(manifest(&folder, number)).unwrap();
    let (second, third) = (read(2), read(3));

    edit(&manifest(&folder, 2), "\"tool_version\":\"", "\"tool_version\":\"9");
    let (fault, commit, file, detail) = one_finding(folder.path(), true).await;
    assert_eq!((fault, commit, file), (Fault::Edited, Some(2), chain::path(2)));
    assert!(detail.contains(&digest(&second)) && detail.contains("commit 3 was made on"), "{detail}");

    // The parent's digest in the third edited too: then it is the third that the fourth does not know.
    edit(&manifest(&folder, 3), &digest(&second), &digest(&read(2)));
    let (fault, commit, file, _) = one_finding(folder.path(), true).await;
    assert_eq!((fault, commit, file), (Fault::Edited, Some(3), chain::path(3)));
    std::fs::write(manifest(&folder, 2), &second).unwrap();
    let (_, commit, _, detail) = one_finding_of(&folder, 3).await;
    assert!(commit == Some(3) && detail.contains("names"), "{detail}");

    std::fs::write(manifest(&folder, 2), &third).unwrap();
    std::fs::write(manifest(&folder, 3), &second).unwrap();
    let found = verify(folder.path(), true, None).await;
    let swapped: Vec<_> = told(&found).into_iter().filter(|it| it.0 == Fault::Swapped).collect();
    assert_eq!(swapped.iter().map(|it| it.1).collect::<Vec<_>>(), [Some(2), Some(3)], "{found:#?}");
    assert!(swapped[0].3.contains("manifest of commit 3"), "{found:#?}");

    std::fs::remove_file(manifest(&folder, 2)).unwrap();
    std::fs::write(manifest(&folder, 3), &third).unwrap();
    let found = verify(folder.path(), true, None).await;
    assert_eq!((found.findings[0].fault, found.findings[0].commit), (Fault::Missing, Some(2)), "{found:#?}");

    std::fs::write(manifest(&folder, 2), "{}").unwrap();
    let found = verify(folder.path(), false, None).await;
    assert_eq!((found.findings[0].fault, found.findings[0].commit), (Fault::Unreadable, Some(2)), "{found:#?}");
}

/// The first finding, which must be of that commit.
async fn one_finding_of(folder: &TempDir, number: u64) -> (Fault, Option<u64>, String, String) {
    let found = verify(folder.path(), true, None).await;
    let finding = found.findings.iter().find(|it| it.commit == Some(number)).unwrap();
    (finding.fault, finding.commit, finding.file.clone(), finding.detail.clone())
}

#[tokio::test]
async fn a_commit_that_is_gone_accuses_no_file() {
    let (a, b) = (("a", "1", 100), ("b", "1", 200));
    let (folder, warehouse) = empty().await;
    // The commit after the one that goes changes nothing: what the next one changes stands on rows that nobody can tell.
    for rows in [&[a][..], &[a, b], &[a, b], &[a, ("b", "1", 250)], &[a]] {
        crate::warehouse::testing::commit(&warehouse, input(rows, &["1"])).await;
    }
    assert_eq!(verify(folder.path(), true, None).await.proven_states, 4);
    for gone in [1, 2] {
        let kept = std::fs::read(manifest(&folder, gone)).unwrap();
        for left in [None, Some(""), Some("{}")] {
            std::fs::remove_file(manifest(&folder, gone)).unwrap();
            if let Some(left) = left {
                std::fs::write(manifest(&folder, gone), left).unwrap();
            }
            let (fault, commit, file, _) = one_finding(folder.path(), true).await;
            let expected = if left.is_some() { Fault::Unreadable } else { Fault::Missing };
            assert_eq!((fault, commit, file), (expected, Some(gone), chain::path(gone)));
            std::fs::write(manifest(&folder, gone), &kept).unwrap();
        }
    }
    // What comes after the next state is proven all the same.
    std::fs::remove_file(manifest(&folder, 2)).unwrap();
    assert_eq!(verify(folder.path(), true, None).await.proven_states, 2);
}

#[tokio::test]
async fn a_chain_whose_end_was_cut_off() {
    let (folder, warehouse) = history().await;
    let kept = format!("4:{}", warehouse.head().await.unwrap().digest);
    let third = warehouse.head().await.unwrap().commits[3].parent.clone();
    std::fs::remove_file(manifest(&folder, 4)).unwrap();
    // Files of the commit after the newest may be those of a run that died; the kept head knows better.
    let found = verify(folder.path(), true, None).await;
    assert_eq!((told(&found), found.orphans), (vec![], 3));
    let found = verify(folder.path(), false, Some(&kept)).await;
    assert_eq!(told(&found)[0].0, Fault::Head);
    assert!(told(&found)[0].3.contains("later commits were removed"), "{found:#?}");
    assert_eq!(verify(folder.path(), false, Some(&third)).await.kept, Some(3));

    std::fs::remove_file(manifest(&folder, 3)).unwrap();
    let (fault, commit, file, detail) = one_finding(folder.path(), false).await;
    assert_eq!((fault, commit), (Fault::CutOff, Some(4)));
    assert!(file.contains("00004-") && detail.contains("the chain ends with commit 2"), "{file}: {detail}");
}

#[tokio::test]
async fn definitions_and_the_warehouses_own_file() {
    let (folder, _) = history().await;
    let name = format!("definitions/{}.json", digest(b"{\"rules\":1}"));
    std::fs::write(folder.path().join(&name), "{\"rules\":2}").unwrap();
    let (fault, commit, file, _) = one_finding(folder.path(), false).await;
    assert_eq!((fault, commit, file), (Fault::Edited, Some(1), name.clone()));
    std::fs::remove_file(folder.path().join(&name)).unwrap();
    assert_eq!(one_finding(folder.path(), false).await.0, Fault::Missing);
    std::fs::write(folder.path().join(&name), "{\"rules\":1}").unwrap();

    let identity = folder.path().join("tieout.json");
    let id = Warehouse::open(folder.path().to_str().unwrap()).await.unwrap().id();
    edit(&identity, &id, "00000000-0000-4000-8000-000000000000");
    let (fault, commit, file, detail) = one_finding(folder.path(), false).await;
    assert_eq!((fault, commit, file.as_str()), (Fault::Edited, None, "tieout.json"));
    assert!(detail.contains(&id), "{detail}");
}

#[tokio::test]
async fn figures_of_the_newest_manifest_that_nothing_after_it_vouches_for() {
    let cases = [
        ("\"rows\":3", "\"rows\":4", false, "procore.bills: rows: 3 follows"),
        ("\"inserted\":1", "\"inserted\":2", false, "procore.bills: rows: 4 follows"),
        (
            "\"control_totals\":{\"amount\":\"7.00\"}",
            "\"control_totals\":{\"amount\":\"7.01\"}",
            true,
            "control total of amount: the rows come to 7.00, it says 7.01",
        ),
        (
            "\"changes_totals\":{\"amount\":\"2.50\"}",
            "\"changes_totals\":{\"amount\":\"1.50\"}",
            true,
            "total of the changes of amount: the rows come to 2.50, it says 1.50",
        ),
        (
            "\"control_totals\":{\"amount\":\"1.50\"}",
            "\"control_totals\":{\"amount\":\"1.51\"}",
            true,
            "procore.log: control total of amount",
        ),
    ];
    for (from, to, needs_deep, expected) in cases {
        let (folder, _) = history().await;
        edit(&manifest(&folder, 4), from, to);
        assert_eq!(verify(folder.path(), false, None).await.findings.is_empty(), needs_deep, "{from}");
        let found = verify(folder.path(), true, None).await;
        let is_told =
            told(&found).iter().any(|it| it.0 == Fault::Figures && it.1 == Some(4) && it.3.contains(expected));
        assert!(is_told, "{found:#?}");
    }
}

/// Writes other rows as the newest state, and a manifest that vouches for them: all digests fit.
async fn forge(folder: &TempDir, warehouse: &Warehouse, rows: &[Row<'_>]) {
    let plain: Vec<Plain<'_>> = rows.iter().map(|row| (row.0, row.1, row.2)).collect();
    let mut arrays = batch(&plain).columns().to_vec();
    arrays.push(Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>()) as ArrayRef);
    let rows = RecordBatch::try_new(state_schema(&columns()), arrays).unwrap();
    let target = Target {
        disk: Disk::new(&warehouse.store),
        folder: "data/procore/bills/state".to_owned(),
        commit: 4,
        limits: Limits::default(),
        is_sorted: true,
    };
    let written = tokio::task::spawn_blocking(move || {
        let mut writer = Writer::new(target, rows.schema());
        writer.write(&rows)?;
        writer.finish()
    });
    let state = written.await.unwrap().unwrap();
    let mut commit: Commit = serde_json::from_slice(&std::fs::read(manifest(folder, 4)).unwrap()).unwrap();
    commit.tables[0].rows = state[0].rows;
    commit.tables[0].state = state;
    std::fs::write(manifest(folder, 4), serde_json::to_vec(&commit).unwrap()).unwrap();
}

#[tokio::test]
async fn states_that_their_changes_do_not_come_to() {
    let honest: [Row<'_>; 3] = [("a", "1", 150, 2), ("b", "1", 250, 4), ("c", "1", 300, 2)];
    let [a, b, c] = honest;
    let cases: [(&[Row<'_>], &str); 7] = [
        (&[a, b, ("c", "1", 299, 2)], "row `c` has another amount, _raw, _hash than its last change"),
        (&[a, ("b", "1", 250, 3), c], "row `b` has another _commit"),
        (&[a, b], "row `c` is missing from its end"),
        (&[b, c], "row `a` is missing before `b`"),
        (&[a, b, c, ("d", "1", 0, 4)], "row `d` is there, and no change made it"),
        (&[a, a, b, c], "key `a` stands twice"),
        (&[b, a, c], "key `a` stands out of order"),
    ];
    for (rows, expected) in cases {
        let (folder, warehouse) = history().await;
        let kept = format!("4:{}", warehouse.head().await.unwrap().digest);
        forge(&folder, &warehouse, rows).await;
        let found = verify(folder.path(), true, None).await;
        let is_told = told(&found)
            .iter()
            .any(|it| it.0 == Fault::Fold && it.1 == Some(4) && it.2.contains("/state/") && it.3.contains(expected));
        assert!(is_told, "{expected}: {found:#?}");
        // Without reading rows only a count can tell, but whoever kept the head knows at once.
        assert_eq!(verify(folder.path(), false, None).await.findings.is_empty(), rows.len() == 3);
        assert!(told(&verify(folder.path(), false, Some(&kept)).await).iter().any(|it| it.0 == Fault::Head));
    }
    let (folder, warehouse) = history().await;
    forge(&folder, &warehouse, &honest).await;
    assert_eq!(told(&verify(folder.path(), true, None).await), []);
}

#[tokio::test]
async fn many_files_of_many_pages_are_proven_side_by_side() {
    let (folder, warehouse) = empty().await;
    let warehouse = warehouse.with_limits(Limits { file_rows: 7_000, ..Limits::default() });
    let keys: Vec<String> = (0..20_000).map(|key| format!("{key:06}")).collect();
    let mut rows: Vec<Plain<'_>> = keys.iter().map(|key| (key.as_str(), "1", 1)).collect();
    for round in 0..4 {
        let last = rows.len() - 1 - round;
        for row in rows.iter_mut().skip(round).step_by(7) {
            row.2 += 1;
        }
        let read = TableInput { accept_deletes: true, ..input(&rows[round * 100..last], &["1"]) };
        crate::warehouse::testing::commit(&warehouse, read).await;
    }
    let found = verify(folder.path(), true, None).await;
    assert_eq!((told(&found), found.proven_states), (vec![], 4));
}

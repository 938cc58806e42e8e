//! A full disk under `report`, `sql -o` and `evidence`: said in words, and nothing is left behind.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::lives::{CHECK, LARGE, projects};
use super::toy::{Ended, Toy, ended};

const OLD: &str = "the report of last month";

/// What stands in a shell before the program: a limit of files' sizes, which every system has, and a disk of so many kilobytes,
/// where this user may mount one.
#[derive(Clone, Copy, Debug)]
enum Limit {
    Files(u32),
    Disk(u32),
}

impl Limit {
    fn script(self) -> String {
        match self {
            // 512 bytes each, by POSIX. The signal that comes with the error ends who does not ignore it.
            Self::Files(kilobytes) => format!("trap '' XFSZ; ulimit -f {}; ", kilobytes * 2),
            // What was there is put onto the small disk too.
            Self::Disk(kilobytes) => format!(
                "cp -r out before && mount -t tmpfs -o size={kilobytes}k none out && cp -r before/. out/; rm -r before; "
            ),
        }
    }

    /// What the system says.
    fn reason(self) -> &'static str {
        match self {
            Self::Files(_) => "File too large",
            Self::Disk(_) => "No space left on device",
        }
    }
}

/// Whether this user may mount a disk that nobody else sees.
async fn may_mount() -> bool {
    let mut command = Command::new("unshare");
    command.args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

/// Runs the program where `out` holds little; gives the old report and all names that are in `out` after it.
async fn squeezed(toy: &Toy, limit: Limit, arguments: &[&str]) -> (Ended, String, Vec<String>) {
    let look = "code=$?; echo; cat out/old.html; echo; ls -A out | tr '\\n' ' '; exit $code";
    let script = format!("{}\"$@\"; {look}", limit.script());
    let mut command = match limit {
        Limit::Files(_) => Command::new("/bin/sh"),
        Limit::Disk(_) => {
            let mut command = Command::new("unshare");
            command.args(["-rm", "/bin/sh"]);
            command
        }
    };
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_tieout")]).args(arguments);
    command.current_dir(toy.folder()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = ended(command.kill_on_drop(true).spawn().unwrap()).await;
    let mut lines = ended.out.lines().rev();
    let left = lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let old = lines.next().unwrap_or_default().to_owned();
    (ended, old, left)
}

/// Whether nothing but the program itself speaks: libraries tell of what they give up as well.
fn is_plain(ended: &Ended) -> bool {
    let errors = ended.err.lines().filter(|line| line.starts_with("error: ")).count();
    errors == 1 && !ended.err.contains("ZipWriter") && !ended.err.contains("panicked")
}

fn size(path: &Path) -> u32 {
    u32::try_from(std::fs::metadata(path).unwrap().len() >> 10).unwrap()
}

/// A firm of some hundred exceptions, and a folder with an old report.
async fn firm() -> Toy {
    let amounts: Vec<(u32, String)> = (1..=400).map(|id| (id, format!("{}.00", 100 + id))).collect();
    let amounts: Vec<(u32, &str)> = amounts.iter().map(|(id, amount)| (*id, amount.as_str())).collect();
    let toy = Toy::start(projects(&amounts)).await;
    toy.write(CHECK, LARGE);
    toy.run(&["extract"]).await.says(0, &[]);
    toy.write("out/old.html", OLD);
    toy
}

async fn limits(kilobytes: u32) -> Vec<Limit> {
    let disk = may_mount().await.then_some(Limit::Disk(kilobytes));
    [Limit::Files(kilobytes)].into_iter().chain(disk).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_or_a_result_is_whole_or_as_it_was() {
    let toy = firm().await;
    for arguments in [
        &["report", "-o", "out/old.html"][..],
        &["report", "--format", "xlsx", "-o", "out/old.html"],
        &["sql", "-o", "out/old.html", "--format", "csv", "select *, repeat(detail, 20) from recon.exceptions"],
        &["sql", "-o", "out/old.html", "--format", "json", "select * from recon.exceptions"],
        &["sql", "-o", "out/old.html", "--format", "table", "select * from recon.exceptions"],
        &[
            "sql",
            "-o",
            "out/old.html",
            "--format",
            "parquet",
            "select *, random() as a, random() as b from recon.exceptions",
        ],
    ] {
        for limit in limits(4).await {
            let (ended, old, left) = squeezed(&toy, limit, arguments).await;
            ended.says(
                2,
                &["error: write out/old.html: ", limit.reason(), "\nhint: ", "a file that was there is as it was"],
            );
            assert!(is_plain(&ended), "{arguments:?}: {}", ended.err);
            assert_eq!((old.as_str(), left), (OLD, vec!["old.html".to_owned()]), "{arguments:?} {limit:?}");
        }
    }
    // The test could tell: with room the same is written.
    let (ended, _, left) = squeezed(&toy, Limit::Files(100_000), &["report", "-o", "out/new.html"]).await;
    assert!(matches!(ended.code, 0 | 5) && left == ["new.html", "old.html"], "{}", ended.err);
    for (arguments, reason) in [
        (&["report", "-o", "out/gone/a.html"][..], "make its folder first"),
        (&["sql", "-o", "out/old.html/a.csv", "--format", "csv", "select 1"], "make its folder first"),
    ] {
        toy.run(arguments).await.says(2, &["error: write out/", reason]);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn standard_output_that_is_full_is_an_error_too() {
    let toy = firm().await;
    for arguments in [
        &["report", "-o", "-"][..],
        &["report", "--format", "md"],
        &["sql", "--format", "csv", "select 1"],
        &["sql", "select 1"],
        &["schedule"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tieout"));
        let full = std::fs::File::create("/dev/full").unwrap();
        command.current_dir(toy.folder()).args(arguments).stdin(Stdio::null()).stdout(full).stderr(Stdio::piped());
        let ended = ended(command.spawn().unwrap()).await;
        assert!(ended.code == 2 && ended.err.contains("No space left on device"), "{arguments:?}: {}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_whole_or_not_there() {
    let toy = firm().await;
    let order = |place: &'static str| ["evidence", "--as-of", "commit:1", "--view", "X1", "-o", place];
    let (whole, ..) = squeezed(&toy, Limit::Files(100_000), &order("out/whole.zip")).await;
    assert!(matches!(whole.code, 0 | 5), "{}", whole.err);
    let packed = size(&toy.folder().join("out/whole.zip"));
    let (whole, ..) = squeezed(&toy, Limit::Files(100_000), &order("out/whole")).await;
    assert!(matches!(whole.code, 0 | 5), "{}", whole.err);
    let mut folders = vec![toy.folder().join("out/whole")];
    let mut unpacked = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            // Whole pages, as a small disk gives them out.
            if path.is_dir() { folders.push(path) } else { unpacked += (size(&path) + 4) / 4 * 4 }
        }
    }
    std::fs::remove_dir_all(toy.folder().join("out/whole")).unwrap();
    std::fs::remove_file(toy.folder().join("out/whole.zip")).unwrap();
    for place in ["out/new", "out/new.zip"] {
        // The first files fit, the larger ones do not; then all do, and the one file of all does not.
        let mut cases = limits(8).await;
        cases.extend(limits(packed / 2).await);
        if may_mount().await {
            cases.extend(place.ends_with("zip").then_some(Limit::Disk(unpacked + packed / 2)));
        }
        for limit in cases {
            let (ended, _, left) = squeezed(&toy, limit, &order(place)).await;
            ended.says(2, &["error: write out/new", limit.reason(), "\nhint: nothing was left behind; make room"]);
            assert!(is_plain(&ended), "{place} {limit:?}: {}", ended.err);
            assert_eq!(left, ["old.html"], "{place} {limit:?}");
        }
    }
}

/// What is logged is lost then, and nothing else: neither a command nor a session of a server ends by it.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_ends_nothing() {
    let toy = Toy::start(projects(&[(1, "250.00")])).await;
    toy.run(&["extract"]).await.says(0, &[]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "TIEOUT_LOG=trace \"$@\" 2> /dev/full", "sh", env!("CARGO_BIN_EXE_tieout")]);
    command.args(["sql", "--format", "csv", "select count(*) as lists from toy.projects"]).current_dir(toy.folder());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let told = ended(command.kill_on_drop(true).spawn().unwrap()).await;
    assert_eq!((told.code, told.out.as_str()), (0, "lists\n1\n"));
}

//! The thread that appends lines to the file, and goes on in a new one when it is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;

use super::{AuditOptions, Line};

/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// So many lines are written before the file is brought up to date.
const LINES_MAX: usize = 1_000;

/// What the thread is told.
pub(super) enum Message {
    Line(Arc<Line>),
    /// Answered when everything before it is on the disk.
    Flush(oneshot::Sender<()>),
}

/// The file that is written now.
pub(super) struct Writer {
    options: AuditOptions,
    file: BufWriter<File>,
    bytes: u64,
}

impl Writer {
    /// Opens the file and starts the thread, which ends with its last sender.
    pub(super) fn start(options: AuditOptions, waiting: Arc<AtomicUsize>) -> anyhow::Result<Sender<Message>> {
        let shown = options.path.display().to_string();
        let writer = Self::open(options).with_context(|| {
            format!("open the audit log {shown}\nhint: [server] audit_log names a file that the server may write")
        })?;
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new().name("audit".to_owned());
        thread.spawn(move || writer.run(&receiver, &waiting)).context("start the thread of the audit log")?;
        Ok(sender)
    }

    fn open(options: AuditOptions) -> io::Result<Self> {
        if let Some(folder) = options.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let file = appended(&options.path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { options, file: BufWriter::new(file), bytes })
    }

    fn run(mut self, receiver: &Receiver<Message>, waiting: &AtomicUsize) {
        let mut lines: Vec<Arc<Line>> = Vec::new();
        let mut flushed: Vec<oneshot::Sender<()>> = Vec::new();
        let mut is_open = true;
        while is_open || !lines.is_empty() {
            // What failed is tried again, whether or not there is more.
            let next = if lines.is_empty() {
                receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                receiver.recv_timeout(AGAIN)
            };
            let was_open = is_open;
            is_open &= !matches!(next, Err(RecvTimeoutError::Disconnected));
            for message in next.into_iter().chain(receiver.try_iter().take(LINES_MAX)) {
                match message {
                    Message::Line(line) => lines.push(line),
                    Message::Flush(done) => flushed.push(done),
                }
            }
            let failed = self.write(&mut lines, waiting).and_then(|()| self.settle(!flushed.is_empty())).err();
            match failed {
                None => {
                    for done in flushed.drain(..) {
                        // Whoever has left needs no answer.
                        let _ = done.send(());
                    }
                }
                Some(error) => {
                    let path = self.options.path.display();
                    tracing::error!(%path, %error, lines = lines.len(), "write the audit log: the lines are kept and tried again");
                    if !was_open {
                        // Nobody is left who could wait.
                        return;
                    }
                    self.reopen();
                }
            }
        }
    }

    /// Appends the lines; those that were written are taken out.
    fn write(&mut self, lines: &mut Vec<Arc<Line>>, waiting: &AtomicUsize) -> io::Result<()> {
        let mut written = 0;
        let mut end = Ok(());
        for line in &*lines {
            end = self.append(line);
            if end.is_err() {
                break;
            }
            written += 1;
        }
        // Lines count as written only when the file has them.
        let flushed = self.file.flush();
        if flushed.is_ok() {
            lines.drain(..written);
            waiting.fetch_sub(written, Ordering::Relaxed);
        }
        end.and(flushed)
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line).map_err(io::Error::other)?;
        text.push(b'\n');
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes.saturating_add(length) > self.options.bytes_max {
            self.rotate()?;
        }
        self.file.write_all(&text)?;
        self.bytes += length;
        Ok(())
    }

    /// Moves the full file aside and starts a new one; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        self.settle(true)?;
        let aside = |number: usize| numbered(&self.options.path, number);
        if self.options.files == 0 {
            fs::remove_file(&self.options.path)?;
        } else {
            for number in (1..self.options.files).rev() {
                if aside(number).exists() {
                    fs::rename(aside(number), aside(number + 1))?;
                }
            }
            fs::rename(&self.options.path, aside(1))?;
        }
        self.file = BufWriter::new(appended(&self.options.path)?);
        self.bytes = 0;
        Ok(())
    }

    fn settle(&mut self, on_disk: bool) -> io::Result<()> {
        self.file.flush()?;
        if on_disk { self.file.get_ref().sync_data() } else { Ok(()) }
    }

    /// After a failure: the disk, or what was at the path, may be another by now. Half a line that was written is ended.
    fn reopen(&mut self) {
        let Ok(mut file) = appended(&self.options.path) else { return };
        let bytes = file.metadata().map_or(self.bytes, |metadata| metadata.len());
        if !is_whole(&self.options.path) && file.write_all(b"\n").is_err() {
            return;
        }
        let old = std::mem::replace(&mut self.file, BufWriter::new(file));
        // What the old one still holds is written again with its line.
        drop(old.into_parts());
        self.bytes = bytes;
    }
}

/// Whether the last line of a file has its end.
fn is_whole(path: &Path) -> bool {
    let last = || -> io::Result<u8> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok(last[0])
    };
    // An empty file has no last line.
    last().map_or(true, |last| last == b'\n')
}

/// `path.number`
fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// The file, for its owner's eyes only, whoever made it.
fn appended(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        let file = options.mode(0o600).open(path)?;
        // A pipe or a device that stands for the file is its owner's to protect.
        if file.metadata()?.is_file() {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::super::{AuditLog, Event, Who};
    use super::*;

    fn line(number: u64) -> Line {
        let who = Who {
            session: number,
            role: "ada".to_owned(),
            address: [127, 0, 0, 1].into(),
            database: "tieout".to_owned(),
        };
        Line { sql: Some("select 1".into()), ..Line::of(Event::Statement, &Arc::new(who)) }
    }

    fn sessions(path: &Path) -> Vec<u64> {
        let text = fs::read_to_string(path).unwrap();
        let parsed = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        parsed.map(|line| line["session"].as_u64().unwrap()).collect()
    }

    #[tokio::test]
    async fn lines_are_appended_in_order_and_full_files_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/statements.jsonl");
        let options = AuditOptions { path: path.clone(), bytes_max: 1_000, files: 2 };
        let log = AuditLog::open(Some(&options)).unwrap();
        (1..=4).for_each(|number| log.put(line(number)));
        log.close().await;
        assert_eq!(sessions(&path), [1, 2, 3, 4]);
        // Opened again it goes on where it was.
        let log = AuditLog::open(Some(&options)).unwrap();
        (5..=40).for_each(|number| log.put(line(number)));
        log.close().await;
        let kept: Vec<u64> =
            [numbered(&path, 2), numbered(&path, 1), path.clone()].iter().flat_map(|path| sessions(path)).collect();
        let first = *kept.first().unwrap();
        assert!(first > 4 && kept == (first..=40).collect::<Vec<_>>(), "{kept:?}");
        assert!(!numbered(&path, 3).exists() && fs::metadata(&path).unwrap().len() <= 1_000);
        #[cfg(unix)]
        for path in [numbered(&path, 1), path] {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn a_line_that_cannot_be_written_is_kept_and_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("statements.jsonl");
        let options = AuditOptions { path: path.clone(), bytes_max: 1, files: 1 };
        let log = AuditLog::open(Some(&options)).unwrap();
        log.put(line(1));
        log.close().await;
        // A folder in the place of the file to be put aside: every line needs a new file, and none can be made.
        let in_the_way = numbered(&path, 1);
        fs::create_dir(&in_the_way).unwrap();
        log.put(line(2));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!((sessions(&path), log.waiting.load(Ordering::Relaxed)), (vec![1], 1));
        fs::remove_dir(&in_the_way).unwrap();
        log.close().await;
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"session\":2"), "{text}");
        assert_eq!(log.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let options = AuditOptions { path: folder.path().to_path_buf(), bytes_max: 1, files: 1 };
        let error = format!("{:#}", AuditLog::open(Some(&options)).unwrap_err());
        assert!(error.contains("open the audit log") && error.contains("hint: [server] audit_log"), "{error}");
    }
}

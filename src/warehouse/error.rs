//! What can go wrong in a warehouse, by what the caller does next.

use std::error::Error as _;
use std::io;

use arrow::error::ArrowError;

use super::marks::MomentError;

/// Characters of a store's message that are shown: some answer with a page.
const SHOWN_MAX: usize = 400;

/// An error of the warehouse. Its text says what failed, where, why, and what to try.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no warehouse, or a file that ought to be in it is not there.
    #[error(
        "open {path}: there is no such warehouse or file\nhint: `tieout extract` creates the warehouse; check `url` under [warehouse] in tieout.toml"
    )]
    NotFound {
        /// The folder or file.
        path: String,
    },
    /// The address is of a kind of store that this version does not know.
    #[error(
        "open warehouse {url}: a warehouse is not `{scheme}://`\nhint: give a folder such as ./warehouse, or s3://bucket/folder, az://container/folder, gs://bucket/folder"
    )]
    UnsupportedStore {
        /// The address as given.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// An address that cannot be used.
    #[error(
        "open warehouse {url}: {reason}{}",
        advice_unless_given(reason, "\nhint: docs/stores.md has every form of address")
    )]
    Address {
        /// The address, without secrets.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is something, but no warehouse.
    #[error(
        "open warehouse {url}: {reason}; nothing was changed\nhint: give the address of a warehouse, or of a new or empty folder for a new one"
    )]
    NotAWarehouse {
        /// The place.
        url: String,
        /// What is there instead.
        reason: String,
    },
    /// A place that tables cannot be published to.
    #[error(
        "export to {place}: {reason}{}",
        advice_unless_given(reason, "\nhint: give a new or empty folder, or leave --to out")
    )]
    Target {
        /// The place.
        place: String,
        /// What stands against it.
        reason: String,
    },
    /// A newer version of tieout wrote it.
    #[error("open {file}: it has format {found}, this version knows 1 to {known}\nhint: use a newer version of tieout")]
    Newer {
        /// The file.
        file: String,
        /// Its format.
        found: u32,
        /// The newest format that this version reads.
        known: u32,
    },
    /// Another commit took the number between prepare and publish: nothing was published.
    #[error(
        "publish commit {number}: another run published that commit meanwhile; nothing of this run is visible\nhint: run again, it starts from the new head"
    )]
    Conflict {
        /// The number that was taken.
        number: u64,
    },
    /// A file is not what the chain of commits says it is.
    #[error("read {file}: {reason}")]
    Corrupt {
        /// The file, below the warehouse's root.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process is extracting the same source.
    #[error("lock source {name}: {holder} is extracting it (lock file {path})\nhint: wait until it ends; {hint}")]
    Locked {
        /// The source's name.
        name: String,
        /// The lock file.
        path: String,
        /// Who holds it, as far as the file tells.
        holder: String,
        /// What to do if nobody does any more.
        hint: String,
    },
    /// A table handed in breaks the layout in `rows`.
    #[error("add table {name}.{table} to the commit: {reason}")]
    Input {
        /// The source's name.
        name: String,
        /// The table's name.
        table: String,
        /// What breaks it.
        reason: String,
    },
    /// A moment that nobody can read.
    #[error("as of `{text}`: {reason}\nhint: latest, 2025-12-31, 2025-12-31T17:00:00Z, commit:42 or the name of a pin")]
    AsOf {
        /// The text as given.
        text: String,
        /// Why it is none.
        reason: String,
    },
    /// A moment that means nothing here, or a pin or sign-off that cannot be made.
    #[error(transparent)]
    Moment(#[from] MomentError),
    /// A commit that is not in the chain.
    #[error("commit {number} does not exist: the newest is {newest}\nhint: `tieout log` lists the commits")]
    UnknownCommit {
        /// The number asked for.
        number: u64,
        /// The newest there is; 0 if there is none.
        newest: u64,
    },
    /// The store failed.
    #[error("{action} {path}: {}{}", shown(cause), advice_store(cause))]
    Store {
        /// The verb: read, write, list.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// What the store said. Not a `source`, whose text would be printed as it is: it may carry a signed address.
        cause: object_store::Error,
    },
    /// The file system failed.
    #[error("{action} {path}: {source}{}", advice(Some(source)))]
    Io {
        /// The verb: create, lock, flush.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Rows could not be put together.
    #[error("{action} {path}: {source}")]
    Arrow {
        /// The verb.
        action: &'static str,
        /// The file or table.
        path: String,
        /// What Arrow or Parquet said.
        source: ArrowError,
    },
}

impl Error {
    pub(super) fn corrupt(file: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Corrupt { file: file.into(), reason: reason.into() }
    }

    /// Rows that waited in the temporary folder and are not given back.
    pub(crate) fn unread(source: io::Error) -> Self {
        Self::io("read", "rows of the run in the temporary folder (TMPDIR)".as_ref())(source)
    }

    pub(super) fn arrow(action: &'static str, path: impl Into<String>) -> impl FnOnce(ArrowError) -> Self {
        let path = path.into();
        move |source| Self::Arrow { action, path, source }
    }

    pub(super) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { action, path, source }
    }
}

/// What a store said, in one line and without what may be secret.
fn shown(cause: &object_store::Error) -> String {
    let text = super::address::without_secrets(&cause.to_string());
    let code = |tag: &str| {
        let rest = text.split_once(&format!("<{tag}>"))?.1;
        rest.split_once(&format!("</{tag}>")).map(|(value, _)| value.trim().to_owned())
    };
    // S3, Azure and Google all answer in XML with the same two elements.
    if let Some((code, message)) = code("Code").zip(code("Message")) {
        return format!("the store answered {code}: {}", message.lines().next().unwrap_or_default());
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

fn advice_store(cause: &object_store::Error) -> &'static str {
    if let Some(io) = io_cause(cause) {
        let hint = advice(Some(io));
        if !hint.is_empty() {
            return hint;
        }
    }
    // Where cloud machines ask for their own credentials: reached only when nothing else gave any.
    if cause.to_string().contains("169.254.169.254") || cause.to_string().contains("metadata.google.internal") {
        return "\nhint: no credentials were found; set them in the environment as for the vendor's own command line";
    }
    match cause {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            "\nhint: the credentials were found but may not do this; reading needs get and list, extracting also put"
        }
        object_store::Error::NotFound { .. } => "\nhint: the bucket must exist; check its name and region",
        _ => "",
    }
}

fn advice_unless_given(reason: &str, hint: &'static str) -> &'static str {
    if reason.contains("hint:") { "" } else { hint }
}

/// The operating system's error at the bottom of a store's error: it alone tells a full disk from a missing permission.
fn io_cause(error: &object_store::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<io::Error>() {
            return Some(found);
        }
        cause = current.source();
    }
    None
}

fn advice(cause: Option<&io::Error>) -> &'static str {
    match cause.map(io::Error::kind) {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            "\nhint: the disk is full; free space and run again: nothing of this run became visible"
        }
        Some(io::ErrorKind::PermissionDenied) => "\nhint: the account that runs tieout may not do this in that folder",
        Some(io::ErrorKind::ReadOnlyFilesystem) => "\nhint: the file system is mounted read-only",
        Some(io::ErrorKind::Unsupported) => {
            "\nhint: the warehouse needs a file system with hard links (not exFAT; some network shares have none)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_so_through_all_layers() {
        #[derive(Debug, thiserror::Error)]
        #[error("unable to copy data to file: {0}")]
        struct Inner(#[source] io::Error);
        let cause = object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(Inner(io::Error::from(io::ErrorKind::StorageFull))),
        };
        let text = Error::Store { action: "write", path: "data/x.parquet".into(), cause }.to_string();
        assert!(text.starts_with("write data/x.parquet: "), "{text}");
        assert!(text.contains("hint: the disk is full"), "{text}");
    }

    #[test]
    fn a_refusal_in_xml_is_one_line_without_signatures() {
        let body = "Error performing GET https://a.blob.core.windows.net/books/tieout.json?sv=2&sig=hunter2 - 403: \
            <?xml version=\"1.0\"?>\n<Error><Code>AuthorizationFailure</Code><Message>Not allowed.\nRequestId:1</Message></Error>";
        let cause = object_store::Error::PermissionDenied { path: "tieout.json".into(), source: body.into() };
        let error = Error::Store { action: "read", path: "az://books/tieout.json".into(), cause };
        let text = format!("{:#}", anyhow::Error::from(error));
        assert!(text.starts_with("read az://books/tieout.json: the store answered AuthorizationFailure: Not allowed."));
        assert!(text.contains("hint: the credentials") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_plain_error_has_no_hint() {
        let source = io::Error::other("odd");
        assert_eq!(Error::Io { action: "lock", path: "x".into(), source }.to_string(), "lock x: odd");
    }
}

//! What can go wrong in a warehouse, by what the caller does next.

use std::error::Error as _;
use std::io;

use arrow::error::ArrowError;

use super::marks::MomentError;

/// An error of the warehouse. Its text says what failed, where, why, and what to try.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no warehouse, or a file that ought to be in it is not there.
    #[error(
        "open {path}: there is no such warehouse or file\nhint: `tieout extract` creates the warehouse; check the path of `warehouse` in tieout.toml"
    )]
    NotFound {
        /// The folder or file.
        path: String,
    },
    /// The address is of a kind of store that this version does not know.
    #[error(
        "open warehouse {url}: a warehouse is a folder here, not `{scheme}://`\nhint: give a path such as ./warehouse, or file:///srv/warehouse"
    )]
    UnsupportedStore {
        /// The address as given.
        url: String,
        /// Its scheme.
        scheme: String,
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
    #[error(
        "lock source {name}: {holder} is extracting it (lock file {path})\nhint: wait until it ends; the lock goes with the process, the file may stay"
    )]
    Locked {
        /// The source's name.
        name: String,
        /// The lock file.
        path: String,
        /// Who holds it, as far as the file tells.
        holder: String,
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
    #[error("{action} {path}: {source}{}", advice(io_cause(source)))]
    Store {
        /// The verb: read, write, list.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// What the store said.
        source: object_store::Error,
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

    pub(super) fn arrow(action: &'static str, path: impl Into<String>) -> impl FnOnce(ArrowError) -> Self {
        let path = path.into();
        move |source| Self::Arrow { action, path, source }
    }

    pub(super) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { action, path, source }
    }
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
        let source = object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(Inner(io::Error::from(io::ErrorKind::StorageFull))),
        };
        let text = Error::Store { action: "write", path: "data/x.parquet".into(), source }.to_string();
        assert!(text.starts_with("write data/x.parquet: "), "{text}");
        assert!(text.contains("hint: the disk is full"), "{text}");
    }

    #[test]
    fn a_plain_error_has_no_hint() {
        let source = io::Error::other("odd");
        assert_eq!(Error::Io { action: "lock", path: "x".into(), source }.to_string(), "lock x: odd");
    }
}

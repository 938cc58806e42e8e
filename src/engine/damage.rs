//! Files of the warehouse that a scan finds missing or cut, in the warehouse's own words.
//!
//! `DataFusion` and the Parquet reader hand such an error on as text alone, inside each other's prefixes: here it becomes the
//! error that names the file and what to do. Invariant: a store that does not answer is no damage, and stays what it was.

use datafusion::error::DataFusionError;

use crate::warehouse::{Error as WarehouseError, HALF_COPIED};

/// What stands before a file's path where its footer cannot be read.
const FOOTER: &str = "Failed to fetch metadata for file ";
/// What stands before a file's path where there is none.
const OBJECT: &str = "Object at location ";
const NOT_FOUND: &str = " not found";
/// What stores and the Parquet reader say of a file that ends too early, or whose end is no Parquet.
const CUT: [&str; 6] =
    ["Requested range was invalid", "InvalidRange", "Range Not Satisfiable", "EOF", "Corrupt footer", "too small"];

/// The file that is missing or damaged, if that is what the error says.
pub(crate) fn damage(error: &DataFusionError) -> Option<WarehouseError> {
    let root = error.find_root();
    if !matches!(root, DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_)) {
        return None;
    }
    let text = root.strip_backtrace();
    let is_missing = text.split_once(OBJECT).is_some_and(|(_, rest)| rest.contains(NOT_FOUND));
    let file = match text.split_once(FOOTER) {
        Some((_, rest)) => rest.split_once(": ")?.0,
        None => text.split_once(OBJECT)?.1.split_once(NOT_FOUND)?.0,
    };
    let reason = if is_missing {
        format!("the file is missing, though a commit lists it\n{HALF_COPIED}")
    } else if CUT.iter().any(|words| text.contains(words)) {
        format!("the file is cut off or damaged\n{HALF_COPIED}; `tieout verify` names every such file")
    } else {
        return None;
    };
    Some(WarehouseError::Corrupt { file: file.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use datafusion::parquet::errors::ParquetError;

    use super::*;

    fn told(text: &str) -> Option<String> {
        let error = DataFusionError::ParquetError(Box::new(ParquetError::General(text.to_owned())));
        damage(&error.context("while scanning")).map(|damage| damage.to_string())
    }

    #[test]
    fn a_file_that_is_gone_or_cut_is_named_and_a_silent_store_is_not_blamed_on_it() {
        let footer = "Failed to fetch metadata for file data/a.parquet: Object Store error: ";
        let gone = told(&format!("{footer}Object at location /b/data/a.parquet not found: No such file")).unwrap();
        assert!(
            gone.starts_with("read data/a.parquet: the file is missing, though a commit lists it\nhint: "),
            "{gone}"
        );
        let cut = told(&format!("{footer}Generic LocalFileSystem error: Requested range was invalid")).unwrap();
        assert!(cut.starts_with("read data/a.parquet: the file is cut off or damaged\nhint: "), "{cut}");
        assert!(
            told("Failed to fetch metadata for file data/a.parquet: Invalid Parquet file. Corrupt footer").is_some()
        );
        assert_eq!(told(&format!("{footer}Generic S3 error: error sending request")), None);
        assert_eq!(told("Invalid offset"), None);
        let gone = object_store_error("data/a.parquet");
        assert!(damage(&gone).unwrap().to_string().starts_with("read data/a.parquet: the file is missing"));
        assert!(damage(&DataFusionError::Plan(format!("{OBJECT}x{NOT_FOUND}"))).is_none());
    }

    fn object_store_error(path: &str) -> DataFusionError {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound).into();
        DataFusionError::from(object_store::Error::NotFound { path: path.to_owned(), source })
    }
}

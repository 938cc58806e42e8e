//! From a source to typed rows.

pub mod manifest;

mod cursor;
mod decode;
mod hash;
mod lint;
mod paging;
mod path;
mod redact;
mod template;
mod value;

pub use lint::did_you_mean;
pub use manifest::{Manifest, ManifestError};

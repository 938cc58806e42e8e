//! The definitions in force: manifests, canonical SQL, query SQL and crosswalks, by path.
//!
//! Owns which file wins: the shipped ones are embedded in the binary, a workspace's own lie over them path by path.
//! Invariant: the same files give the same [`Definitions::hash`] on every machine, so that a commit can name the set it was
//! evaluated with. Leaves out what the files mean: `extract` reads manifests, `engine` reads SQL.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};
use sha2::{Digest, Sha256};

static EXTRACTORS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/extractors");
static QUERIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/queries");

/// The non-secret settings of the workspace, stored beside the files.
pub const SETTINGS_FILE: &str = "settings.json";

/// The folder of what several mappings have in common, and the schema by which they name it.
pub(crate) const SHARED: &str = "shared";

/// Files by path below the workspace, with `/`: `queries/recon/vendor_counts.sql`, `extractors/procore/manifest.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    /// The text of each file.
    pub files: BTreeMap<String, String>,
}

/// What can go wrong while definitions are read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the workspace cannot be read.
    #[error("read definitions {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A stored set of definitions is not a JSON object of texts.
    #[error("read stored definitions: {source}")]
    Stored {
        /// Where and why.
        #[from]
        source: serde_json::Error,
    },
}

impl Definitions {
    /// The definitions embedded in the binary.
    pub fn shipped() -> Self {
        let mut definitions = Self::default();
        definitions.embed("extractors", &EXTRACTORS);
        definitions.embed("queries", &QUERIES);
        definitions
    }

    /// Lays the workspace's own files over these: `extractors/`, `queries/` and `crosswalks/*.csv`. Folders that do not
    /// exist are no error.
    pub fn overlay(mut self, workspace: &Path) -> Result<Self, Error> {
        for (folder, kinds) in
            [("extractors", &["toml", "sql"][..]), ("queries", &["toml", "sql"]), ("crosswalks", &["csv"])]
        {
            self.overlay_folder(&workspace.join(folder), folder, kinds)?;
        }
        Ok(self)
    }

    /// Adds the non-secret settings, which are part of what was in force.
    #[must_use]
    pub fn with_settings(mut self, settings: &serde_json::Value) -> Self {
        self.files.insert(SETTINGS_FILE.to_owned(), settings.to_string());
        self
    }

    /// SHA-256, hex, of [`Self::to_json`].
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.to_json().as_bytes()))
    }

    /// One JSON object, path to text, sorted by path: what the warehouse stores under the hash.
    pub fn to_json(&self) -> String {
        let object: serde_json::Map<String, serde_json::Value> =
            self.files.iter().map(|(path, text)| (path.clone(), text.clone().into())).collect();
        serde_json::Value::Object(object).to_string()
    }

    /// The set that [`Self::to_json`] wrote.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        Ok(Self { files: serde_json::from_str(json)? })
    }

    /// The text of a file.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// What a system's mappings read as `shared.<name>`, with its path: the system's own text, else that of all systems.
    pub(crate) fn shared(&self, system: &str, name: &str) -> Option<(&str, &str)> {
        let places = [format!("extractors/{system}/{SHARED}/{name}.sql"), format!("extractors/{SHARED}/{name}.sql")];
        let found = places.iter().find_map(|path| self.files.get_key_value(path))?;
        Some((found.0.as_str(), found.1.as_str()))
    }

    fn embed(&mut self, root: &str, folder: &Dir<'_>) {
        for entry in folder.entries() {
            match entry {
                DirEntry::Dir(inner) => self.embed(root, inner),
                DirEntry::File(file) => {
                    let path = file.path().to_string_lossy().replace('\\', "/");
                    if let Some(text) = file.contents_utf8().filter(|_| is_definition(&path, &["toml", "sql"])) {
                        self.files.insert(format!("{root}/{path}"), text.replace("\r\n", "\n"));
                    }
                }
            }
        }
    }

    /// Lays the files of such endings below a folder over those below `prefix`; a folder that does not exist is no error.
    pub(crate) fn overlay_folder(&mut self, folder: &Path, prefix: &str, kinds: &[&str]) -> Result<(), Error> {
        let failed = |path: &Path, source| Error::Read { path: path.to_owned(), source };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(folder, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| failed(folder, error))?;
            let path = entry.path();
            let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
            if path.is_dir() {
                self.overlay_folder(&path, &name, kinds)?;
            } else if is_definition(&name, kinds) {
                let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
                self.files.insert(name, text.replace("\r\n", "\n"));
            }
        }
        Ok(())
    }
}

/// Hidden files (an editor's, `.gitkeep`) and other kinds define nothing.
fn is_definition(path: &str, kinds: &[&str]) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
    !name.starts_with('.') && kinds.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_lies_over_what_is_shipped() {
        let workspace = tempfile::tempdir().unwrap();
        let recon = workspace.path().join("queries/recon");
        std::fs::create_dir_all(&recon).unwrap();
        std::fs::create_dir_all(workspace.path().join("crosswalks")).unwrap();
        std::fs::write(recon.join("mine.sql"), "select 1\r\n").unwrap();
        std::fs::write(recon.join(".hidden.sql"), "x").unwrap();
        std::fs::write(workspace.path().join("crosswalks/vendors.csv"), "pm_id,erp_id\n").unwrap();
        let shipped = Definitions::shipped();
        let definitions = shipped.clone().overlay(workspace.path()).unwrap();
        assert_eq!(definitions.get("queries/recon/mine.sql"), Some("select 1\n"));
        assert!(definitions.get("crosswalks/vendors.csv").is_some());
        assert!(definitions.get("queries/recon/.hidden.sql").is_none());
        assert_ne!(definitions.hash(), shipped.hash());
        assert_eq!(Definitions::from_json(&definitions.to_json()).unwrap(), definitions);
    }
}

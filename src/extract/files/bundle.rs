//! A bundle: files that were exported together, and the manifest beside them, `bundle.json`, which is written last.
//!
//! Invariants: what is read is what the manifest describes, byte for byte (SHA-256); when the export was made is told by the
//! manifest, never by the age of a file; a path of the manifest stays below the bundle. Leaves out: what is in the files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::header::folded;
use super::values::{DateOrder, Forms, moment};
use crate::clock::Clock;
use crate::extract::SourceSettings;
use crate::extract::failure::{Failure, FailureKind};
use crate::extract::lint::{did_you_mean, explain_json};
use crate::extract::manifest::{Manifest, Table};
use crate::warehouse::SourceFolder;

/// The manifest's name.
pub(crate) const NAME: &str = "bundle.json";
/// The format that is read.
const FORMAT: u32 = 1;
/// The setting that says where the bundle is.
pub(crate) const SETTING: &str = "bundle";
/// The setting that says whose it must be.
const COMPANY: &str = "company";
/// How far a bundle may be ahead of our clock.
const AHEAD_MINUTES: i64 = 10;
/// What to do about a file that is not whole.
const AGAIN: &str = "copy the whole bundle again, its manifest last; then run `tieout extract` again";
/// Files, at most, of which a manifest is proposed with their sums.
const PROPOSED_MAX: usize = 60;

/// `bundle.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "Written::default_format")]
    format: u32,
    system: String,
    #[serde(default)]
    company: Option<String>,
    as_of: String,
    timezone: String,
    #[serde(default)]
    currency: Option<String>,
    /// What stands before the fraction of an amount.
    #[serde(default)]
    decimal: Option<String>,
    #[serde(default)]
    dates: DateOrder,
    files: Vec<BundleFile>,
}

impl Written {
    const fn default_format() -> u32 {
        FORMAT
    }
}

/// A file of a bundle.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleFile {
    /// What it holds: a table's name, or one of the names of its sheet.
    pub entity: String,
    /// Where it is, below the bundle.
    pub path: String,
    /// Its digest, hex.
    #[serde(default)]
    pub sha256: String,
    /// Its size.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Its records.
    #[serde(default)]
    pub rows: Option<u64>,
    /// Of a workbook: the sheet.
    #[serde(default)]
    pub sheet: Option<String>,
    /// What the whole file is of, by column: a sheet of one job names it in its title, if at all.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// The headers that it has, or which header is which column.
    #[serde(default)]
    pub columns: Columns,
}

/// `columns` of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Columns {
    /// Headers that the file has.
    Expected(Vec<String>),
    /// The header of each column.
    Named(BTreeMap<String, String>),
}

impl Default for Columns {
    fn default() -> Self {
        Self::Expected(Vec::new())
    }
}

/// A bundle that was found and understood; its files are not read yet.
#[derive(Debug)]
pub(crate) struct Bundle {
    folder: SourceFolder,
    /// The folder of the manifest below the place that the settings name; empty for the place itself.
    below: String,
    pub company: Option<String>,
    pub currency: Option<String>,
    pub as_of: DateTime<Utc>,
    pub forms: Forms,
    pub files: Vec<BundleFile>,
}

/// Where a folder ends and a name begins.
fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

impl Bundle {
    /// Finds the bundle that a source's settings name: there, or the newest in the folders there.
    pub(crate) async fn open(source: &SourceSettings, clock: &Clock) -> Result<Self, Failure> {
        let place = source.value(SETTING).unwrap_or_default();
        let unread = |what: String| Failure {
            field: None,
            kind: FailureKind::Other,
            request: format!("read the bundle {place}"),
            what,
            hint: Some(format!(
                "`{SETTING}` of [sources.{}] names a folder, or a bucket as the warehouse may be in",
                source.name
            )),
        };
        let folder = SourceFolder::open(place).map_err(|error| unread(error.to_string()))?;
        let read = |error: crate::warehouse::Error| unread(error.to_string());
        if let Some(bytes) = folder.get(NAME).await.map_err(read)? {
            return Self::parse(source, folder, String::new(), &bytes, clock);
        }
        let (names, folders) = folder.names("").await.map_err(read)?;
        let mut newest: Option<Self> = None;
        let mut refused = None;
        for below in &folders {
            let Some(bytes) = folder.get(&join(below, NAME)).await.map_err(read)? else { continue };
            match Self::parse(source, folder.clone(), below.clone(), &bytes, clock) {
                Ok(found) if newest.as_ref().is_none_or(|known| known.as_of < found.as_of) => newest = Some(found),
                Ok(_) => {}
                Err(failure) => refused = Some(failure),
            }
        }
        // One that cannot be read may be the newest.
        match (refused, newest) {
            (Some(failure), _) => Err(failure),
            (None, Some(bundle)) => Ok(bundle),
            (None, None) => Err(missing(source, &folder, &names).await),
        }
    }

    fn parse(
        source: &SourceSettings,
        folder: SourceFolder,
        below: String,
        bytes: &[u8],
        clock: &Clock,
    ) -> Result<Self, Failure> {
        let path = folder.shown(&join(&below, NAME));
        let refuse = |what: String, hint: String| Failure {
            field: None,
            kind: FailureKind::Other,
            request: format!("read {path}"),
            what,
            hint: Some(hint),
        };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let written: Written = serde_json::from_slice(bytes).map_err(|error| {
            refuse(
                explain_json(&error),
                "docs/files.md has the format; a manifest is written last, when its files are there".into(),
            )
        })?;
        if written.format != FORMAT {
            let hint = "docs/files.md has the format that is read".to_owned();
            return Err(refuse(format!("it has format {}, and {FORMAT} is read", written.format), hint));
        }
        let system = &source.manifest.system.name;
        if !written.system.trim().eq_ignore_ascii_case(system) {
            let hint = format!("`kind` of [sources.{}] and `system` of the bundle must be the same", source.name);
            return Err(refuse(format!("it is a bundle of `{}`, and the source is `{system}`", written.system), hint));
        }
        if let Some(company) = source.value(COMPANY)
            && written.company.as_deref().map(str::trim) != Some(company)
        {
            let of = written.company.as_deref().unwrap_or("nobody");
            let hint = format!("`{COMPANY}` of [sources.{}] and of the bundle must be the same", source.name);
            return Err(refuse(format!("it is of the company `{of}`, and the source is of `{company}`"), hint));
        }
        let zone: Tz = written.timezone.trim().parse().map_err(|_| {
            refuse(format!("timezone `{}` is none", written.timezone), "for example \"America/Chicago\"".into())
        })?;
        let decimal = match written.decimal.as_deref() {
            None | Some(".") => '.',
            Some(",") => ',',
            Some(other) => {
                let hint = "write \".\" for 1,234.56 and \",\" for 1.234,56".to_owned();
                return Err(refuse(format!("decimal `{other}` is neither a point nor a comma"), hint));
            }
        };
        let as_of = moment(&written.as_of, DateOrder::Mdy).ok().flatten().ok_or_else(|| {
            let hint = "when the export was made, such as \"2026-11-24T06:00:00-06:00\"".to_owned();
            refuse(format!("as_of `{}` is no moment", written.as_of), hint)
        })?;
        let as_of = as_of.instant(zone);
        if as_of > clock.now() + TimeDelta::minutes(AHEAD_MINUTES) {
            let hint =
                "as_of says when the export was made; look at its offset, and at this machine's clock".to_owned();
            return Err(refuse(format!("as_of {} has not come yet", written.as_of), hint));
        }
        for file in &written.files {
            let parts = || file.path.split(['/', '\\']);
            if file.path.is_empty()
                || file.path.starts_with('/')
                || parts().any(|part| part == ".." || part.contains(':'))
            {
                let hint = "paths are relative to the manifest and stay below it".to_owned();
                return Err(refuse(format!("the path `{}` leads out of the bundle", file.path), hint));
            }
        }
        Ok(Self {
            folder,
            below,
            company: written.company,
            currency: written.currency.map(|currency| currency.trim().to_uppercase()).filter(|text| !text.is_empty()),
            as_of,
            forms: Forms { decimal, dates: written.dates, zone },
            files: written.files,
        })
    }

    /// Where the manifest is, for people.
    pub(crate) fn manifest_path(&self) -> String {
        self.folder.shown(&join(&self.below, NAME))
    }

    /// Where a file is, for people.
    pub(crate) fn shown(&self, file: &BundleFile) -> String {
        self.folder.shown(&join(&self.below, &file.path))
    }

    /// The files of a table.
    pub(crate) fn of_table<'b>(&'b self, table: &'b Table) -> impl Iterator<Item = &'b BundleFile> {
        self.files.iter().filter(move |file| is_of(table, &file.entity))
    }

    /// Where all its files are, for people.
    pub(crate) fn place(&self) -> String {
        self.folder.shown(&self.below)
    }

    /// Two files of a table that are one: a second download, or a slip in the manifest.
    pub(crate) fn twice<'b>(&'b self, table: &'b Table) -> Option<(&'b str, &'b str)> {
        let mut seen: BTreeMap<_, &str> = BTreeMap::new();
        self.of_table(table).find_map(|file| {
            let content = (file.sha256.trim().to_lowercase(), &file.sheet, &file.values);
            seen.insert(content, &file.path).map(|before| (before, file.path.as_str()))
        })
    }

    /// What no table is called, though this one nearly is.
    pub(crate) fn misspelt(&self, manifest: &Manifest, table: &Table) -> Option<&str> {
        let names =
            || table.sheet.iter().flat_map(|sheet| &sheet.names).map(String::as_str).chain([table.name.as_str()]);
        let unknown = self.files.iter().filter(|file| !manifest.tables.iter().any(|table| is_of(table, &file.entity)));
        let is_near = |file: &&BundleFile| {
            let word = folded(&file.entity);
            names().map(folded).any(|name| {
                // `Bils` is bills; `Logs` are no jobs.
                let letters = word.len().min(name.len());
                letters > 3 && strsim::damerau_levenshtein(&word, &name) <= if letters > 7 { 2 } else { 1 }
            })
        };
        unknown.into_iter().find(is_near).map(|file| file.entity.as_str())
    }

    /// A part of a table that has no file in the bundle, though others have.
    pub(crate) fn lacking_part<'t>(&self, table: &'t Table) -> Option<&'t str> {
        let parts = table.sheet.iter().flat_map(|sheet| &sheet.parts);
        let has = |part: &str| self.files.iter().any(|file| folded(&file.entity) == folded(part));
        parts.map(String::as_str).find(|part| !has(part))
    }

    /// Why a table is not in the bundle, as far as one can tell.
    pub(crate) fn lacks(&self, manifest: &Manifest, table: &Table) -> String {
        let mut why = format!("the bundle has no file of it: as of {} it was not exported", self.as_of.to_rfc3339());
        let unknown = self.files.iter().filter(|file| !manifest.tables.iter().any(|table| is_of(table, &file.entity)));
        let unknown: Vec<String> = unknown
            .map(|file| format!("`{}`{}", file.entity, did_you_mean(&file.entity, [table.name.as_str()])))
            .collect();
        if !unknown.is_empty() {
            // A String takes whatever is written.
            let _ = write!(why, "; it has {}, which no table is called", unknown.join(", "));
        }
        why
    }

    /// The bytes of a file, if they are those that the manifest describes.
    pub(crate) async fn read(&self, file: &BundleFile) -> Result<Bytes, Failure> {
        let refuse = |kind: FailureKind, what: String, hint: &str| Failure {
            field: None,
            kind,
            request: format!("read {}", self.shown(file)),
            what,
            hint: Some(hint.to_owned()),
        };
        let found = self.folder.get(&join(&self.below, &file.path.replace('\\', "/"))).await;
        let bytes = found.map_err(|error| refuse(FailureKind::Other, error.to_string(), AGAIN))?;
        let Some(bytes) = bytes else {
            return Err(refuse(
                FailureKind::Other,
                "the bundle's manifest names it, and it is not there".to_owned(),
                AGAIN,
            ));
        };
        let size = bytes.len() as u64;
        if let Some(expected) = file.bytes.filter(|expected| *expected != size) {
            let what = format!("it has {size} bytes, and {expected} were written: it was cut, or changed since");
            return Err(refuse(FailureKind::Other, what, AGAIN));
        }
        let digest = hex::encode(Sha256::digest(&bytes));
        if file.sha256.trim().is_empty() {
            let what = "the bundle's manifest gives no sha256 of it, so nobody can tell whether it is whole".to_owned();
            let hint = format!("if it is, write \"sha256\": \"{digest}\" beside its path");
            return Err(refuse(FailureKind::Other, what, &hint));
        }
        if !file.sha256.trim().eq_ignore_ascii_case(&digest) {
            let what = "its sha256 is not the manifest's: it is half-written, or was changed since".to_owned();
            return Err(refuse(FailureKind::Other, what, AGAIN));
        }
        Ok(bytes)
    }
}

/// Whether a table is what a bundle calls `entity`.
fn is_of(table: &Table, entity: &str) -> bool {
    let names = table.sheet.iter().flat_map(|sheet| &sheet.names).map(String::as_str);
    let entity = folded(entity);
    names.chain([table.name.as_str()]).any(|name| folded(name) == entity)
}

/// There is no manifest: who says when the export was made, and that it is whole? A manifest to write is shown.
async fn missing(source: &SourceSettings, folder: &SourceFolder, names: &[String]) -> Failure {
    let path = folder.shown(NAME);
    let is_data = |name: &&String| {
        let ending = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        ["csv", "txt", "tsv", "tab", "xlsx", "xlsm", "xlsb", "xls", "ods", "parquet"].contains(&ending.as_str())
    };
    let data: Vec<&String> = names.iter().filter(is_data).collect();
    let mut files = Vec::new();
    for name in data.iter().take(PROPOSED_MAX) {
        let Ok(Some(bytes)) = folder.get(name).await else { continue };
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let table = source.manifest.tables.iter().find(|table| is_of(table, stem));
        let entity = table.map_or("(which table it is)", |table| table.name.as_str());
        files.push(serde_json::json!({"entity": entity, "path": name, "sha256": hex::encode(Sha256::digest(&bytes))}));
    }
    let lines: Vec<String> = files.iter().map(|file| format!("    {file}")).collect();
    let manifest = format!(
        "{{\n  \"system\": \"{}\",\n  \"as_of\": \"(when the export was made, such as 2026-11-24T06:00:00-06:00)\",\n  \
         \"timezone\": \"America/Chicago\",\n  \"currency\": \"USD\",\n  \"files\": [\n{}\n  ]\n}}",
        source.manifest.system.name,
        lines.join(",\n")
    );
    let tables = source.manifest.tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>().join(", ");
    let what = match data.len() {
        0 => "there is no such file, nor any other of a bundle: the folder holds no export".to_owned(),
        count => format!(
            "there is no such file beside the {count} files there: it tells when they were exported, and that they are whole"
        ),
    };
    let hint = format!("write it when all files are there; entities are {tables}:\n{manifest}");
    Failure { kind: FailureKind::NotFound, request: format!("read {path}"), what, hint: Some(hint), field: None }
}

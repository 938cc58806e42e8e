//! What a firm lets a source's records hold, and what happens when their fields are not as declared.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use tieout_json::{Fields, Pattern, Rules, Sensitive};

use super::manifest::{ColumnFrom, Manifest, Table};

/// The table whose records an allow-list names.
pub(crate) const PROJECTS: &str = "projects";

/// Columns by which people name a project, beside its key.
const PROJECT_NAMES: [&str; 3] = ["project_number", "number", "project_id"];

/// What holds for all tables of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRules {
    /// The only projects that are read, by key or number; none reads all that the source lists.
    pub projects: Option<BTreeSet<String>>,
    /// What becomes of e-mail addresses and telephone numbers, by the names of their fields; none keeps them.
    pub personal: Option<Sensitive>,
    /// Paths that are hashed or dropped in every table, beside those of the manifest.
    pub redact: Vec<(String, Sensitive)>,
    /// Whether only declared fields are kept of a record.
    pub declared_only: bool,
    /// What happens to records whose fields are not as declared.
    pub drift: DriftRules,
}

/// What happens to records whose fields are not as declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftPolicy {
    /// Records stay; what has no form in its column's type is null there and told.
    #[default]
    Evolve,
    /// The table keeps its rows until a person has looked.
    Freeze,
    /// Records that do not fit are set aside; the others are taken.
    Quarantine,
}

/// The policies of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriftRules {
    /// Of tables that are not named.
    pub usual: DriftPolicy,
    /// By table.
    pub tables: BTreeMap<String, DriftPolicy>,
}

impl DriftRules {
    /// The policy of a table.
    pub fn of(&self, table: &str) -> DriftPolicy {
        self.tables.get(table).copied().unwrap_or(self.usual)
    }
}

impl SourceRules {
    /// Whether records of a table are left out by the allow-list.
    pub(crate) fn picks(&self, table: &Table) -> bool {
        self.projects.is_some() && table.name == PROJECTS
    }

    /// Whether a project is on the allow-list, by its key or one of the columns that name it.
    pub(crate) fn allows(&self, key: &str, named: impl Fn(&str) -> Option<String>) -> bool {
        let Some(projects) = &self.projects else { return true };
        let is_listed = |text: &str| projects.contains(text.trim());
        is_listed(key) || PROJECT_NAMES.iter().filter_map(|name| named(name)).any(|text| is_listed(&text))
    }

    /// What may be kept of the records of a table, and of the tables inside them.
    pub(crate) fn of_table(&self, manifest: &Manifest, table: &Table) -> Rules {
        let mut rules = Rules { personal: self.personal, ..Rules::default() };
        let mut only = Fields::new(manifest.rest.unwrap.as_deref());
        self.gather(manifest, table, "", &mut rules, &mut only);
        rules.only = self.declared_only.then_some(only);
        rules
    }

    fn gather(&self, manifest: &Manifest, table: &Table, prefix: &str, rules: &mut Rules, only: &mut Fields) {
        let below = |path: &str| if prefix.is_empty() { path.to_owned() } else { format!("{prefix}.{path}") };
        let paths = table.sensitive.iter().map(|(path, how)| (path, *how));
        let paths = paths.chain(self.redact.iter().map(|(path, how)| (path, *how)));
        rules.sensitive.extend(paths.map(|(path, how)| (Pattern::parse(&below(path)), how)));
        for (_, column) in &table.columns {
            if let ColumnFrom::Path(path) = &column.from {
                rules.declared.extend(path.rsplit('.').next().map(str::to_owned));
                only.add(&below(path));
            }
        }
        if let Some(cursor) = table.cursor.as_ref().filter(|_| table.embedded.is_none()) {
            only.add(&below(&cursor.field));
        }
        let inside = manifest.tables.iter().filter_map(|other| Some((other, other.embedded.as_ref()?)));
        for (inner, embedded) in inside.filter(|(_, embedded)| embedded.table == table.name) {
            self.gather(manifest, inner, &below(&embedded.path), rules, only);
        }
    }
}

//! `tieout`, `tieout@2025-12-31`, `tieout@FY2025`: databases by their names, each the warehouse as of a moment.
//!
//! Owns what a database's name means: at the login, in `\l` (which lists the pins), in three-part names. Invariant: within a
//! session its own database's name, and plain `tieout`, mean the session, however `SET tieout.as_of` moved it; any other
//! one is read as of the moment that it names. Leaves out: which commit a moment is, which the engine knows.

use std::sync::{Arc, PoisonError, RwLock};

use datafusion::catalog::{CatalogProvider, CatalogProviderList};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

use super::DATABASE;
use super::failure::{CORRUPT, DENIED, Failure, INVALID_VALUE, STORE, UNSUPPORTED};
use crate::engine::options::TieoutOptions;
use crate::engine::{Error as EngineError, PinnedCatalog, damage};
use crate::warehouse::Error as WarehouseError;

/// The SQLSTATE of a database that does not exist.
const NO_DATABASE: &str = "3D000";
/// Of settings that point where no warehouse is.
pub(crate) const CONFIGURATION: &str = "F0000";
/// Of a source that another run holds.
const LOCKED: &str = "55P03";
/// Of a commit that another run made first: the same again may succeed.
const CONFLICT: &str = "40001";

/// A machine that took part was lost.
const LOST: &str = "58000";
/// What is asked cannot be answered as things stand.
const UNREADY: &str = "55000";

/// The moment in a database's name, which may come in the double quotes of an identifier.
pub(crate) fn moment(database: &str) -> Result<Option<&str>, Failure> {
    let (name, moment) = database.split_once('@').map_or((database, None), |(name, moment)| (name, Some(moment)));
    if name != DATABASE {
        return Err(Failure::new(NO_DATABASE, format!("database \"{database}\" does not exist"))
            .hint(format!("the database is \"{DATABASE}\", or \"{DATABASE}@2025-12-31\" to read as of a day")));
    }
    Ok(moment)
}

/// A database's name without the quotes that some clients leave on it.
pub(crate) fn unquoted(database: &str) -> &str {
    let inner = database.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(database)
}

/// Why a session could not be opened: a moment in the database's name that means nothing is no such database.
pub(crate) fn refusal(error: &anyhow::Error, database: &str) -> Failure {
    let told = error.chain().find_map(|cause| match cause.downcast_ref::<EngineError>() {
        Some(EngineError::DataFusion(own)) => of(own),
        Some(own) => of_engine(own),
        None => None,
    });
    let Some(failure) = told else {
        return Failure::new(INVALID_VALUE, format!("open the session: {error:#}"));
    };
    if !database.contains('@') || failure.code != INVALID_VALUE {
        return failure;
    }
    let refused = Failure::new(NO_DATABASE, format!("database \"{database}\" does not exist: {}", failure.message));
    match failure.hint {
        Some(hint) => refused.hint(hint),
        None => refused,
    }
}

/// What the warehouse says, as clients see it.
pub(crate) fn of(error: &DataFusionError) -> Option<Failure> {
    match error.find_root() {
        DataFusionError::External(inner) => match inner.downcast_ref::<WarehouseError>() {
            Some(own) => Some(told(code(own), own)),
            None => of_engine(inner.downcast_ref::<EngineError>()?),
        },
        _ => damage(error).as_ref().map(|own| told(code(own), own)),
    }
}

fn of_engine(error: &EngineError) -> Option<Failure> {
    match error {
        EngineError::Warehouse(own) => Some(told(code(own), own)),
        EngineError::Definitions { reason, .. } => {
            Some(told(
                match reason.downcast_ref::<WarehouseError>() {
                    // The commit names them: they were there.
                    Some(WarehouseError::NotFound { .. }) => CORRUPT,
                    Some(own) => code(own),
                    None => UNREADY,
                },
                error,
            ))
        }
        EngineError::OtherDefinitions => Some(told(UNREADY, error)),
        EngineError::Denied { .. } => Some(told(DENIED, error)),
        EngineError::WorkerLost { .. } => Some(told(LOST, error)),
        _ => None,
    }
}

fn told(code: &'static str, error: &dyn std::error::Error) -> Failure {
    let text = error.to_string();
    match text.rsplit_once("\nhint: ") {
        Some((message, hint)) => Failure::new(code, message).hint(hint),
        None => Failure::new(code, text),
    }
}

/// The SQLSTATE of what the warehouse says, by what its reader can do about it.
pub(crate) fn code(error: &WarehouseError) -> &'static str {
    match error {
        WarehouseError::AsOf { .. } | WarehouseError::Moment(_) | WarehouseError::UnknownCommit { .. } => INVALID_VALUE,
        WarehouseError::Corrupt { .. } => CORRUPT,
        WarehouseError::Newer { .. } => UNSUPPORTED,
        WarehouseError::NotAWarehouse { .. }
        | WarehouseError::Address { .. }
        | WarehouseError::UnsupportedStore { .. } => CONFIGURATION,
        WarehouseError::Locked { .. } => LOCKED,
        WarehouseError::Conflict { .. } => CONFLICT,
        WarehouseError::NotFound { .. }
        | WarehouseError::Store { .. }
        | WarehouseError::Io { .. }
        | WarehouseError::Arrow { .. }
        | WarehouseError::Input { .. }
        | WarehouseError::Target { .. } => STORE,
    }
}

/// The databases that a session can name.
#[derive(Debug)]
pub(crate) struct Databases {
    /// The one that it connected to.
    pub(crate) name: String,
    options: Option<TieoutOptions>,
    /// The pins as last listed.
    pins: RwLock<Vec<String>>,
}

impl Databases {
    /// The databases of a session that connected to `name`.
    pub(crate) fn new(context: &SessionContext, name: &str) -> Self {
        let state = context.state_ref();
        let options = state.read().config_options().extensions.get::<TieoutOptions>().cloned();
        Self { name: name.to_owned(), options, pins: RwLock::default() }
    }

    /// Reads which pins there are.
    pub(crate) async fn refresh(&self) -> datafusion::error::Result<()> {
        let Some(options) = &self.options else { return Ok(()) };
        let pins = options.pin_names().await?.into_iter().map(|pin| format!("{DATABASE}@{pin}")).collect();
        *self.pins.write().unwrap_or_else(PoisonError::into_inner) = pins;
        Ok(())
    }

    /// The present, the pins, and the database that the session is in.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = vec![DATABASE.to_owned()];
        names.extend(self.pins.read().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        if !names.contains(&self.name) {
            names.push(self.name.clone());
        }
        names
    }
}

/// The session's catalog under the names of databases.
#[derive(Debug)]
pub(crate) struct Catalogs {
    databases: Arc<Databases>,
    own: Arc<dyn CatalogProvider>,
}

impl Catalogs {
    pub(crate) fn new(databases: Arc<Databases>, own: Arc<dyn CatalogProvider>) -> Self {
        Self { databases, own }
    }
}

impl CatalogProviderList for Catalogs {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    /// As in Postgres, the catalogue shows one database: the session's.
    fn catalog_names(&self) -> Vec<String> {
        vec![self.databases.name.clone()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let as_of = moment(name).ok()?.filter(|_| name != self.databases.name);
        let (Some(as_of), Some(options)) = (as_of, &self.databases.options) else { return Some(Arc::clone(&self.own)) };
        let pinned = PinnedCatalog::new(Arc::clone(&self.own), options, as_of).ok()?;
        Some(Arc::new(pinned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_warehouse_says_has_a_code_and_its_hint() {
        let (url, reason) = ("s3://b".to_owned(), "no".to_owned());
        let newer = || WarehouseError::Newer { file: "tieout.json".to_owned(), found: 9, known: 2 };
        for (error, code) in [
            (newer(), "0A000"),
            (WarehouseError::NotAWarehouse { url: url.clone(), reason: reason.clone() }, "F0000"),
            (WarehouseError::Address { url: url.clone(), reason }, "F0000"),
            (WarehouseError::UnsupportedStore { url, scheme: "ftp".to_owned() }, "F0000"),
            (WarehouseError::Conflict { number: 3 }, "40001"),
        ] {
            let failure = of(&DataFusionError::External(Box::new(error))).unwrap();
            assert_eq!((failure.code, failure.hint.is_some()), (code, true), "{failure}");
        }
        // A login is refused with it too, whatever the database's name.
        for database in ["tieout", "tieout@2025-12-31"] {
            let refused = refusal(&anyhow::Error::from(EngineError::Warehouse(newer())), database);
            assert_eq!((refused.code, refused.hint.as_deref()), ("0A000", Some("use a newer version of tieout")));
        }
    }

    #[test]
    fn a_database_names_a_moment() {
        for (database, expected) in [
            ("tieout", None),
            ("tieout@", Some("")),
            ("tieout@2025-12-31", Some("2025-12-31")),
            ("tieout@commit:42", Some("commit:42")),
            ("tieout@2025-12-31 17:00:00-06", Some("2025-12-31 17:00:00-06")),
        ] {
            assert_eq!(moment(database).unwrap(), expected, "{database}");
        }
        for database in ["postgres", "Tieout", "tieoutx@1", "", "@FY2025"] {
            assert_eq!(moment(database).unwrap_err().code, "3D000", "{database}");
        }
        assert_eq!(unquoted("\"tieout@FY2025\""), "tieout@FY2025");
        assert_eq!(unquoted("tieout\""), "tieout\"");
    }
}

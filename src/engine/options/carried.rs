//! What functions ask a session for, in words that travel: a worker answers by the settings of who asked, not by its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::{Result, internal_datafusion_err};
use serde::{Deserialize, Serialize};

use super::{Heads, TieoutOptions};
use crate::engine::settings::{EngineSettings, Setting};
use crate::warehouse::Warehouse;

/// A session's settings, those that functions read when rows are computed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Carried {
    edition: String,
    time_zone: String,
    values: BTreeMap<String, Setting>,
    books: BTreeMap<String, String>,
    prefixes: BTreeMap<String, String>,
    limits: BTreeMap<String, i64>,
}

impl TieoutOptions {
    /// The settings as they travel.
    pub(crate) fn carried(&self) -> Carried {
        Carried {
            edition: self.edition.to_string(),
            time_zone: self.settings.time_zone.to_string(),
            values: self.settings.values.clone(),
            books: self.settings.books.clone(),
            prefixes: self.settings.prefixes.clone(),
            limits: self.limits.clone(),
        }
    }

    /// The settings as they arrived. What to read is in the plan: no moment is looked up by them.
    pub(crate) fn of_carried(carried: Carried, warehouse: &Warehouse) -> Result<Self> {
        let unknown = |error| internal_datafusion_err!("time zone {} arrived: {error}", carried.time_zone);
        let zone = carried.time_zone.parse().map_err(unknown)?;
        let settings = EngineSettings {
            time_zone: zone,
            values: carried.values,
            books: carried.books,
            prefixes: carried.prefixes,
            ..EngineSettings::default()
        };
        Ok(Self {
            as_of: String::new(),
            accounting_date: None,
            limits: carried.limits,
            is_pinned: false,
            edition: carried.edition.into(),
            settings: Arc::new(settings),
            zone,
            heads: Arc::new(Heads::newest(warehouse.clone())),
            reading: None,
            moments: Arc::default(),
            fixed: None,
        })
    }
}

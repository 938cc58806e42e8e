//! The moment that a package is of: a session there, what it stands on, and the chain that proves it.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::prelude::SessionContext;
use serde_json::Value;

use super::index::{DefinitionsUsed, Moment, PinUsed, SourceAsOf};
use super::words::Context;
use super::{Error, Request, grounds, items};
use crate::definitions::Definitions;
use crate::engine::{Engine, SessionRequest};
use crate::warehouse::AsOf;
use crate::warehouse::commit::Head;

/// What a package is made of.
pub(super) struct Opened {
    pub(super) session: SessionContext,
    pub(super) context: Context,
    pub(super) definitions: Definitions,
    pub(super) committed_at: DateTime<Utc>,
    /// The definitions as they are stored.
    pub(super) definitions_json: String,
}

/// Opens the moment that is asked for.
pub(super) async fn open(engine: &Engine, request: &Request) -> Result<Opened, Error> {
    let head = engine.refresh().await?;
    let commit = head.at(&request.as_of)?;
    let words = match &request.as_of {
        AsOf::Pin(name) => name.clone(),
        // From here on the very commit, though another may become the newest of the day.
        _ => format!("commit:{}", commit.number),
    };
    let asked = SessionRequest {
        as_of: Some(words),
        accounting_date: request.accounting_date.clone(),
        definitions: Some(request.definitions.clone()),
        ..SessionRequest::default()
    };
    let session = engine.session(&asked).await?;
    let warehouse = engine.warehouse();
    let is_pinned = request.definitions == "pinned";
    let json =
        if is_pinned { warehouse.definitions(&commit.definitions).await? } else { engine.definitions().to_json() };
    let definitions = Definitions::from_json(&json).map_err(|error| {
        Error::Asked(format!(
            "read the definitions of commit {}: {error}\nhint: --definitions current reads it by today's",
            commit.number
        ))
    })?;
    let used = DefinitionsUsed {
        read_by: request.definitions.clone(),
        hash: super::sha256(json.as_bytes()),
        of_commit: commit.definitions.clone(),
    };
    let clock = grounds::rows(&session, "select accounting_date from meta.clock").await;
    let clock = clock.map_err(|error| Error::Result { item: "meta.clock".to_owned(), error })?;
    let pin = pin(&head, &request.as_of);
    let settings = items::settings(&definitions);
    let as_of = Moment {
        commit: commit.number,
        digest: head.manifest_digest(commit.number).unwrap_or_default().to_owned(),
        committed_at: moment(commit.committed_at),
        observed_at: moment(commit.observed_at),
        accounting_date: clock.first().and_then(|row| row.get("accounting_date")).cloned().unwrap_or_default(),
        pin,
    };
    let context = Context {
        warehouse_id: warehouse.id(),
        firm: settings.pointer("/firm/name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        sources: sources(&head, commit.number, &settings),
        definitions: used,
        settings,
        as_of,
    };
    Ok(Opened { session, context, definitions, committed_at: commit.committed_at, definitions_json: json })
}

/// The pin that was asked for, and the commit that made it.
fn pin(head: &Head, as_of: &AsOf) -> Option<PinUsed> {
    let AsOf::Pin(name) = as_of else { return None };
    let (made, pin) = head.pins(head.number()).find(|(_, pin)| pin.name == *name)?;
    let digest = head.manifest_digest(made.number).unwrap_or_default().to_owned();
    Some(PinUsed { name: pin.name.clone(), commit: made.number, digest })
}

/// Every source with its newest run up to a commit; of one that was never read, that.
fn sources(head: &Head, upto: u64, settings: &Value) -> Vec<SourceAsOf> {
    let mut found: BTreeMap<String, SourceAsOf> = BTreeMap::new();
    for commit in head.commits.iter().rev().filter(|commit| commit.number <= upto) {
        for run in &commit.runs {
            found.entry(run.source.clone()).or_insert_with(|| SourceAsOf {
                source: run.source.clone(),
                system: run.system.clone(),
                commit: Some(commit.number),
                observed_at: Some(moment(run.observed_at)),
                incomplete_tables: run.incomplete_tables.clone(),
            });
        }
    }
    let named = settings.get("sources").and_then(Value::as_object).into_iter().flatten();
    for (source, system) in named {
        found.entry(source.clone()).or_insert_with(|| SourceAsOf {
            source: source.clone(),
            system: system.as_str().unwrap_or_default().to_owned(),
            commit: None,
            observed_at: None,
            incomplete_tables: Vec::new(),
        });
    }
    found.into_values().collect()
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

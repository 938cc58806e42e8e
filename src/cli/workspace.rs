//! A workspace opened: settings, definitions, warehouse, and the sources with their secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, anyhow};

use super::{Failure, Global};
use crate::config::{Config, SecretReference, SettingValue, SourceConfig};
use crate::definitions::Definitions;
use crate::engine::{Engine, EngineSettings, Setting as EngineSetting, SourceBinding};
use crate::extract::manifest::Manifest;
use crate::extract::{Quota, Setting, SourceSettings};
use crate::warehouse::{Projections, Warehouse};

/// What every command but `init` stands on.
pub(super) struct Workspace {
    /// The settings.
    pub(super) config: Config,
    /// Manifests and SQL in force, with the settings that decide answers.
    pub(super) definitions: Definitions,
    /// The snapshots.
    pub(super) warehouse: Warehouse,
}

impl Workspace {
    /// Reads the settings and opens the warehouse that they name.
    pub(super) async fn open(global: &Global) -> Result<Self, Failure> {
        let config = Config::load(&global.config).map_err(Failure::usage)?;
        let url = global.warehouse.clone().unwrap_or_else(|| config.warehouse_url());
        let warehouse = Warehouse::open_or_create(&url).await.map_err(Failure::warehouse)?;
        let definitions = definitions(&config).map_err(Failure::usage)?;
        let warehouse = warehouse.with_projections(projections(kinds(&config), &definitions));
        Ok(Self { config, definitions, warehouse })
    }

    /// DataFusion over the warehouse.
    pub(super) async fn engine(&self) -> Result<Arc<Engine>, Failure> {
        let settings = engine_settings(&self.config).map_err(Failure::usage)?;
        Engine::open(self.warehouse.clone(), self.definitions.clone(), settings).await.map_err(Failure::usage)
    }

    /// The sources, all or those named, with their secrets read.
    pub(super) fn sources(&self, only: &[String]) -> Result<Vec<SourceSettings>, Failure> {
        if self.config.sources.is_empty() {
            return Err(Failure::usage(anyhow!(
                "no [sources.<name>] in tieout.toml\nhint: `tieout init` writes an example"
            )));
        }
        for name in only {
            if !self.config.sources.contains_key(name) {
                let known: Vec<&str> = self.config.sources.keys().map(String::as_str).collect();
                return Err(Failure::usage(anyhow!(
                    "no source named {name}\nhint: tieout.toml has {}",
                    known.join(", ")
                )));
            }
        }
        let wanted = self.config.sources.iter().filter(|(name, _)| only.is_empty() || only.contains(name));
        wanted.map(|(name, source)| self.source(name, source).map_err(Failure::usage)).collect()
    }

    fn source(&self, name: &str, source: &SourceConfig) -> anyhow::Result<SourceSettings> {
        let path = format!("extractors/{}/manifest.toml", source.kind);
        let text = self.definitions.files.get(&path).with_context(|| {
            let manifests = self
                .definitions
                .files
                .keys()
                .filter_map(|path| path.strip_prefix("extractors/")?.strip_suffix("/manifest.toml"));
            let known: Vec<&str> = manifests.collect();
            format!("[sources.{name}] kind = \"{}\": no such system\nhint: known are {}", source.kind, known.join(", "))
        })?;
        let manifest = Manifest::parse(&path, text)?;
        let mut values = BTreeMap::new();
        for (key, value) in &source.values {
            let full_key = format!("sources.{name}.{key}");
            let setting = match value {
                SettingValue::Text(text) => Setting::Plain(text.clone()),
                SettingValue::Integer(number) => Setting::Plain(number.to_string()),
                SettingValue::Secret(reference) => {
                    Setting::Secret(reference.resolve(&full_key, &self.config.directory)?)
                }
            };
            values.insert(key.clone(), setting);
        }
        let firm = &self.config.firm;
        let key = |name: &str, reference: Option<&SecretReference>| -> anyhow::Result<Option<Vec<u8>>> {
            let secret = reference.map(|reference| reference.resolve(name, &self.config.directory)).transpose()?;
            Ok(secret.map(|secret| secret.expose().as_bytes().to_vec()))
        };
        let settings = SourceSettings {
            name: name.to_owned(),
            manifest,
            base_url: source.base_url.clone(),
            values,
            redaction_key: key("firm.tax_id_key", firm.tax_id_key.as_ref())?,
            redaction_key_before: key("firm.tax_id_key_before", firm.tax_id_key_before.as_ref())?,
            quota: Quota::default(),
        };
        settings.with_defaults().with_context(|| format!("read [sources.{name}]"))
    }
}

/// The sources by name, with the systems that they are connections to.
fn kinds(config: &Config) -> impl Iterator<Item = (&str, &str)> {
    config.sources.iter().map(|(name, source)| (name.as_str(), source.kind.as_str()))
}

/// How the records of sources become typed columns under a set of definitions. A manifest that cannot be read projects
/// nothing: whoever needs it says why.
pub(super) fn projections<'a>(
    sources: impl Iterator<Item = (&'a str, &'a str)>,
    definitions: &Definitions,
) -> Projections {
    let mut tables = BTreeMap::new();
    for (name, kind) in sources {
        let path = format!("extractors/{kind}/manifest.toml");
        let manifest = definitions.files.get(&path).and_then(|text| Manifest::parse(&path, text).ok());
        let readers = manifest.iter().flat_map(crate::extract::readers);
        tables.extend(readers.map(|(table, reader)| ((name.to_owned(), table), reader)));
    }
    Projections::new(tables)
}

/// What the engine needs to know of the settings.
fn engine_settings(config: &Config) -> anyhow::Result<EngineSettings> {
    let binding =
        |(name, source): (&String, &SourceConfig)| SourceBinding { name: name.clone(), system: source.kind.clone() };
    let mut settings = EngineSettings {
        sources: config.sources.iter().map(binding).collect(),
        time_zone: config.firm.timezone.parse().map_err(|error| anyhow!("read [firm] timezone: {error}"))?,
        disabled: config.connector.disabled.clone(),
        stale_hours: config.checks.freshness_hours,
        ..EngineSettings::default()
    };
    let values = [
        ("unpaid_days", EngineSetting::Integer(config.checks.unpaid_days)),
        ("change_order_days", EngineSetting::Integer(config.checks.change_order_days)),
        ("vendor_created_days", EngineSetting::Integer(config.checks.vendor_created_days)),
        ("amount_tolerance", EngineSetting::Hundredths(hundredths(&config.tolerance.amount)?)),
        ("default_codes", EngineSetting::List(config.accounts.default_codes.clone())),
        ("suspense_accounts", EngineSetting::List(config.accounts.suspense_accounts.clone())),
        ("currency", EngineSetting::Text(config.firm.currency.clone())),
        ("connector_profile", EngineSetting::Text(config.connector.profile.clone().unwrap_or_default())),
    ];
    settings.values.extend(values.map(|(name, value)| (name.to_owned(), value)));
    Ok(settings)
}

/// A decimal amount with at most two digits after the point, in hundredths.
fn hundredths(amount: &str) -> anyhow::Result<i128> {
    let refuse = || anyhow!("read [tolerance] amount = \"{amount}\": not an amount\nhint: for example \"0.01\"");
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = |text: &str| text.chars().all(|letter| letter.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 2 || !digits(whole) || !digits(fraction) {
        return Err(refuse());
    }
    format!("{whole}{fraction:0<2}").parse().map_err(|_| refuse())
}

/// The shipped definitions, the workspace's lying over them, and the settings that decide answers.
fn definitions(config: &Config) -> anyhow::Result<Definitions> {
    let mut definitions = Definitions::shipped().overlay(&config.directory)?;
    definitions.files.insert("settings.json".to_owned(), serde_json::to_string(&config.definition_settings())?);
    Ok(definitions)
}

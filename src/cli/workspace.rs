//! A workspace opened: settings, definitions, warehouse, and the sources with their secrets.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use datafusion::error::DataFusionError;

use super::{Failure, Global, trouble};
use crate::config::{Config, SecretReference, SettingValue, Share, SourceConfig, Window};
use crate::definitions::{Definitions, SETTINGS_FILE};
use crate::engine::{Engine, EngineSettings, Error as EngineError, FirmWords, Setting as EngineSetting, SourceBinding};
use crate::extract::manifest::{Manifest, Protocol};
use crate::extract::{BUNDLE, MAPPING, Quota, Setting, SourceSettings, apply_mapping, did_you_mean};
use crate::warehouse::{Error as WarehouseError, Projections, Warehouse};

/// The settings and what they put in force, before any warehouse is touched.
pub(super) struct Setup {
    /// The settings.
    pub(super) config: Config,
    /// Manifests and SQL in force, with the settings that decide answers.
    pub(super) definitions: Definitions,
    /// Where the warehouse is.
    url: String,
}

/// What every command stands on that reads or writes snapshots.
pub(super) struct Workspace {
    /// Settings and definitions.
    pub(super) setup: Setup,
    /// The snapshots.
    pub(super) warehouse: Warehouse,
}

impl Workspace {
    /// Opens the warehouse that the settings name, and creates it if there is none.
    pub(super) async fn open(global: &Global) -> Result<Self, Failure> {
        let setup = Setup::read(global)?;
        let warehouse = Warehouse::open_or_create(&setup.url).await.map_err(Failure::warehouse)?;
        // A chain that cannot be read is told now, before a run locks its sources or stores anything.
        warehouse.head().await.map_err(Failure::warehouse)?;
        Ok(Self::over(setup, warehouse))
    }

    /// Opens the warehouse to read it: one that is not there is an error, since an empty one would say "nothing is wrong".
    pub(super) async fn open_existing(global: &Global) -> Result<Self, Failure> {
        let setup = Setup::read(global)?;
        let warehouse = Warehouse::open(&setup.url).await.map_err(Failure::warehouse)?;
        Ok(Self::over(setup, warehouse))
    }

    /// Old commits are read under the columns of the definitions in force.
    fn over(setup: Setup, warehouse: Warehouse) -> Self {
        let warehouse = warehouse.with_projections(projections(kinds(&setup.config), &setup.definitions));
        Self { setup, warehouse }
    }

    /// DataFusion over the warehouse.
    pub(super) async fn engine(&self) -> Result<Arc<Engine>, Failure> {
        let mut settings = engine_settings(&self.setup.config).map_err(Failure::usage)?;
        settings.workspace = Some(self.setup.config.directory.clone());
        let (warehouse, definitions) = (self.warehouse.clone(), self.setup.definitions.clone());
        Engine::open_with_past(warehouse, definitions, settings, Arc::new(reopen)).await.map_err(engine_failure)
    }

    /// Says so if nothing was extracted yet: no rows are then no good news.
    pub(super) async fn warn_if_empty(&self) -> Result<(), Failure> {
        let head = self.warehouse.head().await.map_err(Failure::warehouse)?;
        if head.last().is_none() {
            // A closed stderr is no reason to fail.
            let _ = writeln!(
                std::io::stderr(),
                "note: the warehouse {} holds no snapshot yet: views are empty and checks say not_evaluated\n\
                 hint: `tieout extract` makes the first one",
                self.warehouse.location()
            );
        }
        Ok(())
    }
}

impl Setup {
    /// Reads the settings and the definitions.
    pub(super) fn read(global: &Global) -> Result<Self, Failure> {
        let config = Config::load(&global.config).map_err(Failure::usage)?;
        let url = url(global, &config);
        let definitions = definitions(&config).map_err(Failure::usage)?;
        Ok(Self { config, definitions, url })
    }

    /// The sources, all or those named, with their secrets read. What is missing is told all at once.
    pub(super) fn sources(&self, only: &[String]) -> Result<Vec<SourceSettings>, Failure> {
        let known = || self.config.sources.keys().map(String::as_str);
        if self.config.sources.is_empty() {
            let hint = "hint: `tieout init DIR` writes an example; [sources.procore] with kind = \"procore\" is one";
            return Err(Failure::usage(anyhow!("no [sources.<name>] in tieout.toml: nothing to read\n{hint}")));
        }
        if let Some(name) = only.iter().find(|name| !self.config.sources.contains_key(*name)) {
            let (guess, all) = (did_you_mean(name, known()), known().collect::<Vec<_>>().join(", "));
            return Err(Failure::usage(anyhow!("no source named {name}{guess}\nhint: tieout.toml has {all}")));
        }
        let (mut sources, mut errors) = (Vec::new(), Vec::new());
        for (name, source) in self.config.sources.iter().filter(|(name, _)| only.is_empty() || only.contains(name)) {
            match self.source(name, source) {
                Ok(settings) => sources.push(settings),
                Err(found) => errors.extend(found),
            }
        }
        if errors.is_empty() { Ok(sources) } else { Err(Failure::usage(trouble::gather(&errors))) }
    }

    fn source(&self, name: &str, source: &SourceConfig) -> Result<SourceSettings, Vec<anyhow::Error>> {
        let mut manifest = self.manifest(name, &source.kind).map_err(|error| vec![error])?;
        let (mut values, mut errors) = (BTreeMap::new(), Vec::new());
        for (key, value) in &source.values {
            let setting = match value {
                SettingValue::Text(text) => Ok(Setting::Plain(text.clone())),
                SettingValue::Integer(number) => Ok(Setting::Plain(number.to_string())),
                SettingValue::Secret(reference) => {
                    reference.resolve(&format!("sources.{name}.{key}"), &self.config.directory).map(Setting::Secret)
                }
            };
            match setting {
                Ok(setting) => values.extend([(key.clone(), setting)]),
                Err(error) => errors.push(error),
            }
        }
        // Relative to the settings, as every path in them.
        if let Some(Setting::Plain(place)) =
            values.get_mut(BUNDLE).filter(|_| manifest.system.protocol == Protocol::Files)
            && !place.contains("://")
        {
            *place = self.config.directory.join(&*place).to_string_lossy().into_owned();
        }
        if let Some(mapping) = values.get(MAPPING).filter(|_| manifest.system.protocol == Protocol::Odbc) {
            errors.extend(self.map(name, &mut manifest, mapping).err());
        }
        let firm = &self.config.firm;
        let mut key = |name: &str, reference: Option<&SecretReference>| -> Option<Vec<u8>> {
            let secret = reference.map(|reference| reference.resolve(name, &self.config.directory)).transpose();
            let secret = secret.unwrap_or_else(|error| {
                errors.push(error);
                None
            });
            secret.map(|secret| secret.expose().as_bytes().to_vec())
        };
        let redaction_key = key("firm.tax_id_key", firm.tax_id_key.as_ref());
        let redaction_key_before = key("firm.tax_id_key_before", firm.tax_id_key_before.as_ref());
        if !errors.is_empty() {
            return Err(errors);
        }
        let settings = SourceSettings {
            name: name.to_owned(),
            manifest,
            base_url: source.base_url.clone(),
            values,
            redaction_key,
            redaction_key_before,
            quota: Quota {
                requests_per_minute: source.requests_per_minute,
                requests_per_month: source.requests_per_month,
                concurrency: source.concurrency,
                share: source.quota.map(|Share(thousandths)| thousandths),
                window: source.window.map(|Window(span)| span),
            },
            rules: source.rules(),
        };
        settings.with_defaults().map_err(|error| vec![anyhow::Error::from(error)])
    }

    /// Lets a database's tables be read by the names that the firm's mapping file has for them.
    fn map(&self, name: &str, manifest: &mut Manifest, mapping: &Setting) -> anyhow::Result<()> {
        let Setting::Plain(place) = mapping else {
            return Err(anyhow!(
                "[sources.{name}] mapping: must be the path of a file\nhint: mapping = \"mapping.toml\""
            ));
        };
        let path = self.config.directory.join(place);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("read mapping of [sources.{name}] {}", path.display()))?;
        apply_mapping(manifest, &text).map_err(|problem| anyhow!("read {}: {problem}", path.display()))
    }

    fn manifest(&self, name: &str, kind: &str) -> anyhow::Result<Manifest> {
        let path = format!("extractors/{kind}/manifest.toml");
        let text = self.definitions.files.get(&path).with_context(|| {
            let folder = |path: &'_ String| -> Option<String> {
                Some(path.strip_prefix("extractors/")?.strip_suffix("/manifest.toml")?.to_owned())
            };
            let known: Vec<String> = self.definitions.files.keys().filter_map(folder).collect();
            let guess = did_you_mean(kind, known.iter().map(String::as_str));
            format!("[sources.{name}] kind = \"{kind}\": no such system{guess}\nhint: known are {}", known.join(", "))
        })?;
        Ok(Manifest::parse(&path, text)?)
    }
}

/// A warehouse that cannot be read, or settings and queries that cannot be used.
pub(super) fn engine_failure(error: EngineError) -> Failure {
    let is_store = match &error {
        EngineError::Warehouse(error) => !is_moment(error),
        EngineError::Definitions { reason, .. } => reason.is::<WarehouseError>(),
        EngineError::DataFusion(error) => match error.find_root() {
            DataFusionError::External(error) => {
                error.downcast_ref::<WarehouseError>().is_some_and(|error| !is_moment(error))
            }
            _ => false,
        },
        _ => false,
    };
    if is_store { Failure::warehouse(error) } else { Failure::usage(error) }
}

/// Whether the warehouse says only that a moment means nothing: a mistake in what was asked.
fn is_moment(error: &WarehouseError) -> bool {
    matches!(error, WarehouseError::AsOf { .. } | WarehouseError::Moment(_) | WarehouseError::UnknownCommit { .. })
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

/// What a commit's own definitions mean: the settings that decided answers then, and how records became columns.
fn reopen(
    definitions: &Definitions,
) -> Result<(EngineSettings, Projections), Box<dyn std::error::Error + Send + Sync>> {
    let text = definitions.get(SETTINGS_FILE).ok_or_else(|| format!("there is no {SETTINGS_FILE} among them"))?;
    let config = Config::of_definitions(text)?;
    Ok((engine_settings(&config)?, projections(kinds(&config), definitions)))
}

/// Where the warehouse is: as given on the command line, else as the settings say.
pub(super) fn url(global: &Global, config: &Config) -> String {
    global.warehouse.clone().unwrap_or_else(|| config.warehouse_url())
}

/// What the engine needs to know of the settings.
fn engine_settings(config: &Config) -> anyhow::Result<EngineSettings> {
    let binding =
        |(name, source): (&String, &SourceConfig)| SourceBinding { name: name.clone(), system: source.kind.clone() };
    let mut settings = EngineSettings {
        sources: config.sources.iter().map(binding).collect(),
        given: config.sources.iter().map(|(name, source)| (name.clone(), source.given())).collect(),
        statuses: statuses(config)?,
        books: config.books(),
        currencies: config.currencies(),
        time_zone: config.firm.timezone.parse().map_err(|error| anyhow!("read [firm] timezone: {error}"))?,
        disabled: config.connector.disabled.clone(),
        stale_hours: config.checks.freshness_hours,
        grace_hours: config.grace.clone(),
        ..EngineSettings::default()
    };
    let threshold = config.year_end.form_1099_threshold.as_deref();
    let threshold = threshold.map(|amount| hundredths("[year_end] form_1099_threshold", amount)).transpose()?;
    let values = [
        ("unpaid_days", EngineSetting::Integer(config.checks.unpaid_days)),
        ("change_order_days", EngineSetting::Integer(config.checks.change_order_days)),
        ("change_order_pending_days", EngineSetting::Integer(config.checks.change_order_pending_days)),
        ("approver_days", EngineSetting::Integer(config.checks.approver_days)),
        ("default_terms_days", EngineSetting::Integer(config.checks.default_terms_days)),
        ("import_stale_hours", EngineSetting::Integer(config.checks.import_stale_hours)),
        ("vendor_created_days", EngineSetting::Integer(config.checks.vendor_created_days)),
        ("overwrite_days", EngineSetting::Integer(config.checks.overwrite_days)),
        ("fiscal_year_start", EngineSetting::Integer(config.firm.fiscal_year_start.into())),
        ("amount_tolerance", EngineSetting::Hundredths(hundredths("[tolerance] amount", &config.tolerance.amount)?)),
        ("form_1099_threshold", EngineSetting::Hundredths(threshold.unwrap_or_default())),
        ("card_methods", EngineSetting::List(config.year_end.card_methods.clone())),
        ("default_codes", EngineSetting::List(config.accounts.default_codes.clone())),
        ("ap_accounts", EngineSetting::List(config.accounts.ap.clone())),
        ("ar_accounts", EngineSetting::List(config.accounts.ar.clone())),
        ("retainage_payable_accounts", EngineSetting::List(config.accounts.retainage_payable.clone())),
        ("retainage_receivable_accounts", EngineSetting::List(config.accounts.retainage_receivable.clone())),
        ("suspense_accounts", EngineSetting::List(config.accounts.suspense_accounts.clone())),
        ("currency", EngineSetting::Text(config.firm.currency.clone())),
        ("connector_profile", EngineSetting::Text(config.connector.profile.clone().unwrap_or_default())),
    ];
    settings.values.extend(values.map(|(name, value)| (name.to_owned(), value)));
    Ok(settings)
}

/// What the firm says of status words, by source.
pub(super) fn statuses(config: &Config) -> anyhow::Result<BTreeMap<String, FirmWords>> {
    config.status.iter().map(|(source, words)| Ok((source.clone(), words.words(source)?))).collect()
}

/// A decimal amount with at most two digits after the point, in hundredths.
fn hundredths(key: &str, amount: &str) -> anyhow::Result<i128> {
    let refuse = || anyhow!("read {key} = \"{amount}\": not an amount\nhint: for example \"0.01\"");
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = |text: &str| text.chars().all(|letter| letter.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 2 || !digits(whole) || !digits(fraction) {
        return Err(refuse());
    }
    format!("{whole}{fraction:0<2}").parse().map_err(|_| refuse())
}

/// The shipped definitions, the workspace's lying over them, and the settings that decide answers.
fn definitions(config: &Config) -> anyhow::Result<Definitions> {
    let definitions = Definitions::shipped().overlay(&config.directory)?;
    Ok(definitions.with_settings(&config.definition_settings()))
}

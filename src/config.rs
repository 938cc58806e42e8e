//! `tieout.toml`: the settings of one workspace, and the secrets that they point at.
//!
//! Owns the serde types and their messages; live objects are built elsewhere. Unknown keys are errors with a suggestion.
//! Secrets never stand in the file: only where to find them (`{ env = "…" }` or `{ file = "…" }`), and a [`Secret`]
//! never prints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::definitions::SETTINGS_FILE;
use crate::extract::Secret;
use crate::extract::manifest::Sensitive;

pub use alerts::{AlertsConfig, Amounts, LeastSeverity, SmtpConfig, SmtpTls, WebhookConfig, WebhookFormat};
pub use http::{HttpConfig, MetricsAccess};
pub use limits::{Share, Window};
pub use privacy::{DriftConfig, KeptFields, PersonalConfig, Project};
pub use rules::{AccountsConfig, ChecksConfig, ToleranceConfig, YearEndConfig};
pub(crate) use schedule::MONTH_END;
pub use schedule::{CommandLine, EntryConfig, MonthEndConfig, ScheduleConfig};
pub use server::{PasswordReference, RoleConfig, ServerConfig, TlsConfig};
pub use statuses::StatusConfig;
pub use workers::WorkersConfig;

mod alerts;
mod http;
mod limits;
mod privacy;
mod rules;
mod schedule;
mod server;
mod statuses;
mod workers;

/// Schemas of our own: no source may be named like one.
const RESERVED_SOURCE_NAMES: [&str; 15] = [
    "recon",
    "trend",
    "audit",
    "pm",
    "erp",
    "link",
    "history",
    "meta",
    "system",
    "source",
    "shared",
    "tieout",
    "pg_catalog",
    "information_schema",
    "public",
];

/// A source's setting that some manifests declare: what its amounts are in where it does not say.
const CURRENCY: &str = "currency";

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the warehouse is.
    #[serde(default)]
    pub warehouse: WarehouseConfig,
    /// Whose books these are.
    #[serde(default)]
    pub firm: FirmConfig,
    /// One per connected system, by the name that becomes its schema.
    #[serde(default)]
    pub sources: BTreeMap<String, SourceConfig>,
    /// Accounts and cost codes with a special meaning.
    #[serde(default)]
    pub accounts: AccountsConfig,
    /// Largest differences still called equal.
    #[serde(default)]
    pub tolerance: ToleranceConfig,
    /// Ages below which a missing record is in flight, hours by check id.
    #[serde(default)]
    pub grace: BTreeMap<String, i64>,
    /// Day limits and severity.
    #[serde(default)]
    pub checks: ChecksConfig,
    /// What the year-end schedules go by.
    #[serde(default)]
    pub year_end: YearEndConfig,
    /// What the integration tool between both systems does not sync.
    #[serde(default)]
    pub connector: ConnectorConfig,
    /// What status words mean, by source.
    #[serde(default)]
    pub status: BTreeMap<String, StatusConfig>,
    /// Who may log in to the SQL server.
    #[serde(default)]
    pub roles: Vec<RoleConfig>,
    /// The page beside the SQL server.
    #[serde(default)]
    pub http: HttpConfig,
    /// The SQL server.
    #[serde(default)]
    pub server: ServerConfig,
    /// What runs by itself.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// Who is told of what.
    #[serde(default)]
    pub alerts: AlertsConfig,
    /// The processes that carry out parts of its queries.
    #[serde(default)]
    pub workers: WorkersConfig,
    /// The folder of the file: relative paths start here.
    #[serde(skip)]
    pub directory: PathBuf,
}

/// `[warehouse]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarehouseConfig {
    /// A folder, relative to the file, or an address such as `s3://bucket/folder`, `az://…`, `gs://…`.
    pub url: String,
}

impl Default for WarehouseConfig {
    fn default() -> Self {
        Self { url: "./warehouse".to_owned() }
    }
}

/// `[firm]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FirmConfig {
    /// The firm's name, for reports.
    pub name: String,
    /// IANA name: days and months end here.
    pub timezone: String,
    /// First month of the fiscal year, 1 to 12.
    pub fiscal_year_start: u32,
    /// ISO 4217 code of amounts for which a source names none.
    pub currency: String,
    /// The key under which tax ids are hashed; without it they are dropped, not compared.
    #[serde(skip_serializing)]
    pub tax_id_key: Option<SecretReference>,
    /// The key in force until now, while it is being changed: needed until every source was read in full once.
    #[serde(skip_serializing)]
    pub tax_id_key_before: Option<SecretReference>,
}

impl Default for FirmConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            timezone: "UTC".to_owned(),
            fiscal_year_start: 1,
            currency: "USD".to_owned(),
            tax_id_key: None,
            tax_id_key_before: None,
        }
    }
}

/// `[sources.<name>]`: `kind`, an optional `base_url`, and whatever the system's manifest asks for.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SourceConfig {
    /// The system, as its folder in `extractors/` is named.
    pub kind: String,
    /// Overrides the manifest's base URL (sandbox, zone, test).
    pub base_url: Option<String>,
    /// The share of the rate limit that a run takes.
    pub quota: Option<Share>,
    /// Requests per minute at most.
    pub requests_per_minute: Option<u32>,
    /// Requests that the subscription holds in a month.
    pub requests_per_month: Option<u32>,
    /// Requests in flight at most.
    pub concurrency: Option<usize>,
    /// How long a run takes at most; the next one goes on.
    pub window: Option<Window>,
    /// The only projects that are read, by id or number.
    pub projects: Option<Vec<Project>>,
    /// Of a PM source: the ERP source whose keys it stores, where the firm has several.
    pub erp: Option<String>,
    /// What becomes of e-mail addresses and telephone numbers.
    #[serde(default)]
    pub personal: PersonalConfig,
    /// Fields that are hashed or dropped, beside those of the manifest.
    #[serde(default)]
    pub redact: BTreeMap<String, Sensitive>,
    /// Which fields of a record are kept.
    #[serde(default)]
    pub fields: KeptFields,
    /// What happens to records whose fields are not as declared: a policy, or one by table.
    #[serde(default)]
    pub drift: DriftConfig,
    /// The settings that the manifest names.
    #[serde(flatten)]
    pub values: BTreeMap<String, SettingValue>,
}

/// A setting's value: plain, or where to find a secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum SettingValue {
    /// Text.
    Text(String),
    /// A whole number, such as a company id.
    Integer(i64),
    /// `{ env = "NAME" }` or `{ file = "path" }`.
    Secret(SecretReference),
}

impl SourceConfig {
    /// The settings that stand in the file, and whether each has a value.
    pub fn given(&self) -> BTreeMap<String, bool> {
        let is_set = |value: &SettingValue| !matches!(value, SettingValue::Text(text) if text.trim().is_empty());
        self.values.iter().map(|(name, value)| (name.clone(), is_set(value))).collect()
    }
}

/// Where a secret is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "where the secret is: { env = \"NAME\" } or { file = \"PATH\" }")]
pub struct SecretReference {
    /// The environment variable that holds it.
    pub env: Option<String>,
    /// The file that holds it, relative to `tieout.toml`; trailing line breaks are ignored.
    pub file: Option<PathBuf>,
}

impl SecretReference {
    /// Reads the secret. `key` names the setting in messages.
    ///
    /// # Errors
    /// Neither or both of `env` and `file`, an unset variable, an unreadable or empty file.
    pub fn resolve(&self, key: &str, directory: &Path) -> Result<Secret> {
        let value = match (&self.env, &self.file) {
            (Some(name), None) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => anyhow!(
                    "read secret {key}: environment variable {name} is not set\n\
                     hint: export it, or load all of .env with `set -a; . ./.env; set +a`, or use {{ file = \"…\" }}"
                ),
                std::env::VarError::NotUnicode(_) => {
                    anyhow!("read secret {key}: environment variable {name} is no UTF-8 text")
                }
            })?,
            (None, Some(file)) => {
                let path = directory.join(file);
                std::fs::read_to_string(&path).with_context(|| format!("read secret {key} from {}", path.display()))?
            }
            _ => bail!("read secret {key}: needs either {{ env = \"NAME\" }} or {{ file = \"path\" }}"),
        };
        let value = value.trim_end_matches(['\r', '\n']).to_owned();
        if value.is_empty() {
            let place = self.env.as_ref().map(|name| format!("environment variable {name}"));
            let place = place.or_else(|| self.file.as_ref().map(|file| directory.join(file).display().to_string()));
            bail!("read secret {key}: {} is empty", place.unwrap_or_default());
        }
        Ok(Secret::new(value))
    }
}

/// `[connector]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectorConfig {
    /// A shipped profile, such as `procore-acumatica-edge`.
    pub profile: Option<String>,
    /// Canonical entities that the firm switched off.
    pub disabled: Vec<String>,
}

/// What [`Config::definition_settings`] writes; sources are their systems alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSettings {
    #[serde(default)]
    firm: FirmConfig,
    #[serde(default)]
    accounts: AccountsConfig,
    #[serde(default)]
    tolerance: ToleranceConfig,
    #[serde(default)]
    grace: BTreeMap<String, i64>,
    #[serde(default)]
    checks: ChecksConfig,
    #[serde(default)]
    year_end: YearEndConfig,
    #[serde(default)]
    connector: ConnectorConfig,
    #[serde(default)]
    status: BTreeMap<String, StatusConfig>,
    #[serde(default)]
    sources: BTreeMap<String, String>,
    #[serde(default)]
    books: BTreeMap<String, String>,
    #[serde(default)]
    currencies: BTreeMap<String, String>,
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// A missing file, bad TOML, an unknown key (with a suggestion), a reserved source name.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "read {}\nhint: `tieout init` writes a commented one here, --config names another; `tieout demo` needs none",
                path.display()
            )
        })?;
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self::parse(&text, directory).with_context(|| format!("read {}", path.display()))
    }

    /// Parses the text of a `tieout.toml` that lies in `directory`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, directory: PathBuf) -> Result<Self> {
        let mut config: Self =
            toml::from_str(text).map_err(|error| anyhow::anyhow!(with_suggestion(&error.to_string())))?;
        config.directory = directory;
        for name in config.sources.keys() {
            if RESERVED_SOURCE_NAMES.contains(&name.as_str()) {
                bail!(
                    "[sources.{name}]: a source may not be named like one of our schemas\nhint: name it after the system, such as [sources.procore]"
                );
            }
            let is_plain =
                name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
            if !is_plain || !name.starts_with(|letter: char| letter.is_ascii_lowercase()) {
                bail!("[sources.{name}]: a source's name becomes a schema: lower-case letters, digits and _ only");
            }
        }
        statuses::check(&config.status, config.sources.keys().map(String::as_str))?;
        if config.firm.timezone.parse::<chrono_tz::Tz>().is_err() {
            bail!(
                "[firm] timezone = \"{}\": not an IANA time zone\nhint: for example \"America/Chicago\"",
                config.firm.timezone
            );
        }
        if !(1..=12).contains(&config.firm.fiscal_year_start) {
            bail!("[firm] fiscal_year_start = {}: a month, 1 to 12", config.firm.fiscal_year_start);
        }
        server::check(&config.roles, &config.server)?;
        http::check(&config.http)?;
        schedule::check(&config.schedule)?;
        alerts::check(&config.alerts)?;
        workers::check(&config.workers)?;
        Ok(config)
    }

    /// The settings that [`Config::definition_settings`] gave: what a commit was judged by. Everything else has its default.
    ///
    /// # Errors
    /// A text of another shape, as a newer program may have written.
    pub fn of_definitions(text: &str) -> Result<Self> {
        let stored: StoredSettings = serde_json::from_str(text)
            .with_context(|| format!("read {SETTINGS_FILE}\nhint: a newer program may have written it"))?;
        let (mut books, mut currencies) = (stored.books, stored.currencies);
        let source = |(name, kind)| {
            let erp = books.remove(&name);
            let currency = currencies.remove(&name).map(|code| (CURRENCY.to_owned(), SettingValue::Text(code)));
            (name, SourceConfig { kind, erp, values: currency.into_iter().collect(), ..SourceConfig::default() })
        };
        Ok(Self {
            firm: stored.firm,
            sources: stored.sources.into_iter().map(source).collect(),
            accounts: stored.accounts,
            tolerance: stored.tolerance,
            grace: stored.grace,
            checks: stored.checks,
            year_end: stored.year_end,
            connector: stored.connector,
            status: stored.status,
            ..Self::default()
        })
    }

    /// The warehouse's URL with a relative folder resolved against the file's own.
    pub fn warehouse_url(&self) -> String {
        if self.warehouse.url.contains("://") {
            return self.warehouse.url.clone();
        }
        // `firm/./warehouse` is `firm/warehouse` to people.
        self.directory.join(&self.warehouse.url).components().collect::<PathBuf>().to_string_lossy().into_owned()
    }

    /// The non-secret settings that decide answers, as they are stored with the definitions.
    pub fn definition_settings(&self) -> serde_json::Value {
        let mut settings = serde_json::json!({
            "firm": self.firm,
            "accounts": self.accounts,
            "tolerance": self.tolerance,
            "grace": self.grace,
            "checks": self.checks,
            "year_end": self.year_end,
            "connector": self.connector,
            "status": self.status,
            "sources": self.sources.iter().map(|(name, source)| (name.clone(), source.kind.clone())).collect::<BTreeMap<_, _>>(),
        });
        // Told only where somebody says so: else nothing changes for a firm that has one of each.
        for (name, told) in [("books", self.books()), ("currencies", self.currencies())] {
            if let Some(settings) = settings.as_object_mut().filter(|_| !told.is_empty()) {
                settings.insert(name.to_owned(), serde_json::json!(told));
            }
        }
        settings
    }

    /// The currency that each source's settings name for amounts without one.
    pub fn currencies(&self) -> BTreeMap<String, String> {
        let currency = |source: &SourceConfig| match source.values.get(CURRENCY)? {
            SettingValue::Text(code) => Some(code.trim().to_uppercase()).filter(|code| !code.is_empty()),
            _ => None,
        };
        self.sources.iter().filter_map(|(name, source)| Some((name.clone(), currency(source)?))).collect()
    }

    /// The ERP source that each PM source names.
    pub fn books(&self) -> BTreeMap<String, String> {
        self.sources.iter().filter_map(|(name, source)| Some((name.clone(), source.erp.clone()?))).collect()
    }
}

/// Adds "did you mean" to serde's list of expected fields.
fn with_suggestion(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let Some((unknown, expected)) = quoted.split_first() else { return message.to_owned() };
    if !message.contains("unknown field") {
        return message.to_owned();
    }
    let nearest = expected.iter().map(|name| (strsim::damerau_levenshtein(unknown, name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= 3 => format!("{message}\nhint: did you mean `{name}`?"),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_with_a_suggestion() {
        let error = Config::parse("[warehouse]\nulr = \"x\"", PathBuf::new()).unwrap_err();
        assert!(format!("{error:#}").contains("did you mean `url`"), "{error:#}");
    }

    #[test]
    fn a_source_may_not_take_a_schema_of_ours() {
        let error = Config::parse("[sources.recon]\nkind = \"procore\"", PathBuf::new()).unwrap_err();
        assert!(format!("{error:#}").contains("named like one of our schemas"), "{error:#}");
    }

    #[test]
    fn stored_settings_are_read_back() {
        let text = "[firm]\ntimezone = \"America/Chicago\"\ntax_id_key = { env = \"KEY\" }\n[tolerance]\namount = \"0.50\"\n\
                    [grace]\nO1 = 12\n[connector]\ndisabled = [\"vendors\"]\n[sources.books]\nkind = \"acumatica\"\n\
                    [sources.jobs]\nkind = \"procore\"\nerp = \"books\"\n\
                    [sources.old]\nkind = \"sage_300_cre\"\ncurrency = \"cad\"\n\
                    [status.books]\nPrinted = \"approved\"\n[status.books.bills]\nOpen = \"closed\"";
        let stored = Config::parse(text, PathBuf::new()).unwrap().definition_settings();
        let read = Config::of_definitions(&stored.to_string()).unwrap();
        assert_eq!(read.definition_settings(), stored);
        assert_eq!(read.status["books"].words("books").unwrap().tables["bills"]["open"], "closed");
        let (currencies, books) = (read.currencies(), read.books());
        assert_eq!((currencies["old"].as_str(), books["jobs"].as_str()), ("CAD", "books"));
        assert!(read.firm.tax_id_key.is_none() && !stored.to_string().contains("KEY"));
        let newer = Config::of_definitions(r#"{"moons": {}}"#).unwrap_err();
        assert!(format!("{newer:#}").contains("moons"), "{newer:#}");
    }

    #[test]
    fn secrets_are_read_from_files_and_never_print() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
        let reference = SecretReference { env: None, file: Some("secret".into()) };
        let secret = reference.resolve("client_secret", folder.path()).unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn an_unset_variable_is_named() {
        let reference = SecretReference { env: Some("TIEOUT_TEST_UNSET".into()), file: None };
        let error = reference.resolve("sources.procore.client_id", Path::new("")).unwrap_err();
        let message = format!("{error:#}");
        assert!(message.contains("sources.procore.client_id") && message.contains("TIEOUT_TEST_UNSET"), "{message}");
    }
}

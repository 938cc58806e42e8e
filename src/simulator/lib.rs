//! A firm that lives day by day, and the interfaces of both its systems in front of it.
//!
//! Owns the two HTTP servers and the clock that they share with the firm. Invariants: only
//! [`advance_to`](Simulator::advance_to) makes the firm live on, so what a reader sees between two calls stands still even
//! while its waiting moves the clock; the servers listen on this machine only and stop with the simulator. It knows the
//! systems' fact sheets, not tieout: nothing here uses the extractor, the warehouse or the checks.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, NaiveDate, Utc};
use tokio_util::sync::{CancellationToken, DropGuard};

mod acumatica;
pub mod buildertrend;
mod clock;
pub mod cmic;
pub mod coconstruct;
pub mod exports;
pub mod firm;
pub mod foundation;
mod http;
mod intacct;
mod integrator;
mod interference;
mod procore;
mod projectsight;
pub mod sage_300;
pub mod sql;
pub mod vista;

pub use clock::SharedClock;
pub use cmic::{CmicEndpoint, CmicLimits};
pub use firm::{Decoy, DecoyKind, DecoyRates, Fault, FaultRates, Firm, FirmOptions};
pub use intacct::{IntacctOptions, record_number as intacct_record_number};
pub use interference::{Interference, Rule, System, Trouble};
pub use procore::RateLimits;
pub use projectsight::{ProjectSightIds, ProjectSightKind, ProjectSightOptions, WorkflowStates};

use firm::model::{AcumaticaDatabase, ProcoreDatabase, ProcoreId};

/// What to simulate.
#[derive(Clone, Debug)]
pub struct SimulatorOptions {
    /// The same seed gives the same life.
    pub seed: u64,
    /// The firm.
    pub firm: FirmOptions,
    /// The clock that the firm, both servers and the reader share.
    pub clock: SharedClock,
    /// How many requests Procore allows.
    pub procore_limits: RateLimits,
    /// What Acumatica's licence allows.
    pub acumatica_licence: AcumaticaLicence,
    /// Where Procore listens; `None` for any free port.
    pub procore_listen: Option<SocketAddr>,
    /// Where Acumatica listens; `None` for any free port.
    pub acumatica_listen: Option<SocketAddr>,
}

/// What Acumatica's licence allows, and what its endpoint cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcumaticaLicence {
    /// How many sessions may be open.
    pub max_sessions: usize,
    /// How a login beyond them is answered: 429, or 500 as some builds do.
    pub login_limit_status: u16,
    /// Requests in a trailing minute; `None` for no limit.
    pub requests_per_minute: Option<usize>,
    /// (entity, field) pairs whose list fails with a `CannotOptimizeException`; an empty field stands for the entity.
    pub not_optimizable: Vec<(String, String)>,
}

/// How to reach the simulated Procore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcoreEndpoint {
    /// The interface.
    pub base_url: String,
    /// Where `/oauth/token` is.
    pub login_url: String,
    /// The company.
    pub company_id: String,
    /// The service account.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

/// How to reach the simulated Acumatica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcumaticaEndpoint {
    /// The instance.
    pub base_url: String,
    /// The tenant.
    pub tenant: String,
    /// The API user.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The connected application (`GUID@tenant`).
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

/// How to reach the simulated ProjectSight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectSightEndpoint {
    /// The interface.
    pub base_url: String,
    /// Where `/oauth/token` is.
    pub login_url: String,
    /// The firm's portfolio.
    pub portfolio_guid: String,
    /// The application's name: the scope of its tokens.
    pub scope: String,
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

/// How to reach the simulated Sage Intacct, and what it has counted.
#[derive(Clone)]
pub struct IntacctEndpoint {
    /// The interface, with its version.
    pub base_url: String,
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The user and the company (`user@company`).
    pub username: String,
    server: Arc<intacct::Server<Firm>>,
}

/// What Procore shows of the firm.
pub type ShownAs = fn(&Firm) -> ProcoreDatabase;

/// A firm behind the interfaces of its systems.
pub struct Simulator {
    seed: u64,
    firm: Arc<RwLock<Firm>>,
    clock: SharedClock,
    interference: Arc<Interference>,
    procore: Arc<procore::Server<Firm>>,
    acumatica: Arc<acumatica::Server<Firm>>,
    shown_as: Mutex<Option<ShownAs>>,
    procore_endpoint: ProcoreEndpoint,
    acumatica_endpoint: AcumaticaEndpoint,
    projectsight_ids: ProjectSightIds,
    shutdown: CancellationToken,
    _guard: DropGuard,
}

impl SimulatorOptions {
    /// A firm of the default size on free ports.
    pub fn new(seed: u64, clock: SharedClock) -> Self {
        Self {
            seed,
            firm: FirmOptions::default(),
            clock,
            procore_limits: RateLimits::default(),
            acumatica_licence: AcumaticaLicence::default(),
            procore_listen: None,
            acumatica_listen: None,
        }
    }
}

impl Default for AcumaticaLicence {
    fn default() -> Self {
        Self { max_sessions: 3, login_limit_status: 429, requests_per_minute: Some(600), not_optimizable: Vec::new() }
    }
}

impl Simulator {
    /// Sets the firm up, lets it live until the clock's moment and starts both servers.
    pub async fn start(options: SimulatorOptions) -> anyhow::Result<Self> {
        let SimulatorOptions { seed, clock, .. } = options;
        let mut firm = Firm::new(seed, options.firm);
        clock.advance_to(firm.now());
        firm.live_until(clock.now());
        let (company_id, tenant) = (firm.procore.company.id.to_string(), firm.acumatica.tenant.clone());
        let firm = Arc::new(RwLock::new(firm));
        let interference = Arc::new(Interference::default());
        let shutdown = CancellationToken::new();

        let settings = procore::Settings {
            client_id: format!("procore-client-{seed}"),
            client_secret: format!("procore-secret-{seed}"),
            limits: options.procore_limits,
        };
        let (client_id, client_secret) = (settings.client_id.clone(), settings.client_secret.clone());
        let procore =
            Arc::new(procore::Server::new(settings, clock.clone(), Arc::clone(&interference), Arc::clone(&firm)));
        let server = Arc::clone(&procore);
        let listen = options.procore_listen.unwrap_or_else(http::any_port);
        let answer: http::Answer = Arc::new(move |request| server.answer(request));
        let bound = http::serve(listen, answer, clock.clone(), shutdown.clone()).await?;
        let base_url = format!("http://{bound}");
        let login_url = base_url.clone();
        let procore_endpoint = ProcoreEndpoint { base_url, login_url, company_id, client_id, client_secret };

        let licence = options.acumatica_licence;
        let settings = acumatica::Settings {
            client_id: format!("7A5C1E0B-0000-4000-8000-000000000001@{tenant}"),
            client_secret: format!("acumatica-secret-{seed}"),
            username: "api-reader".to_owned(),
            password: format!("acumatica-password-{seed}"),
            tenant,
            max_sessions: licence.max_sessions,
            login_limit_status: licence.login_limit_status,
            requests_per_minute: licence.requests_per_minute,
            not_optimizable: licence.not_optimizable,
        };
        let acumatica =
            acumatica::Server::new(settings.clone(), clock.clone(), Arc::clone(&interference), Arc::clone(&firm));
        let acumatica = Arc::new(acumatica);
        let server = Arc::clone(&acumatica);
        let listen = options.acumatica_listen.unwrap_or_else(http::any_port);
        let answer: http::Answer = Arc::new(move |request| server.answer(request));
        let bound = http::serve(listen, answer, clock.clone(), shutdown.clone()).await?;
        let acumatica_endpoint = AcumaticaEndpoint {
            base_url: format!("http://{bound}"),
            tenant: settings.tenant,
            username: settings.username,
            password: settings.password,
            client_id: settings.client_id,
            client_secret: settings.client_secret,
        };
        Ok(Self {
            seed,
            firm,
            clock,
            interference,
            procore,
            acumatica,
            shown_as: Mutex::default(),
            procore_endpoint,
            acumatica_endpoint,
            projectsight_ids: ProjectSightIds::default(),
            _guard: shutdown.clone().drop_guard(),
            shutdown,
        })
    }

    /// Starts one more server in front of the firm, on a free port; it ends with the simulator. The address is `http://…`.
    async fn open(&self, answer: http::Answer) -> anyhow::Result<String> {
        let bound = http::serve(http::any_port(), answer, self.clock.clone(), self.shutdown.clone()).await?;
        Ok(format!("http://{bound}"))
    }

    /// Starts ProjectSight in front of the firm, which then shows the same records as Procore.
    ///
    /// # Errors
    /// That no port can be listened on.
    pub async fn serve_projectsight(&self, options: ProjectSightOptions) -> anyhow::Result<ProjectSightEndpoint> {
        let settings = projectsight::Settings {
            client_id: "projectsight-consumer-key".to_owned(),
            client_secret: "projectsight/consumer+secret".to_owned(),
            scope: "QueenCityReader".to_owned(),
            options,
        };
        let (ids, interference) = (self.projectsight_ids.clone(), Arc::clone(&self.interference));
        let server =
            projectsight::Server::new(settings.clone(), self.clock.clone(), interference, Arc::clone(&self.firm), ids);
        let login_url = self.open(Arc::new(move |request| server.answer(request))).await?;
        Ok(ProjectSightEndpoint {
            base_url: format!("{login_url}{}", projectsight::FOLDER),
            login_url,
            portfolio_guid: projectsight::portfolio_guid(&self.firm().procore),
            scope: settings.scope,
            client_id: settings.client_id,
            client_secret: settings.client_secret,
        })
    }

    /// ProjectSight's ids of the records that Procore has too.
    pub fn projectsight_ids(&self) -> ProjectSightIds {
        self.projectsight_ids.clone()
    }

    /// Puts CMiC's interface in front of the same books.
    ///
    /// # Errors
    /// No port is free.
    pub async fn serve_cmic(&self, limits: CmicLimits) -> anyhow::Result<CmicEndpoint> {
        let settings = cmic::Settings::new(self.seed, limits);
        let firm = Arc::clone(&self.firm);
        let server = cmic::Server::new(settings.clone(), self.clock.clone(), Arc::clone(&self.interference), firm);
        let base_url = self.open(Arc::new(move |request| server.answer(request))).await?;
        Ok(settings.endpoint(base_url))
    }

    /// Starts Sage Intacct in front of the same firm: its accounting records as that system has them.
    ///
    /// # Errors
    /// No free port.
    pub async fn serve_intacct(&self, options: IntacctOptions) -> anyhow::Result<IntacctEndpoint> {
        let settings = intacct::Settings {
            client_id: "0a1b2c3d4e5f.app.sage.com".to_owned(),
            client_secret: "intacct-secret".to_owned(),
            username: format!("reader@{}", self.acumatica_endpoint.tenant),
            options,
        };
        let (client_id, client_secret) = (settings.client_id.clone(), settings.client_secret.clone());
        let username = settings.username.clone();
        let (interference, firm) = (Arc::clone(&self.interference), Arc::clone(&self.firm));
        let server = Arc::new(intacct::Server::new(settings, self.clock.clone(), interference, firm));
        let answering = Arc::clone(&server);
        let base_url = self.open(Arc::new(move |request| answering.answer(request))).await?;
        Ok(IntacctEndpoint { base_url: format!("{base_url}/ia/api/v1"), client_id, client_secret, username, server })
    }

    /// How to reach Procore.
    pub fn procore(&self) -> ProcoreEndpoint {
        self.procore_endpoint.clone()
    }

    /// How to reach Acumatica.
    pub fn acumatica(&self) -> AcumaticaEndpoint {
        self.acumatica_endpoint.clone()
    }

    /// Lives the firm's days up to and including `at` and moves the clock there; never back.
    pub fn advance_to(&self, at: DateTime<Utc>) {
        let shown_as = *self.shown_as.lock().unwrap_or_else(PoisonError::into_inner);
        let mut firm = self.firm_mut();
        firm.live_until(at);
        firm.shown = shown_as.map(|shown_as| Box::new(shown_as(&firm)));
        drop(firm);
        self.clock.advance_to(at);
    }

    /// From now on Procore's interface shows the firm's records as `shown_as` tells them: with the ids of another ERP's records
    /// than the books'. What is changed by hand is shown from the next [`advance_to`](Self::advance_to) on.
    pub fn show_procore_as(&self, shown_as: ShownAs) {
        *self.shown_as.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown_as);
        let mut firm = self.firm_mut();
        firm.shown = Some(Box::new(shown_as(&firm)));
    }

    /// Everything that has gone wrong so far, healed or not, oldest first.
    pub fn truth(&self) -> Vec<Fault> {
        self.firm().truth()
    }

    /// Everything so far that looks wrong and is not, oldest first.
    pub fn decoys(&self) -> Vec<Decoy> {
        self.firm().decoys().to_vec()
    }

    /// Trouble on the way to a reader.
    pub fn interference(&self) -> &Interference {
        &self.interference
    }

    /// The clock that everything shares.
    pub fn clock(&self) -> SharedClock {
        self.clock.clone()
    }

    /// The firm as it stands. Requests wait while it is held.
    pub fn firm(&self) -> RwLockReadGuard<'_, Firm> {
        self.firm.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The firm, to change records by hand. Requests wait while it is held.
    pub fn firm_mut(&self) -> RwLockWriteGuard<'_, Firm> {
        self.firm.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes every token and session of both systems invalid: the next request of each reader is answered 401.
    pub fn sign_everybody_out(&self) {
        self.procore.revoke_tokens();
        self.acumatica.end_sessions();
    }

    /// How many sessions Acumatica holds open; none once a reader has signed out.
    pub fn acumatica_sessions(&self) -> usize {
        self.acumatica.open_sessions()
    }
}

/// The GUID of the firm's portfolio in ProjectSight.
pub fn projectsight_portfolio(firm: &Firm) -> String {
    projectsight::portfolio_guid(&firm.procore)
}

/// The day on which ProjectSight says that a requisition was paid: all that it tells of payments.
pub fn projectsight_paid_on(firm: &Firm, requisition: ProcoreId) -> Option<NaiveDate> {
    let requisition = firm.procore.requisitions.get(&requisition)?;
    projectsight::paid_on(&firm.procore, &firm.acumatica, requisition)
}

impl IntacctEndpoint {
    /// How many calls were answered: what a subscription counts by the month.
    pub fn transactions(&self) -> u64 {
        self.server.transactions()
    }

    /// Makes the token invalid, as a new authorisation of the same user elsewhere does.
    pub fn sign_out(&self) {
        self.server.revoke_tokens();
    }
}

impl fmt::Debug for IntacctEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntacctEndpoint").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (procore, acumatica) = (&self.procore_endpoint.base_url, &self.acumatica_endpoint.base_url);
        f.debug_struct("Simulator").field("procore", procore).field("acumatica", acumatica).finish_non_exhaustive()
    }
}

impl AsRef<ProcoreDatabase> for Firm {
    fn as_ref(&self) -> &ProcoreDatabase {
        self.shown.as_deref().unwrap_or(&self.procore)
    }
}

impl AsRef<AcumaticaDatabase> for Firm {
    fn as_ref(&self) -> &AcumaticaDatabase {
        &self.acumatica
    }
}

#[cfg(test)]
mod tests;

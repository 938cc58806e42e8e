//! Procore as the connector to another ERP leaves it: the firm's own records, with that ERP's keys stored in them.
//!
//! Owns a second Procore in front of a copy of the firm's. Invariant: what it shows is the firm as it was at the last
//! [`ProcoreBeside::refresh`], so that a reader sees both systems of one moment. Leaves out how keys are spelt there.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::firm::Firm;
use super::firm::model::{AcumaticaDatabase, ProcoreDatabase};
use super::{ProcoreEndpoint, RateLimits, Simulator, procore};

/// How another ERP's keys get into Procore's records.
pub type Keys = fn(&ProcoreDatabase, &AcumaticaDatabase) -> ProcoreDatabase;

/// A Procore beside the firm's own.
#[derive(Clone)]
pub struct ProcoreBeside {
    /// How to reach it.
    pub endpoint: ProcoreEndpoint,
    keys: Keys,
    firm: Arc<RwLock<Firm>>,
    shown: Arc<RwLock<Shown>>,
}

struct Shown(ProcoreDatabase);

impl AsRef<ProcoreDatabase> for Shown {
    fn as_ref(&self) -> &ProcoreDatabase {
        &self.0
    }
}

impl ProcoreBeside {
    /// Takes the firm's records over as they are now.
    pub fn refresh(&self) {
        let firm = self.firm.read().unwrap_or_else(PoisonError::into_inner);
        let shown = (self.keys)(&firm.procore, &firm.acumatica);
        self.shown.write().unwrap_or_else(PoisonError::into_inner).0 = shown;
    }
}

impl fmt::Debug for ProcoreBeside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcoreBeside").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Simulator {
    /// Starts a Procore in whose records `keys` puts another ERP's keys.
    ///
    /// # Errors
    /// No port is free.
    pub async fn serve_procore_beside(&self, keys: Keys, limits: RateLimits) -> anyhow::Result<ProcoreBeside> {
        let own = self.procore();
        let (client_id, client_secret) = (own.client_id.clone(), own.client_secret.clone());
        let settings = procore::Settings { client_id, client_secret, limits };
        let shown = Arc::new(RwLock::new(Shown(ProcoreDatabase::default())));
        let server = procore::Server::new(settings, self.clock(), Arc::clone(&self.interference), Arc::clone(&shown));
        let base_url = self.open(Arc::new(move |request| server.answer(request))).await?;
        let endpoint = ProcoreEndpoint { base_url: base_url.clone(), login_url: base_url, ..own };
        let beside = ProcoreBeside { endpoint, keys, firm: Arc::clone(&self.firm), shown };
        beside.refresh();
        Ok(beside)
    }
}

//! ProjectSight's ids: 32-bit numbers that each kind of record counts for itself from 1, so that a contract and a purchase
//! order, or two kinds of change order, may bear the same; and a GUID beside each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::firm::model::ProcoreId;

/// A kind of record with ids of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProjectSightKind {
    /// `Companies`.
    Company,
    /// `projects`.
    Project,
    /// `budgets`.
    BudgetCode,
    /// `contracts`: subcontracts and prime contracts.
    Contract,
    /// `purchaseOrders`.
    PurchaseOrder,
    /// `PotentialCOs`.
    PotentialChangeOrder,
    /// `changeOrderRequests`.
    ChangeOrderRequest,
    /// `primeContractCOs`.
    PrimeChangeOrder,
    /// `SubContractCOs`.
    SubcontractChangeOrder,
    /// `contractInvoices`.
    ContractInvoice,
    /// `generalInvoices`.
    GeneralInvoice,
    /// `applicationsForPayment`.
    Application,
    /// `jobCosts`.
    JobCost,
    /// Lines of any of them.
    Line,
    /// Billing periods.
    Period,
    /// Segments of budget codes.
    Segment,
    /// `erpProjects`.
    ErpProject,
    /// `erpCustomersAndVendors`.
    ErpParty,
}

/// The ids given out so far: first come, first numbered, and never another. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct ProjectSightIds(Arc<Given>);

#[derive(Debug, Default)]
struct Given {
    ids: Mutex<HashMap<(ProjectSightKind, String), i32>>,
    last: Mutex<HashMap<ProjectSightKind, i32>>,
}

impl ProjectSightIds {
    /// The id of a record that Procore knows by `id`.
    pub fn id(&self, kind: ProjectSightKind, id: ProcoreId) -> i32 {
        self.of(kind, &id.to_string())
    }

    /// The id of a record by the firm's own key.
    pub(super) fn of(&self, kind: ProjectSightKind, key: &str) -> i32 {
        let mut given = self.0.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, key.to_owned());
        if let Some(id) = given.get(&key) {
            return *id;
        }
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        let id = last.entry(kind).and_modify(|id| *id += 1).or_insert(1);
        given.insert(key, *id);
        *id
    }
}

/// The GUID of a record by the firm's own key.
pub(super) fn guid(kind: &str, key: &str) -> String {
    let digest = Sha256::digest(format!("{kind}/{key}"));
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, of_digest)| *byte = of_digest);
    Uuid::from_bytes(bytes).to_string()
}

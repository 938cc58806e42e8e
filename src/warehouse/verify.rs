//! Does the warehouse still hold what it was given? Every manifest, every file, and every state against its changes.
//!
//! Invariants: nothing is believed that was not read; a finding names the commit and the file and says what differs; what is
//! wrong in one place does not hide what is wrong in another. Memory does not grow with the size of a table. The code that
//! compares is not the code that writes.
//!
//! Leaves out: who did it, and whether the source had told the truth. A chain proves its own past, not its end: who keeps a
//! head's digest elsewhere (`tieout verify --head`) proves that too.

mod chain;
mod checkpoints;
mod compare;
mod cursor;
mod figures;
mod files;
mod fold;
mod ledger;
mod merge;
mod report;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

pub use report::{Fault, Finding, KeptDigest, Progress, Verification, VerifyOptions};

use super::Warehouse;
use super::checkpoint;
use super::commit::Commit;
use super::error::Error;
use super::store::Store;
pub(super) use ledger::Ledger;

impl Warehouse {
    /// Reads the whole chain and every file that it names, and says what is not as it was.
    ///
    /// # Errors
    /// The store fails. What does not verify is no error but a finding.
    pub async fn verify(&self, options: &VerifyOptions) -> Result<Verification, Error> {
        let mut verification = Verification::default();
        // Listed first: a checkpoint is written after its commits, so that each of these must find its own in the chain.
        let checkpoints = checkpoint::list(&self.store).await?;
        let chain = chain::read(&self.store, &self.id, &mut verification).await?;
        verification.look_for(options.kept.as_ref(), &chain.digests);
        checkpoints::check(&self.store, &checkpoints, &chain, &mut verification).await?;
        let ledger = Ledger::new(&chain.commits);
        figures::check(&ledger, &mut verification);
        let bad = files::check(&self.store, &ledger, options, &mut verification).await?;
        if options.deep {
            fold::check(&self.store, &ledger, &bad, options, &mut verification).await?;
        }
        verification.findings.sort_by(|one, other| (one.commit, &one.file).cmp(&(other.commit, &other.file)));
        Ok(verification)
    }
}

/// The commits of the chain as far as they can be read; what is wrong with it goes into `verification`.
pub(super) async fn read_chain(
    store: &Store,
    id: &str,
    verification: &mut Verification,
) -> Result<Vec<Arc<Commit>>, Error> {
    chain::read(store, id, verification).await.map(|chain| chain.commits)
}

/// Paths of files that are not what the chain says: what is built on them is not compared again.
type Bad = HashSet<String>;

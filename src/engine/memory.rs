//! A share of the memory that all queries have: what the queries of one role may hold together.
//!
//! Invariant: what is counted here is counted in the pool of all queries too, so that shares never add up to more.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{Result, resources_datafusion_err};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;

/// How much a role holds of how much it may.
#[derive(Debug)]
pub struct MemoryShare {
    role: String,
    most: usize,
    held: AtomicUsize,
}

impl MemoryShare {
    /// A share of so many bytes.
    pub fn new(role: &str, most: usize) -> Self {
        Self { role: role.to_owned(), most, held: AtomicUsize::new(0) }
    }

    /// The session with its queries held to the share.
    pub fn limit(self: &Arc<Self>, session: &SessionContext) -> SessionContext {
        let state = session.state();
        let below = state.runtime_env();
        let pool = SharedPool { share: Arc::clone(self), below: Arc::clone(&below.memory_pool) };
        let runtime = RuntimeEnv { memory_pool: Arc::new(pool), ..below.as_ref().clone() };
        let state = SessionStateBuilder::new_from_existing(state).with_runtime_env(Arc::new(runtime)).build();
        SessionContext::new_with_state(state)
    }

    fn take(&self, bytes: usize) -> Result<()> {
        let more = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= self.most);
        match self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(held) => Err(resources_datafusion_err!(
                "the queries of role {} may hold {} bytes in memory: {held} are held, {bytes} more were asked for",
                self.role,
                self.most
            )),
        }
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The pool of all queries behind a role's share.
#[derive(Debug)]
struct SharedPool {
    share: Arc<MemoryShare>,
    below: Arc<dyn MemoryPool>,
}

impl fmt::Display for SharedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "share of role {}", self.share.role)
    }
}

impl MemoryPool for SharedPool {
    fn name(&self) -> &'static str {
        "share of a role"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.below.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.below.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.share.held.fetch_add(additional, Ordering::Relaxed);
        self.below.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.below.shrink(reservation, shrink);
        self.share.give_back(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.share.take(additional)?;
        let grown = self.below.try_grow(reservation, additional);
        if grown.is_err() {
            self.share.give_back(additional);
        }
        grown
    }

    fn reserved(&self) -> usize {
        self.share.held.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.share.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    #[test]
    fn a_share_is_bounded_and_given_back() {
        let below: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let share = Arc::new(MemoryShare::new("ada", 60));
        let pool = |share: &Arc<MemoryShare>| -> Arc<dyn MemoryPool> {
            Arc::new(SharedPool { share: Arc::clone(share), below: Arc::clone(&below) })
        };
        // Two sessions of one role have one share.
        let (first, second) = (pool(&share), pool(&share));
        let held = MemoryConsumer::new("first").register(&first);
        held.try_grow(50).unwrap();
        let more = MemoryConsumer::new("second").register(&second);
        let refused = more.try_grow(20).unwrap_err().to_string();
        assert!(refused.contains("role ada may hold 60 bytes"), "{refused}");
        more.try_grow(10).unwrap();
        drop(held);
        more.try_grow(40).unwrap();
        // What all queries may hold is a bound for each role too.
        let other = pool(&Arc::new(MemoryShare::new("bob", 90)));
        let other = MemoryConsumer::new("other").register(&other);
        other.try_grow(60).unwrap_err();
        other.try_grow(50).unwrap();
        assert_eq!(below.reserved(), 100);
    }
}

//! The warehouse: from batches to commits, and back.
//!
//! Owns the layout on disk, the chain of commits, and the fold `state(n) = state(n−1) ⊕ changes(n)`.
//!
//! Invariants:
//! - Until a commit's manifest exists nothing of it is visible; once it exists nothing of it changes.
//! - A manifest is created with put-if-absent and carries the SHA-256 of the manifest before it.
//! - Only what was looked at completely may close: a row leaves a table only if its scope's coverage is `ok` or
//!   `empty_verified` in a full read.
//!
//! Leaves out: what a row means (`engine`), where it comes from (`extract`).

pub mod commit;
pub mod rows;

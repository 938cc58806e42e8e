//! The integration tests: one binary, because DataFusion links slowly.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking, as its test functions do")]

mod acumatica;
mod audit;
mod cli;
mod crash;
mod decoys;
mod extract;
mod files;
mod moments;
mod odbc;
mod pairs;
mod pinned;
mod sage_intacct;
mod server;
mod sql;
mod tidy;
mod truth;
mod views;
mod warehouse;
mod watched;
#[cfg(feature = "workers")]
mod workers;

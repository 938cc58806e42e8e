//! tieout: a queryable reconciliation warehouse for construction firms.
//!
//! A firm runs a project-management system (Procore) and an accounting system (an ERP). tieout snapshots both into
//! Parquet, keeps every snapshot, and serves them as SQL over the Postgres protocol, with prebuilt views that say what
//! disagrees, since when, how much money is at stake, and which side must act.
//!
//! Data flows one way, and each module names its invariants in its own header:
//!
//! ```text
//! Procore, ERP ──extract──▶ rows ──warehouse──▶ commit (Parquet + one manifest) ──engine──▶ SQL ──▶ server, cli
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | arguments, one file per command, exit codes |
//! | [`config`] | `tieout.toml` and the secrets that it points at |
//! | [`definitions`] | manifests, SQL and crosswalks in force: the shipped ones, the workspace's lying over them |
//! | [`extract`] | from a source's interface to typed rows with the record as received |
//! | [`warehouse`] | commits, changes, states: from rows to Parquet and back |
//! | [`engine`] | DataFusion over a warehouse; as-of; the checks |
//! | `report` | a month's report: a page with charts, a message |
//! | `alerts` | messages that wait until somebody received them |
//! | `schedule` | when work is due in the firm's zone, and what became of it |
//! | [`server`] | the Postgres wire, and the page beside it |
//! | [`evidence`] | packages of files that prove a figure without tieout |
//! | [`simulator`] | a firm that lives day by day behind the interfaces of both systems, for the demo and the tests |
//! | `certificates` | PEM files with certificates, wherever the settings name one |
//! | [`clock`] | the run's clock: the machine's, or a given one |
//!
//! An arrow goes only downwards: `cli → evidence → server → engine → warehouse`, `server → report → engine`, `extract → warehouse`. `cli::extract` is where they
//! meet: extract, prepare, check, publish. The simulator knows none of them. Nothing but `warehouse::store` touches
//! `object_store`, nothing but `engine` builds a DataFusion session, nothing but `server` knows `pgwire`.

mod alerts;
mod certificates;
pub mod cli;
pub mod clock;
pub mod config;
pub mod definitions;
pub mod engine;
pub mod evidence;
pub mod extract;
mod report;
mod schedule;
pub mod server;
pub mod warehouse;
pub use tieout_simulator as simulator;

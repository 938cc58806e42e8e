//! A firm that lives day by day.

pub mod firm;
mod http;
mod interference;
mod procore;

pub use interference::{Interference, Rule, System, Trouble};
pub use procore::RateLimits;

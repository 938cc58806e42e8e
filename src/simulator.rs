//! A firm that lives day by day.

pub mod firm;

//! A firm that lives day by day.

//! The interface as a reader meets it.

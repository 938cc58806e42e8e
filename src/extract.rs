//! From a source to typed rows.

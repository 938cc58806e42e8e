//! `tieout.toml` and the secrets that it points at.
